/* SPDX-License-Identifier: Apache-2.0 */
/* gzip.c – the header of a gzip member (RFC 1952). */
#include "zran/internal.h"

#include <string.h>
#include <zlib.h> /* crc32() */

enum {
    FLAG_HEADER_CRC = 2,
    FLAG_EXTRA = 4,
    FLAG_NAME = 8,
    FLAG_COMMENT = 16,
    FLAGS_RESERVED = 0xe0
};
enum { METHOD_DEFLATE = 8 };
enum { TIME_SYSTEM_BYTES = 6 };      /* time, extra flags, operating system: not looked at */
enum { REFERENCE_TEXT_BYTES = 511 }; /* of a name or comment, without its NUL */

/* A text that ends with a NUL. */
static void skip_text(struct reader *r, bool *is_long)
{
    const uint8_t *nul = reader_left(r) == 0 ? NULL : memchr(r->pos, '\0', reader_left(r));
    size_t len = nul == NULL ? reader_left(r) : (size_t)(nul - r->pos);

    *is_long = *is_long || len > REFERENCE_TEXT_BYTES;
    reader_skip(r, len + 1);
}

/* The fields whose presence `flags` tells. */
static void skip_optional(struct reader *r, unsigned flags, bool *is_long)
{
    if ((flags & FLAG_EXTRA) != 0)
        reader_skip(r, reader_u16le(r));
    if ((flags & FLAG_NAME) != 0)
        skip_text(r, is_long);
    if ((flags & FLAG_COMMENT) != 0)
        skip_text(r, is_long);
}

static const char *check_fixed(struct reader *r, unsigned *ret_flags)
{
    uint16_t magic = reader_u16le(r);
    uint8_t method = reader_u8(r), flags = reader_u8(r);

    *ret_flags = flags;
    if (reader_failed(r))
        return NULL;
    if (magic != 0x8b1f)
        return "not a gzip member";
    if (method != METHOD_DEFLATE)
        return "unknown compression method";
    return (flags & FLAGS_RESERVED) != 0 ? "unknown header flags set" : NULL;
}

enum gzip_header gzip_header_parse(struct bytes in, size_t *ret_len, bool *ret_long_text,
                                   const char **ret_why)
{
    struct reader r = reader_of(in);
    uint16_t crc = 0, stored;
    unsigned flags;

    *ret_long_text = false;
    *ret_why = check_fixed(&r, &flags);
    if (*ret_why != NULL)
        return GZIP_HEADER_BAD;
    reader_skip(&r, TIME_SYSTEM_BYTES);
    skip_optional(&r, flags, ret_long_text);
    if ((flags & FLAG_HEADER_CRC) != 0) {
        if (!reader_failed(&r))
            crc = (uint16_t)crc32(0, in.data, (uInt)(in.len - reader_left(&r)));
        stored = reader_u16le(&r);
        if (!reader_failed(&r) && stored != crc)
            *ret_why = "header crc mismatch";
    }
    if (reader_failed(&r))
        return GZIP_HEADER_SHORT;
    *ret_len = in.len - reader_left(&r);
    return *ret_why == NULL ? GZIP_HEADER_OK : GZIP_HEADER_BAD;
}
