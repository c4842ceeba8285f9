/* SPDX-License-Identifier: Apache-2.0 */
/* test_daemon_config.c – config.toml: keys that count, keys that do not, and what is refused. */
#include "test.h"

#include "daemon/config.h"

#include <errno.h>

static int parse(const char *text, struct config *config, struct err *err)
{
    return config_parse(bytes_of_str(text), config, err);
}

static void both_ways_to_find_an_index_are_on_by_default(void **state)
{
    SCOPED(config) struct config c = config_default();

    (void)state;
    assert_true(c.v1_enabled);
    assert_true(c.v2_enabled);
    assert_false(c.background_disabled);
    assert_int_equal(c.mount_timeout_s, 30);
    assert_int_equal(c.max_retries, 8);
}

static void keys_of_every_table_are_read(void **state)
{
    SCOPED(config) struct config c = config_default();
    struct err err = ERR_NONE;

    (void)state;
    assert_ok(parse("mount_timeout_sec = 7\n"
                    "[http]\nMaxRetries = 3\ndialtimeoutmsec = 1500\n"
                    "[background_fetch]\ndisable = true\n"
                    "[pull_modes.soci_v1]\nenable = false\n"
                    "[snapshotter]\nmin_layer_size = 1000\n",
                    &c, &err));
    assert_int_equal(c.mount_timeout_s, 7);
    assert_int_equal(c.max_retries, 3);
    assert_int_equal(c.dial_timeout_ms, 1500); /* in any case of letters */
    assert_true(c.background_disabled);
    assert_false(c.v1_enabled);
    assert_true(c.v2_enabled);
    assert_int_equal(c.min_layer_bytes, 1000);
}

static void zero_means_the_default(void **state)
{
    SCOPED(config) struct config c = config_default();
    struct err err = ERR_NONE;

    (void)state;
    assert_ok(parse("mount_timeout_sec = 0\n[http]\nMaxRetries = 0\n", &c, &err));
    assert_int_equal(c.mount_timeout_s, 30);
    assert_int_equal(c.max_retries, 8);
}

static void unknown_keys_and_tables_are_passed_over(void **state)
{
    SCOPED(config) struct config c = config_default();
    struct err err = ERR_NONE;

    (void)state;
    assert_ok(parse("nonsense = 1.5\n[content_store]\ntype = \"containerd\"\n[fuse]\n[[a.b]]\nc = "
                    "[1, [2, {d = 3}]]\n",
                    &c, &err));
    assert_int_equal(c.mount_timeout_s, 30);
}

static void an_insecure_mirror_names_a_plain_http_registry_once(void **state)
{
    SCOPED(config) struct config c = config_default();
    struct err err = ERR_NONE;

    (void)state;
    assert_ok(parse(
        "[[resolver.host.\"reg.example:5000\".mirrors]]\nhost = \"http://a\"\ninsecure = true\n"
        "[[resolver.host.\"reg.example:5000\".mirrors]]\ninsecure = true\n"
        "[[resolver.host.\"safe.example\".mirrors]]\ninsecure = false\n",
        &c, &err));
    assert_int_equal(c.plain_http_hosts.count, 1);
    assert_string_equal(c.plain_http_hosts.items[0], "reg.example:5000");
}

static void a_mirror_of_what_is_no_host_name_is_refused(void **state)
{
    SCOPED(config) struct config c = config_default();
    struct err err = ERR_NONE;

    (void)state;
    assert_int_equal(parse("[[resolver.host.\"\".mirrors]]\ninsecure = true\n", &c, &err), -EINVAL);
    assert_int_equal(parse("[[resolver.host.\"a b\".mirrors]]\ninsecure = true\n", &c, &err),
                     -EINVAL);
    assert_int_equal(parse("[[resolver.host.\"\\u0902\".mirrors]]\ninsecure = true\n", &c, &err),
                     -EINVAL);
    assert_int_equal(c.plain_http_hosts.count, 0);
}

static void a_value_of_the_wrong_type_is_refused_with_key_and_line(void **state)
{
    SCOPED(config) struct config c = config_default();
    struct err err = ERR_NONE;

    (void)state;
    assert_int_equal(parse("\n[background_fetch]\ndisable = 1\n", &c, &err), -EINVAL);
    assert_string_equal(err.text, "line 3: background_fetch.disable must be true or false");
    assert_int_equal(parse("mount_timeout_sec = \"30\"\n", &c, &err), -EINVAL);
    assert_string_equal(err.text, "line 1: mount_timeout_sec must be a whole number");
    assert_int_equal(parse("[http]\nMaxRetries = 1.5\n", &c, &err), -EINVAL);
    assert_int_equal(parse("[mount_timeout_sec]\n", &c, &err), -EINVAL);
}

static void a_number_out_of_range_is_refused_with_its_range(void **state)
{
    SCOPED(config) struct config c = config_default();
    struct err err = ERR_NONE;

    (void)state;
    assert_int_equal(parse("mount_timeout_sec = -1\n", &c, &err), -EINVAL);
    assert_string_equal(err.text, "line 1: mount_timeout_sec must be between 0 and 86400");
    assert_int_equal(parse("[http]\nMinWaitMsec = 9223372036854775807\n", &c, &err), -EINVAL);
}

