/* SPDX-License-Identifier: Apache-2.0 */
/* set.c – the spans of one layer: opened from what is on disk, closed when nothing of it runs any
 * more. */
#include "span/internal.h"

#include "base/clock.h"

#include <errno.h>
#include <stdlib.h>

/* ---- states ---------------------------------------------------------------------------------- */

enum span_state span_state_of(const struct span_set *set, size_t n)
{
    return (enum span_state)__atomic_load_n(&set->state[n], __ATOMIC_ACQUIRE);
}

static bool is_in_file(enum span_state state)
{
    return state == SPAN_RECORDED || state == SPAN_CHECKING || state == SPAN_PRESENT;
}

static uint64_t comp_bytes(const struct span_set *set, size_t n)
{
    struct span_info info;

    set->layout.at(set->layout.self, n, &info);
    return info.comp_end - info.comp_off;
}

void span_set_state_locked(struct span_set *set, size_t n, enum span_state state)
{
    bool was = is_in_file(span_state_of(set, n)), is = is_in_file(state);

    if (is && !was) {
        set->missing--;
        set->present_bytes += comp_bytes(set, n);
    } else if (was && !is) {
        set->missing++;
        set->present_bytes -= comp_bytes(set, n);
    }
    if (state == SPAN_MISSING) {
        set->exhausted = false;
        set->preferred_at = 0;
    }
    __atomic_store_n(&set->state[n], (uint8_t)state, __ATOMIC_RELEASE);
}

void span_set_unbusy_locked(struct span_set *set)
{
    if (--set->busy == 0)
        (void)pthread_cond_broadcast(&set->engine->idle);
}

/* ---- opening --------------------------------------------------------------------------------- */

static int check_span(const struct span_info *info, const struct span_info *before, size_t n,
                      bool compressed, struct err *err)
{
    uint64_t comp_len = info->comp_end - info->comp_off;

    if (info->comp_off >= info->comp_end || info->uncomp_off > info->uncomp_end)
        return err_set(err, -EBADMSG, "span %zu goes backwards", n);
    if (comp_len > SPAN_COMP_BYTES_MAX)
        return err_set(err, -EFBIG, "span %zu has %llu bytes, more than %d", n,
                       (unsigned long long)comp_len, SPAN_COMP_BYTES_MAX);
    /* More than the tar has: padding, or what else comes after its end. */
    if (!compressed && comp_len < info->uncomp_end - info->uncomp_off)
        return err_set(err, -EBADMSG, "span %zu is not compressed, but too short", n);
    if (n == 0)
        return info->uncomp_off == 0 ? 0 : err_set(err, -EBADMSG, "span 0 is not the first");
    /* Neighbours share a byte when a deflate block begins inside it. */
    if (info->uncomp_off != before->uncomp_end ||
        (info->comp_off != before->comp_end && info->comp_off + 1 != before->comp_end))
        return err_set(err, -EBADMSG, "span %zu does not start where the last one ends", n);
    return 0;
}

static int check_layout(struct span_set *set, struct err *err)
{
    struct span_info info = {.comp_off = 0}, before;
    size_t n;

    for (n = 0; n < set->span_count; n++) {
        int rc;

        before = info;
        set->layout.at(set->layout.self, n, &info);
        rc = check_span(&info, &before, n, set->layout.window != NULL, err);
        if (rc < 0)
            return rc;
    }
    set->uncomp_bytes = info.uncomp_end;
    return 0;
}

static void init_states(struct span_set *set)
{
    size_t n;

    set->missing = set->span_count;
    for (n = 0; n < set->span_count; n++) {
        struct span_info info;
        uint32_t crc;

        set->layout.at(set->layout.self, n, &info);
        if (info.uncomp_off == info.uncomp_end)
            span_set_state_locked(set, n,
                                  SPAN_PRESENT); /* behind the archive's end: nobody can want it */
        else if (span_file_recorded(set->file, n, &crc))
            span_set_state_locked(set, n, SPAN_RECORDED);
    }
}

/* What the options own moves in on success alone. */
static void set_free(struct span_set *set)
{
    free(set->source);
    free(set->rank);
    free(set->preferred);
    free(set->echo_until_ms);
    free(set->refused);
    free(set->state);
    free(set->name);
    free(set);
}
DEFINE_SCOPED_PTR(half_open, struct span_set, set_free)

static int source_ref_new(struct span_set *set, const struct span_source *source,
                          struct span_source_ref **ret)
{
    struct span_source_ref *ref = calloc(1, sizeof(*ref));

    if (ref == NULL)
        return -ENOMEM;
    ref->source = *source;
    ref->set = set;
    *ret = ref;
    return 0;
}

static int alloc_set(struct span_engine *engine, const struct span_set_options *options,
                     struct span_set **ret)
{
    struct span_set *set = calloc(1, sizeof(*set));

