/* SPDX-License-Identifier: Apache-2.0 */
/* containerd's snapshot model without any lazy layer: what each call does, and what it refuses. */
#include "fake_lazy.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* There overlayfs wants one more option, see userxattr.c. */
static bool in_user_namespace(void)
{
    SCOPED(buf_value) struct buf map = BUF_EMPTY;
    struct err err = ERR_NONE;

    assert_ok(file_read("/proc/self/uid_map", 4096, &map, &err));
    return strstr(buf_str(&map), "4294967295") == NULL;
}

static void assert_mount(struct snapshot_fixture *f, const struct snapshot_mounts *mounts,
                         const char *type, const char *source, const char *options)
{
    SCOPED(buf_value) struct buf joined = BUF_EMPTY;
    SCOPED(mem) char *prefix = text_format("%s/snapshotter/snapshots/", f->root);
    size_t i;

    assert_int_equal(mounts->count, 1);
    assert_string_equal(mounts->items[0].type, type);
    for (i = 0; i < mounts->items[0].options.count; i++)
        assert_ok(buf_addf(&joined, "%s%s", i > 0 ? "," : "", mounts->items[0].options.items[i]));
    if (text_has_prefix(mounts->items[0].source, prefix))
        assert_string_equal(mounts->items[0].source + strlen(prefix), source);
    else
        assert_string_equal(mounts->items[0].source, source);
    { /* with @ for the directory of the snapshots */
        SCOPED(buf_value) struct buf shown = BUF_EMPTY;
        const char *pos = buf_str(&joined), *hit;
        while ((hit = strstr(pos, prefix)) != NULL) {
            assert_ok(buf_add(&shown, pos, (size_t)(hit - pos)));
            assert_ok(buf_add_byte(&shown, '@'));
            pos = hit + strlen(prefix);
        }
        assert_ok(buf_add_str(&shown, pos));
        if (in_user_namespace() && text_has_suffix(buf_str(&shown), ",userxattr"))
            shown.len -= strlen(",userxattr");
        assert_string_equal(buf_str(&shown), options);
    }
}

static void the_first_prepare_is_a_writable_bind(void **state)
{
    struct snapshot_fixture *f = *state;
    SCOPED(snapshot_mounts) struct snapshot_mounts mounts = {.items = NULL, .count = 0};
    struct err err = ERR_NONE;

    assert_ok(prepare_with(f, "a", "", NULL, &mounts, &err));
    assert_mount(f, &mounts, "bind", "1/fs", "rw,rbind");
    assert_true(has_dir(f, "1/work"));
}

static void a_view_without_parent_is_a_read_only_bind(void **state)
{
    struct snapshot_fixture *f = *state;
    SCOPED(snapshot_mounts) struct snapshot_mounts mounts = {.items = NULL, .count = 0};
    struct err err = ERR_NONE;

    assert_ok(view(f, "a", ""));
    assert_ok(snapshot_mounts(f->s, "a", &mounts, &err));
    assert_mount(f, &mounts, "bind", "1/fs", "ro,rbind");
    assert_false(has_dir(f, "1/work"));
}

static void a_view_of_one_layer_is_a_read_only_bind_of_it(void **state)
{
    struct snapshot_fixture *f = *state;
    SCOPED(snapshot_mounts) struct snapshot_mounts mounts = {.items = NULL, .count = 0};
    struct err err = ERR_NONE;

    add_layer(f, "base", "");
    assert_ok(view(f, "v", "base"));
    assert_ok(snapshot_mounts(f->s, "v", &mounts, &err));
    assert_mount(f, &mounts, "bind", "1/fs", "ro,rbind");
}

static void a_view_of_two_layers_is_an_overlay_without_upper(void **state)
{
    struct snapshot_fixture *f = *state;
    SCOPED(snapshot_mounts) struct snapshot_mounts mounts = {.items = NULL, .count = 0};
    struct err err = ERR_NONE;

    add_layer(f, "base", "");
    add_layer(f, "top", "base");
    assert_ok(view(f, "v", "top"));
    assert_ok(snapshot_mounts(f->s, "v", &mounts, &err));
    assert_mount(f, &mounts, "overlay", "overlay", "lowerdir=@2/fs:@1/fs");
}

