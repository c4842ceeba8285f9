/* SPDX-License-Identifier: Apache-2.0 */
/* Snapshots of containers in a user namespace: whose the files below are, and that nothing of what
 * is made for such a container outlives it. */
#include "fake_lazy.h"

#include "snapshot/internal.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#define MAP "0:100000:65536"

/* ---- calls with labels ----------------------------------------------------------------------- */

static int call_mapped(struct snapshot_fixture *f, enum snapdb_kind kind, const char *key,
                       const char *parent, const char *uids, const char *gids,
                       struct snapshot_mounts *mounts)
{
    SCOPED(text_map) struct text_map labels = TEXT_MAP_EMPTY;
    struct snapshot_prepare_request request = {
        .key = key, .parent = parent, .namespace_ = "ns", .labels = &labels};
    struct err err = ERR_NONE;
    int rc;

    assert_ok(text_map_set(&labels, SNAPSHOT_LABEL_UIDS, uids));
    assert_ok(text_map_set(&labels, SNAPSHOT_LABEL_GIDS, gids));
    rc = kind == SNAPDB_VIEW ? snapshot_view(f->s, &request, mounts, &err)
                             : snapshot_prepare(f->s, &request, mounts, &err);
    assert_int_equal(rc, err.code);
    return rc;
}

static int prepare_ids(struct snapshot_fixture *f, const char *key, const char *parent,
                       const char *uids, const char *gids)
{
    SCOPED(snapshot_mounts) struct snapshot_mounts mounts = {.items = NULL, .count = 0};

    return call_mapped(f, SNAPDB_ACTIVE, key, parent, uids, gids, &mounts);
}

static int prepare_mapped(struct snapshot_fixture *f, const char *key, const char *parent)
{
    return prepare_ids(f, key, parent, MAP, MAP);
}

/* "type source option option …", the snapshots directory written as DIR. */
static char *text_of(struct snapshot_fixture *f, const struct snapshot_mounts *mounts)
{
    SCOPED(mem) char *dir = text_format("%s/snapshotter/snapshots", f->root);
    SCOPED(buf_value) struct buf text = BUF_EMPTY, out = BUF_EMPTY;
    const char *pos, *found;

    assert_int_equal(mounts->count, 1);
    assert_ok(buf_addf(&text, "%s %s", mounts->items[0].type, mounts->items[0].source));
    for (size_t i = 0; i < mounts->items[0].options.count; i++)
        assert_ok(buf_addf(&text, " %s", mounts->items[0].options.items[i]));
    for (pos = buf_str(&text); (found = strstr(pos, dir)) != NULL; pos = found + strlen(dir)) {
        assert_ok(buf_add(&out, pos, (size_t)(found - pos)));
        assert_ok(buf_add_str(&out, "DIR"));
    }
    assert_ok(buf_add_str(&out, pos));
    return text_copy(buf_str(&out));
}

static void assert_mounts(struct snapshot_fixture *f, const char *key, const char *expected)
{
    SCOPED(snapshot_mounts) struct snapshot_mounts mounts = {.items = NULL, .count = 0};
    SCOPED(mem) char *text = NULL;
    struct err err = ERR_NONE;

    assert_ok(snapshot_mounts(f->s, key, &mounts, &err));
    text = text_of(f, &mounts);
    assert_string_equal(text, expected);
}

static void cleanup(struct snapshot_fixture *f)
{
    struct err err = ERR_NONE;

    assert_ok(snapshot_cleanup(f->s, &err));
}

static void remove_key(struct snapshot_fixture *f, const char *key)
{
    struct err err = ERR_NONE;

    assert_ok(snapshot_remove(f->s, key, &err));
    cleanup(f);
}

/* Two lazily mounted layers, ids 1 and 2: no mount of ours is needed. */
static void add_lazy_layers(struct snapshot_fixture *f)
{
    assert_int_equal(prepare(f, "k", "", "sha256:1"), -EEXIST);
    assert_int_equal(prepare(f, "k", "sha256:1", "sha256:2"), -EEXIST);
}

