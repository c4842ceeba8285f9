/* SPDX-License-Identifier: Apache-2.0 */
/* test_local_limits.c – how many layers and ranges at once, and in which order. The registry is an
 * array; the disk is real. */
#include "local_rig.h"

static void take_all(struct world *w, const struct local_image *image)
{
    for (size_t i = 0; i < LAYERS; i++) {
        SCOPED(local_layer) struct local_layer *layer = NULL;
        struct err err = ERR_NONE;

        assert_ok(local_take(w->local, image, &w->layers[i], NULL, &layer, &err));
        assert_true(digest_equal(local_layer_diff_id(layer), &w->layers[i]));
    }
}

static void ranges_of_several_layers_come_at_the_same_time(void **state)
{
    struct world *w = *state;

    atomic_store(&w->fetch_takes_ms, 300);
    local_begin(w->local, &w->image, w->layers, LAYERS);
    wait_for(&w->opens, LAYERS);
    assert_true(atomic_load(&w->most_under_way) > LAYERS); /* and several of one */
    atomic_store(&w->fetch_takes_ms, 0);
    take_all(w, &w->image);
}

static void there_are_no_more_requests_at_once_than_allowed(void **state)
{
    struct world *w = *state;

    start_again(w, (struct local_options){.gets = 3});
    atomic_store(&w->fetch_takes_ms, 20);
    local_begin(w->local, &w->image, w->layers, LAYERS);
    take_all(w, &w->image);
    assert_int_equal(atomic_load(&w->most_under_way), 3);
}

static void an_image_has_no_more_requests_at_once_than_its_share(void **state)
{
    struct world *w = *state;
    struct local_image other = w->image;

    other.name = "host/other";
    start_again(w, (struct local_options){.gets_per_image = 2});
    atomic_store(&w->fetch_takes_ms, 20);
    local_begin(w->local, &w->image, w->layers, LAYERS);
    local_begin(w->local, &other, w->layers, LAYERS);
    take_all(w, &w->image);
    take_all(w, &other);
    assert_in_range(atomic_load(&w->most_under_way), 3, 4);
}

/* Chunks are of 4096 bytes. */
static void memory_bounds_what_is_asked_for_and_nothing_gets_stuck(void **state)
{
    struct world *w = *state;

    start_again(w, (struct local_options){.memory_bytes = 5 * 4096, .unpacks = 2});
    atomic_store(&w->fetch_takes_ms, 10);
    local_begin(w->local, &w->image, w->layers, LAYERS);
    take_all(w, &w->image);
    assert_in_range(atomic_load(&w->most_under_way), 3, 5);
}

static void a_layer_too_large_for_the_memory_comes_through_it(void **state)
{
    struct world *w = *state;
    SCOPED(local_layer) struct local_layer *layer = NULL;
    struct err err = ERR_NONE;

    start_again(w,
                (struct local_options){.memory_bytes = 1, .unpacks = 16}); /* the least there is */
    assert_ok(take(w, 3, &layer, &err));
    assert_in_range(atomic_load(&w->most_under_way), 1, 4);
}

static void bytes_of_layers_whose_turn_to_be_unpacked_has_not_come_come_all_the_same(void **state)
{
    struct world *w = *state;

    start_again(w, (struct local_options){.unpacks_per_image = 1});
    atomic_store(&w->fetch_takes_ms, 500);
    local_begin(w->local, &w->image, w->layers, LAYERS);
    wait_for(&w->opens, LAYERS); /* the first is not there yet */
    atomic_store(&w->fetch_takes_ms, 0);
    take_all(w, &w->image);
}

static void what_somebody_waits_for_comes_first(void **state)
{
    struct world *w = *state;
    SCOPED(local_layer) struct local_layer *layer = NULL;
    struct err err = ERR_NONE;

    start_again(w, (struct local_options){.gets = 1, .unpacks = 1});
    atomic_store(&w->fetch_takes_ms, 100);
    local_begin(w->local, &w->image, &w->layers[1], LAYERS - 1);
    wait_for(&w->fetches, 1);
    atomic_store(&w->fetch_takes_ms, 10);
    assert_ok(take(w, 0, &layer, &err)); /* asked for last */
    assert_int_equal(w->opened[0], 1);
    assert_int_equal(w->opened[1], 0);
}

static void a_range_that_fails_ends_its_layer_and_no_other(void **state)
{
    struct world *w = *state;
    SCOPED(local_layer) struct local_layer *layer = NULL;
    struct err err = ERR_NONE;

    w->fetch_rc = -EIO;
    assert_int_equal(take(w, 3, &layer, &err), -EIO);
    w->fetch_rc = 0;
    take_all(w, &w->image);
}

/* ---- a registry that ignores ranges -----------------------------------------------------------
 */

static void layers_come_as_a_whole_where_there_are_no_ranges(void **state)
{
    struct world *w = *state;

    w->no_ranges = true;
    local_begin(w->local, &w->image, w->layers, LAYERS);
    take_all(w, &w->image);
    assert_int_equal(atomic_load(&w->wholes), 3); /* one is smaller than a chunk */
}

static void one_too_large_for_the_memory_waits_in_the_middle(void **state)
{
    struct world *w = *state;

    w->no_ranges = true;
    w->piece_bytes = 60000; /* more than there is memory for */
    start_again(w, (struct local_options){.memory_bytes = 1, .unpacks = 2});
    local_begin(w->local, &w->image, w->layers, LAYERS);
    take_all(w, &w->image);
    assert_int_equal(atomic_load(&w->wholes), 3);
    assert_true(atomic_load(&w->pauses) > 3);
}

static void who_gives_up_ends_one_that_waits_in_the_middle(void **state)
{
    struct world *w = *state;

    w->no_ranges = true;
    w->piece_bytes = 60000;
    start_again(w, (struct local_options){.memory_bytes = 1, .unpacks_per_image = 1});
    local_begin(w->local, &w->image, &w->layers[1], LAYERS - 1);
    wait_for(&w->pauses, 1);
    local_abandon(w->local, &w->image, true);
    take_all(w, &w->image); /* made anew */
}

static void what_fails_as_a_whole_says_why(void **state)
{
    struct world *w = *state;
    SCOPED(local_layer) struct local_layer *layer = NULL;
    struct err err = ERR_NONE;

    w->no_ranges = true;
    take_all(w, &w->image);
    local_begin(w->local, &w->image, w->layers, 1); /* so that the image stays known */
    w->fetch_rc = -EIO;
    assert_int_equal(take(w, 3, &layer, &err), -EIO);
    assert_non_null(strstr(err_text(&err), "no bytes"));
    w->fetch_rc = 0;
    assert_ok(take(w, 3, &layer, &err));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(ranges_of_several_layers_come_at_the_same_time),
        TEST(there_are_no_more_requests_at_once_than_allowed),
        TEST(an_image_has_no_more_requests_at_once_than_its_share),
        TEST(memory_bounds_what_is_asked_for_and_nothing_gets_stuck),
        TEST(a_layer_too_large_for_the_memory_comes_through_it),
        TEST(bytes_of_layers_whose_turn_to_be_unpacked_has_not_come_come_all_the_same),
        TEST(what_somebody_waits_for_comes_first),
        TEST(a_range_that_fails_ends_its_layer_and_no_other),
        TEST(layers_come_as_a_whole_where_there_are_no_ranges),
        TEST(one_too_large_for_the_memory_waits_in_the_middle),
        TEST(who_gives_up_ends_one_that_waits_in_the_middle),
        TEST(what_fails_as_a_whole_says_why),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
