/* SPDX-License-Identifier: Apache-2.0 */
/* make_layer.h – small tars and gzips made in a test, and ztocs of them. */
#ifndef UNIT_MAKE_LAYER_H
#define UNIT_MAKE_LAYER_H

#include "test.h"

#include "ztoc/ztoc.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

enum { BLOCK = 512 };

/* ---- tar ------------------------------------------------------------------------------------- */

/* Where fields of a header are. */
enum {
    AT_NAME = 0,
    AT_MODE = 100,
    AT_UID = 108,
    AT_GID = 116,
    AT_SIZE = 124,
    AT_MTIME = 136,
    AT_CHECKSUM = 148,
    AT_TYPE = 156,
    AT_LINKNAME = 157,
    AT_MAGIC = 257,
    AT_UNAME = 265,
    AT_GNAME = 297,
    AT_DEVMAJOR = 329,
    AT_DEVMINOR = 337,
    AT_PREFIX = 345,
};

static inline void tar_sum(uint8_t *header)
{
    unsigned sum = 0;
    char text[8];

    memset(header + AT_CHECKSUM, ' ', 8);
    for (size_t i = 0; i < BLOCK; i++)
        sum += header[i];
    (void)snprintf(text, sizeof(text), "%06o", sum);
    memcpy(header + AT_CHECKSUM, text, 7);
}

static inline void tar_octal(uint8_t *field, int width, uint64_t value)
{
    char text[32];

    (void)snprintf(text, sizeof(text), "%0*llo", width - 1, (unsigned long long)value);
    memcpy(field, text, (size_t)width);
}

/* Append a ustar header: its place in the buffer, for changes before tar_sum(). */
static inline uint8_t *tar_header(struct buf *tar, const char *name, char type, uint64_t size)
{
    uint8_t *h;

    assert_ok(buf_add_zeros(tar, BLOCK));
    h = tar->data + tar->len - BLOCK;
    memcpy(h + AT_NAME, name, strlen(name) < 100 ? strlen(name) : 100);
    tar_octal(h + AT_MODE, 8, 0644);
    tar_octal(h + AT_UID, 8, 0);
    tar_octal(h + AT_GID, 8, 0);
    tar_octal(h + AT_SIZE, 12, size);
    tar_octal(h + AT_MTIME, 12, 1700000000);
    h[AT_TYPE] = (uint8_t)type;
    memcpy(h + AT_MAGIC,
           "ustar\0"
           "00",
           8);
    memcpy(h + AT_UNAME, "root", 4);
    memcpy(h + AT_GNAME, "root", 4);
    tar_sum(h);
    return h;
}

/* Append a header and content with its padding. */
static inline void tar_add(struct buf *tar, const char *name, char type, struct bytes content)
{
    (void)tar_header(tar, name, type, content.len);
    assert_ok(buf_add(tar, content.data, content.len));
    assert_ok(buf_add_zeros(tar, (0 - content.len) % BLOCK));
}

static inline void tar_text(struct buf *tar, const char *name, char type, const char *text)
{
    tar_add(tar, name, type, bytes_of_str(text));
}

/* Append a pax header with one record. */
static inline void tar_pax(struct buf *tar, const char *key, struct bytes value)
{
    SCOPED(buf_value) struct buf body = BUF_EMPTY;
    size_t rest = 1 + strlen(key) + 1 + value.len + 1, len = rest + 1;

    while (snprintf(NULL, 0, "%zu", len) + (int)rest != (int)len)
        len++;
    assert_ok(buf_addf(&body, "%zu %s=", len, key));
    assert_ok(buf_add(&body, value.data, value.len));
    assert_ok(buf_add_byte(&body, '\n'));
    tar_add(tar, "pax", 'x', buf_bytes(&body));
}

static inline void tar_pax_text(struct buf *tar, const char *key, const char *value)
{
    tar_pax(tar, key, bytes_of_str(value));
}

static inline void tar_end(struct buf *tar)
{
    assert_ok(buf_add_zeros(tar, (size_t)2 * BLOCK));
}

