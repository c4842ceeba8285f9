/* SPDX-License-Identifier: Apache-2.0 */
/* slots.c – memory for chunks: so much and no more, and never all of it for layers whose turn has
 * not come. */
#include "local/internal.h"

#include <sys/mman.h>

/* A job that is being unpacked and has no chunk could hold up everything: the others wait for it to
 * end, and it for memory. So each of them gets one in any case; that is what the reserve is for,
 * which has a chunk for each. Nor does one layer get all the rest while there are others. */
bool slots_have_locked(const struct local *local, const struct job *job)
{
    size_t left = local->slot_count - local->held;

    if (left == 0)
        return false;
    if (job->state == JOB_RUNNING && job->feed.held == 0)
        return true;
    return left > local->reserve &&
           (local->job_count == 1 || job->feed.held < (local->slot_count + 1) / 2);
}

/* Mapped and not from the heap: it should go back to the system as soon as it is not used. */
void *slot_take_locked(struct local *local)
{
    void *slot;

    if (local->spare_count > 0) {
        slot = local->spare[--local->spare_count];
    } else {
        slot = mmap(NULL, local->options.chunk_bytes, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (slot == MAP_FAILED)
            return NULL;
    }
    local->held++;
    return slot;
}

static void unmap_spare_locked(struct local *local)
{
    while (local->spare_count > 0)
        (void)munmap(local->spare[--local->spare_count], local->options.chunk_bytes);
}

void slot_put_locked(struct local *local, void *slot)
{
    local->held--;
    local->spare[local->spare_count++] = slot;
    if (local->held == 0)
        unmap_spare_locked(local);
}

void slots_free(struct local *local)
{
    unmap_spare_locked(local);
}
