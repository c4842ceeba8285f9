/* SPDX-License-Identifier: Apache-2.0 */
/* index.c – image indexes: of platforms, or of what refers to a manifest. */
#include "oci/internal.h"

#include <errno.h>

bool oci_is_index(const char *media_type)
{
    return media_type != NULL && (strcmp(media_type, OCI_MEDIA_INDEX) == 0 ||
                                  strcmp(media_type, OCI_MEDIA_DOCKER_LIST) == 0);
}

void oci_index_free(struct oci_index *index)
{
    if (index == NULL)
        return;
    free(index->media_type);
    oci_descriptors_free(index->manifests, index->manifest_count);
    text_map_fini(&index->annotations);
    free(index);
}

struct oci_index *oci_index_new(void)
{
    SCOPED(oci_index) struct oci_index *index = calloc(1, sizeof(*index));

    if (index == NULL)
        return NULL;
    index->media_type = strdup(OCI_MEDIA_INDEX);
    return index->media_type == NULL ? NULL : TAKE(index);
}

/* Indexes are short and rarely added to: one more each time. */
static int make_room(struct oci_index *index)
{
    size_t count = index->manifest_count, total;
    void *bigger;

    if (__builtin_mul_overflow(count + 1, sizeof(*index->manifests), &total))
        return -ENOMEM;
    bigger = realloc(index->manifests, total);
    if (bigger == NULL)
        return -ENOMEM;
    index->manifests = bigger;
    return 0;
}

int oci_index_add(struct oci_index *index, const struct oci_descriptor *desc)
{
    SCOPED(oci_descriptor) struct oci_descriptor copy = {.size_bytes = 0};
    int rc;

    if (index->manifest_count >= OCI_ENTRIES_MAX)
        return -EFBIG;
    rc = oci_descriptor_copy(&copy, desc);
    if (rc == 0)
        rc = make_room(index);
    if (rc < 0)
        return rc;
    index->manifests[index->manifest_count++] = copy;
    memset(&copy, 0, sizeof(copy));
    return 0;
}

static int check_kind(const cJSON *tree, const struct oci_index *index, struct err *err)
{
    const cJSON *layers = NULL, *config = NULL;
    int rc = json_get(tree, "layers", &layers, err);

    if (rc == 0)
        rc = json_get(tree, "config", &config, err);
    if (rc < 0)
        return rc;
    if (layers != NULL || config != NULL || oci_is_manifest(index->media_type))
        return err_set(err, -EBADMSG, "a manifest where an index is expected");
    return oci_schema_check(tree, err);
}

static int read_members(const cJSON *tree, struct oci_index *index, struct err *err)
{
    int rc = json_take_string(tree, "mediaType", &index->media_type, err);

    if (rc == 0)
        rc = check_kind(tree, index, err);
    if (rc == 0)
        rc =
            oci_descriptors_read(tree, "manifests", &index->manifests, &index->manifest_count, err);
    if (rc == 0)
        rc = json_take_map(tree, "annotations", &index->annotations, err);
    return rc;
}

int oci_index_parse(struct bytes json, struct oci_index **ret, struct err *err)
{
    SCOPED(json) cJSON *tree = NULL;
    SCOPED(oci_index) struct oci_index *index = calloc(1, sizeof(*index));
    int rc;

    if (index == NULL)
        return err_set(err, -ENOMEM, "index: out of memory");
    rc = json_read(json, &tree, err);
    if (rc == 0)
        rc = read_members(tree, index, err);
    if (rc < 0)
        return err_prefix(err, rc, "index");
    *ret = TAKE(index);
    return 0;
}
