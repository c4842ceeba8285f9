/* SPDX-License-Identifier: Apache-2.0 */
/* test_grpc_conn.c – what the server's side of a connection answers to good and to hostile bytes.
 */
#include "test.h"

#include "grpc_host.h"

/* ---- a client made of bytes ---------------------------------------------------------------------
 */

static void add_frame(struct buf *out, uint8_t type, uint8_t flags, uint32_t stream,
                      struct bytes payload)
{
    uint8_t head[9];

    put_u32be(head, (uint32_t)payload.len << 8);
    head[3] = type;
    head[4] = flags;
    put_u32be(head + 5, stream);
    assert_ok(buf_add(out, head, sizeof(head)));
    assert_ok(buf_add(out, payload.data, payload.len));
}

static void add_preface(struct buf *out)
{
    assert_ok(buf_add_str(out, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
    add_frame(out, NGHTTP2_SETTINGS, 0, 0, bytes_of(NULL, 0));
}

/* HPACK: a literal that enters no table. */
static void add_header(struct buf *out, const char *name, const char *value)
{
    assert_true(strlen(name) < 127 && strlen(value) < 127);
    assert_ok(buf_add_byte(out, 0));
    assert_ok(buf_add_byte(out, (uint8_t)strlen(name)));
    assert_ok(buf_add_str(out, name));
    assert_ok(buf_add_byte(out, (uint8_t)strlen(value)));
    assert_ok(buf_add_str(out, value));
}

struct request {
    const char *method, *path, *type; /* NULL: POST, /t.T/Say, application/grpc; "": left out */
    const char *extra[4];             /* name, value, name, value */
};

static void add_headers(struct buf *out, uint32_t stream, uint8_t flags, struct request r)
{
    SCOPED(buf_value) struct buf block = BUF_EMPTY;

    add_header(&block, ":method", r.method == NULL ? "POST" : r.method);
    add_header(&block, ":scheme", "http");
    add_header(&block, ":path", r.path == NULL ? "/t.T/Say" : r.path);
    add_header(&block, ":authority", "localhost");
    if (r.type == NULL || r.type[0] != '\0')
        add_header(&block, "content-type", r.type == NULL ? "application/grpc" : r.type);
    if (r.extra[0] != NULL)
        add_header(&block, r.extra[0], r.extra[1]);
    if (r.extra[2] != NULL)
        add_header(&block, r.extra[2], r.extra[3]);
    add_frame(out, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | flags, stream, buf_bytes(&block));
}

static void add_message(struct buf *out, uint32_t stream, uint8_t flags, const char *text)
{
    SCOPED(buf_value) struct buf message = BUF_EMPTY;
    uint8_t prefix[GRPC_PREFIX_BYTES];

    grpc_prefix_put(prefix, strlen(text));
    assert_ok(buf_add(&message, prefix, sizeof(prefix)));
    assert_ok(buf_add_str(&message, text));
    add_frame(out, NGHTTP2_DATA, flags, stream, buf_bytes(&message));
}

/* ---- what came back, as text: `H1 :status=200 …`, `D1 5 bytes in hex`, `R1 8`, `G 0` --------- */

static void say_headers(nghttp2_hd_inflater *inflater, struct bytes block, struct buf *out)
{
    int flags = 0;

    while (block.len > 0 || (flags & NGHTTP2_HD_INFLATE_FINAL) == 0) {
        nghttp2_nv nv;
        ssize_t used = nghttp2_hd_inflate_hd2(inflater, &nv, &flags, block.data, block.len, 1);

        assert_true(used >= 0);
        block.data += used;
        block.len -= (size_t)used;
        if ((flags & NGHTTP2_HD_INFLATE_EMIT) != 0)
            assert_ok(buf_addf(out, " %s=%s", (const char *)nv.name, (const char *)nv.value));
    }
    assert_int_equal(nghttp2_hd_inflate_end_headers(inflater), 0);
}

/* All frames but SETTINGS and WINDOW_UPDATE; a '.' behind one that ends its stream. */
static char *answers(struct host *host)
{
    struct buf out = BUF_EMPTY;
    struct reader r = reader_of(buf_bytes(&host->out));

    if (host->inflater == NULL)
        assert_int_equal(nghttp2_hd_inflate_new(&host->inflater), 0);
    while (reader_left(&r) > 0) {
        uint32_t len = (uint32_t)reader_u8(&r) << 16;
        uint8_t type, flags;
        uint32_t stream;
        struct bytes payload;

        len |= (uint32_t)reader_u8(&r) << 8;
        len |= reader_u8(&r);
        type = reader_u8(&r);
        flags = reader_u8(&r);
        stream = reader_u32be(&r);
        payload = reader_take(&r, len);
        assert_false(reader_failed(&r));
        if (type == NGHTTP2_HEADERS) {
            assert_ok(buf_addf(&out, "H%u", stream));
            say_headers(host->inflater, payload, &out);
        } else if (type == NGHTTP2_DATA) {
            size_t i;

            assert_ok(buf_addf(&out, "D%u ", stream));
            for (i = 0; i < payload.len; i++)
                assert_ok(buf_addf(&out, "%02x", payload.data[i]));
        } else if (type == NGHTTP2_RST_STREAM) {
            assert_ok(buf_addf(&out, "R%u %u", stream, get_u32be(payload.data)));
        } else if (type == NGHTTP2_GOAWAY) {
            assert_ok(buf_addf(&out, "G %u", get_u32be(payload.data + 4)));
        } else if (type == NGHTTP2_PING) {
            assert_ok(buf_addf(&out, "P%u", flags));
        } else {
            continue;
        }
        if ((type == NGHTTP2_HEADERS || type == NGHTTP2_DATA) && (flags & NGHTTP2_FLAG_END_STREAM))
            assert_ok(buf_add_str(&out, "."));
        assert_ok(buf_add_str(&out, "\n"));
    }
    host->out.len = 0;
    return buf_str(&out);
}

static void expect(struct host *host, const char *text)
{
    SCOPED(mem) char *got = answers(host);

    assert_string_equal(got, text);
}

static void expect_part(struct host *host, const char *part)
{
    SCOPED(mem) char *got = answers(host);

    if (strstr(got, part) == NULL)
        fail_msg("no \"%s\" in:\n%s", part, got);
}

static void feed(struct host *host, struct buf *in)
{
    assert_ok(host_input(host, buf_bytes(in)));
    host_run(host);
    assert_ok(host_flush(host));
    in->len = 0;
}

/* One request of one message, with all that it has to say. */
static void ask(struct host *host, uint32_t stream, struct request request, const char *message)
{
    SCOPED(buf_value) struct buf in = BUF_EMPTY;

    add_headers(&in, stream, 0, request);
    add_message(&in, stream, NGHTTP2_FLAG_END_STREAM, message);
    feed(host, &in);
}

static struct host *connected(void)
{
    struct host *host = host_new();
    SCOPED(buf_value) struct buf in = BUF_EMPTY;

    add_preface(&in);
    feed(host, &in);
    expect(host, "");
    return host;
}

/* ---- answers --------------------------------------------------------------------------------- */

#define HEAD "content-type=application/grpc"

static void settings_are_the_first_frame(void **state)
{
    struct host *host = host_new();

    (void)state;
    assert_ok(host_flush(host));
    assert_true(host->out.len > 9);
    assert_int_equal(host->out.data[3], NGHTTP2_SETTINGS);
    assert_int_equal(host_free(host), 0);
}

static void an_answer_is_headers_message_trailers(void **state)
{
    struct host *host = connected();

    (void)state;
    ask(host, 1, (struct request){0}, "hi");
    expect(host, "H1 :status=200 " HEAD "\nD1 00000000026869\nH1 grpc-status=0.\n");
    assert_int_equal(host_free(host), 0);
}

static void no_replies_are_headers_and_trailers(void **state)
{
    struct host *host = connected();
    SCOPED(mem) char *got = NULL;

    (void)state;
    ask(host, 1, (struct request){.path = "/t.T/Spell"}, "");
    got = answers(host);
    assert_non_null(strstr(got, "H1 :status=200 " HEAD "\n"));
    assert_non_null(strstr(got, "H1 grpc-status=0.\n"));
    assert_int_equal(host_free(host), 0);
}

static void an_error_is_one_block_with_its_text_escaped(void **state)
{
    struct host *host = connected();

    (void)state;
    ask(host, 1,
        (struct request){.path = "/t.T/Fail", .extra = {"containerd-namespace", "50% \xc3\xa4"}},
        "hi");
    expect(host, "H1 :status=200 " HEAD " grpc-status=5 grpc-message=nothing in 50%25 %C3%A4.\n");
    assert_int_equal(host_free(host), 0);
}

static void messages_may_come_in_single_bytes(void **state)
{
    struct host *host = connected();
    SCOPED(buf_value) struct buf in = BUF_EMPTY;
    size_t i;

    (void)state;
    add_headers(&in, 1, 0, (struct request){.path = "/t.T/Spell"});
    add_message(&in, 1, NGHTTP2_FLAG_END_STREAM, "ab");
    for (i = 0; i < in.len; i++)
        assert_ok(host_input(host, bytes_of(in.data + i, 1)));
    host_run(host);
    assert_ok(host_flush(host));
    expect(host, "H1 :status=200 " HEAD "\nD1 000000000161000000000162\nH1 grpc-status=0.\n");
    assert_int_equal(host_free(host), 0);
}

static void pings_are_acknowledged(void **state)
{
    struct host *host = connected();
    SCOPED(buf_value) struct buf in = BUF_EMPTY;

    (void)state;
    add_frame(&in, NGHTTP2_PING, 0, 0, bytes_of("12345678", 8));
    feed(host, &in);
    expect(host, "P1\n");
    assert_int_equal(host_free(host), 0);
}

/* ---- refusals -------------------------------------------------------------------------------- */

static void what_is_no_call_is_refused_and_the_connection_lives(void **state)
{
    static const struct {
        struct request request;
        const char *part;
    } rows[] = {
        {{.path = "/t.T/sAY"}, "H1 :status=200 " HEAD " grpc-status=12 "},
        {{.path = "/"}, "grpc-status=12 "},
        {{.type = ""}, "H1 :status=415 " HEAD " grpc-status=3 "},
        {{.type = "application/json"}, "H1 :status=415 "},
        {{.type = "application/grpcx"}, "H1 :status=415 "},
        {{.method = "GET"}, "H1 :status=405 "},
        {{.extra = {"grpc-encoding", "gzip"}}, "H1 :status=200 " HEAD " grpc-status=12 "},
        {{.extra = {"grpc-timeout", "1 s"}}, "H1 :status=200 " HEAD " grpc-status=13 "},
        {{.extra = {"grpc-timeout", "123456789S"}}, "grpc-status=13 "},
    };
    size_t i;

    (void)state;
    for (i = 0; i < ARRAY_LEN(rows); i++) {
        struct host *host = connected();

        ask(host, 1, rows[i].request, "hi");
        expect_part(host, rows[i].part);
        ask(host, 3, (struct request){.type = "application/grpc+proto"}, "ok");
        expect_part(host, "D3 00000000026f6b\nH3 grpc-status=0.\n");
        assert_int_equal(host_free(host), 0);
    }
}

/* te: trailers is said by every client and needed by none here; identity is no compression. */
static void headers_that_change_nothing_are_accepted(void **state)
{
    struct host *host = connected();

    (void)state;
    ask(host, 1,
        (struct request){.extra = {"grpc-encoding", "identity", "grpc-accept-encoding", "gzip"}},
        "");
    expect_part(host, "H1 grpc-status=0.\n");
    assert_int_equal(host_free(host), 0);
}

static void feed_data(struct host *host, uint8_t flags, const void *data, size_t len)
{
    SCOPED(buf_value) struct buf in = BUF_EMPTY;

    add_headers(&in, 1, 0, (struct request){0});
    add_frame(&in, NGHTTP2_DATA, flags, 1, bytes_of(data, len));
    feed(host, &in);
}

static void messages_that_break_the_rules_are_refused(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
        uint8_t flags;
        const char *part;
    } rows[] = {
        {"\1\0\0\0\1x", 6, NGHTTP2_FLAG_END_STREAM, "grpc-status=12 "}, /* compressed */
        {"\2\0\0\0\1x", 6, NGHTTP2_FLAG_END_STREAM, "grpc-status=13 "}, /* no such flag */
        {"\0\0\1\x86\xa1x", 6, 0, "grpc-status=8 "},                    /* one too long */
        {"\0\xff\xff\xff\xffx", 6, 0, "grpc-status=8 "},                /* much too long */
        {"\0\0\0\0\2x", 6, NGHTTP2_FLAG_END_STREAM, "grpc-status=13 "}, /* ends inside */
        {"\0\0\0", 3, NGHTTP2_FLAG_END_STREAM, "grpc-status=13 "},      /* inside the prefix */
        {"", 0, NGHTTP2_FLAG_END_STREAM, "grpc-status=13 "},            /* none */
        {"\0\0\0\0\1x\0\0\0\0\1y", 12, NGHTTP2_FLAG_END_STREAM, "grpc-status=13 "}, /* two */
    };
    size_t i;

    (void)state;
    for (i = 0; i < ARRAY_LEN(rows); i++) {
        struct host *host = connected();

        feed_data(host, rows[i].flags, rows[i].bytes, rows[i].len);
        expect_part(host, rows[i].part);
        ask(host, 3, (struct request){0}, "ok");
        expect_part(host, "H3 grpc-status=0.\n");
        assert_int_equal(host_free(host), 0);
    }
}

static void a_refused_request_need_not_be_sent_to_its_end(void **state)
{
    struct host *host = connected();

    (void)state;
    feed_data(host, 0, "\0\0\1\x86\xa1x", 6);
    expect(host, "H1 :status=200 " HEAD " grpc-status=8 grpc-message=grpc: received message larger "
                 "than max (100001 vs. 100000).\nR1 0\n");
    assert_int_equal(host_free(host), 0);
}

static void headers_beyond_the_limit_are_refused(void **state)
{
    struct host *host = connected();
    SCOPED(buf_value) struct buf in = BUF_EMPTY;
    SCOPED(buf_value) struct buf block = BUF_EMPTY;
    int i;

    (void)state;
    add_header(&block, ":method", "POST");
    add_header(&block, ":scheme", "http");
    add_header(&block, ":path", "/t.T/Say");
    add_header(&block, ":authority", "localhost");
    add_header(&block, "content-type", "application/grpc");
    for (i = 0; i < 150; i++)
        add_header(&block, "x-filler",
                   "0123456789012345678901234567890123456789012345678901234567890123456789"
                   "01234567890123456789012345678901234567");
    add_frame(&in, NGHTTP2_HEADERS, 0, 1, bytes_of(block.data, 10000));
    add_frame(&in, NGHTTP2_CONTINUATION, NGHTTP2_FLAG_END_HEADERS, 1,
              bytes_of(block.data + 10000, block.len - 10000));
    feed(host, &in);
    expect_part(host, " grpc-status=8 ");
    ask(host, 3, (struct request){0}, "ok");
    expect_part(host, "H3 grpc-status=0.\n");
    assert_int_equal(host_free(host), 0);
}

static void what_is_no_http2_is_hung_up_on(void **state)
{
    struct host *host = host_new();

    (void)state;
    assert_true(host_input(host, bytes_of_str("GET / HTTP/1.1\r\nHost: x\r\n\r\n")) < 0);
    assert_true(grpc_conn_is_done(host->conn));
    assert_int_equal(host_free(host), 0);
}

static void a_broken_frame_ends_the_connection_with_a_reason(void **state)
{
    struct host *host = connected();
    SCOPED(buf_value) struct buf in = BUF_EMPTY;

    (void)state;
    add_frame(&in, NGHTTP2_DATA, 0, 0, bytes_of("x", 1)); /* data of no stream */
    (void)host_input(host, buf_bytes(&in));
    expect_part(host, "G 1\n");
    assert_true(grpc_conn_is_done(host->conn));
    assert_int_equal(host_free(host), 0);
}

/* ---- time, cancelling, memory ---------------------------------------------------------------- */

static void a_deadline_is_answered_while_the_handler_has_not_even_begun(void **state)
{
    struct host *host = connected();
    SCOPED(buf_value) struct buf in = BUF_EMPTY;

    (void)state;
    add_headers(&in, 1, 0, (struct request){.extra = {"grpc-timeout", "50m"}});
    add_message(&in, 1, NGHTTP2_FLAG_END_STREAM, "hi");
    assert_ok(host_input(host, buf_bytes(&in)));
    assert_int_equal(host->started_count, 1);
    assert_int_equal(grpc_call_deadline_ms(host->started[0]), host->now_ms + 50);
    host_pass(host, 49);
    expect(host, "");
    assert_int_equal(host->again_ms, host->now_ms + 1);
    host_pass(host, 1);
    expect(host, "H1 :status=200 " HEAD " grpc-status=4 grpc-message=context deadline exceeded.\n");
    assert_true(grpc_call_is_cancelled(host->started[0]));
    host_run(host); /* what it says now is for nobody */
    assert_ok(host_flush(host));
    expect(host, "");
    assert_int_equal(host_free(host), 0);
}

static void a_deadline_ends_a_request_that_never_ends(void **state)
{
    struct host *host = connected();
    SCOPED(buf_value) struct buf in = BUF_EMPTY;

    (void)state;
    add_headers(&in, 1, 0, (struct request){.extra = {"grpc-timeout", "1S"}});
    feed(host, &in);
    host_pass(host, 1000);
    expect_part(host, " grpc-status=4 ");
    assert_int_equal(host_free(host), 0);
}

static void a_cancelled_call_does_not_run(void **state)
{
    struct host *host = connected();
    SCOPED(buf_value) struct buf in = BUF_EMPTY;
    uint8_t cancel[4] = {0, 0, 0, NGHTTP2_CANCEL};

    (void)state;
    add_headers(&in, 1, 0, (struct request){0});
    add_message(&in, 1, NGHTTP2_FLAG_END_STREAM, "hi");
    assert_ok(host_input(host, buf_bytes(&in)));
    in.len = 0;
    add_frame(&in, NGHTTP2_RST_STREAM, 0, 1, bytes_of(cancel, 4));
    assert_ok(host_input(host, buf_bytes(&in)));
    assert_true(grpc_call_is_cancelled(host->started[0]));
    assert_null(host->started[0]->request); /* nor does it hold what it was sent */
    host_run(host);
    assert_ok(host_flush(host));
    expect(host, "");
    assert_int_equal(host_free(host), 0);
}

static void requests_in_memory_are_bounded(void **state)
{
    struct host *host = connected();
    SCOPED(buf_value) struct buf in = BUF_EMPTY;
    uint8_t piece[16000] = {0, 0, 1, 0x86, 0xa0}; /* of a message of 100,000 bytes */
    uint32_t stream;
    int i;

    (void)state;
    for (stream = 1; stream < 9; stream += 2)
        add_headers(&in, stream, 0, (struct request){0});
    for (i = 0; i < 6; i++) { /* four times 96,000 are more than may be held */
        for (stream = 1; stream < 9; stream += 2)
            add_frame(&in, NGHTTP2_DATA, 0, stream, bytes_of(piece, sizeof(piece)));
        memset(piece, 0, 5);
    }
    feed(host, &in);
    assert_true(atomic_load(&host->shared.held_bytes) <= host->shared.max_held_bytes);
    expect_part(host, " grpc-status=8 grpc-message=too many requests are held in memory.\n");
    assert_int_equal(host_free(host), 0);
}

static void calls_that_come_and_go_do_not_pile_up(void **state)
{
    struct host *host = connected();
    SCOPED(buf_value) struct buf in = BUF_EMPTY;
    uint8_t cancel[4] = {0, 0, 0, NGHTTP2_CANCEL};
    uint32_t stream;

    (void)state;
    for (stream = 1; stream < 4000; stream += 2) {
        add_headers(&in, stream, 0, (struct request){0});
        add_message(&in, stream, NGHTTP2_FLAG_END_STREAM, "hi");
        add_frame(&in, NGHTTP2_RST_STREAM, 0, stream, bytes_of(cancel, 4));
    }
    (void)host_input(host, buf_bytes(&in)); /* nghttp2 may call it enough before the end */
    assert_true(atomic_load(&host->shared.held_bytes) <= host->shared.max_held_bytes);
    assert_true(host->started_count < 400);
    assert_int_equal(host_free(host), 0);
}

static void replies_that_nobody_takes_are_dropped_in_time(void **state)
{
    struct host *host = connected();
    SCOPED(buf_value) struct buf in = BUF_EMPTY;
    uint8_t no_window[6] = {0, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0, 0, 0, 0};

    (void)state;
    add_frame(&in, NGHTTP2_SETTINGS, 0, 0, bytes_of(no_window, 6));
    feed(host, &in);
    ask(host, 1, (struct request){0}, "hi");
    expect(host, "H1 :status=200 " HEAD "\n");
    host_pass(host, 900);
    expect(host, "");
    host_pass(host, 1200);
    expect(host, "R1 8\n");
    assert_false(grpc_conn_has_calls(host->conn));
    assert_int_equal(host_free(host), 0);
}

static void after_shutdown_new_calls_are_not_taken_and_old_ones_end(void **state)
{
    struct host *host = connected();
    SCOPED(buf_value) struct buf in = BUF_EMPTY;

    (void)state;
    add_headers(&in, 1, 0, (struct request){0});
    add_message(&in, 1, NGHTTP2_FLAG_END_STREAM, "hi");
    assert_ok(host_input(host, buf_bytes(&in)));
    grpc_conn_shutdown(host->conn);
    assert_ok(host_flush(host));
    expect(host, "G 0\n");
    in.len = 0;
    add_headers(&in, 3, NGHTTP2_FLAG_END_STREAM, (struct request){0});
    assert_ok(host_input(host, buf_bytes(&in)));
    assert_int_equal(host->started_count, 1);
    host_run(host);
    assert_ok(host_flush(host));
    expect_part(host, "H1 grpc-status=0.\n");
    assert_false(grpc_conn_has_calls(host->conn));
    assert_int_equal(host_free(host), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_are_the_first_frame),
        cmocka_unit_test(an_answer_is_headers_message_trailers),
        cmocka_unit_test(no_replies_are_headers_and_trailers),
        cmocka_unit_test(an_error_is_one_block_with_its_text_escaped),
        cmocka_unit_test(messages_may_come_in_single_bytes),
        cmocka_unit_test(pings_are_acknowledged),
        cmocka_unit_test(what_is_no_call_is_refused_and_the_connection_lives),
        cmocka_unit_test(headers_that_change_nothing_are_accepted),
        cmocka_unit_test(messages_that_break_the_rules_are_refused),
        cmocka_unit_test(a_refused_request_need_not_be_sent_to_its_end),
        cmocka_unit_test(headers_beyond_the_limit_are_refused),
        cmocka_unit_test(what_is_no_http2_is_hung_up_on),
        cmocka_unit_test(a_broken_frame_ends_the_connection_with_a_reason),
        cmocka_unit_test(a_deadline_is_answered_while_the_handler_has_not_even_begun),
        cmocka_unit_test(a_deadline_ends_a_request_that_never_ends),
        cmocka_unit_test(a_cancelled_call_does_not_run),
        cmocka_unit_test(requests_in_memory_are_bounded),
        cmocka_unit_test(calls_that_come_and_go_do_not_pile_up),
        cmocka_unit_test(replies_that_nobody_takes_are_dropped_in_time),
        cmocka_unit_test(after_shutdown_new_calls_are_not_taken_and_old_ones_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
