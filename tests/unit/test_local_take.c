/* SPDX-License-Identifier: Apache-2.0 */
/* test_local_take.c – layers begun ahead, taken, given up and left behind. The registry is an
 * array; the disk is real.
 */
#include "test.h"

#include "base/clock.h"
#include "base/text.h"
#include "base/threads.h"
#include "local/local.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- a registry of one image with a few layers, each a plain tar with one file --------------- */

enum { LAYERS = 4, FETCHES_MAX = 64 };

struct registry_repo {
    int refs; /* atomic */
};

struct registry_blob {
    size_t layer;
    pthread_t threads[FETCHES_MAX];
    size_t count;
};

struct world {
    char root[64];
    char *dir;
    struct registry_repo repo;
    struct buf tars[LAYERS];
    struct digest layers[LAYERS];
    char *manifest_json;
    struct local_image image;
    struct local *local;
    int manifest_rc;  /* fixed before calls, as what follows */
    int fetch_rc;     /* of every fetch */
    bool wrong_bytes; /* fetches give other ones */
    bool mirror_lies; /* the same, but not of the registry itself */
    atomic_int fetch_takes_ms;
    atomic_int manifests, opens, fetches, under_way, most_under_way;
};
static struct world *the_world; /* set by the test that runs */

static int fake_manifest(struct registry_repo *repo, const char *reference, struct buf *ret,
                         char **ret_media_type, struct err *err)
{
    (void)repo;
    (void)reference;
    (void)ret_media_type;
    atomic_fetch_add(&the_world->manifests, 1);
    if (the_world->manifest_rc < 0)
        return err_set(err, the_world->manifest_rc, "no manifest");
    return buf_add_str(ret, the_world->manifest_json);
}

static int fake_open(struct registry_repo *repo, const struct digest *digest, uint64_t size_bytes,
                     struct registry_blob **ret, struct err *err)
{
    struct registry_blob *blob = calloc(1, sizeof(*blob));

    (void)repo;
    (void)err;
    assert_non_null(blob);
    while (!digest_equal(&the_world->layers[blob->layer], digest))
        blob->layer++;
    assert_int_equal(size_bytes, the_world->tars[blob->layer].len);
    atomic_fetch_add(&the_world->opens, 1);
    *ret = blob;
    return 0;
}

struct answer {
    struct registry_fetch *fetch;
    size_t layer;
};

static void *answer_main(void *arg)
{
    struct answer answer = *(struct answer *)arg;
    struct world *w = the_world;
    struct err err = ERR_NONE;
    int until_ms;

    free(arg);
    for (until_ms = 0; until_ms < atomic_load(&w->fetch_takes_ms); until_ms += 10)
        clock_sleep_ms(10);
    memcpy(answer.fetch->buf, w->tars[answer.layer].data + answer.fetch->off, answer.fetch->len);
    if (w->wrong_bytes || (w->mirror_lies && !answer.fetch->from_origin))
        answer.fetch->buf[answer.fetch->len - 1] ^= 1;
    atomic_fetch_sub(&w->under_way, 1);
    if (w->fetch_rc < 0)
        (void)err_set(&err, w->fetch_rc, "no bytes");
    answer.fetch->done(answer.fetch, w->fetch_rc, &err);
    return NULL;
}

static int fake_fetch(struct registry_blob *blob, struct registry_fetch *fetch, struct err *err)
{
    struct answer *answer = malloc(sizeof(*answer));
    int now = atomic_fetch_add(&the_world->under_way, 1) + 1;

    (void)err;
    assert_non_null(answer);
    assert_true(blob->count < FETCHES_MAX);
    atomic_fetch_add(&the_world->fetches, 1);
    if (now > atomic_load(&the_world->most_under_way))
        atomic_store(&the_world->most_under_way, now);
    *answer = (struct answer){fetch, blob->layer};
    return thread_start(&blob->threads[blob->count++], "answer", answer_main, answer);
}

static void fake_close(struct registry_blob *blob)
{
    for (size_t i = 0; i < blob->count; i++)
        (void)pthread_join(blob->threads[i], NULL);
    free(blob);
}

