/* SPDX-License-Identifier: Apache-2.0 */
/* discover.c – look-ups by image, each at most once at a time, on a pool; and the whole. */
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
static const struct discover_registry real_registry = {
    .get_manifest = registry_get_manifest,
    .get_referrers = registry_get_referrers,
    .get_blob = registry_get_blob,
    .ref = registry_repo_ref,
    .unref = registry_repo_unref,
};

/* ---- an image -------------------------------------------------------------------------------- */

/* The look-up of one image. */
struct image_task {
    struct flight_task task; /* first */
    struct discover *discover;
    struct registry_repo *repo; /* a reference */
    struct digest manifest;
    char *index_digest; /* "": none named */
    char *key;
};

static const char *named_index(const struct discover_image *image)
{
    return image->index_digest == NULL ? "" : image->index_digest;
}

char *discover_image_key(const struct discover_image *image)
{
    char text[DIGEST_TEXT_BYTES];

    digest_format(&image->manifest, text);
    return text_format("%s %s %s", image->name, text, named_index(image));
}

static int image_run(struct flight_task *flight_task, void **ret_result, struct err *err)
{
    struct image_task *t = (struct image_task *)flight_task;
    struct discover *d = t->discover;
    const struct lookup lookup = {
        .registry = d->options.registry,
        .store = d->options.store,
        .repo = t->repo,
        .v1_enabled = d->options.v1_enabled,
        .v2_enabled = d->options.v2_enabled,
        .manifest = t->manifest,
        .index_digest = t->index_digest,
    };
    SCOPED(discover_index) struct discover_index *index = calloc(1, sizeof(*index));
    int64_t start_ns = clock_mono_ns();
    int rc;

    if (index == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    index->refs = 1;
    rc = lookup_run(&lookup, index, err);
    log_debug("looked for a SOCI index", "image=%s rc=%d took_ms=%lld", t->key, rc,
              (long long)(clock_mono_ns() - start_ns) / 1000000);
    if (rc < 0)
        return rc;
    metrics_since(metrics_no_layer(d->options.metrics), METRICS_SOCI_INDEX_FETCH, start_ns);
    if (!d->options.disable_prefetch)
        discover_prefetch_ztocs(d, t->repo, t->key, index->index);
    *ret_result = TAKE(index);
    return 0;
}

static void image_task_free(struct flight_task *flight_task)
{
    struct image_task *t = (struct image_task *)flight_task;

    t->discover->options.registry->unref(t->repo);
    free(t->index_digest);
    free(t->key);
    free(t);
}

static struct flight_task *image_task_new(struct discover *d, const struct discover_image *image,
                                          const char *key)
{
    struct image_task *t = calloc(1, sizeof(*t));

    if (t == NULL)
        return NULL;
    t->task.run = image_run;
    t->task.free = image_task_free;
    t->discover = d;
    t->repo = d->options.registry->ref(image->repo);
    t->manifest = image->manifest;
    t->index_digest = text_copy(named_index(image));
    t->key = text_copy(key);
    if (t->index_digest == NULL || t->key == NULL) {
        image_task_free(&t->task);
        return NULL;
    }
    return &t->task;
}

int discover_find(struct discover *d, const struct discover_image *image, int64_t deadline_ms,
                  struct discover_index **ret, struct err *err)
{
    SCOPED(mem) char *key = discover_image_key(image);
    struct flight_task *task = NULL;
    void *result = NULL;
    int rc;

    if (key != NULL)
        task = image_task_new(d, image, key);
    if (task == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    rc = flights_wait(d->images, key, image->asker, &task, deadline_ms, &result, err);
    if (rc < 0)
        return err_prefix(err, rc, "SOCI index of %s", image->name);
    *ret = result;
    return 0;
}

/* ---- the whole ------------------------------------------------------------------------------- */

static void *index_ref_any(void *index)
{
    return discover_index_ref(index);
}

static void index_unref_any(void *index)
{
    discover_index_unref(index);
}

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
