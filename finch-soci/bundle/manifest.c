/* SPDX-License-Identifier: Apache-2.0 */
/* manifest.c – what a bundle says of itself. */
#include "internal.h"

#include "base/text.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>

DEFINE_SCOPED_PTR(manifest_json, cJSON, cJSON_Delete)

static const char *string_of(const cJSON *object, const char *name)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
}

/* Letters, digits and a few marks, in parts that are no dots alone: nothing that leads elsewhere.
 */
static bool is_name(const char *name)
{
    size_t len = strlen(name);

    if (len == 0 || len > BUNDLE_NAME_MAX_BYTES || name[0] == '/' || name[len - 1] == '/')
        return false;
    for (const char *c = name; *c != '\0'; c++) {
        bool starts = c == name || c[-1] == '/';

        if (starts && (*c == '.' || *c == '/'))
            return false;
        if (strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/", *c) ==
            NULL)
            return false;
    }
    return true;
}

static bool is_word(const char *word)
{
    return word != NULL && *word != '\0' && strlen(word) < 64 &&
           strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+~-") ==
               strlen(word);
}

/* Octal digits, as in "0755". */
static int parse_mode(const char *text, unsigned *ret)
{
    unsigned mode = 0;

    if (text == NULL || *text == '\0' || strlen(text) > 5)
        return -EINVAL;
    for (const char *c = text; *c != '\0'; c++) {
        if (*c < '0' || *c > '7')
            return -EINVAL;
        mode = mode * 8 + (unsigned)(*c - '0');
    }
    if (mode > 0777)
        return -EINVAL;
    *ret = mode;
    return 0;
}

static int parse_size(const cJSON *number, uint64_t *ret)
{
    if (!cJSON_IsNumber(number) || !(number->valuedouble >= 0) ||
        number->valuedouble > BUNDLE_TAR_MAX_BYTES)
        return -EINVAL;
    *ret = (uint64_t)number->valuedouble;
    return (double)*ret == number->valuedouble ? 0 : -EINVAL;
}

static bool is_known(const struct bundle *bundle, const char *name)
{
    for (size_t i = 0; i < bundle->count; i++) {
        if (strcmp(bundle->entries[i].name, name) == 0)
            return true;
    }
    return false;
}

static int add_file(const cJSON *object, struct bundle *bundle, struct err *err)
{
    struct bundle_entry *entry = &bundle->entries[bundle->count];
    const char *name = string_of(object, "path"), *sum = string_of(object, "sha256");
    int rc;

    if (name == NULL || !is_name(name) || is_known(bundle, name))
        return err_set(err, -EBADMSG, "file %zu has no path of its own", bundle->count);
    rc = parse_mode(string_of(object, "mode"), &entry->mode);
    if (rc == 0)
        rc = parse_size(cJSON_GetObjectItemCaseSensitive(object, "size"), &entry->size);
    if (rc == 0)
        rc = sum == NULL || strlen(sum) != 2 * DIGEST_BYTES
                 ? -EINVAL
                 : text_unhex(sum, entry->digest.sha256, DIGEST_BYTES);
    if (rc < 0)
        return err_set(err, -EBADMSG, "%s has no mode, size or sha256 that makes sense", name);
    entry->name = text_copy(name);
    if (entry->name == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    bundle->count++;
    return 0;
}

static int add_files(const cJSON *files, struct bundle *bundle, struct err *err)
{
    int count = cJSON_GetArraySize(files), rc = 0;
    const cJSON *file;

    if (!cJSON_IsArray(files) || count < 1 || count > BUNDLE_FILES_MAX)
        return err_set(err, -EBADMSG, "no list of 1 to %d files", BUNDLE_FILES_MAX);
    bundle->count = 0;
    bundle->entries = calloc((size_t)count, sizeof(*bundle->entries));
    if (bundle->entries == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    cJSON_ArrayForEach(file, files)
    {
        rc = add_file(file, bundle, err);
        if (rc < 0)
            break;
    }
    return rc;
}

int bundle_parse_manifest(struct bytes json, struct bundle *ret, struct err *err)
{
    SCOPED(manifest_json)
    cJSON *tree = json.len == 0 ? NULL : cJSON_ParseWithLength((const char *)json.data, json.len);
    const char *version = string_of(tree, "version"), *arch = string_of(tree, "arch");
    int rc;

    if (!is_word(version) || !is_word(arch))
        return err_set(err, -EBADMSG, "%s: no version and arch", BUNDLE_MANIFEST);
    ret->version = text_copy(version);
    ret->arch = text_copy(arch);
    if (ret->version == NULL || ret->arch == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    rc = add_files(cJSON_GetObjectItemCaseSensitive(tree, "files"), ret, err);
    return rc < 0 ? err_prefix(err, rc, "%s", BUNDLE_MANIFEST) : 0;
}
