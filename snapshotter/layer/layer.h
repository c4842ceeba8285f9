/* SPDX-License-Identifier: Apache-2.0 */
/* layer.h – one opened layer: its ztoc, its tree, its spans, where its bytes come from. Shared: the
 * same ztoc of the same layer is opened once however many images and mounts use it. */
#ifndef LAYER_LAYER_H
#define LAYER_LAYER_H

#include "base/err.h"
#include "digest/digest.h"
#include "metrics/metrics.h"
#include "span/span.h"
#include "store/store.h"
#include "tree/tree.h"

#include <stdbool.h>
#include <stdint.h>

/* The layers that are open, by digest. */
struct layer_set;
MUST_CHECK int layer_set_new(struct store *store, struct span_engine *engine,
                             struct layer_set **ret, struct err *err);
/* Before the first layer is opened: count there what is done with layers. It outlives the set. */
void layer_set_count_in(struct layer_set *set, struct metrics *metrics);
void layer_set_free(struct layer_set *set); /* every layer is closed before */
DEFINE_SCOPED_PTR(layer_set, struct layer_set, layer_set_free)

/* What an image says that a layer's tar hashes to, all bytes of it that inflating the layer gives:
 * its diff ID, or the chain ID that it has with those below. docs/verdicts.md */
enum layer_claim_kind { LAYER_CLAIM_NONE, LAYER_CLAIM_DIFF_ID, LAYER_CLAIM_CHAIN_ID };
struct layer_claim {
    enum layer_claim_kind kind;
    struct digest digest;
    struct digest below; /* the chain ID without this layer; of a chain ID alone */
};

/* When all of a layer is on the disk it is checked, in the background: is it what its image says?
 * One that is not is never opened again with that ztoc. */
enum layer_check { LAYER_UNCHECKED, LAYER_CHECKED, LAYER_REFUSED };

struct layer; /* counted */
/* Have `told` called when a layer was checked or refused, `why`; from a thread of the set's, in
 * which no reference to that layer must be given up. NULL: no more, and none runs any longer. */
void layer_set_tell(struct layer_set *set,
                    void (*told)(void *arg, struct layer *layer, enum layer_check check,
                                 const struct err *why),
                    void *arg);

struct layer_options {
    struct digest layer;
    struct digest ztoc;   /* its blob is in the store already */
    uint64_t layer_bytes; /* of the compressed blob as the image says; 0: not known. Must agree with
                             the ztoc */
    bool disable_xattrs;
    struct layer_claim claim;
    struct span_source source; /* owned by the layer, on failure too. For a layer that is open
                                  already it becomes the one in use (newest credentials win) */
};
/* Reads the ztoc from the store: no network. -EBADMSG: the ztoc is broken, or belongs to another
 * layer, or the layer was refused. */
MUST_CHECK int layer_open(struct layer_set *set, struct layer_options *options, struct layer **ret,
                          struct err *err);
struct layer *layer_ref(struct layer *layer);
/* The last one cancels fetches and blocks until they are gone. Not from a done(). */
void layer_unref(struct layer *layer);
DEFINE_SCOPED_PTR(layer, struct layer, layer_unref)

/* The layer's files are in memory while somebody holds them; what the kernel has as an image it
 * does not ask for again. Held, there is a tree, and it does not change. The first time that nobody
 * holds it any more it is dropped, and the next to hold it reads it from the store again: errors as
 * for layer_open(). Blocks on the disk. */
MUST_CHECK int layer_hold_tree(struct layer *layer, struct err *err);
void layer_release_tree(struct layer *layer);
const struct tree *layer_tree(const struct layer *layer); /* while it is held */
/* ztoc_clear_padding() of the layer's tar; held or not. */
bool layer_clear_padding(const struct layer *layer, uint8_t *data, size_t len, uint64_t uncomp_off);
const struct digest *layer_digest(const struct layer *layer);
const struct digest *layer_ztoc_digest(const struct layer *layer);
size_t layer_span_count(const struct layer *layer);
uint64_t layer_comp_bytes(const struct layer *layer);
uint64_t layer_uncomp_bytes(const struct layer *layer);
bool layer_xattrs_disabled(const struct layer *layer);
struct metrics_layer *layer_metrics(const struct layer *layer); /* borrowed; NULL: none */

/* span_set_want() and friends of this layer. */
MUST_CHECK int layer_want(struct layer *layer, struct span_want *want, struct err *err);
int layer_fd(const struct layer *layer);
/* The file with the layer's tar, in whole blocks, when all of it is there and was checked; it stays
 * as it is for whoever opens it. Absolute; lives as long as the layer. NULL: not yet, or
 * refused, or files in it are not followed by zeros to the end of their blocks, and only we hide
 * that. */
const char *layer_checked_file(struct layer *layer);
void layer_start_background(struct layer *layer);
MUST_CHECK int layer_prefer(struct layer *layer, const struct span_preferred *spans, size_t count,
                            struct err *err);
MUST_CHECK int layer_trace(struct layer *layer, struct span_trace *trace, uint32_t tag,
                           struct err *err);
/* For traces over several layers of the set. */
MUST_CHECK int layer_trace_new(struct layer_set *set, const struct span_trace_options *options,
                               struct span_trace **ret, struct err *err);

struct layer_status {
    uint64_t size_bytes;    /* compressed */
    uint64_t fetched_bytes; /* compressed, of present spans */
    enum layer_check check;
    struct err last_error; /* code 0: none; of a refused one why it is */
    int64_t last_error_ms; /* when, on clock_wall_ms() */
};
void layer_get_status(struct layer *layer, struct layer_status *ret);

#endif