static void an_active_on_layers_is_an_overlay_nearest_first(void **state)
{
    struct snapshot_fixture *f = *state;
    SCOPED(snapshot_mounts) struct snapshot_mounts one = {.items = NULL, .count = 0};
    SCOPED(snapshot_mounts) struct snapshot_mounts three = {.items = NULL, .count = 0};
    struct err err = ERR_NONE;

    add_layer(f, "l1", "");
    assert_ok(prepare_with(f, "a", "l1", NULL, &one, &err));
    assert_mount(f, &one, "overlay", "overlay", "workdir=@2/work,upperdir=@2/fs,lowerdir=@1/fs");
    add_layer(f, "l3", "l1");
    add_layer(f, "l4", "l3");
    assert_ok(prepare_with(f, "b", "l4", NULL, &three, &err));
    assert_mount(f, &three, "overlay", "overlay",
                 "workdir=@5/work,upperdir=@5/fs,lowerdir=@4/fs:@3/fs:@1/fs");
}

static void mounts_are_the_same_when_asked_again(void **state)
{
    struct snapshot_fixture *f = *state;
    SCOPED(snapshot_mounts) struct snapshot_mounts mounts = {.items = NULL, .count = 0};
    struct err err = ERR_NONE;

    add_layer(f, "l1", "");
    assert_ok(prepare(f, "a", "l1", NULL));
    assert_ok(snapshot_mounts(f->s, "a", &mounts, &err));
    assert_mount(f, &mounts, "overlay", "overlay", "workdir=@2/work,upperdir=@2/fs,lowerdir=@1/fs");
}

static void mounts_of_a_committed_or_unknown_snapshot_are_refused(void **state)
{
    struct snapshot_fixture *f = *state;
    SCOPED(snapshot_mounts) struct snapshot_mounts mounts = {.items = NULL, .count = 0};
    struct err err = ERR_NONE;

    add_layer(f, "l1", "");
    assert_int_equal(snapshot_mounts(f->s, "l1", &mounts, &err), -EBUSY);
    assert_int_equal(snapshot_mounts(f->s, "nobody", &mounts, &err), -ENOENT);
    assert_int_equal(mounts.count, 0);
}

static mode_t mode_of(struct snapshot_fixture *f, const char *name)
{
    SCOPED(mem) char *path = text_format("%s/snapshotter/snapshots/%s", f->root, name);
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 07777;
}

static void directories_have_their_modes_under_any_umask(void **state)
{
    struct snapshot_fixture *f = *state;
    mode_t old = umask(0077);

    assert_ok(prepare(f, "a", "", NULL));
    (void)umask(old);
    assert_int_equal(mode_of(f, "1/fs"), 0755);
    assert_int_equal(mode_of(f, "1/work"), 0711);
    assert_int_equal(mode_of(f, "1"), 0700);
}

static void fs_takes_the_owner_of_the_nearest_parent_but_not_its_mode(void **state)
{
    struct snapshot_fixture *f = *state;
    SCOPED(mem) char *parent = text_format("%s/snapshotter/snapshots/1/fs", f->root);
    SCOPED(mem) char *child = text_format("%s/snapshotter/snapshots/2/fs", f->root);
    struct stat st;

    if (geteuid() != 0)
        skip();
    add_layer(f, "l1", "");
    if (chown(parent, 1234, 4321) < 0) /* no such ids in this user namespace */
        skip();
    assert_int_equal(chmod(parent, 0700), 0);
    assert_ok(prepare(f, "a", "l1", NULL));
    assert_int_equal(stat(child, &st), 0);
    assert_int_equal(st.st_uid, 1234);
    assert_int_equal(st.st_gid, 4321);
    assert_int_equal(st.st_mode & 07777, 0755);
}

static void a_key_that_exists_or_is_empty_is_refused(void **state)
{
    struct snapshot_fixture *f = *state;

    add_layer(f, "l1", "");
    assert_ok(prepare(f, "a", "", NULL));
    assert_int_equal(prepare(f, "a", "", NULL), -EEXIST);
    assert_int_equal(view(f, "a", ""), -EEXIST);
    assert_int_equal(prepare(f, "l1", "", NULL), -EEXIST);
    assert_int_equal(prepare(f, "", "", NULL), -EINVAL);
    assert_false(has_dir(f, "3"));
}

