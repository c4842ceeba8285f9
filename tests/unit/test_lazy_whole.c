/* SPDX-License-Identifier: Apache-2.0 */
/* test_lazy_whole.c – images of which nothing is mounted: what a Prepare of each layer comes to,
 * and what happens to the rest of the image when one cannot be unpacked. The registry is an array;
 * nothing else is asked, and no index is looked for. */
#include "local_rig.h"

#include "lazy/lazy.h"

/* ---- local/ with the rig's registry, below a lazy/ that opens its repositories by itself -------
 */

static struct registry_repo *ref_none(struct registry_repo *repo)
{
    return repo;
}

static void unref_none(struct registry_repo *repo)
{
    (void)repo;
}

static const struct local_registry foreign_registry = {
    .get_manifest = fake_manifest,
    .blob_open = fake_open,
    .blob_fetch = fake_fetch,
    .blob_resume = fake_resume,
    .blob_close = fake_close,
    .ref = ref_none,
    .unref = unref_none,
};

struct rig {
    struct world *w;
    struct registry *registry;
    struct lazy *lazy;
    struct snapshot_lazy ops;
};

/* A keeper that notes for whom, and keeps nothing. */
static char kept_for[64];

static void *note_kept(void *self, const struct local_kept *layer)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    LOCKED(&lock);

    (void)self;
    (void)snprintf(kept_for, sizeof(kept_for), "%s %s", layer->namespace_, layer->lease);
    return NULL;
}

static const struct local_keeper noting_keeper = {.begin = note_kept};

static void rig_start_keeping(struct rig *rig, struct world *w, bool keep)
{
    const struct registry_options registry_options = {.user_agent = "test/1"};
    struct lazy_options options = {.whole = LAZY_WHOLE_ALWAYS, .keep_whole = keep};
    struct err err = ERR_NONE;

    kept_for[0] = '\0';
    start_again(w, (struct local_options){.registry = &foreign_registry, .keeper = &noting_keeper});
    assert_ok(registry_new(&registry_options, &rig->registry, &err));
    rig->w = w;
    options.registry = rig->registry;
    options.local = w->local;
    assert_ok(lazy_new(&options, &rig->lazy, &err));
    rig->ops = lazy_ops(rig->lazy);
}

static void rig_start(struct rig *rig, struct world *w)
{
    rig_start_keeping(rig, w, false);
}

static void rig_fini(struct rig *rig)
{
    lazy_free(rig->lazy);
    local_free(rig->w->local);
    registry_free(rig->registry);
    start(rig->w, (struct local_options){.dir = NULL}); /* for the teardown */
}
DEFINE_SCOPED_VALUE(rig, struct rig, rig_fini)

static void set_digest(struct text_map *labels, const char *key, const struct digest *digest)
{
    char text[DIGEST_TEXT_BYTES];

    digest_format(digest, text);
    assert_ok(text_map_set(labels, key, text));
}

/* Those of a Prepare of layer n, on nothing. */
static void make_labels(const struct world *w, size_t n, struct text_map *labels)
{
    SCOPED(buf_value) struct buf list = BUF_EMPTY;

    for (size_t i = n; i < LAYERS; i++) {
        char text[DIGEST_TEXT_BYTES];

        digest_format(&w->layers[i], text);
        assert_ok(buf_addf(&list, "%s%s", i == n ? "" : ",", text));
    }
    assert_ok(text_map_set(labels, "containerd.io/snapshot/cri.image-ref", "localhost:1/app:1"));
    assert_ok(text_map_set(labels, "containerd.io/snapshot/cri.image-layers", buf_str(&list)));
    set_digest(labels, "containerd.io/snapshot/cri.manifest-digest", &w->image.manifest);
    set_digest(labels, "containerd.io/snapshot/cri.layer-digest", &w->layers[n]);
    set_digest(labels, "containerd.io/snapshot/diff-id", &w->layers[n]);
    set_digest(labels, SNAPSHOT_LABEL_TARGET, &w->layers[n]); /* a tar's digest is its diff ID */
}

static int mount(struct rig *rig, const struct text_map *labels, struct text_map *found,
                 struct err *err)
{
    const struct snapshot_layer layer = {
        .dir = "/nowhere", .parent = "", .namespace_ = "test", .lease = "pull", .labels = labels};

    return rig->ops.mount(rig->ops.self, 7, &layer, found, err);
}

