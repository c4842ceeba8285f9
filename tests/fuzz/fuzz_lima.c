/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_lima.c – limactl's JSON, WSL's list and Lima's ssh.config. The first byte chooses. */
#include "lima/lima.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_list(struct bytes text)
{
    SCOPED(lima_machine) struct lima_machine machine = {.state = LIMA_NONE};
    bool found = false;

    if (lima_parse_list(text, "finch", &machine, &found, NULL) == 0 && found &&
        (machine.ssh_port > 65535 || lima_state_name(machine.state) == NULL))
        abort();
}

static void try_wsl(struct bytes text)
{
    SCOPED(lima_machine) struct lima_machine machine = {.state = LIMA_NONE};
    bool found = false;

    if (lima_parse_wsl_list(text, "lima-finch", &machine, &found, NULL) == 0 && found &&
        (machine.vm_type == NULL || (machine.problem != NULL) != (machine.state == LIMA_BROKEN)))
        abort();
}

static void try_config(struct bytes text)
{
    SCOPED(lima_ssh) struct lima_ssh ssh = {.port = 0};

    if (lima_parse_ssh_config(text, "lima-finch", &ssh, NULL) == 0 &&
        (ssh.host == NULL || ssh.user == NULL || ssh.identity == NULL || ssh.port < 1 ||
         ssh.port > 65535))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    if (data[0] == '{')
        try_list(bytes_of(data, size));
    else if (data[0] == ' ' || data[0] == 0xff) /* a heading, or the mark of UTF-16 */
        try_wsl(bytes_of(data, size));
    else
        try_config(bytes_of(data, size));
    return 0;
}