static void a_parent_must_exist_and_be_committed(void **state)
{
    struct snapshot_fixture *f = *state;

    assert_ok(prepare(f, "active", "", NULL));
    assert_ok(view(f, "view", ""));
    assert_int_equal(prepare(f, "a", "nobody", NULL), -ENOENT);
    assert_int_equal(prepare(f, "a", "active", NULL), -EINVAL);
    assert_int_equal(view(f, "a", "view"), -EINVAL);
    assert_false(has_row(f, "a"));
    assert_false(has_dir(f, "3"));
}

static void commit_replaces_labels_and_drops_empty_ones(void **state)
{
    struct snapshot_fixture *f = *state;
    SCOPED(snapdb_row) struct snapdb_row before = {.id = 0}, after = {.id = 0};

    assert_ok(prepare(f, "a", "", NULL));
    assert_ok(stat_row(f, "a", &before));
    assert_string_equal(text_map_get(&before.labels, "given"), "yes");
    assert_null(text_map_get(&before.labels, "empty"));
    assert_int_equal(before.kind, SNAPDB_ACTIVE);
    assert_ok(commit(f, "l1", "a", ""));
    assert_false(has_row(f, "a"));
    assert_ok(stat_row(f, "l1", &after));
    assert_int_equal(after.id, before.id);
    assert_int_equal(after.kind, SNAPDB_COMMITTED);
    assert_int_equal(after.labels.count, 1);
    assert_string_equal(text_map_get(&after.labels, "committed"), "yes");
    assert_true(after.created_ns > before.created_ns);
    assert_int_equal(after.created_ns, after.updated_ns);
}

static void only_an_active_snapshot_can_be_committed(void **state)
{
    struct snapshot_fixture *f = *state;

    add_layer(f, "l1", "");
    assert_ok(view(f, "v", "l1"));
    assert_int_equal(commit(f, "x", "v", ""), -EBUSY);
    assert_int_equal(commit(f, "x", "l1", ""), -EBUSY);
    assert_int_equal(commit(f, "x", "nobody", ""), -ENOENT);
    assert_false(has_row(f, "x"));
}

static void a_commit_to_a_taken_or_empty_name_is_refused(void **state)
{
    struct snapshot_fixture *f = *state;

    add_layer(f, "l1", "");
    assert_ok(prepare(f, "a", "", NULL));
    assert_int_equal(commit(f, "l1", "a", ""), -EEXIST);
    assert_int_equal(commit(f, "a", "a", ""), -EEXIST);
    assert_int_equal(commit(f, "", "a", ""), -EINVAL);
    assert_true(has_row(f, "a"));
}

static void a_commit_may_set_a_parent_where_there_was_none(void **state)
{
    struct snapshot_fixture *f = *state;
    SCOPED(snapdb_row) struct snapdb_row row = {.id = 0};

    add_layer(f, "l1", "");
    assert_ok(prepare(f, "a", "", NULL));
    assert_ok(commit(f, "l2", "a", "l1"));
    assert_ok(stat_row(f, "l2", &row));
    assert_string_equal(row.parent, "l1");
}

static void a_commit_may_repeat_the_parent_but_not_change_it(void **state)
{
    struct snapshot_fixture *f = *state;

    add_layer(f, "l1", "");
    add_layer(f, "l2", "");
    assert_ok(prepare(f, "a", "l1", NULL));
    assert_ok(prepare(f, "b", "l1", NULL));
    assert_ok(commit(f, "x", "a", "l1"));
    assert_int_equal(commit(f, "y", "b", "l2"), -EINVAL);
}

static void a_commit_onto_what_is_not_committed_is_refused(void **state)
{
    struct snapshot_fixture *f = *state;

    assert_ok(prepare(f, "a", "", NULL));
    assert_ok(prepare(f, "b", "", NULL));
    assert_int_equal(commit(f, "x", "a", "b"), -EBUSY);
    assert_int_equal(commit(f, "x", "a", "nobody"), -ENOENT);
    assert_int_equal(commit(f, "x", "a", "a"), -EBUSY);
}

static void a_snapshot_with_children_cannot_be_removed(void **state)
{
    struct snapshot_fixture *f = *state;
    struct err err = ERR_NONE;

    add_layer(f, "l1", "");
    assert_ok(view(f, "v", "l1"));
    assert_int_equal(snapshot_remove(f->s, "l1", &err), -EBUSY);
    assert_non_null(strstr(err_text(&err), "cannot remove snapshot with child"));
    assert_ok(snapshot_remove(f->s, "v", &err));
    assert_ok(snapshot_remove(f->s, "l1", &err));
    assert_int_equal(snapshot_remove(f->s, "l1", &err), -ENOENT);
}

