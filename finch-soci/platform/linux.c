/* SPDX-License-Identifier: Apache-2.0 */
/* linux.c – what is particular to Linux: Finch has no virtual machine there. */
#include "platform/internal.h"

#include "base/text.h"

#include <fcntl.h>

const char *const platform_finch_root = NULL;
const bool platform_has_vm = false;

/* The packages' Finch has one file for all users; with a machine it is each user's own. */
char *platform_finch_config(bool with_vm)
{
    SCOPED(mem) char *home = NULL;

    if (!with_vm)
        return text_copy("/etc/finch/finch.yaml");
    home = platform_home();
    return home == NULL ? NULL : text_format("%s/.finch/finch.yaml", home);
}

char *posix_executable(void)
{
    return realpath("/proc/self/exe", NULL);
}

/* ---- files ----------------------------------------------------------------------------------- */

struct timespec posix_mtime(const struct stat *st)
{
    return st->st_mtim;
}

int posix_sync(int fd)
{
    return fsync(fd) < 0 ? -errno : 0;
}

static int move(const char *from, const char *to, unsigned flags)
{
    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, flags) == 0)
        return 0;
    return errno == EINVAL || errno == ENOSYS ? -EOPNOTSUPP : -errno;
}

int posix_exchange(const char *one, const char *other)
{
    return move(one, other, RENAME_EXCHANGE);
}

int posix_rename_new(const char *from, const char *to)
{
    return move(from, to, RENAME_NOREPLACE);
}
