/* SPDX-License-Identifier: Apache-2.0 */
/* zstd.c – zstd with any number of frames, skippable ones too. */
#include "unpack/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <zstd.h>

/* A frame may ask for a window of gigabytes; what `zstd --ultra` makes fits in here, and the
 * decoder refuses more. */
enum { WINDOW_LOG_MAX = 27 };

struct zstd {
    ZSTD_DStream *stream;
    bool at_end; /* behind a whole frame */
    size_t out_bytes;
    uint8_t *out;
};

bool unpack_has_zstd(void)
{
    return true;
}

static void zstd_close(void *state)
{
    struct zstd *zstd = state;

    if (zstd == NULL)
        return;
    (void)ZSTD_freeDStream(zstd->stream);
    free(zstd->out);
    free(zstd);
}

static int zstd_open(void **ret, struct err *err)
{
    struct zstd *zstd = calloc(1, sizeof(*zstd));

    if (zstd != NULL) {
        zstd->stream = ZSTD_createDStream();
        zstd->out_bytes = ZSTD_DStreamOutSize();
        zstd->out = malloc(zstd->out_bytes);
    }
    if (zstd == NULL || zstd->stream == NULL || zstd->out == NULL ||
        ZSTD_isError(ZSTD_DCtx_setParameter(zstd->stream, ZSTD_d_windowLogMax, WINDOW_LOG_MAX))) {
        zstd_close(zstd);
        return err_set(err, -ENOMEM, "zstd: out of memory");
    }
    *ret = zstd;
    return 0;
}

static int zstd_feed(void *state, struct bytes comp, const struct sink *sink, struct err *err)
{
    struct zstd *zstd = state;
    ZSTD_inBuffer in = {.src = comp.data, .size = comp.len};
    bool more = comp.len > 0;

    while (more) {
        ZSTD_outBuffer out = {.dst = zstd->out, .size = zstd->out_bytes};
        size_t left = ZSTD_decompressStream(zstd->stream, &out, &in);
        int rc;

        if (ZSTD_isError(left))
            return err_set(err, -EBADMSG, "zstd: %s", ZSTD_getErrorName(left));
        zstd->at_end = left == 0;
        rc = out.pos == 0 ? 0 : sink->write(sink->arg, bytes_of(zstd->out, out.pos), err);
        if (rc < 0)
            return rc;
        /* A full output means that there may be more inside. */
        more = in.pos < in.size || (out.pos == out.size && left != 0);
    }
    return 0;
}

static int zstd_finish(void *state, struct err *err)
{
    const struct zstd *zstd = state;

    return zstd->at_end ? 0 : err_set(err, -EBADMSG, "zstd: cut off");
}

const struct codec codec_zstd = {zstd_open, zstd_feed, zstd_finish, zstd_close};
