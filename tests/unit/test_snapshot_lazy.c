/* SPDX-License-Identifier: Apache-2.0 */
/* Prepare with a target label: the layer is there at once, or containerd gets mounts and does it
 * itself. */
#include "fake_lazy.h"

#include <pthread.h>

#define TARGET "sha256:1f00"
#define TARGET_FILTER(parent)                                                                      \
    "labels.\"" SNAPSHOT_LABEL_TARGET "\"==" TARGET ",parent==\"" parent "\""

struct found {
    size_t count;
    char name[128];
};

static int note_name(void *arg, const struct snapdb_row *row)
{
    struct found *found = arg;

    found->count++;
    if (found->count == 1)
        (void)snprintf(found->name, sizeof(found->name), "%s", row->name);
    return 0;
}

/* As containerd does after "already exists". */
static struct found find(struct snapshot_fixture *f, const char *filter)
{
    SCOPED(text_list) struct text_list filters = TEXT_LIST_EMPTY;
    struct found found = {.count = 0};
    struct err err = ERR_NONE;

    assert_ok(text_list_add(&filters, filter));
    assert_ok(snapshot_list(f->s, &filters, note_name, &found, &err));
    return found;
}

static void a_layer_that_mounts_is_committed_under_its_target(void **state)
{
    struct snapshot_fixture *f = *state;
    SCOPED(snapdb_row) struct snapdb_row row = {.id = 0};
    struct found found;

    assert_int_equal(prepare(f, "ns/1/extract", "", TARGET), -EEXIST);
    assert_false(has_row(f, "ns/1/extract"));
    assert_ok(stat_row(f, TARGET, &row));
    assert_int_equal(row.kind, SNAPDB_COMMITTED);
    assert_string_equal(text_map_get(&row.labels, SNAPSHOT_LABEL_TARGET), TARGET);
    assert_string_equal(text_map_get(&row.labels, SNAPSHOT_LABEL_REMOTE), "remote snapshot");
    assert_string_equal(text_map_get(&row.labels, SNAPSHOT_LABEL_REMOTE "/fake"), "remember me");
    assert_string_equal(text_map_get(&row.labels, "given"), "yes");
    assert_null(text_map_get(&row.labels, "empty"));
    assert_int_equal(fake_lazy_count(&f->fake), 1);
    assert_string_equal(f->fake.namespace_, "ns");
    found = find(f, TARGET_FILTER(""));
    assert_int_equal(found.count, 1);
    assert_string_equal(found.name, TARGET);
}

static void the_answer_names_the_target(void **state)
{
    struct snapshot_fixture *f = *state;
    SCOPED(snapshot_mounts) struct snapshot_mounts mounts = {.items = NULL, .count = 0};
    struct err err = ERR_NONE;

    assert_int_equal(prepare_with(f, "k", "", TARGET, &mounts, &err), -EEXIST);
    assert_string_equal(err_text(&err), "target snapshot \"" TARGET "\": already exists");
    assert_int_equal(mounts.count, 0);
}

static void a_layer_that_does_not_mount_is_left_to_containerd(void **state)
{
    struct snapshot_fixture *f = *state;

    f->fake.mount_rc = -ENOENT;
    assert_ok(prepare(f, "k", "", TARGET));
    assert_true(has_row(f, "k"));
    assert_false(has_row(f, TARGET));
    assert_ok(commit(f, "ns/2/" TARGET, "k", ""));
}

static void a_prepare_without_target_never_asks_the_lazy_half(void **state)
{
    struct snapshot_fixture *f = *state;

    assert_ok(prepare(f, "k", "", NULL));
    assert_ok(prepare(f, "k2", "", ""));
    assert_int_equal(f->fake.mount_calls, 0);
}

static void a_containers_snapshot_says_over_which_layers_it_is_nearest_first(void **state)
{
    struct snapshot_fixture *f = *state;
    SCOPED(snapshot_mounts) struct snapshot_mounts mounts = {.items = NULL, .count = 0};
    SCOPED(snapdb_row) struct snapdb_row row = {.id = 0};
    struct err err = ERR_NONE;

    assert_int_equal(prepare(f, "l1", "", TARGET), -EEXIST);
    assert_int_equal(prepare(f, "l2", TARGET, "sha256:2f00"), -EEXIST);
    assert_int_equal(f->fake.use_calls, 0);
    assert_ok(prepare(f, "container", "sha256:2f00", NULL));
    assert_ok(stat_row(f, "sha256:2f00", &row));
    assert_int_equal(f->fake.use_calls, 1);
    assert_int_equal(f->fake.used, 2);
    assert_int_equal(f->fake.nearest, row.id);
    assert_ok(snapshot_mounts(f->s, "container", &mounts, &err));
    assert_int_equal(f->fake.use_calls, 2);
}

