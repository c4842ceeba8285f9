/* SPDX-License-Identifier: Apache-2.0 */
/* Manifests and indexes: what is read, how indexes are written, what is refused and why. */
#include "test.h"

#include "oci/oci.h"

#include <errno.h>
#include <stdlib.h>

static void a_manifest_gives_its_descriptors(void **state)
{
    SCOPED(buf) struct buf *json = vector_load("oci/converted-manifest.json");
    SCOPED(oci_manifest) struct oci_manifest *manifest = NULL;
    struct err err = ERR_NONE;
    char digest[DIGEST_TEXT_BYTES];
    (void)state;

    assert_ok(oci_manifest_parse(buf_bytes(json), &manifest, &err));
    assert_string_equal(manifest->media_type, OCI_MEDIA_MANIFEST);
    assert_int_equal(manifest->config.size_bytes, 416);
    assert_int_equal(manifest->layer_count, 4);
    assert_int_equal(manifest->layers[1].size_bytes, 67150);
    digest_format(&manifest->layers[1].digest, digest);
    assert_string_equal(digest,
                        "sha256:628fb9f72cd81b8e05156fb526f4dc5d605d15652c4e43264acec5fdd58c25e3");
    assert_null(manifest->subject);
    assert_string_equal(text_map_get(&manifest->annotations, "com.amazon.soci.index-digest"),
                        "sha256:78fdaa2f89842174f23d222a768c51a0bf0a76392ae36a45337ac99bd8687def");
}

static void null_members_count_as_absent(void **state)
{
    static const char json[] =
        "{\"schemaVersion\":2,\"mediaType\":null,\"layers\":null,\"subject\":null,\"annotations\":"
        "null,"
        "\"config\":{\"mediaType\":\"a/b\",\"size\":9007199254740991,\"annotations\":{\"k\":null},"
        "\"digest\":\"sha256:1111111111111111111111111111111111111111111111111111111111111111\"}}";
    SCOPED(oci_manifest) struct oci_manifest *manifest = NULL;
    struct err err = ERR_NONE;
    (void)state;

    assert_ok(oci_manifest_parse(bytes_of_str(json), &manifest, &err));
    assert_null(manifest->media_type);
    assert_null(manifest->subject);
    assert_int_equal(manifest->layer_count, 0);
    assert_int_equal(manifest->config.size_bytes, 9007199254740991);
    assert_string_equal(text_map_get(&manifest->config.annotations, "k"), "");
}

static void refuse(const char *name, const char *why)
{
    SCOPED(buf) struct buf *json = vector_load(name);
    struct oci_manifest *manifest = NULL;
    struct err err = ERR_NONE;

    assert_int_equal(oci_manifest_parse(buf_bytes(json), &manifest, &err), -EBADMSG);
    assert_null(manifest);
    if (strstr(err_text(&err), why) == NULL)
        fail_msg("%s: \"%s\" does not say \"%s\"", name, err_text(&err), why);
}

static void sizes_that_are_no_sizes_are_refused(void **state)
{
    (void)state;
    refuse("oci/bad-negative-size.json", "config: size is negative or too large");
    refuse("oci/bad-fractional-size.json", "config: size is no integer");
    refuse("oci/bad-size-2-to-53.json", "config: size is negative or too large");
    refuse("oci/bad-huge-size.json", "config: size is negative or too large");
    refuse("oci/bad-size-string.json", "config: size is no number");
    refuse("oci/bad-number-too-long.json", "a number of too many digits");
    refuse("oci/bad-leading-zero.json", "no comma and no end");
}

static void descriptors_without_what_they_need_are_refused(void **state)
{
    (void)state;
    refuse("oci/bad-no-size.json", "manifest: config: no size");
    refuse("oci/bad-no-digest.json", "manifest: config: no digest");
    refuse("oci/bad-no-media-type.json", "manifest: config: no mediaType");
    refuse("oci/bad-digest-short.json", "manifest: config: digest: ");
    refuse("oci/bad-digest-upper-case.json", "manifest: config: digest: ");
}

static void documents_of_another_shape_are_refused(void **state)
{
    (void)state;
    refuse("oci/bad-no-config.json", "manifest: no config");
    refuse("oci/bad-layers-object.json", "manifest: layers is no array");
    refuse("oci/bad-layer-string.json", "manifest: layers[0]: no object");
    refuse("oci/bad-schema-1.json", "schemaVersion is 1");
    refuse("oci/bad-array.json", "no JSON object");
    refuse("oci/bad-empty.json", "empty");
}

