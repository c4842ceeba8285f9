/* SPDX-License-Identifier: Apache-2.0 */
/* slow_link – what a program that starts waits for when its layer comes over a slow link:
 * slow_link LAYER.tar.gz [RTT_MS [MBIT_PER_S]]. The link is simulated: each GET waits a round trip,
 * then those under way share the rate. The program reads 60 % of the spans, in short runs here and
 * there, one read at a time, and computes a little in between. Without background, then with it. */
#include "bench_layer.h"

#include "base/clock.h"
#include "base/threads.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COMPUTE_MS = 10, READ_BYTES = 128 * 1024, UNDER_WAY_MAX = 1024 };

struct transfer {
    struct span_fetch *fetch;
    int64_t start_ms;
    double left_bytes;
    size_t told_bytes;
};

struct link {
    struct bytes blob;
    int64_t rtt_ms;
    double bytes_per_ms;
    pthread_t thread;
    pthread_mutex_t lock;
    struct transfer under_way[UNDER_WAY_MAX]; /* lock */
    size_t count;                             /* lock */
    bool closed;                              /* lock */
    uint64_t moved_bytes;                     /* the thread's */
};

/* What `ms` of the link carry, shared by those whose round trip is over. */
static void carry_locked(struct link *link, int64_t now_ms, int64_t ms)
{
    size_t i, active = 0;

    for (i = 0; i < link->count; i++)
        active += link->under_way[i].start_ms + link->rtt_ms <= now_ms;
    for (i = 0; i < link->count && active > 0; i++) {
        if (link->under_way[i].start_ms + link->rtt_ms <= now_ms)
            link->under_way[i].left_bytes -= link->bytes_per_ms * (double)ms / (double)active;
    }
}

/* The link's thread alone takes entries out, so those that there are stay while it is unlocked. */
static void tell_progress_locked(struct link *link)
{
    for (size_t i = 0, count = link->count; i < count; i++) {
        struct transfer *transfer = &link->under_way[i];
        struct span_fetch *fetch = transfer->fetch;
        double left_bytes = transfer->left_bytes < 0 ? 0 : transfer->left_bytes;
        size_t len = fetch->len - transfer->told_bytes - (size_t)left_bytes;

        transfer->told_bytes += len;
        (void)pthread_mutex_unlock(&link->lock);
        if (len > 0)
            fetch->progress(fetch, len);
        (void)pthread_mutex_lock(&link->lock);
    }
}

static struct span_fetch *take_finished_locked(struct link *link)
{
    size_t i;

    for (i = 0; i < link->count; i++) {
        struct span_fetch *fetch = link->under_way[i].fetch;

        if (link->under_way[i].left_bytes > 0)
            continue;
        link->under_way[i] = link->under_way[--link->count];
        return fetch;
    }
    return NULL;
}

static void *link_main(void *arg)
{
    struct link *link = arg;
    int64_t last_ms = clock_mono_ms();
    LOCKED(&link->lock);

    while (!link->closed) {
        struct span_fetch *fetch;
        int64_t now_ms;

        (void)pthread_mutex_unlock(&link->lock);
        clock_sleep_ms(1);
        now_ms = clock_mono_ms();
        (void)pthread_mutex_lock(&link->lock);
        carry_locked(link, now_ms, now_ms - last_ms);
        last_ms = now_ms;
        tell_progress_locked(link);
        while ((fetch = take_finished_locked(link)) != NULL) {
            (void)pthread_mutex_unlock(&link->lock);
            memcpy(fetch->buf, link->blob.data + fetch->comp_off, fetch->len);
            link->moved_bytes += fetch->len;
            fetch->done(fetch, 0, NULL);
            (void)pthread_mutex_lock(&link->lock);
        }
    }
    return NULL;
}

static int link_start(void *self, struct span_fetch *fetch, struct err *err)
{
    struct link *link = self;
    LOCKED(&link->lock);

    if (link->count == UNDER_WAY_MAX)
        return err_set(err, -EAGAIN, "too many GETs");
    link->under_way[link->count++] = (struct transfer){
        .fetch = fetch, .start_ms = clock_mono_ms(), .left_bytes = (double)fetch->len};
    return 0;
}

