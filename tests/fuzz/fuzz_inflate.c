/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_inflate.c – what readers are served held against zlib's inflate from the same checkpoint:
 * the same streams are refused, the same bytes come out, whichever library did it.
 *
 * Input: a byte for the bits before the first whole byte, two that say how many bytes are wanted,
 * two that seed the window, then the span. */
#include "zran/zran.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_OUT_BYTES = 1 << 20, HEAD_BYTES = 5, TRAILER_BYTES = 8 };

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

static int take(void *arg, struct bytes out, struct err *err)
{
    struct buf *got = arg;

    (void)err;
    CHECK(out.len > 0 && out.len <= 128 * 1024);
    return buf_add(got, out.data, out.len);
}

/* The first member raw, those behind it with their wrapping, as the format says. */
static bool inflate_by_zlib(uint8_t bits, const uint8_t *window, uint8_t *comp, size_t len,
                            size_t want, uint8_t *out)
{
    z_stream z = {.next_in = comp, .avail_in = (uInt)len};
    bool raw = true;
    int rc = Z_OK;

    CHECK(inflateInit2(&z, -15) == Z_OK);
    if (bits != 0 && len > 0) {
        CHECK(inflatePrime(&z, bits, comp[0] >> (8 - bits)) == Z_OK);
        z.next_in++;
        z.avail_in--;
    }
    CHECK(inflateSetDictionary(&z, window, ZRAN_WINDOW_BYTES) == Z_OK);
    z.next_out = out;
    z.avail_out = (uInt)want;
    while (rc == Z_OK && z.avail_out > 0) {
        rc = inflate(&z, Z_NO_FLUSH);
        if (rc != Z_STREAM_END || z.avail_out == 0)
            continue;
        if (raw && z.avail_in < TRAILER_BYTES)
            break;
        z.next_in += raw ? TRAILER_BYTES : 0;
        z.avail_in -= raw ? TRAILER_BYTES : 0;
        raw = false;
        if (z.avail_in == 0)
            break;
        rc = inflateReset2(&z, 47);
    }
    CHECK(inflateEnd(&z) == Z_OK);
    return z.avail_out == 0 && (rc == Z_OK || rc == Z_STREAM_END) && (bits == 0 || len > 0);
}

static int take_some(void *arg, struct bytes out, struct err *err)
{
    struct buf *got = arg;

    return got->len > MAX_OUT_BYTES ? err_set(err, -EFBIG, "enough") : take(arg, out, err);
}

/* To the end it is the same, and more. */
static void check_to_end(uint8_t bits, const uint8_t *window, struct bytes comp,
                         const struct buf *want)
{
    struct buf got = BUF_EMPTY;
    struct err err = ERR_NONE;
    int rc = zran_inflate_to_end(bits, window, comp, 0, take_some, &got, &err);

    CHECK(rc == 0 || rc == -EBADMSG || rc == -EFBIG);
    if (rc != -EBADMSG)
        CHECK(got.len >= want->len && memcmp(got.data, want->data, want->len) == 0);
    buf_fini(&got);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t window[ZRAN_WINDOW_BYTES];
    uint8_t bits, *comp, *out;
    struct buf got = BUF_EMPTY;
    struct err err = ERR_NONE;
    size_t want, i;
    int rc;

    if (size < HEAD_BYTES)
        return 0;
    bits = data[0] & 7;
    want = ((size_t)data[1] << 8 | data[2]) * 16 + 1;
    for (i = 0; i < sizeof(window); i++)
        window[i] = (uint8_t)(data[3] * i + (data[4] ^ i >> 8));
    comp = malloc(size - HEAD_BYTES + 1); /* what reads past its end is noticed: no slack but one */
    out = malloc(MAX_OUT_BYTES);
    CHECK(comp != NULL && out != NULL && want <= MAX_OUT_BYTES);
    memcpy(comp, data + HEAD_BYTES, size - HEAD_BYTES);
    rc = zran_inflate(bits, window, bytes_of(comp, size - HEAD_BYTES), want, take, &got, &err);
    if (inflate_by_zlib(bits, window, comp, size - HEAD_BYTES, want, out)) {
        CHECK(rc == 0 && got.len == want && memcmp(got.data, out, want) == 0);
        check_to_end(bits, window, bytes_of(comp, size - HEAD_BYTES), &got);
    } else {
        CHECK(rc == 0 ? got.len == want : got.len < want);
    }
    buf_fini(&got);
    free(comp);
    free(out);
    return 0;
}
