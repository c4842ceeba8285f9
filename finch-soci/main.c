/* SPDX-License-Identifier: Apache-2.0 */
/* main.c – the program `finch-soci`. */
#include "cmd/cmd.h"

#include "base/system.h"

int main(int argc, char **argv)
{
    return system_hold_standard_files() < 0 ? 1 : cmd_main(argc, argv);
}
