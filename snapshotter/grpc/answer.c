/* SPDX-License-Identifier: Apache-2.0 */
/* answer.c – response headers, replies and trailers of a call. */
#include "internal.h"

#include <stdio.h>

enum { NUMBER_BYTES = 12 };

static nghttp2_nv header(const char *name, const char *value)
{
    /* nghttp2 copies both and changes neither; its struct only lacks the const. */
    return (nghttp2_nv){
        .name = (uint8_t *)(uintptr_t)name,
        .value = (uint8_t *)(uintptr_t)value,
        .namelen = strlen(name),
        .valuelen = strlen(value),
        .flags = NGHTTP2_NV_FLAG_NONE,
    };
}

/* grpc-status and grpc-message, appended to nv[*count]. What they point to is in `text` and
 * `number`. */
static int add_trailers(const struct grpc_call *call, nghttp2_nv *nv, size_t *count,
                        char number[NUMBER_BYTES], struct buf *text)
{
    (void)snprintf(number, NUMBER_BYTES, "%d", call->status);
    nv[(*count)++] = header("grpc-status", number);
    if (call->status_text[0] == '\0')
        return 0;
    if (grpc_percent_encode(call->status_text, text) < 0 || buf_str(text) == NULL)
        return NGHTTP2_ERR_NOMEM;
    nv[(*count)++] = header("grpc-message", buf_str(text));
    return 0;
}

static int submit_trailers(nghttp2_session *session, struct grpc_call *call)
{
    SCOPED(buf_value) struct buf text = BUF_EMPTY;
    char number[NUMBER_BYTES];
    nghttp2_nv nv[2];
    size_t count = 0;
    int rc = add_trailers(call, nv, &count, number, &text);

    return rc != 0 ? rc : nghttp2_submit_trailer(session, call->stream_id, nv, count);
}

/* nghttp2 asks for the next bytes of a response. */
static ssize_t read_replies(nghttp2_session *session, int32_t stream_id, uint8_t *out, size_t len,
                            uint32_t *flags, nghttp2_data_source *source, void *conn)
{
    struct grpc_call *call = source->ptr;
    bool is_last;
    size_t taken = grpc_call_take_replies(call, out, len, &is_last);

    (void)stream_id;
    (void)conn;
    if (is_last) {
        *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
        call->is_over = true;
        if (submit_trailers(session, call) != 0)
            return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* resets the stream */
    } else if (taken == 0) {
        return NGHTTP2_ERR_DEFERRED;
    }
    call->made_progress = true;
    return (ssize_t)taken;
}

/* Headers and, when there is nothing but an error to tell, the status in the same block. */
static int submit_first(nghttp2_session *session, struct grpc_call *call, bool is_error_alone)
{
    SCOPED(buf_value) struct buf text = BUF_EMPTY;
    nghttp2_data_provider replies = {.source.ptr = call, .read_callback = read_replies};
    char http_status[NUMBER_BYTES], number[NUMBER_BYTES];
    nghttp2_nv nv[4];
    size_t count = 0;
    int rc = 0;

    (void)snprintf(http_status, sizeof(http_status), "%d", call->http_status);
    nv[count++] = header(":status", http_status);
    nv[count++] = header("content-type", "application/grpc");
    if (is_error_alone)
        rc = add_trailers(call, nv, &count, number, &text);
    if (rc != 0)
        return rc;
    call->is_answering = true;
    call->is_over = is_error_alone;
    return nghttp2_submit_response(session, call->stream_id, nv, count,
                                   is_error_alone ? NULL : &replies);
}

int grpc_answer_submit(nghttp2_session *session, struct grpc_call *call, int64_t now_ms)
{
    struct grpc_call_state state = grpc_call_look(call);
    int rc;

    if (call->is_over)
        return 0;
    if (state.is_abandoned) {
        call->is_over = true;
        return nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, call->stream_id,
                                         NGHTTP2_CANCEL);
    }
    if (state.reply_bytes == 0 && !state.is_ended)
        return 0;
    if (!call->is_answering) {
        call->progress_ms = now_ms;
        return submit_first(session, call, state.reply_bytes == 0 && state.status != GRPC_OK);
    }
    rc = nghttp2_session_resume_data(session, call->stream_id);
    return rc == NGHTTP2_ERR_INVALID_ARGUMENT ? 0 : rc; /* it was not waiting for us */
}
