/* SPDX-License-Identifier: Apache-2.0 */
/* keeper.c – the engine's own thread, for what waits for the clock or the disk while nobody waits
 * for it: syncing span files, closing sources that were replaced, and waking the background after
 * an error. Not on the pool: a sync of a slow disk takes seconds. */
#include "span/internal.h"

#include "base/clock.h"

#include <errno.h>
#include <stdlib.h>

enum {
    SYNC_SPANS = 16,           /* a sync costs a seek or two: not for every span */
    SYNC_AFTER_MS = 2000,      /* and a crash costs at most so much work */
    SYNC_RETRY_MS = 10 * 1000, /* a full disk */
    SYNC_LOG_MS = 60 * 1000,
    LOOK_AGAIN_MS = 500, /* for GETs that stall */
};

void span_note_unsynced_locked(struct span_set *set)
{
    int64_t now_ms = clock_mono_ms();
    int64_t due_ms = ++set->unsynced >= SYNC_SPANS ? now_ms : now_ms + SYNC_AFTER_MS;

    if (set->sync_at_ms == 0 || due_ms < set->sync_at_ms) {
        set->sync_at_ms = due_ms;
        (void)pthread_cond_signal(&set->engine->keeper_wake);
    }
}

/* ---- syncing --------------------------------------------------------------------------------- */

/* The data could not be synced: spans that were added since are in doubt, and are compared with
 * their CRC before they are used again. */
static void doubt_all_locked(struct span_set *set)
{
    uint32_t crc;
    size_t n;

    for (n = 0; n < set->span_count; n++) {
        if (span_state_of(set, n) != SPAN_PRESENT || !span_file_recorded(set->file, n, &crc))
            continue;
        span_set_state_locked(set, n, SPAN_RECORDED);
        if (span_is_wanted_locked(set, n) && span_check_start_locked(set, n) < 0)
            log_debug("no memory to check a span", "layer=%s span=%zu", set->name, n);
    }
}

static void note_sync_failed(struct span_set *set, int rc)
{
    LOCKED(&set->engine->lock);

    if (rc == -EIO)
        doubt_all_locked(set);
    if (set->sync_at_ms == 0)
        set->sync_at_ms = clock_mono_ms() + SYNC_RETRY_MS;
}

static void sync_set(struct span_set *set)
{
    struct span_engine *engine = set->engine;
    struct err err = ERR_NONE;
    int rc = span_file_sync(set->file, &err);

    if (rc < 0) {
        if (log_limit_pass(&engine->sync_log, SYNC_LOG_MS))
            log_warn("spans are not recorded yet, trying again later", "layer=%s err=%s", set->name,
                     err_text(&err));
        note_sync_failed(set, rc);
    }
    {
        LOCKED(&engine->lock);
        span_set_unbusy_locked(set);
    }
}

/* ---- closing sources ------------------------------------------------------------------------- */

static void close_retired(struct span_source_ref *ref)
{
    struct span_set *set = ref->set;

    ref->source.close(ref->source.self);
    free(ref);
    {
        LOCKED(&set->engine->lock);
        span_set_unbusy_locked(set);
    }
}

/* ---- the thread ------------------------------------------------------------------------------ */

/* What there is to do now; all empty: nothing before deadline_ms. */
struct work {
    struct span_source_ref *retired;
    struct span_set *to_sync;
    bool to_schedule;
    bool stop;
    int64_t deadline_ms;
};

static void earlier(int64_t *deadline_ms, int64_t at_ms)
{
    if (at_ms < *deadline_ms)
        *deadline_ms = at_ms;
}

static void look_at_set_locked(struct span_set *set, int64_t now_ms, struct work *work)
{
    if (set->sync_at_ms != 0 && !set->closing) { /* closing syncs by itself */
        if (set->sync_at_ms <= now_ms && work->to_sync == NULL)
            work->to_sync = set;
        earlier(&work->deadline_ms, set->sync_at_ms);
    }
    if ((set->background || set->preferred_count > 0) && set->background_at_ms != 0 &&
        !set->closing) {
        if (set->background_at_ms > now_ms) {
            earlier(&work->deadline_ms, set->background_at_ms);
        } else {
            set->background_at_ms = 0;
            work->to_schedule = true;
        }
    }
}

static void look_at_link_locked(struct span_engine *engine, int64_t now_ms, struct work *work)
{
    if (engine->look_at_ms != 0 && engine->look_at_ms <= now_ms) {
        engine->look_at_ms = 0;
        if (span_look_for_stalled_locked(engine, now_ms))
            work->to_schedule = true;
        else if (engine->flowing_gets > 0)
            engine->look_at_ms = now_ms + LOOK_AGAIN_MS;
    }
    if (engine->look_at_ms != 0)
        earlier(&work->deadline_ms, engine->look_at_ms);
}

static void look_locked(struct span_engine *engine, struct work *work)
{
    int64_t now_ms = clock_mono_ms();
    struct span_set *set;

    *work =
        (struct work){.stop = engine->stop, .deadline_ms = INT64_MAX, .retired = engine->retired};
    if (work->retired != NULL)
        engine->retired = work->retired->next;
    if (engine->background_at_ms > now_ms) {
        earlier(&work->deadline_ms, engine->background_at_ms);
    } else if (engine->background_at_ms != 0) {
        engine->background_at_ms = 0;
        work->to_schedule = true;
    }
    look_at_link_locked(engine, now_ms, work);
    for (set = engine->sets; set != NULL; set = set->next)
        look_at_set_locked(set, now_ms, work);
    if (work->to_sync != NULL) {
        work->to_sync->sync_at_ms = 0;
        work->to_sync->unsynced = 0;
        work->to_sync->busy++;
    }
}

static bool is_idle(const struct work *work)
{
    return work->retired == NULL && work->to_sync == NULL && !work->to_schedule && !work->stop;
}

static struct work wait_for_work(struct span_engine *engine)
{
    struct work work;
    LOCKED(&engine->lock);

    look_locked(engine, &work);
    while (is_idle(&work)) {
        if (work.deadline_ms == INT64_MAX)
            (void)pthread_cond_wait(&engine->keeper_wake, &engine->lock);
        else
            (void)clock_cond_wait_until(&engine->keeper_wake, &engine->lock, work.deadline_ms);
        look_locked(engine, &work);
    }
    return work;
}

void *span_keeper_main(void *arg)
{
    struct span_engine *engine = arg;
    struct work work;

    do {
        work = wait_for_work(engine);
        if (work.to_schedule)
            span_schedule(engine); /* before the disk is waited for */
        if (work.retired != NULL)
            close_retired(work.retired);
        if (work.to_sync != NULL)
            sync_set(work.to_sync);
    } while (!work.stop); /* then every set is closed, so there is nothing else to do */
    return NULL;
}
