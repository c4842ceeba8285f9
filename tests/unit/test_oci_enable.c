/* SPDX-License-Identifier: Apache-2.0 */
/* test_oci_enable.c – an image that names its SOCI indexes: the reference's bytes, what is kept
 * that the reference loses, what is refused. */
#include "test.h"

#include "oci/oci.h"

#include <errno.h>

#define SOURCE                                                                                     \
    "image/image/blobs/sha256/54d5e954ce7c6548699aab7461651b12a80e11dc1da344626f9677c1ab88c94f"
#define INDEX "sha256:78fdaa2f89842174f23d222a768c51a0bf0a76392ae36a45337ac99bd8687def"
#define A "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define C "sha256:cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"
#define D "sha256:dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"
#define MANIFEST_TYPE "\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\""
#define SOCI_TYPE "\"artifactType\":\"application/vnd.amazon.soci.index.v2+json\""

static struct digest digest(const char *text)
{
    struct digest ret;

    assert_ok(digest_parse(text, &ret, NULL));
    return ret;
}

static void assert_bytes(const struct buf *have, const char *vector)
{
    struct buf *want = vector_load(vector);

    assert_true(bytes_equal(buf_bytes(have), buf_bytes(want)));
    buf_free(want);
}

/* ---- manifests ------------------------------------------------------------------------------- */

static void a_manifest_becomes_the_references(void **state)
{
    struct buf *json = vector_load(SOURCE);
    SCOPED(buf_value) struct buf out = BUF_EMPTY;
    struct digest index = digest(INDEX);
    struct err err = ERR_NONE;

    (void)state;
    assert_ok(soci_enable_manifest(buf_bytes(json), &index, &out, &err));
    assert_bytes(&out, "image/converted-v2/manifest.json");
    buf_free(json);
}

static void assert_manifest(const char *from, const char *index, const char *want)
{
    SCOPED(buf_value) struct buf out = BUF_EMPTY;
    struct digest parsed = digest(index == NULL ? A : index);
    struct err err = ERR_NONE;

    assert_ok(soci_enable_manifest(bytes_of_str(from), index == NULL ? NULL : &parsed, &out, &err));
    assert_string_equal(buf_str(&out), want);
}

static void docker_s_types_become_oci_s_but_those_of_layers(void **state)
{
    (void)state;
    assert_manifest(
        "{\"schemaVersion\":2,"
        "\"mediaType\":\"application/vnd.docker.distribution.manifest.v2+json\","
        "\"config\":{\"mediaType\":\"application/vnd.docker.container.image.v1+json\",\"size\":3,"
        "\"digest\":\"" A "\"},\"layers\":[{\"mediaType\":"
        "\"application/vnd.docker.image.rootfs.diff.tar.gzip\",\"size\":5,\"digest\":\"" B "\"}]}",
        NULL,
        "{\"schemaVersion\":2," MANIFEST_TYPE
        ",\"config\":{\"mediaType\":\"application/vnd.oci.image.config.v1+json\","
        "\"digest\":\"" A "\",\"size\":3},\"layers\":[{\"mediaType\":"
        "\"application/vnd.docker.image.rootfs.diff.tar.gzip\",\"digest\":\"" B "\",\"size\":5}]}");
}

static void what_nobody_knows_is_kept_behind_what_is_known(void **state)
{
    (void)state;
    assert_manifest(
        "{\"x\":[1.5,{\"b\":true,\"a\":null}],\"annotations\":{\"z\":\"<&>\",\"a\":\"\"},"
        "\"layers\":[{\"size\":9007199254740991,\"mediaType\":\"m\",\"digest\":\"" B
        "\",\"urls\":[\"u\"],\"y\":-7,\"data\":\"ZA==\"}],\"config\":{\"digest\":\"" A
        "\",\"size\":0,\"mediaType\":\"application/vnd.other\"},\"subject\":null}",
        C,
        "{" MANIFEST_TYPE ",\"config\":{\"mediaType\":\"application/vnd.other\",\"digest\":\"" A
        "\",\"size\":0},\"layers\":[{\"mediaType\":\"m\",\"digest\":\"" B
        "\",\"size\":9007199254740991,\"urls\":[\"u\"],\"data\":\"ZA==\",\"y\":-7}],"
        "\"annotations\":{\"a\":\"\",\"com.amazon.soci.index-digest\":\"" C
        "\",\"z\":\"\\u003c\\u0026\\u003e\"},\"x\":[1.5,{\"b\":true,\"a\":null}]}");
}

