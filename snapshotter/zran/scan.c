/* SPDX-License-Identifier: Apache-2.0 */
/* scan.c – one pass over a gzip layer: inflate it, and stop at every block boundary to see if a
 * checkpoint is due.
 *
 * The input goes through a buffer in which what was not consumed moves to the front, so that
 * headers are read from contiguous bytes. The output goes round in a buffer that always has the
 * last 32 KiB right before the place where the next byte will go: the window of a checkpoint is
 * there without copying, and across members too. */
#include "zran/internal.h"

#include "base/cleanup.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <zlib.h> /* crc32() */

enum { IN_BYTES = 128 * 1024 }; /* a header may have 64 KiB of extra field and two texts */

enum scan_state { SCAN_HEADER, SCAN_DEFLATE, SCAN_TRAILER };

struct zran_scan {
    uint64_t span_size; /* fixed at creation, as is events */
    struct zran_scan_events events;
    enum scan_state state;
    uint64_t comp_off;   /* bytes consumed */
    uint64_t uncomp_off; /* bytes inflated */
    uint64_t member_off; /* where the current gzip member starts in the layer */
    uint64_t member_len; /* bytes inflated of it */
    uint32_t crc;        /* of them */
    uint64_t last_point; /* uncomp_off of the last checkpoint */
    bool has_point;
    bool is_relaxed; /* zran_scan_relax() was called */
    size_t in_len;   /* bytes in `in`, not consumed */
    struct deflate deflate;
    uint8_t in[IN_BYTES];
    uint8_t out[DEFLATE_BUFFER_BYTES];
};

int zran_scan_new(uint64_t span_size, const struct zran_scan_events *events, struct zran_scan **ret,
                  struct err *err)
{
    struct zran_scan *scan =
        calloc(1, sizeof(*scan)); /* zeros: the window of the first checkpoint */

    if (scan == NULL)
        return err_set(err, -ENOMEM, "gzip: out of memory");
    scan->span_size = span_size;
    scan->events = *events;
    scan->deflate.out = scan->out + ZRAN_WINDOW_BYTES;
    scan->deflate.out_end = scan->out + sizeof(scan->out);
    *ret = scan;
    return 0;
}

void zran_scan_free(struct zran_scan *scan)
{
    free(scan);
}

void zran_scan_relax(struct zran_scan *scan)
{
    scan->is_relaxed = true;
}

static int refuse(uint64_t comp_off, const char *why, struct err *err)
{
    return err_set(err, -EBADMSG, "gzip: offset %" PRIu64 ": %s", comp_off, why);
}

/* ---- what happens between blocks ------------------------------------------------------------- */

/* A place where a block begins: is a checkpoint due? */
static int at_block(struct zran_scan *scan, struct err *err)
{
    struct zran_point point = {scan->comp_off, scan->uncomp_off, scan->deflate.bits};

    /* The first is at the first chance. The reference makes another one whenever nothing was
     * inflated up to here, which its own reader refuses: not we. */
    if (scan->has_point && scan->uncomp_off - scan->last_point <= scan->span_size)
        return 0;
    scan->has_point = true;
    scan->last_point = scan->uncomp_off;
    return scan->events.point(scan->events.arg, &point, scan->deflate.out - ZRAN_WINDOW_BYTES, err);
}

/* What was consumed and what came out of it, to the receiver. */
static int report(struct zran_scan *scan, struct bytes comp, struct bytes out, struct err *err)
{
    int rc = 0;

    scan->comp_off += comp.len;
    scan->uncomp_off += out.len;
    scan->member_len += out.len;
    if (comp.len > 0)
        rc = scan->events.input(scan->events.arg, comp, err);
    if (rc == 0 && out.len > 0) {
        scan->crc = (uint32_t)crc32(scan->crc, out.data, (uInt)out.len);
        rc = scan->events.output(scan->events.arg, out, err);
    }
    return rc;
}

/* ---- the parts of a member; each takes from *in what it can ---------------------------------- */

/* Consume and report; *in moves on. */
static int take(struct zran_scan *scan, struct bytes *in, size_t len, struct err *err)
{
    struct bytes taken = bytes_of(in->data, len);

    *in = bytes_of(in->data + len, in->len - len);
    return report(scan, taken, (struct bytes){0}, err);
}

