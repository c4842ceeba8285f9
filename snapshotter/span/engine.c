/* SPDX-License-Identifier: Apache-2.0 */
/* engine.c – the engine: its pool, its keeper thread, its limits. */
#include "span/internal.h"

#include "base/clock.h"

#include <errno.h>
#include <stdlib.h>

enum {
    DEFAULT_MAX_FETCHES = 6,
    DEFAULT_READ_BUDGET_MS = 300 * 1000,
    DEFAULT_ECHO_MS = 100,
    DEFAULT_BACKGROUND_BYTES = 4 * 1024 * 1024,
    DEFAULT_MEMORY_BYTES = 64 * 1024 * 1024,
};

static void fill_defaults(struct span_engine_options *options)
{
    if (options->inflate_threads == 0) {
        long cpus = sysconf(_SC_NPROCESSORS_ONLN);

        options->inflate_threads = cpus > 0 ? (size_t)cpus : 1;
    }
    if (options->max_fetches == 0)
        options->max_fetches = DEFAULT_MAX_FETCHES;
    if (options->digest_retries == 0)
        options->digest_retries = 1;
    if (options->read_budget_ms == 0)
        options->read_budget_ms = DEFAULT_READ_BUDGET_MS;
    if (options->echo_ms == 0)
        options->echo_ms = DEFAULT_ECHO_MS;
    if (options->background_bytes == 0)
        options->background_bytes = DEFAULT_BACKGROUND_BYTES;
    if (options->max_memory_bytes == 0)
        options->max_memory_bytes = DEFAULT_MEMORY_BYTES;
}

/* The keeper's deadlines are on the monotonic clock; `idle` has none. */
static int init_locks(struct span_engine *engine)
{
    int rc = clock_cond_init(&engine->keeper_wake);

    if (rc < 0)
        return rc;
    (void)pthread_mutex_init(&engine->lock, NULL);
    (void)pthread_cond_init(&engine->idle, NULL);
    return 0;
}

static void fini(struct span_engine *engine)
{
    pool_free(engine->pool);
    (void)pthread_cond_destroy(&engine->idle);
    (void)pthread_cond_destroy(&engine->keeper_wake);
    (void)pthread_mutex_destroy(&engine->lock);
    free(engine);
}

int span_engine_new(const struct span_engine_options *options, struct span_engine **ret,
                    struct err *err)
{
    struct span_engine *engine = calloc(1, sizeof(*engine));
    int rc;

    if (engine == NULL)
        return err_set(err, -ENOMEM, "span engine: out of memory");
    engine->options = *options;
    fill_defaults(&engine->options);
    engine->queue_end = &engine->queue;
    rc = init_locks(engine);
    if (rc < 0) {
        free(engine);
        return err_sys(err, rc, "span engine");
    }
    rc = pool_new("inflate", engine->options.inflate_threads, &engine->pool, err);
    if (rc == 0 &&
        (rc = thread_start(&engine->keeper, "span-keeper", span_keeper_main, engine)) < 0)
        (void)err_sys(err, rc, "span engine");
    if (rc < 0) {
        fini(engine);
        return rc;
    }
    *ret = engine;
    return 0;
}

static void stop_keeper(struct span_engine *engine)
{
    {
        LOCKED(&engine->lock);
        engine->stop = true;
        (void)pthread_cond_signal(&engine->keeper_wake);
        while (engine->users > 0) /* threads on their way out of a GET */
            (void)pthread_cond_wait(&engine->idle, &engine->lock);
    }
    (void)pthread_join(engine->keeper, NULL);
}

void span_engine_free(struct span_engine *engine)
{
    if (engine == NULL)
        return;
    stop_keeper(engine);
    fini(engine);
}
