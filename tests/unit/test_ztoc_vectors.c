/* SPDX-License-Identifier: Apache-2.0 */
/* test_ztoc_vectors.c – layers with answers of the reference: the same bytes, the same table, the
 * same files. */
#include "make_layer.h"

#include "base/clock.h"

#include <cjson/cJSON.h>

enum { SPAN_SIZE = 32768 };

struct vector {
    const char *name;
    enum ztoc_compression compression;
    struct buf layer, blob;
    struct ztoc_build_info info;
    struct ztoc *toc;
    cJSON *answer;
};

/* ---- reading the answer ---------------------------------------------------------------------- */

static uint64_t number_of(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);

    assert_non_null(item);
    assert_true(cJSON_IsNumber(item));
    return (uint64_t)item->valuedouble; /* all of them are below 2^53 */
}

static const char *text_of(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);

    assert_non_null(item);
    assert_true(cJSON_IsString(item));
    return item->valuestring;
}

/* cJSON ends strings at a NUL that is in them: the bytes up to there. The digest of the ztoc has
 * the rest. */
static void assert_text(const cJSON *item, struct bytes ours)
{
    const cJSON *base64 = cJSON_GetObjectItemCaseSensitive(item, "base64");
    size_t len;

    if (base64 != NULL) { /* one name in all vectors */
        assert_string_equal(base64->valuestring, "bOR0724=");
        assert_true(bytes_equal(ours, bytes_of("l\xe4t\xefn", 5)));
        return;
    }
    assert_true(cJSON_IsString(item));
    len = strlen(item->valuestring);
    assert_true(len == ours.len || (len < ours.len && ours.data[len] == '\0'));
    assert_memory_equal(item->valuestring, ours.data, len);
}

static void assert_text_of(const cJSON *object, const char *key, const char *ours)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);

    assert_non_null(item);
    assert_text(item, bytes_of_str(ours));
}

/* ---- building the vector --------------------------------------------------------------------- */

static void vector_init(struct vector *v, const char *name, size_t piece)
{
    struct err err = ERR_NONE;
    struct buf *layer, *json;
    char file[256];

    *v = (struct vector){.name = name,
                         .compression =
                             strncmp(name, "plain", 5) == 0 ? ZTOC_UNCOMPRESSED : ZTOC_GZIP};
    (void)snprintf(file, sizeof(file), "ztoc/%s.%s", name,
                   v->compression == ZTOC_GZIP ? "tar.gz" : "tar");
    layer = vector_load(file);
    v->layer = *layer;
    free(layer);
    (void)snprintf(file, sizeof(file), "ztoc/%s.json", name);
    json = vector_load(file);
    v->answer = cJSON_Parse(buf_str(json));
    buf_free(json);
    assert_non_null(v->answer);
    if (ztoc_build(v->compression, SPAN_SIZE, buf_bytes(&v->layer), piece, &v->blob, &v->info,
                   &err) < 0 ||
        ztoc_parse(buf_bytes(&v->blob), &v->toc, &err) < 0)
        fail_msg("%s: %s", name, err_text(&err));
}

static void vector_fini(struct vector *v)
{
    buf_fini(&v->layer);
    buf_fini(&v->blob);
    ztoc_free(v->toc);
    cJSON_Delete(v->answer);
}

static const char *const names[] = {
    "basic-gnu",        "basic-ustar", "devices",   "empty",      "gnu-long",  "gz-empty-members",
    "gz-fixed",         "gz-flushes",  "gz-gnu",    "gz-huffman", "gz-level1", "gz-header-fields",
    "gz-level9",        "gz-members",  "gz-pigz",   "gz-stored",  "many",      "gz-small-window",
    "no-trailer",       "non-utf8",    "odd-names", "one-byte",   "plain",     "plain-random",
    "trailing-garbage", "pax-xattrs",  "whiteouts", "random",     "zeros",
};

static void for_each_vector(size_t piece, void (*check)(const struct vector *v))
{
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct vector v;

        vector_init(&v, names[i], piece);
        check(&v);
        vector_fini(&v);
    }
}

/* ---- what is checked ------------------------------------------------------------------------- */

