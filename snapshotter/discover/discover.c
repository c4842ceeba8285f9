/* SPDX-License-Identifier: Apache-2.0 */
/* discover.c – look-ups by image, ztocs by digest: each at most once at a time, on a pool. */
#include "discover/internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "base/threads.h"
#include "discover/flight.h"

#include <errno.h>
#include <stdlib.h>

/* Images whose outcome is remembered; an entry is about a kilobyte. */
enum { DISCOVER_IMAGES_MAX = 256 };
/* Ztocs under way or lately failed. An image has some tens. */
enum { DISCOVER_ZTOCS_MAX = 1024 };
enum { DISCOVER_THREADS = 8 };
#define DISCOVER_NEGATIVE_TTL_MS 60000
/* A ztoc is known to exist, and each layer has its own: only those who ask at the same time share
 * its failure. */
#define DISCOVER_ZTOC_FAILURE_TTL_MS 3000
/* A table of a million files and the checkpoints of its spans; held in memory while it is fetched.
 */
#define DISCOVER_ZTOC_MAX_BYTES ((uint64_t)512 * 1024 * 1024)

struct discover {
    struct discover_options options; /* fixed at creation, as is all of this */
    struct pool *pool;
    struct flights *images;
    struct flights *ztocs;
    struct quiet quiet; /* a ztoc's task makes it busy for as long as it lives */
};

static const struct discover_registry real_registry = {
    .get_manifest = registry_get_manifest,
    .get_referrers = registry_get_referrers,
    .get_blob = registry_get_blob,
    .ref = registry_repo_ref,
    .unref = registry_repo_unref,
};

/* ---- an index -------------------------------------------------------------------------------- */

struct discover_index *discover_index_ref(struct discover_index *index)
{
    (void)__atomic_add_fetch(&index->refs, 1, __ATOMIC_RELAXED);
    return index;
}

