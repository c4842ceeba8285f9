/* SPDX-License-Identifier: Apache-2.0 */
/* make.c – one layer: a new directory, the download, and what it unpacks to. When that is not what
 * the digest promises, once more from the registry itself: a mirror may have lied. */
#include "local/internal.h"

#include "base/files.h"
#include "base/log.h"
#include "unpack/unpack.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

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

struct filling {
    struct local *local;
    struct job *job;
    uint64_t layer_bytes;
    bool from_origin;
    struct unpack *unpack;
};

static int on_bytes(void *arg, struct bytes piece, struct err *err)
{
    struct filling *f = arg;

    if (job_is_idle(f->local, f->job))
        return err_set(err, -ECANCELED, "nobody has asked for its image lately");
    return unpack_feed(f->unpack, piece, err);
}

static int copy_list(struct text_list *to, const struct text_list *from)
{
    int rc = 0;

    for (size_t i = 0; i < from->count && rc == 0; i++)
        rc = text_list_add(to, from->items[i]);
    return rc;
}

static int fill(struct filling *f, struct local_layer *layer, struct err *err)
{
    struct local *local = f->local;
    struct job *job = f->job;
    const struct unpack_options unpack_options = {
        .dir = layer->fs_dir, .layer = job->layer, .userxattr = local->options.userxattr};
    SCOPED(unpack) struct unpack *u = NULL;
    struct download_options options = {
        .registry = local->options.registry,
        .repo = job->pull->repo,
        .layer = job->layer,
        .layer_bytes = f->layer_bytes,
        .chunk_bytes = local->options.chunk_bytes,
        .from_origin = f->from_origin,
        .cancelled = &job->cancelled,
        .write = on_bytes,
        .arg = f,
    };
    int rc = unpack_new(&unpack_options, &u, err);

    if (rc < 0)
        return rc;
    f->unpack = u;
    rc = download(&options, err);
    if (rc == 0)
        rc = unpack_finish(u, &layer->diff_id, err);
    if (rc == 0 && copy_list(&layer->made, unpack_made_dirs(u)) < 0)
        rc = err_set(err, -ENOMEM, "out of memory");
    return rc;
}

static int make(struct filling *f, struct local_layer **ret, struct err *err)
{
    SCOPED(local_layer) struct local_layer *layer = NULL;
    int rc = layer_new(f->local, &layer, err);

    if (rc == 0)
        rc = fill(f, layer, err);
    if (rc < 0)
        return rc;
    *ret = TAKE(layer);
    return 0;
}

int layer_make(struct local *local, struct job *job, uint64_t layer_bytes, struct local_layer **ret,
               struct err *err)
{
    struct filling filling = {.local = local, .job = job, .layer_bytes = layer_bytes};
    char text[DIGEST_TEXT_BYTES];
    struct err first = ERR_NONE;
    int rc = make(&filling, ret, &first);

    if (rc == -EBADMSG) {
        digest_format(&job->layer, text);
        log_warn("layer is not what its digest says, asking the registry itself once more",
                 "layer=%s err=%s", text, err_text(&first));
        filling.from_origin = true;
        rc = make(&filling, ret, &first);
    }
    if (rc < 0 && err != NULL)
        *err = first;
    return rc;
}
