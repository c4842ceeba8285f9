/* SPDX-License-Identifier: Apache-2.0 */
/* check.h – `soci-snapshotter-grpc check IMAGE`: would the daemon load this image lazily, layer by
 * layer, and why not? Asked of the registry now, with the daemon's configuration and the
 * credentials that it would find; of the daemon itself nothing is asked, and nothing is kept. What
 * comes out as JSON is documented in docs/doctor.md. */
#ifndef DAEMON_CHECK_H
#define DAEMON_CHECK_H

#include "base/attr.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "daemon/options.h"
#include "digest/digest.h"

#include <stdbool.h>
#include <stdint.h>

/* Prints to stdout, errors to stderr. The exit code: 0 something is lazy (of "HOST/": it answers),
 * 1 a wrong command line or configuration, 3 nothing is. */
int check_main(const struct options *options);

/* ---- what it comes to ------------------------------------------------------------------------ */

/* Why no layer is lazy. */
enum check_problem {
    CHECK_FINE,         /* some layer is */
    CHECK_UNREACHABLE,  /* the registry does not answer */
    CHECK_REFUSED,      /* nor does it want us: 401, 403 */
    CHECK_CREDENTIALS,  /* they could not be looked up: the helper fails, config.json is broken */
    CHECK_NO_IMAGE,     /* no such image there */
    CHECK_NO_PLATFORM,  /* none for this machine */
    CHECK_NO_INDEX,     /* the image has no SOCI index */
    CHECK_BROKEN_INDEX, /* there is one, and it cannot be used */
    CHECK_OFF,          /* the configuration switches all of it off */
    CHECK_NO_LAYER,     /* there is an index, and none of its layers can be mounted */
    CHECK_NO_RANGES,    /* they could, if parts of them were to be had */
};
const char *check_problem_name(enum check_problem problem); /* "", "unreachable", … */

enum check_state {
    CHECK_LAZY,
    CHECK_NO_ZTOC,     /* not in the index: too small when it was made, or zstd */
    CHECK_TOO_SMALL,   /* snapshotter.min_layer_size of the configuration */
    CHECK_BROKEN_ZTOC, /* it is not what the index says, or of another layer */
    CHECK_NOT_THERE,   /* the layer, or its ztoc, cannot be had from the registry */
    CHECK_ONLY_WHOLE,  /* no part of it can be had: the registry's problem, CHECK_NO_RANGES */
};
const char *check_state_name(enum check_state state); /* "lazy", "no-ztoc", … */

struct check_layer {
    struct digest digest;
    uint64_t size_bytes; /* compressed, as the manifest says */
    enum check_state state;
    char text[ERR_TEXT_BYTES]; /* why it is not lazy; "" */
};
struct check {
    char *image, *host; /* as it was typed; of the registry */
    char *name;         /* as containerd calls it: with host and tag. NULL: of a registry alone */
    char *platform;     /* NULL: not known */
    bool reachable;     /* the registry answered */
    int64_t skew_s;     /* its clock is ahead of ours by so much */
    bool has_skew;
    bool has_manifest, has_index;
    struct digest manifest, index;
    enum check_problem problem;
    struct err why;             /* of the problem; code 0: none */
    struct check_layer *layers; /* lowest first */
    size_t layer_count, lazy_count;
};
void check_fini(struct check *check);
DEFINE_SCOPED_VALUE(check, struct check, check_fini)

/* Both append to *ret; 0 or -ENOMEM. */
MUST_CHECK int check_print_json(const struct check *check, struct buf *ret);
MUST_CHECK int check_print_table(const struct check *check, struct buf *ret);

#endif
