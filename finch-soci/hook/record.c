/* SPDX-License-Identifier: Apache-2.0 */
/* record.c – what vm-start and vm-stop did last, as a small JSON object; docs/hook.md has it. */
#include "hook/hook.h"

#include "base/clock.h"
#include "base/files.h"
#include "base/text.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>

enum { RECORD_MAX_BYTES = 16 * 1024 };
#define TOOK_MAX_MS 1e15 /* what a double holds exactly, and more than anybody waits */

DEFINE_SCOPED_PTR(record_json, cJSON, cJSON_Delete)

enum { UTF8_TAIL_MAX = 3 }; /* bytes of a character that was cut */

static void copy_text(char *to, size_t size, const char *from)
{
    (void)snprintf(to, size, "%s", from == NULL ? "" : from);
    for (int i = 0; i < UTF8_TAIL_MAX && *to != '\0' && !text_is_utf8(bytes_of_str(to)); i++)
        to[strlen(to) - 1] = '\0';
}

void hook_record_fill(struct hook_record *ret, const char *result, bool failed, uint64_t took_ms,
                      const char *text)
{
    *ret = (struct hook_record){.took_ms = took_ms, .failed = failed};
    clock_rfc3339(clock_wall_ms() / 1000, 0, ret->time);
    copy_text(ret->result, sizeof(ret->result), result);
    copy_text(ret->text, sizeof(ret->text), text);
}

static int add(struct buf *out, const char *name, const char *value)
{
    int rc = buf_addf(out, "%s\":", name);

    return rc < 0 ? rc : text_add_json(out, bytes_of_str(value), false);
}

int hook_record_encode(const struct hook_record *record, struct buf *ret)
{
    if (add(ret, "{\"time", record->time) < 0 || add(ret, ",\"result", record->result) < 0 ||
        add(ret, ",\"text", record->text) < 0)
        return -ENOMEM;
    return buf_addf(ret, ",\"tookMs\":%" PRIu64 ",\"failed\":%s}\n", record->took_ms,
                    record->failed ? "true" : "false");
}

int hook_record_write(const char *path, const struct hook_record *record, struct err *err)
{
    SCOPED(buf_value) struct buf out = BUF_EMPTY;

    if (hook_record_encode(record, &out) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    return file_replace(path, buf_bytes(&out), 0600, err);
}

static const char *string_of(const cJSON *object, const char *name)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
}

int hook_record_parse(struct bytes json, struct hook_record *ret, struct err *err)
{
    SCOPED(record_json)
    cJSON *object = json.len == 0 || json.len > RECORD_MAX_BYTES || !text_is_utf8(json)
                        ? NULL
                        : cJSON_ParseWithLength((const char *)json.data, json.len);
    const cJSON *took = cJSON_GetObjectItemCaseSensitive(object, "tookMs");
    const char *time = string_of(object, "time"), *result = string_of(object, "result");
    struct hook_record record = {.took_ms = 0};
    int64_t sec;
    uint32_t nsec;

    if (time == NULL || result == NULL || strlen(time) >= sizeof(record.time) ||
        strlen(result) >= sizeof(record.result) || clock_parse_rfc3339(time, &sec, &nsec) < 0)
        return err_set(err, -EBADMSG, "not a record of the hook's");
    copy_text(record.time, sizeof(record.time), time);
    copy_text(record.result, sizeof(record.result), result);
    copy_text(record.text, sizeof(record.text), string_of(object, "text"));
    record.failed = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(object, "failed"));
    if (cJSON_IsNumber(took) && took->valuedouble >= 0 && took->valuedouble < TOOK_MAX_MS)
        record.took_ms = (uint64_t)took->valuedouble;
    *ret = record;
    return 0;
}

void hook_record_read(const char *path, struct hook_record *ret)
{
    SCOPED(buf_value) struct buf text = BUF_EMPTY;

    *ret = (struct hook_record){.took_ms = 0};
    if (file_read_regular(path, RECORD_MAX_BYTES, &text, NULL) < 0 ||
        hook_record_parse(buf_bytes(&text), ret, NULL) < 0)
        *ret = (struct hook_record){.took_ms = 0};
}
