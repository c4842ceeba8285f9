/* SPDX-License-Identifier: Apache-2.0 */
/* darwin.c – calls of macOS's own, made of Linux's. */
#include "darwin.h"

#include <errno.h>
#include <limits.h>
#include <mach-o/dyld.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

const char *fake_executable;
int fake_rename_errno;

int _NSGetExecutablePath(char *buf, uint32_t *bufsize)
{
    char self[PATH_MAX] = "";
    const char *name = fake_executable;
    uint32_t size;

    if (name == NULL && readlink("/proc/self/exe", self, sizeof(self) - 1) > 0)
        name = self;
    if (name == NULL)
        return -1;
    size = (uint32_t)strlen(name) + 1;
    if (*bufsize < size) {
        *bufsize = size;
        return -1;
    }
    memcpy(buf, name, size);
    return 0;
}

int renameatx_np(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
    if (fake_rename_errno != 0) {
        errno = fake_rename_errno;
        return -1;
    }
    return renameat2(from_dir, from, to_dir, to,
                     flags == RENAME_SWAP   ? RENAME_EXCHANGE
                     : flags == RENAME_EXCL ? RENAME_NOREPLACE
                                            : 0);
}
