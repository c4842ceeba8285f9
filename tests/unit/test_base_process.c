/* SPDX-License-Identifier: Apache-2.0 */
/* test_base_process.c – programs that are run: input, output, environment, and those that
 * misbehave. */
#include "test.h"

#include "base/clock.h"
#include "base/text.h"
#include "base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

static int sh(const char *script, const struct process_run *how, struct process_end *ret,
              struct err *err)
{
    const char *const argv[] = {"sh", "-c", script, NULL};
    struct process_run run = *how;

    run.argv = argv;
    return process_run(&run, ret, err);
}

static void input_goes_in_and_both_outputs_come_back(void **state)
{
    SCOPED(process_end) struct process_end result = PROCESS_END_NONE;
    const struct process_run run = {.input = bytes_of_str("one\ntwo\n")};

    (void)state;
    assert_ok(sh("tr a-z A-Z; echo aside >&2; exit 3", &run, &result, NULL));
    assert_string_equal(buf_str(&result.out), "ONE\nTWO\n");
    assert_string_equal(buf_str(&result.err), "aside\n");
    assert_int_equal(result.exit_status, 3);
}

static void more_than_a_pipe_holds_goes_both_ways(void **state)
{
    SCOPED(process_end) struct process_end result = PROCESS_END_NONE;
    SCOPED(buf_value) struct buf big = BUF_EMPTY;
    struct process_run run = {.max_output_bytes = 4 * 1024 * 1024};

    (void)state;
    assert_ok(buf_add_zeros(&big, 3 * 1024 * 1024));
    run.input = buf_bytes(&big);
    assert_ok(sh("tee /dev/stderr", &run, &result, NULL));
    assert_true(bytes_equal(buf_bytes(&result.out), buf_bytes(&big)));
    assert_int_equal(result.err.len, big.len);
}

static void settings_replace_and_add(void **state)
{
    static const char *const settings[] = {"HOME=/elsewhere", "NEW_ONE=x=y", NULL};
    SCOPED(process_end) struct process_end result = PROCESS_END_NONE;
    const struct process_run run = {.settings = settings};

    (void)state;
    assert_ok(sh("echo $HOME $NEW_ONE; env | grep -c '^HOME='", &run, &result, NULL));
    assert_string_equal(buf_str(&result.out), "/elsewhere x=y\n1\n");
}

static void a_program_that_does_not_read_is_no_error(void **state)
{
    SCOPED(process_end) struct process_end result = PROCESS_END_NONE;
    SCOPED(buf_value) struct buf big = BUF_EMPTY;
    struct process_run run = {.timeout_ms = 0};

    (void)state;
    assert_ok(buf_add_zeros(&big, 1024 * 1024));
    run.input = buf_bytes(&big);
    assert_ok(sh("exec <&-; echo done", &run, &result, NULL));
    assert_string_equal(buf_str(&result.out), "done\n");
}

static void a_signal_is_128_and_its_number(void **state)
{
    SCOPED(process_end) struct process_end result = PROCESS_END_NONE;
    const struct process_run run = {.timeout_ms = 0};

    (void)state;
    assert_ok(sh("kill -9 $$", &run, &result, NULL));
    assert_int_equal(result.exit_status, 128 + SIGKILL);
    assert_int_equal(result.signal, SIGKILL);
}

static void a_program_that_is_not_there_is_said_so(void **state)
{
    SCOPED(process_end) struct process_end result = PROCESS_END_NONE;
    const char *const argv[] = {"/no/such/program", NULL};
    const struct process_run run = {.argv = argv};
    struct err err = ERR_NONE;

    (void)state;
    assert_int_equal(process_run(&run, &result, &err), -ENOENT);
    assert_non_null(strstr(err_text(&err), "/no/such/program"));
}

static void an_environment_replaces_ours(void **state)
{
    static const char *const environment[] = {"A=1", "B=2", NULL};
    static const char *const settings[] = {"B=3", NULL};
    SCOPED(process_end) struct process_end result = PROCESS_END_NONE;
    const struct process_run run = {.environment = environment, .settings = settings};

    (void)state;
    assert_int_equal(setenv("OURS", "x", 1), 0);
    assert_ok(sh("echo $A$B$OURS", &run, &result, NULL));
    assert_string_equal(buf_str(&result.out), "13\n");
}

