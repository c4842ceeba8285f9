/* SPDX-License-Identifier: Apache-2.0 */
/* An image that names its index comes to name another: what is changed, what stays, what is
 * refused. */
#include "test.h"

#include "cli/reindex.h"

#include <errno.h>

#define A "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define C "sha256:cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"
#define D "sha256:dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"

/* Manifest A becomes B of 20 bytes, index C becomes D of 5,000,000,000. */
static struct cli_reindex_change change(void)
{
    struct cli_reindex_change c = {.to_manifest_bytes = 20, .to_index_bytes = 5000000000};

    assert_ok(digest_parse(A, &c.from_manifest, NULL));
    assert_ok(digest_parse(B, &c.to_manifest, NULL));
    assert_ok(digest_parse(C, &c.from_index, NULL));
    assert_ok(digest_parse(D, &c.to_index, NULL));
    return c;
}

static void the_manifest_names_the_new_index_and_keeps_all_else(void **state)
{
    struct cli_reindex_change c = change();
    SCOPED(buf_value) struct buf out = BUF_EMPTY;
    struct err err = ERR_NONE;

    (void)state;
    assert_ok(cli_reindex_manifest(
        bytes_of_str("{\"x\":[1,{}],\"annotations\":{\"com.amazon.soci.index-digest\":\"" C
                     "\",\"y\":\"" C "\"},\"config\":{\"digest\":\"" A "\"}}"),
        &c, &out, &err));
    assert_string_equal(buf_str(&out),
                        "{\"x\":[1,{}],\"annotations\":{\"com.amazon.soci.index-digest\":\"" D
                        "\",\"y\":\"" C "\"},\"config\":{\"digest\":\"" A "\"}}");
}

static void the_list_has_the_new_ones_with_their_sizes_in_the_same_places(void **state)
{
    struct cli_reindex_change c = change();
    SCOPED(buf_value) struct buf out = BUF_EMPTY;
    struct err err = ERR_NONE;

    (void)state;
    assert_ok(cli_reindex_list(
        bytes_of_str("{\"manifests\":[{\"digest\":\"" B "\",\"size\":3},{\"digest\":\"" A
                     "\",\"size\":7,\"annotations\":{\"com.amazon.soci.index-digest\":\"" C
                     "\"},\"platform\":{\"os\":\"linux\"}},{\"size\":9,\"digest\":\"" C
                     "\",\"annotations\":{\"com.amazon.soci.image-manifest-digest\":\"" A
                     "\"}}],\"z\":null}"),
        &c, &out, &err));
    assert_string_equal(buf_str(&out),
                        "{\"manifests\":[{\"digest\":\"" B "\",\"size\":3},{\"digest\":\"" B
                        "\",\"size\":20,\"annotations\":{\"com.amazon.soci.index-digest\":\"" D
                        "\"},\"platform\":{\"os\":\"linux\"}},{\"size\":5000000000,\"digest\":\"" D
                        "\",\"annotations\":{\"com.amazon.soci.image-manifest-digest\":\"" B
                        "\"}}],\"z\":null}");
}

static void refuse_manifest(const char *json)
{
    struct cli_reindex_change c = change();
    SCOPED(buf_value) struct buf out = BUF_EMPTY;
    struct err err = ERR_NONE;

    assert_int_equal(cli_reindex_manifest(bytes_of_str(json), &c, &out, &err), -EBADMSG);
    assert_int_equal(cli_reindex_list(bytes_of_str(json), &c, &out, &err), -EBADMSG);
    assert_int_equal(out.len, 0);
}

static void what_names_neither_is_refused(void **state)
{
    (void)state;
    refuse_manifest("");
    refuse_manifest("{");
    refuse_manifest("[]");
    refuse_manifest("3");
    refuse_manifest("{}");
    refuse_manifest("{\"annotations\":{\"com.amazon.soci.index-digest\":\"" A "\"}}");
    refuse_manifest("{\"annotations\":{\"com.amazon.soci.index-digest\":4}}");
    refuse_manifest("{\"annotations\":[\"" C "\"],\"manifests\":[{\"digest\":\"" C "\"},7]}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_manifest_names_the_new_index_and_keeps_all_else),
        cmocka_unit_test(the_list_has_the_new_ones_with_their_sizes_in_the_same_places),
        cmocka_unit_test(what_names_neither_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
