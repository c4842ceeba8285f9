/* SPDX-License-Identifier: Apache-2.0 */
/* spans.c – the spans of a ztoc: reading them, verifying that they cover the layer, looking one up.
 *
 * A gzip span goes from its checkpoint to the next one; the spans of a layer that is not compressed
 * are all equally long. Both end with the layer, and in the tar with ztoc_uncomp_size(), unless
 * they start behind it. */
#include "ztoc/internal.h"

#include "flatbuf/flatbuf.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

enum { GZIP_HEADER_BYTES = 10 }; /* at least, before the first deflate block */

/* ---- reading --------------------------------------------------------------------------------- */

static int parse_digests(struct flatbuf *fb, struct flatbuf_vector texts, struct ztoc *toc,
                         struct err *err)
{
    char text[DIGEST_TEXT_BYTES];

    toc->digests = calloc(toc->span_count, sizeof(*toc->digests));
    if (toc->digests == NULL)
        return err_set(err, -ENOMEM, "out of memory for %zu spans", toc->span_count);
    for (size_t i = 0; i < toc->span_count; i++) {
        struct bytes digest = flatbuf_vector_bytes(fb, texts, i);
        int rc;

        if (digest.len != sizeof(text) - 1)
            return err_set(err, -EBADMSG, "span %zu: no digest", i);
        memcpy(text, digest.data, digest.len);
        text[digest.len] = '\0';
        rc = digest_parse(text, &toc->digests[i], err);
        if (rc < 0)
            return err_prefix(err, -EBADMSG, "span %zu", i);
    }
    return 0;
}

/* Does checkpoint i follow the one before, inside the layer? */
static int check_point(const struct ztoc *toc, size_t i, struct err *err)
{
    const struct zran_point *point = &toc->points[i], *last = i == 0 ? NULL : &toc->points[i - 1];

    if (point->bits > 7)
        return err_set(err, -EBADMSG, "checkpoint %zu: %u bits of a byte", i, point->bits);
    if (point->comp_off >= toc->comp_size || point->uncomp_off > INT64_MAX)
        return err_set(err, -EBADMSG,
                       "checkpoint %zu: outside the layer (%" PRIu64 " of %" PRIu64 " bytes)", i,
                       point->comp_off, toc->comp_size);
    if (i == 0 && (point->comp_off < GZIP_HEADER_BYTES || point->uncomp_off != 0))
        return err_set(err, -EBADMSG, "checkpoint 0 is not at the start (%" PRIu64 ", %" PRIu64 ")",
                       point->comp_off, point->uncomp_off);
    if (last != NULL && point->comp_off <= last->comp_off)
        return err_set(err, -EBADMSG,
                       "checkpoint %zu goes backwards (%" PRIu64 " after %" PRIu64 ")", i,
                       point->comp_off, last->comp_off);
    /* The reference writes two checkpoints at 0 when nothing comes out of a layer's first block: no
     * harm. */
    if (last != NULL && point->uncomp_off <= last->uncomp_off && point->uncomp_off != 0)
        return err_set(err, -EBADMSG,
                       "checkpoint %zu goes backwards (%" PRIu64 " after %" PRIu64 " bytes of tar)",
                       i, point->uncomp_off, last->uncomp_off);
    return 0;
}

static int parse_gzip(const struct flatbuf *fb, struct bytes blob, struct ztoc *toc,
                      struct err *err)
{
    uint64_t blob_off = (uint64_t)(blob.data - fb->blob.data);
    struct zran_zinfo zinfo;
    int rc = zran_zinfo_parse(blob, &zinfo, err);

