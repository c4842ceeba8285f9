/* SPDX-License-Identifier: Apache-2.0 */
/* test_config_vectors.c – the table of finch.yaml files: before, after, and what is refused. */
#include "test.h"

#include "base/files.h"
#include "config/config.h"

#include <dirent.h>
#include <errno.h>

#define DIR_NAME VECTORS_DIR "/finch-yaml"

enum { TEXTS_AT_LEAST = 110 };

struct operation {
    const char *name;
    int (*run)(struct bytes text, struct buf *ret, struct err *err);
};

static int enable(struct bytes text, struct buf *ret, struct err *err)
{
    return finch_config_enable(text, false, ret, err);
}

static int enable_first(struct bytes text, struct buf *ret, struct err *err)
{
    return finch_config_enable(text, true, ret, err);
}

static const struct operation operations[] = {
    {"enable", enable}, {"first", enable_first}, {"disable", finch_config_disable}};

/* The bytes of DIR/NAME.SUFFIX; false: there is no such file. */
static bool load(const char *name, const char *suffix, struct buf *ret)
{
    SCOPED(mem) char *path = text_format("%s/%s.%s", DIR_NAME, name, suffix);

    assert_non_null(path);
    ret->len = 0;
    return file_read(path, FINCH_CONFIG_MAX_BYTES, ret, NULL) == 0;
}

static void assert_same(const char *name, const char *operation, struct bytes got,
                        struct bytes wanted)
{
    if (bytes_equal(got, wanted))
        return;
    print_error("%s, %s:\n%.*s", name, operation, (int)got.len, (const char *)got.data);
    fail();
}

static void check_refusal(const char *name, const struct operation *operation, struct bytes wanted,
                          const struct err *err)
{
    SCOPED(mem) char *line = text_format("%s\n", err_text(err));

    assert_same(name, operation->name, bytes_of_str(line), wanted);
}

static void check_one(const char *name, const struct operation *operation)
{
    SCOPED(buf_value) struct buf before = BUF_EMPTY;
    SCOPED(buf_value) struct buf after = BUF_EMPTY;
    SCOPED(buf_value) struct buf wanted = BUF_EMPTY;
    SCOPED(mem) char *error = text_format("%s.error", operation->name);
    struct err err = ERR_NONE;
    int rc;

    assert_true(load(name, "yaml", &before));
    rc = operation->run(buf_bytes(&before), &after, &err);
    if (load(name, error, &wanted)) {
        assert_int_equal(rc, -EINVAL);
        check_refusal(name, operation, buf_bytes(&wanted), &err);
    } else if (load(name, operation->name, &wanted)) {
        if (rc != 1)
            fail_msg("%s, %s: %d, %s", name, operation->name, rc, err_text(&err));
        assert_same(name, operation->name, buf_bytes(&after), buf_bytes(&wanted));
        assert_int_equal(operation->run(buf_bytes(&wanted), &after, &err), 0);
    } else if (rc != 0) {
        fail_msg("%s, %s: %d, %s", name, operation->name, rc, err_text(&err));
    }
}

static void check_all(void (*check)(const char *name, const struct operation *operation))
{
    SCOPED(dir) DIR *dir = opendir(DIR_NAME);
    const struct dirent *entry;
    size_t count = 0;

    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL) {
        size_t len = strlen(entry->d_name);
        SCOPED(mem) char *name = NULL;

        if (!text_has_suffix(entry->d_name, ".yaml"))
            continue;
        name = strndup(entry->d_name, len - strlen(".yaml"));
        for (size_t i = 0; i < ARRAY_LEN(operations); i++)
            check(name, &operations[i]);
        count++;
    }
    assert_true(count >= TEXTS_AT_LEAST);
}

static void every_text_is_edited_as_the_table_says(void **state)
{
    (void)state;
    check_all(check_one);
}

static void add_crs(struct bytes text, struct buf *ret)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] == '\n')
            assert_ok(buf_add_byte(ret, '\r'));
        assert_ok(buf_add_byte(ret, text.data[i]));
    }
}

/* The same operation on the text of the table, and on it as Windows' editors write it. */
static void check_crlf(const char *name, const struct operation *operation)
{
    SCOPED(buf_value) struct buf lf = BUF_EMPTY, lf_after = BUF_EMPTY, wanted = BUF_EMPTY;
    SCOPED(buf_value) struct buf crlf = BUF_EMPTY, crlf_after = BUF_EMPTY;
    int rc;

    assert_true(load(name, "yaml", &lf));
    if (lf.len == 0 || memchr(lf.data, '\r', lf.len) != NULL ||
        memchr(lf.data, '\n', lf.len) == NULL)
        return;
    add_crs(buf_bytes(&lf), &crlf);
    rc = operation->run(buf_bytes(&lf), &lf_after, NULL);
    assert_int_equal(operation->run(buf_bytes(&crlf), &crlf_after, NULL), rc);
    add_crs(buf_bytes(&lf_after), &wanted);
    if (rc == 1)
        assert_same(name, operation->name, buf_bytes(&crlf_after), buf_bytes(&wanted));
}