static void what_is_over_no_layer_or_becomes_one_says_nothing(void **state)
{
    struct snapshot_fixture *f = *state;

    assert_ok(prepare(f, "container", "", NULL));
    assert_int_equal(prepare(f, "l1", "", TARGET), -EEXIST);
    f->fake.mount_rc = -ENOENT;
    assert_ok(prepare(f, "l2", TARGET, "sha256:2f00"));
    assert_int_equal(f->fake.use_calls, 0);
}

static void without_a_lazy_half_every_layer_is_left_to_containerd(void **state)
{
    struct snapshot_fixture *f = *state;
    struct snapshotter_options options = {.store = f->store};
    struct err err = ERR_NONE;

    snapshotter_free(f->s);
    assert_ok(snapshotter_new(&options, &f->s, &err));
    assert_ok(prepare(f, "k", "", TARGET));
}

static void a_key_that_exists_is_refused_before_anything_is_mounted(void **state)
{
    struct snapshot_fixture *f = *state;

    assert_ok(prepare(f, "k", "", NULL));
    assert_int_equal(prepare(f, "k", "", TARGET), -EEXIST);
    assert_int_equal(prepare(f, "other", "nobody", TARGET), -ENOENT);
    assert_int_equal(f->fake.mount_calls, 0);
    assert_int_equal(find(f, TARGET_FILTER("")).count, 0);
}

static void a_second_namespace_gets_the_layer_without_a_second_mount(void **state)
{
    struct snapshot_fixture *f = *state;

    assert_int_equal(prepare(f, "one/1/k", "", TARGET), -EEXIST);
    assert_int_equal(prepare(f, "two/1/k", "", TARGET), -EEXIST);
    assert_int_equal(f->fake.mount_calls, 1);
    assert_false(has_row(f, "two/1/k"));
    assert_int_equal(find(f, TARGET_FILTER("")).count, 1);
}

static void the_same_layer_on_another_parent_is_mounted_under_another_name(void **state)
{
    struct snapshot_fixture *f = *state;
    struct found found;

    add_layer(f, "one/1/base", "");
    add_layer(f, "two/1/base", "");
    assert_int_equal(prepare(f, "one/2/k", "one/1/base", TARGET), -EEXIST);
    assert_int_equal(prepare(f, "two/2/k", "two/1/base", TARGET), -EEXIST);
    assert_int_equal(f->fake.mount_calls, 2);
    found = find(f, TARGET_FILTER("one/1/base"));
    assert_int_equal(found.count, 1);
    assert_string_equal(found.name, TARGET);
    found = find(f, TARGET_FILTER("two/1/base"));
    assert_int_equal(found.count, 1);
    assert_string_not_equal(found.name, TARGET);
}

static void a_layer_that_cannot_serve_any_more_is_not_handed_to_others(void **state)
{
    struct snapshot_fixture *f = *state;

    assert_int_equal(prepare(f, "one/1/k", "", TARGET), -EEXIST);
    fake_lazy_find(&f->fake, id_of(f, TARGET))->healthy = false;
    f->fake.mount_rc = -EIO;
    assert_ok(prepare(f, "two/1/k", "", TARGET));
    f->fake.mount_rc = 0;
    assert_int_equal(prepare(f, "three/1/k", "", TARGET), -EEXIST);
    assert_int_equal(fake_lazy_count(&f->fake), 2);
}

static void what_was_unpacked_under_the_target_is_not_taken_for_a_lazy_layer(void **state)
{
    struct snapshot_fixture *f = *state;
    SCOPED(text_map) struct text_map labels = TEXT_MAP_EMPTY;
    struct err err = ERR_NONE;

    f->fake.mount_rc = -ENOENT;
    assert_ok(prepare(f, "one/1/k", "", TARGET));
    assert_ok(text_map_set(&labels, SNAPSHOT_LABEL_TARGET, TARGET));
    assert_ok(snapshot_commit(f->s, "one/2/" TARGET, "one/1/k", "", &labels, &err));
    assert_ok(prepare(f, "two/1/k", "", TARGET));
    assert_int_equal(f->fake.mount_calls, 2);
}

