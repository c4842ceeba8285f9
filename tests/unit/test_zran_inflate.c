/* SPDX-License-Identifier: Apache-2.0 */
/* test_zran_inflate.c – a span inflates to exactly its part of the tar, or not at all. */
#include "make_layer.h"

#include "zran/zran.h"

enum { SPAN_SIZE = 4096, MAX_POINTS = 64 };

struct scanned {
    struct buf tar;
    uint64_t comp_len; /* bytes reported as consumed */
    struct zran_point points[MAX_POINTS];
    uint8_t (*windows)[ZRAN_WINDOW_BYTES];
    size_t count;
};

static int take_input(void *arg, struct bytes comp, struct err *err)
{
    struct scanned *scanned = arg;

    (void)err;
    scanned->comp_len += comp.len;
    return 0;
}

static int take_output(void *arg, struct bytes out, struct err *err)
{
    struct scanned *scanned = arg;

    (void)err;
    return buf_add(&scanned->tar, out.data, out.len);
}

static int take_point(void *arg, const struct zran_point *point,
                      const uint8_t window[ZRAN_WINDOW_BYTES], struct err *err)
{
    struct scanned *scanned = arg;

    if (scanned->count == MAX_POINTS)
        return err_set(err, -EFBIG, "too many points");
    assert_int_equal(scanned->comp_len, point->comp_off);
    memcpy(scanned->windows[scanned->count], window, ZRAN_WINDOW_BYTES);
    scanned->points[scanned->count++] = *point;
    return 0;
}

static void scanned_fini(struct scanned *scanned)
{
    buf_fini(&scanned->tar);
    free(scanned->windows);
}
DEFINE_SCOPED_VALUE(scanned, struct scanned, scanned_fini)

static void scan(struct bytes gz, struct scanned *ret)
{
    SCOPED(zran_scan) struct zran_scan *scan = NULL;
    struct zran_scan_events events = {take_input, take_output, take_point, ret};
    struct err err = ERR_NONE;

    ret->windows = calloc(MAX_POINTS, ZRAN_WINDOW_BYTES);
    assert_non_null(ret->windows);
    assert_ok(zran_scan_new(SPAN_SIZE, &events, &scan, &err));
    assert_ok(zran_scan_feed(scan, gz, &err));
    assert_ok(zran_scan_finish(scan, &err));
    assert_int_equal(ret->comp_len, gz.len);
}

/* Three members, each of several blocks: text that repeats, and noise. */
static void make_gzip(struct buf *gz)
{
    SCOPED(buf_value) struct buf in = BUF_EMPTY;

    for (int i = 0; i < 20000; i++)
        assert_ok(buf_addf(&in, "line %d of %d\n", i * 7919 % 20000, i));
    gzip_add(gz, buf_bytes(&in));
    add_noise(&in, 100000);
    gzip_add(gz, buf_bytes(&in));
    gzip_add(gz, bytes_of(in.data, 5));
}

static struct bytes comp_of(const struct scanned *s, size_t i, struct bytes gz)
{
    uint64_t start = zran_point_start(&s->points[i]);
    uint64_t end = i + 1 < s->count ? s->points[i + 1].comp_off : gz.len;

    return bytes_of(gz.data + start, (size_t)(end - start));
}

static uint64_t uncomp_len_of(const struct scanned *s, size_t i)
{
    return (i + 1 < s->count ? s->points[i + 1].uncomp_off : s->tar.len) - s->points[i].uncomp_off;
}

static void every_span_inflates_to_its_part_of_the_tar(void **state)
{
    SCOPED(buf_value) struct buf gz = BUF_EMPTY;
    SCOPED(scanned) struct scanned s = {.count = 0};
    struct err err = ERR_NONE;
    unsigned bits = 0;

    (void)state;
    make_gzip(&gz);
    scan(buf_bytes(&gz), &s);
    assert_in_range(s.count, 8, MAX_POINTS);
    for (size_t i = 0; i < s.count; i++) {
        SCOPED(buf_value) struct buf out = BUF_EMPTY;
        uint64_t len = uncomp_len_of(&s, i);

        bits |= s.points[i].bits;
        assert_ok(zran_inflate(s.points[i].bits, s.windows[i], comp_of(&s, i, buf_bytes(&gz)), len,
                               buf_write, &out, &err));
        assert_int_equal(out.len, len);
        assert_memory_equal(out.data, s.tar.data + s.points[i].uncomp_off, out.len);
    }
    assert_int_not_equal(bits, 0); /* or the shared byte was never tried */
}

static void every_span_inflates_to_its_end_when_that_is_not_known(void **state)
{
    SCOPED(buf_value) struct buf gz = BUF_EMPTY;
    SCOPED(scanned) struct scanned s = {.count = 0};
    struct err err = ERR_NONE;

    (void)state;
    make_gzip(&gz);
    scan(buf_bytes(&gz), &s);
    for (size_t i = 0; i < s.count; i++) {
        uint64_t len = uncomp_len_of(&s, i);
        const uint64_t skips[] = {0, 1, len / 2, len, len + 1};

        for (size_t j = 0; j < ARRAY_LEN(skips); j++) {
            SCOPED(buf_value) struct buf out = BUF_EMPTY;
            uint64_t left = skips[j] > len ? 0 : len - skips[j];

            assert_ok(zran_inflate_to_end(s.points[i].bits, s.windows[i],
                                          comp_of(&s, i, buf_bytes(&gz)), skips[j], buf_write, &out,
                                          &err));
            assert_int_equal(out.len, left);
            if (left > 0)
                assert_memory_equal(out.data, s.tar.data + s.points[i].uncomp_off + skips[j], left);
        }
    }
}

