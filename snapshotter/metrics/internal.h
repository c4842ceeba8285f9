/* SPDX-License-Identifier: Apache-2.0 */
/* internal.h – what is counted, as those who count and those who write see it. */
#ifndef METRICS_INTERNAL_H
#define METRICS_INTERNAL_H

#include "metrics/metrics.h"

#include <pthread.h>

/* Bounds of buckets are 1, 2, 4 … of a unit. */
struct metrics_unit {
    const char *metric; /* its name */
    const char *help;
    uint64_t ns;
    size_t bucket_count; /* without the last one, which has no bound */
};
enum { METRICS_BUCKETS_MAX = 15 };
const struct metrics_unit *metrics_unit_of(enum metrics_duration what);

/* All atomic. The number of observations is the sum of the buckets, so the two always agree. */
struct metrics_histogram {
    uint64_t buckets[METRICS_BUCKETS_MAX + 1];
    uint64_t sum_ns;
};

struct metrics_layer {
    char name[DIGEST_TEXT_BYTES]; /* fixed at creation, as is the next; "": no layer */
    struct metrics *metrics;
    size_t refs;                         /* metrics->lock */
    struct metrics_layer *next;          /* metrics->lock */
    uint64_t counters[METRICS_COUNTERS]; /* atomic */
    struct metrics_histogram durations[METRICS_DURATIONS];
};

struct metrics {
    pthread_mutex_t lock;          /* a leaf; not taken to count */
    struct metrics_layer *layers;  /* lock; begins with no_layer */
    size_t layer_count;            /* lock; no_layer not counted */
    struct metrics_layer no_layer; /* always there */
};

/* http.c: append the head of an answer, and a body that says it again when it is no 200. 0 or
 * -ENOMEM. */
MUST_CHECK int metrics_http_head(unsigned status, size_t body_bytes, struct buf *ret);

#endif
