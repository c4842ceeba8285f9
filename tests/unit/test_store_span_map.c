/* SPDX-License-Identifier: Apache-2.0 */
/* The span map's bytes, against maps that were not written by this code (tests/vectors/spanmap). */
#include "test.h"

#include "store/internal.h"

#include <errno.h>

enum { SPANS = 5 };

struct loaded {
    struct span_map_header header;
    bool known[SPANS];
    uint32_t crc[SPANS];
    uint64_t records;
};

static void load(const char *name, struct loaded *ret)
{
    SCOPED(buf) struct buf *map = vector_load(name);
    struct span_map_table table = {ret->known, ret->crc, SPANS};
    struct err err = ERR_NONE;

    memset(ret, 0, sizeof(*ret));
    assert_ok(span_map_parse_header(buf_bytes(map), &ret->header, &err));
    ret->records = span_map_replay(
        &ret->header, bytes_of(map->data + SPAN_MAP_HEADER_BYTES, map->len - SPAN_MAP_HEADER_BYTES),
        &table);
}

static int parse(const char *name)
{
    SCOPED(buf) struct buf *map = vector_load(name);
    struct span_map_header header;
    struct err err = ERR_NONE;

    return span_map_parse_header(buf_bytes(map), &header, &err);
}

static void a_map_says_whose_it_is_and_what_is_present(void **state)
{
    struct loaded map;

    (void)state;
    load("spanmap/three-records.map", &map);
    assert_int_equal(map.header.span_count, 5);
    assert_int_equal(map.header.data_bytes, 5000);
    assert_int_equal(map.header.layer.sha256[31], 0x11);
    assert_int_equal(map.header.ztoc.sha256[0], 0x22);
    assert_int_equal(map.records, 3);
    assert_true(map.known[0]);
    assert_int_equal(map.crc[0], 7);
    assert_false(map.known[3]); /* was present, was forgotten */
}

static void what_we_write_is_what_others_write(void **state)
{
    SCOPED(buf) struct buf *want = vector_load("spanmap/three-records.map");
    static const struct span_map_record records[] = {
        {3, SPAN_MAP_PRESENT, 0xdeadbeef}, {0, SPAN_MAP_PRESENT, 7}, {3, SPAN_MAP_FORGOTTEN, 0}};
    struct span_map_header header = {
        .span_count = 5, .data_bytes = 5000, .salt = 0x0123456789abcdef};
    uint8_t raw[SPAN_MAP_HEADER_BYTES];
    size_t i;

    (void)state;
    memset(header.layer.sha256, 0x11, DIGEST_BYTES);
    memset(header.ztoc.sha256, 0x22, DIGEST_BYTES);
    span_map_encode_header(&header, raw);
    assert_memory_equal(raw, want->data, sizeof(raw));
    for (i = 0; i < ARRAY_LEN(records); i++) {
        span_map_encode_record(&header, i, &records[i], raw);
        assert_memory_equal(raw, want->data + SPAN_MAP_HEADER_BYTES + i * SPAN_MAP_RECORD_BYTES,
                            SPAN_MAP_RECORD_BYTES);
    }
}

static void the_log_ends_at_the_first_record_that_is_not_one(void **state)
{
    struct loaded map;

    (void)state;
    load("spanmap/torn-second-record.map", &map);
    assert_int_equal(map.records, 1);
    assert_true(map.known[3]);
    load("spanmap/bad-second-record-crc.map", &map);
    assert_int_equal(map.records, 1);
    assert_true(map.known[3]);
    assert_false(map.known[0] || map.known[1]);
}

static void records_out_of_range_or_place_are_refused(void **state)
{
    static const char *const names[] = {"spanmap/bad-span-past-end.map", "spanmap/bad-kind.map",
                                        "spanmap/bad-records-swapped.map"};
    struct loaded map;
    size_t i, n;

    (void)state;
    for (i = 0; i < ARRAY_LEN(names); i++) {
        load(names[i], &map);
        assert_int_equal(map.records, 0);
        for (n = 0; n < SPANS; n++)
            assert_false(map.known[n]);
    }
}

static void damaged_headers_are_refused(void **state)
{
    (void)state;
    assert_int_equal(parse("spanmap/bad-version.map"), -EBADMSG);
    assert_int_equal(parse("spanmap/bad-header-crc.map"), -EBADMSG);
    assert_int_equal(parse("spanmap/bad-short-header.map"), -EBADMSG);
    assert_int_equal(parse("spanmap/bad-magic.map"), -EBADMSG);
    assert_ok(parse("spanmap/header-alone.map"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_map_says_whose_it_is_and_what_is_present),
        cmocka_unit_test(what_we_write_is_what_others_write),
        cmocka_unit_test(the_log_ends_at_the_first_record_that_is_not_one),
        cmocka_unit_test(records_out_of_range_or_place_are_refused),
        cmocka_unit_test(damaged_headers_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
