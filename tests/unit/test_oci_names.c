/* SPDX-License-Identifier: Apache-2.0 */
/* Image references, platforms and layer types: names as people and manifests write them. */
#include "test.h"

#include "oci/oci.h"

#include <errno.h>
#include <stdlib.h>

#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void expect_reference(const char *text, const char *host, const char *repository,
                             const char *tag, const char *digest)
{
    SCOPED(oci_reference) struct oci_reference ref = {.host = NULL};
    struct err err = ERR_NONE;

    if (oci_reference_parse(text, &ref, &err) < 0)
        fail_msg("%s", err_text(&err));
    assert_string_equal(ref.host, host);
    assert_string_equal(ref.repository, repository);
    assert_string_equal(ref.tag == NULL ? "-" : ref.tag, tag);
    assert_string_equal(ref.digest == NULL ? "-" : ref.digest, digest);
}

static void references_are_read_as_docker_reads_them(void **state)
{
    (void)state;
    expect_reference("alpine", "docker.io", "library/alpine", "-", "-");
    expect_reference("alpine:3.19", "docker.io", "library/alpine", "3.19", "-");
    expect_reference("docker.io/library/alpine:3", "docker.io", "library/alpine", "3", "-");
    expect_reference("index.docker.io/alpine", "docker.io", "library/alpine", "-", "-");
    expect_reference("user/app", "docker.io", "user/app", "-", "-");
    expect_reference("localhost/app", "localhost", "app", "-", "-");
    expect_reference("localhost:5000/team/app:v1", "localhost:5000", "team/app", "v1", "-");
    expect_reference("127.0.0.1:5000/app@sha256:" HEX64, "127.0.0.1:5000", "app", "-",
                     "sha256:" HEX64);
    expect_reference("[::1]:5000/app", "[::1]:5000", "app", "-", "-");
    expect_reference("Registry/app", "Registry", "app", "-", "-");
    expect_reference("ghcr.io/a/b__c/d-e--f.g:T_1.x-y@sha256:" HEX64, "ghcr.io", "a/b__c/d-e--f.g",
                     "T_1.x-y", "sha256:" HEX64);
}

static void references_that_are_none_are_refused(void **state)
{
    static const char *const bad[] = {
        "",
        ":tag",
        "Alpine",
        "a/Upper",
        "a//b",
        "/a",
        "a/",
        "a..b",
        "a___b",
        "-a",
        "a-",
        "a b",
        "a:",
        "a:.tag",
        "a:b:c",
        "a@sha256:12",
        HEX64,
        "host.example:port/a",
        "host.example:0/a",
        "host.example:65536/a",
        "host..example/a",
        "-host.example/a",
        "user:secret@host.example/a",
        "https://host.example/a",
        "[::1%lo]:5000/a",
        "[/a",
        "host.example/a?query",
        "a\nb",
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct oci_reference ref = {.host = NULL};
        struct err err = ERR_NONE;
        if (oci_reference_parse(bad[i], &ref, &err) != -EINVAL)
            fail_msg("\"%s\" was accepted", bad[i]);
        assert_null(ref.host);
    }
}

static void digests_of_other_kinds_or_counts_are_refused(void **state)
{
    struct oci_reference ref = {.host = NULL};
    struct err err = ERR_NONE;
    (void)state;

    assert_int_equal(oci_reference_parse("a@sha512:" HEX64, &ref, &err), -EINVAL);
    assert_int_equal(oci_reference_parse("a@sha256:" HEX64 "@sha256:" HEX64, &ref, &err), -EINVAL);
    assert_null(ref.host);
}

static void a_reference_of_more_than_255_characters_is_refused(void **state)
{
    SCOPED(oci_reference) struct oci_reference ref = {.host = NULL};
    struct oci_reference refused = {.host = NULL};
    char text[260];
    struct err err = ERR_NONE;
    (void)state;

    memset(text, 'a', sizeof(text));
    memcpy(text, "a.io/", 5);
    text[255] = '\0';
    assert_ok(oci_reference_parse(text, &ref, &err));
    text[255] = 'a';
    text[256] = '\0';
    assert_int_equal(oci_reference_parse(text, &refused, &err), -EINVAL);
}

static void expect_platform(const char *text, const char *normal)
{
    SCOPED(oci_platform) struct oci_platform platform = {.os = NULL};
    SCOPED(mem) char *back = NULL;
    struct err err = ERR_NONE;

    if (oci_platform_parse(text, &platform, &err) < 0)
        fail_msg("%s", err_text(&err));
    back = oci_platform_text(&platform);
    assert_string_equal(back, normal);
}

static void platforms_are_normalised(void **state)
{
    (void)state;
    expect_platform("linux/amd64", "linux/amd64");
    expect_platform("linux/x86_64", "linux/amd64");
    expect_platform("linux/amd64/v1", "linux/amd64");
    expect_platform("linux/amd64/v3", "linux/amd64/v3");
    expect_platform("linux/aarch64", "linux/arm64");
    expect_platform("linux/arm64/v8", "linux/arm64/v8");
    expect_platform("linux/arm", "linux/arm");
    expect_platform("linux/arm/7", "linux/arm/v7");
    expect_platform("linux/armhf", "linux/arm");
    expect_platform("linux/armel", "linux/arm/v6");
    expect_platform("arm64", "linux/arm64");
    expect_platform("macos/arm64", "darwin/arm64");
}

