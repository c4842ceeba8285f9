/* SPDX-License-Identifier: Apache-2.0 */
/* pipe.h – one direction of one connection: bytes read from a socket, on their way through a line,
 * to be written to another socket when they arrive. One thread; sockets are non-blocking and
 * borrowed. */
#ifndef SLOW_LINK_PIPE_H
#define SLOW_LINK_PIPE_H

#include "base/attr.h"
#include "link.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PIPE_CHUNK_BYTES = 16 * 1024 };
/* What may be on its way at once, as a TCP window. 1 MiB is twice what 100 Mbit/s and 40 ms hold.
 */
enum { PIPE_WINDOW_BYTES = 1024 * 1024 };

struct pipe_chunk;

struct pipe {
    struct link *link;
    int from;
    int to;
    int64_t open_ns; /* nothing is sent before: the handshake of the connection */
    bool can_read;   /* set by whoever polls the sockets, cleared when one would block */
    bool can_write;
    bool ended; /* the sender has closed; its end of file is on its way too */
    bool done;  /* and has arrived */
    size_t queued_bytes;
    struct pipe_chunk *head;
    struct pipe_chunk **tail;
};

#define PIPE_NEVER INT64_MAX

void pipe_init(struct pipe *pipe, struct link *link, int from, int to, int64_t open_ns);
void pipe_fini(struct pipe *pipe); /* drops what has not arrived */

/* Read one chunk if the sender has something and the line takes it: 1 read, 0 not now, or a
 * negative errno (the connection is broken). */
MUST_CHECK int pipe_pull(struct pipe *pipe, int64_t now_ns);
/* Write all that has arrived: 0, or a negative errno. */
MUST_CHECK int pipe_push(struct pipe *pipe, int64_t now_ns);
/* When it is worth calling pull or push again though no socket changed; PIPE_NEVER: only then. */
int64_t pipe_next_ns(const struct pipe *pipe);

#endif
