/* SPDX-License-Identifier: Apache-2.0 */
/* test_ztoc_padding.c – behind the end of each file there are zeros up to the end of its block, and
 * nothing else of the tar is changed, however it is cut. */
#include "entries_as_ztoc.h"

#include "ztoc/padding.h"

enum { TAR_BYTES = 8192 };

static const struct entry entries[] = {
    {.name = "first", .off = 512, .size = 1},
    {.name = "none", .off = 1536, .size = 0},
    {.name = "dir", .type = ZTOC_DIR, .off = 2048},
    {.name = "a link with a size", .type = ZTOC_SYMLINK, .link = "x", .off = 2048, .size = 20},
    {.name = "two blocks", .off = 3072, .size = 1023},
    {.name = "whole blocks", .off = 4608, .size = 1024},
    {.name = "last", .off = 6144, .size = 700},
};
static const struct ztoc toc = {.entries = entries, .count = ARRAY_LEN(entries)};

static void padding_of(const struct ztoc *of, struct padding *ret)
{
    struct err err = ERR_NONE;

    *ret = (struct padding){.starts = NULL};
    assert_ok(padding_init(ret, of, &err));
}

/* A tar without a zero in it, and the same as it has to be shown. */
static void make_tar(uint8_t tar[TAR_BYTES], uint8_t shown[TAR_BYTES])
{
    for (size_t i = 0; i < TAR_BYTES; i++)
        tar[i] = (uint8_t)(1 + i % 255);
    memcpy(shown, tar, TAR_BYTES);
    memset(shown + 513, 0, 511);
    memset(shown + 4095, 0, 1);
    memset(shown + 6844, 0, 324);
}

static void what_is_behind_each_file_is_zeros(void **state)
{
    uint8_t tar[TAR_BYTES], shown[TAR_BYTES];
    struct padding padding;

    (void)state;
    padding_of(&toc, &padding);
    make_tar(tar, shown);
    assert_true(padding_clear(&padding, tar, sizeof(tar), 0));
    assert_memory_equal(tar, shown, sizeof(tar));
    padding_fini(&padding);
}

static void any_part_of_the_tar_is_shown_alike(void **state)
{
    uint8_t tar[TAR_BYTES], shown[TAR_BYTES], part[TAR_BYTES];
    struct padding padding;

    (void)state;
    padding_of(&toc, &padding);
    make_tar(tar, shown);
    for (size_t off = 0; off <= TAR_BYTES; off += 127) {
        for (size_t len = 0; len <= TAR_BYTES - off; len += 61) {
            memcpy(part, tar + off, len);
            assert_int_equal(padding_clear(&padding, part, len, off),
                             memcmp(tar + off, shown + off, len) != 0);
            assert_memory_equal(part, shown + off, len);
            assert_false(padding_clear(&padding, part, len, off));
        }
    }
    padding_fini(&padding);
}

static void a_tar_without_entries_stays_as_it_is(void **state)
{
    const struct ztoc none = {.count = 0};
    uint8_t data[] = "text";
    struct padding padding;

    (void)state;
    padding_of(&none, &padding);
    assert_false(padding_clear(&padding, data, sizeof(data), 512));
    assert_string_equal((char *)data, "text");
    padding_fini(&padding);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_behind_each_file_is_zeros),
        cmocka_unit_test(any_part_of_the_tar_is_shown_alike),
        cmocka_unit_test(a_tar_without_entries_stays_as_it_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
