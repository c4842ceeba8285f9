/* SPDX-License-Identifier: Apache-2.0 */
/* server.c – one thread and a few connections, each of which has one request and its time for it.
 *
 *   READING ─ the head is whole, or hopeless ─▶ WRITING ─ all sent ─▶ DRAINING ─▶ closed
 *
 * Draining reads what the peer still sends: closing a socket with unread bytes would take the
 * answer away from it. */
#include "metrics/internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/threads.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

/* The answer is in memory for each. */
enum { CONNECTIONS_MAX = 4 };
enum { REQUEST_MS = 5000, ANSWER_MS = 10000, DRAIN_MS = 1000 };
enum { ACCEPT_PAUSE_MS = 1000 }; /* when there are no descriptors */

enum phase { PHASE_FREE, PHASE_READING, PHASE_WRITING, PHASE_DRAINING };

/* The thread's alone, as all but the first three of the server. */
struct connection {
    enum phase phase;
    int fd;
    int64_t until_ms;
    struct buf in, out;
    size_t sent;
};

struct metrics_server {
    struct metrics_server_options options; /* fixed at creation, as the next three */
    int wake_fd;                           /* becomes readable when it is to stop */
    pthread_t thread;
    int listen_fd;
    int64_t accept_at_ms; /* not before */
    struct connection connections[CONNECTIONS_MAX];
};

/* ---- a connection ---------------------------------------------------------------------------- */

static void close_connection(struct connection *c)
{
    (void)close(c->fd);
    buf_fini(&c->in);
    buf_fini(&c->out);
    *c = (struct connection){.phase = PHASE_FREE, .fd = -1};
}

/* In c->out; -ENOMEM. */
static int prepare(struct metrics_server *server, struct connection *c, unsigned status)
{
    SCOPED(buf_value) struct buf body = BUF_EMPTY;
    int rc = status == 200 ? server->options.write(server->options.self, &body) : 0;

    if (rc < 0) {
        log_warn("metrics not given out", "err=%s", strerror(-rc));
        status = 500;
        body.len = 0;
    }
    rc = metrics_http_head(status, body.len, &c->out);
    return rc < 0 ? rc : buf_add(&c->out, body.data, body.len);
}

static void drain(struct connection *c)
{
    char ignored[4096];
    ssize_t n = recv(c->fd, ignored, sizeof(ignored), 0);

    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        close_connection(c);
}

static void write_some(struct connection *c)
{
    ssize_t n = send(c->fd, c->out.data + c->sent, c->out.len - c->sent, MSG_NOSIGNAL);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n < 0) {
        close_connection(c);
        return;
    }
    c->sent += (size_t)n;
    if (c->sent < c->out.len)
        return;
    buf_fini(&c->out);
    c->phase = PHASE_DRAINING;
    c->until_ms = clock_mono_ms() + DRAIN_MS;
    if (shutdown(c->fd, SHUT_WR) < 0)
        close_connection(c);
}

static void read_some(struct metrics_server *server, struct connection *c)
{
    ssize_t n;
    unsigned status;

    if (buf_reserve(&c->in, METRICS_REQUEST_MAX_BYTES) < 0) {
        close_connection(c);
        return;
    }
    n = recv(c->fd, c->in.data + c->in.len, METRICS_REQUEST_MAX_BYTES - c->in.len, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        close_connection(c);
        return;
    }
    c->in.len += (size_t)n;
    status = metrics_http_status(buf_bytes(&c->in));
    if (status == 0)
        return;
    c->phase = PHASE_WRITING;
    c->until_ms = clock_mono_ms() + server->options.answer_ms;
    if (prepare(server, c, status) < 0)
        close_connection(c);
    else
        write_some(c);
}

static void serve(struct metrics_server *server, struct connection *c, int64_t now_ms)
{
    switch (c->phase) {
    case PHASE_READING:
        read_some(server, c);
        break;
    case PHASE_WRITING:
        write_some(c);
        break;
    case PHASE_DRAINING:
        drain(c);
        break;
    case PHASE_FREE:
        return;
    }
    if (c->phase != PHASE_FREE && now_ms >= c->until_ms)
        close_connection(c);
}

/* ---- the loop -------------------------------------------------------------------------------- */

static struct connection *find_free(struct metrics_server *server)
{
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        if (server->connections[i].phase == PHASE_FREE)
            return &server->connections[i];
    }
    return NULL;
}

