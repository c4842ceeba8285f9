/* SPDX-License-Identifier: Apache-2.0 */
/* What readers ask for first, and in which order, is noted, within bounds. */
#include "span_rig.h"

#include "base/clock.h"

#include <errno.h>

enum { SPAN_BYTES = 10000, LONG_MS = 3600 * 1000 };

static void start(struct rig *rig)
{
    rig_start(rig, &(struct rig_options){.kind = RIG_PLAIN,
                                         .count = 12,
                                         .span_bytes = SPAN_BYTES,
                                         .engine = {.disable_background = true}});
}

static struct span_trace *trace(struct rig *rig, int64_t window_ms, size_t max_touches)
{
    const struct span_trace_options options = {.window_ms = window_ms, .max_touches = max_touches};
    struct span_trace *trace = NULL;
    struct err err = ERR_NONE;

    assert_ok(span_trace_new(rig->engine, &options, &trace, &err));
    assert_ok(span_trace_add(trace, rig->set, 5, &err));
    return trace;
}

static void read_span(struct rig *rig, size_t n)
{
    struct err err = ERR_NONE;

    assert_ok(rig_read_span(rig, n, &err));
}

static void spans_are_noted_once_in_the_order_of_their_first_read(void **state)
{
    const uint32_t order[] = {7, 2, 9};
    const struct span_touch *touches;
    struct span_trace *t;
    struct rig rig;
    size_t count;

    (void)state;
    start(&rig);
    t = trace(&rig, LONG_MS, 100);
    read_span(&rig, 7);
    read_span(&rig, 2);
    read_span(&rig, 7);
    read_span(&rig, 9);
    touches = span_trace_stop(t, &count);
    assert_int_equal(count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(touches[i].span, order[i]);
        assert_int_equal(touches[i].tag, 5);
        assert_true(i == 0 ? touches[i].at_ms == 0 : touches[i].at_ms >= touches[i - 1].at_ms);
    }
    span_trace_free(t);
    rig_stop(&rig);
}

static void what_is_present_already_is_noted_too(void **state)
{
    const struct span_touch *touches;
    struct span_trace *t;
    struct rig rig;
    size_t count;

    (void)state;
    start(&rig);
    read_span(&rig, 4);
    t = trace(&rig, LONG_MS, 100);
    read_span(&rig, 4);
    touches = span_trace_stop(t, &count);
    assert_int_equal(count, 1);
    assert_int_equal(touches[0].span, 4);
    assert_int_equal(rig_calls(&rig.source), 1);
    span_trace_free(t);
    rig_stop(&rig);
}

static void a_read_over_several_spans_notes_each(void **state)
{
    struct err err = ERR_NONE;
    struct span_trace *t;
    struct rig rig;
    size_t count;

    (void)state;
    start(&rig);
    t = trace(&rig, LONG_MS, 100);
    assert_ok(rig_read(&rig, 0, rig.layer.tar.len, &err));
    (void)span_trace_stop(t, &count);
    assert_int_equal(count, rig.layer.count);
    span_trace_free(t);
    rig_stop(&rig);
}

static void nothing_is_noted_before_the_beginning_or_after_the_end(void **state)
{
    struct span_trace *t;
    struct rig rig;
    size_t count;

    (void)state;
    start(&rig);
    read_span(&rig, 1);
    t = trace(&rig, LONG_MS, 100);
    assert_int_equal(span_trace_age_ms(t), -1);
    assert_null(span_trace_stop(t, &count));
    read_span(&rig, 2);
    assert_null(span_trace_stop(t, &count));
    assert_int_equal(count, 0);
    span_trace_free(t);
    rig_stop(&rig);
}

static void what_comes_after_the_window_is_not_noted(void **state)
{
    struct span_trace *t;
    struct rig rig;
    size_t count;

    (void)state;
    start(&rig);
    t = trace(&rig, 0, 100);
    read_span(&rig, 1);
    clock_sleep_ms(5);
    read_span(&rig, 2);
    assert_true(span_trace_age_ms(t) >= 5);
    (void)span_trace_stop(t, &count);
    assert_int_equal(count, 1);
    span_trace_free(t);
    rig_stop(&rig);
}

static void no_more_is_noted_than_was_allowed(void **state)
{
    const struct span_touch *touches;
    struct span_trace *t;
    struct rig rig;
    size_t count;

    (void)state;
    start(&rig);
    t = trace(&rig, LONG_MS, 2);
    read_span(&rig, 3);
    read_span(&rig, 1);
    read_span(&rig, 2);
    touches = span_trace_stop(t, &count);
    assert_int_equal(count, 2);
    assert_int_equal(touches[1].span, 1);
    span_trace_free(t);
    rig_stop(&rig);
}

static void two_traces_of_a_layer_do_not_know_of_each_other(void **state)
{
    struct span_trace *first, *second;
    struct rig rig;
    size_t count;

    (void)state;
    start(&rig);
    first = trace(&rig, LONG_MS, 100);
    read_span(&rig, 1);
    second = trace(&rig, LONG_MS, 100);
    read_span(&rig, 1);
    read_span(&rig, 2);
    (void)span_trace_stop(first, &count);
    assert_int_equal(count, 2);
    span_trace_free(first);
    read_span(&rig, 3);
    (void)span_trace_stop(second, &count);
    assert_int_equal(count, 3);
    span_trace_free(second);
    rig_stop(&rig);
}

static void a_layer_that_is_closed_leaves_what_was_noted(void **state)
{
    const struct span_touch *touches;
    struct span_trace *t;
    struct rig rig;
    size_t count;

    (void)state;
    start(&rig);
    t = trace(&rig, LONG_MS, 100);
    read_span(&rig, 6);
    rig_close_set(&rig);
    touches = span_trace_stop(t, &count);
    assert_int_equal(count, 1);
    assert_int_equal(touches[0].span, 6);
    rig_open_set(&rig, NULL, NULL);
    span_trace_free(t);
    rig_stop(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spans_are_noted_once_in_the_order_of_their_first_read),
        cmocka_unit_test(what_is_present_already_is_noted_too),
        cmocka_unit_test(a_read_over_several_spans_notes_each),
        cmocka_unit_test(nothing_is_noted_before_the_beginning_or_after_the_end),
        cmocka_unit_test(what_comes_after_the_window_is_not_noted),
        cmocka_unit_test(no_more_is_noted_than_was_allowed),
        cmocka_unit_test(two_traces_of_a_layer_do_not_know_of_each_other),
        cmocka_unit_test(a_layer_that_is_closed_leaves_what_was_noted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
