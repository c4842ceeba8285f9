/* SPDX-License-Identifier: Apache-2.0 */
/* scan.c – one pass over a gzip layer: inflate it, and stop at every block boundary to see if a
 * checkpoint is due.
 *
 * The output goes round in a buffer that always has the last 32 KiB right before the place where
 * the next byte will go, so the window of a checkpoint is there without copying, and across gzip
 * members too. */
#include "zran/zran.h"

#include "base/cleanup.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <zlib.h>

enum { OUT_BYTES = 128 * 1024 };
enum { GZIP_ONLY = 31, GZIP_OR_ZLIB = 47 }; /* zlib's windowBits */
enum {
    AT_BLOCK_END = 128,
    IN_LAST_BLOCK = 64,
    UNUSED_BITS = 7
};                                 /* in z_stream.data_type after Z_BLOCK */
enum { MAX_FEED_BYTES = 1 << 30 }; /* avail_in has 32 bits */
enum {
    HEADER_TEXT_BYTES = 512
}; /* the reference refuses longer names and comments, NUL included */

struct zran_scan {
    uint64_t span_size; /* fixed at creation, as is events */
    struct zran_scan_events events;
    z_stream z;
    uint64_t comp_off;   /* bytes consumed */
    uint64_t uncomp_off; /* bytes inflated */
    uint64_t member_off; /* where the current gzip member starts */
    uint64_t last_point; /* uncomp_off of the last checkpoint */
    bool has_point;
    bool in_member; /* between the first byte of a member and its last */
    bool any_member;
    bool is_relaxed;  /* zran_scan_relax() was called */
    bool check_texts; /* in the header of the current member */
    gz_header header; /* of the current member; its texts are below */
    uint8_t name[HEADER_TEXT_BYTES], comment[HEADER_TEXT_BYTES];
    uint8_t out[ZRAN_WINDOW_BYTES + OUT_BYTES];
};

int zran_scan_new(uint64_t span_size, const struct zran_scan_events *events, struct zran_scan **ret,
                  struct err *err)
{
    struct zran_scan *scan =
        calloc(1, sizeof(*scan)); /* zeros: the window of the first checkpoint */

    if (scan == NULL || inflateInit2(&scan->z, GZIP_ONLY) != Z_OK) {
        free(scan);
        return err_set(err, -ENOMEM, "gzip: out of memory");
    }
    scan->span_size = span_size;
    scan->events = *events;
    scan->z.next_out = scan->out + ZRAN_WINDOW_BYTES;
    scan->z.avail_out = OUT_BYTES;
    *ret = scan;
    return 0;
}

void zran_scan_free(struct zran_scan *scan)
{
    if (scan == NULL)
        return;
    (void)inflateEnd(&scan->z);
    free(scan);
}

void zran_scan_relax(struct zran_scan *scan)
{
    scan->is_relaxed = true;
}

static int start_member(struct zran_scan *scan, struct err *err)
{
    memset(scan->name, 0, sizeof(scan->name));
    memset(scan->comment, 0, sizeof(scan->comment));
    scan->header = (gz_header){.name = scan->name,
                               .name_max = sizeof(scan->name),
                               .comment = scan->comment,
                               .comm_max = sizeof(scan->comment)};
    if (inflateReset2(&scan->z, scan->is_relaxed ? GZIP_OR_ZLIB : GZIP_ONLY) != Z_OK ||
        inflateGetHeader(&scan->z, &scan->header) != Z_OK)
        return err_set(err, -ENOMEM, "gzip: out of memory");
    scan->member_off = scan->comp_off;
    scan->in_member = true;
    scan->check_texts = !scan->is_relaxed;
    scan->any_member = true;
    return 0;
}

static bool is_ended(const uint8_t text[HEADER_TEXT_BYTES])
{
    return memchr(text, '\0', HEADER_TEXT_BYTES) != NULL;
}

