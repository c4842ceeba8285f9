/* SPDX-License-Identifier: Apache-2.0 */
/* labels.c – a layer's identity from the labels of a Prepare, and into the labels that a restart
 * finds. */
#include "lazy/internal.h"

#include <errno.h>
#include <stdlib.h>

/* Set by the client, as those in snapshot/snapshot.h. */
#define LABEL_MANIFEST "containerd.io/snapshot/cri.manifest-digest"
#define LABEL_LAYER_BYTES "containerd.io/snapshot/remote/soci.size"
#define LABEL_INDEX "containerd.io/snapshot/remote/soci.index.digest"
/* Ours. */
#define LABEL_ZTOC "containerd.io/snapshot/remote/soci.ztoc.digest"
#define LABEL_ZTOC_BYTES "containerd.io/snapshot/remote/soci.ztoc.size"
#define LABEL_USED_INDEX "containerd.io/snapshot/remote/soci.used-index.digest"
#define LABEL_NO_XATTRS "containerd.io/snapshot/remote/soci.disable-xattrs"

const char *lazy_label_image(const struct text_map *labels)
{
    return text_map_get(labels, SNAPSHOT_LABEL_IMAGE);
}

const char *lazy_label_layer(const struct text_map *labels)
{
    return text_map_get(labels, SNAPSHOT_LABEL_LAYER);
}

const char *lazy_label_namespace(const struct text_map *labels)
{
    return text_map_get(labels, SNAPSHOT_LABEL_NAMESPACE);
}

void lazy_target_fini(struct lazy_target *target)
{
    free(target->image_ref);
    free(target->repository);
    free(target->index_digest);
    oci_reference_fini(&target->reference);
}

/* The reference is taken apart anew: it owns its strings. */
static int set_image(struct lazy_target *target, const char *image_ref, const char *index_digest,
                     struct err *err)
{
    int rc = oci_reference_parse(image_ref, &target->reference, err);

    if (rc < 0)
        return rc;
    target->image_ref = text_copy(image_ref);
    target->repository = text_format("%s/%s", target->reference.host, target->reference.repository);
    target->index_digest = text_copy(index_digest);
    if (target->image_ref == NULL || target->repository == NULL || target->index_digest == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    return 0;
}

int lazy_target_copy(struct lazy_target *to, const struct lazy_target *from)
{
    struct lazy_target copy = *from;

    copy.image_ref = copy.repository = copy.index_digest = NULL;
    copy.reference = (struct oci_reference){.host = NULL};
    *to = (struct lazy_target){.image_ref = NULL};
    if (set_image(&copy, from->image_ref, from->index_digest, NULL) < 0) {
        lazy_target_fini(&copy);
        return -ENOMEM;
    }
    *to = copy;
    return 0;
}

const char *lazy_label(const struct text_map *labels, const char *key)
{
    const char *value = text_map_get(labels, key);

    return value == NULL ? "" : value;
}

/* An absent digest is no fault of anyone's: the client does not ask for lazy loading. A malformed
 * one is. */
static int read_digest(const struct text_map *labels, const char *key, struct digest *ret,
                       struct err *err)
{
    const char *value = lazy_label(labels, key);

    if (value[0] == '\0')
        return err_set(err, -ENOENT, "the client did not send label %s", key);
    return digest_parse(value, ret, err) < 0 ? err_prefix(err, -EINVAL, "label %s", key) : 0;
}

static int read_bytes(const struct text_map *labels, const char *key, uint64_t *ret,
                      struct err *err)
{
    const char *value = lazy_label(labels, key);

