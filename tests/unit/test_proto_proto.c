/* SPDX-License-Identifier: Apache-2.0 */
/* test_proto_proto.c – messages to bytes and back, and what is refused. */
#include "test.h"

#include "proto/proto.h"
#include "proto/snapshots.pb-c.h"

static void labels_survive_the_way_to_bytes_and_back(void **state)
{
    SCOPED(text_map) struct text_map labels = TEXT_MAP_EMPTY;
    SCOPED(text_map) struct text_map back = TEXT_MAP_EMPTY;
    SCOPED(proto_pairs) struct proto_pairs pairs = PROTO_PAIRS_NONE;
    SCOPED(buf_value) struct buf bytes = BUF_EMPTY;
    SCOPED(proto) Wire__SnapshotPrepareRequest *got = NULL;
    Wire__SnapshotPrepareRequest req;

    (void)state;
    wire__snapshot_prepare_request__init(&req);
    assert_ok(text_map_set(&labels, "containerd.io/snapshot.ref", "sha256:1"));
    assert_ok(text_map_set(&labels, "empty", ""));
    assert_ok(proto_pairs_of(&labels, &pairs));
    req.key = (char[]){"default/1/extract x"};
    req.n_labels = pairs.count;
    req.labels = pairs.items;
    assert_ok(proto_pack(&req.base, &bytes, NULL));
    assert_ok(
        proto_unpack(&wire__snapshot_prepare_request__descriptor, buf_bytes(&bytes), &got, NULL));
    assert_string_equal(got->key, "default/1/extract x");
    assert_string_equal(got->parent, "");
    assert_ok(proto_pairs_to_map(got->n_labels, got->labels, &back));
    assert_int_equal(back.count, 2);
    assert_string_equal(text_map_get(&back, "containerd.io/snapshot.ref"), "sha256:1");
    assert_string_equal(text_map_get(&back, "empty"), "");
}

static void a_pair_is_encoded_as_an_entry_of_a_map(void **state)
{
    /* field 4, length 6: key "a" (field 1), value "b" (field 2) */
    static const uint8_t wire[] = {0x22, 6, 0x0a, 1, 'a', 0x12, 1, 'b'};
    SCOPED(text_map) struct text_map labels = TEXT_MAP_EMPTY;
    SCOPED(proto_pairs) struct proto_pairs pairs = PROTO_PAIRS_NONE;
    SCOPED(buf_value) struct buf bytes = BUF_EMPTY;
    Wire__SnapshotPrepareRequest req;

    (void)state;
    wire__snapshot_prepare_request__init(&req);
    assert_ok(text_map_set(&labels, "a", "b"));
    assert_ok(proto_pairs_of(&labels, &pairs));
    req.n_labels = pairs.count;
    req.labels = pairs.items;
    assert_ok(proto_pack(&req.base, &bytes, NULL));
    assert_int_equal(bytes.len, sizeof(wire));
    assert_memory_equal(bytes.data, wire, sizeof(wire));
}

static void unknown_fields_are_skipped(void **state)
{
    /* key = "k" in field 2, then field 99 (varint) and field 100 (bytes) */
    static const uint8_t wire[] = {0x12, 1, 'k', 0x98, 0x06, 7, 0xa2, 0x06, 2, 'x', 'y'};
    SCOPED(proto) Wire__SnapshotKeyRequest *got = NULL;

    (void)state;
    assert_ok(proto_unpack(&wire__snapshot_key_request__descriptor, bytes_of(wire, sizeof(wire)),
                           &got, NULL));
    assert_string_equal(got->key, "k");
}

static void an_empty_message_has_no_bytes(void **state)
{
    SCOPED(buf_value) struct buf bytes = BUF_EMPTY;
    SCOPED(proto) Wire__Empty *got = NULL;
    Wire__Empty empty = WIRE__EMPTY__INIT;

    (void)state;
    assert_ok(proto_pack(&empty.base, &bytes, NULL));
    assert_int_equal(bytes.len, 0);
    assert_ok(proto_unpack(&wire__empty__descriptor, buf_bytes(&bytes), &got, NULL));
    assert_non_null(got);
}

static void a_length_past_the_end_is_refused(void **state)
{
    static const uint8_t wire[] = {0x12, 9, 'k'};
    struct err err = ERR_NONE;
    SCOPED(proto) Wire__SnapshotKeyRequest *got = NULL;

    (void)state;
    assert_int_equal(proto_unpack(&wire__snapshot_key_request__descriptor,
                                  bytes_of(wire, sizeof(wire)), &got, &err),
                     -EBADMSG);
    assert_null(got);
}

static void a_string_that_is_not_utf8_is_refused_at_any_depth(void **state)
{
    static const uint8_t flat[] = {0x12, 1, 0xff};
    static const uint8_t deep[] = {0x22, 6, 0x0a, 1, 'a', 0x12, 1, 0xc0};
    SCOPED(proto) Wire__SnapshotPrepareRequest *got = NULL;

    (void)state;
    assert_int_equal(proto_unpack(&wire__snapshot_prepare_request__descriptor,
                                  bytes_of(flat, sizeof(flat)), &got, NULL),
                     -EBADMSG);
    assert_int_equal(proto_unpack(&wire__snapshot_prepare_request__descriptor,
                                  bytes_of(deep, sizeof(deep)), &got, NULL),
                     -EBADMSG);
    assert_null(got);
}

/* "a", NUL, "b" would be the key "a" in C. */
static void a_string_with_a_nul_is_refused_at_any_depth(void **state)
{
    static const uint8_t flat[] = {0x12, 3, 'a', 0, 'b'};
    static const uint8_t deep[] = {0x22, 7, 0x0a, 1, 'a', 0x12, 2, 0, 'c'};
    static const uint8_t unknown[] = {0x7a, 2, 0, 'x', 0x12, 1, 'a'};
    SCOPED(proto) Wire__SnapshotPrepareRequest *got = NULL;

    (void)state;
    assert_int_equal(proto_unpack(&wire__snapshot_prepare_request__descriptor,
                                  bytes_of(flat, sizeof(flat)), &got, NULL),
                     -EBADMSG);
    assert_int_equal(proto_unpack(&wire__snapshot_prepare_request__descriptor,
                                  bytes_of(deep, sizeof(deep)), &got, NULL),
                     -EBADMSG);
    assert_null(got);
    assert_ok(proto_unpack(&wire__snapshot_prepare_request__descriptor,
                           bytes_of(unknown, sizeof(unknown)), &got, NULL));
    assert_string_equal(got->key, "a");
}

static void times_before_1970_have_a_fraction_that_counts_forward(void **state)
{
    Wire__Timestamp time = proto_time(-1);

    (void)state;
    assert_int_equal(time.seconds, -1);
    assert_int_equal(time.nanos, 999999999);
    time = proto_time(1700000000000000123);
    assert_int_equal(time.seconds, 1700000000);
    assert_int_equal(time.nanos, 123);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(labels_survive_the_way_to_bytes_and_back),
        cmocka_unit_test(a_pair_is_encoded_as_an_entry_of_a_map),
        cmocka_unit_test(unknown_fields_are_skipped),
        cmocka_unit_test(an_empty_message_has_no_bytes),
        cmocka_unit_test(a_length_past_the_end_is_refused),
        cmocka_unit_test(a_string_that_is_not_utf8_is_refused_at_any_depth),
        cmocka_unit_test(a_string_with_a_nul_is_refused_at_any_depth),
        cmocka_unit_test(times_before_1970_have_a_fraction_that_counts_forward),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
