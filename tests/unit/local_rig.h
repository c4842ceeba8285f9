/* SPDX-License-Identifier: Apache-2.0 */
/* local_rig.h – what tests of local/ need: a registry that is an array, on a real disk. */
#ifndef LOCAL_RIG_H
#define LOCAL_RIG_H

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
    atomic_bool closing, resume; /* for one that is taken as it comes */
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
    atomic_int manifest_rc;
    atomic_int fetch_rc;       /* of every fetch */
    bool wrong_bytes;          /* fixed before calls, as the next: fetches give other ones */
    bool mirror_lies;          /* the same, but not of the registry itself */
    bool no_ranges;            /* the same: it gives layers as a whole alone, */
    size_t piece_bytes;        /* in pieces of so many bytes */
    atomic_int wholes, pauses; /* layers that were asked for so; how often there was no room */
    atomic_int fetch_takes_ms;
    atomic_int manifests, opens, fetches, under_way, most_under_way;
    int opened[FETCHES_MAX]; /* the layers of blobs, in the order in which they were opened */
};
static struct world *the_world; /* set by the test that runs */

static inline int fake_manifest(struct registry_repo *repo, const char *reference, struct buf *ret,
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

static inline int fake_open(struct registry_repo *repo, const struct digest *digest,
                            uint64_t size_bytes, struct registry_blob **ret, struct err *err)
{
    struct registry_blob *blob = calloc(1, sizeof(*blob));

    (void)repo;
    (void)err;
    assert_non_null(blob);
    while (!digest_equal(&the_world->layers[blob->layer], digest))
        blob->layer++;
    assert_int_equal(size_bytes, the_world->tars[blob->layer].len);
    the_world->opened[atomic_load(&the_world->opens) % FETCHES_MAX] = (int)blob->layer;
    atomic_fetch_add(&the_world->opens, 1);
    *ret = blob;
    return 0;
}

struct answer {
    struct registry_fetch *fetch;
    struct registry_blob *blob;
    size_t layer;
};

/* The whole layer, at the pace of who takes it. 0, or -ECANCELED. */
static inline int hand_over(const struct answer *answer)
{
    const struct buf *tar = &the_world->tars[answer->layer];
    size_t off = 0;

    while (off < tar->len) {
        size_t len =
            tar->len - off < the_world->piece_bytes ? tar->len - off : the_world->piece_bytes;
        size_t taken;

        atomic_store(&answer->blob->resume, false);
        taken = answer->fetch->take(answer->fetch, bytes_of(tar->data + off, len));
        assert_true(taken <= len);
        off += taken;
        if (taken == len)
            continue;
        atomic_fetch_add(&the_world->pauses, 1);
        while (!atomic_load(&answer->blob->resume) && !atomic_load(&answer->blob->closing))
            clock_sleep_ms(1);
        if (atomic_load(&answer->blob->closing))
            return -ECANCELED;
    }
    return 0;
}

static inline void *answer_main(void *arg)
{
    struct answer answer = *(struct answer *)arg;
    struct world *w = the_world;
    struct err err = ERR_NONE;
    int until_ms;

    free(arg);
    for (until_ms = 0; until_ms < atomic_load(&w->fetch_takes_ms); until_ms += 10)
        clock_sleep_ms(10);
    if (answer.fetch->take != NULL) {
        int rc = w->fetch_rc < 0 ? w->fetch_rc : hand_over(&answer);

        atomic_fetch_sub(&w->under_way, 1);
        if (rc < 0)
            (void)err_set(&err, rc, "no bytes");
        answer.fetch->done(answer.fetch, rc, &err);
        return NULL;
    }
    if (w->no_ranges && answer.fetch->len < w->tars[answer.layer].len) {
        assert_true(answer.fetch->ranges_only);
        atomic_fetch_sub(&w->under_way, 1);
        answer.fetch->done(answer.fetch, err_set(&err, -EOPNOTSUPP, "no ranges"), &err);
        return NULL;
    }
    memcpy(answer.fetch->buf, w->tars[answer.layer].data + answer.fetch->off, answer.fetch->len);
    if (w->wrong_bytes || (w->mirror_lies && !answer.fetch->from_origin))
        answer.fetch->buf[answer.fetch->len - 1] ^= 1;
    atomic_fetch_sub(&w->under_way, 1);
    if (w->fetch_rc < 0)
        (void)err_set(&err, w->fetch_rc, "no bytes");
    answer.fetch->done(answer.fetch, w->fetch_rc, &err);
    return NULL;
}

static inline int fake_fetch(struct registry_blob *blob, struct registry_fetch *fetch,
                             struct err *err)
{
    struct answer *answer = malloc(sizeof(*answer));
    int now = atomic_fetch_add(&the_world->under_way, 1) + 1;

    (void)err;
    assert_non_null(answer);
    assert_true(blob->count < FETCHES_MAX);
    atomic_fetch_add(&the_world->fetches, 1);
    if (now > atomic_load(&the_world->most_under_way))
        atomic_store(&the_world->most_under_way, now);
    if (fetch->take != NULL)
        atomic_fetch_add(&the_world->wholes, 1);
    *answer = (struct answer){fetch, blob, blob->layer};
    return thread_start(&blob->threads[blob->count++], "answer", answer_main, answer);
}

static inline void fake_resume(struct registry_blob *blob, const struct registry_fetch *fetch)
{
    assert_non_null(fetch->take);
    atomic_store(&blob->resume, true);
}

static inline void fake_close(struct registry_blob *blob)
{
    atomic_store(&blob->closing, true);
    for (size_t i = 0; i < blob->count; i++)
        (void)pthread_join(blob->threads[i], NULL);
    free(blob);
}

static inline struct registry_repo *fake_ref(struct registry_repo *repo)
{
    (void)__atomic_add_fetch(&repo->refs, 1, __ATOMIC_SEQ_CST);
    return repo;
}

static inline void fake_unref(struct registry_repo *repo)
{
    (void)__atomic_sub_fetch(&repo->refs, 1, __ATOMIC_SEQ_CST);
}

static const struct local_registry fake_registry = {
    .get_manifest = fake_manifest,
    .blob_open = fake_open,
    .blob_fetch = fake_fetch,
    .blob_resume = fake_resume,
    .blob_close = fake_close,
    .ref = fake_ref,
    .unref = fake_unref,
};

/* A layer with the file d/<n> of `size` bytes. */
static inline void make_layer(struct world *w, size_t n, size_t size)
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

static inline void add_descriptor(struct buf *json, const struct digest *digest, size_t size)
{
    char text[DIGEST_TEXT_BYTES];

    digest_format(digest, text);
    assert_ok(
        buf_addf(json,
                 "{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar\",\"digest\":\"%s\","
                 "\"size\":%zu}",
                 text, size));
}

static inline void make_manifest(struct world *w)
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

/* With the options of a test, or none. */
static inline void start(struct world *w, struct local_options options)
{
    struct err err = ERR_NONE;

    options.dir = w->dir;
    if (options.registry == NULL)
        options.registry = &fake_registry;
    options.chunk_bytes = 4096;
    if (local_new(&options, &w->local, &err) < 0)
        fail_msg("%s", err_text(&err));
}

static inline void start_again(struct world *w, struct local_options options)
{
    local_free(w->local);
    start(w, options);
}

static inline int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));

    assert_non_null(w);
    the_world = w;
    (void)strcpy(w->root, "/tmp/test-local.XXXXXX");
    assert_non_null(mkdtemp(w->root));
    w->dir = path_join(w->root, "unpack");
    w->repo.refs = 1;
    w->piece_bytes = 5000;
    w->image = (struct local_image){.repo = &w->repo, .name = "host/app"};
    for (size_t i = 0; i < LAYERS; i++)
        make_layer(w, i, 1000 + 20000 * i);
    make_manifest(w);
    start(w, (struct local_options){.dir = NULL});
    *state = w;
    return 0;
}

static inline bool is_empty(const char *path)
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

static inline int teardown(void **state)
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

static inline int take(struct world *w, size_t n, struct local_layer **ret, struct err *err)
{
    return local_take(w->local, &w->image, &w->layers[n], NULL, ret, err);
}

static inline void wait_for(atomic_int *count, int least)
{
    int64_t deadline_ms = clock_mono_ms() + 10000;

    while (atomic_load(count) < least && clock_mono_ms() < deadline_ms)
        clock_sleep_ms(5);
    assert_true(atomic_load(count) >= least);
}

static inline char *make_target(const struct world *w, mode_t mode)
{
    char *target = path_join(w->root, "7");
    char *fs = path_join(target, "fs");
    struct err err = ERR_NONE;

    assert_ok(dir_make_all(fs, 0755, &err));
    assert_ok(chmod(fs, mode));
    free(target);
    return fs;
}

#endif
