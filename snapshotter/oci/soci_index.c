/* SPDX-License-Identifier: Apache-2.0 */
/* soci_index.c – the SOCI index: a manifest whose layers are ztocs (docs/soci-index.md). */
#include "oci/internal.h"

#include <errno.h>

#define ANNOTATION_LAYER_DIGEST "com.amazon.soci.image-layer-digest"
#define ANNOTATION_LAYER_MEDIA_TYPE "com.amazon.soci.image-layer-mediaType"
#define ANNOTATION_SPAN_SIZE "com.amazon.soci.span-size"
#define ANNOTATION_DISABLE_XATTRS "com.amazon.soci.disable-xattrs"
#define ANNOTATION_BUILD_TOOL "com.amazon.soci.build-tool-identifier"

/* The config of every SOCI index is the two bytes {}. */
#define EMPTY_CONFIG_DIGEST                                                                        \
    "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
enum { EMPTY_CONFIG_BYTES = 2 };

void soci_index_free(struct soci_index *index)
{
    if (index == NULL)
        return;
    for (size_t i = 0; i < index->ztoc_count; i++)
        free(index->ztocs[i].layer_media_type);
    free(index->ztocs);
    free(index->prefetches);
    free(index->subject_media_type);
    free(index->build_tool);
    free(index);
}

const struct soci_index_ztoc *soci_index_find(const struct soci_index *index,
                                              const struct digest *layer)
{
    for (size_t i = 0; i < index->ztoc_count; i++) {
        if (digest_equal(&index->ztocs[i].layer, layer))
            return &index->ztocs[i];
    }
    return NULL;
}

const struct soci_index_prefetch *soci_index_find_prefetch(const struct soci_index *index,
                                                           const struct digest *layer)
{
    for (size_t i = 0; i < index->prefetch_count; i++) {
        if (digest_equal(&index->prefetches[i].layer, layer))
            return &index->prefetches[i];
    }
    return NULL;
}

/* ---- reading --------------------------------------------------------------------------------- */

static int read_version(const char *media_type, int *ret, struct err *err)
{
    if (strcmp(media_type, SOCI_MEDIA_INDEX_V1) == 0)
        *ret = 1;
    else if (strcmp(media_type, SOCI_MEDIA_INDEX_V2) == 0)
        *ret = 2;
    else
        return err_set(err, -EBADMSG, "unknown index version: %s", media_type);
    return 0;
}

static int read_span_size(const struct text_map *annotations, uint64_t *ret, struct err *err)
{
    const char *text = text_map_get(annotations, ANNOTATION_SPAN_SIZE);

    *ret = 0;
    if (text != NULL && text_parse_u64(text, ret) < 0)
        return err_set(err, -EBADMSG, ANNOTATION_SPAN_SIZE " is no number");
    return 0;
}

static int read_ztoc(const struct oci_descriptor *desc, struct soci_index_ztoc *ret,
                     struct err *err)
{
    const char *layer = text_map_get(&desc->annotations, ANNOTATION_LAYER_DIGEST);
    const char *media_type = text_map_get(&desc->annotations, ANNOTATION_LAYER_MEDIA_TYPE);
    const char *no_xattrs = text_map_get(&desc->annotations, ANNOTATION_DISABLE_XATTRS);
    int rc;