    if (value[0] == '\0' || text_parse_u64(value, ret) == 0)
        return 0;
    return err_set(err, -EINVAL, "label %s: not a number: \"%s\"", key, value);
}

static int read_image(const struct text_map *labels, struct lazy_target *target, struct err *err)
{
    const char *image_ref = lazy_label(labels, SNAPSHOT_LABEL_IMAGE);
    int rc;

    if (image_ref[0] == '\0')
        return err_set(err, -ENOENT, "the client did not send label " SNAPSHOT_LABEL_IMAGE);
    rc = set_image(target, image_ref, lazy_label(labels, LABEL_INDEX), err);
    return rc == -ENOMEM || rc == 0 ? rc : err_prefix(err, -EINVAL, "label " SNAPSHOT_LABEL_IMAGE);
}

/* Of a row. It is only shown, so what makes no sense is as good as none. */
static void read_used_index(const struct text_map *labels, struct lazy_target *target)
{
    struct err ignored = ERR_NONE;

    target->has_index =
        digest_parse(lazy_label(labels, LABEL_USED_INDEX), &target->index, &ignored) == 0;
}

static int read_common(const struct text_map *labels, struct lazy_target *target, struct err *err)
{
    int rc = read_image(labels, target, err);

    read_used_index(labels, target);
    if (rc == 0)
        rc = read_digest(labels, LABEL_MANIFEST, &target->manifest, err);
    if (rc == 0)
        rc = read_digest(labels, SNAPSHOT_LABEL_LAYER, &target->layer, err);
    if (rc == 0)
        rc = read_bytes(labels, LABEL_LAYER_BYTES, &target->layer_bytes, err);
    return rc;
}

int lazy_target_from_prepare(const struct text_map *labels, struct lazy_target *ret,
                             struct err *err)
{
    SCOPED(lazy_target) struct lazy_target target = {.image_ref = NULL};
    int rc = read_common(labels, &target, err);

    if (rc < 0)
        return rc;
    *ret = target;
    target = (struct lazy_target){.image_ref = NULL};
    return 0;
}

int lazy_target_from_row(const struct text_map *labels, struct lazy_target *ret, struct err *err)
{
    SCOPED(lazy_target) struct lazy_target target = {.image_ref = NULL};
    int rc = read_common(labels, &target, err);

    if (rc == 0)
        rc = read_digest(labels, LABEL_ZTOC, &target.ztoc, err);
    if (rc == 0)
        rc = read_bytes(labels, LABEL_ZTOC_BYTES, &target.ztoc_bytes, err);
    if (rc < 0)
        return rc;
    target.disable_xattrs = text_map_get(labels, LABEL_NO_XATTRS) != NULL;
    lazy_claim_of_row(labels, &target.claim);
    *ret = target;
    target = (struct lazy_target){.image_ref = NULL};
    return 0;
}

int lazy_label_set_digest(struct text_map *labels, const char *key, const struct digest *digest)
{
    char text[DIGEST_TEXT_BYTES];

    digest_format(digest, text);
    return text_map_set(labels, key, text);
}

static int set_bytes(struct text_map *labels, const char *key, uint64_t bytes)
{
    SCOPED(mem) char *text = text_format("%llu", (unsigned long long)bytes);

    return text == NULL ? -ENOMEM : text_map_set(labels, key, text);
}

int lazy_target_add_found(const struct lazy_target *target, const char *namespace_,
                          struct text_map *labels)
{
    int rc = text_map_set(labels, SNAPSHOT_LABEL_NAMESPACE, namespace_);

    if (rc == 0 && target->layer_bytes > 0)
        rc = set_bytes(labels, LABEL_LAYER_BYTES, target->layer_bytes);
    if (rc == 0 && target->has_index)
        rc = lazy_label_set_digest(labels, LABEL_USED_INDEX, &target->index);
    return rc;
}

bool lazy_label_has_index(const struct text_map *found)
{
    return text_map_get(found, LABEL_USED_INDEX) != NULL;
}

int lazy_target_add_labels(const struct lazy_target *target, const char *namespace_,
                           struct text_map *labels)
{
    int rc = text_map_set(labels, SNAPSHOT_LABEL_IMAGE, target->image_ref);

    if (rc == 0)
        rc = lazy_label_set_digest(labels, LABEL_MANIFEST, &target->manifest);
    if (rc == 0)
        rc = lazy_label_set_digest(labels, SNAPSHOT_LABEL_LAYER, &target->layer);
    if (rc == 0)
        rc = lazy_label_set_digest(labels, LABEL_ZTOC, &target->ztoc);
    if (rc == 0)
        rc = set_bytes(labels, LABEL_ZTOC_BYTES, target->ztoc_bytes);
    if (rc == 0 && target->disable_xattrs)
        rc = text_map_set(labels, LABEL_NO_XATTRS, "true");
    if (rc == 0)
        rc = lazy_claim_add_labels(&target->claim, labels);
    if (rc == 0)
        rc = text_map_set(labels, SNAPSHOT_LABEL_OURS, "true");
    if (rc == 0)
        rc = lazy_target_add_found(target, namespace_, labels);
    return rc;
}
