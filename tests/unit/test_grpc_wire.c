/* SPDX-License-Identifier: Apache-2.0 */
/* test_grpc_wire.c – messages in DATA, header values, status codes. */
#include "test.h"

#include "grpc/internal.h"

/* ---- messages -------------------------------------------------------------------------------- */

/* What comes out when `wire` arrives in pieces of `piece` bytes: the messages, each with a '|'
 * behind. */
static int deframe(struct bytes wire, size_t piece, size_t max_bytes, char out[256], bool *inside)
{
    struct grpc_deframer d;
    SCOPED(buf_value) struct buf got = BUF_EMPTY;
    int rc = 0;

    grpc_deframer_init(&d, max_bytes);
    while (wire.len > 0 && rc == 0) {
        struct bytes in = bytes_of(wire.data, piece < wire.len ? piece : wire.len);

        wire.data += in.len;
        wire.len -= in.len;
        while (in.len > 0 && rc == 0) {
            SCOPED(buf) struct buf *message = NULL;

            rc = grpc_deframer_feed(&d, &in, &message, NULL);
            if (message == NULL)
                continue;
            assert_ok(buf_add(&got, message->data, message->len));
            assert_ok(buf_add_str(&got, "|"));
        }
    }
    *inside = grpc_deframer_is_inside(&d);
    grpc_deframer_fini(&d);
    (void)snprintf(out, 256, "%s", buf_str(&got));
    return rc;
}

static void messages_are_found_however_they_are_cut(void **state)
{
    static const char wire[] = "\0\0\0\0\3abc\0\0\0\0\0\0\0\0\0\1d";
    size_t piece;

    (void)state;
    for (piece = 1; piece < sizeof(wire); piece++) {
        char out[256];
        bool inside;

        assert_ok(deframe(bytes_of(wire, sizeof(wire) - 1), piece, 3, out, &inside));
        assert_string_equal(out, "abc||d|");
        assert_false(inside);
    }
}

static void a_cut_message_is_known_as_such(void **state)
{
    char out[256];
    bool inside;
    size_t len;

    (void)state;
    for (len = 1; len < 8; len++) {
        assert_ok(deframe(bytes_of("\0\0\0\0\3abc", len), 100, 3, out, &inside));
        assert_true(inside);
        assert_string_equal(out, "");
    }
}

static void a_message_past_the_limit_is_refused_by_its_prefix(void **state)
{
    char out[256];
    bool inside;

    (void)state;
    assert_int_equal(deframe(bytes_of("\0\0\0\0\4", 5), 1, 3, out, &inside), -EFBIG);
    assert_int_equal(deframe(bytes_of("\0\xff\xff\xff\xff", 5), 5, 3, out, &inside), -EFBIG);
}

static void compressed_and_unknown_flags_are_refused(void **state)
{
    char out[256];
    bool inside;

    (void)state;
    assert_int_equal(deframe(bytes_of("\1\0\0\0\0", 5), 5, 3, out, &inside), -EOPNOTSUPP);
    assert_int_equal(deframe(bytes_of("\2\0\0\0\0", 5), 5, 3, out, &inside), -EPROTO);
    assert_int_equal(deframe(bytes_of("\x80\0\0\0\0", 5), 5, 3, out, &inside), -EPROTO);
}

static void a_promised_length_costs_no_memory(void **state)
{
    struct grpc_deframer d;
    struct bytes in = bytes_of("\0\0\xff\xff\xffx", 6);
    SCOPED(buf) struct buf *message = NULL;

    (void)state;
    grpc_deframer_init(&d, GRPC_MESSAGE_MAX_BYTES);
    assert_ok(grpc_deframer_feed(&d, &in, &message, NULL));
    assert_null(message);
    assert_non_null(d.message);
    assert_in_range(d.message->cap, 1, 4096);
    grpc_deframer_fini(&d);
}

static void chunks_come_out_framed_and_in_order(void **state)
{
    struct grpc_chunks chunks = {.head = NULL};
    uint8_t out[32];

    (void)state;
    assert_int_equal(grpc_chunks_take(&chunks, out, sizeof(out)), 0);
    assert_ok(grpc_chunks_add(&chunks, bytes_of("ab", 2)));
    assert_ok(grpc_chunks_add(&chunks, bytes_of(NULL, 0)));
    assert_int_equal(chunks.bytes, 12);
    assert_int_equal(grpc_chunks_take(&chunks, out, 6), 6);
    assert_memory_equal(out, "\0\0\0\0\2a", 6);
    assert_int_equal(grpc_chunks_take(&chunks, out, sizeof(out)), 6);
    assert_memory_equal(out, "b\0\0\0\0\0", 6);
    assert_int_equal(chunks.bytes, 0);
    grpc_chunks_fini(&chunks);
}

