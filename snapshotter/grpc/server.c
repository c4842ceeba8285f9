/* SPDX-License-Identifier: Apache-2.0 */
/* server.c – the loop: sockets, the connections behind them, news from the handlers. */
#include "internal.h"

#include "base/clock.h"
#include "base/log.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

enum {
    INPUT_BYTES = 64 * 1024,
    OUTPUT_BYTES = 64 * 1024,
    LISTENERS_MAX = 8,
    EVENTS_AT_ONCE = 64,
    ACCEPTS_AT_ONCE = 16,
    ACCEPT_PAUSE_MS = 100, /* when the process has no descriptor left */
};

enum watch_kind { WATCH_WAKE, WATCH_LISTENER, WATCH_LINK };

struct watch {
    enum watch_kind kind;
    int fd;
    uint32_t events; /* what epoll was told */
};

/* A connection's socket. */
struct link {
    struct watch watch; /* first: epoll's pointer is to it */
    struct grpc_conn *conn;
    struct buf out; /* being sent, from out_sent on */
    size_t out_sent;
    int64_t blocked_ms; /* since when the socket takes nothing; 0: it does */
    bool is_dead;
    struct link *next;
};

struct grpc_server {
    struct grpc_shared shared; /* fixed, but for held_bytes */
    struct grpc_workers *workers;
    size_t max_connections; /* fixed */
    int64_t stop_grace_ms;  /* fixed */
    int epoll_fd;
    struct watch wake; /* an eventfd: news, or stop */
    atomic_bool stop;

    /* The loop's alone. */
    struct watch listeners[LISTENERS_MAX];
    size_t listener_count;
    bool is_accepting;
    int64_t accept_again_ms; /* 0: as soon as there is room */
    struct link *links;
    size_t link_count;
    uint8_t *input;
    int64_t now_ms;
    int64_t stop_by_ms; /* INT64_MAX: not stopping */

    pthread_mutex_t lock;
    struct grpc_call *news; /* lock; newest first; each ref'd */
};

static int64_t or_default(int64_t value, int64_t if_zero)
{
    return value == 0 ? if_zero : value;
}

static void wake(struct grpc_server *server)
{
    uint64_t one = 1;
    ssize_t rc;

    do /* it fails only when the counter is full, and then the loop is awake */
        rc = write(server->wake.fd, &one, sizeof(one));
    while (rc < 0 && errno == EINTR);
}

/* ---- what calls want of the server
 * ------------------------------------------------------------------- */

static void run_call(struct pool_job *job)
{
    struct grpc_call *call =
        (struct grpc_call *)(void *)((char *)job - offsetof(struct grpc_call, job));

    grpc_call_run(call);
    grpc_call_unref(call);
}

static void start_call(void *host, struct grpc_call *call)
{
    struct grpc_server *server = host;

    call->job.run = run_call;
    grpc_workers_submit(server->workers, &call->job);
}

static void take_news(void *host, struct grpc_call *call)
{
    struct grpc_server *server = host;
    bool is_first;

    {
        LOCKED(&server->lock);

        if (call->has_news)
            return;
        call->has_news = true;
        is_first = server->news == NULL;
        call->next_news = server->news;
        server->news = grpc_call_ref(call);
    }
    if (is_first)
        wake(server);
}

/* One at a time: a call that is out of the list may be put in again at once. */
static struct grpc_call *next_news(struct grpc_server *server)
{
    struct grpc_call *call;
    LOCKED(&server->lock);

    call = server->news;
    if (call == NULL)
        return NULL;
    server->news = call->next_news;
    call->has_news = false;
    return call;
}

static void answer_news(struct grpc_server *server)
{
    struct grpc_call *call;

    while ((call = next_news(server)) != NULL) {
        if (call->conn != NULL)
            grpc_conn_answer(call->conn, call, server->now_ms);
        grpc_call_unref(call);
    }
}

