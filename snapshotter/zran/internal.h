/* SPDX-License-Identifier: Apache-2.0 */
/* internal.h – what the files of zran/ share: the deflate decoder, gzip's wrapping of it, and the
 * fast half of inflating a span.
 *
 * Why not zlib's inflate: it is nine tenths of what building a ztoc costs, and of the faster
 * libraries none can stop between two blocks and say where it is, which is what a checkpoint is.
 * This decoder is held against zlib's by a fuzzer. */
#ifndef ZRAN_INTERNAL_H
#define ZRAN_INTERNAL_H

#include "zran/zran.h"

#include <stdbool.h>

/* ---- huffman.c: code lengths become a table to look codes up in ------------------------------ */

/* An entry: what the code means in the high half, what to do in the low one. A table is looked
 * up with as many bits as it is wide; longer codes go on in a subtable. */
enum {
    ENTRY_BITS_MASK = 0x3f, /* bits to drop: the code, and the extra bits behind it */
    ENTRY_CODE_SHIFT = 8,   /* bits of the code alone; of a subtable: its width */
    ENTRY_CODE_MASK = 0xf,
    ENTRY_LITERAL = 1 << 12,  /* the value is a byte */
    ENTRY_END = 1 << 13,      /* end of block */
    ENTRY_INVALID = 1 << 14,  /* a code that must not occur */
    ENTRY_SUBTABLE = 1 << 15, /* the value is where the subtable starts */
    ENTRY_VALUE_SHIFT = 16,   /* else the value is the least length or distance */
};
/* The widths are a trade of the time to fill a table for that of second look-ups. */
enum { LENGTH_TABLE_BITS = 11, DISTANCE_TABLE_BITS = 8, ORDER_TABLE_BITS = 7 };
/* With all subtables: no set of codes needs more (2342 and 402 for these widths);
 * huffman_build() looks all the same. */
enum { LENGTH_TABLE_ENTRIES = 2400, DISTANCE_TABLE_ENTRIES = 448, ORDER_TABLE_ENTRIES = 128 };
enum { HUFFMAN_MAX_BITS = 15, LENGTH_SYMBOLS = 288, DISTANCE_SYMBOLS = 32, ORDER_SYMBOLS = 19 };

enum huffman_kind {
    HUFFMAN_LENGTHS,   /* literals, end of block, match lengths */
    HUFFMAN_DISTANCES, /* of matches */
    HUFFMAN_ORDER,     /* the code in which code lengths are written */
};
/* False: no set of codes has these lengths. One code of one bit is fine without its sibling, and
 * a set of distances may be empty; what is missing is then ENTRY_INVALID. */
bool huffman_build(enum huffman_kind kind, const uint8_t *lengths, size_t count, uint32_t *table);

/* ---- deflate.c: one deflate stream, in pieces ------------------------------------------------ */

enum deflate_event {
    DEFLATE_NEEDS_INPUT,
    DEFLATE_NEEDS_ROOM,
    DEFLATE_BLOCK_END, /* and another block follows */
    DEFLATE_STREAM_END,
    DEFLATE_BAD, /* `why` says why */
};
enum { DEFLATE_MIN_ROOM = 512 }; /* a run with less room asks for more at once */

struct deflate_tables {
    uint32_t lengths[LENGTH_TABLE_ENTRIES];
    uint32_t distances[DISTANCE_TABLE_ENTRIES];
};

struct deflate {
    /* The caller's, moved on by deflate_run(). Bytes between in and in_end that were not
     * consumed must be there again at the next run, with more behind them. */
    const uint8_t *in, *in_end;
    uint8_t *out, *out_end;
    const uint8_t *floor;     /* no distance may reach before it */
    uint8_t bits, bits_value; /* not consumed of the byte before `in`: how many, and which */
    const char *why;          /* after DEFLATE_BAD */
    /* The decoder's. */
    enum deflate_state { DEFLATE_AT_HEADER, DEFLATE_IN_STORED, DEFLATE_IN_CODES } state;
    bool is_last; /* the block being decoded */
    bool has_fixed;
    uint32_t stored_left;
    const struct deflate_tables *tables; /* of the block */
    struct deflate_tables fixed, dynamic;
};
enum { DEFLATE_BUFFER_BYTES = ZRAN_WINDOW_BYTES + 128 * 1024 };
/* When there is little room left, move the last 32 KiB of output to the front of `buffer`, which
 * `out` and `out_end` point into, and go on behind them. */
void deflate_make_room(struct deflate *d, uint8_t buffer[DEFLATE_BUFFER_BYTES]);
/* A new stream starts at `in`; everything else the caller sets. */
void deflate_reset(struct deflate *d);
/* Decode until something happens. Whatever happens, all output up to there is in front of `out`. */
enum deflate_event deflate_run(struct deflate *d);

/* ---- gzip.c: what is around it --------------------------------------------------------------- */

enum { GZIP_TRAILER_BYTES = 8 }; /* CRC-32 and length modulo 2^32, little-endian */

enum gzip_header {
    GZIP_HEADER_OK,
    GZIP_HEADER_SHORT, /* goes on behind the bytes given */
    GZIP_HEADER_BAD,
};
/* The header at the start of `in`. *ret_len: its length; *ret_why: what is wrong with it;
 * *ret_long_text: a file name or comment has more than 511 bytes, which the reference refuses. */
enum gzip_header gzip_header_parse(struct bytes in, size_t *ret_len, bool *ret_long_text,
                                   const char **ret_why);

/* ---- isal.c: a span's first gzip member, faster than zlib does it ---------------------------- */

enum { INFLATE_OUT_BYTES = 128 * 1024 }; /* pieces that a sink gets */

struct inflate_sink {
    int (*take)(void *arg, struct bytes out, struct err *err);
    void *arg;
    uint64_t uncomp_len; /* wanted in all */
};
struct inflated {
    uint64_t uncomp_len; /* so many bytes were given to the sink */
    bool member_ended;   /* then comp_len is where, its trailer not included */
    size_t comp_len;
};
/* Arguments as of zran_inflate(); `out` has INFLATE_OUT_BYTES. Starts with *ret all zero. 0: as far
 * as *ret says, what is left is zlib's, also to refuse; <0: out of memory, or what the sink
 * returned. Only in builds that have ISA-L (SOCI_ISAL). */
MUST_CHECK int isal_inflate_member(uint8_t bits, const uint8_t window[ZRAN_WINDOW_BYTES],
                                   struct bytes comp, const struct inflate_sink *sink, uint8_t *out,
                                   struct inflated *ret, struct err *err);

#endif
