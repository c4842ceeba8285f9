/* SPDX-License-Identifier: Apache-2.0 */
/* test_daemon_status.c – a daemon's answer, put together, sifted and printed. */
#include "test.h"

#include "base/text.h"
#include "daemon/status.h"
#include "proto/proto.h"

#include "proto/status.pb-c.h"

#include <errno.h>

#define MANIFEST_A "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define MANIFEST_B "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static void an_image_is_meant_by_any_of_its_names(void **state)
{
    static const char *const names[] = {
        "alpine",
        "alpine:latest",
        "library/alpine",
        "docker.io/alpine",
        "docker.io/library/alpine:latest",
        MANIFEST_A,
        "sha256:aaaa",
        "aaaaaaaaaaaa",
        ("alpine@" MANIFEST_A),
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        assert_true(status_is_image(names[i], "docker.io/library/alpine:latest", MANIFEST_A));
    assert_true(status_is_image("r:5000/a@" MANIFEST_B, "r:5000/a@" MANIFEST_B, ""));
}

static void another_image_is_not_meant(void **state)
{
    static const char *const names[] = {
        "alpine:3",
        "ubuntu",
        "quay.io/alpine",
        "",
        "sha256:",
        "aaaa",
        "sha256:aaab",
        MANIFEST_B,
        ("alpine@" MANIFEST_B),
        "ALPINE",
        "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        assert_false(status_is_image(names[i], "docker.io/library/alpine:latest", MANIFEST_A));
    assert_false(status_is_image("", "", ""));
    assert_false(status_is_image("alpine", "", ""));
    assert_false(status_is_image("alpine", "docker.io/library/alpine@" MANIFEST_A, ""));
}

/* ---- a report -------------------------------------------------------------------------------- */

static Wire__StatusLayer a_layer(char *image, char *manifest, char *backend, char *layer_state)
{
    Wire__StatusLayer layer;

    wire__status_layer__init(&layer);
    layer.image = image;
    layer.manifest = manifest;
    layer.backend = backend;
    layer.state = layer_state;
    layer.size_bytes = 1000;
    layer.present_bytes = 250;
    return layer;
}

static void add(struct status_report *report, Wire__StatusLayer *layers, size_t count,
                Wire__StatusEvent *event)
{
    SCOPED(buf_value) struct buf bytes = BUF_EMPTY;
    Wire__StatusLayer *pointers[8];
    Wire__StatusResponse message;
    struct err err = ERR_NONE;

    for (size_t i = 0; i < count; i++)
        pointers[i] = &layers[i];
    wire__status_response__init(&message);
    message.n_layers = count;
    message.layers = pointers;
    message.n_events = event == NULL ? 0 : 1;
    message.events = &event;
    assert_ok(proto_pack(&message.base, &bytes, &err));
    assert_ok(status_report_add(report, buf_bytes(&bytes), &err));
}

static void fill(struct status_report *report)
{
    char a[] = "r/a:1", b[] = "r/b:1", manifest_a[] = MANIFEST_A, manifest_b[] = MANIFEST_B;
    char fuse[] = "fuse", local[] = "local", mounted[] = "mounted", none[] = "";
    char unpacked[] = "unpacked", unpacking[] = "unpacking", failed[] = "not-mounted";
    char why[] = "no \033[31mindex", deferred[] = "deferred";
    Wire__StatusLayer first[] = {
        a_layer(b, manifest_b, fuse, failed),
        a_layer(a, manifest_a, fuse, mounted),
        a_layer(none, manifest_a, local, unpacking),
    };
    Wire__StatusLayer second[] = {
        a_layer(a, manifest_a, local, unpacked),
        a_layer(a, manifest_a, fuse, mounted),
    };
    Wire__StatusEvent event;

    first[0].error = why;
    wire__status_event__init(&event);
    event.image = b;
    event.kind = deferred;
    event.text = why;
    event.count = 3;
    add(report, first, 3, NULL);
    add(report, second, 2, &event);
    assert_ok(status_report_complete(report));
}

static void layers_are_counted_by_image_over_all_messages(void **state)
{
    SCOPED(status_report) struct status_report report = {.messages = NULL};

    (void)state;
    fill(&report);
    assert_int_equal(report.layer_count, 5);
    assert_int_equal(report.image_count, 2);
    assert_string_equal(report.images[0].name, "r/a:1");
    assert_int_equal(report.images[0].lazy, 2);
    assert_int_equal(report.images[0].local, 1);
    assert_int_equal(report.images[0].pending, 1); /* its message did not name the image */
    assert_int_equal(report.images[0].size_bytes, 4000);
    assert_int_equal(report.images[0].present_bytes, 1000);
    assert_int_equal(report.images[1].failed, 1);
}

static void only_what_concerns_an_image_is_kept(void **state)
{
    SCOPED(status_report) struct status_report report = {.messages = NULL};

    (void)state;
    fill(&report);
    assert_true(status_report_keep(&report, MANIFEST_A));
    assert_int_equal(report.image_count, 1);
    assert_int_equal(report.layer_count, 4);
    assert_int_equal(report.event_count, 0);
    assert_false(status_report_keep(&report, "r/b:1"));
}

static void a_message_that_is_none_is_refused(void **state)
{
    SCOPED(status_report) struct status_report report = {.messages = NULL};
    struct err err = ERR_NONE;

    (void)state;
    assert_int_equal(status_report_add(&report, bytes_of_str("\x0a\xff"), &err), -EBADMSG);
    assert_ok(status_report_add(&report, bytes_of(NULL, 0), &err));
    assert_ok(status_report_complete(&report));
    assert_int_equal(report.image_count, 0);
}

/* ---- printing -------------------------------------------------------------------------------- */

static void json_has_every_field_of_an_empty_daemon(void **state)
{
    SCOPED(status_report) struct status_report report = {.messages = NULL};
    SCOPED(buf_value) struct buf text = BUF_EMPTY;

    (void)state;
    assert_ok(status_report_complete(&report));
    assert_ok(status_print_json(&report, &text));
    assert_string_equal(
        buf_str(&text),
        "{\"daemon\":{\"version\":\"\",\"revision\":\"\",\"pid\":0,\"started\":\"\","
        "\"uptimeSeconds\":0,\"rssBytes\":0,\"backend\":\"\",\"root\":\"\",\"config\":\"\","
        "\"addresses\":[]},"
        "\"queue\":{\"waitingReaders\":0,\"queuedSpans\":0,\"fetchingSpans\":0,"
        "\"fetchingBytes\":0,\"backgroundFetchingSpans\":0,\"inflatingSpans\":0,"
        "\"backgroundMissingSpans\":0,\"memoryBytes\":0,\"bytesPerSecond\":0},"
        "\"cache\":{\"layerBytes\":0,\"blobBytes\":0,\"databaseBytes\":0},"
        "\"images\":[],\"layers\":[],\"events\":[]}\n");
}

static void json_has_layers_images_and_events(void **state)
{
    SCOPED(status_report) struct status_report report = {.messages = NULL};
    SCOPED(buf_value) struct buf text = BUF_EMPTY;

    (void)state;
    fill(&report);
    assert_true(status_report_keep(&report, "r/b:1"));
    assert_ok(status_print_json(&report, &text));
    assert_non_null(strstr(
        buf_str(&text),
        "\"images\":[{\"image\":\"r/b:1\",\"manifest\":\"" MANIFEST_B
        "\",\"index\":\"\",\"layers\":{\"lazy\":0,\"local\":0,\"pending\":0,\"failed\":1},"
        "\"sizeBytes\":1000,\"presentBytes\":250}],\"layers\":[{\"snapshot\":0,\"directory\":\"\","
        "\"image\":\"r/b:1\",\"namespace\":\"\",\"manifest\":\"" MANIFEST_B
        "\",\"digest\":\"\",\"backend\":\"fuse\",\"state\":\"not-mounted\",\"check\":\"\","
        "\"sizeBytes\":1000,"
        "\"presentBytes\":250,\"error\":\"no \\u001b[31mindex\",\"errorTime\":\"\"}],"
        "\"events\":[{\"kind\":\"deferred\",\"time\":\"\",\"count\":3,\"image\":\"r/b:1\","
        "\"layer\":\"\",\"text\":\"no \\u001b[31mindex\"}]}\n"));
}

static void no_line_is_wider_than_the_screen_and_none_steers_it(void **state)
{
    SCOPED(status_report) struct status_report report = {.messages = NULL};
    const struct status_style style = {.width = 40, .layers = true};
    SCOPED(buf_value) struct buf text = BUF_EMPTY;
    size_t column = 0;
    bool cut = false;

    (void)state;
    fill(&report);
    assert_ok(status_print_table(&report, &style, &text));
    for (size_t i = 0; i < text.len; i++) {
        assert_true(text.data[i] == '\n' || text.data[i] >= ' ');
        if (text.data[i] == '\n')
            column = 0;
        else if ((text.data[i] & 0xc0) != 0x80)
            column++;
        assert_true(column <= 40);
        cut |= text.data[i] == 0xe2;
    }
    assert_true(cut);
}

static void a_table_tells_what_an_image_has_and_lacks(void **state)
{
    SCOPED(status_report) struct status_report report = {.messages = NULL};
    const struct status_style style = {.width = 0};
    SCOPED(buf_value) struct buf text = BUF_EMPTY;

    (void)state;
    fill(&report);
    assert_ok(status_print_table(&report, &style, &text));
    assert_non_null(strstr(buf_str(&text), "r/a:1  aaaaaaaaaaaa  1000 B of 3.9 KiB, 25 %"));
    assert_non_null(strstr(buf_str(&text), "2 lazy, 1 local, 1 pending\n"));
    assert_non_null(strstr(buf_str(&text), "1 not mounted\n"));
    assert_non_null(
        strstr(buf_str(&text), "r/b:1: left to containerd\n    no ?[31mindex (3 times)\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_image_is_meant_by_any_of_its_names),
        cmocka_unit_test(another_image_is_not_meant),
        cmocka_unit_test(layers_are_counted_by_image_over_all_messages),
        cmocka_unit_test(only_what_concerns_an_image_is_kept),
        cmocka_unit_test(a_message_that_is_none_is_refused),
        cmocka_unit_test(json_has_every_field_of_an_empty_daemon),
        cmocka_unit_test(json_has_layers_images_and_events),
        cmocka_unit_test(no_line_is_wider_than_the_screen_and_none_steers_it),
        cmocka_unit_test(a_table_tells_what_an_image_has_and_lacks),
    };
    return cmocka_run_group_tests_name("daemon status", tests, NULL, NULL);
}
