/* SPDX-License-Identifier: Apache-2.0 */
/* zran.h – random access into a gzip layer: checkpoints, the scan that finds them, inflating from
 * one of them.
 *
 * A checkpoint is a place between two deflate blocks from which inflating can start, given the 32
 * KiB of output before it (the window). The layer's span k goes from checkpoint k to checkpoint
 * k+1. The list of checkpoints with their windows is the zinfo, a byte string inside the ztoc; that
 * of a layer which is not compressed holds two numbers. docs/ztoc.md has both layouts.
 *
 * A deflate block may start inside a byte. Then the high `bits` bits of the byte before comp_off
 * already belong to it, so the span starts, and its digest is computed, one byte earlier:
 * neighbours share that byte.
 *
 * Pure computation: nothing here blocks, and objects are used by one thread at a time. */
#ifndef ZRAN_ZRAN_H
#define ZRAN_ZRAN_H

#include "base/attr.h"
#include "base/bytes.h"
#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

enum { ZRAN_WINDOW_BYTES = 32768 }; /* deflate looks back this far at most */

struct zran_point {
    uint64_t comp_off;   /* first whole byte of the compressed layer that is not yet consumed */
    uint64_t uncomp_off; /* bytes of the tar before it */
    uint8_t bits; /* 0…7: so many high bits of byte comp_off - 1 belong to the next block */
};

/* Where the span that begins at `point` starts in the compressed layer. */
static inline uint64_t zran_point_start(const struct zran_point *point)
{
    return point->comp_off - (point->bits != 0 ? 1 : 0);
}

/* ---- inflating one span ---------------------------------------------------------------------- */

/* Inflate one gzip span. `comp` is exactly its bytes, from zran_point_start() to where the next
 * span's point is (or the end of the layer); `window` is the 32 KiB before it, zeros where the
 * layer had not that many yet. Gives exactly uncomp_len bytes to sink, in order, in pieces of at
 * most 128 KiB; what follows them in comp is not looked at. Gzip members that end and begin inside
 * the span are followed.
 *
 * Nothing is verified but that the bytes decode: check the span's digest first.
 * 0, -EBADMSG: does not decode or ends early (sink has got a part by then), -ENOMEM, or what sink
 * returned (<0). */
MUST_CHECK int zran_inflate(uint8_t bits, const uint8_t window[ZRAN_WINDOW_BYTES],
                            struct bytes comp, uint64_t uncomp_len,
                            int (*sink)(void *arg, struct bytes out, struct err *err), void *arg,
                            struct err *err);

/* The same, but whatever `comp` holds, however much that is, without its first `skip` bytes: of a
 * span that is not the last the very bytes up to the next one, because the bits that they share do
 * not make a byte. 0, or as above. */
MUST_CHECK int zran_inflate_to_end(uint8_t bits, const uint8_t window[ZRAN_WINDOW_BYTES],
                                   struct bytes comp, uint64_t skip,
                                   int (*sink)(void *arg, struct bytes out, struct err *err),
                                   void *arg, struct err *err);

/* ---- scanning a layer for checkpoints -------------------------------------------------------- */

/* What a scan reports, in the order of the stream. Each returns 0, or <0 which ends the scan with
 * that code. */
struct zran_scan_events {
    /* The next bytes of the layer, consumed; borrowed for the call. All of them, so that whoever
     * hashes the spans needs no other source: those up to a point's comp_off come before its
     * point(), the rest after it. */
    int (*input)(void *arg, struct bytes comp, struct err *err);
    /* The next bytes of the tar; borrowed for the call. All bytes before a point come before its
     * point(). */
    int (*output)(void *arg, struct bytes out, struct err *err);
    /* A checkpoint. `window` is borrowed for the call. */
    int (*point)(void *arg, const struct zran_point *point, const uint8_t window[ZRAN_WINDOW_BYTES],
                 struct err *err);
    void *arg;
};

/* One pass over a gzip layer that inflates it, checks what gzip lets one check (headers, CRC,
 * length, nothing but members up to the end), and finds its checkpoints: one after the first
 * header, then one at the first block boundary that is more than span_size bytes of tar after the
 * last. */
struct zran_scan;
MUST_CHECK int zran_scan_new(uint64_t span_size, const struct zran_scan_events *events,
                             struct zran_scan **ret, struct err *err);
/* The next compressed bytes, in pieces of any size; the result does not depend on how they are cut.
 * -EBADMSG: no gzip, or damaged; the text has the offset. After a failure only zran_scan_free() may
 * follow. */
MUST_CHECK int zran_scan_feed(struct zran_scan *scan, struct bytes comp, struct err *err);
/* There are no more bytes. -EBADMSG: the last member is cut off, or there was none. */
MUST_CHECK int zran_scan_finish(struct zran_scan *scan, struct err *err);
/* Whoever reads the output has seen its end. The reference reads no further there but inflates
 * on, so members that start after this call may have headers with long names, which its reader
 * would refuse. */
void zran_scan_relax(struct zran_scan *scan);
void zran_scan_free(struct zran_scan *scan);
DEFINE_SCOPED_PTR(zran_scan, struct zran_scan, zran_scan_free)

/* ---- the zinfo of a gzip layer --------------------------------------------------------------- */

/* A parsed zinfo; a view that borrows the blob. */
struct zran_zinfo {
    struct bytes blob;
    uint64_t span_size; /* as asked for when it was made */
    size_t count;       /* checkpoints, at least 1 */
    size_t unstored;    /* 1: of version 1, which leaves out checkpoint 0, at (10, 0, 0); else 0 */
};
#define ZRAN_NO_WINDOW UINT64_MAX

/* Only the length is checked here, not what the checkpoints say. -EBADMSG: empty, or not the length
 * that its count asks for. */
MUST_CHECK int zran_zinfo_parse(struct bytes blob, struct zran_zinfo *ret, struct err *err);
/* Checkpoint i < count. *ret_window_off is where its window begins in the blob; ZRAN_NO_WINDOW: not
 * stored, all zeros. */
void zran_zinfo_point(const struct zran_zinfo *zinfo, size_t i, struct zran_point *ret,
                      uint64_t *ret_window_off);

/* Writing one (always version 2): start in an empty buffer, then add in order. 0, -ENOMEM, -EFBIG
 * (2 GiB). */
MUST_CHECK int zran_zinfo_start(struct buf *zinfo, uint64_t span_size);
MUST_CHECK int zran_zinfo_add(struct buf *zinfo, const struct zran_point *point,
                              const uint8_t window[ZRAN_WINDOW_BYTES]);

/* ---- the zinfo of a layer that is not compressed --------------------------------------------- */

struct zran_plain {
    uint64_t span_size; /* span i is [i * span_size, (i + 1) * span_size); the last one shorter */
    uint64_t size;      /* of the layer */
};
/* -EBADMSG: no such FlatBuffer, a number is negative, or span_size is 0. */
MUST_CHECK int zran_plain_parse(struct bytes blob, struct zran_plain *ret, struct err *err);
/* Appended to *ret: 0 or -ENOMEM. */
MUST_CHECK int zran_plain_encode(const struct zran_plain *plain, struct buf *ret);
uint64_t zran_plain_span_count(const struct zran_plain *plain);

#endif
