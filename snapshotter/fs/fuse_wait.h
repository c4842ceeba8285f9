/* SPDX-License-Identifier: Apache-2.0 */
/* fuse_wait.h – a read that was put aside: who may answer it, and what that one has to do. */
#ifndef FS_FUSE_WAIT_H
#define FS_FUSE_WAIT_H

#include "fs/fuse.h"

enum wait_state {
    WAIT_SETTING_UP, /* the thread that took the request is still in it */
    WAIT_OUTCOME,    /* the same, and done() was called meanwhile */
    WAIT_LISTED,     /* in f->waits */
    WAIT_ANSWERED,   /* someone claimed it */
};

struct fuse_wait {
    struct span_want want; /* first: done() gets its address */
    struct fuse_mount *f;
    fuse_req_t req;
    size_t zeros;        /* after the bytes */
    pid_t pid;           /* the reading thread, 0: not visible from here */
    int64_t deadline_ms; /* 0: none */
    int64_t came_ns;     /* on clock_mono_ns() */
    /* f->lock: */
    enum wait_state state;
    bool is_interrupted;
    int64_t checked_ms; /* when a sweep last looked whether the reader was killed */
    int rc;             /* outcome, when state is WAIT_OUTCOME */
    struct fuse_wait *next, **link;
};

/* Take a listed wait out of the list. From here on the caller alone answers the request, having
 * called fuse_wait_detach() first and fuse_wait_answered() afterwards. The wait itself goes when
 * its done() comes, which may be at once. */
void fuse_wait_claim_locked(struct fuse_wait *wait);
/* No on_interrupt() runs for the request, or will. Not with f->lock held. */
void fuse_wait_detach(fuse_req_t req);
void fuse_wait_answered(struct fuse_mount *f);

/* Rate limited. */
void fuse_wait_log_failure(struct fuse_mount *f, int rc, const struct err *err);

#endif