static void every_text_with_crlf_is_edited_alike_and_keeps_it(void **state)
{
    (void)state;
    check_all(check_crlf);
}

/* Whatever enable writes, disable takes out again and leaves no `soci` behind. */
static void what_enable_wrote_disable_takes_out(void **state)
{
    static const char *const names[] = {"missing", "json", "block-overlayfs-comments",
                                        "flow-lines-one"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        SCOPED(buf_value) struct buf enabled = BUF_EMPTY;
        SCOPED(buf_value) struct buf disabled = BUF_EMPTY;
        SCOPED(finch_config) struct finch_config config = {.vm_type = NULL};
        struct err err = ERR_NONE;

        assert_true(load(names[i], "enable", &enabled));
        assert_int_equal(finch_config_disable(buf_bytes(&enabled), &disabled, &err), 1);
        assert_ok(finch_config_parse(buf_bytes(&disabled), &config, &err));
        assert_false(finch_config_has_soci(&config));
    }
}

/* ---- reading --------------------------------------------------------------------------------- */

static void parse(const char *text, struct finch_config *ret)
{
    struct err err = ERR_NONE;

    assert_ok(finch_config_parse(bytes_of_str(text), ret, &err));
}

static void defaults_are_finchs(void **state)
{
    SCOPED(finch_config) struct finch_config config = {.vm_type = NULL};

    (void)state;
    parse("", &config);
    assert_int_equal(config.snapshotters.count, 0);
    assert_int_equal(config.creds_helpers.count, 0);
    assert_null(config.vm_type);
    assert_true(config.auto_vm_start);
}

static void the_keys_that_matter_are_read(void **state)
{
    SCOPED(finch_config) struct finch_config config = {.vm_type = NULL};

    (void)state;
    parse("vmType: wsl2\nauto_vm_start: off\ncreds_helpers: [ecr-login]\nsnapshotters: [overlayfs, "
          "soci]\n",
          &config);
    assert_string_equal(config.vm_type, "wsl2");
    assert_false(config.auto_vm_start);
    assert_string_equal(config.creds_helpers.items[0], "ecr-login");
    assert_true(finch_config_has_soci(&config));
    assert_false(finch_config_is_soci_first(&config));
}

static void an_unknown_snapshotter_is_refused_as_finch_refuses_it(void **state)
{
    SCOPED(finch_config) struct finch_config config = {.vm_type = NULL};
    struct err err = ERR_NONE;

    (void)state;
    parse("snapshotters: [soci, stargz]\n", &config);
    assert_int_equal(finch_config_check(&config, &err), -EINVAL);
    assert_string_equal(err_text(&err), "snapshotter stargz is not supported");
}

static void a_machine_of_a_type_that_finch_does_not_make_is_refused(void **state)
{
    static const char *const texts[] = {"vmType: vz\n", "vmType: qemu\n", "vmType: wsl2\n",
                                        "cpus: 2\n"};
    struct err err = ERR_NONE;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        SCOPED(finch_config) struct finch_config config = {.vm_type = NULL};

        parse(texts[i], &config);
        assert_ok(finch_config_check(&config, &err));
    }
    {
        SCOPED(finch_config) struct finch_config config = {.vm_type = NULL};

        parse("vmType: vbox\n", &config);
        assert_int_equal(finch_config_check(&config, &err), -EINVAL);
        assert_string_equal(err_text(&err), "unsupported vm type \"vbox\"");
    }
}

static void a_text_beyond_the_limit_is_refused(void **state)
{
    SCOPED(buf_value) struct buf text = BUF_EMPTY;
    SCOPED(finch_config) struct finch_config config = {.vm_type = NULL};
    struct err err = ERR_NONE;

    (void)state;
    while (text.len <= FINCH_CONFIG_MAX_BYTES)
        assert_ok(buf_add_str(&text, "# a long comment that says nothing at all\n"));
    assert_int_equal(finch_config_parse(buf_bytes(&text), &config, &err), -EFBIG);
}

static void many_aliases_are_refused(void **state)
{
    SCOPED(buf_value) struct buf text = BUF_EMPTY;
    SCOPED(finch_config) struct finch_config config = {.vm_type = NULL};
    struct err err = ERR_NONE;

    (void)state;
    assert_ok(buf_add_str(&text, "a: &a x\nb: ["));
    for (int i = 0; i < 1001; i++)
        assert_ok(buf_add_str(&text, "*a ,"));
    assert_ok(buf_add_str(&text, "]\n"));
    assert_int_equal(finch_config_parse(buf_bytes(&text), &config, &err), -EFBIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_text_is_edited_as_the_table_says),
        cmocka_unit_test(every_text_with_crlf_is_edited_alike_and_keeps_it),
        cmocka_unit_test(what_enable_wrote_disable_takes_out),
        cmocka_unit_test(defaults_are_finchs),
        cmocka_unit_test(the_keys_that_matter_are_read),
        cmocka_unit_test(an_unknown_snapshotter_is_refused_as_finch_refuses_it),
        cmocka_unit_test(a_machine_of_a_type_that_finch_does_not_make_is_refused),
        cmocka_unit_test(a_text_beyond_the_limit_is_refused),
        cmocka_unit_test(many_aliases_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
