/* SPDX-License-Identifier: Apache-2.0 */
/* index.c – an index that was found, shared by those who asked. */
#include "discover/internal.h"

#include <stdlib.h>

struct discover_index *discover_index_ref(struct discover_index *index)
{
    (void)__atomic_add_fetch(&index->refs, 1, __ATOMIC_RELAXED);
    return index;
}

void discover_index_unref(struct discover_index *index)
{
    if (index == NULL || __atomic_sub_fetch(&index->refs, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    soci_index_free(index->index);
    oci_manifest_free(index->manifest);
    free(index);
}

const struct digest *discover_index_digest(const struct discover_index *index)
{
    return &index->digest;
}

const struct soci_index *discover_index_get(const struct discover_index *index)
{
    return index->index;
}

const struct oci_manifest *discover_index_manifest(const struct discover_index *index)
{
    return index->manifest;
}

uint64_t discover_index_layer_bytes(const struct discover_index *index, const struct digest *layer)
{
    const struct oci_manifest *manifest = index->manifest;

    for (size_t i = 0; manifest != NULL && i < manifest->layer_count; i++) {
        if (digest_equal(&manifest->layers[i].digest, layer))
            return manifest->layers[i].size_bytes;
    }
    return 0;
}