static struct stat stat_in(struct snapshot_fixture *f, const char *name)
{
    SCOPED(mem) char *path = text_format("%s/snapshotter/snapshots/%s", f->root, name);
    struct stat st;

    assert_int_equal(lstat(path, &st), 0);
    return st;
}

/* ---- what is returned ------------------------------------------------------------------------ */

static void each_ancestor_is_seen_by_a_directory_of_its_own(void **state)
{
    struct snapshot_fixture *f = *state;

    add_lazy_layers(f);
    assert_ok(prepare_mapped(f, "c", "sha256:2"));
    assert_mounts(
        f, "c",
        "overlay overlay workdir=DIR/3/work upperdir=DIR/3/fs lowerdir=DIR/2_3/fs:DIR/1_3/fs"
        " xino=on");
    assert_int_equal(fake_lazy_count_mapped(&f->fake), 2);
    assert_true(has_dir(f, "2_3/fs") && has_dir(f, "1_3/fs"));
}

static void a_view_of_one_layer_is_a_bind_mount_of_that_directory(void **state)
{
    struct snapshot_fixture *f = *state;
    SCOPED(snapshot_mounts) struct snapshot_mounts mounts = {.items = NULL, .count = 0};
    SCOPED(mem) char *text = NULL;

    add_lazy_layers(f);
    assert_ok(call_mapped(f, SNAPDB_VIEW, "v", "sha256:1", MAP, MAP, &mounts));
    text = text_of(f, &mounts);
    assert_string_equal(text, "bind DIR/1_3/fs ro rbind");
}

static void a_view_of_several_layers_is_an_overlay_without_an_upper_one(void **state)
{
    struct snapshot_fixture *f = *state;
    SCOPED(snapshot_mounts) struct snapshot_mounts mounts = {.items = NULL, .count = 0};
    SCOPED(mem) char *text = NULL;

    add_lazy_layers(f);
    assert_ok(call_mapped(f, SNAPDB_VIEW, "v", "sha256:2", MAP, MAP, &mounts));
    text = text_of(f, &mounts);
    assert_string_equal(text, "overlay overlay lowerdir=DIR/2_3/fs:DIR/1_3/fs xino=on");
}

static void the_writable_layer_belongs_to_the_containers_root(void **state)
{
    struct snapshot_fixture *f = *state;

    if (geteuid() != 0)
        skip();
    add_lazy_layers(f);
    assert_ok(prepare_ids(f, "c", "sha256:2", "0:1000:10", "0:2000:10"));
    assert_int_equal(stat_in(f, "3/fs").st_uid, 1000);
    assert_int_equal(stat_in(f, "3/fs").st_gid, 2000);
    assert_ok(prepare_ids(f, "alone", "", "0:1000:10", "0:2000:10"));
    assert_int_equal(stat_in(f, "4/fs").st_uid, 1000);
    assert_mounts(f, "alone", "bind DIR/4/fs rw rbind");
}

static void one_kind_of_ids_may_stay_as_it_is(void **state)
{
    struct snapshot_fixture *f = *state;

    if (geteuid() != 0)
        skip();
    add_lazy_layers(f);
    assert_ok(prepare_ids(f, "c", "sha256:2", "0:1000:10", ""));
    assert_int_equal(stat_in(f, "3/fs").st_uid, 1000);
    assert_int_equal(stat_in(f, "3/fs").st_gid, 0);
}

/* ---- refusals -------------------------------------------------------------------------------- */

static void labels_that_make_no_sense_are_refused_and_leave_nothing(void **state)
{
    static const char *const bad[] = {"0:1:0", "x", "0:1", "0:1:2,1:9:9", "1:1:5"};
    struct snapshot_fixture *f = *state;

    add_lazy_layers(f);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(prepare_ids(f, "c", "sha256:2", bad[i], MAP), -EINVAL);
        assert_int_equal(prepare_ids(f, "c", "sha256:2", MAP, bad[i]), -EINVAL);
        assert_false(has_row(f, "c"));
    }
    assert_int_equal(f->fake.mapped_calls, 0);
}

