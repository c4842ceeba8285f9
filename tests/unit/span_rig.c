/* SPDX-License-Identifier: Apache-2.0 */
/* span_rig.c – see span_rig.h. */
#include "span_rig.h"

#include "base/clock.h"
#include "base/threads.h"
#include "zran/zran.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>

/* cmocka's assertions jump back into the test: from the test's own thread only. */
static void require(bool condition, const char *what)
{
    if (condition)
        return;
    (void)fprintf(stderr, "span_rig: %s\n", what);
    abort();
}

/* ---- a layer --------------------------------------------------------------------------------- */

/* Words of changing length: compresses about as well as text does. */
static void fill_tar(struct buf *tar, size_t bytes)
{
    uint64_t x = 88172645463325252u;

    assert_ok(buf_reserve(tar, bytes + 64));
    while (tar->len < bytes) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        assert_ok(
            buf_addf(tar, "%x%.*s", (unsigned)(x & 0xfffff), (int)(x >> 60), "lorem ipsum dol"));
    }
    tar->len = bytes;
}

static void digest_spans(struct rig_layer *layer)
{
    size_t n;

    for (n = 0; n < layer->count; n++) {
        struct span_info *span = &layer->spans[n];

        assert_ok(
            digest_of(bytes_of(layer->comp.data + span->comp_off, span->comp_end - span->comp_off),
                      &span->digest));
    }
}

static void cut_plain(struct rig_layer *layer, size_t count, size_t span_bytes)
{
    size_t n;

    assert_ok(buf_add(&layer->comp, layer->tar.data, layer->tar.len));
    layer->count = count;
    for (n = 0; n < count; n++) {
        layer->spans[n].comp_off = layer->spans[n].uncomp_off = n * span_bytes;
        layer->spans[n].comp_end = layer->spans[n].uncomp_end = (n + 1) * span_bytes;
    }
}

static void compress_tar(struct rig_layer *layer)
{
    z_stream z = {.next_in = layer->tar.data, .avail_in = (uInt)layer->tar.len};

    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 31, 5, Z_DEFAULT_STRATEGY),
                     Z_OK); /* small blocks */
    assert_ok(buf_reserve(&layer->comp, deflateBound(&z, z.avail_in)));
    z.next_out = layer->comp.data;
    z.avail_out = (uInt)layer->comp.cap;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    layer->comp.len = z.total_out;
    assert_int_equal(deflateEnd(&z), Z_OK);
}

static int note_point(void *arg, const struct zran_point *point,
                      const uint8_t window[ZRAN_WINDOW_BYTES], struct err *err)
{
    struct rig_layer *layer = arg;
    struct span_info *span = &layer->spans[layer->count];

    (void)err;
    span->comp_off = zran_point_start(point);
    span->uncomp_off = point->uncomp_off;
    span->bits = point->bits;
    if (layer->count > 0) {
        span[-1].comp_end = point->comp_off;
        span[-1].uncomp_end = point->uncomp_off;
    }
    memcpy(layer->windows + layer->count * ZRAN_WINDOW_BYTES, window, ZRAN_WINDOW_BYTES);
    layer->count++;
    return 0;
}

static int drop_bytes(void *arg, struct bytes piece, struct err *err)
{
    (void)arg;
    (void)piece;
    (void)err;
    return 0;
}

static void cut_gzip(struct rig_layer *layer, size_t count, size_t span_bytes)
{
    const struct zran_scan_events events = {
        .input = drop_bytes, .output = drop_bytes, .point = note_point, .arg = layer};
    SCOPED(zran_scan) struct zran_scan *scan = NULL;
    struct err err = ERR_NONE;

    layer->windows = malloc(count * ZRAN_WINDOW_BYTES);
    assert_non_null(layer->windows);
    compress_tar(layer);
    assert_ok(zran_scan_new(span_bytes - 1, &events, &scan, &err));
    assert_ok(zran_scan_feed(scan, buf_bytes(&layer->comp), &err));
    assert_ok(zran_scan_finish(scan, &err));
    layer->spans[layer->count - 1].comp_end = layer->comp.len;
    layer->spans[layer->count - 1].uncomp_end = layer->tar.len;
}

