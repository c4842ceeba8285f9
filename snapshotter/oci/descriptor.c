/* SPDX-License-Identifier: Apache-2.0 */
/* descriptor.c – descriptors: read from JSON, copied, released. */
#include "oci/internal.h"

#include <errno.h>

void oci_descriptor_fini(struct oci_descriptor *desc)
{
    free(desc->media_type);
    text_map_fini(&desc->annotations);
    free(desc->artifact_type);
    oci_platform_fini(&desc->platform);
    memset(desc, 0, sizeof(*desc));
}

void oci_descriptors_free(struct oci_descriptor *descs, size_t count)
{
    for (size_t i = 0; i < count; i++)
        oci_descriptor_fini(&descs[i]);
    free(descs);
}

static int copy_list(struct text_list *to, const struct text_list *from)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < from->count; i++)
        rc = text_list_add(to, from->items[i]);
    return rc;
}

static int copy_string(char **to, const char *from)
{
    *to = text_copy(from);
    return *to == NULL && from != NULL ? -ENOMEM : 0;
}

static int copy_platform(struct oci_platform *to, const struct oci_platform *from)
{
    if (copy_string(&to->os, from->os) < 0 ||
        copy_string(&to->architecture, from->architecture) < 0 ||
        copy_string(&to->variant, from->variant) < 0 ||
        copy_string(&to->os_version, from->os_version) < 0)
        return -ENOMEM;
    return copy_list(&to->os_features, &from->os_features);
}

int oci_descriptor_copy(struct oci_descriptor *to, const struct oci_descriptor *from)
{
    SCOPED(oci_descriptor)
    struct oci_descriptor copy = {.digest = from->digest, .size_bytes = from->size_bytes};

    if (copy_string(&copy.media_type, from->media_type) < 0 ||
        copy_string(&copy.artifact_type, from->artifact_type) < 0 ||
        text_map_copy(&copy.annotations, &from->annotations) < 0 ||
        copy_platform(&copy.platform, &from->platform) < 0)
        return -ENOMEM;
    *to = copy;
    memset(&copy, 0, sizeof(copy));
    return 0;
}

static int read_features(const cJSON *object, struct text_list *ret, struct err *err)
{
    const cJSON *list, *item;
    int rc = json_get_array(object, "os.features", &list, err);

    if (rc < 0 || list == NULL)
        return rc;
    cJSON_ArrayForEach(item, list)
    {
        if (!cJSON_IsString(item))
            return err_set(err, -EBADMSG, "os.features: no string");
        if (text_list_add(ret, item->valuestring) < 0)
            return err_set(err, -ENOMEM, "os.features: out of memory");
    }
    return 0;
}

static int read_platform(const cJSON *object, struct oci_platform *ret, struct err *err)
{
    const cJSON *platform;
    int rc = json_get_object(object, "platform", &platform, err);

    if (rc < 0 || platform == NULL)
        return rc;
    rc = json_take_string(platform, "os", &ret->os, err);
    if (rc == 0)
        rc = json_take_string(platform, "architecture", &ret->architecture, err);
    if (rc == 0)
        rc = json_take_string(platform, "variant", &ret->variant, err);
    if (rc == 0)
        rc = json_take_string(platform, "os.version", &ret->os_version, err);
    if (rc == 0)
        rc = read_features(platform, &ret->os_features, err);
    return rc < 0 ? err_prefix(err, rc, "platform") : 0;
}

static int read_digest(const cJSON *object, struct digest *ret, struct err *err)
{
    const char *text;
    int rc = json_get_string(object, "digest", &text, err);

    if (rc < 0)
        return rc;
    if (text == NULL)
        return err_set(err, -EBADMSG, "no digest");
    rc = digest_parse(text, ret, err);
    return rc < 0 ? err_prefix(err, -EBADMSG, "digest") : 0;
}

static int read_size(const cJSON *object, uint64_t *ret, struct err *err)
{
    bool present;
    int rc = json_get_u64(object, "size", &present, ret, err);

    if (rc == 0 && !present)
        return err_set(err, -EBADMSG, "no size");
    return rc;
}

static int read_media_type(const cJSON *object, char **ret, struct err *err)
{
    int rc = json_take_string(object, "mediaType", ret, err);

    if (rc == 0 && (*ret == NULL || **ret == '\0'))
        return err_set(err, -EBADMSG, "no mediaType");
    return rc;
}

int oci_descriptor_read(const cJSON *object, struct oci_descriptor *ret, struct err *err)
{
    SCOPED(oci_descriptor) struct oci_descriptor desc = {.size_bytes = 0};
    int rc = read_media_type(object, &desc.media_type, err);

    if (rc == 0)
        rc = read_digest(object, &desc.digest, err);
    if (rc == 0)
        rc = read_size(object, &desc.size_bytes, err);
    if (rc == 0)
        rc = json_take_map(object, "annotations", &desc.annotations, err);
    if (rc == 0)
        rc = json_take_string(object, "artifactType", &desc.artifact_type, err);
    if (rc == 0)
        rc = read_platform(object, &desc.platform, err);
    if (rc < 0)
        return rc;
    *ret = desc;
    memset(&desc, 0, sizeof(desc));
    return 0;
}

int oci_descriptors_read(const cJSON *object, const char *name, struct oci_descriptor **ret,
                         size_t *ret_count, struct err *err)
{
    const cJSON *list, *item;
    size_t count;
    int rc = json_get_array(object, name, &list, err);

    if (rc < 0 || list == NULL || list->child == NULL)
        return rc;
    count = (size_t)cJSON_GetArraySize(list);
    if (count > OCI_ENTRIES_MAX)
        return err_set(err, -EBADMSG, "%zu %s, at most %d are read", count, name, OCI_ENTRIES_MAX);
    *ret = calloc(count, sizeof(**ret));
    if (*ret == NULL)
        return err_set(err, -ENOMEM, "%s: out of memory", name);
    cJSON_ArrayForEach(item, list)
    {
        rc = cJSON_IsObject(item) ? oci_descriptor_read(item, &(*ret)[*ret_count], err)
                                  : err_set(err, -EBADMSG, "no object");
        if (rc < 0)
            return err_prefix(err, rc, "%s[%zu]", name, *ret_count);
        ++*ret_count;
    }
    return 0;
}

int oci_schema_check(const cJSON *object, struct err *err)
{
    bool present;
    uint64_t version;
    int rc = json_get_u64(object, "schemaVersion", &present, &version, err);

    if (rc == 0 && present && version != 2)
        return err_set(err, -EBADMSG, "schemaVersion is %llu, 2 is expected",
                       (unsigned long long)version);
    return rc;
}
