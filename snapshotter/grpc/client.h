/* SPDX-License-Identifier: Apache-2.0 */
/* client.h – what the client's files share: the connection (channel.c), how it is made (dial.c),
 * HTTP/2's events (client.c), calls (stream.c). All on the thread that uses the channel. */
#ifndef GRPC_CLIENT_H
#define GRPC_CLIENT_H

#include "internal.h"

struct grpc_channel {
    char *path; /* of the socket; fixed, as are the next three */
    char *user_agent;
    int64_t connect_timeout_ms;
    size_t max_message_bytes;
    int cancel_fd; /* an eventfd that grpc_channel_cancel() makes readable for good */

    int fd; /* -1: not connected, and then there is no session */
    nghttp2_session *session;
    bool is_ready;   /* the server's SETTINGS have come */
    bool is_leaving; /* the server's GOAWAY has come */
    struct buf out;  /* being sent, from out_sent on */
    size_t out_sent;
    uint8_t *input;
    struct grpc_stream *streams; /* that are not closed by their owner */
};

struct grpc_message {
    struct grpc_message *next;
    struct buf *content;
};

struct grpc_stream {
    struct grpc_channel *channel;
    struct grpc_stream *prev, *next;
    int32_t id;              /* negative: its connection is lost */
    int64_t deadline_ms;     /* INT64_MAX: none */
    int64_t step_timeout_ms; /* 0: none */

    struct grpc_chunks out;
    bool is_send_closed;

    struct grpc_deframer deframer;
    struct grpc_message *first; /* whole messages, for grpc_stream_recv() */
    struct grpc_message **last;
    size_t held_bytes; /* that the server is not yet told of as consumed */
    int http_status;
    bool has_type;
    bool has_status;
    bool is_closed; /* by HTTP/2, or we gave up: `rc` and `status` are the result */
    int rc;
    struct grpc_status status;
};

/* dial.c: a connected, non-blocking socket. Waits for one that is missing until `until_ms`;
 * *ret_errno is what the last attempt failed with. -EAGAIN, -ETIMEDOUT, -ECANCELED (cancel_fd); err
 * is not set. */
MUST_CHECK int grpc_dial(const char *path, int cancel_fd, int64_t until_ms, int *ret_fd,
                         int *ret_errno);
MUST_CHECK int grpc_address_parse(const char *address, char **ret_path, struct err *err);

/* client.c: 0 or -ENOMEM. */
MUST_CHECK int grpc_client_session_new(struct grpc_channel *channel);

/* channel.c. Connected and ready for a call, by `deadline_ms`. */
MUST_CHECK int grpc_channel_connect(struct grpc_channel *channel, int64_t deadline_ms,
                                    struct err *err);
/* Send what there is and wait until the server says something or `until_ms`. 0: look again;
 * -ETIMEDOUT, -ECANCELED, or -EAGAIN: the connection is lost and all streams are closed. */
MUST_CHECK int grpc_channel_step(struct grpc_channel *channel, int64_t until_ms, struct err *err);
void grpc_channel_send_some(struct grpc_channel *channel); /* what goes without waiting */

/* stream.c. The first result counts. */
void grpc_stream_settle(struct grpc_stream *stream, int rc, int code, const char *text);
/* As settle, with the errno that belongs to `code`. */
void grpc_stream_settle_code(struct grpc_stream *stream, int code, const char *text);

#endif