/* Is there a checkpoint here, between two blocks? */
static int at_block_end(struct zran_scan *scan, struct err *err)
{
    struct zran_point point = {scan->comp_off, scan->uncomp_off,
                               (uint8_t)(scan->z.data_type & UNUSED_BITS)};

    if (scan->check_texts && (!is_ended(scan->name) || !is_ended(scan->comment)))
        return err_set(err, -EBADMSG,
                       "gzip: header at offset %" PRIu64 ": a name of more than %d bytes",
                       scan->member_off, HEADER_TEXT_BYTES - 1);
    /* The first is at the first chance. The reference makes another one whenever nothing was
     * inflated up to here, which its own reader refuses: not we. */
    if (scan->has_point && scan->uncomp_off - scan->last_point <= scan->span_size)
        return 0;
    scan->has_point = true;
    scan->last_point = scan->uncomp_off;
    return scan->events.point(scan->events.arg, &point, scan->z.next_out - ZRAN_WINDOW_BYTES, err);
}

static void make_room(struct zran_scan *scan)
{
    if (scan->z.avail_out > 0)
        return;
    memmove(scan->out, scan->z.next_out - ZRAN_WINDOW_BYTES, ZRAN_WINDOW_BYTES);
    scan->z.next_out = scan->out + ZRAN_WINDOW_BYTES;
    scan->z.avail_out = OUT_BYTES;
}

static int refuse(const struct zran_scan *scan, int zrc, struct err *err)
{
    const char *msg = scan->z.msg != NULL ? scan->z.msg : "does not decode";

    if (zrc == Z_MEM_ERROR)
        return err_set(err, -ENOMEM, "gzip: out of memory");
    if (scan->comp_off - scan->member_off <= 2)
        return err_set(err, -EBADMSG, "gzip: offset %" PRIu64 ": not a gzip member (%s)",
                       scan->member_off, msg);
    return err_set(err, -EBADMSG, "gzip: offset %" PRIu64 ": %s (error %d)", scan->comp_off, msg,
                   zrc);
}

/* Inflate up to the next block boundary, the end of the member, of the input or of the room for
 * output. */
static int step(struct zran_scan *scan, struct err *err)
{
    const uint8_t *out = scan->z.next_out;
    uInt avail_in = scan->z.avail_in;
    size_t made;
    int rc = 0, zrc;

    zrc = inflate(&scan->z, Z_BLOCK);
    made = (size_t)(scan->z.next_out - out);
    scan->comp_off += avail_in - scan->z.avail_in;
    scan->uncomp_off += made;
    if (zrc != Z_OK && zrc != Z_STREAM_END && zrc != Z_BUF_ERROR)
        return refuse(scan, zrc == Z_NEED_DICT ? Z_DATA_ERROR : zrc, err);
    if (made > 0)
        rc = scan->events.output(scan->events.arg, bytes_of(out, made), err);
    if (rc < 0)
        return rc;
    if (zrc == Z_STREAM_END)
        scan->in_member = false;
    else if ((scan->z.data_type & AT_BLOCK_END) != 0 && (scan->z.data_type & IN_LAST_BLOCK) == 0)
        rc = at_block_end(scan, err);
    return rc;
}

static int feed(struct zran_scan *scan, struct err *err)
{
    int rc = 0;

    while (rc == 0 && (scan->z.avail_in > 0 || scan->z.avail_out == 0)) {
        make_room(scan);
        if (!scan->in_member && scan->z.avail_in == 0)
            break;
        if (!scan->in_member)
            rc = start_member(scan, err);
        if (rc == 0)
            rc = step(scan, err);
    }
    return rc;
}

int zran_scan_feed(struct zran_scan *scan, struct bytes comp, struct err *err)
{
    while (comp.len > 0) {
        size_t len = comp.len < MAX_FEED_BYTES ? comp.len : MAX_FEED_BYTES;
        union { /* zlib's next_in is not const unless ZLIB_CONST is set; it does not write through
                   it */
            const uint8_t *in;
            Bytef *out;
        } unconst = {.in = comp.data};
        int rc;

        scan->z.next_in = unconst.out;
        scan->z.avail_in = (uInt)len;
        rc = feed(scan, err);
        if (rc < 0)
            return rc;
        comp = bytes_of(comp.data + len, comp.len - len);
    }
    return 0;
}

int zran_scan_finish(struct zran_scan *scan, struct err *err)
{
    if (!scan->any_member)
        return err_set(err, -EBADMSG, "gzip: empty");
    if (scan->in_member)
        return err_set(err, -EBADMSG,
                       "gzip: ends at offset %" PRIu64
                       ", inside the member that starts at %" PRIu64,
                       scan->comp_off, scan->member_off);
    return 0;
}