static void what_is_no_toml_is_refused_with_its_place(void **state)
{
    SCOPED(config) struct config c = config_default();
    struct err err = ERR_NONE;

    (void)state;
    assert_int_equal(parse("a = 1\na = 2\n", &c, &err), -EINVAL);
    assert_non_null(strstr(err.text, "toml: line 2"));
    assert_int_equal(parse("a = \n", &c, &err), -EINVAL);
    assert_int_equal(parse("a = \"\xff\"\n", &c, &err), -EINVAL);
}

static void a_string_with_a_nul_inside_is_refused(void **state)
{
    SCOPED(config) struct config c = config_default();
    struct err err = ERR_NONE;

    (void)state;
    assert_int_equal(parse("a = \"x\\u0000y\"\n", &c, &err), -EINVAL);
    assert_int_equal(
        parse("[resolver.host.\"a\\u0000b\"]\nmirrors = [{insecure = true}]\n", &c, &err), -EINVAL);
    assert_int_equal(c.plain_http_hosts.count, 0);
}

static void characters_beyond_ascii_are_for_strings_and_comments(void **state)
{
    SCOPED(config) struct config c = config_default();
    struct err err = ERR_NONE;

    (void)state;
    assert_ok(
        parse("\xEF\xBB\xBF# \u041f\u3000\na = \"\u00e9 \u041f\"\nmount_timeout_sec = 5 # \u00e9\n",
              &c, &err));
    assert_int_equal(c.mount_timeout_s, 5);
    assert_int_equal(parse("\u041f = 1\n", &c, &err), -EINVAL);
    assert_int_equal(parse("a\u00a1= 1\n", &c, &err), -EINVAL);
    assert_int_equal(parse("a = 1 \u3001\n", &c, &err), -EINVAL);
}

static void deep_nesting_ends_in_an_error_and_not_on_the_stack(void **state)
{
    SCOPED(config) struct config c = config_default();
    SCOPED(buf_value) struct buf text = BUF_EMPTY;
    struct err err = ERR_NONE;

    (void)state;
    assert_ok(buf_add_str(&text, "a = "));
    for (int i = 0; i < 100000; i++)
        assert_ok(buf_add_byte(&text, '['));
    assert_int_equal(config_parse(buf_bytes(&text), &c, &err), -EINVAL);
}

static void a_missing_file_is_an_error_only_when_it_was_named(void **state)
{
    SCOPED(config) struct config c = config_default();
    struct err err = ERR_NONE;

    (void)state;
    assert_ok(config_load("/nonexistent/config.toml", true, &c, &err));
    assert_int_equal(config_load("/nonexistent/config.toml", false, &c, &err), -ENOENT);
    assert_non_null(strstr(err.text, "failed to open config file \"/nonexistent/config.toml\""));
}

static void what_is_printed_reads_back_as_it_was(void **state)
{
    SCOPED(config) struct config c = config_default();
    SCOPED(config) struct config again = config_default();
    SCOPED(buf_value) struct buf first = BUF_EMPTY;
    SCOPED(buf_value) struct buf second = BUF_EMPTY;
    struct err err = ERR_NONE;

    (void)state;
    assert_ok(parse(
        "mount_timeout_sec = 9\n[http]\nMaxRetries = -1\n[pull_modes.soci_v2]\nenable = false\n"
        "[[resolver.host.\"a\\\"b\".mirrors]]\ninsecure = true\n",
        &c, &err));
    assert_ok(config_print(&c, &first));
    assert_ok(config_parse(buf_bytes(&first), &again, &err));
    assert_ok(config_print(&again, &second));
    assert_string_equal(buf_str(&first), buf_str(&second));
    assert_int_equal(again.mount_timeout_s, 9);
    assert_int_equal(again.max_retries, -1);
    assert_false(again.v2_enabled);
    assert_string_equal(again.plain_http_hosts.items[0], "a\"b");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ways_to_find_an_index_are_on_by_default),
        cmocka_unit_test(keys_of_every_table_are_read),
        cmocka_unit_test(zero_means_the_default),
        cmocka_unit_test(unknown_keys_and_tables_are_passed_over),
        cmocka_unit_test(an_insecure_mirror_names_a_plain_http_registry_once),
        cmocka_unit_test(a_mirror_of_what_is_no_host_name_is_refused),
        cmocka_unit_test(a_value_of_the_wrong_type_is_refused_with_key_and_line),
        cmocka_unit_test(a_number_out_of_range_is_refused_with_its_range),
        cmocka_unit_test(what_is_no_toml_is_refused_with_its_place),
        cmocka_unit_test(a_string_with_a_nul_inside_is_refused),
        cmocka_unit_test(characters_beyond_ascii_are_for_strings_and_comments),
        cmocka_unit_test(deep_nesting_ends_in_an_error_and_not_on_the_stack),
        cmocka_unit_test(a_missing_file_is_an_error_only_when_it_was_named),
        cmocka_unit_test(what_is_printed_reads_back_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
