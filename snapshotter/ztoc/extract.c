/* SPDX-License-Identifier: Apache-2.0 */
/* extract.c – one file's content out of a layer: only the spans that cover it are read. */
#include "ztoc/internal.h"

#include <errno.h>
#include <stdlib.h>

/* The part of a span's output that belongs to the file goes to the sink. */
struct cut {
    const struct ztoc_sink *sink;
    uint64_t skip; /* bytes before the file */
    uint64_t left; /* bytes of the file */
};

static int cut_piece(void *arg, struct bytes out, struct err *err)
{
    struct cut *cut = arg;
    size_t skip = out.len < cut->skip ? out.len : (size_t)cut->skip;
    size_t len = out.len - skip;

    if (len > cut->left)
        len = (size_t)cut->left;
    cut->skip -= skip;
    cut->left -= len;
    return len == 0 ? 0 : cut->sink->write(cut->sink->self, bytes_of(out.data + skip, len), err);
}

/* The span's bytes, verified. */
static int fetch(const struct ztoc_source *layer, const struct ztoc_span *span, struct buf *ret,
                 struct err *err)
{
    size_t len = (size_t)(span->comp_end - span->comp_off);
    struct digest digest;
    int rc = span->comp_end - span->comp_off > SIZE_MAX / 2 ? -ENOMEM : buf_reserve(ret, len);

    if (rc < 0)
        return err_set(err, rc, "out of memory for %zu bytes", len);
    rc = layer->read_at(layer->self, ret->data, len, span->comp_off, err);
    if (rc < 0)
        return rc;
    ret->len = len;
    rc = digest_of(buf_bytes(ret), &digest);
    if (rc < 0)
        return err_set(err, rc, "out of memory");
    return digest_equal(&digest, &span->digest)
               ? 0
               : err_set(err, -EBADMSG, "does not match its digest");
}

static int inflate_span(const struct ztoc_span *span, struct bytes blob, struct bytes comp,
                        struct cut *cut, struct err *err)
{
    static const uint8_t zeros[ZRAN_WINDOW_BYTES];
    const uint8_t *window = zeros;
    uint64_t wanted = cut->skip + cut->left; /* what is behind the file need not be inflated */

    if (wanted > span->uncomp_end - span->uncomp_off)
        wanted = span->uncomp_end - span->uncomp_off;
    if (span->window_off != UINT64_MAX) {
        if (span->window_off > blob.len || blob.len - span->window_off < ZRAN_WINDOW_BYTES)
            return err_set(err, -EINVAL, "this is not the ztoc that was parsed");
        window = blob.data + span->window_off;
    }
    return zran_inflate(span->bits, window, comp, wanted, cut_piece, cut, err);
}

static int extract_span(const struct ztoc *toc, struct bytes blob, const struct ztoc_source *layer,
                        size_t i, struct cut *cut, struct err *err)
{
    SCOPED(buf_value) struct buf comp = BUF_EMPTY;
    struct ztoc_span span;
    int rc;

    ztoc_span_at(toc, i, &span);
    rc = fetch(layer, &span, &comp, err);
    if (rc < 0)
        return rc;
    if (toc->compression == ZTOC_UNCOMPRESSED)
        return cut_piece(cut, buf_bytes(&comp), err);
    return inflate_span(&span, blob, buf_bytes(&comp), cut, err);
}

int ztoc_extract(const struct ztoc *toc, struct bytes blob, const struct ztoc_source *layer,
                 const struct ztoc_file *file, const struct ztoc_sink *sink, struct err *err)
{
    struct cut cut = {.sink = sink, .left = file->uncomp_size};
    struct ztoc_span span;
    size_t i;

    if (file->type != ZTOC_REG || file->uncomp_size == 0)
        return 0;
    i = ztoc_span_of(toc, file->uncomp_off);
    ztoc_span_at(toc, i, &span);
    cut.skip = file->uncomp_off - span.uncomp_off;
    for (; i < toc->span_count && cut.left > 0; i++) {
        int rc = extract_span(toc, blob, layer, i, &cut, err);

        if (rc < 0)
            return err_prefix(err, rc, "%s: span %zu", file->name, i);
    }
    return cut.left == 0 ? 0 : err_set(err, -EBADMSG, "%s: the layer ends before it", file->name);
}
