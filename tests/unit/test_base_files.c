/* SPDX-License-Identifier: Apache-2.0 */
/* test_base_files.c – whole reads, atomic replacement, trees that go without following links. */
#include "test.h"

#include "base/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/mount.h>
#include <unistd.h>

static int make_dir(void **state)
{
    char *dir = strdup("/tmp/files.XXXXXX");

    if (dir == NULL || mkdtemp(dir) == NULL)
        return -1;
    *state = dir;
    return 0;
}

static int remove_dir(void **state)
{
    int rc = dir_remove_all(*state, NULL);

    free(*state);
    return rc;
}

static void a_file_is_replaced_whole_with_its_mode(void **state)
{
    SCOPED(mem) char *path = path_join(*state, "x");
    SCOPED(buf_value) struct buf content = BUF_EMPTY;
    struct err err = ERR_NONE;
    struct stat st;

    assert_ok(file_replace(path, bytes_of_str("one"), 0600, &err));
    assert_ok(file_replace(path, bytes_of_str("two"), 0640, &err));
    assert_ok(file_read(path, 100, &content, &err));
    assert_true(bytes_equal(buf_bytes(&content), bytes_of_str("two")));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
}

static void a_file_that_is_too_large_is_refused(void **state)
{
    SCOPED(mem) char *path = path_join(*state, "x");
    SCOPED(buf_value) struct buf content = BUF_EMPTY;
    struct err err = ERR_NONE;

    assert_ok(file_replace(path, bytes_of_str("12345"), 0600, &err));
    assert_int_equal(file_read(path, 4, &content, &err), -EFBIG);
    assert_int_equal(file_read("/nonexistent", 4, &content, &err), -ENOENT);
    assert_string_equal(err.text, "/nonexistent: No such file or directory");
}

static void what_is_no_regular_file_is_refused_at_once(void **state)
{
    SCOPED(mem) char *fifo = path_join(*state, "fifo");
    SCOPED(mem) char *path = path_join(*state, "file");
    SCOPED(buf_value) struct buf content = BUF_EMPTY;
    const char *const others[] = {fifo, *state, "/dev/zero"};
    struct err err = ERR_NONE;

    assert_int_equal(mkfifo(fifo, 0600), 0); /* that nobody ever writes to */
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        assert_int_equal(file_read_regular(others[i], 100, &content, &err), -EINVAL);
        assert_non_null(strstr(err_text(&err), "no regular file"));
    }
    assert_ok(file_replace(path, bytes_of_str("text"), 0600, &err));
    assert_ok(file_read_regular(path, 100, &content, &err));
    assert_string_equal(buf_str(&content), "text");
    assert_int_equal(file_read_regular(path, 3, &content, &err), -EFBIG);
    assert_int_equal(file_read_regular("/nonexistent", 3, &content, &err), -ENOENT);
}

static void a_short_file_is_an_error_for_a_full_read(void **state)
{
    SCOPED(mem) char *path = path_join(*state, "x");
    SCOPED(fd) int fd = -1;
    struct err err = ERR_NONE;
    char data[8];

    assert_ok(file_replace(path, bytes_of_str("12345"), 0600, &err));
    fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_ok(file_pread_all(fd, data, 3, 2, &err));
    assert_memory_equal(data, "345", 3);
    assert_int_equal(file_pread_all(fd, data, 4, 2, &err), -EBADMSG);
}

static void a_tree_goes_and_what_its_links_point_to_stays(void **state)
{
    SCOPED(mem) char *deep = path_join(*state, "tree/a/b/c");
    SCOPED(mem) char *tree = path_join(*state, "tree");
    SCOPED(mem) char *outside = path_join(*state, "outside");
    SCOPED(mem) char *link = path_join(*state, "tree/a/link");
    struct err err = ERR_NONE;

    assert_ok(dir_make_all(deep, 0755, &err));
    assert_ok(dir_make_all(deep, 0755, &err));
    assert_ok(dir_make_all(outside, 0755, &err));
    assert_int_equal(symlink("../../outside", link), 0);
    assert_ok(dir_remove_all(tree, &err));
    assert_false(path_exists(tree));
    assert_true(path_exists(outside));
    assert_ok(dir_remove_all(tree, &err));
}

static void what_is_mounted_in_a_tree_is_not_removed(void **state)
{
    SCOPED(mem) char *outside = path_join(*state, "outside");
    SCOPED(mem) char *file = path_join(*state, "outside/file");
    SCOPED(mem) char *point = path_join(*state, "tree/a/point");
    SCOPED(mem) char *tree = path_join(*state, "tree");
    struct err err = ERR_NONE;
    int rc;

    assert_ok(dir_make_all(outside, 0755, &err));
    assert_ok(dir_make_all(point, 0755, &err));
    assert_ok(file_replace(file, bytes_of_str("1"), 0600, &err));
    /* Of the same device: only the kernel can tell. */
    if (mount(outside, point, NULL, MS_BIND, NULL) < 0)
        skip();
    rc = dir_remove_all(tree, &err);
    assert_int_equal(umount2(point, MNT_DETACH), 0);
    assert_int_equal(rc, -EBUSY);
    assert_true(path_exists(file));
    assert_ok(dir_remove_all(tree, &err));
}

static void a_file_in_the_way_of_a_directory_is_an_error(void **state)
{
    SCOPED(mem) char *file = path_join(*state, "x");
    SCOPED(mem) char *below = path_join(*state, "x/y");
    struct err err = ERR_NONE;

    assert_ok(file_replace(file, bytes_of_str("1"), 0600, &err));
    assert_int_equal(dir_make_all(file, 0755, &err), -ENOTDIR);
    assert_int_equal(dir_make_all(below, 0755, &err), -ENOTDIR);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_file_is_replaced_whole_with_its_mode, make_dir,
                                        remove_dir),
        cmocka_unit_test_setup_teardown(a_file_that_is_too_large_is_refused, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(what_is_no_regular_file_is_refused_at_once, make_dir,
                                        remove_dir),
        cmocka_unit_test_setup_teardown(a_short_file_is_an_error_for_a_full_read, make_dir,
                                        remove_dir),
        cmocka_unit_test_setup_teardown(a_tree_goes_and_what_its_links_point_to_stays, make_dir,
                                        remove_dir),
        cmocka_unit_test_setup_teardown(what_is_mounted_in_a_tree_is_not_removed, make_dir,
                                        remove_dir),
        cmocka_unit_test_setup_teardown(a_file_in_the_way_of_a_directory_is_an_error, make_dir,
                                        remove_dir),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