static void accept_one(struct metrics_server *server, int64_t now_ms)
{
    struct connection *c = find_free(server);
    int fd = accept4(server->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS))
        server->accept_at_ms = now_ms + ACCEPT_PAUSE_MS;
    if (fd < 0)
        return;
    *c = (struct connection){
        .phase = PHASE_READING,
        .fd = fd,
        .until_ms = now_ms + server->options.request_ms,
    };
}

/* Until the first thing that is over by then; -1: there is none. */
static int poll_timeout(const struct metrics_server *server, int64_t now_ms)
{
    int64_t until_ms = server->accept_at_ms > now_ms ? server->accept_at_ms : INT64_MAX;

    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        const struct connection *c = &server->connections[i];

        if (c->phase != PHASE_FREE && c->until_ms < until_ms)
            until_ms = c->until_ms;
    }
    if (until_ms == INT64_MAX)
        return -1;
    return until_ms <= now_ms ? 0 : (int)(until_ms - now_ms);
}

enum { AT_WAKE, AT_LISTEN, AT_FIRST, POLLED = AT_FIRST + CONNECTIONS_MAX };

static void fill(struct metrics_server *server, struct pollfd polled[POLLED])
{
    bool may_accept = find_free(server) != NULL && server->accept_at_ms <= clock_mono_ms();

    polled[AT_WAKE] = (struct pollfd){.fd = server->wake_fd, .events = POLLIN};
    /* A negative descriptor is passed over. */
    polled[AT_LISTEN] =
        (struct pollfd){.fd = may_accept ? server->listen_fd : -1, .events = POLLIN};
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        const struct connection *c = &server->connections[i];

        polled[AT_FIRST + i] =
            (struct pollfd){.fd = c->phase == PHASE_FREE ? -1 : c->fd,
                            .events = c->phase == PHASE_WRITING ? POLLOUT : POLLIN};
    }
}

static void *run(void *arg)
{
    struct metrics_server *server = arg;
    struct pollfd polled[POLLED];

    for (;;) {
        int64_t now_ms;

        fill(server, polled);
        if (poll(polled, POLLED, poll_timeout(server, clock_mono_ms())) < 0 && errno != EINTR)
            clock_sleep_ms(ACCEPT_PAUSE_MS); /* out of memory: nothing else is left to fail */
        if ((polled[AT_WAKE].revents & POLLIN) != 0)
            return NULL;
        now_ms = clock_mono_ms();
        for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
            struct connection *c = &server->connections[i];

            if (polled[AT_FIRST + i].revents != 0)
                serve(server, c, now_ms);
            else if (c->phase != PHASE_FREE && now_ms >= c->until_ms)
                close_connection(c);
        }
        if (polled[AT_LISTEN].revents != 0)
            accept_one(server, now_ms);
    }
}

/* ---- the whole ------------------------------------------------------------------------------- */

static void server_free(struct metrics_server *server)
{
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        if (server->connections[i].phase != PHASE_FREE)
            close_connection(&server->connections[i]);
    }
    if (server->wake_fd >= 0)
        (void)close(server->wake_fd);
    if (server->listen_fd >= 0)
        (void)close(server->listen_fd);
    free(server);
}
DEFINE_SCOPED_PTR(half_made, struct metrics_server, server_free)

int metrics_server_start(const struct metrics_server_options *options, int *fd,
                         struct metrics_server **ret, struct err *err)
{
    SCOPED(half_made) struct metrics_server *server = calloc(1, sizeof(*server));
    int rc;

    if (server == NULL)
        return err_set(err, -ENOMEM, "metrics: out of memory");
    server->options = *options;
    if (server->options.request_ms == 0)
        server->options.request_ms = REQUEST_MS;
    if (server->options.answer_ms == 0)
        server->options.answer_ms = ANSWER_MS;
    server->listen_fd = -1;
    server->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (server->wake_fd < 0)
        return err_sys(err, -errno, "metrics");
    server->listen_fd = *fd;
    rc = thread_start(&server->thread, "metrics", run, server);
    if (rc < 0) {
        server->listen_fd = -1;
        return err_sys(err, rc, "metrics: thread");
    }
    *fd = -1;
    *ret = TAKE(server);
    return 0;
}

void metrics_server_stop(struct metrics_server *server)
{
    const uint64_t one = 1;

    if (server == NULL)
        return;
    while (write(server->wake_fd, &one, sizeof(one)) < 0 && errno == EINTR)
        ;
    (void)pthread_join(server->thread, NULL);
    server_free(server);
}
