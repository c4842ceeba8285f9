/* SPDX-License-Identifier: Apache-2.0 */
/* message.c – length-prefixed messages taken out of a stream of bytes. */
#include "internal.h"

#include <string.h>

void grpc_deframer_init(struct grpc_deframer *d, size_t max_bytes)
{
    *d = (struct grpc_deframer){.max_bytes = max_bytes};
}

void grpc_deframer_fini(struct grpc_deframer *d)
{
    buf_free(TAKE(d->message));
    d->prefix_len = 0;
}

bool grpc_deframer_is_inside(const struct grpc_deframer *d)
{
    return d->prefix_len != 0;
}

void grpc_prefix_put(uint8_t prefix[GRPC_PREFIX_BYTES], size_t message_bytes)
{
    prefix[0] = 0;
    put_u32be(prefix + 1, (uint32_t)message_bytes);
}

static struct bytes take_front(struct bytes *in, size_t want)
{
    struct bytes front = bytes_of(in->data, want < in->len ? want : in->len);

    if (front.len > 0)
        in->data += front.len;
    in->len -= front.len;
    return front;
}

static int no_memory(struct err *err)
{
    (void)err_set(err, -ENOMEM, "grpc: out of memory for a message");
    return -ENOMEM;
}

static int take_prefix(struct grpc_deframer *d, struct err *err)
{
    d->message_bytes = get_u32be(d->prefix + 1);
    if (d->prefix[0] > 1)
        return err_set(err, -EPROTO, "grpc: message flag %u", d->prefix[0]);
    if (d->prefix[0] == 1)
        return err_set(err, -EOPNOTSUPP, "grpc: compressed messages are not supported");
    if (d->message_bytes > d->max_bytes)
        return err_set(err, -EFBIG, "grpc: received message larger than max (%zu vs. %zu)",
                       d->message_bytes, d->max_bytes);
    return 0;
}

int grpc_deframer_feed(struct grpc_deframer *d, struct bytes *in, struct buf **ret_message,
                       struct err *err)
{
    struct bytes part;
    int rc;

    *ret_message = NULL;
    if (d->message == NULL) {
        part = take_front(in, GRPC_PREFIX_BYTES - d->prefix_len);
        if (part.len > 0)
            memcpy(d->prefix + d->prefix_len, part.data, part.len);
        d->prefix_len += part.len;
        if (d->prefix_len < GRPC_PREFIX_BYTES)
            return 0;
        rc = take_prefix(d, err);
        if (rc < 0)
            return rc;
        d->message = buf_new();
        if (d->message == NULL)
            return no_memory(err);
    }
    part = take_front(in, d->message_bytes - d->message->len);
    if (buf_add(d->message, part.data, part.len) < 0)
        return no_memory(err);
    if (d->message->len < d->message_bytes)
        return 0;
    *ret_message = TAKE(d->message);
    d->prefix_len = 0;
    return 0;
}
