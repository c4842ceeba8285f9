/* SPDX-License-Identifier: Apache-2.0 */
/* workers.c – the threads that make layers, those first for which somebody waits; and that remove
 * what nobody took. */
#include "local/internal.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>

#include <fcntl.h>
#include <unistd.h>

#define IDLE_MS 3600000
enum { SYNC_AFTER_MS = 500 }; /* the next layer of the image is asked for sooner */

/* ---- what to do next ------------------------------------------------------------------------- */

/* One reads the image's manifest, the other jobs of that image can only wait for it. */
static bool can_run_locked(const struct local *local, const struct job *job)
{
    const struct pull *pull = job->pull;

    return job->state == JOB_QUEUED && !atomic_load(&job->cancelled) && !pull->reading &&
           pull->running < local->options.unpacks_per_image;
}

static struct job *next_locked(struct local *local)
{
    struct job *job, *found = NULL;

    TAILQ_FOREACH(job, &local->jobs, link)
    {
        if (!can_run_locked(local, job))
            continue;
        if (job->taken)
            return job;
        if (found == NULL)
            found = job;
    }
    return found;
}

/* One that is neither waited for nor being unpacked, and was cancelled. */
static struct job *cancelled_locked(struct local *local)
{
    struct job *job;

    TAILQ_FOREACH(job, &local->jobs, link)
    {
        if (!job->taken && job->state != JOB_RUNNING && atomic_load(&job->cancelled))
            return job;
    }
    return NULL;
}

static struct job *expired_locked(struct local *local, int64_t now_ms, int64_t *next_ms)
{
    struct job *job;

    TAILQ_FOREACH(job, &local->jobs, link)
    {
        int64_t asked_ms = job->pull->asked_ms;
        int64_t end_ms =
            (asked_ms > job->ready_ms ? asked_ms : job->ready_ms) + local->options.keep_ms;

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

/* The bytes of one that is not unpacked yet come all the same. */
static void open_feeds_locked(struct local *local, const struct pull *pull)
{
    struct job *job;

    TAILQ_FOREACH(job, &local->jobs, link)
    {
        struct err ignored = ERR_NONE; /* told when it is run */

        if (job->pull == pull && job->state == JOB_QUEUED && !atomic_load(&job->cancelled))
            (void)!job_open_feed_locked(local, job, &ignored);
    }
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
        workers_wake_locked(local);
    }
    if (pull->rc < 0 && err != NULL)
        *err = pull->err;
    if (pull->rc == 0)
        open_feeds_locked(local, pull);
    return pull->rc;
}

static int check_lowest(const struct job *job, struct err *err)
{
    const struct oci_manifest *content = job->pull->content;

    if (job->lowest_of == 0 ||
        oci_manifest_is_lowest(content, &job->layer, job->lowest_of == content->layer_count))
        return 0;
    return err_set(err, -ENOTSUP, "containerd unpacks layers in parallel (capability rebase)");
}

static int make_locked(struct local *local, struct job *job, struct local_layer **ret,
                       struct err *err)
{
    int rc = know_manifest_locked(local, job->pull, err);

