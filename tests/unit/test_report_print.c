/* SPDX-License-Identifier: Apache-2.0 */
/* test_report_print.c – a report as people read it, and as JSON. */
#include "test.h"

#include "report/report.h"

#include <stdlib.h>

static void fill(struct report *report)
{
    SCOPED(buf) struct buf *json = vector_load("report/two-images.json");

    *report = (struct report){.namespace_ = "finch"};
    report_add(report, "finch.yaml", REPORT_WELL, "soci is listed: /home/u/.finch/finch.yaml", "");
    report_add(report, "programs", REPORT_NOT_WELL, "not installed", "finch-soci provision");
    report_add(report, "plugin", REPORT_UNKNOWN, "the machine is stopped", "");
    assert_ok(report_parse_daemon(report, buf_bytes(json), NULL));
}

static void assert_printed(const struct report *report, unsigned width, bool colour,
                           const char *wanted)
{
    const struct report_style style = {.width = width, .colour = colour};
    SCOPED(buf_value) struct buf text = BUF_EMPTY;

    assert_ok(report_print(report, &style, &text));
    assert_string_equal(buf_str(&text), wanted);
}

/* Columns that no line goes beyond. */
static size_t widest_line(const char *text)
{
    size_t widest = 0, columns = 0;

    for (; *text != '\0'; text++) {
        columns = *text == '\n' ? 0 : columns + (((unsigned char)*text & 0xc0) != 0x80);
        widest = columns > widest ? columns : widest;
    }
    return widest;
}

static void everything_has_its_column(void **state)
{
    SCOPED(report) struct report report;

    (void)state;
    fill(&report);
    assert_printed(&report, 0, false,
                   "ok  finch.yaml  soci is listed: /home/u/.finch/finch.yaml\n"
                   "!!  programs    not installed\n"
                   "                mend: finch-soci provision\n"
                   "--  plugin      the machine is stopped\n"
                   "\n"
                   "IMAGE                        LAYERS                     HERE\n"
                   "registry.example/team/app:1  5 lazy, 1 local, 1 broken "
                   " 12.3 MiB of 210.0 MiB (5 %)\n"
                   "\n"
                   "In the cache: 12.3 MiB of layers, 1.2 MiB of indexes.\n"
                   "Being fetched: 6.0 MiB, at 11.0 MiB/s; 2 reads wait for the network.\n"
                   "\n"
                   "Why layers are not lazy, and errors (times are UTC):\n"
                   "2026-03-01T08:55:00  deferred  registry.example/plain:1\n"
                   "    the image has no SOCI index\n"
                   "    (3 times)\n"
                   "2026-03-01T08:50:00  error     registry.example/team/app:1\n"
                   "    span 7: registry.example: connection refused\n");
}

static void a_narrow_terminal_wraps_texts_and_shortens_names_at_their_front(void **state)
{
    const struct report_style style = {.width = 72};
    SCOPED(buf_value) struct buf text = BUF_EMPTY;
    SCOPED(report) struct report report;

    (void)state;
    fill(&report);
    report_add(&report, "unit", REPORT_NOT_WELL,
               "the unit is not enabled, so that the machine's next start will be without it and "
               "images are pulled as ever",
               "finch-soci provision");
    assert_ok(report_print(&report, &style, &text));
    assert_true(widest_line(buf_str(&text)) <= 72 + 8); /* the image's row cannot be shorter */
    assert_non_null(strstr(buf_str(&text), "\n….example/team/app:1"));
    assert_non_null(strstr(buf_str(&text), "so that the machine's next\n                start"));
}

static void colours_are_only_there_when_asked_for(void **state)
{
    SCOPED(report) struct report report = {.row_count = 0};

    (void)state;
    report_add(&report, "unit", REPORT_NOT_WELL, "stopped", "");
    assert_printed(&report, 0, false, "!!  unit  stopped\n");
    assert_printed(&report, 0, true, "\033[1;31m!!\033[0m  \033[1munit\033[0m  stopped\n");
}

static void a_snapshotter_without_images_says_so(void **state)
{
    SCOPED(report) struct report report = {.namespace_ = "finch"};

    (void)state;
    assert_ok(report_parse_daemon(&report, bytes_of_str("{\"daemon\":{}}"), NULL));
    assert_printed(&report, 0, false,
                   "\nNo image came through the snapshotter in namespace finch.\n"
                   "\nIn the cache: 0 B of layers, 0 B of indexes.\n");
}

