/* SPDX-License-Identifier: Apache-2.0 */
/* unpack.c – layers of an indexed image that cannot be mounted: which ones, and their files into a
 * snapshot. */
#include "lazy/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- which will be needed -------------------------------------------------------------------- */

/* The label lists this layer and those above it, as many as fit into a label. A client that sends
 * something else there gets no work done ahead. */
static int list_without_ztoc(const struct text_map *labels, const struct soci_index *index,
                             struct buf *ret)
{
    SCOPED(text_list) struct text_list texts = TEXT_LIST_EMPTY;
    const char *value = text_map_get(labels, LAZY_LABEL_IMAGE_LAYERS);
    int rc = value == NULL ? 0 : text_list_split(&texts, value, ',');

    for (size_t i = 0; i < texts.count && rc == 0; i++) {
        struct err ignored = ERR_NONE;
        struct digest layer;

        if (digest_parse(texts.items[i], &layer, &ignored) < 0)
            break;
        if (index == NULL || soci_index_find(index, &layer) == NULL)
            rc = buf_add(ret, &layer, sizeof(layer));
    }
    return rc;
}

void lazy_begin_unpacking(struct lazy *lazy, const struct local_image *image,
                          const struct text_map *labels, const struct soci_index *index)
{
    SCOPED(buf_value) struct buf layers = BUF_EMPTY;

    /* Out of memory: they are begun when they are asked for. */
    if (list_without_ztoc(labels, index, &layers) == 0)
        local_begin(lazy->options.local, image, (const struct digest *)(const void *)layers.data,
                    layers.len / sizeof(struct digest));
}

/* ---- is it what the snapshot will be taken for? ---------------------------------------------- */

/* containerd names snapshots by chain IDs and shares one between all images that have it. The
 * layer's own digest proves that these are the bytes that the image's manifest means, but only the
 * chain ID, made of the digests of the unpacked tars, says what the name stands for: an image could
 * pair the chain ID of another with a layer of its own. */

int lazy_check_chain(const struct snapshot_layer *how, const struct digest *diff_id,
                     struct err *err)
{
    const char *target = lazy_label(how->labels, SNAPSHOT_LABEL_TARGET),
               *named = lazy_label(how->labels, SNAPSHOT_LABEL_DIFF_ID);
    char text[DIGEST_TEXT_BYTES];
    struct digest below, chain = *diff_id, wanted;
    int rc = lazy_chain_below(how->labels, how->parent, &below);

    digest_format(diff_id, text);
    if (named[0] != '\0' && strcmp(named, text) != 0)
        return err_set(err, -EBADMSG, "the layer unpacks to %s, the image says %s", text, named);
    if (rc < 0)
        return err_set(err, -EINVAL, "parent %s does not say its chain ID", how->parent);
    if (rc == 0 && digest_chain(&below, diff_id, &chain) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    rc = digest_parse(target, &wanted, err);
    if (rc < 0)
        return err_prefix(err, rc, "label " SNAPSHOT_LABEL_TARGET);
    return digest_equal(&chain, &wanted)
               ? 0
               : err_set(err, -EBADMSG, "the layer unpacks to %s, which does not give chain ID %s",
                         text, target);
}

/* ---- its files ------------------------------------------------------------------------------- */

/* Whether it is unpacked as a whole is not known here. */
void lazy_abandon(struct lazy *lazy, const char *namespace_, const struct text_map *labels,
                  bool ready_too)
{
    SCOPED(lazy_target) struct lazy_target target = {.image_ref = NULL};
    struct local_image image = {.repo = NULL};
    struct local_keep keep;
    struct err ignored = ERR_NONE;

    if (lazy->options.local == NULL || lazy_target_from_prepare(labels, &target, &ignored) < 0)
        return;
    image.name = target.repository;
    image.manifest = target.manifest;
    local_abandon(lazy->options.local, &image, ready_too);
    image.keep = lazy_whole_keep(lazy, namespace_, NULL, &keep);
    if (image.keep != NULL)
        local_abandon(lazy->options.local, &image, ready_too);
}

static int take(struct lazy *lazy, const struct snapshot_layer *how, bool is_whole,
                struct local_layer **ret, struct err *err)
{
    SCOPED(lazy_target) struct lazy_target target = {.image_ref = NULL};
    SCOPED(registry_repo) struct registry_repo *repo = NULL;
    const struct local_cancel cancel = {how->cancel.is_cancelled, how->cancel.self};
    struct local_image image;
    struct local_keep keep;
    int rc = lazy_target_from_prepare(how->labels, &target, err);

    if (rc == 0)
        rc = lazy_repo_get(lazy->repos, target.repository, &repo, err);
    if (rc < 0)
        return rc;
    image =
        (struct local_image){.repo = repo, .name = target.repository, .manifest = target.manifest};
    image.sync_later = is_whole;
    if (is_whole)
        image.keep = lazy_whole_keep(lazy, how->namespace_, how->lease, &keep);
    if (is_whole && how->parent[0] == '\0')
        image.lowest_of = lazy_lowest_of(how->labels);
    return local_take(lazy->options.local, &image, &target.layer, &cancel, ret, err);
}

int lazy_unpack(struct lazy *lazy, const struct snapshot_layer *how, bool is_whole, struct err *err)
{
    SCOPED(local_layer) struct local_layer *layer = NULL;
    int rc = take(lazy, how, is_whole, &layer, err);

    if (rc == 0)
        rc = lazy_check_chain(how, local_layer_diff_id(layer), err);
    return rc < 0 ? rc : local_layer_install(layer, how->dir, how->lowers, err);
}
