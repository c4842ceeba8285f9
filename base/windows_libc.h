/* SPDX-License-Identifier: Apache-2.0 */
/* windows_libc.h – what the C library of Windows lacks of what POSIX's has; included in every file
 * there, by cmake/targets.cmake. What touches files, processes or sockets is not among it: that
 * goes through base/ and platform/. */
#ifndef BASE_WINDOWS_LIBC_H
#define BASE_WINDOWS_LIBC_H

#include <io.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

char *strndup(const char *s, size_t max);
void *memmem(const void *in, size_t in_len, const void *what, size_t len);

/* io.h has a tell(), which POSIX never had: our own functions may be called so. */
#define tell soci_tell

#endif
