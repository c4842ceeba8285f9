/* SPDX-License-Identifier: Apache-2.0 */
/* status_json.c – a status as JSON: docs/status.md. */
#include "base/clock.h"
#include "base/text.h"
#include "daemon/status.h"

#include <errno.h>
#include <inttypes.h>

/* Remembers the first failure, so that the document reads as it comes out. */
struct writer {
    struct buf *out;
    bool is_first; /* of its object or array */
    int rc;
};

static void raw(struct writer *w, const char *text)
{
    if (w->rc == 0)
        w->rc = buf_add_str(w->out, text);
}

static void quoted(struct writer *w, const char *text)
{
    if (w->rc == 0)
        w->rc = text_add_json(w->out, bytes_of_str(text), false);
}

static void separate(struct writer *w)
{
    if (!w->is_first)
        raw(w, ",");
    w->is_first = false;
}

static void name(struct writer *w, const char *key)
{
    separate(w);
    quoted(w, key);
    raw(w, ":");
}

static void open_with(struct writer *w, const char *bracket)
{
    raw(w, bracket);
    w->is_first = true;
}

static void close_with(struct writer *w, const char *bracket)
{
    raw(w, bracket);
    w->is_first = false;
}

static void text_field(struct writer *w, const char *key, const char *value)
{
    name(w, key);
    quoted(w, value == NULL ? "" : value);
}

static void number_field(struct writer *w, const char *key, uint64_t value)
{
    name(w, key);
    if (w->rc == 0)
        w->rc = buf_addf(w->out, "%" PRIu64, value);
}

static void time_text(int64_t ms, char out[CLOCK_RFC3339_BYTES])
{
    out[0] = '\0';
    if (ms > 0)
        clock_rfc3339(ms / 1000, (uint32_t)(ms % 1000) * 1000000, out);
}

static void time_field(struct writer *w, const char *key, int64_t ms)
{
    char text[CLOCK_RFC3339_BYTES];

    time_text(ms, text);
    text_field(w, key, text);
}

static void daemon_object(struct writer *w, const struct status_report *r)
{
    name(w, "daemon");
    open_with(w, "{");
    text_field(w, "version", r->version);
    text_field(w, "revision", r->revision);
    number_field(w, "pid", r->pid);
    time_field(w, "started", r->started_ms);
    number_field(w, "uptimeSeconds", r->uptime_ms / 1000);
    number_field(w, "rssBytes", r->rss_bytes);
    text_field(w, "backend", r->backend);
    text_field(w, "root", r->root);
    text_field(w, "config", r->config);
    name(w, "addresses");
    open_with(w, "[");
    for (size_t i = 0; i < r->address_count; i++) {
        separate(w);
        quoted(w, r->addresses[i]);
    }
    close_with(w, "]");
    close_with(w, "}");
}

static void queue_object(struct writer *w, const struct status_report *r)
{
    name(w, "queue");
    open_with(w, "{");
    number_field(w, "waitingReaders", r->waiting_readers);
    number_field(w, "queuedSpans", r->queued_spans);
    number_field(w, "fetchingSpans", r->fetching_spans);
    number_field(w, "fetchingBytes", r->fetching_bytes);
    number_field(w, "backgroundFetchingSpans", r->background_fetching_spans);
    number_field(w, "inflatingSpans", r->inflating_spans);
    number_field(w, "backgroundMissingSpans", r->background_missing_spans);
    number_field(w, "memoryBytes", r->memory_bytes);
    number_field(w, "bytesPerSecond", r->bytes_per_s);
    close_with(w, "}");
}

static void cache_object(struct writer *w, const struct status_report *r)
{
    name(w, "cache");
    open_with(w, "{");
    number_field(w, "layerBytes", r->cache_layer_bytes);
    number_field(w, "blobBytes", r->cache_blob_bytes);
    number_field(w, "databaseBytes", r->cache_database_bytes);
    close_with(w, "}");
}

static void image_object(struct writer *w, const struct status_image *image)
{
    separate(w);
    open_with(w, "{");
    text_field(w, "image", image->name);
    text_field(w, "manifest", image->manifest);
    text_field(w, "index", image->index);
    name(w, "layers");
    open_with(w, "{");
    number_field(w, "lazy", image->lazy);
    number_field(w, "local", image->local);
    number_field(w, "pending", image->pending);
    number_field(w, "failed", image->failed);
    close_with(w, "}");
    number_field(w, "sizeBytes", image->size_bytes);
    number_field(w, "presentBytes", image->present_bytes);
    close_with(w, "}");
}

static void layer_object(struct writer *w, const struct status_layer *layer)
{
    separate(w);
    open_with(w, "{");
    number_field(w, "snapshot", layer->snapshot);
    text_field(w, "directory", layer->directory);
    text_field(w, "image", layer->image);
    text_field(w, "namespace", layer->namespace_);
    text_field(w, "manifest", layer->manifest);
    text_field(w, "digest", layer->digest);
    text_field(w, "backend", layer->backend);
    text_field(w, "state", layer->state);
    text_field(w, "check", layer->check);
    number_field(w, "sizeBytes", layer->size_bytes);
    number_field(w, "presentBytes", layer->present_bytes);
    text_field(w, "error", layer->error);
    time_field(w, "errorTime", layer->error_ms);
    close_with(w, "}");
}

static void event_object(struct writer *w, const struct status_event *event)
{
    separate(w);
    open_with(w, "{");
    text_field(w, "kind", event->kind);
    time_field(w, "time", event->time_ms);
    number_field(w, "count", event->count);
    text_field(w, "image", event->image);
    text_field(w, "layer", event->layer);
    text_field(w, "text", event->text);
    close_with(w, "}");
}

int status_print_json(const struct status_report *r, struct buf *ret)
{
    struct writer w = {.out = ret, .is_first = true};

    open_with(&w, "{");
    daemon_object(&w, r);
    queue_object(&w, r);
    cache_object(&w, r);
    name(&w, "images");
    open_with(&w, "[");
    for (size_t i = 0; i < r->image_count; i++)
        image_object(&w, &r->images[i]);
    close_with(&w, "]");
    name(&w, "layers");
    open_with(&w, "[");
    for (size_t i = 0; i < r->layer_count; i++)
        layer_object(&w, &r->layers[i]);
    close_with(&w, "]");
    name(&w, "events");
    open_with(&w, "[");
    for (size_t i = 0; i < r->event_count; i++)
        event_object(&w, &r->events[i]);
    close_with(&w, "]");
    close_with(&w, "}");
    raw(&w, "\n");
    return w.rc;
}