static void a_layer_that_cannot_be_mounted_again_fails_the_prepare_and_leaves_nothing(void **state)
{
    struct snapshot_fixture *f = *state;

    add_lazy_layers(f);
    f->fake.mapped_rc = -EIO;
    assert_int_equal(prepare_mapped(f, "c", "sha256:2"), -EIO);
    assert_false(has_row(f, "c"));
    cleanup(f);
    assert_false(has_dir(f, "3") || has_dir(f, "2_3"));
    assert_int_equal(fake_lazy_count_mapped(&f->fake), 0);
    f->fake.mapped_rc = 0;
    assert_ok(prepare_mapped(f, "c", "sha256:2")); /* and its key is free */
}

static void layers_in_the_making_are_for_all_containers(void **state)
{
    struct snapshot_fixture *f = *state;
    SCOPED(text_map) struct text_map labels = TEXT_MAP_EMPTY;
    SCOPED(snapshot_mounts) struct snapshot_mounts mounts = {.items = NULL, .count = 0};
    struct snapshot_prepare_request request = {
        .key = "k", .parent = "sha256:2", .namespace_ = "ns", .labels = &labels};
    struct err err = ERR_NONE;

    add_lazy_layers(f);
    assert_ok(text_map_set(&labels, SNAPSHOT_LABEL_UIDS, MAP));
    assert_ok(text_map_set(&labels, SNAPSHOT_LABEL_TARGET, "sha256:3"));
    assert_int_equal(snapshot_prepare(f->s, &request, &mounts, &err), -EEXIST);
    assert_int_equal(f->fake.mapped_calls, 0);
}

static void what_containerds_client_has_mapped_is_not_mapped_again(void **state)
{
    struct snapshot_fixture *f = *state;
    SCOPED(mem) char *fs = NULL;

    if (geteuid() != 0)
        skip();
    add_lazy_layers(f);
    assert_ok(prepare(f, "ns-remap", "sha256:2", NULL));
    fs = text_format("%s/snapshotter/snapshots/3/fs", f->root);
    assert_int_equal(chown(fs, 100000, 100000), 0);
    assert_ok(commit(f, "ns", "ns-remap", ""));
    assert_ok(prepare_mapped(f, "c", "ns"));
    assert_int_equal(f->fake.mapped_calls, 0);
    assert_int_equal(stat_in(f, "4/fs").st_uid, 100000);
    assert_mounts(f, "c",
                  "overlay overlay workdir=DIR/4/work upperdir=DIR/4/fs"
                  " lowerdir=DIR/3/fs:DIR/2/fs:DIR/1/fs xino=on");
}

/* ---- its end, and a restart ------------------------------------------------------------------ */

static void what_was_made_for_a_snapshot_goes_with_it(void **state)
{
    struct snapshot_fixture *f = *state;

    add_lazy_layers(f);
    assert_ok(prepare_mapped(f, "a", "sha256:2"));
    assert_ok(prepare_mapped(f, "b", "sha256:2"));
    remove_key(f, "a");
    assert_false(has_dir(f, "2_3") || has_dir(f, "1_3"));
    assert_true(has_dir(f, "2_4/fs") && has_dir(f, "1_4/fs"));
    assert_int_equal(fake_lazy_count_mapped(&f->fake), 2);
    remove_key(f, "b");
    assert_int_equal(fake_lazy_count_mapped(&f->fake), 0);
    assert_int_equal(fake_lazy_count(&f->fake), 2);
}

static void a_committed_snapshot_needs_it_no_more(void **state)
{
    struct snapshot_fixture *f = *state;

    add_lazy_layers(f);
    assert_ok(prepare_mapped(f, "c", "sha256:2"));
    assert_ok(commit(f, "image", "c", ""));
    cleanup(f);
    assert_false(has_dir(f, "2_3") || has_dir(f, "1_3"));
    assert_true(has_dir(f, "3/fs"));
    assert_int_equal(fake_lazy_count_mapped(&f->fake), 0);
}