    if (layer == NULL)
        return err_set(err, -EBADMSG, "no " ANNOTATION_LAYER_DIGEST);
    rc = digest_parse(layer, &ret->layer, err);
    if (rc < 0)
        return err_prefix(err, -EBADMSG, ANNOTATION_LAYER_DIGEST);
    rc = read_span_size(&desc->annotations, &ret->span_size, err);
    if (rc < 0)
        return rc;
    ret->ztoc = desc->digest;
    ret->ztoc_bytes = desc->size_bytes;
    ret->disable_xattrs = no_xattrs != NULL && strcmp(no_xattrs, "true") == 0;
    ret->layer_media_type = text_copy(media_type);
    if (media_type != NULL && ret->layer_media_type == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    return 0;
}

/* One that does not say whose it is is of no use, and does no harm. */
static void read_prefetch(const struct oci_descriptor *desc, struct soci_index *index)
{
    struct soci_index_prefetch *prefetch = &index->prefetches[index->prefetch_count];
    const char *layer = text_map_get(&desc->annotations, ANNOTATION_LAYER_DIGEST);

    if (layer == NULL || digest_parse(layer, &prefetch->layer, NULL) < 0)
        return;
    prefetch->artifact = desc->digest;
    prefetch->artifact_bytes = desc->size_bytes;
    index->prefetch_count++;
}

/* What is neither a ztoc nor a prefetch artifact (whatever an index may hold one day) is passed
 * over. */
static int read_ztocs(const struct oci_manifest *manifest, struct soci_index *index,
                      struct err *err)
{
    if (manifest->layer_count == 0)
        return 0;
    index->ztocs = calloc(manifest->layer_count, sizeof(*index->ztocs));
    index->prefetches = calloc(manifest->layer_count, sizeof(*index->prefetches));
    if (index->ztocs == NULL || index->prefetches == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    for (size_t i = 0; i < manifest->layer_count; i++) {
        int rc;

        if (strcmp(manifest->layers[i].media_type, SOCI_MEDIA_PREFETCH) == 0)
            read_prefetch(&manifest->layers[i], index);
        if (strcmp(manifest->layers[i].media_type, OCI_MEDIA_OCTETS) != 0)
            continue;
        rc = read_ztoc(&manifest->layers[i], &index->ztocs[index->ztoc_count], err);
        if (rc < 0)
            return err_prefix(err, rc, "layers[%zu]", i);
        index->ztoc_count++;
    }
    return 0;
}

static int read_subject(struct oci_manifest *manifest, struct soci_index *index, struct err *err)
{
    index->has_subject = manifest->subject != NULL;
    if (!index->has_subject)
        return index->version == 1 ? err_set(err, -EBADMSG, "no subject") : 0;
    index->subject_media_type = TAKE(manifest->subject->media_type);
    index->subject = manifest->subject->digest;
    index->subject_bytes = manifest->subject->size_bytes;
    return 0;
}

static int read_build_tool(const struct oci_manifest *manifest, struct soci_index *index,
                           struct err *err)
{
    const char *tool = text_map_get(&manifest->annotations, ANNOTATION_BUILD_TOOL);

    index->build_tool = text_copy(tool);
    return tool != NULL && index->build_tool == NULL ? err_set(err, -ENOMEM, "out of memory") : 0;
}

int soci_index_parse(struct bytes json, struct soci_index **ret, struct err *err)
{
    SCOPED(oci_manifest) struct oci_manifest *manifest = NULL;
    SCOPED(soci_index) struct soci_index *index = calloc(1, sizeof(*index));
    int rc;

    if (index == NULL)
        return err_set(err, -ENOMEM, "SOCI index: out of memory");
    rc = oci_manifest_parse(json, &manifest, err);
    if (rc == 0)
        rc = read_version(manifest->config.media_type, &index->version, err);
    if (rc == 0)
        rc = read_ztocs(manifest, index, err);
    if (rc == 0)
        rc = read_subject(manifest, index, err);
    if (rc == 0)
        rc = read_build_tool(manifest, index, err);
    if (rc < 0)
        return err_prefix(err, rc, "SOCI index");
    *ret = TAKE(index);
    return 0;
}

/* ---- writing --------------------------------------------------------------------------------- */

static int put_plain(struct buf *out, const char *media_type, const struct digest *digest,
                     uint64_t size_bytes)
{
    SCOPED(oci_descriptor)
    struct oci_descriptor desc = {.digest = *digest, .size_bytes = size_bytes};

    desc.media_type = text_copy(media_type == NULL ? "" : media_type);
    return desc.media_type == NULL ? -ENOMEM : oci_put_descriptor(out, &desc);
}

static int set_annotations(struct text_map *map, const struct soci_index_ztoc *ztoc)
{
    char layer[DIGEST_TEXT_BYTES];
    SCOPED(mem) char *span_size = text_format("%llu", (unsigned long long)ztoc->span_size);
    int rc = span_size == NULL ? -ENOMEM : 0;

    digest_format(&ztoc->layer, layer);
    if (rc == 0)
        rc = text_map_set(map, ANNOTATION_LAYER_DIGEST, layer);
    if (rc == 0 && ztoc->layer_media_type != NULL)
        rc = text_map_set(map, ANNOTATION_LAYER_MEDIA_TYPE, ztoc->layer_media_type);
    if (rc == 0 && ztoc->span_size != 0)
        rc = text_map_set(map, ANNOTATION_SPAN_SIZE, span_size);
    if (rc == 0 && ztoc->disable_xattrs)
        rc = text_map_set(map, ANNOTATION_DISABLE_XATTRS, "true");
    return rc;
}

static int put_ztoc(struct buf *out, const struct soci_index_ztoc *ztoc)
{
    SCOPED(oci_descriptor)
    struct oci_descriptor desc = {.digest = ztoc->ztoc, .size_bytes = ztoc->ztoc_bytes};
    int rc;

    desc.media_type = strdup(OCI_MEDIA_OCTETS);
    if (desc.media_type == NULL)
        return -ENOMEM;
    rc = set_annotations(&desc.annotations, ztoc);
    return rc == 0 ? oci_put_descriptor(out, &desc) : rc;
}

static int put_prefetch(struct buf *out, const struct soci_index_prefetch *prefetch)
{
    SCOPED(oci_descriptor)
    struct oci_descriptor desc = {.digest = prefetch->artifact,
                                  .size_bytes = prefetch->artifact_bytes};
    char layer[DIGEST_TEXT_BYTES];
    int rc;

    desc.media_type = text_copy(SOCI_MEDIA_PREFETCH);
    if (desc.media_type == NULL)
        return -ENOMEM;
    digest_format(&prefetch->layer, layer);
    rc = text_map_set(&desc.annotations, ANNOTATION_LAYER_DIGEST, layer);
    return rc == 0 ? oci_put_descriptor(out, &desc) : rc;
}

static int put_layers(struct buf *out, const struct soci_index *index)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < index->ztoc_count; i++) {
        rc = i == 0 ? 0 : buf_add_byte(out, ',');
        if (rc == 0)
            rc = put_ztoc(out, &index->ztocs[i]);
    }
    for (size_t i = 0; rc == 0 && i < index->prefetch_count; i++) {
        rc = i == 0 && index->ztoc_count == 0 ? 0 : buf_add_byte(out, ',');
        if (rc == 0)
            rc = put_prefetch(out, &index->prefetches[i]);
    }
    return rc;
}

