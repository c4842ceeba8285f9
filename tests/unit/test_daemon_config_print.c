/* SPDX-License-Identifier: Apache-2.0 */
/* test_daemon_config_print.c – the whole table: printed, read back, each key by itself. */
#include "test.h"

#include "daemon/config_internal.h"

#include <errno.h>
#include <inttypes.h>

/* A value other than the default, that is right by itself; as TOML. */
static void other_value(const struct config_key *key, char out[64])
{
    const char *text = "a \\\"b\\\\c' d#";

    if (strstr(key->path, "concurrent_download_chunk_size") != NULL)
        text = "8mb";
    if (strcmp(key->path, "metrics_address") == 0)
        text = "[::1]:9100";
    if (key->choice != NULL)
        text = key->choice->values[1];
    if (key->type == CONFIG_BOOL)
        (void)snprintf(out, 64, "%s", key->initial != 0 ? "false" : "true");
    else if (key->type == CONFIG_INTEGER)
        (void)snprintf(out, 64, "%" PRId64, key->initial + 10); /* -1 and 0 mean something else */
    else
        (void)snprintf(out, 64, "\"%s\"", text);
}

static void parse_one(const struct config_key *key, const char *value, struct config *ret)
{
    struct err err = ERR_NONE;
    char text[256];

    (void)snprintf(text, sizeof(text), "\n%s = %s\n", key->path, value);
    if (config_parse(bytes_of_str(text), ret, &err) < 0)
        fail_msg("%s%s", text, err_text(&err));
}

static void the_defaults_read_back_to_the_same(void **state)
{
    SCOPED(config) struct config c = config_default();
    SCOPED(config) struct config again = config_default();
    SCOPED(buf_value) struct buf first = BUF_EMPTY;
    SCOPED(buf_value) struct buf second = BUF_EMPTY;
    SCOPED(buf_value) struct buf unused = BUF_EMPTY;
    struct err err = ERR_NONE;

    (void)state;
    assert_ok(config_print(&c, &first));
    assert_ok(config_parse(buf_bytes(&first), &again, &err));
    assert_ok(config_print(&again, &second));
    assert_string_equal(buf_str(&first), buf_str(&second));
    for (size_t i = 0; i < config_key_count; i++) {
        assert_true(config_is_initial(&again, &config_keys[i]));
        assert_int_not_equal(again.lines[i], 0); /* every key is there */
    }
    assert_ok(config_list_unused(&again, &unused));
    assert_int_equal(unused.len, 0);
    assert_int_equal(again.unknown.count, 0);
}

static void every_key_is_read_by_itself_and_reads_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < config_key_count; i++) {
        SCOPED(config) struct config c = config_default();
        SCOPED(config) struct config again = config_default();
        SCOPED(buf_value) struct buf text = BUF_EMPTY;
        struct err err = ERR_NONE;
        char value[64];

        other_value(&config_keys[i], value);
        parse_one(&config_keys[i], value, &c);
        for (size_t k = 0; k < config_key_count; k++) {
            assert_int_equal(config_is_initial(&c, &config_keys[k]), k != i);
            assert_int_equal(c.lines[k], k == i ? 2 : 0);
        }
        assert_ok(config_print(&c, &text));
        assert_ok(config_parse(buf_bytes(&text), &again, &err));
        for (size_t k = 0; k < config_key_count; k++)
            assert_int_equal(config_is_initial(&again, &config_keys[k]), k != i);
    }
}

static void every_key_that_does_nothing_is_named_when_it_is_set(void **state)
{
    (void)state;
    for (size_t i = 0; i < config_key_count; i++) {
        SCOPED(config) struct config c = config_default();
        SCOPED(buf_value) struct buf unused = BUF_EMPTY;
        char value[64], named[160];

        other_value(&config_keys[i], value);
        if (config_keys[i].use != CONFIG_UNUSED)
            continue;
        parse_one(&config_keys[i], value, &c);
        assert_ok(config_list_unused(&c, &unused));
        (void)snprintf(named, sizeof(named), "%s (line 2)", config_keys[i].path);
        assert_string_equal(buf_str(&unused), named);
    }
}

static void every_key_refuses_what_is_not_its_type(void **state)
{
    (void)state;
    for (size_t i = 0; i < config_key_count; i++) {
        SCOPED(config) struct config c = config_default();
        struct err err = ERR_NONE;
        char text[256];

        (void)snprintf(text, sizeof(text), "%s = 1979-05-27\n", config_keys[i].path);
        assert_int_equal(config_parse(bytes_of_str(text), &c, &err), -EINVAL);
        assert_non_null(strstr(err.text, config_keys[i].path));
        assert_non_null(strstr(err.text, "toml: line 1: "));
    }
}

static void nothing_is_printed_without_its_table(void **state)
{
    SCOPED(config) struct config c = config_default();
    SCOPED(buf_value) struct buf text = BUF_EMPTY;

    (void)state;
    assert_ok(config_print(&c, &text));
    assert_non_null(strstr(buf_str(&text), "\n[pull_modes.soci_v1]\nenable = true\n"));
    assert_non_null(strstr(buf_str(&text), "\n[cri_keychain]\nenable_keychain = false\n"
                                           "image_service_path = "
                                           "\"/run/containerd/containerd.sock\"\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_defaults_read_back_to_the_same),
        cmocka_unit_test(every_key_is_read_by_itself_and_reads_back),
        cmocka_unit_test(every_key_that_does_nothing_is_named_when_it_is_set),
        cmocka_unit_test(every_key_refuses_what_is_not_its_type),
        cmocka_unit_test(nothing_is_printed_without_its_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
