/* SPDX-License-Identifier: Apache-2.0 */
/* SOCI indexes: read, written byte for byte as the reference does, and what is none. */
#include "test.h"

#include "oci/oci.h"

#include <errno.h>
#include <stdlib.h>

static struct soci_index *load(const char *name)
{
    SCOPED(buf) struct buf *json = vector_load(name);
    struct soci_index *index = NULL;
    struct err err = ERR_NONE;

    if (soci_index_parse(buf_bytes(json), &index, &err) < 0)
        fail_msg("%s: %s", name, err_text(&err));
    return index;
}

static void encoding_gives_the_bytes_that_were_parsed(void **state)
{
    static const char *const names[] = {"image/index-v1-min0.json", "image/index-v1-min100000.json",
                                        "oci/soci-index-v1-tiny.json", "oci/soci-index-v2.json"};
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        SCOPED(buf) struct buf *json = vector_load(names[i]);
        SCOPED(soci_index) struct soci_index *index = load(names[i]);
        SCOPED(buf_value) struct buf out = BUF_EMPTY;
        struct err err = ERR_NONE;

        assert_ok(soci_index_encode(index, &out, &err));
        assert_string_equal(buf_str(&out), buf_str(json));
    }
}

static struct digest digest_from(const char *text)
{
    struct digest digest;

    assert_ok(digest_parse(text, &digest, NULL));
    return digest;
}

static void an_index_made_by_hand_has_the_digest_of_the_reference(void **state)
{
    struct soci_index_ztoc ztoc = {
        .ztoc =
            digest_from("sha256:09469f9b02883dd2265cacc404277ac7570aec11e868dc2b9790148353362b25"),
        .ztoc_bytes = 33512,
        .layer =
            digest_from("sha256:66994cb2202ac6b310a8c3398412f076def39bf4b73bec3d6c337860b90a529a"),
        .layer_media_type = (char[]){"application/vnd.oci.image.layer.v1.tar+gzip"},
        .span_size = 4194304,
    };
    struct soci_index index = {
        .version = 1,
        .ztocs = &ztoc,
        .ztoc_count = 1,
        .has_subject = true,
        .subject_media_type = (char[]){OCI_MEDIA_MANIFEST},
        .subject =
            digest_from("sha256:b8a8172b4e3aba707e78d81ccfa01f6bd6caf904ee550f74f3e956f3f7de1ebb"),
        .subject_bytes = 401,
        .build_tool = (char[]){"AWS SOCI CLI v0.2"},
    };
    SCOPED(buf_value) struct buf out = BUF_EMPTY;
    struct err err = ERR_NONE;
    struct digest digest;
    char text[DIGEST_TEXT_BYTES];
    (void)state;

    assert_ok(soci_index_encode(&index, &out, &err));
    assert_int_equal(out.len, 873);
    assert_ok(digest_of(buf_bytes(&out), &digest));
    digest_format(&digest, text);
    assert_string_equal(text,
                        "sha256:869c61a1d138d6de4163377fc5c2e1bdbe9aa2eef093a72140bb971baf177798");
}

static void the_ztoc_of_a_layer_is_found_by_its_digest(void **state)
{
    SCOPED(soci_index) struct soci_index *index = load("image/index-v1-min0.json");
    struct digest layer =
        digest_from("sha256:628fb9f72cd81b8e05156fb526f4dc5d605d15652c4e43264acec5fdd58c25e3");
    const struct soci_index_ztoc *ztoc = soci_index_find(index, &layer);
    (void)state;

    assert_int_equal(index->version, 1);
    assert_int_equal(index->ztoc_count, 4);
    assert_int_equal(index->subject_bytes, 905);
    assert_string_equal(index->build_tool, "AWS SOCI CLI v0.2");
    assert_non_null(ztoc);
    assert_int_equal(ztoc->ztoc_bytes, 142656);
    assert_int_equal(ztoc->span_size, 32768);
    assert_false(ztoc->disable_xattrs);
    layer.sha256[0] ^= 1;
    assert_null(soci_index_find(index, &layer));
}

static void a_v2_index_needs_no_subject(void **state)
{
    SCOPED(soci_index) struct soci_index *index = load("oci/soci-index-v2.json");
    (void)state;

    assert_int_equal(index->version, 2);
    assert_false(index->has_subject);
    assert_int_equal(index->ztoc_count, 4);
}

static void disabled_xattrs_are_written_and_read(void **state)
{
    SCOPED(soci_index) struct soci_index *index = load("image/index-v1-min100000.json");
    SCOPED(soci_index) struct soci_index *again = NULL;
    SCOPED(buf_value) struct buf out = BUF_EMPTY;
    struct err err = ERR_NONE;
    (void)state;

    index->ztocs[0].disable_xattrs = true;
    assert_ok(soci_index_encode(index, &out, &err));
    assert_non_null(strstr(buf_str(&out),
                           "{\"com.amazon.soci.disable-xattrs\":\"true\",\"com.amazon."
                           "soci.image-layer-digest\""));
    assert_ok(soci_index_parse(buf_bytes(&out), &again, &err));
    assert_true(again->ztocs[0].disable_xattrs);
}

