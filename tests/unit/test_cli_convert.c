/* SPDX-License-Identifier: Apache-2.0 */
/* test_cli_convert.c – what a converted image may be called. */
#include "test.h"

#include "cli/convert.h"

#include <errno.h>

static void a_registry_a_repository_and_a_tag_are_a_name(void **state)
{
    struct err err = ERR_NONE;

    (void)state;
    assert_ok(cli_convert_check_name("registry.example/app:1-soci", &err));
    assert_ok(cli_convert_check_name("localhost:5000/a/b/c:latest", &err));
    assert_ok(cli_convert_check_name("docker.io/library/alpine:3", &err));
}

static void refuse(const char *name, const char *why)
{
    struct err err = ERR_NONE;

    assert_int_equal(cli_convert_check_name(name, &err), -EINVAL);
    assert_non_null(strstr(err_text(&err), "must be a tagged ref of the form "
                                           "\"registry/repository:tag\": "));
    if (strstr(err_text(&err), why) == NULL)
        fail_msg("%s: %s", name, err_text(&err));
}

static void any_other_name_is_refused_with_the_reason(void **state)
{
    (void)state;
    refuse("", "cannot be empty");
    refuse("app", "no registry");
    refuse("app:1", "no registry");
    refuse("/app:1", "no registry");
    refuse("https://registry.example/app:1", "no registry");
    refuse("registry.example/app", "must be tagged");
    refuse("registry.example:5000/app", "must be tagged");
    refuse("registry.example/app:", "must be tagged");
    refuse("registry.example/app@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
           "aaaaa",
           "must not contain a digest");
    refuse("registry.example/app:1@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
           "aaaaaaa",
           "must not contain a digest");
    refuse("registry.example/App:1", "could not parse reference");
    refuse("registry.example/app:1 2", "could not parse reference");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_registry_a_repository_and_a_tag_are_a_name),
        cmocka_unit_test(any_other_name_is_refused_with_the_reason),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
