/* SPDX-License-Identifier: Apache-2.0 */
/* schedule.c – which GET is started next.
 *
 * 1. What readers wait for starts at once, first come first, however many GETs that makes; only
 * memory holds it back, and then nothing else starts but one GET of each set that has none: a
 * registry that hangs keeps all it was asked for in memory, and must not hold up other layers.
 * 2. The background is asked for when what is under way, of both kinds, will have come in about a
 * round trip (pace.c): the link does not idle between GETs, also while a reader waits, and a reader
 * who comes finds little before him. GETs to which nothing comes do not count: what one registry
 * does not give must not hold up what others would.
 * 3. Until the link was measured two GETs of background are under way, and beside a reader's one.
 * There are never more than max_fetches.
 *
 * What will be wanted, as an earlier start has shown (prefer.c), comes first in the background,
 * over all sets in the order of its ranks.
 *
 * The background goes on behind the span that a reader missed last, in the set that it was missed
 * in: the neighbours in the tar are the rest of the file, or files of the same package. Then the
 * other sets, in their order. Replayed with the reads of a Python image's start it makes no
 * difference, 4 % at most, whether the rest of the file that is read comes first, the neighbours of
 * several places, or those before them: the order of the tar is that of the files.
 *
 * Who wants it otherwise can have the background silent after each layer's start, and a time
 * between its GETs.
 *
 * tests/bench/spans/slow_link.c measures this. */
#include "span/internal.h"

#include "base/clock.h"

enum {
    BACKGROUND_GETS_FIRST = 2, /* one travels while the next is asked for */
    STALLED_MS = 500,
    BACKOFF_FIRST_MS = 1000,
    BACKOFF_LAST_MS = 5 * 60 * 1000,
    BACKGROUND_LOG_MS = 10 * 1000,
};

/* ---- the queue of what readers want ---------------------------------------------------------- */

void span_queue_locked(struct span_engine *engine, struct span_get *get)
{
    get->next = NULL;
    *engine->queue_end = get;
    engine->queue_end = &get->next;
}

static struct span_get *unlink_get_locked(struct span_engine *engine, struct span_get **link)
{
    struct span_get *get = *link;

    *link = get->next;
    if (engine->queue_end == &get->next)
        engine->queue_end = link;
    return get;
}

struct span_get *span_unqueue_locked(struct span_engine *engine, const struct span_set *set)
{
    struct span_get **link;

    for (link = &engine->queue; *link != NULL; link = &(*link)->next) {
        if ((*link)->set == set)
            return unlink_get_locked(engine, link);
    }
    return NULL;
}

static bool fits_wanted_locked(const struct span_engine *engine, const struct span_get *get)
{
    uint64_t max_bytes = engine->options.max_memory_bytes;

    /* One span may go over the limit, or a limit below a span's size would stop everything. */
    return engine->memory_bytes + get->fetch.len <= max_bytes || engine->memory_bytes == 0 ||
           (get->count == 1 && engine->memory_bytes < max_bytes);
}

/* The first of a set for which nothing is under way. */
static struct span_get **find_of_idle_set_locked(struct span_engine *engine)
{
    struct span_get **link;

    for (link = &engine->queue; *link != NULL; link = &(*link)->next) {
        if ((*link)->set->memory_bytes == 0)
            break;
    }
    return link;
}

static struct span_get *next_wanted_locked(struct span_engine *engine)
{
    struct span_get **link = &engine->queue;

    if (*link != NULL && !fits_wanted_locked(engine, *link))
        link = find_of_idle_set_locked(engine);
    return *link == NULL ? NULL : unlink_get_locked(engine, link);
}

/* ---- the background -------------------------------------------------------------------------- */

static bool is_reader_waiting_locked(const struct span_engine *engine)
{
    return engine->queue != NULL || engine->wanted_under_way > 0;
}

/* Somebody looks again when nothing came for so long. */
static void look_later_locked(struct span_engine *engine)
{
    if (engine->look_at_ms != 0)
        return;
    engine->look_at_ms = clock_mono_ms() + STALLED_MS;
    (void)pthread_cond_signal(&engine->keeper_wake);
}

static bool is_link_full_locked(const struct span_engine *engine)
{
    size_t enough = is_reader_waiting_locked(engine) ? 1 : BACKGROUND_GETS_FIRST;

    if (engine->pace.bytes_per_s == 0)
        return engine->background_under_way >= enough;
    return span_pace_is_full(&engine->pace, engine->flowing_gets, engine->left_bytes);
}

/* How long the next background GET may be; 0: none now. A single span may always be longer. */
static uint64_t background_budget_locked(struct span_engine *engine)
{
    uint64_t bytes = span_pace_get_bytes(&engine->pace);

    if (engine->background_under_way >= engine->options.max_fetches)
        return 0;
    if (is_link_full_locked(engine)) {
        look_later_locked(engine);
        return 0;
    }
    if (bytes < 1)
        bytes = 1;
    return bytes < engine->options.background_bytes ? bytes : engine->options.background_bytes;
}

