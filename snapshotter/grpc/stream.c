/* SPDX-License-Identifier: Apache-2.0 */
/* stream.c – a client's call: its request, its messages both ways, its result. */
#include "client.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>

void grpc_stream_settle(struct grpc_stream *stream, int rc, int code, const char *text)
{
    if (stream->is_closed)
        return;
    stream->is_closed = true;
    stream->rc = rc;
    stream->status.code = code;
    if (text != NULL) /* else it came from the server and is there */
        (void)snprintf(stream->status.text, sizeof(stream->status.text), "%s", text);
}

void grpc_stream_settle_code(struct grpc_stream *stream, int code, const char *text)
{
    grpc_stream_settle(stream, grpc_errno_of(code), code, text);
}

/* ---- the request ----------------------------------------------------------------------------- */

/* An array of headers that borrows its strings. */
struct header_list {
    nghttp2_nv *items;
    size_t count;
};

static void header_list_fini(struct header_list *list)
{
    free(list->items);
}
DEFINE_SCOPED_VALUE(header_list, struct header_list, header_list_fini)

static void add_header(struct header_list *list, const char *name, const char *value)
{
    /* nghttp2 copies both and changes neither; its struct only lacks the const. */
    list->items[list->count++] = (nghttp2_nv){
        .name = (uint8_t *)(uintptr_t)name,
        .value = (uint8_t *)(uintptr_t)value,
        .namelen = strlen(name),
        .valuelen = strlen(value),
        .flags = NGHTTP2_NV_FLAG_NONE,
    };
}

static int add_metadata(struct header_list *list, const struct text_map *metadata, struct err *err)
{
    size_t i;

    for (i = 0; i < metadata->count; i++) {
        const char *name = metadata->items[i].key;
        const char *value = metadata->items[i].value;

        if (nghttp2_check_header_name((const uint8_t *)name, strlen(name)) == 0 ||
            nghttp2_check_header_value((const uint8_t *)value, strlen(value)) == 0)
            return err_set(err, -EINVAL, "metadata \"%s\" cannot be sent as a header", name);
        add_header(list, name, value);
    }
    return 0;
}

/* Called by nghttp2 when it can send more of a request. The stream is looked up and not taken from
 * `source`, because its owner may have closed it. */
static ssize_t read_request(nghttp2_session *session, int32_t id, uint8_t *out, size_t len,
                            uint32_t *flags, nghttp2_data_source *source, void *channel)
{
    struct grpc_stream *stream = nghttp2_session_get_stream_user_data(session, id);
    size_t taken;

    (void)source;
    (void)channel;
    if (stream == NULL)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* resets the stream */
    taken = grpc_chunks_take(&stream->out, out, len);
    if (stream->out.bytes == 0 && stream->is_send_closed)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    else if (taken == 0)
        return NGHTTP2_ERR_DEFERRED;
    return (ssize_t)taken;
}

static int submit(struct grpc_stream *stream, const struct grpc_request *request, struct err *err)
{
    static const size_t own_headers = 8;
    nghttp2_data_provider body = {.source.ptr = NULL, .read_callback = read_request};
    struct grpc_channel *channel = stream->channel;
    char timeout[GRPC_TIMEOUT_BYTES];
    size_t count = own_headers + (request->metadata == NULL ? 0 : request->metadata->count);
    SCOPED(header_list) struct header_list list = {.items = calloc(count, sizeof(nghttp2_nv))};
    int rc;

    if (list.items == NULL)
        return err_set(err, -ENOMEM, "out of memory for a call");
    add_header(&list, ":method", "POST");
    add_header(&list, ":scheme", "http");
    add_header(&list, ":path", request->path);
    add_header(&list, ":authority", "localhost");
    add_header(&list, "content-type", "application/grpc");
    add_header(&list, "te", "trailers");
    add_header(&list, "user-agent", channel->user_agent);
    if (stream->deadline_ms != INT64_MAX) {
        grpc_timeout_format(stream->deadline_ms - clock_mono_ms(), timeout);
        add_header(&list, "grpc-timeout", timeout);
    }
    rc = request->metadata == NULL ? 0 : add_metadata(&list, request->metadata, err);
    if (rc < 0)
        return rc;
    stream->id =
        nghttp2_submit_request(channel->session, NULL, list.items, list.count, &body, stream);
    if (stream->id < 0)
        return err_set(err, stream->id == NGHTTP2_ERR_NOMEM ? -ENOMEM : -EAGAIN,
                       "connection error: desc = \"transport: %s\"", nghttp2_strerror(stream->id));
    return 0;
}

static void link_stream(struct grpc_stream *stream)
{
    struct grpc_channel *channel = stream->channel;

    stream->next = channel->streams;
    if (stream->next != NULL)
        stream->next->prev = stream;
    channel->streams = stream;
}

static void unlink_stream(struct grpc_stream *stream)
{
    if (stream->prev != NULL)
        stream->prev->next = stream->next;
    else if (stream->channel->streams == stream)
        stream->channel->streams = stream->next;
    if (stream->next != NULL)
        stream->next->prev = stream->prev;
}

int grpc_stream_open(struct grpc_channel *channel, const struct grpc_request *request,
                     struct grpc_stream **ret, struct err *err)
{
    int64_t deadline_ms = request->deadline_ms == 0 ? INT64_MAX : request->deadline_ms;
    struct grpc_stream *stream;
    int rc = grpc_channel_connect(channel, deadline_ms, err);