static void a_manifest_that_named_an_index_names_the_new_one(void **state)
{
    static const char head[] = "{\"config\":{\"mediaType\":\"m\",\"digest\":\"" A "\",\"size\":1},";

    (void)state;
    SCOPED(buf_value) struct buf from = BUF_EMPTY;
    assert_ok(
        buf_addf(&from, "%s\"annotations\":{\"com.amazon.soci.index-digest\":\"" B "\"}}", head));
    assert_manifest(buf_str(&from), C,
                    "{" MANIFEST_TYPE ",\"config\":{\"mediaType\":\"m\",\"digest\":\"" A
                    "\",\"size\":1},\"annotations\":{\"com.amazon.soci.index-digest\":\"" C "\"}}");
    assert_manifest(buf_str(&from), NULL,
                    "{" MANIFEST_TYPE ",\"config\":{\"mediaType\":\"m\",\"digest\":\"" A
                    "\",\"size\":1},\"annotations\":{\"com.amazon.soci.index-digest\":\"" B "\"}}");
}

/* ---- lists ----------------------------------------------------------------------------------- */

static void the_list_becomes_the_references(void **state)
{
    struct buf *manifest = vector_load("image/converted-v2/manifest.json");
    struct buf *index = vector_load("image/converted-v2/index.json"), *source = vector_load(SOURCE);
    SCOPED(oci_manifest) struct oci_manifest *parsed = NULL;
    SCOPED(oci_index) struct oci_index *list = oci_index_new();
    SCOPED(buf_value) struct buf json = BUF_EMPTY, out = BUF_EMPTY;
    struct oci_platform platform = {.os = (char[]){"linux"}, .architecture = (char[]){"amd64"}};
    struct oci_descriptor only = {.media_type = (char[]){OCI_MEDIA_MANIFEST}, .platform = platform};
    struct soci_enabled enabled = {.to_bytes = manifest->len};
    struct soci_listed listed = {.index_bytes = index->len, .platform = &platform};
    struct soci_enable options = {
        .enabled = &enabled, .enabled_count = 1, .listed = &listed, .listed_count = 1};
    struct err err = ERR_NONE;

    (void)state;
    assert_ok(oci_manifest_parse(buf_bytes(manifest), &parsed, &err));
    assert_ok(digest_of(buf_bytes(source), &only.digest));
    only.size_bytes = source->len;
    assert_ok(oci_index_add(list, &only));
    assert_ok(oci_index_encode(list, &json, &err));
    enabled.from = only.digest;
    enabled.annotations = &parsed->annotations;
    assert_ok(digest_of(buf_bytes(manifest), &enabled.to));
    listed.manifest = enabled.to;
    assert_ok(digest_of(buf_bytes(index), &listed.index));
    assert_ok(soci_enable_list(buf_bytes(&json), &options, &out, &err));
    assert_bytes(&out, "image/converted-v2/list.json");
    buf_free(manifest);
    buf_free(index);
    buf_free(source);
}

/* Manifest A becomes B; index C is listed for linux/arm64. */
static void assert_list(const char *from, const char *want)
{
    SCOPED(buf_value) struct buf out = BUF_EMPTY;
    SCOPED(text_map) struct text_map annotations = TEXT_MAP_EMPTY;
    struct oci_platform platform = {.os = (char[]){"linux"}, .architecture = (char[]){"arm64"}};
    const struct soci_enabled enabled = {
        .from = digest(A), .to = digest(B), .to_bytes = 20, .annotations = &annotations};
    const struct soci_listed listed = {
        .index = digest(C), .index_bytes = 30, .manifest = digest(B), .platform = &platform};
    struct soci_enable options = {
        .enabled = &enabled, .enabled_count = 1, .listed = &listed, .listed_count = 1};
    struct err err = ERR_NONE;

    assert_ok(text_map_set(&annotations, "m", "1"));
    assert_ok(soci_enable_list(bytes_of_str(from), &options, &out, &err));
    assert_string_equal(buf_str(&out), want);
}

