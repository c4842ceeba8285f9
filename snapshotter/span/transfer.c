/* SPDX-License-Identifier: Apache-2.0 */
/* transfer.c – a GET and its source: started, cancelled, arrived, failed. */
#include "span/internal.h"

#include "base/clock.h"

#include <errno.h>
#include <sys/mman.h>

enum { SLOW_FAILURE_MS = 1000 };

/* ---- arrival --------------------------------------------------------------------------------- */

static void submit_tasks_locked(struct span_get *get)
{
    size_t i;

    for (i = 0; i < get->count; i++) {
        size_t n = get->first + i;

        span_set_state_locked(get->set, n, SPAN_INFLATING);
        span_task_submit_locked(&get->tasks[i],
                                span_is_wanted_locked(get->set, n) ? POOL_URGENT : POOL_BACKGROUND);
    }
}

/* One that is cancelled says nothing of the registry. */
static void count_locked(const struct span_get *get, int rc)
{
    struct metrics_layer *metrics = get->set->metrics;

    if (rc == -ECANCELED)
        return;
    metrics_took_ns(metrics, METRICS_REMOTE_REGISTRY_GET,
                    (clock_mono_ms() - get->started_ms) * 1000000);
    if (get->urgent)
        metrics_count(metrics, METRICS_READ_FETCHES, 1);
    else
        metrics_count(metrics, rc == 0 ? METRICS_BACKGROUND_FETCHES : METRICS_BACKGROUND_FAILURES,
                      get->count);
}

/* The GET's own hold is to be given up after this. What takes time goes to the pool. */
static void arrived(struct span_get *get, int rc, const struct err *err)
{
    struct span_engine *engine = get->set->engine;
    LOCKED(&engine->lock);

    span_account_arrival_locked(get);
    count_locked(get, rc);
    if (rc == 0) {
        submit_tasks_locked(get);
        return;
    }
    get->rc = rc;
    if (err != NULL)
        get->err = *err;
    get->err.code = rc;
    get->holds++; /* the failed job's */
    if (get->source == get->set->source)
        span_back_off_locked(
            get->set); /* now, or the background would start the next one at once */
    pool_submit(engine->pool, &get->failed_job, POOL_URGENT);
}

static void fetch_done(struct span_fetch *fetch, int rc, const struct err *err)
{
    struct span_get *get = (struct span_get *)((char *)fetch - offsetof(struct span_get, fetch));

    arrived(get, rc > 0 ? -EIO : rc, err);
    span_get_put_and_schedule(get);
}

static bool note_progress(struct span_get *get, size_t len)
{
    LOCKED(&get->set->engine->lock);
    return span_account_progress_locked(get, len);
}

/* The set stays: its GET is under way. */
static void fetch_progress(struct span_fetch *fetch, size_t len)
{
    struct span_get *get = (struct span_get *)((char *)fetch - offsetof(struct span_get, fetch));

    if (note_progress(get, len))
        span_schedule(get->set->engine);
}

/* What failed quickly can be asked for again as quickly. */
static void note_slow_failure_locked(const struct span_get *get, size_t n)
{
    int64_t now_ms = clock_mono_ms();

    if (get->urgent && now_ms - get->started_ms >= SLOW_FAILURE_MS)
        get->set->echo_until_ms[n] = now_ms + get->set->engine->options.echo_ms;
}

/* One span of a GET that failed. Readers that came when it was under way get another try, and when
 * the source was replaced meanwhile all do. */
static void fail_span_locked(struct span_get *get, size_t n, struct span_want **ready)
{
    struct span_set *set = get->set;
    bool is_replaced = get->source != set->source;
    int rc = get->rc;

    span_set_state_locked(set, n, SPAN_MISSING);
    span_collect_failed_locked(set, n, is_replaced ? 0 : get->number, rc, ready);
    if (!set->closing && span_is_wanted_locked(set, n)) {
        rc = span_fetch_again_locked(set, n, get->tries);
        if (rc == 0)
            return;
    }
    note_slow_failure_locked(get, n);
    span_collect_failed_locked(set, n, UINT64_MAX, rc, ready);
}

void span_run_failed(struct pool_job *job)
{
    struct span_get *get = (struct span_get *)((char *)job - offsetof(struct span_get, failed_job));
    struct span_set *set = get->set;
    struct span_want *ready = NULL;
    int64_t retry_ms;
    size_t n;

    (void)pthread_mutex_lock(&set->engine->lock);
    for (n = get->first; n < get->first + get->count; n++)
        fail_span_locked(get, n, &ready);
    if (!set->closing && get->source == set->source)
        span_set_error_locked(set, &get->err);
    retry_ms = set->closing || get->urgent ? 0 : set->backoff_ms;
    (void)pthread_mutex_unlock(&set->engine->lock);
    if (retry_ms > 0)
        span_log_background(set, retry_ms, &get->err);
    span_deliver(ready, &get->err);
    span_get_put_and_schedule(get);
}

/* ---- starting, cancelling -------------------------------------------------------------------- */

/* Mapped, not from the heap: megabytes that come and go must leave the process's memory when they
 * go. */
static int map_buffer(struct span_get *get, struct err *err)
{
    void *at =
        mmap(NULL, get->fetch.len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (at == MAP_FAILED)
        return err_set(err, -ENOMEM, "%zu bytes for a fetch: out of memory", get->fetch.len);
    get->fetch.buf = at;
    return 0;
}

static void cancel(struct span_get *get)
{
    const struct span_source *source = &get->source->source;

    source->cancel(source->self, &get->fetch);
}

/* The source has it. True: the set is closing, and whoever closes it did not see this GET under
 * way. */
static bool note_started(struct span_get *get)
{
    LOCKED(&get->set->engine->lock);

    if (get->phase != GET_STARTING)
        return false; /* it arrived already */
    get->phase = GET_UNDER_WAY;
    if (!get->set->closing || get->cancelled)
        return false;
    get->cancelled = true;
    return true;
}

void span_get_start(struct span_get *get)
{
    const struct span_source *source = &get->source->source;
    struct err err = ERR_NONE;
    int rc = map_buffer(get, &err);

    get->fetch.done = fetch_done;
    get->fetch.progress = fetch_progress;
    get->fetch.again = get->tries > 0;
    get->fetch.budget_ms = get->set->engine->options.read_budget_ms;
    get->started = true; /* before start(): done() may come first */
    if (rc == 0)
        rc = source->start(source->self, &get->fetch, &err);
    if (rc < 0) {
        get->started = false;
        arrived(get, rc, &err);
        span_get_put(get);
    } else if (note_started(get)) {
        cancel(get);
    }
    span_get_put(get); /* not …_and_schedule(): this is span_schedule()'s loop */
}

/* One that is under way, held and marked; NULL: no more. */
static struct span_get *take_to_cancel(struct span_set *set)
{
    struct span_get *get;
    LOCKED(&set->engine->lock);

    for (get = set->gets; get != NULL; get = get->next_of_set) {
        if (get->phase == GET_UNDER_WAY && !get->cancelled) {
            get->cancelled = true;
            get->holds++;
            return get;
        }
    }
    return NULL;
}

static struct span_get *take_queued(struct span_set *set)
{
    LOCKED(&set->engine->lock);
    return span_unqueue_locked(set->engine, set);
}

void span_gets_cancel(struct span_set *set)
{
    struct span_get *get;

    while ((get = take_queued(set)) != NULL)
        span_get_put(get);
    while ((get = take_to_cancel(set)) != NULL) {
        cancel(get);
        span_get_put(get);
    }
}
