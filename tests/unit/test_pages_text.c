/* SPDX-License-Identifier: Apache-2.0 */
/* test_pages_text.c – what stands in a table means nothing to troff or to a shell. */
#include "test.h"

#include "pages/pages.h"

static const struct flag hostile_flags[] = {
    {.name = "a-flag",
     .alias = "a",
     .kind = FLAG_TEXT,
     .value = "<file>",
     .help = ".it's [a:b] \\n $(c) `typed` {d}"},
};

static struct page_program hostile(void)
{
    return (struct page_program){
        .top = {.name = "some-program",
                .args = "[flags]",
                .summary = "'quoted' $HOME \"here\"",
                .details = "   .TH is no request\n\n   - a – b … c\n      deeper\n",
                .examples = "   some-program\n\nEXIT STATUS\n   0  fine\n",
                .flags = hostile_flags,
                .flag_count = ARRAY_LEN(hostile_flags)},
        .section = 1,
        .see_also = "nothing",
        .version = "v1",
        .date = "2026-01-02",
    };
}

static void assert_has(struct buf *text, const char *part)
{
    if (strstr(buf_str(text), part) == NULL)
        fail_msg("no \"%s\" in:\n%s", part, buf_str(text));
}

static void assert_lacks(struct buf *text, const char *part)
{
    if (strstr(buf_str(text), part) != NULL)
        fail_msg("\"%s\" in:\n%s", part, buf_str(text));
}

static void a_line_of_the_manual_is_no_request_of_troff(void **state)
{
    const struct page_program program = hostile();
    SCOPED(buf_value) struct buf text = BUF_EMPTY;

    (void)state;
    assert_int_equal(page_man(&program, &text), 0);
    assert_has(&text, "\n\\&.TH is no request\n");
    assert_has(&text, "\n\\&.it's [a:b] \\en $(c) \\fBtyped\\fR {d}\n");
    assert_has(&text, "\\- a \\(en b ... c\n");
    assert_has(&text, ".nf\n   deeper\n");
    assert_has(&text, ".SH \"EXIT STATUS\"\n");
    assert_has(&text, ".TH SOME\\-PROGRAM 1 \"2026-01-02\"");
}

static void a_text_stays_within_its_quotes_in_each_shell(void **state)
{
    const struct page_program program = hostile();
    SCOPED(buf_value) struct buf zsh = BUF_EMPTY;
    SCOPED(buf_value) struct buf fish = BUF_EMPTY;
    SCOPED(buf_value) struct buf powershell = BUF_EMPTY;

    (void)state;
    assert_int_equal(page_zsh(&program, &zsh), 0);
    assert_has(&zsh, "[.it'\\''s \\[a\\:b\\] \\\\n $(c) `typed` {d}]:file:_files'");
    assert_int_equal(page_fish(&program, &fish), 0);
    assert_has(&fish, "-r -F -d '.it\\'s [a:b] \\\\n $(c) `typed` {d}'\n");
    assert_int_equal(page_powershell(&program, &powershell), 0);
    assert_has(&powershell, "Text = '.it''s [a:b] \\n $(c) `typed` {d}' }");
}

static void help_is_offered_only_where_there_is_one(void **state)
{
    static const struct flag none[1];
    struct page_program program = hostile();
    struct page_command *below = page_command_add(&program.top, 1);
    SCOPED(buf_value) struct buf without = BUF_EMPTY;
    SCOPED(buf_value) struct buf with = BUF_EMPTY;

    (void)state;
    assert_non_null(below);
    *below = (struct page_command){.name = "verb", .args = "", .summary = "", .flags = none};
    assert_int_equal(page_bash(&program, &without), 0);
    assert_lacks(&without, "verb help");
    program.has_help = true;
    assert_int_equal(page_bash(&program, &with), 0);
    assert_has(&with, "words='verb help'");
    page_command_fini(&program.top);
}

static void the_kind_of_a_value_is_told_by_its_name(void **state)
{
    const struct flag flag_bool = {.kind = FLAG_BOOL}, dir = {.kind = FLAG_TEXT, .value = "<dir>"},
                      file = {.kind = FLAG_TEXT, .value = "<socket>"},
                      any = {.kind = FLAG_LIST, .value = "<os/arch>"};

    (void)state;
    assert_int_equal(page_value_of(&flag_bool), PAGE_NONE);
    assert_int_equal(page_value_of(&dir), PAGE_DIR);
    assert_int_equal(page_value_of(&file), PAGE_FILE);
    assert_int_equal(page_value_of(&any), PAGE_ANY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_of_the_manual_is_no_request_of_troff),
        cmocka_unit_test(a_text_stays_within_its_quotes_in_each_shell),
        cmocka_unit_test(help_is_offered_only_where_there_is_one),
        cmocka_unit_test(the_kind_of_a_value_is_told_by_its_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
