/* SPDX-License-Identifier: Apache-2.0 */
/* test_guest_images.c – what a machine tells of its images, and what is refused of it. */
#include "guest_rig.h"

#include <errno.h>

static void refused(const char *text)
{
    struct guest_images images = {.count = 0};
    struct err err = ERR_NONE;

    assert_int_equal(guest_images_parse(bytes_of_str(text), &images, &err), -EBADMSG);
    assert_null(images.items);
    assert_non_null(strstr(err_text(&err), "makes no sense"));
}

static void each_line_is_an_image(void **state)
{
    SCOPED(guest_images) struct guest_images images = {.count = 0};

    (void)state;
    assert_ok(guest_images_parse(bytes_of_str("image finch overlayfs,soci sha256:12 r/app:1\n"
                                              "image finch - - r/a name: with spaces\n"
                                              "end\n"),
                                 &images, NULL));
    assert_int_equal(images.count, 2);
    assert_string_equal(images.items[0].namespace_, "finch");
    assert_string_equal(images.items[0].snapshotters, "overlayfs,soci");
    assert_string_equal(images.items[0].manifest, "sha256:12");
    assert_string_equal(images.items[0].name, "r/app:1");
    assert_string_equal(images.items[1].snapshotters, "");
    assert_string_equal(images.items[1].manifest, "");
    assert_string_equal(images.items[1].name, "r/a name: with spaces");
    assert_false(images.is_cut);
}

static void no_image_is_fine(void **state)
{
    SCOPED(guest_images) struct guest_images images = {.count = 0};

    (void)state;
    assert_ok(guest_images_parse(bytes_of_str("end\n"), &images, NULL));
    assert_int_equal(images.count, 0);
}

static void what_makes_no_sense_is_refused(void **state)
{
    static const char with_nul[] = "image f - - a\0b\nend\n";
    struct guest_images images = {.count = 0};

    (void)state;
    refused("");
    refused("image finch - - a\n"); /* no end */
    refused("end\nimage finch - - a\n");
    refused("image finch - -\nend\n");
    refused("image finch - - \nend\n");
    refused("image  - - a\nend\n");
    refused("ctr: no such thing\nend\n");
    refused("\nend\n");
    assert_int_equal(guest_images_parse(bytes_of(with_nul, sizeof(with_nul) - 1), &images, NULL),
                     -EBADMSG);
}

static void words_and_names_without_an_end_are_refused(void **state)
{
    SCOPED(buf_value) struct buf word = BUF_EMPTY;
    SCOPED(buf_value) struct buf name = BUF_EMPTY;

    (void)state;
    assert_ok(buf_addf(&word, "image finch %0300u - a\nend\n", 1));
    assert_ok(buf_addf(&name, "image finch - - %01500u\nend\n", 1));
    refused(buf_str(&word));
    refused(buf_str(&name));
}

static void more_than_anybody_has_are_cut_and_it_is_known(void **state)
{
    SCOPED(guest_images) struct guest_images images = {.count = 0};
    SCOPED(buf_value) struct buf text = BUF_EMPTY;

    (void)state;
    for (unsigned i = 0; i < GUEST_IMAGES_MAX + 1; i++)
        assert_ok(buf_addf(&text, "image finch - - a:%u\n", i));
    assert_ok(buf_add_str(&text, "end\n"));
    assert_ok(guest_images_parse(buf_bytes(&text), &images, NULL));
    assert_int_equal(images.count, GUEST_IMAGES_MAX);
    assert_true(images.is_cut);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_line_is_an_image),
        cmocka_unit_test(no_image_is_fine),
        cmocka_unit_test(what_makes_no_sense_is_refused),
        cmocka_unit_test(words_and_names_without_an_end_are_refused),
        cmocka_unit_test(more_than_anybody_has_are_cut_and_it_is_known),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