void discover_index_unref(struct discover_index *index)
{
    if (index == NULL || __atomic_sub_fetch(&index->refs, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    soci_index_free(index->index);
    oci_manifest_free(index->manifest);
    free(index);
}

const struct soci_index *discover_index_get(const struct discover_index *index)
{
    return index->index;
}

uint64_t discover_index_layer_bytes(const struct discover_index *index, const struct digest *layer)
{
    const struct oci_manifest *manifest = index->manifest;

    for (size_t i = 0; manifest != NULL && i < manifest->layer_count; i++) {
        if (digest_equal(&manifest->layers[i].digest, layer))
            return manifest->layers[i].size_bytes;
    }
    return 0;
}

static void *index_ref_any(void *index)
{
    return discover_index_ref(index);
}

static void index_unref_any(void *index)
{
    discover_index_unref(index);
}

/* ---- the work, as tasks ---------------------------------------------------------------------- */

/* Both kinds: an image's look-up, and the fetch of one ztoc. */
struct discover_task {
    struct flight_task task; /* first */
    struct discover *discover;
    struct registry_repo *repo; /* a reference */
    struct digest digest;       /* of the image manifest, or of the ztoc */
    char *index_digest;         /* look-ups; never NULL there */
    char *image_key;            /* of the look-up, or of the image that the ztoc is for */
    uint64_t ztoc_bytes;
};

static void task_free(struct flight_task *flight_task)
{
    struct discover_task *t = (struct discover_task *)flight_task;

    if (t->repo != NULL)
        t->discover->options.registry->unref(t->repo);
    free(t->index_digest);
    free(t->image_key);
    free(t);
}

static void ztoc_task_free(struct flight_task *flight_task)
{
    struct discover *d = ((struct discover_task *)flight_task)->discover;

    task_free(flight_task);
    quiet_leave(&d->quiet);
}

static struct discover_task *task_new(struct discover *d, struct registry_repo *repo,
                                      const struct digest *digest)
{
    struct discover_task *t = calloc(1, sizeof(*t));

    if (t == NULL)
        return NULL;
    t->discover = d;
    t->digest = *digest;
    t->repo = d->options.registry->ref(repo);
    t->task.free = task_free;
    return t;
}

static char *image_key(const char *name, const struct digest *manifest, const char *index_digest)
{
    char text[DIGEST_TEXT_BYTES];

    digest_format(manifest, text);
    return text_format("%s %s %s", name, text, index_digest);
}

/* A failure in one repository says nothing about another, so the ztoc's digest alone would not do.
 */
static char *ztoc_key(const char *image, const struct digest *ztoc)
{
    char text[DIGEST_TEXT_BYTES];

    digest_format(ztoc, text);
    return text_format("%s %s", image, text);
}

static bool has_blob(struct store *store, const struct digest *digest)
{
    SCOPED(fd) int fd = -1;

    return store_blob_open(store, digest, &fd, NULL) == 0;
}

/* ---- a ztoc ---------------------------------------------------------------------------------- */

static int ztoc_run(struct flight_task *flight_task, void **ret_result, struct err *err)
{
    struct discover_task *t = (struct discover_task *)flight_task;
    struct discover *d = t->discover;
    SCOPED(buf_value) struct buf blob = BUF_EMPTY;
    char text[DIGEST_TEXT_BYTES];
    int rc;

    (void)ret_result;
    if (has_blob(d->options.store, &t->digest))
        return 0;
    digest_format(&t->digest, text);
    rc = d->options.registry->get_blob(t->repo, &t->digest, (size_t)t->ztoc_bytes, &blob, err);
    if (rc == 0 && blob.len != t->ztoc_bytes)
        rc = err_set(err, -EBADMSG, "%zu bytes, not the %llu of the index", blob.len,
                     (unsigned long long)t->ztoc_bytes);
    if (rc == 0)
        rc = store_blob_put(d->options.store, &t->digest, buf_bytes(&blob), err);
    if (rc == -ENOENT)
        flights_forget(d->images, t->image_key); /* another index may have taken its place */
    return rc < 0 ? err_prefix(err, rc, "ztoc %s", text) : 0;
}

static int ztoc_task(struct discover *d, struct registry_repo *repo, const char *image,
                     const struct digest *ztoc, uint64_t ztoc_bytes, struct flight_task **ret)
{
    struct discover_task *t = task_new(d, repo, ztoc);

    if (t == NULL)
        return -ENOMEM;
    quiet_enter(&d->quiet);
    t->task.run = ztoc_run;
    t->task.free = ztoc_task_free;
    t->ztoc_bytes = ztoc_bytes;
    t->image_key = text_copy(image);
    *ret = &t->task;
    if (t->image_key == NULL) {
        ztoc_task_free(&t->task);
        *ret = NULL;
        return -ENOMEM;
    }
    return 0;
}

static bool ztoc_size_is_sane(uint64_t ztoc_bytes)
{
    return ztoc_bytes > 0 && ztoc_bytes <= DISCOVER_ZTOC_MAX_BYTES;
}

/* Not a failure of anything when it fails: each Prepare asks again. */
static void prefetch(struct discover_task *lookup_task, const char *image,
                     const struct soci_index *index)
{
    struct discover *d = lookup_task->discover;
    struct err err = ERR_NONE;

    for (size_t i = 0; i < index->ztoc_count; i++) {
        const struct soci_index_ztoc *z = &index->ztocs[i];
        SCOPED(mem) char *key = NULL;
        struct flight_task *task = NULL;

        if (!ztoc_size_is_sane(z->ztoc_bytes) || has_blob(d->options.store, &z->ztoc))
            continue;
        key = ztoc_key(image, &z->ztoc);
        if (key == NULL ||
            ztoc_task(d, lookup_task->repo, image, &z->ztoc, z->ztoc_bytes, &task) < 0)
            return;
        if (flights_start(d->ztocs, key, &task, &err) < 0) {
            log_debug("not fetched ahead", "image=%s err=%s", image, err_text(&err));
            return;
        }
    }
}

/* ---- an image -------------------------------------------------------------------------------- */

static int image_run(struct flight_task *flight_task, void **ret_result, struct err *err)
{
    struct discover_task *t = (struct discover_task *)flight_task;
    struct discover *d = t->discover;
    const struct lookup lookup = {
        .registry = d->options.registry,
        .store = d->options.store,
        .repo = t->repo,
        .v1_enabled = d->options.v1_enabled,
        .v2_enabled = d->options.v2_enabled,
        .manifest = t->digest,
        .index_digest = t->index_digest,
    };
    SCOPED(discover_index) struct discover_index *index = calloc(1, sizeof(*index));
    int64_t start_ms = clock_mono_ms();
    int rc;

    if (index == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    index->refs = 1;
    rc = lookup_run(&lookup, index, err);
    log_debug("looked for a SOCI index", "image=%s rc=%d took_ms=%lld", t->image_key, rc,
              (long long)(clock_mono_ms() - start_ms));
    if (rc < 0)
        return rc;
    if (!d->options.disable_prefetch)
        prefetch(t, t->image_key, index->index);
    *ret_result = TAKE(index);
    return 0;
}

static int image_task(struct discover *d, const struct discover_image *image, const char *key,
                      const char *index_digest, struct flight_task **ret)
{
    struct discover_task *t = task_new(d, image->repo, &image->manifest);

    if (t == NULL)
        return -ENOMEM;
    t->task.run = image_run;
    t->index_digest = text_copy(index_digest);
    t->image_key = text_copy(key);
    *ret = &t->task;
    if (t->index_digest == NULL || t->image_key == NULL) {
        task_free(&t->task);
        *ret = NULL;
        return -ENOMEM;
    }
    return 0;
}

static const char *named_index(const struct discover_image *image)
{
    return image->index_digest == NULL ? "" : image->index_digest;
}

int discover_find(struct discover *d, const struct discover_image *image, int64_t deadline_ms,
                  struct discover_index **ret, struct err *err)
{
    SCOPED(mem) char *key = image_key(image->name, &image->manifest, named_index(image));
    struct flight_task *task = NULL;
    void *result = NULL;
    int rc;

    if (key == NULL || image_task(d, image, key, named_index(image), &task) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    rc = flights_wait(d->images, key, &task, deadline_ms, &result, err);
    if (rc < 0)
        return err_prefix(err, rc, "SOCI index of %s", image->name);
    *ret = result;
    return 0;
}

int discover_fetch_ztoc(struct discover *d, const struct discover_image *image,
                        const struct digest *ztoc, uint64_t ztoc_bytes, int64_t deadline_ms,
                        struct err *err)
{
    SCOPED(mem) char *of_image = NULL;
    SCOPED(mem) char *key = NULL;
    struct flight_task *task = NULL;

    if (!ztoc_size_is_sane(ztoc_bytes))
        return err_set(err, -EFBIG, "a ztoc of %llu bytes", (unsigned long long)ztoc_bytes);
    if (has_blob(d->options.store, ztoc))
        return 0;
    of_image = image_key(image->name, &image->manifest, named_index(image));
    if (of_image != NULL)
        key = ztoc_key(of_image, ztoc);
    if (key == NULL || ztoc_task(d, image->repo, of_image, ztoc, ztoc_bytes, &task) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    return flights_wait(d->ztocs, key, &task, deadline_ms, NULL, err);
}

/* ---- the whole ------------------------------------------------------------------------------- */

static int64_t real_now_ms(void *self)
{
    (void)self;
    return clock_mono_ms();
}

static void fill_defaults(struct discover_options *o)
{
    if (o->registry == NULL)
        o->registry = &real_registry;
    if (o->threads == 0)
        o->threads = DISCOVER_THREADS;
    if (o->negative_ttl_ms == 0)
        o->negative_ttl_ms = DISCOVER_NEGATIVE_TTL_MS;
    if (o->now_ms == NULL)
        o->now_ms = real_now_ms;
}

static int start(struct discover *d, struct err *err)
{
    struct flights_options flights = {
        .max_entries = DISCOVER_IMAGES_MAX,
        .keep_success = true,
        .failure_ttl_ms = d->options.negative_ttl_ms,
        .now_ms = d->options.now_ms,
        .now_self = d->options.now_self,
        .result_ref = index_ref_any,
        .result_unref = index_unref_any,
    };
    int rc = pool_new("discover", d->options.threads, &d->pool, err);

    if (rc < 0)
        return rc;
    flights.pool = d->pool;
    rc = flights_new(&flights, &d->images, err);
    if (rc < 0)
        return rc;
    flights.max_entries = DISCOVER_ZTOCS_MAX;
    flights.keep_success = false; /* the store has it then */
    flights.failure_ttl_ms = DISCOVER_ZTOC_FAILURE_TTL_MS;
    return flights_new(&flights, &d->ztocs, err);
}

int discover_new(const struct discover_options *options, struct discover **ret, struct err *err)
{
    SCOPED(discover) struct discover *d = calloc(1, sizeof(*d));
    int rc;

    if (d == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    quiet_init(&d->quiet);
    d->options = *options;
    fill_defaults(&d->options);
    rc = start(d, err);
    if (rc < 0)
        return rc;
    *ret = TAKE(d);
    return 0;
}

void discover_when_quiet(struct discover *d, struct discover_later *later)
{
    quiet_when(&d->quiet, later);
}

void discover_stop(struct discover *d)
{
    quiet_stop(&d->quiet);
    if (d->images != NULL)
        flights_stop(d->images);
    if (d->ztocs != NULL)
        flights_stop(d->ztocs);
}

void discover_free(struct discover *d)
{
    if (d == NULL)
        return;
    discover_stop(d);
    pool_free(d->pool);
    flights_free(d->images);
    flights_free(d->ztocs);
    quiet_fini(&d->quiet);
    free(d);
}
