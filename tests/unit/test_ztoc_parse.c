/* SPDX-License-Identifier: Apache-2.0 */
/* test_ztoc_parse.c – what a parsed ztoc says, what is refused, and that no damage gets further
 * than that.
 *
 * Blobs that lie are written by the encoder that the builder uses, from tables that no build would
 * make. */
#include "make_layer.h"

#include "flatbuf/flatbuf.h"
#include "ztoc/internal.h"

#define GZ_SPAN 65536 /* of tar */

/* What a blob is made of; the defaults make a good one. */
struct recipe {
    enum ztoc_compression compression;
    uint64_t comp_size, uncomp_size;
    struct tar_entry entries[4];
    size_t entry_count;
    struct zran_point points[4];
    size_t point_count;
    size_t digest_count;
    bool version_1;
};

#define FILE_AT(name_, off, size_)                                                                 \
    {                                                                                              \
        .type = '0', .name = {(const uint8_t *)(name_), sizeof(name_) - 1}, .uncomp_off = (off),   \
        .size = (size_)                                                                            \
    }

static const struct recipe good = {
    .compression = ZTOC_GZIP,
    .comp_size = 9000,
    .uncomp_size = 200000,
    .entries = {FILE_AT("a", 512, 1000), FILE_AT("b", 2048, 150000)},
    .entry_count = 2,
    .points = {{10, 0, 0}, {3000, 70000, 3}, {6000, 140000, 0}},
    .point_count = 3,
    .digest_count = 3,
};

static void encode_zinfo(const struct recipe *recipe, struct buf *blob)
{
    static const uint8_t window[ZRAN_WINDOW_BYTES];
    struct zran_plain plain = {GZ_SPAN, recipe->comp_size};

    if (recipe->compression == ZTOC_UNCOMPRESSED) {
        assert_ok(zran_plain_encode(&plain, blob));
        return;
    }
    assert_ok(zran_zinfo_start(blob, GZ_SPAN));
    for (size_t i = recipe->version_1 ? 1 : 0; i < recipe->point_count; i++)
        assert_ok(zran_zinfo_add(blob, &recipe->points[i], window));
    put_u32le(blob->data, (uint32_t)recipe->point_count);
}

static void encode(const struct recipe *recipe, struct buf *blob)
{
    static const struct digest digests[8];
    SCOPED(table) struct table table = {.entries = NULL};
    struct encode_input input = {
        .version = "0.9",
        .build_tool = "test",
        .comp_size = recipe->comp_size,
        .uncomp_size = recipe->uncomp_size,
        .compression = recipe->compression,
        .table = &table,
        .digests = digests,
        .span_count = recipe->digest_count,
    };
    struct err err = ERR_NONE;

    encode_zinfo(recipe, blob);
    for (size_t i = 0; i < recipe->entry_count; i++)
        assert_ok(table_add(&table, &recipe->entries[i], &err));
    assert_ok(ztoc_encode(&input, blob, &err));
}

static void parse_good(const struct recipe *recipe, struct ztoc **ret)
{
    SCOPED(buf_value) struct buf blob = BUF_EMPTY;
    struct err err = ERR_NONE;

    encode(recipe, &blob);
    if (ztoc_parse(buf_bytes(&blob), ret, &err) < 0)
        fail_msg("%s", err_text(&err));
}

static void assert_refused(const struct recipe *recipe, const char *why)
{
    SCOPED(buf_value) struct buf blob = BUF_EMPTY;
    struct ztoc *toc = NULL;
    struct err err = ERR_NONE;
    int rc;

    encode(recipe, &blob);
    rc = ztoc_parse(buf_bytes(&blob), &toc, &err);
    if (rc != -EBADMSG || strstr(err_text(&err), why) == NULL)
        fail_msg("%d and \"%s\", not \"%s\"", rc, err_text(&err), why);
    assert_null(toc);
}

/* ---- what it says ---------------------------------------------------------------------------- */

