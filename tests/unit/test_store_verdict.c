/* SPDX-License-Identifier: Apache-2.0 */
/* Verdicts about whole layers: their bytes, against some that were not written by this code
 * (tests/vectors/verdict), and the refusals on the disk. */
#include "test.h"

#include "base/text.h"
#include "store/internal.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <unistd.h>

static struct digest digest_with(uint8_t byte)
{
    struct digest digest;

    memset(digest.sha256, byte, sizeof(digest.sha256));
    return digest;
}

/* ---- as bytes -------------------------------------------------------------------------------- */

static struct verdict load(const char *name)
{
    SCOPED(buf) struct buf *raw = vector_load(name);
    struct verdict verdict;
    struct err err = ERR_NONE;

    assert_ok(verdict_parse(buf_bytes(raw), &verdict, &err));
    return verdict;
}

static void a_verdict_says_of_what_it_is_and_why(void **state)
{
    struct verdict verdict = load("verdict/refused.verdict");

    (void)state;
    assert_int_equal(verdict.kind, VERDICT_REFUSED);
    assert_int_equal(verdict.layer.sha256[31], 0x11);
    assert_int_equal(verdict.ztoc.sha256[0], 0x22);
    assert_int_equal(verdict.digest.sha256[0], 0xdd);
    assert_string_equal(verdict.text, "entry 0 of the tar, bin/sh, differs in its mode");
    assert_int_equal(load("verdict/checked.verdict").kind, VERDICT_CHECKED);
    assert_int_equal(strlen(load("verdict/longest-text.verdict").text), 639);
}

static void what_we_write_is_what_others_write(void **state)
{
    static const char *const names[] = {"verdict/checked.verdict", "verdict/refused.verdict",
                                        "verdict/refused-for-all.verdict",
                                        "verdict/longest-text.verdict"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        SCOPED(buf) struct buf *raw = vector_load(names[i]);
        struct verdict verdict = load(names[i]);
        uint8_t again[VERDICT_BYTES_MAX];
        size_t len = verdict_encode(&verdict, again);

        assert_true(bytes_equal(bytes_of(again, len), buf_bytes(raw)));
    }
}

static void whatever_is_wrong_with_one_is_noticed(void **state)
{
    SCOPED(dir) DIR *dir = opendir(VECTORS_DIR "/verdict");
    struct dirent *entry;
    size_t refused = 0;

    (void)state;
    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL) {
        struct verdict verdict;
        struct err err = ERR_NONE;
        struct buf *raw;
        char name[300];

        if (!text_has_prefix(entry->d_name, "bad-"))
            continue;
        (void)snprintf(name, sizeof(name), "verdict/%s", entry->d_name);
        raw = vector_load(name);
        if (verdict_parse(buf_bytes(raw), &verdict, &err) != -EBADMSG)
            fail_msg("%s is taken", name);
        buf_free(raw);
        refused++;
    }
    assert_int_equal(refused, 11);
}

/* ---- refusals -------------------------------------------------------------------------------- */

struct fixture {
    char root[64];
    struct store *store;
    struct digest layer, ztoc, claim, other;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct err err = ERR_NONE;

    (void)strcpy(f->root, "/tmp/test-verdict.XXXXXX");
    assert_non_null(mkdtemp(f->root));
    assert_ok(store_open(f->root, &f->store, &err));
    f->layer = digest_with(0x11);
    f->ztoc = digest_with(0x22);
    f->claim = digest_with(0x33);
    f->other = digest_with(0x44);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    struct err err = ERR_NONE;

    store_close(f->store);
    assert_ok(dir_remove_all(f->root, &err));
    free(f);
    return 0;
}

static int refused(struct fixture *f, const struct digest *claim, struct err *err)
{
    return store_refused(f->store, &f->layer, &f->ztoc, claim, err);
}