static void check_digest(const struct vector *v)
{
    char digest[DIGEST_TEXT_BYTES];
    struct digest blob;

    assert_ok(digest_of(buf_bytes(&v->blob), &blob));
    digest_format(&blob, digest);
    assert_string_equal(digest, text_of(v->answer, "ztoc_digest"));
    assert_true(digest_equal(&blob, &v->info.digest));
    assert_int_equal(v->blob.len, number_of(v->answer, "ztoc_size"));
    assert_int_equal(v->info.ztoc_size, v->blob.len);
}

static void our_ztocs_are_byte_for_byte_those_of_the_reference(void **state)
{
    (void)state;
    for_each_vector(65536, check_digest);
}

static void how_a_layer_is_cut_into_pieces_makes_no_difference(void **state)
{
    static const size_t pieces[] = {1, 7, 511, 4099};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(pieces); i++)
        for_each_vector(pieces[i], check_digest);
}

static void check_sizes(const struct vector *v)
{
    assert_int_equal(ztoc_compression(v->toc), v->compression);
    assert_string_equal(ztoc_version(v->toc), text_of(v->answer, "version"));
    assert_string_equal(ztoc_build_tool(v->toc), text_of(v->answer, "build_tool_identifier"));
    assert_int_equal(ztoc_comp_size(v->toc), number_of(v->answer, "compressed_archive_size"));
    assert_int_equal(ztoc_uncomp_size(v->toc), number_of(v->answer, "uncompressed_archive_size"));
    assert_int_equal(ztoc_span_size(v->toc), number_of(v->answer, "span_size"));
    assert_int_equal(ztoc_span_count(v->toc), number_of(v->answer, "max_span_id") + 1);
    assert_int_equal(v->info.comp_size, ztoc_comp_size(v->toc));
    assert_int_equal(v->info.uncomp_size, ztoc_uncomp_size(v->toc));
    assert_int_equal(v->info.span_count, ztoc_span_count(v->toc));
    assert_int_equal(v->info.file_count, ztoc_file_count(v->toc));
}

static void sizes_are_those_of_the_reference(void **state)
{
    (void)state;
    for_each_vector(65536, check_sizes);
}

static void check_spans(const struct vector *v)
{
    const cJSON *answer = cJSON_GetObjectItemCaseSensitive(v->answer, "spans"), *item;
    char digest[DIGEST_TEXT_BYTES];
    struct ztoc_span span;
    size_t i = 0;

    assert_int_equal(cJSON_GetArraySize(answer), ztoc_span_count(v->toc));
    cJSON_ArrayForEach(item, answer)
    {
        bool is_last = i + 1 == ztoc_span_count(v->toc);

        ztoc_span_at(v->toc, i++, &span);
        digest_format(&span.digest, digest);
        assert_int_equal(span.comp_off, number_of(item, "CompStart"));
        assert_int_equal(span.comp_end, number_of(item, "CompEnd"));
        assert_int_equal(span.uncomp_off, number_of(item, "UncompStart"));
        /* The reference lets a last span behind the archive's end go backwards. */
        if (!is_last || number_of(item, "UncompEnd") >= span.uncomp_off)
            assert_int_equal(span.uncomp_end, number_of(item, "UncompEnd"));
        else
            assert_int_equal(span.uncomp_end, span.uncomp_off);
        assert_string_equal(digest, text_of(item, "Digest"));
    }
}

static void spans_are_those_of_the_reference(void **state)
{
    (void)state;
    for_each_vector(65536, check_spans);
}

static void check_xattrs(const struct ztoc *toc, size_t i, size_t count, const cJSON *records)
{
    struct ztoc_xattr xattr;

    assert_int_equal(cJSON_GetArraySize(records), count);
    for (size_t k = 0; k < count; k++) {
        const cJSON *value;

        ztoc_xattr_at(toc, i, k, &xattr);
        value = cJSON_GetObjectItemCaseSensitive(records, xattr.key);
        assert_non_null(value);
        assert_text(value, xattr.value);
    }
}

