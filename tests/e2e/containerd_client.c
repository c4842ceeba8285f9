/* SPDX-License-Identifier: Apache-2.0 */
/* containerd_client.c – our client against a real containerd, for the script containerd-client.
 *
 *   containerd-client-test ADDRESS            everything but garbage collection; the image
 * `test.invalid/image:1` is there containerd-client-test ADDRESS collected  after a collection:
 * what was to stay is there, what was not is gone */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"
#include "containerd/containerd.h"
#include "digest/digest.h"

#include <stdio.h>
#include <string.h>

#define IMAGE "test.invalid/image:1"

static const char *address;

static struct containerd *open_namespace(const char *name)
{
    struct containerd_options options = {.address = address, .namespace_ = name};
    struct containerd *c = NULL;

    assert_int_equal(containerd_open(&options, &c, NULL), 0);
    return c;
}

/* Everything is written under a lease, or a collection might come between writing and looking. */
static int group_setup(void **state)
{
    SCOPED(mem) char *lease = NULL;
    struct err err = ERR_NONE;

    *state = open_namespace("client-test");
    if (containerd_lease_create(*state, 0, &lease, &err) < 0 ||
        containerd_use_lease(*state, lease, &err) < 0)
        fail_msg("%s", err_text(&err));
    return 0;
}

static int group_teardown(void **state)
{
    containerd_close(*state);
    return 0;
}

