/* SPDX-License-Identifier: Apache-2.0 */
/* main.c – the program `finch-soci`. */
#include "cmd/cmd.h"

int main(int argc, char **argv)
{
    return cmd_main(argc, argv);
}
