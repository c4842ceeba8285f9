/* SPDX-License-Identifier: Apache-2.0 */
/* test_containerd_layer.c – the list of repositories on a layer, as containerd keeps it. */
#include "test.h"

#include "containerd/containerd.h"

static void assert_list(const char *known, const char *repository, const char *expected)
{
    SCOPED(mem) char *value = NULL;

    assert_ok(containerd_source_add(known, repository, &value));
    assert_string_equal(value, expected);
}

static void a_repository_is_added_in_its_place(void **state)
{
    (void)state;
    assert_list(NULL, "app", "app");
    assert_list("", "app", "app");
    assert_list("library/b", "library/a", "library/a,library/b");
    assert_list("a,c", "b", "a,b,c");
    assert_list("a,b", "c", "a,b,c");
}

static void one_that_is_there_is_not_added_again(void **state)
{
    (void)state;
    assert_list("app", "app", "app");
    assert_list("a,b,c", "b", "a,b,c");
}

static void what_others_left_untidy_is_tidied(void **state)
{
    (void)state;
    assert_list("c,,a,c,", "b", "a,b,c");
    assert_list(",", "b", "b");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_repository_is_added_in_its_place),
        cmocka_unit_test(one_that_is_there_is_not_added_again),
        cmocka_unit_test(what_others_left_untidy_is_tidied),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
