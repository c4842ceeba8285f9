/* SPDX-License-Identifier: Apache-2.0 */
/* inflate.c – the bytes of one span: checked against the digest, inflated, written to the data
 * file. On the pool.
 *
 * The digest is checked before anything is made of the bytes. Readers whose bytes are written are
 * told at once, while the rest of the span is still being inflated. */
#include "span/internal.h"

#include "zran/zran.h"

#include <errno.h>
#include <stdlib.h>
#include <zlib.h>

enum {
    COPY_BYTES = 128 * 1024,
    REFUSED_LOG_MS = 10 * 1000,
};

/* ---- into the file --------------------------------------------------------------------------- */

/* Where the span's next byte goes, and what was written so far. */
struct output {
    struct span_task *task;
    uint64_t uncomp_pos;
    uint64_t uncomp_end; /* there settle_present() has the word */
    uint32_t crc;
};

static void tell_progress(struct span_task *task, uint64_t uncomp_end)
{
    struct span_set *set = task->get->set;
    struct span_want *ready = NULL;

    {
        LOCKED(&set->engine->lock);
        task->uncomp_done_end = uncomp_end;
        span_collect_up_to_locked(set, task->n, uncomp_end, &ready);
    }
    span_deliver(ready, NULL);
}

static int write_out(void *arg, struct bytes piece, struct err *err)
{
    struct output *out = arg;
    struct span_set *set = out->task->get->set;
    int rc = span_file_write(set->file, piece, out->uncomp_pos, err);

    if (rc < 0)
        return rc;
    out->crc = (uint32_t)crc32_z(out->crc, piece.data, piece.len);
    out->uncomp_pos += piece.len;
    if (out->uncomp_pos < out->uncomp_end)
        tell_progress(out->task, out->uncomp_pos);
    return 0;
}

static int copy_out(struct bytes plain, struct output *out, struct err *err)
{
    while (plain.len > 0) {
        size_t len = plain.len < COPY_BYTES ? plain.len : COPY_BYTES;
        int rc = write_out(out, bytes_of(plain.data, len), err);

        if (rc < 0)
            return rc;
        plain = bytes_of(plain.data + len, plain.len - len);
    }
    return 0;
}

static int inflate_out(const struct span_task *task, const struct span_info *info,
                       struct bytes comp, struct output *out, struct err *err)
{
    const struct span_layout *layout = &task->get->set->layout;
    SCOPED(mem) uint8_t *window = malloc(ZRAN_WINDOW_BYTES);
    int rc;