static void to_the_end_bytes_that_do_not_decode_are_refused(void **state)
{
    SCOPED(buf_value) struct buf gz = BUF_EMPTY;
    SCOPED(buf_value) struct buf out = BUF_EMPTY;
    SCOPED(scanned) struct scanned s = {.count = 0};
    struct err err = ERR_NONE;
    uint8_t noise[5000];

    (void)state;
    make_gzip(&gz);
    scan(buf_bytes(&gz), &s);
    assert_ok(buf_add(&gz, "more", 4)); /* behind the last member */
    assert_int_equal(zran_inflate_to_end(s.points[s.count - 1].bits, s.windows[s.count - 1],
                                         comp_of(&s, s.count - 1, buf_bytes(&gz)), 0, buf_write,
                                         &out, &err),
                     -EBADMSG);
    memset(noise, 0xff, sizeof(noise));
    assert_int_equal(zran_inflate_to_end(0, s.windows[0], bytes_of(noise, sizeof(noise)), 0,
                                         buf_write, &out, &err),
                     -EBADMSG);
}

static void a_part_of_a_span_inflates_too(void **state)
{
    SCOPED(buf_value) struct buf gz = BUF_EMPTY;
    SCOPED(buf_value) struct buf out = BUF_EMPTY;
    SCOPED(scanned) struct scanned s = {.count = 0};
    struct err err = ERR_NONE;

    (void)state;
    make_gzip(&gz);
    scan(buf_bytes(&gz), &s);
    assert_ok(zran_inflate(s.points[1].bits, s.windows[1], comp_of(&s, 1, buf_bytes(&gz)), 100,
                           buf_write, &out, &err));
    assert_int_equal(out.len, 100);
    assert_memory_equal(out.data, s.tar.data + s.points[1].uncomp_off, out.len);
    assert_ok(zran_inflate(0, s.windows[1], (struct bytes){0}, 0, buf_write, &out, &err));
    assert_int_equal(out.len, 100);
}

static void a_span_that_is_too_short_is_refused(void **state)
{
    SCOPED(buf_value) struct buf gz = BUF_EMPTY;
    SCOPED(scanned) struct scanned s = {.count = 0};

    (void)state;
    make_gzip(&gz);
    scan(buf_bytes(&gz), &s);
    for (size_t i = 0; i + 1 < s.count; i++) {
        SCOPED(buf_value) struct buf out = BUF_EMPTY;
        struct bytes comp = comp_of(&s, i, buf_bytes(&gz));
        struct err err = ERR_NONE;

        comp.len /= 2;
        assert_int_equal(zran_inflate(s.points[i].bits, s.windows[i], comp, uncomp_len_of(&s, i),
                                      buf_write, &out, &err),
                         -EBADMSG);
        comp.len = 0;
        assert_int_equal(zran_inflate(s.points[i].bits, s.windows[i], comp, uncomp_len_of(&s, i),
                                      buf_write, &out, &err),
                         -EBADMSG);
    }
}

static void more_than_the_last_span_has_is_refused(void **state)
{
    SCOPED(buf_value) struct buf gz = BUF_EMPTY;
    SCOPED(buf_value) struct buf out = BUF_EMPTY;
    SCOPED(scanned) struct scanned s = {.count = 0};
    struct err err = ERR_NONE;
    size_t last;

    (void)state;
    make_gzip(&gz);
    scan(buf_bytes(&gz), &s);
    last = s.count - 1;
    assert_int_equal(zran_inflate(s.points[last].bits, s.windows[last],
                                  comp_of(&s, last, buf_bytes(&gz)), uncomp_len_of(&s, last) + 1,
                                  buf_write, &out, &err),
                     -EBADMSG);
    assert_string_equal(err_text(&err), "inflate: the stream ends early");
}

static void bytes_that_do_not_decode_are_refused(void **state)
{
    static const uint8_t window[ZRAN_WINDOW_BYTES], bad_block[] = {0x07, 0, 0, 0, 0};
    SCOPED(buf_value) struct buf out = BUF_EMPTY;
    struct err err = ERR_NONE;

    (void)state;
    assert_int_equal(
        zran_inflate(0, window, bytes_of(bad_block, sizeof(bad_block)), 10, buf_write, &out, &err),
        -EBADMSG);
    assert_string_equal(err_text(&err), "inflate: invalid block type");
    assert_int_equal(
        zran_inflate(8, window, bytes_of(bad_block, sizeof(bad_block)), 10, buf_write, &out, &err),
        -EBADMSG);
}

static int fail_write(void *self, struct bytes out, struct err *err)
{
    (void)self;
    (void)out;
    return err_set(err, -ENOSPC, "full");
}

static void an_error_of_the_sink_ends_the_inflation(void **state)
{
    SCOPED(buf_value) struct buf gz = BUF_EMPTY;
    SCOPED(scanned) struct scanned s = {.count = 0};
    struct err err = ERR_NONE;

    (void)state;
    make_gzip(&gz);
    scan(buf_bytes(&gz), &s);
    assert_int_equal(
        zran_inflate(0, s.windows[0], comp_of(&s, 0, buf_bytes(&gz)), 100, fail_write, NULL, &err),
        -ENOSPC);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_span_inflates_to_its_part_of_the_tar),
        cmocka_unit_test(every_span_inflates_to_its_end_when_that_is_not_known),
        cmocka_unit_test(to_the_end_bytes_that_do_not_decode_are_refused),
        cmocka_unit_test(a_part_of_a_span_inflates_too),
        cmocka_unit_test(a_span_that_is_too_short_is_refused),
        cmocka_unit_test(more_than_the_last_span_has_is_refused),
        cmocka_unit_test(bytes_that_do_not_decode_are_refused),
        cmocka_unit_test(an_error_of_the_sink_ends_the_inflation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
