/* SPDX-License-Identifier: Apache-2.0 */
/* windows_libc.c – what the C library of Windows lacks. */
#include "base/windows_libc.h"

#include <stdint.h>

char *strndup(const char *s, size_t max)
{
    size_t len = strnlen(s, max);
    char *copy = malloc(len + 1);

    if (copy != NULL) {
        memcpy(copy, s, len);
        copy[len] = '\0';
    }
    return copy;
}

void *memmem(const void *in, size_t in_len, const void *what, size_t len)
{
    const char *at = in;

    for (; in_len >= len; at++, in_len--) {
        if (memcmp(at, what, len) == 0)
            return (void *)(uintptr_t)at;
    }
    return NULL;
}
