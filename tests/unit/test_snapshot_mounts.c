/* SPDX-License-Identifier: Apache-2.0 */
/* The mounts that are returned, mounted for real: binds, overlays, and lazy layers as lower
 * directories. Skipped where this process may not mount. */
#include "fake_lazy.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

/* What containerd makes of a mount: flags for the words that it knows, the rest joined by commas.
 */
static int mount_at(const struct snapshot_mounts *mounts, const char *dir)
{
    const struct snapshot_mount *mount_ = &mounts->items[0];
    SCOPED(buf_value) struct buf data = BUF_EMPTY;
    unsigned long flags = 0;
    size_t i;

    for (i = 0; i < mount_->options.count; i++) {
        const char *option = mount_->options.items[i];
        if (strcmp(option, "ro") == 0)
            flags |= MS_RDONLY;
        else if (strcmp(option, "rbind") == 0)
            flags |= MS_BIND | MS_REC;
        else if (strcmp(option, "rw") != 0)
            assert_ok(buf_addf(&data, "%s%s", data.len > 0 ? "," : "", option));
    }
    if (mount(mount_->source, dir, mount_->type, flags, data.len > 0 ? buf_str(&data) : NULL) < 0)
        return -errno;
    if ((flags & MS_BIND) != 0 && (flags & MS_RDONLY) != 0 && /* a bind takes ro only afterwards */
        mount(NULL, dir, NULL, MS_REMOUNT | flags, NULL) < 0)
        return -errno;
    return 0;
}

static char *mount_point(struct snapshot_fixture *f)
{
    char *path = text_format("%s/mnt", f->root);
    struct err err = ERR_NONE;

    assert_non_null(path);
    assert_ok(dir_make_all(path, 0755, &err));
    return path;
}

/* Mounted at <root>/mnt; skips the test where that is not allowed. */
static void mount_key(struct snapshot_fixture *f, const char *key)
{
    SCOPED(snapshot_mounts) struct snapshot_mounts mounts = {.items = NULL, .count = 0};
    SCOPED(mem) char *path = mount_point(f);
    struct err err = ERR_NONE;
    int rc;

    assert_ok(snapshot_mounts(f->s, key, &mounts, &err));
    rc = mount_at(&mounts, path);
    if (rc == -EPERM)
        skip();
    assert_int_equal(rc, 0);
}

static void unmount(struct snapshot_fixture *f)
{
    SCOPED(mem) char *path = mount_point(f);

    assert_int_equal(umount2(path, 0), 0);
}

static int write_text(struct snapshot_fixture *f, const char *name, const char *text)
{
    SCOPED(mem) char *path = text_format("%s/mnt/%s", f->root, name);
    SCOPED(fd) int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644);
    struct err err = ERR_NONE;

    return fd < 0 ? -errno : file_write_all(fd, text, strlen(text), &err);
}

static void assert_text(struct snapshot_fixture *f, const char *name, const char *expected)
{
    SCOPED(mem) char *path = text_format("%s/mnt/%s", f->root, name);
    SCOPED(buf_value) struct buf got = BUF_EMPTY;
    struct err err = ERR_NONE;

    assert_ok(file_read(path, 4096, &got, &err));
    assert_string_equal(buf_str(&got), expected);
}

static bool is_there(struct snapshot_fixture *f, const char *name)
{
    SCOPED(mem) char *path = text_format("%s/mnt/%s", f->root, name);

    return path_exists(path);
}

static void remove_file(struct snapshot_fixture *f, const char *name)
{
    SCOPED(mem) char *path = text_format("%s/mnt/%s", f->root, name);

    assert_int_equal(unlink(path), 0);
}

static void what_one_layer_writes_and_hides_the_next_one_sees(void **state)
{
    struct snapshot_fixture *f = *state;

    assert_ok(prepare(f, "k1", "", NULL));
    mount_key(f, "k1");
    assert_ok(write_text(f, "a", "one"));
    assert_ok(write_text(f, "b", "one"));
    unmount(f);
    assert_ok(commit(f, "l1", "k1", ""));

    assert_ok(prepare(f, "k2", "l1", NULL));
    mount_key(f, "k2");
    assert_text(f, "a", "one");
    assert_ok(write_text(f, "a", "two"));
    remove_file(f, "b");
    unmount(f);
    assert_ok(commit(f, "l2", "k2", ""));

    assert_ok(view(f, "v", "l2"));
    mount_key(f, "v");
    assert_text(f, "a", "two");
    assert_false(is_there(f, "b"));
    unmount(f);
}

static void views_refuse_writes(void **state)
{
    struct snapshot_fixture *f = *state;

    add_layer(f, "l1", "");
    add_layer(f, "l2", "l1");
    assert_ok(view(f, "nothing below", ""));
    assert_ok(view(f, "one below", "l1"));
    assert_ok(view(f, "two below", "l2"));
    mount_key(f, "nothing below");
    assert_int_equal(write_text(f, "a", "x"), -EROFS);
    unmount(f);
    mount_key(f, "one below");
    assert_int_equal(write_text(f, "a", "x"), -EROFS);
    unmount(f);
    mount_key(f, "two below");
    assert_int_equal(write_text(f, "a", "x"), -EROFS);
    unmount(f);
}

/* ---- lazy layers: each one a tmpfs with a file that is named after its target ---------------- */

static int tmpfs_mount(void *self, uint64_t id, const struct snapshot_layer *layer,
                       struct text_map *ret_labels, struct err *err)
{
    SCOPED(mem)
    char *file = path_join(layer->dir, text_map_get(layer->labels, SNAPSHOT_LABEL_TARGET));
    int rc = 0;

