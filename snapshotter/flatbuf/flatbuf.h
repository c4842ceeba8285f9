/* SPDX-License-Identifier: Apache-2.0 */
/* flatbuf.h – the FlatBuffers wire format, as much of it as the ztoc and the zinfo need: bounded
 * reading, and writing that gives the very bytes of the Go library's builder.
 *
 * No schema and no generated code: the formats have six tables between them, and no C library
 * shares vtables the way the Go builder does, on which the digest of a ztoc depends. */
#ifndef FLATBUF_FLATBUF_H
#define FLATBUF_FLATBUF_H

#include "base/attr.h"
#include "base/bytes.h"
#include "base/cleanup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FLATBUF_MAX_FIELDS = 16 };
#define FLATBUF_MAX_BYTES ((size_t)INT32_MAX) /* offsets are signed 32 bit */

/* ---- reading --------------------------------------------------------------------------------- */

/* Like struct reader: every access is bounded, the first one that leads out of the bytes is
 * remembered, and after it everything reads as absent. So a decoder reads a table like its
 * description and asks once. */
struct flatbuf {
    struct bytes blob;
    bool failed;
};

/* Both are positions; the zero value is an absent one, of which every field is absent. */
struct flatbuf_table {
    size_t pos;
    size_t vtable;
    uint16_t vtable_bytes;
};
struct flatbuf_vector {
    size_t pos; /* of element 0 */
    uint32_t count;
};

struct flatbuf
flatbuf_of(struct bytes blob); /* failed from the start when larger than FLATBUF_MAX_BYTES */
struct flatbuf_table flatbuf_root(struct flatbuf *fb);
/* A field that the writer left out gives `absent`. */
int64_t flatbuf_i64(struct flatbuf *fb, struct flatbuf_table table, unsigned field, int64_t absent);
int32_t flatbuf_i32(struct flatbuf *fb, struct flatbuf_table table, unsigned field, int32_t absent);
int8_t flatbuf_i8(struct flatbuf *fb, struct flatbuf_table table, unsigned field, int8_t absent);
/* Absent: zero length, NULL data. Strings come without their NUL and may hold any bytes. */
struct bytes flatbuf_bytes(struct flatbuf *fb, struct flatbuf_table table, unsigned field);
struct flatbuf_table flatbuf_table_at(struct flatbuf *fb, struct flatbuf_table table,
                                      unsigned field);
/* A vector of tables or strings; all `count` elements are inside the blob, what they lead to is
 * checked when read. */
struct flatbuf_vector flatbuf_vector_at(struct flatbuf *fb, struct flatbuf_table table,
                                        unsigned field);
struct flatbuf_table flatbuf_vector_table(struct flatbuf *fb, struct flatbuf_vector vector,
                                          size_t i);
struct bytes flatbuf_vector_bytes(struct flatbuf *fb, struct flatbuf_vector vector, size_t i);

/* ---- writing --------------------------------------------------------------------------------- */

/* Objects are written back to front into memory of exactly the right size, which is found by
 * writing everything once with no memory at all: with `end` NULL a writer only counts. What is
 * referred to is written before what refers to it; a reference is the distance from the end.
 * Alignment, padding and the sharing of vtables are those of the Go builder, so the same calls give
 * the same bytes.
 *
 * The first failure (-ENOMEM, -EFBIG past FLATBUF_MAX_BYTES) is remembered; calls after it do
 * nothing. */
struct flatbuf_vtable;
struct flatbuf_writer {
    uint8_t *end; /* one past the last byte; NULL: only count */
    size_t used;  /* bytes written so far, all of them right before end */
    size_t align; /* the largest alignment used */
    int rc;
    /* the table being written */
    uint32_t fields[FLATBUF_MAX_FIELDS]; /* reference of each value, 0: left out */
    unsigned field_count;
    size_t table_start;
    /* the vtables written so far */
    struct flatbuf_vtable *vtables;
    size_t vtable_count, vtable_cap;
};
typedef uint32_t flatbuf_ref;

void flatbuf_writer_init(struct flatbuf_writer *w, uint8_t *end);
void flatbuf_writer_fini(struct flatbuf_writer *w);
DEFINE_SCOPED_VALUE(flatbuf_writer, struct flatbuf_writer, flatbuf_writer_fini)

flatbuf_ref flatbuf_add_string(struct flatbuf_writer *w, struct bytes s);
/* A vector of bytes that the caller puts in place: they begin at end - ref + 4. */
flatbuf_ref flatbuf_add_space(struct flatbuf_writer *w, size_t len);
flatbuf_ref flatbuf_add_refs(struct flatbuf_writer *w, const flatbuf_ref *refs, size_t count);

/* A table: start it, add its fields in the order they shall have in memory (from high addresses to
 * low), end it. A number equal to its default is left out. */
void flatbuf_table_start(struct flatbuf_writer *w, unsigned field_count);
void flatbuf_put_ref(struct flatbuf_writer *w, unsigned field, flatbuf_ref ref);
void flatbuf_put_i64(struct flatbuf_writer *w, unsigned field, int64_t value);
void flatbuf_put_i32(struct flatbuf_writer *w, unsigned field, int32_t value);
void flatbuf_put_i8(struct flatbuf_writer *w, unsigned field, int8_t value, int8_t deflt);
flatbuf_ref flatbuf_table_end(struct flatbuf_writer *w);

/* Ends the buffer, which is then `used` bytes: 0, or the first failure. */
MUST_CHECK int flatbuf_finish(struct flatbuf_writer *w, flatbuf_ref root);

#endif
