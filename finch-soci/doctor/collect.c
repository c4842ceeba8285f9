/* SPDX-License-Identifier: Apache-2.0 */
/* collect.c – what the machine gives for a support archive: sections of text, each a file. And what
 * of Docker's config.json may be shown. */
#include "doctor/internal.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COLLECT_MS = 180000 };

DEFINE_SCOPED_PTR(docker_json, cJSON, cJSON_Delete)

/* ---- Docker's config.json -------------------------------------------------------------------- */

static bool is_shown(const char *key)
{
    return strcmp(key, "credsStore") == 0 || strcmp(key, "credHelpers") == 0;
}

/* Which registries there are credentials for; not one of these. */
static void hide_auths(cJSON *root)
{
    cJSON *entry;

    cJSON_ArrayForEach(entry, cJSON_GetObjectItemCaseSensitive(root, "auths"))
    {
        while (entry->child != NULL)
            cJSON_Delete(cJSON_DetachItemViaPointer(entry, entry->child));
    }
}

int doctor_docker_config(struct bytes text, struct buf *ret)
{
    SCOPED(docker_json)
    cJSON *root = text.len == 0 ? NULL : cJSON_ParseWithLength((const char *)text.data, text.len);
    SCOPED(mem) char *shown = NULL;
    cJSON *next;

    if (root == NULL || !cJSON_IsObject(root))
        return buf_add_str(ret, "it is no JSON, and so left out\n");
    for (cJSON *item = root->child; item != NULL; item = next) {
        next = item->next;
        if (strcmp(item->string, "auths") == 0 && cJSON_IsObject(item))
            hide_auths(root);
        else if (!is_shown(item->string))
            cJSON_Delete(cJSON_DetachItemViaPointer(root, item));
    }
    shown = cJSON_Print(root);
    return shown == NULL ? -ENOMEM : buf_addf(ret, "%s\n", shown);
}

/* ---- the machine's --------------------------------------------------------------------------- */

static bool is_section_name(const char *name)
{
    size_t len = strlen(name);

    return len > 0 && len < DOCTOR_FILE_NAME_BYTES - 8 && name[0] != '.' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789.-") == len;
}

static int add_section(struct doctor_archive *archive, const char *name, struct bytes text)
{
    SCOPED(buf_value) struct buf shown = BUF_EMPTY;
    char path[DOCTOR_FILE_NAME_BYTES];
    int rc = 0;

    (void)snprintf(path, sizeof(path), "guest/%s", name);
    if (strncmp(name, "docker-config", 13) == 0) {
        rc = doctor_docker_config(text, &shown);
        text = buf_bytes(&shown);
    }
    return rc < 0 ? rc : doctor_archive_add(archive, path, text);
}

/* "section NAME BYTES", then so many bytes. */
int doctor_parse_sections(struct bytes text, struct doctor_archive *archive, struct err *err)
{
    while (text.len > 0) {
        struct bytes line = doctor_next_line(&text);
        SCOPED(mem)
        char *words = text_format("%.*s", (int)(line.len < 200 ? line.len : 200),
                                  line.len == 0 ? "" : (const char *)line.data);
        char *name = words == NULL ? NULL : strchr(words, ' ');
        char *size = name == NULL ? NULL : strchr(name + 1, ' ');
        uint64_t bytes = 0;

        if (words == NULL)
            return err_set(err, -ENOMEM, "out of memory");
        if (strcmp(words, "end") == 0)
            return 0;
        if (size == NULL || !text_has_prefix(words, "section "))
            break;
        *size++ = '\0';
        if (!is_section_name(name + 1) || text_parse_u64(size, &bytes) < 0 || bytes > text.len)
            break;
        if (add_section(archive, name + 1, bytes_of(text.data, (size_t)bytes)) < 0)
            return err_set(err, -ENOMEM, "out of memory");
        text = bytes_of(text.data + bytes, text.len - (size_t)bytes);
    }
    return err_set(err, -EBADMSG, "what the machine gives makes no sense");
}

int doctor_collect_sections(struct machine *machine, struct doctor_archive *archive,
                            struct err *err)
{
    SCOPED(machine_result) struct machine_result result = MACHINE_RESULT_NONE;
    const struct machine_run run = {.script = doctor_collect_text, .timeout_ms = COLLECT_MS};
    int rc = machine_run(machine, &run, &result, err);

    return rc < 0 ? rc : doctor_parse_sections(buf_bytes(&result.out), archive, err);
}
