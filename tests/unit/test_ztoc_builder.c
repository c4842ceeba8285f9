/* SPDX-License-Identifier: Apache-2.0 */
/* test_ztoc_builder.c – what a build refuses and with which words, the golden layer, and what a
 * build tells. */
#include "make_layer.h"

#include "base/text.h"

#include <openssl/evp.h>

enum { SPAN_SIZE = 4096 };

static const char golden_layer[] =
    "H4sIAAAAAAAC/+3UwQrCMAwG4Jx9ir6BaUma5xEtTKwOtL6/"
    "2U7Sw0BYhLF8l4SeGn6S0s5HMIZKmOeq+jr3kTiRCNL0HhFTgsDwB+9XOz31K2sM"
    "+T3cRhTN/z62i3X+mWgh/9znrw0E9PzNDaXW8QBup6b9r9fHzfz+i/xw/yNnhpCsD5Pvv3Nuxz5vbs3ZAAwAAA==";

/* The golden layer: three entries of a plain tar of 3072 bytes, as 148 bytes of gzip. */
static void load_golden(struct buf *gz)
{
    size_t text_len = sizeof(golden_layer) - 1, pad = 2; /* the two = at the end */

    assert_ok(buf_reserve(gz, text_len));
    assert_int_equal(EVP_DecodeBlock(gz->data, (const unsigned char *)golden_layer, (int)text_len),
                     text_len / 4 * 3);
    gz->len = text_len / 4 * 3 - pad;
}

static void assert_digest(const struct digest *digest, const char *text)
{
    char ours[DIGEST_TEXT_BYTES];

    digest_format(digest, ours);
    assert_string_equal(ours, text);
}

static void the_golden_gzip_layer_has_its_golden_ztoc(void **state)
{
    SCOPED(buf_value) struct buf gz = BUF_EMPTY;
    SCOPED(buf_value) struct buf blob = BUF_EMPTY;
    SCOPED(ztoc) struct ztoc *toc = NULL;
    struct ztoc_build_info info;
    struct ztoc_span span;
    struct err err = ERR_NONE;

    (void)state;
    load_golden(&gz);
    assert_int_equal(gz.len, 148);
    assert_ok(
        ztoc_build(ZTOC_GZIP, ZTOC_DEFAULT_SPAN_SIZE, buf_bytes(&gz), 10, &blob, &info, &err));
    assert_int_equal(blob.len, 33512);
    assert_digest(&info.digest,
                  "sha256:09469f9b02883dd2265cacc404277ac7570aec11e868dc2b9790148353362b25");
    assert_ok(ztoc_parse(buf_bytes(&blob), &toc, &err));
    ztoc_span_at(toc, 0, &span);
    assert_digest(&span.digest,
                  "sha256:48087b36170dbdbfdb635b1d95554218cf615b97ce56725c77489d1737d67d40");
}

static void the_golden_plain_layer_has_its_golden_ztoc(void **state)
{
    struct buf *golden = vector_load("ztoc/golden-plain.ztoc");
    SCOPED(buf_value) struct buf gz = BUF_EMPTY;
    SCOPED(buf_value) struct buf tar = BUF_EMPTY;
    SCOPED(buf_value) struct buf blob = BUF_EMPTY;
    struct ztoc_build_info info;
    struct err err = ERR_NONE;

    (void)state;
    load_golden(&gz);
    gunzip(buf_bytes(&gz), &tar);
    assert_ok(ztoc_build(ZTOC_UNCOMPRESSED, ZTOC_DEFAULT_SPAN_SIZE, buf_bytes(&tar), 1000, &blob,
                         &info, &err));
    assert_digest(&info.digest,
                  "sha256:4015de08d243e209e81761f5cb57d022bc2cb16d13275f390dacd9c4e136e2ba");
    assert_true(bytes_equal(buf_bytes(&blob), buf_bytes(golden)));
    buf_free(golden);
}

/* ---- refusing -------------------------------------------------------------------------------- */

/* A layer of two members and three files, some noise in the middle. */
static void make_gzip(struct buf *ret)
{
    SCOPED(buf_value) struct buf tar = BUF_EMPTY;
    SCOPED(buf_value) struct buf noise = BUF_EMPTY;
    size_t half;

    add_noise(&noise, 9000);
    tar_text(&tar, "a", '0', "hello\n");
    tar_add(&tar, "noise", '0', buf_bytes(&noise));
    half = tar.len - 3000;
    tar_text(&tar, "b", '0', "bye\n");
    tar_end(&tar);
    gzip_add(ret, bytes_of(tar.data, half));
    gzip_add(ret, bytes_of(tar.data + half, tar.len - half));
}

