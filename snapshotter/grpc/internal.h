/* SPDX-License-Identifier: Apache-2.0 */
/* internal.h – what the files of grpc/ share: the wire forms, a call, the byte-in byte-out
 * connection of the server, the threads of the handlers. */
#ifndef GRPC_INTERNAL_H
#define GRPC_INTERNAL_H

#include "base/threads.h"
#include "grpc/grpc.h"

#include <nghttp2/nghttp2.h>
#include <stdatomic.h>

/* ---- wire.c: header values ------------------------------------------------------------------- */

/* The value of grpc-message: UTF-8, with %XX for every byte outside 0x20…0x7e and for '%'. 0 or
 * -ENOMEM. */
MUST_CHECK int grpc_percent_encode(const char *text, struct buf *ret);
/* The inverse, cut to fit, NUL at the end. A '%' that is not followed by two hex digits stands for
 * itself, and a NUL byte becomes a space. */
void grpc_percent_decode(struct bytes value, char *out, size_t out_bytes);

enum { GRPC_TIMEOUT_BYTES = 10 }; /* 8 digits, unit, NUL */
/* 1–8 digits and one of H M S m u n, rounded up to milliseconds: 0, else -EINVAL. */
MUST_CHECK int grpc_timeout_parse(struct bytes value, int64_t *ret_ms);
/* Negative is 0. What 8 digits of milliseconds do not hold is said in coarser units, rounded up. */
void grpc_timeout_format(int64_t ms, char out[GRPC_TIMEOUT_BYTES]);

/* "application/grpc", alone or followed by '+' or ';' and anything. */
bool grpc_content_type_is_ok(struct bytes value);

/* status.c: what the server says of an HTTP status or an HTTP/2 error that comes instead of a
 * grpc-status. */
int grpc_status_of_http(int http_status);
int grpc_status_of_reset(uint32_t http2_error);

/* ---- message.c: messages in a stream of bytes ------------------------------------------------ */

enum { GRPC_PREFIX_BYTES = 1 + 4 }; /* compressed flag, length */

/* Takes messages out of DATA frames, which may hold pieces of messages or several. Starts with
 * grpc_deframer_init(). */
struct grpc_deframer {
    size_t max_bytes;
    uint8_t prefix[GRPC_PREFIX_BYTES];
    size_t prefix_len;    /* how much of it is there; a message has begun when it is not 0 */
    size_t message_bytes; /* once the prefix is whole */
    struct buf *message;  /* NULL before the prefix is whole */
};
void grpc_deframer_init(struct grpc_deframer *d, size_t max_bytes);
void grpc_deframer_fini(struct grpc_deframer *d);
/* Take bytes from the front of *in up to the end of one message, which is then in *ret_message (the
 * caller frees), else NULL and *in is empty. Memory grows with the bytes that come, not with the
 * length that is promised. -EFBIG, -EOPNOTSUPP compressed, -EPROTO a flag that is neither 0 nor 1,
 * -ENOMEM; the deframer is of no use then. */
MUST_CHECK int grpc_deframer_feed(struct grpc_deframer *d, struct bytes *in,
                                  struct buf **ret_message, struct err *err);
bool grpc_deframer_is_inside(const struct grpc_deframer *d); /* a message has begun and not ended */
void grpc_prefix_put(uint8_t prefix[GRPC_PREFIX_BYTES], size_t message_bytes);

/* ---- chunks.c: messages on their way out ----------------------------------------------------- */

/* A queue of framed messages. Not locked. Starts as zeros. */
struct grpc_chunk;
struct grpc_chunks {
    struct grpc_chunk *head;
    struct grpc_chunk *tail;
    size_t bytes; /* not yet taken */
};
MUST_CHECK int grpc_chunks_add(struct grpc_chunks *chunks, struct bytes message); /* 0 or -ENOMEM */
/* Move at most `len` bytes to `out`; the count, 0 when it is empty. */
size_t grpc_chunks_take(struct grpc_chunks *chunks, uint8_t *out, size_t len);
/* Drop the messages of which nothing was taken yet. */
void grpc_chunks_drop_unbegun(struct grpc_chunks *chunks);
void grpc_chunks_fini(struct grpc_chunks *chunks);

/* ---- workers.c: the threads of the handlers -------------------------------------------------- */

/* base/threads.h's pool has a fixed size; a handler may wait for a network for half a minute, so
 * here threads come with the work, up to a bound, and end when there is none. */
struct grpc_workers;
enum { GRPC_WORKER_IDLE_MS = 10000 };
MUST_CHECK int grpc_workers_new(size_t max_threads, int64_t idle_ms, struct grpc_workers **ret,
                                struct err *err);
