/* SPDX-License-Identifier: Apache-2.0 */
/* pace.c – how many bytes of background under way keep the link full without keeping a reader
 * waiting.
 *
 * A reader's GET shares the link with the background that is under way when it comes, so that is
 * bounded by time, not by count: what the link carries in SPAN_PACE_HORIZON_MS. The horizon must be
 * some round trips long, or the link would idle between GETs, and short beside what a person
 * notices. From a guess that is too small the allowance grows by horizon / round trip each window,
 * so it is right after a second or two. */
#include "span/internal.h"

enum {
    SPAN_PACE_HORIZON_MS = 400, /* ten round trips of a far registry */
    SPAN_PACE_WINDOW_MS =
        500, /* bytes are counted when a GET ends, in lumps: several make a window */
};

void span_pace_started(struct span_pace *pace, int64_t now_ms)
{
    if (pace->under_way++ == 0)
        pace->busy_since_ms = now_ms;
}

void span_pace_ended(struct span_pace *pace, uint64_t bytes, int64_t now_ms)
{
    uint64_t sample;

    pace->under_way--;
    if (bytes > 0) /* the time of a GET that failed says nothing about the link */
        pace->window_ms += now_ms - pace->busy_since_ms;
    pace->window_bytes += bytes;
    pace->busy_since_ms = now_ms;
    if (pace->window_ms < SPAN_PACE_WINDOW_MS)
        return;
    sample = pace->window_bytes * 1000 / (uint64_t)pace->window_ms;
    pace->bytes_per_s = pace->bytes_per_s == 0 ? sample : (pace->bytes_per_s + sample) / 2;
    pace->window_ms = 0;
    pace->window_bytes = 0;
}

uint64_t span_pace_allowance(const struct span_pace *pace)
{
    return pace->bytes_per_s * SPAN_PACE_HORIZON_MS / 1000;
}