static int put_config(struct buf *out, int version)
{
    struct digest digest;
    int rc = digest_parse(EMPTY_CONFIG_DIGEST, &digest, NULL);

    return rc < 0 ? rc
                  : put_plain(out, version == 1 ? SOCI_MEDIA_INDEX_V1 : SOCI_MEDIA_INDEX_V2,
                              &digest, EMPTY_CONFIG_BYTES);
}

static int put_build_tool(struct buf *out, const char *build_tool)
{
    SCOPED(text_map) struct text_map annotations = TEXT_MAP_EMPTY;
    int rc;

    if (build_tool == NULL)
        return 0;
    rc = text_map_set(&annotations, ANNOTATION_BUILD_TOOL, build_tool);
    return rc == 0 ? oci_put_annotations(out, &annotations) : rc;
}

static int put_soci_index(struct buf *out, const struct soci_index *index)
{
    int rc = buf_add_str(out, "{\"schemaVersion\":2,\"mediaType\":\"" OCI_MEDIA_MANIFEST
                              "\",\"config\":");

    if (rc == 0)
        rc = put_config(out, index->version);
    if (rc == 0)
        rc = buf_add_str(out, ",\"layers\":[");
    if (rc == 0)
        rc = put_layers(out, index);
    if (rc == 0)
        rc = buf_add_byte(out, ']');
    if (rc == 0 && index->has_subject) {
        rc = buf_add_str(out, ",\"subject\":");
        if (rc == 0)
            rc = put_plain(out, index->subject_media_type, &index->subject, index->subject_bytes);
    }
    if (rc == 0)
        rc = put_build_tool(out, index->build_tool);
    return rc == 0 ? buf_add_byte(out, '}') : rc;
}

int soci_index_encode(const struct soci_index *index, struct buf *ret, struct err *err)
{
    size_t before = ret->len;
    int rc;

    if (index->version != 1 && index->version != 2)
        return err_set(err, -EINVAL, "SOCI index: version %d", index->version);
    rc = put_soci_index(ret, index);
    if (rc < 0) {
        ret->len = before;
        return err_sys(err, rc, "SOCI index");
    }
    return 0;
}
