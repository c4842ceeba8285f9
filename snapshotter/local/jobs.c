/* SPDX-License-Identifier: Apache-2.0 */
/* jobs.c – the table of layers that are wanted, begun or ready. */
#include "local/internal.h"

#include "base/clock.h"
#include "base/threads.h"

#include <errno.h>
#include <stdlib.h>

/* ---- images ---------------------------------------------------------------------------------- */

bool pull_is(const struct pull *pull, const struct local_image *image)
{
    return digest_equal(&pull->manifest, &image->manifest) && strcmp(pull->name, image->name) == 0;
}

static void pull_free(struct local *local, struct pull *pull)
{
    local->options.registry->unref(pull->repo);
    oci_manifest_free(pull->content);
    free(pull->name);
    free(pull);
}

struct pull *pull_find_locked(struct local *local, const struct local_image *image)
{
    struct job *job;

    TAILQ_FOREACH(job, &local->jobs, link)
    {
        if (pull_is(job->pull, image))
            return job->pull;
    }
    return NULL;
}

static struct pull *pull_new(struct local *local, const struct local_image *image)
{
    struct pull *pull = calloc(1, sizeof(*pull));

    if (pull == NULL)
        return NULL;
    pull->manifest = image->manifest;
    pull->name = text_copy(image->name);
    if (pull->name == NULL) {
        free(pull);
        return NULL;
    }
    pull->repo = local->options.registry->ref(image->repo);
    return pull;
}

void pull_unref(struct local *local, struct pull *pull)
{
    bool last;

    (void)pthread_mutex_lock(&local->lock);
    last = --pull->users == 0;
    (void)pthread_mutex_unlock(&local->lock);
    if (last) /* no job in the table leads to it any more */
        pull_free(local, pull);
}

/* ---- jobs ------------------------------------------------------------------------------------ */

int job_new_locked(struct local *local, const struct local_image *image, const struct digest *layer,
                   struct job **ret)
{
    struct job *job = calloc(1, sizeof(*job));

    if (job == NULL)
        return -ENOMEM;
    job->pull = pull_find_locked(local, image);
    if (job->pull == NULL)
        job->pull = pull_new(local, image);
    if (job->pull == NULL) {
        free(job);
        return -ENOMEM;
    }
    job->pull->users++;
    job->pull->asked_ms = clock_mono_ms();
    job->layer = *layer;
    job->state = JOB_QUEUED;
    TAILQ_INSERT_TAIL(&local->jobs, job, link);
    local->job_count++;
    (void)pthread_cond_signal(&local->work);
    *ret = job;
    return 0;
}

bool job_is_idle(struct local *local, struct job *job)
{
    LOCKED(&local->lock);

    if (job->taken || clock_mono_ms() - job->pull->asked_ms < local->options.idle_ms)
        return false;
    atomic_store(&job->cancelled, true); /* so that nobody takes it from here on */
    return true;
}

void job_unlink_locked(struct local *local, struct job *job)
{
    TAILQ_REMOVE(&local->jobs, job, link);
    local->job_count--;
}

void job_free(struct local *local, struct job *job)
{
    pull_unref(local, job->pull);
    local_layer_free(job->result);
    free(job);
}
