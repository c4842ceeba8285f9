/* SPDX-License-Identifier: Apache-2.0 */
/* Whole layers against what their images say of them: checked, refused, and neither. */
#include "make_layer.h"
#include "array_source.h"

#include "layer/layer.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SPAN_SIZE = 65536, NOISE_BYTES = 300000, WAIT_MS = 300 };

struct world {
    char root[64];
    struct store *store;
    struct span_engine *engine;
    struct layer_set *layers;
    struct buf tar, blob; /* as inflated, and the compressed layer */
    struct digest layer, ztoc, diff_id;
    uint64_t archive_bytes; /* of the tar, up to its end */
    struct array_source source;
    struct span_fetch *held; /* atomic; of hold_start() */
    enum layer_check told;   /* atomic */
    unsigned tellings;       /* atomic */
};

/* ---- layers ---------------------------------------------------------------------------------- */

static void use_tar(struct world *w)
{
    SCOPED(buf_value) struct buf ztoc = BUF_EMPTY;
    struct ztoc_build_info info;
    struct err err = ERR_NONE;

    w->blob.len = 0;
    gzip_add(&w->blob, buf_bytes(&w->tar));
    assert_ok(digest_of(buf_bytes(&w->tar), &w->diff_id));
    assert_ok(digest_of(buf_bytes(&w->blob), &w->layer));
    assert_ok(ztoc_build(ZTOC_GZIP, SPAN_SIZE, buf_bytes(&w->blob), 65536, &ztoc, &info, &err));
    assert_ok(digest_of(buf_bytes(&ztoc), &w->ztoc));
    assert_ok(store_blob_put(w->store, &w->ztoc, buf_bytes(&ztoc), &err));
    w->archive_bytes = info.uncomp_size;
    w->source = (struct array_source){.layer = buf_bytes(&w->blob)};
}

/* `behind` is what comes after the end of the archive. */
static void make_layer(struct world *w, struct bytes behind)
{
    SCOPED(buf_value) struct buf noise = BUF_EMPTY;

    w->tar.len = 0;
    add_noise(&noise, NOISE_BYTES);
    tar_text(&w->tar, "file-a", '0', "hello\n");
    tar_pax_text(&w->tar, "SCHILY.xattr.user.a", "value-of-a");
    tar_add(&w->tar, "noise", '0', buf_bytes(&noise));
    tar_text(&w->tar, "file-b", '0', "bye\n");
    tar_end(&w->tar);
    assert_ok(buf_add(&w->tar, behind.data, behind.len));
    use_tar(w);
}

/* The table says something else in the place of a string of as many bytes, of which it has one. */
static void forge_ztoc(struct world *w, const char *from, const char *to)
{
    SCOPED(buf_value) struct buf ztoc = BUF_EMPTY;
    size_t len = strlen(from), forged = 0;
    struct err err = ERR_NONE;
    uint8_t prefix[4];

    put_u32le(prefix, (uint32_t)len);
    assert_ok(store_blob_read(w->store, &w->ztoc, 1 << 30, &ztoc, &err));
    for (size_t i = 0; i + 4 + len < ztoc.len; i++) {
        if (memcmp(ztoc.data + i, prefix, 4) != 0 || memcmp(ztoc.data + i + 4, from, len) != 0)
            continue;
        memcpy(ztoc.data + i + 4, to, len);
        forged++;
    }
    assert_int_equal(forged, 1);
    assert_ok(digest_of(buf_bytes(&ztoc), &w->ztoc));
    assert_ok(store_blob_put(w->store, &w->ztoc, buf_bytes(&ztoc), &err));
}

/* ---- the daemon ------------------------------------------------------------------------------ */

static void tell(void *arg, struct layer *layer, enum layer_check check, const struct err *why)
{
    struct world *w = arg;

    (void)layer;
    assert_true((check == LAYER_REFUSED) == (why->code != 0));
    __atomic_store_n(&w->told, check, __ATOMIC_RELEASE);
    (void)__atomic_add_fetch(&w->tellings, 1, __ATOMIC_RELEASE);
}

static void begin(struct world *w)
{
    const struct span_engine_options options = {.inflate_threads = 2};
    struct err err = ERR_NONE;

    assert_ok(store_open(w->root, &w->store, &err));
    assert_ok(span_engine_new(&options, &w->engine, &err));
    assert_ok(layer_set_new(w->store, w->engine, &w->layers, &err));
    layer_set_tell(w->layers, tell, w);
}

static void end(struct world *w)
{
    layer_set_free(w->layers);
    span_engine_free(w->engine);
    store_close(w->store);
}