static void spans_follow_each_other(void **state)
{
    SCOPED(ztoc) struct ztoc *toc = NULL;
    struct ztoc_span span;

    (void)state;
    parse_good(&good, &toc);
    assert_int_equal(ztoc_span_count(toc), 3);
    ztoc_span_at(toc, 1, &span);
    assert_int_equal(span.comp_off, 2999); /* shares a byte */
    assert_int_equal(span.comp_end, 6000);
    assert_int_equal(span.uncomp_off, 70000);
    assert_int_equal(span.uncomp_end, 140000);
    assert_int_equal(span.bits, 3);
    ztoc_span_at(toc, 2, &span);
    assert_int_equal(span.comp_end, 9000);
    assert_int_equal(span.uncomp_end, 200000);
}

static void a_byte_is_in_the_last_span_that_starts_before_it(void **state)
{
    SCOPED(ztoc) struct ztoc *toc = NULL;

    (void)state;
    parse_good(&good, &toc);
    assert_int_equal(ztoc_span_of(toc, 0), 0);
    assert_int_equal(ztoc_span_of(toc, 69999), 0);
    assert_int_equal(ztoc_span_of(toc, 70000), 1);
    assert_int_equal(ztoc_span_of(toc, 140000), 2);
    assert_int_equal(ztoc_span_of(toc, UINT64_MAX), 2);
}

static void windows_are_found_in_the_blob(void **state)
{
    SCOPED(buf_value) struct buf blob = BUF_EMPTY;
    SCOPED(buf_value) struct buf gz = BUF_EMPTY;
    SCOPED(buf_value) struct buf tar = BUF_EMPTY;
    SCOPED(buf_value) struct buf noise = BUF_EMPTY;
    SCOPED(buf_value) struct buf plain = BUF_EMPTY;
    SCOPED(ztoc) struct ztoc *toc = NULL;
    struct ztoc_span span;
    struct err err = ERR_NONE;

    (void)state;
    add_noise(&noise, 200000);
    tar_add(&tar, "noise", '0', buf_bytes(&noise));
    gzip_add(&gz, buf_bytes(&tar));
    gunzip(buf_bytes(&gz), &plain);
    assert_ok(ztoc_build(ZTOC_GZIP, GZ_SPAN, buf_bytes(&gz), 999, &blob, NULL, &err));
    assert_ok(ztoc_parse(buf_bytes(&blob), &toc, &err));
    assert_in_range(ztoc_span_count(toc), 2, 4);
    ztoc_span_at(toc, 1, &span);
    assert_memory_equal(blob.data + span.window_off,
                        plain.data + span.uncomp_off - ZRAN_WINDOW_BYTES, ZRAN_WINDOW_BYTES);
}

static void version_1_has_its_first_span_without_a_window(void **state)
{
    struct recipe recipe = good;
    SCOPED(ztoc) struct ztoc *toc = NULL;
    struct ztoc_span span;

    (void)state;
    recipe.version_1 = true;
    parse_good(&recipe, &toc);
    ztoc_span_at(toc, 0, &span);
    assert_int_equal(span.comp_off, 10);
    assert_true(span.window_off == UINT64_MAX);
    ztoc_span_at(toc, 1, &span);
    assert_int_equal(span.comp_off, 2999);
    assert_true(span.window_off < 100000);
}

static void spans_behind_the_end_of_the_archive_are_empty_at_last(void **state)
{
    struct recipe recipe = good;
    SCOPED(ztoc) struct ztoc *toc = NULL;
    struct ztoc_span span;

    (void)state;
    recipe.uncomp_size = 1536;
    recipe.entry_count = 1;
    parse_good(&recipe, &toc);
    ztoc_span_at(toc, 2, &span);
    assert_int_equal(span.uncomp_off, 140000);
    assert_int_equal(span.uncomp_end, 140000);
    assert_int_equal(span.comp_end, 9000);
}

static void spans_of_a_plain_layer_are_equally_long(void **state)
{
    struct recipe recipe = good;
    SCOPED(ztoc) struct ztoc *toc = NULL;
    struct ztoc_span span;

    (void)state;
    recipe.compression = ZTOC_UNCOMPRESSED;
    recipe.comp_size = 200500;
    recipe.digest_count = 4;
    parse_good(&recipe, &toc);
    ztoc_span_at(toc, 1, &span);
    assert_int_equal(span.comp_off, GZ_SPAN);
    assert_int_equal(span.comp_end, 2 * GZ_SPAN);
    assert_int_equal(span.uncomp_off, GZ_SPAN);
    ztoc_span_at(toc, 3, &span);
    assert_int_equal(span.comp_end, 200500);
    assert_int_equal(span.uncomp_end, 200000);
    assert_true(span.window_off == UINT64_MAX);
    assert_int_equal(ztoc_span_of(toc, GZ_SPAN), 1);
    assert_int_equal(ztoc_span_of(toc, UINT64_MAX), 3);
}