static int scan_header(struct zran_scan *scan, struct bytes *in, bool *ret_stuck, struct err *err)
{
    const char *why;
    bool has_long_text;
    size_t len;
    int rc;

    scan->member_off = scan->comp_off;
    switch (gzip_header_parse(*in, &len, &has_long_text, &why)) {
    case GZIP_HEADER_BAD:
        return refuse(scan->member_off, why, err);
    case GZIP_HEADER_SHORT:
        *ret_stuck = true;
        return in->len < IN_BYTES ? 0
                                  : refuse(scan->member_off, "a gzip header of over 128 KiB", err);
    case GZIP_HEADER_OK:
        break;
    }
    if (has_long_text && !scan->is_relaxed)
        return refuse(scan->member_off, "a gzip header with a name of more than 511 bytes", err);
    rc = take(scan, in, len, err);
    scan->state = SCAN_DEFLATE;
    scan->member_len = 0;
    scan->crc = 0;
    deflate_reset(&scan->deflate);
    return rc == 0 ? at_block(scan, err) : rc;
}

static int scan_deflate(struct zran_scan *scan, struct bytes *in, bool *ret_stuck, struct err *err)
{
    struct deflate *d = &scan->deflate;
    enum deflate_event event;
    const uint8_t *out;
    int rc;

    deflate_make_room(d, scan->out);
    out = d->out;
    d->floor = out - (scan->member_len < ZRAN_WINDOW_BYTES ? scan->member_len : ZRAN_WINDOW_BYTES);
    d->in = in->data;
    d->in_end = in->data + in->len;
    event = deflate_run(d);
    rc = report(scan, bytes_of(in->data, (size_t)(d->in - in->data)),
                bytes_of(out, (size_t)(d->out - out)), err);
    *in = bytes_of(d->in, (size_t)(d->in_end - d->in));
    if (rc < 0)
        return rc;
    switch (event) {
    case DEFLATE_NEEDS_INPUT:
        *ret_stuck = true;
        break;
    case DEFLATE_NEEDS_ROOM:
        break;
    case DEFLATE_BLOCK_END:
        return at_block(scan, err);
    case DEFLATE_STREAM_END:
        scan->state = SCAN_TRAILER;
        break;
    case DEFLATE_BAD:
        return refuse(scan->comp_off, d->why, err);
    }
    return 0;
}

static int scan_trailer(struct zran_scan *scan, struct bytes *in, bool *ret_stuck, struct err *err)
{
    struct reader r = reader_of(*in);
    uint32_t crc = reader_u32le(&r), len = reader_u32le(&r);

    if (reader_failed(&r)) {
        *ret_stuck = true;
        return 0;
    }
    if (crc != scan->crc)
        return refuse(scan->comp_off, "incorrect data check", err);
    if (len != (uint32_t)scan->member_len)
        return refuse(scan->comp_off + 4, "incorrect length check", err);
    scan->state = SCAN_HEADER;
    return take(scan, in, GZIP_TRAILER_BYTES, err);
}

/* Take from *in until nothing more can be made of it. */
static int scan_some(struct zran_scan *scan, struct bytes *in, struct err *err)
{
    bool stuck = false;
    int rc = 0;

    while (rc == 0 && !stuck) {
        switch (scan->state) {
        case SCAN_HEADER:
            if (in->len == 0)
                return 0;
            rc = scan_header(scan, in, &stuck, err);
            break;
        case SCAN_DEFLATE:
            rc = scan_deflate(scan, in, &stuck, err);
            break;
        case SCAN_TRAILER:
            rc = scan_trailer(scan, in, &stuck, err);
            break;
        }
    }
    return rc;
}

/* ---- the stream ------------------------------------------------------------------------------ */

int zran_scan_feed(struct zran_scan *scan, struct bytes comp, struct err *err)
{
    while (comp.len > 0) {
        size_t len = IN_BYTES - scan->in_len < comp.len ? IN_BYTES - scan->in_len : comp.len;
        struct bytes in;
        int rc;

        memcpy(scan->in + scan->in_len, comp.data, len);
        comp = bytes_of(comp.data + len, comp.len - len);
        in = bytes_of(scan->in, scan->in_len + len);
        rc = scan_some(scan, &in, err);
        if (rc < 0)
            return rc;
        memmove(scan->in, in.data, in.len);
        scan->in_len = in.len;
    }
    return 0;
}

int zran_scan_finish(struct zran_scan *scan, struct err *err)
{
    uint64_t end = scan->comp_off + scan->in_len;

    if (end == 0)
        return err_set(err, -EBADMSG, "gzip: empty");
    if (scan->state != SCAN_HEADER || scan->in_len > 0)
        return err_set(err, -EBADMSG,
                       "gzip: ends at offset %" PRIu64
                       ", inside the member that starts at %" PRIu64,
                       end, scan->member_off);
    return 0;
}
