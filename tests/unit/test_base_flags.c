/* SPDX-License-Identifier: Apache-2.0 */
/* test_base_flags.c – flags as the reference's command line takes them. */
#include "test.h"

#include "base/flags.h"

#include <errno.h>
#include <stdlib.h>

struct options {
    bool force;
    const char *output;
    uint64_t size;
    struct text_list platforms;
    int64_t timeout_ms;
};

static const struct flag flags[] = {
    {.name = "force",
     .alias = "f",
     .kind = FLAG_BOOL,
     .offset = offsetof(struct options, force),
     .help = ""},
    {.name = "output",
     .alias = "o",
     .env = "TEST_CLI_OUTPUT",
     .kind = FLAG_TEXT,
     .offset = offsetof(struct options, output),
     .help = ""},
    {.name = "size", .kind = FLAG_SIZE, .offset = offsetof(struct options, size), .help = ""},
    {.name = "platform",
     .alias = "p",
     .kind = FLAG_LIST,
     .offset = offsetof(struct options, platforms),
     .help = ""},
    {.name = "timeout",
     .kind = FLAG_DURATION,
     .offset = offsetof(struct options, timeout_ms),
     .help = ""},
};

struct parsed {
    struct options options;
    struct text_list words;
    int used;
    struct err err;
};

static int parse(struct parsed *parsed, bool until_word, int count, char **items)
{
    struct flag_set set = {.flags = flags, .count = ARRAY_LEN(flags), .options = &parsed->options};

    *parsed = (struct parsed){.words = TEXT_LIST_EMPTY};
    assert_ok(flags_from_environment(&set, &parsed->err));
    return flags_parse(&set, 1, (struct flag_args){.items = items, .count = count}, until_word,
                       &parsed->used, &parsed->words, &parsed->err);
}
#define PARSE(parsed, ...)                                                                         \
    parse(parsed, false, (int)ARRAY_LEN(((char *[]){__VA_ARGS__})), (char *[]){__VA_ARGS__})

static void done(struct parsed *parsed)
{
    text_list_fini(&parsed->options.platforms);
    text_list_fini(&parsed->words);
}

static void flags_may_stand_before_and_after_words(void **state)
{
    struct parsed p;

    (void)state;
    assert_ok(PARSE(&p, "--force", "image", "-size", "7", "--output=x=y", "more"));
    assert_true(p.options.force);
    assert_int_equal(p.options.size, 7);
    assert_string_equal(p.options.output, "x=y");
    assert_int_equal(p.words.count, 2);
    assert_string_equal(p.words.items[1], "more");
    done(&p);
}

static void a_bool_takes_its_value_only_with_an_equals_sign(void **state)
{
    struct parsed p;

    (void)state;
    assert_ok(PARSE(&p, "-f", "false"));
    assert_true(p.options.force);
    assert_int_equal(p.words.count, 1);
    done(&p);
    assert_ok(PARSE(&p, "-f=false"));
    assert_false(p.options.force);
    done(&p);
    assert_int_equal(PARSE(&p, "-f=maybe"), -EINVAL);
    done(&p);
}

static void a_list_repeats_and_takes_commas(void **state)
{
    struct parsed p;

    (void)state;
    assert_ok(PARSE(&p, "-p", "linux/amd64,linux/arm64", "--platform", "linux/riscv64"));
    assert_int_equal(p.options.platforms.count, 3);
    assert_string_equal(p.options.platforms.items[2], "linux/riscv64");
    done(&p);
}

static void durations_are_as_go_writes_them(void **state)
{
    struct parsed p;

    (void)state;
    assert_ok(PARSE(&p, "--timeout", "1h2m3s"));
    assert_int_equal(p.options.timeout_ms, 3723000);
    done(&p);
    assert_ok(PARSE(&p, "--timeout", "250ms"));
    assert_int_equal(p.options.timeout_ms, 250);
    done(&p);
    assert_ok(PARSE(&p, "--timeout=0"));
    done(&p);
    assert_int_equal(PARSE(&p, "--timeout", "5"), -EINVAL);
    done(&p);
    assert_int_equal(PARSE(&p, "--timeout", ""), -EINVAL);
    done(&p);
    assert_int_equal(PARSE(&p, "--timeout", "99999999999999999999h"), -EINVAL);
    done(&p);
}

