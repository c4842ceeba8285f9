/* SPDX-License-Identifier: Apache-2.0 */
/* err.c – an error's code and text, composed without allocating. */
#include "base/err.h"

#include "base/system.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#ifdef __clang_analyzer__ /* here are the functions themselves */
#undef err_set
#undef err_sys
#undef err_prefix
#endif

int err_set(struct err *err, int code, const char *fmt, ...)
{
    va_list args;

    if (err == NULL)
        return code;
    err->code = code;
    va_start(args, fmt);
    (void)vsnprintf(err->text, sizeof(err->text), fmt, args);
    va_end(args);
    return code;
}

static const char *system_text(int code)
{
    return system_error_text(code < 0 ? -code : code);
}

int err_sys(struct err *err, int code, const char *fmt, ...)
{
    va_list args;
    size_t used;

    if (err == NULL)
        return code;
    err->code = code;
    va_start(args, fmt);
    (void)vsnprintf(err->text, sizeof(err->text), fmt, args);
    va_end(args);
    used = strlen(err->text);
    (void)snprintf(err->text + used, sizeof(err->text) - used, ": %s", system_text(code));
    return code;
}

int err_prefix(struct err *err, int code, const char *fmt, ...)
{
    char old[ERR_TEXT_BYTES];
    va_list args;
    size_t used;

    if (err == NULL)
        return code;
    if (err->text[0] == '\0')
        (void)snprintf(old, sizeof(old), "%s", system_text(code));
    else
        memcpy(old, err->text, sizeof(old));
    err->code = code;
    va_start(args, fmt);
    (void)vsnprintf(err->text, sizeof(err->text), fmt, args);
    va_end(args);
    used = strlen(err->text);
    (void)snprintf(err->text + used, sizeof(err->text) - used, ": %s", old);
    return code;
}

const char *err_text(const struct err *err)
{
    if (err == NULL || err->text[0] == '\0')
        return err != NULL && err->code != 0 ? system_text(err->code) : "unknown error";
    return err->text;
}
