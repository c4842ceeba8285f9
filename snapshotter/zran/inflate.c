/* SPDX-License-Identifier: Apache-2.0 */
/* inflate.c – one span, from its checkpoint.
 *
 * By libraries, not by the decoder that scans: nothing checks these bytes afterwards, while a scan
 * ends with the CRC of all it decoded. And so each build of a ztoc that is read back has been
 * through two decoders. ISA-L goes first where there is one, zlib does what that leaves. */
#include "zran/internal.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdbool.h>
#include <zlib.h>

enum { RAW_DEFLATE = -15, GZIP_OR_ZLIB = 47 }; /* zlib's windowBits */
enum { MAX_FEED_BYTES = 1 << 30 };             /* avail_in has 32 bits */

struct inflation {
    z_stream z;
    struct bytes left; /* not yet given to z */
    bool raw;          /* inside the member in which the span starts: its trailer is left to us */
    uint8_t *out;      /* borrowed */
    uint64_t uncomp_left;
};

static void inflation_fini(struct inflation *in)
{
    (void)inflateEnd(&in->z);
}
DEFINE_SCOPED_VALUE(inflation, struct inflation, inflation_fini)

static void refill(struct inflation *in)
{
    size_t len = in->left.len < MAX_FEED_BYTES ? in->left.len : MAX_FEED_BYTES;
    union { /* zlib's next_in is not const unless ZLIB_CONST is set; it does not write through it */
        const uint8_t *in;
        Bytef *out;
    } unconst = {.in = in->left.data};

    if (in->z.avail_in > 0 || len == 0)
        return;
    in->z.next_in = unconst.out;
    in->z.avail_in = (uInt)len;
    in->left = bytes_of(in->left.data + len, in->left.len - len);
}

static bool skip_in(struct inflation *in, size_t len)
{
    if (in->z.avail_in < len) {
        size_t rest = len - in->z.avail_in;

        if (rest > in->left.len)
            return false;
        in->z.avail_in = 0;
        in->left = bytes_of(in->left.data + rest, in->left.len - rest);
        return true;
    }
    in->z.next_in += len;
    in->z.avail_in -= (uInt)len;
    return true;
}

/* A member has ended and more bytes are wanted: go on with the next one. */
static int next_member(struct inflation *in, struct err *err)
{
    if (in->raw && !skip_in(in, GZIP_TRAILER_BYTES))
        return err_set(err, -EBADMSG, "inflate: ends in a gzip trailer");
    in->raw = false;
    if (in->z.avail_in == 0 && in->left.len == 0)
        return err_set(err, -EBADMSG, "inflate: the stream ends early");
    return inflateReset2(&in->z, GZIP_OR_ZLIB) == Z_OK
               ? 0
               : err_set(err, -ENOMEM, "inflate: out of memory");
}

static int start(struct inflation *in, uint8_t bits, const uint8_t *window, struct err *err)
{
    if (bits != 0) {
        if (in->left.len == 0 || bits > 7)
            return err_set(err, -EBADMSG, "inflate: no byte that holds the first %u bits", bits);
        if (inflatePrime(&in->z, bits, in->left.data[0] >> (8 - bits)) != Z_OK)
            return err_set(err, -EBADMSG, "inflate: cannot start in the middle of a byte");
        in->left = bytes_of(in->left.data + 1, in->left.len - 1);
    }
    if (inflateSetDictionary(&in->z, window, ZRAN_WINDOW_BYTES) != Z_OK)
        return err_set(err, -ENOMEM, "inflate: out of memory");
    return 0;
}

/* The next piece of output: its length in *ret_len, possibly 0 at a member's end. */
static int step(struct inflation *in, size_t *ret_len, struct err *err)
{
    size_t want = in->uncomp_left < INFLATE_OUT_BYTES ? (size_t)in->uncomp_left : INFLATE_OUT_BYTES;
    int rc = Z_OK;

    in->z.next_out = in->out;
    in->z.avail_out = (uInt)want;
    while (in->z.avail_out > 0 && rc == Z_OK) {
        refill(in);
        rc = inflate(&in->z, Z_NO_FLUSH);
    }
    *ret_len = want - in->z.avail_out;
    if (rc == Z_MEM_ERROR)
        return err_set(err, -ENOMEM, "inflate: out of memory");
    if (rc == Z_BUF_ERROR)
        return err_set(err, -EBADMSG, "inflate: the span ends early");
    if (rc != Z_OK && rc != Z_STREAM_END)
        return err_set(err, -EBADMSG, "inflate: %s",
                       in->z.msg != NULL ? in->z.msg : "does not decode");
    return rc == Z_STREAM_END && in->uncomp_left > *ret_len ? next_member(in, err) : 0;
}

