/* SPDX-License-Identifier: Apache-2.0 */
/* Records of starts: their bytes, against vectors that others wrote, how two become one, and how
 * they are kept. */
#include "test.h"

#include "base/text.h"
#include "starts/starts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

static struct starts_record *load(const char *name)
{
    SCOPED(buf) struct buf *file = vector_load(name);
    struct starts_record *record = NULL;
    struct err err = ERR_NONE;

    assert_ok(starts_parse(buf_bytes(file), &record, &err));
    return record;
}

static struct digest digest_like(uint8_t byte)
{
    struct digest digest;

    memset(digest.sha256, byte, sizeof(digest.sha256));
    return digest;
}

/* "a3 b0": span 3 of layer a (of ztoc A), then 0 of b. Another image's with `image`. */
static struct starts_record *record_of(uint8_t image, const char *text)
{
    struct digest manifest = digest_like(image);
    struct starts_record *record = starts_record_new(&manifest);
    uint32_t at_ms = 0;

    assert_non_null(record);
    for (; *text != '\0'; text += text[2] == ' ' ? 3 : 2) {
        struct starts_layer layer = {.layer = digest_like((uint8_t)text[0]),
                                     .ztoc = digest_like((uint8_t)(text[0] - 'a' + 'A'))};
        struct starts_touch touch = {.span = (uint32_t)(text[1] - '0'), .at_ms = at_ms++};

        assert_ok(starts_record_add_layer(record, &layer, &touch.layer));
        assert_ok(starts_record_add_touch(record, &touch));
    }
    return record;
}

static void assert_record(const struct starts_record *record, const char *want)
{
    SCOPED(buf_value) struct buf text = BUF_EMPTY;

    for (size_t i = 0; i < record->touch_count; i++) {
        const struct starts_touch *touch = &record->touches[i];

        assert_true(touch->layer < record->layer_count);
        assert_ok(buf_addf(&text, "%s%c%u", i == 0 ? "" : " ",
                           record->layers[touch->layer].layer.sha256[0], (unsigned)touch->span));
    }
    assert_string_equal(text.len == 0 ? "" : buf_str(&text), want);
}

static void assert_merged(const char *old, const char *fresh, const char *want)
{
    SCOPED(starts_record) struct starts_record *a = record_of(1, old);
    SCOPED(starts_record) struct starts_record *b = record_of(1, fresh);
    SCOPED(starts_record) struct starts_record *merged = NULL;
    struct err err = ERR_NONE;

    assert_ok(starts_merge(a, b, &merged, &err));
    assert_record(merged, want);
}

/* ---- bytes ----------------------------------------------------------------------------------- */

static void a_record_says_what_was_read_in_which_order(void **state)
{
    SCOPED(starts_record) struct starts_record *record = load("starts/two-layers.start");

    (void)state;
    assert_int_equal(record->manifest.sha256[5], 0x99);
    assert_int_equal(record->layer_count, 2);
    assert_int_equal(record->layers[1].layer.sha256[0], 0x12);
    assert_int_equal(record->layers[1].ztoc.sha256[31], 0x22);
    assert_int_equal(record->touch_count, 4);
    assert_int_equal(record->touches[0].layer, 1);
    assert_int_equal(record->touches[0].span, 7);
    assert_int_equal(record->touches[3].at_ms, 900);
}

static void what_we_write_is_what_others_write(void **state)
{
    static const char *const names[] = {"starts/two-layers.start", "starts/empty.start"};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        SCOPED(buf) struct buf *want = vector_load(names[i]);
        SCOPED(starts_record) struct starts_record *record = load(names[i]);
        SCOPED(buf_value) struct buf got = BUF_EMPTY;
        struct err err = ERR_NONE;

        assert_ok(starts_encode(record, &got, &err));
        assert_true(bytes_equal(buf_bytes(&got), buf_bytes(want)));
    }
}

static void broken_records_are_refused(void **state)
{
    static const char *const names[] = {
        "magic",       "version",
        "checksum",    "touch-count-past-end",
        "short",       "touch-count-too-small",
        "nothing",     "layer-count-past-end",
        "layer-twice", "touch-of-no-layer",
        "span-twice",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        SCOPED(mem) char *name = text_format("starts/bad-%s.start", names[i]);
        SCOPED(buf) struct buf *file = vector_load(name);
        struct starts_record *record = NULL;
        struct err err = ERR_NONE;

        if (starts_parse(buf_bytes(file), &record, &err) != -EBADMSG)
            fail_msg("%s: %s", name, err_text(&err));
        assert_null(record);
    }
}

