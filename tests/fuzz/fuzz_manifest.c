/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_manifest.c – the same bytes as an image manifest, an index, a SOCI index and a prefetch
 * artifact. What parses as one of the latter three is written, parsed and written again: both
 * writings must be the same. */
#include "oci/oci.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool condition)
{
    if (!condition)
        abort();
}

static void try_manifest(struct bytes json)
{
    SCOPED(oci_manifest) struct oci_manifest *manifest = NULL;
    struct err err = ERR_NONE;

    if (oci_manifest_parse(json, &manifest, &err) < 0)
        return;
    for (size_t i = 0; i < manifest->layer_count; i++) {
        (void)oci_layer_compression(manifest->layers[i].media_type);
        (void)oci_layer_compression_word(manifest->layers[i].media_type);
    }
}

/* Escapes make a text up to six times as long, and more than OCI_MANIFEST_MAX_BYTES is not read
 * back. */
static bool is_readable(const struct buf *text)
{
    return text->len <= OCI_MANIFEST_MAX_BYTES;
}

static void try_index(struct bytes json)
{
    SCOPED(oci_index) struct oci_index *index = NULL, *again = NULL;
    SCOPED(buf_value) struct buf first = BUF_EMPTY, second = BUF_EMPTY;
    struct oci_platform any = {.os = NULL};
    struct err err = ERR_NONE;

    if (oci_index_parse(json, &index, &err) < 0)
        return;
    for (size_t i = 0; i < index->manifest_count; i++)
        (void)oci_platform_matches(&index->manifests[i].platform, &any);
    must(oci_index_encode(index, &first, &err) == 0);
    if (!is_readable(&first))
        return;
    must(oci_index_parse(buf_bytes(&first), &again, &err) == 0);
    must(again->manifest_count == index->manifest_count);
    must(oci_index_encode(again, &second, &err) == 0);
    must(bytes_equal(buf_bytes(&first), buf_bytes(&second)));
}

static void try_prefetch(struct bytes json)
{
    SCOPED(soci_prefetch) struct soci_prefetch prefetch = {.ranges = NULL};
    SCOPED(soci_prefetch) struct soci_prefetch again = {.ranges = NULL};
    SCOPED(buf_value) struct buf first = BUF_EMPTY, second = BUF_EMPTY;
    struct err err = ERR_NONE;

    if (soci_prefetch_parse(json, &prefetch, &err) < 0)
        return;
    must(soci_prefetch_encode(&prefetch, &first, &err) == 0);
    must(soci_prefetch_parse(buf_bytes(&first), &again, &err) == 0);
    must(soci_prefetch_encode(&again, &second, &err) == 0);
    must(bytes_equal(buf_bytes(&first), buf_bytes(&second)));
}

static void try_soci_index(struct bytes json)
{
    SCOPED(soci_index) struct soci_index *index = NULL, *again = NULL;
    SCOPED(buf_value) struct buf first = BUF_EMPTY, second = BUF_EMPTY;
    struct err err = ERR_NONE;

    if (soci_index_parse(json, &index, &err) < 0)
        return;
    must(soci_index_encode(index, &first, &err) == 0);
    if (!is_readable(&first))
        return;
    must(soci_index_parse(buf_bytes(&first), &again, &err) == 0);
    must(again->ztoc_count == index->ztoc_count);
    must(soci_index_encode(again, &second, &err) == 0);
    must(bytes_equal(buf_bytes(&first), buf_bytes(&second)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes json = bytes_of(data, size);

    try_manifest(json);
    try_index(json);
    try_prefetch(bytes_of(data, size));
    try_soci_index(json);
    return 0;
}
