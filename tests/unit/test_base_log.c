/* SPDX-License-Identifier: Apache-2.0 */
/* test_base_log.c – one line per event, whatever is in its values. */
#include "test.h"

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* What `level`, `msg` and two fields come out as on stderr. */
static void capture(char *out, size_t out_bytes, const char *first, const char *second)
{
    char path[] = "/tmp/log.XXXXXX";
    int fd = mkstemp(path), saved = dup(STDERR_FILENO);
    ssize_t n;

    assert_true(fd >= 0 && saved >= 0);
    (void)unlink(path);
    (void)dup2(fd, STDERR_FILENO);
    log_info("a message", "layer=%s err=%s", first, second);
    (void)dup2(saved, STDERR_FILENO);
    (void)close(saved);
    n = pread(fd, out, out_bytes - 1, 0);
    (void)close(fd);
    assert_true(n >= 0);
    out[n] = '\0';
}

static void json_lines_hold_any_value(void **state)
{
    char line[1024];

    (void)state;
    log_setup(LOG_LEVEL_INFO, LOG_STYLE_JSON);
    capture(line, sizeof(line), "sha256:1f", "it said \"no = way\"\nand left");
    assert_memory_equal(line, "{\"level\":\"info\",\"msg\":\"a message\",\"time\":\"", 42);
    assert_non_null(strstr(
        line, ",\"layer\":\"sha256:1f\",\"err\":\"it said \\\"no = way\\\"\\nand left\"}\n"));
}

static void text_lines_quote_what_has_spaces(void **state)
{
    char line[1024];

    (void)state;
    log_setup(LOG_LEVEL_INFO, LOG_STYLE_TEXT);
    capture(line, sizeof(line), "plain", "two words");
    assert_non_null(strstr(line, " level=info msg=\"a message\" layer=plain err=\"two words\"\n"));
}

static void a_level_that_is_off_writes_nothing(void **state)
{
    char line[1024];

    (void)state;
    log_setup(LOG_LEVEL_WARN, LOG_STYLE_JSON);
    capture(line, sizeof(line), "x", "y");
    assert_string_equal(line, "");
    assert_false(log_is_on(LOG_LEVEL_INFO));
    log_setup(LOG_LEVEL_INFO, LOG_STYLE_JSON);
}

static void a_value_that_is_too_long_is_cut_and_the_line_is_whole(void **state)
{
    char *big = malloc(100000);
    char line[16384];

    (void)state;
    assert_non_null(big);
    memset(big, 'x', 99999);
    big[99999] = '\0';
    log_setup(LOG_LEVEL_INFO, LOG_STYLE_JSON);
    capture(line, sizeof(line), big, "y");
    assert_string_equal(line + strlen(line) - 4, "x\"}\n");
    free(big);
}

static void names_of_levels_are_known(void **state)
{
    static const struct {
        const char *name;
        enum log_level level;
    } names[] = {
        {"trace", LOG_LEVEL_TRACE}, {"debug", LOG_LEVEL_DEBUG},  {"info", LOG_LEVEL_INFO},
        {"warn", LOG_LEVEL_WARN},   {"warning", LOG_LEVEL_WARN}, {"error", LOG_LEVEL_ERROR},
        {"fatal", LOG_LEVEL_FATAL}, {"panic", LOG_LEVEL_FATAL},  {"INFO", LOG_LEVEL_INFO},
        {"Warn", LOG_LEVEL_WARN},
    };
    enum log_level level = LOG_LEVEL_INFO;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        assert_ok(log_level_parse(names[i].name, &level));
        assert_int_equal(level, names[i].level);
    }
    assert_int_equal(log_level_parse("loud", &level), -EINVAL);
    assert_int_equal(log_level_parse("", &level), -EINVAL);
}

static void a_limit_passes_once_per_period(void **state)
{
    struct log_limit limit = LOG_LIMIT_START;

    (void)state;
    assert_true(log_limit_pass(&limit, 60000));
    assert_false(log_limit_pass(&limit, 60000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_lines_hold_any_value),
        cmocka_unit_test(text_lines_quote_what_has_spaces),
        cmocka_unit_test(a_level_that_is_off_writes_nothing),
        cmocka_unit_test(a_value_that_is_too_long_is_cut_and_the_line_is_whole),
        cmocka_unit_test(names_of_levels_are_known),
        cmocka_unit_test(a_limit_passes_once_per_period),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
