/* SPDX-License-Identifier: Apache-2.0 */
/* Every layer of tests/vectors/ztoc, from producers of all kinds, read through the engine byte for
 * byte. */
#include "test.h"

#include "base/text.h"
#include "base/threads.h"
#include "layer/layer.h"
#include "ztoc/ztoc.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <zlib.h>

struct world {
    char root[64];
    struct store *store;
    struct span_engine *engine;
    struct layer_set *layers;
};

/* ---- a source: the blob in memory, answered on a thread per fetch ---------------------------- */

struct answer {
    const struct buf *blob;
    struct span_fetch *fetch;
};

static void *give(void *arg)
{
    struct answer answer = *(struct answer *)arg;

    free(arg);
    memcpy(answer.fetch->buf, answer.blob->data + answer.fetch->comp_off, answer.fetch->len);
    answer.fetch->done(answer.fetch, 0, NULL);
    return NULL;
}

static int blob_start(void *self, struct span_fetch *fetch, struct err *err)
{
    struct answer *answer = calloc(1, sizeof(*answer));
    pthread_t thread;

    if (answer == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    answer->blob = self;
    answer->fetch = fetch;
    if (thread_start(&thread, "blob", give, answer) < 0) {
        free(answer);
        return err_set(err, -EAGAIN, "no thread");
    }
    return -pthread_detach(thread);
}

static void blob_cancel(void *self, struct span_fetch *fetch)
{
    (void)self;
    (void)fetch;
}

static void blob_close(void *self)
{
    (void)self;
}

/* ---- one layer ------------------------------------------------------------------------------- */

static enum ztoc_compression compression_of(const char *name)
{
    return text_has_suffix(name, ".gz") ? ZTOC_GZIP : ZTOC_UNCOMPRESSED;
}

static int put_ztoc(struct world *w, const char *name, const struct buf *blob, struct digest *ret)
{
    const struct ztoc_build_options options = {.span_size = 32768};
    SCOPED(ztoc_builder) struct ztoc_builder *builder = NULL;
    SCOPED(buf_value) struct buf ztoc = BUF_EMPTY;
    struct err err = ERR_NONE;
    int rc = ztoc_builder_new(compression_of(name), &options, &builder, &err);

    if (rc == 0)
        rc = ztoc_builder_feed(builder, buf_bytes(blob), &err);
    if (rc == 0)
        rc = ztoc_builder_finish(builder, &ztoc, NULL, &err);
    if (rc < 0)
        return rc;
    assert_ok(digest_of(buf_bytes(&ztoc), ret));
    return store_blob_put(w->store, ret, buf_bytes(&ztoc), &err);
}

static struct layer *open_layer(struct world *w, const struct digest *ztoc, struct buf *blob)
{
    struct layer_options options = {
        .ztoc = *ztoc,
        .layer_bytes = blob->len,
        .source = {.start = blob_start, .cancel = blob_cancel, .close = blob_close, .self = blob}};
    struct err err = ERR_NONE;
    struct layer *layer = NULL;

    assert_ok(digest_of(buf_bytes(blob), &options.layer));
    if (layer_open(w->layers, &options, &layer, &err) < 0)
        fail_msg("%s", err_text(&err));
    return layer;
}

struct told {
    struct span_want want;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int rc; /* lock; 1: not yet */
};

static void tell(struct span_want *want, int rc, const struct err *err)
{
    struct told *told = (struct told *)((char *)want - offsetof(struct told, want));
    LOCKED(&told->lock);

    (void)err;
    told->rc = rc;
    (void)pthread_cond_signal(&told->changed);
}

static void read_range(struct layer *layer, uint64_t uncomp_off, uint8_t *out, size_t len)
{
    struct told told = {.want = {.uncomp_off = uncomp_off, .len = len, .done = tell},
                        .lock = PTHREAD_MUTEX_INITIALIZER,
                        .changed = PTHREAD_COND_INITIALIZER,
                        .rc = 1};
    struct err err = ERR_NONE;
    int rc = layer_want(layer, &told.want, &err);

    (void)pthread_mutex_lock(&told.lock);
    while (rc == 1 && told.rc == 1)
        (void)pthread_cond_wait(&told.changed, &told.lock);
    (void)pthread_mutex_unlock(&told.lock);
    assert_int_equal(rc == 1 ? told.rc : rc, 0);
    assert_ok(file_pread_all(layer_fd(layer), out, len, uncomp_off, &err));
}

/* In the middle first, so that spans come out of order. zlib's own reader, which follows members
 * and passes plain files through, says what the bytes are. */
static void compare(struct layer *layer, const char *path)
{
    size_t len = (size_t)layer_uncomp_bytes(layer);
    SCOPED(mem) uint8_t *got = malloc(len + 1), *want = malloc(len + 1);
    gzFile tar = gzopen(path, "rb");

    assert_true(got != NULL && want != NULL && tar != NULL);
    assert_int_equal(gzread(tar, want, (unsigned)len), len);
    assert_int_equal(gzclose_r(tar), Z_OK);
    if (len == 0)
        return;
    read_range(layer, len / 2, got, 1);
    assert_int_equal(got[0], want[len / 2]);
    read_range(layer, 0, got, len);
    assert_memory_equal(got, want, len);
}

/* True: it is a layer that can be indexed. */
static bool check_vector(struct world *w, const char *name)
{
    SCOPED(mem) char *relative = text_format("ztoc/%s", name);
    SCOPED(mem) char *path = text_format("%s/ztoc/%s", VECTORS_DIR, name);
    SCOPED(buf) struct buf *blob = vector_load(relative);
    struct digest ztoc;
    struct layer *layer;

    if (put_ztoc(w, name, blob, &ztoc) < 0)
        return false;
    layer = open_layer(w, &ztoc, blob);
    compare(layer, path);
    layer_unref(layer);
    layer = open_layer(w, &ztoc, blob); /* from disk */
    compare(layer, path);
    layer_unref(layer);
    return true;
}

static void start(struct world *w)
{
    const struct span_engine_options options = {.inflate_threads = 2};
    struct err err = ERR_NONE;

    (void)strcpy(w->root, "/tmp/test-layers.XXXXXX");
    assert_non_null(mkdtemp(w->root));
    assert_ok(store_open(w->root, &w->store, &err));
    assert_ok(span_engine_new(&options, &w->engine, &err));
    assert_ok(layer_set_new(w->store, w->engine, &w->layers, &err));
}

static void stop(struct world *w)
{
    struct err err = ERR_NONE;

    layer_set_free(w->layers);
    span_engine_free(w->engine);
    store_close(w->store);
    assert_ok(dir_remove_all(w->root, &err));
}

static void every_vector_that_can_be_indexed_is_read_byte_for_byte(void **state)
{
    SCOPED(dir) DIR *dir = opendir(VECTORS_DIR "/ztoc");
    struct dirent *entry;
    size_t read = 0, refused = 0;
    struct world w;

    (void)state;
    assert_non_null(dir);
    start(&w);
    while ((entry = readdir(dir)) != NULL) {
        if (!text_has_suffix(entry->d_name, ".tar.gz") && !text_has_suffix(entry->d_name, ".tar"))
            continue;
        if (check_vector(&w, entry->d_name))
            read++;
        else
            refused++;
    }
    stop(&w);
    assert_true(read >= 25);
    assert_int_equal(refused, 1); /* gz-trailing-zeros: the reference refuses it too */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_vector_that_can_be_indexed_is_read_byte_for_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