static void mounts_on_top_of_a_layer_that_cannot_serve_are_refused(void **state)
{
    struct snapshot_fixture *f = *state;
    SCOPED(snapshot_mounts) struct snapshot_mounts mounts = {.items = NULL, .count = 0};
    struct err err = ERR_NONE;

    assert_int_equal(prepare(f, "k", "", TARGET), -EEXIST);
    add_layer(f, "top", TARGET);
    assert_ok(prepare(f, "c1", "top", NULL));
    fake_lazy_find(&f->fake, id_of(f, TARGET))->healthy = false;
    assert_int_equal(prepare(f, "c2", "top", NULL), -EAGAIN);
    assert_int_equal(view(f, "c3", TARGET), -EAGAIN);
    assert_int_equal(snapshot_mounts(f->s, "c1", &mounts, &err), -EAGAIN);
    assert_non_null(strstr(err_text(&err), "layer \"1\" unavailable"));
    assert_false(has_row(f, "c2"));
    fake_lazy_find(&f->fake, id_of(f, TARGET))->healthy = true;
    assert_ok(prepare(f, "c2", "top", NULL));
}

static void files_of_a_lazy_layer_have_the_device_number_of_the_rest(void **state)
{
    struct snapshot_fixture *f = *state;
    SCOPED(snapshot_mounts) struct snapshot_mounts mounts = {.items = NULL, .count = 0};
    struct err err = ERR_NONE;

    assert_int_equal(prepare(f, "k", "", TARGET), -EEXIST);
    assert_ok(prepare_with(f, "container", TARGET, NULL, &mounts, &err));
    assert_int_equal(mounts.count, 1);
    assert_true(text_list_has(&mounts.items[0].options, "xino=on"));
}

static void usage_of_a_lazy_layer_is_nothing(void **state)
{
    struct snapshot_fixture *f = *state;
    uint64_t bytes = 9, inodes = 9;
    struct err err = ERR_NONE;

    assert_int_equal(prepare(f, "k", "", TARGET), -EEXIST);
    assert_ok(snapshot_usage(f->s, TARGET, &bytes, &inodes, &err));
    assert_int_equal(bytes, 0);
    assert_int_equal(inodes, 0);
}

static void an_update_of_all_labels_keeps_what_a_lazy_layer_needs(void **state)
{
    struct snapshot_fixture *f = *state;
    SCOPED(text_map) struct text_map labels = TEXT_MAP_EMPTY;
    SCOPED(text_list) struct text_list all = TEXT_LIST_EMPTY;
    SCOPED(snapdb_row) struct snapdb_row row = {.id = 0};
    struct err err = ERR_NONE;

    assert_int_equal(prepare(f, "k", "", TARGET), -EEXIST);
    assert_ok(text_map_set(&labels, "new", "1"));
    assert_ok(snapshot_update(f->s, TARGET, &labels, &all, &row, &err));
    assert_string_equal(text_map_get(&row.labels, "new"), "1");
    assert_null(text_map_get(&row.labels, "given"));
    assert_non_null(text_map_get(&row.labels, SNAPSHOT_LABEL_REMOTE));
    assert_non_null(text_map_get(&row.labels, SNAPSHOT_LABEL_REMOTE "/fake"));
    assert_non_null(text_map_get(&row.labels, SNAPSHOT_LABEL_TARGET));
}

static void wait_until_unmounted(struct snapshot_fixture *f)
{
    int64_t deadline_ms = clock_mono_ms() + 10000;

    while (fake_lazy_count(&f->fake) > 0 && clock_mono_ms() < deadline_ms)
        clock_sleep_ms(5);
    assert_int_equal(fake_lazy_count(&f->fake), 0);
}

static void a_removed_layer_is_unmounted_soon(void **state)
{
    struct snapshot_fixture *f = *state;
    struct err err = ERR_NONE;

    assert_int_equal(prepare(f, "k", "", TARGET), -EEXIST);
    assert_ok(snapshot_remove(f->s, TARGET, &err));
    wait_until_unmounted(f);
    assert_int_equal(prepare(f, "k", "", TARGET), -EEXIST);
    assert_int_equal(f->fake.mount_calls, 2);
}

static bool is_gone(void *self)
{
    return *(bool *)self;
}