static void files_go_soon_after_remove(void **state)
{
    struct snapshot_fixture *f = *state;
    struct err err = ERR_NONE;
    int64_t deadline_ms = clock_mono_ms() + 10000;

    add_layer(f, "l1", "");
    assert_ok(snapshot_remove(f->s, "l1", &err));
    while (has_dir(f, "1") && clock_mono_ms() < deadline_ms)
        clock_sleep_ms(5);
    assert_false(has_dir(f, "1"));
}

static void cleanup_removes_what_no_row_names_and_nothing_else(void **state)
{
    struct snapshot_fixture *f = *state;
    static const char *const stray[] = {"new-abc/fs", "99/fs", "1_99/fs"};
    struct err err = ERR_NONE;
    size_t i;

    add_layer(f, "l1", "");
    assert_ok(prepare(f, "a", "l1", NULL));
    for (i = 0; i < ARRAY_LEN(stray); i++) {
        SCOPED(mem) char *path = text_format("%s/snapshotter/snapshots/%s", f->root, stray[i]);
        assert_ok(dir_make_all(path, 0700, &err));
    }
    assert_ok(snapshot_cleanup(f->s, &err));
    assert_false(has_dir(f, "new-abc"));
    assert_false(has_dir(f, "99"));
    assert_false(has_dir(f, "1_99"));
    assert_true(has_dir(f, "1/fs"));
    assert_true(has_dir(f, "2/fs"));
    assert_true(has_dir(f, "2/work"));
}

/* ---- update ---------------------------------------------------------------------------------- */

/* `paths` with commas between; "" none. `labels` as k=v, commas between. */
static int update(struct snapshot_fixture *f, const char *key, const char *labels,
                  const char *paths, struct snapdb_row *ret)
{
    SCOPED(text_map) struct text_map map = TEXT_MAP_EMPTY;
    SCOPED(text_list) struct text_list list = TEXT_LIST_EMPTY, pairs = TEXT_LIST_EMPTY;
    struct err err = ERR_NONE;
    size_t i;

    if (labels[0] != '\0')
        assert_ok(text_list_split(&pairs, labels, ','));
    for (i = 0; i < pairs.count; i++) {
        char *value = strchr(pairs.items[i], '=');
        *value = '\0';
        assert_ok(text_map_set(&map, pairs.items[i], value + 1));
    }
    if (paths[0] != '\0')
        assert_ok(text_list_split(&list, paths, ','));
    return snapshot_update(f->s, key, &map, &list, ret, &err);
}

static void assert_labels(const struct snapdb_row *row, const char *expected)
{
    SCOPED(buf_value) struct buf joined = BUF_EMPTY;
    size_t i;

    for (i = 0; i < row->labels.count; i++)
        assert_ok(buf_addf(&joined, "%s%s=%s", i > 0 ? "," : "", row->labels.items[i].key,
                           row->labels.items[i].value));
    assert_string_equal(joined.len > 0 ? buf_str(&joined) : "", expected);
}

static void update_without_mask_replaces_all_labels(void **state)
{
    struct snapshot_fixture *f = *state;
    SCOPED(snapdb_row) struct snapdb_row row = {.id = 0}, stored = {.id = 0};

    add_layer(f, "l1", "");
    assert_ok(update(f, "l1", "a=1,b=,c=3", "", &row));
    assert_labels(&row, "a=1,c=3");
    assert_true(row.updated_ns > row.created_ns);
    assert_ok(stat_row(f, "l1", &stored));
    assert_labels(&stored, "a=1,c=3");
    assert_int_equal(stored.updated_ns, row.updated_ns);
}

static void update_with_masks_touches_what_they_name(void **state)
{
    struct snapshot_fixture *f = *state;
    SCOPED(snapdb_row)
    struct snapdb_row one = {.id = 0}, two = {.id = 0}, three = {.id = 0}, four = {.id = 0};

    add_layer(f, "l1", "");
    assert_ok(update(f, "l1", "a=1,b=2", "labels", &one));
    assert_labels(&one, "a=1,b=2");
    assert_ok(update(f, "l1", "a=9,c=3", "labels.c", &two));
    assert_labels(&two, "a=1,b=2,c=3");
    assert_ok(update(f, "l1", "a=", "labels.a,labels.b", &three));
    assert_labels(&three, "c=3");
    assert_ok(update(f, "l1", "x.y/z=4", "labels.x.y/z", &four));
    assert_labels(&four, "c=3,x.y/z=4");
}

