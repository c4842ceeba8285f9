/* SPDX-License-Identifier: Apache-2.0 */
/* test_bundle.c – bundles of guest programs: good ones, and each way of being broken. */
#include "test.h"

#include "base/text.h"
#include "bundle/bundle.h"

#include <errno.h>
#include <zlib.h>

/* ---- making one ------------------------------------------------------------------------------ */

static void add_entry(struct buf *tar, const char *name, char type, const char *content)
{
    char header[512] = "";
    size_t len = strlen(content);
    unsigned sum = 0;

    (void)snprintf(header, 100, "%s", name);
    memcpy(header + 100, "0000644", 8);
    memcpy(header + 108, "0000000", 8);
    memcpy(header + 116, "0000000", 8);
    (void)snprintf(header + 124, 12, "%011o", (unsigned)len & 0xffffff);
    memcpy(header + 136, "00000000000", 12);
    memset(header + 148, ' ', 8);
    header[156] = type;
    memcpy(header + 257, "ustar\00000", 8);
    for (size_t i = 0; i < sizeof(header); i++)
        sum += (unsigned char)header[i];
    (void)snprintf(header + 148, 8, "%06o", sum & 0777777);
    assert_ok(buf_add(tar, header, sizeof(header)));
    assert_ok(buf_add(tar, content, len));
    assert_ok(buf_add_zeros(tar, (512 - len % 512) % 512));
}

static void compress_into(struct buf *gzip, const struct buf *tar)
{
    z_stream stream = {.next_in = tar->data, .avail_in = (unsigned)tar->len};

    assert_int_equal(deflateInit2(&stream, 6, Z_DEFLATED, 16 + 15, 8, Z_DEFAULT_STRATEGY), Z_OK);
    assert_ok(buf_reserve(gzip, deflateBound(&stream, tar->len)));
    stream.next_out = gzip->data;
    stream.avail_out = (unsigned)gzip->cap;
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    gzip->len = gzip->cap - stream.avail_out;
    (void)deflateEnd(&stream);
}

static char *manifest(const char *path, const char *mode, const char *content, int size_off,
                      bool wrong_sum)
{
    struct digest digest;
    char hex[2 * DIGEST_BYTES + 1];

    assert_ok(digest_of(bytes_of_str(content), &digest));
    digest.sha256[0] ^= wrong_sum ? 1 : 0;
    digest_hex(&digest, hex);
    return text_format(
        "{\"version\":\"1.2.3\",\"arch\":\"x86_64\",\"files\":[{\"path\":\"%s\",\"mode\":\"%s\","
        "\"size\":%d,\"sha256\":\"%s\"}]}",
        path, mode, (int)strlen(content) + size_off, hex);
}

static int parse_tar(struct buf *tar, struct bundle **ret, struct err *err)
{
    SCOPED(buf_value) struct buf gzip = BUF_EMPTY;

    assert_ok(buf_add_zeros(tar, 1024));
    compress_into(&gzip, tar);
    return bundle_parse(buf_bytes(&gzip), "x86_64", ret, err);
}

/* A bundle of one file. */
static int parse_one(const char *json, const char *name, const char *content, struct bundle **ret,
                     struct err *err)
{
    SCOPED(buf_value) struct buf tar = BUF_EMPTY;

