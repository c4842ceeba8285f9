/* SPDX-License-Identifier: Apache-2.0 */
/* stream.c – a layer of a registry that ignores ranges: it comes as a whole, by one request, and is
 * cut into chunks here as it comes. Without memory for another chunk the request waits, until one
 * is unpacked. */
#include "local/internal.h"

#include <errno.h>
#include <string.h>

enum { STREAM_WAIT_MS = 10 * 1000 }; /* between attempts */

/* ---- what comes, in the network's thread ----------------------------------------------------- */

/* The last chunk while there is room in it, else a new one. NULL: no memory for that. */
static struct chunk *filling_locked(struct local *local, struct job *job)
{
    struct chunk *last = TAILQ_LAST(&job->feed.chunks, chunk_list);

    if (last != NULL && !last->settled)
        return last;
    return slots_have_locked(local, job) ? feed_add_chunk_locked(local, job, 0) : NULL;
}

static size_t fill_locked(struct local *local, struct feed *feed, struct chunk *chunk,
                          struct bytes bytes)
{
    struct registry_fetch *part = &chunk->fetch;
    size_t room = local->options.chunk_bytes - part->len;
    size_t len = bytes.len < room ? bytes.len : room;

    memcpy(part->buf + part->len, bytes.data, len);
    part->len += len;
    feed->asked_bytes += len;
    if (part->len == local->options.chunk_bytes || feed->asked_bytes == feed->size_bytes) {
        chunk->settled = true;
        (void)pthread_cond_broadcast(&local->arrived);
    }
    return len;
}

static size_t on_bytes(struct registry_fetch *fetch, struct bytes bytes)
{
    struct stream *stream = (struct stream *)fetch;
    struct local *local = stream->local;
    struct chunk *chunk;
    size_t taken = 0;
    LOCKED(&local->lock);

    while (taken < bytes.len && (chunk = filling_locked(local, stream->job)) != NULL)
        taken += fill_locked(local, &stream->job->feed, chunk,
                             bytes_of(bytes.data + taken, bytes.len - taken));
    stream->no_room = taken < bytes.len;
    return taken;
}

static void end_locked(struct local *local, struct job *job, int rc, const struct err *err)
{
    struct feed *feed = &job->feed;
    struct chunk *last = TAILQ_LAST(&feed->chunks, chunk_list);

    feed->stream.no_room = false;
    job->pull->gets--;
    local->gets--;
    if (rc < 0 && feed->rc == 0) {
        feed->rc = rc;
        feed->err = *err;
    }
    if (rc < 0 && last != NULL && !last->settled) {
        last->settled = true;
        last->rc = rc;
        last->err = *err;
    }
    (void)pthread_cond_broadcast(&local->arrived);
    (void)pthread_cond_signal(&local->room);
}

static void on_done(struct registry_fetch *fetch, int rc, const struct err *err)
{
    struct stream *stream = (struct stream *)fetch;
    LOCKED(&stream->local->lock);

    end_locked(stream->local, stream->job, rc, err);
}

/* ---- asking, in the fetcher's ---------------------------------------------------------------- */

bool stream_can_go_on_locked(const struct local *local, const struct job *job)
{
    const struct feed *feed = &job->feed;

    if (!feed->is_open || feed->rc < 0 || atomic_load(&job->cancelled) ||
        !slots_have_locked(local, job))
        return false;
    if (feed->stream.begun)
        return feed->stream.no_room;
    return local->gets < local->options.gets && job->pull->gets < local->options.gets_per_image;
}

static void begin_locked(struct local *local, struct job *job)
{
    struct feed *feed = &job->feed;

    feed->stream.local = local;
    feed->stream.job = job;
    feed->stream.begun = true;
    feed->stream.fetch = (struct registry_fetch){.len = (size_t)feed->size_bytes,
                                                 .from_origin = feed->from_origin,
                                                 .longest_wait_ms = STREAM_WAIT_MS,
                                                 .take = on_bytes,
                                                 .done = on_done};
    job->pull->gets++;
    local->gets++;
}

static int begin(struct local *local, struct job *job, struct err *err)
{
    int rc = feed_open_blob(local, job, err);

    return rc < 0
               ? rc
               : local->options.registry->blob_fetch(job->feed.blob, &job->feed.stream.fetch, err);
}

/* The feed cannot be closed while `asking`. */
void stream_go_on_locked(struct local *local, struct job *job)
{
    struct feed *feed = &job->feed;
    bool is_new = !feed->stream.begun;
    struct err err = ERR_NONE;
    int rc = 0;

    if (is_new)
        begin_locked(local, job);
    feed->stream.no_room = false;
    feed->asking = true;
    (void)pthread_mutex_unlock(&local->lock);
    if (is_new)
        rc = begin(local, job, &err);
    else
        local->options.registry->blob_resume(feed->blob, &feed->stream.fetch);
    (void)pthread_mutex_lock(&local->lock);
    feed->asking = false;
    if (rc < 0)
        end_locked(local, job, rc, &err); /* nobody else will */
    if (!feed->is_open)
        (void)pthread_cond_broadcast(&local->arrived);
}
