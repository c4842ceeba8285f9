/* SPDX-License-Identifier: Apache-2.0 */
/* Which files are fetched first: from flags, and from a JSON file that somebody wrote. */
#include "test.h"

#include "cli/prefetch.h"

#include <errno.h>
#include <stdlib.h>

static int parse(const char *json, struct text_list *ret, struct err *err)
{
    char path[] = "/tmp/prefetch-files.XXXXXX";
    struct cli_prefetch_files files = {.json_path = path};
    int fd = mkstemp(path), rc;

    assert_true(fd >= 0);
    assert_ok(file_write_all(fd, json, strlen(json), NULL));
    (void)close(fd);
    rc = cli_prefetch_files(&files, ret, err);
    (void)unlink(path);
    return rc;
}

static void refuse(const char *json)
{
    struct text_list list = TEXT_LIST_EMPTY;
    struct err err = ERR_NONE;

    if (parse(json, &list, &err) != -EBADMSG)
        fail_msg("%s: %s", json, err_text(&err));
    assert_true(strncmp(err_text(&err), "failed to parse prefetch files: ", 32) == 0);
    text_list_fini(&list);
}

static void flags_and_the_file_are_one_list_without_what_is_blank(void **state)
{
    struct text_list list = TEXT_LIST_EMPTY;
    struct cli_prefetch_files files = {.json_path = NULL};
    struct err err = ERR_NONE;

    (void)state;
    assert_ok(text_list_add(&files.named, " /a b\t"));
    assert_ok(text_list_add(&files.named, "  "));
    assert_ok(cli_prefetch_files(&files, &list, &err));
    assert_ok(parse("[\"\", \"\\n/c\", \"d\"]\n", &list, &err));
    assert_int_equal(list.count, 3);
    assert_string_equal(list.items[0], "/a b");
    assert_string_equal(list.items[1], "/c");
    assert_string_equal(list.items[2], "d");
    text_list_fini(&list);
    cli_prefetch_files_fini(&files);
}

static void a_file_that_is_not_there_is_refused(void **state)
{
    struct cli_prefetch_files files = {.json_path = "/nowhere/list.json"};
    struct text_list list = TEXT_LIST_EMPTY;
    struct err err = ERR_NONE;

    (void)state;
    assert_int_equal(cli_prefetch_files(&files, &list, &err), -ENOENT);
    assert_non_null(strstr(err_text(&err), "failed to read JSON file: /nowhere/list.json"));
}

static void what_is_no_array_of_strings_is_refused(void **state)
{
    (void)state;
    refuse("");
    refuse("[");
    refuse("[\"a\"] b");
    refuse("{\"a\": 1}");
    refuse("\"a\"");
    refuse("null");
    refuse("[\"a\", 3]");
    refuse("[[\"a\"]]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flags_and_the_file_are_one_list_without_what_is_blank),
        cmocka_unit_test(a_file_that_is_not_there_is_refused),
        cmocka_unit_test(what_is_no_array_of_strings_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
