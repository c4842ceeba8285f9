/* SPDX-License-Identifier: Apache-2.0 */
/* bench_layer.h – a layer file, its ztoc, and a span set over both, with a source of the program's
 * choice. */
#ifndef BENCH_LAYER_H
#define BENCH_LAYER_H

#include "layer/layer.h"

struct bench_layer {
    char root[64];
    struct bytes blob; /* mapped */
    struct store *store;
    struct span_engine *engine;
    struct layer_set *layers;
    struct layer *layer;
};
/* Ends the program when something fails. */
void bench_layer_open(struct bench_layer *bench, const char *path,
                      const struct span_engine_options *options,
                      struct span_source (*source)(struct bytes blob, void *arg), void *arg);
void bench_layer_close(struct bench_layer *bench);
/* Blocks until the bytes are in the file. */
void bench_layer_read(struct bench_layer *bench, uint64_t uncomp_off, size_t len);
void bench_layer_complete(struct bench_layer *bench);

#endif
