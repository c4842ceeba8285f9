/* SPDX-License-Identifier: Apache-2.0 */
/* claims.c – which layers are being mounted now, so that nobody mounts one twice or removes it
 * meanwhile. */
#include "snapshot/internal.h"

#include "base/clock.h"
#include "base/threads.h"

#include <errno.h>
#include <string.h>

/* The lazy half gives up on a mount by itself after half of this. */
#define CLAIM_WAIT_MS 60000

static bool is_claimed_locked(const struct snapshotter *s, const struct claim *claim)
{
    const struct claim *other;

    for (other = s->claims; other != NULL; other = other->next) {
        if (strcmp(other->target, claim->target) == 0 && strcmp(other->parent, claim->parent) == 0)
            return true;
    }
    return false;
}

int claim_take(struct snapshotter *s, struct claim *claim)
{
    int64_t deadline_ms = clock_mono_ms() + CLAIM_WAIT_MS;
    LOCKED(&s->lock);

    while (is_claimed_locked(s, claim)) {
        if (clock_cond_wait_until(&s->settled, &s->lock, deadline_ms) == -ETIMEDOUT)
            return -ETIMEDOUT;
    }
    claim->next = s->claims;
    s->claims = claim;
    return 0;
}

void claim_set_id(struct snapshotter *s, struct claim *claim, uint64_t id)
{
    LOCKED(&s->lock);
    claim->id = id;
}

void claim_release(struct snapshotter *s, struct claim *claim)
{
    LOCKED(&s->lock);
    struct claim **link = &s->claims;

    while (*link != claim)
        link = &(*link)->next;
    *link = claim->next;
    (void)pthread_cond_broadcast(&s->settled);
}

bool claim_has_id(struct snapshotter *s, uint64_t id)
{
    LOCKED(&s->lock);
    const struct claim *claim;

    for (claim = s->claims; claim != NULL; claim = claim->next) {
        if (claim->id == id)
            return true;
    }
    return false;
}