/* The layer is there all the same: containerd's garbage collection decides. */
static void a_client_that_went_away_during_a_mount_abandons_its_image(void **state)
{
    struct snapshot_fixture *f = *state;
    SCOPED(text_map) struct text_map labels = TEXT_MAP_EMPTY;
    SCOPED(snapshot_mounts) struct snapshot_mounts mounts = {.items = NULL, .count = 0};
    bool gone = false;
    struct snapshot_prepare_request request = {.key = "k",
                                               .parent = "",
                                               .namespace_ = "ns",
                                               .labels = &labels,
                                               .cancel = {is_gone, &gone}};
    struct err err = ERR_NONE;

    assert_ok(text_map_set(&labels, SNAPSHOT_LABEL_TARGET, "first"));
    assert_int_equal(snapshot_prepare(f->s, &request, &mounts, &err), -EEXIST);
    assert_int_equal(f->fake.abandon_calls, 0);
    gone = true;
    request.key = "k2";
    assert_ok(text_map_set(&labels, SNAPSHOT_LABEL_TARGET, "second"));
    assert_int_equal(snapshot_prepare(f->s, &request, &mounts, &err), -EEXIST);
    assert_int_equal(f->fake.abandon_calls, 1);
    assert_int_equal(fake_lazy_count(&f->fake), 2);
}

/* Two layers are below an active snapshot, one is below a view, one is below nothing. */
static void the_end_releases_layers_that_nothing_stands_on(void **state)
{
    struct snapshot_fixture *f = *state;
    struct err err = ERR_NONE;

    assert_int_equal(prepare(f, "k1", "", "low"), -EEXIST);
    assert_int_equal(prepare(f, "k2", "low", "high"), -EEXIST);
    assert_int_equal(prepare(f, "k3", "", "seen"), -EEXIST);
    assert_int_equal(prepare(f, "k4", "low", "unused"), -EEXIST);
    assert_ok(prepare(f, "container", "high", NULL));
    assert_ok(view(f, "view", "seen"));
    assert_ok(snapshot_release_unused(f->s, &err));
    assert_int_equal(fake_lazy_count(&f->fake), 3);
    assert_null(fake_lazy_find(&f->fake, id_of(f, "unused")));
    snapshot_fixture_restart(f);
    assert_int_equal(fake_lazy_count(&f->fake), 4);
}

static void cleanup_leaves_a_layer_that_is_in_use(void **state)
{
    struct snapshot_fixture *f = *state;
    struct err err = ERR_NONE;

    assert_int_equal(prepare(f, "k", "", TARGET), -EEXIST);
    assert_ok(snapshot_cleanup(f->s, &err));
    assert_int_equal(fake_lazy_count(&f->fake), 1);
}

/* ---- several at once ------------------------------------------------------------------------- */

struct caller {
    struct snapshot_fixture *f;
    char key[32];
    const char *parent;
    pthread_t thread;
    int rc;
};

static void *call_prepare(void *arg)
{
    struct caller *caller = arg;

    caller->rc = prepare(caller->f, caller->key, caller->parent, TARGET);
    return NULL;
}

enum { CALLERS = 8 };

static void prepare_at_once(struct snapshot_fixture *f, struct caller callers[CALLERS])
{
    size_t i;

    for (i = 0; i < CALLERS; i++) {
        callers[i] = (struct caller){.f = f, .parent = ""};
        (void)snprintf(callers[i].key, sizeof(callers[i].key), "ns%zu/1/k", i);
        assert_int_equal(pthread_create(&callers[i].thread, NULL, call_prepare, &callers[i]), 0);
    }
    for (i = 0; i < CALLERS; i++)
        (void)pthread_join(callers[i].thread, NULL);
}

static void prepares_of_one_target_at_once_mount_it_once(void **state)
{
    struct snapshot_fixture *f = *state;
    struct caller callers[CALLERS];
    size_t i;

    f->fake.mount_takes_ms = 50;
    prepare_at_once(f, callers);
    for (i = 0; i < CALLERS; i++)
        assert_int_equal(callers[i].rc, -EEXIST);
    assert_int_equal(f->fake.mount_calls, 1);
    assert_int_equal(find(f, TARGET_FILTER("")).count, 1);
}

static void when_the_mount_fails_all_get_mounts(void **state)
{
    struct snapshot_fixture *f = *state;
    struct caller callers[CALLERS];
    size_t i;

    f->fake.mount_takes_ms = 5;
    f->fake.mount_rc = -ETIMEDOUT;
    prepare_at_once(f, callers);
    for (i = 0; i < CALLERS; i++) {
        assert_int_equal(callers[i].rc, 0);
        assert_true(has_row(f, callers[i].key));
    }
    assert_int_equal(fake_lazy_count(&f->fake), 0);
}

