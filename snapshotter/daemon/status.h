/* SPDX-License-Identifier: Apache-2.0 */
/* status.h – `soci-snapshotter-grpc status`: ask the running daemon how it is, and tell. What comes
 * out as JSON is documented in docs/status.md. */
#ifndef DAEMON_STATUS_H
#define DAEMON_STATUS_H

#include "base/attr.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct status_options {
    const char *address; /* as --address */
    const char *image;   /* only what concerns this image; NULL: all */
    bool json;
};
/* Prints to stdout, errors to stderr. The exit code: 0, or 1 when no daemon answers or the image is
 * not known to it. */
int status_main(const struct status_options *options);

/* ---- the answer ------------------------------------------------------------------------------ */

/* As in proto/status.proto, borrowed from `messages`. Never NULL, where it may be none at all. */
struct status_layer {
    const char *directory, *image, *namespace_, *manifest, *digest, *index, *backend, *state,
        *check, *error;
    uint64_t snapshot, size_bytes, present_bytes;
    int64_t error_ms;
};
struct status_event {
    const char *kind, *image, *layer, *text;
    int64_t time_ms;
    uint64_t count;
};
/* The layers that came with one image. */
struct status_image {
    const char *name, *manifest, *index;
    size_t lazy, local, pending, failed; /* layers */
    uint64_t size_bytes, present_bytes;
};
struct status_report {
    const char *version, *revision, *root, *config, *backend;
    uint32_t pid;
    int64_t started_ms;
    uint64_t uptime_ms, rss_bytes;
    char *const *addresses;
    size_t address_count;
    uint64_t waiting_readers, queued_spans, fetching_spans, fetching_bytes,
        background_fetching_spans, inflating_spans, background_missing_spans, memory_bytes,
        bytes_per_s;
    uint64_t cache_layer_bytes, cache_blob_bytes, cache_database_bytes;
    struct status_layer *layers;
    size_t layer_count;
    struct status_event *events; /* newest first */
    size_t event_count;
    struct status_image *images; /* by name */
    size_t image_count;
    void **messages; /* what came, unpacked */
    size_t message_count;
};
void status_report_fini(struct status_report *report);
DEFINE_SCOPED_VALUE(status_report, struct status_report, status_report_fini)
/* One message of the daemon's. *report starts as zeros. -EBADMSG, -ENOMEM. */
MUST_CHECK int status_report_add(struct status_report *report, struct bytes message,
                                 struct err *err);
/* After the last message: layers whose image is not said get that of another layer of the same
 * manifest, and the images are made. 0 or -ENOMEM. */
MUST_CHECK int status_report_complete(struct status_report *report);
/* Keep only what concerns the image that `text` names. False: nothing does. */
bool status_report_keep(struct status_report *report, const char *text);

/* ---- status_match.c -------------------------------------------------------------------------- */

/* Does a person who types `text` mean the image `name` with this manifest ("": not known)? As
 * Docker's tools take it: "alpine" is docker.io/library/alpine:latest. Digests too, of the
 * manifest, and the first 12 digits of one or more. */
bool status_is_image(const char *text, const char *name, const char *manifest);

/* ---- out: both append to *ret; 0 or -ENOMEM -------------------------------------------------- */

MUST_CHECK int status_print_json(const struct status_report *report, struct buf *ret);
/* `width`: columns that a line may have, 0: any number. `layers`: list each of them. */
struct status_style {
    size_t width;
    bool colour;
    bool layers;
    int64_t now_ms; /* on clock_wall_ms(): for how long ago something was */
};
MUST_CHECK int status_print_table(const struct status_report *report,
                                  const struct status_style *style, struct buf *ret);

#endif
