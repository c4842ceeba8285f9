/* SPDX-License-Identifier: Apache-2.0 */
/* test_cmd_help.c – the table of verbs: the help that is made of it, and what is no verb. */
#include "test.h"

#include "base/text.h"
#include "cmd/cmd.h"

#include <stdlib.h>

static void assert_help(const struct cmd_verb *verb, const char *path, const char *file)
{
    SCOPED(mem) char *name = text_format("finch-soci-help/%s.txt", file);
    SCOPED(buf) struct buf *wanted = vector_load(name);
    SCOPED(mem) char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    assert_non_null(out);
    cmd_print_help(out, verb, path);
    assert_int_equal(fclose(out), 0);
    assert_string_equal(text, buf_str(wanted));
}

static void walk(const struct cmd_verb *verb, const char *path, const char *file)
{
    assert_help(verb, path, file);
    for (size_t i = 0; verb->verbs != NULL && verb->verbs[i] != NULL; i++) {
        const struct cmd_verb *below = verb->verbs[i];
        SCOPED(mem) char *longer = text_format("%s %s", path, below->name);
        SCOPED(mem)
        char *longer_file =
            verb == &cmd_top ? text_copy(below->name) : text_format("%s-%s", file, below->name);

        walk(below, longer, longer_file);
    }
}

static void every_verb_has_its_page(void **state)
{
    (void)state;
    walk(&cmd_top, "finch-soci", "finch-soci");
}

static size_t longest_line(const char *text)
{
    size_t longest = 0;

    while (text != NULL && *text != '\0') {
        size_t len = strcspn(text, "\n");

        longest = len > longest ? len : longest;
        text += len + (text[len] == '\n');
    }
    return longest;
}

static void check_verb(const struct cmd_verb *verb)
{
    assert_true((verb->run == NULL) != (verb->verbs == NULL));
    assert_true(longest_line(verb->details) <= 92);
    assert_non_null(verb->examples);
    assert_non_null(strstr(verb->examples, "finch-soci"));
    for (size_t i = 0; i < verb->flag_count; i++)
        assert_true(verb->flags[i].offset < verb->options_bytes);
    for (size_t i = 0; verb->verbs != NULL && verb->verbs[i] != NULL; i++)
        check_verb(verb->verbs[i]);
}

static void every_verb_either_runs_or_has_verbs_and_gives_examples(void **state)
{
    (void)state;
    check_verb(&cmd_top);
}

#define RUN(...)                                                                                   \
    cmd_main((int)ARRAY_LEN(((char *[]){"finch-soci", __VA_ARGS__})),                              \
             (char *[]){"finch-soci", __VA_ARGS__, NULL})

static void what_makes_no_sense_is_refused_before_anything_is_done(void **state)
{
    (void)state;
    assert_int_equal(RUN("enabel"), CMD_USAGE);
    assert_int_equal(RUN("vm"), CMD_USAGE);
    assert_int_equal(RUN("vm", "begin"), CMD_USAGE);
    assert_int_equal(RUN("enable", "--no-such-flag"), CMD_USAGE);
    assert_int_equal(RUN("enable", "something"), CMD_USAGE);
    assert_int_equal(RUN("enable", "--now=perhaps"), CMD_USAGE);
    assert_int_equal(RUN("--config"), CMD_USAGE);
    assert_int_equal(RUN("help", "nothing"), CMD_USAGE);
    assert_int_equal(RUN("help", "enable", "more"), CMD_USAGE);
}

static void help_and_version_are_fine(void **state)
{
    (void)state;
    assert_int_equal(RUN("--version"), CMD_FINE);
    assert_int_equal(RUN("help", "vm", "start"), CMD_FINE);
    assert_int_equal(RUN("status", "-h"), CMD_FINE);
}

static void the_nearest_name_is_offered(void **state)
{
    static const char *const names[] = {"enable", "disable", "status", "vm", NULL};

    (void)state;
    assert_string_equal(cmd_nearest("enabel", names), "enable");
    assert_string_equal(cmd_nearest("disble", names), "disable");
    assert_string_equal(cmd_nearest("statuss", names), "status");
    assert_string_equal(cmd_nearest("mv", names), "vm");
}

static void what_is_near_nothing_gets_no_offer(void **state)
{
    static const char *const names[] = {"enable", "vm", NULL};
    char lots[4096];

    (void)state;
    memset(lots, 'e', sizeof(lots) - 1);
    lots[sizeof(lots) - 1] = '\0';
    assert_null(cmd_nearest("install", names));
    assert_null(cmd_nearest("", names));
    assert_null(cmd_nearest("xy", names));
    assert_null(cmd_nearest(lots, names));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_verb_has_its_page),
        cmocka_unit_test(every_verb_either_runs_or_has_verbs_and_gives_examples),
        cmocka_unit_test(what_makes_no_sense_is_refused_before_anything_is_done),
        cmocka_unit_test(help_and_version_are_fine),
        cmocka_unit_test(the_nearest_name_is_offered),
        cmocka_unit_test(what_is_near_nothing_gets_no_offer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
