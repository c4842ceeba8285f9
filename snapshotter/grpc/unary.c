/* SPDX-License-Identifier: Apache-2.0 */
/* unary.c – calls as a whole: one request, and its answer or answers. */
#include "client.h"

#include <stdio.h>

/* A call that failed before or beside what the server says. */
static int fail(int rc, struct grpc_status *status, const struct err *err)
{
    if (status == NULL)
        return rc;
    status->code = rc == -EPROTO ? GRPC_INTERNAL : grpc_status_of(rc);
    (void)snprintf(status->text, sizeof(status->text), "%s", err == NULL ? "" : err_text(err));
    return rc;
}

static int open_and_ask(struct grpc_channel *channel, const struct grpc_request *request,
                        struct grpc_stream **ret, struct grpc_status *status, struct err *err)
{
    SCOPED(grpc_stream) struct grpc_stream *stream = NULL;
    int rc = grpc_stream_open(channel, request, &stream, err);

    if (rc < 0)
        return fail(rc, status, err);
    stream->is_send_closed = true; /* so that the last bytes carry the end */
    if (grpc_chunks_add(&stream->out, request->message) < 0)
        return fail(err_set(err, -ENOMEM, "out of memory for a message"), status, err);
    *ret = TAKE(stream);
    return 0;
}

int grpc_server_stream(struct grpc_channel *channel, const struct grpc_request *request,
                       int (*on_message)(void *arg, struct bytes message, struct err *err),
                       void *arg, struct grpc_status *status, struct err *err)
{
    SCOPED(grpc_stream) struct grpc_stream *stream = NULL;
    SCOPED(buf_value) struct buf message = BUF_EMPTY;
    int rc = open_and_ask(channel, request, &stream, status, err);

    while (rc == 0) {
        rc = grpc_stream_recv(stream, &message, status, err);
        if (rc <= 0)
            return rc;
        rc = on_message(arg, buf_bytes(&message), err);
        if (rc != 0)
            return fail(rc, status, err);
    }
    return rc;
}

int grpc_unary(struct grpc_channel *channel, const struct grpc_request *request,
               struct buf *response, struct grpc_status *status, struct err *err)
{
    SCOPED(grpc_stream) struct grpc_stream *stream = NULL;
    SCOPED(buf_value) struct buf message = BUF_EMPTY;
    SCOPED(buf_value) struct buf more = BUF_EMPTY;
    int rc = open_and_ask(channel, request, &stream, status, err);

    if (rc < 0)
        return rc;
    rc = grpc_stream_recv(stream, &message, status, err);
    if (rc == 0)
        return fail(err_set(err, -EPROTO, "the server ended the call without an answer"), status,
                    err);
    if (rc == 1)
        rc = grpc_stream_recv(stream, &more, status, err);
    if (rc == 1)
        return fail(err_set(err, -EPROTO, "the server sent more than one answer"), status, err);
    if (rc == 0 && buf_add(response, message.data, message.len) < 0)
        return fail(err_set(err, -ENOMEM, "out of memory for an answer"), status, err);
    return rc;
}
