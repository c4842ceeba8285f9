/* SPDX-License-Identifier: Apache-2.0 */
/* source.c – the span engine's source of compressed bytes is a blob in a registry. */
#include "lazy/internal.h"

#include "base/cleanup.h"
#include "base/threads.h"

#include <errno.h>
#include <stdlib.h>

/* A hiccup is worth a moment. After that the engine decides when to come back: a reader that needs
 * the span then must not find it waiting for a registry that may be well again. */
enum { BACKGROUND_WAIT_MS = 1000 };

struct lazy_source {
    struct lazy_repos *repos;  /* fixed at creation: a reference */
    struct lazy_target target; /* fixed at creation; a copy of what is needed here */
    pthread_mutex_t lock;
    struct registry_blob *blob; /* lock; set once, then fixed until close */
};

/* A span's fetch and the registry's, tied together from start to release. */
struct bridge {
    struct registry_fetch fetch; /* first */
    struct span_fetch *span_fetch;
    struct registry_blob *blob;
};

static int open_blob(const struct lazy_source *s, struct registry_blob **ret, struct err *err)
{
    SCOPED(registry_repo) struct registry_repo *repo = NULL;
    int rc = lazy_repo_get(s->repos, &s->target, &repo, err);

    if (rc < 0)
        return rc;
    return registry_blob_open(repo, &s->target.layer, s->target.layer_bytes, ret, err);
}

/* The blob, opened at the first call. Two first callers open one each and one of the two is closed.
 */
static int get_blob(struct lazy_source *s, struct registry_blob **ret, struct err *err)
{
    SCOPED(registry_blob) struct registry_blob *mine = NULL;
    int rc;

    (void)pthread_mutex_lock(&s->lock);
    *ret = s->blob;
    (void)pthread_mutex_unlock(&s->lock);
    if (*ret != NULL)
        return 0;
    rc = open_blob(s, &mine, err);
    if (rc < 0)
        return rc;
    (void)pthread_mutex_lock(&s->lock);
    if (s->blob == NULL)
        s->blob = TAKE(mine);
    *ret = s->blob;
    (void)pthread_mutex_unlock(&s->lock);
    return 0;
}

static void bridge_done(struct registry_fetch *fetch, int rc, const struct err *err)
{
    struct span_fetch *span_fetch = ((struct bridge *)fetch)->span_fetch;

    span_fetch->done(span_fetch, rc, err); /* release() may have freed the bridge */
}

static int source_start(void *self, struct span_fetch *span_fetch, struct err *err)
{
    struct lazy_source *s = self;
    SCOPED(mem) struct bridge *bridge = calloc(1, sizeof(*bridge));
    struct registry_blob *blob = NULL;
    int rc;

    if (bridge == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    rc = get_blob(s, &blob, err);
    if (rc < 0)
        return rc;
    bridge->fetch.off = span_fetch->comp_off;
    bridge->fetch.len = span_fetch->len;
    bridge->fetch.buf = span_fetch->buf;
    bridge->fetch.from_origin = span_fetch->again;
    bridge->fetch.from_origin = span_fetch->again;
    bridge->fetch.budget_ms = span_fetch->budget_ms;
    bridge->fetch.longest_wait_ms = span_fetch->urgent ? 0 : BACKGROUND_WAIT_MS;
    bridge->fetch.done = bridge_done;
    bridge->span_fetch = span_fetch;
    bridge->blob = blob;
    span_fetch->source_data = bridge;
    rc = registry_blob_fetch(blob, &bridge->fetch, err);
    if (rc < 0)
        return rc;
    (void)TAKE(bridge); /* source_release() has it, perhaps already */
    return 0;
}

static void source_cancel(void *self, struct span_fetch *span_fetch)
{
    struct bridge *bridge = span_fetch->source_data;

    (void)self;
    registry_fetch_cancel(bridge->blob, &bridge->fetch);
}

static void source_release(void *self, struct span_fetch *span_fetch)
{
    (void)self;
    free(span_fetch->source_data);
    span_fetch->source_data = NULL;
}

static void source_close(void *self)
{
    struct lazy_source *s = self;

    if (s->blob != NULL)
        registry_blob_close(s->blob);
    (void)pthread_mutex_destroy(&s->lock);
    lazy_repos_unref(s->repos);
    lazy_target_fini(&s->target);
    free(s);
}

int lazy_source_new(struct lazy_repos *repos, const struct lazy_target *target,
                    struct span_source *ret, struct err *err)
{
    struct lazy_source *s = calloc(1, sizeof(*s));

    if (s == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    if (lazy_target_copy(&s->target, target) < 0) {
        free(s);
        return err_set(err, -ENOMEM, "out of memory");
    }
    s->repos = lazy_repos_ref(repos);
    (void)pthread_mutex_init(&s->lock, NULL);
    *ret = (struct span_source){
        .start = source_start,
        .cancel = source_cancel,
        .release = source_release,
        .close = source_close,
        .self = s,
    };
    return 0;
}
