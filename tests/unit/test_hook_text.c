/* SPDX-License-Identifier: Apache-2.0 */
/* test_hook_text.c – what the systems are told, escaped as each of their formats wants it. That
 * they understand it is what tests/hook/check sees, with their own or other readers. */
#include "test.h"

#include "base/text.h"
#include "hook/hook.h"

static const char *const none[] = {NULL};

static int make(enum platform_hook_form form, const char *const *argv,
                const char *const *environment, struct buf *ret, struct err *err)
{
    const struct hook_wish wish = {
        .name = "a<b", .argv = argv, .environment = environment, .user = "HOST\\Jos\xc3\xa9 & co"};

    return hook_text(form, &wish, ret, err);
}

static void assert_has(enum platform_hook_form form, const char *const *argv,
                       const char *const *environment, const char *wanted)
{
    SCOPED(buf_value) struct buf text = BUF_EMPTY;

    assert_ok(make(form, argv, environment, &text, NULL));
    if (strstr(buf_str(&text), wanted) == NULL)
        fail_msg("no %s in:\n%s", wanted, buf_str(&text));
}

static void a_unit_has_its_words_in_quotes(void **state)
{
    static const char *const argv[] = {"/opt/a $b%c/finch-soci", "--lima-home",
                                       "/home/J\xc3\xb6rg \"x\"\\y $HOME 100%", NULL};
    static const char *const environment[] = {"PATH=/a b:/100%:$x", "LIMA_HOME=/l", NULL};

    (void)state;
    assert_has(PLATFORM_HOOK_UNIT, argv, environment,
               "\nExecStart=\"/opt/a $b%%c/finch-soci\" \"--lima-home\" "
               "\"/home/J\xc3\xb6rg \\\"x\\\"\\\\y $$HOME 100%%\"\n");
    assert_has(PLATFORM_HOOK_UNIT, argv, environment,
               "\nEnvironment=\"PATH=/a b:/100%%:$x\"\nEnvironment=\"LIMA_HOME=/l\"\n");
}

static void a_program_whose_path_systemd_does_not_take_is_run_by_another(void **state)
{
    static const char *const argv[] = {"/opt/a\"b $c/finch-soci", "hook", NULL};

    (void)state;
    assert_has(PLATFORM_HOOK_UNIT, argv, none,
               "\nExecStart=/usr/bin/env \"/opt/a\\\"b $$c/finch-soci\" \"hook\"\n");
}

static void an_agent_is_xml(void **state)
{
    static const char *const argv[] = {"/Users/a & b/<x>/finch-soci", "hook", "watch", NULL};
    static const char *const environment[] = {"PATH=/a&b", NULL};

    (void)state;
    assert_has(PLATFORM_HOOK_AGENT, argv, environment, "<string>a&lt;b</string>");
    assert_has(PLATFORM_HOOK_AGENT, argv, environment,
               "<string>/Users/a &amp; b/&lt;x&gt;/finch-soci</string>\n\t\t<string>hook</string>");
    assert_has(PLATFORM_HOOK_AGENT, argv, environment,
               "<key>PATH</key>\n\t\t<string>/a&amp;b</string>");
}

static void a_task_has_a_command_line_of_windows(void **state)
{
    static const char *const argv[] = {"C:\\Program Files\\R&D\\finch-soci.exe",
                                       "--config",
                                       "C:\\Users\\J\xc3\xb6rg M\\",
                                       "a\\\"b",
                                       "",
                                       NULL};

    (void)state;
    assert_has(PLATFORM_HOOK_TASK, argv, none,
               "<Command>C:\\Program Files\\R&amp;D\\finch-soci.exe</Command>");
    assert_has(PLATFORM_HOOK_TASK, argv, none,
               "<Arguments>&quot;--config&quot; &quot;C:\\Users\\J\xc3\xb6rg M\\\\&quot; "
               "&quot;a\\\\\\&quot;b&quot; &quot;&quot;</Arguments>");
    assert_has(PLATFORM_HOOK_TASK, argv, none, "<UserId>HOST\\Jos\xc3\xa9 &amp; co</UserId>");
}

static void what_no_format_can_hold_is_refused(void **state)
{
    static const char *const bad[] = {"/a\nb", "/a\001b", "/a\x7f", "/a\xff"};

    (void)state;
    for (int form = PLATFORM_HOOK_UNIT; form <= PLATFORM_HOOK_TASK; form++) {
        for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
            const char *const argv[] = {"/x", bad[i], NULL};
            const char *const fine[] = {"/x", NULL};
            const char *const environment[] = {bad[i], NULL};
            SCOPED(buf_value) struct buf text = BUF_EMPTY;
            struct err err = ERR_NONE;

            assert_int_equal(make((enum platform_hook_form)form, argv, none, &text, &err), -EINVAL);
            assert_int_equal(make((enum platform_hook_form)form, fine, environment, &text, &err),
                             -EINVAL);
            assert_int_equal(text.len, 0);
        }
    }
}

static void at_signs_of_a_path_stay(void **state)
{
    static const char *const argv[] = {"/home/@ENVIRONMENT@/a@b", NULL};

    (void)state;
    assert_has(PLATFORM_HOOK_UNIT, argv, none, "ExecStart=\"/home/@ENVIRONMENT@/a@b\"\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_unit_has_its_words_in_quotes),
        cmocka_unit_test(a_program_whose_path_systemd_does_not_take_is_run_by_another),
        cmocka_unit_test(an_agent_is_xml),
        cmocka_unit_test(a_task_has_a_command_line_of_windows),
        cmocka_unit_test(what_no_format_can_hold_is_refused),
        cmocka_unit_test(at_signs_of_a_path_stay),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