void rig_layer_init(struct rig_layer *layer, enum rig_kind kind, size_t count, size_t span_bytes)
{
    memset(layer, 0, sizeof(*layer));
    layer->kind = kind;
    layer->spans = calloc(count + 1, sizeof(*layer->spans));
    assert_non_null(layer->spans);
    fill_tar(&layer->tar, count * span_bytes);
    if (kind == RIG_PLAIN)
        cut_plain(layer, count, span_bytes);
    else
        cut_gzip(layer, count + 1, span_bytes);
    digest_spans(layer);
}

void rig_layer_fini(struct rig_layer *layer)
{
    buf_fini(&layer->tar);
    buf_fini(&layer->comp);
    free(layer->spans);
    free(layer->windows);
}

static size_t layout_count(void *self)
{
    return ((struct rig_layer *)self)->count;
}

static void layout_at(void *self, size_t n, struct span_info *ret)
{
    *ret = ((struct rig_layer *)self)->spans[n];
}

static size_t layout_find(void *self, uint64_t uncomp_off)
{
    const struct rig_layer *layer = self;
    size_t n = layer->count - 1;

    while (n > 0 && layer->spans[n].uncomp_off > uncomp_off)
        n--;
    return n;
}

static int layout_window(void *self, size_t n, uint8_t *ret, struct err *err)
{
    (void)err;
    memcpy(ret, ((struct rig_layer *)self)->windows + n * ZRAN_WINDOW_BYTES, ZRAN_WINDOW_BYTES);
    return 0;
}

struct span_layout rig_layout(struct rig_layer *layer)
{
    return (struct span_layout){.count = layout_count,
                                .at = layout_at,
                                .find = layout_find,
                                .window = layer->kind == RIG_GZIP ? layout_window : NULL,
                                .self = layer};
}

/* ---- a source -------------------------------------------------------------------------------- */

struct rig_fetch {
    struct span_fetch *fetch;
    enum rig_answer answer;
    bool cancelled;
    struct rig_fetch *next;
};

enum rig_answer rig_hold_all(void *arg, size_t call, const struct span_fetch *fetch)
{
    (void)arg;
    (void)call;
    (void)fetch;
    return RIG_HOLD;
}

enum rig_answer rig_fail_all(void *arg, size_t call, const struct span_fetch *fetch)
{
    (void)arg;
    (void)call;
    (void)fetch;
    return RIG_FAIL;
}

static bool is_held(const struct rig_fetch *item)
{
    return item->answer == RIG_HOLD || item->answer == RIG_HOLD_AND_FAIL;
}

static int source_start(void *self, struct span_fetch *fetch, struct err *err)
{
    struct rig_source *source = self;
    struct rig_fetch *item = calloc(1, sizeof(*item)), **end = &source->queue;
    LOCKED(&source->lock);

    if (item == NULL)
        return err_set(err, -ENOMEM, "the rig is out of memory");
    require(!source->closed, "start() after close()");
    require(source->calls < RIG_CALLS_MAX, "too many calls");
    item->fetch = fetch;
    item->answer = source->answer == NULL
                       ? RIG_GIVE
                       : source->answer(source->answer_arg, source->calls, fetch);
    source->log[source->calls].comp_off = fetch->comp_off;
    source->log[source->calls++].len = fetch->len;
    (void)pthread_cond_broadcast(&source->changed);
    if (item->answer == RIG_NO_START) {
        free(item);
        return err_set(err, -EAGAIN, "the rig does not start");
    }
    fetch->source_data = item;
    while (*end != NULL)
        end = &(*end)->next;
    *end = item;
    return 0;
}

static void source_cancel(void *self, struct span_fetch *fetch)
{
    struct rig_source *source = self;
    struct rig_fetch *item = fetch->source_data;
    LOCKED(&source->lock);

    item->cancelled = true;
    source->cancelled++;
    (void)pthread_cond_broadcast(&source->changed);
}

static void source_release(void *self, struct span_fetch *fetch)
{
    struct rig_source *source = self;
    LOCKED(&source->lock);

    free(fetch->source_data);
    source->released++;
}

static void source_close(void *self)
{
    struct rig_source *source = self;
    LOCKED(&source->lock);

    require(source->released == source->answered, "close() before the last release()");
    require(source->queue == NULL, "close() before the last done()");
    source->closed = true;
    (void)pthread_cond_broadcast(&source->changed);
}

