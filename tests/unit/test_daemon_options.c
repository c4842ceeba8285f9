/* SPDX-License-Identifier: Apache-2.0 */
/* test_daemon_options.c – the daemon's command line and environment. */
#include "test.h"

#include "base/text.h"
#include "daemon/options.h"

#include <errno.h>

static const char *no_env(const char *name)
{
    (void)name;
    return NULL;
}

static const char *full_env(const char *name)
{
    if (strcmp(name, "SOCI_SNAPSHOTTER_ROOT") == 0)
        return "/env/root";
    if (strcmp(name, "SOCI_SNAPSHOTTER_CONFIG") == 0)
        return "/env/config.toml";
    return "";
}

#define PARSE(ret, err, env, ...)                                                                  \
    parse(ret, err, env, (const char *const[]){"soci-snapshotter-grpc", __VA_ARGS__, NULL})

static int parse(struct options *ret, struct err *err, const char *(*env)(const char *name),
                 const char *const *args)
{
    char *argv[16];
    int argc = 0;

    for (; args[argc] != NULL && argc < 15; argc++)
        argv[argc] = (char *)(uintptr_t)args[argc]; /* the parser only reads */
    argv[argc] = NULL;
    return options_parse(argc, argv, env, ret, err);
}

static void without_flags_the_defaults_hold(void **state)
{
    struct options o;
    struct err err = ERR_NONE;

    (void)state;
    assert_ok(parse(&o, &err, no_env, (const char *const[]){"daemon", NULL}));
    assert_int_equal(o.action, OPTIONS_RUN);
    assert_string_equal(o.address, "/run/soci-snapshotter-grpc/soci-snapshotter-grpc.sock");
    assert_string_equal(o.config, "/etc/soci-snapshotter-grpc/config.toml");
    assert_true(o.config_is_default);
    assert_string_equal(o.log_level, "info");
    assert_string_equal(o.root, "/var/lib/soci-snapshotter-grpc/");
}

static void a_flag_takes_one_dash_or_two_and_its_value_either_way(void **state)
{
    struct options o;
    struct err err = ERR_NONE;

    (void)state;
    assert_ok(PARSE(&o, &err, no_env, "-root=/a", "--address", "fd://", "--log-level=debug",
                    "-config", "/c"));
    assert_string_equal(o.root, "/a");
    assert_string_equal(o.address, "fd://");
    assert_string_equal(o.log_level, "debug");
    assert_string_equal(o.config, "/c");
    assert_false(o.config_is_default);
}

static void the_environment_counts_and_a_flag_wins_over_it(void **state)
{
    struct options o;
    struct err err = ERR_NONE;

    (void)state;
    assert_ok(PARSE(&o, &err, full_env, "--root", "/flag/root"));
    assert_string_equal(o.root, "/flag/root");
    assert_string_equal(o.config, "/env/config.toml");
    assert_false(o.config_is_default);
    assert_string_equal(o.log_level, "info"); /* empty is as good as absent */
}

static void an_unknown_flag_is_refused_by_name(void **state)
{
    struct options o;
    struct err err = ERR_NONE;

    (void)state;
    assert_int_equal(PARSE(&o, &err, no_env, "--rot=/a"), -EINVAL);
    assert_string_equal(err.text, "flag provided but not defined: -rot");
}

static void the_beginning_of_a_flags_name_is_not_the_flag(void **state)
{
    struct options o;
    struct err err = ERR_NONE;

    (void)state;
    assert_int_equal(PARSE(&o, &err, no_env, "--log", "debug"), -EINVAL);
}

static void a_flag_without_its_value_is_refused(void **state)
{
    struct options o;
    struct err err = ERR_NONE;

    (void)state;
    assert_int_equal(PARSE(&o, &err, no_env, "--root"), -EINVAL);
    assert_string_equal(err.text, "flag needs an argument: -root");
}

