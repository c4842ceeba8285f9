/* SPDX-License-Identifier: Apache-2.0 */
/* starts.h – what containers of an image read when they started: which spans of which layers, in
 * which order. One record per image manifest, in <root>/starts/<hex of the manifest's digest>
 * (docs/starts.md). It outlives the image: it is what makes the next cold start of it quick.
 *
 * A record is in one thread's hands at a time. Calls that take a root block on the disk. */
#ifndef STARTS_STARTS_H
#define STARTS_STARTS_H

#include "base/attr.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "digest/digest.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    STARTS_LAYERS_MAX = 512,    /* overlayfs takes no more */
    STARTS_TOUCHES_MAX = 65536, /* at 4 MiB a span: 256 GiB */
    STARTS_FILES_MAX = 1024,    /* the ones that were written longest ago go */
    STARTS_FILE_MAX_BYTES = 52 + STARTS_LAYERS_MAX * 64 + STARTS_TOUCHES_MAX * 12 + 32,
};

/* Spans are the ztoc's: another ztoc cuts the layer elsewhere. */
struct starts_layer {
    struct digest layer, ztoc;
};
struct starts_touch {
    uint32_t layer; /* index of the record's layer */
    uint32_t span;  /* not checked here: who uses it knows how many there are */
    uint32_t at_ms; /* after the first read of that start */
};
struct starts_record {
    struct digest manifest;
    struct starts_layer *layers; /* each once */
    size_t layer_count;
    struct starts_touch *touches; /* each span once, in the order in which they were first read */
    size_t touch_count;
};
struct starts_record *starts_record_new(const struct digest *manifest); /* NULL: out of memory */
void starts_record_free(struct starts_record *record);
DEFINE_SCOPED_PTR(starts_record, struct starts_record, starts_record_free)
/* The layer's index, added when it is not there yet. -EFBIG, -ENOMEM. */
MUST_CHECK int starts_record_add_layer(struct starts_record *record,
                                       const struct starts_layer *layer, uint32_t *ret);
/* At the end. The caller adds no span twice. -EFBIG: there are STARTS_TOUCHES_MAX; -ENOMEM. */
MUST_CHECK int starts_record_add_touch(struct starts_record *record,
                                       const struct starts_touch *touch);

/* What is known after another start. The one of both that has more leads with its order, what only
 * the other has follows: a warm start, of which little is seen, takes nothing away. A layer that
 * `fresh` has with another ztoc than `old` counts as in `fresh`. `old` may be NULL. Cut at
 * STARTS_TOUCHES_MAX. -EINVAL: not of the same image; -EFBIG: too many layers; -ENOMEM. */
MUST_CHECK int starts_merge(const struct starts_record *old, const struct starts_record *fresh,
                            struct starts_record **ret, struct err *err);

/* ---- bytes ----------------------------------------------------------------------------------- */

/* -EBADMSG: no record, or a damaged one. */
MUST_CHECK int starts_parse(struct bytes file, struct starts_record **ret, struct err *err);
MUST_CHECK int starts_encode(const struct starts_record *record, struct buf *ret, struct err *err);

/* ---- on disk --------------------------------------------------------------------------------- */

/* -ENOENT: there is none; -EBADMSG: what is there is none of this image. */
MUST_CHECK int starts_load(const char *root, const struct digest *manifest,
                           struct starts_record **ret, struct err *err);
/* Replaced so that a crash leaves the old one or the new; then the oldest of too many are removed.
 */
MUST_CHECK int starts_save(const char *root, const struct starts_record *record, struct err *err);
/* It is of no use. */
void starts_remove(const char *root, const struct digest *manifest);

#endif
