/* SPDX-License-Identifier: Apache-2.0 */
/* grpc_host.h – a connection of grpc/ without sockets, threads or clock, for tests and fuzzing:
 * bytes in, bytes out, and handlers run when they are told to. */
#ifndef UNIT_GRPC_HOST_H
#define UNIT_GRPC_HOST_H

#include "grpc/internal.h"

#include <stdlib.h>

struct host {
    struct grpc_shared shared;
    struct grpc_conn *conn;
    struct grpc_call *started[4096]; /* ref'd, in order; their handlers have not run */
    size_t started_count;
    struct buf out;                /* all that the connection has said */
    nghttp2_hd_inflater *inflater; /* a test's, for the headers in it */
    int64_t now_ms;
    int64_t again_ms; /* what grpc_conn_expire() said */
};

static inline int host_say(void *service, struct grpc_call *call, struct err *err)
{
    (void)service;
    return grpc_reply(call, grpc_call_request(call), err);
}

/* As many replies as the request has bytes, each of one byte. */
static inline int host_spell(void *service, struct grpc_call *call, struct err *err)
{
    struct bytes request = grpc_call_request(call);
    size_t i;

    (void)service;
    for (i = 0; i < request.len; i++) {
        int rc = grpc_reply(call, bytes_of(request.data + i, 1), err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static inline int host_fail(void *service, struct grpc_call *call, struct err *err)
{
    const char *ns = grpc_call_metadata(call, "containerd-namespace");

    (void)service;
    return err_set(err, -ENOENT, "nothing in %s", ns == NULL ? "no namespace" : ns);
}

static const struct grpc_method host_methods[] = {
    {.path = "/t.T/Say", .handle = host_say},
    {.path = "/t.T/Spell", .handle = host_spell},
    {.path = "/t.T/Fail", .handle = host_fail},
};

static inline void host_start(void *arg, struct grpc_call *call)
{
    struct host *host = arg;

    if (host->started_count == ARRAY_LEN(host->started))
        abort(); /* a test asks for fewer */
    host->started[host->started_count++] = call;
}

static inline void host_news(void *arg, struct grpc_call *call)
{
    struct host *host = arg;

    if (call->conn != NULL)
        grpc_conn_answer(call->conn, call, host->now_ms);
}

static inline void host_run(struct host *host)
{
    size_t i;

    for (i = 0; i < host->started_count; i++) {
        grpc_call_run(host->started[i]);
        grpc_call_unref(host->started[i]);
    }
    host->started_count = 0;
}

/* What the connection has to say is added to host->out: 0, or it is to be closed. */
static inline int host_flush(struct host *host)
{
    size_t before;

    do {
        before = host->out.len;
        if (grpc_conn_output(host->conn, before + 65536, host->now_ms, &host->out, NULL) < 0)
            return -EPROTO;
    } while (host->out.len > before);
    return 0;
}

static inline int host_input(struct host *host, struct bytes bytes)
{
    int rc = grpc_conn_input(host->conn, bytes, host->now_ms, NULL);

    return rc < 0 ? rc : host_flush(host);
}

static inline void host_pass(struct host *host, int64_t ms)
{
    host->now_ms += ms;
    host->again_ms = grpc_conn_expire(host->conn, host->now_ms);
    (void)host_flush(host);
}

static const struct grpc_service host_service = {.methods = host_methods,
                                                 .method_count = ARRAY_LEN(host_methods)};

static inline struct host *host_new(void)
{
    struct host *host = calloc(1, sizeof(*host));

    if (host == NULL)
        abort();
    host->now_ms = 1000000;
    host->shared = (struct grpc_shared){
        .services = &host_service,
        .service_count = 1,
        .max_message_bytes = 100000,
        .max_held_bytes = 300000,
        .reply_stall_ms = 1000,
        .start = host_start,
        .news = host_news,
        .host = host,
    };
    if (grpc_conn_new(&host->shared, &host->conn, NULL) < 0)
        abort();
    return host;
}

/* Returns what is still counted as held, which is 0 unless something leaks. */
static inline size_t host_free(struct host *host)
{
    size_t held;

    grpc_conn_free(host->conn);
    host_run(host); /* their calls are cancelled */
    held = atomic_load(&host->shared.held_bytes);
    buf_fini(&host->out);
    if (host->inflater != NULL)
        nghttp2_hd_inflate_del(host->inflater);
    free(host);
    return held;
}

#endif
