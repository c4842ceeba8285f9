/* SPDX-License-Identifier: Apache-2.0 */
/* enable.c – an image comes to name its SOCI indexes (v2, docs/soci-index.md): its manifests do so
 * in an annotation, and its list has the indexes beside them. */
#include "oci/internal.h"

#include <errno.h>

#define ANNOTATION_ATTESTED "vnd.docker.reference.digest"
#define MEDIA_CONFIG "application/vnd.oci.image.config.v1+json"
#define MEDIA_DOCKER_CONFIG "application/vnd.docker.container.image.v1+json"

/* ---- trees ----------------------------------------------------------------------------------- */

/* `item` becomes the member `name`, whatever that was; it is taken in any case. NULL: -ENOMEM. */
static int set_item(cJSON *object, const char *name, cJSON *item)
{
    if (item == NULL)
        return -ENOMEM;
    cJSON_DeleteItemFromObjectCaseSensitive(object, name);
    if (cJSON_AddItemToObject(object, name, item))
        return 0;
    cJSON_Delete(item);
    return -ENOMEM;
}

static int set_string(cJSON *object, const char *name, const char *value)
{
    return set_item(object, name, cJSON_CreateString(value));
}

static int set_digest(cJSON *object, const char *name, const struct digest *digest)
{
    char text[DIGEST_TEXT_BYTES];

    digest_format(digest, text);
    return set_string(object, name, text);
}

/* The object `name` in `object`, made when there is none. NULL: out of memory. */
static cJSON *get_map(cJSON *object, const char *name)
{
    cJSON *map = cJSON_GetObjectItemCaseSensitive(object, name);

    if (cJSON_IsObject(map))
        return map;
    return set_item(object, name, cJSON_CreateObject()) < 0
               ? NULL
               : cJSON_GetObjectItemCaseSensitive(object, name);
}

static bool is_digest(const cJSON *item, const struct digest *digest)
{
    char text[DIGEST_TEXT_BYTES];

    digest_format(digest, text);
    return cJSON_IsString(item) && strcmp(item->valuestring, text) == 0;
}

/* ---- one manifest ---------------------------------------------------------------------------- */

static int enable_manifest(cJSON *tree, const struct digest *index)
{
    cJSON *config = cJSON_GetObjectItemCaseSensitive(tree, "config");
    const cJSON *type = cJSON_GetObjectItemCaseSensitive(config, "mediaType");
    cJSON *annotations;
    int rc = set_string(tree, "mediaType", OCI_MEDIA_MANIFEST);

    if (rc == 0 && cJSON_IsString(type) && strcmp(type->valuestring, MEDIA_DOCKER_CONFIG) == 0)
        rc = set_string(config, "mediaType", MEDIA_CONFIG);
    if (rc < 0 || index == NULL)
        return rc;
    annotations = get_map(tree, "annotations");
    return annotations == NULL ? -ENOMEM : set_digest(annotations, SOCI_ANNOTATION_INDEX, index);
}

int soci_enable_manifest(struct bytes json, const struct digest *index, struct buf *ret,
                         struct err *err)
{
    SCOPED(oci_manifest) struct oci_manifest *checked = NULL;
    SCOPED(json) cJSON *tree = NULL;
    size_t before = ret->len;
    int rc = oci_manifest_parse(json, &checked, err);

    if (rc == 0)
        rc = json_read(json, &tree, err);
    if (rc < 0)
        return rc;
    if (enable_manifest(tree, index) < 0 || oci_spell_manifest(ret, tree) < 0) {
        ret->len = before;
        return err_set(err, -ENOMEM, "manifest: out of memory");
    }
    return 0;
}

/* ---- the list of manifests ------------------------------------------------------------------- */

static int add_annotations(cJSON *entry, const struct text_map *annotations)
{
    cJSON *map = annotations->count == 0 ? NULL : get_map(entry, "annotations");
    int rc = annotations->count > 0 && map == NULL ? -ENOMEM : 0;

    for (size_t i = 0; rc == 0 && i < annotations->count; i++)
        rc = set_string(map, annotations->items[i].key, annotations->items[i].value);
    return rc;
}

/* What says of which manifest it is says so of the new one. */
static int follow(cJSON *entry, const char *name, const struct soci_enabled *to)
{
    cJSON *annotations = cJSON_GetObjectItemCaseSensitive(entry, "annotations");

    return is_digest(cJSON_GetObjectItemCaseSensitive(annotations, name), &to->from)
               ? set_digest(annotations, name, &to->to)
               : 0;
}

