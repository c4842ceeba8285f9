/* SPDX-License-Identifier: Apache-2.0 */
/* fuse_wait.c – reads whose bytes are not here yet: put aside, and answered by whoever knows the
 * outcome.
 *
 * A read is answered exactly once, by one of: the engine when the bytes are here or cannot be had;
 * the sweeper when its reader was killed or its deadline passed; the end of the mount. Who takes it
 * out of f->waits has it. The engine calls done() in any case, and that is where the memory goes.
 *
 * About interrupts. The kernel sends FUSE_INTERRUPT when a signal of any kind reaches a process
 * that waits, once per read. Answering EINTR to all of them would fail reads of regular files that
 * have never failed before: a timer or a child's end during a page fault would be SIGBUS. So only a
 * reader that was killed is let go: it has SIGKILL pending, which /proc shows. A reader that had
 * another signal first is looked at again by each sweep, since there will be no second interrupt.
 */
#include "fs/fuse.h"

#include "base/clock.h"
#include "base/files.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

enum { READ_LOG_PERIOD_MS = 1000 };
enum { SWEEP_BATCH = 32 };

enum wait_state {
    WAIT_SETTING_UP, /* the thread that took the request is still in it */
    WAIT_OUTCOME,    /* the same, and done() was called meanwhile */
    WAIT_LISTED,     /* in f->waits */
    WAIT_ANSWERED,   /* by the sweeper or the end of the mount */
};

struct fuse_wait {
    struct span_want want; /* first: done() gets its address */
    struct fuse_mount *f;
    fuse_req_t req;
    pid_t pid;           /* the reading thread, 0: not visible from here */
    int64_t deadline_ms; /* 0: none */
    /* f->lock: */
    enum wait_state state;
    bool is_interrupted;
    int rc; /* outcome, when state is WAIT_OUTCOME */
    struct fuse_wait *next, **link;
};

/* ---- answers
 * -------------------------------------------------------------------------------------------- */

static void log_failure(struct fuse_mount *f, int rc, const struct err *err)
{
    if (log_limit_pass(&f->read_log, READ_LOG_PERIOD_MS))
        log_error("a read failed, the next one tries again", "layer=%s err=%s", f->layer_name,
                  err->code != 0 ? err_text(err) : strerror(-rc));
}

/* The bytes are in the layer's file. Not by libfuse's splice: it keeps a pipe per thread and
 * session, and closes one of them. */
static int answer_from_file(struct fuse_mount *f, fuse_req_t req, const struct span_want *want,
                            struct err *err)
{
    struct read_buffers *buffers = &f->mount->fs->buffers;
    void *data = want->len > READ_BUFFER_BYTES ? NULL : read_buffers_take(buffers);
    int rc;

    if (data == NULL)
        return err_sys(err, -ENOMEM, "read of %zu bytes", want->len);
    rc = file_pread_all(layer_fd(f->mount->layer), data, want->len, want->uncomp_off, err);
    if (rc == 0)
        (void)fuse_reply_buf(req, data, want->len);
    read_buffers_give(buffers, data);
    return rc;
}

static void answer(struct fuse_wait *wait, int rc)
{
    struct err err = ERR_NONE;

    if (rc == 0 && (rc = answer_from_file(wait->f, wait->req, &wait->want, &err)) < 0)
        log_failure(wait->f, rc, &err);
    if (rc < 0)
        (void)fuse_reply_err(wait->req, rc == -ENOMEM ? ENOMEM : EIO);
}

/* ---- the list
 * -------------------------------------------------------------------------------------------- */

static void list_locked(struct fuse_wait *wait)
{
    struct fuse_mount *f = wait->f;

    wait->state = WAIT_LISTED;
    wait->next = f->waits;
    wait->link = &f->waits;
    if (wait->next != NULL)
        wait->next->link = &wait->next;
    f->waits = wait;
    (void)__atomic_add_fetch(&f->mount->fs->waiting, 1, __ATOMIC_RELAXED);
}

/* From here on the caller answers; answer_ended() follows. */
static void claim_locked(struct fuse_wait *wait)
{
    *wait->link = wait->next;
    if (wait->next != NULL)
        wait->next->link = wait->link;
    wait->state = WAIT_ANSWERED;
    wait->f->answering++;
    (void)__atomic_sub_fetch(&wait->f->mount->fs->waiting, 1, __ATOMIC_RELAXED);
}

static void answer_ended(struct fuse_mount *f)
{
    LOCKED(&f->lock);
    if (--f->answering == 0)
        (void)pthread_cond_broadcast(&f->answered);
}

static void wait_free(struct fuse_wait *wait)
{
    struct fuse_mount *f = wait->f;

    free(wait);
    fuse_mount_unref(f);
}