/* ---- sockets
 * ----------------------------------------------------------------------------------------- */

static int watch_for(struct grpc_server *server, struct watch *watch, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = watch};

    if (watch->events == events)
        return 0;
    if (epoll_ctl(server->epoll_fd, EPOLL_CTL_MOD, watch->fd, &event) < 0)
        return -errno;
    watch->events = events;
    return 0;
}

static int watch_add(struct grpc_server *server, struct watch *watch, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = watch};

    watch->events = events;
    return epoll_ctl(server->epoll_fd, EPOLL_CTL_ADD, watch->fd, &event) < 0 ? -errno : 0;
}

static void set_accepting(struct grpc_server *server, bool is_accepting)
{
    size_t i;

    if (server->is_accepting == is_accepting)
        return;
    server->is_accepting = is_accepting;
    for (i = 0; i < server->listener_count; i++)
        (void)watch_for(server, &server->listeners[i], is_accepting ? EPOLLIN : 0);
}

static void link_free(struct link *link)
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
    struct link *link = calloc(1, sizeof(*link));
    int rc;

    if (link == NULL) {
        (void)close(fd);
        return err_set(err, -ENOMEM, "out of memory");
    }
    link->watch.kind = WATCH_LINK;
    link->watch.fd = fd;
    rc = grpc_conn_new(&server->shared, &link->conn, err);
    if (rc == 0 && (rc = watch_add(server, &link->watch, EPOLLIN)) < 0)
        (void)err_sys(err, rc, "epoll");
    if (rc < 0) {
        link_free(link);
        return rc;
    }
    link->next = server->links;
    server->links = link;
    server->link_count++;
    return 0;
}

static void accept_some(struct grpc_server *server, int listener)
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
            set_accepting(server, false);
            return;
        }
    }
    if (server->link_count >= server->max_connections)
        set_accepting(server, false);
}