static void prefetch_artifacts_that_do_not_say_whose_they_are_are_passed_over(void **state)
{
    SCOPED(buf) struct buf *json = vector_load("image/index-v1-min100000.json");
    SCOPED(soci_index) struct soci_index *index = NULL;
    SCOPED(buf_value) struct buf text = BUF_EMPTY;
    struct err err = ERR_NONE;
    const char *whole = buf_str(json), *end = strstr(whole, "}}],");
    (void)state;

    assert_non_null(end);
    assert_ok(buf_add(&text, whole, (size_t)(end + 2 - whole)));
    assert_ok(buf_addf(&text, ",{\"mediaType\":\"%s\",\"digest\":\"sha256:%064d\",\"size\":3}",
                       SOCI_MEDIA_PREFETCH, 7));
    assert_ok(buf_add_str(&text, end + 2));
    assert_ok(soci_index_parse(buf_bytes(&text), &index, &err));
    assert_int_equal(index->ztoc_count, 1);
    assert_int_equal(index->prefetch_count, 0);
}

static void prefetch_artifacts_come_behind_the_ztocs_and_read_back(void **state)
{
    SCOPED(buf) struct buf *json = vector_load("image/index-v1-min100000.json");
    SCOPED(soci_index) struct soci_index *index = NULL, *again = NULL;
    SCOPED(buf_value) struct buf out = BUF_EMPTY;
    struct soci_index_prefetch prefetch = {.artifact_bytes = 99};
    char want[512], layer[DIGEST_TEXT_BYTES], artifact[DIGEST_TEXT_BYTES];
    struct err err = ERR_NONE;
    (void)state;

    assert_ok(soci_index_parse(buf_bytes(json), &index, &err));
    prefetch.layer = index->ztocs[0].layer;
    prefetch.artifact.sha256[0] = 0xaa;
    index->prefetches[index->prefetch_count++] = prefetch;
    assert_ok(soci_index_encode(index, &out, &err));
    digest_format(&prefetch.layer, layer);
    digest_format(&prefetch.artifact, artifact);
    (void)snprintf(want, sizeof(want),
                   "}},{\"mediaType\":\"application/vnd.amazon.soci.prefetch.v1+json\",\"digest\":"
                   "\"%s\",\"size\":99,\"annotations\":{\"com.amazon.soci.image-layer-digest\":"
                   "\"%s\"}}],\"subject\":",
                   artifact, layer);
    assert_non_null(strstr(buf_str(&out), want));
    assert_ok(soci_index_parse(buf_bytes(&out), &again, &err));
    assert_int_equal(again->prefetch_count, 1);
    assert_int_equal(soci_index_find_prefetch(again, &prefetch.layer)->artifact_bytes, 99);
    assert_null(soci_index_find_prefetch(again, &prefetch.artifact));
}

static void refuse(const char *name, const char *why)
{
    SCOPED(buf) struct buf *json = vector_load(name);
    struct soci_index *index = NULL;
    struct err err = ERR_NONE;

    assert_int_equal(soci_index_parse(buf_bytes(json), &index, &err), -EBADMSG);
    assert_null(index);
    if (strstr(err_text(&err), why) == NULL)
        fail_msg("%s: \"%s\" does not say \"%s\"", name, err_text(&err), why);
}

static void what_breaks_the_format_is_refused_with_the_reason(void **state)
{
    (void)state;
    refuse("oci/bad-soci-version.json",
           "unknown index version: application/vnd.amazon.soci.index.v3");
    refuse("oci/bad-soci-no-subject.json", "SOCI index: no subject");
    refuse("oci/bad-soci-no-layer-digest.json", "layers[0]: no com.amazon.soci.image-layer-digest");
    refuse("oci/bad-soci-layer-digest.json", "layers[0]: com.amazon.soci.image-layer-digest: ");
    refuse("oci/bad-soci-span-size.json", "span-size is no number");
}

static void an_image_manifest_is_no_soci_index(void **state)
{
    (void)state;
    refuse("oci/converted-manifest.json", "unknown index version");
    refuse("oci/converted-index.json", "an index where a manifest is expected");
}

static void an_unknown_version_is_not_written(void **state)
{
    struct soci_index index = {.version = 3};
    SCOPED(buf_value) struct buf out = BUF_EMPTY;
    struct err err = ERR_NONE;
    (void)state;

    assert_int_equal(soci_index_encode(&index, &out, &err), -EINVAL);
    assert_int_equal(out.len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encoding_gives_the_bytes_that_were_parsed),
        cmocka_unit_test(an_index_made_by_hand_has_the_digest_of_the_reference),
        cmocka_unit_test(the_ztoc_of_a_layer_is_found_by_its_digest),
        cmocka_unit_test(a_v2_index_needs_no_subject),
        cmocka_unit_test(disabled_xattrs_are_written_and_read),
        cmocka_unit_test(prefetch_artifacts_come_behind_the_ztocs_and_read_back),
        cmocka_unit_test(prefetch_artifacts_that_do_not_say_whose_they_are_are_passed_over),
        cmocka_unit_test(what_breaks_the_format_is_refused_with_the_reason),
        cmocka_unit_test(an_image_manifest_is_no_soci_index),
        cmocka_unit_test(an_unknown_version_is_not_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
