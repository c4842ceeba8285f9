/* SPDX-License-Identifier: Apache-2.0 */
/* pace.c – how much under way keeps the link full without keeping a reader waiting.
 *
 * The link is full as long as the next GET's first byte comes when the last byte of those before it
 * has come: so it is to be asked for one round trip before. More under way moves no byte earlier,
 * and a reader who comes shares the link with all of it.
 *
 * Both figures are measured. Rate: bytes over the time in which some GET's bytes are coming, since
 * the time before a GET's first byte says nothing about the link. Round trip: from a GET's start to
 * its first byte, of which the shortest ones count, the others having stood in a queue.
 *
 * Where each connection has a limit of its own, one at a time leaves the link half empty and
 * nothing of that shows. So now and then one more GET than needed is allowed for a window: when the
 * rate grew it stays, and the next one is tried. What was allowed so is taken back in the same way
 * when the rate does not suffer. */
#include "span/internal.h"

enum {
    SPAN_PACE_WINDOW_MS = 300,  /* of bytes coming: some GETs */
    SPAN_PACE_PAUSE_MS = 100,   /* a longer one is no work of the link's */
    SPAN_PACE_LEAD_MS = 400,    /* a round trip that takes longer was spent in a queue */
    SPAN_PACE_GET_MS = 50,      /* one GET of background delays a reader by so much */
    SPAN_PACE_EXTRA_MAX = 4,    /* GETs more than a full link needs */
    SPAN_PACE_REST_WINDOWS = 24 /* from one try to the next */
};

void span_pace_begun(struct span_pace *pace, int64_t waited_ms, int64_t now_ms)
{
    if (waited_ms < 1)
        waited_ms = 1;
    if (pace->round_trip_ms == 0 || waited_ms < pace->round_trip_ms)
        pace->round_trip_ms = waited_ms;
    else
        pace->round_trip_ms += (waited_ms - pace->round_trip_ms) / 16;
    if (pace->receiving++ == 0)
        pace->last_ms = now_ms;
}

/* The rate with what is allowed now, against the rate before the last try. */
static void judge_try(struct span_pace *pace, uint64_t sample)
{
    bool is_good = pace->trying > 0 ? sample > pace->before_bytes_per_s / 8 * 9
                                    : sample > pace->before_bytes_per_s / 16 * 15;

    if (!is_good)
        pace->extra -= pace->trying;
    pace->is_growing = is_good && pace->trying > 0;
    pace->trying = 0;
    pace->rest_windows = pace->is_growing ? 0 : SPAN_PACE_REST_WINDOWS;
}

/* One more GET, or one less, in turns; after one more that was good another one more. */
static void begin_try(struct span_pace *pace)
{
    bool up = pace->extra == 0 || pace->is_growing || pace->was_down;

    if (up && pace->extra == SPAN_PACE_EXTRA_MAX)
        up = false;
    pace->was_down = !up;
    pace->trying = up ? 1 : -1;
    pace->extra += pace->trying;
    pace->before_bytes_per_s = pace->bytes_per_s;
}

static void end_window(struct span_pace *pace)
{
    uint64_t sample = pace->window_bytes * 1000 / (uint64_t)pace->window_ms;

    if (pace->trying != 0)
        judge_try(pace, sample);
    else if (pace->rest_windows > 0)
        pace->rest_windows--;
    pace->bytes_per_s = pace->bytes_per_s == 0 ? sample : (3 * pace->bytes_per_s + sample) / 4;
    if (pace->trying == 0 && pace->rest_windows == 0 && pace->windows++ > 0)
        begin_try(pace);
    pace->window_ms = 0;
    pace->window_bytes = 0;
}

void span_pace_came(struct span_pace *pace, uint64_t bytes, int64_t now_ms)
{
    int64_t took_ms = now_ms - pace->last_ms;

    pace->last_ms = now_ms;
    pace->window_ms += took_ms < SPAN_PACE_PAUSE_MS ? took_ms : SPAN_PACE_PAUSE_MS;
    pace->window_bytes += bytes;
    if (pace->window_ms >= SPAN_PACE_WINDOW_MS)
        end_window(pace);
}

void span_pace_ended(struct span_pace *pace)
{
    pace->receiving--;
}

bool span_pace_is_full(const struct span_pace *pace, size_t gets, uint64_t left_bytes)
{
    int64_t lead_ms =
        pace->round_trip_ms < SPAN_PACE_LEAD_MS ? pace->round_trip_ms : SPAN_PACE_LEAD_MS;

    return gets > (size_t)pace->extra && left_bytes > pace->bytes_per_s * (uint64_t)lead_ms / 1000;
}

uint64_t span_pace_get_bytes(const struct span_pace *pace)
{
    return pace->bytes_per_s * SPAN_PACE_GET_MS / 1000;
}
