/* SPDX-License-Identifier: Apache-2.0 */
/* gzip_isal.c – gzip.c by ISA-L, which takes less than half of zlib's time. It is more lenient with
 * sets of codes that are not complete; what came of them is compared with the layer's digest, and
 * its diff ID with the image's. */
#include "unpack/internal.h"

#include <errno.h>
#include <isa-l/igzip_lib.h>
#include <stdlib.h>

enum { OUT_BYTES = 256 * 1024 };

/* A member's header, of which nothing is of interest but where it ends. The checksum of it that it
 * may have is not what 2.30 of the library makes of it, so it is not left to the library. */
enum head_state {
    HEAD_FIXED, /* ten bytes */
    HEAD_EXTRA_LEN,
    HEAD_EXTRA,
    HEAD_NAME,
    HEAD_COMMENT,
    HEAD_CRC,
    HEAD_DONE,
};
enum { FLAG_CRC = 2, FLAG_EXTRA = 4, FLAG_NAME = 8, FLAG_COMMENT = 16, FLAGS_RESERVED = 0xe0 };

struct head {
    enum head_state state;
    uint8_t flags;
    size_t seen; /* bytes of this state */
    size_t extra_bytes;
};

struct gzip {
    struct head head;
    struct inflate_state z;
    bool at_end; /* behind a whole member, and nothing of another was seen */
    uint8_t out[OUT_BYTES];
};

/* What cannot be in a header: false. */
static bool is_fixed_byte(struct head *head, uint8_t byte)
{
    static const uint8_t start[] = {0x1f, 0x8b, 8};

    if (head->seen < sizeof(start))
        return byte == start[head->seen];
    if (head->seen == sizeof(start))
        head->flags = byte;
    return (head->flags & FLAGS_RESERVED) == 0;
}

static size_t wanted_bytes(const struct head *head)
{
    switch (head->state) {
    case HEAD_FIXED:
        return 10;
    case HEAD_EXTRA_LEN:
        return (head->flags & FLAG_EXTRA) != 0 ? 2 : 0;
    case HEAD_EXTRA:
        return head->extra_bytes;
    case HEAD_NAME:
        return (head->flags & FLAG_NAME) != 0 ? SIZE_MAX : 0; /* to its zero */
    case HEAD_COMMENT:
        return (head->flags & FLAG_COMMENT) != 0 ? SIZE_MAX : 0;
    case HEAD_CRC:
        return (head->flags & FLAG_CRC) != 0 ? 2 : 0;
    case HEAD_DONE:
        break;
    }
    return SIZE_MAX;
}

static void next_state(struct head *head)
{
    do {
        head->state++;
        head->seen = 0;
    } while (wanted_bytes(head) == 0);
}

static bool head_take(struct head *head, uint8_t byte)
{
    if (head->state == HEAD_FIXED && !is_fixed_byte(head, byte))
        return false;
    if (head->state == HEAD_EXTRA_LEN)
        head->extra_bytes |= (size_t)byte << (8 * head->seen);
    head->seen++;
    if (head->seen == wanted_bytes(head) ||
        (byte == 0 && (head->state == HEAD_NAME || head->state == HEAD_COMMENT)))
        next_state(head);
    return true;
}

static void begin_member(struct gzip *gzip)
{
    isal_inflate_reset(&gzip->z);
    gzip->z.crc_flag = ISAL_GZIP_NO_HDR_VER; /* the trailer is its to check */
    gzip->head = (struct head){.state = HEAD_FIXED};
    gzip->at_end = false;
}

static void gzip_close(void *state)
{
    free(state);
}

static int gzip_open(void **ret, struct err *err)
{
    struct gzip *gzip = calloc(1, sizeof(*gzip));

    if (gzip == NULL)
        return err_set(err, -ENOMEM, "gzip: out of memory");
    isal_inflate_init(&gzip->z);
    begin_member(gzip);
    *ret = gzip;
    return 0;
}

static int damaged(int isal_rc, struct err *err)
{
    return err_set(err, -EBADMSG, "gzip: %s",
                   isal_rc == ISAL_INCORRECT_CHECKSUM ? "wrong checksum" : "damaged");
}

/* false: what there is of it makes no sense. */
static bool take_head(struct gzip *gzip)
{
    while (gzip->head.state != HEAD_DONE && gzip->z.avail_in > 0) {
        if (!head_take(&gzip->head, *gzip->z.next_in))
            return false;
        gzip->z.next_in++;
        gzip->z.avail_in--;
    }
    return true;
}

/* Inflate once, and pass on what came out. 1: the input is used up. */
static int inflate_once(struct gzip *gzip, const struct sink *sink, struct err *err)
{
    int isal_rc, rc;
    size_t len;

    gzip->z.next_out = gzip->out;
    gzip->z.avail_out = OUT_BYTES;
    isal_rc = isal_inflate(&gzip->z);
    if (isal_rc < 0 || isal_rc == ISAL_NEED_DICT)
        return damaged(isal_rc, err);
    gzip->at_end = gzip->z.block_state == ISAL_BLOCK_FINISH;
    if (gzip->at_end && gzip->z.read_in_length >= 8) /* the trailer has taken all that was there */
        return damaged(0, err);
    len = OUT_BYTES - gzip->z.avail_out;
    rc = len == 0 ? 0 : sink->write(sink->arg, bytes_of(gzip->out, len), err);
    if (rc < 0)
        return rc;
    /* With room left in the output nothing is held back inside. */
    return gzip->z.avail_in == 0 && (gzip->z.avail_out > 0 || gzip->at_end) ? 1 : 0;
}

static int step(struct gzip *gzip, const struct sink *sink, struct err *err)
{
    if (gzip->at_end)
        begin_member(gzip);
    if (!take_head(gzip))
        return damaged(0, err);
    return gzip->head.state == HEAD_DONE ? inflate_once(gzip, sink, err) : 1;
}

static int gzip_feed(void *state, struct bytes comp, const struct sink *sink, struct err *err)
{
    struct gzip *gzip = state;
    union { /* nothing is written through it */
        const uint8_t *in;
        uint8_t *out;
    } unconst = {.in = comp.data};
    int rc = 0;

    gzip->z.next_in = unconst.out;
    gzip->z.avail_in = (uint32_t)comp.len;
    while (rc == 0)
        rc = step(gzip, sink, err);
    return rc < 0 ? rc : 0;
}

static int gzip_finish(void *state, struct err *err)
{
    const struct gzip *gzip = state;

    return gzip->at_end ? 0 : err_set(err, -EBADMSG, "gzip: cut off");
}

const struct codec codec_gzip = {gzip_open, gzip_feed, gzip_finish, gzip_close};
