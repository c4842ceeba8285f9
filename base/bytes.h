/* SPDX-License-Identifier: Apache-2.0 */
/* bytes.h – borrowed byte ranges, a growing buffer, and a reader that cannot run past its end. */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include "base/attr.h"
#include "base/cleanup.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A borrowed range; data may be NULL when len is 0. */
struct bytes {
    const uint8_t *data;
    size_t len;
};

static inline struct bytes bytes_of(const void *data, size_t len)
{
    return (struct bytes){.data = data, .len = len};
}

static inline struct bytes bytes_of_str(const char *s)
{
    return (struct bytes){.data = (const uint8_t *)s, .len = strlen(s)};
}

static inline bool bytes_equal(struct bytes a, struct bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* ---- a growing buffer, on the heap --------------------------------------------------------------
 */

/* data is NULL until something was added. The bytes after len are not initialised. */
struct buf {
    uint8_t *data;
    size_t len;
    size_t cap;
};

struct buf *buf_new(void); /* NULL: out of memory */
void buf_free(struct buf *buf);
DEFINE_SCOPED_PTR(buf, struct buf, buf_free)

/* For a struct buf in the caller's storage, which starts as BUF_EMPTY. */
#define BUF_EMPTY                                                                                  \
    {                                                                                              \
        .data = NULL, .len = 0, .cap = 0                                                           \
    }
void buf_fini(struct buf *buf);
DEFINE_SCOPED_VALUE(buf_value, struct buf, buf_fini)

/* All return 0 or -ENOMEM (also when the size overflows); on failure the buffer is as before. */
MUST_CHECK int buf_reserve(struct buf *buf, size_t extra); /* room for `extra` more bytes */
MUST_CHECK int buf_add(struct buf *buf, const void *data, size_t len);
MUST_CHECK int buf_add_str(struct buf *buf, const char *s);
MUST_CHECK int buf_add_byte(struct buf *buf, uint8_t byte);
MUST_CHECK int buf_add_zeros(struct buf *buf, size_t count);
MUST_CHECK int buf_addf(struct buf *buf, const char *fmt, ...) PRINTF_LIKE(2, 3);

static inline struct bytes buf_bytes(const struct buf *buf)
{
    return (struct bytes){.data = buf->data, .len = buf->len};
}

/* The text in the buffer as a C string: a NUL is kept behind the bytes and not counted. NULL:
 * -ENOMEM. Borrowed; the next buf_add ends it. */
char *buf_str(struct buf *buf);

/* ---- reading untrusted bytes ----------------------------------------------------------------- */

/* Remembers the first failure: after it every read gives zeros and reader_failed() is true. So a
 * decoder reads all the fields of a record and then asks once. */
struct reader {
    const uint8_t *pos;
    const uint8_t *end;
    bool failed;
};

static inline struct reader reader_of(struct bytes b)
{
    return (struct reader){.pos = b.data, .end = b.data == NULL ? NULL : b.data + b.len};
}

static inline bool reader_failed(const struct reader *r)
{
    return r->failed;
}

static inline size_t reader_left(const struct reader *r)
{
    return r->failed || r->pos == NULL ? 0 : (size_t)(r->end - r->pos);
}

uint8_t reader_u8(struct reader *r);
uint16_t reader_u16le(struct reader *r);
uint32_t reader_u32le(struct reader *r);
uint64_t reader_u64le(struct reader *r);
uint32_t reader_u32be(struct reader *r);
struct bytes reader_take(struct reader *r,
                         size_t len); /* borrowed from the source; empty on failure */
void reader_skip(struct reader *r, size_t len);

/* Little-endian stores and loads on memory that the caller has checked. */
void put_u16le(uint8_t *p, uint16_t v);
void put_u32le(uint8_t *p, uint32_t v);
void put_u64le(uint8_t *p, uint64_t v);
void put_u32be(uint8_t *p, uint32_t v);
uint16_t get_u16le(const uint8_t *p);
uint32_t get_u32le(const uint8_t *p);
uint64_t get_u64le(const uint8_t *p);
uint32_t get_u32be(const uint8_t *p);

#endif
