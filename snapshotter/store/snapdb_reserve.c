/* SPDX-License-Identifier: Apache-2.0 */
/* snapdb_reserve.c – a little disk space that is kept back for deleting rows. Deleting takes space
 * before it gives any: the write-ahead log grows. Without this, a full disk could not be emptied.
 */
#include "store/snapdb_internal.h"

#include "base/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Deleting one row with its labels logs some 15 pages of 4 KiB, so this is enough for an image or
 * two. The files that go with them make room for the rest. */
enum { RESERVE_BYTES = 1024 * 1024 };

void snapdb_fill_reserve(struct snapdb *db)
{
    const char *path = snapdb_reserve_path(db);
    SCOPED(fd) int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0 || st.st_size >= RESERVE_BYTES)
        return;
    if (posix_fallocate(fd, 0, RESERVE_BYTES) != 0)
        (void)unlink(path); /* part of it would be taken for all */
}

bool snapdb_spend_reserve(struct snapdb *db)
{
    return unlink(snapdb_reserve_path(db)) == 0;
}