static void a_message_that_has_begun_is_not_dropped(void **state)
{
    struct grpc_chunks chunks = {.head = NULL};
    uint8_t out[32];

    (void)state;
    assert_ok(grpc_chunks_add(&chunks, bytes_of("ab", 2)));
    assert_ok(grpc_chunks_add(&chunks, bytes_of("cd", 2)));
    assert_int_equal(grpc_chunks_take(&chunks, out, 1), 1);
    grpc_chunks_drop_unbegun(&chunks);
    assert_int_equal(chunks.bytes, 6);
    assert_ok(grpc_chunks_add(&chunks, bytes_of("e", 1))); /* the queue is as good as before */
    assert_int_equal(grpc_chunks_take(&chunks, out, sizeof(out)), 12);
    assert_memory_equal(out, "\0\0\0\2ab\0\0\0\0\1e", 12);
    assert_ok(grpc_chunks_add(&chunks, bytes_of("f", 1)));
    grpc_chunks_drop_unbegun(&chunks);
    assert_int_equal(chunks.bytes, 0);
    assert_ok(grpc_chunks_add(&chunks, bytes_of("g", 1)));
    assert_int_equal(chunks.bytes, 6);
    grpc_chunks_fini(&chunks);
}

/* ---- header values --------------------------------------------------------------------------- */

static void status_text_is_escaped_and_back(void **state)
{
    static const char *const rows[][2] = {
        {"", ""},
        {"plain text ~", "plain text ~"},
        {"100%", "100%25"},
        {"a\nb\x7f", "a%0Ab%7F"},
        {"\xc3\xa4", "%C3%A4"},
    };
    size_t i;

    (void)state;
    for (i = 0; i < ARRAY_LEN(rows); i++) {
        SCOPED(buf_value) struct buf out = BUF_EMPTY;
        char back[64];

        assert_ok(grpc_percent_encode(rows[i][0], &out));
        assert_string_equal(buf_str(&out), rows[i][1]);
        grpc_percent_decode(buf_bytes(&out), back, sizeof(back));
        assert_string_equal(back, rows[i][0]);
    }
}

static void escapes_that_are_none_stand_for_themselves(void **state)
{
    char out[64];

    (void)state;
    grpc_percent_decode(bytes_of_str("%"), out, sizeof(out));
    assert_string_equal(out, "%");
    grpc_percent_decode(bytes_of_str("50%a"), out, sizeof(out));
    assert_string_equal(out, "50%a");
    grpc_percent_decode(bytes_of_str("%zz%4a%4A%0g"), out, sizeof(out));
    assert_string_equal(out, "%zzJJ%0g");
    grpc_percent_decode(bytes_of_str("a%00b"), out, sizeof(out));
    assert_string_equal(out, "a b");
    grpc_percent_decode(bytes_of_str("%41%42%43"), out, 3);
    assert_string_equal(out, "AB");
}

static void timeouts_are_read_in_every_unit(void **state)
{
    static const struct {
        const char *text;
        int64_t ms;
    } rows[] = {
        {"0n", 0},
        {"1n", 1},
        {"1000000n", 1},
        {"1000001n", 2},
        {"1u", 1},
        {"2500u", 3},
        {"7m", 7},
        {"10S", 10000},
        {"2M", 120000},
        {"1H", 3600000},
        {"0S", 0},
        {"99999999m", 99999999},
        {"99999999H", 359999996400000},
    };
    size_t i;

    (void)state;
    for (i = 0; i < ARRAY_LEN(rows); i++) {
        int64_t ms = -1;

        assert_ok(grpc_timeout_parse(bytes_of_str(rows[i].text), &ms));
        assert_int_equal(ms, rows[i].ms);
    }
}

