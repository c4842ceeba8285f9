/* SPDX-License-Identifier: Apache-2.0 */
/* download.c – a blob in order, by ranges: while one is being unpacked, the next is on its way. */
#include "local/internal.h"

#include "base/clock.h"

#include <errno.h>
#include <stdlib.h>

enum { CHUNKS = 2 };
enum { CANCEL_POLL_MS = 200 };
/* A registry that does worse than this is left to containerd. */
enum { CHUNK_BUDGET_MS = 300 * 1000, CHUNK_WAIT_MS = 10 * 1000 };
enum {
    PIECE_BYTES = 256 * 1024
}; /* between two looks at whether to go on: little input can be much output */

struct chunk {
    struct registry_fetch fetch; /* first */
    struct download_state *download;
    uint8_t *buf;   /* fixed at creation */
    bool under_way; /* lock */
    bool settled;   /* lock */
    int rc;         /* lock */
    struct err err; /* lock */
};

struct download_state {
    const struct download_options *options;
    struct registry_blob *blob;
    uint64_t next_off; /* of what to ask for next */
    pthread_mutex_t lock;
    pthread_cond_t arrived;
    struct chunk chunks[CHUNKS]; /* used in turn */
};

static void on_done(struct registry_fetch *fetch, int rc, const struct err *err)
{
    struct chunk *chunk = (struct chunk *)fetch;
    LOCKED(&chunk->download->lock);

    chunk->rc = rc;
    if (rc < 0 && err != NULL)
        chunk->err = *err;
    chunk->settled = true;
    (void)pthread_cond_signal(&chunk->download->arrived);
}

/* Ask for the next range with this chunk, if there is one. */
static int ask(struct download_state *d, struct chunk *chunk, struct err *err)
{
    uint64_t left = d->options->layer_bytes - d->next_off;
    size_t len = left < d->options->chunk_bytes ? (size_t)left : d->options->chunk_bytes;
    int rc;

    if (len == 0)
        return 0;
    chunk->fetch = (struct registry_fetch){.off = d->next_off,
                                           .len = len,
                                           .buf = chunk->buf,
                                           .from_origin = d->options->from_origin,
                                           .budget_ms = CHUNK_BUDGET_MS,
                                           .longest_wait_ms = CHUNK_WAIT_MS,
                                           .done = on_done};
    chunk->settled = false;
    rc = d->options->registry->blob_fetch(d->blob, &chunk->fetch, err);
    if (rc < 0)
        return rc;
    chunk->under_way = true;
    d->next_off += len;
    return 0;
}

static bool is_cancelled(const struct download_state *d)
{
    return atomic_load(d->options->cancelled);
}

static int await(struct download_state *d, struct chunk *chunk, struct err *err)
{
    LOCKED(&d->lock);

    while (!chunk->settled && !is_cancelled(d))
        (void)clock_cond_wait_until(&d->arrived, &d->lock, clock_mono_ms() + CANCEL_POLL_MS);
    if (!chunk->settled)
        return err_set(err, -ECANCELED, "nobody wants it any more");
    chunk->under_way = false;
    if (chunk->rc < 0 && err != NULL)
        *err = chunk->err;
    return chunk->rc;
}

static int pass_on(struct download_state *d, struct bytes bytes, struct err *err)
{
    int rc = 0;

    while (bytes.len > 0 && rc == 0) {
        size_t len = bytes.len < PIECE_BYTES ? bytes.len : PIECE_BYTES;

        if (is_cancelled(d))
            return err_set(err, -ECANCELED, "nobody wants it any more");
        rc = d->options->write(d->options->arg, bytes_of(bytes.data, len), err);
        bytes = bytes_of(bytes.data + len, bytes.len - len);
    }
    return rc;
}

static int run(struct download_state *d, struct err *err)
{
    int rc = 0;

    for (size_t i = 0; i < CHUNKS && rc == 0; i++)
        rc = ask(d, &d->chunks[i], err);
    for (size_t i = 0; rc == 0 && d->chunks[i].under_way; i = (i + 1) % CHUNKS) {
        struct chunk *chunk = &d->chunks[i];

        rc = await(d, chunk, err);
        if (rc == 0)
            rc = pass_on(d, bytes_of(chunk->buf, chunk->fetch.len), err);
        if (rc == 0)
            rc = ask(d, chunk, err);
    }
    return rc;
}

static int alloc_chunks(struct download_state *d, struct err *err)
{
    const struct download_options *o = d->options;
    size_t len = o->layer_bytes < o->chunk_bytes ? (size_t)o->layer_bytes : o->chunk_bytes;

    for (size_t i = 0; i < CHUNKS; i++) {
        d->chunks[i].download = d;
        d->chunks[i].buf = malloc(len == 0 ? 1 : len);
        if (d->chunks[i].buf == NULL)
            return err_set(err, -ENOMEM, "out of memory");
    }
    return 0;
}

int download(const struct download_options *options, struct err *err)
{
    struct download_state d = {.options = options};
    int rc = clock_cond_init(&d.arrived);

    if (rc < 0)
        return err_set(err, rc, "out of memory");
    (void)pthread_mutex_init(&d.lock, NULL);
    rc = alloc_chunks(&d, err);
    if (rc == 0)
        rc = options->registry->blob_open(options->repo, &options->layer, options->layer_bytes,
                                          &d.blob, err);
    if (rc == 0)
        rc = run(&d, err);
    if (d.blob != NULL)
        options->registry->blob_close(d.blob); /* what is under way is settled after this */
    for (size_t i = 0; i < CHUNKS; i++)
        free(d.chunks[i].buf);
    (void)pthread_cond_destroy(&d.arrived);
    (void)pthread_mutex_destroy(&d.lock);
    return rc;
}
