/* SPDX-License-Identifier: Apache-2.0 */
/* limit.c – a thread that waits for the end of --timeout. */
#include "cli/limit.h"

#include "base/clock.h"
#include "base/threads.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

struct cli_limit {
    struct registry *registry; /* fixed */
    int64_t deadline_ms;       /* fixed */
    int64_t timeout_ms;        /* fixed */
    pthread_t thread;          /* fixed */
    pthread_mutex_t lock;
    pthread_cond_t stopped;
    bool stop; /* lock */
};

static void *wait_for_end(void *arg)
{
    struct cli_limit *limit = arg;
    bool stop;

    (void)pthread_mutex_lock(&limit->lock);
    while (!limit->stop && clock_mono_ms() < limit->deadline_ms)
        (void)clock_cond_wait_until(&limit->stopped, &limit->lock, limit->deadline_ms);
    stop = limit->stop;
    (void)pthread_mutex_unlock(&limit->lock);
    if (!stop)
        registry_cancel_all(limit->registry);
    return NULL;
}

int cli_limit_start(const struct cli_globals *globals, struct registry *registry,
                    struct cli_limit **ret, struct err *err)
{
    SCOPED(mem) struct cli_limit *limit = NULL;
    int rc;

    *ret = NULL;
    if (globals->deadline_ms == 0)
        return 0;
    limit = calloc(1, sizeof(*limit));
    if (limit == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    limit->registry = registry;
    limit->deadline_ms = globals->deadline_ms;
    limit->timeout_ms = globals->timeout_ms;
    rc = clock_cond_init(&limit->stopped);
    if (rc < 0)
        return err_sys(err, rc, "--timeout");
    (void)pthread_mutex_init(&limit->lock, NULL);
    rc = thread_start(&limit->thread, "timeout", wait_for_end, limit);
    if (rc < 0) {
        (void)pthread_cond_destroy(&limit->stopped);
        (void)pthread_mutex_destroy(&limit->lock);
        return err_sys(err, rc, "--timeout");
    }
    *ret = TAKE(limit);
    return 0;
}

int cli_limit_judge(const struct cli_limit *limit, int rc, struct err *err)
{
    if (limit == NULL || rc != -ECANCELED || clock_mono_ms() < limit->deadline_ms)
        return rc;
    return err_set(err, -ETIMEDOUT, "gave up after %lld ms, as --timeout says",
                   (long long)limit->timeout_ms);
}

void cli_limit_stop(struct cli_limit *limit)
{
    if (limit == NULL)
        return;
    (void)pthread_mutex_lock(&limit->lock);
    limit->stop = true;
    (void)pthread_cond_signal(&limit->stopped);
    (void)pthread_mutex_unlock(&limit->lock);
    (void)pthread_join(limit->thread, NULL);
    (void)pthread_cond_destroy(&limit->stopped);
    (void)pthread_mutex_destroy(&limit->lock);
    free(limit);
}
