/* SPDX-License-Identifier: Apache-2.0 */
/* lazy.h – what a Prepare with a target label asks for: read the labels, find the index, fetch the
 * ztoc, open the layer, mount it; and the way back. Implements the table that snapshot/ asks for.
 *
 * A layer that was mounted before a restart is mounted again from disk, without network and without
 * credentials. One that could not be (its ztoc was lost) is tried again, with the network, whenever
 * it is asked for.
 *
 * A layer of an indexed image that cannot be mounted (it has no ztoc, or a bad one) is downloaded
 * and unpacked by local/: containerd must not fetch a single layer of such an image, see there. */
#ifndef LAZY_LAZY_H
#define LAZY_LAZY_H

#include "base/attr.h"
#include "base/err.h"
#include "discover/discover.h"
#include "fs/fs.h"
#include "layer/layer.h"
#include "local/local.h"
#include "registry/registry.h"
#include "snapshot/snapshot.h"

#include <stdbool.h>
#include <stdint.h>

/* What is asked of mounts, as functions: fs/'s own in the daemon, an array in a test. */
struct lazy_fs {
    int (*mount)(struct fs *fs, struct layer *layer, const struct fs_mount_options *options,
                 struct fs_mount **ret, struct err *err);
    int (*unmount)(struct fs *fs, struct fs_mount **mount, bool force, struct err *err);
    void (*abandon)(struct fs *fs, struct fs_mount **mount);
    int (*clear)(const char *dir, struct err *err);
};

struct lazy_options {
    struct store *store;
    struct registry *registry;
    const struct registry_keychain *keychain; /* NULL: anonymous */
    struct discover *discover;
    struct layer_set *layers;
    struct local *local; /* NULL: layers that cannot be mounted are left to containerd */
    struct fs *fs;
    const struct lazy_fs *fs_ops; /* NULL: fs/ */
    int64_t mount_timeout_ms;     /* a Prepare gives up mounting after this;
                                 0: 30000 */
    uint64_t
        min_layer_bytes; /* a layer that the client says is smaller is not mounted; 0: any is */
    bool disable_background;
};
struct lazy;
MUST_CHECK int lazy_new(const struct lazy_options *options, struct lazy **ret, struct err *err);
/* Stops serving. Mounts that were not released outlive the process. No call of the table runs or
 * follows. */
void lazy_free(struct lazy *lazy);
/* At start, when every layer of an earlier process was mounted again and no call is running yet:
 * remove what none of them needs. What is left behind while the daemon runs goes when a layer is
 * unmounted, or when containerd collects its garbage. Blocks on the disk. */
void lazy_collect(struct lazy *lazy);
struct snapshot_lazy lazy_ops(struct lazy *lazy);

#endif
