/* SPDX-License-Identifier: Apache-2.0 */
/* prefer.c – spans that will be wanted, as somebody knows who saw an earlier start: in which order
 * they are fetched ahead.
 *
 * A set keeps the rank of each of its spans and a list in the order of ranks, of which what was
 * fetched or asked for is passed over once and for all. A span that failed is missing again, so
 * then the list is looked through from its beginning. */
#include "span/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    /* Neighbours whose ranks are further apart are not fetched together: what is between them in
     * rank would wait. */
    NEAR_RANKS = 8,
    /* The layers of an image are mounted one after another, each with spans of its own: what nobody
     * asks for waits until all have said what they will. */
    HOLD_MS = 300,
};

static int by_rank(const void *a, const void *b)
{
    const struct span_preferred *p = a, *q = b;

    if (p->rank != q->rank)
        return p->rank < q->rank ? -1 : 1;
    return p->span < q->span ? -1 : p->span > q->span;
}

static bool may_fetch_locked(const struct span_set *set, size_t n)
{
    return span_state_of(set, n) == SPAN_MISSING && !set->refused[n];
}

const struct span_preferred *span_preferred_next_locked(struct span_set *set)
{
    while (set->preferred_at < set->preferred_count &&
           !may_fetch_locked(set, set->preferred[set->preferred_at].span))
        set->preferred_at++;
    return set->preferred_at == set->preferred_count ? NULL : &set->preferred[set->preferred_at];
}

size_t span_preferred_run_locked(const struct span_set *set, const struct span_preferred *head,
                                 uint64_t budget_bytes)
{
    struct span_info first, last;
    size_t n;

    set->layout.at(set->layout.self, head->span, &first);
    for (n = (size_t)head->span + 1; n < set->span_count && may_fetch_locked(set, n); n++) {
        if (set->rank[n] < head->rank || set->rank[n] - head->rank > NEAR_RANKS)
            break;
        set->layout.at(set->layout.self, n, &last);
        if (last.comp_end - first.comp_off > budget_bytes)
            break;
    }
    return n - head->span;
}

static int check(const struct span_set *set, const struct span_preferred *spans, size_t count,
                 struct err *err)
{
    for (size_t i = 0; i < count; i++) {
        if (spans[i].span >= set->span_count || spans[i].rank > SPAN_RANK_MAX)
            return err_set(err, -EINVAL, "%s: span %u at rank %u is not one of %zu", set->name,
                           (unsigned)spans[i].span, (unsigned)spans[i].rank, set->span_count);
    }
    return 0;
}

/* Both are kept for as long as the set. */
static int make_room_locked(struct span_set *set)
{
    if (set->rank == NULL) {
        set->rank = malloc(set->span_count * sizeof(*set->rank));
        if (set->rank == NULL)
            return -ENOMEM;
        for (size_t n = 0; n < set->span_count; n++)
            set->rank[n] = SPAN_RANK_NONE;
    }
    if (set->preferred == NULL)
        set->preferred = calloc(set->span_count, sizeof(*set->preferred));
    return set->preferred == NULL ? -ENOMEM : 0;
}

static void list_anew_locked(struct span_set *set)
{
    size_t count = 0;

    for (size_t n = 0; n < set->span_count; n++) {
        if (set->rank[n] != SPAN_RANK_NONE)
            set->preferred[count++] = (struct span_preferred){(uint32_t)n, set->rank[n]};
    }
    qsort(set->preferred, count, sizeof(*set->preferred), by_rank);
    set->preferred_count = count;
    set->preferred_at = 0;
}

static int prefer_locked(struct span_set *set, const struct span_preferred *spans, size_t count)
{
    int rc = make_room_locked(set);

    if (rc < 0)
        return rc;
    for (size_t i = 0; i < count; i++) {
        if (spans[i].rank < set->rank[spans[i].span])
            set->rank[spans[i].span] = spans[i].rank;
    }
    list_anew_locked(set);
    if (span_preferred_next_locked(set) != NULL)
        span_hold_background_locked(set->engine, HOLD_MS);
    return 0;
}

int span_set_prefer(struct span_set *set, const struct span_preferred *spans, size_t count,
                    struct err *err)
{
    int rc = check(set, spans, count, err);

    if (rc < 0 || count == 0)
        return rc;
    {
        LOCKED(&set->engine->lock);
        rc = prefer_locked(set, spans, count);
    }
    if (rc < 0)
        return err_sys(err, rc, "%s", set->name);
    span_schedule(set->engine);
    return 0;
}
