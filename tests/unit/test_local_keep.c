/* SPDX-License-Identifier: Apache-2.0 */
/* test_local_keep.c – layers that are kept as they came while they are unpacked: what a keeper is
 * given, and for whom. The registry is an array, and so is the keeper. */
#include "local_rig.h"

struct kept {
    struct local_kept layer; /* strings are the rig's */
    char namespace_[32], lease[32];
    struct buf bytes;
    bool ended, is_whole;
    struct digest diff_id;
};

enum { KEPT_MAX = 16 };
struct shelf {
    pthread_mutex_t lock;
    struct kept items[KEPT_MAX]; /* lock: which are used; each is one thread's */
    size_t count;                /* lock */
    bool declines;               /* fixed before calls */
};
static struct shelf shelf;

static void *keep_begin(void *self, const struct local_kept *layer)
{
    struct shelf *s = self;
    struct kept *kept;
    LOCKED(&s->lock);

    assert_true(s->count < KEPT_MAX);
    kept = &s->items[s->count++];
    kept->layer = *layer;
    (void)snprintf(kept->namespace_, sizeof(kept->namespace_), "%s", layer->namespace_);
    (void)snprintf(kept->lease, sizeof(kept->lease), "%s",
                   layer->lease == NULL ? "none" : layer->lease);
    assert_string_equal(layer->name, "host/app");
    return s->declines ? NULL : kept;
}

static void keep_add(void *self, struct bytes comp)
{
    struct kept *kept = self;

    assert_false(kept->ended);
    assert_ok(buf_add(&kept->bytes, comp.data, comp.len));
}

static void keep_end(void *self, const struct digest *diff_id)
{
    struct kept *kept = self;

    assert_false(kept->ended);
    kept->ended = true;
    kept->is_whole = diff_id != NULL;
    if (diff_id != NULL)
        kept->diff_id = *diff_id;
}

static const struct local_keeper keeper = {
    .begin = keep_begin, .add = keep_add, .end = keep_end, .self = &shelf};
static const struct local_keep keep_for = {.namespace_ = "ns", .lease = "pull"};

static int keep_setup(void **state)
{
    int rc = setup(state);
    struct world *w = *state;

    (void)pthread_mutex_init(&shelf.lock, NULL);
    start_again(w, (struct local_options){.keeper = &keeper});
    w->image.keep = &keep_for;
    return rc;
}

static int keep_teardown(void **state)
{
    int rc = teardown(state);

    for (size_t i = 0; i < shelf.count; i++) {
        assert_true(shelf.declines || shelf.items[i].ended); /* whatever happened */
        buf_fini(&shelf.items[i].bytes);
    }
    (void)pthread_mutex_destroy(&shelf.lock);
    memset(&shelf, 0, sizeof(shelf));
    return rc;
}

/* ---- the tests ------------------------------------------------------------------------------- */

static void a_layer_is_kept_as_it_came_before_it_is_given_out(void **state)
{
    struct world *w = *state;
    SCOPED(local_layer) struct local_layer *layer = NULL;
    const struct kept *kept = &shelf.items[0];
    struct err err = ERR_NONE;

    assert_ok(take(w, 3, &layer, &err));
    assert_int_equal(shelf.count, 1);
    assert_true(kept->ended && kept->is_whole);
    assert_true(bytes_equal(buf_bytes(&kept->bytes), buf_bytes(&w->tars[3])));
    assert_true(digest_equal(&kept->diff_id, local_layer_diff_id(layer)));
    assert_true(digest_equal(&kept->layer.layer, &w->layers[3]));
    assert_true(digest_equal(&kept->layer.manifest, &w->image.manifest));
    assert_int_equal(kept->layer.size_bytes, w->tars[3].len);
    assert_string_equal(kept->namespace_, "ns");
    assert_string_equal(kept->lease, "pull");
}

static void bytes_that_are_not_the_layers_are_not_kept(void **state)
{
    struct world *w = *state;
    SCOPED(local_layer) struct local_layer *layer = NULL;
    struct err err = ERR_NONE;

    w->wrong_bytes = true;
    assert_int_equal(take(w, 1, &layer, &err), -EBADMSG);
    assert_int_equal(shelf.count, 2); /* and once more from the registry itself */
    assert_false(shelf.items[0].is_whole);
    assert_false(shelf.items[1].is_whole);
}

static void what_a_mirror_got_wrong_is_kept_from_the_registry_itself(void **state)
{
    struct world *w = *state;
    SCOPED(local_layer) struct local_layer *layer = NULL;
    struct err err = ERR_NONE;

    w->mirror_lies = true;
    assert_ok(take(w, 1, &layer, &err));
    assert_int_equal(shelf.count, 2);
    assert_false(shelf.items[0].is_whole);
    assert_true(shelf.items[1].is_whole);
    assert_true(bytes_equal(buf_bytes(&shelf.items[1].bytes), buf_bytes(&w->tars[1])));
}

static void a_download_that_fails_ends_the_keeping(void **state)
{
    struct world *w = *state;
    SCOPED(local_layer) struct local_layer *layer = NULL;
    struct err err = ERR_NONE;

    w->fetch_rc = -EIO;
    assert_int_equal(take(w, 1, &layer, &err), -EIO);
    assert_int_equal(shelf.count, 1);
    assert_true(shelf.items[0].ended);
    assert_false(shelf.items[0].is_whole);
}

static void a_keeper_may_decline_and_the_layer_comes_all_the_same(void **state)
{
    struct world *w = *state;
    SCOPED(local_layer) struct local_layer *layer = NULL;
    struct err err = ERR_NONE;

    shelf.declines = true;
    assert_ok(take(w, 3, &layer, &err));
    assert_int_equal(shelf.count, 1);
    assert_int_equal(shelf.items[0].bytes.len, 0);
}

static void an_image_that_nobody_wants_kept_is_not(void **state)
{
    struct world *w = *state;
    SCOPED(local_layer) struct local_layer *layer = NULL;
    struct err err = ERR_NONE;

    w->image.keep = NULL;
    assert_ok(take(w, 3, &layer, &err));
    assert_int_equal(shelf.count, 0);
}

static void what_is_kept_for_one_namespace_is_not_taken_for_another(void **state)
{
    struct world *w = *state;
    const struct local_keep other = {.namespace_ = "other"};
    struct local_image image = w->image;
    SCOPED(local_layer) struct local_layer *layer = NULL;
    struct err err = ERR_NONE;

    local_begin(w->local, &w->image, w->layers, 1);
    wait_for(&w->opens, 1);
    image.keep = &other;
    assert_ok(local_take(w->local, &image, &w->layers[0], NULL, &layer, &err));
    assert_int_equal(atomic_load(&w->opens), 2);
    assert_int_equal(shelf.count, 2);
    assert_string_equal(shelf.items[1].namespace_, "other");
    assert_string_equal(shelf.items[1].lease, "none");
    assert_true(shelf.items[1].is_whole);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, keep_setup, keep_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_layer_is_kept_as_it_came_before_it_is_given_out),
        TEST(bytes_that_are_not_the_layers_are_not_kept),
        TEST(what_a_mirror_got_wrong_is_kept_from_the_registry_itself),
        TEST(a_download_that_fails_ends_the_keeping),
        TEST(a_keeper_may_decline_and_the_layer_comes_all_the_same),
        TEST(an_image_that_nobody_wants_kept_is_not),
        TEST(what_is_kept_for_one_namespace_is_not_taken_for_another),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
