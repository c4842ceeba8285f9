/* SPDX-License-Identifier: Apache-2.0 */
/* What a start makes of what an earlier process left, at whatever instant that one ended. */
#include "fake_lazy.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

static char *snapshots_path(struct snapshot_fixture *f, const char *name)
{
    return text_format("%s/snapshotter/snapshots/%s", f->root, name);
}

static void make_dir(struct snapshot_fixture *f, const char *name)
{
    SCOPED(mem) char *path = snapshots_path(f, name);
    struct err err = ERR_NONE;

    assert_ok(dir_make_all(path, 0700, &err));
}

static void remove_dir(struct snapshot_fixture *f, const char *name)
{
    SCOPED(mem) char *path = snapshots_path(f, name);
    struct err err = ERR_NONE;

    assert_ok(dir_remove_all(path, &err));
}

static void remote_layers_are_mounted_again(void **state)
{
    struct snapshot_fixture *f = *state;

    assert_int_equal(prepare(f, "k", "", "sha256:1"), -EEXIST);
    assert_int_equal(prepare(f, "k", "sha256:1", "sha256:2"), -EEXIST);
    assert_ok(prepare(f, "c", "sha256:2", NULL));
    snapshot_fixture_restart(f);
    assert_int_equal(f->fake.remount_calls, 2);
    assert_int_equal(fake_lazy_count(&f->fake), 2);
    assert_ok(prepare(f, "c2", "sha256:2", NULL));
}

static void a_layer_that_does_not_mount_again_keeps_nobody_from_starting(void **state)
{
    struct snapshot_fixture *f = *state;

    assert_int_equal(prepare(f, "k", "", "sha256:1"), -EEXIST);
    add_layer(f, "plain", "");
    f->fake.remount_rc = -EBADMSG;
    snapshot_fixture_restart(f);
    assert_true(has_row(f, "sha256:1"));
    assert_int_equal(prepare(f, "c", "sha256:1", NULL), -EAGAIN);
    assert_ok(prepare(f, "c", "plain", NULL));
}

static void leftovers_of_unfinished_prepares_and_removes_go(void **state)
{
    struct snapshot_fixture *f = *state;

    add_layer(f, "l1", "");
    make_dir(f, "new-XyZ123/fs"); /* before the rename */
    make_dir(f, "2/fs");          /* renamed, row not committed; or removed, files not yet */
    snapshot_fixture_restart(f);
    assert_false(has_dir(f, "new-XyZ123"));
    assert_false(has_dir(f, "2"));
    assert_true(has_dir(f, "1/fs"));
    assert_ok(prepare(f, "a", "l1", NULL));
    assert_true(has_dir(f, "2/fs"));
}

static void an_active_without_its_directories_gets_them_again(void **state)
{
    struct snapshot_fixture *f = *state;

    assert_ok(prepare(f, "a", "", NULL));
    remove_dir(f, "1");
    snapshot_fixture_restart(f);
    assert_true(has_dir(f, "1/fs"));
    assert_true(has_dir(f, "1/work"));
}

static void a_remote_layer_without_its_directory_is_mounted_all_the_same(void **state)
{
    struct snapshot_fixture *f = *state;

    assert_int_equal(prepare(f, "k", "", "sha256:1"), -EEXIST);
    remove_dir(f, "1");
    snapshot_fixture_restart(f);
    assert_int_equal(fake_lazy_count(&f->fake), 1);
}

static void the_files_of_a_committed_layer_are_not_replaced_by_an_empty_directory(void **state)
{
    struct snapshot_fixture *f = *state;

    add_layer(f, "l1", "");
    remove_dir(f, "1");
    snapshot_fixture_restart(f);
    assert_false(has_dir(f, "1/fs"));
    assert_true(has_row(f, "l1"));
}

static void a_prepare_that_was_mounting_is_an_ordinary_active_afterwards(void **state)
{
    struct snapshot_fixture *f = *state;
    struct err err = ERR_NONE;

    /* The state between the two transactions of a lazy Prepare: the row is there and not committed.
     */
    f->fake.mount_rc = -EIO;
    assert_ok(prepare(f, "k", "", "sha256:1"));
    f->fake.mount_rc = 0;
    snapshot_fixture_restart(f);
    assert_int_equal(f->fake.remount_calls, 0);
    assert_int_equal(prepare(f, "k2", "", "sha256:1"), -EEXIST);
    assert_ok(snapshot_remove(f->s, "k", &err));
}

/* ---- real mounts ----------------------------------------------------------------------------- */

static bool is_empty(const char *path)
{
    SCOPED(dir) DIR *dir = opendir(path);
    const struct dirent *entry;

    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] != '.')
            return false;
    }
    return true;
}

/* Bind `from`, which holds a file, over `to`; skips the test where that is not allowed. */
static void bind_over(const char *from, const char *to)
{
    SCOPED(mem) char *file = path_join(from, "precious");
    SCOPED(fd) int fd = open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    if (mount(from, to, NULL, MS_BIND, NULL) < 0)
        skip();
}

