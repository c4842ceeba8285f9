/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_gunzip.c – how whole layers are inflated, held against zlib: what zlib takes is taken, and
 * the same bytes come out. Exercises headers with every field, members one after the other, damage,
 * and input in pieces.
 *
 * Input: gzip; its length says how long the pieces are. */
#include "unpack/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <zlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_OUT_BYTES = 1 << 20, GZIP_ONLY = 31 };

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

struct out {
    uint8_t bytes[MAX_OUT_BYTES];
    size_t len;
};

/* 0, or why it is not looked at: bad, or too much. */
static int by_zlib(const uint8_t *data, size_t size, struct out *out)
{
    z_stream z = {.next_in = (z_const Bytef *)(uintptr_t)data, .avail_in = (uInt)size};
    int rc = Z_OK;

    CHECK(inflateInit2(&z, GZIP_ONLY) == Z_OK);
    z.next_out = out->bytes;
    z.avail_out = MAX_OUT_BYTES;
    while (rc == Z_OK && z.avail_out > 0) {
        rc = inflate(&z, Z_NO_FLUSH);
        if (rc == Z_STREAM_END && z.avail_in > 0)
            rc = inflateReset(&z);
    }
    out->len = MAX_OUT_BYTES - z.avail_out;
    (void)inflateEnd(&z);
    return rc == Z_STREAM_END ? 0 : -1;
}

static int add(void *arg, struct bytes piece, struct err *err)
{
    struct out *out = arg;

    if (piece.len > MAX_OUT_BYTES - out->len)
        return err_set(err, -EFBIG, "enough");
    memcpy(out->bytes + out->len, piece.data, piece.len);
    out->len += piece.len;
    return 0;
}

static int by_us(const uint8_t *data, size_t size, struct out *out)
{
    const struct sink sink = {.write = add, .arg = out};
    size_t piece = 16 + size * 7 % 4000; /* each call moves a window: not too small */
    struct err err = ERR_NONE;
    void *state = NULL;
    int rc = 0;

    CHECK(codec_gzip.open(&state, &err) == 0);
    for (size_t off = 0; off < size && rc == 0; off += piece)
        rc = codec_gzip.feed(state, bytes_of(data + off, size - off < piece ? size - off : piece),
                             &sink, &err);
    if (rc == 0)
        rc = codec_gzip.finish(state, &err);
    codec_gzip.close(state);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct out *zlib = calloc(1, sizeof(*zlib)), *ours = calloc(1, sizeof(*ours));

    CHECK(zlib != NULL && ours != NULL);
    if (size > 0) {
        int rc = by_us(data, size, ours);

        /* ISA-L takes some more than zlib does. */
        if (by_zlib(data, size, zlib) == 0)
            CHECK(rc == 0 && ours->len == zlib->len &&
                  memcmp(ours->bytes, zlib->bytes, zlib->len) == 0);
    }
    free(zlib);
    free(ours);
    return 0;
}
