/* SPDX-License-Identifier: Apache-2.0 */
/* test_platform_darwin.c – macOS's files of platform/, over fakes of the calls that they use. */
#include "test.h"

#include "darwin.h"

#include "base/clock.h"
#include "base/text.h"
#include "platform/platform.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* How often a program that has ended is not there to be waited for yet. */
static int late_reaps;

pid_t __real_waitpid(pid_t pid, int *status, int options);
pid_t __wrap_waitpid(pid_t pid, int *status, int options);
pid_t __wrap_waitpid(pid_t pid, int *status, int options)
{
    if ((options & WNOHANG) != 0 && late_reaps > 0) {
        late_reaps--;
        return 0;
    }
    return __real_waitpid(pid, status, options);
}

struct world {
    char dir[64];
    char *file;
};

static int setup(void **state)
{
    struct world *world = calloc(1, sizeof(*world));

    assert_non_null(world);
    strcpy(world->dir, "/tmp/test-darwin-XXXXXX");
    assert_non_null(mkdtemp(world->dir));
    world->file = path_join(world->dir, "finch.yaml");
    *state = world;
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;

    fake_rename_errno = 0;
    late_reaps = 0;
    assert_ok(dir_remove_all(world->dir, NULL));
    free(world->file);
    free(world);
    return 0;
}

static void write_text(const char *path, const char *text)
{
    assert_ok(file_replace(path, bytes_of_str(text), 0600, NULL));
}

static void assert_holds(const char *path, const char *text)
{
    SCOPED(buf_value) struct buf content = BUF_EMPTY;

    assert_ok(file_read(path, 1000, &content, NULL));
    assert_string_equal(buf_str(&content), text);
}

/* ---- places ---------------------------------------------------------------------------------- */

static void finch_has_a_machine_and_its_configuration_is_the_users(void **state)
{
    SCOPED(mem) char *with = NULL, *without = NULL;

    (void)state;
    assert_int_equal(setenv("HOME", "/Users/a user", 1), 0);
    with = platform_finch_config(true);
    without = platform_finch_config(false);
    assert_true(platform_has_vm);
    assert_string_equal(platform_finch_root, "/Applications/Finch");
    assert_string_equal(with, "/Users/a user/.finch/finch.yaml");
    assert_string_equal(without, "/Users/a user/.finch/finch.yaml");
}

static void the_programs_directory_is_where_its_link_leads(void **state)
{
    struct world *world = *state;
    SCOPED(mem) char *bin = path_join(world->dir, "a long name of a directory that holds programs");
    SCOPED(mem) char *program = NULL, *link = path_join(world->dir, "link"), *dir = NULL;
    SCOPED(mem) char *real = realpath(world->dir, NULL), *wanted = NULL;

    assert_ok(dir_make_all(bin, 0700, NULL));
    program = path_join(bin, "finch-soci");
    write_text(program, "");
    assert_int_equal(symlink(program, link), 0);
    fake_executable = link;
    dir = platform_program_dir();
    wanted = path_join(real, "a long name of a directory that holds programs");
    assert_string_equal(dir, wanted);
}

static void a_program_that_is_gone_has_no_directory(void **state)
{
    (void)state;
    fake_executable = "/nowhere/finch-soci";
    assert_null(platform_program_dir());
    assert_null(platform_program());
}

/* ---- files ----------------------------------------------------------------------------------- */

static void a_file_is_replaced_when_it_is_what_it_was_believed_to_be(void **state)
{
    struct world *world = *state;
    struct bytes was = bytes_of_str("old");

    write_text(world->file, "old");
    assert_ok(platform_file_replace(world->file, &was, bytes_of_str("new"), NULL));
    assert_holds(world->file, "new");
    assert_int_equal(platform_file_replace(world->file, &was, bytes_of_str("newer"), NULL),
                     -EAGAIN);
    assert_holds(world->file, "new");
}