    if (rc < 0)
        return rc;
    if (zinfo.count != toc->span_count)
        return err_set(err, -EBADMSG, "%zu checkpoints for %zu spans", zinfo.count,
                       toc->span_count);
    toc->span_size = zinfo.span_size;
    toc->points = calloc(zinfo.count, sizeof(*toc->points));
    toc->window_offs = calloc(zinfo.count, sizeof(*toc->window_offs));
    if (toc->points == NULL || toc->window_offs == NULL)
        return err_set(err, -ENOMEM, "out of memory for %zu spans", zinfo.count);
    for (size_t i = 0; i < zinfo.count; i++) {
        zran_zinfo_point(&zinfo, i, &toc->points[i], &toc->window_offs[i]);
        if (toc->window_offs[i] != ZRAN_NO_WINDOW)
            toc->window_offs[i] += blob_off;
        rc = check_point(toc, i, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int parse_plain(struct bytes blob, struct ztoc *toc, struct err *err)
{
    struct zran_plain plain;
    int rc = zran_plain_parse(blob, &plain, err);

    if (rc < 0)
        return rc;
    if (plain.size != toc->comp_size || toc->uncomp_size > toc->comp_size)
        return err_set(err, -EBADMSG, "sizes of an uncompressed layer that differ");
    if (zran_plain_span_count(&plain) != toc->span_count)
        return err_set(err, -EBADMSG, "%zu spans of %" PRIu64 " bytes for a layer of %" PRIu64,
                       toc->span_count, plain.span_size, plain.size);
    toc->span_size = plain.span_size;
    return 0;
}

int spans_parse(struct flatbuf *fb, struct flatbuf_table info, struct ztoc *toc, struct err *err)
{
    int8_t algorithm = flatbuf_i8(fb, info, INFO_ALGORITHM, ZTOC_GZIP);
    int32_t max_span = flatbuf_i32(fb, info, INFO_MAX_SPAN, 0);
    struct flatbuf_vector digests = flatbuf_vector_at(fb, info, INFO_DIGESTS);
    struct bytes zinfo = flatbuf_bytes(fb, info, INFO_CHECKPOINTS);
    int rc;

    if (algorithm != ZTOC_GZIP && algorithm != ZTOC_UNCOMPRESSED)
        return err_set(err, -EBADMSG, "unknown compression %d", algorithm);
    if (max_span < 0 || digests.count != (uint32_t)max_span + 1)
        return err_set(err, -EBADMSG, "%u digests for spans up to number %d",
                       (unsigned)digests.count, (int)max_span);
    toc->compression = (enum ztoc_compression)algorithm;
    toc->span_count = digests.count;
    rc = algorithm == ZTOC_GZIP ? parse_gzip(fb, zinfo, toc, err) : parse_plain(zinfo, toc, err);
    return rc < 0 ? rc : parse_digests(fb, digests, toc, err);
}

/* ---- using ----------------------------------------------------------------------------------- */

size_t ztoc_span_count(const struct ztoc *toc)
{
    return toc->span_count;
}

uint64_t ztoc_span_size(const struct ztoc *toc)
{
    return toc->span_size;
}

static uint64_t uncomp_start(const struct ztoc *toc, size_t i)
{
    return toc->points != NULL ? toc->points[i].uncomp_off : i * toc->span_size;
}

void ztoc_span_at(const struct ztoc *toc, size_t i, struct ztoc_span *ret)
{
    bool is_last = i + 1 == toc->span_count;

    *ret = (struct ztoc_span){
        .uncomp_off = uncomp_start(toc, i), .window_off = UINT64_MAX, .digest = toc->digests[i]};
    ret->uncomp_end = is_last ? toc->uncomp_size : uncomp_start(toc, i + 1);
    if (ret->uncomp_end < ret->uncomp_off)
        ret->uncomp_end = ret->uncomp_off; /* wholly behind the end of the archive */
    if (toc->points == NULL) {
        ret->comp_off = ret->uncomp_off;
        ret->comp_end = is_last ? toc->comp_size : ret->uncomp_end;
        return;
    }
    ret->comp_off = zran_point_start(&toc->points[i]);
    ret->comp_end = is_last ? toc->comp_size : toc->points[i + 1].comp_off;
    ret->bits = toc->points[i].bits;
    ret->window_off = toc->window_offs[i];
}

size_t ztoc_span_of(const struct ztoc *toc, uint64_t uncomp_off)
{
    size_t low = 0, high = toc->span_count; /* the answer is in [low, high) */

    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;

        if (uncomp_start(toc, middle) <= uncomp_off)
            low = middle;
        else
            high = middle;
    }
    return low;
}