#define INDEX_ENTRY                                                                                \
    "{" MANIFEST_TYPE ",\"digest\":\"" C                                                           \
    "\",\"size\":30,\"annotations\":{\"com.amazon.soci.image-manifest-digest\":\"" B "\"}"         \
    ",\"platform\":{\"architecture\":\"arm64\",\"os\":\"linux\"}," SOCI_TYPE "}"

static void what_refers_to_a_manifest_refers_to_what_stands_for_it(void **state)
{
    (void)state;
    assert_list("{\"mediaType\":\"application/vnd.docker.distribution.manifest.list.v2+json\","
                "\"schemaVersion\":2,\"manifests\":[{\"size\":7,\"digest\":\"" A
                "\",\"mediaType\":\"application/vnd.docker.distribution.manifest.v2+json\","
                "\"annotations\":{\"d\":\"2\"}},{" MANIFEST_TYPE ",\"digest\":\"" D
                "\",\"size\":9,\"annotations\":{\"vnd.docker.reference.digest\":\"" A
                "\",\"vnd.docker.reference.type\":\"attestation-manifest\"},"
                "\"platform\":{\"architecture\":\"unknown\",\"os\":\"unknown\"}}],\"k\":{}}",
                "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.index.v1+json\","
                "\"manifests\":[{" MANIFEST_TYPE ",\"digest\":\"" B
                "\",\"size\":20,\"annotations\":{\"d\":\"2\",\"m\":\"1\"}},{" MANIFEST_TYPE
                ",\"digest\":\"" D
                "\",\"size\":9,\"annotations\":{\"vnd.docker.reference.digest\":\"" B
                "\",\"vnd.docker.reference.type\":\"attestation-manifest\"},"
                "\"platform\":{\"architecture\":\"unknown\",\"os\":\"unknown\"}}," INDEX_ENTRY
                "],\"k\":{}}");
}

static void an_index_takes_the_place_of_the_platform_s_older_one_alone(void **state)
{
    (void)state;
    assert_list(
        "{\"manifests\":[{" MANIFEST_TYPE ",\"digest\":\"" D
        "\",\"size\":1,\"platform\":{\"architecture\":\"aarch64\",\"os\":\"linux\"}," SOCI_TYPE
        "},{" MANIFEST_TYPE ",\"digest\":\"" D
        "\",\"size\":1,\"platform\":{\"architecture\":\"amd64\",\"os\":\"linux\"}," SOCI_TYPE "}]}",
        "{\"mediaType\":\"application/vnd.oci.image.index.v1+json\",\"manifests\":[" INDEX_ENTRY
        ",{" MANIFEST_TYPE ",\"digest\":\"" D
        "\",\"size\":1,\"platform\":{\"architecture\":\"amd64\",\"os\":\"linux\"}," SOCI_TYPE
        "}]}");
}

/* ---- refusing -------------------------------------------------------------------------------- */

static void refuse(const char *json)
{
    SCOPED(buf_value) struct buf out = BUF_EMPTY;
    const struct soci_enable none = {.enabled_count = 0};
    struct err err = ERR_NONE;

    assert_ok(buf_add_str(&out, "kept"));
    assert_int_equal(soci_enable_manifest(bytes_of_str(json), NULL, &out, &err), -EBADMSG);
    assert_int_equal(soci_enable_list(bytes_of_str(json), &none, &out, &err), -EBADMSG);
    assert_string_equal(buf_str(&out), "kept");
}

static void what_is_neither_is_refused(void **state)
{
    (void)state;
    refuse("");
    refuse("[]");
    refuse("{}");
    refuse("{\"manifests\":[],\"layers\":[]}");
    refuse("{\"manifests\":[{\"digest\":\"" A "\"}],\"config\":{\"digest\":\"" A "\"}}");
    refuse("{\"manifests\":{\"a\":1},\"config\":7}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_manifest_becomes_the_references),
        cmocka_unit_test(docker_s_types_become_oci_s_but_those_of_layers),
        cmocka_unit_test(what_nobody_knows_is_kept_behind_what_is_known),
        cmocka_unit_test(a_manifest_that_named_an_index_names_the_new_one),
        cmocka_unit_test(the_list_becomes_the_references),
        cmocka_unit_test(what_refers_to_a_manifest_refers_to_what_stands_for_it),
        cmocka_unit_test(an_index_takes_the_place_of_the_platform_s_older_one_alone),
        cmocka_unit_test(what_is_neither_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
