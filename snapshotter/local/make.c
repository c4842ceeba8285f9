/* SPDX-License-Identifier: Apache-2.0 */
/* make.c – one layer: a new directory, the download, and what it unpacks to; and the bytes as they
 * came for whoever keeps them. When that is not what the digest promises, once more from the
 * registry itself: a mirror may have lied. */
#include "local/internal.h"

#include "base/files.h"
#include "base/log.h"
#include "unpack/unpack.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { PIECE_BYTES = 256 * 1024 };

void local_layer_free(struct local_layer *layer)
{
    struct err ignored = ERR_NONE; /* what stays is removed at the next start */

    if (layer == NULL)
        return;
    if (layer->parent_dir != NULL)
        (void)!dir_remove_all(layer->parent_dir, &ignored);
    free(layer->parent_dir);
    free(layer->fs_dir);
    text_list_fini(&layer->made);
    free(layer);
}

const struct digest *local_layer_diff_id(const struct local_layer *layer)
{
    return &layer->diff_id;
}

static int layer_new(struct local *local, struct local_layer **ret, struct err *err)
{
    unsigned long long number = atomic_fetch_add(&local->last_number, 1) + 1;
    SCOPED(local_layer) struct local_layer *layer = calloc(1, sizeof(*layer));
    int rc;

    if (layer == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    layer->parent_dir = text_format("%s/%llu", local->dir, number);
    layer->fs_dir = text_format("%s/%llu/fs", local->dir, number);
    if (layer->parent_dir == NULL || layer->fs_dir == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    rc = dir_make_all(layer->parent_dir, 0700, err);
    if (rc == 0)
        rc = dir_make_all(layer->fs_dir, 0755, err);
    if (rc < 0)
        return rc;
    *ret = TAKE(layer);
    return 0;
}

static int copy_list(struct text_list *to, const struct text_list *from)
{
    int rc = 0;

    for (size_t i = 0; i < from->count && rc == 0; i++)
        rc = text_list_add(to, from->items[i]);
    return rc;
}

/* ---- keeping it as it came ------------------------------------------------------------------- */

struct keeping {
    const struct local_keeper *keeper;
    void *kept; /* NULL: it is not kept */
};

static void keeping_end(struct keeping *keeping, const struct digest *diff_id)
{
    if (keeping->kept != NULL)
        keeping->keeper->end(TAKE(keeping->kept), diff_id);
}

static void keeping_drop(struct keeping *keeping)
{
    keeping_end(keeping, NULL);
}
DEFINE_SCOPED_VALUE(keeping, struct keeping, keeping_drop)

static void keeping_begin(const struct local *local, const struct job *job, struct keeping *ret)
{
    const struct local_kept layer = {.name = job->pull->name,
                                     .manifest = job->pull->manifest,
                                     .layer = job->layer,
                                     .size_bytes = job->feed.size_bytes,
                                     .namespace_ = job->pull->namespace_,
                                     .lease = job->lease};

    ret->keeper = local->options.keeper;
    if (ret->keeper != NULL && layer.namespace_ != NULL)
        ret->kept = ret->keeper->begin(ret->keeper->self, &layer);
}

/* ---- unpacking ------------------------------------------------------------------------------- */

/* Little input can be much output, so it is looked now and then whether to go on. */
static int unpack_chunk(struct local *local, struct job *job, struct unpack *u,
                        const struct keeping *keeping, struct bytes bytes, struct err *err)
{
    int rc = 0;

    while (bytes.len > 0 && rc == 0) {
        size_t len = bytes.len < PIECE_BYTES ? bytes.len : PIECE_BYTES;

        if (atomic_load(&job->cancelled))
            return err_set(err, -ECANCELED, "nobody wants it any more");
        if (job_is_idle(local, job))
            return err_set(err, -ECANCELED, "nobody has asked for its image lately");
        if (keeping->kept != NULL)
            keeping->keeper->add(keeping->kept, bytes_of(bytes.data, len));
        rc = unpack_feed(u, bytes_of(bytes.data, len), err);
        bytes = bytes_of(bytes.data + len, bytes.len - len);
    }
    return rc;
}

static int fill(struct local *local, struct job *job, struct local_layer *layer, struct err *err)
{
    const struct unpack_options options = {
        .dir = layer->fs_dir,
        .layer = job->layer,
        .programs = local->options.programs,
        .userxattr = local->options.userxattr,
    };
    SCOPED(keeping) struct keeping keeping = {.kept = NULL};
    SCOPED(unpack) struct unpack *u = NULL;
    struct bytes bytes = {.data = NULL, .len = 0};
    int rc = unpack_new(&options, &u, err);

    if (rc < 0)
        return rc;
    keeping_begin(local, job, &keeping);
    while ((rc = feed_next(local, job, &bytes, err)) > 0) {
        rc = unpack_chunk(local, job, u, &keeping, bytes, err);
        if (rc < 0)
            return rc;
    }
    if (rc == 0)
        rc = unpack_finish(u, &layer->diff_id, err);
    if (rc == 0)
        keeping_end(&keeping, &layer->diff_id);
    if (rc == 0 && !job->sync_later)
        rc = unpack_sync(u, err);
    layer->sync_in = job->sync_later ? local : NULL;
    if (rc == 0 && copy_list(&layer->made, unpack_made_dirs(u)) < 0)
        rc = err_set(err, -ENOMEM, "out of memory");
    return rc;
}

static int make(struct local *local, struct job *job, struct local_layer **ret, struct err *err)
{
    SCOPED(local_layer) struct local_layer *layer = NULL;
    int rc = layer_new(local, &layer, err);

    if (rc == 0)
        rc = fill(local, job, layer, err);
    if (rc < 0)
        return rc;
    *ret = TAKE(layer);
    return 0;
}

static void open_again(struct local *local, struct job *job, bool from_origin)
{
    uint64_t size_bytes = job->feed.size_bytes;

    feed_close(local, job);
    (void)pthread_mutex_lock(&local->lock);
    feed_open_locked(local, job, size_bytes, from_origin);
    (void)pthread_mutex_unlock(&local->lock);
}

/* Was it asked for in ranges, and would come in one piece the next time? */
static bool may_come_in_one(struct local *local, const struct job *job)
{
    LOCKED(&local->lock);

    return job->pull->ignores_ranges && !job->feed.in_one &&
           job->feed.size_bytes > local->options.chunk_bytes;
}

int layer_make(struct local *local, struct job *job, struct local_layer **ret, struct err *err)
{
    char text[DIGEST_TEXT_BYTES];
    struct err first = ERR_NONE;
    int rc = make(local, job, ret, &first);

    if (rc == -EOPNOTSUPP && may_come_in_one(local, job)) {
        open_again(local, job, false);
        rc = make(local, job, ret, &first);
    }
    if (rc == -EBADMSG) {
        digest_format(&job->layer, text);
        log_warn("layer is not what its digest says, asking the registry itself once more",
                 "layer=%s err=%s", text, err_text(&first));
        open_again(local, job, true);
        rc = make(local, job, ret, &first);
    }
    if (rc < 0 && err != NULL)
        *err = first;
    return rc;
}
