/* SPDX-License-Identifier: Apache-2.0 */
/* test_ztoc_extract.c – one file out of a layer: which bytes are read, and what is refused. */
#include "make_layer.h"

struct layer {
    struct buf bytes, blob;
    struct ztoc *toc;
    uint64_t read_bytes; /* by read_at() */
    int read_rc;         /* what read_at() shall fail with */
};

static int count_read_at(void *self, void *buf, size_t len, uint64_t comp_off, struct err *err)
{
    struct layer *layer = self;
    struct bytes bytes = buf_bytes(&layer->bytes);

    layer->read_bytes += len;
    if (layer->read_rc < 0)
        return err_set(err, layer->read_rc, "no network");
    return layer_read_at(&bytes, buf, len, comp_off, err);
}

/* A small file, one of noise over several spans, and one behind it. */
static void make_layer(enum ztoc_compression compression, struct layer *ret)
{
    SCOPED(buf_value) struct buf tar = BUF_EMPTY;
    SCOPED(buf_value) struct buf noise = BUF_EMPTY;
    struct err err = ERR_NONE;

    *ret = (struct layer){.read_rc = 0};
    add_noise(&noise, 400000);
    tar_text(&tar, "first", '0', "hello\n");
    tar_add(&tar, "noise", '0', buf_bytes(&noise));
    tar_text(&tar, "last", '0', "bye\n");
    (void)tar_header(&tar, "dir", '5', 0);
    tar_end(&tar);
    if (compression == ZTOC_GZIP)
        gzip_add(&ret->bytes, buf_bytes(&tar));
    else
        assert_ok(buf_add(&ret->bytes, tar.data, tar.len));
    assert_ok(ztoc_build(compression, 50000, buf_bytes(&ret->bytes), 4096, &ret->blob, NULL, &err));
    assert_ok(ztoc_parse(buf_bytes(&ret->blob), &ret->toc, &err));
    assert_true(ztoc_span_count(ret->toc) > 3);
}

static void layer_fini(struct layer *layer)
{
    buf_fini(&layer->bytes);
    buf_fini(&layer->blob);
    ztoc_free(layer->toc);
}
DEFINE_SCOPED_VALUE(layer, struct layer, layer_fini)

static int extract(struct layer *layer, const char *name, struct buf *ret, struct err *err)
{
    struct ztoc_source source = {count_read_at, layer};
    struct ztoc_sink sink = {buf_write, ret};
    struct ztoc_file file;

    ztoc_file_at(layer->toc, ztoc_find(layer->toc, name), &file);
    return ztoc_extract(layer->toc, buf_bytes(&layer->blob), &source, &file, &sink, err);
}

static void only_the_spans_of_the_file_are_read(void **state)
{
    static const enum ztoc_compression kinds[] = {ZTOC_GZIP, ZTOC_UNCOMPRESSED};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        SCOPED(layer) struct layer layer;
        SCOPED(buf_value) struct buf out = BUF_EMPTY;
        SCOPED(buf_value) struct buf noise = BUF_EMPTY;
        struct err err = ERR_NONE;

        make_layer(kinds[i], &layer);
        assert_ok(extract(&layer, "last", &out, &err));
        assert_true(bytes_equal(buf_bytes(&out), bytes_of_str("bye\n")));
        assert_in_range(layer.read_bytes, 1, 150000);
        out.len = 0;
        add_noise(&noise, 400000);
        assert_ok(extract(&layer, "noise", &out, &err));
        assert_true(bytes_equal(buf_bytes(&out), buf_bytes(&noise)));
    }
}

static void what_has_no_content_reads_nothing(void **state)
{
    SCOPED(layer) struct layer layer;
    SCOPED(buf_value) struct buf out = BUF_EMPTY;
    struct err err = ERR_NONE;

    (void)state;
    make_layer(ZTOC_GZIP, &layer);
    assert_ok(extract(&layer, "dir", &out, &err));
    assert_int_equal(out.len, 0);
    assert_int_equal(layer.read_bytes, 0);
}

static void a_span_that_does_not_match_its_digest_gives_not_a_byte(void **state)
{
    static const enum ztoc_compression kinds[] = {ZTOC_GZIP, ZTOC_UNCOMPRESSED};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        SCOPED(layer) struct layer layer;
        SCOPED(buf_value) struct buf out = BUF_EMPTY;
        struct ztoc_span span;
        struct err err = ERR_NONE;

        make_layer(kinds[i], &layer);
        ztoc_span_at(layer.toc, 0, &span);
        layer.bytes.data[span.comp_end - 1] ^= 1;
        assert_int_equal(extract(&layer, "first", &out, &err), -EBADMSG);
        assert_string_equal(err_text(&err), "first: span 0: does not match its digest");
        assert_int_equal(out.len, 0);
    }
}

static void an_error_of_the_source_is_passed_on(void **state)
{
    SCOPED(layer) struct layer layer;
    SCOPED(buf_value) struct buf out = BUF_EMPTY;
    struct err err = ERR_NONE;

    (void)state;
    make_layer(ZTOC_GZIP, &layer);
    layer.read_rc = -ETIMEDOUT;
    assert_int_equal(extract(&layer, "first", &out, &err), -ETIMEDOUT);
    assert_string_equal(err_text(&err), "first: span 0: no network");
}

static int full(void *self, struct bytes piece, struct err *err)
{
    (void)self;
    (void)piece;
    return err_set(err, -ENOSPC, "full");
}

static void an_error_of_the_sink_is_passed_on(void **state)
{
    SCOPED(layer) struct layer layer;
    struct ztoc_source source = {count_read_at, &layer};
    struct ztoc_sink sink = {full, NULL};
    struct ztoc_file file;
    struct err err = ERR_NONE;

    (void)state;
    make_layer(ZTOC_GZIP, &layer);
    ztoc_file_at(layer.toc, 0, &file);
    assert_int_equal(ztoc_extract(layer.toc, buf_bytes(&layer.blob), &source, &file, &sink, &err),
                     -ENOSPC);
}

static void another_blob_than_the_one_that_was_parsed_is_refused(void **state)
{
    SCOPED(layer) struct layer layer;
    SCOPED(buf_value) struct buf out = BUF_EMPTY;
    struct err err = ERR_NONE;

    (void)state;
    make_layer(ZTOC_GZIP, &layer);
    layer.blob.len = 100;
    assert_int_equal(extract(&layer, "first", &out, &err), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_spans_of_the_file_are_read),
        cmocka_unit_test(what_has_no_content_reads_nothing),
        cmocka_unit_test(a_span_that_does_not_match_its_digest_gives_not_a_byte),
        cmocka_unit_test(an_error_of_the_source_is_passed_on),
        cmocka_unit_test(an_error_of_the_sink_is_passed_on),
        cmocka_unit_test(another_blob_than_the_one_that_was_parsed_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
