/* SPDX-License-Identifier: Apache-2.0 */
/* encode.c – JSON as Go's encoder writes it: its key order, its escapes, sorted maps, no spaces. */
#include "oci/internal.h"

#include <errno.h>

int oci_put_string(struct buf *out, const char *key, const char *value)
{
    int rc = text_add_json(out, bytes_of_str(key), true);

    if (rc == 0)
        rc = buf_add_byte(out, ':');
    if (rc == 0)
        rc = text_add_json(out, bytes_of_str(value == NULL ? "" : value), true);
    return rc;
}

int oci_put_annotations(struct buf *out, const struct text_map *annotations)
{
    SCOPED(text_map) struct text_map sorted = TEXT_MAP_EMPTY;
    int rc;

    if (annotations->count == 0)
        return 0;
    rc = text_map_copy(&sorted, annotations);
    if (rc < 0)
        return rc;
    text_map_sort(&sorted);
    rc = buf_add_str(out, ",\"annotations\":{");
    for (size_t i = 0; rc == 0 && i < sorted.count; i++) {
        rc = i == 0 ? 0 : buf_add_byte(out, ',');
        if (rc == 0)
            rc = oci_put_string(out, sorted.items[i].key, sorted.items[i].value);
    }
    return rc == 0 ? buf_add_byte(out, '}') : rc;
}

/* Left out when empty, as Go's omitempty. */
static int put_optional(struct buf *out, const char *key, const char *value)
{
    int rc;

    if (value == NULL || *value == '\0')
        return 0;
    rc = buf_add_byte(out, ',');
    return rc == 0 ? oci_put_string(out, key, value) : rc;
}

static int put_features(struct buf *out, const struct text_list *features)
{
    int rc;

    if (features->count == 0)
        return 0;
    rc = buf_add_str(out, ",\"os.features\":[");
    for (size_t i = 0; rc == 0 && i < features->count; i++) {
        rc = i == 0 ? 0 : buf_add_byte(out, ',');
        if (rc == 0)
            rc = text_add_json(out, bytes_of_str(features->items[i]), true);
    }
    return rc == 0 ? buf_add_byte(out, ']') : rc;
}

static int put_platform(struct buf *out, const struct oci_platform *platform)
{
    int rc;

    if (platform->os == NULL && platform->architecture == NULL)
        return 0;
    rc = buf_add_str(out, ",\"platform\":{");
    if (rc == 0)
        rc = oci_put_string(out, "architecture", platform->architecture);
    if (rc == 0)
        rc = buf_add_byte(out, ',');
    if (rc == 0)
        rc = oci_put_string(out, "os", platform->os);
    if (rc == 0)
        rc = put_optional(out, "os.version", platform->os_version);
    if (rc == 0)
        rc = put_features(out, &platform->os_features);
    if (rc == 0)
        rc = put_optional(out, "variant", platform->variant);
    return rc == 0 ? buf_add_byte(out, '}') : rc;
}

int oci_put_descriptor(struct buf *out, const struct oci_descriptor *desc)
{
    char digest[DIGEST_TEXT_BYTES];
    int rc = buf_add_byte(out, '{');

    digest_format(&desc->digest, digest);
    if (rc == 0)
        rc = oci_put_string(out, "mediaType", desc->media_type);
    if (rc == 0)
        rc = buf_addf(out, ",\"digest\":\"%s\",\"size\":%llu", digest,
                      (unsigned long long)desc->size_bytes);
    if (rc == 0)
        rc = oci_put_annotations(out, &desc->annotations);
    if (rc == 0)
        rc = put_platform(out, &desc->platform);
    if (rc == 0)
        rc = put_optional(out, "artifactType", desc->artifact_type);
    return rc == 0 ? buf_add_byte(out, '}') : rc;
}

static int put_index(struct buf *out, const struct oci_index *index)
{
    int rc = buf_add_str(out, "{\"schemaVersion\":2");

    if (rc == 0)
        rc = put_optional(out, "mediaType", index->media_type);
    if (rc == 0)
        rc = buf_add_str(out, ",\"manifests\":[");
    for (size_t i = 0; rc == 0 && i < index->manifest_count; i++) {
        rc = i == 0 ? 0 : buf_add_byte(out, ',');
        if (rc == 0)
            rc = oci_put_descriptor(out, &index->manifests[i]);
    }
    if (rc == 0)
        rc = buf_add_byte(out, ']');
    if (rc == 0)
        rc = oci_put_annotations(out, &index->annotations);
    return rc == 0 ? buf_add_byte(out, '}') : rc;
}

int oci_index_encode(const struct oci_index *index, struct buf *ret, struct err *err)
{
    size_t before = ret->len;

    if (put_index(ret, index) < 0) {
        ret->len = before;
        return err_set(err, -ENOMEM, "index: out of memory");
    }
    return 0;
}
