/* SPDX-License-Identifier: Apache-2.0 */
/* bytes.c – growing buffers and bounded reading. */
#include "base/bytes.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { BUF_FIRST_BYTES = 256 };

struct buf *buf_new(void)
{
    return calloc(1, sizeof(struct buf));
}

void buf_fini(struct buf *buf)
{
    free(buf->data);
    *buf = (struct buf)BUF_EMPTY;
}

void buf_free(struct buf *buf)
{
    if (buf == NULL)
        return;
    free(buf->data);
    free(buf);
}

int buf_reserve(struct buf *buf, size_t extra)
{
    size_t want, cap;
    uint8_t *data;

    if (__builtin_add_overflow(buf->len, extra, &want))
        return -ENOMEM;
    if (want <= buf->cap)
        return 0;
    cap = buf->cap < BUF_FIRST_BYTES ? BUF_FIRST_BYTES : buf->cap;
    while (cap < want) {
        if (__builtin_mul_overflow(cap, (size_t)2, &cap))
            return -ENOMEM;
    }
    data = realloc(buf->data, cap);
    if (data == NULL)
        return -ENOMEM;
    buf->data = data;
    buf->cap = cap;
    return 0;
}

int buf_add(struct buf *buf, const void *data, size_t len)
{
    int rc = buf_reserve(buf, len);

    if (rc < 0)
        return rc;
    if (len > 0)
        memcpy(buf->data + buf->len, data, len);
    buf->len += len;
    return 0;
}

int buf_add_str(struct buf *buf, const char *s)
{
    return buf_add(buf, s, strlen(s));
}

int buf_add_byte(struct buf *buf, uint8_t byte)
{
    return buf_add(buf, &byte, 1);
}

int buf_add_zeros(struct buf *buf, size_t count)
{
    int rc = buf_reserve(buf, count);

    if (rc < 0)
        return rc;
    if (count > 0)
        memset(buf->data + buf->len, 0, count);
    buf->len += count;
    return 0;
}

int buf_addf(struct buf *buf, const char *fmt, ...)
{
    va_list args, again;
    int need, rc;

    va_start(args, fmt);
    va_copy(again, args);
    need = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    rc = need < 0 ? -ENOMEM : buf_reserve(buf, (size_t)need + 1);
    if (rc == 0) {
        (void)vsnprintf((char *)buf->data + buf->len, (size_t)need + 1, fmt, again);
        buf->len += (size_t)need;
    }
    va_end(again);
    return rc;
}

char *buf_str(struct buf *buf)
{
    if (buf_reserve(buf, 1) < 0)
        return NULL;
    buf->data[buf->len] = '\0';
    return (char *)buf->data;
}

struct bytes reader_take(struct reader *r, size_t len)
{
    struct bytes taken = {.data = r->pos, .len = len};

    if (r->failed || len > reader_left(r)) {
        r->failed = true;
        return (struct bytes){.data = NULL, .len = 0};
    }
    if (len > 0)
        r->pos += len;
    return taken;
}

void reader_skip(struct reader *r, size_t len)
{
    (void)reader_take(r, len);
}

uint8_t reader_u8(struct reader *r)
{
    struct bytes b = reader_take(r, 1);
    return b.len == 0 ? 0 : b.data[0];
}

uint16_t reader_u16le(struct reader *r)
{
    struct bytes b = reader_take(r, 2);
    return b.len == 0 ? 0 : get_u16le(b.data);
}

uint32_t reader_u32le(struct reader *r)
{
    struct bytes b = reader_take(r, 4);
    return b.len == 0 ? 0 : get_u32le(b.data);
}

uint64_t reader_u64le(struct reader *r)
{
    struct bytes b = reader_take(r, 8);
    return b.len == 0 ? 0 : get_u64le(b.data);
}

uint32_t reader_u32be(struct reader *r)
{
    struct bytes b = reader_take(r, 4);
    return b.len == 0 ? 0 : get_u32be(b.data);
}

void put_u16le(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}

void put_u32le(uint8_t *p, uint32_t v)
{
    put_u16le(p, (uint16_t)v);
    put_u16le(p + 2, (uint16_t)(v >> 16));
}

void put_u64le(uint8_t *p, uint64_t v)
{
    put_u32le(p, (uint32_t)v);
    put_u32le(p + 4, (uint32_t)(v >> 32));
}

void put_u32be(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 24);
    p[1] = (uint8_t)(v >> 16);
    p[2] = (uint8_t)(v >> 8);
    p[3] = (uint8_t)v;
}

uint16_t get_u16le(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

uint32_t get_u32le(const uint8_t *p)
{
    return (uint32_t)get_u16le(p) | (uint32_t)get_u16le(p + 2) << 16;
}

uint64_t get_u64le(const uint8_t *p)
{
    return (uint64_t)get_u32le(p) | (uint64_t)get_u32le(p + 4) << 32;
}

uint32_t get_u32be(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}
