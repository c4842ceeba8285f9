/* SPDX-License-Identifier: Apache-2.0 */
/* platform.h – what the host system must offer beyond C and POSIX's common part. CMake picks the
 * files: posix_*.c for Linux and macOS; what Windows needs comes with windows.c. */
#ifndef PLATFORM_PLATFORM_H
#define PLATFORM_PLATFORM_H

#include "base/attr.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

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
/* Where Finch reads finch.yaml; `with_vm`: it has a machine, or the user has one of Lima's. A new
 * string, NULL as above. */
char *platform_finch_config(bool with_vm);

/* ---- one at a time --------------------------------------------------------------------------- */

/* Held until it is freed, or its process is gone. `path` is a directory, or a file that is made
 * and stays. */
struct platform_lock;
/* -EBUSY: another process holds it; or as the system says. Does not wait. */
MUST_CHECK int platform_lock_take(const char *path, struct platform_lock **ret, struct err *err);
void platform_lock_free(struct platform_lock *lock); /* NULL is fine */
DEFINE_SCOPED_PTR(platform_lock, struct platform_lock, platform_lock_free)

/* ---- the terminal ---------------------------------------------------------------------------- */

bool platform_is_terminal(FILE *stream);
/* Columns of the terminal behind it; 0: it is none, or does not tell. */
unsigned platform_terminal_width(FILE *stream);

/* Run a program to its end on our own terminal, input and outputs. What interrupts us meanwhile is
 * for it to answer. *ret_status: its exit status, 128 + signal when a signal ended it. -ENOENT: no
 * such program. */
MUST_CHECK int platform_run_attached(const char *const *argv, int *ret_status, struct err *err);

/* From now on `call` is told when the user wants us to end: in a signal handler, so it does next to
 * nothing; a wait under way ends with EINTR. `number` is 2 for Ctrl-C, 15 for a request to end. */
void platform_on_interrupt(void (*call)(int number));

#endif