static void documents_that_two_readers_would_read_differently_are_refused(void **state)
{
    (void)state;
    refuse("oci/bad-manifests-too.json", "an index where a manifest is expected");
    refuse("oci/bad-name-twice.json", "layers is there twice");
    refuse("oci/bad-annotation-twice.json", "annotations: a key is there twice");
    refuse("oci/bad-nul-escape.json", "U+0000 in a string");
    refuse("oci/bad-nul-byte.json", "a control character in a string");
}

static void annotations_that_are_no_map_of_strings_are_refused(void **state)
{
    (void)state;
    refuse("oci/bad-annotation-number.json", "annotations: a value is no string");
    refuse("oci/bad-annotations-too-many.json", "annotations: more than 256 entries");
}

static void text_that_is_no_json_is_refused(void **state)
{
    (void)state;
    refuse("oci/bad-not-utf8.json", "not UTF-8");
    refuse("oci/bad-half-surrogate.json", "half a surrogate pair");
    refuse("oci/bad-control-character.json", "a control character");
    refuse("oci/bad-trailing-comma.json", "no JSON");
    refuse("oci/bad-behind-the-end.json", "something behind the end");
    refuse("oci/bad-cut-off.json", "no comma and no end");
    refuse("oci/bad-mismatched-bracket.json", "no JSON");
    refuse("oci/bad-nested-65.json", "too many levels");
}

static void refuse_text(const struct buf *text, const char *why)
{
    struct oci_index *index = NULL;
    struct err err = ERR_NONE;

    assert_int_equal(oci_index_parse(buf_bytes(text), &index, &err), -EBADMSG);
    assert_null(index);
    assert_non_null(strstr(err_text(&err), why));
}

static void documents_past_the_limits_are_refused(void **state)
{
    SCOPED(buf_value) struct buf large = BUF_EMPTY, many = BUF_EMPTY, values = BUF_EMPTY;
    (void)state;

    assert_ok(buf_add_str(&large, "{\"manifests\":[]"));
    while (large.len < OCI_MANIFEST_MAX_BYTES)
        assert_ok(buf_add_byte(&large, ' '));
    assert_ok(buf_add_byte(&large, '}'));
    refuse_text(&large, "at most 8388608 are read");

    assert_ok(buf_add_str(&many, "{\"manifests\":[0"));
    for (int i = 0; i < OCI_ENTRIES_MAX; i++)
        assert_ok(buf_add_str(&many, ",0"));
    assert_ok(buf_add_str(&many, "]}"));
    refuse_text(&many, "10001 manifests, at most 10000 are read");

    assert_ok(buf_add_str(&values, "{\"x\":[0"));
    for (int i = 0; i < 400 * 1000; i++)
        assert_ok(buf_add_str(&values, ",0"));
    assert_ok(buf_add_str(&values, "]}"));
    refuse_text(&values, "too many values");
}

static void a_platform_list_gives_its_platforms(void **state)
{
    SCOPED(buf) struct buf *json = vector_load("oci/docker-list.json");
    SCOPED(oci_index) struct oci_index *index = NULL;
    const struct oci_platform *windows;
    struct err err = ERR_NONE;
    (void)state;

    assert_ok(oci_index_parse(buf_bytes(json), &index, &err));
    assert_true(oci_is_index(index->media_type));
    assert_int_equal(index->manifest_count, 2);
    assert_true(oci_is_manifest(index->manifests[0].media_type));
    assert_string_equal(index->manifests[0].platform.variant, "v8");
    windows = &index->manifests[1].platform;
    assert_string_equal(windows->os_version, "10.0.17763");
    assert_int_equal(windows->os_features.count, 1);
    assert_string_equal(windows->os_features.items[0], "win32k");
}

static void an_index_is_written_as_the_reference_writes_it(void **state)
{
    SCOPED(buf) struct buf *json = vector_load("oci/converted-index.json");
    SCOPED(oci_index) struct oci_index *index = NULL;
    SCOPED(buf_value) struct buf out = BUF_EMPTY;
    struct err err = ERR_NONE;
    (void)state;

    assert_ok(oci_index_parse(buf_bytes(json), &index, &err));
    assert_ok(oci_index_encode(index, &out, &err));
    assert_string_equal(buf_str(&out), buf_str(json));
}

static void an_index_grows_by_copies(void **state)
{
    SCOPED(oci_index) struct oci_index *index = oci_index_new();
    struct oci_descriptor desc = {.media_type = (char[]){"a/b"}, .size_bytes = 5};
    SCOPED(buf_value) struct buf out = BUF_EMPTY;
    struct err err = ERR_NONE;
    (void)state;

    assert_non_null(index);
    assert_ok(text_map_set(&desc.annotations, "z", "<&>"));
    assert_ok(text_map_set(&desc.annotations, "a", "1"));
    for (int i = 0; i < 3; i++) {
        desc.digest.sha256[0] = (uint8_t)i;
        assert_ok(oci_index_add(index, &desc));
    }
    text_map_fini(&desc.annotations);
    assert_int_equal(index->manifest_count, 3);
    assert_int_equal(index->manifests[2].digest.sha256[0], 2);
    assert_ok(oci_index_encode(index, &out, &err));
    assert_non_null(
        strstr(buf_str(&out),
               "\"size\":5,\"annotations\":{\"a\":\"1\",\"z\":\"\\u003c\\u0026\\u003e\"}}"));
}