static void restart(struct world *w)
{
    end(w);
    begin(w);
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));

    assert_non_null(w);
    (void)strcpy(w->root, "/tmp/test-check.XXXXXX");
    assert_non_null(mkdtemp(w->root));
    begin(w);
    make_layer(w, bytes_of(NULL, 0));
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    struct err err = ERR_NONE;

    end(w);
    assert_ok(dir_remove_all(w->root, &err));
    buf_fini(&w->tar);
    buf_fini(&w->blob);
    free(w);
    return 0;
}

static struct layer_options options_of(struct world *w, const struct layer_claim *claim)
{
    return (struct layer_options){.layer = w->layer,
                                  .ztoc = w->ztoc,
                                  .claim = *claim,
                                  .source = {.start = array_start,
                                             .cancel = array_cancel,
                                             .close = array_close,
                                             .self = &w->source}};
}

static int try_open(struct world *w, const struct layer_claim *claim, struct layer **ret,
                    struct err *err)
{
    struct layer_options options = options_of(w, claim);

    *ret = NULL;
    return layer_open(w->layers, &options, ret, err);
}

static struct layer *open_layer(struct world *w, const struct layer_claim *claim)
{
    struct layer *layer = NULL;
    struct err err = ERR_NONE;

    if (try_open(w, claim, &layer, &err) < 0)
        fail_msg("%s", err_text(&err));
    return layer;
}

static struct layer_claim right(const struct world *w)
{
    return (struct layer_claim){.kind = LAYER_CLAIM_DIFF_ID, .digest = w->diff_id};
}

static struct layer_claim wrong(const struct world *w)
{
    struct layer_claim claim = right(w);

    claim.digest.sha256[7] ^= 1;
    return claim;
}

static const struct layer_claim none = {.kind = LAYER_CLAIM_NONE};

static struct layer_status wait_status(struct layer *layer, enum layer_check check)
{
    int64_t deadline_ms = clock_mono_ms() + DEADLINE_MS;
    struct layer_status status;

    for (layer_get_status(layer, &status); status.check != check; clock_sleep_ms(1)) {
        if (clock_mono_ms() > deadline_ms)
            fail_msg("no verdict: %s", err_text(&status.last_error));
        layer_get_status(layer, &status);
    }
    return status;
}

/* Until all of it is on the disk. */
static void wait_fetched(struct layer *layer)
{
    int64_t deadline_ms = clock_mono_ms() + DEADLINE_MS;
    struct layer_status status;

    for (layer_get_status(layer, &status); status.fetched_bytes < status.size_bytes;
         clock_sleep_ms(1)) {
        if (clock_mono_ms() > deadline_ms)
            fail_msg("it does not come: %s", err_text(&status.last_error));
        layer_get_status(layer, &status);
    }
}

/* Fetch all of it, and see what is found. */
static void assert_verdict(struct world *w, const struct layer_claim *claim, enum layer_check check)
{
    struct layer *layer = open_layer(w, claim);

    layer_start_background(layer);
    (void)wait_status(layer, check);
    assert_int_equal(layer_checked_file(layer) != NULL, check == LAYER_CHECKED);
    layer_unref(layer);
}

static void assert_refused(struct world *w, const struct layer_claim *claim)
{
    struct layer *layer = NULL;
    struct err err = ERR_NONE;

    assert_int_equal(try_open(w, claim, &layer, &err), -EBADMSG);
    assert_null(layer);
}

/* ---- layers that are what they should be ----------------------------------------------------- */

static void a_layer_that_is_what_its_image_says_has_a_file_for_others(void **state)
{
    struct world *w = *state;
    struct layer_claim claim = right(w);
    struct layer *layer = open_layer(w, &claim);
    SCOPED(buf_value) struct buf content = BUF_EMPTY;
    struct err err = ERR_NONE;

    assert_null(layer_checked_file(layer));
    layer_start_background(layer);
    (void)wait_status(layer, LAYER_CHECKED);
    assert_ok(file_read(layer_checked_file(layer), 1 << 30, &content, &err));
    assert_int_equal(content.len, w->archive_bytes);
    assert_int_equal(content.len % SPAN_FILE_BLOCK_BYTES, 0);
    assert_memory_equal(content.data, w->tar.data, content.len);
    assert_int_equal(w->told, LAYER_CHECKED);
    assert_int_equal(w->tellings, 1);
    layer_unref(layer);
}

static void a_chain_id_will_do(void **state)
{
    struct world *w = *state;
    struct layer_claim claim = {.kind = LAYER_CLAIM_CHAIN_ID};

    memset(claim.below.sha256, 7, DIGEST_BYTES);
    assert_ok(digest_chain(&claim.below, &w->diff_id, &claim.digest));
    assert_verdict(w, &claim, LAYER_CHECKED);
    claim.below.sha256[0] ^= 1;
    assert_refused(w, &claim);
}

