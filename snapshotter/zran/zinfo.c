/* SPDX-License-Identifier: Apache-2.0 */
/* zinfo.c – the list of checkpoints of a gzip layer as bytes: a count, the span size, then each
 * with its window. */
#include "zran/zran.h"

#include <errno.h>

enum { HEAD_BYTES = 4 + 8 };                          /* count, span size */
enum { POINT_BYTES = 8 + 8 + 1 + ZRAN_WINDOW_BYTES }; /* in, out, bits, window */
_Static_assert(POINT_BYTES == 32785, "zinfo is a wire format");
enum { IN_OFF = 0, OUT_OFF = 8, BITS_OFF = 16, WINDOW_OFF = 17 };
enum { PLAIN_GZIP_HEADER_BYTES = 10 }; /* where version 1 takes the first block to be */

int zran_zinfo_parse(struct bytes blob, struct zran_zinfo *ret, struct err *err)
{
    struct reader r = reader_of(blob);
    uint32_t count = reader_u32le(&r);
    uint64_t span_size = reader_u64le(&r);
    size_t stored = reader_left(&r) / POINT_BYTES;

    if (blob.len == 0)
        return err_set(err, -EBADMSG, "zinfo: empty");
    if (reader_failed(&r) || reader_left(&r) % POINT_BYTES != 0 || count == 0 ||
        count > INT32_MAX || (stored != count && stored != count - 1))
        return err_set(err, -EBADMSG, "zinfo: %zu bytes do not hold %u checkpoints", blob.len,
                       (unsigned)count);
    *ret = (struct zran_zinfo){blob, span_size, count, count - stored};
    return 0;
}

void zran_zinfo_point(const struct zran_zinfo *zinfo, size_t i, struct zran_point *ret,
                      uint64_t *ret_window_off)
{
    size_t off =
        HEAD_BYTES + (i - zinfo->unstored) * POINT_BYTES; /* not used when it would be below */
    const uint8_t *p;

    if (i < zinfo->unstored) {
        *ret = (struct zran_point){.comp_off = PLAIN_GZIP_HEADER_BYTES};
        *ret_window_off = ZRAN_NO_WINDOW;
        return;
    }
    p = zinfo->blob.data + off;
    *ret = (struct zran_point){get_u64le(p + IN_OFF), get_u64le(p + OUT_OFF), p[BITS_OFF]};
    *ret_window_off = off + WINDOW_OFF;
}

int zran_zinfo_start(struct buf *zinfo, uint64_t span_size)
{
    int rc = buf_add_zeros(zinfo, HEAD_BYTES);

    if (rc == 0)
        put_u64le(zinfo->data + 4, span_size);
    return rc;
}

int zran_zinfo_add(struct buf *zinfo, const struct zran_point *point,
                   const uint8_t window[ZRAN_WINDOW_BYTES])
{
    uint8_t *p;
    int rc;

    if (zinfo->len > INT32_MAX - (size_t)POINT_BYTES)
        return -EFBIG;
    rc = buf_reserve(zinfo, POINT_BYTES);
    if (rc < 0)
        return rc;
    p = zinfo->data + zinfo->len;
    put_u64le(p + IN_OFF, point->comp_off);
    put_u64le(p + OUT_OFF, point->uncomp_off);
    p[BITS_OFF] = point->bits;
    memcpy(p + WINDOW_OFF, window, ZRAN_WINDOW_BYTES);
    zinfo->len += POINT_BYTES;
    put_u32le(zinfo->data, get_u32le(zinfo->data) + 1);
    return 0;
}
