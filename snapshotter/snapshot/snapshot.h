/* SPDX-License-Identifier: Apache-2.0 */
/* snapshot.h – containerd's snapshot model (prepare, view, commit, mounts, remove …) without its
 * wire format.
 *
 * Rows live in store/'s database, directories under <root>/snapshotter/snapshots/<id>/{fs,work}.
 * The order of the work is such that a crash leaves directories that no row names, which cleanup
 * collects, and never a row without its directories.
 *
 * Errors: -ENOENT, -EEXIST, -EINVAL, -EBUSY (FailedPrecondition), -EAGAIN (Unavailable), with
 * containerd's meaning. Any thread. Commit, update, list, stat and remove never wait for the
 * network. */
#ifndef SNAPSHOT_SNAPSHOT_H
#define SNAPSHOT_SNAPSHOT_H

#include "base/err.h"
#include "base/idmap.h"
#include "base/text.h"
#include "store/store.h"

#include <stdbool.h>
#include <stdint.h>

/* Set by containerd or its client (containerd's pkg/snapshotters, nerdctl). */
#define SNAPSHOT_LABEL_TARGET "containerd.io/snapshot.ref"
#define SNAPSHOT_LABEL_IMAGE "containerd.io/snapshot/cri.image-ref"
#define SNAPSHOT_LABEL_LAYER "containerd.io/snapshot/cri.layer-digest"
/* From containerd 2.3 on: the digest of the layer's tar, and the chain ID below the layer, whatever
 * it is prepared on. */
#define SNAPSHOT_LABEL_DIFF_ID "containerd.io/snapshot/diff-id"
#define SNAPSHOT_LABEL_PARENT_CHAIN "containerd.io/snapshot/parent-chain-id"
#define SNAPSHOT_LABEL_REMOTE "containerd.io/snapshot/remote"
/* For whom a layer that came from us was made first. */
#define SNAPSHOT_LABEL_NAMESPACE "containerd.io/snapshot/remote/namespace"
/* "true" on the rows of layers that came from us, mounted or unpacked. */
#define SNAPSHOT_LABEL_OURS "containerd.io/snapshot/remote/has.soci.index.digest"
/* The user namespace of a container, on its snapshot: lists of container:host:length. */
#define SNAPSHOT_LABEL_UIDS "containerd.io/snapshot/uidmapping"
#define SNAPSHOT_LABEL_GIDS "containerd.io/snapshot/gidmapping"

/* Whether whoever asked has gone; asked a few times a second. */
struct snapshot_cancel {
    bool (*is_cancelled)(void *self); /* NULL: never */
    void *self;
};

/* A layer that containerd asks for. */
struct snapshot_layer {
    const char *dir;                /* empty; its owner and mode are to stay */
    const char *parent;             /* name of the snapshot below; "": none */
    const struct text_list *lowers; /* directories of the layers below, nearest first */
    const char *namespace_;         /* "": not said */
    const char *lease;              /* under which the image is pulled; NULL: not said */
    const struct text_map *labels;  /* those of Prepare */
    struct snapshot_cancel cancel;
};

/* What is asked of the lazy half; the daemon plugs it in, a test plugs in an array. Called from any
 * thread, with no transaction open; never twice at once for one id, but check() may run beside the
 * others. All NULL: nothing is ever mounted lazily. */
