/* SPDX-License-Identifier: Apache-2.0 */
/* containerd's filter grammar: what matches, and what is refused. */
#include "test.h"

#include "snapshot/filter.h"

#include <errno.h>

static int parse(const char *text, struct filter **ret)
{
    SCOPED(text_list) struct text_list filters = TEXT_LIST_EMPTY;
    struct err err = ERR_NONE;
    int rc;

    assert_ok(text_list_add(&filters, text));
    rc = filter_parse(&filters, ret, &err);
    assert_int_equal(rc, err.code);
    return rc;
}

static void make_row(struct snapdb_row *row)
{
    row->id = 7;
    row->name = text_copy("k8s.io/3/sha256:abc");
    row->parent = text_copy("k8s.io/2/sha256:0ff");
    row->kind = SNAPDB_COMMITTED;
    assert_ok(text_map_set(&row->labels, "containerd.io/snapshot.ref", "sha256:abc"));
    assert_ok(text_map_set(&row->labels, "a.b", "x y"));
    assert_ok(text_map_set(&row->labels, "plain", "v1"));
}

static bool matches(const char *text)
{
    SCOPED(filter) struct filter *filter = NULL;
    SCOPED(snapdb_row) struct snapdb_row row = {.id = 0};

    make_row(&row);
    assert_ok(parse(text, &filter));
    return filter_matches(filter, &row);
}

static void the_list_that_containerd_makes_after_already_exists_finds_the_row(void **state)
{
    (void)state;
    assert_true(matches("labels.\"containerd.io/snapshot.ref\"==sha256:abc,"
                        "parent==\"k8s.io/2/sha256:0ff\""));
    assert_false(matches("labels.\"containerd.io/snapshot.ref\"==sha256:abc,parent==\"\""));
    assert_false(matches("labels.\"containerd.io/snapshot.ref\"==sha256:abd,"
                         "parent==\"k8s.io/2/sha256:0ff\""));
}

static void fields_are_compared(void **state)
{
    (void)state;
    assert_true(matches("name==k8s.io/3/sha256:abc"));
    assert_false(matches("name==k8s.io/3/sha256:ab"));
    assert_true(matches("kind==committed"));
    assert_false(matches("kind==active"));
    assert_true(matches("kind!=view"));
    assert_false(matches("kind!=committed"));
    assert_true(matches("parent!=\"\""));
    assert_true(matches("labels.plain==v1"));
    assert_true(matches("labels.a.b==\"x y\""));
    assert_true(matches("labels.\"a.b\"==\"x y\""));
    assert_true(matches(" name == k8s.io/3/sha256:abc"));
}

static void a_field_alone_asks_whether_it_is_there(void **state)
{
    (void)state;
    assert_true(matches("labels.plain"));
    assert_false(matches("labels.nothing"));
    assert_false(matches("labels"));
    assert_true(matches("name"));
    assert_false(matches("size"));
}

static void what_is_not_there_equals_nothing_but_differs(void **state)
{
    (void)state;
    assert_false(matches("labels.nothing==\"\""));
    assert_true(matches("labels.nothing!=x"));
    assert_false(matches("labels.nothing!=\"\""));
    assert_false(matches("created_at==5"));
}

static void all_selectors_of_a_string_must_match(void **state)
{
    (void)state;
    assert_true(matches("kind==committed,labels.plain==v1"));
    assert_false(matches("kind==committed,labels.plain==v2"));
    assert_false(matches("kind==active,labels.plain==v1"));
}

static void any_of_several_strings_will_do(void **state)
{
    SCOPED(text_list) struct text_list filters = TEXT_LIST_EMPTY;
    SCOPED(filter) struct filter *none = NULL, *some = NULL, *all = NULL;
    SCOPED(snapdb_row) struct snapdb_row row = {.id = 0};
    struct err err = ERR_NONE;

    (void)state;
    make_row(&row);
    assert_ok(filter_parse(&filters, &none, &err));
    assert_true(filter_matches(none, &row));
    assert_ok(text_list_add(&filters, "kind==view"));
    assert_ok(text_list_add(&filters, "kind==active"));
    assert_ok(filter_parse(&filters, &some, &err));
    assert_false(filter_matches(some, &row));
    assert_ok(text_list_add(&filters, ""));
    assert_ok(filter_parse(&filters, &all, &err));
    assert_true(filter_matches(all, &row));
}

static void quoted_strings_take_go_escapes(void **state)
{
    (void)state;
    assert_true(matches("labels.plain==\"\\x761\""));
    assert_true(matches("labels.plain==\"\\166\\u0031\""));
    assert_true(matches("labels.\"pl\\u0061in\"==\"v\\U00000031\""));
    assert_true(matches("labels.plain!=\"a\\\"b\\\\c\\n\""));
}

