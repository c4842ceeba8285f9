/* SPDX-License-Identifier: Apache-2.0 */
/* metrics.h – counters and histograms, their text for Prometheus, and the server that gives it out.
 *
 * Counting takes no lock and no allocation: it is done in reads. What is counted belongs to a layer
 * that is open, and is forgotten with it, or to no layer. Names, labels and types are those of the
 * SOCI snapshotter (docs/metrics.md); the text is Prometheus' exposition format, version 0.0.4.
 *
 * Where a struct metrics or metrics_layer is passed, NULL is fine: nothing is counted. */
#ifndef METRICS_METRICS_H
#define METRICS_METRICS_H

#include "base/attr.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "digest/digest.h"

#include <stdint.h>
#include <sys/socket.h>

/* ---- counting -------------------------------------------------------------------------------- */

/* By operation_type. The first ones in milliseconds, from METRICS_NODE_READDIR on in microseconds.
 */
enum metrics_duration {
    METRICS_MOUNT,               /* a Prepare that ended with a lazy layer */
    METRICS_REMOTE_REGISTRY_GET, /* one request for spans */
    METRICS_INIT_METADATA_STORE, /* a layer's ztoc from the disk, to its tree */
    METRICS_FUSE_MOUNT,          /* the part of a mount that is the kernel's and libfuse's */
    METRICS_SOCI_INDEX_FETCH,    /* of no layer */
    METRICS_ZTOC_FETCH,          /* of no layer */
    METRICS_NODE_READDIR,
    METRICS_SYNCHRONOUS_READ, /* from the kernel's request to the answer, errors not counted */
};
enum { METRICS_DURATIONS = METRICS_SYNCHRONOUS_READ + 1 };

enum metrics_counter {
    METRICS_READS,        /* that the kernel asked for */
    METRICS_READ_FETCHES, /* requests for spans that a reader waited for */
    METRICS_READ_FAILURES,
    METRICS_BACKGROUND_FETCHES, /* spans that came without a reader */
    METRICS_BACKGROUND_FAILURES,
    METRICS_FUSE_MOUNT_FAILURES,  /* of no layer */
    METRICS_LOCAL_MOUNT_FAILURES, /* of no layer: unpacking failed */
    METRICS_LAYERS_CHECKED,       /* whole, and they are what their images say */
    METRICS_LAYERS_REFUSED,       /* and they are not */
    METRICS_BYTES_SERVED,         /* to readers, uncompressed */
};
enum { METRICS_COUNTERS = METRICS_BYTES_SERVED + 1 };

struct metrics;
MUST_CHECK int metrics_new(struct metrics **ret, struct err *err);
/* Every layer was given back before. */
void metrics_free(struct metrics *metrics);
DEFINE_SCOPED_PTR(metrics, struct metrics, metrics_free)

/* What is counted for one layer, however many have a reference; zeros when there was none. Never
 * fails: for want of memory, or above METRICS_LAYERS_MAX of them, it is what belongs to no layer.
 */
enum { METRICS_LAYERS_MAX = 4096 };
struct metrics_layer;
struct metrics_layer *metrics_layer_ref(struct metrics *metrics, const struct digest *layer);
void metrics_layer_unref(struct metrics_layer *layer);
DEFINE_SCOPED_PTR(metrics_layer, struct metrics_layer, metrics_layer_unref)
struct metrics_layer *metrics_no_layer(struct metrics *metrics); /* borrowed */

/* Any thread, any lock held. Less than 0 counts as 0. */
void metrics_took_ns(struct metrics_layer *layer, enum metrics_duration what, int64_t took_ns);
/* The same, from a moment of clock_mono_ns() until now. */
void metrics_since(struct metrics_layer *layer, enum metrics_duration what, int64_t start_ns);
void metrics_count(struct metrics_layer *layer, enum metrics_counter what, uint64_t n);

/* ---- text ------------------------------------------------------------------------------------ */

/* All append to *ret: 0 or -ENOMEM. */

/* Everything counted. What is 0 is left out. The numbers are of one moment each. */
MUST_CHECK int metrics_write(struct metrics *metrics, struct buf *ret);
/* Memory, descriptors, CPU time and start of this process, as Prometheus' libraries name them. */
MUST_CHECK int metrics_write_process(struct buf *ret);
/* The lines before the samples of a metric. `type` is counter, gauge or histogram. */
MUST_CHECK int metrics_write_head(struct buf *ret, const char *name, const char *type,
                                  const char *help);
/* name{label="value",…} number. Labels are escaped; a label_b of NULL: there is one alone, or none
 * with label_a NULL. */
struct metrics_labels {
    const char *label_a, *value_a, *label_b, *value_b;
};
MUST_CHECK int metrics_write_sample(struct buf *ret, const char *name,
                                    const struct metrics_labels *labels, uint64_t value);

/* ---- serving --------------------------------------------------------------------------------- */

/* "127.0.0.1:9100", "[::1]:9100", "localhost:9100", ":9100" (any address); or the path of a unix
 * socket. */
struct metrics_address {
    struct sockaddr_storage at;
    socklen_t len;
    const char *path; /* borrowed; NULL: tcp */
};
/* `network`: "tcp" or "unix". -EINVAL: not such an address; the text says what is wrong. No name is
 * looked up: a daemon starts without network. */
MUST_CHECK int metrics_address_parse(const char *network, const char *address,
                                     struct metrics_address *ret, struct err *err);
/* Of a tcp address. -EBUSY: something else listens there. */
MUST_CHECK int metrics_listen_tcp(const struct metrics_address *address, int *ret_fd,
                                  struct err *err);

/* A thread that answers GET /metrics, to a few connections at once, one request each. */
struct metrics_server;
struct metrics_server_options {
    /* The answer's text, appended to *ret: 0, or <0 (answered with 500). In the server's thread. */
    int (*write)(void *self, struct buf *ret);
    void *self;
    int64_t request_ms; /* a request must be there after this; 0: 5000 */
    int64_t answer_ms;  /* and its answer taken after this; 0: 10000 */
};
/* *fd, a listening stream socket, is moved out on success. */
MUST_CHECK int metrics_server_start(const struct metrics_server_options *options, int *fd,
                                    struct metrics_server **ret, struct err *err);
/* Cuts what is under way off, and waits for a write() under way. NULL is fine. */
void metrics_server_stop(struct metrics_server *server);
DEFINE_SCOPED_PTR(metrics_server, struct metrics_server, metrics_server_stop)

/* http.c: the status to answer with when the request's head is whole or can be nothing any more;
 * 0: more is needed. */
enum { METRICS_REQUEST_MAX_BYTES = 8192 };
unsigned metrics_http_status(struct bytes request);

#endif
