/* SPDX-License-Identifier: Apache-2.0 */
/* Opened layers: real gzip layers with ztocs, shared, refused, closed. */
#include "array_source.h"

#include "base/clock.h"
#include "base/text.h"
#include "base/threads.h"
#include "layer/layer.h"
#include "ztoc/ztoc.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* The first three have 116 208, 67 150 and 32 933 bytes. Of the others, one has checkpoints behind
 * the end of its archive, two are not compressed and go on behind it. */
static const char *const vectors[] = {
    "image/image/blobs/sha256/030a12a235a57c2a6fe293b55e1f8398d29b524450d4c894614ad69fab50114b",
    "image/image/blobs/sha256/628fb9f72cd81b8e05156fb526f4dc5d605d15652c4e43264acec5fdd58c25e3",
    "image/image/blobs/sha256/4e709d713e65f1b74ccfafc9ae07e3a0e1743bbb7cf383f7b63653a586955b58",
    "ztoc/gz-empty-members.tar.gz",
    "ztoc/plain.tar",
    "ztoc/plain-random.tar",
};

/* ---- fixture --------------------------------------------------------------------------------- */

struct fixture {
    char root[64];
    struct store *store;
    struct span_engine *engine;
    struct layer_set *layers;
    struct buf *blob; /* the compressed layer */
    struct digest layer, ztoc;
    struct array_source source;
};

static int append(void *arg, struct bytes piece, struct err *err)
{
    (void)err;
    return buf_add(arg, piece.data, piece.len);
}

/* Builds the ztoc and puts it into the store. */
static void use_vector(struct fixture *f, const char *name)
{
    const struct ztoc_build_options options = {.span_size = 32768};
    SCOPED(ztoc_builder) struct ztoc_builder *builder = NULL;
    SCOPED(buf_value) struct buf ztoc = BUF_EMPTY;
    struct err err = ERR_NONE;

    buf_free(f->blob);
    f->blob = vector_load(name);
    f->source = (struct array_source){.layer = buf_bytes(f->blob)};
    assert_ok(digest_of(buf_bytes(f->blob), &f->layer));
    assert_ok(ztoc_builder_new(text_has_suffix(name, ".tar") ? ZTOC_UNCOMPRESSED : ZTOC_GZIP,
                               &options, &builder, &err));
    assert_ok(ztoc_builder_feed(builder, buf_bytes(f->blob), &err));
    assert_ok(ztoc_builder_finish(builder, &ztoc, NULL, &err));
    assert_ok(digest_of(buf_bytes(&ztoc), &f->ztoc));
    assert_ok(store_blob_put(f->store, &f->ztoc, buf_bytes(&ztoc), &err));
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    const struct span_engine_options options = {.inflate_threads = 2};
    struct err err = ERR_NONE;

    (void)strcpy(f->root, "/tmp/test-layer.XXXXXX");
    assert_non_null(mkdtemp(f->root));
    assert_ok(store_open(f->root, &f->store, &err));
    assert_ok(span_engine_new(&options, &f->engine, &err));
    assert_ok(layer_set_new(f->store, f->engine, &f->layers, &err));
    use_vector(f, vectors[0]);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    struct err err = ERR_NONE;

    layer_set_free(f->layers);
    span_engine_free(f->engine);
    store_close(f->store);
    assert_ok(dir_remove_all(f->root, &err));
    buf_free(f->blob);
    free(f);
    return 0;
}

static struct layer_options options_of(struct fixture *f)
{
    return (struct layer_options){.layer = f->layer,
                                  .ztoc = f->ztoc,
                                  .source = {.start = array_start,
                                             .cancel = array_cancel,
                                             .close = array_close,
                                             .self = &f->source}};
}

static struct layer *open_layer(struct fixture *f)
{
    struct layer_options options = options_of(f);
    struct err err = ERR_NONE;
    struct layer *layer = NULL;