static void of_two_entries_with_one_name_the_first_is_found(void **state)
{
    static const struct tar_entry twice[] = {FILE_AT("x", 512, 1), FILE_AT("a/b", 1536, 2),
                                             FILE_AT("a/b", 2560, 3)};
    struct recipe recipe = good;
    SCOPED(ztoc) struct ztoc *toc = NULL;
    struct ztoc_file file;

    (void)state;
    memcpy(recipe.entries, twice, sizeof(twice));
    recipe.entry_count = 3;
    parse_good(&recipe, &toc);
    assert_int_equal(ztoc_find(toc, "a/b"), 1);
    ztoc_file_at(toc, 1, &file);
    assert_int_equal(file.uncomp_size, 2);
    assert_true(ztoc_find(toc, "/a/b") == SIZE_MAX);
}

static void numbers_of_any_width_come_back(void **state)
{
    static const struct tar_record records[] = {
        {{(const uint8_t *)"k", 1}, {(const uint8_t *)"v\0w", 3}}};
    struct recipe recipe = good;
    SCOPED(ztoc) struct ztoc *toc = NULL;
    struct tar_entry *entry = &recipe.entries[0];
    struct ztoc_xattr xattr;
    struct ztoc_file file;

    (void)state;
    entry->mode = INT64_MIN;
    entry->uid = 0xffffffff;
    entry->devmajor = -1;
    entry->devminor = INT64_MAX;
    entry->mtime_sec = -62167219200;
    entry->mtime_nsec = 1;
    entry->records = records;
    entry->record_count = 1;
    recipe.entries[1].mode = 0xffffffff;
    recipe.entries[1].mtime_sec = 253402300800; /* the year 10000 */
    parse_good(&recipe, &toc);
    ztoc_file_at(toc, 0, &file);
    assert_true(file.mode == INT64_MIN);
    assert_int_equal(file.uid, 0xffffffff);
    assert_int_equal(file.devmajor, -1);
    assert_true(file.devminor == INT64_MAX);
    assert_true(file.has_mtime);
    assert_int_equal(file.mtime_sec, -62167219200);
    assert_int_equal(file.mtime_nsec, 1);
    ztoc_xattr_at(toc, 0, 0, &xattr);
    assert_string_equal(xattr.key, "k");
    assert_true(bytes_equal(xattr.value, bytes_of("v\0w", 3)));
    ztoc_file_at(toc, 1, &file);
    assert_int_equal(file.mode, 0xffffffff);
    assert_false(file.has_mtime);
    assert_int_equal(file.mtime_sec, -62135596800);
}

static void entries_out_of_order_are_put_in_order(void **state)
{
    struct recipe recipe = good;
    SCOPED(ztoc) struct ztoc *toc = NULL;
    struct ztoc_file file;

    (void)state;
    recipe.entries[0] = good.entries[1];
    recipe.entries[1] = good.entries[0];
    parse_good(&recipe, &toc);
    ztoc_file_at(toc, 0, &file);
    assert_string_equal(file.name, "a");
}

/* ---- what is refused ------------------------------------------------------------------------- */

static void entries_that_overlap_are_refused(void **state)
{
    struct recipe recipe = good;

    (void)state;
    recipe.entries[1].uncomp_off = 1535; /* the content of the first is padded to 2048 - 512 */
    assert_refused(&recipe, "invalid toc entry 1: at 1535, before the end of the last at 1536");
}

static void files_outside_the_tar_are_refused(void **state)
{
    struct recipe recipe = good;

    (void)state;
    recipe.entries[1].size = 200000 - 2048 + 1;
    assert_refused(&recipe, "end outside the tar of 200000 bytes");
    recipe.entries[1].size = INT64_MAX;
    assert_refused(&recipe, "a size of 9223372036854775807 at 2048");
    recipe.entries[1].size = UINT64_MAX;
    assert_refused(&recipe, "a size of -1 at 2048");
    recipe.entries[1].size = 0;
    recipe.entries[1].uncomp_off = 200001;
    assert_refused(&recipe, "entry 1: at 200001, outside the tar");
    recipe.entries[1].uncomp_off = UINT64_MAX;
    assert_refused(&recipe, "outside the tar");
}