static void a_word_that_is_no_command_still_runs_the_daemon(void **state)
{
    struct options o;
    struct err err = ERR_NONE;

    (void)state;
    assert_ok(PARSE(&o, &err, no_env, "whatever", "--root", "/a"));
    assert_int_equal(o.action, OPTIONS_RUN);
    assert_string_equal(o.root, "/a");
}

static void commands_are_recognised(void **state)
{
    struct options o;
    struct err err = ERR_NONE;

    (void)state;
    assert_ok(PARSE(&o, &err, no_env, "--version"));
    assert_int_equal(o.action, OPTIONS_VERSION);
    assert_ok(PARSE(&o, &err, no_env, "-h"));
    assert_int_equal(o.action, OPTIONS_HELP);
    assert_ok(PARSE(&o, &err, no_env, "config", "default"));
    assert_int_equal(o.action, OPTIONS_CONFIG_DEFAULT);
    assert_ok(PARSE(&o, &err, no_env, "--config", "/c", "config", "dump"));
    assert_int_equal(o.action, OPTIONS_CONFIG_DUMP);
    assert_string_equal(o.config, "/c");
    assert_ok(PARSE(&o, &err, no_env, "--address", "/a", "status", "--json", "alpine"));
    assert_int_equal(o.action, OPTIONS_STATUS);
    assert_true(o.json);
    assert_string_equal(o.image, "alpine");
    assert_ok(PARSE(&o, &err, no_env, "status"));
    assert_false(o.json);
    assert_null(o.image);
    assert_int_equal(PARSE(&o, &err, no_env, "--json"), -EINVAL);
    assert_ok(PARSE(&o, &err, no_env, "other", "config"));
    assert_int_equal(o.action, OPTIONS_RUN);
}

static void a_check_takes_an_image_and_a_platform(void **state)
{
    struct options o;
    struct err err = ERR_NONE;

    (void)state;
    assert_ok(PARSE(&o, &err, no_env, "check", "--json", "--platform=linux/arm64", "alpine"));
    assert_int_equal(o.action, OPTIONS_CHECK);
    assert_true(o.json);
    assert_string_equal(o.platform, "linux/arm64");
    assert_string_equal(o.image, "alpine");
    assert_int_equal(PARSE(&o, &err, no_env, "check", "--plat=x", "alpine"), -EINVAL);
    assert_int_equal(PARSE(&o, &err, no_env, "status", "--platform=x"), -EINVAL);
}

static void the_help_names_every_flag_and_command(void **state)
{
    SCOPED(buf_value) struct buf text = BUF_EMPTY;

    (void)state;
    assert_ok(options_help(&text));
    assert_non_null(strstr(buf_str(&text), "--address"));
    assert_non_null(strstr(buf_str(&text), "--config"));
    assert_non_null(strstr(buf_str(&text), "--log-level"));
    assert_non_null(strstr(buf_str(&text), "SOCI_SNAPSHOTTER_ROOT"));
    for (size_t i = 0; i < options_verb_count; i++) {
        SCOPED(mem) char *usage = text_format("soci-snapshotter-grpc %s ", options_verbs[i].name);

        assert_non_null(strstr(buf_str(&text), usage));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_flags_the_defaults_hold),
        cmocka_unit_test(a_flag_takes_one_dash_or_two_and_its_value_either_way),
        cmocka_unit_test(the_environment_counts_and_a_flag_wins_over_it),
        cmocka_unit_test(an_unknown_flag_is_refused_by_name),
        cmocka_unit_test(the_beginning_of_a_flags_name_is_not_the_flag),
        cmocka_unit_test(a_flag_without_its_value_is_refused),
        cmocka_unit_test(a_word_that_is_no_command_still_runs_the_daemon),
        cmocka_unit_test(commands_are_recognised),
        cmocka_unit_test(a_check_takes_an_image_and_a_platform),
        cmocka_unit_test(the_help_names_every_flag_and_command),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
