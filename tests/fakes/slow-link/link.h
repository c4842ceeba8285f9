/* SPDX-License-Identifier: Apache-2.0 */
/* link.h – when bytes that enter one direction of a slow line come out of it.
 *
 * A line sends one byte after another at its rate, whoever they belong to, and each arrives half a
 * round trip after it was sent. Nothing here looks at a clock: times are nanoseconds that the
 * caller passes in. */
#ifndef SLOW_LINK_LINK_H
#define SLOW_LINK_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* How far senders may get ahead of the line. Short, so that connections that share the line take
 * turns and a small answer does not stand behind a megabyte of another's. */
enum { LINK_BACKLOG_NS = 5 * 1000 * 1000 };

struct link {
    uint64_t bits_per_second; /* 0: no limit */
    int64_t delay_ns;         /* half a round trip */
    int64_t free_ns;          /* when the line has sent all it was given */
    uint64_t bytes;           /* given to the line so far */
    int64_t busy_ns;          /* since when it has not been idle, up to free_ns */
    FILE *log;                /* borrowed; NULL: none. See link_log() */
};

/* A line that has sent nothing yet. */
struct link link_make(uint64_t bits_per_second, int64_t delay_ns);

/* May more be given to the line now? */
bool link_is_open(const struct link *link, int64_t now_ns);
/* When link_is_open() turns true; not after `now_ns` when it is already. */
int64_t link_opens_ns(const struct link *link);

/* Give `len` bytes to the line, no earlier than `now_ns`: the moment at which the last of them
 * arrives. */
int64_t link_send(struct link *link, size_t len, int64_t now_ns);

/* When the line was not idle: a line "FROM TO" in its log for each stretch, nanoseconds as they are
 * where bytes come out. link_send() writes those that have ended; this one writes the last so far,
 * which may be there again, longer, later. */
void link_log(const struct link *link);

#endif
