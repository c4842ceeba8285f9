/* SPDX-License-Identifier: Apache-2.0 */
/* status_report.c – the daemon's messages put together, and its layers by image. */
#include "base/text.h"
#include "daemon/status.h"
#include "proto/proto.h"

#include "proto/status.pb-c.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Make room for `count` more items of an array. */
static int grow(void **items, size_t have, size_t count, size_t item_bytes)
{
    size_t total, bytes;
    void *bigger;

    if (__builtin_add_overflow(have, count, &total) ||
        __builtin_mul_overflow(total + 1, item_bytes, &bytes))
        return -ENOMEM;
    bigger = realloc(*items, bytes);
    if (bigger == NULL)
        return -ENOMEM;
    *items = bigger;
    return 0;
}

static void take_daemon(struct status_report *report, const Wire__StatusDaemon *in)
{
    report->version = in->version;
    report->revision = in->revision;
    report->pid = in->pid;
    report->started_ms = in->started_ms;
    report->uptime_ms = in->uptime_ms;
    report->rss_bytes = in->rss_bytes;
    report->backend = in->backend;
    report->root = in->root;
    report->config = in->config;
    report->addresses = in->addresses;
    report->address_count = in->n_addresses;
}

static void take_queue(struct status_report *report, const Wire__StatusQueue *in)
{
    report->waiting_readers = in->waiting_readers;
    report->queued_spans = in->queued_spans;
    report->fetching_spans = in->fetching_spans;
    report->fetching_bytes = in->fetching_bytes;
    report->background_fetching_spans = in->background_fetching_spans;
    report->inflating_spans = in->inflating_spans;
    report->background_missing_spans = in->background_missing_spans;
    report->memory_bytes = in->memory_bytes;
    report->bytes_per_s = in->bytes_per_second;
}

static int take_layers(struct status_report *report, const Wire__StatusResponse *in)
{
    if (grow((void **)&report->layers, report->layer_count, in->n_layers, sizeof(*report->layers)) <
        0)
        return -ENOMEM;
    for (size_t i = 0; i < in->n_layers; i++) {
        const Wire__StatusLayer *layer = in->layers[i];

        report->layers[report->layer_count++] = (struct status_layer){
            .directory = layer->directory,
            .image = layer->image,
            .namespace_ = layer->namespace_,
            .manifest = layer->manifest,
            .digest = layer->digest,
            .index = layer->index,
            .backend = layer->backend,
            .state = layer->state,
            .check = layer->check,
            .error = layer->error,
            .snapshot = layer->snapshot,
            .size_bytes = layer->size_bytes,
            .present_bytes = layer->present_bytes,
            .error_ms = layer->error_ms,
        };
    }
    return 0;
}

static int take_events(struct status_report *report, const Wire__StatusResponse *in)
{
    if (grow((void **)&report->events, report->event_count, in->n_events, sizeof(*report->events)) <
        0)
        return -ENOMEM;
    for (size_t i = 0; i < in->n_events; i++) {
        const Wire__StatusEvent *event = in->events[i];

        report->events[report->event_count++] = (struct status_event){
            .kind = event->kind,
            .image = event->image,
            .layer = event->layer,
            .text = event->text,
            .time_ms = event->time_ms,
            .count = event->count,
        };
    }
    return 0;
}