static void a_record_that_is_cut_anywhere_is_refused(void **state)
{
    SCOPED(buf) struct buf *file = vector_load("starts/two-layers.start");
    struct starts_record *record = NULL;
    struct err err = ERR_NONE;

    (void)state;
    for (size_t len = 0; len < file->len; len++)
        assert_int_equal(starts_parse(bytes_of(file->data, len), &record, &err), -EBADMSG);
    assert_null(record);
}

static void more_layers_or_touches_than_the_limit_are_refused(void **state)
{
    struct digest manifest = digest_like(1);
    SCOPED(starts_record) struct starts_record *record = starts_record_new(&manifest);
    struct starts_touch touch = {.layer = 0};
    struct starts_layer layer = {.layer = manifest};
    uint32_t index;

    (void)state;
    for (uint32_t i = 0; i < STARTS_LAYERS_MAX; i++) {
        put_u32le(layer.layer.sha256, i);
        assert_ok(starts_record_add_layer(record, &layer, &index));
        assert_int_equal(index, i);
    }
    put_u32le(layer.layer.sha256, STARTS_LAYERS_MAX);
    assert_int_equal(starts_record_add_layer(record, &layer, &index), -EFBIG);
    for (; touch.span < STARTS_TOUCHES_MAX; touch.span++)
        assert_ok(starts_record_add_touch(record, &touch));
    assert_int_equal(starts_record_add_touch(record, &touch), -EFBIG);
}

/* ---- two become one -------------------------------------------------------------------------- */

static void a_warm_start_takes_nothing_away(void **state)
{
    (void)state;
    assert_merged("a1 a2 b0 a3", "a3 a1", "a1 a2 b0 a3");
    assert_merged("a1 a2 b0 a3", "", "a1 a2 b0 a3");
}

static void the_fuller_one_leads_and_the_other_adds(void **state)
{
    (void)state;
    assert_merged("a1 a2", "b1 a2 b0", "b1 a2 b0 a1");
    assert_merged("a1 a2 a3", "b0 a2", "a1 a2 a3 b0");
    assert_merged("", "a5", "a5");
    assert_merged("a1 a2", "a2 a1", "a2 a1");
}

static void without_an_older_one_it_is_the_fresh_one(void **state)
{
    SCOPED(starts_record) struct starts_record *fresh = record_of(1, "b2 a1");
    SCOPED(starts_record) struct starts_record *merged = NULL;
    struct err err = ERR_NONE;

    (void)state;
    assert_ok(starts_merge(NULL, fresh, &merged, &err));
    assert_record(merged, "b2 a1");
}

static void spans_of_a_ztoc_that_was_replaced_are_dropped(void **state)
{
    SCOPED(starts_record) struct starts_record *old = record_of(1, "a1 b1 a2 a3 a4");
    SCOPED(starts_record) struct starts_record *fresh = record_of(1, "a7");
    SCOPED(starts_record) struct starts_record *merged = NULL;
    struct err err = ERR_NONE;

    (void)state;
    fresh->layers[0].ztoc = digest_like(0x77);
    assert_ok(starts_merge(old, fresh, &merged, &err));
    assert_record(merged, "a7 b1");
    assert_int_equal(merged->layer_count, 2);
}

static void records_of_two_images_are_not_merged(void **state)
{
    SCOPED(starts_record) struct starts_record *old = record_of(1, "a1");
    SCOPED(starts_record) struct starts_record *fresh = record_of(2, "a1");
    struct starts_record *merged = NULL;
    struct err err = ERR_NONE;

    (void)state;
    assert_int_equal(starts_merge(old, fresh, &merged, &err), -EINVAL);
    assert_null(merged);
}

/* ---- on disk --------------------------------------------------------------------------------- */

static char *make_root(void)
{
    char *root = text_copy("/tmp/test_starts.XXXXXX");

    assert_non_null(mkdtemp(root));
    return root;
}

static void drop_root(char *root)
{
    struct err err = ERR_NONE;

    assert_ok(dir_remove_all(root, &err));
    free(root);
}

