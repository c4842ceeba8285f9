/* SPDX-License-Identifier: Apache-2.0 */
/* layout.c – the spans of a ztoc as the span engine wants to see them. */
#include "layer/internal.h"

#include "base/files.h"
#include "zran/zran.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>

static bool has_window(const struct ztoc_span *span)
{
    return span->window_off != UINT64_MAX; /* else it is all zeros */
}

/* The ztoc's digest is checked here and never again, so the windows that are read later get a CRC.
 */
static int sum_windows(struct layer_layout *layout, struct bytes blob, struct err *err)
{
    size_t n, count = ztoc_span_count(layout->toc);
    struct ztoc_span span;

    layout->window_crc = calloc(count, sizeof(*layout->window_crc));
    if (layout->window_crc == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    for (n = 0; n < count; n++) {
        ztoc_span_at(layout->toc, n, &span);
        if (!has_window(&span))
            continue;
        if (span.window_off > blob.len || blob.len - span.window_off < ZRAN_WINDOW_BYTES)
            return err_set(err, -EBADMSG, "the window of span %zu is past the end", n);
        layout->window_crc[n] =
            (uint32_t)crc32_z(0, blob.data + span.window_off, ZRAN_WINDOW_BYTES);
    }
    return 0;
}

static int load(struct layer_layout *layout, struct store *store, const struct digest *ztoc,
                struct err *err)
{
    SCOPED(blob_map) struct bytes blob = {.data = NULL};
    int rc = store_blob_map(store, ztoc, ZTOC_MAX_BYTES, &blob, err);

    if (rc == 0)
        rc = store_blob_open(store, ztoc, &layout->ztoc_fd, err);
    if (rc == 0)
        rc = ztoc_parse(blob, &layout->toc, err);
    if (rc == 0 && ztoc_compression(layout->toc) == ZTOC_GZIP)
        rc = sum_windows(layout, blob, err);
    return rc;
}

int layer_layout_open(struct layer_layout *layout, struct store *store, const struct digest *ztoc,
                      struct err *err)
{
    char text[DIGEST_TEXT_BYTES];
    int rc = load(layout, store, ztoc, err);

    if (rc == 0)
        return 0;
    layer_layout_close(layout);
    digest_format(ztoc, text);
    return err_prefix(err, rc, "ztoc %s", text);
}

int layer_layout_read_files(struct layer_layout *layout, struct store *store,
                            const struct digest *ztoc, struct err *err)
{
    SCOPED(blob_map) struct bytes blob = {.data = NULL};
    char text[DIGEST_TEXT_BYTES];
    int rc = store_blob_map(store, ztoc, ZTOC_MAX_BYTES, &blob, err);

    if (rc == 0)
        rc = ztoc_read_files(layout->toc, blob, err);
    if (rc == 0)
        return 0;
    digest_format(ztoc, text);
    return err_prefix(err, rc, "ztoc %s", text);
}

void layer_layout_close(struct layer_layout *layout)
{
    ztoc_free(layout->toc);
    scoped_fd(&layout->ztoc_fd);
    free(layout->window_crc);
    *layout = (struct layer_layout)LAYER_LAYOUT_NONE;
}

/* ---- the table of functions -------------------------------------------------------------------
 */

static size_t layout_count(void *self)
{
    const struct layer_layout *layout = self;
    return ztoc_span_count(layout->toc);
}

/* Checkpoints may lie behind the end of the archive, where members of the gzip file hold only
 * padding: nobody reads there, and the data file has no room for it. */
static void layout_at(void *self, size_t n, struct span_info *ret)
{
    const struct layer_layout *layout = self;
    uint64_t archive_end = ztoc_uncomp_size(layout->toc);
    struct ztoc_span span;

    ztoc_span_at(layout->toc, n, &span);
    if (span.uncomp_off > archive_end)
        span.uncomp_off = archive_end;
    if (span.uncomp_end > archive_end)
        span.uncomp_end = archive_end;
    *ret = (struct span_info){.comp_off = span.comp_off,
                              .comp_end = span.comp_end,
                              .uncomp_off = span.uncomp_off,
                              .uncomp_end = span.uncomp_end,
                              .bits = span.bits,
                              .digest = span.digest};
}

static size_t layout_find(void *self, uint64_t uncomp_off)
{
    const struct layer_layout *layout = self;
    return ztoc_span_of(layout->toc, uncomp_off);
}

static int layout_window(void *self, size_t n, uint8_t *ret, struct err *err)
{
    const struct layer_layout *layout = self;
    struct ztoc_span span;
    int rc;

    ztoc_span_at(layout->toc, n, &span);
    if (!has_window(&span)) {
        memset(ret, 0, ZRAN_WINDOW_BYTES);
        return 0;
    }
    rc = file_pread_all(layout->ztoc_fd, ret, ZRAN_WINDOW_BYTES, span.window_off, err);
    if (rc < 0)
        return err_prefix(err, rc, "window of the ztoc on disk");
    if ((uint32_t)crc32_z(0, ret, ZRAN_WINDOW_BYTES) != layout->window_crc[n])
        return err_set(err, -EIO, "window of the ztoc on disk: damaged since the layer was opened");
    return 0;
}

struct span_layout layer_span_layout(struct layer_layout *layout)
{
    bool compressed = ztoc_compression(layout->toc) == ZTOC_GZIP;

    return (struct span_layout){.count = layout_count,
                                .at = layout_at,
                                .find = layout_find,
                                .window = compressed ? layout_window : NULL,
                                .self = layout};
}
