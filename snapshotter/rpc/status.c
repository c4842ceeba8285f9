/* SPDX-License-Identifier: Apache-2.0 */
/* status.c – soci.status.v1.Status: what the parts of the daemon say of themselves, as messages.
 *
 * Each part is asked on its own, one after the other: the answer is no snapshot of one moment, and
 * nobody has to stand still for it. */
#include "rpc/rpc.h"

#include "rpc/internal.h"

#include "base/clock.h"
#include "lazy/lazy.h"
#include "local/local.h"

#include "proto/status.pb-c.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { BATCH = 100 }; /* layers or events to a message */

/* The generated structs want strings that may be written to; packing writes to none. */
static char *as_field(const char *text)
{
    return (char *)(uintptr_t)text;
}

static int reply(struct grpc_call *call, const Wire__StatusResponse *response, struct err *err)
{
    return rpc_reply(call, &response->base, err);
}

/* ---- the daemon ------------------------------------------------------------------------------ */

/* The second number of statm is resident pages (proc(5)). 0: not known. */
static uint64_t rss_bytes(void)
{
    FILE *file = fopen("/proc/self/statm", "re");
    unsigned long long total, resident = 0;

    if (file == NULL)
        return 0;
    /* NOLINTNEXTLINE(cert-err34-c): the kernel's numbers fit */
    if (fscanf(file, "%llu %llu", &total, &resident) != 2)
        resident = 0;
    (void)fclose(file);
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void fill_daemon(const struct rpc_status *s, Wire__StatusDaemon *ret)
{
    wire__status_daemon__init(ret);
    ret->version = as_field(s->version);
    ret->revision = as_field(s->revision);
    ret->pid = (uint32_t)getpid();
    ret->started_ms = s->started_wall_ms;
    ret->uptime_ms = (uint64_t)(clock_mono_ms() - s->started_mono_ms);
    ret->rss_bytes = rss_bytes();
    ret->root = as_field(store_root(s->store));
    ret->config = as_field(s->config);
    ret->backend = as_field(s->backend);
    ret->n_addresses = s->addresses->count;
    ret->addresses = s->addresses->items;
}

static void fill_queue(const struct rpc_status *s, Wire__StatusQueue *ret)
{
    struct span_engine_status status;

    span_engine_get_status(s->engine, &status);
    wire__status_queue__init(ret);
    ret->waiting_readers = status.waiting_readers;
    ret->queued_spans = status.queued_spans;
    ret->fetching_spans = status.fetching_spans;
    ret->fetching_bytes = status.fetching_bytes;
    ret->background_fetching_spans = status.background_fetching_spans;
    ret->inflating_spans = status.inflating_spans;
    ret->background_missing_spans = status.background_missing_spans;
    ret->memory_bytes = status.memory_bytes;
    ret->bytes_per_second = status.bytes_per_s;
}

static int send_daemon(const struct rpc_status *s, struct grpc_call *call, struct err *err)
{
    struct store_usage usage = {.layer_bytes = 0};
    Wire__StatusResponse response;
    Wire__StatusDaemon daemon;
    Wire__StatusQueue queue;
    Wire__StatusCache cache;
    int rc = store_get_usage(s->store, &usage, err);

    if (rc < 0)
        return rc;
    fill_daemon(s, &daemon);
    fill_queue(s, &queue);
    wire__status_cache__init(&cache);
    cache.layer_bytes = usage.layer_bytes;
    cache.blob_bytes = usage.blob_bytes;
    cache.database_bytes = usage.database_bytes;
    wire__status_response__init(&response);
    response.daemon = &daemon;
    response.queue = &queue;
    response.cache = &cache;
    return reply(call, &response, err);
}

/* ---- layers ---------------------------------------------------------------------------------- */

/* Layers on their way out. Each is packed as a message that holds it alone: several of those one
 * after the other are a message that holds them all. */
struct layer_batch {
    struct grpc_call *call;
    struct buf bytes;
    size_t count;
    struct err *err;
};

static int flush(struct layer_batch *batch)
{
    int rc = batch->count == 0 ? 0 : grpc_reply(batch->call, buf_bytes(&batch->bytes), batch->err);

    batch->bytes.len = 0;
    batch->count = 0;
    return rc;
}

static int add_layer(struct layer_batch *batch, Wire__StatusLayer *layer)
{
    Wire__StatusResponse response;
    int rc;

    wire__status_response__init(&response);
    response.n_layers = 1;
    response.layers = &layer;
    rc = proto_pack(&response.base, &batch->bytes, batch->err);
    return rc == 0 && ++batch->count >= BATCH ? flush(batch) : rc;
}

static const char *state_name(enum lazy_layer_state state)
{
    switch (state) {
    case LAZY_LAYER_MOUNTED:
        return "mounted";
    case LAZY_LAYER_COMPLETE:
        return "complete";
    case LAZY_LAYER_NOT_MOUNTED:
        return "not-mounted";
    case LAZY_LAYER_UNPACKED:
        return "unpacked";
    }
    return "";
}

static const char *check_name(enum layer_check check)
{
    if (check == LAYER_CHECKED)
        return "checked";
    return check == LAYER_REFUSED ? "refused" : "";
}

static int add_lazy_layer(struct layer_batch *batch, const struct lazy_layer *layer)
{
    char manifest[DIGEST_TEXT_BYTES] = "", digest[DIGEST_TEXT_BYTES] = "";
    Wire__StatusLayer out;

    if (layer->has_digests) {
        digest_format(&layer->manifest, manifest);
        digest_format(&layer->layer, digest);
    }
    wire__status_layer__init(&out);
    out.snapshot = layer->id;
    out.directory = layer->dir;
    out.image = layer->image;
    out.namespace_ = layer->namespace_;
    out.manifest = manifest;
    out.digest = digest;
    out.index = layer->index;
    out.backend = as_field(layer->backend);
    out.state = as_field(state_name(layer->state));
    out.check = as_field(check_name(layer->check));
    out.size_bytes = layer->size_bytes;
    out.present_bytes = layer->present_bytes;
    if (layer->last_error.code != 0) {
        out.error = as_field(err_text(&layer->last_error));
        out.error_ms = layer->last_error_ms;
    }
    return add_layer(batch, &out);
}

static int send_mounted(const struct rpc_status *s, struct layer_batch *batch)
{
    SCOPED(lazy_layers) struct lazy_layers layers = {.items = NULL, .count = 0};
    int rc = lazy_list(s->lazy, &layers, batch->err);

    for (size_t i = 0; i < layers.count && rc == 0; i++)
        rc = add_lazy_layer(batch, &layers.items[i]);
    return rc;
}

static int add_unpacked(void *arg, const struct snapdb_row *row)
{
    struct layer_batch *batch = arg;
    SCOPED(lazy_layer) struct lazy_layer layer = {.dir = NULL};
    int rc;

    if (text_map_get(&row->labels, SNAPSHOT_LABEL_REMOTE) != NULL)
        return 0; /* it is mounted */
    rc = lazy_layer_of_row(row, &layer, batch->err);
    return rc < 0 ? rc : add_lazy_layer(batch, &layer);
}

static int send_unpacked(const struct rpc_status *s, struct layer_batch *batch)
{
    SCOPED(text_list) struct text_list filters = TEXT_LIST_EMPTY;

    if (text_list_add(&filters, "labels.\"" SNAPSHOT_LABEL_OURS "\"==true") < 0)
        return err_set(batch->err, -ENOMEM, "out of memory");
    return snapshot_list(s->snapshotter, &filters, add_unpacked, batch, batch->err);
}

static int add_work(struct layer_batch *batch, const struct local_work *work)
{
    char manifest[DIGEST_TEXT_BYTES], digest[DIGEST_TEXT_BYTES];
    Wire__StatusLayer out;

    digest_format(&work->manifest, manifest);
    digest_format(&work->layer, digest);
    wire__status_layer__init(&out);
    out.manifest = manifest;
    out.digest = digest;
    out.backend = as_field("local");
    out.state = as_field("unpacking");
    out.size_bytes = work->layer_bytes;
    out.present_bytes = work->is_ready ? work->layer_bytes : 0;
    return add_layer(batch, &out);
}

static int send_unpacking(const struct rpc_status *s, struct layer_batch *batch)
{
    SCOPED(local_works) struct local_works works = {.items = NULL, .count = 0};
    int rc = s->local == NULL ? 0 : local_list(s->local, &works, batch->err);

    for (size_t i = 0; i < works.count && rc == 0; i++)
        rc = add_work(batch, &works.items[i]);
    return rc;
}

static int send_layers(const struct rpc_status *s, struct grpc_call *call, struct err *err)
{
    struct layer_batch batch = {.call = call, .bytes = BUF_EMPTY, .err = err};
    int rc = send_mounted(s, &batch);

    if (rc == 0)
        rc = send_unpacked(s, &batch);
    if (rc == 0)
        rc = send_unpacking(s, &batch);
    if (rc == 0)
        rc = flush(&batch);
    buf_fini(&batch.bytes);
    return rc;
}

/* ---- events ---------------------------------------------------------------------------------- */

static const char *kind_name(enum lazy_event_kind kind)
{
    switch (kind) {
    case LAZY_EVENT_DEFERRED:
        return "deferred";
    case LAZY_EVENT_UNPACKED:
        return "unpacked";
    case LAZY_EVENT_FAILED:
        return "failed";
    case LAZY_EVENT_REFUSED:
        return "refused";
    }
    return "";
}

static void fill_event(const struct lazy_event *event, Wire__StatusEvent *ret)
{
    wire__status_event__init(ret);
    ret->kind = as_field(kind_name(event->kind));
    ret->time_ms = event->time_ms;
    ret->count = event->count;
    ret->image = as_field(event->image);
    ret->layer = as_field(event->layer);
    ret->text = as_field(event->text);
}

static int send_events(const struct rpc_status *s, struct grpc_call *call, struct err *err)
{
    SCOPED(mem) struct lazy_event *events = NULL;
    Wire__StatusEvent messages[LAZY_EVENTS_MAX], *pointers[LAZY_EVENTS_MAX];
    Wire__StatusResponse response;
    size_t count = 0;
    int rc = lazy_get_events(s->lazy, &events, &count, err);

    if (rc < 0 || count == 0)
        return rc;
    for (size_t i = 0; i < count; i++) {
        fill_event(&events[i], &messages[i]);
        pointers[i] = &messages[i];
    }
    wire__status_response__init(&response);
    response.n_events = count;
    response.events = pointers;
    return reply(call, &response, err);
}

/* ---- the table ------------------------------------------------------------------------------- */

static int handle_get(void *self, struct grpc_call *call, struct err *err)
{
    const struct rpc_status *s = self;
    SCOPED(proto) Wire__StatusRequest *in = NULL;
    int rc = rpc_request(call, &wire__status_request__descriptor, &in, err);

    if (rc == 0)
        rc = send_daemon(s, call, err);
    if (rc == 0)
        rc = send_layers(s, call, err);
    return rc < 0 ? rc : send_events(s, call, err);
}

static const struct grpc_method methods[] = {
    {.path = RPC_STATUS_GET, .handle = handle_get},
};

struct grpc_service rpc_status_service(struct rpc_status *status)
{
    return (struct grpc_service){
        .methods = methods, .method_count = ARRAY_LEN(methods), .self = status};
}
