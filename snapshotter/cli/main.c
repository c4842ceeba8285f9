/* SPDX-License-Identifier: Apache-2.0 */
/* main.c – the program `soci`. */
#include "cli/cli.h"

#include "base/system.h"

int main(int argc, char **argv)
{
    return system_hold_standard_files() < 0 ? 1 : cli_main(argc, argv);
}