static struct registry_repo *fake_ref(struct registry_repo *repo)
{
    (void)__atomic_add_fetch(&repo->refs, 1, __ATOMIC_SEQ_CST);
    return repo;
}

static void fake_unref(struct registry_repo *repo)
{
    (void)__atomic_sub_fetch(&repo->refs, 1, __ATOMIC_SEQ_CST);
}

static const struct local_registry fake_registry = {
    .get_manifest = fake_manifest,
    .blob_open = fake_open,
    .blob_fetch = fake_fetch,
    .blob_close = fake_close,
    .ref = fake_ref,
    .unref = fake_unref,
};

/* A layer with the file d/<n> of `size` bytes. */
static void make_layer(struct world *w, size_t n, size_t size)
{
    uint8_t block[512] = {0};
    unsigned sum = 8 * ' ';
    struct buf *tar = &w->tars[n];

    (void)snprintf((char *)block, 100, "d/%zu", n);
    (void)snprintf((char *)block + 100, 8, "%07o", 0644u);
    (void)snprintf((char *)block + 124, 12, "%011zo", size);
    block[156] = '0';
    memcpy(block + 257, "ustar\00000", 8);
    for (size_t i = 0; i < sizeof(block); i++)
        sum += i >= 148 && i < 156 ? 0 : block[i];
    (void)snprintf((char *)block + 148, 8, "%06o", sum);
    assert_ok(buf_add(tar, block, sizeof(block)));
    assert_ok(buf_add_zeros(tar, (size + 511) / 512 * 512 + 1024));
    assert_ok(digest_of(buf_bytes(tar), &w->layers[n]));
}

static void add_descriptor(struct buf *json, const struct digest *digest, size_t size)
{
    char text[DIGEST_TEXT_BYTES];

    digest_format(digest, text);
    assert_ok(
        buf_addf(json,
                 "{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar\",\"digest\":\"%s\","
                 "\"size\":%zu}",
                 text, size));
}

static void make_manifest(struct world *w)
{
    SCOPED(buf_value) struct buf json = BUF_EMPTY;

    assert_ok(buf_add_str(&json, "{\"schemaVersion\":2,\"mediaType\":\"" OCI_MEDIA_MANIFEST
                                 "\",\"config\":"));
    add_descriptor(&json, &w->image.manifest, 2);
    assert_ok(buf_add_str(&json, ",\"layers\":["));
    for (size_t i = 0; i < LAYERS; i++) {
        if (i > 0)
            assert_ok(buf_add_byte(&json, ','));
        add_descriptor(&json, &w->layers[i], w->tars[i].len);
    }
    assert_ok(buf_add_str(&json, "]}"));
    w->manifest_json = text_copy(buf_str(&json));
}

static void start_with(struct world *w, int64_t keep_ms, int64_t idle_ms)
{
    const struct local_options options = {.dir = w->dir,
                                          .registry = &fake_registry,
                                          .chunk_bytes = 4096,
                                          .keep_ms = keep_ms,
                                          .idle_ms = idle_ms};
    struct err err = ERR_NONE;

    if (local_new(&options, &w->local, &err) < 0)
        fail_msg("%s", err_text(&err));
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));

    assert_non_null(w);
    the_world = w;
    (void)strcpy(w->root, "/tmp/test-local.XXXXXX");
    assert_non_null(mkdtemp(w->root));
    w->dir = path_join(w->root, "unpack");
    w->repo.refs = 1;
    w->image = (struct local_image){.repo = &w->repo, .name = "host/app"};
    for (size_t i = 0; i < LAYERS; i++)
        make_layer(w, i, 1000 + 20000 * i);
    make_manifest(w);
    start_with(w, 0, 0);
    *state = w;
    return 0;
}

static bool is_empty(const char *path)
{
    SCOPED(dir) DIR *dir = opendir(path);
    struct dirent *entry;

    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] != '.')
            return false;
    }
    return true;
}