static void read_link(struct grpc_server *server, struct link *link)
{
    struct err err = ERR_NONE;
    ssize_t len = recv(link->watch.fd, server->input, INPUT_BYTES, 0);

    if (len < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (len <= 0) {
        link->is_dead = true;
    } else if (grpc_conn_input(link->conn, bytes_of(server->input, (size_t)len), server->now_ms,
                               &err) < 0) {
        log_debug("closing a connection", "err=%s", err_text(&err));
        link->is_dead = true;
    }
}

/* Send until the socket or the connection has no more. */
static void write_link(struct grpc_server *server, struct link *link)
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

/* Bring a link up to date. Returns the moment at which it wants that again; is_dead: it is to be
 * closed. */
static int64_t settle_link(struct grpc_server *server, struct link *link)
{
    int64_t again_ms = grpc_conn_expire(link->conn, server->now_ms);
    int64_t give_up_ms = INT64_MAX;
    uint32_t events;

    write_link(server, link);
    if (link->blocked_ms != 0) {
        give_up_ms = link->blocked_ms + server->shared.reply_stall_ms;
        if (server->now_ms >= give_up_ms)
            link->is_dead = true;
    } else if (grpc_conn_is_done(link->conn) ||
               (server->stop_by_ms != INT64_MAX && !grpc_conn_has_calls(link->conn))) {
        link->is_dead = true;
    }
    events = link->blocked_ms != 0 ? EPOLLOUT : 0;
    if (link->blocked_ms == 0 || !grpc_conn_is_behind(link->conn))
        events |= EPOLLIN;
    if (!link->is_dead && watch_for(server, &link->watch, events) < 0)
        link->is_dead = true;
    return again_ms < give_up_ms ? again_ms : give_up_ms;
}

static int64_t settle_links(struct grpc_server *server)
{
    struct link **pos = &server->links;
    int64_t next_ms = INT64_MAX;

    while (*pos != NULL) {
        struct link *link = *pos;
        int64_t again_ms = settle_link(server, link);

        if (link->is_dead) {
            *pos = link->next;
            server->link_count--;
            link_free(link);
            continue;
        }
        if (again_ms < next_ms)
            next_ms = again_ms;
        pos = &link->next;
    }
    return next_ms;
}

/* ---- the loop
 * ------------------------------------------------------------------------------------------ */

static void begin_stop(struct grpc_server *server)
{
    struct link *link;

    server->stop_by_ms = server->now_ms + server->stop_grace_ms;
    set_accepting(server, false);
    for (link = server->links; link != NULL; link = link->next)
        grpc_conn_shutdown(link->conn);
}

static void handle_event(struct grpc_server *server, const struct epoll_event *event)
{
    struct watch *watch = event->data.ptr;
    uint64_t count;

    switch (watch->kind) {
    case WATCH_WAKE:
        if (read(watch->fd, &count, sizeof(count)) < 0 && errno != EAGAIN && errno != EINTR)
            log_warn("cannot read the wake-up counter", "err=%s", strerror(errno));
        break;
    case WATCH_LISTENER:
        accept_some(server, watch->fd);
        break;
    case WATCH_LINK:
        if ((event->events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0)
            read_link(server, (struct link *)(void *)watch);
        break; /* EPOLLOUT: settle_links() writes */
    }
}

/* What is left to do now. Returns the moment until which the loop may sleep. */
static int64_t settle(struct grpc_server *server)
{
    int64_t next_ms;

    answer_news(server);
    if (atomic_load(&server->stop) && server->stop_by_ms == INT64_MAX)
        begin_stop(server);
    next_ms = settle_links(server);
    if (server->stop_by_ms != INT64_MAX)
        return next_ms < server->stop_by_ms ? next_ms : server->stop_by_ms;
    if (server->link_count >= server->max_connections || server->is_accepting)
        return next_ms;
    if (server->now_ms >= server->accept_again_ms)
        set_accepting(server, true);
    else if (server->accept_again_ms < next_ms)
        next_ms = server->accept_again_ms;
    return next_ms;
}

static bool is_finished(const struct grpc_server *server)
{
    return server->stop_by_ms != INT64_MAX &&
           (server->links == NULL || server->now_ms >= server->stop_by_ms);
}

static int wait_ms(int64_t now_ms, int64_t until_ms)
{
    if (until_ms == INT64_MAX)
        return -1;
    if (until_ms <= now_ms)
        return 0;
    return until_ms - now_ms > INT32_MAX ? INT32_MAX : (int)(until_ms - now_ms);
}

int grpc_server_run(struct grpc_server *server, struct err *err)
{
    struct epoll_event events[EVENTS_AT_ONCE];
    int rc = 0;

    server->now_ms = clock_mono_ms();
    set_accepting(server, true);
    for (;;) {
        int64_t until_ms = settle(server);
        int i, count;

        if (is_finished(server))
            break;
        count =
            epoll_wait(server->epoll_fd, events, EVENTS_AT_ONCE, wait_ms(server->now_ms, until_ms));
        if (count < 0 && errno != EINTR) {
            rc = err_sys(err, -errno, "epoll_wait");
            break;
        }
        server->now_ms = clock_mono_ms();
        for (i = 0; i < count; i++)
            handle_event(server, &events[i]);
    }
    while (server->links != NULL) { /* cancels the calls that are left */
        struct link *link = server->links;

        server->links = link->next;
        link_free(link);
    }
    return rc;
}

void grpc_server_stop(struct grpc_server *server)
{
    int saved_errno = errno;

    atomic_store(&server->stop, true);
    wake(server);
    errno = saved_errno;
}

/* ---- life
 * ------------------------------------------------------------------------------------------------
 */

static int open_descriptors(struct grpc_server *server, struct err *err)
{
    int rc;

    server->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    server->wake.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (server->epoll_fd < 0 || server->wake.fd < 0)
        return err_sys(err, -errno, "grpc server: epoll or eventfd");
    rc = watch_add(server, &server->wake, EPOLLIN);
    return rc < 0 ? err_sys(err, rc, "grpc server: epoll") : 0;
}

static void take_options(struct grpc_server *server, const struct grpc_server_options *options)
{
    server->shared.methods = options->methods;
    server->shared.method_count = options->method_count;
    server->shared.service = options->service;
    server->shared.max_message_bytes =
        options->max_message_bytes == 0 ? GRPC_MESSAGE_MAX_BYTES : options->max_message_bytes;
    server->shared.max_held_bytes =
        options->max_held_bytes == 0 ? (size_t)64 * 1024 * 1024 : options->max_held_bytes;
    server->shared.reply_stall_ms = or_default(options->reply_stall_ms, 30000);
    server->shared.start = start_call;
    server->shared.news = take_news;
    server->shared.host = server;
    server->max_connections = options->max_connections == 0 ? 256 : options->max_connections;
    server->stop_grace_ms = or_default(options->stop_grace_ms, 5000);
    if (server->stop_grace_ms < 0)
        server->stop_grace_ms = 0;
}

int grpc_server_new(const struct grpc_server_options *options, struct grpc_server **ret,
                    struct err *err)
{
    SCOPED(grpc_server) struct grpc_server *server = calloc(1, sizeof(*server));
    int rc;

    if (server == NULL)
        return err_set(err, -ENOMEM, "grpc server: out of memory");
    server->epoll_fd = server->wake.fd = -1;
    server->wake.kind = WATCH_WAKE;
    server->stop_by_ms = INT64_MAX;
    (void)pthread_mutex_init(&server->lock, NULL);
    take_options(server, options);
    server->input = malloc(INPUT_BYTES);
    if (server->input == NULL)
        return err_set(err, -ENOMEM, "grpc server: out of memory");
    rc = open_descriptors(server, err);
    if (rc == 0)
        rc = grpc_workers_new(options->max_threads == 0 ? 256 : options->max_threads,
                              GRPC_WORKER_IDLE_MS, &server->workers, err);
    if (rc < 0)
        return rc;
    *ret = TAKE(server);
    return 0;
}

static int check_listener(int fd, struct err *err)
{
    int is_listening = 0;
    socklen_t len = sizeof(is_listening);

    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &is_listening, &len) < 0)
        return err_sys(err, -errno, "grpc listener");
    if (is_listening == 0)
        return err_set(err, -EINVAL, "grpc listener: the socket does not listen");
    if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0 ||
        fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
        return err_sys(err, -errno, "grpc listener");
    return 0;
}