/* The spans, each once: nothing more is fetched for it. */
static void zeros_behind_the_archive_need_no_network(void **state)
{
    static const uint8_t zeros[60000];
    static const size_t lens[] = {0, 512, 1024, 9 * 1024, 20 * 1024, 57344};
    struct world *w = *state;

    for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
        struct layer_claim claim;
        struct layer *layer;
        unsigned fetches;

        make_layer(w, bytes_of(zeros, lens[i]));
        assert_true(w->archive_bytes <= w->tar.len - lens[i]);
        claim = right(w);
        layer = open_layer(w, &none); /* not yet to be checked */
        layer_start_background(layer);
        wait_fetched(layer);
        fetches = __atomic_load_n(&w->source.fetches, __ATOMIC_RELAXED);
        layer_unref(open_layer(w, &claim));
        (void)wait_status(layer, LAYER_CHECKED);
        assert_int_equal(__atomic_load_n(&w->source.fetches, __ATOMIC_RELAXED), fetches);
        layer_unref(layer);
    }
}

static void other_bytes_behind_the_archive_are_part_of_the_layer(void **state)
{
    SCOPED(buf_value) struct buf noise = BUF_EMPTY;
    struct world *w = *state;
    static const size_t lens[] = {1, 1000, 200000};

    add_noise(&noise, 200000);
    for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
        struct layer_claim claim;

        make_layer(w, bytes_of(noise.data, lens[i]));
        claim = right(w);
        assert_verdict(w, &claim, LAYER_CHECKED);
        claim = wrong(w);
        assert_refused(w, &claim);
    }
}

static void zeros_that_should_be_other_bytes_are_refused(void **state)
{
    struct world *w = *state;
    SCOPED(buf_value) struct buf noise = BUF_EMPTY;
    struct layer_claim claim;

    add_noise(&noise, 1000);
    make_layer(w, buf_bytes(&noise));
    claim = right(w);
    make_layer(w, bytes_of(NULL, 0)); /* another layer, with the same files */
    assert_verdict(w, &claim, LAYER_REFUSED);
}

/* A program that maps a file would see them. */
static void a_layer_with_bytes_behind_its_files_has_no_file_for_others(void **state)
{
    struct world *w = *state;
    struct layer_claim claim;
    struct layer *layer;

    make_layer(w, bytes_of(NULL, 0));
    w->tar.data[BLOCK + 100] = 'x'; /* the first file has six bytes */
    use_tar(w);
    claim = right(w);
    layer = open_layer(w, &claim);
    layer_start_background(layer);
    (void)wait_status(layer, LAYER_CHECKED);
    assert_null(layer_checked_file(layer));
    layer_unref(layer);
    restart(w);
    layer = open_layer(w, &claim);
    (void)wait_status(layer, LAYER_CHECKED);
    assert_null(layer_checked_file(layer));
    claim = wrong(w); /* what it hashes to is known all the same */
    assert_refused(w, &claim);
    layer_unref(layer);
}

static void after_a_restart_it_is_known_without_network(void **state)
{
    struct world *w = *state;
    struct layer_claim claim = right(w);
    struct layer *layer;
    unsigned fetches;

    assert_verdict(w, &claim, LAYER_CHECKED);
    restart(w);
    fetches = w->source.fetches;
    layer = open_layer(w, &claim);
    assert_non_null(layer_checked_file(layer)); /* at once */
    layer_unref(layer);
    layer = open_layer(w, &none);
    assert_non_null(layer_checked_file(layer));
    layer_unref(layer);
    assert_int_equal(w->source.fetches, fetches);
    assert_int_equal(w->tellings, 1);
}

/* It was all there, and nobody said what it should be, or the daemon ended before it knew. */
static void what_was_not_checked_is_after_a_restart(void **state)
{
    struct world *w = *state;
    struct layer_claim claim = right(w);
    struct layer *layer = open_layer(w, &none);
    unsigned fetches;

    layer_start_background(layer);
    wait_fetched(layer);
    clock_sleep_ms(WAIT_MS);
    assert_null(layer_checked_file(layer));
    layer_unref(layer);
    restart(w);
    fetches = w->source.fetches;
    layer = open_layer(w, &claim);
    (void)wait_status(layer, LAYER_CHECKED);
    assert_int_equal(w->source.fetches, fetches);
    layer_unref(layer);
}

/* ---- layers that are not --------------------------------------------------------------------- */