static void remove_and_clean_up(void *arg)
{
    struct snapshot_fixture *f = arg;
    struct err err = ERR_NONE;

    f->fake.during_mapped = NULL;
    assert_ok(snapshot_remove(f->s, "c", &err));
    assert_ok(snapshot_cleanup(f->s, &err));
}

static void removed_while_it_is_being_made_it_leaves_nothing(void **state)
{
    struct snapshot_fixture *f = *state;

    add_lazy_layers(f);
    f->fake.arg = f;
    f->fake.during_mapped = remove_and_clean_up;
    assert_int_equal(prepare_mapped(f, "c", "sha256:2"), -ENOENT);
    cleanup(f);
    assert_int_equal(fake_lazy_count_mapped(&f->fake), 0);
    assert_false(has_dir(f, "3") || has_dir(f, "2_3") || has_dir(f, "1_3"));
}

static void after_a_restart_it_is_made_again_from_the_labels(void **state)
{
    struct snapshot_fixture *f = *state;

    add_lazy_layers(f);
    assert_ok(prepare_mapped(f, "c", "sha256:2"));
    snapshot_fixture_restart(f);
    assert_int_equal(fake_lazy_count_mapped(&f->fake), 2);
    assert_mounts(
        f, "c",
        "overlay overlay workdir=DIR/3/work upperdir=DIR/3/fs lowerdir=DIR/2_3/fs:DIR/1_3/fs"
        " xino=on");
    remove_key(f, "c");
    assert_int_equal(fake_lazy_count_mapped(&f->fake), 0);
}

static void what_a_restart_could_not_make_mounts_makes(void **state)
{
    struct snapshot_fixture *f = *state;
    SCOPED(snapshot_mounts) struct snapshot_mounts mounts = {.items = NULL, .count = 0};
    struct err err = ERR_NONE;

    add_lazy_layers(f);
    assert_ok(prepare_mapped(f, "c", "sha256:2"));
    f->fake.mapped_rc = -EIO;
    snapshot_fixture_restart(f);
    assert_int_equal(snapshot_mounts(f->s, "c", &mounts, &err), -EIO);
    assert_true(has_row(f, "c"));
    f->fake.mapped_rc = 0;
    assert_ok(snapshot_mounts(f->s, "c", &mounts, &err));
    assert_int_equal(fake_lazy_count_mapped(&f->fake), 2);
}

static void directories_without_a_snapshot_are_cleaned_up(void **state)
{
    static const char *const names[] = {"1_77/fs", "99_1000/fs/deep", "_3", "3_", "x_3"};
    struct snapshot_fixture *f = *state;
    struct err err = ERR_NONE;

    add_lazy_layers(f);
    assert_ok(prepare_mapped(f, "c", "sha256:2"));
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        SCOPED(mem) char *path = text_format("%s/snapshotter/snapshots/%s", f->root, names[i]);
        assert_ok(dir_make_all(path, 0755, &err));
    }
    cleanup(f);
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        assert_false(has_dir(f, names[i]));
    assert_true(has_dir(f, "2_3/fs") && has_dir(f, "1_3/fs"));
}

/* ---- real files ------------------------------------------------------------------------------ */

/* Owners and mounts are root's to make. */
static void need_mounts(void)
{
    if (geteuid() != 0)
        skip();
}

static char *file_in(struct snapshot_fixture *f, const char *dir, const char *name)
{
    return text_format("%s/snapshotter/snapshots/%s/%s", f->root, dir, name);
}

static void write_file(struct snapshot_fixture *f, const char *dir, const char *name,
                       const char *text, uid_t owner)
{
    SCOPED(mem) char *path = file_in(f, dir, name);
    struct err err = ERR_NONE;

    assert_ok(file_replace(path, bytes_of_str(text), 0644, &err));
    assert_int_equal(chown(path, owner, owner), 0);
}

/* cap_net_bind_service+ep */
static const uint8_t capability[20] = {1, 0, 0, 2, 0, 4};

