/* SPDX-License-Identifier: Apache-2.0 */
/* spell.c – a document that others wrote, as Go's encoder would write it: the members that the
 * image-spec knows come first, in its order; what it does not know follows, as it stood. */
#include "oci/internal.h"

#include <errno.h>

enum kind { PLAIN, MAP, PLATFORM, DESCRIPTOR, DESCRIPTORS, MANIFEST, INDEX };

struct member {
    const char *name; /* NULL: the end */
    enum kind kind;
    bool always; /* written when it is empty, too */
};
static const struct member manifest_members[] = {
    {"schemaVersion", PLAIN, true}, {"mediaType", PLAIN, false},   {"artifactType", PLAIN, false},
    {"config", DESCRIPTOR, true},   {"layers", DESCRIPTORS, true}, {"subject", DESCRIPTOR, false},
    {"annotations", MAP, false},    {NULL, PLAIN, false},
};
static const struct member index_members[] = {
    {"schemaVersion", PLAIN, true}, {"mediaType", PLAIN, false},
    {"artifactType", PLAIN, false}, {"manifests", DESCRIPTORS, true},
    {"subject", DESCRIPTOR, false}, {"annotations", MAP, false},
    {NULL, PLAIN, false},
};
static const struct member descriptor_members[] = {
    {"mediaType", PLAIN, true},    {"digest", PLAIN, true},        {"size", PLAIN, true},
    {"urls", PLAIN, false},        {"annotations", MAP, false},    {"data", PLAIN, false},
    {"platform", PLATFORM, false}, {"artifactType", PLAIN, false}, {NULL, PLAIN, false},
};
static const struct member platform_members[] = {
    {"architecture", PLAIN, true}, {"os", PLAIN, true},       {"os.version", PLAIN, false},
    {"os.features", PLAIN, false}, {"variant", PLAIN, false}, {NULL, PLAIN, false},
};
static const struct member *const members_of[] = {
    [PLATFORM] = platform_members,
    [DESCRIPTOR] = descriptor_members,
    [MANIFEST] = manifest_members,
    [INDEX] = index_members,
};

static int put(struct buf *out, const cJSON *item, enum kind kind);

static int put_number(struct buf *out, double number)
{
    const double exact = 9007199254740992.0; /* integers below 2^53 are what they say */

    return number < exact && number > -exact && (double)(long long)number == number
               ? buf_addf(out, "%lld", (long long)number)
               : buf_addf(out, "%.17g", number);
}

static int put_array(struct buf *out, const cJSON *array, enum kind each)
{
    const cJSON *item;
    int rc = buf_add_byte(out, '[');

    cJSON_ArrayForEach(item, array)
    {
        if (rc == 0 && item != array->child)
            rc = buf_add_byte(out, ',');
        if (rc == 0)
            rc = put(out, item, each);
    }
    return rc == 0 ? buf_add_byte(out, ']') : rc;
}

/* *first: no comma is needed yet. */
static int put_member(struct buf *out, const cJSON *item, enum kind kind, bool *first)
{
    int rc = *first ? 0 : buf_add_byte(out, ',');

    *first = false;
    if (rc == 0)
        rc = text_add_json(out, bytes_of_str(item->string), true);
    if (rc == 0)
        rc = buf_add_byte(out, ':');
    return rc == 0 ? put(out, item, kind) : rc;
}

static bool is_empty(const cJSON *item)
{
    return cJSON_IsNull(item) || (cJSON_IsString(item) && item->valuestring[0] == '\0') ||
           ((cJSON_IsArray(item) || cJSON_IsObject(item)) && item->child == NULL);
}

static bool is_known(const struct member *members, const char *name)
{
    for (; members != NULL && members->name != NULL; members++) {
        if (strcmp(members->name, name) == 0)
            return true;
    }
    return false;
}

/* Members of an object; `members` are those with a place of their own, NULL: none. */
static int put_object(struct buf *out, const cJSON *object, const struct member *members)
{
    const struct member *member;
    const cJSON *item;
    bool first = true;
    int rc = buf_add_byte(out, '{');

    for (member = members; rc == 0 && member != NULL && member->name != NULL; member++) {
        item = cJSON_GetObjectItemCaseSensitive(object, member->name);
        if (item != NULL && (member->always || !is_empty(item)))
            rc = put_member(out, item, member->kind, &first);
    }
    cJSON_ArrayForEach(item, object)
    {
        if (rc == 0 && !is_known(members, item->string))
            rc = put_member(out, item, PLAIN, &first);
    }
    return rc == 0 ? buf_add_byte(out, '}') : rc;
}

/* Annotations, by name. */
static int put_map(struct buf *out, const cJSON *object)
{
    SCOPED(text_map) struct text_map sorted = TEXT_MAP_EMPTY;
    const cJSON *item;
    bool first = true;
    int rc = 0;

    cJSON_ArrayForEach(item, object)
    {
        if (rc == 0)
            rc = text_map_set(&sorted, item->string, "");
    }
    text_map_sort(&sorted);
    if (rc == 0)
        rc = buf_add_byte(out, '{');
    for (size_t i = 0; rc == 0 && i < sorted.count; i++)
        rc = put_member(out, cJSON_GetObjectItemCaseSensitive(object, sorted.items[i].key), PLAIN,
                        &first);
    return rc == 0 ? buf_add_byte(out, '}') : rc;
}

static int put(struct buf *out, const cJSON *item, enum kind kind)
{
    if (cJSON_IsArray(item))
        return put_array(out, item, kind == DESCRIPTORS ? DESCRIPTOR : PLAIN);
    if (cJSON_IsObject(item))
        return kind == MAP ? put_map(out, item)
                           : put_object(out, item, kind == DESCRIPTORS ? NULL : members_of[kind]);
    if (cJSON_IsString(item))
        return text_add_json(out, bytes_of_str(item->valuestring), true);
    if (cJSON_IsNumber(item))
        return put_number(out, item->valuedouble);
    return buf_add_str(out, cJSON_IsTrue(item) ? "true" : cJSON_IsFalse(item) ? "false" : "null");
}

int oci_spell_manifest(struct buf *out, const cJSON *tree)
{
    return put(out, tree, MANIFEST);
}

int oci_spell_index(struct buf *out, const cJSON *tree)
{
    return put(out, tree, INDEX);
}
