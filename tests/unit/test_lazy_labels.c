/* SPDX-License-Identifier: Apache-2.0 */
/* test_lazy_labels.c – what a Prepare's labels say, and what a restart finds of it. */
#include "test.h"

#include "base/text.h"
#include "lazy/internal.h"

#include <errno.h>

#define HEX_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define HEX_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define IMAGE_REF "containerd.io/snapshot/cri.image-ref"
#define MANIFEST "containerd.io/snapshot/cri.manifest-digest"
#define LAYER "containerd.io/snapshot/cri.layer-digest"
#define SIZE "containerd.io/snapshot/remote/soci.size"
#define INDEX "containerd.io/snapshot/remote/soci.index.digest"

static void fill(struct text_map *labels)
{
    assert_ok(text_map_set(labels, IMAGE_REF, "localhost:5000/team/app:1"));
    assert_ok(text_map_set(labels, MANIFEST, "sha256:" HEX_A));
    assert_ok(text_map_set(labels, LAYER, "sha256:" HEX_B));
}

static int read_labels(const struct text_map *labels, struct lazy_target *ret, struct err *err)
{
    return lazy_target_from_prepare(labels, ret, err);
}

static void the_three_labels_that_are_needed_suffice(void **state)
{
    SCOPED(text_map) struct text_map labels = TEXT_MAP_EMPTY;
    SCOPED(lazy_target) struct lazy_target target = {.image_ref = NULL};
    struct err err = ERR_NONE;

    (void)state;
    fill(&labels);
    assert_ok(read_labels(&labels, &target, &err));
    assert_string_equal(target.repository, "localhost:5000/team/app");
    assert_string_equal(target.reference.host, "localhost:5000");
    assert_int_equal(target.manifest.sha256[0], 0xaa);
    assert_int_equal(target.layer.sha256[31], 0xbb);
    assert_int_equal(target.layer_bytes, 0);
    assert_string_equal(target.index_digest, "");
}

static void size_and_index_are_read_when_they_are_there(void **state)
{
    SCOPED(text_map) struct text_map labels = TEXT_MAP_EMPTY;
    SCOPED(lazy_target) struct lazy_target target = {.image_ref = NULL};
    struct err err = ERR_NONE;

    (void)state;
    fill(&labels);
    assert_ok(text_map_set(&labels, SIZE, "79000000"));
    assert_ok(text_map_set(&labels, INDEX, "sha256:" HEX_B));
    assert_ok(read_labels(&labels, &target, &err));
    assert_int_equal(target.layer_bytes, 79000000);
    assert_string_equal(target.index_digest, "sha256:" HEX_B);
}

static void each_needed_label_is_missed_by_name(void **state)
{
    static const char *const needed[] = {IMAGE_REF, MANIFEST, LAYER};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(needed); i++) {
        SCOPED(text_map) struct text_map labels = TEXT_MAP_EMPTY;
        SCOPED(lazy_target) struct lazy_target target = {.image_ref = NULL};
        struct err err = ERR_NONE;

        fill(&labels);
        text_map_remove(&labels, needed[i]);
        assert_int_equal(read_labels(&labels, &target, &err), -ENOENT);
        assert_non_null(strstr(err.text, needed[i]));
        assert_null(target.image_ref);
    }
}

static void values_that_make_no_sense_are_refused_by_name(void **state)
{
    static const char *const bad[][2] = {
        {IMAGE_REF, "UPPER CASE/is no reference"},
        {MANIFEST, "sha256:123"},
        {LAYER, "sha512:" HEX_A},
        {SIZE, "-1"},
        {SIZE, "12 MB"},
        {SIZE, "99999999999999999999"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        SCOPED(text_map) struct text_map labels = TEXT_MAP_EMPTY;
        SCOPED(lazy_target) struct lazy_target target = {.image_ref = NULL};
        struct err err = ERR_NONE;

        fill(&labels);
        assert_ok(text_map_set(&labels, bad[i][0], bad[i][1]));
        assert_int_equal(read_labels(&labels, &target, &err), -EINVAL);
        assert_non_null(strstr(err.text, bad[i][0]));
    }
}

static void what_is_left_in_the_row_is_what_comes_back(void **state)
{
    SCOPED(text_map) struct text_map labels = TEXT_MAP_EMPTY;
    SCOPED(text_map) struct text_map row = TEXT_MAP_EMPTY;
    SCOPED(lazy_target) struct lazy_target before = {.image_ref = NULL};
    SCOPED(lazy_target) struct lazy_target after = {.image_ref = NULL};
    struct err err = ERR_NONE;

    (void)state;
    fill(&labels);
    assert_ok(read_labels(&labels, &before, &err));
    memset(before.ztoc.sha256, 0xcc, sizeof(before.ztoc.sha256));
    before.ztoc_bytes = 12345;
    before.layer_bytes = 678;
    before.disable_xattrs = true;
    assert_ok(lazy_target_add_labels(&before, "finch", &row));
    assert_ok(lazy_target_from_row(&row, &after, &err));
    assert_string_equal(after.image_ref, before.image_ref);
    assert_true(digest_equal(&after.manifest, &before.manifest));
    assert_true(digest_equal(&after.layer, &before.layer));
    assert_true(digest_equal(&after.ztoc, &before.ztoc));
    assert_int_equal(after.ztoc_bytes, 12345);
    assert_int_equal(after.layer_bytes, 678);
    assert_true(after.disable_xattrs);
    assert_string_equal(text_map_get(&row, "containerd.io/snapshot/remote/has.soci.index.digest"),
                        "true");
    assert_string_equal(text_map_get(&row, "containerd.io/snapshot/remote/namespace"), "finch");
}

static void a_row_without_its_ztoc_cannot_be_mounted_again(void **state)
{
    SCOPED(text_map) struct text_map labels = TEXT_MAP_EMPTY;
    SCOPED(lazy_target) struct lazy_target target = {.image_ref = NULL};
    struct err err = ERR_NONE;

    (void)state;
    fill(&labels);
    assert_int_equal(lazy_target_from_row(&labels, &target, &err), -ENOENT);
    assert_null(target.image_ref);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_three_labels_that_are_needed_suffice),
        cmocka_unit_test(size_and_index_are_read_when_they_are_there),
        cmocka_unit_test(each_needed_label_is_missed_by_name),
        cmocka_unit_test(values_that_make_no_sense_are_refused_by_name),
        cmocka_unit_test(what_is_left_in_the_row_is_what_comes_back),
        cmocka_unit_test(a_row_without_its_ztoc_cannot_be_mounted_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
