/* SPDX-License-Identifier: Apache-2.0 */
/* read.c – walking a FlatBuffer that nobody vouches for. */
#include "flatbuf/flatbuf.h"

enum { REF_BYTES = 4, VOFFSET_BYTES = 2, VTABLE_HEAD_BYTES = 4 };

struct flatbuf flatbuf_of(struct bytes blob)
{
    return (struct flatbuf){.blob = blob, .failed = blob.len > FLATBUF_MAX_BYTES};
}

/* `len` bytes at `pos`, or NULL and the failure is remembered. */
static const uint8_t *need(struct flatbuf *fb, size_t pos, size_t len)
{
    if (fb->failed || pos > fb->blob.len || len > fb->blob.len - pos) {
        fb->failed = true;
        return NULL;
    }
    return fb->blob.data + pos;
}

/* Where the reference at `pos` leads to. 0 on failure: nothing can be there, the root reference is.
 */
static size_t follow(struct flatbuf *fb, size_t pos)
{
    const uint8_t *p = need(fb, pos, REF_BYTES);
    size_t target;

    if (p == NULL)
        return 0;
    target =
        pos +
        get_u32le(
            p); /* both are below 2^32 and a size_t has 64 bits, or need() refuses what wrapped */
    if (target <= pos || need(fb, target, REF_BYTES) == NULL) {
        fb->failed = true;
        return 0;
    }
    return target;
}

static struct flatbuf_table table_of(struct flatbuf *fb, size_t pos)
{
    struct flatbuf_table table = {.pos = pos};
    const uint8_t *p = pos == 0 ? NULL : need(fb, pos, REF_BYTES);
    int64_t vtable;

    if (p == NULL)
        return (struct flatbuf_table){0};
    vtable = (int64_t)pos - (int32_t)get_u32le(p);
    if (vtable < 0 || (p = need(fb, (size_t)vtable, VTABLE_HEAD_BYTES)) == NULL) {
        fb->failed = true;
        return (struct flatbuf_table){0};
    }
    table.vtable = (size_t)vtable;
    table.vtable_bytes = get_u16le(p);
    if (table.vtable_bytes < VTABLE_HEAD_BYTES ||
        need(fb, table.vtable, table.vtable_bytes) == NULL) {
        fb->failed = true;
        return (struct flatbuf_table){0};
    }
    return table;
}

struct flatbuf_table flatbuf_root(struct flatbuf *fb)
{
    return table_of(fb, follow(fb, 0));
}

/* Where the value of a field is; 0: left out. */
static size_t field_pos(struct flatbuf *fb, struct flatbuf_table table, unsigned field)
{
    size_t slot = VTABLE_HEAD_BYTES + (size_t)field * VOFFSET_BYTES;
    uint16_t offset;

    if (fb->failed || table.pos == 0 || slot + VOFFSET_BYTES > table.vtable_bytes)
        return 0;
    offset = get_u16le(fb->blob.data + table.vtable +
                       slot); /* table_of() has looked at the whole vtable */
    return offset == 0 ? 0 : table.pos + offset;
}

int64_t flatbuf_i64(struct flatbuf *fb, struct flatbuf_table table, unsigned field, int64_t absent)
{
    size_t pos = field_pos(fb, table, field);
    const uint8_t *p = pos == 0 ? NULL : need(fb, pos, sizeof(int64_t));

    return p == NULL ? absent : (int64_t)get_u64le(p);
}

int32_t flatbuf_i32(struct flatbuf *fb, struct flatbuf_table table, unsigned field, int32_t absent)
{
    size_t pos = field_pos(fb, table, field);
    const uint8_t *p = pos == 0 ? NULL : need(fb, pos, sizeof(int32_t));

    return p == NULL ? absent : (int32_t)get_u32le(p);
}

int8_t flatbuf_i8(struct flatbuf *fb, struct flatbuf_table table, unsigned field, int8_t absent)
{
    size_t pos = field_pos(fb, table, field);
    const uint8_t *p = pos == 0 ? NULL : need(fb, pos, sizeof(int8_t));

    if (p != NULL)
        absent = (int8_t)*p;
    return absent;
}

/* The bytes behind the length word at `pos`; 0: absent. */
static struct bytes bytes_at(struct flatbuf *fb, size_t pos)
{
    const uint8_t *p = pos == 0 ? NULL : need(fb, pos, REF_BYTES);
    size_t len;

    if (p == NULL)
        return (struct bytes){0};
    len = get_u32le(p);
    p = need(fb, pos + REF_BYTES, len);
    return p == NULL ? (struct bytes){0} : bytes_of(p, len);
}

struct bytes flatbuf_bytes(struct flatbuf *fb, struct flatbuf_table table, unsigned field)
{
    size_t pos = field_pos(fb, table, field);

    return pos == 0 ? (struct bytes){0} : bytes_at(fb, follow(fb, pos));
}

struct flatbuf_table flatbuf_table_at(struct flatbuf *fb, struct flatbuf_table table,
                                      unsigned field)
{
    size_t pos = field_pos(fb, table, field);

    return pos == 0 ? (struct flatbuf_table){0} : table_of(fb, follow(fb, pos));
}

struct flatbuf_vector flatbuf_vector_at(struct flatbuf *fb, struct flatbuf_table table,
                                        unsigned field)
{
    size_t pos = field_pos(fb, table, field);
    size_t vector = pos == 0 ? 0 : follow(fb, pos);
    const uint8_t *p = vector == 0 ? NULL : need(fb, vector, REF_BYTES);
    uint32_t count;

    if (p == NULL)
        return (struct flatbuf_vector){0};
    count = get_u32le(p);
    if (count > (fb->blob.len - vector - REF_BYTES) / REF_BYTES) {
        fb->failed = true;
        return (struct flatbuf_vector){0};
    }
    return (struct flatbuf_vector){.pos = vector + REF_BYTES, .count = count};
}

struct flatbuf_table flatbuf_vector_table(struct flatbuf *fb, struct flatbuf_vector vector,
                                          size_t i)
{
    return table_of(fb, follow(fb, vector.pos + i * REF_BYTES));
}

struct bytes flatbuf_vector_bytes(struct flatbuf *fb, struct flatbuf_vector vector, size_t i)
{
    return bytes_at(fb, follow(fb, vector.pos + i * REF_BYTES));
}