static void hostile_rows_cannot_speak_to_the_terminal(void **state)
{
    SCOPED(report) struct report report = {.row_count = 0};
    char lots[4096];

    (void)state;
    report_add(&report, "a\033b", REPORT_WELL, "two\nlines\xff", "\x9b");
    assert_string_equal(report.rows[0].name, "a?b");
    assert_string_equal(report.rows[0].text, "two lines?");
    assert_string_equal(report.rows[0].mend, "?");
    memset(lots, 'x', sizeof(lots));
    lots[sizeof(lots) - 1] = '\0';
    for (int i = 0; i < 2 * REPORT_ROWS_MAX; i++)
        report_add(&report, lots, REPORT_WELL, lots, lots);
    assert_int_equal(report.row_count, REPORT_ROWS_MAX);
    assert_int_equal(strlen(report.rows[1].text), REPORT_TEXT_BYTES - 1);
}

static void a_text_is_cut_between_characters(void **state)
{
    char out[5];

    (void)state;
    report_clean(out, sizeof(out), "aäöü");
    assert_string_equal(out, "aä");
}

static void it_is_well_until_a_row_is_not(void **state)
{
    SCOPED(report) struct report report = {.row_count = 0};

    (void)state;
    report_add(&report, "a", REPORT_WELL, "", "");
    report_add(&report, "b", REPORT_UNKNOWN, "", "");
    assert_true(report_is_well(&report));
    report_add(&report, "c", REPORT_NOT_WELL, "", "");
    assert_false(report_is_well(&report));
}

static void sizes_are_rounded_as_people_read_them(void **state)
{
    static const struct {
        uint64_t bytes;
        const char *text;
    } cases[] = {
        {0, "0 B"},           {1023, "1023 B"},       {1024, "1.0 KiB"},
        {1048575, "1.0 MiB"}, {12897485, "12.3 MiB"}, {UINT64_MAX, "16.0 EiB"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[REPORT_SIZE_BYTES];

        report_format_size(cases[i].bytes, text);
        assert_string_equal(text, cases[i].text);
    }
}

static void as_json_it_is_one_line(void **state)
{
    SCOPED(report)
    struct report report = {.namespace_ = "finch",
                            .hook = {.watches = true,
                                     .where = "/a",
                                     .start = {.result = "failed",
                                               .time = "2026-01-02T03:04:05Z",
                                               .text = "no \"way\"",
                                               .took_ms = 7,
                                               .failed = true}}};
    SCOPED(buf_value) struct buf text = BUF_EMPTY;

    (void)state;
    report_add(&report, "unit", REPORT_NOT_WELL, "say \"hello\"", "finch-soci provision");
    assert_ok(report_encode(&report, &text));
    assert_string_equal(
        buf_str(&text),
        "{\"well\":false,\"namespace\":\"finch\",\"checks\":[{\"name\":\"unit\",\"state\":"
        "\"not-well\",\"text\":\"say \\\"hello\\\"\",\"mend\":\"finch-soci provision\"}],"
        "\"hook\":{\"installed\":false,\"watches\":true,\"where\":\"/a\",\"log\":\"\",\"start\":"
        "{\"result\":\"failed\",\"time\":\"2026-01-02T03:04:05Z\",\"text\":\"no \\\"way\\\"\","
        "\"tookMs\":7,\"failed\":true},\"stop\":{\"result\":\"\",\"time\":\"\",\"text\":\"\","
        "\"tookMs\":0,\"failed\":false}},"
        "\"snapshotter\":{\"answers\":false,\"version\":\"\",\"uptimeSeconds\":0,\"rssBytes\":0,"
        "\"layerBytes\":0,\"blobBytes\":0,\"waitingReaders\":0,\"fetchingBytes\":0,"
        "\"bytesPerSecond\":0,\"errors\":0},\"images\":[],\"events\":[]}\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_has_its_column),
        cmocka_unit_test(a_narrow_terminal_wraps_texts_and_shortens_names_at_their_front),
        cmocka_unit_test(colours_are_only_there_when_asked_for),
        cmocka_unit_test(a_snapshotter_without_images_says_so),
        cmocka_unit_test(hostile_rows_cannot_speak_to_the_terminal),
        cmocka_unit_test(a_text_is_cut_between_characters),
        cmocka_unit_test(it_is_well_until_a_row_is_not),
        cmocka_unit_test(sizes_are_rounded_as_people_read_them),
        cmocka_unit_test(as_json_it_is_one_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
