/* SPDX-License-Identifier: Apache-2.0 */
/* test_ztoc_compare.c – a table of contents against the tar that it should be of. */
#include "make_layer.h"

#include <dirent.h>

static struct ztoc *toc_of(struct bytes tar)
{
    SCOPED(buf_value) struct buf blob = BUF_EMPTY;
    struct ztoc *toc = NULL;
    struct err err = ERR_NONE;

    assert_ok(ztoc_build(ZTOC_UNCOMPRESSED, 65536, tar, 4096, &blob, NULL, &err));
    assert_ok(ztoc_parse(buf_bytes(&blob), &toc, &err));
    return toc;
}

/* In pieces of that size. */
static int compare(const struct ztoc *toc, struct bytes tar, size_t piece, struct err *err)
{
    SCOPED(ztoc_comparison) struct ztoc_comparison *c = NULL;
    int rc = ztoc_comparison_new(toc, &c, err);

    for (size_t off = 0; rc == 0 && off < tar.len; off += piece) {
        size_t len = tar.len - off < piece ? tar.len - off : piece;

        rc = ztoc_comparison_feed(c, bytes_of(tar.data + off, len), err);
    }
    return rc < 0 ? rc : ztoc_comparison_finish(c, err);
}

/* ---- a tar of all kinds ---------------------------------------------------------------------- */

enum { FILE_AT = 0, LINK_AT = 2 * BLOCK, DEVICE_AT = 3 * BLOCK, XATTR_AT = 5 * BLOCK };

static void make_tar(struct buf *ret)
{
    uint8_t *h;

    tar_text(ret, "file", '0', "hello\n");
    h = tar_header(ret, "link", '2', 0);
    memcpy(h + AT_LINKNAME, "file", 4);
    tar_sum(h);
    h = tar_header(ret, "null", '3', 0);
    tar_octal(h + AT_DEVMAJOR, 8, 1);
    tar_octal(h + AT_DEVMINOR, 8, 3);
    tar_sum(h);
    tar_pax_text(ret, "SCHILY.xattr.user.a", "value");
    tar_text(ret, "with-xattr", '0', "x");
    (void)tar_header(ret, "dir/", '5', 0);
    tar_end(ret);
}

static void a_tar_agrees_with_its_own_table_however_it_is_cut(void **state)
{
    static const size_t pieces[] = {1, 511, 512, 100000};
    SCOPED(buf_value) struct buf tar = BUF_EMPTY;
    SCOPED(ztoc) struct ztoc *toc = NULL;
    struct err err = ERR_NONE;

    (void)state;
    make_tar(&tar);
    toc = toc_of(buf_bytes(&tar));
    for (size_t i = 0; i < ARRAY_LEN(pieces); i++)
        assert_ok(compare(toc, buf_bytes(&tar), pieces[i], &err));
}

/* Layers of many writers, whatever is odd about them. */
static void all_vectors_agree_with_their_tables(void **state)
{
    SCOPED(dir) DIR *dir = opendir(VECTORS_DIR "/ztoc");
    struct dirent *entry;
    size_t compared = 0;

    (void)state;
    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL) {
        SCOPED(buf_value) struct buf tar = BUF_EMPTY;
        SCOPED(buf_value) struct buf blob = BUF_EMPTY;
        SCOPED(ztoc) struct ztoc *toc = NULL;
        struct buf *layer;
        struct err err = ERR_NONE;
        char name[300];

        if (strstr(entry->d_name, ".tar.gz") == NULL ||
            strcmp(entry->d_name, "gz-trailing-zeros.tar.gz") == 0) /* no gzip for anybody */
            continue;
        (void)snprintf(name, sizeof(name), "ztoc/%s", entry->d_name);
        layer = vector_load(name);
        assert_ok(ztoc_build(ZTOC_GZIP, 65536, buf_bytes(layer), 65536, &blob, NULL, &err));
        assert_ok(ztoc_parse(buf_bytes(&blob), &toc, &err));
        gunzip(buf_bytes(layer), &tar); /* with what comes after the archive */
        if (compare(toc, buf_bytes(&tar), 10000, &err) < 0)
            fail_msg("%s: %s", name, err_text(&err));
        buf_free(layer);
        compared++;
    }
    assert_true(compared > 20);
}

/* ---- refused --------------------------------------------------------------------------------- */

/* The table is of the tar as it was made; then the field of the header at `at` changes. */
static void refuse_changed(size_t at, size_t field, const char *value, const char *what)
{
    SCOPED(buf_value) struct buf tar = BUF_EMPTY;
    SCOPED(ztoc) struct ztoc *toc = NULL;
    struct err err = ERR_NONE;

    make_tar(&tar);
    toc = toc_of(buf_bytes(&tar));
    memcpy(tar.data + at + field, value, strlen(value));
    tar_sum(tar.data + at);
    assert_int_equal(compare(toc, buf_bytes(&tar), 4096, &err), -EBADMSG);
    if (strstr(err_text(&err), what) == NULL)
        fail_msg("no %s: %s", what, err_text(&err));
}

