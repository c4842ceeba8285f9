/* SPDX-License-Identifier: Apache-2.0 */
/* fetcher.c – the thread that asks for ranges of layers: those of layers that somebody waits for
 * first, then in the order in which the layers were asked for, as many at once as the limits allow.
 * All of it is asked here and in the order of each layer, so that whoever unpacks one always has,
 * or gets, the range that comes next. */
#include "local/internal.h"

#include <errno.h>

/* A registry that does worse than this is left to containerd. */
enum { CHUNK_BUDGET_MS = 300 * 1000, CHUNK_WAIT_MS = 10 * 1000 };

/* ---- what to ask for next -------------------------------------------------------------------- */

static bool can_ask_locked(const struct local *local, const struct job *job)
{
    const struct feed *feed = &job->feed;

    if (feed->in_one)
        return stream_can_go_on_locked(local, job);
    return feed->is_open && feed->rc == 0 && feed->asked_bytes < feed->size_bytes &&
           !atomic_load(&job->cancelled) && local->gets < local->options.gets &&
           job->pull->gets < local->options.gets_per_image && slots_have_locked(local, job);
}

static struct job *next_locked(const struct local *local)
{
    struct job *job, *found = NULL;

    TAILQ_FOREACH(job, &local->jobs, link)
    {
        if ((found != NULL && !job->taken) || !can_ask_locked(local, job))
            continue;
        found = job;
        if (job->taken)
            break;
    }
    return found;
}

/* ---- asking ---------------------------------------------------------------------------------- */

static void settle_locked(struct chunk *chunk, int rc, const struct err *err)
{
    struct local *local = chunk->local;

    chunk->rc = rc;
    if (rc < 0 && err != NULL)
        chunk->err = *err;
    if (rc == -EOPNOTSUPP)
        chunk->job->pull->ignores_ranges = true;
    chunk->settled = true;
    chunk->job->pull->gets--;
    local->gets--;
    (void)pthread_cond_broadcast(&local->arrived);
    (void)pthread_cond_signal(&local->room);
}

static void on_done(struct registry_fetch *fetch, int rc, const struct err *err)
{
    struct chunk *chunk = (struct chunk *)fetch;
    LOCKED(&chunk->local->lock);

    settle_locked(chunk, rc, err);
}

static struct chunk *chunk_new_locked(struct local *local, struct job *job)
{
    struct feed *feed = &job->feed;
    uint64_t left = feed->size_bytes - feed->asked_bytes;
    size_t len = left < local->options.chunk_bytes ? (size_t)left : local->options.chunk_bytes;
    struct chunk *chunk = feed_add_chunk_locked(local, job, len);

    if (chunk == NULL)
        return NULL;
    chunk->fetch.from_origin = feed->from_origin;
    chunk->fetch.ranges_only = true;
    chunk->fetch.budget_ms = CHUNK_BUDGET_MS;
    chunk->fetch.longest_wait_ms = CHUNK_WAIT_MS;
    chunk->fetch.done = on_done;
    feed->asked_bytes += len;
    job->pull->gets++;
    local->gets++;
    return chunk;
}

/* The feed cannot be closed meanwhile. */
static int ask(struct local *local, struct job *job, struct chunk *chunk, struct err *err)
{
    int rc = feed_open_blob(local, job, err);

    return rc < 0 ? rc : local->options.registry->blob_fetch(job->feed.blob, &chunk->fetch, err);
}

static void ask_locked(struct local *local, struct job *job)
{
    struct chunk *chunk = chunk_new_locked(local, job);
    struct err err = ERR_NONE;
    int rc;

    if (chunk == NULL)
        return;
    job->feed.asking = true;
    (void)pthread_mutex_unlock(&local->lock);
    rc = ask(local, job, chunk, &err);
    (void)pthread_mutex_lock(&local->lock);
    job->feed.asking = false;
    if (rc < 0)
        settle_locked(chunk, rc, &err); /* nobody else will */
    if (!job->feed.is_open)
        (void)pthread_cond_broadcast(&local->arrived);
}

/* ---- the thread ------------------------------------------------------------------------------ */

static void *fetcher_main(void *arg)
{
    struct local *local = arg;
    LOCKED(&local->lock);

    while (!local->stopping) {
        struct job *job = next_locked(local);

        if (job != NULL && job->feed.in_one)
            stream_go_on_locked(local, job);
        else if (job != NULL)
            ask_locked(local, job);
        else
            (void)pthread_cond_wait(&local->room, &local->lock);
    }
    return NULL;
}

int fetcher_start(struct local *local, struct err *err)
{
    int rc = thread_start(&local->fetcher, "local-fetch", fetcher_main, local);

    local->has_fetcher = rc == 0;
    return rc < 0 ? err_sys(err, rc, "thread") : 0;
}

void fetcher_join(struct local *local)
{
    if (local->has_fetcher)
        (void)pthread_join(local->fetcher, NULL);
    local->has_fetcher = false;
}
