/* SPDX-License-Identifier: Apache-2.0 */
/* reindex.c – an image whose manifest names its SOCI index (v2, docs/soci-index.md) comes to name
 * another one: the manifest, and the list that it is in, are written anew. */
#include "cli/reindex.h"

#include "containerd/containerd.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void tree_free(cJSON *tree)
{
    cJSON_Delete(tree);
}
DEFINE_SCOPED_PTR(tree, cJSON, tree_free)

/* ---- bytes ----------------------------------------------------------------------------------- */

static int parse(struct bytes json, cJSON **ret, struct err *err)
{
    *ret = cJSON_ParseWithLength((const char *)json.data, json.len);
    return *ret == NULL ? err_set(err, -EBADMSG, "no JSON") : 0;
}

static int print(const cJSON *tree, struct buf *ret, struct err *err)
{
    char *text = cJSON_PrintUnformatted(tree);
    int rc = text == NULL ? -ENOMEM : buf_add_str(ret, text);

    cJSON_free(text);
    return rc < 0 ? err_set(err, -ENOMEM, "out of memory") : 0;
}

static bool is_digest(const cJSON *item, const struct digest *digest)
{
    char text[DIGEST_TEXT_BYTES];

    digest_format(digest, text);
    return cJSON_IsString(item) && strcmp(item->valuestring, text) == 0;
}

/* The member `key` of `object`, which names `from`, names `to`. 1: it did; 0: it names something
 * else, or is not there; -ENOMEM. */
static int swap(cJSON *object, const char *key, const struct digest *from, const struct digest *to)
{
    char text[DIGEST_TEXT_BYTES];

    if (!is_digest(cJSON_GetObjectItemCaseSensitive(object, key), from))
        return 0;
    digest_format(to, text);
    return cJSON_ReplaceItemInObjectCaseSensitive(object, key, cJSON_CreateString(text)) ? 1
                                                                                         : -ENOMEM;
}

int cli_reindex_manifest(struct bytes json, const struct cli_reindex_change *change,
                         struct buf *ret, struct err *err)
{
    SCOPED(tree) cJSON *tree = NULL;
    int rc = parse(json, &tree, err);

    if (rc < 0)
        return rc;
    rc = swap(cJSON_GetObjectItemCaseSensitive(tree, "annotations"), SOCI_ANNOTATION_INDEX,
              &change->from_index, &change->to_index);
    if (rc == 0)
        return err_set(err, -EBADMSG, "the manifest names another index");
    return rc < 0 ? err_set(err, rc, "out of memory") : print(tree, ret, err);
}

static int swap_entry(cJSON *entry, const struct digest *from, const struct digest *to,
                      uint64_t to_bytes)
{
    int rc = swap(entry, "digest", from, to);

    if (rc == 1 && !cJSON_IsNumber(cJSON_GetObjectItemCaseSensitive(entry, "size")))
        return -EBADMSG;
    if (rc == 1 && !cJSON_ReplaceItemInObjectCaseSensitive(entry, "size",
                                                           cJSON_CreateNumber((double)to_bytes)))
        return -ENOMEM;
    return rc;
}

/* 1: it is the manifest's own entry. */
static int change_entry(cJSON *entry, const struct cli_reindex_change *change)
{
    cJSON *annotations = cJSON_GetObjectItemCaseSensitive(entry, "annotations");
    int rc = swap(annotations, SOCI_ANNOTATION_INDEX, &change->from_index, &change->to_index);

    if (rc >= 0)
        rc = swap(annotations, SOCI_ANNOTATION_MANIFEST, &change->from_manifest,
                  &change->to_manifest);
    if (rc >= 0)
        rc = swap_entry(entry, &change->from_index, &change->to_index, change->to_index_bytes);
    if (rc >= 0)
        rc = swap_entry(entry, &change->from_manifest, &change->to_manifest,
                        change->to_manifest_bytes);
    return rc;
}

int cli_reindex_list(struct bytes json, const struct cli_reindex_change *change, struct buf *ret,
                     struct err *err)
{
    SCOPED(tree) cJSON *tree = NULL;
    cJSON *entry;
    int found = 0, rc = parse(json, &tree, err);

    if (rc < 0)
        return rc;
    cJSON_ArrayForEach(entry, cJSON_GetObjectItemCaseSensitive(tree, "manifests"))
    {
        rc = change_entry(entry, change);
        if (rc < 0)
            return err_set(err, rc,
                           rc == -ENOMEM ? "out of memory" : "the list has an entry without size");
        found += rc;
    }
    return found == 0 ? err_set(err, -EBADMSG, "the image does not list the manifest")
                      : print(tree, ret, err);
}

