/* SPDX-License-Identifier: Apache-2.0 */
/* test_zran_zinfo.c – both kinds of zinfo, both versions, and lengths that lie. */
#include "test.h"

#include "zran/zran.h"

#include <errno.h>

enum { POINT_BYTES = 32785 };

static const uint8_t window[ZRAN_WINDOW_BYTES] = {'w'};

/* Two checkpoints. */
static void make_zinfo(struct buf *ret)
{
    struct zran_point first = {10, 0, 0}, second = {5000, 70000, 3};

    assert_ok(zran_zinfo_start(ret, 65536));
    assert_ok(zran_zinfo_add(ret, &first, window));
    assert_ok(zran_zinfo_add(ret, &second, window));
}

static void what_is_written_is_read(void **state)
{
    SCOPED(buf_value) struct buf blob = BUF_EMPTY;
    struct zran_zinfo zinfo;
    struct zran_point point;
    struct err err = ERR_NONE;
    uint64_t window_off;

    (void)state;
    make_zinfo(&blob);
    assert_int_equal(blob.len, 12 + 2 * POINT_BYTES);
    assert_ok(zran_zinfo_parse(buf_bytes(&blob), &zinfo, &err));
    assert_int_equal(zinfo.count, 2);
    assert_int_equal(zinfo.span_size, 65536);
    zran_zinfo_point(&zinfo, 1, &point, &window_off);
    assert_int_equal(point.comp_off, 5000);
    assert_int_equal(point.uncomp_off, 70000);
    assert_int_equal(point.bits, 3);
    assert_int_equal(zran_point_start(&point), 4999);
    assert_int_equal(window_off, 12 + POINT_BYTES + 17);
    assert_int_equal(blob.data[window_off], 'w');
}

static void version_1_leaves_out_checkpoint_0(void **state)
{
    SCOPED(buf_value) struct buf blob = BUF_EMPTY;
    struct zran_zinfo zinfo;
    struct zran_point point;
    struct err err = ERR_NONE;
    uint64_t window_off;

    (void)state;
    make_zinfo(&blob);
    put_u32le(blob.data, 3);
    assert_ok(zran_zinfo_parse(buf_bytes(&blob), &zinfo, &err));
    assert_int_equal(zinfo.count, 3);
    zran_zinfo_point(&zinfo, 0, &point, &window_off);
    assert_int_equal(point.comp_off, 10);
    assert_int_equal(point.uncomp_off, 0);
    assert_int_equal(zran_point_start(&point), 10);
    assert_true(window_off == ZRAN_NO_WINDOW);
    zran_zinfo_point(&zinfo, 2, &point, &window_off);
    assert_int_equal(point.comp_off, 5000);
    assert_int_equal(window_off, 12 + POINT_BYTES + 17);
}

static void version_1_of_one_checkpoint_has_none(void **state)
{
    static const uint8_t blob[12] = {1, 0, 0, 0, 0, 0, 1};
    struct zran_zinfo zinfo;
    struct err err = ERR_NONE;

    (void)state;
    assert_ok(zran_zinfo_parse(bytes_of(blob, sizeof(blob)), &zinfo, &err));
    assert_int_equal(zinfo.count, 1);
    assert_int_equal(zinfo.unstored, 1);
}

static void a_count_that_is_not_what_follows_is_refused(void **state)
{
    static const uint32_t counts[] = {0, 1, 4, 0x7fffffff, 0x80000002, 0xffffffff};
    SCOPED(buf_value) struct buf blob = BUF_EMPTY;
    struct zran_zinfo zinfo;
    struct err err = ERR_NONE;

    (void)state;
    make_zinfo(&blob);
    for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
        put_u32le(blob.data, counts[i]);
        assert_int_equal(zran_zinfo_parse(buf_bytes(&blob), &zinfo, &err), -EBADMSG);
    }
}

static void a_zinfo_of_another_length_is_refused(void **state)
{
    static const size_t lens[] = {0, 4, 11, 12, 13, 12 + POINT_BYTES - 1, 12 + 2 * POINT_BYTES - 1};
    SCOPED(buf_value) struct buf blob = BUF_EMPTY;
    struct zran_zinfo zinfo;
    struct err err = ERR_NONE;

    (void)state;
    make_zinfo(&blob);
    for (size_t i = 0; i < ARRAY_LEN(lens); i++)
        assert_int_equal(zran_zinfo_parse(bytes_of(blob.data, lens[i]), &zinfo, &err), -EBADMSG);
}

static void a_plain_zinfo_is_written_as_the_reference_writes_it(void **state)
{
    static const uint8_t expected[48] = {
        0x14, 0, 0,    0, 0,    0, 0, 0, 0, 0,    0x0a, 0, 0x1c, 0, 0x18, 0,
        0x0c, 0, 0x04, 0, 0x0a, 0, 0, 0, 0, 0xf8, 0x3e, 0, 0,    0, 0,    0,
        0,    0, 0x01, 0, 0,    0, 0, 0, 0, 0,    0,    0, 0x02, 0, 0,    0,
    };
    struct zran_plain plain = {65536, 4126720}, parsed;
    SCOPED(buf_value) struct buf blob = BUF_EMPTY;
    struct err err = ERR_NONE;

    (void)state;
    assert_ok(zran_plain_encode(&plain, &blob));
    assert_int_equal(blob.len, sizeof(expected));
    assert_memory_equal(blob.data, expected, sizeof(expected));
    assert_ok(zran_plain_parse(buf_bytes(&blob), &parsed, &err));
    assert_int_equal(parsed.span_size, 65536);
    assert_int_equal(parsed.size, 4126720);
    assert_int_equal(zran_plain_span_count(&parsed), 63);
    parsed.size = 65536 * 2;
    assert_int_equal(zran_plain_span_count(&parsed), 2);
}

static void a_plain_zinfo_with_impossible_numbers_is_refused(void **state)
{
    static const struct zran_plain bad[] = {{0, 10}, {UINT64_MAX, 10}, {10, UINT64_MAX}};
    struct zran_plain parsed;
    struct err err = ERR_NONE;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        SCOPED(buf_value) struct buf blob = BUF_EMPTY;

        assert_ok(zran_plain_encode(&bad[i], &blob));
        assert_int_equal(zran_plain_parse(buf_bytes(&blob), &parsed, &err), -EBADMSG);
    }
    assert_int_equal(zran_plain_parse((struct bytes){0}, &parsed, &err), -EBADMSG);
    assert_int_equal(zran_plain_parse(bytes_of_str("no FlatBuffer"), &parsed, &err), -EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(version_1_leaves_out_checkpoint_0),
        cmocka_unit_test(version_1_of_one_checkpoint_has_none),
        cmocka_unit_test(a_count_that_is_not_what_follows_is_refused),
        cmocka_unit_test(a_zinfo_of_another_length_is_refused),
        cmocka_unit_test(a_plain_zinfo_is_written_as_the_reference_writes_it),
        cmocka_unit_test(a_plain_zinfo_with_impossible_numbers_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
