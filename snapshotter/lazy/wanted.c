/* SPDX-License-Identifier: Apache-2.0 */
/* wanted.c – which spans of a layer will be wanted first, as far as anybody knows, and how the
 * layer is told. */
#include "lazy/internal.h"

#include "base/log.h"
#include "base/threads.h"

#include <errno.h>
#include <stdlib.h>

void lazy_wanted_fini(struct lazy_wanted *wanted)
{
    free(wanted->spans);
    *wanted = (struct lazy_wanted){.spans = NULL, .count = 0};
}

int lazy_wanted_add(struct lazy_wanted *wanted, uint32_t span, uint32_t rank)
{
    /* Full exactly when the count is a power of two, or nothing. */
    if ((wanted->count & (wanted->count - 1)) == 0) {
        size_t capacity = wanted->count == 0 ? 1 : 2 * wanted->count;
        struct span_preferred *more = reallocarray(wanted->spans, capacity, sizeof(*more));

        if (more == NULL)
            return -ENOMEM;
        wanted->spans = more;
    }
    wanted->spans[wanted->count++] = (struct span_preferred){.span = span, .rank = rank};
    return 0;
}

void lazy_wanted_find(struct lazy *lazy, const struct digest *manifest, const struct layer *layer,
                      struct lazy_wanted *ret)
{
    if (lazy->learn == NULL || lazy->options.disable_background)
        return;
    if (lazy_learn_wanted(lazy->learn, manifest, layer_digest(layer), layer_ztoc_digest(layer),
                          ret) < 0)
        lazy_wanted_fini(ret); /* half a list is none */
}

void lazy_wanted_tell(struct layer *layer, const struct lazy_wanted *wanted)
{
    struct err err = ERR_NONE;

    if (layer_prefer(layer, wanted->spans, wanted->count, &err) < 0)
        log_warn("what a layer will be asked for first is passed over", "err=%s", err_text(&err));
}

/* ---- a container starts -----------------------------------------------------------------------
 */

struct used {
    struct layer **layers; /* references; nearest first */
    size_t count;
    struct digest manifest; /* of the nearest */
};

static void add_used_locked(struct lazy *lazy, uint64_t id, struct used *used)
{
    const struct lazy_entry *entry = lazy_entry_find_locked(lazy, id);

    if (entry == NULL || entry->mount == NULL || entry->target.image_ref == NULL ||
        lazy->options.fs_ops->layer == NULL)
        return;
    if (used->count == 0)
        used->manifest = entry->target.manifest;
    used->layers[used->count++] = layer_ref(lazy->options.fs_ops->layer(entry->mount));
}

static int find_used(struct lazy *lazy, const uint64_t *ids, size_t count, struct used *ret)
{
    LOCKED(&lazy->lock);

    ret->layers = calloc(count + 1, sizeof(*ret->layers));
    if (ret->layers == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++)
        add_used_locked(lazy, ids[i], ret);
    return 0;
}

/* Layers that another image brought were mounted without a word of this one. */
void lazy_used(struct lazy *lazy, const uint64_t *ids, size_t count)
{
    struct used used = {.layers = NULL};

    if (lazy->learn == NULL || find_used(lazy, ids, count, &used) < 0)
        return;
    if (used.count > 0)
        lazy_learn_begin(lazy->learn, &used.manifest, used.layers, used.count);
    for (size_t i = 0; i < used.count; i++) {
        SCOPED(lazy_wanted) struct lazy_wanted wanted = {.spans = NULL};

        lazy_wanted_find(lazy, &used.manifest, used.layers[i], &wanted);
        lazy_wanted_tell(used.layers[i], &wanted);
        layer_unref(used.layers[i]);
    }
    free(used.layers);
}
