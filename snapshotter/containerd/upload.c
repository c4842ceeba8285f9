/* SPDX-License-Identifier: Apache-2.0 */
/* upload.c – storing a blob: a conversation of requests and answers.
 *
 * The first request carries the ref and asks how much is there; then pieces at the offset that
 * containerd names; then a commit with the digest that it must come to. Whatever the digest names
 * may be there at any of these steps, which containerd calls AlreadyExists. A piece's answer is
 * waited for when there is the next one to send: meanwhile containerd writes, and the caller works
 * on its bytes too. */
#include "internal.h"

#include "proto/content.pb-c.h"

#include <stdlib.h>

enum { PIECE_BYTES = 1024 * 1024 }; /* well under the 16 MiB that a message may have */

#define CONTENT CONTAINERD_SERVICE "content.v1.Content/"

struct containerd_upload {
    struct containerd *c;
    char *digest, *ref;
    uint64_t size_bytes;
    struct grpc_stream *stream; /* NULL: ended */
    uint64_t off_bytes;         /* what containerd says that it has */
    uint64_t sent_bytes;        /* more than that: its answer is due */
    bool is_full;               /* all of it was there at the start */
    bool is_committed;
    int rc; /* of what failed first */
    struct buf packed;
    struct buf answer;
};

/* ---- requests and answers -------------------------------------------------------------------- */

static void prepare(const struct containerd_upload *upload, Wire__ContentWriteAction action,
                    Wire__ContentWriteRequest *ret)
{
    wire__content_write_request__init(ret);
    ret->action = action;
    ret->ref = containerd_lend(upload->ref);
    ret->total = (int64_t)upload->size_bytes;
    ret->expected = containerd_lend(upload->digest);
    ret->offset = (int64_t)upload->off_bytes;
}

static int send_message(struct containerd_upload *upload, const Wire__ContentWriteRequest *message,
                        struct err *err)
{
    int rc;

    upload->packed.len = 0;
    rc = proto_pack(&message->base, &upload->packed, err);
    if (rc == 0)
        rc = grpc_stream_send(upload->stream, buf_bytes(&upload->packed), err);
    return rc == -EPIPE ? 0 : rc; /* the answer says why */
}

/* -EEXIST: it is stored already. */
static int receive(struct containerd_upload *upload, struct err *err)
{
    SCOPED(proto) Wire__ContentWriteResponse *reply = NULL;
    int rc = grpc_stream_recv(upload->stream, &upload->answer, NULL, err);

    if (rc == 0)
        return err_set(err, -EPROTO, "containerd ended the upload");
    if (rc < 0)
        return rc;
    rc = proto_unpack(&wire__content_write_response__descriptor, buf_bytes(&upload->answer), &reply,
                      err);
    if (rc < 0)
        return rc;
    if (reply->offset < 0)
        return err_set(err, -EBADMSG, "containerd is at offset %lld", (long long)reply->offset);
    upload->off_bytes = (uint64_t)reply->offset;
    return 0;
}

/* Until all that was sent is answered for. */
static int settle(struct containerd_upload *upload, struct err *err)
{
    int rc;

    if (upload->sent_bytes == upload->off_bytes)
        return 0;
    rc = receive(upload, err);
    if (rc == 0 && upload->off_bytes != upload->sent_bytes)
        return err_set(err, -EBADMSG, "containerd is at offset %llu instead of %llu",
                       (unsigned long long)upload->off_bytes,
                       (unsigned long long)upload->sent_bytes);
    return rc;
}

static int send_piece(struct containerd_upload *upload, struct bytes piece, struct err *err)
{
    Wire__ContentWriteRequest message;
    int rc = settle(upload, err);

    if (rc < 0)
        return rc;
    prepare(upload, WIRE__CONTENT_WRITE_ACTION__CONTENT_WRITE, &message);
    message.data.data = (uint8_t *)(uintptr_t)piece.data;
    message.data.len = piece.len;
    upload->sent_bytes += piece.len;
    return send_message(upload, &message, err);
}

static int send_commit(struct containerd_upload *upload, const struct text_map *labels,
                       struct err *err)
{
    SCOPED(proto_pairs) struct proto_pairs pairs = PROTO_PAIRS_NONE;
    Wire__ContentWriteRequest message;
    int rc = settle(upload, err);