    options.layer_bytes = f->blob->len;
    if (layer_open(f->layers, &options, &layer, &err) < 0)
        fail_msg("%s", err_text(&err));
    return layer;
}

/* ---- what is served -------------------------------------------------------------------------- */

struct told {
    struct span_want want;
    int rc; /* atomic; 1: not yet */
};

static void tell(struct span_want *want, int rc, const struct err *err)
{
    (void)err;
    __atomic_store_n(&((struct told *)((char *)want - offsetof(struct told, want)))->rc, rc,
                     __ATOMIC_RELEASE);
}

static int want_and_wait(struct layer *layer, uint64_t uncomp_off, size_t len)
{
    struct told told = {.want = {.uncomp_off = uncomp_off, .len = len, .done = tell}, .rc = 1};
    int64_t deadline_ms = clock_mono_ms() + DEADLINE_MS;
    struct err err = ERR_NONE;
    int rc = layer_want(layer, &told.want, &err);

    while (rc == 1 && __atomic_load_n(&told.rc, __ATOMIC_ACQUIRE) == 1) {
        if (clock_mono_ms() > deadline_ms)
            fail_msg("nothing came");
        clock_sleep_ms(1);
    }
    return rc == 1 ? told.rc : rc;
}

static int read_comp(void *self, void *out, size_t len, uint64_t comp_off, struct err *err)
{
    (void)err;
    memcpy(out, ((struct buf *)self)->data + comp_off, len);
    return 0;
}

static struct ztoc *load_ztoc(struct fixture *f, struct buf *ret_blob)
{
    struct ztoc *toc = NULL;
    struct err err = ERR_NONE;

    assert_ok(store_blob_read(f->store, &f->ztoc, 1 << 30, ret_blob, &err));
    assert_ok(ztoc_parse(buf_bytes(ret_blob), &toc, &err));
    return toc;
}

/* Each regular file, against what ztoc_extract() takes out of the layer. */
static void compare_files(struct fixture *f, struct layer *layer)
{
    SCOPED(buf_value) struct buf ztoc_blob = BUF_EMPTY;
    SCOPED(ztoc) struct ztoc *toc = load_ztoc(f, &ztoc_blob);
    const struct ztoc_source source = {.read_at = read_comp, .self = f->blob};
    struct err err = ERR_NONE;
    size_t i, compared = 0;

    for (i = 0; i < ztoc_file_count(toc); i++) {
        SCOPED(buf_value) struct buf want = BUF_EMPTY;
        const struct ztoc_sink sink = {.write = append, .self = &want};
        SCOPED(mem) uint8_t *got = NULL;
        struct ztoc_file file;

        ztoc_file_at(toc, i, &file);
        if (file.type != ZTOC_REG || file.uncomp_size == 0)
            continue;
        assert_ok(ztoc_extract(toc, buf_bytes(&ztoc_blob), &source, &file, &sink, &err));
        assert_ok(want_and_wait(layer, file.uncomp_off, (size_t)file.uncomp_size));
        got = malloc(want.len);
        assert_non_null(got);
        assert_ok(file_pread_all(layer_fd(layer), got, want.len, file.uncomp_off, &err));
        assert_memory_equal(got, want.data, want.len);
        compared++;
    }
    assert_true(compared > 0);
}

static void files_of_real_layers_are_as_the_ztoc_tells(void **state)
{
    struct fixture *f = *state;
    size_t i;

    for (i = 0; i < ARRAY_LEN(vectors); i++) {
        struct layer *layer;

        use_vector(f, vectors[i]);
        layer = open_layer(f);
        compare_files(f, layer);
        layer_unref(layer);
        assert_int_equal(closed(&f->source), 1);
    }
}

/* A blob that was compressed again at another time: other bytes in front, the same ztoc. */
static void two_layers_that_share_a_ztoc_are_open_at_once(void **state)
{
    struct fixture *f = *state;
    struct layer *first = open_layer(f), *second;

    f->blob->data[4] ^= 1; /* in the time of the gzip header */
    f->layer.sha256[0] ^= 1;
    second = open_layer(f);
    assert_ptr_not_equal(first, second);
    compare_files(f, first);
    compare_files(f, second);
    layer_unref(first);
    compare_files(f, second);
    layer_unref(second);
}