int status_report_add(struct status_report *report, struct bytes message, struct err *err)
{
    Wire__StatusResponse *in = NULL;
    int rc = proto_unpack(&wire__status_response__descriptor, message, &in, err);

    if (rc < 0)
        return err_prefix(err, rc, "the daemon's answer");
    if (grow((void **)&report->messages, report->message_count, 1, sizeof(*report->messages)) < 0) {
        scoped_proto(&in);
        return err_set(err, -ENOMEM, "out of memory");
    }
    report->messages[report->message_count++] = in;
    if (in->daemon != NULL)
        take_daemon(report, in->daemon);
    if (in->queue != NULL)
        take_queue(report, in->queue);
    if (in->cache != NULL) {
        report->cache_layer_bytes = in->cache->layer_bytes;
        report->cache_blob_bytes = in->cache->blob_bytes;
        report->cache_database_bytes = in->cache->database_bytes;
    }
    if (take_layers(report, in) < 0 || take_events(report, in) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    return 0;
}

void status_report_fini(struct status_report *report)
{
    for (size_t i = 0; i < report->message_count; i++)
        scoped_proto(&report->messages[i]);
    free(report->messages);
    free(report->layers);
    free(report->events);
    free(report->images);
    *report = (struct status_report){.messages = NULL};
}

/* ---- images ---------------------------------------------------------------------------------- */

static int by_image(const void *a, const void *b)
{
    const struct status_layer *x = a, *y = b;
    int order = strcmp(x->image, y->image);

    if (order == 0)
        order = strcmp(x->manifest, y->manifest);
    if (order == 0)
        order = x->snapshot < y->snapshot ? -1 : x->snapshot > y->snapshot;
    return order;
}

static int by_manifest(const void *a, const void *b)
{
    const struct status_layer *x = a, *y = b;
    int order = strcmp(x->manifest, y->manifest);

    return order != 0 ? order : strcmp(y->image, x->image); /* named ones first */
}

static void name_nameless(struct status_report *report)
{
    qsort(report->layers, report->layer_count, sizeof(*report->layers), by_manifest);
    for (size_t i = 1; i < report->layer_count; i++) {
        struct status_layer *layer = &report->layers[i];

        if (layer->image[0] == '\0' && strcmp(layer->manifest, layer[-1].manifest) == 0)
            layer->image = layer[-1].image;
    }
}

static bool is_of(const struct status_image *image, const struct status_layer *layer)
{
    return strcmp(image->name, layer->image) == 0 && strcmp(image->manifest, layer->manifest) == 0;
}

static void count_layer(struct status_image *image, const struct status_layer *layer)
{
    if (strcmp(layer->state, "not-mounted") == 0)
        image->failed++;
    else if (strcmp(layer->state, "unpacking") == 0)
        image->pending++;
    else if (strcmp(layer->backend, "local") == 0)
        image->local++;
    else
        image->lazy++;
    if (image->index[0] == '\0')
        image->index = layer->index;
    image->size_bytes += layer->size_bytes;
    image->present_bytes += layer->present_bytes;
}

int status_report_complete(struct status_report *report)
{
    struct status_image *image = NULL;

    if (report->layer_count > 0) {
        name_nameless(report);
        qsort(report->layers, report->layer_count, sizeof(*report->layers), by_image);
    }
    free(report->images);
    report->image_count = 0;
    report->images = calloc(report->layer_count + 1, sizeof(*report->images));
    if (report->images == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < report->layer_count; i++) {
        const struct status_layer *layer = &report->layers[i];

        if (image == NULL || !is_of(image, layer)) {
            image = &report->images[report->image_count++];
            *image = (struct status_image){
                .name = layer->image, .manifest = layer->manifest, .index = ""};
        }
        count_layer(image, layer);
    }
    return 0;
}

bool status_report_keep(struct status_report *report, const char *text)
{
    size_t layers = 0, images = 0, events = 0;

    for (size_t i = 0; i < report->layer_count; i++) {
        if (status_is_image(text, report->layers[i].image, report->layers[i].manifest))
            report->layers[layers++] = report->layers[i];
    }
    for (size_t i = 0; i < report->image_count; i++) {
        if (status_is_image(text, report->images[i].name, report->images[i].manifest))
            report->images[images++] = report->images[i];
    }
    for (size_t i = 0; i < report->event_count; i++) {
        if (status_is_image(text, report->events[i].image, ""))
            report->events[events++] = report->events[i];
    }
    report->layer_count = layers;
    report->image_count = images;
    report->event_count = events;
    return layers + events > 0;
}
