/* SPDX-License-Identifier: Apache-2.0 */
/* test_base_text.c – numbers, hex, JSON escapes, lists and maps of strings; errors as values. */
#include "test.h"

#include "base/err.h"
#include "base/text.h"

#include <errno.h>

static void only_whole_decimal_numbers_parse(void **state)
{
    static const char *const bad[] = {"",   " 1", "1 ",   "+1",
                                      "-1", "1x", "0x10", "18446744073709551616"};
    uint64_t value = 7;
    size_t i;

    (void)state;
    assert_ok(text_parse_u64("18446744073709551615", &value));
    assert_true(value == UINT64_MAX);
    value = 7;
    for (i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(text_parse_u64(bad[i], &value), -EINVAL);
    assert_int_equal(value, 7);
}

static void signed_numbers_reach_both_ends(void **state)
{
    int64_t value = 0;

    (void)state;
    assert_ok(text_parse_i64("-9223372036854775808", &value));
    assert_true(value == INT64_MIN);
    assert_ok(text_parse_i64("9223372036854775807", &value));
    assert_true(value == INT64_MAX);
    assert_int_equal(text_parse_i64("9223372036854775808", &value), -EINVAL);
    assert_int_equal(text_parse_i64("--1", &value), -EINVAL);
    assert_int_equal(text_parse_i64("-", &value), -EINVAL);
}

static void hex_is_lower_case_and_complete(void **state)
{
    uint8_t out[2] = {0, 0};
    char text[5];

    (void)state;
    assert_ok(text_unhex("0aff", out, 2));
    text_hex(bytes_of(out, 2), text);
    assert_string_equal(text, "0aff");
    assert_int_equal(text_unhex("0AFF", out, 2), -EINVAL);
    assert_int_equal(text_unhex("0a", out, 2), -EINVAL);
}

static void assert_json(const char *in, size_t len, bool html, const char *want)
{
    SCOPED(buf_value) struct buf out = BUF_EMPTY;

    assert_ok(text_add_json(&out, bytes_of(in, len), html));
    assert_string_equal(buf_str(&out), want);
}

static void json_strings_are_as_gos_encoder_writes_them(void **state)
{
    (void)state;
    assert_json("a\"b\\c\n\t\r\b\f", 10, true, "\"a\\\"b\\\\c\\n\\t\\r\\b\\f\"");
    assert_json("<&>", 3, true, "\"\\u003c\\u0026\\u003e\"");
    assert_json("<&>", 3, false, "\"<&>\"");
    assert_json("\xe2\x80\xa8\xe2\x80\xa9", 6, false, "\"\\u2028\\u2029\"");
    assert_json("\x00\x1f\x7f", 3, false, "\"\\u0000\\u001f\x7f\"");
    assert_json("\xc3\xa9", 2, true, "\"\xc3\xa9\"");
}

static void bytes_that_are_no_utf8_become_replacement_characters(void **state)
{
    (void)state;
    assert_json("\xff", 1, false, "\"\\ufffd\"");
    assert_json("\xc3", 1, false, "\"\\ufffd\"");
    assert_json("\xed\xa0\x80", 3, false, "\"\\ufffd\\ufffd\\ufffd\""); /* a surrogate */
    assert_json("\xc0\x80", 2, false, "\"\\ufffd\\ufffd\"");            /* overlong */
    assert_json("\xf4\x90\x80\x80", 4, false, "\"\\ufffd\\ufffd\\ufffd\\ufffd\"");
    assert_true(text_is_utf8(bytes_of_str("\xf0\x9f\x98\x80")));
    assert_false(text_is_utf8(bytes_of_str("\xf0\x9f\x98")));
}

static void splitting_keeps_empty_parts(void **state)
{
    SCOPED(text_list) struct text_list list = TEXT_LIST_EMPTY;

    (void)state;
    assert_ok(text_list_split(&list, "a,,b,", ','));
    assert_int_equal(list.count, 4);
    assert_string_equal(list.items[1], "");
    assert_string_equal(list.items[3], "");
    assert_true(text_list_has(&list, "b"));
    assert_false(text_list_has(&list, "c"));
}

static void a_map_replaces_removes_and_sorts(void **state)
{
    SCOPED(text_map) struct text_map map = TEXT_MAP_EMPTY;

    (void)state;
    assert_ok(text_map_set(&map, "b", "1"));
    assert_ok(text_map_set(&map, "c", "2"));
    assert_ok(text_map_set(&map, "a", "3"));
    assert_ok(text_map_set(&map, "b", "4"));
    assert_int_equal(map.count, 3);
    assert_string_equal(text_map_get(&map, "b"), "4");
    text_map_remove(&map, "c");
    text_map_remove(&map, "not there");
    assert_null(text_map_get(&map, "c"));
    text_map_sort(&map);
    assert_string_equal(map.items[0].key, "a");
    assert_string_equal(map.items[1].key, "b");
}

static void an_error_gathers_what_each_level_was_doing(void **state)
{
    struct err err = ERR_NONE;

    (void)state;
    assert_int_equal(err_set(&err, -EBADMSG, "checkpoint %d goes backwards", 7), -EBADMSG);
    assert_int_equal(err_prefix(&err, -EBADMSG, "ztoc %s", "x"), -EBADMSG);
    assert_string_equal(err_text(&err), "ztoc x: checkpoint 7 goes backwards");
    assert_int_equal(err_sys(&err, -ENOENT, "open"), -ENOENT);
    assert_string_equal(err_text(&err), "open: No such file or directory");
    assert_int_equal(err_prefix(NULL, -EIO, "nobody listens"), -EIO);
}

static void an_errors_text_is_cut_where_it_does_not_fit(void **state)
{
    struct err err = ERR_NONE;
    int i;

    (void)state;
    (void)err_set(&err, -EIO, "end");
    for (i = 0; i < 200; i++)
        (void)err_prefix(&err, -EIO, "level %d", i);
    assert_int_equal(strlen(err_text(&err)), ERR_TEXT_BYTES - 1);
    assert_memory_equal(err_text(&err), "level 199: level 198", 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_whole_decimal_numbers_parse),
        cmocka_unit_test(signed_numbers_reach_both_ends),
        cmocka_unit_test(hex_is_lower_case_and_complete),
        cmocka_unit_test(json_strings_are_as_gos_encoder_writes_them),
        cmocka_unit_test(bytes_that_are_no_utf8_become_replacement_characters),
        cmocka_unit_test(splitting_keeps_empty_parts),
        cmocka_unit_test(a_map_replaces_removes_and_sorts),
        cmocka_unit_test(an_error_gathers_what_each_level_was_doing),
        cmocka_unit_test(an_errors_text_is_cut_where_it_does_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
