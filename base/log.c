/* SPDX-License-Identifier: Apache-2.0 */
/* log.c – formats one event as a line and writes it with one call. */
#include "base/log.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "base/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { LOG_FIELDS_BYTES = 4096 };

/* The sink. Written by log_setup() before there are threads, read-only afterwards. */
static enum log_level sink_level = LOG_LEVEL_INFO;
static enum log_style sink_style = LOG_STYLE_JSON;

static const char *const level_names[] = {"trace", "debug", "info", "warning", "error", "fatal"};

void log_setup(enum log_level level, enum log_style style)
{
    sink_level = level;
    sink_style = style;
}

int log_level_parse(const char *name, enum log_level *ret)
{
    size_t i;

    if (text_equal_nocase(name, "warn"))
        name = "warning";
    if (text_equal_nocase(name, "panic"))
        name = "fatal";
    for (i = 0; i < ARRAY_LEN(level_names); i++) {
        if (text_equal_nocase(name, level_names[i])) {
            *ret = (enum log_level)i;
            return 0;
        }
    }
    return -EINVAL;
}

bool log_is_on(enum log_level level)
{
    return level >= sink_level;
}

/* The fields are formatted in one go, with the marks of the format kept apart from the values: each
 * " key=" of the format is preceded by a byte that no value of ours holds, so values may contain
 * spaces. */
enum { FIELD_MARK = 0x01 };

static void mark_fields(const char *fmt, char *out, size_t out_bytes)
{
    size_t used = 0;
    bool at_key = true;

    for (; *fmt != '\0' && used + 2 < out_bytes; fmt++) {
        if (at_key)
            out[used++] = FIELD_MARK;
        at_key = *fmt == ' ';
        if (!at_key)
            out[used++] = *fmt;
    }
    out[used] = '\0';
}

static int add_field(struct buf *line, char *field)
{
    char *value = strchr(field, '=');
    int rc;

    if (value == NULL)
        return 0;
    *value++ = '\0';
    if (sink_style == LOG_STYLE_TEXT) {
        rc = buf_addf(line, " %s=", field);
        if (rc == 0 && value[0] != '\0' && strpbrk(value, " \"\n\t=\\") == NULL)
            return buf_add_str(line, value);
        return rc < 0 ? rc : text_add_json(line, bytes_of_str(value), false);
    }
    rc = buf_addf(line, ",\"%s\":", field);
    return rc < 0 ? rc : text_add_json(line, bytes_of_str(value), false);
}

static int add_head(struct buf *line, enum log_level level, const char *msg)
{
    int64_t now_ns = clock_wall_ns();
    char when[CLOCK_RFC3339_BYTES];
    int rc;

    clock_rfc3339(now_ns / 1000000000, (uint32_t)(now_ns % 1000000000), when);
    if (sink_style == LOG_STYLE_TEXT) {
        rc = buf_addf(line, "time=\"%s\" level=%s msg=", when, level_names[level]);
        return rc < 0 ? rc : text_add_json(line, bytes_of_str(msg), false);
    }
    rc = buf_addf(line, "{\"level\":\"%s\",\"msg\":", level_names[level]);
    if (rc == 0)
        rc = text_add_json(line, bytes_of_str(msg), false);
    return rc < 0 ? rc : buf_addf(line, ",\"time\":\"%s\"", when);
}

static void write_all(const uint8_t *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(STDERR_FILENO, data, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return; /* there is nowhere left to say so */
        data += n;
        len -= (size_t)n;
    }
}

void log_write(enum log_level level, const char *msg, const char *fmt, ...)
{
    SCOPED(buf_value) struct buf line = BUF_EMPTY;
    char marked[512], fields[LOG_FIELDS_BYTES];
    int saved_errno = errno, rc = add_head(&line, level, msg);
    char *field, *rest = NULL;
    va_list args;

    if (rc == 0 && fmt != NULL) {
        mark_fields(fmt, marked, sizeof(marked));
        va_start(args, fmt);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" /* `fmt` was checked at the call */
        (void)vsnprintf(fields, sizeof(fields), marked, args);
#pragma GCC diagnostic pop
        va_end(args);
        for (field = strtok_r(fields, "\x01", &rest); field != NULL && rc == 0;
             field = strtok_r(NULL, "\x01", &rest))
            rc = add_field(&line, field);
    }
    if (rc == 0)
        rc = buf_add_str(&line, sink_style == LOG_STYLE_TEXT ? "\n" : "}\n");
    if (rc == 0)
        write_all(line.data, line.len);
    errno = saved_errno;
}

bool log_limit_pass(struct log_limit *limit, int64_t period_ms)
{
    int64_t now_ms = clock_mono_ms();
    int64_t next_ms = __atomic_load_n(&limit->next_ms, __ATOMIC_RELAXED);

    if (now_ms < next_ms)
        return false;
    return __atomic_compare_exchange_n(&limit->next_ms, &next_ms, now_ms + period_ms, false,
                                       __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}
