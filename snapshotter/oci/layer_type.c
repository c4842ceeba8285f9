/* SPDX-License-Identifier: Apache-2.0 */
/* layer_type.c – what a layer's media type says about its bytes (docs/soci-index.md). */
#include "oci/internal.h"

struct layer_type {
    const char *media_type;
    enum oci_compression compression;
    const char *word;
};

static const struct layer_type layer_types[] = {
    {"application/vnd.oci.image.layer.v1.tar", OCI_COMPRESSION_NONE, "uncompressed"},
    {"application/vnd.oci.image.layer.v1.tar+gzip", OCI_COMPRESSION_GZIP, "gzip"},
    {"application/vnd.oci.image.layer.v1.tar+zstd", OCI_COMPRESSION_UNSUPPORTED, "zstd"},
    {"application/vnd.oci.image.layer.nondistributable.v1.tar", OCI_COMPRESSION_UNSUPPORTED, ""},
    {"application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", OCI_COMPRESSION_GZIP, "gzip"},
    {"application/vnd.oci.image.layer.nondistributable.v1.tar+zstd", OCI_COMPRESSION_UNSUPPORTED,
     "zstd"},
    {"application/vnd.docker.image.rootfs.diff.tar", OCI_COMPRESSION_UNKNOWN, "unknown"},
    {"application/vnd.docker.image.rootfs.diff.tar.gzip", OCI_COMPRESSION_GZIP, "gzip"},
    {"application/vnd.docker.image.rootfs.diff.tar.zstd", OCI_COMPRESSION_UNSUPPORTED, "zstd"},
    {"application/vnd.docker.image.rootfs.foreign.diff.tar", OCI_COMPRESSION_UNKNOWN, "unknown"},
    {"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", OCI_COMPRESSION_GZIP, "gzip"},
    {"application/vnd.docker.image.rootfs.foreign.diff.tar.zstd", OCI_COMPRESSION_UNSUPPORTED,
     "zstd"},
    {SOCI_MEDIA_PREFETCH, OCI_COMPRESSION_PREFETCH, ""},
};

/* What is left: a layer type that is known, wrapped in something that is not (+encrypted …). */
static const struct layer_type wrapped = {"", OCI_COMPRESSION_UNSUPPORTED, ""};
static const struct layer_type no_layer = {"", OCI_COMPRESSION_NO_LAYER, ""};

static const struct layer_type *find_type(const char *media_type, size_t len)
{
    for (size_t i = 0; i < ARRAY_LEN(layer_types); i++) {
        const char *known = layer_types[i].media_type;
        if (strlen(known) == len && memcmp(known, media_type, len) == 0)
            return &layer_types[i];
    }
    return NULL;
}

static const struct layer_type *classify(const char *media_type)
{
    const struct layer_type *type;

    if (media_type == NULL)
        return &no_layer;
    type = find_type(media_type, strlen(media_type));
    if (type != NULL)
        return type;
    type = find_type(media_type, strcspn(media_type, "+"));
    return type == NULL || type->compression == OCI_COMPRESSION_PREFETCH ? &no_layer : &wrapped;
}

enum oci_compression oci_layer_compression(const char *media_type)
{
    return classify(media_type)->compression;
}

const char *oci_layer_compression_word(const char *media_type)
{
    return classify(media_type)->word;
}
