/* SPDX-License-Identifier: Apache-2.0 */
/* bench_layer.c – see bench_layer.h. */
#include "bench_layer.h"

#include "base/clock.h"
#include "base/files.h"
#include "base/threads.h"
#include "ztoc/ztoc.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static void need(int rc, const struct err *err)
{
    if (rc >= 0)
        return;
    (void)fprintf(stderr, "%s\n", err_text(err));
    exit(1);
}

static struct bytes map_file(const char *path)
{
    SCOPED(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    void *at;

    if (fd < 0 || fstat(fd, &st) < 0 ||
        (at = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0)) ==
            MAP_FAILED) {
        perror(path);
        exit(1);
    }
    return bytes_of(at, (size_t)st.st_size);
}

static void put_ztoc(struct bench_layer *bench, struct digest *ret)
{
    const struct ztoc_build_options options = {.span_size = ZTOC_DEFAULT_SPAN_SIZE};
    SCOPED(ztoc_builder) struct ztoc_builder *builder = NULL;
    SCOPED(buf_value) struct buf ztoc = BUF_EMPTY;
    struct err err = ERR_NONE;

    need(ztoc_builder_new(ZTOC_GZIP, &options, &builder, &err), &err);
    need(ztoc_builder_feed(builder, bench->blob, &err), &err);
    need(ztoc_builder_finish(builder, &ztoc, NULL, &err), &err);
    need(digest_of(buf_bytes(&ztoc), ret), &err);
    need(store_blob_put(bench->store, ret, buf_bytes(&ztoc), &err), &err);
}

void bench_layer_open(struct bench_layer *bench, const char *path,
                      const struct span_engine_options *options,
                      struct span_source (*source)(struct bytes blob, void *arg), void *arg)
{
    struct layer_options layer_options = {.layer_bytes = 0};
    struct err err = ERR_NONE;

    (void)strcpy(bench->root, "/tmp/bench-span.XXXXXX");
    if (mkdtemp(bench->root) == NULL) {
        perror(bench->root);
        exit(1);
    }
    bench->blob = map_file(path);
    need(store_open(bench->root, &bench->store, &err), &err);
    need(span_engine_new(options, &bench->engine, &err), &err);
    need(layer_set_new(bench->store, bench->engine, &bench->layers, &err), &err);
    put_ztoc(bench, &layer_options.ztoc);
    layer_options.source = source(bench->blob, arg);
    need(layer_open(bench->layers, &layer_options, &bench->layer, &err), &err);
}

void bench_layer_close(struct bench_layer *bench)
{
    struct err err = ERR_NONE;

    layer_unref(bench->layer);
    layer_set_free(bench->layers);
    span_engine_free(bench->engine);
    store_close(bench->store);
    need(dir_remove_all(bench->root, &err), &err);
}

/* ---- reading --------------------------------------------------------------------------------- */

struct wait {
    struct span_want want;
    pthread_mutex_t lock;
    pthread_cond_t told;
    int rc; /* lock; 1: not told */
};

static void wait_done(struct span_want *want, int rc, const struct err *err)
{
    struct wait *wait = (struct wait *)((char *)want - offsetof(struct wait, want));
    LOCKED(&wait->lock);

    need(rc, err);
    wait->rc = rc;
    (void)pthread_cond_signal(&wait->told);
}

void bench_layer_read(struct bench_layer *bench, uint64_t uncomp_off, size_t len)
{
    struct wait wait = {.want = {.uncomp_off = uncomp_off, .len = len, .done = wait_done},
                        .lock = PTHREAD_MUTEX_INITIALIZER,
                        .told = PTHREAD_COND_INITIALIZER,
                        .rc = 1};
    struct err err = ERR_NONE;
    int rc = layer_want(bench->layer, &wait.want, &err);

    need(rc, &err);
    (void)pthread_mutex_lock(&wait.lock);
    while (rc == 1 && wait.rc == 1)
        (void)pthread_cond_wait(&wait.told, &wait.lock);
    (void)pthread_mutex_unlock(&wait.lock);
}

void bench_layer_complete(struct bench_layer *bench)
{
    struct layer_status status;

    do {
        clock_sleep_ms(1);
        layer_get_status(bench->layer, &status);
    } while (status.fetched_bytes < status.size_bytes);
}
