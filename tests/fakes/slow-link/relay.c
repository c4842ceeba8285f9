/* SPDX-License-Identifier: Apache-2.0 */
/* relay.c – one event loop: sockets say what is possible, the line says when.
 *
 * Sockets are polled edge-triggered and only set flags. After every wake-up all pipes are offered
 * one chunk each in turn for as long as the line takes any, which is what makes connections share
 * it fairly; then one timer is set to the earliest moment at which something arrives or the line
 * has room again. */
#include "relay.h"

#include "base/cleanup.h"
#include "pipe.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>

enum { EVENTS_PER_WAIT = 64 };

struct conn {
    struct conn *next;
    struct pipe up;
    struct pipe down;
    int client;
    int server;
    bool broken;
};

struct relay {
    struct relay_options options;
    struct link up;
    struct link down;
    struct conn *conns;
    uint64_t accepted;
    int listener;
    int poller;
    int timer;
};

/* What an event is about: a kind in the low bits, a connection in the rest of the word. */
enum { TAG_LISTENER, TAG_TIMER, TAG_WAKE };

static int64_t now_ns(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static int watch(struct relay *relay, int fd, uint32_t events, uint64_t what)
{
    struct epoll_event event = {.events = events, .data.u64 = what};

    return epoll_ctl(relay->poller, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static int open_listener(struct relay *relay, struct err *err)
{
    const struct sockaddr_in *at = &relay->options.listen;
    int on = 1;

    relay->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (relay->listener < 0)
        return err_sys(err, -errno, "socket");
    (void)setsockopt(relay->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(relay->listener, (const struct sockaddr *)at, sizeof(*at)) < 0)
        return err_sys(err, -errno, "bind to port %u", ntohs(at->sin_port));
    if (listen(relay->listener, SOMAXCONN) < 0)
        return err_sys(err, -errno, "listen");
    return 0;
}

int relay_open(const struct relay_options *options, struct relay **ret, struct err *err)
{
    struct relay *relay = calloc(1, sizeof(*relay));
    int rc;

    if (relay == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    relay->options = *options;
    relay->up = link_make(options->bits_per_second, options->rtt_ns / 2);
    relay->down = relay->up;
    relay->down.log = options->down_log;
    relay->listener = -1;
    relay->poller = epoll_create1(EPOLL_CLOEXEC);
    relay->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (relay->poller < 0 || relay->timer < 0)
        rc = err_sys(err, -errno, "event loop");
    else
        rc = open_listener(relay, err);
    if (rc == 0 && (watch(relay, relay->listener, EPOLLIN, TAG_LISTENER) < 0 ||
                    watch(relay, relay->timer, EPOLLIN, TAG_TIMER) < 0))
        rc = err_set(err, -EIO, "event loop");
    if (rc < 0) {
        relay_close(relay);
        return rc;
    }
    *ret = relay;
    return 0;
}

static void conn_free(struct conn *conn)
{
    pipe_fini(&conn->up);
    pipe_fini(&conn->down);
    scoped_fd(&conn->client);
    scoped_fd(&conn->server);
    free(conn);
}

void relay_close(struct relay *relay)
{
    if (relay == NULL)
        return;
    while (relay->conns != NULL) {
        struct conn *conn = relay->conns;
        relay->conns = conn->next;
        conn_free(conn);
    }
    scoped_fd(&relay->listener);
    scoped_fd(&relay->poller);
    scoped_fd(&relay->timer);
    free(relay);
}

uint16_t relay_port(const struct relay *relay)
{
    struct sockaddr_in at = {0};
    socklen_t len = sizeof(at);

    (void)getsockname(relay->listener, (struct sockaddr *)&at, &len);
    return ntohs(at.sin_port);
}

struct relay_stats relay_stats(const struct relay *relay)
{
    return (struct relay_stats){
        .connections = relay->accepted,
        .up_bytes = relay->up.bytes,
        .down_bytes = relay->down.bytes,
    };
}

void relay_log(const struct relay *relay)
{
    link_log(&relay->down);
}

/* Start connecting; the answer comes as an event. Small segments must not wait for each other, the
 * line has all the delay there should be. */
static int connect_target(const struct relay *relay)
{
    const struct sockaddr_in *to = &relay->options.target;
    SCOPED(fd) int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1;

    if (fd < 0)
        return -errno;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (connect(fd, (const struct sockaddr *)to, sizeof(*to)) < 0 && errno != EINPROGRESS)
        return -errno;
    return take_fd(&fd);
}

/* Pointers are at least 8-aligned: the lowest bit tells the two sockets of a connection apart. */
static uint64_t conn_tag(const struct conn *conn, bool is_server)
{
    return (uint64_t)(uintptr_t)conn | (is_server ? 1u : 0u);
}

static void add_conn(struct relay *relay, int client)
{
    struct conn *conn = calloc(1, sizeof(*conn));
    const uint32_t events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
    int on = 1;

    if (conn == NULL) {
        scoped_fd(&client);
        return;
    }
    (void)setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    conn->client = client;
    conn->server = connect_target(relay);
    /* The kernel has shaken hands at once; over the real line that takes one round trip. */
    int64_t open_ns = now_ns() + relay->options.rtt_ns;
    pipe_init(&conn->up, &relay->up, conn->client, conn->server, open_ns);
    pipe_init(&conn->down, &relay->down, conn->server, conn->client, open_ns);
    conn->broken = conn->server < 0 ||
                   watch(relay, conn->client, events, conn_tag(conn, false)) < 0 ||
                   watch(relay, conn->server, events, conn_tag(conn, true)) < 0;
    conn->next = relay->conns;
    relay->conns = conn;
    relay->accepted++;
}

static void accept_all(struct relay *relay)
{
    int client;

    while ((client = accept4(relay->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
        add_conn(relay, client);
}

static void note_event(uint64_t tag, uint32_t events)
{
    struct conn *conn = (struct conn *)(uintptr_t)(tag & ~(uint64_t)1);
    bool is_server = (tag & 1) != 0;
    struct pipe *from_here = is_server ? &conn->down : &conn->up;
    struct pipe *to_here = is_server ? &conn->up : &conn->down;

    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        from_here->can_read = true;
    if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
        to_here->can_write = true;
}

/* Offer everyone one chunk. Those who could take one go to the end of the list, so that whoever the
 * line had no room for is the first to be asked next time. True when anybody took one. */
static bool pull_round(struct relay *relay, int64_t at_ns)
{
    struct conn *served = NULL;
    struct conn **served_end = &served;
    struct conn **at = &relay->conns;

    while (*at != NULL) {
        struct conn *conn = *at;
        int up = conn->broken ? 0 : pipe_pull(&conn->up, at_ns);
        int down = conn->broken ? 0 : pipe_pull(&conn->down, at_ns);

        conn->broken = conn->broken || up < 0 || down < 0;
        if (up > 0 || down > 0) {
            *at = conn->next;
            conn->next = NULL;
            *served_end = conn;
            served_end = &conn->next;
        } else {
            at = &conn->next;
        }
    }
    *at = served;
    return served != NULL;
}

static void push_all(struct relay *relay, int64_t at_ns)
{
    for (struct conn *conn = relay->conns; conn != NULL; conn = conn->next) {
        if (!conn->broken)
            conn->broken = pipe_push(&conn->up, at_ns) < 0 || pipe_push(&conn->down, at_ns) < 0;
    }
}

static void drop_ended(struct relay *relay)
{
    for (struct conn **at = &relay->conns; *at != NULL;) {
        struct conn *conn = *at;
        if (conn->broken || (conn->up.done && conn->down.done)) {
            *at = conn->next;
            conn_free(conn);
        } else {
            at = &conn->next;
        }
    }
}

static void set_timer(struct relay *relay)
{
    int64_t next_ns = PIPE_NEVER;

    for (const struct conn *conn = relay->conns; conn != NULL; conn = conn->next) {
        int64_t up_ns = pipe_next_ns(&conn->up);
        int64_t down_ns = pipe_next_ns(&conn->down);
        next_ns = up_ns < next_ns ? up_ns : next_ns;
        next_ns = down_ns < next_ns ? down_ns : next_ns;
    }
    struct itimerspec when = {0}; /* all zero: no timer */
    if (next_ns != PIPE_NEVER) {
        next_ns = next_ns > 0 ? next_ns : 1; /* in the past: at once */
        when.it_value.tv_sec = next_ns / 1000000000;
        when.it_value.tv_nsec = next_ns % 1000000000;
    }
    (void)timerfd_settime(relay->timer, TFD_TIMER_ABSTIME, &when, NULL);
}

int relay_run(struct relay *relay, int wake_fd, struct err *err)
{
    struct epoll_event events[EVENTS_PER_WAIT];
    int rc = watch(relay, wake_fd, EPOLLIN, TAG_WAKE);
    bool woken = false;

    if (rc < 0)
        return err_sys(err, rc, "event loop");
    while (!woken) {
        int n = epoll_wait(relay->poller, events, EVENTS_PER_WAIT, -1);
        if (n < 0 && errno != EINTR)
            return err_sys(err, -errno, "event loop");
        for (int i = 0; i < n; i++) {
            if (events[i].data.u64 == TAG_LISTENER)
                accept_all(relay);
            else if (events[i].data.u64 == TAG_WAKE)
                woken = true;
            else if (events[i].data.u64 != TAG_TIMER) /* setting it again acknowledges it */
                note_event(events[i].data.u64, events[i].events);
        }
        int64_t at_ns = now_ns();
        while (pull_round(relay, at_ns))
            ;
        push_all(relay, at_ns);
        drop_ended(relay);
        set_timer(relay);
    }
    (void)epoll_ctl(relay->poller, EPOLL_CTL_DEL, wake_fd, NULL);
    return 0;
}