#define assert_done(expr)                                                                          \
    do {                                                                                           \
        struct err err = ERR_NONE;                                                                 \
        int done_rc_ = (expr);                                                                     \
        if (done_rc_ != 0)                                                                         \
            fail_msg("%s: %d: %s", #expr, done_rc_, err_text(&err));                               \
    } while (0)

struct text {
    char digest[DIGEST_TEXT_BYTES];
    struct bytes bytes;
};

static struct text text_blob(const char *content)
{
    struct text text = {.bytes = bytes_of_str(content)};
    struct digest digest;

    assert_int_equal(digest_of(text.bytes, &digest), 0);
    digest_format(&digest, text.digest);
    return text;
}

static struct containerd_write_request write_of(const struct text *text,
                                                const struct text_map *labels)
{
    return (struct containerd_write_request){
        .digest = text->digest, .size_bytes = text->bytes.len, .labels = labels};
}

static void it_says_its_version(void **state)
{
    SCOPED(mem) char *version = NULL;

    assert_done(containerd_version(*state, &version, &err));
    assert_true(version[0] == 'v' || (version[0] >= '1' && version[0] <= '9'));
}

static void what_is_written_is_read_back(void **state)
{
    struct text blob = text_blob("what is written is read back");
    struct containerd_write_request request = write_of(&blob, NULL);
    SCOPED(containerd_content) struct containerd_content info = {.labels = TEXT_MAP_EMPTY};
    SCOPED(buf_value) struct buf got = BUF_EMPTY;
    struct err refused = ERR_NONE;

    assert_done(containerd_content_write(*state, &request, blob.bytes, &err));
    assert_done(containerd_content_info(*state, blob.digest, &info, &err));
    assert_int_equal(info.size_bytes, blob.bytes.len);
    assert_done(containerd_content_read_all(*state, blob.digest, 1000, &got, &err));
    assert_string_equal(buf_str(&got), "what is written is read back");
    assert_int_equal(containerd_content_read_all(*state, blob.digest, 10, &got, &refused), -EFBIG);
    assert_done(containerd_content_delete(*state, blob.digest, &err));
    assert_int_equal(containerd_content_delete(*state, blob.digest, &refused), -ENOENT);
}

static int add_piece(void *self, struct bytes piece, struct err *err)
{
    (void)err;
    return buf_add(self, piece.data, piece.len);
}

static int refuse_piece(void *self, struct bytes piece, struct err *err)
{
    (void)self;
    (void)piece;
    return err_set(err, -ENOSPC, "no room");
}

static void ranges_are_read(void **state)
{
    struct text blob = text_blob("0123456789");
    struct containerd_write_request request = write_of(&blob, NULL);
    SCOPED(buf_value) struct buf got = BUF_EMPTY;
    const struct containerd_sink sink = {.write = add_piece, .self = &got};
    const struct containerd_sink full = {.write = refuse_piece};
    struct err refused = ERR_NONE;

    assert_done(containerd_content_write(*state, &request, blob.bytes, &err));
    assert_done(containerd_content_read(*state, blob.digest, 2, 3, &sink, &err));
    assert_string_equal(buf_str(&got), "234");
    assert_done(containerd_content_read(*state, blob.digest, 7, 0, &sink, &err));
    assert_string_equal(buf_str(&got), "234789");
    assert_done(containerd_content_read(*state, blob.digest, 10, 0, &sink, &err));
    assert_int_equal(got.len, 6);
    assert_true(containerd_content_read(*state, blob.digest, 11, 1, &sink, &refused) < 0);
    assert_true(containerd_content_read(*state, blob.digest, 8, 5, &sink, &refused) < 0);
    assert_int_equal(containerd_content_read(*state, blob.digest, 0, 0, &full, &refused), -ENOSPC);
    assert_non_null(strstr(err_text(&refused), "no room"));
    assert_done(containerd_content_delete(*state, blob.digest, &err));
}

struct pattern {
    uint64_t at_bytes;
    uint64_t size_bytes;
};

static uint8_t pattern_byte(uint64_t at)
{
    return (uint8_t)(at * 2654435761u >> 13);
}

static ssize_t pattern_read(void *self, void *buf, size_t len, struct err *err)
{
    struct pattern *pattern = self;
    size_t i;

    (void)err;
    for (i = 0; i < len && pattern->at_bytes < pattern->size_bytes; i++)
        ((uint8_t *)buf)[i] = pattern_byte(pattern->at_bytes++);
    return (ssize_t)i;
}

static int hash_piece(void *self, struct bytes piece, struct err *err)
{
    (void)err;
    return hasher_update(self, piece);
}

static void a_large_blob_streams_both_ways(void **state)
{
    struct pattern pattern = {.size_bytes = 40 * 1024 * 1024 + 17};
    struct pattern again = pattern;
    const struct containerd_source source = {.read = pattern_read, .self = &again};
    SCOPED(hasher) struct hasher *hasher = hasher_new();
    const struct containerd_sink sink = {.write = hash_piece, .self = hasher};
    char text[DIGEST_TEXT_BYTES];
    struct containerd_write_request request = {.digest = text, .size_bytes = pattern.size_bytes};
    struct digest digest, got;
    uint8_t piece[4096];
    ssize_t len;

    assert_non_null(hasher);
    while ((len = pattern_read(&pattern, piece, sizeof(piece), NULL)) > 0)
        assert_int_equal(hasher_update(hasher, bytes_of(piece, (size_t)len)), 0);
    assert_int_equal(hasher_final(hasher, &digest), 0);
    digest_format(&digest, text);
    assert_done(containerd_content_write_from(*state, &request, &source, &err));
    assert_done(containerd_content_read(*state, text, 0, 0, &sink, &err));
    assert_int_equal(hasher_final(hasher, &got), 0);
    assert_true(digest_equal(&digest, &got));
    assert_done(containerd_content_delete(*state, text, &err));
}

static void an_empty_blob_is_a_blob(void **state)
{
    struct text blob = text_blob("");
    struct containerd_write_request request = write_of(&blob, NULL);
    SCOPED(buf_value) struct buf got = BUF_EMPTY;

    assert_done(containerd_content_write(*state, &request, blob.bytes, &err));
    assert_done(containerd_content_read_all(*state, blob.digest, 0, &got, &err));
    assert_int_equal(got.len, 0);
    assert_done(containerd_content_delete(*state, blob.digest, &err));
}

static void writing_what_is_there_sets_labels_and_keeps_others(void **state)
{
    struct text blob = text_blob("twice");
    SCOPED(text_map) struct text_map first = TEXT_MAP_EMPTY;
    SCOPED(text_map) struct text_map second = TEXT_MAP_EMPTY;
    struct containerd_write_request request = write_of(&blob, &first);
    SCOPED(containerd_content) struct containerd_content info = {.labels = TEXT_MAP_EMPTY};

    assert_int_equal(text_map_set(&first, "a", "1"), 0);
    assert_int_equal(text_map_set(&first, "b", "1"), 0);
    assert_int_equal(text_map_set(&second, "b", "2"), 0);
    assert_int_equal(text_map_set(&second, "containerd.io/gc.ref.content.ztoc.0", "x"), 0);
    assert_done(containerd_content_write(*state, &request, blob.bytes, &err));
    request.labels = &second;
    assert_done(containerd_content_write(*state, &request, blob.bytes, &err));
    assert_done(containerd_content_info(*state, blob.digest, &info, &err));
    assert_int_equal(info.labels.count, 3);
    assert_string_equal(text_map_get(&info.labels, "a"), "1");
    assert_string_equal(text_map_get(&info.labels, "b"), "2");
    assert_string_equal(text_map_get(&info.labels, "containerd.io/gc.ref.content.ztoc.0"), "x");
    containerd_content_fini(&info);

    assert_int_equal(text_map_set(&second, "b", ""), 0);
    assert_done(containerd_content_set_labels(*state, blob.digest, &second, &err));
    assert_done(containerd_content_info(*state, blob.digest, &info, &err));
    assert_null(text_map_get(&info.labels, "b"));
    assert_string_equal(text_map_get(&info.labels, "a"), "1");
    assert_done(containerd_content_delete(*state, blob.digest, &err));
}

static void bytes_of_another_digest_are_refused_and_leave_nothing(void **state)
{
    struct text blob = text_blob("promised");
    struct containerd_write_request request = write_of(&blob, NULL);
    struct err refused = ERR_NONE;

    assert_int_equal(containerd_content_write(*state, &request, bytes_of("pr0mised", 8), &refused),
                     -EBUSY);
    assert_int_equal(containerd_content_info(*state, blob.digest, NULL, &refused), -ENOENT);
    assert_int_equal(containerd_content_write(*state, &request, bytes_of("short", 5), &refused),
                     -EINVAL);
    assert_done(containerd_content_write(*state, &request, blob.bytes, &err));
    assert_done(containerd_content_delete(*state, blob.digest, &err));
}

static ssize_t read_and_fail(void *self, void *buf, size_t len, struct err *err)
{
    int *calls = self;

    if ((*calls)++ > 0)
        return err_set(err, -EIO, "the source is broken");
    memset(buf, 'x', len);
    return (ssize_t)len;
}

static void an_upload_whose_source_fails_can_be_made_again(void **state)
{
    struct pattern pattern = {.size_bytes = 3 * 1024 * 1024};
    const struct containerd_source good = {.read = pattern_read, .self = &pattern};
    int calls = 0;
    const struct containerd_source bad = {.read = read_and_fail, .self = &calls};
    SCOPED(hasher) struct hasher *hasher = hasher_new();
    char text[DIGEST_TEXT_BYTES];
    struct containerd_write_request request = {.digest = text, .size_bytes = pattern.size_bytes};
    struct err refused = ERR_NONE;
    struct digest digest;
    uint8_t piece[4096];
    ssize_t len;

    while ((len = pattern_read(&pattern, piece, sizeof(piece), NULL)) > 0)
        assert_int_equal(hasher_update(hasher, bytes_of(piece, (size_t)len)), 0);
    assert_int_equal(hasher_final(hasher, &digest), 0);
    digest_format(&digest, text);
    assert_int_equal(containerd_content_write_from(*state, &request, &bad, &refused), -EIO);
    assert_non_null(strstr(err_text(&refused), "the source is broken"));
    pattern.at_bytes = 0;
    assert_done(containerd_content_write_from(*state, &request, &good, &err));
    assert_done(containerd_content_delete(*state, text, &err));
}

static ssize_t never_read(void *self, void *buf, size_t len, struct err *err)
{
    (void)self;
    (void)buf;
    (void)len;
    return err_set(err, -EIO, "nobody should ask for bytes");
}

static void what_another_namespace_has_is_not_sent_again(void **state)
{
    SCOPED(containerd) struct containerd *other = open_namespace("client-test-2");
    SCOPED(text_map) struct text_map labels = TEXT_MAP_EMPTY;
    SCOPED(containerd_content) struct containerd_content info = {.labels = TEXT_MAP_EMPTY};
    const struct containerd_source none = {.read = never_read};
    struct text blob = text_blob("had by another namespace");
    struct containerd_write_request request = write_of(&blob, NULL);

    assert_done(containerd_content_write(other, &request, blob.bytes, &err));
    assert_int_equal(text_map_set(&labels, "a", "1"), 0);
    request.labels = &labels;
    assert_done(containerd_content_write_from(*state, &request, &none, &err));
    assert_done(containerd_content_info(*state, blob.digest, &info, &err));
    assert_int_equal(info.size_bytes, blob.bytes.len);
    assert_string_equal(text_map_get(&info.labels, "a"), "1");
    assert_done(containerd_content_delete(*state, blob.digest, &err));
    assert_done(containerd_content_delete(other, blob.digest, &err));
}

static void an_upload_that_is_not_committed_leaves_nothing(void **state)
{
    SCOPED(containerd_upload) struct containerd_upload *upload = NULL;
    struct text blob = text_blob("half of this");
    struct containerd_write_request request = write_of(&blob, NULL);
    struct err refused = ERR_NONE;

    assert_done(containerd_upload_open(*state, &request, &upload, &err));
    assert_done(containerd_upload_add(upload, bytes_of(blob.bytes.data, 4), &err));
    containerd_upload_close(TAKE(upload));
    assert_int_equal(containerd_content_info(*state, blob.digest, NULL, &refused), -ENOENT);

    assert_done(containerd_upload_open(*state, &request, &upload, &err));
    for (size_t i = 0; i < blob.bytes.len; i++)
        assert_done(containerd_upload_add(upload, bytes_of(blob.bytes.data + i, 1), &err));
    assert_int_equal(containerd_upload_add(upload, bytes_of("x", 1), &refused), -EINVAL);
    assert_done(containerd_upload_commit(upload, NULL, &err));
    containerd_upload_close(TAKE(upload));
    assert_int_equal(containerd_upload_open(*state, &request, &upload, &refused), -EEXIST);
    assert_done(containerd_content_delete(*state, blob.digest, &err));
}

static void keep_layer(struct containerd *c, const struct text *blob, const char *lease,
                       const char *host, const char *repository)
{
    SCOPED(containerd_layer) struct containerd_layer *layer = NULL;
    const struct containerd_layer_request request = {.digest = blob->digest,
                                                     .size_bytes = blob->bytes.len,
                                                     .host = host,
                                                     .repository = repository,
                                                     .manifest = text_blob("none").digest,
                                                     .lease = lease};

    assert_done(containerd_layer_open(c, &request, &layer, &err));
    if (containerd_layer_wants_bytes(layer))
        assert_done(containerd_layer_add(layer, blob->bytes, &err));
    assert_done(containerd_layer_finish(layer, "sha256:unpacked", &err));
}

/* With a lease that is gone, and with none: then there is one of its own. */
static void a_layer_has_the_labels_that_a_pull_leaves(void **state)
{
    SCOPED(containerd) struct containerd *c = open_namespace("client-test");
    SCOPED(containerd_content) struct containerd_content info = {.labels = TEXT_MAP_EMPTY};
    struct text blob = text_blob("a layer");

    (void)state;
    keep_layer(c, &blob, "no-such-lease", "localhost:5000", "app");
    keep_layer(c, &blob, NULL, "localhost:5001", "above");
    keep_layer(c, &blob, NULL, "[::1]:5000", "app");
    assert_done(containerd_content_info(c, blob.digest, &info, &err));
    assert_string_equal(text_map_get(&info.labels, "containerd.io/distribution.source.localhost"),
                        "above,app");
    assert_string_equal(text_map_get(&info.labels, "containerd.io/distribution.source.::1"), "app");
    assert_string_equal(text_map_get(&info.labels, "containerd.io/uncompressed"),
                        "sha256:unpacked");
    assert_done(containerd_content_delete(c, blob.digest, &err));
}

static void missing_content_is_said_to_be_missing(void **state)
{
    struct text blob = text_blob("never written");
    struct err refused = ERR_NONE;
    char expected[128];
    SCOPED(buf_value) struct buf got = BUF_EMPTY;
    const struct containerd_sink sink = {.write = add_piece, .self = &got};

    (void)snprintf(expected, sizeof(expected), "content digest %s: not found", blob.digest);
    assert_int_equal(containerd_content_info(*state, blob.digest, NULL, &refused), -ENOENT);
    assert_string_equal(err_text(&refused), expected);
    assert_int_equal(containerd_content_read(*state, blob.digest, 0, 5, &sink, &refused), -ENOENT);
    assert_string_equal(err_text(&refused), expected);
}

static void namespaces_do_not_see_each_other(void **state)
{
    SCOPED(containerd) struct containerd *other = open_namespace("client-test-2");
    struct text blob = text_blob("mine alone");
    struct containerd_write_request request = write_of(&blob, NULL);
    struct err refused = ERR_NONE;

    assert_done(containerd_content_write(*state, &request, blob.bytes, &err));
    assert_int_equal(containerd_content_info(other, blob.digest, NULL, &refused), -ENOENT);
    assert_done(containerd_content_delete(*state, blob.digest, &err));
}

static int count_content(void *arg, const char *digest, const struct containerd_content *content)
{
    int *count = arg;

    (void)digest;
    if (text_map_get(&content->labels, "walk") != NULL)
        (*count)++;
    return *count == 150 ? 77 : 0;
}

static void content_is_listed(void **state)
{
    SCOPED(text_map) struct text_map labels = TEXT_MAP_EMPTY;
    SCOPED(text_list) struct text_list filters = TEXT_LIST_EMPTY;
    int i, count = 0;

    assert_int_equal(text_map_set(&labels, "walk", "yes"), 0);
    assert_int_equal(text_list_add(&filters, "labels.walk==yes"), 0);
    for (i = 0; i < 149; i++) {
        char content[16];
        struct text blob;
        struct containerd_write_request request;

        (void)snprintf(content, sizeof(content), "walk %d", i);
        blob = text_blob(content);
        request = write_of(&blob, &labels);
        assert_done(containerd_content_write(*state, &request, blob.bytes, &err));
    }
    assert_done(containerd_content_list(*state, &filters, count_content, &count, &err));
    assert_int_equal(count, 149);
    count = 149; /* the first one ends the walk */
    assert_int_equal(containerd_content_list(*state, &filters, count_content, &count, NULL), 77);
}

static int count_images(void *arg, const struct containerd_image *image)
{
    if (strcmp(image->name, IMAGE) == 0)
        (*(int *)arg)++;
    return 0;
}

static void an_image_is_found_listed_and_labelled(void **state)
{
    SCOPED(containerd_image) struct containerd_image image = CONTAINERD_IMAGE_NONE;
    SCOPED(text_list) struct text_list filters = TEXT_LIST_EMPTY;
    SCOPED(mem) char *filter = NULL;
    SCOPED(buf_value) struct buf manifest = BUF_EMPTY;
    int count = 0;

    assert_done(containerd_image_get(*state, IMAGE, &image, &err));
    assert_string_equal(image.name, IMAGE);
    assert_string_equal(image.media_type, "application/vnd.oci.image.manifest.v1+json");
    assert_done(containerd_content_read_all(*state, image.digest, 1 << 20, &manifest, &err));
    assert_int_equal(manifest.len, image.size_bytes);
    filter = text_format("target.digest==%s", image.digest);
    assert_int_equal(text_list_add(&filters, filter), 0);
    assert_done(containerd_image_list(*state, &filters, count_images, &count, &err));
    assert_int_equal(count, 1);

    assert_done(containerd_image_set_label(*state, IMAGE, "soci", "one", &err));
    containerd_image_fini(&image);
    assert_done(containerd_image_get(*state, IMAGE, &image, &err));
    assert_string_equal(text_map_get(&image.labels, "soci"), "one");
    assert_done(containerd_image_set_label(*state, IMAGE, "soci", "", &err));
    containerd_image_fini(&image);
    assert_done(containerd_image_get(*state, IMAGE, &image, &err));
    assert_null(text_map_get(&image.labels, "soci"));
}

static void a_missing_image_is_said_to_be_missing(void **state)
{
    struct containerd_image image;
    struct err refused = ERR_NONE;

    assert_int_equal(containerd_image_get(*state, "test.invalid/other:1", &image, &refused),
                     -ENOENT);
    assert_string_equal(err_text(&refused), "image \"test.invalid/other:1\": not found");
    assert_null(image.name);
}

/* The blobs of the test after it, which a collection comes before. */
static void a_lease_is_made_used_and_deleted(void **state)
{
    SCOPED(text_map) struct text_map root = TEXT_MAP_EMPTY;
    struct text kept = text_blob("a label keeps this");
    struct text leased = text_blob("a lease keeps this");
    struct text lost = text_blob("nothing keeps this");
    struct containerd_write_request request = write_of(&kept, &root);
    SCOPED(mem) char *lease = NULL;
    SCOPED(mem) char *held = NULL;

    assert_int_equal(text_map_set(&root, "containerd.io/gc.root", "now"), 0);
    assert_done(containerd_lease_create(*state, 0, &lease, &err));
    assert_done(containerd_use_lease(*state, lease, &err));
    assert_done(containerd_content_write(*state, &request, kept.bytes, &err));
    request = write_of(&lost, NULL);
    assert_done(containerd_content_write(*state, &request, lost.bytes, &err));
    assert_done(containerd_lease_delete(*state, lease, &err));
    assert_done(containerd_lease_delete(*state, lease, &err)); /* already gone */

    assert_done(containerd_lease_create(*state, 3600 * 1000, &held, &err));
    assert_string_not_equal(held, lease);
    assert_done(containerd_use_lease(*state, held, &err));
    request = write_of(&leased, NULL);
    assert_done(containerd_content_write(*state, &request, leased.bytes, &err));
    assert_done(containerd_use_lease(*state, NULL, &err));
}

static void a_collection_takes_what_neither_lease_nor_label_keeps(void **state)
{
    struct err refused = ERR_NONE;

    assert_done(
        containerd_content_info(*state, text_blob("a label keeps this").digest, NULL, &err));
    assert_done(
        containerd_content_info(*state, text_blob("a lease keeps this").digest, NULL, &err));
    assert_int_equal(
        containerd_content_info(*state, text_blob("nothing keeps this").digest, NULL, &refused),
        -ENOENT);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_says_its_version),
        cmocka_unit_test(what_is_written_is_read_back),
        cmocka_unit_test(ranges_are_read),
        cmocka_unit_test(a_large_blob_streams_both_ways),
        cmocka_unit_test(an_empty_blob_is_a_blob),
        cmocka_unit_test(writing_what_is_there_sets_labels_and_keeps_others),
        cmocka_unit_test(bytes_of_another_digest_are_refused_and_leave_nothing),
        cmocka_unit_test(an_upload_whose_source_fails_can_be_made_again),
        cmocka_unit_test(what_another_namespace_has_is_not_sent_again),
        cmocka_unit_test(an_upload_that_is_not_committed_leaves_nothing),
        cmocka_unit_test(a_layer_has_the_labels_that_a_pull_leaves),
        cmocka_unit_test(missing_content_is_said_to_be_missing),
        cmocka_unit_test(namespaces_do_not_see_each_other),
        cmocka_unit_test(content_is_listed),
        cmocka_unit_test(an_image_is_found_listed_and_labelled),
        cmocka_unit_test(a_missing_image_is_said_to_be_missing),
        cmocka_unit_test(a_lease_is_made_used_and_deleted),
    };
    const struct CMUnitTest collected[] = {
        cmocka_unit_test(a_collection_takes_what_neither_lease_nor_label_keeps),
    };

    if (argc < 2 || argc > 3)
        return 2;
    address = argv[1];
    return argc == 3 ? cmocka_run_group_tests(collected, group_setup, group_teardown)
                     : cmocka_run_group_tests(tests, group_setup, group_teardown);
}