static void update_of_other_fields_or_of_nobody_is_refused(void **state)
{
    struct snapshot_fixture *f = *state;
    SCOPED(snapdb_row) struct snapdb_row row = {.id = 0}, stored = {.id = 0};

    add_layer(f, "l1", "");
    assert_int_equal(update(f, "l1", "a=1", "labels.a,parent", &row), -EINVAL);
    assert_int_equal(update(f, "l1", "a=1", "label", &row), -EINVAL);
    assert_int_equal(update(f, "nobody", "a=1", "", &row), -ENOENT);
    assert_ok(stat_row(f, "l1", &stored));
    assert_labels(&stored, "committed=yes");
}

static void a_client_cannot_make_a_row_remote(void **state)
{
    struct snapshot_fixture *f = *state;
    SCOPED(snapdb_row) struct snapdb_row row = {.id = 0}, other = {.id = 0};

    add_layer(f, "l1", "");
    assert_ok(update(f, "l1", SNAPSHOT_LABEL_REMOTE "=remote snapshot,a=1", "", &row));
    assert_labels(&row, "a=1");
    assert_ok(update(f, "l1", SNAPSHOT_LABEL_REMOTE "=x", "labels." SNAPSHOT_LABEL_REMOTE, &other));
    assert_labels(&other, "a=1");
}

/* ---- usage, list ----------------------------------------------------------------------------- */

static void write_file(struct snapshot_fixture *f, const char *name, size_t bytes)
{
    SCOPED(mem) char *path = text_format("%s/snapshotter/snapshots/%s", f->root, name);
    SCOPED(mem) char *content = calloc(1, bytes);
    SCOPED(fd) int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0600);
    struct err err = ERR_NONE;

    assert_true(fd >= 0);
    memset(content, 'x', bytes);
    assert_ok(file_write_all(fd, content, bytes, &err));
    assert_int_equal(fsync(fd), 0); /* or st_blocks is not final */
}

static void usage_counts_blocks_and_each_inode_once(void **state)
{
    struct snapshot_fixture *f = *state;
    SCOPED(mem) char *from = text_format("%s/snapshotter/snapshots/1/fs/a", f->root);
    SCOPED(mem) char *to = text_format("%s/snapshotter/snapshots/1/fs/b", f->root);
    uint64_t bytes = 0, inodes = 0, bytes_before = 0;
    struct err err = ERR_NONE;

    assert_ok(prepare(f, "k", "", NULL));
    assert_ok(snapshot_usage(f->s, "k", &bytes_before, &inodes, &err));
    assert_int_equal(inodes, 1);
    write_file(f, "1/fs/a", 64 * 1024);
    assert_int_equal(link(from, to), 0);
    assert_ok(snapshot_usage(f->s, "k", &bytes, &inodes, &err));
    assert_int_equal(inodes, 2);
    assert_int_equal(bytes - bytes_before, 64 * 1024);
}

static void usage_of_a_committed_snapshot_stays_what_it_was(void **state)
{
    struct snapshot_fixture *f = *state;
    SCOPED(snapdb_row) struct snapdb_row row = {.id = 0};
    uint64_t bytes = 0, inodes = 0, again = 0;
    struct err err = ERR_NONE;

    assert_ok(prepare(f, "k", "", NULL));
    write_file(f, "1/fs/a", 8192);
    assert_ok(commit(f, "l1", "k", ""));
    assert_ok(snapshot_usage(f->s, "l1", &bytes, &inodes, &err));
    assert_int_equal(inodes, 2);
    assert_ok(stat_row(f, "l1", &row));
    assert_int_equal(row.usage_bytes, bytes);
    write_file(f, "1/fs/b", 8192); /* nobody should; it shows where the figures come from */
    assert_ok(snapshot_usage(f->s, "l1", &again, &inodes, &err));
    assert_int_equal(again, bytes);
    assert_int_equal(snapshot_usage(f->s, "nobody", &bytes, &inodes, &err), -ENOENT);
}

