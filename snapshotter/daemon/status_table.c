/* SPDX-License-Identifier: Apache-2.0 */
/* status_table.c – a status as a person reads it at a glance. */
#include "base/text.h"
#include "daemon/status.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { SIZE_TEXT_BYTES = 32, CELL_BYTES = 160 };

/* Remembers the first failure. */
struct page {
    struct buf *out;
    const struct status_style *style;
    int rc;
};

/* What came from registries and clients must not steer the terminal; a line is cut, with an
 * ellipsis, where the screen ends. */
static void line(struct page *p, const char *text)
{
    size_t column = 0, width = p->style->width;

    for (const char *c = text; *c != '\0' && p->rc == 0; c++) {
        unsigned char byte = (unsigned char)*c;
        bool starts = (byte & 0xc0) != 0x80; /* a character, not the rest of one */

        if (starts && width > 0 && ++column == width && c[1] != '\0') {
            p->rc = buf_add_str(p->out, "\xe2\x80\xa6");
            break;
        }
        p->rc = buf_add_byte(p->out, byte < ' ' || byte == 0x7f ? '?' : byte);
    }
    if (p->rc == 0)
        p->rc = buf_add_byte(p->out, '\n');
}

static void linef(struct page *p, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void linef(struct page *p, const char *fmt, ...)
{
    char text[4 * ERR_TEXT_BYTES];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    line(p, text);
}

static void code(struct page *p, const char *sequence)
{
    if (p->style->colour && p->rc == 0)
        p->rc = buf_add_str(p->out, sequence);
}

static void heading(struct page *p, const char *text)
{
    line(p, "");
    code(p, "\033[1m");
    line(p, text);
    code(p, "\033[0m");
}

/* ---- values ---------------------------------------------------------------------------------- */

static const char *size_text(uint64_t bytes, char out[SIZE_TEXT_BYTES])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double value = (double)bytes;
    size_t unit = 0;

    while (value >= 1024 && unit + 1 < ARRAY_LEN(units)) {
        value /= 1024;
        unit++;
    }
    (void)snprintf(out, SIZE_TEXT_BYTES, unit == 0 || value >= 100 ? "%.0f %s" : "%.1f %s", value,
                   units[unit]);
    return out;
}

static const char *duration_text(uint64_t seconds, char out[SIZE_TEXT_BYTES])
{
    if (seconds < 60)
        (void)snprintf(out, SIZE_TEXT_BYTES, "%" PRIu64 " s", seconds);
    else if (seconds < 3600)
        (void)snprintf(out, SIZE_TEXT_BYTES, "%" PRIu64 " min", seconds / 60);
    else if (seconds < 86400)
        (void)snprintf(out, SIZE_TEXT_BYTES, "%" PRIu64 " h %" PRIu64 " min", seconds / 3600,
                       seconds % 3600 / 60);
    else
        (void)snprintf(out, SIZE_TEXT_BYTES, "%" PRIu64 " d %" PRIu64 " h", seconds / 86400,
                       seconds % 86400 / 3600);
    return out;
}

/* "12.0 MiB of 200 MiB, 6 %" */
static void progress_text(uint64_t present, uint64_t size, char out[CELL_BYTES])
{
    char a[SIZE_TEXT_BYTES], b[SIZE_TEXT_BYTES];

    if (size == 0)
        (void)snprintf(out, CELL_BYTES, "?");
    else if (present >= size)
        (void)snprintf(out, CELL_BYTES, "all of %s", size_text(size, b));
    else
        (void)snprintf(out, CELL_BYTES, "%s of %s, %u %%", size_text(present, a),
                       size_text(size, b), (unsigned)((double)present * 100 / (double)size));
}

/* The first digits tell digests apart, and `status` takes them. */
static void short_digest(const char *digest, char out[CELL_BYTES])
{
    const char *digits = text_has_prefix(digest, "sha256:") ? digest + strlen("sha256:") : digest;

    (void)snprintf(out, CELL_BYTES, "%.12s", digits[0] == '\0' ? "-" : digits);
}

static void add_count(char out[CELL_BYTES], size_t count, const char *what)
{
    size_t len = strlen(out);

    if (count > 0)
        (void)snprintf(out + len, CELL_BYTES - len, "%s%zu %s", len == 0 ? "" : ", ", count, what);
}

/* ---- sections -------------------------------------------------------------------------------- */

static void print_daemon(struct page *p, const struct status_report *r)
{
    char a[SIZE_TEXT_BYTES], b[SIZE_TEXT_BYTES], c[SIZE_TEXT_BYTES];

    linef(p, "soci-snapshotter-grpc %s, process %" PRIu32 ", up %s, %s of memory", r->version,
          r->pid, duration_text(r->uptime_ms / 1000, a), size_text(r->rss_bytes, b));
    for (size_t i = 0; i < r->address_count; i++)
        linef(p, "%-8s%s", "socket", r->addresses[i]);
    linef(p, "%-8s%s", "root", r->root);
    linef(p, "%-8s%s", "config", r->config);
    if (r->backend != NULL && r->backend[0] != '\0')
        linef(p, "%-8s%s", "backend", r->backend);
    linef(p, "%-8s%s of layers, %s of ztocs and indexes, %s of database", "on disk",
          size_text(r->cache_layer_bytes, a), size_text(r->cache_blob_bytes, b),
          size_text(r->cache_database_bytes, c));
    linef(p,
          "%-8s%" PRIu64 " spans (%s), %" PRIu64 " of them in the background; %" PRIu64
          " queued; %" PRIu64 " to come; %" PRIu64 " readers wait",
          "fetches", r->fetching_spans, size_text(r->fetching_bytes, a),
          r->background_fetching_spans, r->queued_spans, r->background_missing_spans,
          r->waiting_readers);
}