static void link_cancel(void *self, struct span_fetch *fetch)
{
    struct link *link = self;
    size_t i;
    LOCKED(&link->lock);

    for (i = 0; i < link->count; i++) {
        if (link->under_way[i].fetch == fetch)
            link->under_way[i].left_bytes = 0;
    }
}

static void link_close(void *self)
{
    struct link *link = self;

    (void)pthread_mutex_lock(&link->lock);
    link->closed = true;
    (void)pthread_mutex_unlock(&link->lock);
    (void)pthread_join(link->thread, NULL);
}

static struct span_source link_source(struct bytes blob, void *arg)
{
    struct link *link = arg;

    link->blob = blob;
    if (thread_start(&link->thread, "link", link_main, link) < 0)
        exit(1);
    return (struct span_source){
        .start = link_start, .cancel = link_cancel, .close = link_close, .self = link};
}

/* ---- the program that starts ----------------------------------------------------------------- */

struct figures {
    size_t reads;
    int64_t waited_ms, longest_ms;
};

static uint64_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

static void read_at(struct bench_layer *bench, uint64_t uncomp_off, struct figures *figures)
{
    int64_t start_ms = clock_mono_ms(), took_ms;

    bench_layer_read(bench, uncomp_off, READ_BYTES);
    took_ms = clock_mono_ms() - start_ms;
    figures->reads++;
    figures->waited_ms += took_ms;
    if (took_ms > figures->longest_ms)
        figures->longest_ms = took_ms;
    clock_sleep_ms(COMPUTE_MS);
}

/* 1 MiB pieces of the tar in runs of 1 to 16, until 60 % of them were read. */
static void start_program(struct bench_layer *bench, struct figures *figures)
{
    size_t pieces = (size_t)(layer_uncomp_bytes(bench->layer) >> 20), want = pieces * 6 / 10,
           seen = 0;
    uint64_t state = 42;
    bool *read = calloc(pieces, sizeof(*read));

    while (read != NULL && seen < want) {
        size_t first = next_random(&state) % pieces, count = 1 + next_random(&state) % 16, i;

        for (i = first; i < first + count && i < pieces; i++) {
            if (read[i])
                continue;
            read[i] = true;
            seen++;
            read_at(bench, (uint64_t)i << 20, figures);
        }
    }
    free(read);
}

static void run(const char *path, int64_t rtt_ms, double mbit, bool background)
{
    const struct span_engine_options options = {.inflate_threads = 2};
    struct link *link = calloc(1, sizeof(*link));
    struct figures figures = {.reads = 0};
    struct bench_layer bench;
    int64_t start_ms, took_ms;

    if (link == NULL)
        exit(1);
    (void)pthread_mutex_init(&link->lock, NULL);
    link->rtt_ms = rtt_ms;
    link->bytes_per_ms = mbit * 1e6 / 8 / 1000;
    bench_layer_open(&bench, path, &options, link_source, link);
    if (background)
        layer_start_background(bench.layer);
    start_ms = clock_mono_ms();
    start_program(&bench, &figures);
    took_ms = clock_mono_ms() - start_ms;
    (void)printf("%-15s took_ms=%-7lld reads=%zu waited_ms=%lld longest_ms=%lld moved_mib=%.0f "
                 "link_used=%.0f%%\n",
                 background ? "background" : "no background", (long long)took_ms, figures.reads,
                 (long long)figures.waited_ms, (long long)figures.longest_ms,
                 (double)link->moved_bytes / (1 << 20),
                 100 * (double)link->moved_bytes / (link->bytes_per_ms * (double)took_ms));
    bench_layer_close(&bench);
    free(link);
}

int main(int argc, char **argv)
{
    int64_t rtt_ms = argc > 2 ? strtol(argv[2], NULL, 10) : 40;
    double mbit = argc > 3 ? strtod(argv[3], NULL) : 100;

    if (argc < 2) {
        (void)fprintf(stderr, "usage: slow_link LAYER.tar.gz [RTT_MS [MBIT_PER_S]]\n");
        return 2;
    }
    run(argv[1], rtt_ms, mbit, false);
    run(argv[1], rtt_ms, mbit, true);
    return 0;
}