static void assert_refused(enum ztoc_compression compression, struct bytes layer, const char *why)
{
    SCOPED(buf_value) struct buf blob = BUF_EMPTY;
    struct err err = ERR_NONE;
    int rc = ztoc_build(compression, SPAN_SIZE, layer, 1000, &blob, NULL, &err);

    if (rc != -EBADMSG || strstr(err_text(&err), why) == NULL)
        fail_msg("%d and \"%s\", not \"%s\"", rc, err_text(&err), why);
    assert_int_equal(blob.len, 0);
}

static void a_gzip_layer_cut_off_anywhere_is_refused(void **state)
{
    SCOPED(buf_value) struct buf gz = BUF_EMPTY;

    (void)state;
    make_gzip(&gz);
    for (size_t len = 0; len < gz.len; len++) {
        SCOPED(buf_value) struct buf blob = BUF_EMPTY;
        struct err err = ERR_NONE;

        assert_int_equal(
            ztoc_build(ZTOC_GZIP, SPAN_SIZE, bytes_of(gz.data, len), 4096, &blob, NULL, &err),
            -EBADMSG);
    }
    assert_refused(ZTOC_GZIP, bytes_of(gz.data, 0), "gzip: empty");
    assert_refused(ZTOC_GZIP, bytes_of(gz.data, gz.len - 1), "inside the member that starts at");
}

static void a_tar_cut_off_inside_an_entry_is_refused(void **state)
{
    SCOPED(buf_value) struct buf tar = BUF_EMPTY;
    SCOPED(buf_value) struct buf gz = BUF_EMPTY;

    (void)state;
    tar_text(&tar, "a", '0', "hello\n");
    assert_refused(ZTOC_UNCOMPRESSED, bytes_of(tar.data, 511),
                   "ends at offset 511, inside a header");
    assert_refused(ZTOC_UNCOMPRESSED, bytes_of(tar.data, 515),
                   "ends at offset 515, 3 bytes before the end of an entry");
    gzip_add(&gz, bytes_of(tar.data, 515)); /* whole as a gzip */
    assert_refused(ZTOC_GZIP, buf_bytes(&gz), "ends at offset 515");
}

static void a_broken_crc_or_length_is_refused(void **state)
{
    SCOPED(buf_value) struct buf tar = BUF_EMPTY;
    SCOPED(buf_value) struct buf gz = BUF_EMPTY;

    (void)state;
    tar_text(&tar, "a", '0', "hello\n");
    gzip_add(&gz, buf_bytes(&tar));
    gz.data[gz.len - 8] ^= 1;
    assert_refused(ZTOC_GZIP, buf_bytes(&gz), "incorrect data check");
    gz.data[gz.len - 8] ^= 1;
    gz.data[gz.len - 1] ^= 1;
    assert_refused(ZTOC_GZIP, buf_bytes(&gz), "incorrect length check");
}

static void what_is_no_gzip_is_refused(void **state)
{
    SCOPED(buf_value) struct buf tar = BUF_EMPTY;
    SCOPED(buf_value) struct buf gz = BUF_EMPTY;

    (void)state;
    tar_text(&tar, "a", '0', "hello\n");
    assert_refused(ZTOC_GZIP, buf_bytes(&tar), "gzip: offset 0: not a gzip member");
    gzip_add(&gz, buf_bytes(&tar));
    assert_refused(ZTOC_UNCOMPRESSED, bytes_of(gz.data, gz.len), "");
    assert_ok(buf_add_zeros(&gz, 20));
    assert_refused(ZTOC_GZIP, buf_bytes(&gz), "not a gzip member");
    assert_refused(ZTOC_GZIP, bytes_of("\x78\x9c\x03\x00\x00\x00\x00\x01", 8),
                   "not a gzip member"); /* zlib's */
}

static void a_name_in_a_gzip_header_has_at_most_511_bytes(void **state)
{
    SCOPED(buf_value) struct buf tar = BUF_EMPTY;
    SCOPED(buf_value) struct buf gz = BUF_EMPTY;
    SCOPED(buf_value) struct buf blob = BUF_EMPTY;
    uint8_t name[513];
    gz_header header = {.name = name};
    struct err err = ERR_NONE;

    (void)state;
    memset(name, 'n', sizeof(name));
    name[511] = '\0';
    tar_end(&tar);
    gzip_with(&gz, buf_bytes(&tar), 6, &header);
    assert_ok(ztoc_build(ZTOC_GZIP, SPAN_SIZE, buf_bytes(&gz), 64, &blob, NULL, &err));
    name[511] = 'n';
    name[512] = '\0';
    gzip_with(&gz, buf_bytes(&tar), 6, &header); /* behind the end of the tar: nobody looks */
    assert_ok(ztoc_build(ZTOC_GZIP, SPAN_SIZE, buf_bytes(&gz), 64, &blob, NULL, &err));
    gz.len = 0;
    gzip_with(&gz, buf_bytes(&tar), 6, &header);
    assert_refused(ZTOC_GZIP, buf_bytes(&gz),
                   "gzip: offset 0: a gzip header with a name of more than 511 bytes");
}