    if (rc == 0)
        rc = job_open_feed_locked(local, job, err);
    if (rc == 0)
        rc = check_lowest(job, err);
    if (rc < 0)
        return rc;
    (void)pthread_mutex_unlock(&local->lock);
    rc = layer_make(local, job, ret, err);
    feed_close(local, job);
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

static void remove_locked(struct local *local, struct job *job)
{
    job_unlink_locked(local, job);
    (void)pthread_mutex_unlock(&local->lock);
    job_free(local, job);
    (void)pthread_mutex_lock(&local->lock);
}

/* Whoever waits takes the job out of the table; one for which nobody does stays there only if it is
 * of use. */
static void run_locked(struct local *local, struct job *job)
{
    int64_t started_ms = clock_mono_ms();
    struct err err = ERR_NONE;
    int rc;

    job->state = JOB_RUNNING;
    job->pull->running++;
    (void)pthread_cond_signal(&local->room);
    workers_wake_locked(local);
    rc = make_locked(local, job, &job->result, &err);
    log_made(job, rc, clock_mono_ms() - started_ms, &err);
    job->pull->running--;
    workers_wake_locked(local); /* another of the image may have its turn now */
    job->state = rc < 0 ? JOB_FAILED : JOB_READY;
    job->rc = rc;
    job->err = err;
    job->ready_ms = clock_mono_ms();
    (void)pthread_cond_broadcast(&local->settled);
    if (!job->taken && (rc < 0 || atomic_load(&job->cancelled)))
        remove_locked(local, job);
}

/* ---- the threads ----------------------------------------------------------------------------- */

static void sync_now(const struct local *local)
{
    SCOPED(fd) int fd = open(local->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 || syncfs(fd) < 0)
        log_warn("unpacked layers are not synced", "dir=%s err=%s", local->dir, strerror(errno));
}

void workers_sync_later(struct local *local)
{
    LOCKED(&local->lock);

    local->unsynced_ms = clock_mono_ms();
    (void)pthread_cond_broadcast(&local->work);
}

/* true: it was time, and all that was installed before is on disk. */
static bool sync_locked(struct local *local, int64_t now_ms, int64_t *next_ms)
{
    int64_t due_ms = local->unsynced_ms + SYNC_AFTER_MS;

    if (local->unsynced_ms == 0)
        return false;
    if (now_ms < due_ms) {
        if (due_ms < *next_ms)
            *next_ms = due_ms;
        return false;
    }
    local->unsynced_ms = 0;
    (void)pthread_mutex_unlock(&local->lock);
    sync_now(local);
    (void)pthread_mutex_lock(&local->lock);
    return true;
}

/* Remove one that nobody took, or sleep until there is something to do. */
static void tidy_or_sleep_locked(struct local *local)
{
    int64_t now_ms = clock_mono_ms(), next_ms = now_ms + IDLE_MS;
    struct job *job = expired_locked(local, now_ms, &next_ms);

    if (job == NULL && sync_locked(local, now_ms, &next_ms))
        return;
    if (job == NULL) {
        local->waiting++;
        (void)clock_cond_wait_until(&local->work, &local->lock, next_ms);
        local->waiting--;
        return;
    }
    remove_locked(local, job);
}

static void *worker_main(void *arg)
{
    struct local *local = arg;
    LOCKED(&local->lock);

    while (!local->stopping) {
        struct job *cancelled = cancelled_locked(local);
        struct job *job = cancelled == NULL ? next_locked(local) : NULL;

        if (cancelled != NULL) /* first: it may have memory that others wait for */
            remove_locked(local, cancelled);
        else if (job != NULL)
            run_locked(local, job);
        else
            tidy_or_sleep_locked(local);
    }
    return NULL;
}

int workers_start(struct local *local, struct err *err)
{
    int rc;
    LOCKED(&local->lock);

    rc = thread_start(&local->threads[0], "local", worker_main, local);
    local->thread_count = rc == 0 ? 1 : 0;
    return rc < 0 ? err_sys(err, rc, "thread") : 0;
}

/* Those that wait look for themselves. */
void workers_wake_locked(struct local *local)
{
    pthread_t *thread = &local->threads[local->thread_count];

    (void)pthread_cond_broadcast(&local->work);
    if (local->waiting > 0 || local->stopping || local->thread_count == local->options.unpacks ||
        next_locked(local) == NULL)
        return;
    if (thread_start(thread, "local", worker_main, local) == 0)
        local->thread_count++;
}

/* None is started or ends meanwhile. */
void workers_join(struct local *local)
{
    for (size_t i = 0; i < local->thread_count; i++)
        (void)pthread_join(local->threads[i], NULL);
    local->thread_count = 0;
}