/* Never blocks on a job. Every submitted job runs, also those that are queued at
 * grpc_workers_free(). */
void grpc_workers_submit(struct grpc_workers *workers, struct pool_job *job);
size_t grpc_workers_count(struct grpc_workers *workers); /* threads at this moment */
/* Runs what is queued and joins the threads. NULL is fine. Not from a job. */
void grpc_workers_free(struct grpc_workers *workers);
DEFINE_SCOPED_PTR(grpc_workers, struct grpc_workers, grpc_workers_free)

/* ---- call.c: one call, between the loop and its handler -------------------------------------- */

enum {
    GRPC_HEADERS_MAX_BYTES = 16 * 1024
};                                /* of one request; grpc clients assume 8 KiB to be fine */
enum { GRPC_STREAMS_MAX = 1000 }; /* of one connection at once */
enum {
    GRPC_REPLY_AHEAD_BYTES = 1024 * 1024
}; /* replies that wait for the client before grpc_reply() blocks */

/* What all connections of a server share. Outlives them and their calls. */
struct grpc_shared {
    const struct grpc_service *services; /* fixed, all but the last three */
    size_t service_count;
    size_t max_message_bytes;
    size_t max_held_bytes;
    int64_t reply_stall_ms;
    /* Run grpc_call_run(call) on a thread that may block, then grpc_call_unref(call). On the loop
     * thread. max_held_bytes bounds how many calls there can be. */
    void (*start)(void *host, struct grpc_call *call);
    /* The call has replies or has ended: have grpc_conn_answer() called for it on the loop thread.
     * Any thread, no lock of a call held. */
    void (*news)(void *host, struct grpc_call *call);
    void *host;
    atomic_size_t held_bytes; /* calls, their headers, requests and replies in memory */
    atomic_size_t parked;     /* calls that stay open without a handler */
    atomic_bool is_stopping;  /* none is parked any more */
};

struct grpc_conn;

struct grpc_call {
    /* Fixed before the handler starts. */
    struct grpc_shared *shared;
    const struct grpc_method *method;
    void *self;          /* for the method's functions */
    struct buf headers;  /* name NUL value NUL … */
    int64_t deadline_ms; /* INT64_MAX: none */
    int32_t stream_id;

    /* The loop's alone. */
    int http_status;        /* of the answer */
    struct grpc_conn *conn; /* NULL once the stream is closed */
    struct grpc_call *prev, *next;
    struct grpc_deframer deframer;
    struct buf *message;      /* the request, until it is known to be the only message */
    const char *refusal_text; /* of `refusal` */
    int64_t progress_ms; /* when a reply was last known to go out; for after the handler's end */
    int refusal;         /* a grpc-status that the headers have earned, told when all are read */
    bool is_post;        /* :method */
    bool has_type;       /* content-type application/grpc… */
    bool ignores_input;  /* the rest of the request does not matter */
    bool is_answering;   /* response headers were submitted */
    bool is_over;        /* trailers or a reset were submitted */
    bool made_progress;  /* a reply went out since progress_ms */

    bool has_news;            /* the host's, under its lock: it is in the list of news */
    atomic_bool is_cancelled; /* any thread, as the next two */
    atomic_uint refs;
    atomic_size_t held_bytes;    /* this call's part of shared->held_bytes */
    struct grpc_call *next_news; /* the host's, under its lock */
    struct pool_job job;         /* the host's */

    pthread_mutex_t lock;
    pthread_cond_t drained;     /* replies went out, or the call is cancelled */
    struct buf *request;        /* lock until is_running, then the handler's; NULL: not whole yet */
    struct grpc_chunks replies; /* lock, as all that follows */
    int status;
    bool is_running;
    bool is_parked;    /* the handler is done, the call is not */
    bool is_counted;   /* in shared->parked */
    bool is_ended;     /* status is set, no more replies are taken */
    bool is_abandoned; /* the client takes nothing, the stream is to be reset */
    char status_text[ERR_TEXT_BYTES];
};

/* One reference, the stream's. NULL: out of memory or over the budget. */
struct grpc_call *grpc_call_new(struct grpc_shared *shared, int32_t stream_id);
struct grpc_call *grpc_call_ref(struct grpc_call *call);
void grpc_call_unref(struct grpc_call *call);
/* Count `bytes` more as held for this call, until it is gone. False: over the budget (they are not
 * counted). */
