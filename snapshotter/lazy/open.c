/* SPDX-License-Identifier: Apache-2.0 */
/* open.c – from a layer's identity to its mount. */
#include "lazy/internal.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <stdlib.h>

enum { LAZY_BUSY_TRIES = 20, LAZY_BUSY_WAIT_MS = 50 };

/* The discover_image of a target, and the repository that it borrows. */
static int open_image(struct lazy *lazy, const struct lazy_target *target,
                      struct registry_repo **ret_repo, struct discover_image *ret, struct err *err)
{
    int rc = lazy_repo_get(lazy->repos, target->repository, ret_repo, err);

    if (rc < 0)
        return rc;
    *ret = (struct discover_image){
        .repo = *ret_repo,
        .name = target->repository,
        .manifest = target->manifest,
        .index_digest = target->index_digest,
    };
    return 0;
}

static int open_layer(struct lazy *lazy, const struct lazy_target *target, struct layer **ret,
                      struct err *err)
{
    struct layer_options options = {
        .layer = target->layer,
        .ztoc = target->ztoc,
        .layer_bytes = target->layer_bytes,
        .disable_xattrs = target->disable_xattrs,
        .claim = target->claim,
    };
    int rc = lazy_source_new(lazy->repos, lazy->origins, target, &options.source, err);

    return rc < 0 ? rc : layer_open(lazy->options.layers, &options, ret, err);
}

/* The store removes a blob that no longer matches its digest and then has it no more (-ENOENT): one
 * more fetch mends that. -EBUSY: what was kept of this very layer is just being closed or removed;
 * that takes no time. */
static int open_layer_online(struct lazy *lazy, const struct lazy_target *target,
                             const struct discover_image *image, int64_t deadline_ms,
                             struct layer **ret, struct err *err)
{
    int rc = -EBUSY;

    for (int tries = 0; (rc == -ENOENT && tries < 2) || (rc == -EBUSY && tries < LAZY_BUSY_TRIES);
         tries++) {
        if (tries > 0 && rc == -EBUSY)
            clock_sleep_ms(LAZY_BUSY_WAIT_MS);
        rc = discover_fetch_ztoc(lazy->options.discover, image, &target->ztoc, target->ztoc_bytes,
                                 deadline_ms, err);
        if (rc < 0)
            return rc;
        rc = open_layer(lazy, target, ret, err);
    }
    return rc;
}

/* ---- mounting -------------------------------------------------------------------------------- */

/* A layer that is fetched ahead when no Prepare waits for a ztoc any more. */
struct background_later {
    struct discover_later later; /* first */
    struct layer *layer;         /* a reference */
    struct lazy_wanted wanted;   /* before the rest of it */
    bool rest;                   /* that too */
};

static void fetch_ahead(struct layer *layer, const struct lazy_wanted *wanted, bool rest)
{
    lazy_wanted_tell(layer, wanted);
    if (rest)
        layer_start_background(layer);
}

static void start_background(struct discover_later *later, bool canceled)
{
    struct background_later *b = (struct background_later *)later;

    if (!canceled)
        fetch_ahead(b->layer, &b->wanted, b->rest);
    layer_unref(b->layer);
    lazy_wanted_fini(&b->wanted);
    free(b);
}

/* *wanted is taken. */
static void start_background_soon(struct lazy *lazy, struct layer *layer,
                                  struct lazy_wanted *wanted)
{
    bool rest = !lazy->options.disable_background;
    struct background_later *b;

    if (!rest && wanted->count == 0)
        return;
    b = calloc(1, sizeof(*b));
    if (b == NULL) {
        fetch_ahead(layer, wanted, rest);
        return;
    }
    b->later.run = start_background;
    b->layer = layer_ref(layer);
    b->wanted = *wanted;
    *wanted = (struct lazy_wanted){.spans = NULL, .count = 0};
    b->rest = rest;
    discover_when_quiet(lazy->options.discover, &b->later);
}

static int mount_layer(struct lazy *lazy, struct layer *layer, struct lazy_wanted *wanted,
                       const char *dir, struct fs_mount **ret, struct err *err)
{
    const struct lazy_options *o = &lazy->options;
    const struct fs_mount_options options = {.dir = dir};
    int64_t start_ns = clock_mono_ns();
    int rc = o->fs_ops->mount(o->fs, layer, &options, ret, err);

    if (rc < 0)
        return err_prefix(err, rc, "mount at %s", dir);
    metrics_since(layer_metrics(layer), METRICS_FUSE_MOUNT, start_ns);
    start_background_soon(lazy, layer, wanted);
    return 0;
}

/* Not worth a mount, as far as its size is known. */
static int check_size(const struct lazy *lazy, const struct lazy_target *target, struct err *err)
{
    if (target->layer_bytes == 0 || target->layer_bytes >= lazy->options.min_layer_bytes)
        return 0;
    /* Not with its own size: the same of all small layers of an image is one event. */
    return err_set(err, -ENOENT, "layer is smaller than snapshotter.min_layer_size, %llu bytes",
                   (unsigned long long)lazy->options.min_layer_bytes);
}

static int find_ztoc(const struct soci_index *index, struct lazy_target *target, struct err *err)
{
    const struct soci_index_ztoc *ztoc = soci_index_find(index, &target->layer);

    if (ztoc == NULL)
        return err_set(err, -ENOENT, "layer has no ztoc in the index");
    target->ztoc = ztoc->ztoc;
    target->ztoc_bytes = ztoc->ztoc_bytes;
    target->disable_xattrs = ztoc->disable_xattrs;
    return 0;
}

