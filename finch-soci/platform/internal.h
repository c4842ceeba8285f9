/* SPDX-License-Identifier: Apache-2.0 */
/* internal.h – what Linux and macOS do alike, for their own files. */
#ifndef PLATFORM_INTERNAL_H
#define PLATFORM_INTERNAL_H

#include "platform/platform.h"

#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>

/* ---- linux.c, darwin.c: what is not alike ---------------------------------------------------- */

/* Our own program, links followed: a new string, NULL: out of memory or nobody knows. */
char *posix_executable(void);
struct timespec posix_mtime(const struct stat *st);
/* What was written survives power loss from here on. 0 or a negative errno. */
MUST_CHECK int posix_sync(int fd);
/* At once: both names change what they stand for; or a name that is free is taken, -EEXIST when it
 * is not. -EOPNOTSUPP: the file system cannot. */
MUST_CHECK int posix_exchange(const char *one, const char *other);
MUST_CHECK int posix_rename_new(const char *from, const char *to);

/* ---- posix_child.c: a program in the background ---------------------------------------------- */

struct posix_child {
    pid_t pid; /* 0: none, or its end was told */
    int out;   /* our end of its output, which does not block; -1: none, or it is closed */
};
#define POSIX_CHILD_NONE                                                                           \
    {                                                                                              \
        .pid = 0, .out = -1                                                                        \
    }
MUST_CHECK int posix_child_start(const struct platform_child *how, struct posix_child *ret,
                                 struct err *err);
/* How many bytes of its output there are now, 0: none now, or no more ever (`out` is -1 then). */
size_t posix_child_read(struct posix_child *child, void *buf, size_t size);
/* True when it has ended: once, nothing of it is left then. */
bool posix_child_reap(struct posix_child *child, int *ret_status);
/* Its group is asked to end, or with `force` ended. */
void posix_child_signal(const struct posix_child *child, bool force);
/* It is asked to end, waited for a few seconds, and ended. */
void posix_child_stop(struct posix_child *child);

/* ---- posix_hook_file.c: a text for the system's manager of programs ---------------------------
 */

/* The text into `path`, with directories made as needed; a last line, which begins with `comment`,
 * says which, so that they go with it: "# " makes "# made for this: /home/u/.config". NULL: the
 * format has no such lines, and they stay. */
MUST_CHECK int posix_hook_write(const char *path, struct bytes text, const char *comment,
                                struct err *err);
/* It is gone, and the directories are, as far as they are empty. 1: done, 0: there was none. */
MUST_CHECK int posix_hook_unlink(const char *path, const char *comment, struct err *err);

#endif
