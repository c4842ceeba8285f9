/* SPDX-License-Identifier: Apache-2.0 */
/* local.c – beginning layers, and the whole. */
#include "local/internal.h"

#include "base/clock.h"
#include "base/files.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* While some wait for bytes the others use the processors. */
enum { LOCAL_UNPACKS_LEAST = 4, LOCAL_UNPACKS_MAX = 16 };
/* Enough for connections whose windows are small compared with what the link holds. */
enum { LOCAL_GETS_PER_IMAGE = 16 };
enum { LOCAL_CHUNK_BYTES = 2 * 1024 * 1024, LOCAL_CHUNK_MAX_BYTES = 16 * 1024 * 1024 };
enum { LOCAL_MEMORY_BYTES = 64 * 1024 * 1024 };
enum { LOCAL_SLOTS_LEAST = 4 };
#define LOCAL_KEEP_MS (5 * 60 * 1000)
#define LOCAL_IDLE_MS 60000
enum { LOCAL_JOBS_MAX = 64 }; /* begun without being asked for */

static const struct local_registry real_registry = {
    .get_manifest = registry_get_manifest,
    .blob_open = registry_blob_open,
    .blob_fetch = registry_blob_fetch,
    .blob_resume = registry_fetch_resume,
    .blob_close = registry_blob_close,
    .ref = registry_repo_ref,
    .unref = registry_repo_unref,
};

/* ---- beginning ------------------------------------------------------------------------------- */

static size_t count_in(const struct digest *layers, size_t count, const struct digest *layer)
{
    size_t found = 0;

    for (size_t i = 0; i < count; i++)
        found += digest_equal(&layers[i], layer);
    return found;
}

static size_t count_jobs_locked(struct local *local, const struct local_image *image,
                                const struct digest *layer)
{
    const struct job *job;
    size_t found = 0;

    TAILQ_FOREACH(job, &local->jobs, link)
    {
        found += pull_is(job->pull, image) && digest_equal(&job->layer, layer) &&
                 !atomic_load(&job->cancelled);
    }
    return found;
}

/* An image may have the same layer several times; each of them is a directory of its own. */
void local_begin(struct local *local, const struct local_image *image, const struct digest *layers,
                 size_t count)
{
    struct pull *pull;
    LOCKED(&local->lock);

    pull = pull_find_locked(local, image);
    if (pull != NULL)
        pull->asked_ms = clock_mono_ms();
    for (size_t i = 0; i < count && !local->stopping; i++) {
        struct job *job;

        if (count_jobs_locked(local, image, &layers[i]) >= count_in(layers, i + 1, &layers[i]))
            continue;
        /* Out of memory: it is begun when it is asked for. */
        if (local->job_count >= LOCAL_JOBS_MAX ||
            job_new_locked(local, image, &layers[i], &job) < 0)
            return;
    }
}

/* ---- the whole ------------------------------------------------------------------------------- */

static size_t or_else(size_t value, size_t otherwise)
{
    return value == 0 ? otherwise : value;
}

static size_t at_most(size_t value, size_t most)
{
    return value < most ? value : most;
}

static size_t default_unpacks(void)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);

    return processors < LOCAL_UNPACKS_LEAST ? LOCAL_UNPACKS_LEAST : (size_t)processors;
}

static void set_options(struct local *local, const struct local_options *options)
{
    struct local_options *o = &local->options;

    *o = *options;
    o->dir = NULL;
    if (options->registry == NULL)
        o->registry = &real_registry;
    o->gets = or_else(options->gets, SIZE_MAX);
    o->gets_per_image = or_else(options->gets_per_image, LOCAL_GETS_PER_IMAGE);
    o->chunk_bytes =
        at_most(or_else(options->chunk_bytes, LOCAL_CHUNK_BYTES), LOCAL_CHUNK_MAX_BYTES);
    o->memory_bytes = or_else(options->memory_bytes, LOCAL_MEMORY_BYTES);
    local->slot_count = or_else(o->memory_bytes / o->chunk_bytes, LOCAL_SLOTS_LEAST);
    if (local->slot_count < LOCAL_SLOTS_LEAST)
        local->slot_count = LOCAL_SLOTS_LEAST;
    o->unpacks = at_most(or_else(options->unpacks, default_unpacks()), LOCAL_UNPACKS_MAX);
    o->unpacks = at_most(o->unpacks, local->slot_count / 2);
    o->unpacks_per_image = or_else(options->unpacks_per_image, o->unpacks);
    local->reserve = o->unpacks;
    if (options->keep_ms == 0)
        o->keep_ms = LOCAL_KEEP_MS;
    if (options->idle_ms == 0)
        o->idle_ms = LOCAL_IDLE_MS;
}

static int init(struct local *local, const char *dir, struct err *err)
{
    int rc;

    local->dir = text_copy(dir);
    local->threads = calloc(local->options.unpacks, sizeof(*local->threads));
    local->spare = calloc(local->slot_count, sizeof(*local->spare));
    if (local->dir == NULL || local->threads == NULL || local->spare == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    rc = dir_remove_all(dir, err);
    if (rc == 0)
        rc = dir_make_all(dir, 0700, err);
    if (rc == 0)
        rc = workers_start(local, err);
    return rc < 0 ? rc : fetcher_start(local, err);
}

static int init_conds(struct local *local)
{
    pthread_cond_t *const conds[] = {&local->work, &local->settled, &local->room, &local->arrived};
    size_t i = 0;

    while (i < ARRAY_LEN(conds) && clock_cond_init(conds[i]) == 0)
        i++;
    if (i == ARRAY_LEN(conds))
        return 0;
    while (i > 0)
        (void)pthread_cond_destroy(conds[--i]);
    return -ENOMEM;
}

int local_new(const struct local_options *options, struct local **ret, struct err *err)
{
    struct local *local = calloc(1, sizeof(*local));
    int rc;

    if (local == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    set_options(local, options);
    TAILQ_INIT(&local->jobs);
    (void)pthread_mutex_init(&local->lock, NULL);
    if (init_conds(local) < 0) {
        free(local);
        return err_set(err, -ENOMEM, "out of memory");
    }
    rc = init(local, options->dir, err);
    if (rc < 0) {
        local_free(local);
        return err_prefix(err, rc, "unpacked layers");
    }
    *ret = local;
    return 0;
}

void local_stop(struct local *local)
{
    struct job *job;
    LOCKED(&local->lock);

    local->stopping = true;
    TAILQ_FOREACH(job, &local->jobs, link)
    {
        job_cancel_locked(local, job);
    }
    (void)pthread_cond_broadcast(&local->room);
    (void)pthread_cond_broadcast(&local->work);
    (void)pthread_cond_broadcast(&local->settled);
}

void local_free(struct local *local)
{
    struct job *job;

    if (local == NULL)
        return;
    local_stop(local);
    workers_join(local);
    fetcher_join(local);
    while ((job = TAILQ_FIRST(&local->jobs)) != NULL) {
        job_unlink_locked(local, job);
        job_free(local, job);
    }
    slots_free(local);
    (void)pthread_cond_destroy(&local->work);
    (void)pthread_cond_destroy(&local->settled);
    (void)pthread_cond_destroy(&local->room);
    (void)pthread_cond_destroy(&local->arrived);
    (void)pthread_mutex_destroy(&local->lock);
    free(local->threads);
    free(local->spare);
    free(local->dir);
    free(local);
}
