/* SPDX-License-Identifier: Apache-2.0 */
/* get.c – one GET: made, found, held, and gone when the last hold is given up. */
#include "span/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

/* ---- making, finding, holding ---------------------------------------------------------------- */

static void init_tasks(struct span_get *get)
{
    size_t i;

    for (i = 0; i < get->count; i++) {
        get->tasks[i].get = get;
        get->tasks[i].n = get->first + i;
    }
}

struct span_get *span_get_new_locked(struct span_set *set, size_t first, size_t count, bool urgent,
                                     unsigned tries)
{
    struct span_get *get = calloc(1, sizeof(*get) + count * sizeof(get->tasks[0]));
    struct span_info head, tail;
    size_t n;

    if (get == NULL)
        return NULL;
    set->layout.at(set->layout.self, first, &head);
    set->layout.at(set->layout.self, first + count - 1, &tail);
    get->fetch.comp_off = head.comp_off;
    get->fetch.len = (size_t)(tail.comp_end - head.comp_off);
    get->set = set;
    get->first = first;
    get->count = count;
    get->urgent = urgent;
    get->tries = tries;
    get->holds = 1;
    get->failed_job.run = span_run_failed;
    init_tasks(get);
    get->next_of_set = set->gets;
    set->gets = get;
    set->busy++;
    for (n = first; n < first + count; n++)
        span_set_state_locked(set, n, SPAN_FETCHING);
    return get;
}

int span_fetch_again_locked(struct span_set *set, size_t n, unsigned tries)
{
    struct span_get *get = span_get_new_locked(set, n, 1, true, tries);

    if (get == NULL)
        return -ENOMEM;
    span_queue_locked(set->engine, get);
    return 0;
}

/* Several can hold the same span for a moment: one that failed, and the next. The newest comes
 * first. */
struct span_get *span_get_find_locked(const struct span_set *set, size_t n)
{
    struct span_get *get;

    for (get = set->gets; get != NULL; get = get->next_of_set) {
        if (n >= get->first && n < get->first + get->count)
            return get;
    }
    return NULL;
}

void span_get_promote_locked(struct span_get *get, size_t n)
{
    struct span_engine *engine = get->set->engine;

    if (get->phase == GET_ARRIVED) {
        struct span_task *task = &get->tasks[n - get->first];

        if (!task->claimed && span_state_of(get->set, n) == SPAN_INFLATING)
            span_task_submit_locked(task, POOL_URGENT);
        return;
    }
    if (!get->urgent) {
        get->urgent = true;
        engine->background_under_way--;
        engine->wanted_under_way++;
    }
}

void span_source_unref_locked(struct span_source_ref *ref)
{
    struct span_engine *engine = ref->set->engine;

    if (--ref->users > 0 || ref->set->source == ref)
        return;
    ref->next = engine->retired;
    engine->retired = ref;
    (void)pthread_cond_signal(&engine->keeper_wake);
}

static void unlink_from_set_locked(struct span_get *get)
{
    struct span_get **link = &get->set->gets;

    while (*link != get)
        link = &(*link)->next_of_set;
    *link = get->next_of_set;
}

static void get_free(struct span_get *get)
{
    struct span_set *set = get->set;
    struct span_engine *engine = set->engine;

    if (get->started && get->source->source.release != NULL)
        get->source->source.release(get->source->source.self, &get->fetch);
    if (get->fetch.buf != NULL)
        (void)munmap(get->fetch.buf, get->fetch.len);
    {
        LOCKED(&engine->lock);
        if (get->source != NULL) {
            engine->memory_bytes -= get->fetch.len;
            set->memory_bytes -= get->fetch.len;
            span_source_unref_locked(get->source);
        }
        unlink_from_set_locked(get);
        span_set_unbusy_locked(set);
    }
    free(get);
}

static bool drop_hold(struct span_get *get)
{
    LOCKED(&get->set->engine->lock);
    return --get->holds == 0;
}

void span_get_put(struct span_get *get)
{
    if (drop_hold(get))
        get_free(get);
}

void span_get_put_and_schedule(struct span_get *get)
{
    struct span_engine *engine = get->set->engine;

    span_engine_enter(engine);
    span_get_put(get);
    span_schedule_and_leave(engine);
}
