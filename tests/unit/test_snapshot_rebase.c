/* SPDX-License-Identifier: Apache-2.0 */
/* Layers that are prepared on nothing, all at the same time, and put on their parents by Commit. */
#include "fake_lazy.h"

#define PARENT_CHAIN "containerd.io/snapshot/parent-chain-id"

/* As containerd prepares a layer that will lie on the one with chain ID `below`. */
static int prepare_on(struct snapshot_fixture *f, const char *key, const char *parent,
                      const char *below, struct snapshot_mounts *mounts)
{
    SCOPED(text_map) struct text_map labels = TEXT_MAP_EMPTY;
    struct snapshot_prepare_request request = {
        .key = key, .parent = parent, .namespace_ = "ns", .labels = &labels};
    struct err err = ERR_NONE;

    assert_ok(text_map_set(&labels, SNAPSHOT_LABEL_TARGET, "sha256:chain"));
    assert_ok(text_map_set(&labels, PARENT_CHAIN, below));
    return snapshot_prepare(f->s, &request, mounts, &err);
}

/* containerd reads the upper directory, the kernel needs all three. */
static void assert_overlay_on_nothing(const struct snapshot_mounts *mounts)
{
    const struct snapshot_mount *mount = &mounts->items[0];
    const char *lower = NULL;

    assert_int_equal(mounts->count, 1);
    assert_string_equal(mount->type, "overlay");
    assert_true(mount->options.count >= 3);
    for (size_t i = 0; i < mount->options.count; i++) {
        const char *option = mount->options.items[i], *equals = strchr(option, '=');

        if (equals != NULL)
            assert_true(path_exists(equals + 1));
        if (strncmp(option, "lowerdir=", strlen("lowerdir=")) == 0)
            lower = equals + 1;
    }
    assert_non_null(lower);
    assert_null(strstr(lower, "/snapshots/"));
}

static void a_layer_that_will_be_put_on_another_is_not_mounted_lazily(void **state)
{
    struct snapshot_fixture *f = *state;
    SCOPED(snapshot_mounts) struct snapshot_mounts mounts = {.items = NULL, .count = 0};

    assert_ok(prepare_on(f, "k", "", "sha256:below", &mounts));
    assert_int_equal(f->fake.mount_calls, 0);
    assert_overlay_on_nothing(&mounts);
}

static void the_lazy_half_is_told_why_it_was_not_asked(void **state)
{
    struct snapshot_fixture *f = *state;
    SCOPED(snapshot_mounts) struct snapshot_mounts mounts = {.items = NULL, .count = 0};

    assert_ok(prepare_on(f, "k", "", "sha256:below", &mounts));
    assert_int_equal(f->fake.notes, 1);
    assert_non_null(strstr(f->fake.note, "capability rebase"));
}

static void it_is_told_nothing_that_it_has_seen_itself(void **state)
{
    struct snapshot_fixture *f = *state;

    f->fake.mount_rc = -ENOENT;
    assert_ok(prepare(f, "k", "", "sha256:chain"));
    assert_int_equal(f->fake.mount_calls, 1);
    assert_int_equal(f->fake.notes, 0);
    assert_ok(prepare(f, "container", "", NULL)); /* nobody asked for a layer */
    assert_int_equal(f->fake.notes, 0);
}

static void its_mounts_are_the_same_whenever_they_are_asked_for(void **state)
{
    struct snapshot_fixture *f = *state;
    SCOPED(snapshot_mounts) struct snapshot_mounts first = {.items = NULL, .count = 0};
    SCOPED(snapshot_mounts) struct snapshot_mounts again = {.items = NULL, .count = 0};
    struct err err = ERR_NONE;

    assert_ok(prepare_on(f, "k", "", "sha256:below", &first));
    snapshot_fixture_restart(f);
    assert_ok(snapshot_mounts(f->s, "k", &again, &err));
    assert_overlay_on_nothing(&again);
    assert_int_equal(first.items[0].options.count, again.items[0].options.count);
    for (size_t i = 0; i < again.items[0].options.count; i++)
        assert_string_equal(first.items[0].options.items[i], again.items[0].options.items[i]);
}

static void it_ends_on_the_parent_that_commit_names(void **state)
{
    struct snapshot_fixture *f = *state;
    SCOPED(snapshot_mounts) struct snapshot_mounts mounts = {.items = NULL, .count = 0};
    SCOPED(snapdb_row) struct snapdb_row row = {.id = 0};
    struct err err = ERR_NONE;

    assert_ok(prepare(f, "low", "", NULL));
    assert_ok(prepare_on(f, "high", "", "sha256:below", &mounts));
    assert_ok(commit(f, "l", "low", ""));
    assert_ok(commit(f, "h", "high", "l"));
    assert_ok(stat_row(f, "h", &row));
    assert_string_equal(row.parent, "l");
    assert_int_equal(snapshot_remove(f->s, "l", &err), -EBUSY);
}

static void a_layer_that_is_prepared_on_its_parent_may_be_lazy(void **state)
{
    struct snapshot_fixture *f = *state;
    SCOPED(snapshot_mounts) struct snapshot_mounts mounts = {.items = NULL, .count = 0};

    assert_ok(prepare(f, "low", "", NULL));
    assert_ok(commit(f, "l", "low", ""));
    assert_int_equal(prepare_on(f, "high", "l", "sha256:below", &mounts), -EEXIST);
    assert_int_equal(f->fake.mount_calls, 1);
}

#define TEST(name)                                                                                 \
    cmocka_unit_test_setup_teardown(name, snapshot_fixture_setup, snapshot_fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_layer_that_will_be_put_on_another_is_not_mounted_lazily),
        TEST(the_lazy_half_is_told_why_it_was_not_asked),
        TEST(it_is_told_nothing_that_it_has_seen_itself),
        TEST(its_mounts_are_the_same_whenever_they_are_asked_for),
        TEST(it_ends_on_the_parent_that_commit_names),
        TEST(a_layer_that_is_prepared_on_its_parent_may_be_lazy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