static void checkpoints_that_go_backwards_are_refused(void **state)
{
    struct recipe recipe = good;

    (void)state;
    recipe.points[2].comp_off = 3000;
    assert_refused(&recipe, "checkpoint 2 goes backwards (3000 after 3000)");
    recipe = good;
    recipe.points[2].uncomp_off = 70000;
    assert_refused(&recipe, "checkpoint 2 goes backwards (70000 after 70000 bytes of tar)");
    recipe = good;
    recipe.points[2].uncomp_off = UINT64_MAX;
    assert_refused(&recipe, "checkpoint 2: outside the layer");
}

static void checkpoints_outside_the_layer_are_refused(void **state)
{
    struct recipe recipe = good;

    (void)state;
    recipe.points[2].comp_off = 9000;
    assert_refused(&recipe, "checkpoint 2: outside the layer (9000 of 9000 bytes)");
    recipe = good;
    recipe.points[0].comp_off = 9;
    assert_refused(&recipe, "checkpoint 0 is not at the start");
    recipe = good;
    recipe.points[0].uncomp_off = 1;
    assert_refused(&recipe, "checkpoint 0 is not at the start");
    recipe = good;
    recipe.points[1].bits = 8;
    assert_refused(&recipe, "checkpoint 1: 8 bits of a byte");
}

static void counts_that_differ_are_refused(void **state)
{
    struct recipe recipe = good;

    (void)state;
    recipe.digest_count = 2;
    assert_refused(&recipe, "3 checkpoints for 2 spans");
    recipe.digest_count = 0;
    assert_refused(&recipe, "0 digests for spans up to number -1");
    recipe.compression = ZTOC_UNCOMPRESSED;
    recipe.comp_size = 200000;
    recipe.digest_count = 3;
    assert_refused(&recipe, "3 spans of 65536 bytes for a layer of 200000");
    recipe.comp_size = 199999;
    recipe.digest_count = 4;
    assert_refused(&recipe, "sizes of an uncompressed layer that differ");
}

static void negative_sizes_of_the_layer_are_refused(void **state)
{
    struct recipe recipe = good;

    (void)state;
    recipe.comp_size = UINT64_MAX;
    assert_refused(&recipe, "negative size");
    recipe = good;
    recipe.uncomp_size = 1ull << 63;
    assert_refused(&recipe, "negative size");
}

/* Find `text` in the blob and put one byte there. */
static void assert_refused_with(const char *text, size_t at, char byte, const char *why)
{
    SCOPED(buf_value) struct buf blob = BUF_EMPTY;
    struct ztoc *toc = NULL;
    struct err err = ERR_NONE;
    uint8_t *found;

    encode(&good, &blob);
    found = memmem(blob.data, blob.len, text, strlen(text));
    assert_non_null(found);
    found[at] = (uint8_t)byte;
    if (ztoc_parse(buf_bytes(&blob), &toc, &err) != -EBADMSG || strstr(err_text(&err), why) == NULL)
        fail_msg("\"%s\", not \"%s\"", err_text(&err), why);
}

static void texts_that_mean_nothing_are_refused(void **state)
{
    (void)state;
    assert_refused_with("reg", 0, 'R', "of no known type");
    /* The digest of the last span comes first. */
    assert_refused_with("sha256:0000", 8, 'g', "span 2: ");
    assert_refused_with("sha256:0000", 0, 'S', "span 2: ");
    assert_refused_with("test", 1, '\0', "NUL");
}

/* All that a plain layer of one byte needs, and `count` references to one entry. */
static struct bytes encode_shared(uint8_t *memory, size_t memory_bytes, size_t count)
{
    const struct zran_plain plain = {GZ_SPAN, 1};
    char digest[DIGEST_TEXT_BYTES];
    SCOPED(flatbuf_writer) struct flatbuf_writer w;
    SCOPED(buf_value) struct buf zinfo = BUF_EMPTY;
    flatbuf_ref *refs = calloc(count, sizeof(*refs)), type, files, toc, points, digests, info;

