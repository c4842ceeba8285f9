/* SPDX-License-Identifier: Apache-2.0 */
/* client.c – what HTTP/2 tells a client: headers, messages, the end of a call. */
#include "client.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    STREAM_WINDOW_BYTES = 1024 * 1024, /* a blob is read in messages of as much */
    CONN_WINDOW_BYTES = 8 * 1024 * 1024,
};

static struct grpc_stream *stream_of(nghttp2_session *session, int32_t id)
{
    return nghttp2_session_get_stream_user_data(session, id);
}

/* A decimal number of at most four digits, else `otherwise`. */
static int small_number(struct bytes value, int otherwise)
{
    int number = 0;
    size_t i;

    if (value.len == 0 || value.len > 4)
        return otherwise;
    for (i = 0; i < value.len; i++) {
        if (value.data[i] < '0' || value.data[i] > '9')
            return otherwise;
        number = number * 10 + (value.data[i] - '0');
    }
    return number;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name_data,
                     size_t name_len, const uint8_t *value_data, size_t value_len, uint8_t flags,
                     void *arg)
{
    struct grpc_stream *stream = stream_of(session, frame->hd.stream_id);
    struct bytes name = bytes_of(name_data, name_len);
    struct bytes value = bytes_of(value_data, value_len);

    (void)flags;
    (void)arg;
    if (stream == NULL || stream->is_closed)
        return 0;
    if (bytes_equal(name, bytes_of_str(":status")))
        stream->http_status = small_number(value, 500);
    else if (bytes_equal(name, bytes_of_str("content-type")))
        stream->has_type = grpc_content_type_is_ok(value);
    else if (bytes_equal(name, bytes_of_str("grpc-status"))) {
        stream->status.code = small_number(value, GRPC_UNKNOWN);
        stream->has_status = true;
    } else if (bytes_equal(name, bytes_of_str("grpc-message")))
        grpc_percent_decode(value, stream->status.text, sizeof(stream->status.text));
    return 0;
}

static void give_up(nghttp2_session *session, struct grpc_stream *stream, int rc, int code,
                    const char *text)
{
    grpc_stream_settle(stream, rc, code, text);
    /* Failing for want of memory leaves the stream open, which nobody listens to. */
    (void)nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, stream->id, NGHTTP2_CANCEL);
}

/* The server has said all that it will. */
static void finish(struct grpc_stream *stream, uint32_t http2_error)
{
    char text[96];

    if (stream->has_status && stream->status.code == GRPC_OK &&
        grpc_deframer_is_inside(&stream->deframer)) {
        grpc_stream_settle(stream, -EPROTO, GRPC_INTERNAL, "the call ended inside a message");
    } else if (stream->has_status) {
        grpc_stream_settle_code(stream, stream->status.code, NULL);
    } else if (stream->http_status != 0 && stream->http_status != 200) {
        (void)snprintf(text, sizeof(text), "unexpected HTTP status code received from server: %d",
                       stream->http_status);
        grpc_stream_settle_code(stream, grpc_status_of_http(stream->http_status), text);
    } else if (http2_error != NGHTTP2_NO_ERROR) {
        (void)snprintf(text, sizeof(text), "stream terminated by RST_STREAM with error code: %s",
                       nghttp2_http2_strerror(http2_error));
        grpc_stream_settle_code(stream, grpc_status_of_reset(http2_error), text);
    } else {
        grpc_stream_settle(stream, -EPROTO, GRPC_INTERNAL,
                           "server closed the stream without sending trailers");
    }
}

static void take_frame(nghttp2_session *session, struct grpc_stream *stream,
                       const nghttp2_frame *frame)
{
    if (stream->http_status == 200 && !stream->has_type) {
        give_up(session, stream, -EPROTO, GRPC_UNKNOWN,
                "the answer's content-type is not application/grpc");
    } else if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) {
        finish(stream, NGHTTP2_NO_ERROR);
        /* A call may end before its request has; the rest of that is for nobody. */
        if (nghttp2_session_get_stream_local_close(session, stream->id) == 0)
            (void)nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, stream->id, NGHTTP2_CANCEL);
    }
}