    if (rc < 0)
        return rc;
    stream = calloc(1, sizeof(*stream));
    if (stream == NULL)
        return err_set(err, -ENOMEM, "out of memory for a call");
    stream->channel = channel;
    stream->deadline_ms = deadline_ms;
    stream->step_timeout_ms = request->step_timeout_ms;
    stream->last = &stream->first;
    grpc_deframer_init(&stream->deframer, channel->max_message_bytes);
    rc = submit(stream, request, err);
    if (rc < 0) {
        free(stream);
        return rc;
    }
    link_stream(stream);
    *ret = stream;
    return 0;
}

/* ---- messages -------------------------------------------------------------------------------- */

/* The server need not go on. */
static void reset(struct grpc_stream *stream)
{
    nghttp2_session *session = stream->channel->session;

    if (session == NULL || stream->id < 0)
        return;
    (void)nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, stream->id, NGHTTP2_CANCEL);
    grpc_channel_send_some(stream->channel);
}

/* When a message that is waited for from now on is late. */
static int64_t step_end(const struct grpc_stream *stream)
{
    int64_t end_ms = clock_mono_ms() + stream->step_timeout_ms;

    return stream->step_timeout_ms == 0 || stream->deadline_ms < end_ms ? stream->deadline_ms
                                                                        : end_ms;
}

static void step(struct grpc_stream *stream, int64_t until_ms)
{
    struct err err = ERR_NONE;
    int rc = grpc_channel_step(stream->channel, until_ms, &err);

    if (rc != -ETIMEDOUT && rc != -ECANCELED)
        return; /* a lost connection has settled its streams */
    if (stream->is_closed)
        return;
    grpc_stream_settle(stream, rc, grpc_status_of(rc), err_text(&err)); /* before HTTP/2 does */
    reset(stream);
}

/* Let the session ask for the request's bytes again. It refuses when it has not stopped asking,
 * which is as good. */
static void resume(struct grpc_stream *stream)
{
    if (!stream->is_closed)
        (void)nghttp2_session_resume_data(stream->channel->session, stream->id);
}

static int add_out(struct grpc_stream *stream, struct bytes message, struct err *err)
{
    if (stream->is_closed || stream->is_send_closed)
        return err_set(err, -EPIPE, "the call has ended");
    if (grpc_chunks_add(&stream->out, message) < 0)
        return err_set(err, -ENOMEM, "out of memory for a message");
    resume(stream);
    return 0;
}

int grpc_stream_send(struct grpc_stream *stream, struct bytes message, struct err *err)
{
    int64_t until_ms = step_end(stream);
    int rc = add_out(stream, message, err);

    if (rc < 0)
        return rc;
    while (stream->out.bytes > 0 && !stream->is_closed) {
        grpc_channel_send_some(stream->channel);
        if (stream->out.bytes > 0)
            step(stream, until_ms);
    }
    return stream->is_closed ? err_set(err, -EPIPE, "the call has ended") : 0;
}

void grpc_stream_close_send(struct grpc_stream *stream)
{
    stream->is_send_closed = true;
    resume(stream);
}

static bool pop(struct grpc_stream *stream, struct buf *message)
{
    struct grpc_message *first = stream->first;

    if (first == NULL)
        return false;
    stream->first = first->next;
    if (stream->first == NULL)
        stream->last = &stream->first;
    buf_fini(message);
    *message = *first->content;
    *first->content = (struct buf)BUF_EMPTY;
    buf_free(first->content);
    free(first);
    if (stream->first == NULL && stream->held_bytes > 0 && stream->id >= 0) {
        (void)nghttp2_session_consume_stream(stream->channel->session, stream->id,
                                             stream->held_bytes);
        stream->held_bytes = 0;
    }
    return true;
}

static int tell(const struct grpc_stream *stream, struct grpc_status *status, struct err *err)
{
    if (status != NULL)
        *status = stream->status;
    if (stream->rc == 0)
        return 0;
    if (stream->status.text[0] == '\0')
        return err_set(err, stream->rc, "grpc status %d", stream->status.code);
    return err_set(err, stream->rc, "%s", stream->status.text);
}

int grpc_stream_recv(struct grpc_stream *stream, struct buf *message, struct grpc_status *status,
                     struct err *err)
{
    int64_t until_ms = step_end(stream);

    for (;;) {
        if (pop(stream, message))
            return 1;
        if (stream->is_closed)
            return tell(stream, status, err);
        step(stream, until_ms);
    }
}

void grpc_stream_close(struct grpc_stream *stream)
{
    if (stream == NULL)
        return;
    if (!stream->is_closed)
        reset(stream);
    if (stream->id >= 0) /* what HTTP/2 still has to say of it is for nobody */
        (void)nghttp2_session_set_stream_user_data(stream->channel->session, stream->id, NULL);
    unlink_stream(stream);
    while (stream->first != NULL) {
        SCOPED(buf_value) struct buf dropped = BUF_EMPTY;

        (void)pop(stream, &dropped);
    }
    grpc_deframer_fini(&stream->deframer);
    grpc_chunks_fini(&stream->out);
    free(stream);
}
