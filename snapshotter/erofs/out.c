/* SPDX-License-Identifier: Apache-2.0 */
/* out.c – bytes on their way to the sink, in pieces of some size. */
#include "erofs/internal.h"

int out_flush(struct out *out, struct err *err)
{
    size_t used = out->used;

    out->used = 0;
    return used == 0 ? 0 : out->sink->write(out->sink->self, bytes_of(out->data, used), err);
}

int out_add(struct out *out, const void *data, size_t len, struct err *err)
{
    const uint8_t *from = data;

    out->pos += len;
    while (len > 0) {
        size_t part = sizeof(out->data) - out->used;

        part = part < len ? part : len;
        memcpy(out->data + out->used, from, part);
        out->used += part;
        from += part;
        len -= part;
        if (out->used == sizeof(out->data)) {
            int rc = out_flush(out, err);

            if (rc < 0)
                return rc;
        }
    }
    return 0;
}

int out_fill(struct out *out, uint64_t pos, struct err *err)
{
    static const uint8_t zeros[EROFS_BLOCK_BYTES];
    int rc = 0;

    while (rc == 0 && out->pos < pos) {
        uint64_t missing = pos - out->pos;

        rc = out_add(out, zeros, missing < sizeof(zeros) ? (size_t)missing : sizeof(zeros), err);
    }
    return rc;
}
