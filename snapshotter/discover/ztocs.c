/* SPDX-License-Identifier: Apache-2.0 */
/* ztocs.c – ztocs into the store: each fetched once, those of an image before anyone asks. */
#include "discover/internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "discover/flight.h"
#include "ztoc/ztoc.h"

#include <errno.h>
#include <stdlib.h>

/* The fetch of one ztoc. */
struct ztoc_task {
    struct flight_task task; /* first */
    struct discover *discover;
    struct registry_repo *repo; /* a reference */
    struct digest ztoc;
    uint64_t ztoc_bytes;
    char *image_key; /* whose it is */
};

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
    struct ztoc_task *t = (struct ztoc_task *)flight_task;
    struct discover *d = t->discover;
    SCOPED(buf_value) struct buf blob = BUF_EMPTY;
    int64_t start_ns = clock_mono_ns();
    char text[DIGEST_TEXT_BYTES];
    int rc;

    (void)ret_result;
    if (has_blob(d->options.store, &t->ztoc))
        return 0;
    digest_format(&t->ztoc, text);
    rc = d->options.registry->get_blob(t->repo, &t->ztoc, (size_t)t->ztoc_bytes, &blob, err);
    if (rc == 0 && blob.len != t->ztoc_bytes)
        rc = err_set(err, -EBADMSG, "%zu bytes, not the %llu of the index", blob.len,
                     (unsigned long long)t->ztoc_bytes);
    if (rc == 0)
        metrics_since(metrics_no_layer(d->options.metrics), METRICS_ZTOC_FETCH, start_ns);
    if (rc == 0)
        rc = store_blob_put(d->options.store, &t->ztoc, buf_bytes(&blob), err);
    if (rc == -ENOENT)
        flights_forget(d->images, t->image_key); /* another index may have taken its place */
    return rc < 0 ? err_prefix(err, rc, "ztoc %s", text) : 0;
}

static void ztoc_task_free(struct flight_task *flight_task)
{
    struct ztoc_task *t = (struct ztoc_task *)flight_task;
    struct discover *d = t->discover;

    d->options.registry->unref(t->repo);
    free(t->image_key);
    free(t);
    quiet_leave(&d->quiet);
}

static struct flight_task *ztoc_task_new(struct discover *d, struct registry_repo *repo,
                                         const char *image_key, const struct digest *ztoc,
                                         uint64_t ztoc_bytes)
{
    struct ztoc_task *t = calloc(1, sizeof(*t));

    if (t == NULL || (t->image_key = text_copy(image_key)) == NULL) {
        free(t);
        return NULL;
    }
    t->task.run = ztoc_run;
    t->task.free = ztoc_task_free;
    t->discover = d;
    t->repo = d->options.registry->ref(repo);
    t->ztoc = *ztoc;
    t->ztoc_bytes = ztoc_bytes;
    quiet_enter(&d->quiet);
    return &t->task;
}

static bool ztoc_size_is_sane(uint64_t ztoc_bytes)
{
    return ztoc_bytes > 0 && ztoc_bytes <= ZTOC_MAX_BYTES;
}

/* False: no more of them. */
static bool start_fetch(struct discover *d, struct registry_repo *repo, const char *image_key,
                        const struct digest *blob, uint64_t blob_bytes)
{
    SCOPED(mem) char *key = NULL;
    struct flight_task *task = NULL;
    struct err err = ERR_NONE;

    if (!ztoc_size_is_sane(blob_bytes) || has_blob(d->options.store, blob))
        return true;
    key = ztoc_key(image_key, blob);
    if (key != NULL)
        task = ztoc_task_new(d, repo, image_key, blob, blob_bytes);
    if (task == NULL)
        return false;
    if (flights_start(d->ztocs, key, &task, &err) == 0)
        return true;
    log_debug("not fetched ahead", "image=%s err=%s", image_key, err_text(&err));
    return false;
}

/* Not a failure of anything when it fails: each Prepare asks again. */
void discover_prefetch_ztocs(struct discover *d, struct registry_repo *repo, const char *image_key,
                             const struct soci_index *index)
{
    bool more = true;

    for (size_t i = 0; more && i < index->ztoc_count; i++)
        more = start_fetch(d, repo, image_key, &index->ztocs[i].ztoc, index->ztocs[i].ztoc_bytes);
    for (size_t i = 0; more && d->options.prefetch_artifacts && i < index->prefetch_count; i++) {
        const struct soci_index_prefetch *p = &index->prefetches[i];

        if (p->artifact_bytes <= SOCI_PREFETCH_MAX_BYTES)
            more = start_fetch(d, repo, image_key, &p->artifact, p->artifact_bytes);
    }
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
    of_image = discover_image_key(image);
    if (of_image != NULL)
        key = ztoc_key(of_image, ztoc);
    if (key != NULL)
        task = ztoc_task_new(d, image->repo, of_image, ztoc, ztoc_bytes);
    if (task == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    return flights_wait(d->ztocs, key, NULL, &task, deadline_ms, NULL, err);
}
