/* SPDX-License-Identifier: Apache-2.0 */
/* buffers.c – a few buffers are kept; more are made when many reads are answered at once, and not
 * kept. */
#include "fs/buffers.h"

#include "base/threads.h"

#include <sys/mman.h>

void read_buffers_init(struct read_buffers *buffers)
{
    *buffers = (struct read_buffers){.count = 0};
    (void)pthread_mutex_init(&buffers->lock, NULL);
}

void read_buffers_fini(struct read_buffers *buffers)
{
    while (buffers->count > 0)
        (void)munmap(buffers->spare[--buffers->count], READ_BUFFER_BYTES);
    (void)pthread_mutex_destroy(&buffers->lock);
}

static void *take_spare(struct read_buffers *buffers)
{
    LOCKED(&buffers->lock);
    return buffers->count == 0 ? NULL : buffers->spare[--buffers->count];
}

void *read_buffers_take(struct read_buffers *buffers)
{
    void *buffer = take_spare(buffers);

    if (buffer != NULL)
        return buffer;
    buffer =
        mmap(NULL, READ_BUFFER_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return buffer == MAP_FAILED ? NULL : buffer;
}

void read_buffers_give(struct read_buffers *buffers, void *buffer)
{
    (void)pthread_mutex_lock(&buffers->lock);
    if (buffers->count < READ_BUFFERS_KEPT) {
        buffers->spare[buffers->count++] = buffer;
        buffer = NULL;
    }
    (void)pthread_mutex_unlock(&buffers->lock);
    if (buffer != NULL)
        (void)munmap(buffer, READ_BUFFER_BYTES);
}
