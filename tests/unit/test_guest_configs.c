/* SPDX-License-Identifier: Apache-2.0 */
/* test_guest_configs.c – what containerd is told and where, and single keys of other people's TOML.
 */
#include "guest_rig.h"

#include <errno.h>

/* What is wanted of the recorded machine, as text; *ret_path NULL: nothing. The caller frees. */
static char *wanted(const char *name, const char **ret_path)
{
    SCOPED(guest_facts) struct guest_facts *facts = rig_facts(name);
    SCOPED(buf_value) struct buf text = BUF_EMPTY;

    assert_ok(containerd_config_want(facts, ret_path, &text, NULL));
    return *ret_path == NULL ? NULL : text_copy(buf_str(&text));
}

static void expect(const char *name, const char *path, const char *has, const char *has_not)
{
    const char *found = NULL;
    SCOPED(mem) char *text = wanted(name, &found);

    assert_non_null(found);
    assert_string_equal(found, path);
    assert_non_null(strstr(text, has));
    assert_null(strstr(text, has_not));
}

static void where_conf_d_is_imported_it_gets_a_file_of_the_same_version(void **state)
{
    (void)state;
    expect("lima-containerd-2.4", GUEST_CONTAINERD_PART, "version = 2\n", "finch-soci begin");
    expect("lima-containerd-2.2", GUEST_CONTAINERD_PART, "version = 2\n", "finch-soci begin");
    expect("containerd-1.6-imports", GUEST_CONTAINERD_PART, "version = 2\n", "finch-soci begin");
}

static void where_the_main_file_says_no_version_ours_says_none(void **state)
{
    struct buf *text = vector_load("guest/containerd-1.6-imports.facts");
    SCOPED(guest_facts) struct guest_facts *facts = NULL;
    SCOPED(buf_value) struct buf part = BUF_EMPTY;
    const char *path = NULL;

    (void)state;
    rig_replace(text, "|version = 2\n", "|oom_score=0\n");
    facts = rig_parse(text);
    buf_free(text);
    assert_ok(containerd_config_want(facts, &path, &part, NULL));
    assert_string_equal(path, GUEST_CONTAINERD_PART);
    assert_non_null(strstr(buf_str(&part), "[proxy_plugins.soci]"));
    assert_null(strstr(buf_str(&part), "version"));
}

static void where_it_is_not_the_main_file_gets_a_block(void **state)
{
    (void)state;
    expect("containerd-1.6", GUEST_CONTAINERD_CONFIG, "# finch-soci begin\n", "unpack_config");
    expect("no-config-2.2", GUEST_CONTAINERD_CONFIG, "# finch-soci begin\nversion = 3\n", "1.6");
    /* Its conf.d is there, and not imported. */
    expect("foreign-part-v3", GUEST_CONTAINERD_CONFIG, "snapshotter = \"overlayfs\"", "1.6");
}

static void containerd_1_is_not_told_what_it_does_not_know(void **state)
{
    (void)state;
    expect("containerd-1.6-imports", GUEST_CONTAINERD_PART, "[proxy_plugins.soci]\n",
           "unpack_config");
    expect("containerd-1.6-imports", GUEST_CONTAINERD_PART, "[proxy_plugins.soci]\n",
           "capabilities");
}

static void overlayfs_is_listed_unless_somebody_else_lists_it(void **state)
{
    struct buf *text = vector_load("guest/lima-containerd-2.4.facts");
    SCOPED(guest_facts) struct guest_facts *facts = NULL;
    SCOPED(buf_value) struct buf part = BUF_EMPTY;
    const char *path = NULL;

    (void)state;
    expect("lima-containerd-2.4", GUEST_CONTAINERD_PART, "snapshotter = \"overlayfs\"", "begin");
    rig_replace(text, "\nend ", "\nforeign-unpack /etc/containerd/conf.d/a.toml\nend ");
    facts = rig_parse(text);
    buf_free(text);
    assert_ok(containerd_config_want(facts, &path, &part, NULL));
    assert_non_null(strstr(buf_str(&part), "snapshotter = \"soci\""));
    assert_null(strstr(buf_str(&part), "snapshotter = \"overlayfs\""));
}

