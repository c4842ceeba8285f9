/* SPDX-License-Identifier: Apache-2.0 */
/* http_server.h – an HTTP/1.1 server on loopback, inside the test, that behaves as badly as it is
 * told to.
 *
 * Each connection has a thread. For each request the test's handle() is called there, and answers
 * with the functions below, or does not. What was asked is kept, to be counted by the test. */
#ifndef FAKES_HTTP_SERVER_H
#define FAKES_HTTP_SERVER_H

#include "base/bytes.h"
#include "base/cleanup.h"

#include <stdbool.h>
#include <stdint.h>

struct http_exchange {
    unsigned number;     /* of the request, over all connections, from 0 */
    unsigned connection; /* from 0 */
    char method[16];
    char target[2048]; /* path and query */
    char range[128];   /* "": none; so are the others */
    char authorization[256];
    char accept[512];
    char accept_encoding[64];
    char content_type[128];
    char user_agent[64];
    struct bytes body;

    struct http_server *server;
    int fd;
    bool close; /* after this answer */
};

struct http_server;
typedef void http_handler(void *self, struct http_exchange *x);

/* Fails the program when it cannot. */
struct http_server *http_server_start(http_handler *handle, void *self);
struct http_server *http_server_start_at(uint16_t port, http_handler *handle, void *self);
void http_server_stop(struct http_server *server); /* cuts what is open, joins its threads */
DEFINE_SCOPED_PTR(http_server, struct http_server, http_server_stop)
const char *http_server_host(const struct http_server *server); /* "127.0.0.1:PORT" */
/* How many requests started with "METHOD /path" so far. "": all. */
unsigned http_server_count(struct http_server *server, const char *start);
unsigned http_server_connections(struct http_server *server);

/* ---- answers: to be used by handle() --------------------------------------------------------- */

/* Status, then `headers` ("Name: value\r\n…", NULL: none) and a Content-Length, then the body. */
void http_reply(struct http_exchange *x, int status, const char *headers, struct bytes body);
void http_reply_text(struct http_exchange *x, int status, const char *headers, const char *text);
/* 206 with the part of `whole` that was asked for, 416, or 200 without a Range. */
void http_reply_range(struct http_exchange *x, struct bytes whole);
/* Anything, as it is. */
void http_send(struct http_exchange *x, const void *data, size_t len);
void http_send_text(struct http_exchange *x, const char *text);
/* A pause that ends early when the server is stopped. */
void http_pause(struct http_exchange *x, int ms);
/* The connection is reset. */
void http_cut(struct http_exchange *x);
/* The range that was asked for: false when there was none. */
bool http_range(const struct http_exchange *x, size_t *ret_first, size_t *ret_last);
bool http_target_has(const struct http_exchange *x, const char *part);

#endif