/* ---- blobs ----------------------------------------------------------------------------------- */

/* Labels of the blob that `json` stands for, where they name what has changed, changed too. */
static int copy_labels(const struct cli_reindex *options, const struct digest *from,
                       const struct cli_reindex_change *change, struct text_map *ret,
                       struct err *err)
{
    SCOPED(containerd_content) struct containerd_content info = {.size_bytes = 0};
    char text[DIGEST_TEXT_BYTES], manifest[DIGEST_TEXT_BYTES], index[DIGEST_TEXT_BYTES];
    int rc;

    digest_format(from, text);
    rc = containerd_content_info(options->containerd, text, &info, err);
    if (rc < 0)
        return rc;
    digest_format(&change->from_manifest, manifest);
    digest_format(&change->from_index, index);
    for (size_t i = 0; rc == 0 && i < info.labels.count; i++) {
        const char *value = info.labels.items[i].value;

        if (strcmp(value, manifest) == 0)
            digest_format(&change->to_manifest, text);
        else if (strcmp(value, index) == 0)
            digest_format(&change->to_index, text);
        else
            text[0] = '\0';
        rc = text_map_set(ret, info.labels.items[i].key, text[0] == '\0' ? value : text);
    }
    return rc < 0 ? err_set(err, rc, "out of memory") : 0;
}

static int write_for(const struct cli_reindex *options, const struct digest *from,
                     const struct cli_reindex_change *change, struct bytes json, struct digest *ret,
                     struct err *err)
{
    SCOPED(text_map) struct text_map labels = TEXT_MAP_EMPTY;
    int rc = copy_labels(options, from, change, &labels, err);

    if (rc == 0 && digest_of(json, ret) < 0)
        rc = err_set(err, -ENOMEM, "out of memory");
    return rc < 0 ? rc : options->content.write(options->content.self, ret, json, &labels, err);
}

static int change_manifest(const struct cli_reindex *options, struct cli_reindex_change *change,
                           struct err *err)
{
    SCOPED(buf_value) struct buf json = BUF_EMPTY, fresh = BUF_EMPTY;
    int rc = cli_read_checked(options->containerd, &options->manifest, OCI_MANIFEST_MAX_BYTES,
                              &json, err);

    if (rc == 0)
        rc = cli_reindex_manifest(buf_bytes(&json), change, &fresh, err);
    change->to_manifest_bytes = fresh.len;
    return rc < 0 ? rc
                  : write_for(options, &options->manifest, change, buf_bytes(&fresh),
                              &change->to_manifest, err);
}

static int change_list(const struct cli_reindex *options, const struct cli_reindex_change *change,
                       const struct digest *list, struct digest *ret, uint64_t *ret_bytes,
                       struct err *err)
{
    SCOPED(buf_value) struct buf json = BUF_EMPTY, fresh = BUF_EMPTY;
    int rc = cli_read_checked(options->containerd, list, OCI_MANIFEST_MAX_BYTES, &json, err);

    if (rc == 0)
        rc = cli_reindex_list(buf_bytes(&json), change, &fresh, err);
    *ret_bytes = fresh.len;
    return rc < 0 ? rc : write_for(options, list, change, buf_bytes(&fresh), ret, err);
}

int cli_reindex(const struct cli_reindex *options, struct digest *ret, struct err *err)
{
    SCOPED(containerd_image) struct containerd_image record = CONTAINERD_IMAGE_NONE;
    struct cli_reindex_change change = {
        .from_manifest = options->manifest,
        .from_index = options->old_index,
        .to_index = options->new_index,
        .to_index_bytes = options->new_index_bytes,
    };
    char text[DIGEST_TEXT_BYTES];
    struct containerd_target target;
    struct digest top;
    int rc = containerd_image_get(options->containerd, options->image, &record, err);

    if (rc == 0)
        rc = digest_parse(record.digest, &top, err);
    if (rc == 0)
        rc = change_manifest(options, &change, err);
    if (rc < 0)
        return rc;
    target = (struct containerd_target){
        .media_type = record.media_type, .digest = text, .size_bytes = change.to_manifest_bytes};
    if (digest_equal(&top, &options->manifest))
        top = change.to_manifest;
    else
        rc = change_list(options, &change, &top, &top, &target.size_bytes, err);
    digest_format(&top, text);
    if (rc == 0)
        rc = containerd_image_set_target(options->containerd, options->image, &target, err);
    if (rc == 0)
        *ret = change.to_manifest;
    return rc;
}
