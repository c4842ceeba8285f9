/* SPDX-License-Identifier: Apache-2.0 */
/* How much background may be under way, on links of different speed. Time is passed in. */
#include "test.h"

#include "span/internal.h"

enum { LEAD_MAX_MS = 400 };

/* A link of so many bytes in a millisecond, or so many for each of the GETs that share it, and so
 * far away; GETs of one size, the next one asked for when the pace says so. */
struct line {
    uint64_t bytes_per_ms, each_bytes_per_ms; /* 0: no limit of its own */
    int64_t rtt_ms;
    uint64_t get_bytes;
    struct span_pace pace;
    int64_t now_ms;
    struct {
        int64_t start_ms;
        uint64_t left_bytes;
    } gets[8];
    size_t count;
    uint64_t moved_bytes;
};

static void end_get(struct line *line, size_t i)
{
    line->gets[i] = line->gets[--line->count];
    span_pace_ended(&line->pace);
}

static bool has_begun(const struct line *line, size_t i)
{
    return line->gets[i].left_bytes < line->get_bytes;
}

static void carry(struct line *line, size_t i, uint64_t bytes)
{
    if (!has_begun(line, i))
        span_pace_begun(&line->pace, line->now_ms - line->gets[i].start_ms, line->now_ms);
    if (bytes > line->gets[i].left_bytes)
        bytes = line->gets[i].left_bytes;
    line->gets[i].left_bytes -= bytes;
    line->moved_bytes += bytes;
    span_pace_came(&line->pace, bytes, line->now_ms);
    if (line->gets[i].left_bytes == 0)
        end_get(line, i);
}

static uint64_t left_bytes(const struct line *line)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < line->count; i++)
        sum += line->gets[i].left_bytes;
    return sum;
}

static void one_ms(struct line *line)
{
    uint64_t share, active = 0;

    while (line->count < 8 &&
           (line->pace.bytes_per_s == 0
                ? line->count == 0
                : !span_pace_is_full(&line->pace, line->count, left_bytes(line)))) {
        line->gets[line->count].start_ms = line->now_ms;
        line->gets[line->count++].left_bytes = line->get_bytes;
    }
    line->now_ms++;
    for (size_t i = 0; i < line->count; i++)
        active += line->gets[i].start_ms + line->rtt_ms <= line->now_ms;
    if (active == 0)
        return;
    share = line->bytes_per_ms / active;
    if (line->each_bytes_per_ms > 0 && line->each_bytes_per_ms < share)
        share = line->each_bytes_per_ms;
    for (size_t i = line->count; i-- > 0;)
        if (line->gets[i].start_ms + line->rtt_ms <= line->now_ms)
            carry(line, i, share);
}

/* What part of the link, in percent, is used in the last of the seconds. */
static uint64_t use_percent(struct line *line, int seconds)
{
    uint64_t before = 0;

    for (int ms = 0; ms < seconds * 1000; ms++) {
        if (ms == (seconds - 1) * 1000)
            before = line->moved_bytes;
        one_ms(line);
    }
    return (line->moved_bytes - before) / 10 / line->bytes_per_ms;
}

static void nothing_is_known_before_bytes_came(void **state)
{
    struct span_pace pace = {.receiving = 0};

    (void)state;
    assert_int_equal(pace.bytes_per_s, 0);
    assert_int_equal(span_pace_get_bytes(&pace), 0);
    span_pace_begun(&pace, 40, 1000);
    assert_int_equal(pace.bytes_per_s, 0);
}

static void a_far_link_is_kept_full(void **state)
{
    struct line usual = {.bytes_per_ms = 12500, .rtt_ms = 40, .get_bytes = 1300000};
    struct line slow = {.bytes_per_ms = 2500, .rtt_ms = 150, .get_bytes = 1300000};
    struct line fast = {.bytes_per_ms = 125000, .rtt_ms = 40, .get_bytes = 4000000};

    (void)state;
    assert_in_range(use_percent(&usual, 10), 95, 100);
    assert_in_range(use_percent(&slow, 20), 95, 100);
    assert_in_range(use_percent(&fast, 10), 95, 100);
}

