/* SPDX-License-Identifier: Apache-2.0 */
/* write.c – building a FlatBuffer back to front, as the Go library's builder lays it out. */
#include "flatbuf/flatbuf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { REF_BYTES = 4, VOFFSET_BYTES = 2 };

struct flatbuf_vtable {
    flatbuf_ref ref;
    unsigned count;
    uint16_t offsets[FLATBUF_MAX_FIELDS]; /* of values from the start of their table; 0: none */
};

void flatbuf_writer_init(struct flatbuf_writer *w, uint8_t *end)
{
    *w = (struct flatbuf_writer){.end = end, .align = 1};
}

void flatbuf_writer_fini(struct flatbuf_writer *w)
{
    free(w->vtables);
    w->vtables = NULL;
}

/* Take `len` bytes in front of what is there: where they are, or NULL when there is nothing to put
 * there. */
static uint8_t *take(struct flatbuf_writer *w, size_t len)
{
    if (w->rc < 0)
        return NULL;
    if (len > FLATBUF_MAX_BYTES - w->used) {
        w->rc = -EFBIG;
        return NULL;
    }
    w->used += len;
    return w->end == NULL ? NULL : w->end - w->used;
}

/* Pad so that after `len` more bytes the position is a multiple of `align`. */
static void pad_for(struct flatbuf_writer *w, size_t align, size_t len)
{
    size_t pad = (0 - (w->used + len)) & (align - 1);
    uint8_t *p;

    if (align > w->align)
        w->align = align;
    p = take(w, pad);
    if (p != NULL)
        memset(p, 0, pad);
}

static void place_u16(struct flatbuf_writer *w, uint16_t value)
{
    uint8_t *p = take(w, sizeof(value));

    if (p != NULL)
        put_u16le(p, value);
}

static void place_u32(struct flatbuf_writer *w, uint32_t value)
{
    uint8_t *p = take(w, sizeof(value));

    if (p != NULL)
        put_u32le(p, value);
}

static flatbuf_ref here(const struct flatbuf_writer *w)
{
    return (flatbuf_ref)w->used;
}

static void add_ref(struct flatbuf_writer *w, flatbuf_ref ref)
{
    pad_for(w, REF_BYTES, 0);
    place_u32(w, here(w) + REF_BYTES - ref);
}

flatbuf_ref flatbuf_add_string(struct flatbuf_writer *w, struct bytes s)
{
    uint8_t *p;

    if (s.len >= FLATBUF_MAX_BYTES) {
        w->rc = w->rc < 0 ? w->rc : -EFBIG;
        return 0;
    }
    pad_for(w, REF_BYTES, s.len + 1);
    p = take(w, s.len + 1);
    if (p != NULL) {
        if (s.len > 0)
            memcpy(p, s.data, s.len);
        p[s.len] = '\0';
    }
    place_u32(w, (uint32_t)s.len);
    return here(w);
}

flatbuf_ref flatbuf_add_space(struct flatbuf_writer *w, size_t len)
{
    if (len > FLATBUF_MAX_BYTES) {
        w->rc = w->rc < 0 ? w->rc : -EFBIG;
        return 0;
    }
    pad_for(w, REF_BYTES, len);
    (void)take(w, len);
    place_u32(w, (uint32_t)len);
    return here(w);
}

flatbuf_ref flatbuf_add_refs(struct flatbuf_writer *w, const flatbuf_ref *refs, size_t count)
{
    if (count > FLATBUF_MAX_BYTES / REF_BYTES) {
        w->rc = w->rc < 0 ? w->rc : -EFBIG;
        return 0;
    }
    pad_for(w, REF_BYTES, count * REF_BYTES);
    for (size_t i = count; i > 0; i--)
        add_ref(w, refs[i - 1]);
    place_u32(w, (uint32_t)count);
    return here(w);
}

void flatbuf_table_start(struct flatbuf_writer *w, unsigned field_count)
{
    memset(w->fields, 0, sizeof(w->fields));
    w->field_count = field_count < FLATBUF_MAX_FIELDS ? field_count : FLATBUF_MAX_FIELDS;
    w->table_start = w->used;
}

