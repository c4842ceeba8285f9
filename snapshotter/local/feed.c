/* SPDX-License-Identifier: Apache-2.0 */
/* feed.c – the bytes of one layer: chunks that fetcher.c asks for come in any order and are handed
 * over in theirs. */
#include "local/internal.h"

#include "base/clock.h"

#include <errno.h>
#include <stdlib.h>

enum { LOOK_AGAIN_MS = 1000 };

void feed_init(struct feed *feed)
{
    *feed = (struct feed){.is_open = false};
    TAILQ_INIT(&feed->chunks);
}

void feed_open_locked(struct local *local, struct job *job, uint64_t size_bytes, bool from_origin)
{
    feed_init(&job->feed);
    job->feed.is_open = true;
    job->feed.size_bytes = size_bytes;
    job->feed.from_origin = from_origin;
    job->feed.in_one = job->pull->ignores_ranges && size_bytes > local->options.chunk_bytes;
    (void)pthread_cond_signal(&local->room);
}

int feed_open_blob(struct local *local, struct job *job, struct err *err)
{
    struct feed *feed = &job->feed;

    if (feed->blob != NULL)
        return 0;
    return local->options.registry->blob_open(job->pull->repo, &job->layer, feed->size_bytes,
                                              &feed->blob, err);
}

struct chunk *feed_add_chunk_locked(struct local *local, struct job *job, size_t len)
{
    struct feed *feed = &job->feed;
    struct chunk *chunk = calloc(1, sizeof(*chunk));
    void *slot = chunk == NULL ? NULL : slot_take_locked(local);

    if (slot == NULL) {
        free(chunk);
        feed->rc = err_set(&feed->err, -ENOMEM, "out of memory");
        (void)pthread_cond_broadcast(&local->arrived);
        return NULL;
    }
    chunk->local = local;
    chunk->job = job;
    chunk->fetch = (struct registry_fetch){.off = feed->asked_bytes, .len = len, .buf = slot};
    feed->held++;
    TAILQ_INSERT_TAIL(&feed->chunks, chunk, link);
    return chunk;
}

static void drop_locked(struct local *local, struct feed *feed, struct chunk *chunk)
{
    TAILQ_REMOVE(&feed->chunks, chunk, link);
    slot_put_locked(local, chunk->fetch.buf);
    feed->held--;
    free(chunk);
    (void)pthread_cond_signal(&local->room);
}

static struct registry_blob *stop_asking(struct local *local, struct feed *feed)
{
    LOCKED(&local->lock);

    feed->is_open = false;
    while (feed->asking)
        (void)pthread_cond_wait(&local->arrived, &local->lock);
    return TAKE(feed->blob);
}

void feed_close(struct local *local, struct job *job)
{
    struct feed *feed = &job->feed;
    struct registry_blob *blob = stop_asking(local, feed);
    struct chunk *chunk;

    if (blob != NULL)
        local->options.registry->blob_close(blob); /* all that was under way is settled after it */
    (void)pthread_mutex_lock(&local->lock);
    while ((chunk = TAILQ_FIRST(&feed->chunks)) != NULL)
        drop_locked(local, feed, chunk);
    (void)pthread_mutex_unlock(&local->lock);
}

static bool has_next_locked(const struct job *job)
{
    const struct feed *feed = &job->feed;
    const struct chunk *chunk = TAILQ_FIRST(&feed->chunks);

    return chunk != NULL ? chunk->settled : feed->rc < 0;
}

static void drop_last_locked(struct local *local, struct feed *feed)
{
    struct chunk *chunk = TAILQ_FIRST(&feed->chunks);

    if (chunk != NULL && feed->passed_on_bytes > chunk->fetch.off)
        drop_locked(local, feed, chunk);
}

int feed_next(struct local *local, struct job *job, struct bytes *ret, struct err *err)
{
    struct feed *feed = &job->feed;
    const struct chunk *chunk;
    LOCKED(&local->lock);

    drop_last_locked(local, feed);
    if (feed->passed_on_bytes == feed->size_bytes)
        return 0;
    while (!has_next_locked(job) && !atomic_load(&job->cancelled))
        (void)clock_cond_wait_until(&local->arrived, &local->lock, clock_mono_ms() + LOOK_AGAIN_MS);
    if (atomic_load(&job->cancelled))
        return err_set(err, -ECANCELED, "nobody wants it any more");
    chunk = TAILQ_FIRST(&feed->chunks);
    if (chunk == NULL || chunk->rc < 0) {
        if (err != NULL)
            *err = chunk == NULL ? feed->err : chunk->err;
        return chunk == NULL ? feed->rc : chunk->rc;
    }
    *ret = bytes_of(chunk->fetch.buf, chunk->fetch.len);
    feed->passed_on_bytes += chunk->fetch.len;
    return 1;
}
