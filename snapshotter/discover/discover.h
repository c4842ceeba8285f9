/* SPDX-License-Identifier: Apache-2.0 */
/* discover.h – from an image's manifest to its SOCI index, and the index and ztocs into the store.
 *
 * What was found stays found; that nothing was found, or an error, is remembered for a minute at most, so that an
 * index pushed after a first try is seen at the next pull. One look-up per image however many layers ask. */
#ifndef DISCOVER_DISCOVER_H
#define DISCOVER_DISCOVER_H

#include "base/err.h"
#include "digest/digest.h"
#include "oci/oci.h"
#include "registry/registry.h"
#include "store/store.h"

#include <stdbool.h>

struct discover_options {
    struct store *store;
    bool v1_enabled;             /* referrers of the manifest */
    bool v2_enabled;             /* annotation on the manifest */
    int64_t negative_ttl_ms;     /* 0: 60000 */
    int64_t (*now_ms)(void *self); /* NULL: clock_mono_ms(); a test passes its own */
    void *now_self;
};
struct discover;
MUST_CHECK int discover_new(const struct discover_options *options, struct discover **ret, struct err *err);
void discover_free(struct discover *discover);
DEFINE_SCOPED_PTR(discover, struct discover, discover_free)

struct discover_index; /* counted: an index whose manifest is in the store */
const struct soci_index *discover_index_get(const struct discover_index *index);
void discover_index_unref(struct discover_index *index);
DEFINE_SCOPED_PTR(discover_index, struct discover_index, discover_index_unref)

/* The index of the image manifest `manifest` in `repo`; `index_digest` non-NULL and non-empty names it outright.
 * -ENOENT: the image has none. Anything else: it could not be had; err says why. Blocks on the network. */
MUST_CHECK int discover_find(struct discover *discover, struct registry_repo *repo, const struct digest *manifest,
                             const char *index_digest, struct discover_index **ret, struct err *err);
/* The ztoc's blob into the store unless it is there. Several threads may ask for the same one: it is fetched once. */
MUST_CHECK int discover_fetch_ztoc(struct discover *discover, struct registry_repo *repo,
                                   const struct soci_index_ztoc *ztoc, struct err *err);

#endif