static void usage_of_a_view_is_nothing(void **state)
{
    struct snapshot_fixture *f = *state;
    uint64_t bytes = 9, inodes = 9;
    struct err err = ERR_NONE;

    add_layer(f, "l1", "");
    assert_ok(view(f, "v", "l1"));
    assert_ok(snapshot_usage(f->s, "v", &bytes, &inodes, &err));
    assert_int_equal(bytes, 0);
    assert_int_equal(inodes, 0);
}

static int add_name(void *arg, const struct snapdb_row *row)
{
    struct buf *names = arg;

    return buf_addf(names, "%s ", row->name);
}

static void assert_list(struct snapshot_fixture *f, const char *filter, const char *expected)
{
    SCOPED(text_list) struct text_list filters = TEXT_LIST_EMPTY;
    SCOPED(buf_value) struct buf names = BUF_EMPTY;
    struct err err = ERR_NONE;

    if (filter != NULL)
        assert_ok(text_list_add(&filters, filter));
    assert_ok(snapshot_list(f->s, &filters, add_name, &names, &err));
    assert_string_equal(names.len > 0 ? buf_str(&names) : "", expected);
}

static void list_gives_what_the_filter_wants(void **state)
{
    struct snapshot_fixture *f = *state;

    assert_list(f, NULL, "");
    add_layer(f, "l1", "");
    add_layer(f, "l2", "l1");
    assert_ok(prepare(f, "a", "l2", NULL));
    assert_list(f, NULL, "l1 l2 a ");
    assert_list(f, "", "l1 l2 a ");
    assert_list(f, "kind==active", "a ");
    assert_list(f, "parent==l1", "l2 ");
    assert_list(f, "labels.committed==yes", "l1 l2 ");
    assert_list(f, "labels.committed==yes,parent==l1", "l2 ");
    assert_list(f, "labels.committed==no", "");
}

static void a_filter_that_does_not_parse_is_refused(void **state)
{
    struct snapshot_fixture *f = *state;
    SCOPED(text_list) struct text_list filters = TEXT_LIST_EMPTY;
    SCOPED(buf_value) struct buf names = BUF_EMPTY;
    struct err err = ERR_NONE;

    assert_ok(text_list_add(&filters, "name="));
    assert_int_equal(snapshot_list(f->s, &filters, add_name, &names, &err), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name)                                                                                    \
    cmocka_unit_test_setup_teardown(name, snapshot_fixture_setup, snapshot_fixture_teardown)
        T(the_first_prepare_is_a_writable_bind),
        T(a_view_without_parent_is_a_read_only_bind),
        T(a_view_of_one_layer_is_a_read_only_bind_of_it),
        T(a_view_of_two_layers_is_an_overlay_without_upper),
        T(an_active_on_layers_is_an_overlay_nearest_first),
        T(mounts_are_the_same_when_asked_again),
        T(mounts_of_a_committed_or_unknown_snapshot_are_refused),
        T(directories_have_their_modes_under_any_umask),
        T(fs_takes_the_owner_of_the_nearest_parent_but_not_its_mode),
        T(a_key_that_exists_or_is_empty_is_refused),
        T(a_parent_must_exist_and_be_committed),
        T(commit_replaces_labels_and_drops_empty_ones),
        T(only_an_active_snapshot_can_be_committed),
        T(a_commit_to_a_taken_or_empty_name_is_refused),
        T(a_commit_may_set_a_parent_where_there_was_none),
        T(a_commit_may_repeat_the_parent_but_not_change_it),
        T(a_commit_onto_what_is_not_committed_is_refused),
        T(a_snapshot_with_children_cannot_be_removed),
        T(files_go_soon_after_remove),
        T(cleanup_removes_what_no_row_names_and_nothing_else),
        T(update_without_mask_replaces_all_labels),
        T(update_with_masks_touches_what_they_name),
        T(update_of_other_fields_or_of_nobody_is_refused),
        T(a_client_cannot_make_a_row_remote),
        T(usage_counts_blocks_and_each_inode_once),
        T(usage_of_a_committed_snapshot_stays_what_it_was),
        T(usage_of_a_view_is_nothing),
        T(list_gives_what_the_filter_wants),
        T(a_filter_that_does_not_parse_is_refused),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