/* A layer with one of each, as id 1. */
static void add_rich_layer(struct snapshot_fixture *f)
{
    SCOPED(mem) char *sub = file_in(f, "1/fs", "sub");
    SCOPED(mem) char *a = file_in(f, "1/fs", "a");
    SCOPED(mem) char *b = file_in(f, "1/fs", "sub/b");
    SCOPED(mem) char *link = file_in(f, "1/fs", "link");
    SCOPED(mem) char *gone = file_in(f, "1/fs", "gone");
    SCOPED(mem) char *null = file_in(f, "1/fs", "null");
    SCOPED(mem) char *pipe = file_in(f, "1/fs", "pipe");
    SCOPED(mem) char *sparse = file_in(f, "1/fs", "sparse");
    struct timespec times[2] = {{.tv_sec = 1, .tv_nsec = 5}, {.tv_sec = 2, .tv_nsec = 7}};

    assert_ok(prepare(f, "extract", "", NULL));
    assert_int_equal(mkdir(sub, 0700), 0);
    assert_int_equal(chown(sub, 5, 6), 0);
    assert_int_equal(chmod(sub, 02751), 0);
    assert_int_equal(setxattr(sub, "trusted.overlay.opaque", "y", 1, 0), 0);
    write_file(f, "1/fs", "a", "text", 7);
    assert_int_equal(chmod(a, 06755), 0);
    assert_int_equal(setxattr(a, "security.capability", capability, sizeof(capability), 0), 0);
    assert_int_equal(setxattr(a, "trusted.note", "n", 1, 0), 0);
    assert_int_equal(linkat(AT_FDCWD, a, AT_FDCWD, b, 0), 0);
    assert_int_equal(utimensat(AT_FDCWD, a, times, 0), 0);
    assert_int_equal(symlink("/etc/passwd", link), 0);
    assert_int_equal(lchown(link, 8, 9), 0);
    assert_int_equal(mknod(gone, S_IFCHR, 0), 0);
    assert_int_equal(mknod(null, S_IFCHR | 0666, makedev(1, 3)), 0);
    assert_int_equal(mkfifo(pipe, 0600), 0);
    write_file(f, "1/fs", "far", "far", 70000);
    write_file(f, "1/fs", "sparse", "", 0);
    assert_int_equal(truncate(sparse, 64 << 20), 0);
    {
        SCOPED(fd) int fd = open(sparse, O_WRONLY | O_CLOEXEC);
        assert_int_equal(pwrite(fd, "x", 1, 32 << 20), 1);
    }
    assert_ok(commit(f, "layer", "extract", ""));
}

static void assert_owner(struct snapshot_fixture *f, const char *name, uid_t uid, gid_t gid)
{
    SCOPED(mem) char *path = text_format("1_2/fs/%s", name);
    struct stat st = stat_in(f, path);

    if (st.st_uid != uid || st.st_gid != gid)
        fail_msg("%s belongs to %u:%u", name, st.st_uid, st.st_gid);
}