/* The first that may be answered now, taken out. */
static struct rig_fetch *next_answer(struct rig_source *source)
{
    struct rig_fetch **link, *item;

    for (link = &source->queue; *link != NULL; link = &(*link)->next) {
        item = *link;
        if (is_held(item) && !item->cancelled && !source->let_go)
            continue;
        *link = item->next;
        return item;
    }
    return NULL;
}

/* The item may be cancelled, but not freed, meanwhile. */
static void give_answer(struct rig_source *source, struct rig_fetch *item, bool cancelled)
{
    struct err failed = {.code = -ETIMEDOUT, .text = "the rig fails"};
    struct err canceled = {.code = -ECANCELED, .text = "the rig was told to"};
    struct span_fetch *fetch = item->fetch;
    enum rig_answer answer = item->answer;

    if (cancelled && is_held(item)) {
        fetch->done(fetch, -ECANCELED, &canceled);
        return;
    }
    if (answer == RIG_FAIL || answer == RIG_HOLD_AND_FAIL) {
        fetch->done(fetch, -ETIMEDOUT, &failed);
        return;
    }
    require(fetch->comp_off + fetch->len <= source->layer->comp.len, "a fetch past the end");
    memcpy(fetch->buf, source->layer->comp.data + fetch->comp_off, fetch->len);
    if (answer == RIG_DAMAGE)
        fetch->buf[fetch->len / 2] ^= 0x10;
    fetch->done(fetch, 0, NULL);
}

static void *source_main(void *arg)
{
    struct rig_source *source = arg;
    LOCKED(&source->lock);

    while (!source->closed) {
        struct rig_fetch *item = next_answer(source);
        bool cancelled = item != NULL && item->cancelled;

        if (item == NULL) {
            (void)pthread_cond_wait(&source->changed, &source->lock);
            continue;
        }
        source->answered++;
        (void)pthread_mutex_unlock(&source->lock);
        give_answer(source, item, cancelled);
        (void)pthread_mutex_lock(&source->lock);
    }
    return NULL;
}

void rig_source_init(struct rig_source *source, const struct rig_layer *layer,
                     enum rig_answer (*answer)(void *arg, size_t call,
                                               const struct span_fetch *fetch),
                     void *arg)
{
    memset(source, 0, sizeof(*source));
    source->layer = layer;
    source->answer = answer;
    source->answer_arg = arg;
    (void)pthread_mutex_init(&source->lock, NULL);
    assert_ok(clock_cond_init(&source->changed));
    assert_ok(thread_start(&source->thread, "rig-source", source_main, source));
}

void rig_source_fini(struct rig_source *source)
{
    rig_wait_closed(source);
    (void)pthread_join(source->thread, NULL);
    (void)pthread_cond_destroy(&source->changed);
    (void)pthread_mutex_destroy(&source->lock);
}

struct span_source rig_span_source(struct rig_source *source)
{
    return (struct span_source){.start = source_start,
                                .cancel = source_cancel,
                                .release = source_release,
                                .close = source_close,
                                .self = source};
}

void rig_let_go(struct rig_source *source)
{
    LOCKED(&source->lock);
    source->let_go = true;
    (void)pthread_cond_broadcast(&source->changed);
}

size_t rig_calls(struct rig_source *source)
{
    LOCKED(&source->lock);
    return source->calls;
}

void rig_wait_calls(struct rig_source *source, size_t at_least)
{
    int64_t deadline_ms = clock_mono_ms() + RIG_DEADLINE_MS;
    LOCKED(&source->lock);

    while (source->calls < at_least) {
        if (clock_cond_wait_until(&source->changed, &source->lock, deadline_ms) < 0)
            fail_msg("%zu calls instead of %zu", source->calls, at_least);
    }
}

void rig_wait_closed(struct rig_source *source)
{
    int64_t deadline_ms = clock_mono_ms() + RIG_DEADLINE_MS;
    LOCKED(&source->lock);

    while (!source->closed) {
        if (clock_cond_wait_until(&source->changed, &source->lock, deadline_ms) < 0)
            fail_msg("the source was not closed");
    }
}

