/* SPDX-License-Identifier: Apache-2.0 */
/* write.c – storing a blob: a conversation of requests and answers, one of each at a time.
 *
 * The first request carries the ref and asks how much is there; then pieces at the offset that
 * containerd names; then a commit with the digest that it must come to. Whatever the digest names
 * may be there at any of these steps, which containerd calls AlreadyExists and we success. */
#include "internal.h"

#include "proto/content.pb-c.h"

#include <stdlib.h>

enum { PIECE_BYTES = 1024 * 1024 }; /* well under the 16 MiB that a message may have */

#define CONTENT CONTAINERD_SERVICE "content.v1.Content/"

struct upload {
    struct grpc_stream *stream;
    const struct containerd_write_request *request;
    const char *ref;
    uint64_t off_bytes; /* what containerd has */
    struct buf packed;
    struct buf answer;
};

/* One request, one answer. -EEXIST: it is stored already. */
static int exchange(struct upload *upload, const Wire__ContentWriteRequest *message,
                    struct err *err)
{
    SCOPED(proto) Wire__ContentWriteResponse *reply = NULL;
    int rc;

    upload->packed.len = 0;
    rc = proto_pack(&message->base, &upload->packed, err);
    if (rc == 0)
        rc = grpc_stream_send(upload->stream, buf_bytes(&upload->packed), err);
    if (rc < 0 && rc != -EPIPE) /* EPIPE: the answer says why */
        return rc;
    rc = grpc_stream_recv(upload->stream, &upload->answer, NULL, err);
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

static void prepare(const struct upload *upload, Wire__ContentWriteAction action,
                    Wire__ContentWriteRequest *ret)
{
    wire__content_write_request__init(ret);
    ret->action = action;
    ret->ref = containerd_lend(upload->ref);
    ret->total = (int64_t)upload->request->size_bytes;
    ret->expected = containerd_lend(upload->request->digest);
    ret->offset = (int64_t)upload->off_bytes;
}

static int begin(struct upload *upload, struct err *err)
{
    Wire__ContentWriteRequest message;

    prepare(upload, WIRE__CONTENT_WRITE_ACTION__CONTENT_STAT, &message);
    return exchange(upload, &message, err);
}

static int send_piece(struct upload *upload, struct bytes piece, struct err *err)
{
    uint64_t end_bytes = upload->off_bytes + piece.len;
    Wire__ContentWriteRequest message;
    int rc;

    prepare(upload, WIRE__CONTENT_WRITE_ACTION__CONTENT_WRITE, &message);
    message.data.data = (uint8_t *)(uintptr_t)piece.data;
    message.data.len = piece.len;
    rc = exchange(upload, &message, err);
    if (rc == 0 && upload->off_bytes != end_bytes)
        return err_set(err, -EBADMSG, "containerd is at offset %llu instead of %llu",
                       (unsigned long long)upload->off_bytes, (unsigned long long)end_bytes);
    return rc;
}

static int send_all(struct upload *upload, const struct containerd_source *source, struct err *err)
{
    SCOPED(mem) uint8_t *piece = malloc(PIECE_BYTES);
    uint64_t left_bytes = upload->request->size_bytes;

    if (piece == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    while (left_bytes > 0) {
        size_t want = left_bytes < PIECE_BYTES ? (size_t)left_bytes : PIECE_BYTES;
        ssize_t got = source->read(source->self, piece, want, err);
        int rc;

        if (got < 0)
            return (int)got;
        if (got == 0 || (size_t)got > want)
            return err_set(err, -EBADMSG, "the source ended %llu bytes early",
                           (unsigned long long)left_bytes);
        rc = send_piece(upload, bytes_of(piece, (size_t)got), err);
        if (rc < 0)
            return rc;
        left_bytes -= (uint64_t)got;
    }
    return 0;
}

static int commit(struct upload *upload, struct err *err)
{
    SCOPED(proto_pairs) struct proto_pairs pairs = PROTO_PAIRS_NONE;
    Wire__ContentWriteRequest message;

    if (proto_pairs_of(upload->request->labels, &pairs) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    prepare(upload, WIRE__CONTENT_WRITE_ACTION__CONTENT_COMMIT, &message);
    message.n_labels = pairs.count;
    message.labels = pairs.items;
    return exchange(upload, &message, err);
}

/* Forget what was uploaded under the ref. */
static int abort_upload(struct containerd *c, const char *ref, struct err *err)
{
    static const struct containerd_method method = {.path = CONTENT "Abort"};
    Wire__ContentAbortRequest request;
    int rc;

    wire__content_abort_request__init(&request);
    request.ref = containerd_lend(ref);
    rc = containerd_call(c, &method, &request.base, NULL, NULL, err);
    return rc == -ENOENT ? 0 : rc;
}

static int open_upload(struct containerd *c, struct upload *upload, struct err *err)
{
    struct grpc_request request = {
        .path = CONTENT "Write",
        .metadata = &c->metadata,
        .deadline_ms = c->deadline_ms,
        .step_timeout_ms = c->call_timeout_ms,
    };

    return grpc_stream_open(c->channel, &request, &upload->stream, err);
}

/* The ref is locked until containerd's side has ended, so wait for that. */
static void close_upload(struct upload *upload)
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
 */
static int begin_afresh(struct containerd *c, struct upload *upload, struct err *err)
{
    int rc = open_upload(c, upload, err);

    if (rc == 0)
        rc = begin(upload, err);
    if (rc < 0 || upload->off_bytes == 0)
        return rc;
    close_upload(upload);
    rc = abort_upload(c, upload->ref, err);
    if (rc == 0)
        rc = open_upload(c, upload, err);
    if (rc == 0)
        rc = begin(upload, err);
    if (rc == 0 && upload->off_bytes != 0)
        return err_set(err, -EAGAIN, "another process uploads it");
    return rc;
}

static int run(struct containerd *c, struct upload *upload, const struct containerd_source *source,
               struct err *err)
{
    int rc = begin_afresh(c, upload, err);

    if (rc == 0)
        rc = send_all(upload, source, err);
    if (rc == 0)
        rc = commit(upload, err);
    close_upload(upload);
    buf_fini(&upload->packed);
    buf_fini(&upload->answer);
    if (rc < 0 && rc != -EEXIST && rc != -EAGAIN)
        (void)abort_upload(c, upload->ref, NULL); /* else garbage collection does it, a day later */
    return rc;
}

int containerd_content_write_from(struct containerd *c,
                                  const struct containerd_write_request *request,
                                  const struct containerd_source *source, struct err *err)
{
    SCOPED(mem)
    char *ref =
        request->ref != NULL ? text_copy(request->ref) : text_format("soci-%s", request->digest);
    struct upload upload = {.request = request, .ref = ref};
    int rc;

    if (ref == NULL)
        return err_set(err, -ENOMEM, "writing content %s: out of memory", request->digest);
    if (request->size_bytes > INT64_MAX)
        return err_set(err, -EINVAL, "writing content %s: too large", request->digest);
    rc = run(c, &upload, source, err);
    if (rc == -EEXIST)
        return request->labels == NULL
                   ? 0
                   : containerd_content_set_labels(c, request->digest, request->labels, err);
    return rc < 0 ? err_prefix(err, rc, "writing content %s", request->digest) : 0;
}

struct memory_source {
    struct bytes left;
};

static ssize_t read_memory(void *self, void *buf, size_t len, struct err *err)
{
    struct memory_source *source = self;
    size_t part = len < source->left.len ? len : source->left.len;

    (void)err;
    if (part > 0)
        memcpy(buf, source->left.data, part);
    source->left.data += part;
    source->left.len -= part;
    return (ssize_t)part;
}

int containerd_content_write(struct containerd *c, const struct containerd_write_request *request,
                             struct bytes content, struct err *err)
{
    struct memory_source memory = {.left = content};
    const struct containerd_source source = {.read = read_memory, .self = &memory};

    if (content.len != request->size_bytes)
        return err_set(err, -EINVAL, "writing content %s: %zu bytes instead of %llu",
                       request->digest, content.len, (unsigned long long)request->size_bytes);
    return containerd_content_write_from(c, request, &source, err);
}
