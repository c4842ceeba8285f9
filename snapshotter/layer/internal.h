/* SPDX-License-Identifier: Apache-2.0 */
/* internal.h – a layer, and how its ztoc becomes what the span engine asks for. */
#ifndef LAYER_INTERNAL_H
#define LAYER_INTERNAL_H

#include "layer/layer.h"

#include "ztoc/ztoc.h"

/* ---- layout.c ---------------------------------------------------------------------------------
 */

/* The ztoc's table, and its blob for the windows: they are most of a ztoc, so they stay on disk and
 * are read when a span is inflated. */
struct layer_layout {
    struct ztoc *toc;
    int ztoc_fd;          /* -1: none */
    uint32_t *window_crc; /* of each window as it was when the blob's digest was checked; NULL: not
                             compressed */
};
#define LAYER_LAYOUT_NONE                                                                          \
    {                                                                                              \
        .ztoc_fd = -1                                                                              \
    }
/* From the store. -ENOENT: there is no such blob; -EBADMSG: it is no ztoc; -EFBIG, -ENOMEM, -EIO.
 */
MUST_CHECK int layer_layout_open(struct layer_layout *layout, struct store *store,
                                 const struct digest *ztoc, struct err *err);
void layer_layout_close(struct layer_layout *layout);
/* Borrows the layout. */
struct span_layout layer_span_layout(struct layer_layout *layout);

/* ---- layer.c ----------------------------------------------------------------------------------
 */

struct layer {
    struct digest digest; /* fixed at creation, as all but the last three */
    struct digest ztoc_digest;
    bool disable_xattrs;
    struct layer_layout layout;
    struct tree *tree;
    struct span_set *spans;        /* NULL until it is open */
    struct metrics_layer *metrics; /* a reference; NULL: none */

    struct layer_set *set;
    size_t refs;                                             /* set->lock */
    struct layer *next;                                      /* set->lock */
    enum { LAYER_OPENING, LAYER_OPEN, LAYER_CLOSING } state; /* set->lock */
};

/* Layout, tree and spans of a layer whose digests are set. Takes the source on success alone. */
MUST_CHECK int layer_load(struct layer *layer, struct store *store, struct span_engine *engine,
                          const struct layer_options *options, struct err *err);
void layer_unload(struct layer *layer); /* blocks until nothing of it runs */
/* The compressed size as the image says must be the ztoc's. */
MUST_CHECK int layer_check_bytes(const struct layer *layer, uint64_t layer_bytes, struct err *err);

#endif
