/* SPDX-License-Identifier: Apache-2.0 */
/* call.c – one call as its handler sees it, and what it shares with the loop. */
#include "internal.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>

bool grpc_call_hold(struct grpc_call *call, size_t bytes)
{
    size_t before = atomic_fetch_add(&call->shared->held_bytes, bytes);

    if (before > call->shared->max_held_bytes || bytes > call->shared->max_held_bytes - before) {
        atomic_fetch_sub(&call->shared->held_bytes, bytes);
        return false;
    }
    atomic_fetch_add(&call->held_bytes, bytes);
    return true;
}

static void let_go(struct grpc_call *call, size_t bytes)
{
    atomic_fetch_sub(&call->held_bytes, bytes);
    atomic_fetch_sub(&call->shared->held_bytes, bytes);
}

struct grpc_call *grpc_call_new(struct grpc_shared *shared, int32_t stream_id)
{
    struct grpc_call *call = calloc(1, sizeof(*call));

    if (call == NULL)
        return NULL;
    call->shared = shared;
    call->stream_id = stream_id;
    call->deadline_ms = INT64_MAX;
    call->http_status = 200;
    atomic_init(&call->refs, 1);
    grpc_deframer_init(&call->deframer, shared->max_message_bytes);
    (void)pthread_mutex_init(&call->lock, NULL);
    if (clock_cond_init(&call->drained) < 0 || !grpc_call_hold(call, sizeof(*call))) {
        grpc_call_unref(call);
        return NULL;
    }
    return call;
}

struct grpc_call *grpc_call_ref(struct grpc_call *call)
{
    atomic_fetch_add(&call->refs, 1);
    return call;
}

void grpc_call_unref(struct grpc_call *call)
{
    if (atomic_fetch_sub(&call->refs, 1) != 1)
        return;
    atomic_fetch_sub(&call->shared->held_bytes, atomic_load(&call->held_bytes));
    if (call->is_counted)
        atomic_fetch_sub(&call->shared->parked, 1);
    grpc_deframer_fini(&call->deframer);
    grpc_chunks_fini(&call->replies);
    buf_free(call->message);
    buf_free(call->request);
    buf_fini(&call->headers);
    (void)pthread_cond_destroy(&call->drained);
    (void)pthread_mutex_destroy(&call->lock);
    free(call);
}

int grpc_call_add_header(struct grpc_call *call, struct bytes name, struct bytes value)
{
    size_t need = name.len + value.len + 2;

    if (need > GRPC_HEADERS_MAX_BYTES - call->headers.len)
        return -EFBIG;
    if (!grpc_call_hold(call, need) || buf_reserve(&call->headers, need) < 0)
        return -ENOMEM;
    /* Neither holds a NUL: HTTP/2 forbids it and nghttp2 resets the stream then. */
    if (buf_add(&call->headers, name.data, name.len) < 0 || buf_add_byte(&call->headers, 0) < 0 ||
        buf_add(&call->headers, value.data, value.len) < 0 || buf_add_byte(&call->headers, 0) < 0)
        return -ENOMEM;
    return 0;
}

const char *grpc_call_metadata(const struct grpc_call *call, const char *name)
{
    const char *pos = (const char *)call->headers.data;
    const char *end = pos == NULL ? NULL : pos + call->headers.len;

    while (pos < end) {
        const char *value = pos + strlen(pos) + 1;

        if (strcmp(pos, name) == 0)
            return value;
        pos = value + strlen(value) + 1;
    }
    return NULL;
}

void grpc_call_set_request(struct grpc_call *call, struct buf *request)
{
    LOCKED(&call->lock);

    call->request = request;
}

/* A request that nobody reads any more goes before the call does. */
static void drop_request(struct grpc_call *call, struct buf *request)
{
    if (request == NULL)
        return;
    let_go(call, request->len);
    buf_free(request);
}

struct bytes grpc_call_request(const struct grpc_call *call)
{
    return buf_bytes(call->request);
}

int64_t grpc_call_deadline_ms(const struct grpc_call *call)
{
    return call->deadline_ms;
}

bool grpc_call_is_cancelled(const struct grpc_call *call)
{
    return atomic_load(&call->is_cancelled);
}

/* The handler's way in. False: nobody waits for what it would do. */
static bool begin_run(struct grpc_call *call)
{
    LOCKED(&call->lock);

    call->is_running = !call->is_ended && !grpc_call_is_cancelled(call);
    return call->is_running;
}

/* A call that waits for something to tell needs no thread for that. */
static int park(struct grpc_call *call, struct err *err)
{
    if (atomic_fetch_add(&call->shared->parked, 1) >= GRPC_PARKED_MAX) {
        atomic_fetch_sub(&call->shared->parked, 1);
        return err_set(err, -EFBIG, "too many calls are kept open");
    }
    {
        LOCKED(&call->lock);

        call->is_counted = true;
        call->is_parked = true;
    }
    if (atomic_load(&call->shared->is_stopping)) /* and perhaps nobody looks here again */
        grpc_call_unpark(call);
    return 0;
}

