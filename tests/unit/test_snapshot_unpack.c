/* SPDX-License-Identifier: Apache-2.0 */
/* test_snapshot_unpack.c – layers that cannot be mounted, of images in which others can: they come
 * from us as files. */
#include "fake_lazy.h"

#include <pthread.h>
#include <sys/stat.h>

#define TARGET "sha256:1f00"

static int setup(void **state)
{
    int rc = snapshot_fixture_setup(state);
    struct snapshot_fixture *f = *state;

    f->fake.mount_rc = SNAPSHOT_UNPACK;
    return rc;
}

static bool has_files(struct snapshot_fixture *f, uint64_t id)
{
    return has_id_dir(f, id, "fs/unpacked");
}

static void its_files_are_committed_under_the_target(void **state)
{
    struct snapshot_fixture *f = *state;
    SCOPED(snapdb_row) struct snapdb_row row = {.id = 0};
    uint64_t bytes = 0, inodes = 0;
    struct err err = ERR_NONE;

    assert_int_equal(prepare(f, "ns/1/extract", "", TARGET), -EEXIST);
    assert_false(has_row(f, "ns/1/extract"));
    assert_ok(stat_row(f, TARGET, &row));
    assert_int_equal(row.kind, SNAPDB_COMMITTED);
    assert_string_equal(text_map_get(&row.labels, SNAPSHOT_LABEL_TARGET), TARGET);
    assert_string_equal(text_map_get(&row.labels, SNAPSHOT_LABEL_OURS), "true");
    assert_string_equal(text_map_get(&row.labels, "unpacked"), "yes");
    assert_string_equal(text_map_get(&row.labels, "seen"), "yes"); /* of the mount that was not */
    assert_string_equal(text_map_get(&row.labels, "given"), "yes");
    assert_null(text_map_get(&row.labels, SNAPSHOT_LABEL_REMOTE)); /* nothing to mount again */
    assert_true(has_files(f, row.id));
    assert_int_equal(fake_lazy_count(&f->fake), 0);
    assert_ok(snapshot_usage(f->s, TARGET, &bytes, &inodes, &err));
    assert_int_equal(inodes, 2);
    assert_true(bytes > 0);
}

static void it_survives_a_restart_without_the_lazy_half(void **state)
{
    struct snapshot_fixture *f = *state;
    uint64_t id;

    assert_int_equal(prepare(f, "k", "", TARGET), -EEXIST);
    id = id_of(f, TARGET);
    snapshot_fixture_restart(f);
    assert_int_equal(f->fake.remount_calls, 0);
    assert_true(has_files(f, id));
    assert_int_equal(prepare(f, "k2", "", TARGET), -EEXIST);
    assert_ok(prepare(f, "container", TARGET, NULL));
}

static void another_namespace_finds_it(void **state)
{
    struct snapshot_fixture *f = *state;

    assert_int_equal(prepare(f, "a/1/k", "", TARGET), -EEXIST);
    assert_int_equal(prepare(f, "b/2/k", "", TARGET), -EEXIST);
    assert_int_equal(f->fake.unpack_calls, 1);
    assert_false(has_row(f, "b/2/k"));
}

static void what_containerd_unpacked_is_not_taken_for_ours(void **state)
{
    struct snapshot_fixture *f = *state;
    SCOPED(text_map) struct text_map labels = TEXT_MAP_EMPTY;
    struct err err = ERR_NONE;

    assert_ok(prepare(f, "k", "", NULL));
    assert_ok(text_map_set(&labels, SNAPSHOT_LABEL_TARGET, TARGET));
    assert_ok(snapshot_commit(f->s, "a/1/" TARGET, "k", "", &labels, &err));
    assert_int_equal(prepare(f, "k2", "", TARGET), -EEXIST);
    assert_int_equal(f->fake.unpack_calls, 1);
}

static void it_is_told_the_layers_below(void **state)
{
    struct snapshot_fixture *f = *state;

    assert_int_equal(prepare(f, "k1", "", TARGET "1"), -EEXIST);
    assert_int_equal(f->fake.lowers, 0);
    assert_int_equal(prepare(f, "k2", TARGET "1", TARGET "2"), -EEXIST);
    assert_int_equal(f->fake.lowers, 1);
}

static void a_layer_that_cannot_be_unpacked_either_is_left_to_containerd(void **state)
{
    struct snapshot_fixture *f = *state;

    f->fake.unpack_rc = -EBADMSG;
    assert_ok(prepare(f, "k", "", TARGET));
    assert_false(has_row(f, TARGET));
    assert_false(has_files(f, id_of(f, "k")));
    assert_ok(commit(f, "ns/2/" TARGET, "k", ""));
}

