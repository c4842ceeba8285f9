/* SPDX-License-Identifier: Apache-2.0 */
/* conn.c – the server's side of an HTTP/2 connection, bytes in and bytes out. */
#include "internal.h"

#include <stdlib.h>

enum {
    STREAM_WINDOW_BYTES = 1024 * 1024,
    CONN_WINDOW_BYTES = 8 * 1024 * 1024, /* several large requests do not wait for each other */
    BEHIND_FRAMES = 1000, /* nghttp2 itself gives up at as many unsent acknowledgements */
};

/* ---- nghttp2's callbacks --------------------------------------------------------------------- */

static struct grpc_call *call_of(nghttp2_session *session, int32_t stream_id)
{
    return nghttp2_session_get_stream_user_data(session, stream_id);
}

static bool is_request(const nghttp2_frame *frame)
{
    return frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST;
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    struct grpc_conn *conn = arg;
    struct grpc_call *call;

    if (!is_request(frame))
        return 0;
    call = grpc_call_new(conn->shared, frame->hd.stream_id);
    if (call == NULL)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* resets the stream */
    call->conn = conn;
    call->next = conn->calls;
    if (call->next != NULL)
        call->next->prev = call;
    conn->calls = call;
    return nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, call);
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *arg)
{
    struct grpc_conn *conn = arg;
    struct grpc_call *call = call_of(session, frame->hd.stream_id);

    (void)flags;
    if (call == NULL || !is_request(frame))
        return 0; /* trailers of a request mean nothing in gRPC */
    grpc_request_header(conn, call, bytes_of(name, name_len), bytes_of(value, value_len));
    return 0;
}

static int on_frame_recv(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    struct grpc_conn *conn = arg;
    struct grpc_call *call;

    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
        return 0;
    call = call_of(session, frame->hd.stream_id);
    if (call == NULL)
        return 0;
    if (is_request(frame))
        grpc_request_check(conn, call);
    if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0)
        grpc_request_end(conn, call);
    return 0;
}

static int on_data_chunk(nghttp2_session *session, uint8_t flags, int32_t stream_id,
                         const uint8_t *data, size_t len, void *arg)
{
    struct grpc_conn *conn = arg;
    struct grpc_call *call = call_of(session, stream_id);

    (void)flags;
    if (call != NULL)
        grpc_request_data(conn, call, bytes_of(data, len));
    return 0;
}

/* A call that is over before its request is: tell the client to keep the rest. */
static int on_frame_send(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    (void)arg;
    if (frame->hd.type != NGHTTP2_HEADERS || (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0 ||
        nghttp2_session_get_stream_remote_close(session, frame->hd.stream_id) != 0)
        return 0;
    return nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
                                     NGHTTP2_NO_ERROR);
}

static void part_with(struct grpc_conn *conn, struct grpc_call *call)
{
    if (call->prev != NULL)
        call->prev->next = call->next;
    else
        conn->calls = call->next;
    if (call->next != NULL)
        call->next->prev = call->prev;
    call->prev = call->next = NULL;
    call->conn = NULL;
    grpc_call_cancel(call);
    grpc_call_unref(call);
}

static int on_stream_close(nghttp2_session *session, int32_t stream_id, uint32_t error, void *arg)
{
    struct grpc_conn *conn = arg;
    struct grpc_call *call = call_of(session, stream_id);

    (void)error;
    if (call != NULL)
        part_with(conn, call);
    return 0;
}

/* ---- the connection -------------------------------------------------------------------------- */

static int new_session(struct grpc_conn *conn)
{
    nghttp2_session_callbacks *callbacks;
    int rc;

    if (nghttp2_session_callbacks_new(&callbacks) != 0)
        return NGHTTP2_ERR_NOMEM;
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame_recv);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data_chunk);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_send);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    rc = nghttp2_session_server_new(&conn->session, callbacks, conn);
    nghttp2_session_callbacks_del(callbacks);
    return rc;
}

/* Our SETTINGS come first: containerd's client waits for them before it sends a call. */
static int submit_settings(nghttp2_session *session)
{
    static const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, GRPC_STREAMS_MAX},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW_BYTES},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, GRPC_HEADERS_MAX_BYTES},
    };
    int rc = nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings, ARRAY_LEN(settings));

    if (rc == 0)
        rc =
            nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0, CONN_WINDOW_BYTES);
    return rc;
}

int grpc_conn_new(struct grpc_shared *shared, struct grpc_conn **ret, struct err *err)
{
    SCOPED(grpc_conn) struct grpc_conn *conn = calloc(1, sizeof(*conn));

    if (conn == NULL)
        return err_set(err, -ENOMEM, "grpc connection: out of memory");
    conn->shared = shared;
    conn->next_expiry_ms = INT64_MAX;
    if (new_session(conn) != 0 || submit_settings(conn->session) != 0)
        return err_set(err, -ENOMEM, "grpc connection: out of memory");
    *ret = TAKE(conn);
    return 0;
}

