/* SPDX-License-Identifier: Apache-2.0 */
/* test_fakes_link.c – the slow line of the tests: when bytes arrive. Times are passed in. */
#include "test.h"

#include "link.h"

enum { MS = 1000 * 1000 };

static void a_byte_arrives_half_a_round_trip_later(void **state)
{
    struct link link = link_make(0, 20 * MS);

    (void)state;
    assert_int_equal(link_send(&link, 1, 5 * MS), 25 * MS);
    assert_int_equal(link.bytes, 1);
}

static void bytes_take_as_long_as_the_rate_says(void **state)
{
    struct link link = link_make(100 * 1000 * 1000, 20 * MS);

    (void)state;
    /* 12,500 bytes are 100,000 bits: 1 ms at 100 Mbit/s. */
    assert_int_equal(link_send(&link, 12500, 0), 21 * MS);
    assert_int_equal(link_send(&link, 12500, 0), 22 * MS);       /* behind the first */
    assert_int_equal(link_send(&link, 12500, 50 * MS), 71 * MS); /* idle time is not saved up */
}

static void the_log_has_each_stretch_in_which_the_line_was_busy(void **state)
{
    struct link link = link_make(100 * 1000 * 1000, 20 * MS);
    SCOPED(mem) char *text = NULL;
    size_t len = 0;

    (void)state;
    link.log = open_memstream(&text, &len);
    assert_non_null(link.log);
    link_log(&link); /* nothing was sent */
    (void)link_send(&link, 12500, 10 * MS);
    (void)link_send(&link, 12500, 10 * MS);
    (void)link_send(&link, 12500, 50 * MS);
    link_log(&link);
    assert_int_equal(fclose(link.log), 0);
    assert_string_equal(text, "30000000 32000000\n70000000 71000000\n");
}

static void a_line_with_a_backlog_is_closed(void **state)
{
    struct link link = link_make(100 * 1000 * 1000, 20 * MS);

    (void)state;
    assert_true(link_is_open(&link, 0));
    (void)link_send(&link, 12500 * 6, 0); /* 6 ms of work, 5 are allowed */
    assert_false(link_is_open(&link, 0));
    assert_int_equal(link_opens_ns(&link), 1 * MS);
    assert_false(link_is_open(&link, 1 * MS - 1));
    assert_true(link_is_open(&link, 1 * MS));
}

static void a_line_without_a_rate_is_never_closed(void **state)
{
    struct link link = link_make(0, 20 * MS);

    (void)state;
    (void)link_send(&link, 1u << 30, 7 * MS);
    assert_true(link_is_open(&link, 7 * MS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_byte_arrives_half_a_round_trip_later),
        cmocka_unit_test(bytes_take_as_long_as_the_rate_says),
        cmocka_unit_test(the_log_has_each_stretch_in_which_the_line_was_busy),
        cmocka_unit_test(a_line_with_a_backlog_is_closed),
        cmocka_unit_test(a_line_without_a_rate_is_never_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