static void the_background_completes_a_layer_and_the_status_says_so(void **state)
{
    struct fixture *f = *state;
    struct layer *layer = open_layer(f);
    int64_t deadline_ms = clock_mono_ms() + DEADLINE_MS;
    struct layer_status status;

    layer_get_status(layer, &status);
    assert_int_equal(status.size_bytes, f->blob->len);
    assert_int_equal(status.fetched_bytes, 0);
    layer_start_background(layer);
    do {
        layer_get_status(layer, &status);
        assert_true(status.fetched_bytes <= status.size_bytes);
    } while (status.fetched_bytes < status.size_bytes && clock_mono_ms() < deadline_ms);
    assert_int_equal(status.fetched_bytes, f->blob->len);
    assert_int_equal(status.last_error.code, 0);
    layer_unref(layer);
}

static void a_layer_that_was_complete_needs_no_network_after_it_is_opened_again(void **state)
{
    struct fixture *f = *state;
    struct layer *layer = open_layer(f);
    unsigned fetches;

    assert_ok(want_and_wait(layer, 0, (size_t)layer_uncomp_bytes(layer)));
    fetches = f->source.fetches;
    assert_true(fetches > 0);
    layer_unref(layer);
    layer = open_layer(f);
    compare_files(f, layer);
    assert_int_equal(f->source.fetches, fetches);
    layer_unref(layer);
}

static void a_layer_says_what_it_is(void **state)
{
    struct fixture *f = *state;
    struct layer *layer = open_layer(f);

    assert_true(digest_equal(layer_digest(layer), &f->layer));
    assert_true(digest_equal(layer_ztoc_digest(layer), &f->ztoc));
    assert_int_equal(layer_comp_bytes(layer), f->blob->len);
    assert_true(tree_count(layer_tree(layer)) > 1);
    assert_false(layer_xattrs_disabled(layer));
    layer_unref(layer);
}

/* ---- sharing --------------------------------------------------------------------------------- */

enum { OPENERS = 16, ROUNDS = 20 };

struct opener {
    pthread_t thread;
    struct fixture *f;
    struct layer *layer;
    int rc;
};

static void *open_one(void *arg)
{
    struct opener *opener = arg;
    struct layer_options options = options_of(opener->f);
    struct err err = ERR_NONE;

    opener->rc = layer_open(opener->f->layers, &options, &opener->layer, &err);
    return NULL;
}

static void threads_that_open_one_layer_get_one_layer(void **state)
{
    struct fixture *f = *state;
    struct opener openers[OPENERS] = {{.f = f}};
    size_t i;

    for (i = 0; i < OPENERS; i++) {
        openers[i].f = f;
        assert_ok(thread_start(&openers[i].thread, "opener", open_one, &openers[i]));
    }
    for (i = 0; i < OPENERS; i++) {
        (void)pthread_join(openers[i].thread, NULL);
        assert_int_equal(openers[i].rc, 0);
        assert_ptr_equal(openers[i].layer, openers[0].layer);
    }
    wait_closed(&f->source, OPENERS - 1); /* the newest source is in use, the others are closed */
    for (i = 0; i < OPENERS; i++)
        layer_unref(openers[i].layer);
    assert_int_equal(closed(&f->source), OPENERS);
}

static void *open_and_close(void *arg)
{
    struct opener *opener = arg;
    size_t i;

    for (i = 0; i < ROUNDS && opener->rc == 0; i++) {
        (void)open_one(opener);
        if (opener->rc == 0)
            layer_unref(opener->layer);
    }
    return NULL;
}