static void check_files(const struct vector *v)
{
    const cJSON *answer = cJSON_GetObjectItemCaseSensitive(v->answer, "files"), *item;
    char mtime[CLOCK_RFC3339_BYTES];
    struct ztoc_file file;
    size_t i = 0;

    assert_int_equal(cJSON_GetArraySize(answer), ztoc_file_count(v->toc));
    cJSON_ArrayForEach(item, answer)
    {
        ztoc_file_at(v->toc, i, &file);
        assert_text_of(item, "Name", file.name);
        assert_text_of(item, "Linkname", file.linkname);
        assert_text_of(item, "Uname", file.uname);
        assert_text_of(item, "Gname", file.gname);
        assert_string_equal(ztoc_type_name(file.type), text_of(item, "Type"));
        assert_int_equal(file.uncomp_off, number_of(item, "UncompressedOffset"));
        assert_int_equal(file.uncomp_size, number_of(item, "Size"));
        assert_int_equal(file.mode, number_of(item, "Mode"));
        assert_int_equal(file.uid, number_of(item, "UID"));
        assert_int_equal(file.gid, number_of(item, "GID"));
        assert_int_equal(file.devmajor, number_of(item, "Devmajor"));
        assert_int_equal(file.devminor, number_of(item, "Devminor"));
        clock_rfc3339(file.mtime_sec, file.mtime_nsec, mtime);
        assert_string_equal(mtime, text_of(item, "ModTime"));
        check_xattrs(v->toc, i++, file.xattr_count,
                     cJSON_GetObjectItemCaseSensitive(item, "PAXHeaders"));
    }
}

static void entries_are_those_of_the_reference(void **state)
{
    (void)state;
    for_each_vector(65536, check_files);
}

static void check_content(const struct vector *v)
{
    SCOPED(buf_value) struct buf tar = BUF_EMPTY;
    struct bytes layer = buf_bytes(&v->layer);
    struct ztoc_source source = {layer_read_at, &layer};
    struct err err = ERR_NONE;

    if (v->compression == ZTOC_GZIP)
        gunzip(layer, &tar);
    else
        assert_ok(buf_add(&tar, layer.data, layer.len));
    for (size_t i = 0; i < ztoc_file_count(v->toc); i++) {
        SCOPED(buf_value) struct buf content = BUF_EMPTY;
        struct ztoc_sink sink = {buf_write, &content};
        struct ztoc_file file;

        ztoc_file_at(v->toc, i, &file);
        if (ztoc_extract(v->toc, buf_bytes(&v->blob), &source, &file, &sink, &err) < 0)
            fail_msg("%s: %s", v->name, err_text(&err));
        assert_int_equal(content.len, file.type == ZTOC_REG ? file.uncomp_size : 0);
        if (content.len > 0)
            assert_memory_equal(content.data, tar.data + file.uncomp_off, content.len);
    }
}

static void every_file_comes_out_as_it_is_in_the_tar(void **state)
{
    (void)state;
    for_each_vector(65536, check_content);
}

static void what_the_reference_refuses_is_refused(void **state)
{
    struct buf *layer = vector_load("ztoc/gz-trailing-zeros.tar.gz");
    SCOPED(buf_value) struct buf blob = BUF_EMPTY;
    struct err err = ERR_NONE;

    (void)state;
    assert_int_equal(ztoc_build(ZTOC_GZIP, SPAN_SIZE, buf_bytes(layer), 65536, &blob, NULL, &err),
                     -EBADMSG);
    assert_non_null(strstr(err_text(&err), "offset 116208"));
    assert_int_equal(blob.len, 0);
    buf_free(layer);
}

static void ztocs_of_the_reference_are_read(void **state)
{
    /* One of a layer whose first member is empty: two checkpoints at 0 of the tar, which the
     * reference writes and does not read. */
    struct buf *blob = vector_load("ztoc/odd-two-points-at-0.ztoc");
    SCOPED(ztoc) struct ztoc *toc = NULL;
    struct ztoc_span span;
    struct err err = ERR_NONE;

    (void)state;
    assert_ok(ztoc_parse(buf_bytes(blob), &toc, &err));
    ztoc_span_at(toc, 0, &span);
    assert_int_equal(span.uncomp_off, 0);
    assert_int_equal(span.uncomp_end, 0);
    assert_int_equal(ztoc_span_of(toc, 0), 1);
    buf_free(blob);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(our_ztocs_are_byte_for_byte_those_of_the_reference),
        cmocka_unit_test(how_a_layer_is_cut_into_pieces_makes_no_difference),
        cmocka_unit_test(sizes_are_those_of_the_reference),
        cmocka_unit_test(spans_are_those_of_the_reference),
        cmocka_unit_test(entries_are_those_of_the_reference),
        cmocka_unit_test(every_file_comes_out_as_it_is_in_the_tar),
        cmocka_unit_test(what_the_reference_refuses_is_refused),
        cmocka_unit_test(ztocs_of_the_reference_are_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
