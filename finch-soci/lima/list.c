/* SPDX-License-Identifier: Apache-2.0 */
/* list.c – what `limactl ls --json` says of an instance: one JSON object per line. */
#include "lima/lima.h"

#include "base/text.h"

#include <cjson/cJSON.h>
#include <errno.h>

DEFINE_SCOPED_PTR(list_json, cJSON, cJSON_Delete)

void lima_machine_fini(struct lima_machine *machine)
{
    free(machine->vm_type);
    free(machine->arch);
    free(machine->lima_version);
    free(machine->problem);
    free(machine->ssh_address);
    *machine = (struct lima_machine){.state = LIMA_NONE};
}

const char *lima_state_name(enum lima_state state)
{
    static const char *const names[] = {
        [LIMA_NONE] = "none",
        [LIMA_STOPPED] = "stopped",
        [LIMA_RUNNING] = "running",
        [LIMA_BROKEN] = "broken",
    };

    return names[state];
}

/* "Uninitialized" is what a distribution that WSL does not know is called: there is no machine. */
static enum lima_state state_of(const char *status)
{
    static const struct {
        const char *name;
        enum lima_state state;
    } states[] = {
        {"Running", LIMA_RUNNING},    {"Stopped", LIMA_STOPPED}, {"Installing", LIMA_STOPPED},
        {"Uninitialized", LIMA_NONE}, {"", LIMA_NONE},
    };

    for (size_t i = 0; status != NULL && i < ARRAY_LEN(states); i++) {
        if (strcmp(status, states[i].name) == 0)
            return states[i].state;
    }
    return LIMA_BROKEN;
}

static const char *string_of(const cJSON *object, const char *name)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
}

/* Lima lists several; the first says enough. */
static const char *problem_of(const cJSON *object)
{
    const cJSON *errors = cJSON_GetObjectItemCaseSensitive(object, "errors");
    const char *first = cJSON_GetStringValue(cJSON_GetArrayItem(errors, 0));
    const char *message = string_of(object, "message");

    return first != NULL ? first : message != NULL && *message != '\0' ? message : NULL;
}

static unsigned port_of(const cJSON *object)
{
    const cJSON *port = cJSON_GetObjectItemCaseSensitive(object, "sshLocalPort");

    return cJSON_IsNumber(port) && port->valuedouble >= 1 && port->valuedouble <= 65535
               ? (unsigned)port->valuedouble
               : 0;
}

/* NULL: none, or no address in digits. */
static const char *address_of(const cJSON *object)
{
    const char *address = string_of(object, "sshAddress");

    return address != NULL && *address != '\0' &&
                   address[strspn(address, "0123456789abcdefABCDEF.:")] == '\0'
               ? address
               : NULL;
}

/* NULL stays NULL. */
static bool copy(char **to, const char *from)
{
    *to = text_copy(from);
    return from == NULL || *to != NULL;
}

/* New, or NULL: none is told. */
static char *problem_text(const cJSON *object, enum lima_state state)
{
    const char *problem = problem_of(object), *status = string_of(object, "status");

    if (problem != NULL || state != LIMA_BROKEN)
        return text_copy(problem);
    return text_format("limactl calls its state \"%s\"", status == NULL ? "" : status);
}

static int fill(const cJSON *object, struct lima_machine *ret, struct err *err)
{
    enum lima_state state = state_of(string_of(object, "status"));
    struct lima_machine machine = {
        .state = state,
        .ssh_port = port_of(object),
        .problem = problem_text(object, state),
    };

    if (!copy(&machine.vm_type, string_of(object, "vmType")) ||
        !copy(&machine.arch, string_of(object, "arch")) ||
        !copy(&machine.lima_version, string_of(object, "limaVersion")) ||
        (machine.problem == NULL && state == LIMA_BROKEN) ||
        !copy(&machine.ssh_address, address_of(object))) {
        lima_machine_fini(&machine);
        return err_set(err, -ENOMEM, "out of memory");
    }
    *ret = machine;
    return 0;
}

/* Lines that are no object of ours are Lima's warnings, or of other instances. */
int lima_parse_list(struct bytes json, const char *instance, struct lima_machine *ret,
                    bool *ret_found, struct err *err)
{
    size_t at = 0;

    *ret_found = false;
    while (at < json.len) {
        const uint8_t *start = json.data + at;
        const uint8_t *end = memchr(start, '\n', json.len - at);
        size_t len = end == NULL ? json.len - at : (size_t)(end - start);
        SCOPED(list_json) cJSON *object = NULL;
        const char *name;

        at += len + 1;
        if (len == 0)
            continue;
        object = cJSON_ParseWithLength((const char *)start, len);
        name = string_of(object, "name");
        if (name == NULL || strcmp(name, instance) != 0)
            continue;
        *ret_found = true;
        return fill(object, ret, err);
    }
    return 0;
}
