/* SPDX-License-Identifier: Apache-2.0 */
/* server.h – what the loop (server.c) and its sockets (link.c) share; all of it on the loop thread
 * but where it says otherwise. */
#ifndef GRPC_SERVER_H
#define GRPC_SERVER_H

#include "internal.h"

enum {
    GRPC_INPUT_BYTES = 64 * 1024,
    GRPC_LISTENERS_MAX = 8,
};

enum grpc_watch_kind { GRPC_WATCH_WAKE, GRPC_WATCH_LISTENER, GRPC_WATCH_LINK };

struct grpc_watch {
    enum grpc_watch_kind kind;
    int fd;
    uint32_t events; /* what epoll was told */
};

/* A connection's socket. */
struct grpc_link {
    struct grpc_watch watch; /* first: epoll's pointer is to it */
    struct grpc_conn *conn;
    struct buf out; /* being sent, from out_sent on */
    size_t out_sent;
    int64_t blocked_ms;      /* since when the socket takes nothing; 0: it does */
    int64_t linger_until_ms; /* all was said, the peer's end is awaited; 0: not so far */
    bool is_dead;
    struct grpc_link *next;
};

struct grpc_server {
    struct grpc_shared shared; /* fixed, but for held_bytes */
    struct grpc_workers *workers;
    size_t max_connections; /* fixed */
    int64_t stop_grace_ms;  /* fixed */
    int epoll_fd;
    struct grpc_watch wake; /* an eventfd: news, or stop */
    atomic_bool stop;

    /* The loop's alone. */
    struct grpc_watch listeners[GRPC_LISTENERS_MAX];
    size_t listener_count;
    bool is_accepting;
    int64_t accept_again_ms; /* 0: as soon as there is room */
    struct grpc_link *links;
    size_t link_count;
    uint8_t *input;
    int64_t now_ms;
    int64_t stop_by_ms; /* INT64_MAX: not stopping */

    pthread_mutex_t lock;
    struct grpc_call *news; /* lock; newest first; each ref'd */
};

/* ---- link.c ---------------------------------------------------------------------------------- */

MUST_CHECK int grpc_watch_add(struct grpc_server *server, struct grpc_watch *watch,
                              uint32_t events);
void grpc_set_accepting(struct grpc_server *server, bool is_accepting);
void grpc_accept_some(struct grpc_server *server, int listener);
void grpc_link_read(struct grpc_server *server, struct grpc_link *link);
/* Write what can be written, close what is dead. Returns the moment at which that is wanted again.
 */
int64_t grpc_links_settle(struct grpc_server *server);
void grpc_link_free(struct grpc_link *link);

#endif
