/* SPDX-License-Identifier: Apache-2.0 */
/* system.h – odds and ends that each system has by another name. */
#ifndef BASE_SYSTEM_H
#define BASE_SYSTEM_H

#include "base/attr.h"

#include <stddef.h>
#include <stdlib.h>

/* What the system calls an errno; not NULL. Any thread. */
const char *system_error_text(int number);
/* Of the system's generator, that nobody can guess. 0, or -EIO. */
MUST_CHECK int system_random(void *ret, size_t len);
/* Standard input, output and error that whoever started us had closed go nowhere: else the next
 * file that is opened, a database or a connection, would be one of them, and what is printed would
 * be written there. At the start of a program, before anything is opened. 0 or a negative errno. */
MUST_CHECK int system_hold_standard_files(void);
/* Zeros that no compiler leaves out; `data` may be NULL when `len` is 0. */
void system_wipe(void *data, size_t len);
/* What stands between two commands in a line that users copy into their shell, where the second is
 * for after the first: PowerShell 5 has no &&. */
extern const char system_then[];
/* reallocarray(): NULL too when the size does not fit. */
static inline void *system_resize(void *array, size_t count, size_t item_bytes)
{
    size_t len;

    return __builtin_mul_overflow(count, item_bytes, &len) ? NULL : realloc(array, len);
}
/* `array`, moved perhaps, with room for one more behind `count` items; NULL: out of memory, and it
 * is as it was. For arrays that grow by this alone: they double, and are full exactly when their
 * count is a power of two, or nothing, so nobody has to note their capacity. */
static inline void *system_grow(void *array, size_t count, size_t item_bytes)
{
    if ((count & (count - 1)) != 0)
        return array;
    return system_resize(array, count == 0 ? 1 : 2 * count, item_bytes);
}

#endif
