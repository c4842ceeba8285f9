/* SPDX-License-Identifier: Apache-2.0 */
/* posix.h – for those who start programs by posix_spawn(); Windows has none of it. */
#ifndef BASE_POSIX_H
#define BASE_POSIX_H

#include "base/attr.h"

#include <spawn.h>
#include <sys/types.h>

/* What a program is run with: `base`, NULL for our own environment, with `settings` (NAME=value;
 * NULL: none) over it. The array is the caller's to free(), the strings are borrowed. NULL: out of
 * memory. */
char **posix_environment(const char *const *base, const char *const *settings);

struct posix_start {
    const char *const *argv; /* NULL at the end; argv[0] is a path, or looked for in PATH */
    char **environment;      /* NULL: our own */
    const posix_spawn_file_actions_t *files; /* what it has open */
    short flags;                             /* POSIX_SPAWN_…, beside those that it always has */
};
/* Starts a program that leads a group of processes of its own, and has every signal as programs
 * find them. 0 or a negative errno. */
MUST_CHECK int posix_start(const struct posix_start *how, pid_t *ret);

#endif
