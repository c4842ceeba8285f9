/* SPDX-License-Identifier: Apache-2.0 */
/* workers.c – the threads that make layers, those first for which somebody waits; and that remove
 * what nobody took. */
#include "local/internal.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>

#define IDLE_MS 3600000

/* ---- what to do next ------------------------------------------------------------------------- */

/* One reads the image's manifest, the other jobs of that image can only wait for it. */
static bool can_run_locked(const struct job *job)
{
    return job->state == JOB_QUEUED && !job->pull->reading;
}

static struct job *next_locked(struct local *local)
{
    struct job *job, *found = NULL;

    TAILQ_FOREACH(job, &local->jobs, link)
    {
        if (!can_run_locked(job))
            continue;
        if (job->taken)
            return job;
        if (found == NULL)
            found = job;
    }
    return found;
}

static struct job *expired_locked(struct local *local, int64_t now_ms, int64_t *next_ms)
{
    struct job *job;

    TAILQ_FOREACH(job, &local->jobs, link)
    {
        int64_t end_ms = job->ready_ms + local->options.keep_ms;

        if (job->state != JOB_READY || job->taken)
            continue;
        if (end_ms <= now_ms)
            return job;
        if (end_ms < *next_ms)
            *next_ms = end_ms;
    }
    return NULL;
}

/* ---- one job --------------------------------------------------------------------------------- */

static int read_manifest(struct local *local, const struct pull *pull, struct oci_manifest **ret,
                         struct err *err)
{
    SCOPED(buf_value) struct buf json = BUF_EMPTY;
    char digest[DIGEST_TEXT_BYTES];
    int rc;

    digest_format(&pull->manifest, digest);
    rc = local->options.registry->get_manifest(pull->repo, digest, &json, NULL, err);
    if (rc == 0)
        rc = oci_manifest_parse(buf_bytes(&json), ret, err);
    return rc < 0 ? err_prefix(err, rc, "image %s", digest) : 0;
}

/* See that the manifest is there. The lock is let go meanwhile. */
static int know_manifest_locked(struct local *local, struct pull *pull, struct err *err)
{
    struct oci_manifest *content = NULL;
    int rc;

    if (pull->content == NULL && pull->rc == 0) {
        pull->reading = true;
        (void)pthread_mutex_unlock(&local->lock);
        rc = read_manifest(local, pull, &content, err);
        (void)pthread_mutex_lock(&local->lock);
        pull->reading = false;
        pull->content = content;
        pull->rc = rc;
        if (rc < 0 && err != NULL)
            pull->err = *err;
        (void)pthread_cond_broadcast(&local->work);
    }
    if (pull->rc < 0 && err != NULL)
        *err = pull->err;
    return pull->rc;
}

static int find_size(const struct pull *pull, const struct digest *layer, uint64_t *ret_bytes,
                     struct err *err)
{
    for (size_t i = 0; i < pull->content->layer_count; i++) {
        if (digest_equal(&pull->content->layers[i].digest, layer)) {
            *ret_bytes = pull->content->layers[i].size_bytes;
            return 0;
        }
    }
    return err_set(err, -EBADMSG, "the image's manifest does not list it");
}

static int make_locked(struct local *local, struct job *job, struct local_layer **ret,
                       struct err *err)
{
    uint64_t layer_bytes = 0;
    int rc = know_manifest_locked(local, job->pull, err);

    if (rc == 0)
        rc = find_size(job->pull, &job->layer, &layer_bytes, err);
    if (rc < 0)
        return rc;
    (void)pthread_mutex_unlock(&local->lock);
    rc = layer_make(local, job, layer_bytes, ret, err);
    (void)pthread_mutex_lock(&local->lock);
    return rc;
}

static void log_made(const struct job *job, int rc, int64_t took_ms, const struct err *err)
{
    char layer[DIGEST_TEXT_BYTES];

    digest_format(&job->layer, layer);
    if (rc < 0)
        log_debug("layer not unpacked", "layer=%s err=%s", layer, err_text(err));
    else
        log_debug("layer unpacked", "layer=%s took_ms=%lld", layer, (long long)took_ms);
}

/* Whoever waits takes the job out of the table; one for which nobody does stays there only if it is
 * of use. */
static void run_locked(struct local *local, struct job *job)
{
    int64_t started_ms = clock_mono_ms();
    struct err err = ERR_NONE;
    int rc;

    job->state = JOB_RUNNING;
    rc = make_locked(local, job, &job->result, &err);
    log_made(job, rc, clock_mono_ms() - started_ms, &err);
    job->state = rc < 0 ? JOB_FAILED : JOB_READY;
    job->rc = rc;
    job->err = err;
    job->ready_ms = clock_mono_ms();
    (void)pthread_cond_broadcast(&local->settled);
    if (job->taken || (rc == 0 && !atomic_load(&job->cancelled)))
        return;
    job_unlink_locked(local, job);
    (void)pthread_mutex_unlock(&local->lock);
    job_free(local, job);
    (void)pthread_mutex_lock(&local->lock);
}

/* ---- the threads ----------------------------------------------------------------------------- */

/* Remove one that nobody took, or sleep until there is something to do. */
static void tidy_or_sleep_locked(struct local *local)
{
    int64_t now_ms = clock_mono_ms(), next_ms = now_ms + IDLE_MS;
    struct job *job = expired_locked(local, now_ms, &next_ms);

    if (job == NULL) {
        (void)clock_cond_wait_until(&local->work, &local->lock, next_ms);
        return;
    }
    job_unlink_locked(local, job);
    (void)pthread_mutex_unlock(&local->lock);
    job_free(local, job);
    (void)pthread_mutex_lock(&local->lock);
}

static void *worker_main(void *arg)
{
    struct local *local = arg;
    LOCKED(&local->lock);

    while (!local->stopping) {
        struct job *job = next_locked(local);

        if (job != NULL)
            run_locked(local, job);
        else
            tidy_or_sleep_locked(local);
    }
    return NULL;
}

int workers_start(struct local *local, size_t count, struct err *err)
{
    int rc = 0;

    while (local->thread_count < count && rc == 0) {
        rc = thread_start(&local->threads[local->thread_count], "local", worker_main, local);
        if (rc == 0)
            local->thread_count++;
    }
    return rc < 0 ? err_sys(err, rc, "thread") : 0;
}

void workers_join(struct local *local)
{
    for (size_t i = 0; i < local->thread_count; i++)
        (void)pthread_join(local->threads[i], NULL);
    local->thread_count = 0;
}