static void an_image_without_an_index_is_not_unpacked_by_us(void **state)
{
    struct snapshot_fixture *f = *state;

    f->fake.mount_rc = -ENOENT;
    assert_ok(prepare(f, "k", "", TARGET));
    assert_int_equal(f->fake.unpack_calls, 0);
}

static void commit_under_it(void *arg)
{
    struct snapshot_fixture *f = arg;

    assert_ok(commit(f, "ns/3/other", "k", ""));
}

static void files_of_a_snapshot_that_was_committed_meanwhile_are_taken_back(void **state)
{
    struct snapshot_fixture *f = *state;

    f->fake.during_unpack = commit_under_it;
    f->fake.arg = f;
    assert_int_equal(prepare(f, "k", "", TARGET), -ENOENT);
    assert_false(has_row(f, TARGET));
    assert_false(has_files(f, id_of(f, "ns/3/other")));
    assert_true(has_id_dir(f, id_of(f, "ns/3/other"), "fs"));
}

static void remove_under_it(void *arg)
{
    struct snapshot_fixture *f = arg;
    struct err err = ERR_NONE;

    assert_ok(snapshot_remove(f->s, "k", &err));
}

static void a_snapshot_that_was_removed_meanwhile_leaves_nothing(void **state)
{
    struct snapshot_fixture *f = *state;
    int64_t deadline_ms = clock_mono_ms() + 10000;

    f->fake.during_unpack = remove_under_it;
    f->fake.arg = f;
    assert_int_equal(prepare(f, "k", "", TARGET), -ENOENT);
    assert_false(has_row(f, TARGET));
    while (has_dir(f, "1") && clock_mono_ms() < deadline_ms)
        clock_sleep_ms(5);
    assert_false(has_dir(f, "1"));
}

static bool is_cancelled(void *self)
{
    return clock_mono_ms() >= *(const int64_t *)self;
}

static void a_client_that_goes_away_ends_it(void **state)
{
    struct snapshot_fixture *f = *state;
    SCOPED(snapshot_mounts) struct snapshot_mounts mounts = {.items = NULL, .count = 0};
    SCOPED(text_map) struct text_map labels = TEXT_MAP_EMPTY;
    int64_t gone_ms = clock_mono_ms() + 50;
    const struct snapshot_prepare_request request = {.key = "k",
                                                     .parent = "",
                                                     .namespace_ = "ns",
                                                     .labels = &labels,
                                                     .cancel = {is_cancelled, &gone_ms}};
    struct err err = ERR_NONE;

    assert_ok(text_map_set(&labels, SNAPSHOT_LABEL_TARGET, TARGET));
    f->fake.unpack_until_cancelled = true;
    assert_ok(snapshot_prepare(f->s, &request, &mounts, &err)); /* nobody reads this answer */
    assert_false(has_row(f, TARGET));
    f->fake.unpack_until_cancelled = false;
    assert_int_equal(prepare(f, "k2", "", TARGET), -EEXIST);
}

static void *prepare_on_thread(void *arg)
{
    struct snapshot_fixture *f = arg;

    return (void *)(intptr_t)prepare(f, "first", "", TARGET);
}

static void take_a_while(void *arg)
{
    (void)arg;
    clock_sleep_ms(500);
}

static void a_second_prepare_waits_for_the_first(void **state)
{
    struct snapshot_fixture *f = *state;
    pthread_t thread;
    void *rc;

    f->fake.during_unpack = take_a_while;
    assert_ok(thread_start(&thread, "first", prepare_on_thread, f));
    while (!has_row(f, "first"))
        clock_sleep_ms(5);
    assert_int_equal(prepare(f, "second", "", TARGET), -EEXIST);
    (void)pthread_join(thread, &rc);
    assert_int_equal((intptr_t)rc, -EEXIST);
    assert_int_equal(f->fake.unpack_calls, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, snapshot_fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(its_files_are_committed_under_the_target),
        TEST(it_survives_a_restart_without_the_lazy_half),
        TEST(another_namespace_finds_it),
        TEST(what_containerd_unpacked_is_not_taken_for_ours),
        TEST(it_is_told_the_layers_below),
        TEST(a_layer_that_cannot_be_unpacked_either_is_left_to_containerd),
        TEST(an_image_without_an_index_is_not_unpacked_by_us),
        TEST(files_of_a_snapshot_that_was_committed_meanwhile_are_taken_back),
        TEST(a_snapshot_that_was_removed_meanwhile_leaves_nothing),
        TEST(a_client_that_goes_away_ends_it),
        TEST(a_second_prepare_waits_for_the_first),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