size_t rig_calls_over(struct rig_source *source, uint64_t comp_off)
{
    size_t i, count = 0;
    LOCKED(&source->lock);

    for (i = 0; i < source->calls; i++) {
        if (comp_off >= source->log[i].comp_off &&
            comp_off - source->log[i].comp_off < source->log[i].len)
            count++;
    }
    return count;
}

/* ---- all together ---------------------------------------------------------------------------- */

static int open_set(struct rig *rig, struct err *err)
{
    struct span_file_options file_options = {.span_count = rig->layer.count,
                                             .uncomp_bytes = rig->layer.tar.len};
    struct span_set_options options = {.name = "sha256:rig",
                                       .layout = rig_layout(&rig->layer),
                                       .source = rig_span_source(&rig->source)};
    SCOPED(span_file) struct span_file *file = NULL;
    int rc = span_file_open(rig->store, &file_options, &file, err);

    if (rc < 0)
        return rc;
    options.file = file;
    rc = span_set_open(rig->engine, &options, &rig->set, err);
    if (rc == 0)
        file = NULL; /* the set's */
    return rc;
}

int rig_try_open_set(struct rig *rig, struct err *err)
{
    int rc;

    rig_source_init(&rig->source, &rig->layer, NULL, NULL);
    rc = open_set(rig, err);
    if (rc < 0) {
        source_close(&rig->source);
        rig_source_fini(&rig->source);
    }
    return rc;
}

void rig_open_set(struct rig *rig,
                  enum rig_answer (*answer)(void *, size_t, const struct span_fetch *), void *arg)
{
    struct err err = ERR_NONE;

    rig_source_init(&rig->source, &rig->layer, answer, arg);
    if (open_set(rig, &err) < 0)
        fail_msg("%s", err_text(&err));
}

void rig_close_set(struct rig *rig)
{
    if (rig->set == NULL)
        return;
    span_set_close(rig->set);
    rig->set = NULL;
    rig_source_fini(&rig->source);
}

void rig_start(struct rig *rig, const struct rig_options *options)
{
    struct err err = ERR_NONE;

    memset(rig, 0, sizeof(*rig));
    (void)strcpy(rig->root, "/tmp/test-span.XXXXXX");
    assert_non_null(mkdtemp(rig->root));
    assert_ok(store_open(rig->root, &rig->store, &err));
    rig_layer_init(&rig->layer, options->kind, options->count, options->span_bytes);
    assert_ok(span_engine_new(&options->engine, &rig->engine, &err));
    rig_open_set(rig, options->answer, options->arg);
}

void rig_stop(struct rig *rig)
{
    struct err err = ERR_NONE;

    rig_close_set(rig);
    span_engine_free(rig->engine);
    store_close(rig->store);
    assert_ok(dir_remove_all(rig->root, &err));
    rig_layer_fini(&rig->layer);
}

int rig_read(struct rig *rig, uint64_t uncomp_off, size_t len, struct err *err)
{
    int rc = span_set_wait(rig->set, uncomp_off, len, clock_mono_ms() + RIG_DEADLINE_MS, err);
    SCOPED(mem) uint8_t *got = malloc(len);

    if (rc < 0 || got == NULL)
        return rc < 0 ? rc : err_set(err, -ENOMEM, "the rig is out of memory");
    rc = file_pread_all(span_set_fd(rig->set), got, len, uncomp_off, err);
    if (rc == 0 && memcmp(got, rig->layer.tar.data + uncomp_off, len) != 0)
        rc = err_set(err, -EILSEQ, "%zu bytes at %llu are not the tar's", len,
                     (unsigned long long)uncomp_off);
    return rc;
}

int rig_read_span(struct rig *rig, size_t n, struct err *err)
{
    const struct span_info *span = &rig->layer.spans[n];

    return rig_read(rig, span->uncomp_off, span->uncomp_end - span->uncomp_off, err);
}

void rig_wait_complete(struct rig *rig)
{
    int64_t deadline_ms = clock_mono_ms() + RIG_DEADLINE_MS;

    while (!span_set_is_complete(rig->set)) {
        if (clock_mono_ms() > deadline_ms)
            fail_msg("not complete in time");
        clock_sleep_ms(5);
    }
}
