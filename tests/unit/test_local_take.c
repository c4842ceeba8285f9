/* SPDX-License-Identifier: Apache-2.0 */
/* test_local_take.c – layers begun ahead, taken, given up and left behind. The registry is an
 * array; the disk is real.
 */
#include "local_rig.h"

static bool is_ready(struct world *w, size_t n)
{
    SCOPED(local_works) struct local_works works = {.items = NULL, .count = 0};
    struct err err = ERR_NONE;

    assert_ok(local_list(w->local, &works, &err));
    for (size_t i = 0; i < works.count; i++) {
        if (digest_equal(&works.items[i].layer, &w->layers[n]))
            return works.items[i].is_ready;
    }
    return false;
}

/* ---- the tests ------------------------------------------------------------------------------- */

static void a_layer_is_installed_whole_with_the_look_of_the_directory_it_replaces(void **state)
{
    struct world *w = *state;
    SCOPED(local_layer) struct local_layer *layer = NULL;
    SCOPED(text_list) struct text_list lowers = TEXT_LIST_EMPTY;
    SCOPED(mem) char *fs = make_target(w, 0711);
    SCOPED(mem) char *file = path_join(fs, "d/3");
    struct err err = ERR_NONE;
    struct stat st;

    assert_ok(take(w, 3, &layer, &err));
    assert_true(digest_equal(local_layer_diff_id(layer), &w->layers[3]));
    assert_ok(local_layer_install(layer, fs, &lowers, &err));
    assert_ok(stat(file, &st));
    assert_int_equal(st.st_size, 61000);
    assert_ok(stat(fs, &st));
    assert_int_equal(st.st_mode, S_IFDIR | 0711);
    assert_true(atomic_load(&w->fetches) > 10);
}

static void layers_begun_are_taken_without_a_second_download(void **state)
{
    struct world *w = *state;
    struct err err = ERR_NONE;

    local_begin(w->local, &w->image, w->layers, LAYERS);
    wait_for(&w->opens, LAYERS);
    local_begin(w->local, &w->image, w->layers, LAYERS);
    for (size_t i = 0; i < LAYERS; i++) {
        SCOPED(local_layer) struct local_layer *layer = NULL;
        assert_ok(take(w, i, &layer, &err));
        local_begin(w->local, &w->image, &w->layers[i + 1], LAYERS - i - 1);
    }
    assert_int_equal(atomic_load(&w->opens), LAYERS);
    assert_int_equal(atomic_load(&w->manifests), 1);
}

static void a_layer_that_an_image_has_twice_is_made_twice(void **state)
{
    struct world *w = *state;
    const struct digest twice[] = {w->layers[0], w->layers[0]};
    SCOPED(local_layer) struct local_layer *first = NULL;
    SCOPED(local_layer) struct local_layer *second = NULL;
    struct err err = ERR_NONE;

    local_begin(w->local, &w->image, twice, 2);
    assert_ok(take(w, 0, &first, &err));
    assert_ok(take(w, 0, &second, &err));
    assert_ptr_not_equal(first, second);
    assert_int_equal(atomic_load(&w->opens), 2);
}

static void another_image_does_not_get_what_was_begun_for_this_one(void **state)
{
    struct world *w = *state;
    struct local_image other = w->image;
    SCOPED(local_layer) struct local_layer *layer = NULL;
    struct err err = ERR_NONE;

    local_begin(w->local, &w->image, w->layers, 1);
    wait_for(&w->opens, 1);
    other.name = "host/other"; /* its registry has to give it, with its credentials */
    assert_ok(local_take(w->local, &other, &w->layers[0], NULL, &layer, &err));
    assert_int_equal(atomic_load(&w->manifests), 2);
    assert_int_equal(atomic_load(&w->opens), 2);
}

static void what_fails_says_why_and_is_tried_anew(void **state)
{
    struct world *w = *state;
    SCOPED(local_layer) struct local_layer *layer = NULL;
    struct err err = ERR_NONE;

    w->fetch_rc = -EACCES;
    assert_int_equal(take(w, 1, &layer, &err), -EACCES);
    assert_non_null(strstr(err_text(&err), "no bytes"));
    w->fetch_rc = 0;
    w->wrong_bytes = true;
    assert_int_equal(take(w, 1, &layer, &err), -EBADMSG);
    assert_null(layer);
    assert_true(is_empty(w->dir));
    w->wrong_bytes = false;
    w->manifest_rc = -ETIMEDOUT;
    assert_int_equal(take(w, 1, &layer, &err), -ETIMEDOUT);
    w->manifest_rc = 0;
    assert_ok(take(w, 1, &layer, &err));
}

static void what_a_mirror_got_wrong_comes_from_the_registry_itself(void **state)
{
    struct world *w = *state;
    SCOPED(local_layer) struct local_layer *layer = NULL;
    struct err err = ERR_NONE;

    w->mirror_lies = true;
    assert_ok(take(w, 1, &layer, &err));
    assert_int_equal(atomic_load(&w->opens), 2);
}