static void assert_rich_layer_is_mapped(struct snapshot_fixture *f)
{
    SCOPED(mem) char *link = file_in(f, "1_2/fs", "link");
    SCOPED(mem) char *a = file_in(f, "1_2/fs", "a");
    SCOPED(mem) char *sub = file_in(f, "1_2/fs", "sub");
    SCOPED(mem) char *sparse = file_in(f, "1_2/fs", "sparse");
    char target[64] = "", opaque = '-', note = '-';
    SCOPED(buf_value) struct buf content = BUF_EMPTY;
    struct err err = ERR_NONE;
    uint8_t cap[64];
    struct stat st;

    assert_owner(f, ".", 100000, 100000);
    assert_owner(f, "sub", 100005, 100006);
    assert_owner(f, "a", 100007, 100007);
    assert_owner(f, "link", 100008, 100009);
    assert_owner(f, "gone", 100000, 100000);
    assert_owner(f, "far", IDMAP_OVERFLOW_ID, IDMAP_OVERFLOW_ID);

    assert_int_equal(stat_in(f, "1_2/fs").st_mode, S_IFDIR | 0755);
    assert_int_equal(stat_in(f, "1_2/fs/sub").st_mode, S_IFDIR | 02751);
    st = stat_in(f, "1_2/fs/a");
    assert_int_equal(st.st_mode, S_IFREG | 06755);
    assert_int_equal(st.st_nlink, 2);
    assert_int_equal(st.st_ino, stat_in(f, "1_2/fs/sub/b").st_ino);
    assert_int_equal(st.st_mtim.tv_sec, 2);
    assert_int_equal(st.st_mtim.tv_nsec, 7);
    assert_ok(file_read(a, 100, &content, &err));
    assert_string_equal(buf_str(&content), "text");
    assert_int_equal(getxattr(sub, "trusted.overlay.opaque", &opaque, 1), 1);
    assert_int_equal(getxattr(a, "trusted.note", &note, 1), 1);
    assert_true(opaque == 'y' && note == 'n');
    /* Of the namespace's root, so with its id. */
    assert_int_equal(getxattr(a, "security.capability", cap, sizeof(cap)), 24);
    assert_int_equal(cap[3], 3);
    assert_int_equal(get_u32le(cap + 20), 100000);

    assert_int_equal(readlink(link, target, sizeof(target) - 1), strlen("/etc/passwd"));
    assert_int_equal(stat_in(f, "1_2/fs/gone").st_mode & S_IFMT, S_IFCHR);
    assert_int_equal(stat_in(f, "1_2/fs/gone").st_rdev, 0);
    assert_int_equal(stat_in(f, "1_2/fs/null").st_rdev, makedev(1, 3));
    assert_int_equal(stat_in(f, "1_2/fs/pipe").st_mode, S_IFIFO | 0600);
    st = stat_in(f, "1_2/fs/sparse");
    assert_int_equal(st.st_size, 64 << 20);
    assert_true(st.st_blocks < (1 << 20) / 512);
    {
        SCOPED(fd) int fd = open(sparse, O_RDONLY | O_CLOEXEC);
        char x = '-';
        assert_int_equal(pread(fd, &x, 1, 32 << 20), 1);
        assert_int_equal(x, 'x');
    }
}

