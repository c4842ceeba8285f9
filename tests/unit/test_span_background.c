/* SPDX-License-Identifier: Apache-2.0 */
/* What nobody reads yet: fetched in order, merged, bounded, and never given up. */
#include "span_rig.h"

#include "base/clock.h"
#include "base/threads.h"

#include <errno.h>
#include <stdlib.h>

enum { SPAN_BYTES = 10000 };

static void start(struct rig *rig, size_t count, struct span_engine_options engine,
                  enum rig_answer (*answer)(void *, size_t, const struct span_fetch *))
{
    rig_start(rig, &(struct rig_options){.kind = RIG_PLAIN,
                                         .count = count,
                                         .span_bytes = SPAN_BYTES,
                                         .engine = engine,
                                         .answer = answer});
}

static void the_background_fetches_each_span_once_in_order(void **state)
{
    struct err err = ERR_NONE;
    struct rig rig;
    size_t i;

    (void)state;
    /* One GET at a time: two that are chosen in order by two threads may reach the source
     * otherwise. */
    start(&rig, 40, (struct span_engine_options){.background_bytes = SPAN_BYTES, .max_fetches = 1},
          NULL);
    span_set_start_background(rig.set);
    rig_wait_complete(&rig);
    assert_int_equal(rig_calls(&rig.source), 40);
    for (i = 0; i < 40; i++)
        assert_int_equal(rig.source.log[i].comp_off, i * SPAN_BYTES);
    assert_ok(rig_read(&rig, 0, rig.layer.tar.len, &err));
    assert_int_equal(rig_calls(&rig.source), 40);
    rig_stop(&rig);
}

static void nothing_is_fetched_before_the_background_is_started_or_when_it_is_off(void **state)
{
    struct err err = ERR_NONE;
    struct rig rig;

    (void)state;
    start(&rig, 10, (struct span_engine_options){.disable_background = true}, NULL);
    assert_ok(rig_read_span(&rig, 3, &err));
    span_set_start_background(rig.set);
    assert_ok(rig_read_span(&rig, 5, &err));
    rig_close_set(&rig);
    assert_int_equal(rig.source.calls, 2);
    rig_open_set(&rig, NULL, NULL);
    rig_stop(&rig);
}

static void at_first_two_gets_are_under_way_and_never_more_than_the_limit(void **state)
{
    struct rig rig;

    (void)state;
    start(&rig, 40, (struct span_engine_options){.background_bytes = SPAN_BYTES}, rig_hold_all);
    span_set_start_background(rig.set);
    assert_int_equal(rig_calls(&rig.source), 2);
    rig_stop(&rig);
    start(&rig, 40, (struct span_engine_options){.background_bytes = SPAN_BYTES, .max_fetches = 1},
          rig_hold_all);
    span_set_start_background(rig.set);
    assert_int_equal(rig_calls(&rig.source), 1);
    rig_stop(&rig);
}

static void the_background_keeps_half_of_the_memory_for_readers(void **state)
{
    struct rig rig;

    (void)state;
    start(&rig, 40, (struct span_engine_options){.max_memory_bytes = 3 * SPAN_BYTES}, rig_hold_all);
    span_set_start_background(rig.set);
    assert_int_equal(rig_calls(&rig.source), 1);
    assert_int_equal(rig.source.log[0].len, SPAN_BYTES);
    rig_stop(&rig);
}

static void a_layer_that_is_larger_than_the_memory_limit_completes(void **state)
{
    struct rig rig;

    (void)state;
    start(&rig, 100, (struct span_engine_options){.max_memory_bytes = 4 * SPAN_BYTES}, NULL);
    span_set_start_background(rig.set);
    rig_wait_complete(&rig);
    rig_stop(&rig);
}

static void a_silence_after_the_start_holds_the_background_and_not_readers(void **state)
{
    struct err err = ERR_NONE;
    struct rig rig;

    (void)state;
    start(&rig, 10, (struct span_engine_options){.silence_ms = 3600 * 1000}, NULL);
    span_set_start_background(rig.set);
    assert_ok(rig_read_span(&rig, 3, &err));
    assert_ok(rig_read_span(&rig, 7, &err));
    assert_int_equal(rig_calls(&rig.source), 2);
    rig_stop(&rig);
}

static void after_the_silence_the_background_goes_on_by_itself(void **state)
{
    int64_t start_ms = clock_mono_ms();
    struct rig rig;

    (void)state;
    start(&rig, 10, (struct span_engine_options){.silence_ms = 100}, NULL);
    span_set_start_background(rig.set);
    rig_wait_complete(&rig);
    assert_true(clock_mono_ms() - start_ms >= 100);
    rig_stop(&rig);
}

