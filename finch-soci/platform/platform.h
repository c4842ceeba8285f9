/* SPDX-License-Identifier: Apache-2.0 */
/* platform.h – what the host system must offer beyond C and POSIX's common part. CMake picks the
 * files: posix_files.c for Linux and macOS; what Windows needs comes with windows.c. */
#ifndef PLATFORM_PLATFORM_H
#define PLATFORM_PLATFORM_H

#include "base/attr.h"
#include "base/bytes.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

/* ---- files ----------------------------------------------------------------------------------- */

/* The whole file, symlinks followed, read while nobody seems to be writing it: a writer that
 * truncates first is waited for. -ENOENT, -EFBIG, or as the system says. Blocks up to two seconds.
 */
MUST_CHECK int platform_file_read(const char *path, size_t max_bytes, struct buf *ret,
                                  struct err *err);

/* Replace `path`, symlinks followed, at once, with mode and owner of what was there (else 0600, in
 * a directory made 0700). `was` is what the caller believes to be in it, NULL: that there is no
 * such file. -EAGAIN: it is something else by now and stays. After a crash there is the old file or
 * the new one. */
MUST_CHECK int platform_file_replace(const char *path, const struct bytes *was,
                                     struct bytes content, struct err *err);

/* Remove `path` if it still holds `was`. -EAGAIN: it does not. */
MUST_CHECK int platform_file_remove(const char *path, struct bytes was, struct err *err);

/* ---- places ---------------------------------------------------------------------------------- */

/* Of the user who runs us: a new string, NULL: out of memory or nobody knows. */
char *platform_home(void);
/* Of our own program, links followed: a new string, NULL as above. */
char *platform_program_dir(void);
/* Where Finch is installed when its program is not in PATH; NULL: nowhere in particular. */
extern const char *const platform_finch_root;
/* Whether Finch runs containers in a virtual machine here. */
extern const bool platform_has_vm;

#endif