static void what_is_wrong_there_too_is_refused_after_that(void **state)
{
    struct world *w = *state;
    SCOPED(local_layer) struct local_layer *layer = NULL;
    struct err err = ERR_NONE;

    w->wrong_bytes = true;
    assert_int_equal(take(w, 1, &layer, &err), -EBADMSG);
    assert_int_equal(atomic_load(&w->opens), 2);
    assert_true(is_empty(w->dir));
}

static void a_layer_that_the_image_does_not_list_is_refused(void **state)
{
    struct world *w = *state;
    SCOPED(local_layer) struct local_layer *layer = NULL;
    const struct digest foreign = {{1}};
    struct err err = ERR_NONE;

    assert_int_equal(local_take(w->local, &w->image, &foreign, NULL, &layer, &err), -EBADMSG);
    assert_int_equal(atomic_load(&w->opens), 0);
}

/* And stays so: nothing more is begun. */
static void becomes_empty(struct world *w)
{
    int64_t deadline_ms = clock_mono_ms() + 10000;

    while (!is_empty(w->dir) && clock_mono_ms() < deadline_ms)
        clock_sleep_ms(10);
    clock_sleep_ms(500);
    assert_true(is_empty(w->dir));
}

static bool is_cancelled(void *self)
{
    return atomic_load((atomic_int *)self) > 0;
}

static void whoever_gives_up_ends_what_was_begun_for_the_image(void **state)
{
    struct world *w = *state;
    SCOPED(local_layer) struct local_layer *layer = NULL;
    const struct local_cancel cancel = {is_cancelled, &w->opens}; /* as soon as it begins */
    int64_t started_ms = clock_mono_ms();
    struct err err = ERR_NONE;

    atomic_store(&w->fetch_takes_ms, 3000);
    local_begin(w->local, &w->image, w->layers, LAYERS);
    assert_int_equal(local_take(w->local, &w->image, &w->layers[3], &cancel, &layer, &err),
                     -ECANCELED);
    assert_true(clock_mono_ms() - started_ms < 2700);
    becomes_empty(w);
    assert_true(atomic_load(&w->opens) <= 3);
}

static void what_was_begun_for_an_image_ends_when_it_is_abandoned(void **state)
{
    struct world *w = *state;
    const struct local_image other = {
        .repo = &w->repo, .name = "elsewhere/app", .manifest = w->image.manifest};

    atomic_store(&w->fetch_takes_ms, 500);
    local_begin(w->local, &w->image, w->layers, LAYERS);
    wait_for(&w->opens, 2);
    local_abandon(w->local, &other, false); /* of which nothing was begun */
    local_abandon(w->local, &w->image, false);
    becomes_empty(w);
    assert_true(atomic_load(&w->opens) <= 3);
}

static void what_is_ready_is_kept_for_the_next_try_or_not(void **state)
{
    struct world *w = *state;
    SCOPED(local_layer) struct local_layer *layer = NULL;
    struct err err = ERR_NONE;

    local_begin(w->local, &w->image, w->layers, 2);
    assert_ok(take(w, 1, &layer, &err));
    while (!is_ready(w, 0))
        clock_sleep_ms(10);
    local_abandon(w->local, &w->image, false);
    assert_true(is_ready(w, 0));
    local_abandon(w->local, &w->image, true);
    assert_false(is_ready(w, 0));
    assert_int_equal(atomic_load(&w->opens), 2);
}

struct waiter {
    struct world *w;
    atomic_int asked; /* whoever waits was asked whether it still does */
};

static bool is_asked(void *self)
{
    atomic_fetch_add(&((struct waiter *)self)->asked, 1);
    return false;
}

static void *abandon_what_is_waited_for(void *arg)
{
    struct waiter *waiter = arg;

    wait_for(&waiter->w->opens, 2);
    wait_for(&waiter->asked, 1);
    local_abandon(waiter->w->local, &waiter->w->image, false);
    return NULL;
}

static void what_was_begun_ends_when_nobody_asks_for_the_image_any_more(void **state)
{
    struct world *w = *state;
    SCOPED(local_layer) struct local_layer *layer = NULL;
    struct err err = ERR_NONE;

    start_again(w, (struct local_options){.idle_ms = 100});
    atomic_store(&w->fetch_takes_ms, 300);
    local_begin(w->local, &w->image, w->layers, LAYERS);
    wait_for(&w->opens, 1);
    becomes_empty(w);                    /* what is ready would stay */
    assert_ok(take(w, 3, &layer, &err)); /* made anew, and as long as it takes */
}

