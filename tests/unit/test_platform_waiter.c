/* SPDX-License-Identifier: Apache-2.0 */
/* test_platform_waiter.c – directories, processes and programs that are waited for. */
#include "test.h"

#include "base/clock.h"
#include "base/text.h"
#include "platform/platform.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Long enough for a machine that is busy; nothing here waits that long when all is well. */
enum { LONG_MS = 30000, SHORT_MS = 200 };

struct world {
    char dir[64];
    struct platform_waiter *waiter;
};

static int setup(void **state)
{
    struct world *world = calloc(1, sizeof(*world));

    assert_non_null(world);
    strcpy(world->dir, "/tmp/test-waiter-XXXXXX");
    assert_non_null(mkdtemp(world->dir));
    assert_ok(platform_waiter_open(&world->waiter, NULL));
    *state = world;
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;

    platform_waiter_close(world->waiter);
    assert_ok(dir_remove_all(world->dir, NULL));
    free(world);
    return 0;
}

static struct platform_event wait_ms(struct world *world, int64_t timeout_ms)
{
    struct platform_event event;

    assert_ok(platform_waiter_wait(world->waiter, timeout_ms, &event, NULL));
    return event;
}

static void nothing_comes(struct world *world)
{
    assert_int_equal(wait_ms(world, SHORT_MS).kind, PLATFORM_TIMEOUT);
}

static char *at(struct world *world, const char *name)
{
    char *path = path_join(world->dir, name);

    assert_non_null(path);
    return path;
}

static void touch(struct world *world, const char *name)
{
    SCOPED(mem) char *path = at(world, name);
    SCOPED(fd) int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, "x", 1), 1);
}

static void set_dirs(struct world *world, const char *first, const char *second)
{
    const char *const dirs[] = {first, second, NULL};

    assert_ok(platform_waiter_set_dirs(world->waiter, dirs, NULL));
}

/* ---- directories ----------------------------------------------------------------------------- */

static void an_entry_that_is_made_removed_or_renamed_is_a_change(void **state)
{
    struct world *world = *state;
    SCOPED(mem) char *one = at(world, "one"), *two = at(world, "two");

    set_dirs(world, world->dir, NULL);
    nothing_comes(world);
    touch(world, "one");
    assert_int_equal(wait_ms(world, LONG_MS).kind, PLATFORM_CHANGED);
    nothing_comes(world);
    assert_int_equal(rename(one, two), 0);
    assert_int_equal(wait_ms(world, LONG_MS).kind, PLATFORM_CHANGED);
    assert_int_equal(unlink(two), 0);
    assert_int_equal(wait_ms(world, LONG_MS).kind, PLATFORM_CHANGED);
}

static void a_directory_that_is_removed_is_a_change_and_one_made_anew_can_be_watched(void **state)
{
    struct world *world = *state;
    SCOPED(mem) char *below = at(world, "below");

    assert_int_equal(mkdir(below, 0700), 0);
    set_dirs(world, below, NULL);
    assert_int_equal(rmdir(below), 0);
    assert_int_equal(wait_ms(world, LONG_MS).kind, PLATFORM_CHANGED);
    assert_int_equal(mkdir(below, 0700), 0);
    set_dirs(world, below, NULL);
    touch(world, "below/file");
    assert_int_equal(wait_ms(world, LONG_MS).kind, PLATFORM_CHANGED);
}

static void what_lies_below_is_not_watched(void **state)
{
    struct world *world = *state;
    SCOPED(mem) char *below = at(world, "below");

    assert_int_equal(mkdir(below, 0700), 0);
    set_dirs(world, world->dir, NULL);
    touch(world, "below/file");
    nothing_comes(world);
}

static void a_directory_that_leaves_the_set_is_watched_no_more(void **state)
{
    struct world *world = *state;
    SCOPED(mem) char *one = at(world, "one"), *two = at(world, "two");

    assert_int_equal(mkdir(one, 0700), 0);
    assert_int_equal(mkdir(two, 0700), 0);
    set_dirs(world, one, two);
    touch(world, "one/file");
    set_dirs(world, one, NULL); /* what happened before is not lost */
    assert_int_equal(wait_ms(world, LONG_MS).kind, PLATFORM_CHANGED);
    touch(world, "two/file");
    nothing_comes(world);
    touch(world, "one/other");
    assert_int_equal(wait_ms(world, LONG_MS).kind, PLATFORM_CHANGED);
}