static bool is_mount_point(struct snapshot_fixture *f, const char *name)
{
    SCOPED(mem) char *path = text_format("%s/snapshotter/snapshots/%s", f->root, name);
    struct statx st;

    assert_int_equal(statx(AT_FDCWD, path, AT_NO_AUTOMOUNT, STATX_BASIC_STATS, &st), 0);
    return (st.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

static void a_directorys_files_are_shown_with_mapped_owners(void **state)
{
    struct snapshot_fixture *f = *state;

    need_mounts();
    add_rich_layer(f);
    assert_ok(prepare_mapped(f, "c", "layer"));
    if (!is_mount_point(f, "1_2/fs"))
        skip(); /* the kernel cannot; the copy is the next test's */
    assert_rich_layer_is_mapped(f);

    remove_key(f, "c");
    assert_false(has_dir(f, "1_2"));
    assert_true(has_dir(f, "1/fs/sub/b")); /* what was mounted was not removed with it */
}

/* As if binding had been tried in vain. */
static void forbid_binding(struct snapshot_fixture *f)
{
    f->s->can_bind = 2;
}

static void where_the_kernel_cannot_map_files_are_copied(void **state)
{
    struct snapshot_fixture *f = *state;

    need_mounts();
    forbid_binding(f);
    add_rich_layer(f);
    assert_ok(prepare_mapped(f, "c", "layer"));
    assert_false(is_mount_point(f, "1_2/fs"));
    assert_rich_layer_is_mapped(f);
    remove_key(f, "c");
    assert_false(has_dir(f, "1_2"));
}

static void a_copy_counts_as_the_containers(void **state)
{
    struct snapshot_fixture *f = *state;
    uint64_t of_layer, of_container, inodes_of_layer, inodes;
    struct err err = ERR_NONE;

    need_mounts();
    forbid_binding(f);
    add_rich_layer(f);
    assert_ok(prepare_mapped(f, "c", "layer"));
    assert_ok(snapshot_usage(f->s, "layer", &of_layer, &inodes_of_layer, &err));
    assert_ok(snapshot_usage(f->s, "c", &of_container, &inodes, &err));
    assert_int_equal(inodes, inodes_of_layer + 1);
    assert_true(of_container >= of_layer);
}

static void a_bind_mount_does_not_count(void **state)
{
    struct snapshot_fixture *f = *state;
    uint64_t bytes, inodes;
    struct err err = ERR_NONE;

    need_mounts();
    add_rich_layer(f);
    assert_ok(prepare_mapped(f, "c", "layer"));
    if (!is_mount_point(f, "1_2/fs"))
        skip();
    assert_ok(snapshot_usage(f->s, "c", &bytes, &inodes, &err));
    assert_int_equal(inodes, 1);
    remove_key(f, "c");
}

static void a_copy_is_kept_over_a_restart_and_a_mount_made_again(void **state)
{
    struct snapshot_fixture *f = *state;
    ino_t before;

    need_mounts();
    forbid_binding(f);
    add_rich_layer(f);
    assert_ok(prepare_mapped(f, "c", "layer"));
    before = stat_in(f, "1_2/fs/a").st_ino;
    snapshot_fixture_restart(f);
    assert_int_equal(stat_in(f, "1_2/fs/a").st_ino, before);
    assert_rich_layer_is_mapped(f);
    remove_key(f, "c");

    assert_ok(prepare_mapped(f, "d", "layer"));
    snapshot_fixture_restart(f);
    assert_int_equal(stat_in(f, "1_3/fs/a").st_uid, 100007);
    remove_key(f, "d");
    assert_true(has_dir(f, "1/fs/a"));
}

static void a_failed_copy_leaves_nothing(void **state)
{
    struct snapshot_fixture *f = *state;
    SCOPED(mem) char *mnt = NULL;

    need_mounts();
    forbid_binding(f);
    add_rich_layer(f);
    mnt = file_in(f, "1/fs", "sub");
    if (mount("tmpfs", mnt, "tmpfs", 0, NULL) < 0) /* is not the layer's */
        skip();
    assert_int_equal(prepare_mapped(f, "c", "layer"), -EBUSY);
    assert_int_equal(umount2(mnt, MNT_DETACH), 0);
    assert_false(has_row(f, "c"));
    cleanup(f);
    assert_false(has_dir(f, "2") || has_dir(f, "1_2"));
}

#define TEST(name)                                                                                 \
    cmocka_unit_test_setup_teardown(name, snapshot_fixture_setup, snapshot_fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_ancestor_is_seen_by_a_directory_of_its_own),
        TEST(a_view_of_one_layer_is_a_bind_mount_of_that_directory),
        TEST(a_view_of_several_layers_is_an_overlay_without_an_upper_one),
        TEST(the_writable_layer_belongs_to_the_containers_root),
        TEST(one_kind_of_ids_may_stay_as_it_is),
        TEST(labels_that_make_no_sense_are_refused_and_leave_nothing),
        TEST(a_layer_that_cannot_be_mounted_again_fails_the_prepare_and_leaves_nothing),
        TEST(layers_in_the_making_are_for_all_containers),
        TEST(what_containerds_client_has_mapped_is_not_mapped_again),
        TEST(what_was_made_for_a_snapshot_goes_with_it),
        TEST(a_committed_snapshot_needs_it_no_more),
        TEST(removed_while_it_is_being_made_it_leaves_nothing),
        TEST(after_a_restart_it_is_made_again_from_the_labels),
        TEST(what_a_restart_could_not_make_mounts_makes),
        TEST(directories_without_a_snapshot_are_cleaned_up),
        TEST(a_directorys_files_are_shown_with_mapped_owners),
        TEST(where_the_kernel_cannot_map_files_are_copied),
        TEST(a_copy_counts_as_the_containers),
        TEST(a_bind_mount_does_not_count),
        TEST(a_copy_is_kept_over_a_restart_and_a_mount_made_again),
        TEST(a_failed_copy_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
