/* SPDX-License-Identifier: Apache-2.0 */
/* boot.c – how far a machine's start has come: the host agent's events, an object per line in
 * ha.stdout.log, which is new at each start. */
#include "lima/lima.h"

#include "base/clock.h"
#include "base/files.h"
#include "base/text.h"
#include "platform/platform.h"

#include <cjson/cJSON.h>
#include <errno.h>

/* A forwarded port is an event; a machine that runs for months has many. */
enum { EVENTS_MAX_BYTES = 4 * 1024 * 1024, LINE_MAX_BYTES = 64 * 1024 };

DEFINE_SCOPED_PTR(boot_json, cJSON, cJSON_Delete)

static bool is_true(const cJSON *object, const char *name)
{
    return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(object, name));
}

static int64_t time_of(const cJSON *event)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(event, "time"));
    int64_t seconds = 0;
    uint32_t nanoseconds = 0;

    return text != NULL && clock_parse_rfc3339(text, &seconds, &nanoseconds) == 0 ? seconds : 0;
}

/* What is not said of a later event has not ended: none but the first says that it runs. */
static void take_event(const cJSON *event, struct lima_start *ret)
{
    const cJSON *status = cJSON_GetObjectItemCaseSensitive(event, "status");

    if (!cJSON_IsObject(status))
        return;
    if (is_true(status, "exiting")) {
        ret->stage = LIMA_START_LEAVING;
    } else if (is_true(status, "running") && ret->stage != LIMA_START_DONE) {
        ret->stage = LIMA_START_DONE;
        ret->done_s = time_of(event);
    } else if (ret->stage == LIMA_START_UNKNOWN) {
        ret->stage = LIMA_START_UNDER_WAY;
    }
}

void lima_parse_events(struct bytes text, struct lima_start *ret)
{
    *ret = (struct lima_start){.stage = LIMA_START_UNKNOWN};
    while (text.len > 0) {
        const uint8_t *newline = memchr(text.data, '\n', text.len);
        size_t len = newline == NULL ? text.len : (size_t)(newline - text.data);
        SCOPED(boot_json)
        cJSON *event = len == 0 || len > LINE_MAX_BYTES
                           ? NULL
                           : cJSON_ParseWithLength((const char *)text.data, len);

        if (event != NULL)
            take_event(event, ret);
        len += newline == NULL ? 0 : 1;
        text = bytes_of(text.data + len, text.len - len);
    }
}

void lima_read_start(const struct lima_places *places, struct lima_start *ret)
{
    SCOPED(mem) char *path = path_join(places->instance_dir, "ha.stdout.log");
    SCOPED(buf_value) struct buf text = BUF_EMPTY;

    *ret = (struct lima_start){.stage = LIMA_START_UNKNOWN};
    if (path != NULL && platform_file_read(path, EVENTS_MAX_BYTES, &text, NULL) == 0)
        lima_parse_events(buf_bytes(&text), ret);
}
