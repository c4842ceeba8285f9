/* SPDX-License-Identifier: Apache-2.0 */
/* test_lazy_lowest.c – a layer that is prepared on nothing is served only when it is the lowest. */
#include "test.h"

#include "base/text.h"
#include "lazy/internal.h"

#include <errno.h>

#define LIST "containerd.io/snapshot/cri.image-layers"
#define DIFF_ID "containerd.io/snapshot/diff-id"
#define LIST_BYTES 4000

enum { A, B };

static void fill_layer(struct oci_descriptor *layer, int which)
{
    *layer = (struct oci_descriptor){.media_type = NULL};
    assert_ok(digest_of(bytes_of_str(which == A ? "a" : "b"), &layer->digest));
}

/* Of an image A-B, or A-B-A. */
static int check(int which, const char *list, bool is_aba, bool on_nothing, const char *diff_id)
{
    struct oci_descriptor layers[3];
    struct oci_manifest manifest = {.layers = layers, .layer_count = is_aba ? 3 : 2};
    SCOPED(text_map) struct text_map labels = TEXT_MAP_EMPTY;
    struct lazy_target target = {.on_nothing = on_nothing};
    struct oci_descriptor asked;
    struct err err = ERR_NONE;

    for (int i = 0; i < 3; i++)
        fill_layer(&layers[i], i == 1 ? B : A);
    fill_layer(&asked, which);
    target.layer = asked.digest;
    if (list != NULL)
        assert_ok(text_map_set(&labels, LIST, list));
    if (diff_id != NULL)
        assert_ok(text_map_set(&labels, DIFF_ID, diff_id));
    return lazy_check_lowest(&target, &manifest, &labels, &err);
}

static void the_lowest_layer_is_served(void **state)
{
    (void)state;
    assert_int_equal(check(A, NULL, false, true, NULL), 0);
    assert_int_equal(check(A, "a,b,a", true, true, NULL), 0);
}

static void another_layer_on_nothing_is_not(void **state)
{
    (void)state;
    assert_int_equal(check(B, "b", false, true, NULL), -ENOTSUP);
}

static void the_lowest_layer_again_higher_up_is_not(void **state)
{
    (void)state;
    assert_int_equal(check(A, "a", true, true, NULL), -ENOTSUP);
    assert_int_equal(check(A, NULL, true, true, NULL), -ENOTSUP);
}

static void a_list_that_was_cut_off_begins_with_the_lowest(void **state)
{
    char list[LIST_BYTES + 1];

    (void)state;
    memset(list, 'x', LIST_BYTES);
    list[LIST_BYTES] = '\0';
    assert_int_equal(check(A, list, true, true, NULL), 0);
}

static void a_layer_on_its_parent_is_served(void **state)
{
    (void)state;
    assert_int_equal(check(B, "b", false, false, NULL), 0);
}

static void a_containerd_that_would_say_what_is_below_is_believed(void **state)
{
    (void)state;
    assert_int_equal(check(A, "a", true, true, "sha256:0"), 0);
}

static void without_the_manifest_nothing_is_served_on_nothing(void **state)
{
    SCOPED(text_map) struct text_map labels = TEXT_MAP_EMPTY;
    const struct lazy_target on_nothing = {.on_nothing = true}, on_parent = {.on_nothing = false};
    struct err err = ERR_NONE;

    (void)state;
    assert_int_equal(lazy_check_lowest(&on_nothing, NULL, &labels, &err), -ENOTSUP);
    assert_int_equal(lazy_check_lowest(&on_parent, NULL, &labels, &err), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_lowest_layer_is_served),
        cmocka_unit_test(another_layer_on_nothing_is_not),
        cmocka_unit_test(the_lowest_layer_again_higher_up_is_not),
        cmocka_unit_test(a_list_that_was_cut_off_begins_with_the_lowest),
        cmocka_unit_test(a_layer_on_its_parent_is_served),
        cmocka_unit_test(a_containerd_that_would_say_what_is_below_is_believed),
        cmocka_unit_test(without_the_manifest_nothing_is_served_on_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
