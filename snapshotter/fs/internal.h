/* SPDX-License-Identifier: Apache-2.0 */
/* internal.h – what the files of fs/ share: a mount's life, the loop that serves it, its nodes.
 *
 * A mount is a backend's: backends are tables of functions, so that a second one needs no flag
 * anywhere.
 *
 * Locks: fs->lock, then mount->lock; the loop's own lock is taken with neither held. Nothing is
 * called outside the folder with one of them held. */
#ifndef FS_INTERNAL_H
#define FS_INTERNAL_H

#include "base/bytes.h"
#include "base/log.h"
#include "base/threads.h"
#include "fs/buffers.h"
#include "fs/fs.h"
#include "fs/loop.h"
#include "metrics/metrics.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

struct fs_backend {
    const char *name;
    unsigned kernel_mounts; /* how many lie on one another at mount->dir */
    bool keeps_tree;        /* the layer's tree is held until stop(), not only for start() */
    /* Put mount->layer at mount->dir and serve it: mount->backend_data is the backend's. */
    int (*start)(struct fs_mount *mount, struct err *err);
    /* Stop serving and let go of the kernel's end; what waits in it is told so. A sweep may still
     * come, so the memory stays for free(). */
    void (*stop)(struct fs_mount *mount);
    void (*free)(struct fs_mount *mount); /* after stop() and the last reference */
    /* Called about twice a second while fs->waiting is not 0, and soon after fs_sweep_soon(). */
    void (*sweep)(struct fs_mount *mount, int64_t now_ms);
};
extern const struct fs_backend fs_backend_fuse, fs_backend_erofs;

/* As long as the kernel keeps anything. */
#define FS_FOREVER_S 1e9

struct fs {
    struct fs_loop *loop;
    struct pool *reaper; /* one thread; stops mounts that the kernel let go of late */
    struct read_buffers buffers;
    const struct fs_backend *backend; /* fixed at creation: the one to try first, as the next */
    char *image_dir;                  /* NULL: no backend needs it */
    size_t images;                    /* atomic: how many had a name there */
    int64_t read_deadline_ms;         /* fixed at creation, as the next four */
    double attr_timeout_s, entry_timeout_s, negative_timeout_s;
    bool log_operations;
    int64_t next_sweep_ms; /* atomic */
    size_t waiting;        /* atomic: reads that wait, of all mounts */

    pthread_mutex_t lock;
    struct fs_mount *mounts; /* lock */
};

struct fs_mount {
    struct fs *fs;
    const struct fs_backend *backend;
    struct layer *layer; /* a reference, until the mount was stopped */
    char *dir;
    struct idmaps ids; /* fixed at creation, as is the next */
    bool has_ids;
    void *backend_data;
    struct pool_job stop_job; /* on fs->reaper */
    size_t refs;              /* atomic: the owner's, and a sweeper's */

    struct fs_mount *next, **link; /* fs->lock: in fs->mounts while it was started */

    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_gone;   /* lock: the kernel let go */
    bool is_orphan; /* lock: the owner left; whoever sees is_gone stops it */
};

/* ---- mount.c --------------------------------------------------------------------------------- */

void fs_mount_unref(struct fs_mount *mount);
DEFINE_SCOPED_PTR(fs_mount, struct fs_mount, fs_mount_unref)
/* The backend says that the kernel let go of the mount; from a thread of the loop's. */
void fs_mount_set_gone(struct fs_mount *mount);
/* Stop it if it is an orphan that someone still uses. The others are the reaper's, or have reads
 * that end now. */
void fs_mount_stop_orphan(struct fs_mount *mount);

/* ---- fs.c ------------------------------------------------------------------------------------ */

void fs_sweep_soon(struct fs *fs);

/* ---- kernel_mount.c: mount(2) and its kin ---------------------------------------------------- */

/* Open /dev/fuse and mount it at dir. The kernel's first request is then waiting in *ret_fd. */
MUST_CHECK int kernel_mount_fuse(const char *dir, int *ret_fd, struct err *err);
/* The image file, whose device is the file `device`, at dir. Paths have no comma. -ENOTBLK: the
 * image's file system is none that it can be mounted from, or the kernel cannot do it. */
MUST_CHECK int kernel_mount_erofs(const char *image, const char *device, const char *dir,
                                  struct err *err);
/* The same for a device that is on a disk. Where that can be, it is read past the page cache, so
 * that nothing is in memory twice; and a read there does not wait for a thread of the kernel's,
 * which on a busy machine takes a millisecond. */
MUST_CHECK int kernel_mount_erofs_on_disk(const char *image, const char *file, const char *dir,
                                          struct err *err);
/* 0 also when nothing was mounted there. */
MUST_CHECK int kernel_detach(const char *dir, struct err *err);

/* ---- probe.c: which backend ------------------------------------------------------------------ */

/* Can this system mount EROFS images that are written to fs->image_dir, with all that a layer
 * needs of them? 0, or why not. What an earlier process left there is removed. */
MUST_CHECK int probe_erofs(struct fs *fs, struct err *err);

/* ---- nodes.c: what stat(2) shows ------------------------------------------------------------- */

/* Numbers of nodes are those of the tree; the two of the state directory come after. */
uint64_t node_state_dir(const struct tree *tree);
uint64_t node_state_file(const struct tree *tree);
bool node_is_valid(const struct tree *tree, uint64_t ino); /* one of the tree or of the two */
/* Of a node of the tree. */
void node_stat(const struct tree *tree, tree_id id, struct stat *ret);

/* ---- state.c: the file that tells how far the layer was fetched ------------------------------ */

#define STATE_DIR_NAME ".soci-snapshotter"

void state_file_name(const struct layer *layer, char out[DIGEST_TEXT_BYTES + 5]);
/* What the file holds now: 0 or -ENOMEM. */
MUST_CHECK int state_render(struct layer *layer, struct buf *ret);

#endif