static void mounts_of_an_earlier_process_are_detached_and_not_emptied(void **state)
{
    struct snapshot_fixture *f = *state;
    SCOPED(mem) char *outside = text_format("%s/out side", f->root);
    SCOPED(mem) char *stray = snapshots_path(f, "77/fs");
    SCOPED(mem) char *live = snapshots_path(f, "1/fs");
    struct err err = ERR_NONE;

    assert_int_equal(prepare(f, "k", "", "sha256:1"), -EEXIST);
    make_dir(f, "77/fs");
    assert_ok(dir_make_all(outside, 0700, &err));
    bind_over(outside, stray);
    bind_over(outside, stray); /* twice on top of each other */
    bind_over(outside, live);
    snapshot_fixture_restart(f);
    assert_false(has_dir(f, "77"));
    assert_true(is_empty(live));
    assert_false(is_empty(outside));
}

static void cleanup_never_removes_through_a_mount(void **state)
{
    struct snapshot_fixture *f = *state;
    SCOPED(mem) char *outside = text_format("%s/outside", f->root);
    SCOPED(mem) char *stray = snapshots_path(f, "77/fs");
    SCOPED(mem) char *deep = snapshots_path(f, "new-x/a/b c");
    struct err err = ERR_NONE;

    make_dir(f, "77/fs");
    make_dir(f, "new-x/a/b c");
    assert_ok(dir_make_all(outside, 0700, &err));
    if (mount("none", outside, "tmpfs", 0, NULL) < 0)
        skip();
    bind_over(outside, stray);
    bind_over(outside, deep);
    assert_ok(snapshot_cleanup(f->s, &err));
    assert_false(has_dir(f, "77"));
    assert_false(has_dir(f, "new-x"));
    assert_false(is_empty(outside));
    assert_int_equal(umount2(outside, MNT_DETACH), 0);
}

/* ---- killed at any instant ------------------------------------------------------------------- */

static _Noreturn void live_and_die(struct snapshot_fixture *f)
{
    struct err err = ERR_NONE;
    int i;

    for (i = 0;; i++) {
        SCOPED(mem) char *key = text_format("k%d", i), *name = text_format("l%d", i);
        (void)prepare(f, key, "", NULL);
        (void)commit(f, name, key, "");
        if (i % 3 == 0)
            (void)!snapshot_remove(f->s, name, &err);
    }
}

static int row_has_its_directory(void *arg, const struct snapdb_row *row)
{
    struct snapshot_fixture *f = arg;

    assert_true(has_id_dir(f, row->id, "fs"));
    return 0;
}

static size_t count_dirs(struct snapshot_fixture *f)
{
    SCOPED(mem) char *path = snapshots_path(f, "");
    SCOPED(dir) DIR *dir = opendir(path);
    const struct dirent *entry;
    size_t count = 0;

    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL)
        count += entry->d_name[0] != '.';
    return count;
}

static int count_row(void *arg, const struct snapdb_row *row)
{
    (void)row;
    ++*(size_t *)arg;
    return 0;
}

static void rows_and_directories_agree_whenever_the_process_is_killed(void **state)
{
    struct snapshot_fixture *f = *state;
    SCOPED(text_list) struct text_list all = TEXT_LIST_EMPTY;
    struct err err = ERR_NONE;
    int round;

    snapshot_fixture_close(f);
    for (round = 0; round < 12; round++) {
        size_t rows = 0;
        pid_t child = fork();

        assert_true(child >= 0);
        if (child == 0) {
            snapshot_fixture_open(f);
            live_and_die(f);
        }
        clock_sleep_ms(20 + 7 * round);
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, NULL, 0), child);
        snapshot_fixture_open(f);
        assert_ok(snapshot_list(f->s, &all, row_has_its_directory, f, &err));
        assert_ok(snapshot_list(f->s, &all, count_row, &rows, &err));
        assert_int_equal(rows, count_dirs(f));
        snapshot_fixture_close(f);
        assert_ok(dir_remove_all(f->root, &err));
        assert_ok(dir_make_all(f->root, 0700, &err));
    }
    snapshot_fixture_open(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name)                                                                                    \
    cmocka_unit_test_setup_teardown(name, snapshot_fixture_setup, snapshot_fixture_teardown)
        T(remote_layers_are_mounted_again),
        T(a_layer_that_does_not_mount_again_keeps_nobody_from_starting),
        T(leftovers_of_unfinished_prepares_and_removes_go),
        T(an_active_without_its_directories_gets_them_again),
        T(a_remote_layer_without_its_directory_is_mounted_all_the_same),
        T(the_files_of_a_committed_layer_are_not_replaced_by_an_empty_directory),
        T(a_prepare_that_was_mounting_is_an_ordinary_active_afterwards),
        T(mounts_of_an_earlier_process_are_detached_and_not_emptied),
        T(cleanup_never_removes_through_a_mount),
        T(rows_and_directories_agree_whenever_the_process_is_killed),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
