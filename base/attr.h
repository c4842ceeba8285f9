/* SPDX-License-Identifier: Apache-2.0 */
/* attr.h – compiler attributes by the names that the project uses. */
#ifndef BASE_ATTR_H
#define BASE_ATTR_H

#define MUST_CHECK __attribute__((warn_unused_result))
/* mingw-w64's own printf() takes what C99 has; its `printf` is that of Microsoft's old library. */
#ifdef __MINGW32__
#define PRINTF_LIKE(fmt, first) __attribute__((format(gnu_printf, fmt, first)))
#else
#define PRINTF_LIKE(fmt, first) __attribute__((format(printf, fmt, first)))
#endif
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#endif
