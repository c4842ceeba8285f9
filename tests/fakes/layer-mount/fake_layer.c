/* SPDX-License-Identifier: Apache-2.0 */
/* fake_layer.c – a layer whose engine is one thread and a list. */
#include "rig.h"

#include "base/files.h"
#include "base/threads.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

struct layer {
    struct ztoc *toc;
    struct tree *tree;
    struct digest digest;
    int fd;
    bool disable_xattrs;
    size_t refs; /* atomic */
    pthread_t thread;

    pthread_mutex_t lock;
    pthread_cond_t changed;
    enum rig_mode mode;      /* lock; so is all below */
    struct span_want *wants; /* waiting */
    size_t waiting, done_count;
    bool is_closing, failed_last;
};

/* What the mode makes of a waiting read; 1: nothing yet. */
static int outcome_locked(const struct layer *l)
{
    if (l->is_closing)
        return -ECANCELED;
    switch (l->mode) {
    case RIG_HANG:
        return 1;
    case RIG_FAIL:
        return -EIO;
    default:
        return 0;
    }
}

static void *run(void *arg)
{
    struct layer *l = arg;

    (void)pthread_mutex_lock(&l->lock);
    for (;;) {
        struct span_want *want = l->wants;
        struct err err = ERR_NONE;
        int rc = want == NULL ? 1 : outcome_locked(l);

        if (rc > 0) {
            if (l->is_closing && want == NULL)
                break;
            (void)pthread_cond_wait(&l->changed, &l->lock);
            continue;
        }
        l->wants = want->next;
        l->waiting--;
        l->failed_last = rc < 0;
        (void)pthread_mutex_unlock(&l->lock);
        if (rc < 0)
            (void)err_set(&err, rc, "told to fail");
        want->done(want, rc, &err);
        (void)pthread_mutex_lock(&l->lock);
        l->done_count++;
        (void)pthread_cond_broadcast(&l->changed);
    }
    (void)pthread_mutex_unlock(&l->lock);
    return NULL;
}

static int load(struct layer *l, const char *tar, struct err *err)
{
    SCOPED(buf_value) struct buf content = BUF_EMPTY, blob = BUF_EMPTY;
    const struct ztoc_build_options options = {.span_size = ZTOC_DEFAULT_SPAN_SIZE};
    SCOPED(ztoc_builder) struct ztoc_builder *builder = NULL;
    int rc = file_read(tar, (size_t)4 << 30, &content, err);

    if (rc == 0)
        rc = ztoc_builder_new(ZTOC_UNCOMPRESSED, &options, &builder, err);
    if (rc == 0)
        rc = ztoc_builder_feed(builder, buf_bytes(&content), err);
    if (rc == 0)
        rc = ztoc_builder_finish(builder, &blob, NULL, err);
    if (rc == 0)
        rc = digest_of(buf_bytes(&content), &l->digest);
    if (rc == 0)
        rc = ztoc_parse(buf_bytes(&blob), &l->toc, err);
    if (rc == 0)
        rc = tree_build(l->toc, &l->tree, err);
    if (rc == 0 && (l->fd = open(tar, O_RDONLY | O_CLOEXEC)) < 0)
        rc = err_sys(err, -errno, "%s", tar);
    return rc;
}

/* ---- rig.h ----------------------------------------------------------------------------------- */

/* The rig is the layer. */
struct rig {
    struct layer layer;
};

int rig_open(const char *tar, bool disable_xattrs, struct rig **ret, struct err *err)
{
    struct rig *rig = calloc(1, sizeof(*rig));
    struct layer *l = &rig->layer;
    int rc = rig == NULL ? -ENOMEM : load(l, tar, err);

    if (rc == 0) {
        l->refs = 1;
        l->disable_xattrs = disable_xattrs;
        (void)pthread_mutex_init(&l->lock, NULL);
        (void)pthread_cond_init(&l->changed, NULL);
        rc = thread_start(&l->thread, "fake-layer", run, l);
    }
    *ret = rig; /* a test's memory: on failure it ends anyway */
    return rc;
}

void rig_close(struct rig *rig)
{
    layer_unref(&rig->layer);
}

struct layer *rig_layer(struct rig *rig)
{
    return &rig->layer;
}

void rig_set_mode(struct rig *rig, enum rig_mode mode)
{
    LOCKED(&rig->layer.lock);
    rig->layer.mode = mode;
    (void)pthread_cond_broadcast(&rig->layer.changed);
}

size_t rig_waiting(struct rig *rig)
{
    LOCKED(&rig->layer.lock);
    return rig->layer.waiting;
}

/* ---- layer/layer.h --------------------------------------------------------------------------- */

struct layer *layer_ref(struct layer *l)
{
    (void)__atomic_add_fetch(&l->refs, 1, __ATOMIC_RELAXED);
    return l;
}

void layer_unref(struct layer *l)
{
    if (l == NULL || __atomic_sub_fetch(&l->refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    (void)pthread_mutex_lock(&l->lock);
    l->is_closing = true;
    (void)pthread_cond_broadcast(&l->changed);
    (void)pthread_mutex_unlock(&l->lock);
    (void)pthread_join(l->thread, NULL);
    (void)pthread_cond_destroy(&l->changed);
    (void)pthread_mutex_destroy(&l->lock);
    (void)close(l->fd);
    tree_free(l->tree);
    ztoc_free(l->toc);
    free(l);
}

const struct tree *layer_tree(const struct layer *l)
{
    return l->tree;
}

int layer_hold_tree(struct layer *l, struct err *err)
{
    (void)l;
    (void)err;
    return 0;
}

void layer_release_tree(struct layer *l)
{
    (void)l;
}

bool layer_clear_padding(const struct layer *l, uint8_t *data, size_t len, uint64_t uncomp_off)
{
    return ztoc_clear_padding(l->toc, data, len, uncomp_off);
}

struct metrics_layer *layer_metrics(const struct layer *layer)
{
    (void)layer;
    return NULL;
}

const struct digest *layer_digest(const struct layer *l)
{
    return &l->digest;
}

const struct digest *layer_ztoc_digest(const struct layer *l)
{
    return &l->digest;
}

uint64_t layer_uncomp_bytes(const struct layer *l)
{
    return ztoc_uncomp_size(l->toc);
}

bool layer_xattrs_disabled(const struct layer *l)
{
    return l->disable_xattrs;
}

int layer_fd(const struct layer *l)
{
    return l->fd;
}

const char *layer_checked_file(struct layer *l)
{
    (void)l;
    return NULL;
}

int layer_want(struct layer *l, struct span_want *want, struct err *err)
{
    size_t before;

    if (want->len == 0 || want->uncomp_off + want->len > ztoc_uncomp_size(l->toc))
        return err_set(err, -EINVAL, "outside the layer");
    LOCKED(&l->lock);
    if (l->mode == RIG_NOW)
        return 0;
    want->next = l->wants;
    l->wants = want;
    l->waiting++;
    before = l->done_count;
    (void)pthread_cond_broadcast(&l->changed);
    while (l->mode == RIG_ALREADY && l->done_count == before)
        (void)pthread_cond_wait(&l->changed, &l->lock);
    return 1;
}

void layer_get_status(struct layer *l, struct layer_status *ret)
{
    LOCKED(&l->lock);
    *ret =
        (struct layer_status){.size_bytes = ztoc_comp_size(l->toc), .fetched_bytes = l->done_count};
    if (l->failed_last)
        (void)err_set(&ret->last_error, -EIO, "told to <fail>");
}