/* Runs inside the fake's mount, as another connection of containerd would. */
static void what_is_made_ahead_for_a_removed_image_is_not_wanted_any_more(void **state)
{
    struct snapshot_fixture *f = *state;
    struct err err = ERR_NONE;

    assert_int_equal(prepare(f, "k", "", TARGET), -EEXIST);
    assert_ok(prepare(f, "container", TARGET, NULL));
    assert_ok(snapshot_remove(f->s, "container", &err)); /* which is no image's */
    assert_int_equal(f->fake.abandon_calls, 0);
    assert_ok(snapshot_remove(f->s, TARGET, &err));
    assert_int_equal(f->fake.abandon_calls, 1);
    assert_int_equal(f->fake.abandoned_for_good, 1);
    assert_int_equal(snapshot_remove(f->s, TARGET, &err), -ENOENT);
    assert_int_equal(f->fake.abandon_calls, 1);
}

static void remove_k(void *arg)
{
    struct snapshot_fixture *f = arg;
    struct err err = ERR_NONE;

    assert_ok(snapshot_remove(f->s, "k", &err));
    assert_ok(snapshot_cleanup(f->s, &err)); /* must not take what is being mounted */
    assert_true(has_dir(f, "1/fs"));
}

static void a_snapshot_removed_during_its_mount_leaves_nothing(void **state)
{
    struct snapshot_fixture *f = *state;
    int64_t deadline_ms = clock_mono_ms() + 10000;

    f->fake.during_mount = remove_k;
    f->fake.arg = f;
    assert_int_equal(prepare(f, "k", "", TARGET), -ENOENT);
    assert_int_equal(fake_lazy_count(&f->fake), 0);
    assert_int_equal(find(f, TARGET_FILTER("")).count, 0);
    while (has_dir(f, "1") && clock_mono_ms() < deadline_ms)
        clock_sleep_ms(5);
    assert_false(has_dir(f, "1"));
}

static void commit_k(void *arg)
{
    struct snapshot_fixture *f = arg;

    assert_ok(commit(f, "meanwhile", "k", ""));
}

static void a_snapshot_committed_by_others_during_its_mount_stays_theirs(void **state)
{
    struct snapshot_fixture *f = *state;
    SCOPED(snapdb_row) struct snapdb_row row = {.id = 0};

    f->fake.during_mount = commit_k;
    f->fake.arg = f;
    assert_int_equal(prepare(f, "k", "", TARGET), -ENOENT);
    assert_int_equal(fake_lazy_count(&f->fake), 0);
    assert_ok(stat_row(f, "meanwhile", &row));
    assert_null(text_map_get(&row.labels, SNAPSHOT_LABEL_REMOTE));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name)                                                                                    \
    cmocka_unit_test_setup_teardown(name, snapshot_fixture_setup, snapshot_fixture_teardown)
        T(a_layer_that_mounts_is_committed_under_its_target),
        T(the_answer_names_the_target),
        T(a_layer_that_does_not_mount_is_left_to_containerd),
        T(a_prepare_without_target_never_asks_the_lazy_half),
        T(a_containers_snapshot_says_over_which_layers_it_is_nearest_first),
        T(what_is_over_no_layer_or_becomes_one_says_nothing),
        T(without_a_lazy_half_every_layer_is_left_to_containerd),
        T(a_key_that_exists_is_refused_before_anything_is_mounted),
        T(a_second_namespace_gets_the_layer_without_a_second_mount),
        T(the_same_layer_on_another_parent_is_mounted_under_another_name),
        T(a_layer_that_cannot_serve_any_more_is_not_handed_to_others),
        T(what_was_unpacked_under_the_target_is_not_taken_for_a_lazy_layer),
        T(mounts_on_top_of_a_layer_that_cannot_serve_are_refused),
        T(files_of_a_lazy_layer_have_the_device_number_of_the_rest),
        T(usage_of_a_lazy_layer_is_nothing),
        T(an_update_of_all_labels_keeps_what_a_lazy_layer_needs),
        T(a_removed_layer_is_unmounted_soon),
        T(what_is_made_ahead_for_a_removed_image_is_not_wanted_any_more),
        T(a_client_that_went_away_during_a_mount_abandons_its_image),
        T(the_end_releases_layers_that_nothing_stands_on),
        T(cleanup_leaves_a_layer_that_is_in_use),
        T(prepares_of_one_target_at_once_mount_it_once),
        T(when_the_mount_fails_all_get_mounts),
        T(a_snapshot_removed_during_its_mount_leaves_nothing),
        T(a_snapshot_committed_by_others_during_its_mount_stays_theirs),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