/* What `done` leaves: all of the span, less what was given of it, or what is behind its first
 * member. */
static int inflate_rest(uint8_t bits, const uint8_t *window, struct bytes comp,
                        const struct inflate_sink *sink, const struct inflated *done, uint8_t *out,
                        struct err *err)
{
    uint64_t skip = done->member_ended ? 0 : done->uncomp_len;
    uint64_t given = done->member_ended ? done->uncomp_len : 0;
    size_t gone = done->member_ended ? done->comp_len : 0;
    SCOPED(inflation)
    struct inflation in = {.left = bytes_of(comp.data + gone, comp.len - gone),
                           .raw = true,
                           .out = out,
                           .uncomp_left = sink->uncomp_len - given};
    size_t len;
    int rc;

    if (inflateInit2(&in.z, RAW_DEFLATE) != Z_OK)
        return err_set(err, -ENOMEM, "inflate: out of memory");
    rc = done->member_ended ? next_member(&in, err) : start(&in, bits, window, err);
    while (rc == 0 && in.uncomp_left > 0) {
        rc = step(&in, &len, err);
        in.uncomp_left -= len;
        if (rc == 0 && len > skip)
            rc = sink->take(sink->arg, bytes_of(out + skip, len - skip), err);
        skip -= len < skip ? len : skip;
    }
    return rc;
}

int zran_inflate(uint8_t bits, const uint8_t window[ZRAN_WINDOW_BYTES], struct bytes comp,
                 uint64_t uncomp_len, int (*sink)(void *arg, struct bytes out, struct err *err),
                 void *arg, struct err *err)
{
    const struct inflate_sink to = {.take = sink, .arg = arg, .uncomp_len = uncomp_len};
    struct inflated done = {.uncomp_len = 0};
    SCOPED(mem) uint8_t *out = NULL;

    if (uncomp_len == 0)
        return 0;
    out = malloc(INFLATE_OUT_BYTES);
    if (out == NULL)
        return err_set(err, -ENOMEM, "inflate: out of memory");
#ifdef SOCI_ISAL
    int rc = isal_inflate_member(bits, window, comp, &to, out, &done, err);

    if (rc < 0 || done.uncomp_len == uncomp_len)
        return rc;
#endif
    return inflate_rest(bits, window, comp, &to, &done, out, err);
}

/* ---- to the end ------------------------------------------------------------------------------ */

/* A member has ended. 1: and so has the stream. */
static int next_member_if_any(struct inflation *in, struct err *err)
{
    if (in->raw && !skip_in(in, GZIP_TRAILER_BYTES))
        return err_set(err, -EBADMSG, "inflate: ends in a gzip trailer");
    in->raw = false;
    return in->z.avail_in == 0 && in->left.len == 0 ? 1 : next_member(in, err);
}

/* As step(). 1: there is no more. */
static int step_to_end(struct inflation *in, size_t *ret_len, struct err *err)
{
    int rc = Z_OK;

    in->z.next_out = in->out;
    in->z.avail_out = INFLATE_OUT_BYTES;
    while (in->z.avail_out > 0 && rc == Z_OK) {
        refill(in);
        rc = inflate(&in->z, Z_NO_FLUSH);
    }
    *ret_len = INFLATE_OUT_BYTES - in->z.avail_out;
    if (rc == Z_STREAM_END)
        return next_member_if_any(in, err);
    if (rc == Z_OK || rc == Z_BUF_ERROR)
        return rc == Z_OK ? 0 : 1;
    if (rc == Z_MEM_ERROR)
        return err_set(err, -ENOMEM, "inflate: out of memory");
    return err_set(err, -EBADMSG, "inflate: %s", in->z.msg != NULL ? in->z.msg : "does not decode");
}

int zran_inflate_to_end(uint8_t bits, const uint8_t window[ZRAN_WINDOW_BYTES], struct bytes comp,
                        uint64_t skip, int (*sink)(void *arg, struct bytes out, struct err *err),
                        void *arg, struct err *err)
{
    SCOPED(mem) uint8_t *out = malloc(INFLATE_OUT_BYTES);
    SCOPED(inflation) struct inflation in = {.left = comp, .raw = true, .out = out};
    bool ended = false;
    int rc;

    if (out == NULL || inflateInit2(&in.z, RAW_DEFLATE) != Z_OK)
        return err_set(err, -ENOMEM, "inflate: out of memory");
    rc = start(&in, bits, window, err);
    while (rc == 0 && !ended) {
        size_t len = 0;

        rc = step_to_end(&in, &len, err);
        ended = rc == 1;
        if (rc >= 0)
            rc = len > skip ? sink(arg, bytes_of(out + skip, len - skip), err) : 0;
        skip -= len < skip ? len : skip;
    }
    return rc;
}