static void a_layer_that_hashes_to_something_else_is_refused_for_good(void **state)
{
    struct world *w = *state;
    struct layer_claim claim = wrong(w), true_claim = right(w);
    struct layer *layer = open_layer(w, &claim), *again = NULL;
    struct layer_status status;
    struct err err = ERR_NONE;

    layer_start_background(layer);
    status = wait_status(layer, LAYER_REFUSED);
    assert_non_null(strstr(err_text(&status.last_error), "the image says"));
    assert_true(status.last_error_ms > 0);
    assert_int_equal(try_open(w, &claim, &again, &err), -EBADMSG);
    layer_unref(layer);
    assert_ok(span_file_remove(w->store, &w->layer, &w->ztoc, &err)); /* as when it is removed */
    assert_refused(w, &claim);
    assert_refused(w, &none);
    restart(w);
    assert_refused(w, &claim);
    assert_int_equal(w->told, LAYER_REFUSED);
    assert_int_equal(w->tellings, 1);
    /* An image that says what is so is not to suffer from one that does not. */
    assert_verdict(w, &true_claim, LAYER_CHECKED);
}

static void a_table_that_is_forged_is_refused_for_all(void **state)
{
    static const char *const forgeries[][2] = {
        {"file-a", "file-x"},
        {"SCHILY.xattr.user.a", "SCHILY.xattr.user.b"},
        {"value-of-a", "value-of-b"},
    };
    struct world *w = *state;

    for (size_t i = 0; i < ARRAY_LEN(forgeries); i++) {
        struct layer_claim claim, other;
        struct err err = ERR_NONE;

        make_layer(w, bytes_of(NULL, 0));
        forge_ztoc(w, forgeries[i][0], forgeries[i][1]);
        claim = right(w);
        other = wrong(w);
        assert_verdict(w, &claim, LAYER_REFUSED);
        assert_ok(span_file_remove(w->store, &w->layer, &w->ztoc, &err));
        restart(w);
        assert_refused(w, &claim);
        assert_refused(w, &other);
        assert_refused(w, &none);
    }
}

static void another_image_that_says_otherwise_of_a_checked_layer_is_refused(void **state)
{
    struct world *w = *state;
    struct layer_claim claim = right(w), other = wrong(w);
    struct layer *layer = open_layer(w, &claim);

    layer_start_background(layer);
    (void)wait_status(layer, LAYER_CHECKED);
    assert_refused(w, &other);
    assert_non_null(layer_checked_file(layer)); /* for those who were right all stays */
    layer_unref(layer);
    assert_refused(w, &other);
    layer_unref(open_layer(w, &claim));
}

/* Else the check would never see what the second says. */
static void another_image_that_says_otherwise_of_an_open_layer_is_refused(void **state)
{
    struct world *w = *state;
    struct layer_claim claim = right(w), other = wrong(w);
    struct layer_claim chain = {.kind = LAYER_CLAIM_CHAIN_ID}, other_chain = chain;
    struct layer *layer = open_layer(w, &claim);

    assert_refused(w, &other);
    assert_ok(digest_chain(&chain.below, &w->diff_id, &chain.digest));
    other_chain.below.sha256[0] ^= 1; /* but the same chain ID */
    other_chain.digest = chain.digest;
    assert_refused(w, &other_chain);
    layer_unref(open_layer(w, &chain));
    layer_start_background(layer);
    (void)wait_status(layer, LAYER_CHECKED);
    layer_unref(layer);
}

static void of_chain_ids_only_those_over_the_same_layers_contradict_each_other(void **state)
{
    struct world *w = *state;
    struct layer_claim chain = {.kind = LAYER_CLAIM_CHAIN_ID}, same, elsewhere, diff = wrong(w);
    struct layer *layer;

    assert_ok(digest_chain(&chain.below, &w->diff_id, &chain.digest));
    same = elsewhere = chain;
    same.digest.sha256[0] ^= 1;
    elsewhere.below.sha256[0] ^= 1;
    layer = open_layer(w, &chain);
    assert_refused(w, &same);
    assert_refused(w, &diff);
    layer_unref(open_layer(w, &elsewhere));
    layer_start_background(layer);
    (void)wait_status(layer, LAYER_CHECKED);
    assert_refused(w, &elsewhere);
    layer_unref(layer);
}

static void nobody_says_what_it_should_be_so_it_is_as_it_was(void **state)
{
    struct world *w = *state;
    struct layer *layer = open_layer(w, &none);
    struct layer_status status;

    layer_start_background(layer);
    wait_fetched(layer);
    clock_sleep_ms(WAIT_MS);
    layer_get_status(layer, &status);
    assert_int_equal(status.check, LAYER_UNCHECKED);
    assert_int_equal(status.last_error.code, 0);
    layer_unref(layer);
}

