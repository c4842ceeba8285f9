/* SPDX-License-Identifier: Apache-2.0 */
/* internal.h – what the files of snapshot/ share.
 *
 * Locks, in this order: `collecting`, the database's transaction, `lock`. The lazy half is called
 * with none of them held but `collecting`. */
#ifndef SNAPSHOT_INTERNAL_H
#define SNAPSHOT_INTERNAL_H

#include "base/bytes.h"
#include "base/cleanup.h"
#include "snapshot/snapshot.h"

#include <pthread.h>
#include <sys/types.h>

struct claim;

struct snapshotter {
    struct snapdb *db;         /* fixed at creation */
    char *dir;                 /* fixed at creation: …/snapshotter/snapshots */
    struct snapshot_lazy lazy; /* fixed at creation */
    bool userxattr; /* fixed at creation: overlayfs must keep its marks in user.* attributes */
    int can_bind;   /* atomic: mapping_ability, see mapped.c */

    pthread_mutex_t lock;
    pthread_cond_t settled; /* a claim was released */
    struct claim *claims;   /* lock */
    pthread_cond_t wake;    /* `doomed` or `stopping` changed */
    struct buf doomed;      /* lock; uint64_t ids of removed snapshots, to be collected */
    bool stopping;          /* lock */

    pthread_mutex_t collecting; /* one remover of directories at a time */
    pthread_t collector;        /* fixed at creation */
    bool collector_runs;        /* fixed at creation */
};

/* What the disk says becomes ours: its -ENOENT is not containerd's NotFound. */
int snapshot_disk_error(int code);

/* ---- collect.c ------------------------------------------------------------------------------- */

/* Unmount and delete every directory that no row names. */
MUST_CHECK int snapshot_cleanup_dirs(struct snapshotter *s, struct err *err);

/* ---- labels.c -------------------------------------------------------------------------------- */

bool snapshot_is_remote(const struct snapdb_row *row);
/* Add the labels of a request: empty values are never stored, and nobody makes a row remote but us.
 */
MUST_CHECK int snapshot_labels_add(struct text_map *to, const struct text_map *given,
                                   struct err *err);
/* containerd's Update. */
MUST_CHECK int snapshot_labels_update(struct snapdb_row *row, const struct text_map *given,
                                      const struct text_list *paths, struct err *err);

/* ---- dirs.c ---------------------------------------------------------------------------------- */

char *snapshot_dir(const struct snapshotter *s, uint64_t id); /* new string; NULL: out of memory */
char *snapshot_fs_dir(const struct snapshotter *s, uint64_t id);
/* Make the directories of snapshot `id`, under another name first. fs gets this owner. */
struct snapshot_owner {
    uid_t uid;
    gid_t gid;
};
MUST_CHECK int snapshot_dirs_make(const struct snapshotter *s, uint64_t id, enum snapdb_kind kind,
                                  struct snapshot_owner owner, struct err *err);
/* fs empty again, with the owner and mode that it has. */
MUST_CHECK int snapshot_fs_empty(const struct snapshotter *s, uint64_t id, struct err *err);
/* Again, where some may be there already: after a crash. */
MUST_CHECK int snapshot_dirs_restore(const struct snapshotter *s, uint64_t id,
                                     enum snapdb_kind kind, struct err *err);

/* ---- chain.c: a snapshot's ancestors, nearest first ------------------------------------------ */

struct chain_link {
    uint64_t id;
    bool remote;
};
struct chain {
    struct chain_link *links;
    size_t count;
    bool is_mapped; /* the snapshot sees each by a directory of its own, see mapped.c */
};
#define CHAIN_EMPTY                                                                                \
    {                                                                                              \
        .links = NULL, .count = 0, .is_mapped = false                                              \
    }
void chain_fini(struct chain *chain);
DEFINE_SCOPED_VALUE(chain, struct chain, chain_fini)
/* `parent` "": empty. -ENOENT: no such parent, -EINVAL: it is not committed. */
MUST_CHECK int chain_load(const struct snapshotter *s, const char *parent, struct chain *ret,
                          struct err *err);
/* -EAGAIN: a lazily mounted ancestor cannot serve. */
MUST_CHECK int chain_check(const struct snapshotter *s, const struct chain *chain, struct err *err);
/* A container's snapshot over it is asked for. */
void chain_use(const struct snapshotter *s, const struct chain *chain);

/* ---- mounts.c -------------------------------------------------------------------------------- */

MUST_CHECK int snapshot_mounts_make(const struct snapshotter *s, uint64_t id, enum snapdb_kind kind,
                                    const struct chain *chain, struct snapshot_mounts *ret,
                                    struct err *err);

/* ---- rebase.c ---------------------------------------------------------------------------------
 */

/* Will Commit put what is prepared on nothing on a parent, as far as the labels say? */
bool snapshot_is_rebased(const char *parent, const struct text_map *labels);
/* The bind of such a snapshot becomes an overlay on nothing. On failure *mounts is to be freed. */
MUST_CHECK int snapshot_mounts_rebase(const struct snapshotter *s, struct snapshot_mounts *mounts,
                                      struct err *err);

/* ---- mapped.c: snapshots of id-mapped containers -----------------------------------------------
 */

/* The user namespace that the labels of a snapshot name: 1, *ret is the caller's; 0: none; -EINVAL:
 * they make no sense. */
MUST_CHECK int mapped_read_labels(const struct text_map *labels, struct idmaps *ret,
                                  struct err *err);