static void a_tar_that_is_refused_says_so_with_its_offset(void **state)
{
    SCOPED(buf_value) struct buf tar = BUF_EMPTY;
    SCOPED(buf_value) struct buf gz = BUF_EMPTY;
    uint8_t *header;

    (void)state;
    tar_text(&tar, "a", '0', "hello\n");
    header = tar_header(&tar, "b", '0', 0);
    header[0] ^= 1;
    gzip_add(&gz, buf_bytes(&tar));
    assert_refused(ZTOC_GZIP, buf_bytes(&gz),
                   "tar: header at offset 1024: its checksum does not match");
}

static void a_span_size_of_0_is_for_gzip_alone(void **state)
{
    SCOPED(buf_value) struct buf gz = BUF_EMPTY;
    SCOPED(buf_value) struct buf blob = BUF_EMPTY;
    struct ztoc_build_info info;
    struct err err = ERR_NONE;

    (void)state;
    assert_int_equal(ztoc_build(ZTOC_UNCOMPRESSED, 0, bytes_of_str("x"), 1, &blob, NULL, &err),
                     -EINVAL);
    assert_int_equal(ztoc_build(ZTOC_GZIP, UINT64_MAX, bytes_of_str("x"), 1, &blob, NULL, &err),
                     -EINVAL);
    make_gzip(&gz);
    assert_ok(ztoc_build(ZTOC_GZIP, 0, buf_bytes(&gz), 4096, &blob, &info, &err));
    assert_true(info.span_count >= 2); /* a span per block, and there are two members */
}

/* ---- telling --------------------------------------------------------------------------------- */

static void build_info_of(const struct buf *tar, struct ztoc_build_info *ret)
{
    SCOPED(buf_value) struct buf blob = BUF_EMPTY;
    struct err err = ERR_NONE;

    assert_ok(ztoc_build(ZTOC_UNCOMPRESSED, SPAN_SIZE, buf_bytes(tar), 4096, &blob, ret, &err));
}

static void a_build_tells_of_xattrs_and_opaque_directories(void **state)
{
    SCOPED(buf_value) struct buf tar = BUF_EMPTY;
    struct ztoc_build_info info;

    (void)state;
    tar_pax_text(&tar, "comment", "SCHILY.xattr.");
    tar_text(&tar, "a.wh..wh..opq/b", '0', "");
    build_info_of(&tar, &info);
    assert_false(info.has_xattrs);
    assert_false(info.has_opaque);
    tar_pax_text(&tar, "SCHILY.xattr.user.a", "");
    tar_text(&tar, "c", '0', "");
    tar_text(&tar, "d/.wh..wh..opq", '0', "");
    build_info_of(&tar, &info);
    assert_true(info.has_xattrs);
    assert_true(info.has_opaque);
    assert_int_equal(info.file_count, 3);
}

static void the_build_tool_is_written(void **state)
{
    struct ztoc_build_options options = {.span_size = SPAN_SIZE, .build_tool = "mine"};
    SCOPED(ztoc_builder) struct ztoc_builder *builder = NULL;
    SCOPED(buf_value) struct buf blob = BUF_EMPTY;
    SCOPED(buf_value) struct buf tar = BUF_EMPTY;
    SCOPED(ztoc) struct ztoc *toc = NULL;
    struct err err = ERR_NONE;

    (void)state;
    tar_end(&tar);
    assert_ok(ztoc_builder_new(ZTOC_UNCOMPRESSED, &options, &builder, &err));
    assert_ok(ztoc_builder_feed(builder, buf_bytes(&tar), &err));
    assert_ok(ztoc_builder_finish(builder, &blob, NULL, &err));
    assert_ok(ztoc_parse(buf_bytes(&blob), &toc, &err));
    assert_string_equal(ztoc_build_tool(toc), "mine");
    assert_int_equal(ztoc_file_count(toc), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_golden_gzip_layer_has_its_golden_ztoc),
        cmocka_unit_test(the_golden_plain_layer_has_its_golden_ztoc),
        cmocka_unit_test(a_gzip_layer_cut_off_anywhere_is_refused),
        cmocka_unit_test(a_tar_cut_off_inside_an_entry_is_refused),
        cmocka_unit_test(a_broken_crc_or_length_is_refused),
        cmocka_unit_test(what_is_no_gzip_is_refused),
        cmocka_unit_test(a_name_in_a_gzip_header_has_at_most_511_bytes),
        cmocka_unit_test(a_tar_that_is_refused_says_so_with_its_offset),
        cmocka_unit_test(a_span_size_of_0_is_for_gzip_alone),
        cmocka_unit_test(a_build_tells_of_xattrs_and_opaque_directories),
        cmocka_unit_test(the_build_tool_is_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
