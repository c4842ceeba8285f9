/* SPDX-License-Identifier: Apache-2.0 */
/* content.c – a blob of a content store in one piece. */
#include "index/index.h"

#include <errno.h>

static int collect(void *arg, struct bytes part, struct err *err)
{
    struct buf *buf = arg;

    if (part.len > INDEX_BLOB_MAX_BYTES || buf->len > INDEX_BLOB_MAX_BYTES - part.len)
        return err_set(err, -EFBIG, "larger than %d bytes", INDEX_BLOB_MAX_BYTES);
    return buf_add(buf, part.data, part.len) < 0 ? err_set(err, -ENOMEM, "out of memory") : 0;
}

int index_content_read_all(const struct index_content *content, const struct digest *digest,
                           struct buf *ret, struct err *err)
{
    return content->read(content->self, digest, collect, ret, err);
}