static void platforms_that_are_none_are_refused(void **state)
{
    static const char *const bad[] = {"", "/", "linux/", "linux/amd64/v1/x", "vax", "linux/am d64"};
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct oci_platform platform = {.os = NULL};
        struct err err = ERR_NONE;
        if (oci_platform_parse(bad[i], &platform, &err) != -EINVAL)
            fail_msg("\"%s\" was accepted", bad[i]);
        assert_null(platform.os);
    }
}

static bool matches(const char *have, const char *want)
{
    SCOPED(oci_platform) struct oci_platform a = {.os = NULL};
    SCOPED(oci_platform) struct oci_platform b = {.os = NULL};

    assert_ok(oci_platform_parse(have, &a, NULL));
    assert_ok(oci_platform_parse(want, &b, NULL));
    return oci_platform_matches(&a, &b);
}

static void platforms_match_in_any_spelling(void **state)
{
    (void)state;
    assert_true(matches("linux/amd64", "linux/x86_64"));
    assert_true(matches("linux/arm64/v8", "linux/aarch64"));
    assert_true(matches("linux/arm", "linux/arm/v7"));
}

static void another_platform_does_not_match(void **state)
{
    (void)state;
    assert_false(matches("linux/amd64/v3", "linux/amd64"));
    assert_false(matches("linux/arm64", "linux/amd64"));
    assert_false(matches("windows/amd64", "linux/amd64"));
    assert_false(matches("linux/arm/v6", "linux/arm/v7"));
}

static void an_empty_wish_matches_this_machine(void **state)
{
    SCOPED(oci_platform) struct oci_platform host = {.os = NULL};
    struct oci_platform empty = {.os = NULL};
    struct oci_platform none = {.os = NULL};
    (void)state;

    assert_ok(oci_platform_host(&host));
    assert_true(oci_platform_matches(&host, &empty));
    assert_false(oci_platform_matches(&none, &empty));
}

static void layer_types_say_how_bytes_are_packed(void **state)
{
    static const struct {
        const char *media_type;
        enum oci_compression compression;
        const char *word;
    } types[] = {
        {"application/vnd.oci.image.layer.v1.tar+gzip", OCI_COMPRESSION_GZIP, "gzip"},
        {"application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", OCI_COMPRESSION_GZIP,
         "gzip"},
        {"application/vnd.docker.image.rootfs.diff.tar.gzip", OCI_COMPRESSION_GZIP, "gzip"},
        {"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", OCI_COMPRESSION_GZIP, "gzip"},
        {"application/vnd.oci.image.layer.v1.tar", OCI_COMPRESSION_NONE, "uncompressed"},
        {"application/vnd.docker.image.rootfs.diff.tar", OCI_COMPRESSION_UNKNOWN, "unknown"},
        {"application/vnd.oci.image.layer.v1.tar+zstd", OCI_COMPRESSION_UNSUPPORTED, "zstd"},
        {"application/vnd.docker.image.rootfs.diff.tar.zstd", OCI_COMPRESSION_UNSUPPORTED, "zstd"},
        {"application/vnd.oci.image.layer.nondistributable.v1.tar", OCI_COMPRESSION_UNSUPPORTED,
         ""},
        {"application/vnd.oci.image.layer.v1.tar+gzip+encrypted", OCI_COMPRESSION_UNSUPPORTED, ""},
        {"application/vnd.oci.image.layer.v1.tar+lz4", OCI_COMPRESSION_UNSUPPORTED, ""},
        {"application/vnd.docker.image.rootfs.diff.tar.gzip+encrypted", OCI_COMPRESSION_UNSUPPORTED,
         ""},
        {SOCI_MEDIA_PREFETCH, OCI_COMPRESSION_PREFETCH, ""},
        {"application/vnd.oci.image.layer.v2.tar+gzip", OCI_COMPRESSION_NO_LAYER, ""},
        {OCI_MEDIA_MANIFEST, OCI_COMPRESSION_NO_LAYER, ""},
        {"", OCI_COMPRESSION_NO_LAYER, ""},
        {NULL, OCI_COMPRESSION_NO_LAYER, ""},
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        assert_int_equal(oci_layer_compression(types[i].media_type), types[i].compression);
        assert_string_equal(oci_layer_compression_word(types[i].media_type), types[i].word);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(references_are_read_as_docker_reads_them),
        cmocka_unit_test(references_that_are_none_are_refused),
        cmocka_unit_test(digests_of_other_kinds_or_counts_are_refused),
        cmocka_unit_test(a_reference_of_more_than_255_characters_is_refused),
        cmocka_unit_test(platforms_are_normalised),
        cmocka_unit_test(platforms_that_are_none_are_refused),
        cmocka_unit_test(platforms_match_in_any_spelling),
        cmocka_unit_test(another_platform_does_not_match),
        cmocka_unit_test(an_empty_wish_matches_this_machine),
        cmocka_unit_test(layer_types_say_how_bytes_are_packed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
