/* SPDX-License-Identifier: Apache-2.0 */
/* say.c – what is told to the user, and where. */
#include "cmd/internal.h"

#include <stdarg.h>
#include <stdlib.h>

static void print(FILE *to, const char *before, const char *fmt, va_list args)
    __attribute__((format(printf, 3, 0)));

static void print(FILE *to, const char *before, const char *fmt, va_list args)
{
    (void)fputs(before, to);
    (void)vfprintf(to, fmt, args);
    (void)fputc('\n', to);
    (void)fflush(to);
}

void say(const struct cmd_globals *globals, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    if (!globals->quiet)
        print(stdout, "", fmt, args);
    va_end(args);
}

void say_progress(const struct cmd_globals *globals, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    if (!globals->quiet)
        print(stderr, "", fmt, args);
    va_end(args);
}

void say_detail(const struct cmd_globals *globals, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    if (globals->verbose)
        print(stderr, "", fmt, args);
    va_end(args);
}

void say_warning(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    print(stderr, "finch-soci: warning: ", fmt, args);
    va_end(args);
}

int say_after(struct err *err, int rc, const char *what)
{
    const struct err before = *err;

    return err_set(err, rc, "%s; %s", err_text(&before), what);
}

bool say_in_colour(FILE *stream)
{
    const char *no = getenv("NO_COLOR");

    return (no == NULL || *no == '\0') && platform_is_terminal(stream);
}