static void what_was_saved_is_loaded_and_no_other(void **state)
{
    SCOPED(starts_record) struct starts_record *saved = record_of(1, "a1 b2");
    SCOPED(starts_record) struct starts_record *loaded = NULL;
    struct digest other = digest_like(2);
    struct err err = ERR_NONE;
    char *root = make_root();

    (void)state;
    assert_int_equal(starts_load(root, &saved->manifest, &loaded, &err), -ENOENT);
    assert_ok(starts_save(root, saved, &err));
    assert_int_equal(starts_load(root, &other, &loaded, &err), -ENOENT);
    assert_ok(starts_load(root, &saved->manifest, &loaded, &err));
    assert_record(loaded, "a1 b2");
    drop_root(root);
}

static void a_file_under_another_images_name_is_refused(void **state)
{
    SCOPED(starts_record) struct starts_record *saved = record_of('a', "a1");
    struct starts_record *loaded = NULL;
    struct digest other = digest_like('b');
    char hex[2 * DIGEST_BYTES + 1], other_hex[2 * DIGEST_BYTES + 1];
    struct err err = ERR_NONE;
    char *root = make_root();
    SCOPED(mem) char *from = NULL;
    SCOPED(mem) char *to = NULL;

    (void)state;
    assert_ok(starts_save(root, saved, &err));
    digest_hex(&saved->manifest, hex);
    digest_hex(&other, other_hex);
    from = text_format("%s/starts/%s", root, hex);
    to = text_format("%s/starts/%s", root, other_hex);
    assert_ok(rename(from, to));
    assert_int_equal(starts_load(root, &other, &loaded, &err), -EBADMSG);
    assert_null(loaded);
    drop_root(root);
}

static void of_too_many_the_one_written_longest_ago_goes(void **state)
{
    SCOPED(starts_record) struct starts_record *record = record_of(1, "a1");
    const struct timespec long_ago[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    SCOPED(starts_record) struct starts_record *loaded = NULL;
    char hex[2 * DIGEST_BYTES + 1];
    struct digest manifest = digest_like(9), oldest;
    struct err err = ERR_NONE;
    char *root = make_root();
    SCOPED(mem) char *dir = text_format("%s/starts", root);
    SCOPED(mem) char *path = NULL;

    (void)state;
    assert_ok(dir_make_all(dir, 0700, &err));
    for (uint32_t i = 0; i < STARTS_FILES_MAX; i++) { /* as good as records for this */
        SCOPED(mem) char *name = NULL;
        SCOPED(fd) int fd = -1;

        put_u32le(manifest.sha256, i);
        digest_hex(&manifest, hex);
        name = text_format("%s/%s", dir, hex);
        fd = open(name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
    }
    oldest = manifest;
    put_u32le(oldest.sha256, 77);
    digest_hex(&oldest, hex);
    path = text_format("%s/%s", dir, hex);
    assert_ok(utimensat(AT_FDCWD, path, long_ago, 0));
    assert_ok(starts_save(root, record, &err));
    assert_false(path_exists(path));
    assert_ok(starts_load(root, &record->manifest, &loaded, &err));
    put_u32le(oldest.sha256, 78);
    digest_hex(&oldest, hex);
    free(path);
    path = text_format("%s/%s", dir, hex);
    assert_true(path_exists(path));
    drop_root(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_says_what_was_read_in_which_order),
        cmocka_unit_test(what_we_write_is_what_others_write),
        cmocka_unit_test(broken_records_are_refused),
        cmocka_unit_test(a_record_that_is_cut_anywhere_is_refused),
        cmocka_unit_test(more_layers_or_touches_than_the_limit_are_refused),
        cmocka_unit_test(a_warm_start_takes_nothing_away),
        cmocka_unit_test(the_fuller_one_leads_and_the_other_adds),
        cmocka_unit_test(without_an_older_one_it_is_the_fresh_one),
        cmocka_unit_test(spans_of_a_ztoc_that_was_replaced_are_dropped),
        cmocka_unit_test(records_of_two_images_are_not_merged),
        cmocka_unit_test(what_was_saved_is_loaded_and_no_other),
        cmocka_unit_test(a_file_under_another_images_name_is_refused),
        cmocka_unit_test(of_too_many_the_one_written_longest_ago_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