/* `prefetch` NULL: the index says nothing of what comes first. */
static int mount_with_ztoc(struct lazy *lazy, struct lazy_target *target,
                           const struct discover_image *image,
                           const struct soci_index_prefetch *prefetch, int64_t deadline_ms,
                           const char *dir, struct fs_mount **ret, struct err *err)
{
    SCOPED(lazy_wanted) struct lazy_wanted wanted = {.spans = NULL};
    SCOPED(layer) struct layer *layer = NULL;
    int rc = open_layer_online(lazy, target, image, deadline_ms, &layer, err);

    if (rc < 0)
        return rc;
    target->layer_bytes = layer_comp_bytes(layer);
    if (!lazy_wanted_find(lazy, &target->manifest, layer, &wanted) && prefetch != NULL)
        lazy_wanted_fetch(lazy, image, prefetch, layer, &wanted);
    rc = layer_hold_tree(layer, err);
    if (rc < 0)
        return rc;
    rc = lazy_check_look(layer_tree(layer), target->lowers, err);
    if (rc == 0)
        rc = mount_layer(lazy, layer, &wanted, dir, ret, err);
    layer_release_tree(layer); /* the mount holds it as long as it has to */
    return rc;
}

/* A layer that should have been mounted is worth a warning, one that never could be is not. */
static int unpack_instead(const struct lazy *lazy, const struct lazy_target *target, bool expected,
                          int rc, const struct err *err)
{
    char layer[DIGEST_TEXT_BYTES];

    if (lazy->options.local == NULL)
        return rc;
    digest_format(&target->layer, layer);
    if (!expected)
        metrics_count(metrics_no_layer(lazy->options.metrics), METRICS_FUSE_MOUNT_FAILURES, 1);
    if (!expected)
        log_warn("layer cannot be mounted, unpacking it instead", "layer=%s image=%s err=%s", layer,
                 target->image_ref, err_text(err));
    return SNAPSHOT_UNPACK;
}

static bool whole_if(const struct lazy *lazy, enum lazy_whole whole)
{
    return lazy->options.local != NULL && lazy->options.whole == whole;
}

int lazy_mount_by_index(struct lazy *lazy, struct lazy_target *target,
                        const struct text_map *labels, const char *dir, struct fs_mount **ret,
                        struct err *err)
{
    int64_t deadline_ms = clock_mono_ms() + lazy->options.mount_timeout_ms;
    SCOPED(registry_repo) struct registry_repo *repo = NULL;
    SCOPED(discover_index) struct discover_index *index = NULL;
    const struct soci_index_prefetch *prefetch = NULL;
    struct discover_image image;
    int rc = open_image(lazy, target, &repo, &image, err);

    if (rc == 0 && whole_if(lazy, LAZY_WHOLE_ALWAYS))
        return lazy_whole_begin(lazy, target, repo, labels, err);
    image.asker = text_map_get(labels, SNAPSHOT_LABEL_TARGET);
    if (rc == 0)
        rc = discover_find(lazy->options.discover, &image, deadline_ms, &index, err);
    if (rc == -ENOENT && whole_if(lazy, LAZY_WHOLE_WITHOUT_INDEX))
        return lazy_whole_begin(lazy, target, repo, labels, err);
    if (rc < 0)
        return rc;
    target->index = *discover_index_digest(index);
    target->has_index = true;
    rc = lazy_check_lowest(target, discover_index_manifest(index), labels, err);
    if (rc < 0)
        return rc;
    if (target->layer_bytes == 0)
        target->layer_bytes = discover_index_layer_bytes(index, &target->layer);
    if (lazy->options.local != NULL)
        lazy_begin_unpacking(lazy,
                             &(struct local_image){.repo = repo,
                                                   .name = target->repository,
                                                   .manifest = target->manifest},
                             labels, discover_index_get(index));
    rc = check_size(lazy, target, err);
    if (rc == 0)
        rc = find_ztoc(discover_index_get(index), target, err);
    if (rc < 0)
        return unpack_instead(lazy, target, true, rc, err);
    if (lazy->options.use_prefetch_artifacts)
        prefetch = soci_index_find_prefetch(discover_index_get(index), &target->layer);
    rc = mount_with_ztoc(lazy, target, &image, prefetch, deadline_ms, dir, ret, err);
    return rc < 0 ? unpack_instead(lazy, target, false, rc, err) : 0;
}

int lazy_mount_known(struct lazy *lazy, const struct lazy_target *target, const char *dir,
                     bool online, struct fs_mount **ret, struct err *err)
{
    SCOPED(registry_repo) struct registry_repo *repo = NULL;
    SCOPED(lazy_wanted) struct lazy_wanted wanted = {.spans = NULL};
    SCOPED(layer) struct layer *layer = NULL;
    struct discover_image image;
    int rc;

    if (online) {
        rc = open_image(lazy, target, &repo, &image, err);
        if (rc == 0)
            rc = open_layer_online(lazy, target, &image,
                                   clock_mono_ms() + lazy->options.mount_timeout_ms, &layer, err);
    } else {
        rc = open_layer(lazy, target, &layer, err);
    }
    if (rc < 0)
        return rc;
    (void)lazy_wanted_find(lazy, &target->manifest, layer, &wanted);
    return mount_layer(lazy, layer, &wanted, dir, ret, err);
}
