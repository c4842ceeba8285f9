/* SPDX-License-Identifier: Apache-2.0 */
/* Every allocation fails once while documents are read and written: -ENOMEM, and nothing leaks or
 * is half done. */
#include "test.h"

#include "failing_malloc.h"
#include "oci/oci.h"

#include <errno.h>

static int read_and_write_index(struct bytes json)
{
    SCOPED(oci_index) struct oci_index *index = NULL;
    SCOPED(oci_index) struct oci_index *copy = NULL;
    SCOPED(buf_value) struct buf out = BUF_EMPTY;
    int rc = oci_index_parse(json, &index, NULL);

    if (rc < 0) {
        assert_null(index);
        return rc;
    }
    copy = oci_index_new();
    rc = copy == NULL ? -ENOMEM : oci_index_add(copy, &index->manifests[0]);
    return rc == 0 ? oci_index_encode(index, &out, NULL) : rc;
}

static int read_and_write_soci_index(struct bytes json)
{
    SCOPED(soci_index) struct soci_index *index = NULL;
    SCOPED(buf_value) struct buf out = BUF_EMPTY;
    int rc = soci_index_parse(json, &index, NULL);

    if (rc < 0) {
        assert_null(index);
        return rc;
    }
    rc = soci_index_encode(index, &out, NULL);
    assert_true(rc == 0 || out.len == 0);
    return rc;
}

static int read_names(struct bytes unused)
{
    SCOPED(oci_reference) struct oci_reference ref = {.host = NULL};
    SCOPED(oci_platform) struct oci_platform platform = {.os = NULL};
    int rc = oci_reference_parse(
        "localhost:5000/a/"
        "b:c@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        &ref, NULL);

    (void)unused;
    return rc == 0 ? oci_platform_parse("linux/arm64/v8", &platform, NULL) : rc;
}

static void expect_survival(int (*run)(struct bytes json), const char *name)
{
    SCOPED(buf) struct buf *json = vector_load(name);
    int n = 0, rc;

    for (;; n++) {
        fail_one_allocation(n);
        rc = run(buf_bytes(json));
        if (!stop_failing())
            break;
        assert_int_equal(rc, -ENOMEM);
    }
    assert_ok(rc);
    assert_in_range(n, 5, 1000);
}

/* The manifest with an index, and a list with that index. */
static int enable(struct bytes json)
{
    struct oci_platform platform = {.os = (char[]){"linux"}, .architecture = (char[]){"amd64"}};
    struct soci_listed listed = {.index_bytes = 1, .platform = &platform};
    const struct soci_enable options = {.listed = &listed, .listed_count = 1};
    SCOPED(buf_value) struct buf out = BUF_EMPTY;
    struct err err = ERR_NONE;
    int rc = soci_enable_list(json, &options, &out, &err);

    return rc == -EBADMSG ? soci_enable_manifest(json, &listed.index, &out, &err) : rc;
}

static void every_failing_allocation_is_an_error(void **state)
{
    (void)state;
    expect_survival(read_and_write_index, "oci/docker-list.json");
    expect_survival(read_and_write_index, "oci/converted-index.json");
    expect_survival(read_and_write_soci_index, "image/index-v1-min0.json");
    expect_survival(enable, "oci/docker-list.json");
    expect_survival(enable, "oci/converted-index.json");
    expect_survival(enable, "image/converted-v2/manifest.json");
    expect_survival(read_names, "oci/docker-list.json");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_failing_allocation_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
