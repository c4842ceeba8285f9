/* SPDX-License-Identifier: Apache-2.0 */
/* platform.h – what the host system must offer beyond C and POSIX's common part. CMake picks the
 * files: posix_files.c for Linux and macOS; what Windows needs comes with windows.c. */
#ifndef PLATFORM_PLATFORM_H
#define PLATFORM_PLATFORM_H

#include "base/attr.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

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

/* ---- programs -------------------------------------------------------------------------------- */

struct platform_run {
    const char *const *argv; /* NULL at the end; argv[0] is a path, or looked for in PATH */
    const char *const
        *settings; /* NAME=value over our own environment, NULL at the end; NULL: none */
    struct bytes input;
    size_t max_output_bytes; /* of each of the two; 0: 1 MiB */
    int64_t timeout_ms;      /* 0: 60000; then the program and its children are killed */
};
struct platform_result {
    struct buf out, err;
    int exit_status; /* 128 + signal when a signal ended it */
};
void platform_result_fini(struct platform_result *result);
DEFINE_SCOPED_VALUE(platform_result, struct platform_result, platform_result_fini)
/* 0 when it ran, whatever its exit status. -ENOENT: no such program, -ETIMEDOUT, -EFBIG. No shell.
 */
MUST_CHECK int platform_run(const struct platform_run *run, struct platform_result *ret,
                            struct err *err);

/* In PATH, links followed: a new string. -ENOENT. */
MUST_CHECK int platform_find_program(const char *name, char **ret, struct err *err);
bool platform_is_alive(int64_t pid);

/* ---- places ---------------------------------------------------------------------------------- */

/* Of the user who runs us: a new string, NULL: out of memory or nobody knows. */
char *platform_home(void);
/* Where Finch is installed when its program is not in PATH; NULL: nowhere in particular. */
extern const char *const platform_finch_root;
/* Whether Finch runs containers in a virtual machine here. */
extern const bool platform_has_vm;

#endif
