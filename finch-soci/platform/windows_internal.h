/* SPDX-License-Identifier: Apache-2.0 */
/* windows_internal.h – what the files for Windows share. */
#ifndef PLATFORM_WINDOWS_INTERNAL_H
#define PLATFORM_WINDOWS_INTERNAL_H

#include <wchar.h>

/* Ends the programs of ours, of this user's, that were started with just this command line. */
void windows_end_started_by(const wchar_t *line);

/* Where Windows has this program, whether it is there or not: a new string, NULL: out of memory. */
char *windows_system_program(const char *name);

#endif
