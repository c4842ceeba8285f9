/* SPDX-License-Identifier: Apache-2.0 */
/* engine_layer.c – a layer file opened as the daemon opens one, with a source that reads the file.
 */
#include "rig.h"

#include "base/clock.h"
#include "base/files.h"
#include "base/threads.h"
#include "ztoc/ztoc.h"

#include <stdlib.h>

enum { SPAN_BYTES = 256 * 1024 }; /* small, so that small layers have several */

struct rig {
    struct buf content; /* the layer, compressed or not */
    char root[256];
    struct store *store;
    struct span_engine *engine;
    struct layer_set *layers;
    struct layer *layer;
    pthread_t thread;

    pthread_mutex_t lock;
    pthread_cond_t changed;
    enum rig_mode mode; /* lock; so is all below */
    struct call *calls;
    size_t waiting;
    bool is_closing;
};

struct call {
    struct span_fetch *fetch;
    struct call *next;
    bool is_canceled; /* rig->lock */
};

/* ---- the source ------------------------------------------------------------------------------ */

static struct call *take_ready_locked(struct rig *rig)
{
    for (struct call **link = &rig->calls; *link != NULL; link = &(*link)->next) {
        struct call *call = *link;

        if (rig->mode != RIG_HANG || call->is_canceled) {
            *link = call->next;
            rig->waiting--;
            return call;
        }
    }
    return NULL;
}

static void *run(void *arg)
{
    struct rig *rig = arg;

    (void)pthread_mutex_lock(&rig->lock);
    while (!rig->is_closing) {
        struct call *call = take_ready_locked(rig);
        int rc = rig->mode == RIG_FAIL ? -EIO : 0;
        bool is_late = rig->mode == RIG_LATER;
        struct err err = ERR_NONE;

        if (call == NULL) {
            (void)pthread_cond_wait(&rig->changed, &rig->lock);
            continue;
        }
        if (call->is_canceled)
            rc = -ECANCELED;
        (void)pthread_mutex_unlock(&rig->lock);
        if (is_late)
            clock_sleep_ms(1);
        if (rc == 0)
            memcpy(call->fetch->buf, rig->content.data + call->fetch->comp_off, call->fetch->len);
        else
            (void)err_set(&err, rc, "told to fail");
        call->fetch->done(call->fetch, rc, &err);
        (void)pthread_mutex_lock(&rig->lock);
    }
    (void)pthread_mutex_unlock(&rig->lock);
    return NULL;
}

static int start(void *self, struct span_fetch *fetch, struct err *err)
{
    struct rig *rig = self;
    struct call *call = calloc(1, sizeof(*call));

    if (call == NULL)
        return err_sys(err, -ENOMEM, "fetch");
    call->fetch = fetch;
    fetch->source_data = call;
    LOCKED(&rig->lock);
    call->next = rig->calls;
    rig->calls = call;
    rig->waiting++;
    (void)pthread_cond_broadcast(&rig->changed);
    return 0;
}

static void cancel(void *self, struct span_fetch *fetch)
{
    struct rig *rig = self;
    struct call *call = fetch->source_data;

    LOCKED(&rig->lock);
    call->is_canceled = true;
    (void)pthread_cond_broadcast(&rig->changed);
}

static void release(void *self, struct span_fetch *fetch)
{
    (void)self;
    free(fetch->source_data);
}

static void close_source(void *self)
{
    (void)self;
}

/* ---- rig.h ----------------------------------------------------------------------------------- */

/* Make the ztoc and put it into the store. */
static int index_layer(struct rig *rig, struct digest *ret_ztoc, struct err *err)
{
    const struct ztoc_build_options options = {.span_size = SPAN_BYTES};
    bool is_gzip =
        rig->content.len > 2 && rig->content.data[0] == 0x1f && rig->content.data[1] == 0x8b;
    SCOPED(ztoc_builder) struct ztoc_builder *builder = NULL;
    SCOPED(buf_value) struct buf blob = BUF_EMPTY;
    struct ztoc_build_info info;
    int rc = ztoc_builder_new(is_gzip ? ZTOC_GZIP : ZTOC_UNCOMPRESSED, &options, &builder, err);

    if (rc == 0)
        rc = ztoc_builder_feed(builder, buf_bytes(&rig->content), err);
    if (rc == 0)
        rc = ztoc_builder_finish(builder, &blob, &info, err);
    if (rc < 0)
        return rc;
    *ret_ztoc = info.digest;
    return store_blob_put(rig->store, ret_ztoc, buf_bytes(&blob), err);
}

static int open_layer(struct rig *rig, bool disable_xattrs, struct err *err)
{
    struct layer_options options = {
        .layer_bytes = rig->content.len,
        .disable_xattrs = disable_xattrs,
        .source = {.start = start,
                   .cancel = cancel,
                   .release = release,
                   .close = close_source,
                   .self = rig},
    };
    int rc = index_layer(rig, &options.ztoc, err);

    if (rc == 0)
        rc = digest_of(buf_bytes(&rig->content), &options.layer);
    if (rc == 0)
        rc = layer_open(rig->layers, &options, &rig->layer, err);
    return rc;
}

int rig_open(const char *path, bool disable_xattrs, struct rig **ret, struct err *err)
{
    const struct span_engine_options options = {.disable_background = true};
    struct rig *rig = calloc(1, sizeof(*rig));
    const char *tmp = getenv("TMPDIR");
    int rc;

    if (rig == NULL)
        return -ENOMEM;
    *ret = rig; /* a test's memory: on failure it ends anyway */
    (void)pthread_mutex_init(&rig->lock, NULL);
    (void)pthread_cond_init(&rig->changed, NULL);
    (void)snprintf(rig->root, sizeof(rig->root), "%s/layer-mount.XXXXXX",
                   tmp == NULL ? "/tmp" : tmp);
    if (mkdtemp(rig->root) == NULL)
        return err_sys(err, -errno, "%s", rig->root);
    rc = file_read(path, (size_t)4 << 30, &rig->content, err);
    if (rc == 0)
        rc = store_open(rig->root, &rig->store, err);
    if (rc == 0)
        rc = span_engine_new(&options, &rig->engine, err);
    if (rc == 0)
        rc = layer_set_new(rig->store, rig->engine, &rig->layers, err);
    if (rc == 0)
        rc = thread_start(&rig->thread, "source", run, rig);
    return rc < 0 ? rc : open_layer(rig, disable_xattrs, err);
}

void rig_close(struct rig *rig)
{
    struct err err = ERR_NONE;

    layer_unref(rig->layer);
    layer_set_free(rig->layers);
    span_engine_free(rig->engine);
    store_close(rig->store);
    (void)pthread_mutex_lock(&rig->lock);
    rig->is_closing = true;
    (void)pthread_cond_broadcast(&rig->changed);
    (void)pthread_mutex_unlock(&rig->lock);
    (void)pthread_join(rig->thread, NULL);
    if (dir_remove_all(rig->root, &err) < 0)
        (void)fprintf(stderr, "layer-mount: %s\n", err_text(&err));
    buf_fini(&rig->content);
    free(rig);
}

struct layer *rig_layer(struct rig *rig)
{
    return rig->layer;
}

void rig_set_mode(struct rig *rig, enum rig_mode mode)
{
    LOCKED(&rig->lock);
    rig->mode = mode;
    (void)pthread_cond_broadcast(&rig->changed);
}

size_t rig_waiting(struct rig *rig)
{
    LOCKED(&rig->lock);
    return rig->waiting;
}
