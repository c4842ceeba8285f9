/* SPDX-License-Identifier: Apache-2.0 */
/* request.c – from the headers and bytes of a stream to a call that can run, or a refusal. */
#include "internal.h"

void grpc_request_refuse(struct grpc_conn *conn, struct grpc_call *call, int status,
                         const char *text)
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

static void find_method(struct grpc_call *call, struct bytes path)
{
    const struct grpc_shared *shared = call->shared;

    call->method = NULL;
    for (size_t i = 0; i < shared->service_count; i++) {
        const struct grpc_service *service = &shared->services[i];

        for (size_t m = 0; m < service->method_count; m++) {
            if (bytes_equal(bytes_of_str(service->methods[m].path), path)) {
                call->method = &service->methods[m];
                call->self = service->self;
                return;
            }
        }
    }
}

static void take_timeout(struct grpc_conn *conn, struct grpc_call *call, struct bytes value)
{
    int64_t ms;

    if (grpc_timeout_parse(value, &ms) < 0) {
        note_refusal(call, 200, GRPC_INTERNAL, "malformed grpc-timeout");
        return;
    }
    call->deadline_ms = conn->now_ms + ms;
    grpc_conn_expire_at(conn, call->deadline_ms);
}

void grpc_request_header(struct grpc_conn *conn, struct grpc_call *call, struct bytes name,
                         struct bytes value)
{
    if (grpc_call_add_header(call, name, value) < 0)
        note_refusal(call, 200, GRPC_RESOURCE_EXHAUSTED, "the request's headers are too large");
    else if (bytes_equal(name, bytes_of_str(":path")))
        find_method(call, value);
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
void grpc_request_check(struct grpc_conn *conn, struct grpc_call *call)
{
    if (!call->is_post)
        note_refusal(call, 405, GRPC_INTERNAL, "the method of a call is POST");
    if (!call->has_type)
        note_refusal(call, 415, GRPC_INVALID_ARGUMENT,
                     "the content-type of a call is application/grpc");
    if (call->method == NULL)
        note_refusal(call, 200, GRPC_UNIMPLEMENTED, "unknown service or method");
    if (call->refusal != GRPC_OK)
        grpc_request_refuse(conn, call, call->refusal, call->refusal_text);
}

void grpc_request_data(struct grpc_conn *conn, struct grpc_call *call, struct bytes data)
{
    struct err err = ERR_NONE;

    if (!call->ignores_input && !grpc_call_hold(call, data.len))
        grpc_request_refuse(conn, call, GRPC_RESOURCE_EXHAUSTED,
                            "too many requests are held in memory");
    while (data.len > 0 && !call->ignores_input) {
        SCOPED(buf) struct buf *message = NULL;
        int rc = grpc_deframer_feed(&call->deframer, &data, &message, &err);

        if (rc < 0)
            grpc_request_refuse(conn, call, rc == -EPROTO ? GRPC_INTERNAL : grpc_status_of(rc),
                                err_text(&err));
        else if (message != NULL && call->message != NULL)
            grpc_request_refuse(conn, call, GRPC_INTERNAL,
                                "the call takes one message and got more");
        else if (message != NULL)
            call->message = TAKE(message);
    }
}

void grpc_request_end(struct grpc_conn *conn, struct grpc_call *call)
{
    if (call->ignores_input)
        return;
    call->ignores_input = true;
    if (call->message == NULL || grpc_deframer_is_inside(&call->deframer)) {
        grpc_request_refuse(conn, call, GRPC_INTERNAL, "the request ended without a whole message");
        return;
    }
    grpc_call_set_request(call, TAKE(call->message));
    conn->shared->start(conn->shared->host, grpc_call_ref(call));
}
