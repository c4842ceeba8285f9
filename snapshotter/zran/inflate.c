/* SPDX-License-Identifier: Apache-2.0 */
/* inflate.c – one span, from its checkpoint. */
#include "zran/internal.h"

#include "base/cleanup.h"

#include <errno.h>
#include <string.h>

/* 300 KiB: on the heap. */
struct inflation {
    struct deflate deflate;
    uint64_t uncomp_left;
    uint64_t history; /* output of this member, and the window before the first one */
    uint8_t out[DEFLATE_BUFFER_BYTES];
};

static int start(struct inflation *in, uint8_t bits, const uint8_t *window, struct bytes comp,
                 struct err *err)
{
    struct deflate *d = &in->deflate;

    if (bits > 7 || (bits != 0 && comp.len == 0))
        return err_set(err, -EBADMSG, "inflate: no byte that holds the first %u bits", bits);
    deflate_reset(d);
    d->in = comp.data;
    d->in_end = comp.data == NULL ? NULL : comp.data + comp.len;
    if (bits != 0) {
        d->bits = bits;
        d->bits_value = (uint8_t)(*d->in++ >> (8 - bits));
    }
    memcpy(in->out, window, ZRAN_WINDOW_BYTES);
    in->history = ZRAN_WINDOW_BYTES;
    d->out = in->out + ZRAN_WINDOW_BYTES;
    d->out_end = in->out + sizeof(in->out);
    return 0;
}

static struct bytes input_left(const struct inflation *in)
{
    return bytes_of(in->deflate.in, (size_t)(in->deflate.in_end - in->deflate.in));
}

/* A member has ended and more bytes are wanted: go on behind the header of the next one.
 * Trailers are not checked, the span's digest was. */
static int next_member(struct inflation *in, struct err *err)
{
    struct bytes left = input_left(in);
    bool has_long_text;
    const char *why;
    size_t len;

    if (left.len <= GZIP_TRAILER_BYTES)
        return err_set(err, -EBADMSG, "inflate: the stream ends early");
    left = bytes_of(left.data + GZIP_TRAILER_BYTES, left.len - GZIP_TRAILER_BYTES);
    switch (gzip_header_parse(left, &len, &has_long_text, &why)) {
    case GZIP_HEADER_BAD:
        return err_set(err, -EBADMSG, "inflate: %s", why);
    case GZIP_HEADER_SHORT:
        return err_set(err, -EBADMSG, "inflate: the span ends early");
    case GZIP_HEADER_OK:
        break;
    }
    in->deflate.in = left.data + len;
    in->history = 0;
    deflate_reset(&in->deflate);
    return 0;
}

/* The next piece of output: *ret, possibly empty. Blocks may yield more than is wanted. */
static int step(struct inflation *in, struct bytes *ret, struct err *err)
{
    struct deflate *d = &in->deflate;
    enum deflate_event event;
    const uint8_t *out;
    size_t made;

    deflate_make_room(d, in->out);
    out = d->out;
    d->floor = out - (in->history < ZRAN_WINDOW_BYTES ? in->history : ZRAN_WINDOW_BYTES);
    event = deflate_run(d);
    made = (size_t)(d->out - out);
    in->history += made;
    *ret = bytes_of(out, made < in->uncomp_left ? made : (size_t)in->uncomp_left);
    in->uncomp_left -= ret->len;
    if (in->uncomp_left == 0)
        return 0; /* whatever comes behind it */
    if (event == DEFLATE_BAD)
        return err_set(err, -EBADMSG, "inflate: %s", d->why);
    if (event == DEFLATE_NEEDS_INPUT)
        return err_set(err, -EBADMSG, "inflate: the span ends early");
    return event == DEFLATE_STREAM_END ? next_member(in, err) : 0;
}

int zran_inflate(uint8_t bits, const uint8_t window[ZRAN_WINDOW_BYTES], struct bytes comp,
                 uint64_t uncomp_len, int (*sink)(void *arg, struct bytes out, struct err *err),
                 void *arg, struct err *err)
{
    SCOPED(mem) struct inflation *in = NULL;
    struct bytes out;
    int rc;

    if (uncomp_len == 0)
        return 0;
    in = malloc(sizeof(*in));
    if (in == NULL)
        return err_set(err, -ENOMEM, "inflate: out of memory");
    in->deflate.has_fixed = false;
    in->uncomp_left = uncomp_len;
    rc = start(in, bits, window, comp, err);
    while (rc == 0 && in->uncomp_left > 0) {
        rc = step(in, &out, err);
        if (rc == 0 && out.len > 0)
            rc = sink(arg, out, err);
    }
    return rc;
}