static void timeouts_that_are_none_are_refused(void **state)
{
    static const char *const rows[] = {"",    "S",   "1",          "1s",  "-1S",
                                       "+1S", "1 S", "123456789S", "1SS", "0x1S"};
    size_t i;

    (void)state;
    for (i = 0; i < ARRAY_LEN(rows); i++) {
        int64_t ms = -1;

        assert_int_equal(grpc_timeout_parse(bytes_of_str(rows[i]), &ms), -EINVAL);
        assert_int_equal(ms, -1);
    }
}

static void timeouts_are_written_so_that_they_are_not_shorter(void **state)
{
    static const int64_t rows[] = {0,         1,           99999999,    100000000,
                                   100000001, 99999999000, 99999999001, 5999999940000};
    char out[GRPC_TIMEOUT_BYTES];
    size_t i;

    (void)state;
    for (i = 0; i < ARRAY_LEN(rows); i++) {
        int64_t ms = -1;

        grpc_timeout_format(rows[i], out);
        assert_ok(grpc_timeout_parse(bytes_of_str(out), &ms));
        assert_true(ms >= rows[i] && ms <= rows[i] + 60000);
    }
    grpc_timeout_format(-5, out);
    assert_string_equal(out, "0m");
    grpc_timeout_format(INT64_MAX, out);
    assert_string_equal(out, "99999999M");
}

static void content_types_of_grpc_are_told_from_others(void **state)
{
    (void)state;
    assert_true(grpc_content_type_is_ok(bytes_of_str("application/grpc")));
    assert_true(grpc_content_type_is_ok(bytes_of_str("application/grpc+proto")));
    assert_true(grpc_content_type_is_ok(bytes_of_str("application/grpc;charset=x")));
    assert_false(grpc_content_type_is_ok(bytes_of_str("application/grpc-web")));
    assert_false(grpc_content_type_is_ok(bytes_of_str("application/grp")));
    assert_false(grpc_content_type_is_ok(bytes_of_str("")));
}

static void errnos_and_codes_are_translated_both_ways(void **state)
{
    static const struct {
        int rc, status, back;
    } rows[] = {
        {0, 0, 0},
        {-ECANCELED, 1, -ECANCELED},
        {-EIO, 2, -EIO},
        {-EINVAL, 3, -EINVAL},
        {-ETIMEDOUT, 4, -ETIMEDOUT},
        {-ENOENT, 5, -ENOENT},
        {-EEXIST, 6, -EEXIST},
        {-EACCES, 7, -EACCES},
        {-EFBIG, 8, -EFBIG},
        {-ENOSPC, 8, -EFBIG},
        {-ENOMEM, 8, -EFBIG},
        {-EBUSY, 9, -EBUSY},
        {-EOPNOTSUPP, 12, -EOPNOTSUPP},
        {-ENOSYS, 12, -EOPNOTSUPP},
        {-EAGAIN, 14, -EAGAIN},
        {-EBADMSG, 15, -EBADMSG},
        {-EPROTO, 2, -EIO},
        {-12345, 2, -EIO},
    };
    size_t i;

    (void)state;
    for (i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(grpc_status_of(rows[i].rc), rows[i].status);
        assert_int_equal(grpc_errno_of(rows[i].status), rows[i].back);
    }
    assert_int_equal(grpc_errno_of(10), -EAGAIN);
    assert_int_equal(grpc_errno_of(11), -EINVAL);
    assert_int_equal(grpc_errno_of(16), -EACCES);
    assert_int_equal(grpc_errno_of(99), -EIO);
    assert_int_equal(grpc_errno_of(-1), -EIO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_are_found_however_they_are_cut),
        cmocka_unit_test(a_cut_message_is_known_as_such),
        cmocka_unit_test(a_message_past_the_limit_is_refused_by_its_prefix),
        cmocka_unit_test(compressed_and_unknown_flags_are_refused),
        cmocka_unit_test(a_promised_length_costs_no_memory),
        cmocka_unit_test(chunks_come_out_framed_and_in_order),
        cmocka_unit_test(a_message_that_has_begun_is_not_dropped),
        cmocka_unit_test(status_text_is_escaped_and_back),
        cmocka_unit_test(escapes_that_are_none_stand_for_themselves),
        cmocka_unit_test(timeouts_are_read_in_every_unit),
        cmocka_unit_test(timeouts_that_are_none_are_refused),
        cmocka_unit_test(timeouts_are_written_so_that_they_are_not_shorter),
        cmocka_unit_test(content_types_of_grpc_are_told_from_others),
        cmocka_unit_test(errnos_and_codes_are_translated_both_ways),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
