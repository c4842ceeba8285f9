/* SPDX-License-Identifier: Apache-2.0 */
/* Prefetch artifacts: the reference's spelling, what is refused, and the order that they carry. */
#include "test.h"

#include "oci/oci.h"

#include <errno.h>

#define HEAD "{\"version\":\"1.0\",\"prefetch_spans\":["

static void assert_written(const struct soci_prefetch_span *spans, size_t count, const char *want)
{
    SCOPED(soci_prefetch) struct soci_prefetch prefetch = {.ranges = NULL};
    SCOPED(buf_value) struct buf out = BUF_EMPTY;
    struct err err = ERR_NONE;

    assert_ok(soci_prefetch_of_order(spans, count, &prefetch));
    assert_ok(soci_prefetch_encode(&prefetch, &out, &err));
    assert_string_equal(buf_str(&out), want);
}

static void refuse(const char *json)
{
    struct soci_prefetch prefetch = {.ranges = NULL};
    struct err err = ERR_NONE;
    int rc = soci_prefetch_parse(bytes_of_str(json), &prefetch, &err);

    if (rc != -EBADMSG)
        fail_msg("%s: %d", json, rc);
    assert_null(prefetch.ranges);
}

static void the_references_artifact_is_read_and_written_to_the_byte(void **state)
{
    const char *json = HEAD "{\"start_span\":0,\"end_span\":5}]}";
    SCOPED(soci_prefetch) struct soci_prefetch prefetch = {.ranges = NULL};
    SCOPED(buf_value) struct buf out = BUF_EMPTY;
    struct err err = ERR_NONE;

    (void)state;
    assert_ok(soci_prefetch_parse(bytes_of_str(json), &prefetch, &err));
    assert_int_equal(prefetch.count, 1);
    assert_int_equal(prefetch.ranges[0].first, 0);
    assert_int_equal(prefetch.ranges[0].last, 5);
    assert_int_equal(prefetch.ranges[0].priority, 0);
    assert_ok(soci_prefetch_encode(&prefetch, &out, &err));
    assert_string_equal(buf_str(&out), json);
}

static void ranges_are_sorted_and_no_longer_than_keeps_the_order(void **state)
{
    const struct soci_prefetch_span spans[] = {{7, 1}, {8, 2}, {9, 3}, {2, 4}, {6, 5}, {3, 8}};

    (void)state;
    assert_written(spans, 6,
                   HEAD "{\"start_span\":2,\"end_span\":2,\"priority\":4},"
                        "{\"start_span\":3,\"end_span\":3,\"priority\":8},"
                        "{\"start_span\":6,\"end_span\":6,\"priority\":5},"
                        "{\"start_span\":7,\"end_span\":9,\"priority\":1}]}");
}

static void neighbours_between_which_another_layer_was_read_stay_apart(void **state)
{
    const struct soci_prefetch_span spans[] = {{7, 1}, {8, 3}};

    (void)state;
    assert_written(spans, 2,
                   HEAD "{\"start_span\":7,\"end_span\":7,\"priority\":1},"
                        "{\"start_span\":8,\"end_span\":8,\"priority\":3}]}");
}

static void what_is_no_artifact_is_refused(void **state)
{
    (void)state;
    refuse("");
    refuse("[]");
    refuse("{}");
    refuse("{\"version\":\"1.0\"}");
    refuse("{\"version\":\"2.0\",\"prefetch_spans\":[{\"start_span\":0,\"end_span\":5}]}");
    refuse("{\"prefetch_spans\":[{\"start_span\":0,\"end_span\":5}]}");
    refuse("{\"version\":1.0,\"prefetch_spans\":[{\"start_span\":0,\"end_span\":5}]}");
    refuse("{\"version\":\"1.0\",\"prefetch_spans\":{\"start_span\":0,\"end_span\":5}}");
}

static void broken_ranges_are_refused(void **state)
{
    (void)state;
    refuse(HEAD "]}");
    refuse(HEAD "7]}");
    refuse(HEAD "{\"start_span\":0}]}");
    refuse(HEAD "{\"end_span\":0}]}");
    refuse(HEAD "{\"start_span\":6,\"end_span\":5}]}");
    refuse(HEAD "{\"start_span\":-1,\"end_span\":5}]}");
    refuse(HEAD "{\"start_span\":0,\"end_span\":0.5}]}");
    refuse(HEAD "{\"start_span\":0,\"end_span\":4294967295}]}");
    refuse(HEAD "{\"start_span\":0,\"end_span\":1e300}]}");
    refuse(HEAD "{\"start_span\":0,\"end_span\":1,\"priority\":-1}]}");
    refuse(HEAD "{\"start_span\":0,\"end_span\":1},null]}");
}

static void more_ranges_than_the_limit_are_refused(void **state)
{
    SCOPED(buf_value) struct buf json = BUF_EMPTY;

    (void)state;
    assert_ok(buf_add_str(&json, HEAD));
    for (int i = 0; i <= SOCI_PREFETCH_RANGES_MAX; i++)
        assert_ok(
            buf_addf(&json, "%s{\"start_span\":%d,\"end_span\":%d}", i == 0 ? "" : ",", i, i));
    assert_ok(buf_add_str(&json, "]}"));
    refuse(buf_str(&json));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_references_artifact_is_read_and_written_to_the_byte),
        cmocka_unit_test(ranges_are_sorted_and_no_longer_than_keeps_the_order),
        cmocka_unit_test(neighbours_between_which_another_layer_was_read_stay_apart),
        cmocka_unit_test(what_is_no_artifact_is_refused),
        cmocka_unit_test(broken_ranges_are_refused),
        cmocka_unit_test(more_ranges_than_the_limit_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