    add_entry(&tar, "manifest.json", '0', json);
    add_entry(&tar, name, '0', content);
    return parse_tar(&tar, ret, err);
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void a_good_bundle_gives_its_files(void **state)
{
    SCOPED(bundle) struct bundle *bundle = NULL;
    SCOPED(mem) char *json = manifest("bin/soci", "0755", "program", 0, false);
    const struct bundle_file *file;
    struct err err = ERR_NONE;

    (void)state;
    assert_ok(parse_one(json, "bin/soci", "program", &bundle, &err));
    assert_string_equal(bundle_version(bundle), "1.2.3");
    assert_string_equal(bundle_arch(bundle), "x86_64");
    assert_int_equal(bundle_count(bundle), 1);
    file = bundle_find(bundle, "bin/soci");
    assert_non_null(file);
    assert_int_equal(file->mode, 0755);
    assert_true(bytes_equal(file->content, bytes_of_str("program")));
    assert_null(bundle_find(bundle, "bin/other"));
}

static void names_may_begin_with_a_dot_and_directories_may_be_there(void **state)
{
    SCOPED(bundle) struct bundle *bundle = NULL;
    SCOPED(buf_value) struct buf tar = BUF_EMPTY;
    SCOPED(mem) char *json = manifest("bin/soci", "0755", "program", 0, false);
    struct err err = ERR_NONE;

    (void)state;
    add_entry(&tar, "./manifest.json", '0', json);
    add_entry(&tar, "./bin/", '5', "");
    add_entry(&tar, "./bin/soci", '0', "program");
    assert_ok(parse_tar(&tar, &bundle, &err));
}

static void assert_broken(const char *json, const char *name, const char *content, const char *says)
{
    SCOPED(bundle) struct bundle *bundle = NULL;
    struct err err = ERR_NONE;

    assert_int_equal(parse_one(json, name, content, &bundle, &err), -EBADMSG);
    if (strstr(err_text(&err), says) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", err_text(&err), says);
}

static void files_that_are_not_as_the_manifest_says_are_refused(void **state)
{
    SCOPED(mem) char *good = manifest("bin/soci", "0755", "program", 0, false);
    SCOPED(mem) char *size = manifest("bin/soci", "0755", "program", 1, false);
    SCOPED(mem) char *sum = manifest("bin/soci", "0755", "program", 0, true);

    (void)state;
    assert_broken(size, "bin/soci", "program", "not what the manifest says");
    assert_broken(sum, "bin/soci", "program", "another digest");
    assert_broken(good, "bin/other", "program", "not what the manifest says");
    assert_broken(good, "manifest.json", "program", "not what the manifest says");
}

static void manifests_that_lead_elsewhere_are_refused(void **state)
{
    static const char *const paths[] = {
        "/etc/passwd", "../soci", "bin/../../x", "bin//x", "bin/", "", ".", "a b", "x\\n"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        SCOPED(mem) char *json = manifest(paths[i], "0755", "program", 0, false);

        assert_broken(json, "bin/soci", "program", "no path of its own");
    }
}

static void modes_that_are_none_or_more_than_permissions_are_refused(void **state)
{
    static const char *const modes[] = {"", "4755", "0999", "rwx", "7777777", "-1"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
        SCOPED(mem) char *json = manifest("bin/soci", modes[i], "program", 0, false);

        assert_broken(json, "bin/soci", "program", "no mode, size or sha256");
    }
}

static void json_that_is_no_manifest_is_refused(void **state)
{
    static const char *const texts[] = {"",
                                        "[]",
                                        "{\"version\":\"1\"}",
                                        "{\"version\":\"1 2\",\"arch\":\"x\"}",
                                        "{\"version\":\"1\",\"arch\":\"x\",\"files\":[]}",
                                        "{\"version\":\"1\",\"arch\":\"x\",\"files\":[7]}",
                                        "{\"version\":\"1\",\"arch\":\"x\",\"files\":{}}"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        assert_broken(texts[i], "bin/soci", "program", "");
}

static void archives_that_hold_something_else_are_refused(void **state)
{
    SCOPED(bundle) struct bundle *bundle = NULL;
    SCOPED(buf_value) struct buf no_manifest = BUF_EMPTY;
    SCOPED(buf_value) struct buf link = BUF_EMPTY;
    SCOPED(buf_value) struct buf missing = BUF_EMPTY;
    SCOPED(buf_value) struct buf empty = BUF_EMPTY;
    SCOPED(mem) char *json = manifest("bin/soci", "0755", "program", 0, false);
    struct err err = ERR_NONE;

    (void)state;
    add_entry(&no_manifest, "bin/soci", '0', "program");
    assert_int_equal(parse_tar(&no_manifest, &bundle, &err), -EBADMSG);
    add_entry(&link, "manifest.json", '0', json);
    add_entry(&link, "bin/soci", '2', "");
    assert_int_equal(parse_tar(&link, &bundle, &err), -EBADMSG);
    add_entry(&missing, "manifest.json", '0', json);
    assert_int_equal(parse_tar(&missing, &bundle, &err), -EBADMSG);
    assert_non_null(strstr(err_text(&err), "bin/soci is missing"));
    assert_int_equal(parse_tar(&empty, &bundle, &err), -EBADMSG);
    assert_null(bundle);
}

static void a_bundle_for_another_machine_is_refused(void **state)
{
    SCOPED(bundle) struct bundle *bundle = NULL;
    SCOPED(buf_value) struct buf tar = BUF_EMPTY;
    SCOPED(buf_value) struct buf gzip = BUF_EMPTY;
    SCOPED(mem) char *json = manifest("bin/soci", "0755", "program", 0, false);
    struct err err = ERR_NONE;

    (void)state;
    add_entry(&tar, "manifest.json", '0', json);
    add_entry(&tar, "bin/soci", '0', "program");
    assert_ok(buf_add_zeros(&tar, 1024));
    compress_into(&gzip, &tar);
    assert_int_equal(bundle_parse(buf_bytes(&gzip), "aarch64", &bundle, &err), -EBADMSG);
    assert_string_equal(err_text(&err), "it is for x86_64, the machine is aarch64");
}

/* Cut anywhere, or with one byte changed: never taken for whole, and never a crash. */
static void damage_is_always_noticed(void **state)
{
    SCOPED(buf_value) struct buf tar = BUF_EMPTY;
    SCOPED(buf_value) struct buf gzip = BUF_EMPTY;
    SCOPED(mem) char *json = manifest("bin/soci", "0755", "program", 0, false);

    (void)state;
    add_entry(&tar, "manifest.json", '0', json);
    add_entry(&tar, "bin/soci", '0', "program");
    assert_ok(buf_add_zeros(&tar, 1024));
    compress_into(&gzip, &tar);
    for (size_t i = 0; i < gzip.len; i++) {
        SCOPED(bundle) struct bundle *bundle = NULL;

        assert_true(bundle_parse(bytes_of(gzip.data, i), "x86_64", &bundle, NULL) < 0);
    }
    for (size_t i = 10; i < gzip.len; i++) { /* the header's time and system are nobody's concern */
        SCOPED(bundle) struct bundle *bundle = NULL;

        gzip.data[i] ^= 0x10;
        if (bundle_parse(buf_bytes(&gzip), "x86_64", &bundle, NULL) ==
            0) /* bits that fill a byte up */
            assert_true(bytes_equal(bundle_at(bundle, 0)->content, bytes_of_str("program")));
        gzip.data[i] ^= 0x10;
    }
    assert_ok(buf_add_byte(&gzip, 0));
    {
        SCOPED(bundle) struct bundle *bundle = NULL;

        assert_true(bundle_parse(buf_bytes(&gzip), "x86_64", &bundle, NULL) < 0);
    }
}

static void a_bundle_that_is_nowhere_is_said_so_with_what_to_do(void **state)
{
    SCOPED(bundle) struct bundle *bundle = NULL;
    struct err err = ERR_NONE;

    (void)state;
    assert_int_equal(bundle_open(NULL, "pdp11", &bundle, &err), -ENOENT);
    assert_non_null(strstr(err_text(&err), "finch-soci-guest-pdp11.tar.gz"));
    assert_non_null(strstr(err_text(&err), "--bundle FILE"));
    assert_int_equal(bundle_open("/no/such", "pdp11", &bundle, &err), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_bundle_gives_its_files),
        cmocka_unit_test(names_may_begin_with_a_dot_and_directories_may_be_there),
        cmocka_unit_test(files_that_are_not_as_the_manifest_says_are_refused),
        cmocka_unit_test(manifests_that_lead_elsewhere_are_refused),
        cmocka_unit_test(modes_that_are_none_or_more_than_permissions_are_refused),
        cmocka_unit_test(json_that_is_no_manifest_is_refused),
        cmocka_unit_test(archives_that_hold_something_else_are_refused),
        cmocka_unit_test(a_bundle_for_another_machine_is_refused),
        cmocka_unit_test(damage_is_always_noticed),
        cmocka_unit_test(a_bundle_that_is_nowhere_is_said_so_with_what_to_do),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
