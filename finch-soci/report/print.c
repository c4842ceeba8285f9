/* SPDX-License-Identifier: Apache-2.0 */
/* print.c – a report as a person reads it.
 *
 *     ok  finch.yaml  soci is listed: /home/u/.finch/finch.yaml
 *     !!  programs    not installed
 *                     mend: finch-soci provision
 *
 *     IMAGE                      LAYERS           HERE
 *     docker.io/library/app:1    5 lazy, 1 local  12.3 MiB of 210.0 MiB (5 %)
 *     docker.io/library/old:1    not lazy: pulled with overlayfs
 *                                mend: finch pull --snapshotter soci docker.io/library/old:1
 */
#include "report/internal.h"

#include <inttypes.h>

enum { COLUMN_GAP = 2, TEXT_COLUMNS_MIN = 24, IMAGE_COLUMNS_MIN = 20, EVENTS_SHOWN = 5 };
enum { WHY_COLUMNS = 40 }; /* what a reason asks of a narrow terminal */

/* What is being written; the first failure stays. */
struct out {
    struct buf *to;
    const struct report_style *style;
    int rc;
};

enum colour { PLAIN, BOLD, DIM, GREEN, YELLOW, RED };

static void raw(struct out *out, const char *text, size_t len)
{
    if (out->rc == 0)
        out->rc = buf_add(out->to, text, len);
}

static void put(struct out *out, const char *text)
{
    raw(out, text, strlen(text));
}

static void colour_on(struct out *out, enum colour colour)
{
    static const char *const codes[] = {
        [PLAIN] = "",         [BOLD] = "\033[1m",    [DIM] = "\033[2m",
        [GREEN] = "\033[32m", [YELLOW] = "\033[33m", [RED] = "\033[1;31m",
    };

    if (out->style->colour)
        put(out, codes[colour]);
}

static void colour_off(struct out *out, enum colour colour)
{
    if (out->style->colour && colour != PLAIN)
        put(out, "\033[0m");
}

static void coloured(struct out *out, enum colour colour, const char *text)
{
    colour_on(out, colour);
    put(out, text);
    colour_off(out, colour);
}

static void spaces(struct out *out, size_t count)
{
    while (count-- > 0)
        put(out, " ");
}

/* At most `columns` of it, then spaces up to there. */
static void cell(struct out *out, enum colour colour, const char *text, size_t columns)
{
    size_t has = report_columns(text);

    colour_on(out, colour);
    if (has > columns) { /* names differ at their ends */
        put(out, "…");
        put(out, text + report_fitting(text, has - columns + 1));
    } else {
        put(out, text);
    }
    colour_off(out, colour);
    spaces(out, has < columns ? columns - has : 0);
}

/* How much of `text` makes a line of `columns`: up to a space where there is one. */
static size_t line_bytes(const char *text, size_t columns)
{
    size_t fits = report_fitting(text, columns), at = fits;

    if (text[fits] == '\0')
        return fits;
    while (at > 0 && text[at] != ' ')
        at--;
    return at > 0 ? at : fits > 0 ? fits : 1;
}

/* Lines that all begin at column `indent`; the cursor is there. Ends the last line. */
static void wrapped(struct out *out, enum colour colour, const char *text, size_t indent)
{
    unsigned width = out->style->width;
    size_t columns = width > indent + TEXT_COLUMNS_MIN ? width - indent : TEXT_COLUMNS_MIN;

    if (width == 0)
        columns = SIZE_MAX;
    do {
        size_t n = line_bytes(text, columns);

        colour_on(out, colour);
        raw(out, text, n);
        colour_off(out, colour);
        put(out, "\n");
        text += n;
        text += strspn(text, " ");
        if (*text != '\0')
            spaces(out, indent);
    } while (*text != '\0' && out->rc == 0);
}

/* ---- rows ------------------------------------------------------------------------------------ */