bool grpc_call_hold(struct grpc_call *call, size_t bytes);
/* 0 or -ENOMEM or -EFBIG: more than GRPC_HEADERS_MAX_BYTES. */
MUST_CHECK int grpc_call_add_header(struct grpc_call *call, struct bytes name, struct bytes value);
/* The request is whole; the call owns it. */
void grpc_call_set_request(struct grpc_call *call, struct buf *request);
/* Run the handler and end the call with what it returns; not at all when the call is cancelled.
 * Tells news(). */
void grpc_call_run(struct grpc_call *call);
/* The server stops: a parked call says its last and ends. Any other goes on. Tells news(). */
void grpc_call_unpark(struct grpc_call *call);
/* The first to end a call sets its status; replies that have not begun to go out are dropped unless
 * it is OK. */
void grpc_call_end(struct grpc_call *call, int status, const char *text);
/* Nobody waits for the result any more. Wakes the handler if it waits in grpc_reply(). */
void grpc_call_cancel(struct grpc_call *call);

/* The loop's look at it. status is set once is_ended, and status_text may then be read without the
 * lock. */
struct grpc_call_state {
    size_t reply_bytes;
    bool is_ended;
    bool is_abandoned;
    int status;
};
struct grpc_call_state grpc_call_look(struct grpc_call *call);
/* Move at most `len` bytes of framed replies to `out`. *ret_is_last: there is nothing after them,
 * send the status. */
size_t grpc_call_take_replies(struct grpc_call *call, uint8_t *out, size_t len, bool *ret_is_last);

/* ---- conn.c, answer.c: HTTP/2 of one connection, bytes in and bytes out ---------------------- */

/* The server's side of a connection. It touches no socket, no clock and no thread; all on the loop
 * thread. */
MUST_CHECK int grpc_conn_new(struct grpc_shared *shared, struct grpc_conn **ret, struct err *err);
/* Cancels the calls and parts with them. NULL is fine. */
void grpc_conn_free(struct grpc_conn *conn);
DEFINE_SCOPED_PTR(grpc_conn, struct grpc_conn, grpc_conn_free)
/* Bytes from the peer. 0, or -EPROTO / -ENOMEM: send what there is and close. */
MUST_CHECK int grpc_conn_input(struct grpc_conn *conn, struct bytes bytes, int64_t now_ms,
                               struct err *err);
/* Append what is to be sent, up to about `max_bytes`; nothing added: nothing to send. 0, or as
 * above. */
MUST_CHECK int grpc_conn_output(struct grpc_conn *conn, size_t max_bytes, int64_t now_ms,
                                struct buf *ret, struct err *err);
/* Send what `call`, one of this connection's, has to say. */
void grpc_conn_answer(struct grpc_conn *conn, struct grpc_call *call, int64_t now_ms);
/* So much waits to be sent that no more should be read. */
bool grpc_conn_is_behind(const struct grpc_conn *conn);
/* The peer may be hung up on: both sides have said all. */
bool grpc_conn_is_done(const struct grpc_conn *conn);
bool grpc_conn_is_failed(const struct grpc_conn *conn); /* hung up on at once */
bool grpc_conn_has_calls(const struct grpc_conn *conn);
/* No new calls from here on (GOAWAY); the parked ones end. */
void grpc_conn_shutdown(struct grpc_conn *conn);
/* End the calls whose time is up. Returns the moment to ask again, INT64_MAX: never. */
int64_t grpc_conn_expire(struct grpc_conn *conn, int64_t now_ms);

/* For the files of the connection only. */
struct grpc_conn {
    struct grpc_shared *shared;
    nghttp2_session *session;
    struct grpc_call *calls; /* of open streams */
    int64_t now_ms;
    int64_t next_expiry_ms;
    bool is_failed; /* the session is of no use any more */
};
void grpc_conn_expire_at(struct grpc_conn *conn, int64_t moment_ms); /* then at the latest */

/* request.c: what has come of a request. All of its headers, one by one; then, that they are
 * complete; its bytes, as they come; its end, which starts the handler. Whatever is wrong is
 * answered by these. */
void grpc_request_header(struct grpc_conn *conn, struct grpc_call *call, struct bytes name,
                         struct bytes value);
void grpc_request_check(struct grpc_conn *conn, struct grpc_call *call);
void grpc_request_data(struct grpc_conn *conn, struct grpc_call *call, struct bytes data);
void grpc_request_end(struct grpc_conn *conn, struct grpc_call *call);
/* End the call from our side, whatever the rest of the request may be. */
void grpc_request_refuse(struct grpc_conn *conn, struct grpc_call *call, int status,
                         const char *text);

/* answer.c: hand what `call` has to say to the session. 0 or an nghttp2 error. */
int grpc_answer_submit(nghttp2_session *session, struct grpc_call *call, int64_t now_ms);

#endif
