/* SPDX-License-Identifier: Apache-2.0 */
/* files.h – whole reads and writes, atomic replacement, directory trees. Calls block on the disk.
 */
#ifndef BASE_FILES_H
#define BASE_FILES_H

#include "base/attr.h"
#include "base/bytes.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* All of `len` at `off`, interrupted calls repeated. 0, or a negative errno; file_pread_all:
 * -EBADMSG when the file ends before. */
MUST_CHECK int file_pread_all(int fd, void *buf, size_t len, uint64_t off, struct err *err);
MUST_CHECK int file_pwrite_all(int fd, const void *buf, size_t len, uint64_t off, struct err *err);
MUST_CHECK int file_write_all(int fd, const void *buf, size_t len, struct err *err);

/* The whole file, appended to *ret. -EFBIG: larger than `max_bytes`. */
MUST_CHECK int file_read(const char *path, size_t max_bytes, struct buf *ret, struct err *err);

/* The same, -EINVAL at once when it is no regular file: a FIFO would have us wait for who writes.
 */
MUST_CHECK int file_read_regular(const char *path, size_t max_bytes, struct buf *ret,
                                 struct err *err);

/* Replace `path` so that after a crash it holds the old bytes or the new, never a mixture:
 * temporary file beside it, fsync, rename, fsync of the directory. */
MUST_CHECK int file_replace(const char *path, struct bytes content, mode_t mode, struct err *err);

/* mkdir -p; an existing directory is fine and keeps its mode. */
MUST_CHECK int dir_make_all(const char *path, mode_t mode, struct err *err);
/* rm -rf that does not follow symlinks and does not cross into other mounts. -ENOENT is success. */
MUST_CHECK int dir_remove_all(const char *path, struct err *err);
/* fsync of a directory, so that renames in it survive power loss. */
MUST_CHECK int dir_sync(const char *path, struct err *err);

bool path_exists(const char *path); /* of any kind; a dangling symlink counts */
bool path_is_dir(const char *path); /* links followed */
/* -ENOENT. */
MUST_CHECK int file_unlink(const char *path, struct err *err);

/* ---- names ----------------------------------------------------------------------------------- */

bool path_is_separator(char c); /* '/', on Windows '\\' too */
/* "dir/name", a new string; NULL: out of memory. */
char *path_join(const char *dir, const char *name);
/* Behind the last separator; borrowed. */
const char *path_name(const char *path);
/* The directory part, "." when there is none: a new string; NULL: out of memory. */
char *path_parent(const char *path);

#endif
