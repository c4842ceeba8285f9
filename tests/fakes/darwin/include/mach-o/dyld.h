/* SPDX-License-Identifier: Apache-2.0 */
/* dyld.h – the one call of macOS's loader that platform/darwin.c uses. */
#ifndef FAKE_MACH_O_DYLD_H
#define FAKE_MACH_O_DYLD_H

#include <stdint.h>

/* 0, or -1 and the size that it takes. */
int _NSGetExecutablePath(char *buf, uint32_t *bufsize);

#endif