/* ---- faults that are not the index's --------------------------------------------------------- */

static void a_disk_that_damages_is_healed_and_no_reason_to_refuse(void **state)
{
    static const size_t places[] = {10, 3 * BLOCK + 100, 100000}; /* headers, and content */
    struct world *w = *state;

    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        struct layer_claim claim;
        struct layer *layer;
        uint8_t byte;

        make_layer(w, bytes_of(&(uint8_t){(uint8_t)(i + 1)}, 1)); /* a layer of its own */
        claim = right(w);
        layer = open_layer(w, &none);
        layer_start_background(layer);
        wait_fetched(layer);
        assert_int_equal(pread(layer_fd(layer), &byte, 1, (off_t)places[i]), 1);
        byte ^= 0x20;
        assert_int_equal(pwrite(layer_fd(layer), &byte, 1, (off_t)places[i]), 1);
        layer_unref(open_layer(w, &claim));
        (void)wait_status(layer, LAYER_CHECKED);
        layer_unref(layer);
    }
}

static int hold_start(void *self, struct span_fetch *fetch, struct err *err)
{
    struct world *w = self;

    (void)err;
    __atomic_store_n(&w->held, fetch, __ATOMIC_RELEASE);
    return 0;
}

static void hold_cancel(void *self, struct span_fetch *fetch)
{
    struct world *w = self;

    assert_ptr_equal(__atomic_exchange_n(&w->held, NULL, __ATOMIC_ACQ_REL), fetch);
    fetch->done(fetch, -ECANCELED, NULL);
}

static void hold_close(void *self)
{
    (void)self;
}

static void a_check_that_waits_for_a_registry_does_not_hold_up_who_closes(void **state)
{
    struct world *w = *state;
    int64_t start_ms;
    struct layer *layer;
    struct layer_claim claim;
    struct layer_options options;
    struct err err = ERR_NONE;

    make_layer(w, bytes_of_str("which must be fetched"));
    claim = right(w);
    layer = open_layer(w, &none);
    layer_start_background(layer);
    wait_fetched(layer);
    options = options_of(w, &claim);
    options.source = (struct span_source){
        .start = hold_start, .cancel = hold_cancel, .close = hold_close, .self = w};
    assert_ok(layer_open(w->layers, &options, &layer, &err)); /* its source is in use now */
    start_ms = clock_mono_ms();
    while (__atomic_load_n(&w->held, __ATOMIC_ACQUIRE) == NULL)
        if (clock_mono_ms() > start_ms + DEADLINE_MS)
            fail_msg("nothing is fetched");
    layer_unref(layer);
    layer_unref(layer);
    assert_null(w->held);
    assert_int_equal(w->tellings, 0);
    assert_verdict(w, &claim, LAYER_CHECKED); /* another time */
}

static void layers_that_come_and_go_while_they_are_checked_do_no_harm(void **state)
{
    struct world *w = *state;
    struct layer_claim claim = right(w);

    for (int i = 0; i < 100; i++) {
        struct layer *layer = open_layer(w, &claim);

        layer_start_background(layer);
        clock_sleep_ms(i % 10);
        layer_unref(layer);
    }
    assert_verdict(w, &claim, LAYER_CHECKED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_layer_that_is_what_its_image_says_has_a_file_for_others),
        TEST(a_chain_id_will_do),
        TEST(zeros_behind_the_archive_need_no_network),
        TEST(other_bytes_behind_the_archive_are_part_of_the_layer),
        TEST(zeros_that_should_be_other_bytes_are_refused),
        TEST(a_layer_with_bytes_behind_its_files_has_no_file_for_others),
        TEST(after_a_restart_it_is_known_without_network),
        TEST(what_was_not_checked_is_after_a_restart),
        TEST(a_layer_that_hashes_to_something_else_is_refused_for_good),
        TEST(a_table_that_is_forged_is_refused_for_all),
        TEST(another_image_that_says_otherwise_of_a_checked_layer_is_refused),
        TEST(another_image_that_says_otherwise_of_an_open_layer_is_refused),
        TEST(of_chain_ids_only_those_over_the_same_layers_contradict_each_other),
        TEST(nobody_says_what_it_should_be_so_it_is_as_it_was),
        TEST(a_disk_that_damages_is_healed_and_no_reason_to_refuse),
        TEST(a_check_that_waits_for_a_registry_does_not_hold_up_who_closes),
        TEST(layers_that_come_and_go_while_they_are_checked_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
