/* SPDX-License-Identifier: Apache-2.0 */
/* codec.c – how a layer is packed, by its first bytes; and a tar that is not packed at all. */
#include "unpack/internal.h"

#include <stddef.h>

static bool starts_with(struct bytes bytes, const char *magic, size_t len)
{
    return bytes.len >= len && memcmp(bytes.data, magic, len) == 0;
}

/* A zstd stream may begin with a frame that is to be skipped: 0x184D2A50 to …5F, little-endian. */
static bool is_zstd(struct bytes start)
{
    return starts_with(start, "\x28\xb5\x2f\xfd", 4) ||
           (start.len >= 4 && (start.data[0] & 0xf0) == 0x50 &&
            memcmp(start.data + 1, "\x2a\x4d\x18", 3) == 0);
}

const struct codec *codec_of(struct bytes start)
{
    if (starts_with(start, "\x1f\x8b", 2))
        return &codec_gzip;
    return is_zstd(start) ? &codec_zstd : &codec_plain;
}

static int plain_open(void **ret, struct err *err)
{
    (void)err;
    *ret = NULL;
    return 0;
}

static int plain_feed(void *state, struct bytes comp, const struct sink *sink, struct err *err)
{
    (void)state;
    return sink->write(sink->arg, comp, err);
}

static int plain_finish(void *state, struct err *err)
{
    (void)state;
    (void)err;
    return 0; /* the tar knows where it ends */
}

static void plain_close(void *state)
{
    (void)state;
}

const struct codec codec_plain = {plain_open, plain_feed, plain_finish, plain_close};