static int unpack(struct rig *rig, const struct text_map *labels, struct text_map *found,
                  struct snapshot_cancel cancel, struct err *err)
{
    SCOPED(mem) char *fs = path_join(rig->w->root, "7/fs");
    SCOPED(text_list) struct text_list lowers = TEXT_LIST_EMPTY;
    const struct snapshot_layer how = {.dir = fs,
                                       .parent = "",
                                       .lowers = &lowers,
                                       .namespace_ = "test",
                                       .lease = "pull",
                                       .labels = labels,
                                       .cancel = cancel};

    assert_ok(dir_make_all(fs, 0755, err));
    return rig->ops.unpack(rig->ops.self, &how, found, err);
}

static size_t work_count(const struct world *w)
{
    SCOPED(local_works) struct local_works works = {.items = NULL, .count = 0};
    struct err err = ERR_NONE;

    assert_ok(local_list(w->local, &works, &err));
    return works.count;
}

static const struct snapshot_cancel never = {NULL, NULL};

static int unlink_all(const struct world *w)
{
    SCOPED(mem) char *dir = path_join(w->root, "7");

    return dir_remove_all(dir, NULL);
}

/* ---- the tests ------------------------------------------------------------------------------- */

static void the_first_layer_begins_all_of_them_and_is_unpacked(void **state)
{
    SCOPED(rig) struct rig rig;
    SCOPED(text_map) struct text_map labels = TEXT_MAP_EMPTY;
    SCOPED(text_map) struct text_map found = TEXT_MAP_EMPTY;
    struct world *w = *state;
    SCOPED(mem) char *file = path_join(w->root, "7/fs/d/0");
    SCOPED(mem) struct lazy_event *events = NULL;
    size_t event_count = 0;
    struct err err = ERR_NONE;
    struct stat st;

    rig_start(&rig, w);
    make_labels(w, 0, &labels);
    assert_int_equal(mount(&rig, &labels, &found, &err), SNAPSHOT_UNPACK);
    assert_int_equal(err.code, -ENOENT);
    assert_ok(lazy_get_events(rig.lazy, &events, &event_count, &err));
    assert_int_equal(event_count, 1); /* for who asks why it is not lazy */
    assert_int_equal(events[0].kind, LAZY_EVENT_UNPACKED);
    assert_non_null(strstr(events[0].text, "parallel_pull_unpack"));
    wait_for(&w->opens, LAYERS);
    assert_ok(unpack(&rig, &labels, &found, never, &err));
    assert_ok(stat(file, &st));
    assert_int_equal(st.st_size, 1000);
}

static void after_one_that_fails_all_are_left_to_containerd(void **state)
{
    SCOPED(rig) struct rig rig;
    SCOPED(text_map) struct text_map labels = TEXT_MAP_EMPTY;
    SCOPED(text_map) struct text_map above = TEXT_MAP_EMPTY;
    SCOPED(text_map) struct text_map found = TEXT_MAP_EMPTY;
    struct world *w = *state;
    struct err err = ERR_NONE;

    rig_start(&rig, w);
    w->fetch_rc = -EIO;
    make_labels(w, 0, &labels);
    assert_int_equal(mount(&rig, &labels, &found, &err), SNAPSHOT_UNPACK);
    assert_int_equal(unpack(&rig, &labels, &found, never, &err), -EIO);
    w->fetch_rc = 0;
    make_labels(w, 1, &above);
    assert_int_equal(mount(&rig, &above, &found, &err), -ENOENT);
    assert_non_null(strstr(err_text(&err), "left to containerd"));
    for (int i = 0; work_count(w) > 0 && i < 1000; i++)
        clock_sleep_ms(10); /* what runs notices soon */
    assert_int_equal(work_count(w), 0);
}

static void another_image_is_not_left_to_it(void **state)
{
    SCOPED(rig) struct rig rig;
    SCOPED(text_map) struct text_map labels = TEXT_MAP_EMPTY;
    SCOPED(text_map) struct text_map found = TEXT_MAP_EMPTY;
    struct world *w = *state;
    struct err err = ERR_NONE;

    rig_start(&rig, w);
    w->manifest_rc = -EACCES;
    make_labels(w, 0, &labels);
    assert_int_equal(mount(&rig, &labels, &found, &err), SNAPSHOT_UNPACK);
    assert_int_equal(unpack(&rig, &labels, &found, never, &err), -EACCES);
    w->manifest_rc = 0;
    set_digest(&labels, "containerd.io/snapshot/cri.manifest-digest", &w->layers[3]);
    assert_int_equal(mount(&rig, &labels, &found, &err), SNAPSHOT_UNPACK);
    assert_ok(unpack(&rig, &labels, &found, never, &err));
}

