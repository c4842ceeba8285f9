/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_deflate.c – our decoder held against zlib's: the same streams are refused, the same bytes
 * come out, blocks end at the same bits. Exercises every kind of block and of damage, and input
 * that comes in pieces.
 *
 * Input: a byte that sets the size of the pieces, then a deflate stream. */
#include "zran/internal.h"

#include <stdlib.h>
#include <zlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_OUT_BYTES = 1 << 20, MAX_BLOCKS = 4096 };

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

enum ending { ENDS_WELL, ENDS_SHORT, ENDS_BADLY, ENDS_NOT }; /* the last: more than is looked at */

/* Where a block ended. */
struct place {
    uint64_t comp_off, uncomp_off;
    unsigned bits;
};

struct decoded {
    enum ending ending;
    uint8_t *out;
    size_t out_len;
    size_t comp_len; /* when it ends well */
    struct place blocks[MAX_BLOCKS];
    size_t block_count;
};

static void add_block(struct decoded *decoded, uint64_t comp_off, unsigned bits)
{
    if (decoded->block_count < MAX_BLOCKS)
        decoded->blocks[decoded->block_count++] = (struct place){comp_off, decoded->out_len, bits};
}

static void decode_by_zlib(uint8_t *data, size_t size, struct decoded *ret)
{
    static const uint8_t window[ZRAN_WINDOW_BYTES];
    z_stream z = {.next_in = data, .avail_in = (uInt)size};
    int rc = Z_OK;

    z.next_out = ret->out;
    z.avail_out = MAX_OUT_BYTES;
    CHECK(inflateInit2(&z, -15) == Z_OK);
    CHECK(inflateSetDictionary(&z, window, sizeof(window)) == Z_OK);
    while (rc == Z_OK && z.avail_out > 0) {
        rc = inflate(&z, Z_BLOCK);
        ret->out_len = MAX_OUT_BYTES - z.avail_out;
        if (rc == Z_OK && (z.data_type & 128) != 0 && (z.data_type & 64) == 0 && z.total_in > 0)
            add_block(ret, z.total_in, z.data_type & 7);
    }
    ret->comp_len = z.total_in;
    ret->ending = rc == Z_STREAM_END  ? ENDS_WELL
                  : rc == Z_BUF_ERROR ? ENDS_SHORT
                  : rc == Z_OK        ? ENDS_NOT
                                      : ENDS_BADLY;
    CHECK(inflateEnd(&z) == Z_OK);
}

/* As a scan does it: what is not consumed comes again, with the next piece behind it. */
static void decode_by_us(uint8_t *data, size_t size, size_t piece, struct decoded *ret)
{
    static struct deflate
        d; /* its size is why; nothing of it outlives a run but the fixed tables */
    uint8_t *buffer = calloc(1, DEFLATE_BUFFER_BYTES);
    const uint8_t *out;
    size_t given = size < piece ? size : piece;
    enum deflate_event event = DEFLATE_NEEDS_ROOM;

    CHECK(buffer != NULL);
    deflate_reset(&d);
    d.in = data;
    d.out = buffer + ZRAN_WINDOW_BYTES;
    d.out_end = buffer + DEFLATE_BUFFER_BYTES;
    while (event != DEFLATE_STREAM_END && event != DEFLATE_BAD && ret->out_len < MAX_OUT_BYTES) {
        size_t len;

        deflate_make_room(&d, buffer);
        d.in_end = data + given;
        d.floor = d.out - ZRAN_WINDOW_BYTES;
        out = d.out;
        event = deflate_run(&d);
        CHECK(d.in >= data && d.in <= d.in_end && d.bits <= 7 && d.out >= out &&
              d.out <= d.out_end);
        len = (size_t)(d.out - out);
        if (len > MAX_OUT_BYTES - ret->out_len)
            len = MAX_OUT_BYTES - ret->out_len;
        memcpy(ret->out + ret->out_len, out, len);
        ret->out_len += len;
        if (event == DEFLATE_BLOCK_END)
            add_block(ret, (uint64_t)(d.in - data), d.bits);
        if (event == DEFLATE_NEEDS_INPUT && given == size)
            break;
        if (event == DEFLATE_NEEDS_INPUT)
            given = size - given < piece ? size : given + piece;
    }
    ret->comp_len = (size_t)(d.in - data);
    ret->ending = event == DEFLATE_STREAM_END    ? ENDS_WELL
                  : event == DEFLATE_BAD         ? ENDS_BADLY
                  : event == DEFLATE_NEEDS_INPUT ? ENDS_SHORT
                                                 : ENDS_NOT;
    CHECK(event != DEFLATE_BAD || d.why != NULL);
    free(buffer);
}

static void compare(const struct decoded *zlib, const struct decoded *ours)
{
    size_t common = zlib->out_len < ours->out_len ? zlib->out_len : ours->out_len;

    CHECK(common == 0 || memcmp(zlib->out, ours->out, common) == 0);
    if (zlib->out_len == MAX_OUT_BYTES || ours->out_len == MAX_OUT_BYTES)
        return;
    /* With a few bits more zlib would have seen what we refuse already. */
    CHECK(zlib->ending == ours->ending ||
          (zlib->ending == ENDS_SHORT && ours->ending == ENDS_BADLY));
    CHECK(zlib->block_count == ours->block_count);
    for (size_t i = 0; i < zlib->block_count; i++) {
        CHECK(zlib->blocks[i].comp_off == ours->blocks[i].comp_off);
        CHECK(zlib->blocks[i].uncomp_off == ours->blocks[i].uncomp_off);
        CHECK(zlib->blocks[i].bits == ours->blocks[i].bits);
    }
    if (zlib->ending != ENDS_BADLY && ours->ending != ENDS_BADLY)
        CHECK(zlib->out_len == ours->out_len);
    if (zlib->ending == ENDS_WELL)
        CHECK(zlib->comp_len == ours->comp_len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct decoded *zlib = calloc(1, sizeof(*zlib)), *ours = calloc(1, sizeof(*ours));
    uint8_t *copy = malloc(size == 0 ? 1 : size), *out = malloc((size_t)2 * MAX_OUT_BYTES);

    CHECK(zlib != NULL && ours != NULL && copy != NULL && out != NULL);
    zlib->out = out;
    ours->out = out + MAX_OUT_BYTES;
    if (size > 0) {
        memcpy(copy, data + 1,
               size - 1); /* exactly as long as the stream, so that a sanitizer sees its end */
        copy = realloc(copy, size == 1 ? 1 : size - 1);
        CHECK(copy != NULL);
        decode_by_zlib(copy, size - 1, zlib);
        decode_by_us(copy, size - 1, (size_t)data[0] * data[0] + 1, ours);
        compare(zlib, ours);
    }
    free(copy);
    free(out);
    free(zlib);
    free(ours);
    return 0;
}