void flatbuf_put_ref(struct flatbuf_writer *w, unsigned field, flatbuf_ref ref)
{
    add_ref(w, ref);
    w->fields[field] = here(w);
}

void flatbuf_put_i64(struct flatbuf_writer *w, unsigned field, int64_t value)
{
    uint8_t *p;

    if (value == 0)
        return;
    pad_for(w, sizeof(value), 0);
    p = take(w, sizeof(value));
    if (p != NULL)
        put_u64le(p, (uint64_t)value);
    w->fields[field] = here(w);
}

void flatbuf_put_i32(struct flatbuf_writer *w, unsigned field, int32_t value)
{
    if (value == 0)
        return;
    pad_for(w, sizeof(value), 0);
    place_u32(w, (uint32_t)value);
    w->fields[field] = here(w);
}

void flatbuf_put_i8(struct flatbuf_writer *w, unsigned field, int8_t value, int8_t deflt)
{
    uint8_t *p;

    if (value == deflt)
        return;
    p = take(w, sizeof(value));
    if (p != NULL)
        *p = (uint8_t)value;
    w->fields[field] = here(w);
}

/* An earlier vtable with the same offsets; the size of the table, which a vtable holds too, is not
 * compared. */
static const struct flatbuf_vtable *find_vtable(const struct flatbuf_writer *w,
                                                const struct flatbuf_vtable *like)
{
    for (size_t i = w->vtable_count; i > 0; i--) {
        const struct flatbuf_vtable *vtable = &w->vtables[i - 1];

        if (vtable->count == like->count &&
            memcmp(vtable->offsets, like->offsets, like->count * sizeof(like->offsets[0])) == 0)
            return vtable;
    }
    return NULL;
}

static void remember_vtable(struct flatbuf_writer *w, const struct flatbuf_vtable *vtable)
{
    if (w->vtable_count == w->vtable_cap) {
        size_t cap = w->vtable_cap == 0 ? 16 : w->vtable_cap * 2;
        struct flatbuf_vtable *bigger = realloc(w->vtables, cap * sizeof(*bigger));

        if (bigger == NULL) {
            w->rc = w->rc < 0 ? w->rc : -ENOMEM;
            return;
        }
        w->vtables = bigger;
        w->vtable_cap = cap;
    }
    w->vtables[w->vtable_count++] = *vtable;
}

static flatbuf_ref write_vtable(struct flatbuf_writer *w, struct flatbuf_vtable *vtable,
                                size_t table_bytes)
{
    for (unsigned i = vtable->count; i > 0; i--)
        place_u16(w, vtable->offsets[i - 1]);
    place_u16(w, (uint16_t)table_bytes);
    place_u16(w, (uint16_t)((vtable->count + 2) * VOFFSET_BYTES));
    vtable->ref = here(w);
    remember_vtable(w, vtable);
    return vtable->ref;
}

flatbuf_ref flatbuf_table_end(struct flatbuf_writer *w)
{
    struct flatbuf_vtable vtable = {.count = w->field_count};
    const struct flatbuf_vtable *shared;
    flatbuf_ref table, found;

    pad_for(w, REF_BYTES, 0);
    place_u32(w, 0); /* the way to the vtable, known below */
    table = here(w);
    while (vtable.count > 0 && w->fields[vtable.count - 1] == 0)
        vtable.count--;
    for (unsigned i = 0; i < vtable.count; i++)
        vtable.offsets[i] = w->fields[i] == 0 ? 0 : (uint16_t)(table - w->fields[i]);
    shared = find_vtable(w, &vtable);
    found = shared != NULL ? shared->ref : write_vtable(w, &vtable, table - w->table_start);
    if (w->rc == 0 && w->end != NULL)
        put_u32le(w->end - table, found - table); /* wraps to the signed distance that is meant */
    return table;
}

int flatbuf_finish(struct flatbuf_writer *w, flatbuf_ref root)
{
    pad_for(w, w->align, REF_BYTES);
    add_ref(w, root);
    return w->rc;
}
