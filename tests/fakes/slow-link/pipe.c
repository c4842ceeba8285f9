/* SPDX-License-Identifier: Apache-2.0 */
/* pipe.c – a queue of chunks, each with the moment at which it arrives. */
#include "pipe.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct pipe_chunk {
    struct pipe_chunk *next;
    int64_t arrives_ns;
    size_t off; /* written so far */
    size_t len; /* 0: the end of file */
    uint8_t data[];
};

void pipe_init(struct pipe *pipe, struct link *link, int from, int to, int64_t open_ns)
{
    *pipe = (struct pipe){.link = link, .from = from, .to = to, .open_ns = open_ns};
    pipe->tail = &pipe->head;
}

static void drop_head(struct pipe *pipe)
{
    struct pipe_chunk *chunk = pipe->head;

    pipe->head = chunk->next;
    if (pipe->head == NULL)
        pipe->tail = &pipe->head;
    pipe->queued_bytes -= chunk->len;
    free(chunk);
}

void pipe_fini(struct pipe *pipe)
{
    while (pipe->head != NULL)
        drop_head(pipe);
}

static bool wants_more(const struct pipe *pipe)
{
    return pipe->can_read && !pipe->ended && pipe->queued_bytes < PIPE_WINDOW_BYTES;
}

int pipe_pull(struct pipe *pipe, int64_t now_ns)
{
    struct pipe_chunk *chunk = NULL;
    ssize_t n;

    if (!wants_more(pipe) || now_ns < pipe->open_ns || !link_is_open(pipe->link, now_ns))
        return 0;
    chunk = malloc(sizeof(*chunk) + PIPE_CHUNK_BYTES);
    if (chunk == NULL)
        return -ENOMEM;
    do {
        n = recv(pipe->from, chunk->data, PIPE_CHUNK_BYTES, 0);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        int rc = errno == EAGAIN ? 0 : -errno;
        free(chunk);
        pipe->can_read = false;
        return rc;
    }
    chunk->next = NULL;
    chunk->off = 0;
    chunk->len = (size_t)n;
    chunk->arrives_ns = link_send(pipe->link, chunk->len, now_ns);
    pipe->queued_bytes += chunk->len;
    pipe->ended = n == 0;
    *pipe->tail = chunk;
    pipe->tail = &chunk->next;
    return 1;
}

int pipe_push(struct pipe *pipe, int64_t now_ns)
{
    while (pipe->can_write && pipe->head != NULL && pipe->head->arrives_ns <= now_ns) {
        struct pipe_chunk *chunk = pipe->head;

        if (chunk->len == 0) {
            pipe->done = true;
            drop_head(pipe);
            /* The receiver may have gone first: then there is nobody left to tell. */
            return shutdown(pipe->to, SHUT_WR) < 0 && errno != ENOTCONN ? -errno : 0;
        }
        ssize_t n = send(pipe->to, chunk->data + chunk->off, chunk->len - chunk->off, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno != EAGAIN)
            return -errno;
        if (n < 0) {
            pipe->can_write = false;
            return 0;
        }
        chunk->off += (size_t)n;
        if (chunk->off == chunk->len)
            drop_head(pipe);
    }
    return 0;
}

int64_t pipe_next_ns(const struct pipe *pipe)
{
    int64_t next_ns = PIPE_NEVER;

    if (pipe->head != NULL && pipe->can_write)
        next_ns = pipe->head->arrives_ns;
    if (wants_more(pipe)) {
        int64_t opens_ns = link_opens_ns(pipe->link);
        if (opens_ns < pipe->open_ns)
            opens_ns = pipe->open_ns;
        if (opens_ns < next_ns)
            next_ns = opens_ns;
    }
    return next_ns;
}