static int teardown(void **state)
{
    struct world *w = *state;
    struct err err = ERR_NONE;

    local_free(w->local);
    assert_int_equal(w->repo.refs, 1);
    assert_true(is_empty(w->dir)); /* whatever happened, nothing is left behind */
    assert_ok(dir_remove_all(w->root, &err));
    for (size_t i = 0; i < LAYERS; i++)
        buf_fini(&w->tars[i]);
    free(w->manifest_json);
    free(w->dir);
    free(w);
    return 0;
}

static int take(struct world *w, size_t n, struct local_layer **ret, struct err *err)
{
    return local_take(w->local, &w->image, &w->layers[n], NULL, ret, err);
}

static void wait_for(atomic_int *count, int least)
{
    int64_t deadline_ms = clock_mono_ms() + 10000;

    while (atomic_load(count) < least && clock_mono_ms() < deadline_ms)
        clock_sleep_ms(5);
    assert_true(atomic_load(count) >= least);
}

static char *make_target(const struct world *w, mode_t mode)
{
    char *target = path_join(w->root, "7");
    char *fs = path_join(target, "fs");
    struct err err = ERR_NONE;

    assert_ok(dir_make_all(fs, 0755, &err));
    assert_ok(chmod(fs, mode));
    free(target);
    return fs;
}

/* ---- the tests ------------------------------------------------------------------------------- */

static void a_layer_is_installed_whole_with_the_look_of_the_directory_it_replaces(void **state)
{
    struct world *w = *state;
    SCOPED(local_layer) struct local_layer *layer = NULL;
    SCOPED(text_list) struct text_list lowers = TEXT_LIST_EMPTY;
    SCOPED(mem) char *fs = make_target(w, 0711);
    SCOPED(mem) char *file = path_join(fs, "d/3");
    struct err err = ERR_NONE;
    struct stat st;

    assert_ok(take(w, 3, &layer, &err));
    assert_true(digest_equal(local_layer_diff_id(layer), &w->layers[3]));
    assert_ok(local_layer_install(layer, fs, &lowers, &err));
    assert_ok(stat(file, &st));
    assert_int_equal(st.st_size, 61000);
    assert_ok(stat(fs, &st));
    assert_int_equal(st.st_mode, S_IFDIR | 0711);
    assert_true(atomic_load(&w->fetches) > 10);
    assert_true(atomic_load(&w->most_under_way) <= 2); /* memory is bounded */
}

static void layers_begun_are_taken_without_a_second_download(void **state)
{
    struct world *w = *state;
    struct err err = ERR_NONE;

    local_begin(w->local, &w->image, w->layers, LAYERS);
    wait_for(&w->opens, LAYERS);
    local_begin(w->local, &w->image, w->layers, LAYERS);
    for (size_t i = 0; i < LAYERS; i++) {
        SCOPED(local_layer) struct local_layer *layer = NULL;
        assert_ok(take(w, i, &layer, &err));
        local_begin(w->local, &w->image, &w->layers[i + 1], LAYERS - i - 1);
    }
    assert_int_equal(atomic_load(&w->opens), LAYERS);
    assert_int_equal(atomic_load(&w->manifests), 1);
}

static void a_layer_that_an_image_has_twice_is_made_twice(void **state)
{
    struct world *w = *state;
    const struct digest twice[] = {w->layers[0], w->layers[0]};
    SCOPED(local_layer) struct local_layer *first = NULL;
    SCOPED(local_layer) struct local_layer *second = NULL;
    struct err err = ERR_NONE;

    local_begin(w->local, &w->image, twice, 2);
    assert_ok(take(w, 0, &first, &err));
    assert_ok(take(w, 0, &second, &err));
    assert_ptr_not_equal(first, second);
    assert_int_equal(atomic_load(&w->opens), 2);
}

static void another_image_does_not_get_what_was_begun_for_this_one(void **state)
{
    struct world *w = *state;
    struct local_image other = w->image;
    SCOPED(local_layer) struct local_layer *layer = NULL;
    struct err err = ERR_NONE;

    local_begin(w->local, &w->image, w->layers, 1);
    wait_for(&w->opens, 1);
    other.name = "host/other"; /* its registry has to give it, with its credentials */
    assert_ok(local_take(w->local, &other, &w->layers[0], NULL, &layer, &err));
    assert_int_equal(atomic_load(&w->manifests), 2);
    assert_int_equal(atomic_load(&w->opens), 2);
}

