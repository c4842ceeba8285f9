/* SPDX-License-Identifier: Apache-2.0 */
/* test_base_bytes.c – buffers, arrays that grow, and the bounded reader. */
#include "test.h"

#include "base/system.h"

static void a_reader_gives_fields_in_order(void **state)
{
    static const uint8_t data[] = {1, 2, 0, 3, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5};
    struct reader r = reader_of(bytes_of(data, sizeof(data)));

    (void)state;
    assert_int_equal(reader_u8(&r), 1);
    assert_int_equal(reader_u16le(&r), 2);
    assert_int_equal(reader_u32le(&r), 3);
    assert_int_equal(reader_u64le(&r), 4);
    assert_int_equal(reader_u32be(&r), 5);
    assert_false(reader_failed(&r));
    assert_int_equal(reader_left(&r), 0);
}

static void a_reader_remembers_that_it_ran_out(void **state)
{
    static const uint8_t data[] = {1, 2, 3};
    struct reader r = reader_of(bytes_of(data, sizeof(data)));

    (void)state;
    assert_int_equal(reader_u32le(&r), 0);
    assert_true(reader_failed(&r));
    assert_int_equal(reader_u8(&r), 0);
    assert_int_equal(reader_left(&r), 0);
}

static void a_buffer_refuses_a_size_that_overflows(void **state)
{
    SCOPED(buf_value) struct buf buf = BUF_EMPTY;

    (void)state;
    assert_ok(buf_add_str(&buf, "abc"));
    assert_int_equal(buf_reserve(&buf, SIZE_MAX), -ENOMEM);
    assert_int_equal(buf_reserve(&buf, SIZE_MAX / 2), -ENOMEM);
    assert_ok(buf_addf(&buf, "%d", 42));
    assert_string_equal(buf_str(&buf), "abc42");
}

static void an_array_grows_without_a_note_of_its_capacity(void **state)
{
    SCOPED(mem) uint32_t *items = NULL;

    (void)state;
    for (uint32_t i = 0; i < 1000; i++) {
        uint32_t *more = system_grow(items, i, sizeof(*more));

        assert_non_null(more);
        items = more;
        items[i] = i;
    }
    for (uint32_t i = 0; i < 1000; i++)
        assert_int_equal(items[i], i);
}

static void an_array_larger_than_memory_can_be_does_not_grow(void **state)
{
    SCOPED(mem) uint32_t *items = system_grow(NULL, 0, sizeof(*items));

    (void)state;
    assert_non_null(items);
    assert_null(system_grow(items, SIZE_MAX / 4 + 1, 4)); /* 2^62, which is full */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reader_gives_fields_in_order),
        cmocka_unit_test(a_reader_remembers_that_it_ran_out),
        cmocka_unit_test(an_array_grows_without_a_note_of_its_capacity),
        cmocka_unit_test(an_array_larger_than_memory_can_be_does_not_grow),
        cmocka_unit_test(a_buffer_refuses_a_size_that_overflows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
