/* SPDX-License-Identifier: Apache-2.0 */
/* test_ztoc_memory.c – every allocation of a build, a parse and an extraction fails once: each time
 * the answer is -ENOMEM, nothing leaks (the asan preset looks) and nothing crashes. Allocations of
 * zlib's and libcrypto's own are not reached. */
#include "make_layer.h"
#include "failing_malloc.h"

static void make_tar(struct buf *tar)
{
    SCOPED(buf_value) struct buf noise = BUF_EMPTY;
    char name[32];

    add_noise(&noise, 200000);
    tar_add(tar, "noise", '0', buf_bytes(&noise));
    for (int i = 0; i < 200; i++) {
        tar_pax_text(tar, "SCHILY.xattr.user.a", "value");
        tar_add(tar, "long", 'L', bytes_of_str("a/long/name"));
        (void)snprintf(name, sizeof(name), "file-%d", i);
        tar_text(tar, name, '0', "x");
    }
    tar_end(tar);
}

static int compare(const struct ztoc *toc, struct bytes tar, struct err *err)
{
    SCOPED(ztoc_comparison) struct ztoc_comparison *c = NULL;
    int rc = ztoc_comparison_new(toc, &c, err);

    if (rc == 0)
        rc = ztoc_comparison_feed(c, tar, err);
    return rc < 0 ? rc : ztoc_comparison_finish(c, err);
}

/* Build, parse, read a file, and compare with the tar. */
static int use(enum ztoc_compression compression, struct bytes layer, struct bytes tar)
{
    SCOPED(buf_value) struct buf blob = BUF_EMPTY;
    SCOPED(buf_value) struct buf out = BUF_EMPTY;
    SCOPED(ztoc) struct ztoc *toc = NULL;
    struct ztoc_source source = {layer_read_at, &layer};
    struct ztoc_sink sink = {buf_write, &out};
    struct ztoc_file file;
    struct err err = ERR_NONE;
    int rc = ztoc_build(compression, 50000, layer, 65536, &blob, NULL, &err);

    if (rc == 0)
        rc = ztoc_parse(buf_bytes(&blob), &toc, &err);
    if (rc == 0) {
        ztoc_file_at(toc, 0, &file);
        rc = ztoc_extract(toc, buf_bytes(&blob), &source, &file, &sink, &err);
    }
    return rc < 0 ? rc : compare(toc, tar, &err);
}

static void any_allocation_that_fails_is_an_answer_like_any_other(void **state)
{
    static const enum ztoc_compression kinds[] = {ZTOC_GZIP, ZTOC_UNCOMPRESSED};
    SCOPED(buf_value) struct buf tar = BUF_EMPTY;
    SCOPED(buf_value) struct buf gz = BUF_EMPTY;

    (void)state;
    make_tar(&tar);
    gzip_add(&gz, buf_bytes(&tar));
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        struct bytes layer = buf_bytes(kinds[i] == ZTOC_GZIP ? &gz : &tar);
        long failed = 0;
        int rc;

        do {
            fail_allocations(failed);
            rc = use(kinds[i], layer, buf_bytes(&tar));
            (void)stop_failing();
            assert_true(rc == 0 || rc == -ENOMEM);
            failed += rc == -ENOMEM;
        } while (rc != 0);
        assert_in_range(failed, 20, 2000); /* fewer: the wrapping does not work */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_allocation_that_fails_is_an_answer_like_any_other),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