/* Whether the snapshot needs directories of its own: sets chain->is_mapped. */
void mapped_decide(const struct snapshotter *s, const struct idmaps *ids, struct chain *chain);
/* Both of a snapshot that is there, and what is below it. 1; 0: its labels name no user namespace;
 * errors of mapped_read_labels() and chain_load(). */
MUST_CHECK int mapped_find(const struct snapshotter *s, const struct snapdb_row *row,
                           struct idmaps *ret_ids, struct chain *ret_chain, struct err *err);
char *mapped_dir(const struct snapshotter *s, uint64_t parent, uint64_t id); /* as snapshot_dir() */
/* Have each ancestor's files at <parent>_<id>/fs. Those that are there stay. On failure some may
 * be. The snapshot is claimed by the caller. */
MUST_CHECK int mapped_make(struct snapshotter *s, uint64_t id, const struct chain *chain,
                           const struct idmaps *ids, struct err *err);
/* The same, claimed here, and when nobody removed the snapshot before. */
MUST_CHECK int mapped_ensure(struct snapshotter *s, const struct snapdb_row *row,
                             const struct chain *chain, const struct idmaps *ids,
                             const struct snapshot_cancel *cancel, struct err *err);
/* Is `name` an entry <parent>_<id> of snapshots/? */
bool mapped_parse_name(const char *name, uint64_t *ret_parent, uint64_t *ret_id);
/* One of them, by its path. */
MUST_CHECK int mapped_remove(struct snapshotter *s, const char *dir, struct err *err);
/* What copies of an active snapshot's ancestors use. */
MUST_CHECK int mapped_du(const struct snapshotter *s, uint64_t id, const struct chain *chain,
                         uint64_t *bytes, uint64_t *inodes, struct err *err);

/* ---- userns.c ---------------------------------------------------------------------------------
 */

MUST_CHECK int userns_open(const struct idmaps *ids, int *ret_fd, struct err *err);
/* Mount the directory `from` at `to` as well, with owners as the namespace makes them. */
MUST_CHECK int userns_bind(const char *from, const char *to, int userns_fd, struct err *err);
/* Can the kernel do that for directories in `dir`, and overlayfs take it? By trying. */
bool userns_can_bind(const char *dir);

/* ---- copy.c -----------------------------------------------------------------------------------
 */

/* Copy the directory `name` in `from` into the one `to`, with all that is said of its files but
 * with owners as `ids` make them, and have it on disk. On failure a part may be there. */
MUST_CHECK int copy_mapped(const char *from, const char *to, const char *name,
                           const struct idmaps *ids, struct err *err);

/* ---- create.c -------------------------------------------------------------------------------- */

/* An active snapshot or a view, with its directories. */
MUST_CHECK int snapshot_create(struct snapshotter *s,
                               const struct snapshot_prepare_request *request,
                               enum snapdb_kind kind, struct snapshot_mounts *ret, uint64_t *ret_id,
                               struct err *err);

/* ---- claims.c: Prepares that are mounting a layer now ---------------------------------------- */

struct claim {
    const char *target, *parent; /* fixed; the request's. Target "": the snapshot of key `parent` */
    uint64_t id;                 /* lock; 0 until the active snapshot is there */
    bool unpacking;              /* lock; it may take as long as a download takes */
    struct claim *next;          /* lock */
};
/* Wait until nobody else mounts the same target on the same parent, then it is the caller's.
 * -ETIMEDOUT: it takes too long. -ECANCELED: the caller has gone. */
MUST_CHECK int claim_take(struct snapshotter *s, struct claim *claim,
                          const struct snapshot_cancel *cancel);
void claim_set_unpacking(struct snapshotter *s, struct claim *claim);
void claim_set_id(struct snapshotter *s, struct claim *claim, uint64_t id);
void claim_release(struct snapshotter *s, struct claim *claim);
bool claim_has_id(struct snapshotter *s, uint64_t id);

/* ---- supply.c: the layer of an active snapshot comes from us --------------------------------- */

/* 0: it is mounted, SNAPSHOT_UNPACK: its files are there; either way it is committed. Else the
 * snapshot is active and empty as before. */
MUST_CHECK int snapshot_supply(struct snapshotter *s, struct claim *claim,
                               const struct snapshot_prepare_request *request, struct err *err);

/* ---- usage.c --------------------------------------------------------------------------------- */

/* Allocated bytes and inodes of a tree, hard links once, other mounts not at all. */
MUST_CHECK int snapshot_du(const char *dir, uint64_t *ret_bytes, uint64_t *ret_inodes,
                           struct err *err);

/* ---- collect.c ------------------------------------------------------------------------------- */

/* Snapshot `id` has no row any more: its mounts and files go soon, on the collector's thread. Of
 * one that was committed: only what mapped.c made for it. */
void snapshot_doom(struct snapshotter *s, uint64_t id);
/* The same where it may have been removed while it was claimed. */
void snapshot_doom_if_removed(struct snapshotter *s, uint64_t id);
MUST_CHECK int collector_start(struct snapshotter *s, struct err *err);
void collector_stop(struct snapshotter *s);

/* ---- stale.c --------------------------------------------------------------------------------- */

/* Detach everything that is mounted below `dir`, by whomever. */
MUST_CHECK int stale_mounts_detach(const char *dir, struct err *err);

/* ---- userxattr.c ----------------------------------------------------------------------------- */

/* In a user namespace, and overlayfs there takes `userxattr`. `dir` is for the trial. */
bool userxattr_is_needed(const char *dir);

/* ---- reconcile.c ----------------------------------------------------------------------------- */

MUST_CHECK int snapshot_reconcile(struct snapshotter *s, struct err *err);

#endif
