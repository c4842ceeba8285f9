/* SPDX-License-Identifier: Apache-2.0 */
/* grpc.h – gRPC over clear-text HTTP/2 on unix sockets, as server and as client. Messages are bytes
 * here: what they mean (protobuf) is for the folders above.
 *
 * Server: one loop thread owns sockets and HTTP/2 state; handlers run on threads of their own and
 * may block. Client: a channel is one connection, used by one thread at a time, that dials when it
 * is first needed.
 *
 * gRPC says with a status code what the project says with an errno; grpc_status_of() and
 * grpc_errno_of() are the only translation, in both directions:
 *
 *   ECANCELED 1 · EINVAL 3 · ETIMEDOUT 4 · ENOENT 5 · EEXIST 6 · EACCES 7 · ENOSPC, ENOMEM, EFBIG 8
 * · EBUSY 9 · EOPNOTSUPP, ENOSYS 12 · EAGAIN 14 · EBADMSG 15 · any other 2 (Unknown) back: 1
 * ECANCELED · 3, 11 EINVAL · 4 ETIMEDOUT · 5 ENOENT · 6 EEXIST · 7, 16 EACCES · 8 EFBIG · 9 EBUSY ·
 *   10, 14 EAGAIN · 12 EOPNOTSUPP · 15 EBADMSG · any other EIO
 *
 * Lock order: server->lock, then a call's lock. */
#ifndef GRPC_GRPC_H
#define GRPC_GRPC_H

#include "base/attr.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum grpc_code {
    GRPC_OK = 0,
    GRPC_CANCELLED = 1,
    GRPC_UNKNOWN = 2,
    GRPC_INVALID_ARGUMENT = 3,
    GRPC_DEADLINE_EXCEEDED = 4,
    GRPC_NOT_FOUND = 5,
    GRPC_ALREADY_EXISTS = 6,
    GRPC_PERMISSION_DENIED = 7,
    GRPC_RESOURCE_EXHAUSTED = 8,
    GRPC_FAILED_PRECONDITION = 9,
    GRPC_ABORTED = 10,
    GRPC_OUT_OF_RANGE = 11,
    GRPC_UNIMPLEMENTED = 12,
    GRPC_INTERNAL = 13,
    GRPC_UNAVAILABLE = 14,
    GRPC_DATA_LOSS = 15,
    GRPC_UNAUTHENTICATED = 16,
};

int grpc_status_of(int negative_errno); /* 0 gives GRPC_OK */
int grpc_errno_of(int status);          /* a negative errno; 0 for GRPC_OK */

enum { GRPC_MESSAGE_MAX_BYTES = 16 * 1024 * 1024 }; /* containerd's own limit, both ways */

/* ---- server ---------------------------------------------------------------------------------- */

struct grpc_server;
struct grpc_call;

/* Unary or server streaming: the handler gets the one request message, sends its replies by
 * grpc_reply() and returns 0 or a negative errno, of which the loop makes the status; the status
 * text is err's. A unary handler replies once before it returns 0. Runs on a thread that it may
 * block; many run at once, those of one connection too. `call` is the handler's until it returns.
 */
struct grpc_method {
    const char *path; /* "/package.Service/Method" */
    int (*handle)(void *self, struct grpc_call *call, struct err *err);
    /* NULL: the call ends with its handler. Else a call whose handler returned 0 stays open without
     * a thread, until the client ends it or the server stops: then this sends the last replies, and
     * the call ends well. On the loop thread; does not block. At most GRPC_PARKED_MAX such calls
     * are open at once, the next ones are refused with ResourceExhausted. */
    void (*on_stop)(void *self, struct grpc_call *call);
};
enum { GRPC_PARKED_MAX = 1024 };

struct grpc_service {
    const struct grpc_method *methods; /* these live as long as the server */
    size_t method_count;
    void *self; /* handed to every handle() */
};

struct grpc_server_options {
    const struct grpc_service *services; /* lives as long as the server */
    size_t service_count;
    size_t max_threads; /* handlers that may run at once; threads start on demand, idle ones end. 0:
                           256 */
    size_t max_message_bytes; /* one message, either way. 0: GRPC_MESSAGE_MAX_BYTES */
    size_t max_held_bytes;    /* requests in memory, of all connections together; what is more is
                                 answered with    ResourceExhausted. 0: 64 MiB */
    size_t max_connections;   /* more of them wait to be accepted. 0: 2048 */
    int64_t stop_grace_ms; /* after grpc_server_stop(), for running calls to end; 0: 5000, negative:
                              none */
    int64_t reply_stall_ms; /* a client that takes none of its replies for so long loses its call.
                               0: 30000 */
};

MUST_CHECK int grpc_server_new(const struct grpc_server_options *options, struct grpc_server **ret,
                               struct err *err);
/* Accept connections on `fd`, a listening stream socket (made by grpc_listen_unix(), or inherited).
 * May be called several times, before grpc_server_run(). The server owns *fd from here on, also on
 * failure; *fd is -1 then. */
MUST_CHECK int grpc_server_add_listener(struct grpc_server *server, int *fd, struct err *err);
/* Serve until grpc_server_stop(). Then: no new connections or calls, clients are told (GOAWAY),
 * running calls get stop_grace_ms, what is left is cancelled and connections are closed. 0, or a
 * negative errno when the loop itself failed. Blocks; one thread, once. */
MUST_CHECK int grpc_server_run(struct grpc_server *server, struct err *err);
/* Any thread, and safe in a signal handler. Also before grpc_server_run(), which then returns soon.
 */
void grpc_server_stop(struct grpc_server *server);
/* After grpc_server_run() has returned. Waits for handlers that still run (their calls are
 * cancelled); closes the listeners. NULL is fine. */
