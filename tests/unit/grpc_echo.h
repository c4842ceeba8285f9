/* SPDX-License-Identifier: Apache-2.0 */
/* grpc_echo.h – a gRPC server of a few simple methods on a socket in a private directory, for the
 * tests of grpc/. */
#ifndef UNIT_GRPC_ECHO_H
#define UNIT_GRPC_ECHO_H

#include "test.h"

#include "base/clock.h"
#include "base/threads.h"
#include "grpc/grpc.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

struct echo {
    char dir[64];
    char path[96];
    struct grpc_server *server;
    pthread_t thread;
    int run_rc;
    atomic_int running;   /* handlers in wait() */
    atomic_int cancelled; /* handlers that saw it */
    atomic_int replies;   /* that flood() has sent */
    atomic_bool release;  /* wait() may end */
    struct grpc_service service;
};

/* The request back. */
static inline int echo_say(void *service, struct grpc_call *call, struct err *err)
{
    (void)service;
    return grpc_reply(call, grpc_call_request(call), err);
}

/* Five replies: "0" … "4". */
static inline int echo_count(void *service, struct grpc_call *call, struct err *err)
{
    int i, rc = 0;

    (void)service;
    for (i = 0; i < 5 && rc == 0; i++) {
        char digit = (char)('0' + i);
        rc = grpc_reply(call, bytes_of(&digit, 1), err);
    }
    return rc;
}

static inline int echo_nothing(void *service, struct grpc_call *call, struct err *err)
{
    (void)service;
    (void)call;
    (void)err;
    return 0;
}

/* The request is a decimal errno. */
static inline int echo_fail(void *service, struct grpc_call *call, struct err *err)
{
    struct bytes request = grpc_call_request(call);
    char number[8] = "";

    (void)service;
    memcpy(number, request.data, request.len < 7 ? request.len : 7);
    return err_set(err, -atoi(number), "failed as asked: 100%% \xc3\xa4\n");
}

static inline int echo_fail_late(void *service, struct grpc_call *call, struct err *err)
{
    int rc = grpc_reply(call, bytes_of("early", 5), err);

    (void)service;
    clock_sleep_ms(20); /* so that the reply is on its way */
    return rc < 0 ? rc : err_set(err, -ENOENT, "late");
}

/* The value of the header that the request names. */
static inline int echo_header(void *service, struct grpc_call *call, struct err *err)
{
    struct bytes request = grpc_call_request(call);
    char name[64] = "";
    const char *value;

    (void)service;
    memcpy(name, request.data, request.len < 63 ? request.len : 63);
    value = grpc_call_metadata(call, name);
    return value == NULL ? err_set(err, -ENOENT, "no header %s", name)
                         : grpc_reply(call, bytes_of_str(value), err);
}

/* Until cancelled or released. */
static inline int echo_wait(void *service, struct grpc_call *call, struct err *err)
{
    struct echo *echo = service;

    atomic_fetch_add(&echo->running, 1);
    while (!grpc_call_is_cancelled(call) && !atomic_load(&echo->release))
        clock_sleep_ms(2);
    if (grpc_call_is_cancelled(call))
        atomic_fetch_add(&echo->cancelled, 1);
    atomic_fetch_sub(&echo->running, 1);
    return grpc_reply(call, bytes_of_str("done"), err);
}

/* 64 replies of 1 MiB. */
static inline int echo_flood(void *service, struct grpc_call *call, struct err *err)
{
    struct echo *echo = service;
    SCOPED(buf_value) struct buf big = BUF_EMPTY;
    int i, rc;

    if (buf_add_zeros(&big, 1024 * 1024) < 0)
        return -ENOMEM;
    for (i = 0; i < 64; i++) {
        rc = grpc_reply(call, buf_bytes(&big), err);
        if (rc < 0)
            return rc;
        atomic_fetch_add(&echo->replies, 1);
    }
    return 0;
}

/* Stays open after its first reply. */
static inline void echo_unpark(void *service, struct grpc_call *call)
{
    struct err err = ERR_NONE;

    (void)service;
    assert_ok(grpc_reply(call, bytes_of_str("bye"), &err));
}

static const struct grpc_method echo_methods[] = {
    {.path = "/test.Echo/Park", .handle = echo_say, .on_stop = echo_unpark},
    {.path = "/test.Echo/Say", .handle = echo_say},
    {.path = "/test.Echo/Count", .handle = echo_count},
    {.path = "/test.Echo/Nothing", .handle = echo_nothing},
    {.path = "/test.Echo/Fail", .handle = echo_fail},
    {.path = "/test.Echo/FailLate", .handle = echo_fail_late},
    {.path = "/test.Echo/Header", .handle = echo_header},
    {.path = "/test.Echo/Wait", .handle = echo_wait},
    {.path = "/test.Echo/Flood", .handle = echo_flood},
};

static inline struct grpc_service echo_service(struct echo *echo)
{
    return (struct grpc_service){
        .methods = echo_methods, .method_count = ARRAY_LEN(echo_methods), .self = echo};
}

static inline void *echo_main(void *arg)
{
    struct echo *echo = arg;

    echo->run_rc = grpc_server_run(echo->server, NULL);
    return NULL;
}

static inline struct echo *echo_start(struct grpc_server_options options)
{
    struct echo *echo = calloc(1, sizeof(*echo));
    struct err err = ERR_NONE;
    int fd = -1;

    assert_non_null(echo);
    (void)snprintf(echo->dir, sizeof(echo->dir), "/tmp/soci-grpc.XXXXXX");
    assert_non_null(mkdtemp(echo->dir));
    (void)snprintf(echo->path, sizeof(echo->path), "%s/run/grpc.sock", echo->dir);
    echo->service = echo_service(echo);
    options.services = &echo->service;
    options.service_count = 1;
    assert_ok(grpc_server_new(&options, &echo->server, &err));
    assert_ok(grpc_listen_unix(echo->path, 0600, &fd, &err));
    assert_ok(grpc_server_add_listener(echo->server, &fd, &err));
    assert_int_equal(fd, -1);
    assert_ok(thread_start(&echo->thread, "echo-loop", echo_main, echo));
    return echo;
}

static inline void echo_stop(struct echo *echo)
{
    atomic_store(&echo->release, true);
    grpc_server_stop(echo->server);
    assert_int_equal(pthread_join(echo->thread, NULL), 0);
    assert_int_equal(echo->run_rc, 0);
    grpc_server_free(echo->server);
    assert_ok(dir_remove_all(echo->dir, NULL));
    free(echo);
}

static inline struct grpc_channel *echo_dial(const struct echo *echo)
{
    struct grpc_channel_options options = {.address = echo->path, .connect_timeout_ms = 5000};
    struct grpc_channel *channel = NULL;

    assert_ok(grpc_channel_open(&options, &channel, NULL));
    return channel;
}

/* Wait for a counter, 5 s at most. */
static inline void echo_await(atomic_int *counter, int value)
{
    int64_t end_ms = clock_mono_ms() + 5000;

    while (atomic_load(counter) != value && clock_mono_ms() < end_ms)
        clock_sleep_ms(1);
    assert_int_equal(atomic_load(counter), value);
}

#endif
