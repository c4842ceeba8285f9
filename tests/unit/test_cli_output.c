/* SPDX-License-Identifier: Apache-2.0 */
/* test_cli_output.c – what --output may replace, and what it never does. */
#include "test.h"

#include "base/files.h"
#include "cli/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int enter(void **state)
{
    static char dir[32];

    (void)strcpy(dir, "/tmp/test-output.XXXXXX");
    *state = mkdtemp(dir);
    return *state == NULL ? -1 : chdir(dir);
}

static int leave(void **state)
{
    return chdir("/") < 0 ? -1 : dir_remove_all(*state, NULL);
}

static void write_to(const char *path, const char *text, bool done)
{
    SCOPED(cli_output) struct cli_output output = CLI_OUTPUT_NONE;
    struct err err = ERR_NONE;

    assert_ok(cli_output_open(path, &output, &err));
    assert_ok(file_write_all(output.fd, text, strlen(text), &err));
    if (done)
        assert_ok(cli_output_done(&output, &err));
}

static void assert_holds(const char *path, const char *text)
{
    SCOPED(buf_value) struct buf have = BUF_EMPTY;

    assert_ok(file_read(path, 1000, &have, NULL));
    assert_string_equal(buf_str(&have), text);
}

static void a_file_is_replaced_when_all_was_written(void **state)
{
    struct stat st;

    (void)state;
    write_to("file", "old", true);
    assert_ok(chmod("file", 0600));
    write_to("file", "new and lost", false);
    assert_holds("file", "old");
    write_to("file", "new", true);
    assert_holds("file", "new");
    assert_ok(stat("file", &st));
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_ok(unlink("file"));
    assert_ok(chdir("/"));
    assert_ok(rmdir(*state)); /* nothing is left beside it */
    assert_ok(mkdir(*state, 0700));
    assert_ok(chdir(*state));
}

static void a_link_stays_and_its_file_is_replaced(void **state)
{
    struct stat st;

    (void)state;
    write_to("file", "old", true);
    assert_ok(symlink("file", "link"));
    write_to("link", "new", true);
    assert_holds("file", "new");
    assert_ok(lstat("link", &st));
    assert_true(S_ISLNK(st.st_mode));
}

static void what_is_no_file_is_written_to_and_never_replaced(void **state)
{
    char text[8] = "";
    struct stat st;
    int fd;

    (void)state;
    /* No device: were this broken, the machine's own would be replaced. */
    assert_ok(mkfifo("fifo", 0600));
    fd = open("fifo", O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    write_to("fifo", "words", true);
    assert_int_equal(read(fd, text, 5), 5);
    assert_string_equal(text, "words");
    assert_ok(lstat("fifo", &st));
    assert_true(S_ISFIFO(st.st_mode));
    (void)close(fd);
}

static void a_directory_and_what_has_none_are_refused(void **state)
{
    struct cli_output output = CLI_OUTPUT_NONE;
    struct err err = ERR_NONE;

    assert_int_equal(cli_output_open(*state, &output, &err), -EISDIR);
    assert_int_equal(cli_output_open("no/where", &output, &err), -ENOENT);
    assert_int_equal(cli_output_open("", &output, &err), -ENOENT);
    assert_int_equal(output.fd, -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_file_is_replaced_when_all_was_written, enter, leave),
        cmocka_unit_test_setup_teardown(a_link_stays_and_its_file_is_replaced, enter, leave),
        cmocka_unit_test_setup_teardown(what_is_no_file_is_written_to_and_never_replaced, enter,
                                        leave),
        cmocka_unit_test_setup_teardown(a_directory_and_what_has_none_are_refused, enter, leave),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