    assert_non_null(refs);
    assert_ok(zran_plain_encode(&plain, &zinfo));
    digest_format(&(struct digest){{0}}, digest);
    flatbuf_writer_init(&w, memory + memory_bytes);
    type = flatbuf_add_string(&w, bytes_of_str("reg"));
    flatbuf_table_start(&w, FILE_FIELDS);
    flatbuf_put_ref(&w, FILE_TYPE, type);
    refs[0] = flatbuf_table_end(&w);
    for (size_t i = 1; i < count; i++)
        refs[i] = refs[0];
    files = flatbuf_add_refs(&w, refs, count);
    flatbuf_table_start(&w, TOC_FIELDS);
    flatbuf_put_ref(&w, TOC_FILES, files);
    toc = flatbuf_table_end(&w);
    points = flatbuf_add_string(&w, buf_bytes(&zinfo));
    refs[0] = flatbuf_add_string(&w, bytes_of_str(digest));
    digests = flatbuf_add_refs(&w, refs, 1);
    flatbuf_table_start(&w, INFO_FIELDS);
    flatbuf_put_ref(&w, INFO_DIGESTS, digests);
    flatbuf_put_ref(&w, INFO_CHECKPOINTS, points);
    flatbuf_put_i8(&w, INFO_ALGORITHM, ZTOC_UNCOMPRESSED, ZTOC_GZIP);
    info = flatbuf_table_end(&w);
    flatbuf_table_start(&w, ROOT_FIELDS);
    flatbuf_put_ref(&w, ROOT_TOC, toc);
    flatbuf_put_i64(&w, ROOT_COMP_SIZE, 1);
    flatbuf_put_i64(&w, ROOT_UNCOMP_SIZE, 1);
    flatbuf_put_ref(&w, ROOT_INFO, info);
    assert_ok(flatbuf_finish(&w, flatbuf_table_end(&w)));
    free(refs);
    return bytes_of(memory + memory_bytes - w.used, w.used);
}

/* An entry takes 64 bytes of memory and more in a tree; a reference to it 4 of the ztoc. */
static void more_entries_than_have_room_are_refused(void **state)
{
    static uint8_t memory[65536];
    struct ztoc *toc = NULL;
    struct err err = ERR_NONE;

    (void)state;
    if (ztoc_parse(encode_shared(memory, sizeof(memory), 2), &toc, &err) < 0)
        fail_msg("%s", err_text(&err));
    assert_int_equal(ztoc_file_count(toc), 2);
    ztoc_free(TAKE(toc));
    assert_int_equal(ztoc_parse(encode_shared(memory, sizeof(memory), 10000), &toc, &err),
                     -EBADMSG);
    assert_string_equal(err_text(&err), "ztoc: more entries than fit");
}

static void what_is_no_ztoc_is_refused(void **state)
{
    static const char *const texts[] = {"", "x", "{}",
                                        "no ztoc, but a text of some length that leads nowhere"};
    struct ztoc *toc = NULL;
    struct err err = ERR_NONE;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        assert_int_equal(ztoc_parse(bytes_of_str(texts[i]), &toc, &err), -EBADMSG);
        assert_null(toc);
    }
}

/* ---- damage ---------------------------------------------------------------------------------- */

static void walk(const struct ztoc *toc)
{
    struct ztoc_file file;
    struct ztoc_span span;
    struct ztoc_xattr xattr;
    uint64_t last = 0;

    for (size_t i = 0; i < ztoc_file_count(toc); i++) {
        ztoc_file_at(toc, i, &file);
        assert_true(strlen(file.name) + strlen(file.linkname) + strlen(file.uname) +
                        strlen(file.gname) <
                    SIZE_MAX);
        assert_true(file.uncomp_off >= last && file.uncomp_off <= ztoc_uncomp_size(toc));
        assert_true(file.type != ZTOC_REG ||
                    file.uncomp_size <= ztoc_uncomp_size(toc) - file.uncomp_off);
        last = file.uncomp_off;
        for (size_t k = 0; k < file.xattr_count; k++)
            ztoc_xattr_at(toc, i, k, &xattr);
    }
    for (size_t i = 0; i < ztoc_span_count(toc); i++) {
        ztoc_span_at(toc, i, &span);
        assert_true(span.comp_off < span.comp_end && span.comp_end <= ztoc_comp_size(toc));
        assert_true(span.uncomp_off <= span.uncomp_end);
    }
}

