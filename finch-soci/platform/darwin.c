/* SPDX-License-Identifier: Apache-2.0 */
/* darwin.c – what is particular to macOS. Of the system it uses libSystem alone, no frameworks. */
#include "platform/internal.h"

#include "base/text.h"

#include <fcntl.h>
#include <mach-o/dyld.h>
#include <stdio.h>

/* Where the installer puts it; a Finch whose program is in PATH says itself where it is. */
const char *const platform_finch_root = "/Applications/Finch";
const bool platform_has_vm = true;

char *platform_finch_config(bool with_vm)
{
    SCOPED(mem) char *home = platform_home();

    (void)with_vm;
    return home == NULL ? NULL : text_format("%s/.finch/finch.yaml", home);
}

/* What the loader was told, which may be a link, or go by one. */
char *posix_executable(void)
{
    uint32_t size = 0;
    SCOPED(mem) char *path = NULL;

    (void)_NSGetExecutablePath(NULL, &size); /* it says how long it is */
    path = size == 0 ? NULL : malloc(size);
    return path == NULL || _NSGetExecutablePath(path, &size) != 0 ? NULL : realpath(path, NULL);
}

/* ---- files ----------------------------------------------------------------------------------- */

struct timespec posix_mtime(const struct stat *st)
{
    return st->st_mtimespec;
}

/* fsync() leaves it in the drive's memory; a file system of others may know no more than that. */
int posix_sync(int fd)
{
    return fcntl(fd, F_FULLFSYNC) < 0 && fsync(fd) < 0 ? -errno : 0;
}

static int move(const char *from, const char *to, unsigned flags)
{
    if (renameatx_np(AT_FDCWD, from, AT_FDCWD, to, flags) == 0)
        return 0;
    return errno == ENOTSUP || errno == EINVAL ? -EOPNOTSUPP : -errno;
}

int posix_exchange(const char *one, const char *other)
{
    return move(one, other, RENAME_SWAP);
}

int posix_rename_new(const char *from, const char *to)
{
    return move(from, to, RENAME_EXCL);
}