    if (set == NULL)
        return -ENOMEM;
    *ret = set;
    set->engine = engine;
    set->layout = options->layout;
    set->span_count = options->layout.count(options->layout.self);
    set->file = options->file;
    set->metrics = options->metrics;
    set->completed = options->completed;
    set->completed_arg = options->completed_arg;
    set->name = text_copy(options->name);
    set->state = calloc(set->span_count, sizeof(*set->state));
    set->refused = calloc(set->span_count, sizeof(*set->refused));
    set->echo_until_ms = calloc(set->span_count, sizeof(*set->echo_until_ms));
    if (set->name == NULL || set->state == NULL || set->refused == NULL ||
        set->echo_until_ms == NULL)
        return -ENOMEM;
    return source_ref_new(set, &options->source, &set->source);
}

/* Behind those that are open: the background serves layers in the order of their mounting. */
static void link_set(struct span_set *set)
{
    struct span_set **link = &set->engine->sets;
    LOCKED(&set->engine->lock);

    while (*link != NULL)
        link = &(*link)->next;
    *link = set;
}

int span_set_open(struct span_engine *engine, const struct span_set_options *options,
                  struct span_set **ret, struct err *err)
{
    SCOPED(half_open) struct span_set *set = NULL;
    int rc = alloc_set(engine, options, &set);

    if (rc < 0)
        return err_set(err, rc, "%s: out of memory", options->name);
    rc = check_layout(set, err);
    if (rc < 0)
        return err_prefix(err, rc, "%s", options->name);
    init_states(set);
    link_set(set);
    *ret = TAKE(set);
    return 0;
}

void span_set_error_locked(struct span_set *set, const struct err *err)
{
    const struct err none = ERR_NONE;

    set->last_error = err == NULL ? none : *err;
    set->last_error_ms = err == NULL ? 0 : clock_wall_ms();
}

/* ---- closing --------------------------------------------------------------------------------- */

static void stop(struct span_set *set, struct span_want **ready)
{
    LOCKED(&set->engine->lock);
    set->closing = true;
    span_trace_forget_set_locked(set);
    span_collect_all_locked(set, -ECANCELED, ready);
}

static void wait_and_unlink(struct span_set *set)
{
    struct span_set **link = &set->engine->sets;
    LOCKED(&set->engine->lock);

    while (set->busy > 0) /* everything was cancelled: this ends */
        (void)pthread_cond_wait(&set->engine->idle, &set->engine->lock);
    while (*link != set)
        link = &(*link)->next;
    *link = set->next;
}

void span_set_close(struct span_set *set)
{
    struct err canceled = {.code = -ECANCELED, .text = "the layer is being closed"};
    struct span_engine *engine;
    struct span_want *ready = NULL;

    if (set == NULL)
        return;
    engine = set->engine;
    stop(set, &ready);
    span_deliver(ready, &canceled);
    span_gets_cancel(set);
    wait_and_unlink(set);
    set->source->source.close(set->source->source.self);
    span_file_close(set->file);
    set_free(set);
    span_schedule(engine); /* what the set held is free for others */
}

/* ---- the rest -------------------------------------------------------------------------------- */

void span_set_start_background(struct span_set *set)
{
    {
        LOCKED(&set->engine->lock);
        set->background = true;
        span_hold_background_locked(set->engine, set->engine->options.silence_ms);
    }
    span_schedule(set->engine);
}

int span_set_replace_source(struct span_set *set, struct span_source source, struct err *err)
{
    struct span_source_ref *fresh = NULL, *old;

    if (source_ref_new(set, &source, &fresh) < 0) {
        source.close(source.self);
        return err_set(err, -ENOMEM, "%s: out of memory", set->name);
    }
    {
        LOCKED(&set->engine->lock);
        old = set->source;
        set->source = fresh;
        set->busy++; /* until the keeper has closed the old one */
        set->backoff_ms = 0;
        set->background_at_ms = 0;
        old->users++;
        span_source_unref_locked(old);
    }
    span_schedule(set->engine);
    return 0;
}

int span_set_fd(const struct span_set *set)
{
    return span_file_fd(set->file);
}

uint64_t span_set_present_bytes(struct span_set *set)
{
    LOCKED(&set->engine->lock);
    return set->present_bytes;
}

bool span_set_is_complete(struct span_set *set)
{
    LOCKED(&set->engine->lock);
    return set->missing == 0;
}

void span_set_last_error(struct span_set *set, struct err *ret)
{
    LOCKED(&set->engine->lock);
    *ret = set->last_error;
}

int64_t span_set_last_error_ms(struct span_set *set)
{
    LOCKED(&set->engine->lock);
    return set->last_error.code == 0 ? 0 : set->last_error_ms;
}