static bool may_fetch_locked(const struct span_set *set, size_t n)
{
    return span_state_of(set, n) == SPAN_MISSING && !set->refused[n];
}

/* From the cursor to the end, then from the start; span_count: nothing. */
static size_t next_missing_locked(const struct span_set *set)
{
    size_t i;

    for (i = 0; i < set->span_count; i++) {
        size_t n = (set->cursor + i) % set->span_count;

        if (may_fetch_locked(set, n))
            return n;
    }
    return set->span_count;
}

/* How many spans from `first` make up a GET of up to `budget` bytes; at least one. */
static size_t run_length_locked(const struct span_set *set, size_t first, uint64_t budget_bytes)
{
    struct span_info head, tail;
    size_t n;

    set->layout.at(set->layout.self, first, &head);
    for (n = first + 1; n < set->span_count && may_fetch_locked(set, n); n++) {
        set->layout.at(set->layout.self, n, &tail);
        if (tail.comp_end - head.comp_off > budget_bytes)
            break;
    }
    return n - first;
}

static bool fits_background_locked(const struct span_engine *engine, const struct span_set *set,
                                   size_t first, size_t count)
{
    struct span_info head, tail;

    set->layout.at(set->layout.self, first, &head);
    set->layout.at(set->layout.self, first + count - 1, &tail);
    /* The other half is kept for readers. */
    return engine->memory_bytes == 0 || engine->memory_bytes + (tail.comp_end - head.comp_off) <=
                                            engine->options.max_memory_bytes / 2;
}

static struct span_get *background_of_locked(struct span_set *set, uint64_t budget_bytes)
{
    struct span_get *get;
    size_t first = next_missing_locked(set), count;

    set->exhausted = first == set->span_count;
    if (set->exhausted)
        return NULL;
    count = run_length_locked(set, first, budget_bytes);
    if (!fits_background_locked(set->engine, set, first, count))
        return NULL;
    get = span_get_new_locked(set, first, count, false, 0);
    if (get == NULL)
        span_back_off_locked(set);
    else
        set->cursor = (first + count) % set->span_count;
    return get;
}

/* ---- what is preferred ----------------------------------------------------------------------- */

static bool has_too_many_sets_locked(const struct span_engine *engine)
{
    const struct span_set *set;
    size_t count = 0;

    if (engine->options.max_preferred_sets == 0)
        return false;
    for (set = engine->sets; set != NULL; set = set->next)
        count += set->preferred_under_way > 0;
    return count >= engine->options.max_preferred_sets;
}

/* The set whose next preferred span has the lowest rank, and that span. */
static struct span_set *find_preferred_locked(struct span_engine *engine, int64_t now_ms,
                                              const struct span_preferred **ret)
{
    bool no_more_sets = has_too_many_sets_locked(engine);
    struct span_set *set, *best = NULL;

    *ret = NULL;
    for (set = engine->sets; set != NULL; set = set->next) {
        const struct span_preferred *next;

        if (set->closing || set->background_at_ms > now_ms ||
            (no_more_sets && set->preferred_under_way == 0))
            continue;
        next = span_preferred_next_locked(set);
        if (next == NULL || (*ret != NULL && next->rank >= (*ret)->rank))
            continue;
        *ret = next;
        best = set;
    }
    return best;
}

/* *ret_waits: there is one, and no memory for it yet. */
static struct span_get *next_preferred_locked(struct span_engine *engine, uint64_t budget_bytes,
                                              int64_t now_ms, bool *ret_waits)
{
    const struct span_preferred *head;
    struct span_set *set = find_preferred_locked(engine, now_ms, &head);
    struct span_get *get;
    size_t count;

    if (set == NULL)
        return NULL;
    count = span_preferred_run_locked(set, head, budget_bytes);
    *ret_waits = !fits_background_locked(engine, set, head->span, count);
    if (*ret_waits)
        return NULL;
    get = span_get_new_locked(set, head->span, count, false, 0);
    if (get == NULL)
        span_back_off_locked(set);
    else
        get->preferred = true;
    return get;
}

/* ---- both ------------------------------------------------------------------------------------ */

static struct span_get *next_background_locked(struct span_engine *engine)
{
    uint64_t budget_bytes = background_budget_locked(engine);
    int64_t now_ms = clock_mono_ms();
    bool preferred_waits = false;
    struct span_get *get = NULL;
    struct span_set *set;

    if (budget_bytes == 0)
        return NULL;
    get = next_preferred_locked(engine, budget_bytes, now_ms, &preferred_waits);
    if (get != NULL || preferred_waits || engine->options.disable_background ||
        engine->background_at_ms > now_ms)
        return get;
    for (set = engine->sets; set != NULL && get == NULL; set = set->next) {
        if (set->background && !set->closing && !set->exhausted && set->background_at_ms <= now_ms)
            get = background_of_locked(set, budget_bytes);
    }
    return get;
}

void span_back_off_locked(struct span_set *set)
{
    set->backoff_ms = set->backoff_ms == 0 ? BACKOFF_FIRST_MS : 2 * set->backoff_ms;
    if (set->backoff_ms > BACKOFF_LAST_MS)
        set->backoff_ms = BACKOFF_LAST_MS;
    set->background_at_ms = clock_mono_ms() + set->backoff_ms;
    (void)pthread_cond_signal(&set->engine->keeper_wake);
}

