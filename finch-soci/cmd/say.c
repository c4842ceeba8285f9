/* SPDX-License-Identifier: Apache-2.0 */
/* say.c – what is told to the user, and where. */
#include "cmd/internal.h"

#include "report/report.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { SAY_BYTES = 2048 };

static void print(FILE *to, const char *before, const char *fmt, va_list args)
    __attribute__((format(printf, 3, 0)));

/* Without the gaps at its end. */
static size_t text_end(const char *text)
{
    size_t len = strlen(text);

    while (len > 0 && text[len - 1] == ' ')
        len--;
    return len;
}

/* Much of what is told was said by the machine, so it is one line, and no terminal obeys it. */
static void print(FILE *to, const char *before, const char *fmt, va_list args)
{
    char text[SAY_BYTES], clean[SAY_BYTES];

    (void)vsnprintf(text, sizeof(text), fmt, args);
    report_clean(clean, sizeof(clean), text);
    clean[text_end(clean)] = '\0';
    (void)fprintf(to, "%s%s\n", before, clean);
    (void)fflush(to);
}

static void say_line(FILE *to, const char *before, const char *fmt, ...) PRINTF_LIKE(3, 4);

static void say_line(FILE *to, const char *before, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    print(to, before, fmt, args);
    va_end(args);
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

void say_error(const struct err *err)
{
    say_line(stderr, "finch-soci: ", "%s", err_text(err));
}

int say_refused(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    print(stderr, "finch-soci: ", fmt, args);
    va_end(args);
    return CMD_USAGE;
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