static void a_refusal_outlives_the_process(void **state)
{
    struct fixture *f = *state;
    struct err err = ERR_NONE;

    assert_int_equal(refused(f, &f->claim, &err), 0);
    assert_ok(store_refuse(f->store, &f->layer, &f->ztoc, NULL, "it lies", &err));
    store_close(f->store);
    assert_ok(store_open(f->root, &f->store, &err));
    assert_int_equal(refused(f, &f->claim, &err), -EBADMSG);
    assert_string_equal(err_text(&err), "it lies");
    assert_int_equal(refused(f, NULL, &err), -EBADMSG);
}

static void another_layer_or_ztoc_is_not_refused(void **state)
{
    struct fixture *f = *state;
    struct err err = ERR_NONE;

    assert_ok(store_refuse(f->store, &f->layer, &f->ztoc, NULL, "it lies", &err));
    assert_int_equal(store_refused(f->store, &f->layer, &f->other, NULL, &err), 0);
    assert_int_equal(store_refused(f->store, &f->other, &f->ztoc, NULL, &err), 0);
}

static void a_wrong_claim_is_refused_for_those_who_make_it_and_who_make_none(void **state)
{
    struct fixture *f = *state;
    struct err err = ERR_NONE;

    assert_ok(store_refuse(f->store, &f->layer, &f->ztoc, &f->claim, "no", &err));
    assert_int_equal(refused(f, &f->claim, &err), -EBADMSG);
    assert_int_equal(refused(f, NULL, &err), -EBADMSG);
    assert_int_equal(refused(f, &f->other, &err), 0);
}

static void a_damaged_refusal_refuses(void **state)
{
    struct fixture *f = *state;
    SCOPED(mem) char *path = NULL;
    char layer[65], ztoc[65];
    struct err err = ERR_NONE;

    assert_ok(store_refuse(f->store, &f->layer, &f->ztoc, &f->claim, "no", &err));
    digest_hex(&f->layer, layer);
    digest_hex(&f->ztoc, ztoc);
    path = text_format("%s/refused/%s-%s", f->root, layer, ztoc);
    assert_ok(truncate(path, 30));
    assert_int_equal(refused(f, &f->other, &err), -EBADMSG);
}

static void of_too_many_the_oldest_goes(void **state)
{
    struct fixture *f = *state;
    struct err err = ERR_NONE;
    struct digest layer = f->layer;

    for (unsigned i = 0; i <= STORE_REFUSED_MAX; i++) {
        SCOPED(mem) char *path = NULL;
        char a[65], b[65];

        put_u32le(layer.sha256, i);
        digest_hex(&layer, a);
        digest_hex(&f->ztoc, b);
        path = text_format("%s/refused/%s-%s", f->root, a, b);
        if (i == 0 || i == STORE_REFUSED_MAX) { /* the rest without syncs */
            assert_ok(store_refuse(f->store, &layer, &f->ztoc, NULL, "no", &err));
            if (i == 0) /* a file system's clock ticks slower than files are made */
                assert_int_equal(utimes(path, (struct timeval[2]){{.tv_sec = 1}, {.tv_sec = 1}}),
                                 0);
        } else {
            FILE *file = fopen(path, "we");

            assert_non_null(file);
            assert_int_equal(fclose(file), 0);
        }
    }
    assert_int_equal(store_refused(f->store, &layer, &f->ztoc, NULL, &err), -EBADMSG);
    put_u32le(layer.sha256, 0);
    assert_int_equal(store_refused(f->store, &layer, &f->ztoc, NULL, &err), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_verdict_says_of_what_it_is_and_why),
        cmocka_unit_test(what_we_write_is_what_others_write),
        cmocka_unit_test(whatever_is_wrong_with_one_is_noticed),
        TEST(a_refusal_outlives_the_process),
        TEST(another_layer_or_ztoc_is_not_refused),
        TEST(a_wrong_claim_is_refused_for_those_who_make_it_and_who_make_none),
        TEST(a_damaged_refusal_refuses),
        TEST(of_too_many_the_oldest_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