static void a_layer_that_somebody_waits_for_is_not_abandoned(void **state)
{
    struct world *w = *state;
    SCOPED(local_layer) struct local_layer *layer = NULL;
    struct waiter waiter = {.w = w};
    const struct local_cancel cancel = {is_asked, &waiter};
    pthread_t thread;
    struct err err = ERR_NONE;

    atomic_store(&w->fetch_takes_ms, 1000);
    local_begin(w->local, &w->image, w->layers, 2);
    assert_int_equal(pthread_create(&thread, NULL, abandon_what_is_waited_for, &waiter), 0);
    assert_ok(local_take(w->local, &w->image, &w->layers[0], &cancel, &layer, &err));
    (void)pthread_join(thread, NULL);
    assert_int_equal(atomic_load(&w->opens), 2);
}

static void a_layer_prepared_on_nothing_must_be_the_lowest(void **state)
{
    struct world *w = *state;
    SCOPED(local_layer) struct local_layer *layer = NULL;
    struct err err = ERR_NONE;

    w->image.lowest_of = SIZE_MAX; /* the client does not say how many there are */
    assert_int_equal(take(w, 1, &layer, &err), -ENOTSUP);
    assert_int_equal(take(w, 3, &layer, &err), -ENOTSUP);
    assert_ok(take(w, 0, &layer, &err));
}

static void what_is_synced_later_is_ready_and_whole_all_the_same(void **state)
{
    struct world *w = *state;
    SCOPED(local_layer) struct local_layer *layer = NULL;
    SCOPED(text_list) struct text_list lowers = TEXT_LIST_EMPTY;
    SCOPED(mem) char *fs = make_target(w, 0755);
    SCOPED(mem) char *file = path_join(fs, "d/2");
    struct err err = ERR_NONE;
    struct stat st;

    w->image.sync_later = true;
    assert_ok(take(w, 2, &layer, &err));
    assert_ok(local_layer_install(layer, fs, &lowers, &err));
    assert_ok(stat(file, &st));
    assert_int_equal(st.st_size, 41000);
    clock_sleep_ms(700); /* it is synced meanwhile, by whoever has nothing else to do */
}

static void a_stop_ends_whoever_waits(void **state)
{
    struct world *w = *state;
    SCOPED(local_layer) struct local_layer *layer = NULL;
    struct err err = ERR_NONE;

    local_stop(w->local);
    assert_int_equal(take(w, 0, &layer, &err), -ECANCELED);
    local_begin(w->local, &w->image, w->layers, LAYERS);
    assert_int_equal(atomic_load(&w->opens), 0);
}

static void what_nobody_takes_is_removed_after_a_while(void **state)
{
    struct world *w = *state;
    SCOPED(local_layer) struct local_layer *layer = NULL;
    int64_t deadline_ms = clock_mono_ms() + 10000;
    struct err err = ERR_NONE;

    start_again(w, (struct local_options){.keep_ms = 300});
    local_begin(w->local, &w->image, w->layers, 2);
    wait_for(&w->opens, 2);
    while (!is_empty(w->dir) && clock_mono_ms() < deadline_ms)
        clock_sleep_ms(20);
    assert_true(is_empty(w->dir));
    assert_ok(take(w, 0, &layer, &err)); /* made anew */
    assert_int_equal(atomic_load(&w->opens), 3);
}

static void what_an_earlier_process_left_is_removed_at_the_start(void **state)
{
    struct world *w = *state;
    SCOPED(mem) char *left = path_join(w->dir, "1/fs/half");
    struct err err = ERR_NONE;

    local_free(w->local);
    assert_ok(dir_make_all(left, 0755, &err));
    start(w, (struct local_options){.dir = NULL});
    assert_true(is_empty(w->dir));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_layer_is_installed_whole_with_the_look_of_the_directory_it_replaces),
        TEST(layers_begun_are_taken_without_a_second_download),
        TEST(a_layer_that_an_image_has_twice_is_made_twice),
        TEST(another_image_does_not_get_what_was_begun_for_this_one),
        TEST(what_fails_says_why_and_is_tried_anew),
        TEST(what_a_mirror_got_wrong_comes_from_the_registry_itself),
        TEST(what_is_wrong_there_too_is_refused_after_that),
        TEST(a_layer_that_the_image_does_not_list_is_refused),
        TEST(whoever_gives_up_ends_what_was_begun_for_the_image),
        TEST(what_was_begun_for_an_image_ends_when_it_is_abandoned),
        TEST(what_is_ready_is_kept_for_the_next_try_or_not),
        TEST(what_was_begun_ends_when_nobody_asks_for_the_image_any_more),
        TEST(a_layer_that_somebody_waits_for_is_not_abandoned),
        TEST(a_layer_prepared_on_nothing_must_be_the_lowest),
        TEST(what_is_synced_later_is_ready_and_whole_all_the_same),
        TEST(a_stop_ends_whoever_waits),
        TEST(what_nobody_takes_is_removed_after_a_while),
        TEST(what_an_earlier_process_left_is_removed_at_the_start),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