static void a_ztoc_cut_off_anywhere_is_refused(void **state)
{
    struct buf *blob = vector_load("ztoc/golden-plain.ztoc");

    (void)state;
    for (size_t len = 0; len < blob->len; len++) {
        SCOPED(ztoc) struct ztoc *toc = NULL;
        struct err err = ERR_NONE;
        int rc;
        /* Its own allocation, so that a sanitizer sees any byte too far. */
        SCOPED(buf_value) struct buf part = BUF_EMPTY;

        assert_ok(buf_add(&part, blob->data, len));
        rc = ztoc_parse(buf_bytes(&part), &toc, &err);
        if (len + 4 <= blob->len) /* the last word is the padding of a string */
            assert_int_equal(rc, -EBADMSG);
    }
    buf_free(blob);
}

static void a_ztoc_with_any_bit_changed_is_refused_or_harmless(void **state)
{
    struct buf *blob = vector_load("ztoc/golden-plain.ztoc");
    size_t refused = 0;

    (void)state;
    for (size_t bit = 0; bit < blob->len * 8; bit++) {
        SCOPED(ztoc) struct ztoc *toc = NULL;
        struct err err = ERR_NONE;

        blob->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (ztoc_parse(buf_bytes(blob), &toc, &err) == 0)
            walk(toc);
        else
            refused++;
        blob->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_in_range(refused, blob->len, blob->len * 7);
    buf_free(blob);
}

static void a_gzip_ztoc_with_random_bytes_changed_is_refused_or_harmless(void **state)
{
    SCOPED(buf_value) struct buf blob = BUF_EMPTY;
    uint32_t x = 1;
    struct err err = ERR_NONE;

    (void)state;
    encode(&good, &blob);
    for (int round = 0; round < 20000; round++) {
        SCOPED(ztoc) struct ztoc *toc = NULL;
        size_t at;
        uint8_t was;

        x = x * 1664525u + 1013904223u;
        /* Windows are most of it and never looked at: change what is before and behind them. */
        at = (x >> 8) % 2000;
        at = at < 400 ? at : blob.len - 1 - (at - 400) % 900;
        was = blob.data[at];
        blob.data[at] = (uint8_t)(x >> 24);
        if (ztoc_parse(buf_bytes(&blob), &toc, &err) == 0)
            walk(toc);
        blob.data[at] = was;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spans_follow_each_other),
        cmocka_unit_test(a_byte_is_in_the_last_span_that_starts_before_it),
        cmocka_unit_test(windows_are_found_in_the_blob),
        cmocka_unit_test(version_1_has_its_first_span_without_a_window),
        cmocka_unit_test(spans_behind_the_end_of_the_archive_are_empty_at_last),
        cmocka_unit_test(spans_of_a_plain_layer_are_equally_long),
        cmocka_unit_test(of_two_entries_with_one_name_the_first_is_found),
        cmocka_unit_test(numbers_of_any_width_come_back),
        cmocka_unit_test(entries_out_of_order_are_put_in_order),
        cmocka_unit_test(entries_that_overlap_are_refused),
        cmocka_unit_test(files_outside_the_tar_are_refused),
        cmocka_unit_test(checkpoints_that_go_backwards_are_refused),
        cmocka_unit_test(checkpoints_outside_the_layer_are_refused),
        cmocka_unit_test(counts_that_differ_are_refused),
        cmocka_unit_test(negative_sizes_of_the_layer_are_refused),
        cmocka_unit_test(texts_that_mean_nothing_are_refused),
        cmocka_unit_test(more_entries_than_have_room_are_refused),
        cmocka_unit_test(what_is_no_ztoc_is_refused),
        cmocka_unit_test(a_ztoc_cut_off_anywhere_is_refused),
        cmocka_unit_test(a_ztoc_with_any_bit_changed_is_refused_or_harmless),
        cmocka_unit_test(a_gzip_ztoc_with_random_bytes_changed_is_refused_or_harmless),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
