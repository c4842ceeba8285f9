/* SPDX-License-Identifier: Apache-2.0 */
/* http_server.c – connections, requests, and what was asked. */
#include "http_server.h"

#include "base/clock.h"
#include "base/text.h"
#include "base/threads.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

enum { CONNECTIONS_MAX = 4096 };
enum { HEAD_MAX_BYTES = 16384 };

struct connection {
    struct http_server *server;
    unsigned number;
    int fd;
    pthread_t thread;
    struct buf input;
};

struct http_server {
    http_handler *handle;
    void *self;
    int listener;
    char host[32];
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t stopping;
    bool stop;                                       /* lock */
    struct connection *connections[CONNECTIONS_MAX]; /* lock */
    unsigned connection_count;                       /* lock */
    struct text_list seen;                           /* lock */
};

static void die(const char *what)
{
    perror(what);
    abort();
}

/* ---- reading requests ------------------------------------------------------------------------ */

static bool read_more(struct connection *c)
{
    ssize_t got;

    if (buf_reserve(&c->input, 65536) < 0)
        return false;
    got = recv(c->fd, c->input.data + c->input.len, 65536, 0);
    if (got <= 0)
        return false;
    c->input.len += (size_t)got;
    return true;
}

static void drop_front(struct buf *buf, size_t len)
{
    memmove(buf->data, buf->data + len, buf->len - len);
    buf->len -= len;
}

static void take_header(const char *line, const char *name, char *out, size_t room)
{
    size_t len = strlen(name);

    if (strncasecmp(line, name, len) == 0 && line[len] == ':')
        (void)snprintf(out, room, "%s", line + len + 1 + strspn(line + len + 1, " "));
}

/* The head is cut into lines in place. */
static bool parse_head(char *head, struct http_exchange *x, size_t *ret_body_len)
{
    char length[32] = "0", *rest = NULL;
    char *line = strtok_r(head, "\r\n", &rest);
    uint64_t body_len;

    if (line == NULL || sscanf(line, "%15s %2047s", x->method, x->target) != 2)
        return false;
    while ((line = strtok_r(NULL, "\r\n", &rest)) != NULL) {
        take_header(line, "Range", x->range, sizeof(x->range));
        take_header(line, "Authorization", x->authorization, sizeof(x->authorization));
        take_header(line, "Accept", x->accept, sizeof(x->accept));
        take_header(line, "Accept-Encoding", x->accept_encoding, sizeof(x->accept_encoding));
        take_header(line, "Content-Type", x->content_type, sizeof(x->content_type));
        take_header(line, "User-Agent", x->user_agent, sizeof(x->user_agent));
        take_header(line, "Content-Length", length, sizeof(length));
    }
    if (text_parse_u64(length, &body_len) < 0)
        return false;
    *ret_body_len = (size_t)body_len;
    return true;
}

/* Leaves body.data pointing into c->input. */
static bool read_request(struct connection *c, struct http_exchange *x, size_t *ret_used)
{
    SCOPED(mem) char *head = NULL;
    size_t head_len, body_len;
    char *end;

    while ((end = c->input.len == 0 ? NULL : memmem(c->input.data, c->input.len, "\r\n\r\n", 4)) ==
           NULL) {
        if (c->input.len > HEAD_MAX_BYTES || !read_more(c))
            return false;
    }
    head_len = (size_t)(end - (char *)c->input.data) + 4;
    head = strndup((char *)c->input.data, head_len);
    if (head == NULL || !parse_head(head, x, &body_len))
        return false;
    while (c->input.len < head_len + body_len) {
        if (!read_more(c))
            return false;
    }
    x->body = bytes_of(c->input.data + head_len, body_len);
    *ret_used = head_len + body_len;
    return true;
}

static void note(struct http_server *server, struct http_exchange *x)
{
    SCOPED(mem) char *line = text_format("%s %s", x->method, x->target);
    LOCKED(&server->lock);

    x->number = (unsigned)server->seen.count;
    if (line == NULL || text_list_add(&server->seen, line) < 0)
        die("http_server");
}

