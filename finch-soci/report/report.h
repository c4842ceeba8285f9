/* SPDX-License-Identifier: Apache-2.0 */
/* report.h – what `finch-soci status` tells: rows of what is and how to mend it, and what the
 * snapshotter says of itself; as a table for people and as JSON for programs.
 *
 *   rows (the caller's) ──┐
 *   the daemon's JSON ────┼▶ struct report ─▶ report_print() or report_encode()
 *   containerd's images ──┘
 *
 * What comes from the machine is hostile: it is cut to size, and what a terminal would obey is
 * taken out, when it is put into a report. Nothing here blocks. */
#ifndef REPORT_REPORT_H
#define REPORT_REPORT_H

#include "base/attr.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- rows ------------------------------------------------------------------------------------ */

enum report_mark { REPORT_WELL, REPORT_NOT_WELL, REPORT_UNKNOWN };
const char *report_mark_name(enum report_mark mark); /* "well", "not-well", "unknown" */

enum { REPORT_NAME_BYTES = 32, REPORT_TEXT_BYTES = 384, REPORT_MEND_BYTES = 192 };
enum { REPORT_ROWS_MAX = 24 };
struct report_row {
    enum report_mark mark;
    char name[REPORT_NAME_BYTES]; /* "finch.yaml", "machine", … */
    char text[REPORT_TEXT_BYTES];
    char mend[REPORT_MEND_BYTES]; /* what to do about it; "" */
};

/* ---- images ---------------------------------------------------------------------------------- */

enum report_image_state {
    REPORT_IMAGE_LAZY,         /* layers are mounted */
    REPORT_IMAGE_LOCAL,        /* through the snapshotter, all of it fetched whole */
    REPORT_IMAGE_BROKEN,       /* layers should be mounted and are not */
    REPORT_IMAGE_NOT_LAZY,     /* `text` says why */
    REPORT_IMAGE_NOT_UNPACKED, /* nothing of it is ready to run */
    REPORT_IMAGE_UNKNOWN,
};
const char *report_image_state_name(enum report_image_state state); /* "lazy", … */

enum { REPORT_IMAGES_MAX = 1000, REPORT_EVENTS_MAX = 256 };
/* Strings are never NULL. Bytes are compressed ones, as in the registry. */
struct report_image {
    char *image;        /* reference; "": not known */
    char *manifest;     /* digest */
    char *index;        /* digest of the SOCI index that the client named; "": it was looked up */
    char *snapshotters; /* through which it was unpacked, with commas between; "": not known */
    char *text;         /* why it is not lazy; "" */
    char *mend;         /* what makes it lazy; "" */
    enum report_image_state state;
    uint64_t lazy, local, pending, failed; /* layers */
    uint64_t size_bytes, present_bytes;
};

/* ---- what the daemon says -------------------------------------------------------------------- */

/* Why something is not lazy, or what went wrong with a layer. */
struct report_event {
    char *
        kind; /* "deferred", "unpacked", "failed", as docs/status.md has them; "error": a layer's */
    char *time; /* RFC 3339; "" */
    char *image, *layer, *text;
    uint64_t count;
};
struct report_daemon {
    bool answers; /* else all below is empty */
    char version[REPORT_NAME_BYTES];
    uint64_t uptime_s, rss_bytes;
    uint64_t layer_bytes, blob_bytes; /* the cache: of layers, of ztocs and indexes */
    uint64_t waiting_readers, fetching_bytes, bytes_per_s;
    struct report_event *events; /* newest first */
    size_t event_count;
    uint64_t
        errors; /* layers that are not mounted though they should be, or whose last read failed */
};

/* What starts with the machine, and what it did last. */
enum { REPORT_TIME_BYTES = 40, REPORT_PATH_BYTES = 512 };
struct report_hook_run {
    char result[REPORT_NAME_BYTES]; /* docs/hook.md; "": it has not run */
    char time[REPORT_TIME_BYTES];
    char text[REPORT_TEXT_BYTES];
    uint64_t took_ms;
    bool failed;
};
struct report_hook {
    bool installed, watches;
    char where[REPORT_PATH_BYTES]; /* what the system runs it by; "" */
    char log[REPORT_PATH_BYTES];
    struct report_hook_run start, stop;
};

struct report {
    char namespace_[REPORT_NAME_BYTES]; /* of the images; "": all */
    struct report_row rows[REPORT_ROWS_MAX];
    size_t row_count;
    struct report_hook hook;
    struct report_daemon daemon;
    struct report_image *images; /* of the wanted namespace */
    size_t image_count;
    bool is_listed; /* containerd's are among them: none are none */
};
void report_fini(struct report *report);
DEFINE_SCOPED_VALUE(report, struct report, report_fini)

/* `text` and `mend` are cleaned; more than REPORT_ROWS_MAX rows are dropped. */
void report_add(struct report *report, const char *name, enum report_mark mark, const char *text,
                const char *mend);
/* No row that is not well. */
bool report_is_well(const struct report *report);

/* `soci-snapshotter-grpc status --json` into report->daemon, with the images of
 * report->namespace_: those of which a layer is in it. -EBADMSG: not such an object; -ENOMEM. */
MUST_CHECK int report_parse_daemon(struct report *report, struct bytes json, struct err *err);

/* An image as containerd has it; hostile texts, never NULL. */
struct report_found {
    const char *name, *namespace_;
    const char *snapshotters; /* through which it was unpacked, with commas between */
    const char *manifest;     /* digest of what was unpacked; "": not known */
};
/* After the daemon's: those that the daemon has not named come to report->images, with the reason
 * why they are not lazy. -ENOMEM. */
MUST_CHECK int report_add_images(struct report *report, const struct report_found *found,
                                 size_t count, struct err *err);

/* ---- showing it ------------------------------------------------------------------------------ */

struct report_style {
    unsigned width; /* columns; 0: no limit */
    bool colour;
};
/* Both append to *ret; 0 or -ENOMEM. */
MUST_CHECK int report_print(const struct report *report, const struct report_style *style,
                            struct buf *ret);
/* One object on one line, as docs/finch-soci.md says. */
MUST_CHECK int report_encode(const struct report *report, struct buf *ret);
/* The hook alone, its object of the same. */
MUST_CHECK int report_encode_hook(const struct report *report, struct buf *ret);

/* ---- parts ----------------------------------------------------------------------------------- */

/* `text` as one line of printable UTF-8, cut where it does not fit. */
void report_clean(char *ret, size_t size, const char *text);
/* "12.3 MiB" */
enum { REPORT_SIZE_BYTES = 24 };
void report_format_size(uint64_t bytes, char ret[REPORT_SIZE_BYTES]);

#endif