static size_t widest_image(const struct status_report *r)
{
    size_t widest = strlen("IMAGE");

    for (size_t i = 0; i < r->image_count; i++) {
        size_t len = strlen(r->images[i].name);

        if (len > widest)
            widest = len;
    }
    return widest < 60 ? widest : 60;
}

static void print_images(struct page *p, const struct status_report *r)
{
    int width = (int)widest_image(r);
    char text[CELL_BYTES * 4];

    if (r->image_count == 0) {
        heading(p, "No layers are here.");
        return;
    }
    (void)snprintf(text, sizeof(text), "%-*s  %-12s  %-26s  %s", width, "IMAGE", "MANIFEST",
                   "FETCHED", "LAYERS");
    heading(p, text);
    for (size_t i = 0; i < r->image_count; i++) {
        const struct status_image *image = &r->images[i];
        char manifest[CELL_BYTES], progress[CELL_BYTES], layers[CELL_BYTES] = "";

        short_digest(image->manifest, manifest);
        progress_text(image->present_bytes, image->size_bytes, progress);
        add_count(layers, image->lazy, "lazy");
        add_count(layers, image->local, "local");
        add_count(layers, image->pending, "pending");
        add_count(layers, image->failed, "not mounted");
        linef(p, "%-*s  %-12s  %-26s  %s", width, image->name[0] == '\0' ? "-" : image->name,
              manifest, progress, layers);
    }
}

static void print_layer(struct page *p, const struct status_layer *layer)
{
    char digest[CELL_BYTES], progress[CELL_BYTES], ago[SIZE_TEXT_BYTES];
    bool is_checked = layer->check != NULL && layer->check[0] != '\0';
    bool is_bad = strcmp(layer->state, "not-mounted") == 0 ||
                  (is_checked && strcmp(layer->check, "refused") == 0);
    int64_t age_ms = p->style->now_ms - layer->error_ms;

    short_digest(layer->digest, digest);
    progress_text(layer->present_bytes, layer->size_bytes, progress);
    if (is_bad)
        code(p, "\033[31m");
    linef(p, "%-12s  %-11s  %-7s  %-26s  %s", digest, is_checked ? layer->check : layer->state,
          layer->backend, progress, layer->directory[0] == '\0' ? "-" : layer->directory);
    if (layer->error[0] != '\0' && layer->error_ms > 0)
        linef(p, "              %s ago: %s",
              duration_text(age_ms < 0 ? 0 : (uint64_t)age_ms / 1000, ago), layer->error);
    else if (layer->error[0] != '\0')
        linef(p, "              %s", layer->error);
    if (is_bad)
        code(p, "\033[0m");
}

/* Those with an error always. */
static void print_layers(struct page *p, const struct status_report *r)
{
    bool is_headed = false;
    char text[CELL_BYTES];

    for (size_t i = 0; i < r->layer_count; i++) {
        if (!p->style->layers && r->layers[i].error[0] == '\0')
            continue;
        if (!is_headed) {
            (void)snprintf(text, sizeof(text), "%-12s  %-11s  %-7s  %-26s  %s", "LAYER", "STATE",
                           "BACKEND", "FETCHED", "DIRECTORY");
            heading(p, text);
        }
        is_headed = true;
        print_layer(p, &r->layers[i]);
    }
}

static const char *kind_text(const char *kind)
{
    if (strcmp(kind, "deferred") == 0)
        return "left to containerd";
    if (strcmp(kind, "unpacked") == 0)
        return "unpacked instead of mounted";
    if (strcmp(kind, "refused") == 0)
        return "not what the image says, its index is not used any more";
    return strcmp(kind, "failed") == 0 ? "not mounted" : kind;
}

static void print_events(struct page *p, const struct status_report *r)
{
    if (r->event_count == 0)
        return;
    heading(p, "WHY LAYERS WERE NOT LAZY, newest first");
    for (size_t i = 0; i < r->event_count; i++) {
        const struct status_event *event = &r->events[i];
        int64_t age_ms = p->style->now_ms - event->time_ms;
        char ago[SIZE_TEXT_BYTES];

        linef(p, "%s ago  %s: %s", duration_text(age_ms < 0 ? 0 : (uint64_t)age_ms / 1000, ago),
              event->image[0] == '\0' ? "(image not said)" : event->image, kind_text(event->kind));
        if (event->count > 1)
            linef(p, "    %s (%" PRIu64 " times)", event->text, event->count);
        else
            linef(p, "    %s", event->text);
    }
}

int status_print_table(const struct status_report *r, const struct status_style *style,
                       struct buf *ret)
{
    struct page p = {.out = ret, .style = style};

    print_daemon(&p, r);
    print_images(&p, r);
    print_layers(&p, r);
    print_events(&p, r);
    return p.rc;
}
