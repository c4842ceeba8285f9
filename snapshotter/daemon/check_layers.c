/* SPDX-License-Identifier: Apache-2.0 */
/* check_layers.c – could each layer be mounted, and parts of it be had? */
#include "daemon/check_internal.h"

#include "ztoc/ztoc.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- what the index has of it ---------------------------------------------------------------- */

static enum check_state state_of(struct asking *a, const struct oci_descriptor *layer,
                                 const struct soci_index *index, struct err *err)
{
    const struct soci_index_ztoc *desc = soci_index_find(index, &layer->digest);
    int64_t least = a->config->min_layer_bytes;
    SCOPED(buf_value) struct buf blob = BUF_EMPTY;
    SCOPED(ztoc) struct ztoc *toc = NULL;
    uint64_t size = 0;
    int rc;

    if (least > 0 && layer->size_bytes < (uint64_t)least) {
        (void)err_set(err, -ENOENT, "smaller than snapshotter.min_layer_size, %lld bytes",
                      (long long)least);
        return CHECK_TOO_SMALL;
    }
    if (desc == NULL) {
        (void)err_set(err, -ENOENT, "it has no table of contents in the index: %s",
                      oci_layer_compression(layer->media_type) == OCI_COMPRESSION_UNSUPPORTED
                          ? "it is not packed with gzip"
                          : "it was too small when that was made");
        return CHECK_NO_ZTOC;
    }
    if (desc->ztoc_bytes == 0 || desc->ztoc_bytes > ZTOC_MAX_BYTES) {
        (void)err_set(err, -EBADMSG, "the index gives its table of contents a size that cannot be");
        return CHECK_BROKEN_ZTOC;
    }
    rc = registry_get_blob(a->repo, &desc->ztoc, (size_t)desc->ztoc_bytes, &blob, err);
    if (rc < 0)
        return rc == -EBADMSG || rc == -EFBIG ? CHECK_BROKEN_ZTOC : CHECK_NOT_THERE;
    if (ztoc_parse(buf_bytes(&blob), &toc, err) < 0)
        return CHECK_BROKEN_ZTOC;
    if (ztoc_comp_size(toc) != layer->size_bytes) {
        (void)err_set(err, -EBADMSG, "its table of contents is of another layer");
        return CHECK_BROKEN_ZTOC;
    }
    rc = registry_blob_size(a->repo, &layer->digest, &size, err);
    if (rc < 0)
        return CHECK_NOT_THERE;
    if (size != layer->size_bytes) {
        (void)err_set(err, -EBADMSG, "the registry has it with another size");
        return CHECK_NOT_THERE;
    }
    return CHECK_LAZY;
}

int check_layers(struct asking *a, const struct oci_manifest *manifest,
                 const struct soci_index *index)
{
    struct check *check = a->check;

    check->layers = calloc(manifest->layer_count + 1, sizeof(*check->layers));
    if (check->layers == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < manifest->layer_count; i++) {
        struct check_layer *layer = &check->layers[check->layer_count++];
        struct err err = ERR_NONE;

        layer->digest = manifest->layers[i].digest;
        layer->size_bytes = manifest->layers[i].size_bytes;
        layer->state = state_of(a, &manifest->layers[i], index, &err);
        if (layer->state == CHECK_LAZY)
            check->lazy_count++;
        else
            (void)snprintf(layer->text, sizeof(layer->text), "%s", err_text(&err));
    }
    return 0;
}

/* ---- ranges ---------------------------------------------------------------------------------- */

/* The one that a part is asked of; NULL: none is lazy. */
static const struct check_layer *largest_lazy(const struct check *check)
{
    const struct check_layer *largest = NULL;

    for (size_t i = 0; i < check->layer_count; i++) {
        const struct check_layer *layer = &check->layers[i];

        if (layer->state == CHECK_LAZY &&
            (largest == NULL || layer->size_bytes > largest->size_bytes))
            largest = layer;
    }
    return largest;
}

static void forget_lazy(struct check *check, const struct err *why)
{
    for (size_t i = 0; i < check->layer_count; i++) {
        struct check_layer *layer = &check->layers[i];

        if (layer->state != CHECK_LAZY)
            continue;
        layer->state = CHECK_ONLY_WHOLE;
        (void)snprintf(layer->text, sizeof(layer->text), "%s", err_text(why));
    }
    check->lazy_count = 0;
}

/* One layer speaks for all. */
int check_ranges(struct asking *a)
{
    const struct check_layer *layer = largest_lazy(a->check);
    struct err err = ERR_NONE;
    int rc = layer == NULL
                 ? 0
                 : registry_blob_gives_ranges(a->repo, &layer->digest, layer->size_bytes, &err);

    if (rc == 0 || rc == -ENOMEM)
        return rc;
    (void)err_prefix(&err, rc, "no part of a layer can be had");
    forget_lazy(a->check, &err);
    return check_settle(a, CHECK_NO_RANGES, rc, &err);
}