struct snapshot_lazy {
    /* Mount the layer that its labels describe in its directory. 0: mounted, and ret_labels holds
     * what remount() will need. SNAPSHOT_UNPACK: this layer cannot be mounted, but
     * its image has an index and others of it may, so unpack() it; ret_labels holds what the row
     * of the unpacked one should have. A negative errno: leave it to containerd (-ENOENT: the image
     * has no index). In both cases err says why in one line for the log, and nothing is left
     * behind. May take long. */
    int (*mount)(void *self, uint64_t id, const struct snapshot_layer *layer,
                 struct text_map *ret_labels, struct err *err);
    /* Download and unpack the layer into `dir`, and add to ret_labels what the row should have. It
     * survives power loss, now or, where the whole image is unpacked, soon. A negative errno: not
     * done, err says why, `dir` is as before. May take as long as a download takes. NULL: never. */
    int (*unpack)(void *self, const struct snapshot_layer *layer, struct text_map *ret_labels,
                  struct err *err);
    /* Whoever asked for the layer of `labels` went away while it was mounted, or, `for_good`, its
     * snapshot was removed: what was begun ahead for others of its image is not wanted any more.
     * `labels` are those of Prepare or of the row; in memory. NULL: nothing ever is. */
    void (*abandon)(void *self, const char *namespace_, const struct text_map *labels,
                    bool for_good);
    /* After a restart, from disk alone, with what mount() left in the row's labels. */
    int (*remount)(void *self, uint64_t id, const char *dir, const struct text_map *labels,
                   struct err *err);
    /* The snapshot goes away. Never fails; what cannot be unmounted now is detached. Also asked of
     * snapshots that were never mounted lazily: nothing to do then. */
    void (*unmount)(void *self, uint64_t id, const char *dir);
    /* Mount the layer that is mounted for snapshot `id` once more, at `dir`, with its owners as
     * `ids` make them. There already: 0. A negative errno: not mounted there; -EAGAIN: the layer
     * itself is not. NULL: cannot. */
    int (*mount_mapped)(void *self, uint64_t id, const char *dir, const struct idmaps *ids,
                        struct err *err);
    /* Never fails; also asked of what was never mounted. */
    void (*unmount_mapped)(void *self, const char *dir);
    /* Is a mounted layer able to serve? 0, or -EAGAIN with the reason. In memory; where a remount
     * failed it may try again first and take longer. */
    int (*check)(void *self, uint64_t id, struct err *err);
    /* A container's snapshot over these is asked for, nearest first: they are about to be read. On
     * the disk and in memory. Of snapshots that were never mounted lazily too. NULL: nobody wants
     * to know. */
    void (*use)(void *self, const uint64_t *ids, size_t count);
    /* A layer is left to containerd for a reason that mount() and unpack() have not seen. `labels`
     * are those of Prepare. In memory. NULL: nobody wants to know. */
    void (*note)(void *self, const struct text_map *labels, const struct err *why);
    /* The process ends: unmount the layer, and keep what was fetched of it for the next remount().
     * NULL: mounts are left. */
    void (*release)(void *self, uint64_t id);
    /* containerd collects its garbage, and every directory that no row names is gone: what was kept
     * of layers that nobody needs may go too. NULL: nothing to do. */
    void (*collect)(void *self);
    void *self;
};

enum { SNAPSHOT_UNPACK = 1 };

struct snapshotter;
struct snapshotter_options {
    struct store *store;
    struct snapshot_lazy lazy;
};
/* Whether overlayfs can be told of directories in `root`, which need not exist: -EINVAL when ':',
 * ',' or a backslash is in its path, for that has a meaning in mount options. Whoever mounts what
 * we answer writes none of them in another way. */
MUST_CHECK int snapshot_check_root(const char *root, struct err *err);
/* Whether snapshots can be kept in `root`, which exists: types of files are told, and overlayfs can
 * be mounted with several lower directories. Tries it in <root>/check. -EOPNOTSUPP, or what the
 * trial failed with; one line that says what is the matter. */
MUST_CHECK int snapshot_check_supported(const char *root, struct err *err);

/* Reconciles database, directories and mounts first: stale mounts under snapshots/ are detached,
 * rows whose layer was remote are mounted again from disk (a failure is logged, and check() refuses
 * that snapshot until it heals). */
MUST_CHECK int snapshotter_new(const struct snapshotter_options *options, struct snapshotter **ret,
                               struct err *err);
