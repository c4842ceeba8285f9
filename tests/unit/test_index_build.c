/* SPDX-License-Identifier: Apache-2.0 */
/* test_index_build.c – the index of an image is the reference's, byte for byte, and so are the
 * lines printed. */
#include "test.h"

#include "base/text.h"
#include "index/index.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define IMAGE_MANIFEST "54d5e954ce7c6548699aab7461651b12a80e11dc1da344626f9677c1ab88c94f"
#define LAYER_ONE_BYTE "sha256:3c0fb5f7426cfb38eb1ab7f823586f3ae88d900202afba64c469de766d40feeb"

/* A content store in memory over the blobs of the vector. */
struct store {
    pthread_mutex_t lock;
    struct text_list written; /* digests, with "+labels" behind those that had some; lock */
    struct buf last_index;    /* the last blob that had labels; lock */
    struct text_map last_labels;
    const char *missing; /* this digest is "not found" */
    const char *damaged; /* this one lost its last byte */
    struct text_list lines;
    size_t reads;
    int version; /* of the index that is built */
};

static int read_blob(void *self, const struct digest *digest,
                     int (*sink)(void *arg, struct bytes part, struct err *err), void *arg,
                     struct err *err)
{
    struct store *store = self;
    char text[DIGEST_TEXT_BYTES], name[200];
    struct buf *blob;
    size_t off, step;
    int rc = 0;

    digest_format(digest, text);
    __atomic_fetch_add(&store->reads, 1, __ATOMIC_RELAXED);
    if (store->missing != NULL && strcmp(text, store->missing) == 0)
        return err_set(err, -ENOENT, "content digest %s: not found", text);
    (void)snprintf(name, sizeof(name), "image/image/blobs/sha256/%s", text + 7);
    blob = vector_load(name);
    if (store->damaged != NULL && strcmp(text, store->damaged) == 0)
        blob->len--;
    for (off = 0; rc == 0 && off < blob->len; off += step) {
        step = blob->len - off < 1000 ? blob->len - off : 1000;
        rc = sink(arg, bytes_of(blob->data + off, step), err);
    }
    buf_free(blob);
    return rc;
}

static int write_blob(void *self, const struct digest *digest, struct bytes content,
                      const struct text_map *labels, struct err *err)
{
    struct store *store = self;
    char digest_text[DIGEST_TEXT_BYTES], text[DIGEST_TEXT_BYTES + 8];
    int rc;

    (void)err;
    (void)pthread_mutex_lock(&store->lock);
    digest_format(digest, digest_text);
    (void)snprintf(text, sizeof(text), "%s%s", digest_text, labels == NULL ? "" : "+labels");
    if (labels != NULL) {
        store->last_index.len = 0;
        assert_ok(buf_add(&store->last_index, content.data, content.len));
        assert_ok(text_map_copy(&store->last_labels, labels));
    }
    rc = text_list_add(&store->written, text);
    (void)pthread_mutex_unlock(&store->lock);
    return rc;
}

static void add_line(void *self, const char *line)
{
    assert_ok(text_list_add(&((struct store *)self)->lines, line));
}

static void store_fini(struct store *store)
{
    text_list_fini(&store->written);
    text_list_fini(&store->lines);
    text_map_fini(&store->last_labels);
    buf_fini(&store->last_index);
}

static int build_changed(struct store *store, uint64_t min_layer_bytes,
                         void (*change)(struct oci_manifest *manifest), struct index_built *built,
                         struct err *err)
{
    const struct index_build_options options = {
        .content = {.read = read_blob, .write = write_blob, .self = store},
        .output = {.line = add_line, .self = store},
        .version = store->version,
        .span_size_bytes = 32768,
        .min_layer_bytes = min_layer_bytes,
        .threads = 3,
    };
    struct oci_descriptor desc = {.media_type = (char[]){OCI_MEDIA_MANIFEST}};
    struct oci_manifest *manifest = NULL;
    struct buf *json = vector_load("image/image/blobs/sha256/" IMAGE_MANIFEST);
    int rc;

    assert_ok(digest_parse("sha256:" IMAGE_MANIFEST, &desc.digest, NULL));
    desc.size_bytes = json->len;
    assert_ok(oci_manifest_parse(buf_bytes(json), &manifest, err));
    if (change != NULL)
        change(manifest);
    rc = index_build(&options, &desc, manifest, built, err);
    oci_manifest_free(manifest);
    buf_free(json);
    return rc;
}

static int build(struct store *store, uint64_t min_layer_bytes, struct index_built *built,
                 struct err *err)
{
    return build_changed(store, min_layer_bytes, NULL, built, err);
}

/* The same lines, in any order. */
static void assert_same_lines(const struct text_list *lines, const char *vector)
{
    struct text_list want = TEXT_LIST_EMPTY;
    struct buf *text = vector_load(vector);
    size_t i;

    assert_ok(text_list_split(&want, buf_str(text), '\n'));
    assert_int_equal(lines->count, want.count - 1); /* the last line ends with a newline */
    for (i = 0; i + 1 < want.count; i++) {
        if (!text_list_has(lines, want.items[i]))
            fail_msg("not printed: %s", want.items[i]);
    }
    text_list_fini(&want);
    buf_free(text);
}

