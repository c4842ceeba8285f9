/* SPDX-License-Identifier: Apache-2.0 */
/* test_flatbuf_flatbuf.c – what is written is read, vtables are shared, and nothing is read past
 * the end. */
#include "test.h"

#include "flatbuf/flatbuf.h"

#include <errno.h>

/* Two tables with a number and a text each, in a vector, in a root with a byte. */
static int write_all(struct flatbuf_writer *w)
{
    flatbuf_ref items[2], vector;

    for (int i = 0; i < 2; i++) {
        flatbuf_ref text = flatbuf_add_string(w, bytes_of_str(i == 0 ? "first" : "second\n"));

        flatbuf_table_start(w, 3);
        flatbuf_put_i64(w, 0, 1000 + i);
        flatbuf_put_ref(w, 1, text);
        flatbuf_put_i32(w, 2, 0); /* the default: left out */
        items[i] = flatbuf_table_end(w);
    }
    vector = flatbuf_add_refs(w, items, 2);
    flatbuf_table_start(w, 2);
    flatbuf_put_ref(w, 0, vector);
    flatbuf_put_i8(w, 1, -7, 1);
    return flatbuf_finish(w, flatbuf_table_end(w));
}

static void encode(struct buf *ret)
{
    SCOPED(flatbuf_writer) struct flatbuf_writer sizing;
    SCOPED(flatbuf_writer) struct flatbuf_writer writer;

    flatbuf_writer_init(&sizing, NULL);
    assert_ok(write_all(&sizing));
    assert_ok(buf_add_zeros(ret, sizing.used));
    flatbuf_writer_init(&writer, ret->data + ret->len);
    assert_ok(write_all(&writer));
    assert_int_equal(writer.used, sizing.used);
}

static void what_is_written_is_read(void **state)
{
    SCOPED(buf_value) struct buf blob = BUF_EMPTY;
    struct flatbuf fb;
    struct flatbuf_table root, item;
    struct flatbuf_vector items;

    (void)state;
    encode(&blob);
    fb = flatbuf_of(buf_bytes(&blob));
    root = flatbuf_root(&fb);
    items = flatbuf_vector_at(&fb, root, 0);
    assert_int_equal(items.count, 2);
    assert_int_equal(flatbuf_i8(&fb, root, 1, 1), -7);
    item = flatbuf_vector_table(&fb, items, 1);
    assert_int_equal(flatbuf_i64(&fb, item, 0, 0), 1001);
    assert_true(bytes_equal(flatbuf_bytes(&fb, item, 1), bytes_of_str("second\n")));
    assert_int_equal(flatbuf_i32(&fb, item, 2, 42), 42); /* left out */
    assert_int_equal(flatbuf_i32(&fb, item, 9, 43), 43); /* a field of a later version */
    assert_int_equal(flatbuf_table_at(&fb, item, 2).pos, 0);
    assert_false(fb.failed);
}

static void tables_of_one_shape_share_their_vtable(void **state)
{
    SCOPED(buf_value) struct buf blob = BUF_EMPTY;
    struct flatbuf fb;
    struct flatbuf_vector items;

    (void)state;
    encode(&blob);
    fb = flatbuf_of(buf_bytes(&blob));
    items = flatbuf_vector_at(&fb, flatbuf_root(&fb), 0);
    assert_int_equal(flatbuf_vector_table(&fb, items, 0).vtable,
                     flatbuf_vector_table(&fb, items, 1).vtable);
}

static void read_all(struct flatbuf *fb)
{
    struct flatbuf_table root = flatbuf_root(fb);
    struct flatbuf_vector items = flatbuf_vector_at(fb, root, 0);

    (void)flatbuf_i8(fb, root, 1, 1);
    for (size_t i = 0; i < items.count && !fb->failed; i++) {
        struct flatbuf_table item = flatbuf_vector_table(fb, items, i);
        struct bytes text = flatbuf_bytes(fb, item, 1);

        (void)flatbuf_i64(fb, item, 0, 0);
        assert_true(text.len <= fb->blob.len);
        assert_true(text.len == 0 || text.data + text.len <= fb->blob.data + fb->blob.len);
    }
}

static void whatever_is_cut_off_is_noticed(void **state)
{
    SCOPED(buf_value) struct buf blob = BUF_EMPTY;

    (void)state;
    encode(&blob);
    for (size_t len = 0; len + 3 < blob.len; len++) { /* the last bytes are a NUL and padding */
        SCOPED(buf_value) struct buf part = BUF_EMPTY;
        struct flatbuf fb;

        assert_ok(buf_add(&part, blob.data, len));
        fb = flatbuf_of(buf_bytes(&part));
        read_all(&fb);
        assert_true(fb.failed);
    }
}

static void a_word_that_points_anywhere_leads_nowhere(void **state)
{
    static const uint32_t words[] = {0, 1, 0x7fffffff, 0x80000000, 0xffffffff, 0xfffffff0, 60};
    SCOPED(buf_value) struct buf blob = BUF_EMPTY;

    (void)state;
    encode(&blob);
    for (size_t off = 0; off + 4 <= blob.len; off++) {
        uint32_t was = get_u32le(blob.data + off);

        for (size_t i = 0; i < ARRAY_LEN(words); i++) {
            struct flatbuf fb = flatbuf_of(buf_bytes(&blob));

            put_u32le(blob.data + off, words[i]);
            read_all(&fb); /* a sanitizer watches */
        }
        put_u32le(blob.data + off, was);
    }
}

static void after_a_failure_everything_is_absent(void **state)
{
    SCOPED(buf_value) struct buf blob = BUF_EMPTY;
    struct flatbuf fb;
    struct flatbuf_table root;

    (void)state;
    encode(&blob);
    fb = flatbuf_of(buf_bytes(&blob));
    root = flatbuf_root(&fb);
    fb.failed = true;
    assert_int_equal(flatbuf_i8(&fb, root, 1, 1), 1);
    assert_int_equal(flatbuf_vector_at(&fb, root, 0).count, 0);
    assert_int_equal(flatbuf_root(&fb).pos, 0);
}

static void more_than_2_gib_is_refused(void **state)
{
    SCOPED(flatbuf_writer) struct flatbuf_writer writer;

    (void)state;
    flatbuf_writer_init(&writer, NULL);
    (void)flatbuf_add_space(&writer, FLATBUF_MAX_BYTES - 100);
    (void)flatbuf_add_space(&writer, 200);
    assert_int_equal(flatbuf_finish(&writer, 1), -EFBIG);
    assert_true(flatbuf_of(bytes_of("", FLATBUF_MAX_BYTES + 1)).failed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(tables_of_one_shape_share_their_vtable),
        cmocka_unit_test(whatever_is_cut_off_is_noticed),
        cmocka_unit_test(a_word_that_points_anywhere_leads_nowhere),
        cmocka_unit_test(after_a_failure_everything_is_absent),
        cmocka_unit_test(more_than_2_gib_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
