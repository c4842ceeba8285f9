/* SPDX-License-Identifier: Apache-2.0 */
/* posix.h – for those who start programs by posix_spawn(); Windows has none of it. */
#ifndef BASE_POSIX_H
#define BASE_POSIX_H

/* What a program is run with: `base`, NULL for our own environment, with `settings` (NAME=value;
 * NULL: none) over it. The array is the caller's to free(), the strings are borrowed. NULL: out of
 * memory. */
char **posix_environment(const char *const *base, const char *const *settings);

#endif