static int on_frame_recv(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    struct grpc_channel *channel = arg;
    struct grpc_stream *stream;

    if (frame->hd.type == NGHTTP2_SETTINGS && (frame->hd.flags & NGHTTP2_FLAG_ACK) == 0)
        channel->is_ready = true;
    if (frame->hd.type == NGHTTP2_GOAWAY)
        channel->is_leaving = true;
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
        return 0;
    stream = stream_of(session, frame->hd.stream_id);
    if (stream != NULL && !stream->is_closed)
        take_frame(session, stream, frame);
    return 0;
}

static int add_message(struct grpc_stream *stream, struct buf **content)
{
    struct grpc_message *message = calloc(1, sizeof(*message));

    if (message == NULL)
        return -ENOMEM;
    message->content = TAKE(*content);
    *stream->last = message;
    stream->last = &message->next;
    return 0;
}

static int take_data(struct grpc_stream *stream, struct bytes data, struct err *err)
{
    while (data.len > 0) {
        SCOPED(buf) struct buf *content = NULL;
        int rc = grpc_deframer_feed(&stream->deframer, &data, &content, err);

        if (rc == 0 && content != NULL && add_message(stream, &content) < 0)
            rc = err_set(err, -ENOMEM, "out of memory for a message");
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* The connection's window is refilled at once, so that streams do not wait for each other. A
 * stream's own only while none of its messages waits to be taken: its server is held back then. */
static int on_data_chunk(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                         size_t len, void *arg)
{
    struct grpc_stream *stream = stream_of(session, id);
    struct err err = ERR_NONE;
    int rc;

    (void)flags;
    (void)arg;
    if (nghttp2_session_consume_connection(session, len) != 0)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    if (stream == NULL || stream->is_closed)
        return 0;
    rc = take_data(stream, bytes_of(data, len), &err);
    if (rc < 0) {
        give_up(session, stream, rc, rc == -EPROTO ? GRPC_INTERNAL : grpc_status_of(rc),
                err_text(&err));
        return 0;
    }
    stream->held_bytes += len;
    if (stream->first != NULL)
        return 0;
    rc = nghttp2_session_consume_stream(session, id, stream->held_bytes);
    stream->held_bytes = 0;
    return rc == NGHTTP2_ERR_NOMEM ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t error, void *arg)
{
    struct grpc_stream *stream = stream_of(session, id);

    (void)arg;
    if (stream != NULL && !stream->is_closed)
        finish(stream, error);
    return 0;
}

/* The request's HEADERS could not be sent: the server is leaving, or there are no stream numbers
 * left. */
static int on_frame_not_send(nghttp2_session *session, const nghttp2_frame *frame, int error,
                             void *arg)
{
    struct grpc_channel *channel = arg;
    struct grpc_stream *stream = stream_of(session, frame->hd.stream_id);

    if (frame->hd.type != NGHTTP2_HEADERS || stream == NULL)
        return 0;
    channel->is_leaving = true;
    grpc_stream_settle_code(stream, GRPC_UNAVAILABLE, nghttp2_strerror(error));
    return 0;
}

static int set_up(struct grpc_channel *channel)
{
    static const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW_BYTES},
    };
    int rc =
        nghttp2_submit_settings(channel->session, NGHTTP2_FLAG_NONE, settings, ARRAY_LEN(settings));

    if (rc == 0)
        rc = nghttp2_session_set_local_window_size(channel->session, NGHTTP2_FLAG_NONE, 0,
                                                   CONN_WINDOW_BYTES);
    return rc == 0 ? 0 : -ENOMEM;
}

int grpc_client_session_new(struct grpc_channel *channel)
{
    nghttp2_session_callbacks *callbacks = NULL;
    nghttp2_option *option = NULL;
    int rc = -ENOMEM;

    if (nghttp2_session_callbacks_new(&callbacks) != 0 || nghttp2_option_new(&option) != 0)
        goto out;
    nghttp2_option_set_no_auto_window_update(option, 1);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame_recv);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data_chunk);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks, on_frame_not_send);
    if (nghttp2_session_client_new2(&channel->session, callbacks, channel, option) == 0)
        rc = set_up(channel);
out:
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
    return rc;
}