static void a_period_is_between_the_starts_of_two_background_gets(void **state)
{
    int64_t start_ms = clock_mono_ms();
    struct rig rig;

    (void)state;
    start(&rig, 6, (struct span_engine_options){.period_ms = 30, .background_bytes = SPAN_BYTES},
          NULL);
    span_set_start_background(rig.set);
    rig_wait_complete(&rig);
    assert_int_equal(rig_calls(&rig.source), 6);
    assert_true(clock_mono_ms() - start_ms >= 5 * 30);
    rig_stop(&rig);
}

/* ---- how much is under way ------------------------------------------------------------------- */

enum { NOTED_MAX = 8 };

/* What a source was asked for and holds: the test itself says how much of it has come. */
struct noted {
    pthread_mutex_t lock;
    struct span_fetch *fetches[NOTED_MAX]; /* lock */
};

static enum rig_answer hold_and_note(void *arg, size_t call, const struct span_fetch *fetch)
{
    struct noted *noted = arg;
    LOCKED(&noted->lock);

    if (call < NOTED_MAX)
        memcpy(&noted->fetches[call], &fetch, sizeof(struct span_fetch *));
    return RIG_HOLD;
}

static struct span_fetch *noted_fetch(struct noted *noted, size_t call)
{
    LOCKED(&noted->lock);
    return noted->fetches[call];
}

/* A first GET comes slowly enough to be measured, all of it. */
static void start_measured(struct rig *rig, struct noted *noted)
{
    *noted = (struct noted){.lock = PTHREAD_MUTEX_INITIALIZER};
    rig_start(rig, &(struct rig_options){.kind = RIG_PLAIN,
                                         .count = 40,
                                         .span_bytes = SPAN_BYTES,
                                         .engine = {.background_bytes = SPAN_BYTES},
                                         .answer = hold_and_note,
                                         .arg = noted});
    span_set_start_background(rig->set);
    rig_wait_calls(&rig->source, 2);
    for (int i = 0; i < 10; i++) {
        struct span_fetch *fetch = noted_fetch(noted, 0);

        clock_sleep_ms(50);
        fetch->progress(fetch, SPAN_BYTES / 10);
    }
}

static void what_has_all_but_come_makes_room_for_the_next(void **state)
{
    struct span_fetch *fetch;
    struct noted noted;
    struct rig rig;

    (void)state;
    start_measured(&rig, &noted);
    fetch = noted_fetch(&noted, 1);
    fetch->progress(fetch, SPAN_BYTES);
    rig_wait_calls(&rig.source, 3); /* though none has ended */
    rig_stop(&rig);
}

static void what_does_not_come_holds_up_nothing_and_is_bounded(void **state)
{
    struct noted noted;
    struct rig rig;

    (void)state;
    start_measured(&rig, &noted);
    rig_wait_calls(&rig.source, 6); /* nothing of the second comes, nor of those after it */
    clock_sleep_ms(1200);
    assert_int_equal(rig_calls(&rig.source), 6);
    rig_stop(&rig);
}

static void a_source_that_tells_of_more_than_was_asked_for_is_not_believed(void **state)
{
    struct err err = ERR_NONE;
    struct span_engine_status status;
    struct span_fetch *fetch;
    struct noted noted;
    struct rig rig;

    (void)state;
    start_measured(&rig, &noted);
    fetch = noted_fetch(&noted, 0);
    fetch->progress(fetch, SPAN_BYTES);
    fetch->progress(fetch, SIZE_MAX);
    span_engine_get_status(rig.engine, &status);
    assert_in_range(status.bytes_per_s, 1, 1000 * SPAN_BYTES);
    rig_let_go(&rig.source);
    assert_ok(rig_read(&rig, 0, rig.layer.tar.len, &err));
    rig_stop(&rig);
}

/* ---- order between layers -------------------------------------------------------------------- */

static void the_layer_that_was_read_last_comes_first(void **state)
{
    struct span_engine_options engine = {.max_fetches = 1, .background_bytes = SPAN_BYTES};
    struct span_set_options options = {.name = "sha256:second"};
    struct span_file_options file_options = {.span_count = 6, .uncomp_bytes = 6 * SPAN_BYTES};
    struct err err = ERR_NONE;
    struct rig_source source;
    struct span_set *second = NULL;
    struct rig rig;

    (void)state;
    start(&rig, 6, engine, rig_hold_all);
    rig_source_init(&source, &rig.layer, NULL, NULL);
    options.layout = rig_layout(&rig.layer);
    options.source = rig_span_source(&source);
    file_options.ztoc.sha256[0] = 1;
    assert_ok(span_file_open(rig.store, &file_options, &options.file, &err));
    assert_ok(span_set_open(rig.engine, &options, &second, &err));
    span_set_start_background(rig.set);
    span_set_start_background(second);
    assert_int_equal(rig_calls(&source), 0); /* one GET at a time: the first layer has it */
    assert_ok(span_set_wait(second, 0, 1, clock_mono_ms() + RIG_DEADLINE_MS, &err));
    rig_let_go(&rig.source);
    rig_wait_complete(&rig);
    rig_wait_calls(&source, 6);
    assert_int_equal(rig.source.calls, 6);
    span_set_close(second);
    rig_source_fini(&source);
    rig_stop(&rig);
}