/* Bytes that do not compress, the same every time. */
static inline void add_noise(struct buf *buf, size_t len)
{
    uint32_t x = 2463534242u;

    for (size_t i = 0; i < len; i++) {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        assert_ok(buf_add_byte(buf, (uint8_t)x));
    }
}

/* ---- gzip ------------------------------------------------------------------------------------ */

static inline void gzip_with(struct buf *ret, struct bytes in, int level, gz_header *header)
{
    SCOPED(buf_value) struct buf copy = BUF_EMPTY; /* next_in is not const */
    z_stream z = {.next_in = NULL};

    assert_ok(buf_add(&copy, in.data, in.len));
    assert_int_equal(deflateInit2(&z, level, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
    if (header != NULL)
        assert_int_equal(deflateSetHeader(&z, header), Z_OK);
    assert_ok(buf_reserve(ret, deflateBound(&z, in.len) + 4096));
    z.next_in = copy.data;
    z.avail_in = (uInt)copy.len;
    z.next_out = ret->data + ret->len;
    z.avail_out = (uInt)(ret->cap - ret->len);
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    ret->len = ret->cap - z.avail_out;
    assert_int_equal(deflateEnd(&z), Z_OK);
}

/* Append `in` as one gzip member. */
static inline void gzip_add(struct buf *ret, struct bytes in)
{
    gzip_with(ret, in, 6, NULL);
}

/* All members of a gzip file, by zlib alone. */
static inline void gunzip(struct bytes in, struct buf *ret)
{
    SCOPED(buf_value) struct buf copy = BUF_EMPTY;
    z_stream z = {.next_in = NULL};
    int rc = Z_OK;

    assert_ok(buf_add(&copy, in.data, in.len));
    assert_int_equal(inflateInit2(&z, 31), Z_OK);
    z.next_in = copy.data;
    z.avail_in = (uInt)copy.len;
    while (z.avail_in > 0 || rc != Z_STREAM_END) {
        assert_ok(buf_reserve(ret, 65536));
        z.next_out = ret->data + ret->len;
        z.avail_out = 65536;
        rc = inflate(&z, Z_NO_FLUSH);
        ret->len += 65536 - z.avail_out;
        assert_true(rc == Z_OK || rc == Z_STREAM_END);
        if (rc == Z_STREAM_END && z.avail_in > 0)
            assert_int_equal(inflateReset(&z), Z_OK);
    }
    assert_int_equal(inflateEnd(&z), Z_OK);
}

/* ---- ztocs ----------------------------------------------------------------------------------- */

/* Build with the layer cut into pieces of that size. */
static inline int ztoc_build(enum ztoc_compression compression, uint64_t span_size,
                             struct bytes layer, size_t piece, struct buf *ret,
                             struct ztoc_build_info *info, struct err *err)
{
    SCOPED(ztoc_builder) struct ztoc_builder *builder = NULL;
    struct ztoc_build_options options = {.span_size = span_size};
    int rc = ztoc_builder_new(compression, &options, &builder, err);

    for (size_t off = 0; rc == 0 && off < layer.len; off += piece) {
        size_t len = layer.len - off < piece ? layer.len - off : piece;

        rc = ztoc_builder_feed(builder, bytes_of(layer.data + off, len), err);
    }
    return rc < 0 ? rc : ztoc_builder_finish(builder, ret, info, err);
}

/* A layer in memory as a source, and a buffer as a sink. */
static inline int layer_read_at(void *self, void *buf, size_t len, uint64_t comp_off,
                                struct err *err)
{
    const struct bytes *layer = self;

    if (comp_off > layer->len || layer->len - comp_off < len)
        return err_set(err, -EBADMSG, "layer ends");
    memcpy(buf, layer->data + comp_off, len);
    return 0;
}

static inline int buf_write(void *self, struct bytes piece, struct err *err)
{
    (void)err;
    return buf_add(self, piece.data, piece.len);
}

#endif
