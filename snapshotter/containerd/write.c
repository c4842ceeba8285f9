/* SPDX-License-Identifier: Apache-2.0 */
/* write.c – a blob from memory, or from whoever has its bytes, into the content store. */
#include "internal.h"

#include <stdlib.h>

enum { READ_BYTES = 1024 * 1024 };

static int add_all(struct containerd_upload *upload, uint64_t left_bytes,
                   const struct containerd_source *source, struct err *err)
{
    SCOPED(mem) uint8_t *piece = malloc(READ_BYTES);

    if (piece == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    while (left_bytes > 0) {
        size_t want = left_bytes < READ_BYTES ? (size_t)left_bytes : READ_BYTES;
        ssize_t got = source->read(source->self, piece, want, err);
        int rc;

        if (got < 0)
            return (int)got;
        if (got == 0 || (size_t)got > want)
            return err_set(err, -EBADMSG, "the source ended %llu bytes early",
                           (unsigned long long)left_bytes);
        rc = containerd_upload_add(upload, bytes_of(piece, (size_t)got), err);
        if (rc < 0)
            return rc;
        left_bytes -= (uint64_t)got;
    }
    return 0;
}

static int upload_all(struct containerd *c, const struct containerd_write_request *request,
                      const struct containerd_source *source, struct err *err)
{
    SCOPED(containerd_upload) struct containerd_upload *upload = NULL;
    int rc = containerd_upload_open(c, request, &upload, err);

    if (rc == 0 && !containerd_upload_is_full(upload))
        rc = add_all(upload, request->size_bytes, source, err);
    return rc < 0 ? rc : containerd_upload_commit(upload, request->labels, err);
}

int containerd_content_write_from(struct containerd *c,
                                  const struct containerd_write_request *request,
                                  const struct containerd_source *source, struct err *err)
{
    int rc = upload_all(c, request, source, err);

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
