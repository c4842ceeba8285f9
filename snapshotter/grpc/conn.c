/* SPDX-License-Identifier: Apache-2.0 */
/* conn.c – the server's side of an HTTP/2 connection, bytes in and bytes out. */
#include "internal.h"

#include <stdlib.h>

enum {
    STREAM_WINDOW_BYTES = 1024 * 1024,
    CONN_WINDOW_BYTES = 8 * 1024 * 1024, /* several large requests do not wait for each other */
    BEHIND_FRAMES = 1000, /* nghttp2 itself gives up at as many unsent acknowledgements */
};

struct grpc_conn {
    struct grpc_shared *shared;
    nghttp2_session *session;
    struct grpc_call *calls; /* of open streams */
    void *owner;
    int64_t now_ms;
    int64_t next_expiry_ms;
    bool is_failed; /* the session is of no use any more */
};

static void expire_at(struct grpc_conn *conn, int64_t moment_ms)
{
    if (moment_ms < conn->next_expiry_ms)
        conn->next_expiry_ms = moment_ms;
}

/* ---- requests ----------------------------------------------------------------------------------
 */

/* End the call from our side, whatever the rest of the request may be. */
static void refuse(struct grpc_conn *conn, struct grpc_call *call, int status, const char *text)
{
    call->ignores_input = true;
    grpc_call_end(call, status, text);
    grpc_call_cancel(call);
    grpc_deframer_fini(&call->deframer);
    buf_free(TAKE(call->message));
    grpc_conn_answer(conn, call, conn->now_ms);
}

static void note_refusal(struct grpc_call *call, int http_status, int status, const char *text)
{
    if (call->refusal != GRPC_OK)
        return; /* the first reason is the one to tell */
    call->http_status = http_status;
    call->refusal = status;
    call->refusal_text = text;
}

static const struct grpc_method *find_method(const struct grpc_shared *shared, struct bytes path)
{
    size_t i;

    for (i = 0; i < shared->method_count; i++) {
        if (bytes_equal(bytes_of_str(shared->methods[i].path), path))
            return &shared->methods[i];
    }
    return NULL;
}

static void take_timeout(struct grpc_conn *conn, struct grpc_call *call, struct bytes value)
{
    int64_t ms;

    if (grpc_timeout_parse(value, &ms) < 0) {
        note_refusal(call, 200, GRPC_INTERNAL, "malformed grpc-timeout");
        return;
    }
    call->deadline_ms = conn->now_ms + ms;
    expire_at(conn, call->deadline_ms);
}

static void take_header(struct grpc_conn *conn, struct grpc_call *call, struct bytes name,
                        struct bytes value)
{
    if (bytes_equal(name, bytes_of_str(":path")))
        call->method = find_method(conn->shared, value);
    else if (bytes_equal(name, bytes_of_str(":method")))
        call->is_post = bytes_equal(value, bytes_of_str("POST"));
    else if (bytes_equal(name, bytes_of_str("content-type")))
        call->has_type = grpc_content_type_is_ok(value);
    else if (bytes_equal(name, bytes_of_str("grpc-timeout")))
        take_timeout(conn, call, value);
    else if (bytes_equal(name, bytes_of_str("grpc-encoding")) &&
             !bytes_equal(value, bytes_of_str("identity")))
        note_refusal(call, 200, GRPC_UNIMPLEMENTED, "compressed messages are not supported");
}

/* All of the request's headers are here. `te: trailers` is not asked for: it is there to find
 * proxies that drop trailers, and no proxy is on a unix socket. */
static void check_headers(struct grpc_conn *conn, struct grpc_call *call)
{
    if (!call->is_post)
        note_refusal(call, 405, GRPC_INTERNAL, "the method of a call is POST");
    if (!call->has_type)
        note_refusal(call, 415, GRPC_INVALID_ARGUMENT,
                     "the content-type of a call is application/grpc");
    if (call->method == NULL)
        note_refusal(call, 200, GRPC_UNIMPLEMENTED, "unknown service or method");
    if (call->refusal != GRPC_OK)
        refuse(conn, call, call->refusal, call->refusal_text);
}

static void take_data(struct grpc_conn *conn, struct grpc_call *call, struct bytes data)
{
    struct err err = ERR_NONE;

    if (!call->ignores_input && !grpc_call_hold(call, data.len))
        refuse(conn, call, GRPC_RESOURCE_EXHAUSTED, "too many requests are held in memory");
    while (data.len > 0 && !call->ignores_input) {
        SCOPED(buf) struct buf *message = NULL;
        int rc = grpc_deframer_feed(&call->deframer, &data, &message, &err);

        if (rc < 0)
            refuse(conn, call, rc == -EPROTO ? GRPC_INTERNAL : grpc_status_of(rc), err_text(&err));
        else if (message != NULL && call->message != NULL)
            refuse(conn, call, GRPC_INTERNAL, "the call takes one message and got more");
        else if (message != NULL)
            call->message = TAKE(message);
    }
}

static void finish_request(struct grpc_conn *conn, struct grpc_call *call)
{
    if (call->ignores_input)
        return;
    call->ignores_input = true;
    if (call->message == NULL || grpc_deframer_is_inside(&call->deframer)) {
        refuse(conn, call, GRPC_INTERNAL, "the request ended without a whole message");
        return;
    }
    grpc_call_set_request(call, TAKE(call->message));
    conn->shared->start(conn->shared->host, grpc_call_ref(call));
}

/* ---- nghttp2's callbacks
 * ------------------------------------------------------------------------- */

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
    if (grpc_call_add_header(call, bytes_of(name, name_len), bytes_of(value, value_len)) < 0)
        note_refusal(call, 200, GRPC_RESOURCE_EXHAUSTED, "the request's headers are too large");
    else
        take_header(conn, call, bytes_of(name, name_len), bytes_of(value, value_len));
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
        check_headers(conn, call);
    if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0)
        finish_request(conn, call);
    return 0;
}

static int on_data_chunk(nghttp2_session *session, uint8_t flags, int32_t stream_id,
                         const uint8_t *data, size_t len, void *arg)
{
    struct grpc_conn *conn = arg;
    struct grpc_call *call = call_of(session, stream_id);

    (void)flags;
    if (call != NULL)
        take_data(conn, call, bytes_of(data, len));
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

/* ---- the connection
 * -------------------------------------------------------------------------------- */

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

void *grpc_conn_owner(const struct grpc_conn *conn)
{
    return conn->owner;
}

void grpc_conn_set_owner(struct grpc_conn *conn, void *owner)
{
    conn->owner = owner;
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

void grpc_conn_answer(struct grpc_conn *conn, struct grpc_call *call, int64_t now_ms)
{
    int rc;

    conn->now_ms = now_ms;
    rc = grpc_answer_submit(conn->session, call, now_ms);
    expire_at(conn, now_ms + conn->shared->reply_stall_ms);
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
}

/* When this call wants to be looked at again. A client that takes none of its last replies holds
 * memory that no handler waits for, so the loop watches it. */
static int64_t expire_call(struct grpc_conn *conn, struct grpc_call *call)
{
    if (!call->is_over && !grpc_call_look(call).is_ended) {
        if (conn->now_ms < call->deadline_ms)
            return call->deadline_ms;
        refuse(conn, call, GRPC_DEADLINE_EXCEEDED, "context deadline exceeded");
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
        expire_at(conn, again_ms);
    }
    return conn->next_expiry_ms;
}