static void opening_while_the_last_user_closes_waits_and_works(void **state)
{
    struct fixture *f = *state;
    struct opener openers[4] = {{.f = f}};
    size_t i;

    for (i = 0; i < ARRAY_LEN(openers); i++) {
        openers[i].f = f;
        assert_ok(thread_start(&openers[i].thread, "opener", open_and_close, &openers[i]));
    }
    for (i = 0; i < ARRAY_LEN(openers); i++) {
        (void)pthread_join(openers[i].thread, NULL);
        assert_int_equal(openers[i].rc, 0);
    }
    wait_closed(&f->source, ARRAY_LEN(openers) * ROUNDS);
}

static void a_reference_keeps_the_layer_open(void **state)
{
    struct fixture *f = *state;
    struct layer *layer = open_layer(f);

    assert_ptr_equal(layer_ref(layer), layer);
    layer_unref(layer);
    assert_int_equal(closed(&f->source), 0);
    assert_ok(want_and_wait(layer, 0, 1));
    layer_unref(layer);
    assert_int_equal(closed(&f->source), 1);
}

/* ---- refused --------------------------------------------------------------------------------- */

/* The rc of opening; the source must be closed. */
static int refused(struct fixture *f, struct layer_options *options)
{
    unsigned before = closed(&f->source);
    struct layer *layer = NULL;
    struct err err = ERR_NONE;
    int rc = layer_open(f->layers, options, &layer, &err);

    assert_null(layer);
    assert_int_equal(closed(&f->source), before + 1);
    assert_non_null(strstr(err_text(&err), "layer sha256:"));
    return rc;
}

static void a_layer_of_another_size_than_the_ztoc_says_is_refused(void **state)
{
    struct fixture *f = *state;
    struct layer_options options = options_of(f);
    struct layer *layer;

    options.layer_bytes = f->blob->len + 1;
    assert_int_equal(refused(f, &options), -EBADMSG);
    layer = open_layer(f);
    options = options_of(f);
    options.layer_bytes = f->blob->len + 1;
    assert_int_equal(refused(f, &options), -EBADMSG); /* also when it is open already */
    assert_ok(want_and_wait(layer, 0, 1));
    layer_unref(layer);
}

static void a_ztoc_that_is_not_in_the_store_is_enoent(void **state)
{
    struct fixture *f = *state;
    struct layer_options options = options_of(f);

    options.ztoc.sha256[0] ^= 1;
    assert_int_equal(refused(f, &options), -ENOENT);
}

static void a_blob_that_is_no_ztoc_is_refused(void **state)
{
    struct fixture *f = *state;
    struct layer_options options = options_of(f);
    struct err err = ERR_NONE;

    assert_ok(digest_of(bytes_of_str("no ztoc"), &options.ztoc));
    assert_ok(store_blob_put(f->store, &options.ztoc, bytes_of_str("no ztoc"), &err));
    assert_int_equal(refused(f, &options), -EBADMSG);
}

static void a_window_that_changed_on_disk_is_not_used(void **state)
{
    struct fixture *f = *state;
    SCOPED(buf_value) struct buf blob = BUF_EMPTY;
    SCOPED(ztoc) struct ztoc *toc = load_ztoc(f, &blob);
    size_t last = ztoc_span_count(toc) - 1;
    struct ztoc_span span;
    struct layer *layer = open_layer(f);
    char path[256], hex[2 * DIGEST_BYTES + 1];

    ztoc_span_at(toc, last, &span);
    blob.data[span.window_off + 100] ^= 1;
    digest_hex(&f->ztoc, hex);
    (void)snprintf(path, sizeof(path), "%s/content/blobs/sha256/%s", f->root, hex);
    {
        SCOPED(file) FILE *file = NULL;

        assert_int_equal(chmod(path, 0600), 0);
        file = fopen(path, "r+"); /* the same inode, as a disk error would have it */
        assert_non_null(file);
        assert_int_equal(fwrite(blob.data, 1, blob.len, file), blob.len);
    }
    assert_int_equal(want_and_wait(layer, span.uncomp_off, 1), -EIO);
    assert_ok(want_and_wait(layer, 0, 1));
    layer_unref(layer);
}