static bool has_answer(struct fuse_wait *wait)
{
    LOCKED(&wait->f->lock);
    return wait->state == WAIT_ANSWERED;
}

/* From the engine. */
static void done(struct span_want *want, int rc, const struct err *err)
{
    struct fuse_wait *wait = (struct fuse_wait *)want;
    struct fuse_mount *f = wait->f;
    enum wait_state before;

    /* Said here because the text ends with this call. */
    if (rc < 0 && !has_answer(wait))
        log_failure(f, rc, err);
    (void)pthread_mutex_lock(&f->lock);
    before = wait->state;
    if (before == WAIT_SETTING_UP) {
        wait->state = WAIT_OUTCOME;
        wait->rc = rc;
    } else if (before == WAIT_LISTED) {
        claim_locked(wait);
    }
    (void)pthread_mutex_unlock(&f->lock);

    if (before == WAIT_SETTING_UP)
        return; /* the other thread goes on with it */
    if (before == WAIT_LISTED) {
        /* Returns when no on_interrupt() runs for it. */
        fuse_req_interrupt_func(wait->req, NULL, NULL);
        answer(wait, rc);
        answer_ended(f);
    }
    wait_free(wait);
}

/* From a thread of the loop's, inside libfuse's lock of the request: takes a note only. */
static void on_interrupt(fuse_req_t req, void *data)
{
    struct fuse_wait *wait = data;

    (void)req;
    {
        LOCKED(&wait->f->lock);
        wait->is_interrupted = true;
    }
    fs_sweep_soon(wait->f->mount->fs);
}

/* done() will come, or came. */
static void put_aside(struct fuse_wait *wait)
{
    struct fuse_mount *f = wait->f;
    bool is_over;

    fuse_req_interrupt_func(wait->req, on_interrupt, wait);
    (void)pthread_mutex_lock(&f->lock);
    is_over = wait->state == WAIT_OUTCOME;
    if (!is_over)
        list_locked(wait);
    (void)pthread_mutex_unlock(&f->lock);
    if (!is_over)
        return; /* not ours any more */

    fuse_req_interrupt_func(wait->req, NULL, NULL);
    answer(wait, wait->rc);
    wait_free(wait);
}

void fuse_answer_bytes(fuse_req_t req, uint64_t uncomp_off, size_t len)
{
    struct fuse_mount *f = fuse_mount_of(req);
    struct fs *fs = f->mount->fs;
    struct fuse_wait *wait = calloc(1, sizeof(*wait));
    struct err err = ERR_NONE;
    int rc;

    if (wait == NULL) {
        (void)fuse_reply_err(req, ENOMEM);
        return;
    }
    *wait = (struct fuse_wait){
        .want = {.uncomp_off = uncomp_off, .len = len, .done = done},
        .f = f,
        .req = req,
        .pid = fuse_req_ctx(req)->pid,
        .deadline_ms = fs->read_deadline_ms == 0 ? 0 : clock_mono_ms() + fs->read_deadline_ms,
    };
    (void)__atomic_add_fetch(&f->refs, 1, __ATOMIC_RELAXED);

    rc = layer_want(f->mount->layer, &wait->want, &err);
    if (rc > 0) {
        put_aside(wait);
        return;
    }
    if (rc < 0)
        log_failure(f, rc, &err);
    answer(wait, rc);
    wait_free(wait);
}

/* ---- the sweeper
 * ----------------------------------------------------------------------------------------- */

/* Does the thread have SIGKILL pending? The kernel marks every thread of a process that is to end
 * so. */
static bool is_killed(pid_t pid)
{
    unsigned long long pending = 0;
    char path[64], line[256];

    if (pid <= 0)
        return false;
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
            claim_locked(w);
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
    fuse_req_interrupt_func(req, NULL, NULL);
    (void)fuse_reply_err(req, error);
    answer_ended(f);
}

static size_t interrupted_readers(struct fuse_mount *f, pid_t ret[SWEEP_BATCH])
{
    size_t count = 0;

    LOCKED(&f->lock);
    for (struct fuse_wait *w = f->waits; w != NULL && count < SWEEP_BATCH; w = w->next)
        if (w->is_interrupted)
            ret[count++] = w->pid;
    return count;
}

void fuse_sweep_waits(struct fuse_mount *f, int64_t now_ms)
{
    pid_t readers[SWEEP_BATCH];
    size_t count = interrupted_readers(f, readers);
    struct err err = ERR_NONE;
    fuse_req_t req;

    for (size_t i = 0; i < count; i++)
        if (is_killed(readers[i]))
            while ((req = claim_first(f, is_of_reader, readers[i])) != NULL)
                answer_claimed(f, req, EINTR);

    while ((req = claim_first(f, is_late, now_ms)) != NULL) {
        log_failure(f, err_set(&err, -ETIMEDOUT, "no bytes in the time a reader may wait"), &err);
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
