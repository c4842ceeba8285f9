/* SPDX-License-Identifier: Apache-2.0 */
/* whole.c – is a layer what its image says? The tar is read once from the disk: hashed, its headers
 * compared with the table, and each span with its CRC, so that a damaged disk is not taken for a
 * forged index. docs/verdicts.md */
#include "layer/internal.h"

#include "base/files.h"

#include <errno.h>
#include <stdlib.h>
#include <zlib.h>

enum {
    PIECE_BYTES = 256 * 1024,
    /* Tars are padded with zeros by those who write them in records: 10 KiB mostly, more on tapes.
     */
    ZEROS_BYTES = 512,
    ZEROS_TRIED = 128,
};

struct whole {
    struct layer *layer;
    const struct layer_claim *claim;
    const struct whole_pause *pause;
    struct hasher *hasher;
    struct ztoc_comparison *comparison;
    uint8_t *piece;
    struct err differs;   /* code 0: the headers agree so far */
    bool has_odd_padding; /* so far */
};

static void whole_fini(struct whole *w)
{
    hasher_free(w->hasher);
    ztoc_comparison_free(w->comparison);
    free(w->piece);
}
DEFINE_SCOPED_VALUE(whole, struct whole, whole_fini)

static int whole_init(struct whole *w, struct err *err)
{
    w->hasher = hasher_new();
    w->piece = malloc(PIECE_BYTES);
    if (w->hasher == NULL || w->piece == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    return ztoc_comparison_new(w->layer->layout.toc, &w->comparison, err);
}

/* ---- the tar --------------------------------------------------------------------------------- */

static int take(struct whole *w, struct bytes piece, struct err *err)
{
    int rc = 0;

    if (hasher_update(w->hasher, piece) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    if (w->differs.code == 0)
        rc = ztoc_comparison_feed(w->comparison, piece, &w->differs);
    if (rc < 0 && rc != -EBADMSG) {
        *err = w->differs;
        return rc;
    }
    return 0;
}

/* Its CRC in *ret. */
static int read_span(struct whole *w, const struct span_info *info, uint32_t *ret, struct err *err)
{
    uLong crc = 0;

    for (uint64_t uncomp_off = info->uncomp_off; uncomp_off < info->uncomp_end;
         uncomp_off += PIECE_BYTES) {
        uint64_t left = info->uncomp_end - uncomp_off;
        size_t len = left < PIECE_BYTES ? (size_t)left : PIECE_BYTES;
        int rc = w->pause->wait(w->pause->self) ? err_set(err, -ECANCELED, "no longer wanted") : 0;

        if (rc == 0)
            rc = file_pread_all(layer_fd(w->layer), w->piece, len, uncomp_off, err);
        if (rc < 0)
            return rc;
        crc = crc32_z(crc, w->piece, len);
        rc = take(w, bytes_of(w->piece, len), err);
        if (rc < 0)
            return rc;
        if (ztoc_clear_padding(w->layer->layout.toc, w->piece, len, uncomp_off))
            w->has_odd_padding = true;
    }
    *ret = (uint32_t)crc;
    return 0;
}

static int check_span(struct whole *w, size_t n, struct err *err)
{
    struct span_layout layout = layer_span_layout(&w->layer->layout);
    uint32_t seen = 0, want = 0;
    struct span_info info;
    int rc;

    layout.at(layout.self, n, &info);
    if (info.uncomp_off == info.uncomp_end) /* behind the archive: not in the file */
        return 0;
    rc = read_span(w, &info, &seen, err);
    if (rc < 0)
        return rc;
    if (!span_file_recorded(w->layer->file, n, &want) || seen != want) {
        rc = span_set_doubt(w->layer->spans, n, err);
        return rc < 0 ? rc : err_set(err, -EAGAIN, "span %zu is not on the disk as it was", n);
    }
    if (w->differs.code != 0) {
        *err = w->differs;
        return -EBADMSG;
    }
    return 0;
}

/* ---- what is behind it ----------------------------------------------------------------------- */

/* 1: the tar, followed by zeros, is what the image says, *ret is its diff ID. 0: it is not. */
static int try_zeros(struct whole *w, struct digest *ret, struct err *err)
{
    static const uint8_t zeros[ZEROS_BYTES];
    SCOPED(hasher) struct hasher *hasher = hasher_copy(w->hasher);
    int rc = hasher == NULL ? -ENOMEM : 0;

    for (int i = 0; i <= ZEROS_TRIED && rc == 0; i++) {
        SCOPED(hasher) struct hasher *now = hasher_copy(hasher);

        if (now == NULL || hasher_final(now, ret) < 0)
            rc = -ENOMEM;
        if (rc == 0)
            rc = claim_fits(w->claim, ret);
        if (rc == 0 && hasher_update(hasher, bytes_of(zeros, sizeof(zeros))) < 0)
            rc = -ENOMEM;
    }
    return rc < 0 ? err_set(err, rc, "out of memory") : rc;
}

static int take_behind(void *self, struct bytes piece, struct err *err)
{
    struct whole *w = self;
    int rc = w->pause->wait(w->pause->self) ? err_set(err, -ECANCELED, "no longer wanted") : 0;

    return rc < 0 ? rc : take(w, piece, err);
}

static int read_behind(struct whole *w, struct digest *ret, struct err *err)
{
    const struct span_sink sink = {.write = take_behind, .self = w};
    int rc = span_set_read_behind(w->layer->spans, &sink, err);

    if (rc < 0)
        return rc;
    if (w->differs.code != 0) {
        *err = w->differs;
        return -EBADMSG;
    }
    if (hasher_final(w->hasher, ret) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    rc = claim_fits(w->claim, ret);
    if (rc < 0)
        return err_set(err, rc, "out of memory");
    return rc;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static int check_held(struct layer *layer, const struct layer_claim *claim,
                      const struct whole_pause *pause, struct whole_finding *ret, struct err *err)
{
    SCOPED(whole) struct whole w = {.layer = layer, .claim = claim, .pause = pause};
    size_t count = layer_span_count(layer);
    int rc = whole_init(&w, err);

    *ret = (struct whole_finding){.is_of_claim = false};
    for (size_t n = 0; n < count && rc == 0; n++)
        rc = check_span(&w, n, err);
    if (rc == 0)
        rc = try_zeros(&w, &ret->diff_id, err);
    if (rc == 0) {
        rc = read_behind(&w, &ret->diff_id, err);
        ret->is_of_claim = rc == 0;
        if (rc == 0)
            return claim_refuse(claim, &ret->diff_id, err);
    }
    ret->needs_daemon = w.has_odd_padding;
    return rc < 0 ? rc : ztoc_comparison_finish(w.comparison, err);
}

/* The comparison is with the layer's files. */
int layer_check_whole(struct layer *layer, const struct layer_claim *claim,
                      const struct whole_pause *pause, struct whole_finding *ret, struct err *err)
{
    int rc = layer_hold_tree(layer, err);

    if (rc < 0)
        return rc;
    rc = check_held(layer, claim, pause, ret, err);
    layer_release_tree(layer);
    return rc;
}