static void what_is_wrong_is_named(void **state)
{
    struct parsed p;

    (void)state;
    assert_int_equal(PARSE(&p, "--nope=3"), -ENOENT);
    assert_string_equal(p.err.text, "flag provided but not defined: -nope");
    done(&p);
    assert_int_equal(PARSE(&p, "--size", "-1"), -EINVAL);
    assert_string_equal(p.err.text,
                        "invalid value \"-1\" for flag -size: want a whole number >= 0");
    done(&p);
    assert_int_equal(PARSE(&p, "--size", "18446744073709551616"), -EINVAL);
    done(&p);
    assert_int_equal(PARSE(&p, "--output"), -EINVAL);
    assert_string_equal(p.err.text, "flag needs an argument: -output");
    done(&p);
}

static void a_flag_is_shown_as_it_was_typed_where_that_is_wanted(void **state)
{
    char *items[] = {"--output"}, *one[] = {"-output"}, *value[] = {"--size=x"};
    char **const all[] = {items, one, value};
    static const char *const texts[] = {"flag needs an argument: --output",
                                        "flag needs an argument: -output",
                                        "invalid value \"x\" for flag --size: want a whole number"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        struct parsed p = {.words = TEXT_LIST_EMPTY};
        const struct flag_set set = {
            .flags = flags, .count = ARRAY_LEN(flags), .options = &p.options};
        const struct flag_args args = {.items = all[i], .count = 1, .as_typed = true};
        int used;

        assert_int_equal(flags_parse(&set, 1, args, false, &used, &p.words, &p.err), -EINVAL);
        assert_non_null(strstr(p.err.text, texts[i]));
        done(&p);
    }
}

static void two_dashes_end_the_flags(void **state)
{
    struct parsed p;

    (void)state;
    assert_ok(PARSE(&p, "--", "--force", "-"));
    assert_false(p.options.force);
    assert_int_equal(p.words.count, 2);
    done(&p);
}

static void the_first_word_can_end_the_parsing(void **state)
{
    char *items[] = {"--force", "create", "--size", "1"};
    struct parsed p;

    (void)state;
    assert_ok(parse(&p, true, 4, items));
    assert_int_equal(p.used, 1);
    assert_int_equal(p.options.size, 0);
    done(&p);
}

static void the_environment_gives_defaults(void **state)
{
    struct parsed p;

    (void)state;
    assert_int_equal(setenv("TEST_CLI_OUTPUT", "from-env", 1), 0);
    assert_ok(PARSE(&p, "x"));
    assert_string_equal(p.options.output, "from-env");
    done(&p);
    assert_ok(PARSE(&p, "-o", "from-flag"));
    assert_string_equal(p.options.output, "from-flag");
    done(&p);
    assert_int_equal(setenv("TEST_CLI_OUTPUT", "", 1), 0);
    assert_ok(PARSE(&p, "x"));
    assert_null(p.options.output);
    done(&p);
    (void)unsetenv("TEST_CLI_OUTPUT");
}

static void a_variable_does_not_win_over_a_flag_in_front_of_the_verb(void **state)
{
    struct parsed p;
    struct flag_set set = {.flags = flags, .count = ARRAY_LEN(flags), .options = &p.options};
    char *before[] = {(char[]){"-o"}, (char[]){"from-flag"}, (char[]){"verb"}};
    char *behind[] = {(char[]){"--force"}, (char[]){"word"}};

    (void)state;
    assert_int_equal(setenv("TEST_CLI_OUTPUT", "from-env", 1), 0);
    assert_ok(parse(&p, true, (int)ARRAY_LEN(before), before));
    assert_int_equal(p.used, 2);
    assert_ok(flags_parse(&set, 1,
                          (struct flag_args){.items = behind, .count = (int)ARRAY_LEN(behind)},
                          false, &p.used, &p.words, &p.err));
    assert_true(p.options.force);
    assert_string_equal(p.options.output, "from-flag");
    done(&p);
    (void)unsetenv("TEST_CLI_OUTPUT");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flags_may_stand_before_and_after_words),
        cmocka_unit_test(a_bool_takes_its_value_only_with_an_equals_sign),
        cmocka_unit_test(a_list_repeats_and_takes_commas),
        cmocka_unit_test(durations_are_as_go_writes_them),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(a_flag_is_shown_as_it_was_typed_where_that_is_wanted),
        cmocka_unit_test(two_dashes_end_the_flags),
        cmocka_unit_test(the_first_word_can_end_the_parsing),
        cmocka_unit_test(the_environment_gives_defaults),
        cmocka_unit_test(a_variable_does_not_win_over_a_flag_in_front_of_the_verb),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