void grpc_call_unpark(struct grpc_call *call)
{
    {
        LOCKED(&call->lock);

        if (!call->is_parked || call->is_ended)
            return;
        call->is_parked = false;
    }
    call->method->on_stop(call->self, call);
    grpc_call_end(call, GRPC_OK, "");
    call->shared->news(call->shared->host, call);
}

void grpc_call_run(struct grpc_call *call)
{
    struct err err = ERR_NONE;
    int rc;

    if (!begin_run(call))
        return;
    rc = call->method->handle(call->self, call, &err);
    drop_request(call, TAKE(call->request));
    if (rc == 0 && call->method->on_stop != NULL) {
        rc = park(call, &err);
        if (rc == 0)
            return;
    }
    grpc_call_end(call, grpc_status_of(rc), rc < 0 ? err_text(&err) : "");
    call->shared->news(call->shared->host, call);
}

void grpc_call_end(struct grpc_call *call, int status, const char *text)
{
    LOCKED(&call->lock);

    if (call->is_ended)
        return;
    call->is_ended = true;
    call->status = status;
    (void)snprintf(call->status_text, sizeof(call->status_text), "%s", text);
    if (status != GRPC_OK) {
        size_t before = call->replies.bytes;

        grpc_chunks_drop_unbegun(&call->replies);
        let_go(call, before - call->replies.bytes);
    }
}

struct grpc_call_state grpc_call_look(struct grpc_call *call)
{
    LOCKED(&call->lock);
    struct grpc_call_state state = {
        .reply_bytes = call->replies.bytes,
        .is_ended = call->is_ended,
        .is_abandoned = call->is_abandoned,
        .status = call->status,
    };

    return state;
}

size_t grpc_call_take_replies(struct grpc_call *call, uint8_t *out, size_t len, bool *ret_is_last)
{
    size_t taken;
    LOCKED(&call->lock);

    taken = grpc_chunks_take(&call->replies, out, len);
    *ret_is_last = call->is_ended && call->replies.bytes == 0;
    if (taken > 0)
        (void)pthread_cond_broadcast(&call->drained);
    let_go(call, taken);
    return taken;
}

void grpc_call_cancel(struct grpc_call *call)
{
    struct buf *unread = NULL;

    (void)pthread_mutex_lock(&call->lock);
    atomic_store(&call->is_cancelled, true);
    if (!call->is_running)
        unread = TAKE(call->request);
    (void)pthread_cond_broadcast(&call->drained);
    (void)pthread_mutex_unlock(&call->lock);
    drop_request(call, unread);
}

/* Until the client has taken enough of what was sent before: 0, -ECANCELED or -ETIMEDOUT. */
static int wait_for_room_locked(struct grpc_call *call)
{
    size_t left_bytes = call->replies.bytes;
    int64_t end_ms = clock_mono_ms() + call->shared->reply_stall_ms;

    while (call->replies.bytes > GRPC_REPLY_AHEAD_BYTES) {
        if (call->is_ended || grpc_call_is_cancelled(call))
            return -ECANCELED;
        if (call->replies.bytes < left_bytes) { /* it moves, so its time starts anew */
            left_bytes = call->replies.bytes;
            end_ms = clock_mono_ms() + call->shared->reply_stall_ms;
        } else if (clock_mono_ms() >= end_ms) {
            return -ETIMEDOUT;
        }
        (void)clock_cond_wait_until(&call->drained, &call->lock, end_ms);
    }
    return call->is_ended || grpc_call_is_cancelled(call) ? -ECANCELED : 0;
}

static int add_reply(struct grpc_call *call, struct bytes message, struct err *err)
{
    LOCKED(&call->lock);
    int rc = wait_for_room_locked(call);

    if (rc == -ECANCELED)
        return err_set(err, rc, "the call was cancelled");
    if (rc == -ETIMEDOUT) {
        call->is_abandoned = true;
        atomic_store(&call->is_cancelled, true);
        return err_set(err, rc, "the client takes no replies");
    }
    if (!grpc_call_hold(call, GRPC_PREFIX_BYTES + message.len))
        return err_set(err, -ENOMEM, "too many bytes wait to be sent");
    if (grpc_chunks_add(&call->replies, message) < 0) {
        let_go(call, GRPC_PREFIX_BYTES + message.len);
        return err_set(err, -ENOMEM, "out of memory for a reply");
    }
    return 0;
}

int grpc_reply(struct grpc_call *call, struct bytes message, struct err *err)
{
    int rc;

    if (message.len > call->shared->max_message_bytes)
        return err_set(err, -EFBIG, "grpc: trying to send message larger than max (%zu vs. %zu)",
                       message.len, call->shared->max_message_bytes);
    rc = add_reply(call, message, err);
    if (rc == 0 || rc == -ETIMEDOUT)
        call->shared->news(call->shared->host, call);
    return rc;
}
