/* SPDX-License-Identifier: Apache-2.0 */
/* fuse_sweep.c – reads that end without their bytes: the reader was killed, waited too long, or the
 * mount ends.
 *
 * About interrupts. The kernel sends FUSE_INTERRUPT when a signal of any kind reaches a process
 * that waits, once per read. Answering EINTR to all of them would fail reads of regular files that
 * have never failed before: a timer or a child's end during a page fault would be SIGBUS. So only a
 * reader that was killed is let go: it has SIGKILL pending, which /proc shows. A reader that had
 * another signal first is looked at again by each sweep, since there will be no second interrupt.
 */
#include "fs/fuse_wait.h"

#include "base/text.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

/* Does the thread have SIGKILL pending? The kernel marks every thread of a process that is to end
 * so. */
static bool is_killed(pid_t pid)
{
    unsigned long long pending = 0;
    char path[64], line[256];

    (void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    SCOPED(file) FILE *status = fopen(path, "re");
    if (status == NULL)
        return false;
    while (fgets(line, sizeof(line), status) != NULL)
        if (text_has_prefix(line, "SigPnd:"))
            pending = strtoull(line + strlen("SigPnd:"), NULL, 16);
    return (pending & (1ull << (SIGKILL - 1))) != 0;
}

/* Claim the first wait that has to end, by the test, and give its request: the wait itself is gone
 * as soon as its done() comes. NULL: none. */
static fuse_req_t claim_first(struct fuse_mount *f,
                              bool (*is_due)(const struct fuse_wait *, int64_t), int64_t arg)
{
    LOCKED(&f->lock);
    for (struct fuse_wait *w = f->waits; w != NULL; w = w->next) {
        if (is_due(w, arg)) {
            fuse_wait_claim_locked(w);
            return w->req;
        }
    }
    return NULL;
}

static bool is_late(const struct fuse_wait *wait, int64_t now_ms)
{
    return wait->deadline_ms != 0 && wait->deadline_ms <= now_ms;
}

static bool is_of_reader(const struct fuse_wait *wait, int64_t pid)
{
    return wait->is_interrupted && wait->pid == pid;
}

static bool is_any(const struct fuse_wait *wait, int64_t arg)
{
    (void)wait;
    (void)arg;
    return true;
}

static void answer_claimed(struct fuse_mount *f, fuse_req_t req, int error)
{
    fuse_wait_detach(req);
    (void)fuse_reply_err(req, error);
    fuse_wait_answered(f);
}

/* A reader that had a signal, each once per sweep. 0: no more. */
static pid_t next_interrupted(struct fuse_mount *f, int64_t now_ms)
{
    LOCKED(&f->lock);
    for (struct fuse_wait *w = f->waits; w != NULL; w = w->next) {
        if (w->is_interrupted && w->pid > 0 && w->checked_ms < now_ms) {
            w->checked_ms = now_ms;
            return w->pid;
        }
    }
    return 0;
}

void fuse_sweep_waits(struct fuse_mount *f, int64_t now_ms)
{
    struct err err = ERR_NONE;
    fuse_req_t req;
    pid_t pid;

    while ((pid = next_interrupted(f, now_ms)) != 0)
        if (is_killed(pid))
            while ((req = claim_first(f, is_of_reader, pid)) != NULL)
                answer_claimed(f, req, EINTR);

    while ((req = claim_first(f, is_late, now_ms)) != NULL) {
        fuse_wait_log_failure(
            f, err_set(&err, -ETIMEDOUT, "no bytes in the time a reader may wait"), &err);
        metrics_count(layer_metrics(f->mount->layer), METRICS_READ_FAILURES, 1);
        answer_claimed(f, req, EIO);
    }
}

void fuse_end_waits(struct fuse_mount *f)
{
    fuse_req_t req;

    while ((req = claim_first(f, is_any, 0)) != NULL)
        answer_claimed(f, req, EIO);

    LOCKED(&f->lock);
    while (f->answering > 0)
        (void)pthread_cond_wait(&f->answered, &f->lock);
}
