/* SPDX-License-Identifier: Apache-2.0 */
/* read.c – bytes of a blob, in order, as they come. */
#include "internal.h"

#include "proto/content.pb-c.h"

struct reading {
    const struct containerd_sink *sink;
    uint64_t got_bytes; /* counts from where the read began, as containerd's offsets do */
    uint64_t max_bytes;
};

static int take_piece(void *arg, const ProtobufCMessage *reply, struct err *err)
{
    struct reading *reading = arg;
    const Wire__ContentReadResponse *piece = (const Wire__ContentReadResponse *)(const void *)reply;

    if (piece->offset < 0 || (uint64_t)piece->offset != reading->got_bytes)
        return err_set(err, -EBADMSG, "containerd sent bytes from %lld on instead of %llu",
                       (long long)piece->offset, (unsigned long long)reading->got_bytes);
    if (piece->data.len > reading->max_bytes - reading->got_bytes)
        return err_set(err, -EBADMSG, "containerd sent more than %llu bytes",
                       (unsigned long long)reading->max_bytes);
    if (piece->data.len == 0)
        return 0;
    reading->got_bytes += piece->data.len;
    return reading->sink->write(reading->sink->self, bytes_of(piece->data.data, piece->data.len),
                                err);
}

static int read_all(struct containerd *c, const Wire__ContentReadRequest *request,
                    struct reading *reading, struct err *err)
{
    static const struct containerd_method method = {
        .path = CONTAINERD_SERVICE "content.v1.Content/Read",
        .reply = &wire__content_read_response__descriptor,
    };
    int rc = containerd_stream(c, &method, &request->base, take_piece, reading, err);

    if (rc == 0 && reading->got_bytes != reading->max_bytes)
        return err_set(err, -EBADMSG, "containerd sent %llu of %llu bytes",
                       (unsigned long long)reading->got_bytes,
                       (unsigned long long)reading->max_bytes);
    return rc;
}

int containerd_content_read(struct containerd *c, const char *digest, uint64_t off_bytes,
                            uint64_t len_bytes, const struct containerd_sink *sink, struct err *err)
{
    struct reading reading = {.sink = sink, .max_bytes = len_bytes};
    Wire__ContentReadRequest request;
    int rc;

    if (len_bytes == 0) {
        struct containerd_content content;

        rc = containerd_content_info(c, digest, &content, err);
        if (rc < 0)
            return rc;
        if (off_bytes < content.size_bytes)
            reading.max_bytes = content.size_bytes - off_bytes;
        containerd_content_fini(&content);
        if (reading.max_bytes == 0)
            return 0; /* nothing there; containerd calls a start at the end an error */
    }
    if (off_bytes > INT64_MAX || reading.max_bytes > INT64_MAX - off_bytes)
        return err_set(err, -EINVAL, "content %s: a range past all files", digest);
    wire__content_read_request__init(&request);
    request.digest = containerd_lend(digest);
    request.offset = (int64_t)off_bytes;
    request.size = (int64_t)reading.max_bytes;
    rc = read_all(c, &request, &reading, err);
    if (rc == -ENOENT)
        return err_set(err, rc, "content digest %s: not found", digest);
    return rc < 0 ? err_prefix(err, rc, "reading content %s", digest) : rc;
}

static int write_to_buf(void *self, struct bytes piece, struct err *err)
{
    if (buf_add(self, piece.data, piece.len) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    return 0;
}

int containerd_content_read_all(struct containerd *c, const char *digest, size_t max_bytes,
                                struct buf *ret, struct err *err)
{
    SCOPED(containerd_content) struct containerd_content content = {.labels = TEXT_MAP_EMPTY};
    const struct containerd_sink sink = {.write = write_to_buf, .self = ret};
    int rc = containerd_content_info(c, digest, &content, err);

    if (rc < 0)
        return rc;
    if (content.size_bytes > max_bytes)
        return err_set(err, -EFBIG, "content %s has %llu bytes, more than %zu", digest,
                       (unsigned long long)content.size_bytes, max_bytes);
    if (content.size_bytes == 0)
        return 0;
    return containerd_content_read(c, digest, 0, content.size_bytes, &sink, err);
}
