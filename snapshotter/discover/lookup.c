/* SPDX-License-Identifier: Apache-2.0 */
/* lookup.c – in which order a registry is asked for the index of an image, and what counts as one.
 */
#include "discover/internal.h"

#include "base/log.h"

#include <errno.h>
#include <string.h>

/* The registry does not answer, or not us: asking it more questions would only cost time. */
static bool is_out_of_reach(int rc)
{
    return rc == -EACCES || rc == -ETIMEDOUT || rc == -EIO || rc == -EAGAIN || rc == -ECANCELED ||
           rc == -ENOMEM;
}

/* The index manifest from the store, else from the registry and into the store. A disk that cannot
 * take it is no reason to do without. */
static int read_manifest(const struct lookup *l, const struct digest *digest, struct buf *ret,
                         struct err *err)
{
    char text[DIGEST_TEXT_BYTES];
    struct err unkept = ERR_NONE;
    int rc;

    if (store_blob_read(l->store, digest, OCI_MANIFEST_MAX_BYTES, ret, NULL) == 0)
        return 0;
    ret->len = 0;
    digest_format(digest, text);
    rc = l->registry->get_manifest(l->repo, text, ret, NULL, err);
    if (rc < 0)
        return rc;
    if (store_blob_put(l->store, digest, buf_bytes(ret), &unkept) < 0)
        log_warn("SOCI index not kept on disk", "index=%s err=%s", text, err_text(&unkept));
    return 0;
}

static bool has_layer(const struct oci_manifest *image, const struct digest *layer)
{
    for (size_t i = 0; i < image->layer_count; i++) {
        if (digest_equal(&image->layers[i].digest, layer))
            return true;
    }
    return false;
}

/* An index without a single layer of the image is one of another image, and would make us unpack
 * all layers ourselves. `image` NULL: it could not be read. */
static int check_layers(const struct soci_index *index, const struct oci_manifest *image,
                        struct err *err)
{
    if (index->ztoc_count == 0)
        return err_set(err, -EBADMSG, "it names no ztoc");
    for (size_t i = 0; image != NULL && i < index->ztoc_count; i++) {
        if (has_layer(image, &index->ztocs[i].layer))
            return 0;
    }
    return image == NULL ? 0 : err_set(err, -EBADMSG, "it names no layer of the image");
}

static int load_index(const struct lookup *l, const struct digest *digest,
                      const struct oci_manifest *image, struct soci_index **ret, struct err *err)
{
    SCOPED(buf_value) struct buf json = BUF_EMPTY;
    SCOPED(soci_index) struct soci_index *index = NULL;
    char text[DIGEST_TEXT_BYTES];
    int rc;

    digest_format(digest, text);
    rc = read_manifest(l, digest, &json, err);
    if (rc == 0)
        rc = soci_index_parse(buf_bytes(&json), &index, err);
    if (rc == 0)
        rc = check_layers(index, image, err);
    if (rc < 0)
        (void)err_prefix(err, rc, "index %s", text);
    else
        *ret = TAKE(index);
    return rc;
}

static int read_image_manifest(const struct lookup *l, struct oci_manifest **ret, struct err *err)
{
    SCOPED(buf_value) struct buf json = BUF_EMPTY;
    char text[DIGEST_TEXT_BYTES];
    int rc;

    digest_format(&l->manifest, text);
    rc = l->registry->get_manifest(l->repo, text, &json, NULL, err);
    if (rc == 0)
        rc = oci_manifest_parse(buf_bytes(&json), ret, err);
    return rc < 0 ? err_prefix(err, rc, "image manifest %s", text) : 0;
}

static int find_v2(const struct lookup *l, struct discover_index *ret, struct err *err)
{
    const char *named;

    named = text_map_get(&ret->manifest->annotations, SOCI_ANNOTATION_INDEX);
    if (named == NULL || named[0] == '\0')
        return err_set(err, -ENOENT, "the image manifest names no SOCI index");
    if (digest_parse(named, &ret->digest, err) < 0)
        return err_prefix(err, -EBADMSG, "annotation " SOCI_ANNOTATION_INDEX);
    return load_index(l, &ret->digest, ret->manifest, &ret->index, err);
}

/* One referrer: it must be for this image, whatever the registry's list says. */
static int load_referrer(const struct lookup *l, const struct oci_descriptor *desc,
                         const struct oci_manifest *image, struct soci_index **ret, struct err *err)
{
    SCOPED(soci_index) struct soci_index *index = NULL;
    int rc = load_index(l, &desc->digest, image, &index, err);

    if (rc < 0)
        return rc;
    if (index->has_subject && !digest_equal(&index->subject, &l->manifest)) {
        char text[DIGEST_TEXT_BYTES];

        digest_format(&desc->digest, text);
        return err_set(err, -EBADMSG, "index %s: it is for another image", text);
    }
    *ret = TAKE(index);
    return 0;
}

/* Clients append to a referrers tag, so its last entry is the newest. The order of the API's answer
 * says nothing: it is kept. */
static int find_v1(const struct lookup *l, struct discover_index *ret, struct err *err)
{
    SCOPED(oci_index) struct oci_index *list = NULL;
    bool from_tag = false;
    size_t tries;
    int rc = l->registry->get_referrers(l->repo, &l->manifest, SOCI_MEDIA_INDEX_V1, &list,
                                        &from_tag, err);

    if (rc < 0)
        return err_prefix(err, rc, "referrers");
    rc = err_set(err, -ENOENT, "the image has no SOCI index");
    tries = list->manifest_count < DISCOVER_CANDIDATES_MAX ? list->manifest_count
                                                           : DISCOVER_CANDIDATES_MAX;
    for (size_t i = 0; i < tries; i++) {
        size_t at = from_tag ? list->manifest_count - 1 - i : i;

        ret->digest = list->manifests[at].digest;
        rc = load_referrer(l, &list->manifests[at], ret->manifest, &ret->index, err);
        if (rc == 0 || is_out_of_reach(rc))
            return rc;
        log_debug("SOCI index passed over", "err=%s", err_text(err));
    }
    return rc;
}

/* The image's manifest is read even if only v2 needs it to find the index: it knows the sizes of
 * the layers and which one is the lowest. */
int lookup_run(const struct lookup *l, struct discover_index *ret, struct err *err)
{
    bool is_named = l->index_digest[0] != '\0';
    int rc;

    if (is_named && digest_parse(l->index_digest, &ret->digest, err) < 0)
        return err_prefix(err, -EINVAL, "the index that the client names");
    if (!is_named && !l->v1_enabled && !l->v2_enabled)
        return err_set(err, -ENOENT, "both ways to find a SOCI index are switched off");
    rc = read_image_manifest(l, &ret->manifest, err);
    if (is_out_of_reach(rc))
        return rc;
    if (is_named)
        return load_index(l, &ret->digest, ret->manifest, &ret->index, err);
    if (rc == 0)
        rc = l->v2_enabled ? find_v2(l, ret, err) : -ENOENT;
    if (l->v1_enabled && rc < 0 && !is_out_of_reach(rc))
        rc = find_v1(l, ret, err);
    return rc;
}