void grpc_conn_free(struct grpc_conn *conn)
{
    if (conn == NULL)
        return;
    while (conn->calls != NULL)
        part_with(conn, conn->calls);
    nghttp2_session_del(conn->session);
    free(conn);
}

static int session_failed(struct grpc_conn *conn, int nghttp2_error, struct err *err)
{
    conn->is_failed = true;
    return err_set(err, nghttp2_error == NGHTTP2_ERR_NOMEM ? -ENOMEM : -EPROTO, "http/2: %s",
                   nghttp2_strerror(nghttp2_error));
}

int grpc_conn_input(struct grpc_conn *conn, struct bytes bytes, int64_t now_ms, struct err *err)
{
    ssize_t rc;

    conn->now_ms = now_ms;
    rc = nghttp2_session_mem_recv(conn->session, bytes.data, bytes.len);
    return rc < 0 ? session_failed(conn, (int)rc, err) : 0;
}

int grpc_conn_output(struct grpc_conn *conn, size_t max_bytes, int64_t now_ms, struct buf *ret,
                     struct err *err)
{
    conn->now_ms = now_ms;
    while (ret->len < max_bytes) {
        const uint8_t *data;
        ssize_t len = nghttp2_session_mem_send(conn->session, &data);

        if (len < 0)
            return session_failed(conn, (int)len, err);
        if (len == 0)
            return 0;
        if (buf_add(ret, data, (size_t)len) < 0)
            return session_failed(conn, NGHTTP2_ERR_NOMEM, err);
    }
    return 0;
}

void grpc_conn_expire_at(struct grpc_conn *conn, int64_t moment_ms)
{
    if (moment_ms < conn->next_expiry_ms)
        conn->next_expiry_ms = moment_ms;
}

void grpc_conn_answer(struct grpc_conn *conn, struct grpc_call *call, int64_t now_ms)
{
    int rc;

    conn->now_ms = now_ms;
    rc = grpc_answer_submit(conn->session, call, now_ms);
    grpc_conn_expire_at(conn, now_ms + conn->shared->reply_stall_ms);
    /* Anything but a lack of memory means that the stream is closing, and on_stream_close() will
     * say so. */
    if (rc == NGHTTP2_ERR_NOMEM)
        conn->is_failed = true;
}

bool grpc_conn_is_behind(const struct grpc_conn *conn)
{
    return nghttp2_session_get_outbound_queue_size(conn->session) > BEHIND_FRAMES;
}

bool grpc_conn_is_done(const struct grpc_conn *conn)
{
    return conn->is_failed || (nghttp2_session_want_read(conn->session) == 0 &&
                               nghttp2_session_want_write(conn->session) == 0);
}

bool grpc_conn_is_failed(const struct grpc_conn *conn)
{
    return conn->is_failed;
}

bool grpc_conn_has_calls(const struct grpc_conn *conn)
{
    return conn->calls != NULL;
}

void grpc_conn_shutdown(struct grpc_conn *conn)
{
    int32_t last = nghttp2_session_get_last_proc_stream_id(conn->session);

    if (nghttp2_submit_goaway(conn->session, NGHTTP2_FLAG_NONE, last, NGHTTP2_NO_ERROR, NULL, 0) !=
        0)
        conn->is_failed = true;
    for (struct grpc_call *call = conn->calls; call != NULL; call = call->next)
        grpc_call_unpark(call);
}

/* When this call wants to be looked at again. A client that takes none of its last replies holds
 * memory that no handler waits for, so the loop watches it. */
static int64_t expire_call(struct grpc_conn *conn, struct grpc_call *call)
{
    if (!call->is_over && !grpc_call_look(call).is_ended) {
        if (conn->now_ms < call->deadline_ms)
            return call->deadline_ms;
        grpc_request_refuse(conn, call, GRPC_DEADLINE_EXCEEDED, "context deadline exceeded");
    }
    if (call->is_over)
        return INT64_MAX;
    if (call->made_progress || call->progress_ms == 0)
        call->progress_ms = conn->now_ms;
    call->made_progress = false;
    if (conn->now_ms - call->progress_ms < conn->shared->reply_stall_ms)
        return call->progress_ms + conn->shared->reply_stall_ms;
    call->is_over = true;
    if (nghttp2_submit_rst_stream(conn->session, NGHTTP2_FLAG_NONE, call->stream_id,
                                  NGHTTP2_CANCEL) != 0)
        conn->is_failed = true;
    return INT64_MAX;
}

int64_t grpc_conn_expire(struct grpc_conn *conn, int64_t now_ms)
{
    struct grpc_call *call, *next;

    conn->now_ms = now_ms;
    if (now_ms < conn->next_expiry_ms)
        return conn->next_expiry_ms;
    conn->next_expiry_ms = INT64_MAX;
    for (call = conn->calls; call != NULL; call = next) {
        int64_t again_ms;

        next = call->next;
        again_ms = expire_call(conn, call);
        grpc_conn_expire_at(conn, again_ms);
    }
    return conn->next_expiry_ms;
}
