/* SPDX-License-Identifier: Apache-2.0 */
/* take.c – waiting for a layer, and giving up. */
#include "local/internal.h"

#include "base/clock.h"

#include <errno.h>

enum { LOCAL_CANCEL_POLL_MS = 200 };

static struct job *find_locked(struct local *local, const struct local_image *image,
                               const struct digest *layer)
{
    struct job *job;

    TAILQ_FOREACH(job, &local->jobs, link)
    {
        if (!job->taken && job->state != JOB_FAILED && !atomic_load(&job->cancelled) &&
            pull_is(job->pull, image) && digest_equal(&job->layer, layer))
            return job;
    }
    return NULL;
}

/* The job is the caller's to wait for from here on. */
static int claim(struct local *local, const struct local_image *image, const struct digest *layer,
                 struct job **ret, struct err *err)
{
    LOCKED(&local->lock);

    if (local->stopping)
        return err_set(err, -ECANCELED, "stopping");
    *ret = find_locked(local, image, layer);
    if (*ret == NULL && job_new_locked(local, image, layer, ret) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    (*ret)->taken = true;
    (*ret)->lowest_of = image->lowest_of;
    (*ret)->pull->asked_ms = clock_mono_ms();
    return 0;
}

/* true: it is settled, and out of the table. */
static bool wait_a_little(struct local *local, struct job *job, bool *ret_stopping)
{
    int64_t deadline_ms = clock_mono_ms() + LOCAL_CANCEL_POLL_MS;
    LOCKED(&local->lock);

    while (job->state != JOB_READY && job->state != JOB_FAILED && !local->stopping) {
        if (clock_cond_wait_until(&local->settled, &local->lock, deadline_ms) == -ETIMEDOUT)
            break;
    }
    *ret_stopping = local->stopping;
    job->pull->asked_ms = clock_mono_ms();
    if (job->state != JOB_READY && job->state != JOB_FAILED)
        return false;
    job_unlink_locked(local, job);
    return true;
}

/* Of the image that nobody waits for any more, what is ready may stay for a while, for the next
 * try. The workers remove what is cancelled. */
static void drop_unwanted_locked(struct local *local, const struct pull *pull, bool ready_too)
{
    struct job *job;

    TAILQ_FOREACH(job, &local->jobs, link)
    {
        if (job->pull == pull && !job->taken && (ready_too || job->state != JOB_READY))
            job_cancel_locked(local, job);
    }
}

static void give_up(struct local *local, struct job *job)
{
    LOCKED(&local->lock);

    job->taken = false;
    if (job->state == JOB_FAILED) /* settled since we looked; nobody else would free it */
        job->state = JOB_QUEUED;
    drop_unwanted_locked(local, job->pull, false);
}

void local_abandon(struct local *local, const struct local_image *image, bool ready_too)
{
    const struct pull *pull;
    LOCKED(&local->lock);

    pull = pull_find_locked(local, image);
    if (pull != NULL)
        drop_unwanted_locked(local, pull, ready_too);
}

static bool is_unwanted(const struct local_cancel *cancel)
{
    return cancel != NULL && cancel->is_cancelled != NULL && cancel->is_cancelled(cancel->self);
}

int local_take(struct local *local, const struct local_image *image, const struct digest *layer,
               const struct local_cancel *cancel, struct local_layer **ret, struct err *err)
{
    struct job *job = NULL;
    bool stopping = false;
    int rc = claim(local, image, layer, &job, err);

    if (rc < 0)
        return rc;
    while (!wait_a_little(local, job, &stopping)) {
        if (!stopping && !is_unwanted(cancel))
            continue;
        give_up(local, job);
        return err_set(err, -ECANCELED, stopping ? "stopping" : "the client gave up");
    }
    rc = job->rc;
    if (rc < 0 && err != NULL)
        *err = job->err;
    if (rc == 0)
        *ret = TAKE(job->result);
    job_free(local, job);
    return rc;
}
