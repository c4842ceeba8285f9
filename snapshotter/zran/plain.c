/* SPDX-License-Identifier: Apache-2.0 */
/* plain.c – the zinfo of a layer that is not compressed: a FlatBuffer of two numbers. */
#include "zran/zran.h"

#include "flatbuf/flatbuf.h"

#include <errno.h>

enum { FIELD_VERSION, FIELD_SPAN_SIZE, FIELD_SIZE, FIELD_COUNT };
enum { ZINFO_VERSION = 2 };

int zran_plain_parse(struct bytes blob, struct zran_plain *ret, struct err *err)
{
    struct flatbuf fb = flatbuf_of(blob);
    struct flatbuf_table root = flatbuf_root(&fb);
    int64_t span_size = flatbuf_i64(&fb, root, FIELD_SPAN_SIZE, 0);
    int64_t size = flatbuf_i64(&fb, root, FIELD_SIZE, 0);

    if (blob.len == 0)
        return err_set(err, -EBADMSG, "zinfo: empty");
    if (fb.failed || span_size <= 0 || size < 0)
        return err_set(err, -EBADMSG, "zinfo: not that of an uncompressed layer");
    *ret = (struct zran_plain){(uint64_t)span_size, (uint64_t)size};
    return 0;
}

static int write_plain(const struct zran_plain *plain, struct flatbuf_writer *w)
{
    flatbuf_table_start(w, FIELD_COUNT);
    flatbuf_put_i32(w, FIELD_VERSION, ZINFO_VERSION);
    flatbuf_put_i64(w, FIELD_SPAN_SIZE, (int64_t)plain->span_size);
    flatbuf_put_i64(w, FIELD_SIZE, (int64_t)plain->size);
    return flatbuf_finish(w, flatbuf_table_end(w));
}

int zran_plain_encode(const struct zran_plain *plain, struct buf *ret)
{
    SCOPED(flatbuf_writer) struct flatbuf_writer sizing;
    SCOPED(flatbuf_writer) struct flatbuf_writer writer;
    int rc;

    flatbuf_writer_init(&sizing, NULL);
    flatbuf_writer_init(&writer, NULL);
    rc = write_plain(plain, &sizing);
    if (rc == 0)
        rc = buf_reserve(ret, sizing.used);
    if (rc < 0)
        return rc;
    ret->len += sizing.used;
    writer.end = ret->data + ret->len;
    return write_plain(plain, &writer);
}

uint64_t zran_plain_span_count(const struct zran_plain *plain)
{
    return plain->size / plain->span_size + (plain->size % plain->span_size != 0);
}