    if (rc < 0)
        return rc;
    if (proto_pairs_of(labels, &pairs) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    prepare(upload, WIRE__CONTENT_WRITE_ACTION__CONTENT_COMMIT, &message);
    message.n_labels = pairs.count;
    message.labels = pairs.items;
    rc = send_message(upload, &message, err);
    return rc < 0 ? rc : receive(upload, err);
}

/* ---- beginning and ending -------------------------------------------------------------------- */

static int begin(struct containerd_upload *upload, struct err *err)
{
    const struct containerd *c = upload->c;
    struct grpc_request request = {
        .path = CONTENT "Write",
        .metadata = &c->metadata,
        .deadline_ms = c->deadline_ms,
        .step_timeout_ms = c->call_timeout_ms,
    };
    Wire__ContentWriteRequest message;
    int rc = grpc_stream_open(c->channel, &request, &upload->stream, err);

    if (rc < 0)
        return rc;
    prepare(upload, WIRE__CONTENT_WRITE_ACTION__CONTENT_STAT, &message);
    rc = send_message(upload, &message, err);
    return rc < 0 ? rc : receive(upload, err);
}

/* Forget what was uploaded under the ref. */
static int forget(struct containerd_upload *upload, struct err *err)
{
    static const struct containerd_method method = {.path = CONTENT "Abort"};
    Wire__ContentAbortRequest request;
    int rc;

    wire__content_abort_request__init(&request);
    request.ref = upload->ref;
    rc = containerd_call(upload->c, &method, &request.base, NULL, NULL, err);
    return rc == -ENOENT ? 0 : rc;
}

/* The ref is locked until containerd's side has ended, so wait for that. */
static void end_stream(struct containerd_upload *upload)
{
    int rc;

    if (upload->stream == NULL)
        return;
    grpc_stream_close_send(upload->stream);
    do
        rc = grpc_stream_recv(upload->stream, &upload->answer, NULL, NULL);
    while (rc == 1);
    grpc_stream_close(TAKE(upload->stream));
}

/* Nothing of an upload that an earlier process began is of use: its bytes are not known to be ours.
 * What is there in spite of that, and whole, is another namespace's, whose bytes containerd knows
 * to be right; it only has to be committed. */
static int begin_afresh(struct containerd_upload *upload, struct err *err)
{
    int rc = begin(upload, err);

    if (rc < 0 || upload->off_bytes == 0)
        return rc;
    end_stream(upload);
    rc = forget(upload, err);
    upload->off_bytes = 0;
    if (rc == 0)
        rc = begin(upload, err);
    if (rc < 0)
        return rc;
    upload->is_full = upload->off_bytes == upload->size_bytes && upload->size_bytes > 0;
    upload->sent_bytes = upload->off_bytes;
    if (upload->off_bytes != 0 && !upload->is_full)
        return err_set(err, -EAGAIN, "another process uploads it");
    return 0;
}

static int note(struct containerd_upload *upload, int rc)
{
    if (rc < 0)
        upload->rc = rc;
    return rc;
}

int containerd_upload_open(struct containerd *c, const struct containerd_write_request *request,
                           struct containerd_upload **ret, struct err *err)
{
    SCOPED(containerd_upload) struct containerd_upload *upload = calloc(1, sizeof(*upload));
    int rc;

    if (request->size_bytes > INT64_MAX)
        return err_set(err, -EINVAL, "too large");
    if (upload == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    upload->c = c;
    upload->size_bytes = request->size_bytes;
    upload->digest = text_copy(request->digest);
    upload->ref =
        request->ref != NULL ? text_copy(request->ref) : text_format("soci-%s", request->digest);
    if (upload->digest == NULL || upload->ref == NULL) {
        upload->rc = -ENOMEM;
        return err_set(err, -ENOMEM, "out of memory");
    }
    rc = note(upload, begin_afresh(upload, err));
    if (rc < 0)
        return rc;
    *ret = TAKE(upload);
    return 0;
}

bool containerd_upload_is_full(const struct containerd_upload *upload)
{
    return upload->is_full;
}

int containerd_upload_add(struct containerd_upload *upload, struct bytes bytes, struct err *err)
{
    int rc = 0;

    if (bytes.len > upload->size_bytes - upload->sent_bytes)
        return note(upload, err_set(err, -EINVAL, "more bytes than were promised"));
    while (bytes.len > 0 && rc == 0) {
        size_t len = bytes.len < PIECE_BYTES ? bytes.len : PIECE_BYTES;

        rc = note(upload, send_piece(upload, bytes_of(bytes.data, len), err));
        bytes = bytes_of(bytes.data + len, bytes.len - len);
    }
    return rc;
}

int containerd_upload_commit(struct containerd_upload *upload, const struct text_map *labels,
                             struct err *err)
{
    int rc = note(upload, send_commit(upload, labels, err));

    upload->is_committed = rc == 0;
    return rc;
}

/* Does it answer at all? */
static bool is_lost(int rc)
{
    return rc == -ETIMEDOUT || rc == -ECANCELED;
}

/* What is not forgotten here is, by garbage collection, a day later. */
void containerd_upload_close(struct containerd_upload *upload)
{
    if (upload == NULL)
        return;
    if (is_lost(upload->rc))
        grpc_stream_close(TAKE(upload->stream));
    end_stream(upload);
    if (!upload->is_committed && !upload->is_full && upload->rc != -EEXIST &&
        upload->rc != -EAGAIN && upload->rc != -ENOMEM && !is_lost(upload->rc))
        (void)!forget(upload, NULL);
    buf_fini(&upload->packed);
    buf_fini(&upload->answer);
    free(upload->digest);
    free(upload->ref);
    free(upload);
}
