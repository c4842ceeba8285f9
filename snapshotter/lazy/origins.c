/* SPDX-License-Identifier: Apache-2.0 */
/* origins.c – which repositories have a layer: those of the images that it is mounted for.
 *
 * A layer is open once, however many images share it, but each image is allowed for by credentials
 * of its own. One may lose them, or be removed, and the containers of the others go on reading.
 *
 * An image whose lower layers are another's too mounts the upper ones alone: containerd has the
 * snapshots of the lower already and never asks for them in its name. So the repositories of all
 * images that have something mounted come after those that are known to have the layer. */
#include "lazy/internal.h"

#include "base/threads.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct lazy_origin {
    struct lazy_origins *origins;  /* fixed at creation: a reference */
    struct digest layer;           /* fixed at creation */
    char *repository;              /* fixed at creation: host/repository */
    TAILQ_ENTRY(lazy_origin) link; /* origins->lock */
};

struct lazy_origins {
    size_t refs;                               /* atomic */
    pthread_mutex_t lock;                      /* a leaf */
    TAILQ_HEAD(origin_list, lazy_origin) list; /* lock; newest first */
};

int lazy_origins_new(struct lazy_origins **ret, struct err *err)
{
    struct lazy_origins *origins = calloc(1, sizeof(*origins));

    if (origins == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    origins->refs = 1;
    (void)pthread_mutex_init(&origins->lock, NULL);
    TAILQ_INIT(&origins->list);
    *ret = origins;
    return 0;
}

struct lazy_origins *lazy_origins_ref(struct lazy_origins *origins)
{
    (void)__atomic_add_fetch(&origins->refs, 1, __ATOMIC_RELAXED);
    return origins;
}

void lazy_origins_unref(struct lazy_origins *origins)
{
    if (origins == NULL || __atomic_sub_fetch(&origins->refs, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    (void)pthread_mutex_destroy(&origins->lock);
    free(origins);
}

int lazy_origin_add(struct lazy_origins *origins, const struct digest *layer,
                    const char *repository, struct lazy_origin **ret, struct err *err)
{
    struct lazy_origin *origin = calloc(1, sizeof(*origin));

    if (origin == NULL || (origin->repository = text_copy(repository)) == NULL) {
        free(origin);
        return err_set(err, -ENOMEM, "out of memory");
    }
    origin->origins = lazy_origins_ref(origins);
    origin->layer = *layer;
    {
        LOCKED(&origins->lock);
        TAILQ_INSERT_HEAD(&origins->list, origin, link);
    }
    *ret = origin;
    return 0;
}

void lazy_origin_remove(struct lazy_origin *origin)
{
    struct lazy_origins *origins;

    if (origin == NULL)
        return;
    origins = origin->origins;
    {
        LOCKED(&origins->lock);
        TAILQ_REMOVE(&origins->list, origin, link);
    }
    lazy_origins_unref(origins);
    free(origin->repository);
    free(origin);
}

static int add_new(struct text_list *list, const char *name)
{
    return text_list_has(list, name) ? 0 : text_list_add(list, name);
}

int lazy_origins_list(struct lazy_origins *origins, const struct digest *layer,
                      struct text_list *ret)
{
    const struct lazy_origin *origin;
    int rc = 0;
    LOCKED(&origins->lock);

    TAILQ_FOREACH(origin, &origins->list, link)
    {
        if (rc == 0 && digest_equal(&origin->layer, layer))
            rc = add_new(ret, origin->repository);
    }
    TAILQ_FOREACH(origin, &origins->list, link)
    {
        if (rc == 0)
            rc = add_new(ret, origin->repository);
    }
    return rc;
}

bool lazy_origins_has(struct lazy_origins *origins, const char *repository)
{
    const struct lazy_origin *origin;
    LOCKED(&origins->lock);

    TAILQ_FOREACH(origin, &origins->list, link)
    {
        if (strcmp(origin->repository, repository) == 0)
            return true;
    }
    return false;
}

bool lazy_origins_has_other(struct lazy_origins *origins, const char *repository)
{
    const struct lazy_origin *origin;
    LOCKED(&origins->lock);

    TAILQ_FOREACH(origin, &origins->list, link)
    {
        if (strcmp(origin->repository, repository) != 0)
            return true;
    }
    return false;
}