static void *serve(void *arg)
{
    struct connection *c = arg;
    bool open = true;

    while (open) {
        struct http_exchange x = {.server = c->server, .connection = c->number, .fd = c->fd};
        size_t used;

        if (!read_request(c, &x, &used))
            break;
        note(c->server, &x);
        c->server->handle(c->server->self, &x);
        drop_front(&c->input, used);
        open = !x.close;
    }
    {
        LOCKED(&c->server->lock);
        (void)close(c->fd); /* stop() must not shut down a number that is used again */
        c->fd = -1;
    }
    return NULL;
}

/* ---- connections ----------------------------------------------------------------------------- */

static void add_connection(struct http_server *server, int fd)
{
    struct connection *c = calloc(1, sizeof(*c));
    const int on = 1;
    LOCKED(&server->lock);

    if (c == NULL || server->stop || server->connection_count == CONNECTIONS_MAX) {
        (void)close(fd);
        free(c);
        return;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    c->server = server;
    c->number = server->connection_count;
    c->fd = fd;
    if (thread_start(&c->thread, "http", serve, c) < 0)
        die("http_server");
    server->connections[server->connection_count++] = c;
}

static void *accept_all(void *arg)
{
    struct http_server *server = arg;

    for (;;) {
        int fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            return NULL; /* stop() has shut the listener down */
        add_connection(server, fd);
    }
}

struct http_server *http_server_start(http_handler *handle, void *self)
{
    return http_server_start_at(0, handle, self);
}

struct http_server *http_server_start_at(uint16_t port, http_handler *handle, void *self)
{
    struct http_server *server = calloc(1, sizeof(*server));
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    const int on = 1;

    if (server == NULL)
        die("http_server");
    server->handle = handle;
    server->self = self;
    (void)pthread_mutex_init(&server->lock, NULL);
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (clock_cond_init(&server->stopping) < 0 || server->listener < 0 ||
        setsockopt(server->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
        bind(server->listener, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        listen(server->listener, 128) < 0 ||
        getsockname(server->listener, (struct sockaddr *)&address, &len) < 0)
        die("http_server");
    (void)snprintf(server->host, sizeof(server->host), "127.0.0.1:%u", ntohs(address.sin_port));
    if (thread_start(&server->thread, "http-accept", accept_all, server) < 0)
        die("http_server");
    return server;
}

static void cut_all(struct http_server *server)
{
    LOCKED(&server->lock);

    server->stop = true;
    (void)pthread_cond_broadcast(&server->stopping);
    for (unsigned i = 0; i < server->connection_count; i++) {
        if (server->connections[i]->fd >= 0)
            (void)shutdown(server->connections[i]->fd, SHUT_RDWR);
    }
}

void http_server_stop(struct http_server *server)
{
    (void)shutdown(server->listener, SHUT_RDWR);
    (void)pthread_join(server->thread, NULL);
    (void)close(server->listener);
    cut_all(server);
    for (unsigned i = 0; i < server->connection_count; i++) {
        (void)pthread_join(server->connections[i]->thread, NULL);
        buf_fini(&server->connections[i]->input);
        free(server->connections[i]);
    }
    text_list_fini(&server->seen);
    (void)pthread_cond_destroy(&server->stopping);
    (void)pthread_mutex_destroy(&server->lock);
    free(server);
}

const char *http_server_host(const struct http_server *server)
{
    return server->host;
}

unsigned http_server_count(struct http_server *server, const char *start)
{
    unsigned count = 0;
    LOCKED(&server->lock);

    for (size_t i = 0; i < server->seen.count; i++)
        count += text_has_prefix(server->seen.items[i], start) ? 1 : 0;
    return count;
}

unsigned http_server_connections(struct http_server *server)
{
    LOCKED(&server->lock);

    return server->connection_count;
}

void http_pause(struct http_exchange *x, int ms)
{
    struct http_server *server = x->server;
    int64_t until_ms = clock_mono_ms() + ms;
    LOCKED(&server->lock);

    while (!server->stop && clock_cond_wait_until(&server->stopping, &server->lock, until_ms) == 0)
        ;
}