static void what_the_user_has_told_containerd_is_enough(void **state)
{
    struct buf *text = vector_load("guest/applied.facts");
    SCOPED(guest_facts) struct guest_facts *facts = NULL;
    SCOPED(buf_value) struct buf out = BUF_EMPTY;
    const char *path = "";

    (void)state;
    rig_replace(text, GUEST_CONTAINERD_PART, "/etc/containerd/conf.d/mine.toml");
    facts = rig_parse(text);
    buf_free(text);
    assert_ok(containerd_config_want(facts, &path, &out, NULL));
    assert_null(path);
}

static void versions_are_found_in_whatever_containerd_prints(void **state)
{
    (void)state;
    assert_int_equal(
        containerd_major("containerd github.com/containerd/containerd/v2 2.4.2+unknown"), 2);
    assert_int_equal(containerd_major("containerd github.com/containerd/containerd v1.7.24 88bf"),
                     1);
    assert_int_equal(containerd_major("containerd x 1.6.20~ds1 1.6.20~ds1-1+deb12u3"), 1);
    assert_int_equal(containerd_major(""), 0);
    assert_int_equal(containerd_major("containerd v"), 0);
    assert_int_equal(containerd_major("99999999999999999999.1"), 0);
}

static void effective_configuration_is_read_in_either_way_of_quoting(void **state)
{
    const char *single =
        "[proxy_plugins]\n  [proxy_plugins.soci]\n    address = '" GUEST_SOCKET "'\n"
        "    [proxy_plugins.soci.exports]\n"
        "      enable_remote_snapshot_annotations = 'true'\n"
        "[[plugins.'io.containerd.transfer.v1.local'.unpack_config]]\n"
        "  snapshotter = 'soci'\n";

    (void)state;
    assert_true(containerd_is_told(bytes_of_str(single), 2));
    assert_false(containerd_is_told(bytes_of_str("[proxy_plugins.soci]\naddress='/x'\n"), 1));
    assert_true(containerd_is_told(
        bytes_of_str("[proxy_plugins.\"soci\"]\n address = \"" GUEST_SOCKET "\"\n"), 1));
    assert_false(containerd_is_told(
        bytes_of_str("[proxy_plugins.\"soci\"]\n address = \"" GUEST_SOCKET "\"\n"), 2));
    assert_false(containerd_is_told(bytes_of(NULL, 0), 2));
}

/* Facts of a machine whose main file is `text`. */
static struct guest_facts *facts_of_main(const char *text)
{
    SCOPED(buf_value) struct buf out = BUF_EMPTY;
    const char *rest = text;

    assert_ok(buf_addf(&out,
                       "finch-soci-facts 1\ncontainerd containerd x 1.7.24\n"
                       "file file 644 0 0 %zu %064d /etc/containerd/config.toml\n",
                       strlen(text), 0));
    while (*rest != '\0') {
        size_t len = strcspn(rest, "\n");

        assert_ok(buf_addf(&out, "|%.*s\n", (int)len, rest));
        rest += len + (rest[len] == '\n' ? 1 : 0);
    }
    assert_ok(buf_add_str(&out, "\nend \n"));
    return rig_parse(&out);
}

static void a_block_can_be_taken_out_to_the_byte(void **state)
{
    static const char *const texts[] = {
        "version = 2\n",
        "version = 2",
        "[a]\nb = 1\n\n\n",
        ("version = 2\n[proxy_plugins.\"soci\"]\n  type = \"snapshot\"\n\n  "
         "[proxy_plugins.soci.exports]\n    x = \"y\"\n[z]\n# end"),
        "\n",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        SCOPED(guest_facts) struct guest_facts *facts = facts_of_main(texts[i]);
        SCOPED(guest_facts) struct guest_facts *again = NULL;
        SCOPED(buf_value) struct buf with = BUF_EMPTY;
        SCOPED(buf_value) struct buf second = BUF_EMPTY;
        SCOPED(buf_value) struct buf without = BUF_EMPTY;
        const char *path = NULL;

        assert_ok(containerd_config_want(facts, &path, &with, NULL));
        assert_string_equal(path, GUEST_CONTAINERD_CONFIG);
        assert_true(containerd_has_block(buf_bytes(&with)));
        assert_ok(containerd_without_block(buf_bytes(&with), &without));
        assert_string_equal(buf_str(&without), texts[i]);
        again = facts_of_main(buf_str(&with));
        assert_ok(containerd_config_want(again, &path, &second, NULL));
        assert_string_equal(buf_str(&with), buf_str(&second));
    }
}

