/* SPDX-License-Identifier: Apache-2.0 */
/* lazy.h – what a Prepare with a target label asks for: read the labels, find the index, fetch the
 * ztoc, open the layer, mount it; and the way back. Implements the table that snapshot/ asks for.
 *
 * A layer that was mounted before a restart is mounted again from disk, without network and without
 * credentials. One that could not be (its ztoc was lost) is tried again, with the network, whenever
 * it is asked for.
 *
 * Whole images are downloaded and unpacked by local/ too, if options.whole says so. When that fails
 * for one of an image's layers, containerd gets it and all above, at once: it fetches them anyway
 * then.
 *
 * A layer of an indexed image that cannot be mounted (it has no ztoc, or a bad one, or would change
 * the look of directories of the layers below) is downloaded and unpacked by local/: containerd
 * must not fetch a single layer of such an image, see there. */
#ifndef LAZY_LAZY_H
#define LAZY_LAZY_H

#include "base/attr.h"
#include "base/err.h"
#include "discover/discover.h"
#include "fs/fs.h"
#include "layer/layer.h"
#include "local/local.h"
#include "metrics/metrics.h"
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
    struct layer *(*layer)(const struct fs_mount *mount); /* borrowed */
    const char *(*backend)(const struct fs_mount *mount); /* a constant */
};

/* When layers are not mounted but the whole image is downloaded and unpacked by local/. */
enum lazy_whole {
    LAZY_WHOLE_NEVER,
    LAZY_WHOLE_WITHOUT_INDEX, /* images that have none */
    LAZY_WHOLE_ALWAYS,        /* no index is looked for */
};

struct lazy_options {
    struct store *store;
    struct registry *registry;
    const struct registry_keychain *keychain; /* NULL: anonymous */
    struct discover *discover;
    struct layer_set *layers;
    struct local *local; /* NULL: layers that cannot be mounted are left to containerd */
    enum lazy_whole whole;
    bool keep_whole; /* the layers of such images are kept by local's keeper */
    struct fs *fs;
    const struct lazy_fs *fs_ops; /* NULL: fs/ */
    int64_t mount_timeout_ms;     /* a Prepare gives up mounting after this;
                                 0: 30000 */
    uint64_t
        min_layer_bytes;     /* a layer that the client says is smaller is not mounted; 0: any is */
    bool disable_background; /* nothing is fetched ahead, not even what was recorded */
    /* So long after the first read of a container that starts it is recorded what is read, for the
     * image's next cold start. 0: nothing is, and nothing that was recorded is used. */
    int64_t record_ms;
    /* What an index says that is fetched first: of images that have no record here. */
    bool use_prefetch_artifacts;
    struct metrics *metrics; /* NULL: nothing is counted */
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

/* ---- how it is ------------------------------------------------------------------------------- */

enum lazy_layer_state {
    LAZY_LAYER_MOUNTED,
    LAZY_LAYER_COMPLETE,    /* mounted, and every byte is on the disk */
    LAZY_LAYER_NOT_MOUNTED, /* last_error says why; tried again when it is asked for */
    LAZY_LAYER_UNPACKED,    /* not a mount but files */
};
/* Strings are never NULL, and owned. */
struct lazy_layer {
    uint64_t id; /* of the snapshot */
    char *dir;   /* where it is, or should be, mounted; "" for an unpacked one */
    char *image; /* reference, as the client wrote it; "": its row does not say */
    char *namespace_;
    char *index; /* digest of the index in use; "": not known */
    bool has_digests;
    struct digest manifest, layer;
    enum lazy_layer_state state;
    const char *backend;    /* a constant: how it is mounted; "local": unpacked; "": not at all */
    uint64_t size_bytes;    /* compressed; 0: not known */
    uint64_t present_bytes; /* of those */
    enum layer_check check; /* of a mounted one */
    struct err last_error;  /* code 0: none */
    int64_t last_error_ms;  /* when, on clock_wall_ms(); 0: not known */
};
struct lazy_layers {
    struct lazy_layer *items;
    size_t count;
};
void lazy_layer_fini(struct lazy_layer *layer);
DEFINE_SCOPED_VALUE(lazy_layer, struct lazy_layer, lazy_layer_fini)
void lazy_layers_fini(struct lazy_layers *layers);
DEFINE_SCOPED_VALUE(lazy_layers, struct lazy_layers, lazy_layers_fini)
/* Every layer that is, or should be, mounted. In memory: a thousand take a millisecond or two, and
 * a Prepare waits for a part of that at most. */
MUST_CHECK int lazy_list(struct lazy *lazy, struct lazy_layers *ret, struct err *err);
/* An unpacked layer's, from its row. */
MUST_CHECK int lazy_layer_of_row(const struct snapdb_row *row, struct lazy_layer *ret,
                                 struct err *err);

enum lazy_event_kind {
    LAZY_EVENT_DEFERRED, /* left to containerd */
    LAZY_EVENT_UNPACKED, /* not mounted but unpacked: this layer, or the whole image */
    LAZY_EVENT_FAILED,   /* a layer that should be mounted is not */
    LAZY_EVENT_REFUSED,  /* a mounted layer is not what its image says; it will not be mounted again
                          */
};
struct lazy_event {
    enum lazy_event_kind kind;
    int64_t time_ms; /* of the last one, on clock_wall_ms() */
    uint64_t count;  /* how often the same was said of the same image */
    char image[320]; /* reference; "": the client did not say. Cut if longer */
    char layer[80];  /* digest of the last one; "": not known */
    char text[ERR_TEXT_BYTES];
};
enum { LAZY_EVENTS_MAX = 64 };
/* The last reasons, newest first; the caller frees. */
MUST_CHECK int lazy_get_events(struct lazy *lazy, struct lazy_event **ret, size_t *ret_count,
                               struct err *err);

#endif