static void its_layers_are_kept_for_who_pulls_it(void **state)
{
    SCOPED(rig) struct rig rig;
    SCOPED(text_map) struct text_map labels = TEXT_MAP_EMPTY;
    SCOPED(text_map) struct text_map found = TEXT_MAP_EMPTY;
    struct world *w = *state;
    struct err err = ERR_NONE;

    rig_start_keeping(&rig, w, true);
    make_labels(w, 3, &labels);
    assert_int_equal(mount(&rig, &labels, &found, &err), SNAPSHOT_UNPACK);
    assert_ok(unpack(&rig, &labels, &found, never, &err));
    assert_string_equal(kept_for, "test pull");
    assert_int_equal(atomic_load(&w->opens), 1); /* what was begun is what was taken */
}

static void they_are_not_kept_unless_that_is_asked_for(void **state)
{
    SCOPED(rig) struct rig rig;
    SCOPED(text_map) struct text_map labels = TEXT_MAP_EMPTY;
    SCOPED(text_map) struct text_map found = TEXT_MAP_EMPTY;
    struct world *w = *state;
    struct err err = ERR_NONE;

    rig_start(&rig, w);
    make_labels(w, 3, &labels);
    assert_int_equal(mount(&rig, &labels, &found, &err), SNAPSHOT_UNPACK);
    assert_ok(unpack(&rig, &labels, &found, never, &err));
    assert_string_equal(kept_for, "");
}

/* Once kept and once not: what was begun is found in both cases. */
static void what_is_being_made_of_a_removed_image_ends(void **state)
{
    struct world *w = *state;

    for (int keep = 0; keep < 2; keep++) {
        SCOPED(rig) struct rig rig;
        SCOPED(text_map) struct text_map labels = TEXT_MAP_EMPTY;
        SCOPED(text_map) struct text_map found = TEXT_MAP_EMPTY;
        struct err err = ERR_NONE;

        rig_start_keeping(&rig, w, keep == 1);
        make_labels(w, 0, &labels);
        assert_int_equal(mount(&rig, &labels, &found, &err), SNAPSHOT_UNPACK);
        assert_ok(unpack(&rig, &labels, &found, never, &err)); /* the others are on their way */
        rig.ops.abandon(rig.ops.self, "test", &labels, true);
        assert_int_equal(work_count(w), 0);
        rig.ops.abandon(rig.ops.self, "", &found, true); /* of which no image can be told */
        assert_ok(unlink_all(w));
    }
}

static bool is_gone(void *self)
{
    (void)self;
    return true;
}

static void a_client_that_went_away_may_come_back(void **state)
{
    SCOPED(rig) struct rig rig;
    SCOPED(text_map) struct text_map labels = TEXT_MAP_EMPTY;
    SCOPED(text_map) struct text_map found = TEXT_MAP_EMPTY;
    const struct snapshot_cancel gone = {is_gone, NULL};
    struct world *w = *state;
    struct err err = ERR_NONE;

    rig_start(&rig, w);
    atomic_store(&w->fetch_takes_ms, 500);
    make_labels(w, 0, &labels);
    assert_int_equal(mount(&rig, &labels, &found, &err), SNAPSHOT_UNPACK);
    assert_int_equal(unpack(&rig, &labels, &found, gone, &err), -ECANCELED);
    atomic_store(&w->fetch_takes_ms, 0);
    assert_int_equal(mount(&rig, &labels, &found, &err), SNAPSHOT_UNPACK);
    assert_ok(unpack(&rig, &labels, &found, never, &err));
}

static void a_layer_with_another_diff_id_is_refused(void **state)
{
    SCOPED(rig) struct rig rig;
    SCOPED(text_map) struct text_map labels = TEXT_MAP_EMPTY;
    SCOPED(text_map) struct text_map found = TEXT_MAP_EMPTY;
    struct world *w = *state;
    SCOPED(mem) char *fs = path_join(w->root, "7/fs");
    struct err err = ERR_NONE;

    rig_start(&rig, w);
    make_labels(w, 0, &labels);
    set_digest(&labels, "containerd.io/snapshot/diff-id", &w->layers[1]);
    assert_int_equal(mount(&rig, &labels, &found, &err), SNAPSHOT_UNPACK);
    assert_int_equal(unpack(&rig, &labels, &found, never, &err), -EBADMSG);
    assert_true(is_empty(fs));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_first_layer_begins_all_of_them_and_is_unpacked),
        TEST(after_one_that_fails_all_are_left_to_containerd),
        TEST(another_image_is_not_left_to_it),
        TEST(its_layers_are_kept_for_who_pulls_it),
        TEST(they_are_not_kept_unless_that_is_asked_for),
        TEST(what_is_being_made_of_a_removed_image_ends),
        TEST(a_client_that_went_away_may_come_back),
        TEST(a_layer_with_another_diff_id_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
