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

enum { CLAIM_POLL_MS = 200 };

static const struct claim *find_rival_locked(const struct snapshotter *s, const struct claim *claim)
{
    const struct claim *other;

    for (other = s->claims; other != NULL; other = other->next) {
        if (strcmp(other->target, claim->target) == 0 && strcmp(other->parent, claim->parent) == 0)
            return other;
    }
    return NULL;
}

/* Wait for the rival a little. 0: there is none, and the claim is the caller's. 1: not yet. */
static int try_take(struct snapshotter *s, struct claim *claim, int64_t *deadline_ms)
{
    int64_t until_ms = clock_mono_ms() + CLAIM_POLL_MS;
    const struct claim *rival;
    LOCKED(&s->lock);

    while ((rival = find_rival_locked(s, claim)) != NULL) {
        if (rival->unpacking)
            *deadline_ms = clock_mono_ms() + CLAIM_WAIT_MS;
        if (clock_cond_wait_until(&s->settled, &s->lock, until_ms) == -ETIMEDOUT)
            return 1;
    }
    claim->next = s->claims;
    s->claims = claim;
    return 0;
}

int claim_take(struct snapshotter *s, struct claim *claim, const struct snapshot_cancel *cancel)
{
    int64_t deadline_ms = clock_mono_ms() + CLAIM_WAIT_MS;

    while (try_take(s, claim, &deadline_ms) != 0) {
        if (clock_mono_ms() >= deadline_ms)
            return -ETIMEDOUT;
        if (cancel->is_cancelled != NULL && cancel->is_cancelled(cancel->self))
            return -ECANCELED;
    }
    return 0;
}

void claim_set_unpacking(struct snapshotter *s, struct claim *claim)
{
    LOCKED(&s->lock);
    claim->unpacking = true;
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
