/* SPDX-License-Identifier: Apache-2.0 */
/* test_platform_terminal.c – programs that get our terminal, a lock, and where Finch has its file.
 */
#include "test.h"

#include "platform/platform.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static int run_shell(const char *script)
{
    const char *const argv[] = {"/bin/sh", "-c", script, NULL};
    struct err err = ERR_NONE;
    int status = -1;

    assert_ok(platform_run_attached(argv, &status, &err));
    return status;
}

static void the_exit_status_is_the_programs(void **state)
{
    (void)state;
    assert_int_equal(run_shell("exit 0"), 0);
    assert_int_equal(run_shell("exit 7"), 7);
    assert_int_equal(run_shell("kill -TERM $$"), 128 + SIGTERM);
}

static void an_interrupt_meanwhile_is_the_programs_to_answer(void **state)
{
    (void)state;
    /* It has the signal as it was before us, and we outlive it. */
    assert_int_equal(run_shell("kill -INT $PPID; kill -INT $$; exit 3"), 128 + SIGINT);
}

static void a_program_that_is_not_there_is_an_error(void **state)
{
    const char *const argv[] = {"/nowhere/finch", NULL};
    struct err err = ERR_NONE;
    int status = -1;

    (void)state;
    assert_int_equal(platform_run_attached(argv, &status, &err), -ENOENT);
    assert_non_null(strstr(err.text, "/nowhere/finch"));
}

static volatile sig_atomic_t told;

static void on_interrupt(int number)
{
    told = number;
}

static void interrupts_are_told_and_told_again_after_a_program(void **state)
{
    (void)state;
    platform_on_interrupt(on_interrupt);
    assert_int_equal(raise(SIGINT), 0);
    assert_int_equal(told, 2);
    assert_int_equal(run_shell("exit 0"), 0);
    assert_int_equal(raise(SIGTERM), 0);
    assert_int_equal(told, 15);
    told = 0;
    assert_int_equal(raise(SIGINT), 0);
    assert_int_equal(told, 2);
    (void)signal(SIGINT, SIG_DFL);
    (void)signal(SIGTERM, SIG_DFL);
}

/* ---- the lock -------------------------------------------------------------------------------- */

enum { DIR_BYTES = 64 };

static void make_dir(char dir[DIR_BYTES])
{
    (void)snprintf(dir, DIR_BYTES, "/tmp/platform-test-XXXXXX");
    assert_non_null(mkdtemp(dir));
}

static void a_lock_is_held_by_one_at_a_time(void **state)
{
    SCOPED(platform_lock) struct platform_lock *lock = NULL, *second = NULL;
    char dir[DIR_BYTES], path[128];
    struct err err = ERR_NONE;

    (void)state;
    make_dir(dir);
    (void)snprintf(path, sizeof(path), "%s/lock", dir);
    assert_ok(platform_lock_take(path, &lock, &err));
    assert_int_equal(platform_lock_take(path, &second, &err), -EBUSY);
    assert_null(second);
    platform_lock_free(TAKE(lock));
    assert_ok(platform_lock_take(path, &second, &err));
    assert_ok(dir_remove_all(dir, NULL));
}

static void a_directory_is_a_lock_too_and_nothing_is_put_into_it(void **state)
{
    SCOPED(platform_lock) struct platform_lock *lock = NULL, *second = NULL;
    char dir[DIR_BYTES];

    (void)state;
    make_dir(dir);
    assert_ok(platform_lock_take(dir, &lock, NULL));
    assert_int_equal(platform_lock_take(dir, &second, NULL), -EBUSY);
    assert_int_equal(rmdir(dir), 0);
}

static void a_lock_goes_with_the_process_that_held_it(void **state)
{
    SCOPED(platform_lock) struct platform_lock *lock = NULL;
    char dir[DIR_BYTES], path[128];
    int status = 0;
    pid_t pid;

    (void)state;
    make_dir(dir);
    (void)snprintf(path, sizeof(path), "%s/lock", dir);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(platform_lock_take(path, &lock, NULL) == 0 ? 0 : 1);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_ok(platform_lock_take(path, &lock, NULL));
    assert_ok(dir_remove_all(dir, NULL));
}

static void a_lock_is_no_link_and_needs_its_directory(void **state)
{
    SCOPED(platform_lock) struct platform_lock *lock = NULL;
    char dir[DIR_BYTES], path[128];

    (void)state;
    make_dir(dir);
    (void)snprintf(path, sizeof(path), "%s/lock", dir);
    assert_int_equal(symlink("/tmp/elsewhere", path), 0);
    assert_int_equal(platform_lock_take(path, &lock, NULL), -ELOOP);
    (void)snprintf(path, sizeof(path), "%s/none/lock", dir);
    assert_int_equal(platform_lock_take(path, &lock, NULL), -ENOENT);
    assert_ok(dir_remove_all(dir, NULL));
}

static void finch_yaml_is_the_users_with_a_machine_and_the_systems_without(void **state)
{
    SCOPED(mem) char *with = NULL;
    SCOPED(mem) char *without = NULL;

    (void)state;
    assert_int_equal(setenv("HOME", "/home/somebody", 1), 0);
    with = platform_finch_config(true);
    without = platform_finch_config(false);
    assert_string_equal(with, "/home/somebody/.finch/finch.yaml");
    assert_string_equal(without, "/etc/finch/finch.yaml");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_exit_status_is_the_programs),
        cmocka_unit_test(an_interrupt_meanwhile_is_the_programs_to_answer),
        cmocka_unit_test(a_program_that_is_not_there_is_an_error),
        cmocka_unit_test(interrupts_are_told_and_told_again_after_a_program),
        cmocka_unit_test(a_lock_is_held_by_one_at_a_time),
        cmocka_unit_test(a_directory_is_a_lock_too_and_nothing_is_put_into_it),
        cmocka_unit_test(a_lock_goes_with_the_process_that_held_it),
        cmocka_unit_test(a_lock_is_no_link_and_needs_its_directory),
        cmocka_unit_test(finch_yaml_is_the_users_with_a_machine_and_the_systems_without),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
