/* SPDX-License-Identifier: Apache-2.0 */
/* fill_layer – how fast a whole layer is verified, inflated and written when the network costs
 * nothing: fill_layer LAYER.tar.gz [THREADS]. One read of all is what readers cost, then the same
 * as background. */
#include "bench_layer.h"

#include "base/clock.h"
#include "base/threads.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

/* Answers from one thread, as a registry's would be. */
struct memory_source {
    struct bytes blob;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct span_fetch *queue[1024]; /* lock */
    size_t head, tail;              /* lock */
    bool closed;                    /* lock */
};

static void *memory_main(void *arg)
{
    struct memory_source *source = arg;
    LOCKED(&source->lock);

    while (!source->closed) {
        struct span_fetch *fetch;

        if (source->head == source->tail) {
            (void)pthread_cond_wait(&source->changed, &source->lock);
            continue;
        }
        fetch = source->queue[source->head++ % 1024];
        (void)pthread_mutex_unlock(&source->lock);
        memcpy(fetch->buf, source->blob.data + fetch->comp_off, fetch->len);
        fetch->done(fetch, 0, NULL);
        (void)pthread_mutex_lock(&source->lock);
    }
    return NULL;
}

static int memory_start(void *self, struct span_fetch *fetch, struct err *err)
{
    struct memory_source *source = self;
    LOCKED(&source->lock);

    (void)err;
    source->queue[source->tail++ % 1024] = fetch;
    (void)pthread_cond_signal(&source->changed);
    return 0;
}

static void memory_cancel(void *self, struct span_fetch *fetch)
{
    (void)self;
    (void)fetch;
}

static void memory_close(void *self)
{
    struct memory_source *source = self;

    (void)pthread_mutex_lock(&source->lock);
    source->closed = true;
    (void)pthread_cond_signal(&source->changed);
    (void)pthread_mutex_unlock(&source->lock);
    (void)pthread_join(source->thread, NULL);
}

static struct span_source memory_source(struct bytes blob, void *arg)
{
    struct memory_source *source = arg;

    source->blob = blob;
    if (thread_start(&source->thread, "source", memory_main, source) < 0)
        exit(1);
    return (struct span_source){
        .start = memory_start, .cancel = memory_cancel, .close = memory_close, .self = source};
}

static int64_t cpu_ms(int64_t *ret_sys_ms)
{
    struct rusage use;

    (void)getrusage(RUSAGE_SELF, &use);
    *ret_sys_ms = use.ru_stime.tv_sec * 1000 + use.ru_stime.tv_usec / 1000;
    return use.ru_utime.tv_sec * 1000 + use.ru_utime.tv_usec / 1000;
}

static void run(const char *path, size_t threads, bool background)
{
    const struct span_engine_options options = {.inflate_threads = threads};
    struct memory_source source = {.lock = PTHREAD_MUTEX_INITIALIZER,
                                   .changed = PTHREAD_COND_INITIALIZER};
    struct bench_layer bench;
    int64_t user_ms, sys_ms, sys_before_ms, user_before_ms, start_ms, took_ms;
    double mib;

    bench_layer_open(&bench, path, &options, memory_source, &source);
    user_before_ms = cpu_ms(&sys_before_ms);
    start_ms = clock_mono_ms();
    if (background) {
        layer_start_background(bench.layer);
        bench_layer_complete(&bench);
    } else {
        bench_layer_read(&bench, 0, (size_t)layer_uncomp_bytes(bench.layer));
    }
    took_ms = clock_mono_ms() - start_ms;
    user_ms = cpu_ms(&sys_ms) - user_before_ms;
    sys_ms -= sys_before_ms;
    mib = (double)layer_uncomp_bytes(bench.layer) / (1 << 20);
    (void)printf("%-10s threads=%zu tar_mib=%.0f comp_mib=%.0f took_ms=%lld mib_per_s=%.0f "
                 "user_ms=%lld sys_ms=%lld\n",
                 background ? "background" : "reader", threads, mib,
                 (double)layer_comp_bytes(bench.layer) / (1 << 20), (long long)took_ms,
                 mib * 1000 / (double)(took_ms > 0 ? took_ms : 1), (long long)user_ms,
                 (long long)sys_ms);
    bench_layer_close(&bench);
}

int main(int argc, char **argv)
{
    size_t threads = argc > 2 ? strtoul(argv[2], NULL, 10) : 2;

    if (argc < 2) {
        (void)fprintf(stderr, "usage: fill_layer LAYER.tar.gz [THREADS]\n");
        return 2;
    }
    run(argv[1], threads, false);
    run(argv[1], threads, true);
    return 0;
}