static void an_empty_index_has_an_empty_list(void **state)
{
    SCOPED(oci_index) struct oci_index *index = oci_index_new();
    SCOPED(buf_value) struct buf out = BUF_EMPTY;
    struct err err = ERR_NONE;
    (void)state;

    assert_ok(oci_index_encode(index, &out, &err));
    assert_string_equal(buf_str(&out),
                        "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image."
                        "index.v1+json\",\"manifests\":[]}");
}

static void a_manifest_is_no_index(void **state)
{
    SCOPED(buf) struct buf *json = vector_load("oci/converted-manifest.json");
    (void)state;

    refuse_text(json, "index: a manifest where an index is expected");
}

static void a_configuration_says_what_the_image_is_for(void **state)
{
    SCOPED(oci_platform) struct oci_platform platform = {.os = NULL};
    struct err err = ERR_NONE;

    (void)state;
    assert_ok(oci_config_platform(
        bytes_of_str("{\"os\":\"linux\",\"architecture\":\"arm\",\"variant\":\"v7\"}"), &platform,
        &err));
    assert_string_equal(platform.os, "linux");
    assert_string_equal(platform.architecture, "arm");
    assert_string_equal(platform.variant, "v7");
}

static void a_configuration_that_makes_no_sense_is_refused(void **state)
{
    struct oci_platform platform = {.os = NULL};
    struct err err = ERR_NONE;

    (void)state;
    assert_int_equal(oci_config_platform(bytes_of_str("{\"os\":5}"), &platform, &err), -EBADMSG);
    assert_int_equal(oci_config_platform(bytes_of_str("[]"), &platform, &err), -EBADMSG);
    assert_null(platform.os);
}

/* Of an image whose layers are those: is this one the lowest? */
static bool is_lowest(const char *layers, char layer, bool with_all)
{
    struct oci_descriptor descriptors[3] = {{.media_type = NULL}};
    const struct oci_manifest manifest = {.layers = descriptors, .layer_count = strlen(layers)};
    const struct digest digest = {{(uint8_t)layer}};

    for (size_t i = 0; i < manifest.layer_count; i++)
        descriptors[i].digest.sha256[0] = (uint8_t)layers[i];
    return oci_manifest_is_lowest(&manifest, &digest, with_all);
}

static void the_first_layer_is_the_lowest(void **state)
{
    (void)state;
    assert_true(is_lowest("AB", 'A', false));
    assert_true(is_lowest("ABB", 'A', false));
    assert_true(is_lowest("ABA", 'A', true));
}

static void another_layer_is_not_the_lowest(void **state)
{
    (void)state;
    assert_false(is_lowest("AB", 'B', true));
    assert_false(is_lowest("AB", 'C', true));
    assert_false(is_lowest("", 'A', true));
}

static void a_layer_that_is_there_twice_may_be_another_than_the_lowest(void **state)
{
    (void)state;
    assert_false(is_lowest("ABA", 'A', false));
    assert_false(is_lowest("ABB", 'B', true));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_manifest_gives_its_descriptors),
        cmocka_unit_test(null_members_count_as_absent),
        cmocka_unit_test(sizes_that_are_no_sizes_are_refused),
        cmocka_unit_test(descriptors_without_what_they_need_are_refused),
        cmocka_unit_test(documents_of_another_shape_are_refused),
        cmocka_unit_test(documents_that_two_readers_would_read_differently_are_refused),
        cmocka_unit_test(annotations_that_are_no_map_of_strings_are_refused),
        cmocka_unit_test(text_that_is_no_json_is_refused),
        cmocka_unit_test(documents_past_the_limits_are_refused),
        cmocka_unit_test(a_platform_list_gives_its_platforms),
        cmocka_unit_test(an_index_is_written_as_the_reference_writes_it),
        cmocka_unit_test(an_index_grows_by_copies),
        cmocka_unit_test(an_empty_index_has_an_empty_list),
        cmocka_unit_test(a_manifest_is_no_index),
        cmocka_unit_test(the_first_layer_is_the_lowest),
        cmocka_unit_test(another_layer_is_not_the_lowest),
        cmocka_unit_test(a_layer_that_is_there_twice_may_be_another_than_the_lowest),
        cmocka_unit_test(a_configuration_says_what_the_image_is_for),
        cmocka_unit_test(a_configuration_that_makes_no_sense_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