static void a_new_file_takes_no_others_place(void **state)
{
    struct world *world = *state;

    assert_ok(platform_file_replace(world->file, NULL, bytes_of_str("first"), NULL));
    assert_int_equal(platform_file_replace(world->file, NULL, bytes_of_str("second"), NULL),
                     -EAGAIN);
    assert_holds(world->file, "first");
}

static void where_files_cannot_be_exchanged_they_are_renamed(void **state)
{
    struct world *world = *state;
    struct bytes was = bytes_of_str("old"), other = bytes_of_str("other");
    struct err err = ERR_NONE;

    write_text(world->file, "old");
    fake_rename_errno = ENOTSUP;
    assert_int_equal(platform_file_replace(world->file, &other, bytes_of_str("new"), NULL),
                     -EAGAIN);
    assert_ok(platform_file_replace(world->file, &was, bytes_of_str("new"), NULL));
    assert_holds(world->file, "new");
    was = bytes_of_str("new");
    fake_rename_errno = EROFS;
    assert_int_equal(platform_file_replace(world->file, &was, bytes_of_str("newer"), &err), -EROFS);
    assert_holds(world->file, "new");
}

static void a_file_that_has_settled_is_read(void **state)
{
    struct world *world = *state;
    SCOPED(buf_value) struct buf content = BUF_EMPTY;

    write_text(world->file, "text");
    assert_ok(platform_file_read(world->file, 100, &content, NULL));
    assert_string_equal(buf_str(&content), "text");
}

/* ---- ends of programs ------------------------------------------------------------------------ */

static void an_end_that_is_told_before_it_can_be_waited_for_is_told_once(void **state)
{
    const char *const argv[] = {"/bin/sh", "-c", "echo said; exit 3", NULL};
    const struct platform_child child = {.argv = argv, .gives_output = true};
    SCOPED(platform_waiter) struct platform_waiter *waiter = NULL;
    struct platform_event event;
    int number = -1;

    (void)state;
    late_reaps = 5;
    assert_ok(platform_waiter_open(&waiter, NULL));
    assert_ok(platform_waiter_start(waiter, &child, &number, NULL));
    assert_ok(platform_waiter_wait(waiter, 30000, &event, NULL));
    assert_int_equal(event.kind, PLATFORM_OUTPUT);
    assert_ok(platform_waiter_wait(waiter, 30000, &event, NULL));
    assert_int_equal(event.kind, PLATFORM_ENDED);
    assert_int_equal(event.exit_status, 3);
    assert_int_equal(late_reaps, 0);
    assert_ok(platform_waiter_wait(waiter, 100, &event, NULL));
    assert_int_equal(event.kind, PLATFORM_TIMEOUT);
}

static void a_process_that_is_forgotten_is_not_told_of(void **state)
{
    SCOPED(platform_waiter) struct platform_waiter *waiter = NULL;
    struct platform_event event;
    pid_t pid = fork();

    (void)state;
    if (pid == 0) {
        (void)pause();
        _exit(0);
    }
    assert_ok(platform_waiter_open(&waiter, NULL));
    assert_ok(platform_waiter_set_process(waiter, pid, NULL));
    assert_ok(platform_waiter_set_process(waiter, 0, NULL));
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(__real_waitpid(pid, NULL, 0), pid);
    assert_ok(platform_waiter_wait(waiter, 100, &event, NULL));
    assert_int_equal(event.kind, PLATFORM_TIMEOUT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(finch_has_a_machine_and_its_configuration_is_the_users),
        TEST(the_programs_directory_is_where_its_link_leads),
        TEST(a_program_that_is_gone_has_no_directory),
        TEST(a_file_is_replaced_when_it_is_what_it_was_believed_to_be),
        TEST(a_new_file_takes_no_others_place),
        TEST(where_files_cannot_be_exchanged_they_are_renamed),
        TEST(a_file_that_has_settled_is_read),
        TEST(an_end_that_is_told_before_it_can_be_waited_for_is_told_once),
        TEST(a_process_that_is_forgotten_is_not_told_of),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
