/* SPDX-License-Identifier: Apache-2.0 */
/* flight.h – work that several threads ask for is done once, by a pool; the outcome is shared among
 * those who wait and remembered for those who come later. A flight is named by its key.
 *
 * Lock: flights->lock, a leaf; run() and free() of a task are called without it. */
#ifndef DISCOVER_FLIGHT_H
#define DISCOVER_FLIGHT_H

#include "base/attr.h"
#include "base/err.h"
#include "base/threads.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a flight does. Embedded in the struct that holds its arguments. */
struct flight_task {
    /* Once, on a thread of the pool; may block. The result, if any, is the flight's. */
    int (*run)(struct flight_task *task, void **ret_result, struct err *err);
    /* Once, after run() or instead of it. */
    void (*free)(struct flight_task *task);
};

struct flights_options {
    struct pool *pool;  /* borrowed */
    size_t max_entries; /* the longest unused settled one goes when there are more */
    bool keep_success;  /* else forgotten when it settles: its effect is to be found elsewhere */
    int64_t failure_ttl_ms; /* a failure is answered from memory this long */
    int64_t (*now_ms)(void *self);
    void *now_self;
    void *(*result_ref)(void *result); /* may be NULL when run() gives no results */
    void (*result_unref)(void *result);
};
struct flights;
MUST_CHECK int flights_new(const struct flights_options *options, struct flights **ret,
                           struct err *err);
/* What did not begin yet is not begun (-ECANCELED); who waits is told so. */
void flights_stop(struct flights *flights);
/* After flights_stop() and pool_free(). NULL is fine. */
void flights_free(struct flights *flights);

/* See that `key` is under way or remembered. `*task` is consumed, also on failure, and only used
 * when the work begins now. Never blocks. -EAGAIN: too many under way. */
MUST_CHECK int flights_start(struct flights *flights, const char *key, struct flight_task **task,
                             struct err *err);
/* As above, ahead of all that was only started, and wait for the outcome until `deadline_ms` of
 * clock_mono_ms(): what run() returned, or -ETIMEDOUT. *ret_result (may be NULL) is a reference of
 * the caller's.
 *
 * `asker` (NULL: nobody in particular) says who asks: whoever was told of a failure once and asks
 * again wants to know anew, and does not get it from memory. When one has waited in vain, others
 * that ask for the first time are told -ETIMEDOUT at once while the work is under way, for
 * failure_ttl_ms; whoever asks again waits. */
MUST_CHECK int flights_wait(struct flights *flights, const char *key, const char *asker,
                            struct flight_task **task, int64_t deadline_ms, void **ret_result,
                            struct err *err);
/* A settled outcome is dropped; one under way is not disturbed. */
void flights_forget(struct flights *flights, const char *key);

#endif
