/* SPDX-License-Identifier: Apache-2.0 */
/* How much background may be under way, on links of different speed. Time is passed in. */
#include "test.h"

#include "span/internal.h"

/* A link carries what is under way in `rtt_ms` plus its transfer time; what the pace allows is
 * under way, at least `floor_bytes`. */
static uint64_t settle(uint64_t link_bytes_per_s, int64_t rtt_ms, uint64_t floor_bytes, int rounds)
{
    struct span_pace pace = {.under_way = 0};
    int64_t now_ms = 1000;

    while (rounds-- > 0) {
        uint64_t bytes = span_pace_allowance(&pace);

        if (bytes < floor_bytes)
            bytes = floor_bytes;
        span_pace_started(&pace, now_ms);
        now_ms += rtt_ms + (int64_t)(bytes * 1000 / link_bytes_per_s);
        span_pace_ended(&pace, bytes, now_ms);
    }
    return span_pace_allowance(&pace);
}

static void nothing_is_allowed_before_something_was_measured(void **state)
{
    struct span_pace pace = {.under_way = 0};

    (void)state;
    assert_int_equal(span_pace_allowance(&pace), 0);
    span_pace_started(&pace, 0);
    assert_int_equal(span_pace_allowance(&pace), 0);
}

static void the_allowance_grows_to_what_keeps_a_far_link_full(void **state)
{
    uint64_t slow = settle(12500000, 40, 1 << 20, 60), fast = settle(125000000, 40, 1 << 20, 200);

    (void)state;
    assert_in_range(slow, 12500000 / 10 * 3, 12500000 / 10 * 4); /* 300 to 400 ms of it */
    assert_in_range(fast, 125000000 / 10 * 3, 125000000 / 10 * 4);
}

static void a_slow_link_is_allowed_little(void **state)
{
    (void)state;
    assert_true(settle(500000, 100, 100000, 100) <= 200000);
}

static void idle_time_between_gets_does_not_count(void **state)
{
    struct span_pace pace = {.under_way = 0};
    int64_t now_ms = 0;
    int i;

    (void)state;
    for (i = 0; i < 10; i++) {
        span_pace_started(&pace, now_ms);
        span_pace_ended(&pace, 1000000, now_ms + 100);
        now_ms += 100000;
    }
    assert_int_equal(pace.bytes_per_s, 10000000);
}

static void a_get_that_failed_does_not_make_the_link_slower(void **state)
{
    struct span_pace pace = {.under_way = 0};

    (void)state;
    span_pace_started(&pace, 0);
    span_pace_ended(&pace, 5000000, 500);
    assert_int_equal(pace.bytes_per_s, 10000000);
    span_pace_started(&pace, 1000);
    span_pace_ended(&pace, 0, 61000);
    assert_int_equal(pace.bytes_per_s, 10000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_allowed_before_something_was_measured),
        cmocka_unit_test(the_allowance_grows_to_what_keeps_a_far_link_full),
        cmocka_unit_test(a_slow_link_is_allowed_little),
        cmocka_unit_test(idle_time_between_gets_does_not_count),
        cmocka_unit_test(a_get_that_failed_does_not_make_the_link_slower),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
