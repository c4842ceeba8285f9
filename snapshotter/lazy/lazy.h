/* SPDX-License-Identifier: Apache-2.0 */
/* lazy.h – what a Prepare with a target label asks for: read the labels, find the index, fetch the ztoc, open the
 * layer, mount it; and the way back. Implements the table that snapshot/ asks for. */
#ifndef LAZY_LAZY_H
#define LAZY_LAZY_H

#include "base/err.h"
#include "discover/discover.h"
#include "fs/fs.h"
#include "layer/layer.h"
#include "registry/registry.h"
#include "snapshot/snapshot.h"

struct lazy_options {
    struct store *store;
    struct registry *registry;
    const struct registry_keychain *keychain;
    struct discover *discover;
    struct layer_set *layers;
    struct fs *fs;
    int64_t mount_timeout_ms; /* a Prepare gives up after this and leaves the layer to containerd; 0: 30000 */
    bool disable_background;
};
struct lazy;
MUST_CHECK int lazy_new(const struct lazy_options *options, struct lazy **ret, struct err *err);
/* Unmounts nothing: mounts outlive the process unless `unmount`. */
void lazy_free(struct lazy *lazy, bool unmount);
struct snapshot_lazy lazy_ops(struct lazy *lazy);

#endif
