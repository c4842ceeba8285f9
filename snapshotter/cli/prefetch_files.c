/* SPDX-License-Identifier: Apache-2.0 */
/* prefetch_files.c – which files of an image are to be fetched first, from flags and from a JSON
 * file. */
#include "cli/prefetch.h"

#include "base/files.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { LIST_MAX_BYTES = 8 * 1024 * 1024 };

void cli_prefetch_files_fini(struct cli_prefetch_files *files)
{
    text_list_fini(&files->named);
}

static int add_trimmed(struct text_list *list, const char *path)
{
    static const char spaces[] = " \t\r\n\v\f";
    const char *from = path + strspn(path, spaces);
    size_t len = strlen(from);
    SCOPED(mem) char *copy = NULL;

    while (len > 0 && strchr(spaces, from[len - 1]) != NULL)
        len--;
    if (len == 0)
        return 0;
    copy = strndup(from, len);
    return copy == NULL ? -ENOMEM : text_list_add(list, copy);
}

static int add_json(struct text_list *list, const cJSON *array, struct err *err)
{
    const cJSON *item;

    if (!cJSON_IsArray(array))
        return err_set(err, -EBADMSG, "it is no array of strings");
    cJSON_ArrayForEach(item, array)
    {
        if (!cJSON_IsString(item))
            return err_set(err, -EBADMSG, "it holds something else than strings");
        if (add_trimmed(list, item->valuestring) < 0)
            return err_set(err, -ENOMEM, "out of memory");
    }
    return 0;
}

static int read_json(const char *path, struct text_list *list, struct err *err)
{
    SCOPED(buf_value) struct buf text = BUF_EMPTY;
    cJSON *tree;
    int rc = file_read(path, LIST_MAX_BYTES, &text, err);

    if (rc < 0)
        return err_prefix(err, rc, "failed to read JSON file");
    if (buf_str(&text) == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    tree = cJSON_ParseWithOpts(buf_str(&text), NULL, true);
    rc = tree == NULL ? err_set(err, -EBADMSG, "it is no JSON") : add_json(list, tree, err);
    cJSON_Delete(tree);
    return rc < 0 ? err_prefix(err, rc, "failed to parse JSON: %s", path) : 0;
}

int cli_prefetch_files(const struct cli_prefetch_files *files, struct text_list *ret,
                       struct err *err)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < files->named.count; i++)
        rc = add_trimmed(ret, files->named.items[i]);
    if (rc < 0)
        return err_set(err, rc, "out of memory");
    if (files->json_path == NULL || files->json_path[0] == '\0')
        return 0;
    rc = read_json(files->json_path, ret, err);
    return rc < 0 ? err_prefix(err, rc,
                               "failed to parse prefetch files: failed to load prefetch files "
                               "from JSON")
                  : 0;
}
