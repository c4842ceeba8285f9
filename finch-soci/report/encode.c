/* SPDX-License-Identifier: Apache-2.0 */
/* encode.c – a report as one JSON object: docs/finch-soci.md is the format. */
#include "report/internal.h"

#include "base/text.h"

#include <inttypes.h>

/* What is being written; the first failure stays. */
struct out {
    struct buf *to;
    int rc;
};

static void raw(struct out *out, const char *text)
{
    if (out->rc == 0)
        out->rc = buf_add_str(out->to, text);
}

/* `name` with what stands in front of it: `{"`, `,"`. */
static void string(struct out *out, const char *name, const char *value)
{
    raw(out, name);
    raw(out, "\":");
    if (out->rc == 0)
        out->rc = text_add_json(out->to, bytes_of_str(value == NULL ? "" : value), false);
}

static void number(struct out *out, const char *name, uint64_t value)
{
    if (out->rc == 0)
        out->rc = buf_addf(out->to, "%s\":%" PRIu64, name, value);
}

static void boolean(struct out *out, const char *name, bool value)
{
    if (out->rc == 0)
        out->rc = buf_addf(out->to, "%s\":%s", name, value ? "true" : "false");
}

static void rows(struct out *out, const struct report *report)
{
    raw(out, ",\"checks\":[");
    for (size_t i = 0; i < report->row_count; i++) {
        const struct report_row *row = &report->rows[i];

        string(out, i == 0 ? "{\"name" : ",{\"name", row->name);
        string(out, ",\"state", report_mark_name(row->mark));
        string(out, ",\"text", row->text);
        string(out, ",\"mend", row->mend);
        raw(out, "}");
    }
    raw(out, "]");
}

static void hook_run(struct out *out, const char *name, const struct report_hook_run *run)
{
    string(out, name, run->result);
    string(out, ",\"time", run->time);
    string(out, ",\"text", run->text);
    number(out, ",\"tookMs", run->took_ms);
    boolean(out, ",\"failed", run->failed);
    raw(out, "}");
}

static void hook(struct out *out, const struct report_hook *it)
{
    boolean(out, "{\"installed", it->installed);
    boolean(out, ",\"watches", it->watches);
    string(out, ",\"where", it->where);
    string(out, ",\"log", it->log);
    hook_run(out, ",\"start\":{\"result", &it->start);
    hook_run(out, ",\"stop\":{\"result", &it->stop);
    raw(out, "}");
}

static void daemon_numbers(struct out *out, const struct report_daemon *daemon)
{
    boolean(out, ",\"snapshotter\":{\"answers", daemon->answers);
    string(out, ",\"version", daemon->version);
    number(out, ",\"uptimeSeconds", daemon->uptime_s);
    number(out, ",\"rssBytes", daemon->rss_bytes);
    number(out, ",\"layerBytes", daemon->layer_bytes);
    number(out, ",\"blobBytes", daemon->blob_bytes);
    number(out, ",\"waitingReaders", daemon->waiting_readers);
    number(out, ",\"fetchingBytes", daemon->fetching_bytes);
    number(out, ",\"bytesPerSecond", daemon->bytes_per_s);
    number(out, ",\"errors", daemon->errors);
    raw(out, "}");
}

/* "a,b" as an array of strings. */
static void words(struct out *out, const char *name, const char *list)
{
    raw(out, name);
    raw(out, "\":[");
    for (const char *at = list; *at != '\0';) {
        size_t n = strcspn(at, ",");

        if (at != list)
            raw(out, ",");
        if (out->rc == 0)
            out->rc = text_add_json(out->to, bytes_of(at, n), false);
        at += n + (at[n] == ',' ? 1 : 0);
    }
    raw(out, "]");
}

static void image(struct out *out, const char *name, const struct report_image *image)
{
    string(out, name, image->image);
    string(out, ",\"manifest", image->manifest);
    string(out, ",\"index", image->index);
    string(out, ",\"state", report_image_state_name(image->state));
    words(out, ",\"snapshotters", image->snapshotters);
    string(out, ",\"text", image->text);
    string(out, ",\"mend", image->mend);
    number(out, ",\"lazy", image->lazy);
    number(out, ",\"local", image->local);
    number(out, ",\"pending", image->pending);
    number(out, ",\"failed", image->failed);
    number(out, ",\"sizeBytes", image->size_bytes);
    number(out, ",\"presentBytes", image->present_bytes);
    raw(out, "}");
}

static void images(struct out *out, const struct report *report)
{
    raw(out, ",\"images\":[");
    for (size_t i = 0; i < report->image_count; i++)
        image(out, i == 0 ? "{\"image" : ",{\"image", &report->images[i]);
    raw(out, "]");
}

static void events(struct out *out, const struct report_daemon *daemon)
{
    raw(out, ",\"events\":[");
    for (size_t i = 0; i < daemon->event_count; i++) {
        const struct report_event *event = &daemon->events[i];

        string(out, i == 0 ? "{\"kind" : ",{\"kind", event->kind);
        string(out, ",\"time", event->time);
        number(out, ",\"count", event->count);
        string(out, ",\"image", event->image);
        string(out, ",\"layer", event->layer);
        string(out, ",\"text", event->text);
        raw(out, "}");
    }
    raw(out, "]");
}

int report_encode(const struct report *report, struct buf *ret)
{
    struct out out = {.to = ret};

    boolean(&out, "{\"well", report_is_well(report));
    string(&out, ",\"namespace", report->namespace_);
    rows(&out, report);
    raw(&out, ",\"hook\":");
    hook(&out, &report->hook);
    daemon_numbers(&out, &report->daemon);
    images(&out, report);
    events(&out, &report->daemon);
    raw(&out, "}\n");
    return out.rc;
}

int report_encode_hook(const struct report *report, struct buf *ret)
{
    struct out out = {.to = ret};

    hook(&out, &report->hook);
    raw(&out, "\n");
    return out.rc;
}
