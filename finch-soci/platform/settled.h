/* SPDX-License-Identifier: Apache-2.0 */
/* settled.h – what settled.c asks of the system about a file. */
#ifndef PLATFORM_SETTLED_H
#define PLATFORM_SETTLED_H

#include "base/err.h"

#include <stdint.h>

/* Two looks with the same id, size and time of writing are at the same content. */
struct file_look {
    uint64_t id, size;
    int64_t written; /* of the system's own clock and unit: to be compared alone */
    int64_t age_ms;  /* since then; negative: the clock was set back */
};

/* Symlinks are followed. 0 or a negative errno. */
MUST_CHECK int file_look_at(const char *path, struct file_look *ret);

#endif
