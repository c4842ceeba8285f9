/* SPDX-License-Identifier: Apache-2.0 */
/* test_hook_decide.c – vm-start once for each run of the machine, vm-stop once for each end. */
#include "test.h"

#include "hook/hook.h"

static const struct hook_sight absent = {.kind = HOOK_ABSENT};
static const struct hook_sight stopped = {.kind = HOOK_STOPPED};
static const struct hook_sight crashed = {.kind = HOOK_CRASHED};
static const struct hook_sight unclear = {.kind = HOOK_UNCLEAR};
static const struct hook_sight first = {.kind = HOOK_RUNS, .run = {.pid = 10, .since_s = 100}};
static const struct hook_sight second = {.kind = HOOK_RUNS, .run = {.pid = 11, .since_s = 200}};
/* The system gives numbers of processes again. */
static const struct hook_sight reused = {.kind = HOOK_RUNS, .run = {.pid = 10, .since_s = 300}};

/* A machine that was looked after well, and still runs. */
static struct hook_decider up(const struct hook_sight *sight)
{
    struct hook_decider decider = {.is_up = false};

    assert_int_equal(hook_decide(&decider, sight, 0), HOOK_START);
    hook_decide_ended(&decider, HOOK_START, true, 0);
    return decider;
}

static void a_machine_that_runs_already_is_looked_after(void **state)
{
    struct hook_decider decider = {.is_up = false};

    (void)state;
    assert_int_equal(hook_decide(&decider, &first, 0), HOOK_START);
}

static void nothing_is_done_about_a_machine_that_does_not_run(void **state)
{
    struct hook_decider decider = {.is_up = false};

    (void)state;
    assert_int_equal(hook_decide(&decider, &absent, 0), HOOK_WAIT);
    assert_int_equal(hook_decide(&decider, &stopped, 0), HOOK_WAIT);
    assert_int_equal(hook_decide(&decider, &crashed, 0), HOOK_WAIT);
    assert_int_equal(hook_decide(&decider, &unclear, 0), HOOK_WAIT);
}

static void several_triggers_are_one_start(void **state)
{
    struct hook_decider decider = {.is_up = false};

    (void)state;
    assert_int_equal(hook_decide(&decider, &first, 0), HOOK_START);
    for (int i = 0; i < 10; i++)
        assert_int_equal(hook_decide(&decider, &first, i), HOOK_WAIT);
    hook_decide_ended(&decider, HOOK_START, true, 20);
    assert_int_equal(hook_decide(&decider, &first, INT64_MAX), HOOK_WAIT);
}

static void each_way_to_end_is_told_once(void **state)
{
    static const struct hook_sight *const ends[] = {&absent, &stopped, &crashed};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        struct hook_decider decider = up(&first);

        assert_int_equal(hook_decide(&decider, ends[i], 1), HOOK_STOP);
        assert_int_equal(hook_decide(&decider, ends[i], 2), HOOK_WAIT);
        hook_decide_ended(&decider, HOOK_STOP, true, 3);
        assert_int_equal(hook_decide(&decider, ends[i], 4), HOOK_WAIT);
        assert_int_equal(hook_decide(&decider, &second, 5), HOOK_START);
    }
}

static void a_machine_that_was_started_anew_unseen_is_an_end_and_a_start(void **state)
{
    struct hook_decider decider = up(&first);

    (void)state;
    assert_int_equal(hook_decide(&decider, &second, 1), HOOK_STOP);
    assert_int_equal(hook_decide(&decider, &second, 1), HOOK_START);
    hook_decide_ended(&decider, HOOK_STOP, true, 2);
    hook_decide_ended(&decider, HOOK_START, true, 2);
    assert_int_equal(hook_decide(&decider, &reused, 3), HOOK_STOP);
}

static void a_start_waits_for_the_one_at_work(void **state)
{
    struct hook_decider decider = {.is_up = false};

    (void)state;
    assert_int_equal(hook_decide(&decider, &first, 0), HOOK_START);
    assert_int_equal(hook_decide(&decider, &second, 1), HOOK_STOP);
    assert_int_equal(hook_decide(&decider, &second, 2), HOOK_WAIT);
    hook_decide_ended(&decider, HOOK_STOP, true, 3);
    hook_decide_ended(&decider, HOOK_START, false, 3); /* it lost its machine */
    assert_int_equal(hook_decide(&decider, &second, 4), HOOK_START);
    assert_int_equal(decider.failures, 0);
}

static void the_end_of_a_run_is_told_though_the_start_before_it_is_still_at_work(void **state)
{
    struct hook_decider decider = {.is_up = false};

    (void)state;
    assert_int_equal(hook_decide(&decider, &first, 0), HOOK_START);
    assert_int_equal(hook_decide(&decider, &second, 1), HOOK_STOP);
    hook_decide_ended(&decider, HOOK_STOP, true, 2);
    assert_int_equal(hook_decide(&decider, &second, 3), HOOK_WAIT);
    assert_int_equal(hook_decide(&decider, &stopped, 4), HOOK_STOP);
    hook_decide_ended(&decider, HOOK_STOP, true, 5);
    hook_decide_ended(&decider, HOOK_START, true, 6);
    assert_int_equal(hook_decide(&decider, &stopped, 7), HOOK_WAIT);
}

