/* SPDX-License-Identifier: Apache-2.0 */
/* Where snapshots can be kept, with file systems mounted for real. Skipped where this process may
 * not mount. */
#include "test.h"

#include "snapshot/snapshot.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

/* A memory file system at a new directory. */
static int set_up(void **state)
{
    static char root[64];

    (void)snprintf(root, sizeof(root), "/tmp/supported-XXXXXX");
    *state = mkdtemp(root);
    if (*state == NULL)
        return -1;
    return mount("tmpfs", root, "tmpfs", 0, "size=1m") == 0 || errno == EPERM ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)umount2(*state, MNT_DETACH);
    return rmdir(*state);
}

static void in_dir(const char *root, const char *name, char path[128])
{
    (void)snprintf(path, 128, "%s/%s", root, name);
}

static void make_dir(const char *root, const char *name, char path[128])
{
    in_dir(root, name, path);
    assert_ok(mkdir(path, 0755) < 0 ? -errno : 0);
}

static void skip_unless_mounted(const char *root)
{
    struct stat here, above;

    assert_int_equal(stat(root, &here), 0);
    assert_int_equal(stat("/tmp", &above), 0);
    if (here.st_dev == above.st_dev)
        skip();
}

static void a_memory_file_system_will_do_and_is_left_clean(void **state)
{
    struct err err = ERR_NONE;
    char path[128];

    skip_unless_mounted(*state);
    if (snapshot_check_supported(*state, &err) < 0)
        fail_msg("%s", err_text(&err));
    in_dir(*state, "check", path);
    assert_int_equal(access(path, F_OK), -1);
}

static void what_a_killed_check_left_is_not_in_the_way(void **state)
{
    struct err err = ERR_NONE;
    char path[128];

    skip_unless_mounted(*state);
    make_dir(*state, "check", path);
    make_dir(*state, "check/work", path);
    if (snapshot_check_supported(*state, &err) < 0)
        fail_msg("%s", err_text(&err));
}

static void above_an_overlay_there_is_no_other_and_that_is_refused(void **state)
{
    char options[512], lower[128], upper[128], work[128], merged[128];
    struct err err = ERR_NONE;
    int rc;

    skip_unless_mounted(*state);
    make_dir(*state, "lower", lower);
    make_dir(*state, "upper", upper);
    make_dir(*state, "work", work);
    make_dir(*state, "merged", merged);
    (void)snprintf(options, sizeof(options), "lowerdir=%s,upperdir=%s,workdir=%s", lower, upper,
                   work);
    assert_int_equal(mount("overlay", merged, "overlay", 0, options), 0);
    rc = snapshot_check_supported(merged, &err);
    assert_int_equal(umount2(merged, MNT_DETACH), 0);
    assert_int_equal(rc, -EOPNOTSUPP);
    assert_non_null(strstr(err.text, "snapshots cannot be kept in /tmp/supported-"));
    assert_non_null(strstr(err.text, "overlayfs with two lower directories cannot be mounted"));
}

static void where_nothing_can_be_written_is_refused(void **state)
{
    struct err err = ERR_NONE;

    skip_unless_mounted(*state);
    assert_int_equal(mount(NULL, *state, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
    assert_int_equal(snapshot_check_supported(*state, &err), -EROFS);
    assert_non_null(strstr(err.text, "snapshots cannot be kept in /tmp/supported-"));
}

static void a_path_that_mount_options_cannot_hold_is_refused_in_words(void **state)
{
    static const char *const bad[] = {"/tmp/a:b", "/tmp/a,b/root", "a\\b"};
    struct err err = ERR_NONE;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(snapshot_check_root(bad[i], &err), -EINVAL);
        assert_non_null(strstr(err.text, bad[i]));
        assert_non_null(strstr(err.text, "overlayfs does not take a path with"));
        assert_int_equal(snapshot_check_supported(bad[i], &err), -EINVAL);
    }
    assert_ok(snapshot_check_root("/tmp/a b;c=d\"e", &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_memory_file_system_will_do_and_is_left_clean, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_a_killed_check_left_is_not_in_the_way, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(above_an_overlay_there_is_no_other_and_that_is_refused,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(where_nothing_can_be_written_is_refused, set_up, tear_down),
        cmocka_unit_test(a_path_that_mount_options_cannot_hold_is_refused_in_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
