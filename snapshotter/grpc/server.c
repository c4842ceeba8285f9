/* SPDX-License-Identifier: Apache-2.0 */
/* server.c – the loop: events, news from the handlers, stopping. */
#include "server.h"

#include "base/clock.h"
#include "base/log.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

enum { EVENTS_AT_ONCE = 64 };

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

/* ---- what calls want of the server ----------------------------------------------------------- */

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

/* ---- the loop -------------------------------------------------------------------------------- */

static void begin_stop(struct grpc_server *server)
{
    struct grpc_link *link;

    server->stop_by_ms = server->now_ms + server->stop_grace_ms;
    atomic_store(&server->shared.is_stopping, true);
    grpc_set_accepting(server, false);
    for (link = server->links; link != NULL; link = link->next)
        grpc_conn_shutdown(link->conn);
}

static void handle_event(struct grpc_server *server, const struct epoll_event *event)
{
    struct grpc_watch *watch = event->data.ptr;
    uint64_t count;

    switch (watch->kind) {
    case GRPC_WATCH_WAKE:
        if (read(watch->fd, &count, sizeof(count)) < 0 && errno != EAGAIN && errno != EINTR)
            log_warn("cannot read the wake-up counter", "err=%s", strerror(errno));
        break;
    case GRPC_WATCH_LISTENER:
        grpc_accept_some(server, watch->fd);
        break;
    case GRPC_WATCH_LINK:
        if ((event->events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0)
            grpc_link_read(server, (struct grpc_link *)(void *)watch);
        break; /* EPOLLOUT: grpc_links_settle() writes */
    }
}

/* What is left to do now. Returns the moment until which the loop may sleep. */
static int64_t settle(struct grpc_server *server)
{
    int64_t next_ms;

    answer_news(server);
    if (atomic_load(&server->stop) && server->stop_by_ms == INT64_MAX)
        begin_stop(server);
    next_ms = grpc_links_settle(server);
    if (server->stop_by_ms != INT64_MAX)
        return next_ms < server->stop_by_ms ? next_ms : server->stop_by_ms;
    if (server->link_count >= server->max_connections || server->is_accepting)
        return next_ms;
    if (server->now_ms >= server->accept_again_ms)
        grpc_set_accepting(server, true);
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
    grpc_set_accepting(server, true);
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
        struct grpc_link *link = server->links;

        server->links = link->next;
        grpc_link_free(link);
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

/* ---- life ------------------------------------------------------------------------------------ */

static int open_descriptors(struct grpc_server *server, struct err *err)
{
    int rc;

    server->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    server->wake.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (server->epoll_fd < 0 || server->wake.fd < 0)
        return err_sys(err, -errno, "grpc server: epoll or eventfd");
    rc = grpc_watch_add(server, &server->wake, EPOLLIN);
    return rc < 0 ? err_sys(err, rc, "grpc server: epoll") : 0;
}

static void take_options(struct grpc_server *server, const struct grpc_server_options *options)
{
    server->shared.services = options->services;
    server->shared.service_count = options->service_count;
    server->shared.max_message_bytes =
        options->max_message_bytes == 0 ? GRPC_MESSAGE_MAX_BYTES : options->max_message_bytes;
    server->shared.max_held_bytes =
        options->max_held_bytes == 0 ? (size_t)64 * 1024 * 1024 : options->max_held_bytes;
    server->shared.reply_stall_ms = or_default(options->reply_stall_ms, 30000);
    server->shared.start = start_call;
    server->shared.news = take_news;
    server->shared.host = server;
    server->max_connections = options->max_connections == 0 ? 2048 : options->max_connections;
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
    server->wake.kind = GRPC_WATCH_WAKE;
    server->stop_by_ms = INT64_MAX;
    (void)pthread_mutex_init(&server->lock, NULL);
    take_options(server, options);
    server->input = malloc(GRPC_INPUT_BYTES);
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
    struct grpc_watch *watch = &server->listeners[server->listener_count];
    int rc = check_listener(mine, err);

    if (rc < 0)
        return rc;
    if (server->listener_count == GRPC_LISTENERS_MAX)
        return err_set(err, -EINVAL, "grpc server: more than %d listeners",
                       (int)GRPC_LISTENERS_MAX);
    *watch = (struct grpc_watch){.kind = GRPC_WATCH_LISTENER, .fd = mine};
    rc = grpc_watch_add(server, watch, 0); /* grpc_server_run() begins to accept */
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