    (void)self, (void)id, (void)ret_labels;
    if (mount("tmpfs", layer->dir, "tmpfs", 0, "size=64k,mode=755") < 0)
        return err_sys(err, -errno, "tmpfs");
    {
        SCOPED(fd) int fd = open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
        if (fd < 0)
            rc = err_sys(err, -errno, "%s", file);
    }
    return rc;
}

static void tmpfs_unmount(void *self, uint64_t id, const char *dir)
{
    (void)self, (void)id;
    (void)umount2(dir, MNT_DETACH);
}

static int always_well(void *self, uint64_t id, struct err *err)
{
    (void)self, (void)id, (void)err;
    return 0;
}

static void use_tmpfs(struct snapshot_fixture *f)
{
    struct snapshotter_options options = {
        .store = f->store,
        .lazy = {.mount = tmpfs_mount, .unmount = tmpfs_unmount, .check = always_well},
    };
    struct err err = ERR_NONE;

    snapshotter_free(f->s);
    f->s = NULL;
    assert_ok(snapshotter_new(&options, &f->s, &err));
}

static void add_lazy(struct snapshot_fixture *f, const char *target, const char *parent)
{
    int rc = prepare(f, "k", parent, target);

    if (rc == 0)
        skip(); /* no tmpfs here: it was left to containerd */
    assert_int_equal(rc, -EEXIST);
}

static void lazy_and_unpacked_layers_stack(void **state)
{
    struct snapshot_fixture *f = *state;

    use_tmpfs(f);
    add_lazy(f, "t1", "");
    add_layer(f, "l2", "t1");
    add_lazy(f, "t3", "l2");
    assert_ok(prepare(f, "c", "t3", NULL));
    mount_key(f, "c");
    assert_true(is_there(f, "t1"));
    assert_true(is_there(f, "t3"));
    remove_file(f, "t1");
    assert_ok(write_text(f, "t3", "mine"));
    unmount(f);
}

static size_t count_mounts(struct snapshot_fixture *f)
{
    SCOPED(mem) char *prefix = text_format(" %s/snapshotter/", f->root);
    SCOPED(file) FILE *mounts = fopen("/proc/self/mounts", "re");
    char line[4096];
    size_t count = 0;

    assert_non_null(mounts);
    while (fgets(line, sizeof(line), mounts) != NULL)
        count += strstr(line, prefix) != NULL;
    return count;
}

static void removed_lazy_layers_are_unmounted_and_deleted(void **state)
{
    struct snapshot_fixture *f = *state;
    struct err err = ERR_NONE;

    use_tmpfs(f);
    add_lazy(f, "t1", "");
    add_lazy(f, "t2", "t1");
    assert_int_equal(count_mounts(f), 2);
    assert_ok(snapshot_remove(f->s, "t2", &err));
    assert_ok(snapshot_remove(f->s, "t1", &err));
    assert_ok(snapshot_cleanup(f->s, &err));
    assert_int_equal(count_mounts(f), 0);
    assert_false(has_dir(f, "1"));
    assert_false(has_dir(f, "2"));
}

/* ---- a disk that is full --------------------------------------------------------------------- */

static void fill_disk(struct snapshot_fixture *f)
{
    SCOPED(mem) char *path = text_format("%s/filler", f->root);
    SCOPED(fd) int fd = open(path, O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
    char block[4096];

    assert_true(fd >= 0);
    memset(block, 'x', sizeof(block));
    while (write(fd, block, sizeof(block)) > 0)
        ;
    assert_int_equal(errno, ENOSPC);
}

static void on_a_full_disk_nothing_new_starts_and_old_things_can_be_removed(void **state)
{
    struct snapshot_fixture *f = *state;
    struct err err = ERR_NONE;

    snapshot_fixture_close(f);
    if (mount("tmpfs", f->root, "tmpfs", 0, "size=2m") < 0)
        skip();
    snapshot_fixture_open(f);
    add_layer(f, "l1", "");
    assert_ok(prepare(f, "a", "l1", NULL));
    fill_disk(f);
    assert_int_equal(prepare(f, "b", "l1", NULL), -ENOSPC);
    assert_int_equal(prepare(f, "b", "", "t1"), -ENOSPC);
    assert_true(has_row(f, "a"));
    assert_ok(snapshot_remove(f->s, "a", &err));
    assert_ok(snapshot_remove(f->s, "l1", &err));
    assert_ok(snapshot_cleanup(f->s, &err));
    snapshot_fixture_close(f);
    assert_int_equal(umount2(f->root, 0), 0);
    snapshot_fixture_open(f);
}

/* Mounts outlive the process that made them, so the fixture does not unmount either. */
static int teardown(void **state)
{
    struct snapshot_fixture *f = *state;
    int id;

    for (id = 1; id < 10; id++) {
        SCOPED(mem) char *fs = text_format("%s/snapshotter/snapshots/%d/fs", f->root, id);
        (void)umount2(fs, MNT_DETACH);
    }
    {
        SCOPED(mem) char *path = text_format("%s/mnt", f->root);
        (void)umount2(path, MNT_DETACH); /* a failed test may have left it */
    }
    return snapshot_fixture_teardown(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, snapshot_fixture_setup, teardown)
        T(what_one_layer_writes_and_hides_the_next_one_sees),
        T(views_refuse_writes),
        T(lazy_and_unpacked_layers_stack),
        T(removed_lazy_layers_are_unmounted_and_deleted),
        T(on_a_full_disk_nothing_new_starts_and_old_things_can_be_removed),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
