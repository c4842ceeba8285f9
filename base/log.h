/* SPDX-License-Identifier: Apache-2.0 */
/* log.h – one line per event on stderr: a fixed message and key=value fields.
 *
 *   log_warn("span digest mismatch, fetching again", "layer=%s span=%zu try=%u", digest, n, tries);
 *
 * The format is `key=%conv key=%conv …`, single spaces between the pairs, checked by the compiler
 * like printf's. A value may hold anything, spaces and equals signs too: each pair is formatted on
 * its own. No fields: log_info("message", NULL). Keys are the same everywhere: layer, span, image,
 * took_ms, err. Tokens and URL queries never appear in a field.
 *
 * JSON lines ({"time","level","msg",…}, all values strings) by default, text for people; see
 * log_setup(). Any thread; a line is one write(2). A line whose level is off costs one load. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/attr.h"

#include <stdbool.h>
#include <stdint.h>

enum log_level {
    LOG_LEVEL_TRACE,
    LOG_LEVEL_DEBUG,
    LOG_LEVEL_INFO,
    LOG_LEVEL_WARN,
    LOG_LEVEL_ERROR,
    LOG_LEVEL_FATAL,
};

enum log_style {
    LOG_STYLE_JSON,
    LOG_STYLE_TEXT, /* time="…" level=… msg="…" key=value */
};

/* At start-up, from main(), before there are threads. The level is info and the style JSON before.
 */
void log_setup(enum log_level level, enum log_style style);

/* "trace" … "fatal", and "panic" for fatal, "warning" for warn, in any case of letters: 0, else
 * -EINVAL. */
MUST_CHECK int log_level_parse(const char *name, enum log_level *ret);

bool log_is_on(enum log_level level);
void log_write(enum log_level level, const char *msg, const char *fmt, ...) PRINTF_LIKE(3, 4);

#define log_at(level, msg, ...)                                                                    \
    do {                                                                                           \
        if (log_is_on(level))                                                                      \
            log_write(level, msg, __VA_ARGS__);                                                    \
    } while (0)
#define log_trace(msg, ...) log_at(LOG_LEVEL_TRACE, msg, __VA_ARGS__)
#define log_debug(msg, ...) log_at(LOG_LEVEL_DEBUG, msg, __VA_ARGS__)
#define log_info(msg, ...) log_at(LOG_LEVEL_INFO, msg, __VA_ARGS__)
#define log_warn(msg, ...) log_at(LOG_LEVEL_WARN, msg, __VA_ARGS__)
#define log_error(msg, ...) log_at(LOG_LEVEL_ERROR, msg, __VA_ARGS__)
#define log_fatal(msg, ...) log_at(LOG_LEVEL_FATAL, msg, __VA_ARGS__)

/* For messages in a path that may run very often: true at most once per `period_ms`, and always the
 * first time. One of these per place, static, starting as LOG_LIMIT_START. */
struct log_limit {
    int64_t next_ms; /* atomic, monotonic */
};
#define LOG_LIMIT_START                                                                            \
    {                                                                                              \
        .next_ms = 0                                                                               \
    }
bool log_limit_pass(struct log_limit *limit, int64_t period_ms);

#endif