int grpc_server_add_listener(struct grpc_server *server, int *fd, struct err *err)
{
    SCOPED(fd) int mine = take_fd(fd);
    struct watch *watch = &server->listeners[server->listener_count];
    int rc = check_listener(mine, err);

    if (rc < 0)
        return rc;
    if (server->listener_count == LISTENERS_MAX)
        return err_set(err, -EINVAL, "grpc server: more than %d listeners", (int)LISTENERS_MAX);
    *watch = (struct watch){.kind = WATCH_LISTENER, .fd = mine};
    rc = watch_add(server, watch, 0); /* grpc_server_run() begins to accept */
    if (rc < 0)
        return err_sys(err, rc, "grpc listener: epoll");
    (void)take_fd(&mine);
    server->listener_count++;
    return 0;
}

void grpc_server_free(struct grpc_server *server)
{
    size_t i;

    if (server == NULL)
        return;
    grpc_workers_free(server->workers);
    answer_news(server); /* of calls whose connection is gone: lets go of them */
    for (i = 0; i < server->listener_count; i++)
        (void)close(server->listeners[i].fd);
    if (server->wake.fd >= 0)
        (void)close(server->wake.fd);
    if (server->epoll_fd >= 0)
        (void)close(server->epoll_fd);
    (void)pthread_mutex_destroy(&server->lock);
    free(server->input);
    free(server);
}
