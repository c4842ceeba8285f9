/* SPDX-License-Identifier: Apache-2.0 */
/* mapped.c – layers that are mounted once more for a container in a user namespace. Such a mount is
 * of the same layer, so its bytes are fetched and kept once. */
#include "lazy/internal.h"

#include "base/log.h"
#include "base/threads.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void mapped_free(struct lazy_mapped *mapped)
{
    free(mapped->dir);
    free(mapped);
}
DEFINE_SCOPED_PTR(lazy_mapped, struct lazy_mapped, mapped_free)

static struct lazy_mapped *find_locked(struct lazy *lazy, const char *dir)
{
    struct lazy_mapped *mapped;

    TAILQ_FOREACH(mapped, &lazy->mapped, link)
    {
        if (strcmp(mapped->dir, dir) == 0)
            break;
    }
    return mapped;
}

static bool is_there(struct lazy *lazy, const char *dir)
{
    LOCKED(&lazy->lock);

    return find_locked(lazy, dir) != NULL;
}

/* The layer that is mounted for snapshot `id`, with a reference; NULL: none is. A mount in the
 * table has its layer. */
static struct layer *layer_of(struct lazy *lazy, uint64_t id)
{
    LOCKED(&lazy->lock);
    const struct lazy_entry *entry = lazy_entry_find_locked(lazy, id);

    if (entry == NULL || entry->mount == NULL)
        return NULL;
    return layer_ref(lazy->options.fs_ops->layer(entry->mount));
}

int lazy_mount_mapped(struct lazy *lazy, uint64_t id, const char *dir, const struct idmaps *ids,
                      struct err *err)
{
    const struct lazy_options *o = &lazy->options;
    const struct fs_mount_options options = {.dir = dir, .ids = ids};
    SCOPED(layer) struct layer *layer = NULL;
    SCOPED(lazy_mapped) struct lazy_mapped *mapped = NULL;
    int rc;

    if (is_there(lazy, dir))
        return 0;
    layer = layer_of(lazy, id);
    if (layer == NULL)
        return err_set(err, -EAGAIN, "not mounted");
    mapped = calloc(1, sizeof(*mapped));
    if (mapped == NULL || (mapped->dir = text_copy(dir)) == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    rc = o->fs_ops->mount(o->fs, layer, &options, &mapped->mount, err);
    if (rc < 0)
        return err_prefix(err, rc, "mount at %s", dir);

    LOCKED(&lazy->lock);
    TAILQ_INSERT_TAIL(&lazy->mapped, mapped, link);
    mapped = NULL;
    return 0;
}

static struct lazy_mapped *take(struct lazy *lazy, const char *dir)
{
    LOCKED(&lazy->lock);
    struct lazy_mapped *mapped = dir == NULL ? TAILQ_FIRST(&lazy->mapped) : find_locked(lazy, dir);

    if (mapped != NULL)
        TAILQ_REMOVE(&lazy->mapped, mapped, link);
    return mapped;
}

void lazy_unmount_mapped(struct lazy *lazy, const char *dir)
{
    SCOPED(lazy_mapped) struct lazy_mapped *mapped = take(lazy, dir);

    if (mapped != NULL)
        lazy_take_down(lazy, &mapped->mount, dir, false);
}

void lazy_end_mapped(struct lazy *lazy)
{
    struct lazy_mapped *mapped;

    while ((mapped = take(lazy, NULL)) != NULL) {
        lazy->options.fs_ops->abandon(lazy->options.fs, &mapped->mount);
        mapped_free(mapped);
    }
}