static void descriptors_of_ours_stay_here(void **state)
{
    SCOPED(process_end) struct process_end result = PROCESS_END_NONE;
    const struct process_run run = {.timeout_ms = 0};
    int leak = open("/dev/null", O_RDONLY);

    (void)state;
    assert_true(leak >= 0);
    assert_ok(sh("ls /proc/self/fd", &run, &result, NULL));
    assert_string_equal(buf_str(&result.out), "0\n1\n2\n3\n"); /* 3 is that of ls */
    (void)close(leak);
}

static void complaints_are_kept_up_to_a_limit_and_hold_nothing_up(void **state)
{
    SCOPED(process_end) struct process_end result = PROCESS_END_NONE;
    const struct process_run run = {
        .max_output_bytes = 10, .kept_error_bytes = 100, .is_secret = true};

    (void)state;
    assert_ok(sh("head -c 1000000 /dev/zero >&2; echo done", &run, &result, NULL));
    assert_string_equal(buf_str(&result.out), "done\n");
    assert_int_equal(result.err.len, 100);
}

static void what_is_left_in_the_background_is_not_waited_for(void **state)
{
    SCOPED(process_end) struct process_end result = PROCESS_END_NONE;
    const struct process_run run = {.timeout_ms = 0};
    int64_t from = clock_mono_ms();
    pid_t left;

    (void)state;
    assert_ok(sh("sleep 1000 & echo $!", &run, &result, NULL));
    assert_true(clock_mono_ms() - from < 30000);
    left = (pid_t)strtol(buf_str(&result.out), NULL, 10);
    assert_true(left > 1);
    assert_int_equal(kill(left, SIGKILL), 0);
}

static void it_ends_on_request(void **state)
{
    static const char *const scripts[] = {"sleep 1000", "exec >&- 2>&- <&-; sleep 1000"};
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "", 1), 1);
    for (size_t i = 0; i < ARRAY_LEN(scripts); i++) {
        SCOPED(process_end) struct process_end result = PROCESS_END_NONE;
        const struct process_run run = {.cancel_fd = &ends[0]};

        assert_int_equal(sh(scripts[i], &run, &result, NULL), -ECANCELED);
    }
    (void)close(ends[0]);
    (void)close(ends[1]);
}

static void endless_output_is_refused(void **state)
{
    SCOPED(process_end) struct process_end result = PROCESS_END_NONE;
    const struct process_run run = {.max_output_bytes = 10000};

    (void)state;
    assert_int_equal(sh("yes", &run, &result, NULL), -EFBIG);
}

/* Also what it started, though that has let go of the pipes. */
static void a_program_that_hangs_is_killed_with_its_children(void **state)
{
    static const char *const scripts[] = {"sleep 1000 & wait", "exec >&- 2>&- <&-; sleep 1000"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(scripts); i++) {
        SCOPED(process_end)
        struct process_end result = PROCESS_END_NONE;
        const struct process_run run = {.timeout_ms = 200};
        int64_t from = clock_mono_ms();

        assert_int_equal(sh(scripts[i], &run, &result, NULL), -ETIMEDOUT);
        assert_true(clock_mono_ms() - from < 60000);
    }
}

static void programs_are_found_in_path_alone(void **state)
{
    SCOPED(mem) char *path = NULL;
    SCOPED(mem) char *none = NULL;

    (void)state;
    assert_ok(process_find_program("env", &path, NULL));
    assert_int_equal(path[0], '/');
    assert_int_equal(process_find_program("no-such-program-anywhere", &none, NULL), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(input_goes_in_and_both_outputs_come_back),
        cmocka_unit_test(more_than_a_pipe_holds_goes_both_ways),
        cmocka_unit_test(settings_replace_and_add),
        cmocka_unit_test(a_program_that_does_not_read_is_no_error),
        cmocka_unit_test(a_signal_is_128_and_its_number),
        cmocka_unit_test(a_program_that_is_not_there_is_said_so),
        cmocka_unit_test(an_environment_replaces_ours),
        cmocka_unit_test(descriptors_of_ours_stay_here),
        cmocka_unit_test(complaints_are_kept_up_to_a_limit_and_hold_nothing_up),
        cmocka_unit_test(what_is_left_in_the_background_is_not_waited_for),
        cmocka_unit_test(it_ends_on_request),
        cmocka_unit_test(endless_output_is_refused),
        cmocka_unit_test(a_program_that_hangs_is_killed_with_its_children),
        cmocka_unit_test(programs_are_found_in_path_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
