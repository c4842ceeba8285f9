/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_grpc.c – the server's side of a connection: HTTP/2 frames, headers, messages in DATA,
 * deadlines, cancels, refusals, answers, the counting of what is held in memory; and the header
 * values on their own. The first byte of the input says whether a preface is put in front (bit 0:
 * no) and how the rest is cut (in pieces of 2^n bytes, the upper bits); handlers run between the
 * pieces, and time passes. */
#include "../unit/grpc_host.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";

/* Values must survive the way there and back. */
static void check_values(struct bytes value)
{
    char timeout[GRPC_TIMEOUT_BYTES], text[128], again[128];
    SCOPED(buf_value) struct buf encoded = BUF_EMPTY;
    int64_t ms, back_ms;

    if (grpc_timeout_parse(value, &ms) == 0) {
        grpc_timeout_format(ms, timeout);
        if (grpc_timeout_parse(bytes_of_str(timeout), &back_ms) < 0 ||
            (ms < 5000000000000 && back_ms < ms))
            abort();
    }
    grpc_percent_decode(value, text, sizeof(text));
    if (grpc_percent_encode(text, &encoded) < 0)
        return;
    grpc_percent_decode(buf_bytes(&encoded), again, sizeof(again));
    if (strcmp(text, again) != 0)
        abort();
}

static void feed(struct host *host, struct bytes in, size_t piece)
{
    while (in.len > 0) {
        struct bytes part = bytes_of(in.data, piece < in.len ? piece : in.len);

        in.data += part.len;
        in.len -= part.len;
        if (host_input(host, part) < 0 || grpc_conn_is_done(host->conn))
            return;
        host_run(host);
        host_pass(host, 7);
        if (atomic_load(&host->shared.held_bytes) > host->shared.max_held_bytes)
            abort();
        host->out.len = 0;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct host *host;
    struct bytes in = bytes_of(data, size);

    if (size == 0)
        return 0;
    check_values(bytes_of(data + 1, size - 1));
    host = host_new();
    if ((data[0] & 1) == 0 && host_input(host, bytes_of(preface, sizeof(preface) - 1)) < 0)
        abort();
    in.data++;
    in.len--;
    feed(host, in, (size_t)1 << (data[0] >> 1 & 15));
    host_pass(host, 5000);
    if (host_free(host) != 0)
        abort();
    return 0;
}
