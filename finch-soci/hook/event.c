/* SPDX-License-Identifier: Apache-2.0 */
/* event.c – a line of `limactl watch --json`: {"instance": …, "event": {"time": …, "status": {…}}}.
 */
#include "hook/hook.h"

#include <cjson/cJSON.h>

DEFINE_SCOPED_PTR(event_json, cJSON, cJSON_Delete)

static bool is_true(const cJSON *status, const char *name)
{
    return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(status, name));
}

int hook_event_parse(struct bytes line, const char *instance, struct hook_event *ret,
                     struct err *err)
{
    SCOPED(event_json)
    cJSON *object = line.len == 0 ? NULL : cJSON_ParseWithLength((const char *)line.data, line.len);
    const char *of = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, "instance"));
    const cJSON *event = cJSON_GetObjectItemCaseSensitive(object, "event");
    const cJSON *status = cJSON_GetObjectItemCaseSensitive(event, "status");

    if (of == NULL || !cJSON_IsObject(status))
        return err_set(err, -EBADMSG, "not an event of Lima's");
    if (strcmp(of, instance) != 0)
        return err_set(err, -EBADMSG, "an event of another instance");
    *ret = (struct hook_event){
        .booted = is_true(status, "running"),
        .degraded = is_true(status, "degraded"),
        .exiting = is_true(status, "exiting"),
    };
    return 0;
}