    if (window == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    rc = layout->window(layout->self, task->n, window, err);
    if (rc < 0)
        return rc;
    return zran_inflate(info->bits, window, comp, info->uncomp_end - info->uncomp_off, write_out,
                        out, err);
}

int span_verify(struct bytes comp, const struct span_info *info, struct err *err)
{
    struct digest seen;

    if (digest_of(comp, &seen) < 0)
        return err_set(err, -ENOMEM, "digest: out of memory");
    return digest_equal(&seen, &info->digest)
               ? 0
               : err_set(err, -EBADMSG, "the bytes do not match the digest");
}

/* ---- what became of it ----------------------------------------------------------------------- */

static void settle_present(struct span_task *task)
{
    struct span_set *set = task->get->set;
    struct span_want *ready = NULL;
    bool is_complete;

    {
        LOCKED(&set->engine->lock);
        span_set_state_locked(set, task->n, SPAN_PRESENT);
        is_complete = set->missing == 0;
        set->refused[task->n] = false;
        set->backoff_ms = 0;
        set->background_at_ms = 0;
        span_set_error_locked(set, NULL);
        span_note_unsynced_locked(set);
        span_collect_present_locked(set, task->n, &ready);
    }
    span_deliver(ready, NULL);
    if (is_complete && set->completed != NULL)
        set->completed(set->completed_arg);
}

static void settle_failed(struct span_task *task, int rc, const struct err *err)
{
    struct span_set *set = task->get->set;
    struct span_want *ready = NULL;

    {
        LOCKED(&set->engine->lock);
        if (rc == -EBADMSG)
            set->refused[task->n] =
                true; /* by the background, until a reader asks and it goes well */
        else if (!set->closing)
            span_back_off_locked(set); /* a full disk, say */
        if (!set->closing)
            span_set_error_locked(set, err);
        span_set_state_locked(set, task->n, SPAN_MISSING);
        span_collect_failed_locked(set, task->n, UINT64_MAX, rc, &ready);
    }
    if (rc != -ECANCELED && log_limit_pass(&set->engine->refused_log, REFUSED_LOG_MS))
        log_error(rc == -EBADMSG ? "span refused" : "span cannot be kept",
                  "layer=%s span=%zu err=%s", set->name, task->n, err_text(err));
    span_deliver(ready, err);
}

static int fetch_again(struct span_task *task)
{
    struct span_set *set = task->get->set;
    LOCKED(&set->engine->lock);

    if (set->closing)
        return -ECANCELED;
    return span_fetch_again_locked(set, task->n, task->get->tries + 1);
}

/* The bytes do not match. 0: the span is under way again. */
static int try_again(struct span_task *task)
{
    struct span_get *get = task->get;
    unsigned tries = get->tries + 1;
    const char *layer = get->set->name;

    if (tries > get->set->engine->options.digest_retries)
        return -EBADMSG;
    log_warn("span digest mismatch, fetching again", "layer=%s span=%zu try=%u", layer, task->n,
             tries);
    return fetch_again(task);
}

static int write_span(const struct span_task *task, const struct span_info *info, struct bytes comp,
                      struct output *out, struct err *err)
{
    if (task->get->set->layout.window == NULL)
        return copy_out(bytes_of(comp.data, info->uncomp_end - info->uncomp_off), out, err);
    return inflate_out(task, info, comp, out, err);
}

static void run_span(struct span_task *task)
{
    struct span_get *get = task->get;
    struct span_set *set = get->set;
    struct err err = ERR_NONE;
    struct output out = {.task = task};
    struct span_info info;
    struct bytes comp;
    int rc;

    set->layout.at(set->layout.self, task->n, &info);
    comp = bytes_of(get->fetch.buf + (info.comp_off - get->fetch.comp_off),
                    info.comp_end - info.comp_off);
    out.uncomp_pos = info.uncomp_off;
    out.uncomp_end = info.uncomp_end;
    rc = span_verify(comp, &info, &err);
    if (rc == -EBADMSG) {
        rc = try_again(task);
        if (rc == 0)
            return; /* what becomes of the span is not this task's any more */
    } else if (rc == 0) {
        rc = write_span(task, &info, comp, &out, &err);
    }
    if (rc < 0) {
        (void)err_prefix(&err, rc, "span %zu", task->n);
        settle_failed(task, rc, &err);
        return;
    }
    if (span_file_add(set->file, task->n, out.crc, &err) < 0)
        log_debug("span will not be recorded", "layer=%s span=%zu err=%s", set->name, task->n,
                  err_text(&err));
    settle_present(task);
}

/* ---- the pool's jobs ------------------------------------------------------------------------- */

static bool claim(struct span_task *task, bool *ret_closing)
{
    LOCKED(&task->get->set->engine->lock);

    *ret_closing = task->get->set->closing;
    if (task->claimed)
        return false;
    task->claimed = true;
    return true;
}

static void run_task(struct span_task *task)
{
    struct err canceled = {.code = -ECANCELED, .text = "the layer is being closed"};
    struct span_get *get = task->get;
    bool closing;

    if (claim(task, &closing)) {
        if (closing)
            settle_failed(task, -ECANCELED, &canceled);
        else
            run_span(task);
    }
    span_get_put_and_schedule(get);
}

static void run_urgent(struct pool_job *job)
{
    run_task((struct span_task *)((char *)job - offsetof(struct span_task, jobs[POOL_URGENT])));
}

static void run_background(struct pool_job *job)
{
    run_task((struct span_task *)((char *)job - offsetof(struct span_task, jobs[POOL_BACKGROUND])));
}

void span_task_submit_locked(struct span_task *task, enum pool_class job_class)
{
    if (task->submitted[job_class])
        return;
    task->submitted[job_class] = true;
    task->get->holds++;
    task->jobs[job_class].run = job_class == POOL_URGENT ? run_urgent : run_background;
    pool_submit(task->get->set->engine->pool, &task->jobs[job_class], job_class);
}
