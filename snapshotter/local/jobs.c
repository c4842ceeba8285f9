/* SPDX-License-Identifier: Apache-2.0 */
/* jobs.c – the table of layers that are wanted, begun or ready. */
#include "local/internal.h"

#include "base/clock.h"
#include "base/threads.h"

#include <errno.h>
#include <stdlib.h>

/* ---- images ---------------------------------------------------------------------------------- */

static bool is_same_namespace(const struct pull *pull, const struct local_keep *keep)
{
    if (pull->namespace_ == NULL || keep == NULL)
        return pull->namespace_ == NULL && keep == NULL;
    return strcmp(pull->namespace_, keep->namespace_) == 0;
}

bool pull_is(const struct pull *pull, const struct local_image *image)
{
    return digest_equal(&pull->manifest, &image->manifest) &&
           strcmp(pull->name, image->name) == 0 && is_same_namespace(pull, image->keep);
}

static void pull_free(struct local *local, struct pull *pull)
{
    local->options.registry->unref(pull->repo);
    oci_manifest_free(pull->content);
    free(pull->namespace_);
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
    pull->namespace_ = image->keep == NULL ? NULL : text_copy(image->keep->namespace_);
    if (pull->name == NULL || (pull->namespace_ == NULL && image->keep != NULL)) {
        free(pull->namespace_);
        free(pull->name);
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

int job_open_feed_locked(struct local *local, struct job *job, struct err *err)
{
    uint64_t layer_bytes = 0;
    int rc = job->feed.is_open ? 0 : find_size(job->pull, &job->layer, &layer_bytes, err);

    if (rc == 0 && !job->feed.is_open)
        feed_open_locked(local, job, layer_bytes, false);
    return rc;
}

int job_new_locked(struct local *local, const struct local_image *image, const struct digest *layer,
                   struct job **ret)
{
    struct job *job = calloc(1, sizeof(*job));
    struct err ignored = ERR_NONE;

    if (job == NULL)
        return -ENOMEM;
    job->pull = pull_find_locked(local, image);
    if (job->pull == NULL)
        job->pull = pull_new(local, image);
    if (job->pull == NULL) {
        free(job);
        return -ENOMEM;
    }
    if (image->keep != NULL && image->keep->lease != NULL)
        job->lease = text_copy(image->keep->lease); /* NULL: the keeper makes one */
    job->pull->users++;
    job->pull->asked_ms = clock_mono_ms();
    job->layer = *layer;
    job->sync_later = image->sync_later;
    job->state = JOB_QUEUED;
    feed_init(&job->feed);
    if (job->pull->content != NULL)
        (void)!job_open_feed_locked(local, job, &ignored); /* told when it is run */
    TAILQ_INSERT_TAIL(&local->jobs, job, link);
    local->job_count++;
    workers_wake_locked(local);
    *ret = job;
    return 0;
}

void job_cancel_locked(struct local *local, struct job *job)
{
    atomic_store(&job->cancelled, true);
    (void)pthread_cond_broadcast(&local->arrived);
    if (job->state != JOB_RUNNING)
        (void)pthread_cond_broadcast(&local->work); /* somebody must remove it */
}

bool job_is_idle(struct local *local, struct job *job)
{
    LOCKED(&local->lock);

    if (job->taken || clock_mono_ms() - job->pull->asked_ms < local->options.idle_ms)
        return false;
    job_cancel_locked(local, job); /* so that nobody takes it from here on */
    return true;
}

void job_unlink_locked(struct local *local, struct job *job)
{
    TAILQ_REMOVE(&local->jobs, job, link);
    local->job_count--;
}

void job_free(struct local *local, struct job *job)
{
    feed_close(local, job);
    pull_unref(local, job->pull);
    local_layer_free(job->result);
    free(job->lease);
    free(job);
}
