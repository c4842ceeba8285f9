/* SPDX-License-Identifier: Apache-2.0 */
/* test_base_clock.c – RFC 3339 in both directions, waits with a deadline. */
#include "test.h"

#include "base/clock.h"

#include <errno.h>

static void assert_text(int64_t sec, uint32_t nsec, const char *want)
{
    char text[CLOCK_RFC3339_BYTES];
    int64_t back_sec = 0;
    uint32_t back_nsec = 0;

    clock_rfc3339(sec, nsec, text);
    assert_string_equal(text, want);
    assert_ok(clock_parse_rfc3339(text, &back_sec, &back_nsec));
    assert_true(back_sec == sec);
    assert_int_equal(back_nsec, nsec);
}

static void times_are_as_go_prints_them_and_parse_back(void **state)
{
    (void)state;
    assert_text(1700000000, 0, "2023-11-14T22:13:20Z");
    assert_text(1700000000, 120000000, "2023-11-14T22:13:20.12Z");
    assert_text(0, 1, "1970-01-01T00:00:00.000000001Z");
    assert_text(-5, 0, "1969-12-31T23:59:55Z");
    assert_text(-1, 500000000, "1969-12-31T23:59:59.5Z");
    assert_text(951782400, 0, "2000-02-29T00:00:00Z");
    assert_text(-62135596800, 0, "0001-01-01T00:00:00Z");
    assert_text(-62167219200, 0, "0000-01-01T00:00:00Z");
    assert_text(253402300799, 999999999, "9999-12-31T23:59:59.999999999Z");
}

static void years_that_have_no_four_digits_are_empty(void **state)
{
    char text[CLOCK_RFC3339_BYTES];

    (void)state;
    clock_rfc3339(253402300800, 0, text);
    assert_string_equal(text, "");
    clock_rfc3339(-62167219201, 0, text);
    assert_string_equal(text, "");
    clock_rfc3339(INT64_MAX, 0, text);
    assert_string_equal(text, "");
    clock_rfc3339(INT64_MIN, 0, text);
    assert_string_equal(text, "");
}

static void any_numeric_zone_is_read(void **state)
{
    int64_t sec;
    uint32_t nsec;

    (void)state;
    assert_ok(clock_parse_rfc3339("1969-12-31T20:30:00-03:30", &sec, &nsec));
    assert_true(sec == 0);
    assert_ok(clock_parse_rfc3339("1970-01-01T05:45:00.5+05:45", &sec, &nsec));
    assert_true(sec == 0);
    assert_int_equal(nsec, 500000000);
}

static void what_is_no_time_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "2023-11-14",
        "2023-11-14T22:13:20",
        "2023-11-14T22:13:20z",
        "2023-13-14T22:13:20Z",
        "2023-02-29T00:00:00Z",
        "1900-02-29T00:00:00Z",
        "2023-11-31T00:00:00Z",
        "2023-11-14T24:13:20Z",
        "2023-11-14T22:60:20Z",
        "2023-11-14T22:13:20.Z",
        "2023-11-14T22:13:20+1:00",
        "2023-11-14T22:13:20Zx",
        "-023-11-14T22:13:20Z",
    };
    int64_t sec = 42;
    uint32_t nsec = 42;
    size_t i;

    (void)state;
    for (i = 0; i < ARRAY_LEN(bad); i++) {
        if (clock_parse_rfc3339(bad[i], &sec, &nsec) != -EINVAL)
            fail_msg("accepted: %s", bad[i]);
    }
    assert_true(sec == 42);
}

static void a_wait_ends_at_its_deadline(void **state)
{
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    int64_t deadline_ms = clock_mono_ms() + 20;
    pthread_cond_t cond;
    int rc = 0;

    (void)state;
    assert_ok(clock_cond_init(&cond));
    (void)pthread_mutex_lock(&lock);
    while (rc == 0)
        rc = clock_cond_wait_until(&cond, &lock, deadline_ms);
    (void)pthread_mutex_unlock(&lock);
    assert_int_equal(rc, -ETIMEDOUT);
    assert_true(clock_mono_ms() >= deadline_ms);
    (void)pthread_cond_destroy(&cond);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_are_as_go_prints_them_and_parse_back),
        cmocka_unit_test(years_that_have_no_four_digits_are_empty),
        cmocka_unit_test(any_numeric_zone_is_read),
        cmocka_unit_test(what_is_no_time_is_refused),
        cmocka_unit_test(a_wait_ends_at_its_deadline),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
