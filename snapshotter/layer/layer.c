/* SPDX-License-Identifier: Apache-2.0 */
/* layer.c – one layer: loaded from the store, asked for bytes, unloaded. */
#include "layer/internal.h"

#include "base/clock.h"

#include <errno.h>

int layer_check_bytes(const struct layer *layer, uint64_t layer_bytes, struct err *err)
{
    uint64_t ztoc_says = ztoc_comp_size(layer->layout.toc);

    if (layer_bytes == 0 || layer_bytes == ztoc_says)
        return 0;
    return err_set(err, -EBADMSG, "the ztoc is of a layer of %llu bytes, this one has %llu",
                   (unsigned long long)ztoc_says, (unsigned long long)layer_bytes);
}

static void completed(void *arg)
{
    struct layer *layer = arg;

    checker_add(layer->checker, layer);
}

static int open_spans(struct layer *layer, struct store *store, struct span_engine *engine,
                      const struct span_source *source, struct err *err)
{
    char name[DIGEST_TEXT_BYTES];
    struct span_file_options file_options = {.layer = layer->digest,
                                             .ztoc = layer->ztoc_digest,
                                             .span_count = ztoc_span_count(layer->layout.toc),
                                             .uncomp_bytes = ztoc_uncomp_size(layer->layout.toc)};
    struct span_set_options options = {
        .name = name,
        .layout = layer_span_layout(&layer->layout),
        .source = *source,
        .metrics = layer->metrics,
        .completed = completed,
        .completed_arg = layer,
    };
    SCOPED(span_file) struct span_file *file = NULL;
    int rc = span_file_open(store, &file_options, &file, err);

    if (rc < 0)
        return rc;
    digest_format(&layer->digest, name);
    options.file = file;
    rc = span_set_open(engine, &options, &layer->spans, err);
    if (rc == 0)
        layer->file = TAKE(file); /* the set's */
    return rc;
}

int layer_load(struct layer *layer, struct store *store, struct span_engine *engine,
               const struct layer_options *options, struct err *err)
{
    int64_t start_ns = clock_mono_ns();
    int rc = layer_layout_open(&layer->layout, store, &options->ztoc, err);

    if (rc < 0)
        return rc;
    rc = layer_check_bytes(layer, options->layer_bytes, err);
    if (rc == 0)
        rc = tree_build(layer->layout.toc, &layer->tree, err);
    layer->files.state = FILES_HERE; /* nobody else knows the layer yet */
    if (rc == 0)
        metrics_since(layer->metrics, METRICS_INIT_METADATA_STORE, start_ns);
    if (rc == 0)
        rc = open_spans(layer, store, engine, &options->source, err);
    if (rc < 0)
        layer_unload(layer);
    return rc;
}

void layer_unload(struct layer *layer)
{
    if (layer->spans != NULL)
        checker_forget(layer->checker, layer);
    span_set_close(layer->spans);
    layer->spans = NULL;
    layer->file = NULL;
    tree_free(layer->tree);
    layer->tree = NULL;
    layer_layout_close(&layer->layout);
}

/* ---- questions --------------------------------------------------------------------------------
 */

const struct tree *layer_tree(const struct layer *layer)
{
    return layer->tree;
}

bool layer_clear_padding(const struct layer *layer, uint8_t *data, size_t len, uint64_t uncomp_off)
{
    return ztoc_clear_padding(layer->layout.toc, data, len, uncomp_off);
}

const struct digest *layer_digest(const struct layer *layer)
{
    return &layer->digest;
}

const struct digest *layer_ztoc_digest(const struct layer *layer)
{
    return &layer->ztoc_digest;
}

size_t layer_span_count(const struct layer *layer)
{
    return ztoc_span_count(layer->layout.toc);
}

uint64_t layer_comp_bytes(const struct layer *layer)
{
    return ztoc_comp_size(layer->layout.toc);
}

uint64_t layer_uncomp_bytes(const struct layer *layer)
{
    return ztoc_uncomp_size(layer->layout.toc);
}

bool layer_xattrs_disabled(const struct layer *layer)
{
    return layer->disable_xattrs;
}

struct metrics_layer *layer_metrics(const struct layer *layer)
{
    return layer->metrics;
}

int layer_want(struct layer *layer, struct span_want *want, struct err *err)
{
    return span_set_want(layer->spans, want, err);
}

int layer_fd(const struct layer *layer)
{
    return span_set_fd(layer->spans);
}

/* A span may have turned out to be damaged since. */
const char *layer_checked_file(struct layer *layer)
{
    struct digest diff_id;

    if (!checker_passed(layer->checker, layer) || !span_set_is_complete(layer->spans) ||
        !span_file_is_checked(layer->file, &diff_id))
        return NULL;
    return span_file_data_path(layer->file);
}

void layer_start_background(struct layer *layer)
{
    span_set_start_background(layer->spans);
}

int layer_prefer(struct layer *layer, const struct span_preferred *spans, size_t count,
                 struct err *err)
{
    return span_set_prefer(layer->spans, spans, count, err);
}

int layer_trace(struct layer *layer, struct span_trace *trace, uint32_t tag, struct err *err)
{
    return span_trace_add(trace, layer->spans, tag, err);
}

void layer_get_status(struct layer *layer, struct layer_status *ret)
{
    uint64_t size_bytes = layer_comp_bytes(layer);
    uint64_t fetched_bytes = span_set_present_bytes(layer->spans);

    /* The gzip header belongs to no span, and neighbours may share a byte: neither shows in the
     * end. */
    if (fetched_bytes > size_bytes || span_set_is_complete(layer->spans))
        fetched_bytes = size_bytes;
    ret->size_bytes = size_bytes;
    ret->fetched_bytes = fetched_bytes;
    ret->check = checker_passed(layer->checker, layer) ? LAYER_CHECKED : LAYER_UNCHECKED;
    if (checker_failed(layer->checker, layer, &ret->last_error, &ret->last_error_ms)) {
        ret->check = LAYER_REFUSED;
        return;
    }
    span_set_last_error(layer->spans, &ret->last_error);
    ret->last_error_ms = span_set_last_error_ms(layer->spans);
}