static void what_fails_says_why_and_is_tried_anew(void **state)
{
    struct world *w = *state;
    SCOPED(local_layer) struct local_layer *layer = NULL;
    struct err err = ERR_NONE;

    w->fetch_rc = -EACCES;
    assert_int_equal(take(w, 1, &layer, &err), -EACCES);
    assert_non_null(strstr(err_text(&err), "no bytes"));
    w->fetch_rc = 0;
    w->wrong_bytes = true;
    assert_int_equal(take(w, 1, &layer, &err), -EBADMSG);
    assert_null(layer);
    assert_true(is_empty(w->dir));
    w->wrong_bytes = false;
    w->manifest_rc = -ETIMEDOUT;
    assert_int_equal(take(w, 1, &layer, &err), -ETIMEDOUT);
    w->manifest_rc = 0;
    assert_ok(take(w, 1, &layer, &err));
}

static void what_a_mirror_got_wrong_comes_from_the_registry_itself(void **state)
{
    struct world *w = *state;
    SCOPED(local_layer) struct local_layer *layer = NULL;
    struct err err = ERR_NONE;

    w->mirror_lies = true;
    assert_ok(take(w, 1, &layer, &err));
    assert_int_equal(atomic_load(&w->opens), 2);
}

static void what_is_wrong_there_too_is_refused_after_that(void **state)
{
    struct world *w = *state;
    SCOPED(local_layer) struct local_layer *layer = NULL;
    struct err err = ERR_NONE;

    w->wrong_bytes = true;
    assert_int_equal(take(w, 1, &layer, &err), -EBADMSG);
    assert_int_equal(atomic_load(&w->opens), 2);
    assert_true(is_empty(w->dir));
}

static void a_layer_that_the_image_does_not_list_is_refused(void **state)
{
    struct world *w = *state;
    SCOPED(local_layer) struct local_layer *layer = NULL;
    const struct digest foreign = {{1}};
    struct err err = ERR_NONE;

    assert_int_equal(local_take(w->local, &w->image, &foreign, NULL, &layer, &err), -EBADMSG);
    assert_int_equal(atomic_load(&w->opens), 0);
}

static bool is_cancelled(void *self)
{
    return atomic_load((atomic_int *)self) > 0;
}

static void whoever_gives_up_ends_what_was_begun_for_the_image(void **state)
{
    struct world *w = *state;
    SCOPED(local_layer) struct local_layer *layer = NULL;
    const struct local_cancel cancel = {is_cancelled, &w->opens}; /* as soon as it begins */
    int64_t started_ms = clock_mono_ms();
    struct err err = ERR_NONE;

    atomic_store(&w->fetch_takes_ms, 1000);
    local_begin(w->local, &w->image, w->layers, LAYERS);
    assert_int_equal(local_take(w->local, &w->image, &w->layers[3], &cancel, &layer, &err),
                     -ECANCELED);
    assert_true(clock_mono_ms() - started_ms < 900);
    clock_sleep_ms(2500);
    assert_true(is_empty(w->dir));
    assert_true(atomic_load(&w->opens) <= 3);
}

static void what_was_begun_for_an_image_ends_when_it_is_abandoned(void **state)
{
    struct world *w = *state;
    const struct local_image other = {
        .repo = &w->repo, .name = "elsewhere/app", .manifest = w->image.manifest};

    atomic_store(&w->fetch_takes_ms, 500);
    local_begin(w->local, &w->image, w->layers, LAYERS);
    wait_for(&w->opens, 2);
    local_abandon(w->local, &other); /* of which nothing was begun */
    local_abandon(w->local, &w->image);
    clock_sleep_ms(2000);
    assert_true(is_empty(w->dir));
    assert_true(atomic_load(&w->opens) <= 3);
}