static void print_rows(struct out *out, const struct report *report)
{
    static const struct {
        const char *text;
        enum colour colour;
    } marks[] = {
        [REPORT_WELL] = {"ok", GREEN},
        [REPORT_NOT_WELL] = {"!!", RED},
        [REPORT_UNKNOWN] = {"--", YELLOW},
    };
    size_t widest = 0, indent;

    for (size_t i = 0; i < report->row_count; i++) {
        size_t columns = report_columns(report->rows[i].name);

        widest = columns > widest ? columns : widest;
    }
    indent = 2 + COLUMN_GAP + widest + COLUMN_GAP;
    for (size_t i = 0; i < report->row_count; i++) {
        const struct report_row *row = &report->rows[i];

        coloured(out, marks[row->mark].colour, marks[row->mark].text);
        spaces(out, COLUMN_GAP);
        cell(out, BOLD, row->name, widest + COLUMN_GAP);
        wrapped(out, PLAIN, row->text, indent);
        if (row->mend[0] == '\0')
            continue;
        spaces(out, indent);
        put(out, "mend: ");
        wrapped(out, BOLD, row->mend, indent + 6);
    }
}

/* ---- images ---------------------------------------------------------------------------------- */

enum { CELL_BYTES = 128 };

static void add_count(char *text, uint64_t count, const char *what)
{
    size_t used = strlen(text);

    if (count > 0)
        (void)snprintf(text + used, CELL_BYTES - used, "%s%" PRIu64 " %s", used == 0 ? "" : ", ",
                       count, what);
}

static void layers_text(const struct report_image *image, char ret[CELL_BYTES])
{
    ret[0] = '\0';
    add_count(ret, image->lazy, "lazy");
    add_count(ret, image->local, "local");
    add_count(ret, image->pending, "on the way");
    add_count(ret, image->failed, "broken");
    if (ret[0] == '\0')
        (void)snprintf(ret, CELL_BYTES, "none");
}

/* Of 100, down; what is said to be more than all is all. */
static unsigned percent(uint64_t part, uint64_t whole)
{
    return part >= whole ? 100 : (unsigned)((double)part * 100 / (double)whole);
}

static void here_text(const struct report_image *image, char ret[CELL_BYTES])
{
    char present[REPORT_SIZE_BYTES], size[REPORT_SIZE_BYTES];

    report_format_size(image->present_bytes, present);
    report_format_size(image->size_bytes, size);
    if (image->size_bytes == 0)
        (void)snprintf(ret, CELL_BYTES, "%s", present);
    else
        (void)snprintf(ret, CELL_BYTES, "%s of %s (%u %%)", present, size,
                       percent(image->present_bytes, image->size_bytes));
}

static const char *image_name(const struct report_image *image)
{
    return image->image[0] != '\0' ? image->image : image->manifest;
}

struct columns {
    size_t image, layers, here;
};

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* The name gives way when the terminal is narrow. */
static struct columns measure(const struct out *out, const struct report *report)
{
    struct columns columns = {.image = strlen("IMAGE"), .layers = strlen("LAYERS")};
    size_t width = out->style->width, others, least = 0;
    char text[CELL_BYTES];

    for (size_t i = 0; i < report->image_count; i++) {
        const struct report_image *image = &report->images[i];

        columns.image = larger(columns.image, report_columns(image_name(image)));
        if (image->text[0] != '\0') {
            least = WHY_COLUMNS;
            continue;
        }
        layers_text(image, text);
        columns.layers = larger(columns.layers, strlen(text));
        here_text(image, text);
        columns.here = larger(columns.here, strlen(text));
    }
    others = larger(columns.layers + columns.here, least) + 2 * (size_t)COLUMN_GAP;
    if (width > 0 && columns.image + others > width)
        columns.image = larger(IMAGE_COLUMNS_MIN, width > others ? width - others : 0);
    return columns;
}

static void print_counts(struct out *out, const struct report_image *image,
                         const struct columns *columns)
{
    char text[CELL_BYTES];

    layers_text(image, text);
    cell(out, image->failed > 0 ? RED : PLAIN, text, columns->layers + COLUMN_GAP);
    here_text(image, text);
    put(out, text);
    put(out, "\n");
}

static void print_why(struct out *out, const struct report_image *image, size_t indent)
{
    wrapped(out, DIM, image->text, indent);
    if (image->mend[0] == '\0')
        return;
    spaces(out, indent);
    put(out, "mend: ");
    wrapped(out, BOLD, image->mend, indent + 6);
}