static void no_more_than_a_round_trip_and_a_get_is_under_way_on_a_full_link(void **state)
{
    struct line line = {.bytes_per_ms = 12500, .rtt_ms = 40, .get_bytes = 1300000};
    uint64_t most = 0;
    int more = 0;

    (void)state;
    (void)use_percent(&line, 5);
    for (int ms = 0; ms < 20000; ms++) {
        one_ms(&line);
        if (left_bytes(&line) > 12500 * 50 + 1300000)
            more++;
        most = left_bytes(&line) > most ? left_bytes(&line) : most;
    }
    assert_in_range(more, 0, 20000 / 8); /* when one more is tried */
    assert_in_range(most, 1, 12500 * 50 + 3 * 1300000);
}

static void several_connections_with_a_limit_each_are_found_out(void **state)
{
    struct line line = {
        .bytes_per_ms = 12500, .each_bytes_per_ms = 3200, .rtt_ms = 40, .get_bytes = 1300000};

    (void)state;
    assert_in_range(use_percent(&line, 60), 90, 100);
}

static void when_the_limit_is_gone_so_are_the_connections(void **state)
{
    struct line line = {
        .bytes_per_ms = 12500, .each_bytes_per_ms = 3200, .rtt_ms = 40, .get_bytes = 1300000};

    (void)state;
    (void)use_percent(&line, 60);
    assert_in_range(line.pace.extra, 2, 4);
    line.each_bytes_per_ms = 0;
    (void)use_percent(&line, 120);
    assert_in_range(line.pace.extra, 0, 1);
}

static void the_time_before_the_first_byte_is_no_time_of_the_link(void **state)
{
    struct span_pace pace = {.receiving = 0};
    int64_t now_ms = 0;

    (void)state;
    for (int i = 0; i < 40; i++) {
        now_ms += 5000;
        span_pace_begun(&pace, 5000, now_ms);
        for (int k = 0; k < 50; k++)
            span_pace_came(&pace, 10000, ++now_ms);
        span_pace_ended(&pace);
    }
    assert_int_equal(pace.bytes_per_s, 10000000);
}

static void a_stall_does_not_make_the_link_slow_for_long(void **state)
{
    struct span_pace pace = {.receiving = 0};
    int64_t now_ms = 0;

    (void)state;
    span_pace_begun(&pace, 10, now_ms);
    for (int k = 0; k < 3000; k++)
        span_pace_came(&pace, 10000, ++now_ms);
    now_ms += 600000;
    span_pace_came(&pace, 10000, now_ms);
    assert_in_range(pace.bytes_per_s, 7000000, 10000000);
}

static void one_round_trip_that_took_long_changes_little(void **state)
{
    struct span_pace pace = {.receiving = 0};

    (void)state;
    span_pace_begun(&pace, 40, 0);
    span_pace_begun(&pace, 440, 0);
    assert_in_range(pace.round_trip_ms, 40, 65);
    span_pace_begun(&pace, 30, 0);
    assert_int_equal(pace.round_trip_ms, 30);
}

static void a_round_trip_of_seconds_does_not_ask_for_seconds_of_the_link(void **state)
{
    struct span_pace pace = {.receiving = 0, .bytes_per_s = 1000000};

    (void)state;
    span_pace_begun(&pace, 30000, 0);
    assert_false(span_pace_is_full(&pace, 1, 1000000 / 1000 * LEAD_MAX_MS));
    assert_true(span_pace_is_full(&pace, 1, 1000000 / 1000 * LEAD_MAX_MS + 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_known_before_bytes_came),
        cmocka_unit_test(a_far_link_is_kept_full),
        cmocka_unit_test(no_more_than_a_round_trip_and_a_get_is_under_way_on_a_full_link),
        cmocka_unit_test(several_connections_with_a_limit_each_are_found_out),
        cmocka_unit_test(when_the_limit_is_gone_so_are_the_connections),
        cmocka_unit_test(the_time_before_the_first_byte_is_no_time_of_the_link),
        cmocka_unit_test(a_stall_does_not_make_the_link_slow_for_long),
        cmocka_unit_test(one_round_trip_that_took_long_changes_little),
        cmocka_unit_test(a_round_trip_of_seconds_does_not_ask_for_seconds_of_the_link),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
