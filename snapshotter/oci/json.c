/* SPDX-License-Identifier: Apache-2.0 */
/* json.c – members of a JSON object by name and type. */
#include "oci/internal.h"

#include <errno.h>

/* From here on a double skips integers, so cJSON may have rounded what the text said. */
#define JSON_INTEGER_END 9007199254740992.0

int json_read(struct bytes text, cJSON **ret, struct err *err)
{
    SCOPED(json) cJSON *tree = NULL;
    int rc = json_check(text, err);

    if (rc < 0)
        return rc;
    tree = cJSON_ParseWithLength((const char *)text.data, text.len);
    if (tree == NULL) /* the text is good: json_check() said so */
        return err_set(err, -ENOMEM, "JSON: out of memory");
    if (!cJSON_IsObject(tree))
        return err_set(err, -EBADMSG, "no JSON object");
    *ret = TAKE(tree);
    return 0;
}

int json_get(const cJSON *object, const char *name, const cJSON **ret, struct err *err)
{
    const cJSON *found = NULL;
    const cJSON *member = NULL;

    cJSON_ArrayForEach(member, object)
    {
        if (strcmp(member->string, name) != 0)
            continue;
        if (found != NULL)
            return err_set(err, -EBADMSG, "%s is there twice", name);
        found = member;
    }
    *ret = cJSON_IsNull(found) ? NULL : found;
    return 0;
}

static int get_typed(const cJSON *object, const char *name, cJSON_bool (*is_type)(const cJSON *),
                     const char *type, const cJSON **ret, struct err *err)
{
    int rc = json_get(object, name, ret, err);

    if (rc == 0 && *ret != NULL && !is_type(*ret))
        return err_set(err, -EBADMSG, "%s is no %s", name, type);
    return rc;
}

int json_get_string(const cJSON *object, const char *name, const char **ret, struct err *err)
{
    const cJSON *member = NULL;
    int rc = get_typed(object, name, cJSON_IsString, "string", &member, err);

    if (rc == 0)
        *ret = member == NULL ? NULL : member->valuestring;
    return rc;
}

int json_get_object(const cJSON *object, const char *name, const cJSON **ret, struct err *err)
{
    return get_typed(object, name, cJSON_IsObject, "object", ret, err);
}

int json_get_array(const cJSON *object, const char *name, const cJSON **ret, struct err *err)
{
    return get_typed(object, name, cJSON_IsArray, "array", ret, err);
}

int json_get_u64(const cJSON *object, const char *name, bool *ret_present, uint64_t *ret,
                 struct err *err)
{
    const cJSON *member = NULL;
    int rc = get_typed(object, name, cJSON_IsNumber, "number", &member, err);
    double value;

    if (rc < 0)
        return rc;
    *ret_present = member != NULL;
    *ret = 0;
    if (member == NULL)
        return 0;
    value = member->valuedouble;
    /* The comparisons are this way round so that NaN fails them. */
    if (!(value >= 0) || !(value < JSON_INTEGER_END))
        return err_set(err, -EBADMSG, "%s is negative or too large", name);
    if (value != (double)(uint64_t)value)
        return err_set(err, -EBADMSG, "%s is no integer", name);
    *ret = (uint64_t)value;
    return 0;
}

int json_take_string(const cJSON *object, const char *name, char **ret, struct err *err)
{
    const char *value = NULL;
    int rc = json_get_string(object, name, &value, err);

    if (rc < 0 || value == NULL)
        return rc;
    *ret = strdup(value);
    return *ret == NULL ? err_set(err, -ENOMEM, "%s: out of memory", name) : 0;
}

static int take_pair(const cJSON *member, struct text_map *map, struct err *err)
{
    if (!cJSON_IsString(member) && !cJSON_IsNull(member))
        return err_set(err, -EBADMSG, "a value is no string");
    if (map->count == OCI_ANNOTATIONS_MAX)
        return err_set(err, -EBADMSG, "more than %d entries", OCI_ANNOTATIONS_MAX);
    if (text_map_get(map, member->string) != NULL)
        return err_set(err, -EBADMSG, "a key is there twice");
    if (text_map_set(map, member->string, cJSON_IsNull(member) ? "" : member->valuestring) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    return 0;
}

int json_take_map(const cJSON *object, const char *name, struct text_map *ret, struct err *err)
{
    const cJSON *map = NULL;
    const cJSON *member;
    int rc = json_get_object(object, name, &map, err);

    if (rc < 0 || map == NULL)
        return rc;
    cJSON_ArrayForEach(member, map)
    {
        rc = take_pair(member, ret, err);
        if (rc < 0)
            return err_prefix(err, rc, "%s", name);
    }
    return 0;
}