void span_hold_background_locked(struct span_engine *engine, int64_t for_ms)
{
    int64_t at_ms = clock_mono_ms() + for_ms;

    if (for_ms <= 0 || at_ms <= engine->background_at_ms)
        return;
    engine->background_at_ms = at_ms;
    (void)pthread_cond_signal(&engine->keeper_wake);
}

void span_log_background(struct span_set *set, int64_t retry_ms, const struct err *err)
{
    if (log_limit_pass(&set->engine->background_log, BACKGROUND_LOG_MS))
        log_warn("background fetch failed, going on later", "layer=%s retry_ms=%lld err=%s",
                 set->name, (long long)retry_ms, err_text(err));
}

/* ---- starting -------------------------------------------------------------------------------- */

void span_account_start_locked(struct span_get *get)
{
    struct span_engine *engine = get->set->engine;

    get->phase = GET_STARTING;
    get->started_ms = clock_mono_ms();
    get->source = get->set->source;
    get->source->users++;
    get->number = ++engine->started;
    get->fetch.urgent = get->urgent;
    get->holds++; /* the starter's */
    engine->memory_bytes += get->fetch.len;
    get->set->memory_bytes += get->fetch.len;
    get->last_ms = get->started_ms;
    engine->flowing_gets++;
    engine->left_bytes += get->fetch.len;
    if (get->preferred)
        get->set->preferred_under_way++;
    if (get->urgent) {
        engine->wanted_under_way++;
    } else {
        engine->background_under_way++;
        span_hold_background_locked(engine, engine->options.period_ms);
    }
}

static uint64_t left_of(const struct span_get *get)
{
    return get->fetch.len - get->received_bytes;
}

static void set_stalled_locked(struct span_get *get, bool is_stalled)
{
    struct span_engine *engine = get->set->engine;

    if (get->stalled == is_stalled)
        return;
    get->stalled = is_stalled;
    if (is_stalled) {
        engine->flowing_gets--;
        engine->left_bytes -= left_of(get);
    } else {
        engine->flowing_gets++;
        engine->left_bytes += left_of(get);
    }
}

bool span_account_progress_locked(struct span_get *get, size_t len)
{
    struct span_engine *engine = get->set->engine;
    int64_t now_ms = clock_mono_ms();
    bool was_full;

    if (len > left_of(get)) /* a source that had to begin anew */
        len = (size_t)left_of(get);
    if (len == 0)
        return false;
    set_stalled_locked(get, false);
    was_full = is_link_full_locked(engine);
    if (get->received_bytes == 0)
        span_pace_begun(&engine->pace, now_ms - get->started_ms, now_ms);
    get->received_bytes += len;
    get->last_ms = now_ms;
    engine->left_bytes -= len;
    span_pace_came(&engine->pace, len, now_ms);
    return was_full && !is_link_full_locked(engine);
}

static bool has_stalled(const struct span_get *get, int64_t now_ms)
{
    bool is_under_way = get->phase == GET_STARTING || get->phase == GET_UNDER_WAY;

    return is_under_way && !get->stalled && now_ms - get->last_ms >= STALLED_MS;
}

bool span_look_for_stalled_locked(struct span_engine *engine, int64_t now_ms)
{
    bool found = false;

    for (struct span_set *set = engine->sets; set != NULL; set = set->next) {
        for (struct span_get *get = set->gets; get != NULL; get = get->next_of_set) {
            if (!has_stalled(get, now_ms))
                continue;
            set_stalled_locked(get, true);
            found = true;
        }
    }
    return found;
}

void span_account_arrival_locked(struct span_get *get)
{
    struct span_engine *engine = get->set->engine;

    set_stalled_locked(get, false);
    get->phase = GET_ARRIVED;
    if (get->preferred)
        get->set->preferred_under_way--;
    engine->flowing_gets--;
    engine->left_bytes -= left_of(get);
    if (get->received_bytes > 0)
        span_pace_ended(&engine->pace);
    if (get->urgent)
        engine->wanted_under_way--;
    else
        engine->background_under_way--;
}

static struct span_get *choose(struct span_engine *engine)
{
    struct span_get *get;
    LOCKED(&engine->lock);

    get = next_wanted_locked(engine);
    if (get == NULL && engine->queue == NULL)
        get = next_background_locked(engine);
    if (get != NULL)
        span_account_start_locked(get);
    return get;
}

void span_schedule(struct span_engine *engine)
{
    struct span_get *get;

    while ((get = choose(engine)) != NULL)
        span_get_start(get);
}

void span_engine_enter(struct span_engine *engine)
{
    LOCKED(&engine->lock);
    engine->users++;
}

void span_schedule_and_leave(struct span_engine *engine)
{
    span_schedule(engine);
    {
        LOCKED(&engine->lock);
        if (--engine->users == 0)
            (void)pthread_cond_broadcast(&engine->idle);
    }
}
