/* SPDX-License-Identifier: Apache-2.0 */
/* gzip.c – gzip with any number of members, one after the other; nothing else may follow. */
#include "unpack/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <zlib.h>

enum { OUT_BYTES = 128 * 1024 };
enum { GZIP_ONLY = 31 }; /* zlib's windowBits */

struct gzip {
    z_stream z;
    bool at_end; /* behind a whole member, and nothing of another was seen */
    uint8_t out[OUT_BYTES];
};

static void gzip_close(void *state)
{
    struct gzip *gzip = state;

    if (gzip == NULL)
        return;
    (void)inflateEnd(&gzip->z);
    free(gzip);
}

static int gzip_open(void **ret, struct err *err)
{
    struct gzip *gzip = calloc(1, sizeof(*gzip));

    if (gzip == NULL || inflateInit2(&gzip->z, GZIP_ONLY) != Z_OK) {
        free(gzip);
        return err_set(err, -ENOMEM, "gzip: out of memory");
    }
    *ret = gzip;
    return 0;
}

/* Inflate once, and pass on what came out. 1: the input is used up. */
static int step(struct gzip *gzip, const struct sink *sink, struct err *err)
{
    int z_rc, rc;
    size_t len;

    if (gzip->at_end && inflateReset(&gzip->z) != Z_OK)
        return err_set(err, -EBADMSG, "gzip: damaged");
    gzip->at_end = false;
    gzip->z.next_out = gzip->out;
    gzip->z.avail_out = OUT_BYTES;
    z_rc = inflate(&gzip->z, Z_NO_FLUSH);
    if (z_rc == Z_MEM_ERROR)
        return err_set(err, -ENOMEM, "gzip: out of memory");
    if (z_rc != Z_OK && z_rc != Z_STREAM_END && z_rc != Z_BUF_ERROR)
        return err_set(err, -EBADMSG, "gzip: %s", gzip->z.msg == NULL ? "damaged" : gzip->z.msg);
    gzip->at_end = z_rc == Z_STREAM_END;
    len = OUT_BYTES - gzip->z.avail_out;
    rc = len == 0 ? 0 : sink->write(sink->arg, bytes_of(gzip->out, len), err);
    if (rc < 0)
        return rc;
    /* With room left in the output nothing is held back inside. */
    return gzip->z.avail_in == 0 && (gzip->z.avail_out > 0 || gzip->at_end) ? 1 : 0;
}

static int gzip_feed(void *state, struct bytes comp, const struct sink *sink, struct err *err)
{
    struct gzip *gzip = state;
    int rc = 0;

    gzip->z.next_in = (z_const Bytef *)(uintptr_t)comp.data;
    gzip->z.avail_in = (uInt)comp.len;
    while (rc == 0)
        rc = step(gzip, sink, err);
    return rc < 0 ? rc : 0;
}

static int gzip_finish(void *state, struct err *err)
{
    const struct gzip *gzip = state;

    return gzip->at_end ? 0 : err_set(err, -EBADMSG, "gzip: cut off");
}

const struct codec codec_gzip = {gzip_open, gzip_feed, gzip_finish, gzip_close};
