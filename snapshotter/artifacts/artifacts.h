/* SPDX-License-Identifier: Apache-2.0 */
/* artifacts.h – the list of what `soci` made on this machine: which ztoc and which
 * prefetch artifact belongs to which layer, which index to which image manifest. The blobs
 * themselves are in a content store; an entry may outlive its blob.
 *
 * SQLite at <root>/artifacts.sqlite, mode 0600. Several processes may have it open: nerdctl runs
 * `soci` once per image. Calls block on the disk; one object is used by one thread at a time. */
#ifndef ARTIFACTS_ARTIFACTS_H
#define ARTIFACTS_ARTIFACTS_H

#include "base/err.h"
#include "digest/digest.h"

#include <stdbool.h>
#include <stdint.h>

struct artifacts;
/* Makes the file; the directory must be there. -EBADMSG: the file is no database of ours. */
MUST_CHECK int artifacts_open(const char *root, struct artifacts **ret, struct err *err);
void artifacts_close(struct artifacts *artifacts);
DEFINE_SCOPED_PTR(artifacts, struct artifacts, artifacts_close)

enum artifact_kind {
    ARTIFACT_ZTOC = 1,
    ARTIFACT_INDEX_V1 = 2,
    ARTIFACT_INDEX_V2 = 3,
    ARTIFACT_PREFETCH = 4,
};

enum { ARTIFACT_PLATFORM_BYTES = 64 };

struct artifact {
    enum artifact_kind kind;
    struct digest digest; /* of the blob */
    uint64_t size_bytes;
    struct digest subject;                  /* an index's image manifest, of others the layer */
    struct digest image;                    /* an index: the image's top target; else zeros */
    uint64_t span_size;                     /* a ztoc: as asked for; else 0 */
    char platform[ARTIFACT_PLATFORM_BYTES]; /* an index: "linux/amd64"; else "" */
    int64_t created_ns;                     /* since 1970, UTC */
};

/* Add, or replace the entry with the same digest and subject. */
MUST_CHECK int artifacts_put(struct artifacts *artifacts, const struct artifact *artifact,
                             struct err *err);
/* The newest ztoc of a layer at this span size. -ENOENT: none, err says so. */
MUST_CHECK int artifacts_find_ztoc(struct artifacts *artifacts, const struct digest *layer,
                                   uint64_t span_size, struct artifact *ret, struct err *err);
/* The newest index of that kind for an image manifest. -ENOENT: none. */
MUST_CHECK int artifacts_find_index(struct artifacts *artifacts, const struct digest *manifest,
                                    enum artifact_kind kind, struct artifact *ret, struct err *err);
/* The newest entry with this digest. -ENOENT: none. */
MUST_CHECK int artifacts_get(struct artifacts *artifacts, const struct digest *digest,
                             struct artifact *ret, struct err *err);
/* All of a kind, by digest, then by subject. each() returns 0 to go on, else the walk ends with
 * that value. */
MUST_CHECK int artifacts_list(struct artifacts *artifacts, enum artifact_kind kind,
                              int (*each)(void *arg, const struct artifact *artifact,
                                          struct err *err),
                              void *arg, struct err *err);

#endif