static void print_no_image(struct out *out, const struct report *report)
{
    put(out, report->is_listed ? "No image is there yet" : "No image came through the snapshotter");
    put(out, report->namespace_[0] == '\0' ? "" : " in namespace ");
    put(out, report->namespace_);
    put(out, ".\n");
}

static void print_images(struct out *out, const struct report *report)
{
    struct columns columns = measure(out, report);

    put(out, "\n");
    if (report->image_count == 0) {
        print_no_image(out, report);
        return;
    }
    cell(out, BOLD, "IMAGE", columns.image + COLUMN_GAP);
    cell(out, BOLD, "LAYERS", columns.layers + COLUMN_GAP);
    coloured(out, BOLD, "HERE");
    put(out, "\n");
    for (size_t i = 0; i < report->image_count; i++) {
        const struct report_image *image = &report->images[i];

        cell(out, PLAIN, image_name(image), columns.image);
        spaces(out, COLUMN_GAP);
        if (image->text[0] == '\0')
            print_counts(out, image, &columns);
        else
            print_why(out, image, columns.image + COLUMN_GAP);
    }
}

/* ---- the snapshotter ------------------------------------------------------------------------- */

static void print_numbers(struct out *out, const struct report_daemon *daemon)
{
    char layers[REPORT_SIZE_BYTES], blobs[REPORT_SIZE_BYTES], rate[REPORT_SIZE_BYTES];
    char line[CELL_BYTES * 2];

    report_format_size(daemon->layer_bytes, layers);
    report_format_size(daemon->blob_bytes, blobs);
    (void)snprintf(line, sizeof(line), "\nIn the cache: %s of layers, %s of indexes.\n", layers,
                   blobs);
    put(out, line);
    if (daemon->fetching_bytes == 0 && daemon->waiting_readers == 0)
        return;
    report_format_size(daemon->fetching_bytes, layers);
    report_format_size(daemon->bytes_per_s, rate);
    (void)snprintf(line, sizeof(line),
                   "Being fetched: %s, at %s/s; %" PRIu64 " reads wait for the network.\n", layers,
                   rate, daemon->waiting_readers);
    put(out, line);
}

static void print_event(struct out *out, const struct report_event *event)
{
    bool is_bad = strcmp(event->kind, "error") == 0 || strcmp(event->kind, "failed") == 0;
    char times[CELL_BYTES];

    (void)snprintf(times, sizeof(times), "%.19s", event->time); /* to the second */
    cell(out, DIM, times, 19);
    spaces(out, COLUMN_GAP);
    cell(out, is_bad ? RED : PLAIN, event->kind, 8);
    spaces(out, COLUMN_GAP);
    wrapped(out, PLAIN, event->image[0] != '\0' ? event->image : event->layer, 31);
    spaces(out, 4);
    wrapped(out, PLAIN, event->text, 4);
    if (event->count > 1) {
        (void)snprintf(times, sizeof(times), "    (%" PRIu64 " times)\n", event->count);
        put(out, times);
    }
}

static void print_events(struct out *out, const struct report_daemon *daemon)
{
    size_t shown = daemon->event_count < EVENTS_SHOWN ? daemon->event_count : EVENTS_SHOWN;
    char line[CELL_BYTES];

    if (shown == 0)
        return;
    (void)snprintf(line, sizeof(line), "\nWhy layers are not lazy, and errors%s (times are UTC):\n",
                   shown < daemon->event_count ? ", the newest" : "");
    put(out, line);
    for (size_t i = 0; i < shown; i++)
        print_event(out, &daemon->events[i]);
}

int report_print(const struct report *report, const struct report_style *style, struct buf *ret)
{
    struct out out = {.to = ret, .style = style};

    print_rows(&out, report);
    if (report->daemon.answers || report->is_listed)
        print_images(&out, report);
    if (report->daemon.answers) {
        print_numbers(&out, &report->daemon);
        print_events(&out, &report->daemon);
    }
    return out.rc;
}