static void another_entry_of_the_name_is_commented_out(void **state)
{
    SCOPED(guest_facts)
    struct guest_facts *facts = facts_of_main(
        "version = 2\n[proxy_plugins.soci]\n  type = \"snapshot\"\n[debug]\n  level = \"info\"\n");
    SCOPED(buf_value) struct buf text = BUF_EMPTY;
    const char *path = NULL;

    (void)state;
    assert_ok(containerd_config_want(facts, &path, &text, NULL));
    assert_non_null(strstr(buf_str(&text), "#finch-soci-was: [proxy_plugins.soci]\n"
                                           "#finch-soci-was:   type = \"snapshot\"\n[debug]\n"));
}

static void a_key_is_set_where_it_stands(void **state)
{
    SCOPED(buf_value) struct buf text = BUF_EMPTY;

    (void)state;
    assert_ok(toml_set(bytes_of_str("# x\n[a.b]\n  Enable = false # why\n[c]\nenable = false\n"),
                       "a.b", "enable", "true", &text, NULL));
    assert_string_equal(buf_str(&text), "# x\n[a.b]\nenable = true\n[c]\nenable = false\n");
}

static void a_key_that_is_not_there_is_added_to_its_table(void **state)
{
    SCOPED(buf_value) struct buf in_table = BUF_EMPTY;
    SCOPED(buf_value) struct buf new_table = BUF_EMPTY;
    SCOPED(buf_value) struct buf at_top = BUF_EMPTY;

    (void)state;
    assert_ok(toml_set(bytes_of_str("[a.b]\n[c]"), "a.b", "k", "1", &in_table, NULL));
    assert_string_equal(buf_str(&in_table), "[a.b]\nk = 1\n[c]");
    assert_ok(toml_set(bytes_of_str("[c]"), "a.b", "k", "1", &new_table, NULL));
    assert_string_equal(buf_str(&new_table), "[c]\n[a.b]\nk = 1\n");
    assert_ok(toml_set(bytes_of_str("[c]\nk = 2\n"), "", "k", "1", &at_top, NULL));
    assert_string_equal(buf_str(&at_top), "k = 1\n[c]\nk = 2\n");
}

static void tables_in_one_line_are_left_to_their_writer(void **state)
{
    SCOPED(buf_value) struct buf text = BUF_EMPTY;
    struct err err = ERR_NONE;

    (void)state;
    assert_int_equal(
        toml_set(bytes_of_str("a = { b = { k = 2 } }\n"), "a.b", "k", "1", &text, &err), -EINVAL);
    assert_int_equal(toml_set(bytes_of_str("a.b.k = 2\n"), "a.b", "k", "1", &text, &err), -EINVAL);
    assert_int_equal(text.len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(where_conf_d_is_imported_it_gets_a_file_of_the_same_version),
        cmocka_unit_test(where_the_main_file_says_no_version_ours_says_none),
        cmocka_unit_test(where_it_is_not_the_main_file_gets_a_block),
        cmocka_unit_test(containerd_1_is_not_told_what_it_does_not_know),
        cmocka_unit_test(overlayfs_is_listed_unless_somebody_else_lists_it),
        cmocka_unit_test(what_the_user_has_told_containerd_is_enough),
        cmocka_unit_test(versions_are_found_in_whatever_containerd_prints),
        cmocka_unit_test(effective_configuration_is_read_in_either_way_of_quoting),
        cmocka_unit_test(a_block_can_be_taken_out_to_the_byte),
        cmocka_unit_test(another_entry_of_the_name_is_commented_out),
        cmocka_unit_test(a_key_is_set_where_it_stands),
        cmocka_unit_test(a_key_that_is_not_there_is_added_to_its_table),
        cmocka_unit_test(tables_in_one_line_are_left_to_their_writer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