void grpc_server_free(struct grpc_server *server);
DEFINE_SCOPED_PTR(grpc_server, struct grpc_server, grpc_server_free)

/* A listening unix socket at `path`, mode `mode`, close-on-exec, in a directory that is made (0711)
 * if need be. A stale socket, one that nobody listens on, is replaced; -EBUSY: somebody listens
 * there. */
MUST_CHECK int grpc_listen_unix(const char *path, unsigned mode, int *ret_fd, struct err *err);

/* For handlers, on the handler's thread. Borrowed results live until the handler returns. */
struct bytes grpc_call_request(const struct grpc_call *call);
/* The first value of a header by its lower-case name ("containerd-namespace"), as sent: values of
 * `-bin` headers are base64. NULL: not sent. */
const char *grpc_call_metadata(const struct grpc_call *call, const char *name);
/* The moment on clock_mono_ms() at which the caller gives up; INT64_MAX: never. The server answers
 * DeadlineExceeded by itself then. */
int64_t grpc_call_deadline_ms(const struct grpc_call *call);
/* The caller has gone, cancelled or run out of time, or the server stops: nobody reads what the
 * handler makes. */
bool grpc_call_is_cancelled(const struct grpc_call *call);
/* Send one message; the bytes are copied. Blocks while the client is behind by more than 1 MiB.
 * -ECANCELED as above, -EFBIG larger than max_message_bytes, -ETIMEDOUT the client takes nothing
 * for reply_stall_ms, -ENOMEM. */
MUST_CHECK int grpc_reply(struct grpc_call *call, struct bytes message, struct err *err);

/* ---- client ---------------------------------------------------------------------------------- */

/* What the server answered, for those who need more than the errno. */
struct grpc_status {
    int code;                  /* enum grpc_code, or another number that the server sent */
    char text[ERR_TEXT_BYTES]; /* may be empty */
};

/* One connection to a server. One thread at a time uses a channel and its streams; several streams
 * may be open. */
struct grpc_channel;

struct grpc_channel_options {
    const char *address;        /* "/path" or "unix:///path" ("unix:/path" too) */
    int64_t connect_timeout_ms; /* how long a missing socket and a silent server are waited for. 0:
                                   10000 */
    size_t max_message_bytes;   /* received; 0: GRPC_MESSAGE_MAX_BYTES */
    const char *user_agent;     /* NULL: "finch-soci" */
};

/* Never contacts the server: the first call does, and any call after the connection was lost.
 * -EINVAL: the address makes no sense. */
MUST_CHECK int grpc_channel_open(const struct grpc_channel_options *options,
                                 struct grpc_channel **ret, struct err *err);
/* Streams must be closed before. NULL is fine. */
void grpc_channel_close(struct grpc_channel *channel);
DEFINE_SCOPED_PTR(grpc_channel, struct grpc_channel, grpc_channel_close)
/* Any thread, and safe in a signal handler: calls under way and all later ones fail with
 * -ECANCELED. */
void grpc_channel_cancel(struct grpc_channel *channel);

struct grpc_request {
    const char *path;                /* "/package.Service/Method" */
    const struct text_map *metadata; /* lower-case names; NULL: none */
    struct bytes message;            /* not used by grpc_stream_open() */
    int64_t deadline_ms;             /* moment on clock_mono_ms(), told to the server; 0: none */
    int64_t step_timeout_ms; /* for one message to come or to go, each anew, not told; 0: none */
};

/* Errors of all calls: by the table above for what the server answered, err's text is the server's.
 * The channel itself fails with: -EAGAIN (Unavailable) not connected or connection lost, text
 * `connection error: desc = "transport: …"`; -ETIMEDOUT the deadline or a step's time passed;
 * -ECANCELED grpc_channel_cancel(); -EPROTO the peer does not speak gRPC; -EFBIG a message is
 * larger than allowed. `status` may be NULL; it gets the matching code in any case. */

/* One message there, one message back, appended to *response. */
MUST_CHECK int grpc_unary(struct grpc_channel *channel, const struct grpc_request *request,
                          struct buf *response, struct grpc_status *status, struct err *err);

/* One message there, any number back, each to on_message(), which returns 0 to go on; anything else
 * cancels the call and is the result. It may take its time: the server is held back, not buffered.
 */
MUST_CHECK int grpc_server_stream(struct grpc_channel *channel, const struct grpc_request *request,
                                  int (*on_message)(void *arg, struct bytes message,
                                                    struct err *err),
                                  void *arg, struct grpc_status *status, struct err *err);

/* Both ways at the caller's pace. */
struct grpc_stream;
MUST_CHECK int grpc_stream_open(struct grpc_channel *channel, const struct grpc_request *request,
                                struct grpc_stream **ret, struct err *err);
/* Copied; blocks until the transport took it. -EPIPE: the server has ended the call,
 * grpc_stream_recv() says how. */
MUST_CHECK int grpc_stream_send(struct grpc_stream *stream, struct bytes message, struct err *err);
/* No more will be sent; nothing to wait for. */
void grpc_stream_close_send(struct grpc_stream *stream);
/* 1: a message, which replaces what was in *message. 0: the call ended with status OK. Else a
 * negative errno. */
MUST_CHECK int grpc_stream_recv(struct grpc_stream *stream, struct buf *message,
                                struct grpc_status *status, struct err *err);
/* Cancels the call when it has not ended. NULL is fine. */
void grpc_stream_close(struct grpc_stream *stream);
DEFINE_SCOPED_PTR(grpc_stream, struct grpc_stream, grpc_stream_close)

#endif
