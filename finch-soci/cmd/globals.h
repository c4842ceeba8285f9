/* SPDX-License-Identifier: Apache-2.0 */
/* globals.h – the flags that every verb has. */
#ifndef CMD_GLOBALS_H
#define CMD_GLOBALS_H

#include "base/flags.h"

extern const struct flag cmd_global_flags[];
extern const size_t cmd_global_flag_count;

#endif