static void a_pid_file_that_is_being_written_is_no_end(void **state)
{
    struct hook_decider decider = up(&first);

    (void)state;
    assert_int_equal(hook_decide(&decider, &unclear, 1), HOOK_WAIT);
    assert_int_equal(hook_decide_pause_ms(&decider, &unclear, 1), HOOK_LOOK_MIN_MS);
    assert_int_equal(hook_decide(&decider, &first, 2), HOOK_WAIT);
}

static void what_failed_is_tried_again_less_and_less_often(void **state)
{
    struct hook_decider decider = {.is_up = false};
    int64_t now_ms = 0, last_ms = 0;

    (void)state;
    assert_int_equal(hook_decide(&decider, &first, now_ms), HOOK_START);
    for (int i = 0; i < 20; i++) {
        int64_t pause_ms;

        hook_decide_ended(&decider, HOOK_START, false, now_ms);
        pause_ms = decider.retry_ms - now_ms;
        assert_true(pause_ms >= HOOK_RETRY_FIRST_MS && pause_ms <= HOOK_RETRY_MAX_MS);
        assert_true(pause_ms >= last_ms);
        last_ms = pause_ms;
        assert_int_equal(hook_decide(&decider, &first, now_ms + pause_ms - 1), HOOK_WAIT);
        now_ms += pause_ms;
        assert_int_equal(hook_decide(&decider, &first, now_ms), HOOK_START);
    }
    assert_int_equal(last_ms, HOOK_RETRY_MAX_MS);
    hook_decide_ended(&decider, HOOK_START, true, now_ms);
    assert_int_equal(hook_decide(&decider, &first, INT64_MAX), HOOK_WAIT);
}

static void what_failed_is_tried_at_once_when_the_machine_has_booted_but_once(void **state)
{
    struct hook_decider decider = {.is_up = false};

    (void)state;
    assert_int_equal(hook_decide(&decider, &first, 0), HOOK_START);
    hook_decide_ended(&decider, HOOK_START, false, 0);
    hook_decide_booted(&decider, 5);
    assert_int_equal(hook_decide(&decider, &first, 5), HOOK_START);
    hook_decide_ended(&decider, HOOK_START, false, 6);
    hook_decide_booted(&decider, 7); /* Lima says so again and again */
    assert_int_equal(hook_decide(&decider, &first, 7), HOOK_WAIT);
}

static void what_was_begun_before_the_boot_and_fails_is_tried_at_once_but_once(void **state)
{
    struct hook_decider decider = {.is_up = false};

    (void)state;
    assert_int_equal(hook_decide(&decider, &first, 0), HOOK_START);
    hook_decide_booted(&decider, 1);
    hook_decide_ended(&decider, HOOK_START, false, 2);
    assert_int_equal(hook_decide(&decider, &first, 2), HOOK_START);
    hook_decide_booted(&decider, 3);
    hook_decide_ended(&decider, HOOK_START, false, 4);
    assert_int_equal(hook_decide(&decider, &first, 4), HOOK_WAIT);
}

static void no_pause_is_shorter_than_two_seconds_or_for_ever(void **state)
{
    struct hook_decider failed = {.is_up = false};

    (void)state;
    assert_int_equal(hook_decide(&failed, &first, 0), HOOK_START);
    hook_decide_ended(&failed, HOOK_START, false, 0);
    for (int64_t now_ms = 0; now_ms < 2 * HOOK_RETRY_MAX_MS; now_ms += 777) {
        int64_t pause_ms = hook_decide_pause_ms(&failed, &first, now_ms);

        assert_true(pause_ms >= 2000);
        assert_true(pause_ms <= HOOK_LOOK_MAX_MS);
    }
    assert_int_equal(hook_decide_pause_ms(&failed, &stopped, 0), HOOK_RETRY_FIRST_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_machine_that_runs_already_is_looked_after),
        cmocka_unit_test(nothing_is_done_about_a_machine_that_does_not_run),
        cmocka_unit_test(several_triggers_are_one_start),
        cmocka_unit_test(each_way_to_end_is_told_once),
        cmocka_unit_test(a_machine_that_was_started_anew_unseen_is_an_end_and_a_start),
        cmocka_unit_test(a_start_waits_for_the_one_at_work),
        cmocka_unit_test(the_end_of_a_run_is_told_though_the_start_before_it_is_still_at_work),
        cmocka_unit_test(a_pid_file_that_is_being_written_is_no_end),
        cmocka_unit_test(what_failed_is_tried_again_less_and_less_often),
        cmocka_unit_test(what_failed_is_tried_at_once_when_the_machine_has_booted_but_once),
        cmocka_unit_test(what_was_begun_before_the_boot_and_fails_is_tried_at_once_but_once),
        cmocka_unit_test(no_pause_is_shorter_than_two_seconds_or_for_ever),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