/* ---- errors ---------------------------------------------------------------------------------- */

static enum rig_answer fail_once(void *arg, size_t call, const struct span_fetch *fetch)
{
    (void)arg;
    (void)fetch;
    return call == 0 ? RIG_FAIL : RIG_GIVE;
}

static void after_a_failure_the_background_goes_on_by_itself_but_later(void **state)
{
    int64_t before_ms;
    struct rig rig;

    (void)state;
    start(&rig, 5, (struct span_engine_options){.max_fetches = 1}, fail_once);
    before_ms = clock_mono_ms();
    span_set_start_background(rig.set);
    rig_wait_complete(&rig);
    assert_true(clock_mono_ms() - before_ms >= 1000);
    rig_stop(&rig);
}

static enum rig_answer fail_all(void *arg, size_t call, const struct span_fetch *fetch)
{
    (void)arg;
    (void)call;
    (void)fetch;
    return RIG_NO_START;
}

static void a_source_that_always_fails_is_not_asked_in_a_busy_loop(void **state)
{
    int64_t began_ms, at_ms, wait_ms, took_ms;
    size_t calls, most = 2; /* GETs at 0 ms */
    struct rig rig;

    (void)state;
    start(&rig, 50, (struct span_engine_options){.background_bytes = SPAN_BYTES}, fail_all);
    began_ms = clock_mono_ms();
    span_set_start_background(rig.set);
    clock_sleep_ms(1500);
    calls = rig_calls(&rig.source);
    took_ms = clock_mono_ms() - began_ms; /* more than that on a busy machine */
    for (at_ms = wait_ms = 1000; at_ms <= took_ms; at_ms += wait_ms) {
        most += 2;
        wait_ms *= 2;
    }
    assert_in_range(calls, 1, most);
    rig_stop(&rig);
}

static enum rig_answer damage_second_span(void *arg, size_t call, const struct span_fetch *fetch)
{
    (void)arg;
    (void)call;
    return fetch->comp_off == SPAN_BYTES ? RIG_DAMAGE : RIG_GIVE;
}

static void a_refused_span_is_left_to_readers_and_the_others_come(void **state)
{
    uint64_t good_bytes = 19 * (uint64_t)SPAN_BYTES;
    int64_t deadline_ms = clock_mono_ms() + RIG_DEADLINE_MS;
    struct err err = ERR_NONE;
    struct rig rig;
    size_t calls;

    (void)state;
    start(&rig, 20, (struct span_engine_options){.background_bytes = SPAN_BYTES},
          damage_second_span);
    span_set_start_background(rig.set);
    while (span_set_present_bytes(rig.set) < good_bytes && clock_mono_ms() < deadline_ms)
        clock_sleep_ms(1);
    assert_int_equal(span_set_present_bytes(rig.set), good_bytes);
    /* The first read may still join the background's second try. */
    assert_int_equal(rig_read_span(&rig, 1, &err), -EBADMSG);
    calls = rig_calls_over(&rig.source, SPAN_BYTES);
    assert_true(calls == 2 || calls == 4);
    clock_sleep_ms(50);
    assert_int_equal(rig_calls_over(&rig.source, SPAN_BYTES), calls);
    assert_int_equal(rig_read_span(&rig, 1, &err), -EBADMSG);
    assert_int_equal(rig_calls_over(&rig.source, SPAN_BYTES), calls + 2);
    rig_stop(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_background_fetches_each_span_once_in_order),
        cmocka_unit_test(nothing_is_fetched_before_the_background_is_started_or_when_it_is_off),
        cmocka_unit_test(at_first_two_gets_are_under_way_and_never_more_than_the_limit),
        cmocka_unit_test(the_background_keeps_half_of_the_memory_for_readers),
        cmocka_unit_test(a_layer_that_is_larger_than_the_memory_limit_completes),
        cmocka_unit_test(a_silence_after_the_start_holds_the_background_and_not_readers),
        cmocka_unit_test(after_the_silence_the_background_goes_on_by_itself),
        cmocka_unit_test(a_period_is_between_the_starts_of_two_background_gets),
        cmocka_unit_test(what_has_all_but_come_makes_room_for_the_next),
        cmocka_unit_test(what_does_not_come_holds_up_nothing_and_is_bounded),
        cmocka_unit_test(a_source_that_tells_of_more_than_was_asked_for_is_not_believed),
        cmocka_unit_test(the_layer_that_was_read_last_comes_first),
        cmocka_unit_test(after_a_failure_the_background_goes_on_by_itself_but_later),
        cmocka_unit_test(a_source_that_always_fails_is_not_asked_in_a_busy_loop),
        cmocka_unit_test(a_refused_span_is_left_to_readers_and_the_others_come),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
