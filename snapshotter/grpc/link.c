/* SPDX-License-Identifier: Apache-2.0 */
/* link.c – the server's sockets: accepting, reading, writing, and giving up on those that take
 * nothing. */
#include "server.h"

#include "base/log.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum {
    OUTPUT_BYTES = 64 * 1024,
    ACCEPTS_AT_ONCE = 16,
    LINGER_MS = 300,
    ACCEPT_PAUSE_MS = 100, /* when the process has no descriptor left */
};

static int grpc_watch_for(struct grpc_server *server, struct grpc_watch *watch, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = watch};

    if (watch->events == events)
        return 0;
    if (epoll_ctl(server->epoll_fd, EPOLL_CTL_MOD, watch->fd, &event) < 0)
        return -errno;
    watch->events = events;
    return 0;
}

int grpc_watch_add(struct grpc_server *server, struct grpc_watch *watch, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = watch};

    watch->events = events;
    return epoll_ctl(server->epoll_fd, EPOLL_CTL_ADD, watch->fd, &event) < 0 ? -errno : 0;
}

void grpc_set_accepting(struct grpc_server *server, bool is_accepting)
{
    size_t i;

    if (server->is_accepting == is_accepting)
        return;
    server->is_accepting = is_accepting;
    for (i = 0; i < server->listener_count; i++)
        (void)grpc_watch_for(server, &server->listeners[i], is_accepting ? EPOLLIN : 0);
}

void grpc_link_free(struct grpc_link *link)
{
    grpc_conn_free(link->conn);
    buf_fini(&link->out);
    if (link->watch.fd >= 0)
        (void)close(link->watch.fd);
    free(link);
}

/* The descriptor is the link's from here on, also on failure. */
static int add_link(struct grpc_server *server, int fd, struct err *err)
{
    struct grpc_link *link = calloc(1, sizeof(*link));
    int rc;

    if (link == NULL) {
        (void)close(fd);
        return err_set(err, -ENOMEM, "out of memory");
    }
    link->watch.kind = GRPC_WATCH_LINK;
    link->watch.fd = fd;
    rc = grpc_conn_new(&server->shared, &link->conn, err);
    if (rc == 0 && (rc = grpc_watch_add(server, &link->watch, EPOLLIN)) < 0)
        (void)err_sys(err, rc, "epoll");
    if (rc < 0) {
        grpc_link_free(link);
        return rc;
    }
    link->next = server->links;
    server->links = link;
    server->link_count++;
    return 0;
}

void grpc_accept_some(struct grpc_server *server, int listener)
{
    struct err err = ERR_NONE;
    int i;

    for (i = 0; i < ACCEPTS_AT_ONCE && server->link_count < server->max_connections; i++) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd >= 0) {
            if (add_link(server, fd, &err) < 0)
                log_warn("cannot serve a connection, closed it", "err=%s", err_text(&err));
        } else if (errno == EAGAIN) {
            return;
        } else if (errno != EINTR && errno != ECONNABORTED) {
            log_warn("cannot accept connections, pausing", "err=%s", strerror(errno));
            server->accept_again_ms = server->now_ms + ACCEPT_PAUSE_MS;
            grpc_set_accepting(server, false);
            return;
        }
    }
    if (server->link_count >= server->max_connections)
        grpc_set_accepting(server, false);
}

void grpc_link_read(struct grpc_server *server, struct grpc_link *link)
{
    struct err err = ERR_NONE;
    ssize_t len = recv(link->watch.fd, server->input, GRPC_INPUT_BYTES, 0);

    if (len < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (len <= 0) {
        link->is_dead = true;
    } else if (link->linger_until_ms != 0) {
        return; /* too late */
    } else if (grpc_conn_input(link->conn, bytes_of(server->input, (size_t)len), server->now_ms,
                               &err) < 0) {
        log_debug("closing a connection", "err=%s", err_text(&err));
        link->is_dead = true;
    }
}

/* Send until the socket or the connection has no more. */
static void write_link(struct grpc_server *server, struct grpc_link *link)
{
    while (!link->is_dead) {
        ssize_t len;

        if (link->out_sent == link->out.len) {
            link->out_sent = link->out.len = 0;
            if (grpc_conn_output(link->conn, OUTPUT_BYTES, server->now_ms, &link->out, NULL) < 0)
                link->is_dead = true;
            if (link->out.len == 0)
                return;
        }
        len = send(link->watch.fd, link->out.data + link->out_sent, link->out.len - link->out_sent,
                   MSG_NOSIGNAL | MSG_DONTWAIT);
        if (len > 0) {
            link->out_sent += (size_t)len;
            link->blocked_ms = 0;
        } else if (errno == EAGAIN) {
            if (link->blocked_ms == 0)
                link->blocked_ms = server->now_ms;
            return;
        } else if (errno != EINTR) {
            link->is_dead = true;
        }
    }
}

/* A client that is just writing when we close would take its error for the end, and not read what
 * we said last. So we only say that no more will come, and close when it does. Returns the moment
 * at which it has had time enough. */
static int64_t linger(struct grpc_server *server, struct grpc_link *link)
{
    if (link->linger_until_ms == 0) {
        link->linger_until_ms = server->now_ms + LINGER_MS;
        if (shutdown(link->watch.fd, SHUT_WR) < 0)
            link->is_dead = true;
    } else if (server->now_ms >= link->linger_until_ms) {
        link->is_dead = true;
    }
    return link->linger_until_ms;
}

static bool is_all_said(const struct grpc_server *server, const struct grpc_link *link)
{
    return grpc_conn_is_done(link->conn) ||
           (server->stop_by_ms != INT64_MAX && !grpc_conn_has_calls(link->conn));
}

/* Bring a link up to date. Returns the moment at which it wants that again; is_dead: it is to be
 * closed. */
static int64_t settle_link(struct grpc_server *server, struct grpc_link *link)
{
    int64_t again_ms, give_up_ms = INT64_MAX;
    uint32_t events;

    if (link->linger_until_ms != 0)
        return linger(server, link);
    again_ms = grpc_conn_expire(link->conn, server->now_ms);
    write_link(server, link);
    if (link->blocked_ms != 0) {
        give_up_ms = link->blocked_ms + server->shared.reply_stall_ms;
        if (server->now_ms >= give_up_ms)
            link->is_dead = true;
    } else if (grpc_conn_is_failed(link->conn)) {
        link->is_dead = true;
    } else if (!link->is_dead && is_all_said(server, link)) {
        give_up_ms = linger(server, link);
    }
    events = link->blocked_ms != 0 ? EPOLLOUT : 0;
    if (link->blocked_ms == 0 || !grpc_conn_is_behind(link->conn))
        events |= EPOLLIN;
    if (!link->is_dead && grpc_watch_for(server, &link->watch, events) < 0)
        link->is_dead = true;
    return again_ms < give_up_ms ? again_ms : give_up_ms;
}

int64_t grpc_links_settle(struct grpc_server *server)
{
    struct grpc_link **pos = &server->links;
    int64_t next_ms = INT64_MAX;

    while (*pos != NULL) {
        struct grpc_link *link = *pos;
        int64_t again_ms = settle_link(server, link);

        if (link->is_dead) {
            *pos = link->next;
            server->link_count--;
            grpc_link_free(link);
            continue;
        }
        if (again_ms < next_ms)
            next_ms = again_ms;
        pos = &link->next;
    }
    return next_ms;
}
