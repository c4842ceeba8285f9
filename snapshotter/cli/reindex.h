/* SPDX-License-Identifier: Apache-2.0 */
/* reindex.h – an image whose manifest names its SOCI index comes to name another one. */
#ifndef CLI_REINDEX_H
#define CLI_REINDEX_H

#include "cli/cli.h"

struct cli_reindex {
    struct containerd *containerd;
    struct index_content content; /* of that containerd, under a lease */
    const char *image;            /* name of the record */
    struct digest manifest;       /* of one platform, as it is now */
    struct digest old_index, new_index;
    uint64_t new_index_bytes;
};
/* The manifest with the new index's digest in its annotation, then, when the image is a list of
 * manifests, the list with that manifest and that index in the place of the old ones; both written
 * with the labels of what they stand for, and the record pointed there. Unknown members stay.
 * *ret: the new manifest's digest. -EBADMSG: the manifest does not name old_index, or the list not
 * the manifest. */
MUST_CHECK int cli_reindex(const struct cli_reindex *options, struct digest *ret, struct err *err);

/* The same for bytes alone. `to` is what takes the place of `from` wherever it is named. */
struct cli_reindex_change {
    struct digest from_manifest, to_manifest;
    struct digest from_index, to_index;
    uint64_t to_manifest_bytes, to_index_bytes;
};
MUST_CHECK int cli_reindex_manifest(struct bytes json, const struct cli_reindex_change *change,
                                    struct buf *ret, struct err *err);
MUST_CHECK int cli_reindex_list(struct bytes json, const struct cli_reindex_change *change,
                                struct buf *ret, struct err *err);

#endif
