/* SPDX-License-Identifier: Apache-2.0 */
/* want.c – a reader comes with a range of the tar, waits for its spans, and is told. */
#include "span/internal.h"

#include "base/clock.h"

#include <errno.h>

/* One GET for what a reader wants in one piece; longer wants become several. */
enum { WANTED_GET_BYTES = 8 * 1024 * 1024 };

/* ---- who waits ------------------------------------------------------------------------------- */

static bool covers(const struct span_want *want, size_t n)
{
    return want->first <= n && n <= want->last;
}

bool span_is_wanted_locked(const struct span_set *set, size_t n)
{
    const struct span_want *want;

    for (want = set->wants; want != NULL; want = want->next) {
        if (covers(want, n))
            return true;
    }
    return false;
}

/* `link` goes on to the next want; the newest come first in set->wants, so *ready has the oldest
 * first. */
static void move_to_ready(struct span_want **link, int rc, struct span_want **ready)
{
    struct span_want *want = *link;

    *link = want->next;
    want->rc = rc;
    want->next = *ready;
    *ready = want;
}

static bool has_spans(const struct span_set *set, size_t first, size_t end)
{
    size_t n;

    for (n = first; n < end; n++) {
        if (span_state_of(set, n) != SPAN_PRESENT)
            return false;
    }
    return true;
}

void span_collect_present_locked(struct span_set *set, size_t n, struct span_want **ready)
{
    struct span_want **link = &set->wants;

    while (*link != NULL) {
        if (covers(*link, n) && has_spans(set, (*link)->first, (*link)->last + 1))
            move_to_ready(link, 0, ready);
        else
            link = &(*link)->next;
    }
}

/* All that the want lacks is in its last span, and that is in the file up to uncomp_end. */
static bool is_satisfied_by(const struct span_set *set, const struct span_want *want, size_t n,
                            uint64_t uncomp_end)
{
    return n == want->last && want->uncomp_off + want->len <= uncomp_end &&
           has_spans(set, want->first, want->last);
}

void span_collect_up_to_locked(struct span_set *set, size_t n, uint64_t uncomp_end,
                               struct span_want **ready)
{
    struct span_want **link = &set->wants;

    while (*link != NULL) {
        if (is_satisfied_by(set, *link, n, uncomp_end))
            move_to_ready(link, 0, ready);
        else
            link = &(*link)->next;
    }
}

void span_collect_failed_locked(struct span_set *set, size_t n, uint64_t number, int rc,
                                struct span_want **ready)
{
    struct span_want **link = &set->wants;

    while (*link != NULL) {
        if (covers(*link, n) && (*link)->came < number)
            move_to_ready(link, rc, ready);
        else
            link = &(*link)->next;
    }
}

void span_collect_all_locked(struct span_set *set, int rc, struct span_want **ready)
{
    while (set->wants != NULL)
        move_to_ready(&set->wants, rc, ready);
}

void span_deliver(struct span_want *ready, const struct err *err)
{
    const struct err none = ERR_NONE;

    while (ready != NULL) {
        struct span_want *want = ready;

        ready = want->next; /* done() may free it */
        want->done(want, want->rc, want->rc < 0 && err != NULL ? err : &none);
    }
}

/* ---- coming ---------------------------------------------------------------------------------- */

/* All the missing spans from `first` on that fit one GET; *ret_next is the one behind them. */
static int fetch_run_locked(struct span_set *set, size_t first, size_t last, size_t *ret_next)
{
    struct span_info head, tail;
    struct span_get *get;
    size_t n;

    set->layout.at(set->layout.self, first, &head);
    for (n = first + 1; n <= last && span_state_of(set, n) == SPAN_MISSING; n++) {
        set->layout.at(set->layout.self, n, &tail);
        if (tail.comp_end - head.comp_off > WANTED_GET_BYTES)
            break;
    }
    get = span_get_new_locked(set, first, n - first, true, 0);
    if (get == NULL)
        return -ENOMEM;
    span_queue_locked(set->engine, get);
    *ret_next = n;
    return 0;
}