static void *abandon_soon(void *arg)
{
    struct world *w = arg;

    wait_for(&w->opens, 2);
    clock_sleep_ms(50); /* by then it is waited for */
    local_abandon(w->local, &w->image);
    return NULL;
}

static void what_was_begun_ends_when_nobody_asks_for_the_image_any_more(void **state)
{
    struct world *w = *state;
    SCOPED(local_layer) struct local_layer *layer = NULL;
    struct err err = ERR_NONE;

    local_free(w->local);
    start_with(w, 0, 100);
    atomic_store(&w->fetch_takes_ms, 300);
    local_begin(w->local, &w->image, w->layers, LAYERS);
    clock_sleep_ms(2500); /* they would be ready by then */
    assert_true(is_empty(w->dir));
    assert_ok(take(w, 3, &layer, &err)); /* made anew, and as long as it takes */
}

static void a_layer_that_somebody_waits_for_is_not_abandoned(void **state)
{
    struct world *w = *state;
    SCOPED(local_layer) struct local_layer *layer = NULL;
    pthread_t thread;
    struct err err = ERR_NONE;

    atomic_store(&w->fetch_takes_ms, 300);
    local_begin(w->local, &w->image, w->layers, 2);
    assert_int_equal(pthread_create(&thread, NULL, abandon_soon, w), 0);
    assert_ok(take(w, 0, &layer, &err));
    (void)pthread_join(thread, NULL);
    assert_int_equal(atomic_load(&w->opens), 2);
}

static void a_stop_ends_whoever_waits(void **state)
{
    struct world *w = *state;
    SCOPED(local_layer) struct local_layer *layer = NULL;
    struct err err = ERR_NONE;

    local_stop(w->local);
    assert_int_equal(take(w, 0, &layer, &err), -ECANCELED);
    local_begin(w->local, &w->image, w->layers, LAYERS);
    assert_int_equal(atomic_load(&w->opens), 0);
}

static void what_nobody_takes_is_removed_after_a_while(void **state)
{
    struct world *w = *state;
    SCOPED(local_layer) struct local_layer *layer = NULL;
    int64_t deadline_ms = clock_mono_ms() + 10000;
    struct err err = ERR_NONE;

    local_free(w->local);
    start_with(w, 300, 0);
    local_begin(w->local, &w->image, w->layers, 2);
    wait_for(&w->opens, 2);
    while (!is_empty(w->dir) && clock_mono_ms() < deadline_ms)
        clock_sleep_ms(20);
    assert_true(is_empty(w->dir));
    assert_ok(take(w, 0, &layer, &err)); /* made anew */
    assert_int_equal(atomic_load(&w->opens), 3);
}

static void what_an_earlier_process_left_is_removed_at_the_start(void **state)
{
    struct world *w = *state;
    SCOPED(mem) char *left = path_join(w->dir, "1/fs/half");
    struct err err = ERR_NONE;

    local_free(w->local);
    assert_ok(dir_make_all(left, 0755, &err));
    start_with(w, 0, 0);
    assert_true(is_empty(w->dir));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_layer_is_installed_whole_with_the_look_of_the_directory_it_replaces),
        TEST(layers_begun_are_taken_without_a_second_download),
        TEST(a_layer_that_an_image_has_twice_is_made_twice),
        TEST(another_image_does_not_get_what_was_begun_for_this_one),
        TEST(what_fails_says_why_and_is_tried_anew),
        TEST(what_a_mirror_got_wrong_comes_from_the_registry_itself),
        TEST(what_is_wrong_there_too_is_refused_after_that),
        TEST(a_layer_that_the_image_does_not_list_is_refused),
        TEST(whoever_gives_up_ends_what_was_begun_for_the_image),
        TEST(what_was_begun_for_an_image_ends_when_it_is_abandoned),
        TEST(what_was_begun_ends_when_nobody_asks_for_the_image_any_more),
        TEST(a_layer_that_somebody_waits_for_is_not_abandoned),
        TEST(a_stop_ends_whoever_waits),
        TEST(what_nobody_takes_is_removed_after_a_while),
        TEST(what_an_earlier_process_left_is_removed_at_the_start),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