static void assert_index_equals(int version, uint64_t min_layer_bytes, const char *json_vector,
                                const char *lines_vector)
{
    struct store store = {.lock = PTHREAD_MUTEX_INITIALIZER, .version = version};
    struct index_built built = {.index = NULL};
    struct err err = ERR_NONE;
    struct buf *want = vector_load(json_vector);

    if (build(&store, min_layer_bytes, &built, &err) < 0)
        fail_msg("%s", err.text);
    assert_true(bytes_equal(buf_bytes(&store.last_index), buf_bytes(want)));
    assert_same_lines(&store.lines, lines_vector);
    assert_int_equal(built.size_bytes, want->len);
    index_built_fini(&built);
    store_fini(&store);
    buf_free(want);
}

static void the_index_of_every_layer_is_the_references(void **state)
{
    (void)state;
    assert_index_equals(1, 0, "image/index-v1-min0.json", "image/create-min0.stdout");
}

static void the_index_that_a_manifest_names_has_no_subject_as_the_references(void **state)
{
    (void)state;
    assert_index_equals(2, 0, "image/converted-v2/index.json", "image/create-min0.stdout");
}

static void small_layers_get_no_ztoc(void **state)
{
    (void)state;
    assert_index_equals(1, 100000, "image/index-v1-min100000.json",
                        "image/create-min100000.stdout");
}

static void labels_keep_what_the_index_names(void **state)
{
    struct store store = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct index_built built = {.index = NULL};
    struct err err = ERR_NONE;

    (void)state;
    assert_ok(build(&store, 100000, &built, &err));
    assert_string_equal(text_map_get(&store.last_labels, "containerd.io/gc.ref.content.config"),
                        "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a");
    assert_string_equal(text_map_get(&store.last_labels, "containerd.io/gc.ref.content.ztoc.0"),
                        "sha256:1e580187203b7b49159e5d04211972d39d87352540a422cc16cd1e8ebf02d5b0");
    assert_null(text_map_get(&store.last_labels, "containerd.io/gc.ref.content.ztoc.1"));
    index_built_fini(&built);
    store_fini(&store);
}

static void an_image_of_small_layers_is_an_error_and_writes_no_index(void **state)
{
    struct store store = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct index_built built = {.index = NULL};
    struct err err = ERR_NONE;

    (void)state;
    assert_int_equal(build(&store, 1u << 30, &built, &err), -ENODATA);
    assert_string_equal(err.text, "no ztocs created, all layers either skipped or produced errors");
    assert_int_equal(store.written.count, 0);
    assert_int_equal(store.lines.count, 4);
    store_fini(&store);
}

static void a_layer_that_is_not_there_is_named(void **state)
{
    struct store store = {.lock = PTHREAD_MUTEX_INITIALIZER, .missing = LAYER_ONE_BYTE};
    struct index_built built = {.index = NULL};
    struct err err = ERR_NONE;

    (void)state;
    assert_int_equal(build(&store, 0, &built, &err), -ENOENT);
    assert_non_null(strstr(err.text, "errors encountered while building soci layers; "));
    assert_non_null(strstr(err.text, "content digest " LAYER_ONE_BYTE ": not found"));
    assert_null(built.index);
    assert_int_equal(store.last_index.len, 0);
    store_fini(&store);
}

static void make_last_layer_the_first(struct oci_manifest *manifest)
{
    manifest->layers[manifest->layer_count - 1].digest = manifest->layers[0].digest;
    manifest->layers[manifest->layer_count - 1].size_bytes = manifest->layers[0].size_bytes;
}

static void a_layer_that_comes_twice_is_built_once_and_listed_twice(void **state)
{
    struct store store = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct index_built built = {.index = NULL};
    struct err err = ERR_NONE;

    (void)state;
    assert_ok(build_changed(&store, 0, make_last_layer_the_first, &built, &err));
    assert_int_equal(store.reads, 3);
    assert_int_equal(built.index->ztoc_count, 4);
    assert_true(digest_equal(&built.index->ztocs[0].ztoc, &built.index->ztocs[3].ztoc));
    assert_false(digest_equal(&built.index->ztocs[0].ztoc, &built.index->ztocs[1].ztoc));
    index_built_fini(&built);
    store_fini(&store);
}

static void a_truncated_layer_is_refused(void **state)
{
    struct store store = {.lock = PTHREAD_MUTEX_INITIALIZER, .damaged = LAYER_ONE_BYTE};
    struct index_built built = {.index = NULL};
    struct err err = ERR_NONE;

    (void)state;
    assert_int_equal(build(&store, 0, &built, &err), -EBADMSG);
    assert_non_null(strstr(err.text, LAYER_ONE_BYTE));
    assert_int_equal(store.last_index.len, 0);
    store_fini(&store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_index_of_every_layer_is_the_references),
        cmocka_unit_test(the_index_that_a_manifest_names_has_no_subject_as_the_references),
        cmocka_unit_test(small_layers_get_no_ztoc),
        cmocka_unit_test(labels_keep_what_the_index_names),
        cmocka_unit_test(an_image_of_small_layers_is_an_error_and_writes_no_index),
        cmocka_unit_test(a_layer_that_is_not_there_is_named),
        cmocka_unit_test(a_truncated_layer_is_refused),
        cmocka_unit_test(a_layer_that_comes_twice_is_built_once_and_listed_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
