/* SPDX-License-Identifier: Apache-2.0 */
/* internal.h – what the files of discover/ share: an index, and how one is looked up. */
#ifndef DISCOVER_INTERNAL_H
#define DISCOVER_INTERNAL_H

#include "discover/discover.h"
#include "discover/flight.h"

#include <pthread.h>

/* Why 8: an image has been given its index again and again at most a few times; a tag list of
 * broken ones must not keep a pull waiting. */
enum { DISCOVER_CANDIDATES_MAX = 8 };

struct discover_index {
    size_t refs; /* atomic */
    struct soci_index *index;
    struct digest digest;          /* of `index` */
    struct oci_manifest *manifest; /* of the image; NULL: it was not asked for */
};
struct discover_index *discover_index_ref(struct discover_index *index);

/* Everything a look-up needs; borrowed. */
struct lookup {
    const struct discover_registry *registry;
    struct store *store;
    struct registry_repo *repo;
    bool v1_enabled, v2_enabled;
    struct digest manifest;
    const char *index_digest; /* "": not given */
};
/* Ask in order: the digest that was named, the annotation on the manifest (v2), the referrers (v1).
 * Blocks. -ENOENT: there is no index. */
MUST_CHECK int lookup_run(const struct lookup *lookup, struct discover_index *ret, struct err *err);

/* How many ztocs are under way, and what waits for there being none. */
struct quiet {
    pthread_mutex_t lock;        /* a leaf; run() is called without it */
    size_t busy;                 /* lock */
    struct discover_later *list; /* lock */
    bool stopped;                /* lock */
};
void quiet_init(struct quiet *quiet);
void quiet_fini(struct quiet *quiet);
void quiet_enter(struct quiet *quiet);
void quiet_leave(struct quiet *quiet);
void quiet_when(struct quiet *quiet, struct discover_later *later);
void quiet_stop(struct quiet *quiet);

/* All fixed at creation. */
struct discover {
    struct discover_options options;
    struct pool *pool;
    struct flights *images;
    struct flights *ztocs;
    struct quiet quiet; /* a ztoc's task makes it busy for as long as it lives */
};
/* Under which the look-up of an image is known, new; NULL: out of memory. */
char *discover_image_key(const struct discover_image *image);
/* Start to fetch the ztocs of an index. That they cannot be had is said when one is asked for. */
void discover_prefetch_ztocs(struct discover *discover, struct registry_repo *repo,
                             const char *image_key, const struct soci_index *index);

#endif
