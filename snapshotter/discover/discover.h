/* SPDX-License-Identifier: Apache-2.0 */
/* discover.h – from an image's manifest to its SOCI index, and the index and ztocs into the store.
 *
 * What was found stays found. That nothing was found, or an error, is remembered for a minute at
 * most, and told no layer twice: one that asks again belongs to another pull, which sees an index
 * that was pushed meanwhile. One look-up per image however many layers ask, on a thread of
 * discover's own: a caller whose deadline passes leaves, and the work goes on for the next pull.
 * The other layers of this one are told at once then, and do not wait for the same registry in
 * turn.
 *
 * containerd prepares the layers of an image one after another, so as soon as an index is found all
 * its ztocs are fetched in parallel in the background, and each Prepare waits for its own alone. */
#ifndef DISCOVER_DISCOVER_H
#define DISCOVER_DISCOVER_H

#include "base/attr.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "digest/digest.h"
#include "metrics/metrics.h"
#include "oci/oci.h"
#include "registry/registry.h"
#include "store/store.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is asked of a registry, as functions: registry/'s own in the daemon, arrays in a test. */
struct discover_registry {
    int (*get_manifest)(struct registry_repo *repo, const char *reference, struct buf *ret,
                        char **ret_media_type, struct err *err);
    int (*get_referrers)(struct registry_repo *repo, const struct digest *subject,
                         const char *artifact_type, struct oci_index **ret, bool *ret_from_tag,
                         struct err *err);
    int (*get_blob)(struct registry_repo *repo, const struct digest *digest, size_t max_bytes,
                    struct buf *ret, struct err *err);
    struct registry_repo *(*ref)(struct registry_repo *repo);
    void (*unref)(struct registry_repo *repo);
};

struct discover_options {
    struct store *store;
    const struct discover_registry *registry; /* NULL: registry/ */
    bool v1_enabled;                          /* referrers of the manifest */
    bool v2_enabled;                          /* annotation on the manifest */
    bool disable_prefetch;                    /* fetch a ztoc only when it is asked for */
    bool prefetch_artifacts;                  /* fetch those of an index along with its ztocs */
    size_t threads;                           /* look-ups and ztocs under way at once; 0: 8 */
    int64_t negative_ttl_ms;                  /* 0: 60000 */
    struct metrics *metrics;                  /* NULL: none */
    int64_t (*now_ms)(void *self);            /* NULL: clock_mono_ms(); a test passes its own */
    void *now_self;
};
struct discover;
MUST_CHECK int discover_new(const struct discover_options *options, struct discover **ret,
                            struct err *err);
/* Something that is worth doing only when no ztoc is on its way: fetching layers ahead would slow
 * down those that Prepares wait for. In the caller's storage until run(). */
struct discover_later {
    void (*run)(struct discover_later *later, bool canceled); /* once; may free this */
    struct discover_later *next;                              /* discover's */
};
/* Calls run() when the ztocs under way are there or have failed: now, when there are none. From
 * this thread or another; `canceled` by discover_stop(). */
void discover_when_quiet(struct discover *discover, struct discover_later *later);

/* Nothing more begins, and whoever waits is told -ECANCELED. What is under way goes on to its end.
 * Any thread. */
void discover_stop(struct discover *discover);
/* Blocks until the requests under way are answered or refused; no call is running or follows. */
void discover_free(struct discover *discover);
DEFINE_SCOPED_PTR(discover, struct discover, discover_free)

/* An image in a repository. What was found under one name is not used under another: a registry can
 * speak for its own images only. */
struct discover_image {
    struct registry_repo *repo; /* borrowed; discover takes a reference while it works */
    const char *name;           /* host/repository, unique for repo */
    struct digest manifest;
    const char *index_digest; /* names the index outright; NULL or "": not given */
    const char *asker;        /* what asks once in a pull, a layer's chain ID; NULL: not known */
};

struct discover_index; /* counted: an index whose manifest is in the store */
/* Of its manifest; borrowed. */
const struct digest *discover_index_digest(const struct discover_index *index);
const struct soci_index *discover_index_get(const struct discover_index *index);
/* The image's own manifest. NULL: it could not be read. */
const struct oci_manifest *discover_index_manifest(const struct discover_index *index);
/* The size of a layer as the image's manifest says, which is beyond doubt: its digest is the
 * image's. 0: the manifest could not be read, or has no such layer. */
uint64_t discover_index_layer_bytes(const struct discover_index *index, const struct digest *layer);
void discover_index_unref(struct discover_index *index);
DEFINE_SCOPED_PTR(discover_index, struct discover_index, discover_index_unref)

/* The index of the image. Blocks on the network until `deadline_ms` of clock_mono_ms().
 * -ENOENT: the image has none. -ETIMEDOUT: no answer yet. Else it could not be had; err says why.
 */
MUST_CHECK int discover_find(struct discover *discover, const struct discover_image *image,
                             int64_t deadline_ms, struct discover_index **ret, struct err *err);
/* The ztoc's blob, or a prefetch artifact's, into the store unless it is there. Several threads may
 * ask for the same one: it is fetched once. -ENOENT, the registry does not have it, also makes the
 * image be looked up anew next time. */
MUST_CHECK int discover_fetch_ztoc(struct discover *discover, const struct discover_image *image,
                                   const struct digest *ztoc, uint64_t ztoc_bytes,
                                   int64_t deadline_ms, struct err *err);

#endif