static void a_directory_that_is_not_there_is_left_out(void **state)
{
    struct world *world = *state;
    SCOPED(mem) char *missing = at(world, "missing"), *file = at(world, "file");

    touch(world, "file");
    set_dirs(world, missing, file);
    nothing_comes(world);
}

/* ---- processes ------------------------------------------------------------------------------- */

static void the_end_of_a_process_is_told_once(void **state)
{
    struct world *world = *state;
    pid_t pid = fork();

    if (pid == 0) {
        (void)pause();
        _exit(0);
    }
    assert_true(pid > 0);
    assert_ok(platform_waiter_set_process(world->waiter, pid, NULL));
    nothing_comes(world);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(wait_ms(world, LONG_MS).kind, PLATFORM_GONE);
    nothing_comes(world);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void a_process_that_is_not_there_is_refused(void **state)
{
    struct world *world = *state;
    pid_t pid = fork();

    if (pid == 0)
        _exit(0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(platform_waiter_set_process(world->waiter, pid, NULL), -ESRCH);
    assert_int_equal(platform_waiter_set_process(world->waiter, -5, NULL), -ESRCH);
    assert_int_equal(platform_waiter_set_process(world->waiter, INT64_MAX, NULL), -ESRCH);
    nothing_comes(world);
}

/* ---- programs -------------------------------------------------------------------------------- */

static int start_shell(struct world *world, const char *script, bool gives_output)
{
    static const char *const settings[] = {"SAID=a setting", NULL};
    const char *const argv[] = {"/bin/sh", "-c", script, NULL};
    const struct platform_child child = {
        .argv = argv, .settings = settings, .gives_output = gives_output};
    int number = -1;

    assert_ok(platform_waiter_start(world->waiter, &child, &number, NULL));
    return number;
}

static struct platform_event run_to_end(struct world *world, struct buf *out)
{
    for (;;) {
        struct platform_event event = wait_ms(world, LONG_MS);

        if (event.kind == PLATFORM_OUTPUT)
            assert_ok(buf_add(out, event.output.data, event.output.len));
        else if (event.kind == PLATFORM_ENDED)
            return event;
        else
            fail_msg("event %d while a program runs", (int)event.kind);
    }
}

static void all_that_a_program_prints_comes_before_its_end(void **state)
{
    struct world *world = *state;
    SCOPED(buf_value) struct buf out = BUF_EMPTY;
    int number = start_shell(world, "echo \"$SAID\"; seq 20000; exit 7", true);
    struct platform_event event = run_to_end(world, &out);

    assert_int_equal(event.child, number);
    assert_int_equal(event.exit_status, 7);
    assert_true(text_has_prefix(buf_str(&out), "a setting\n1\n2\n"));
    assert_true(text_has_suffix(buf_str(&out), "\n19999\n20000\n"));
}

static void a_program_has_no_input_and_its_errors_are_dropped(void **state)
{
    struct world *world = *state;
    SCOPED(buf_value) struct buf out = BUF_EMPTY;

    (void)start_shell(world, "cat; echo nothing >&2; echo done", true);
    assert_int_equal(run_to_end(world, &out).exit_status, 0);
    assert_string_equal(buf_str(&out), "done\n");
}

static void a_program_is_asked_to_end(void **state)
{
    struct world *world = *state;
    SCOPED(buf_value) struct buf out = BUF_EMPTY;
    int number = start_shell(world, "exec sleep 1000", false);

    nothing_comes(world);
    platform_waiter_end(world->waiter, number);
    assert_int_equal(run_to_end(world, &out).exit_status, 128 + SIGTERM);
    assert_int_equal(out.len, 0);
}

static void what_a_program_leaves_running_does_not_hold_up_its_end(void **state)
{
    struct world *world = *state;
    SCOPED(mem) char *pid_file = at(world, "pid");
    SCOPED(mem) char *script = text_format("yes & echo $! >%s; exit 3", pid_file);
    SCOPED(buf_value) struct buf out = BUF_EMPTY, text = BUF_EMPTY;

    (void)start_shell(world, script, true);
    assert_int_equal(run_to_end(world, &out).exit_status, 3);
    assert_ok(file_read(pid_file, 100, &text, NULL));
    (void)kill(atoi(buf_str(&text)), SIGKILL);
}

static void more_programs_than_there_is_room_for_are_refused(void **state)
{
    struct world *world = *state;
    const char *const argv[] = {"/bin/true", NULL};
    const struct platform_child child = {.argv = argv};
    SCOPED(buf_value) struct buf out = BUF_EMPTY;
    int number = -1;

    for (int i = 0; i < PLATFORM_CHILDREN_MAX; i++)
        assert_int_equal(start_shell(world, "exec sleep 1000", false), i);
    assert_int_equal(platform_waiter_start(world->waiter, &child, &number, NULL), -EBUSY);
    platform_waiter_end(world->waiter, 2);
    assert_int_equal(run_to_end(world, &out).child, 2);
    assert_int_equal(start_shell(world, "exec sleep 1000", false), 2);
}

static void a_program_that_is_not_there_is_refused(void **state)
{
    struct world *world = *state;
    const char *const argv[] = {"/nowhere/limactl", NULL};
    const struct platform_child child = {.argv = argv, .gives_output = true};
    struct err err = ERR_NONE;
    int number = -1;

    assert_int_equal(platform_waiter_start(world->waiter, &child, &number, &err), -ENOENT);
    assert_non_null(strstr(err.text, "/nowhere/limactl"));
    nothing_comes(world);
}

static void programs_that_still_run_end_with_the_waiter(void **state)
{
    struct world *world = *state;
    SCOPED(mem) char *note = at(world, "note");
    SCOPED(mem)
    char *script = text_format("trap 'echo asked >%s; exit' TERM; echo; while :; do sleep 0.05; "
                               "done",
                               note);
    struct platform_event event;

    (void)start_shell(world, script, true);
    event = wait_ms(world, LONG_MS); /* the trap is set */
    assert_int_equal(event.kind, PLATFORM_OUTPUT);
    platform_waiter_close(world->waiter);
    assert_true(path_exists(note));
    assert_ok(platform_waiter_open(&world->waiter, NULL));
}

/* ---- waking ---------------------------------------------------------------------------------- */

static void a_wait_is_woken_before_and_while_it_waits(void **state)
{
    struct world *world = *state;

    platform_waiter_wake(world->waiter);
    platform_waiter_wake(world->waiter);
    assert_int_equal(wait_ms(world, LONG_MS).kind, PLATFORM_WOKEN);
    nothing_comes(world);
}

static void a_timeout_is_kept(void **state)
{
    struct world *world = *state;
    int64_t from_ms = clock_mono_ms();

    nothing_comes(world);
    assert_true(clock_mono_ms() - from_ms >= SHORT_MS);
    assert_int_equal(wait_ms(world, 0).kind, PLATFORM_TIMEOUT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_entry_that_is_made_removed_or_renamed_is_a_change),
        TEST(a_directory_that_is_removed_is_a_change_and_one_made_anew_can_be_watched),
        TEST(what_lies_below_is_not_watched),
        TEST(a_directory_that_leaves_the_set_is_watched_no_more),
        TEST(a_directory_that_is_not_there_is_left_out),
        TEST(the_end_of_a_process_is_told_once),
        TEST(a_process_that_is_not_there_is_refused),
        TEST(all_that_a_program_prints_comes_before_its_end),
        TEST(a_program_has_no_input_and_its_errors_are_dropped),
        TEST(a_program_is_asked_to_end),
        TEST(what_a_program_leaves_running_does_not_hold_up_its_end),
        TEST(more_programs_than_there_is_room_for_are_refused),
        TEST(a_program_that_is_not_there_is_refused),
        TEST(programs_that_still_run_end_with_the_waiter),
        TEST(a_wait_is_woken_before_and_while_it_waits),
        TEST(a_timeout_is_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
