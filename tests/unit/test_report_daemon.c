/* SPDX-License-Identifier: Apache-2.0 */
/* test_report_daemon.c – what the snapshotter says of itself, read as if it were an enemy's. */
#include "test.h"

#include "report/report.h"

#include <errno.h>
#include <stdlib.h>

static void load(struct report *report, const char *vector, const char *namespace_)
{
    SCOPED(buf) struct buf *json = vector_load(vector);
    struct err err = ERR_NONE;

    *report = (struct report){.row_count = 0};
    (void)snprintf(report->namespace_, sizeof(report->namespace_), "%s", namespace_);
    assert_ok(report_parse_daemon(report, buf_bytes(json), &err));
}

static int parse(const char *json)
{
    SCOPED(report) struct report report = {.row_count = 0};
    int rc = report_parse_daemon(&report, bytes_of_str(json), NULL);

    assert_int_equal(report.daemon.answers, rc == 0);
    return rc;
}

static void images_are_those_of_the_namespace(void **state)
{
    SCOPED(report) struct report report;

    (void)state;
    load(&report, "report/two-images.json", "finch");
    assert_true(report.daemon.answers);
    assert_int_equal(report.image_count, 1);
    assert_string_equal(report.images[0].image, "registry.example/team/app:1");
    assert_int_equal(report.images[0].lazy, 5);
    assert_int_equal(report.images[0].present_bytes, 12897485);
    assert_string_equal(report.daemon.version, "v0.15.0");
    assert_int_equal(report.daemon.layer_bytes, 12897485);
}

static void without_a_namespace_all_images_are_there(void **state)
{
    SCOPED(report) struct report report;

    (void)state;
    load(&report, "report/two-images.json", "");
    assert_int_equal(report.image_count, 2);
}

static void errors_of_layers_and_events_are_in_order(void **state)
{
    SCOPED(report) struct report report;

    (void)state;
    load(&report, "report/two-images.json", "finch");
    assert_int_equal(report.daemon.event_count, 2);
    assert_string_equal(report.daemon.events[0].kind, "deferred");
    assert_int_equal(report.daemon.events[0].count, 3);
    assert_string_equal(report.daemon.events[1].kind, "error");
    assert_string_equal(report.daemon.events[1].text,
                        "span 7: registry.example: connection refused");
    assert_int_equal(report.daemon.errors, 2); /* one broken, one read failed */
}

static void errors_of_other_namespaces_do_not_count(void **state)
{
    SCOPED(report) struct report report;

    (void)state;
    load(&report, "report/two-images.json", "k8s.io");
    assert_int_equal(report.daemon.errors, 0);
}

static void what_a_terminal_would_obey_is_gone(void **state)
{
    SCOPED(report) struct report report;

    (void)state;
    load(&report, "report/hostile.json", "finch");
    assert_string_equal(report.images[0].image, "evil?[2J?31m?name ?");
    assert_string_equal(report.daemon.events[0].text, "?]0;title?");
}

static void fields_of_another_type_are_missing_and_numbers_have_bounds(void **state)
{
    SCOPED(report) struct report report;

    (void)state;
    load(&report, "report/hostile.json", "finch");
    assert_string_equal(report.daemon.version, "");
    assert_int_equal(report.daemon.uptime_s, 0);
    assert_int_equal(report.daemon.rss_bytes, 0);
    assert_int_equal(report.daemon.layer_bytes, 0);
    assert_true(report.daemon.blob_bytes == UINT64_C(1000000000000000000));
    assert_int_equal(report.image_count, 2);
    assert_string_equal(report.images[1].image, "");
    assert_int_equal(report.images[1].lazy, 0);
    assert_int_equal(report.images[0].failed, 0);
}

static void what_is_no_such_object_is_refused(void **state)
{
    (void)state;
    assert_int_equal(parse(""), -EBADMSG);
    assert_int_equal(parse("[]"), -EBADMSG);
    assert_int_equal(parse("{}"), -EBADMSG);
    assert_int_equal(parse("{\"daemon\":1}"), -EBADMSG);
    assert_int_equal(parse("{\"daemon\":{}"), -EBADMSG);
    assert_int_equal(parse("level=error msg=\"no daemon\""), -EBADMSG);
    assert_int_equal(parse("{\"daemon\":{}}"), 0);
}

static void more_images_than_anybody_has_are_cut(void **state)
{
    SCOPED(buf_value) struct buf json = BUF_EMPTY;
    SCOPED(report) struct report report = {.row_count = 0};

    (void)state;
    assert_ok(buf_add_str(&json, "{\"daemon\":{},\"images\":["));
    for (int i = 0; i < 2 * REPORT_IMAGES_MAX; i++)
        assert_ok(buf_addf(&json, "%s{\"image\":\"i%d\"}", i == 0 ? "" : ",", i));
    assert_ok(buf_add_str(&json, "],\"layers\":["));
    for (int i = 0; i < 2 * REPORT_EVENTS_MAX; i++)
        assert_ok(buf_addf(&json, "%s{\"error\":\"e%d\"}", i == 0 ? "" : ",", i));
    assert_ok(buf_add_str(&json, "]}"));
    assert_ok(report_parse_daemon(&report, buf_bytes(&json), NULL));
    assert_int_equal(report.image_count, REPORT_IMAGES_MAX);
    assert_int_equal(report.daemon.event_count, REPORT_EVENTS_MAX);
    assert_int_equal(report.daemon.errors, 2 * REPORT_EVENTS_MAX);
}

static void what_was_there_before_stays_when_the_next_makes_no_sense(void **state)
{
    SCOPED(report) struct report report;

    (void)state;
    load(&report, "report/two-images.json", "finch");
    assert_int_equal(report_parse_daemon(&report, bytes_of_str("nonsense"), NULL), -EBADMSG);
    assert_int_equal(report.image_count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(images_are_those_of_the_namespace),
        cmocka_unit_test(without_a_namespace_all_images_are_there),
        cmocka_unit_test(errors_of_layers_and_events_are_in_order),
        cmocka_unit_test(errors_of_other_namespaces_do_not_count),
        cmocka_unit_test(what_a_terminal_would_obey_is_gone),
        cmocka_unit_test(fields_of_another_type_are_missing_and_numbers_have_bounds),
        cmocka_unit_test(what_is_no_such_object_is_refused),
        cmocka_unit_test(more_images_than_anybody_has_are_cut),
        cmocka_unit_test(what_was_there_before_stays_when_the_next_makes_no_sense),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
