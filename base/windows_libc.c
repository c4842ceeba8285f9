/* SPDX-License-Identifier: Apache-2.0 */
/* windows_libc.c – what the C library of Windows lacks. */
#include "base/windows_libc.h"

#include <errno.h>
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

void *reallocarray(void *old, size_t count, size_t size)
{
    size_t total;

    if (__builtin_mul_overflow(count, size, &total)) {
        errno = ENOMEM;
        return NULL;
    }
    return realloc(old, total);
}

char *stpcpy(char *to, const char *from)
{
    size_t len = strlen(from);

    memcpy(to, from, len + 1);
    return to + len;
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