/* See to it that span n comes; *ret_next is the next one to ask for. */
static int ask_for_locked(struct span_set *set, const struct span_want *want, size_t n,
                          size_t *ret_next)
{
    struct span_get *get;

    *ret_next = n + 1;
    switch (span_state_of(set, n)) {
    case SPAN_MISSING:
        return fetch_run_locked(set, n, want->last, ret_next);
    case SPAN_RECORDED:
        return span_check_start_locked(set, n);
    case SPAN_FETCHING:
    case SPAN_INFLATING:
        get = span_get_find_locked(set, n);
        if (get != NULL)
            span_get_promote_locked(get, n);
        return 0;
    case SPAN_CHECKING:
    case SPAN_PRESENT:
        break;
    }
    return 0;
}

/* The background goes on here: behind the reader, in this set first. */
static void follow_reader_locked(struct span_set *set, size_t n)
{
    struct span_set **link = &set->engine->sets;

    set->cursor = (n + 1) % set->span_count;
    while (*link != set)
        link = &(*link)->next;
    *link = set->next;
    set->next = set->engine->sets;
    set->engine->sets = set;
}

/* As the spans are now. The last one may be inflated up to what the want needs of it. */
static bool is_there_locked(const struct span_set *set, const struct span_want *want)
{
    const struct span_get *get = span_get_find_locked(set, want->last);

    if (has_spans(set, want->first, want->last + 1))
        return true;
    return get != NULL && span_state_of(set, want->last) == SPAN_INFLATING &&
           is_satisfied_by(set, want, want->last,
                           get->tasks[want->last - get->first].uncomp_done_end);
}

/* Some of it failed a moment ago, after a long wait, and nobody has asked for it since. */
static bool has_just_failed_locked(const struct span_set *set, const struct span_want *want)
{
    size_t n;

    for (n = want->first; n <= want->last; n++) {
        if (set->echo_until_ms[n] != 0 && span_state_of(set, n) == SPAN_MISSING &&
            clock_mono_ms() < set->echo_until_ms[n])
            return true;
    }
    return false;
}

static int want_locked(struct span_set *set, struct span_want *want)
{
    size_t n, next;

    if (set->closing)
        return -ECANCELED;
    if (is_there_locked(set, want))
        return 0;
    if (has_just_failed_locked(set, want))
        return -ETIMEDOUT;
    for (n = want->first; n <= want->last; n = next) {
        int rc = ask_for_locked(set, want, n, &next);

        if (rc < 0)
            return rc; /* what was asked for comes all the same, and is kept */
    }
    follow_reader_locked(set, want->last);
    want->came = set->engine->started;
    want->next = set->wants;
    set->wants = want;
    return 1;
}

int span_set_want(struct span_set *set, struct span_want *want, struct err *err)
{
    struct span_engine *engine = set->engine;
    uint64_t uncomp_end;
    int rc;

    if (want->len == 0 ||
        __builtin_add_overflow(want->uncomp_off, (uint64_t)want->len, &uncomp_end) ||
        uncomp_end > set->uncomp_bytes)
        return err_set(err, -EINVAL, "%s: %zu bytes at %llu are not inside the tar", set->name,
                       want->len, (unsigned long long)want->uncomp_off);
    want->first = set->layout.find(set->layout.self, want->uncomp_off);
    want->last = set->layout.find(set->layout.self, uncomp_end - 1);
    if (__atomic_load_n(&set->traced, __ATOMIC_RELAXED))
        span_trace_note(set, want->first, want->last);
    if (has_spans(set, want->first, want->last + 1))
        return 0;
    (void)pthread_mutex_lock(&engine->lock);
    engine->users++;
    rc = want_locked(set, want);
    (void)pthread_mutex_unlock(&engine->lock);
    span_schedule_and_leave(
        engine); /* when rc is 1 done() may have been called, and the set may be gone */
    if (rc == -ETIMEDOUT)
        return err_set(err, rc, "%s: it has failed just now", set->name);
    return rc < 0 ? err_sys(err, rc, "%s", set->name) : rc;
}
