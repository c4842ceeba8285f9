/* SPDX-License-Identifier: Apache-2.0 */
/* fuse.h – what is served over FUSE: one libfuse session per mount. The backend `fuse` shows the
 * whole tree over it, the backend `erofs` the layer's tar as one file. */
#ifndef FS_FUSE_H
#define FS_FUSE_H

#define FUSE_USE_VERSION 35
#include <fuse_lowlevel.h>

#include "fs/internal.h"

struct fuse_wait;

/* Counted: by the mount, and by every read that waits. */
struct fuse_mount {
    size_t refs;                        /* atomic */
    struct fs_mount *mount;             /* until it was stopped */
    const struct tree *tree;            /* the same; NULL: the kernel has it */
    char layer_name[DIGEST_TEXT_BYTES]; /* for log lines */
    struct log_limit read_log;
    struct fuse_session *session;
    struct fs_channel channel;
    /* Fixed when the kernel said hello. */
    bool is_ready, has_no_open, has_no_opendir;
    bool has_acls, has_labels; /* of the backend `fuse`: some node has */
    bool is_tar;               /* of the backend `erofs`: what is read are blocks of the tar */

    pthread_mutex_t lock;       /* taken alone, and inside libfuse's own of a request */
    pthread_cond_t answered;    /* answering became 0 */
    struct fuse_wait *waits;    /* lock: reads that wait and have no answer yet */
    unsigned answering;         /* lock: answers under way from other threads than the loop's */
    struct buf state_text;      /* lock: what the state file held when last asked for its size */
    struct timespec state_time; /* lock: when it changed */
};

#define XATTR_LABEL "security.selinux"
#define XATTR_ACL_ACCESS "system.posix_acl_access"
#define XATTR_ACL_DEFAULT "system.posix_acl_default"

static inline struct fuse_mount *fuse_mount_of(fuse_req_t req)
{
    return fuse_req_userdata(req);
}

void fuse_mount_unref(struct fuse_mount *f);

/* ---- session.c ------------------------------------------------------------------------------- */

/* Mount at mount->dir and answer with `ops`; their userdata is the struct fuse_mount. Then
 * mount->backend_data is the session's. */
MUST_CHECK int session_start(struct fs_mount *mount, const struct fuse_lowlevel_ops *ops,
                             struct err *err);
/* As struct fs_backend has them. */
void session_stop(struct fs_mount *mount);
void session_free(struct fs_mount *mount);
void session_sweep(struct fs_mount *mount, int64_t now_ms);
/* For op_init(): what every session agrees on, and what else is `wanted` of FUSE_CAP_*. */
void session_agree(struct fuse_mount *f, struct fuse_conn_info *conn, unsigned wanted);

/* ---- the backend `fuse` ---------------------------------------------------------------------- */

/* fuse_dir.c */
void fuse_op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name);
void fuse_op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void fuse_op_readlink(fuse_req_t req, fuse_ino_t ino);
void fuse_op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void fuse_op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
                     struct fuse_file_info *fi);
void fuse_op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
                         struct fuse_file_info *fi);
void fuse_op_statfs(fuse_req_t req, fuse_ino_t ino);
/* The attributes of any valid node; *ret_timeout is how long they hold. 0 or -ENOMEM. */
MUST_CHECK int fuse_stat(struct fuse_mount *f, fuse_ino_t ino, struct stat *ret,
                         double *ret_timeout);

/* fuse_xattr.c */
void fuse_op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size);
void fuse_op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size);

/* fuse_read.c */
void fuse_op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void fuse_op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
                  struct fuse_file_info *fi);

/* fuse_wait.c: reads whose bytes are not here yet */

/* `len` bytes of the tar at uncomp_off (0: none), then so many zeros: answered now or when they are
 * here. At most READ_BUFFER_BYTES together. */
void fuse_answer_bytes(fuse_req_t req, uint64_t uncomp_off, size_t len, size_t zeros);

/* fuse_sweep.c: those that end without */

/* Answer those whose reader was killed or whose deadline passed. */
void fuse_sweep_waits(struct fuse_mount *f, int64_t now_ms);
/* Answer all with EIO, and wait for answers under way. */
void fuse_end_waits(struct fuse_mount *f);

#endif
