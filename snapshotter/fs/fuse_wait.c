/* SPDX-License-Identifier: Apache-2.0 */
/* fuse_wait.c – reads whose bytes are not here yet: put aside, and answered by whoever knows the
 * outcome.
 *
 * A read is answered exactly once, by one of: the engine when the bytes are here or cannot be had;
 * the sweeper when its reader was killed or its deadline passed; the end of the mount. Who takes it
 * out of f->waits has it. The engine calls done() in any case, and that is where the memory goes.
 */
#include "fs/fuse_wait.h"

#include "base/clock.h"
#include "base/files.h"

#include <errno.h>
#include <stdlib.h>

enum { READ_LOG_PERIOD_MS = 1000 };
/* ---- answers --------------------------------------------------------------------------------- */

void fuse_wait_log_failure(struct fuse_mount *f, int rc, const struct err *err)
{
    if (log_limit_pass(&f->read_log, READ_LOG_PERIOD_MS))
        log_error("a read failed, the next one tries again", "layer=%s err=%s", f->layer_name,
                  err->code != 0 ? err_text(err) : strerror(-rc));
}

/* The bytes are in the layer's file. Not by libfuse's splice: it keeps a pipe per thread and
 * session, and closes one of them. Counted before the reader goes on. */
static int answer_from_file(const struct fuse_wait *wait, struct err *err)
{
    const struct span_want *want = &wait->want;
    const struct fs_mount *mount = wait->f->mount;
    struct read_buffers *buffers = &mount->fs->buffers;
    size_t len = want->len + wait->zeros;
    uint8_t *data = len > READ_BUFFER_BYTES ? NULL : read_buffers_take(buffers);
    int rc;

    if (data == NULL)
        return err_sys(err, -ENOMEM, "read of %zu bytes", len);
    rc = file_pread_all(layer_fd(mount->layer), data, want->len, want->uncomp_off, err);
    if (rc == 0) {
        metrics_since(layer_metrics(mount->layer), METRICS_SYNCHRONOUS_READ, wait->came_ns);
        metrics_count(layer_metrics(mount->layer), METRICS_BYTES_SERVED, want->len);
        if (wait->f->is_tar)
            (void)layer_clear_padding(mount->layer, data, want->len, want->uncomp_off);
        memset(data + want->len, 0, wait->zeros);
        (void)fuse_reply_buf(wait->req, (const char *)data, len);
    }
    read_buffers_give(buffers, data);
    return rc;
}

static void answer(const struct fuse_wait *wait, int rc)
{
    struct err err = ERR_NONE;

    if (rc == 0 && (rc = answer_from_file(wait, &err)) < 0)
        fuse_wait_log_failure(wait->f, rc, &err);
    if (rc == 0)
        return;
    metrics_count(layer_metrics(wait->f->mount->layer), METRICS_READ_FAILURES, 1);
    (void)fuse_reply_err(wait->req, rc == -ENOMEM ? ENOMEM : EIO);
}

/* ---- the list -------------------------------------------------------------------------------- */

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

void fuse_wait_claim_locked(struct fuse_wait *wait)
{
    *wait->link = wait->next;
    if (wait->next != NULL)
        wait->next->link = wait->link;
    wait->state = WAIT_ANSWERED;
    wait->f->answering++;
    (void)__atomic_sub_fetch(&wait->f->mount->fs->waiting, 1, __ATOMIC_RELAXED);
}

void fuse_wait_detach(fuse_req_t req)
{
    /* libfuse holds the request's lock while it calls a function that was set, and here. */
    fuse_req_interrupt_func(req, NULL, NULL);
}

void fuse_wait_answered(struct fuse_mount *f)
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
        fuse_wait_log_failure(f, rc, err);
    (void)pthread_mutex_lock(&f->lock);
    before = wait->state;
    if (before == WAIT_SETTING_UP) {
        wait->state = WAIT_OUTCOME;
        wait->rc = rc;
    } else if (before == WAIT_LISTED) {
        fuse_wait_claim_locked(wait);
    }
    (void)pthread_mutex_unlock(&f->lock);

    if (before == WAIT_SETTING_UP)
        return; /* the other thread goes on with it */
    if (before == WAIT_LISTED) {
        fuse_wait_detach(wait->req);
        answer(wait, rc);
        fuse_wait_answered(f);
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

    fuse_wait_detach(wait->req);
    answer(wait, wait->rc);
    wait_free(wait);
}

void fuse_answer_bytes(fuse_req_t req, uint64_t uncomp_off, size_t len, size_t zeros)
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
        .zeros = zeros,
        .pid = fuse_req_ctx(req)->pid,
        .came_ns = clock_mono_ns(),
        .deadline_ms = fs->read_deadline_ms == 0 ? 0 : clock_mono_ms() + fs->read_deadline_ms,
    };
    (void)__atomic_add_fetch(&f->refs, 1, __ATOMIC_RELAXED);
    metrics_count(layer_metrics(f->mount->layer), METRICS_READS, 1);

    rc = len == 0 ? 0 : layer_want(f->mount->layer, &wait->want, &err);
    if (rc > 0) {
        put_aside(wait);
        return;
    }
    if (rc < 0)
        fuse_wait_log_failure(f, rc, &err);
    answer(wait, rc);
    wait_free(wait);
}
