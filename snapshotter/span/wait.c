/* SPDX-License-Identifier: Apache-2.0 */
/* wait.c – a read that blocks: a want with a condition variable. */
#include "span/span.h"

#include "base/clock.h"
#include "base/threads.h"

#include <errno.h>
#include <stdlib.h>

/* On the heap: one that nobody waits for any more is freed by its done(). */
struct waiter {
    struct span_want want;
    pthread_mutex_t lock;
    pthread_cond_t finished;
    bool is_finished;  /* lock */
    bool is_abandoned; /* lock */
    int rc;            /* lock */
    struct err err;    /* lock */
};

static void waiter_free(struct waiter *waiter)
{
    (void)pthread_cond_destroy(&waiter->finished);
    (void)pthread_mutex_destroy(&waiter->lock);
    free(waiter);
}

static void waiter_done(struct span_want *want, int rc, const struct err *err)
{
    struct waiter *waiter = (struct waiter *)((char *)want - offsetof(struct waiter, want));
    bool abandoned;

    (void)pthread_mutex_lock(&waiter->lock);
    waiter->is_finished = true;
    waiter->rc = rc;
    waiter->err = *err;
    abandoned = waiter->is_abandoned;
    (void)pthread_cond_signal(&waiter->finished);
    (void)pthread_mutex_unlock(&waiter->lock);
    if (abandoned)
        waiter_free(waiter);
}

/* True: it is finished; false: it is its done()'s to free from here on. */
static bool wait_for(struct waiter *waiter, int64_t deadline_ms)
{
    LOCKED(&waiter->lock);

    while (!waiter->is_finished) {
        if (clock_cond_wait_until(&waiter->finished, &waiter->lock, deadline_ms) == -ETIMEDOUT &&
            !waiter->is_finished) {
            waiter->is_abandoned = true;
            return false;
        }
    }
    return true;
}

static int waiter_new(struct waiter **ret)
{
    struct waiter *waiter = calloc(1, sizeof(*waiter));

    if (waiter == NULL)
        return -ENOMEM;
    if (clock_cond_init(&waiter->finished) < 0) {
        free(waiter);
        return -ENOMEM;
    }
    (void)pthread_mutex_init(&waiter->lock, NULL);
    waiter->want.done = waiter_done;
    *ret = waiter;
    return 0;
}

int span_set_wait(struct span_set *set, uint64_t uncomp_off, size_t len, int64_t deadline_ms,
                  struct err *err)
{
    struct waiter *waiter = NULL;
    int rc = waiter_new(&waiter);

    if (rc < 0)
        return err_set(err, rc, "out of memory");
    waiter->want.uncomp_off = uncomp_off;
    waiter->want.len = len;
    rc = span_set_want(set, &waiter->want, err);
    if (rc == 1 && !wait_for(waiter, deadline_ms))
        return err_set(err, -ETIMEDOUT, "%zu bytes at %llu did not come in time", len,
                       (unsigned long long)uncomp_off);
    if (rc == 1) {
        rc = waiter->rc;
        if (rc < 0 && err != NULL)
            *err = waiter->err;
    }
    waiter_free(waiter);
    return rc;
}