static void regular_expressions_match(void **state)
{
    (void)state;
    assert_true(matches("labels.plain~=^v[0-9]+$"));
    assert_true(matches("labels.plain~=/v\\\\d/"));
    assert_true(matches("labels.plain~=|^(?:v\\\\w)$|"));
    assert_true(matches("labels.plain~=\"^v\\\\d$\""));
    assert_false(matches("labels.plain~=^v$"));
    assert_true(matches("name~=sha256:.*c$"));
    assert_true(matches("labels.nothing~=^$"));
    assert_true(matches("labels.plain~=[]v[:digit:]]"));
    assert_true(matches("name~=k8s\\.io"));
    assert_false(matches("name~=k8s\\.i\\.o"));
}

static void assert_refused(const char *text)
{
    SCOPED(filter) struct filter *filter = NULL;

    if (parse(text, &filter) != -EINVAL)
        fail_msg("%s is not refused", text);
    assert_null(filter);
}

static void what_does_not_parse_is_refused(void **state)
{
    static const char *const bad[] = {
        " ",         ",",          "name==",         "name=x",        "name===x",  "==x",
        "name==x,",  "name==x ",   "name==x y",      "name.==x",      "name x",    ".name",
        "name==\"x", "name==\"",   "name==/x/",      "name==|x|",     "/name/==x", "name==\"\\q\"",
        "name=!x",   "name==\"\\", "name==\"\\x0\"", "name==\"\\0\"", "name~x",    "name==\"a\nb\"",
        "name==\x01"};
    size_t i;

    (void)state;
    for (i = 0; i < ARRAY_LEN(bad); i++)
        assert_refused(bad[i]);
}

static void escapes_that_make_no_string_of_ours_are_refused(void **state)
{
    (void)state;
    assert_refused("name==\"\\x00\"");
    assert_refused("name==\"\\400\"");
    assert_refused("name==\"\\u0000\"");
    assert_refused("name==\"\\ud800\"");
    assert_refused("name==\"\\U00110000\"");
}

static void regular_expressions_that_would_be_misread_are_refused(void **state)
{
    (void)state;
    assert_refused("name~=\"(\"");
    assert_refused("name~=\"(?i)x\"");
    assert_refused("name~=\"a{2}\"");
    assert_refused("name~=\"(a)\\\\1\"");
    assert_refused("name~=\"\\\\pL\"");
    assert_refused("name~=\"[\\\\d]\"");
    assert_refused("name~=\"[[.a.]]\"");
    assert_refused("name~=\"[a\"");
    assert_refused("name~=\"x\\\\\"");
}

static void a_regular_expression_that_is_too_costly_is_refused(void **state)
{
    char text[400] = "name~=";

    (void)state;
    assert_refused("name~=((((((((((a+)+)+)+)+)+)+)+)+)+)");
    memset(text + 6, 'a', 257);
    text[6 + 257] = '\0';
    assert_refused(text);
}

static void a_label_that_every_match_has_is_known(void **state)
{
    SCOPED(filter) struct filter *with = NULL, *without = NULL;
    const char *key = NULL, *value = NULL;

    (void)state;
    assert_ok(parse("kind==committed,labels.\"a.b\"==c", &with));
    assert_true(filter_label(with, &key, &value));
    assert_string_equal(key, "a.b");
    assert_string_equal(value, "c");
    assert_ok(parse("kind==committed,labels.\"a.b\"!=c", &without));
    assert_false(filter_label(without, &key, &value));
}

static void no_label_is_known_when_there_are_alternatives(void **state)
{
    SCOPED(text_list) struct text_list filters = TEXT_LIST_EMPTY;
    SCOPED(filter) struct filter *filter = NULL;
    const char *key, *value;
    struct err err = ERR_NONE;

    (void)state;
    assert_ok(text_list_add(&filters, "labels.a==b"));
    assert_ok(text_list_add(&filters, "labels.c==d"));
    assert_ok(filter_parse(&filters, &filter, &err));
    assert_false(filter_label(filter, &key, &value));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_list_that_containerd_makes_after_already_exists_finds_the_row),
        cmocka_unit_test(fields_are_compared),
        cmocka_unit_test(a_field_alone_asks_whether_it_is_there),
        cmocka_unit_test(what_is_not_there_equals_nothing_but_differs),
        cmocka_unit_test(all_selectors_of_a_string_must_match),
        cmocka_unit_test(any_of_several_strings_will_do),
        cmocka_unit_test(quoted_strings_take_go_escapes),
        cmocka_unit_test(regular_expressions_match),
        cmocka_unit_test(what_does_not_parse_is_refused),
        cmocka_unit_test(escapes_that_make_no_string_of_ours_are_refused),
        cmocka_unit_test(regular_expressions_that_would_be_misread_are_refused),
        cmocka_unit_test(a_regular_expression_that_is_too_costly_is_refused),
        cmocka_unit_test(a_label_that_every_match_has_is_known),
        cmocka_unit_test(no_label_is_known_when_there_are_alternatives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