static int enable_entry(cJSON *entry, const struct soci_enabled *enabled, size_t count)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < count; i++) {
        rc = follow(entry, ANNOTATION_ATTESTED, &enabled[i]);
        if (rc == 0)
            rc = follow(entry, SOCI_ANNOTATION_MANIFEST, &enabled[i]);
    }
    for (size_t i = 0; rc == 0 && i < count; i++) {
        if (!is_digest(cJSON_GetObjectItemCaseSensitive(entry, "digest"), &enabled[i].from))
            continue;
        rc = set_digest(entry, "digest", &enabled[i].to);
        if (rc == 0)
            rc = set_item(entry, "size", cJSON_CreateNumber((double)enabled[i].to_bytes));
        if (rc == 0)
            rc = set_string(entry, "mediaType", OCI_MEDIA_MANIFEST);
        return rc == 0 ? add_annotations(entry, enabled[i].annotations) : rc;
    }
    return rc;
}

/* 1: it is; 0: it is not; -ENOMEM. */
static int is_index_for(const cJSON *entry, const struct oci_platform *platform)
{
    SCOPED(oci_descriptor) struct oci_descriptor desc = {.size_bytes = 0};
    struct err err = ERR_NONE;
    int rc = oci_descriptor_read(entry, &desc, &err);

    if (rc < 0)
        return rc;
    return desc.artifact_type != NULL && strcmp(desc.artifact_type, SOCI_MEDIA_INDEX_V2) == 0 &&
           oci_platform_equal(&desc.platform, platform);
}

static cJSON *parse_descriptor(const struct oci_descriptor *desc)
{
    SCOPED(buf_value) struct buf json = BUF_EMPTY;

    return oci_put_descriptor(&json, desc) < 0
               ? NULL
               : cJSON_ParseWithLength((const char *)json.data, json.len);
}

static cJSON *make_index_entry(const struct soci_listed *listed)
{
    char manifest[DIGEST_TEXT_BYTES];
    struct text_pair pair = {.key = (char[]){SOCI_ANNOTATION_MANIFEST}, .value = manifest};
    const struct oci_descriptor desc = {
        .media_type = (char[]){OCI_MEDIA_MANIFEST},
        .digest = listed->index,
        .size_bytes = listed->index_bytes,
        .annotations = {.items = &pair, .count = 1},
        .artifact_type = (char[]){SOCI_MEDIA_INDEX_V2},
        .platform = *listed->platform,
    };

    digest_format(&listed->manifest, manifest);
    return parse_descriptor(&desc);
}

/* The place of an older index for that platform; NULL: there is none. */
static int find_older(cJSON *manifests, const struct oci_platform *platform, cJSON **ret)
{
    cJSON *entry;
    int rc;

    *ret = NULL;
    cJSON_ArrayForEach(entry, manifests)
    {
        rc = is_index_for(entry, platform);
        if (rc < 0)
            return rc;
        if (rc == 1) {
            *ret = entry;
            return 0;
        }
    }
    return 0;
}

static int list_index(cJSON *manifests, const struct soci_listed *listed)
{
    cJSON *made, *older;
    int rc = find_older(manifests, listed->platform, &older);

    if (rc < 0)
        return rc;
    made = make_index_entry(listed);
    if (made == NULL)
        return -ENOMEM;
    if (older != NULL ? cJSON_ReplaceItemViaPointer(manifests, older, made)
                      : cJSON_AddItemToArray(manifests, made))
        return 0;
    cJSON_Delete(made);
    return -ENOMEM;
}

static int enable_list(cJSON *tree, const struct soci_enable *options)
{
    cJSON *manifests = cJSON_GetObjectItemCaseSensitive(tree, "manifests"), *entry;
    int rc = set_string(tree, "mediaType", OCI_MEDIA_INDEX);

    cJSON_ArrayForEach(entry, manifests)
    {
        if (rc == 0)
            rc = enable_entry(entry, options->enabled, options->enabled_count);
    }
    for (size_t i = 0; rc == 0 && i < options->listed_count; i++)
        rc = list_index(manifests, &options->listed[i]);
    return rc;
}

int soci_enable_list(struct bytes json, const struct soci_enable *options, struct buf *ret,
                     struct err *err)
{
    SCOPED(oci_index) struct oci_index *checked = NULL;
    SCOPED(json) cJSON *tree = NULL;
    size_t before = ret->len;
    int rc = oci_index_parse(json, &checked, err);

    if (rc == 0)
        rc = json_read(json, &tree, err);
    if (rc < 0)
        return rc;
    if (checked->manifest_count == 0)
        return err_set(err, -EBADMSG, "index: it lists nothing");
    if (enable_list(tree, options) < 0 || oci_spell_index(ret, tree) < 0) {
        ret->len = before;
        return err_set(err, -ENOMEM, "index: out of memory");
    }
    return 0;
}