static void a_header_that_says_something_else_is_refused_and_named(void **state)
{
    (void)state;
    refuse_changed(FILE_AT, AT_NAME, "eile", "eile, differs in its name");
    refuse_changed(FILE_AT, AT_TYPE, "7", "type");
    refuse_changed(FILE_AT, AT_SIZE, "00000000007", "size");
    refuse_changed(FILE_AT, AT_MODE, "0004755", "mode");
    refuse_changed(FILE_AT, AT_UID, "0000001", "owner");
    refuse_changed(FILE_AT, AT_GID, "0000001", "owner");
    refuse_changed(FILE_AT, AT_MTIME, "00000000001", "time");
    refuse_changed(LINK_AT, AT_LINKNAME, "fi1e", "target");
    refuse_changed(LINK_AT, AT_TYPE, "1", "type");
    refuse_changed(DEVICE_AT, AT_DEVMINOR, "0000005", "device number");
}

static void an_attribute_that_is_another_or_missing_is_refused(void **state)
{
    static const char *const records[] = {"SCHILY.xattr.user.a=valuf", "SCHILY.xattr.user.b=value",
                                          "SCHILY.xatt_.user.a=value"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(records); i++) {
        SCOPED(buf_value) struct buf tar = BUF_EMPTY;
        SCOPED(ztoc) struct ztoc *toc = NULL;
        struct err err = ERR_NONE;

        make_tar(&tar);
        toc = toc_of(buf_bytes(&tar));
        memcpy(tar.data + XATTR_AT + 3, records[i], strlen(records[i]));
        assert_int_equal(compare(toc, buf_bytes(&tar), 4096, &err), -EBADMSG);
        assert_non_null(strstr(err_text(&err), "extended attributes"));
    }
}

static void an_entry_more_or_less_is_refused(void **state)
{
    SCOPED(buf_value) struct buf shorter = BUF_EMPTY;
    SCOPED(buf_value) struct buf longer = BUF_EMPTY;
    SCOPED(ztoc) struct ztoc *of_shorter = NULL;
    SCOPED(ztoc) struct ztoc *of_longer = NULL;
    struct err err = ERR_NONE;

    (void)state;
    tar_text(&shorter, "a", '0', "a");
    assert_ok(buf_add(&longer, shorter.data, shorter.len));
    tar_text(&longer, "b", '0', "b");
    tar_end(&shorter);
    tar_end(&longer);
    of_shorter = toc_of(buf_bytes(&shorter));
    of_longer = toc_of(buf_bytes(&longer));
    assert_int_equal(compare(of_shorter, buf_bytes(&longer), 4096, &err), -EBADMSG);
    assert_int_equal(compare(of_longer, buf_bytes(&shorter), 4096, &err), -EBADMSG);
}

/* A table may say that the archive ends where it goes on: what follows is given as well. */
static void entries_behind_the_end_that_the_table_claims_are_refused(void **state)
{
    SCOPED(buf_value) struct buf head = BUF_EMPTY;
    SCOPED(buf_value) struct buf rest = BUF_EMPTY;
    SCOPED(ztoc) struct ztoc *toc = NULL;
    SCOPED(ztoc_comparison) struct ztoc_comparison *c = NULL;
    struct err err = ERR_NONE;

    (void)state;
    tar_text(&head, "a", '0', "a");
    tar_text(&rest, "b", '0', "b");
    toc = toc_of(buf_bytes(&head));
    assert_ok(ztoc_comparison_new(toc, &c, &err));
    assert_ok(ztoc_comparison_feed(c, buf_bytes(&head), &err));
    assert_int_equal(ztoc_comparison_feed(c, buf_bytes(&rest), &err), -EBADMSG);
}

static void what_is_no_tar_is_refused(void **state)
{
    SCOPED(buf_value) struct buf tar = BUF_EMPTY;
    SCOPED(buf_value) struct buf noise = BUF_EMPTY;
    SCOPED(ztoc) struct ztoc *toc = NULL;
    struct err err = ERR_NONE;

    (void)state;
    make_tar(&tar);
    add_noise(&noise, tar.len);
    toc = toc_of(buf_bytes(&tar));
    assert_int_equal(compare(toc, buf_bytes(&noise), 4096, &err), -EBADMSG);
    assert_int_equal(compare(toc, bytes_of(tar.data, 1000), 4096, &err), -EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tar_agrees_with_its_own_table_however_it_is_cut),
        cmocka_unit_test(all_vectors_agree_with_their_tables),
        cmocka_unit_test(a_header_that_says_something_else_is_refused_and_named),
        cmocka_unit_test(an_attribute_that_is_another_or_missing_is_refused),
        cmocka_unit_test(an_entry_more_or_less_is_refused),
        cmocka_unit_test(entries_behind_the_end_that_the_table_claims_are_refused),
        cmocka_unit_test(what_is_no_tar_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