/* ---- files in memory ------------------------------------------------------------------------- */

static void the_tree_goes_when_nobody_holds_it_and_comes_back_the_same(void **state)
{
    struct fixture *f = *state;
    struct layer *layer = open_layer(f);
    size_t count = tree_count(layer_tree(layer)), children = tree_child_count(layer_tree(layer), 1);
    struct err err = ERR_NONE;

    assert_ok(layer_hold_tree(layer, &err)); /* two mounts */
    assert_ok(layer_hold_tree(layer, &err));
    layer_release_tree(layer);
    assert_int_equal(tree_count(layer_tree(layer)), count);
    layer_release_tree(layer);
    assert_null(layer_tree(layer));
    assert_ok(want_and_wait(layer, 0, 1)); /* what it is read by stays */
    assert_ok(layer_hold_tree(layer, &err));
    assert_int_equal(tree_count(layer_tree(layer)), count);
    assert_int_equal(tree_child_count(layer_tree(layer), 1), children);
    layer_release_tree(layer);
    layer_unref(layer);
}

static void a_tree_whose_ztoc_is_gone_is_not_held(void **state)
{
    struct fixture *f = *state;
    struct layer *layer = open_layer(f);
    struct err err = ERR_NONE;

    assert_ok(layer_hold_tree(layer, &err));
    layer_release_tree(layer);
    assert_ok(store_blob_remove(f->store, &f->ztoc, &err));
    assert_int_equal(layer_hold_tree(layer, &err), -ENOENT);
    assert_null(layer_tree(layer));
    assert_ok(want_and_wait(layer, 0, 1));
    layer_unref(layer);
}

static void *hold_and_release(void *arg)
{
    struct opener *opener = arg;
    struct err err = ERR_NONE;

    for (size_t i = 0; i < ROUNDS && opener->rc == 0; i++) {
        opener->rc = layer_hold_tree(opener->layer, &err);
        if (opener->rc == 0 && tree_count(layer_tree(opener->layer)) < 2)
            opener->rc = -EILSEQ;
        if (opener->rc == 0)
            layer_release_tree(opener->layer);
    }
    return NULL;
}

static void threads_that_hold_the_tree_in_turns_always_have_one(void **state)
{
    struct fixture *f = *state;
    struct layer *layer = open_layer(f);
    struct opener openers[4] = {{.f = f}};

    for (size_t i = 0; i < ARRAY_LEN(openers); i++) {
        openers[i].layer = layer;
        assert_ok(thread_start(&openers[i].thread, "holder", hold_and_release, &openers[i]));
    }
    for (size_t i = 0; i < ARRAY_LEN(openers); i++) {
        (void)pthread_join(openers[i].thread, NULL);
        assert_int_equal(openers[i].rc, 0);
    }
    layer_unref(layer);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(files_of_real_layers_are_as_the_ztoc_tells),
        TEST(two_layers_that_share_a_ztoc_are_open_at_once),
        TEST(the_background_completes_a_layer_and_the_status_says_so),
        TEST(a_layer_that_was_complete_needs_no_network_after_it_is_opened_again),
        TEST(a_layer_says_what_it_is),
        TEST(threads_that_open_one_layer_get_one_layer),
        TEST(opening_while_the_last_user_closes_waits_and_works),
        TEST(a_reference_keeps_the_layer_open),
        TEST(a_layer_of_another_size_than_the_ztoc_says_is_refused),
        TEST(a_ztoc_that_is_not_in_the_store_is_enoent),
        TEST(a_blob_that_is_no_ztoc_is_refused),
        TEST(a_window_that_changed_on_disk_is_not_used),
        TEST(the_tree_goes_when_nobody_holds_it_and_comes_back_the_same),
        TEST(a_tree_whose_ztoc_is_gone_is_not_held),
        TEST(threads_that_hold_the_tree_in_turns_always_have_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
