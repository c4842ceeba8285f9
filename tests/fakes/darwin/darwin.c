/* SPDX-License-Identifier: Apache-2.0 */
/* darwin.c – calls of macOS's own, made of Linux's. */
#include "darwin.h"

#include <errno.h>
#include <mach-o/dyld.h>
#include <stdio.h>
#include <string.h>

const char *fake_executable = "/nowhere/finch-soci";
int fake_rename_errno;

int _NSGetExecutablePath(char *buf, uint32_t *bufsize)
{
    uint32_t size = (uint32_t)strlen(fake_executable) + 1;

    if (*bufsize < size) {
        *bufsize = size;
        return -1;
    }
    memcpy(buf, fake_executable, size);
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