void snapshotter_free(struct snapshotter *s); /* leaves mounts as they are */
DEFINE_SCOPED_PTR(snapshotter, struct snapshotter, snapshotter_free)

struct snapshot_mount {
    char *type;
    char *source;
    struct text_list options;
};
struct snapshot_mounts {
    struct snapshot_mount *items;
    size_t count;
};
void snapshot_mounts_fini(struct snapshot_mounts *mounts);
DEFINE_SCOPED_VALUE(snapshot_mounts, struct snapshot_mounts, snapshot_mounts_fini)

struct snapshot_prepare_request {
    const char *key;
    const char *parent;     /* "": none */
    const char *namespace_; /* "": not said */
    const char *lease;      /* the client's; NULL: none */
    const struct text_map *labels;
    struct snapshot_cancel cancel;
};
/* Mounts. With labels that name a user namespace (SNAPSHOT_LABEL_UIDS, _GIDS) and no target, the
 * directories below are `<parent's id>_<id>/fs`, one for each ancestor, and show its files with the
 * owners that the namespace makes of them; the owner's of the root is then that of the container's
 * root. -EINVAL: the labels make no sense. Where containerd's client has changed the owners by
 * itself (it does when the plugin has no capability `remap-ids`) nothing is done to them again.
 *
 * The mounts of an active snapshot never are read-only, in particular none has the option `ro`:
 * newer containerds take that for a layer that needs neither fetching nor unpacking, and commit it
 * at once. It is of no use to us: a layer that is here is answered by -EEXIST, which older ones
 * understand too, and after which they do not even begin to fetch what is above it.
 *
 * With a target label: waits for a Prepare of the same layer that is under way. -EEXIST when the
 * layer was mounted lazily or unpacked by us, now or earlier, and is committed under the target's
 * name, or under that and
 * "@<id>" where the same layer is there on another parent (text: target snapshot "…": already
 * exists); else the mounts, and one log line that says why. */
MUST_CHECK int snapshot_prepare(struct snapshotter *s,
                                const struct snapshot_prepare_request *request,
                                struct snapshot_mounts *ret, struct err *err);
MUST_CHECK int snapshot_view(struct snapshotter *s, const struct snapshot_prepare_request *request,
                             struct snapshot_mounts *ret, struct err *err);
MUST_CHECK int snapshot_mounts(struct snapshotter *s, const char *key, struct snapshot_mounts *ret,
                               struct err *err);
/* `parent` "": keep. */
MUST_CHECK int snapshot_commit(struct snapshotter *s, const char *name, const char *key,
                               const char *parent, const struct text_map *labels, struct err *err);
MUST_CHECK int snapshot_remove(struct snapshotter *s, const char *key, struct err *err);
MUST_CHECK int snapshot_stat(struct snapshotter *s, const char *key, struct snapdb_row *ret,
                             struct err *err);
/* `paths` empty: replace all labels; else labels or labels.<key>. */
MUST_CHECK int snapshot_update(struct snapshotter *s, const char *key,
                               const struct text_map *labels, const struct text_list *paths,
                               struct snapdb_row *ret, struct err *err);
/* Filters in containerd's grammar, OR-ed; none: all. */
MUST_CHECK int snapshot_list(struct snapshotter *s, const struct text_list *filters,
                             int (*each)(void *arg, const struct snapdb_row *row), void *arg,
                             struct err *err);
MUST_CHECK int snapshot_usage(struct snapshotter *s, const char *key, uint64_t *ret_bytes,
                              uint64_t *ret_inodes, struct err *err);
/* At the end, when no call is running or follows: release lazily mounted layers below which there
 * is no active snapshot and no view. */
MUST_CHECK int snapshot_release_unused(struct snapshotter *s, struct err *err);
/* Unmount and delete what no row names. */
MUST_CHECK int snapshot_cleanup(struct snapshotter *s, struct err *err);

#endif
