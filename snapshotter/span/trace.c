/* SPDX-License-Identifier: Apache-2.0 */
/* trace.c – which spans readers ask for, in which order, for some seconds from the first of them:
 * over several sets, those of an image.
 *
 * A link stands between a trace and a set: with one bit for each span that was asked for. Sets that
 * are closed meanwhile leave it behind. */
#include "span/internal.h"

#include "base/clock.h"

#include <errno.h>
#include <stdlib.h>

struct span_trace_link {
    struct span_trace *trace;       /* fixed at creation, as tag */
    uint32_t tag;                   /* what the trace calls the set */
    struct span_set *set;           /* engine->lock, as all below; NULL: closed */
    struct span_trace_link *next;   /* of the trace */
    struct span_trace_link *beside; /* of the set */
    uint8_t seen[];
};

struct span_trace {
    struct span_engine *engine;        /* fixed at creation */
    struct span_trace_options options; /* fixed at creation */
    struct span_trace_link *links;     /* engine->lock, as all below */
    int64_t first_ms;                  /* of the first touch; 0: there was none */
    bool stopped;
    struct span_touch *touches;
    size_t count, capacity;
};

int span_trace_new(struct span_engine *engine, const struct span_trace_options *options,
                   struct span_trace **ret, struct err *err)
{
    struct span_trace *trace = calloc(1, sizeof(*trace));

    if (trace == NULL)
        return err_set(err, -ENOMEM, "trace: out of memory");
    trace->engine = engine;
    trace->options = *options;
    *ret = trace;
    return 0;
}

/* ---- sets ------------------------------------------------------------------------------------ */

static void link_to_set_locked(struct span_trace_link *link)
{
    struct span_set *set = link->set;

    link->beside = set->traces;
    set->traces = link;
    __atomic_store_n(&set->traced, true, __ATOMIC_RELAXED);
}

int span_trace_add(struct span_trace *trace, struct span_set *set, uint32_t tag, struct err *err)
{
    struct span_trace_link *link = calloc(1, sizeof(*link) + (set->span_count + 7) / 8);

    if (link == NULL)
        return err_set(err, -ENOMEM, "trace: out of memory");
    link->trace = trace;
    link->tag = tag;
    link->set = set;
    {
        LOCKED(&trace->engine->lock);
        link->next = trace->links;
        trace->links = link;
        link_to_set_locked(link);
    }
    return 0;
}

static void unlink_from_set_locked(struct span_trace_link *link)
{
    struct span_set *set = link->set;
    struct span_trace_link **at;

    if (set == NULL)
        return;
    for (at = &set->traces; *at != link; at = &(*at)->beside)
        ;
    *at = link->beside;
    link->set = NULL;
    __atomic_store_n(&set->traced, set->traces != NULL, __ATOMIC_RELAXED);
}

void span_trace_forget_set_locked(struct span_set *set)
{
    while (set->traces != NULL)
        unlink_from_set_locked(set->traces);
}

/* ---- touches --------------------------------------------------------------------------------- */

/* There is room for one more; not: what comes from now on is not noted. */
static bool has_room_locked(struct span_trace *trace)
{
    size_t capacity = trace->capacity == 0 ? 64 : 2 * trace->capacity;
    struct span_touch *more;

    if (trace->count >= trace->options.max_touches)
        return false;
    if (trace->count < trace->capacity)
        return true;
    more = realloc(trace->touches, capacity * sizeof(*more));
    if (more == NULL)
        return false;
    trace->touches = more;
    trace->capacity = capacity;
    return true;
}

static void note_locked(struct span_trace_link *link, size_t first, size_t last, int64_t now_ms)
{
    struct span_trace *trace = link->trace;

    if (trace->first_ms == 0)
        trace->first_ms = now_ms;
    if (trace->stopped || now_ms - trace->first_ms > trace->options.window_ms)
        return;
    for (size_t n = first; n <= last; n++) {
        uint8_t bit = (uint8_t)(1u << (n % 8));

        if ((link->seen[n / 8] & bit) != 0 || !has_room_locked(trace))
            continue;
        link->seen[n / 8] |= bit;
        trace->touches[trace->count++] = (struct span_touch){
            .tag = link->tag, .span = (uint32_t)n, .at_ms = (uint32_t)(now_ms - trace->first_ms)};
    }
}

void span_trace_note(struct span_set *set, size_t first, size_t last)
{
    int64_t now_ms = clock_mono_ms();
    LOCKED(&set->engine->lock);

    for (struct span_trace_link *link = set->traces; link != NULL; link = link->beside)
        note_locked(link, first, last, now_ms);
}

int64_t span_trace_age_ms(struct span_trace *trace)
{
    LOCKED(&trace->engine->lock);
    return trace->first_ms == 0 ? -1 : clock_mono_ms() - trace->first_ms;
}

const struct span_touch *span_trace_stop(struct span_trace *trace, size_t *ret_count)
{
    struct span_trace_link *link;
    LOCKED(&trace->engine->lock);

    for (link = trace->links; link != NULL; link = link->next)
        unlink_from_set_locked(link);
    trace->stopped = true;
    *ret_count = trace->count;
    return trace->touches;
}

void span_trace_free(struct span_trace *trace)
{
    size_t count;

    if (trace == NULL)
        return;
    (void)span_trace_stop(trace, &count);
    while (trace->links != NULL) {
        struct span_trace_link *link = trace->links;

        trace->links = link->next;
        free(link);
    }
    free(trace->touches);
    free(trace);
}
