/* SPDX-License-Identifier: Apache-2.0 */
/* layers.c – how each layer is that came from us: the mounted ones from the table of mounts, the
 * unpacked ones from what their rows say. */
#include "lazy/internal.h"

#include "base/threads.h"

#include <errno.h>
#include <stdlib.h>

/* An index that was named is the one in use. A row of an earlier version says no more than that. */
static char *index_text(const struct lazy_target *target)
{
    char text[DIGEST_TEXT_BYTES];

    if (!target->has_index)
        return text_copy(target->index_digest == NULL ? "" : target->index_digest);
    digest_format(&target->index, text);
    return text_copy(text);
}

static int copy_strings(const char *dir, const struct lazy_target *target, const char *namespace_,
                        struct lazy_layer *ret)
{
    bool is_known = target->image_ref != NULL;

    ret->dir = text_copy(dir);
    ret->image = text_copy(is_known ? target->image_ref : "");
    ret->index = index_text(target);
    ret->namespace_ = text_copy(namespace_ == NULL ? "" : namespace_);
    ret->manifest = target->manifest;
    ret->layer = target->layer;
    ret->has_digests = is_known;
    ret->backend = "";
    ret->size_bytes = target->layer_bytes;
    return ret->dir == NULL || ret->image == NULL || ret->index == NULL || ret->namespace_ == NULL
               ? -ENOMEM
               : 0;
}

static int copy_entry_locked(struct lazy *lazy, const struct lazy_entry *entry,
                             struct lazy_layer *ret, struct layer **ret_layer)
{
    int rc = copy_strings(entry->dir, &entry->target, entry->namespace_, ret);

    ret->id = entry->id;
    if (entry->mount == NULL) {
        ret->state = LAZY_LAYER_NOT_MOUNTED;
        ret->last_error = entry->err;
        ret->last_error_ms = entry->err_ms;
        return rc;
    }
    ret->state = LAZY_LAYER_MOUNTED;
    if (lazy->options.fs_ops->backend != NULL)
        ret->backend = lazy->options.fs_ops->backend(entry->mount);
    if (lazy->options.fs_ops->layer != NULL)
        *ret_layer = layer_ref(lazy->options.fs_ops->layer(entry->mount));
    return rc;
}

/* Only what must be is done with the lock held: the engine is asked afterwards. */
static int copy_table(struct lazy *lazy, struct lazy_layers *ret, struct layer ***ret_layers)
{
    const struct lazy_entry *entry;
    struct layer **layers;
    size_t count = 0;
    int rc = 0;
    LOCKED(&lazy->lock);

    TAILQ_FOREACH(entry, &lazy->entries, link)
    count++;
    ret->items = calloc(count + 1, sizeof(*ret->items));
    *ret_layers = layers = calloc(count + 1, sizeof(struct layer *));
    if (ret->items == NULL || layers == NULL)
        return -ENOMEM;
    TAILQ_FOREACH(entry, &lazy->entries, link)
    {
        if (rc < 0)
            break;
        rc = copy_entry_locked(lazy, entry, &ret->items[ret->count], &layers[ret->count]);
        ret->count++; /* one that is half copied is freed as well */
    }
    return rc;
}

static void ask_layer(struct layer *layer, struct lazy_layer *ret)
{
    struct layer_status status;

    layer_get_status(layer, &status);
    ret->size_bytes = status.size_bytes;
    ret->present_bytes = status.fetched_bytes;
    ret->check = status.check;
    ret->last_error = status.last_error;
    ret->last_error_ms = status.last_error_ms;
    if (status.fetched_bytes >= status.size_bytes)
        ret->state = LAZY_LAYER_COMPLETE;
}

int lazy_list(struct lazy *lazy, struct lazy_layers *ret, struct err *err)
{
    SCOPED(lazy_layers) struct lazy_layers all = {.items = NULL, .count = 0};
    struct layer **layers = NULL;
    int rc = copy_table(lazy, &all, &layers);

    for (size_t i = 0; i < all.count; i++) {
        if (layers[i] == NULL)
            continue;
        ask_layer(layers[i], &all.items[i]);
        layer_unref(layers[i]);
    }
    free(layers);
    if (rc < 0)
        return err_set(err, rc, "out of memory");
    *ret = all;
    all = (struct lazy_layers){.items = NULL, .count = 0};
    return 0;
}

int lazy_layer_of_row(const struct snapdb_row *row, struct lazy_layer *ret, struct err *err)
{
    SCOPED(lazy_target) struct lazy_target target = {.image_ref = NULL};
    struct err ignored = ERR_NONE;

    /* Labels may be changed by anyone; what they do not say any more stays empty. */
    if (lazy_target_from_prepare(&row->labels, &target, &ignored) == -ENOMEM ||
        copy_strings("", &target, lazy_label_namespace(&row->labels), ret) < 0) {
        lazy_layer_fini(ret);
        return err_set(err, -ENOMEM, "out of memory");
    }
    ret->id = row->id;
    ret->state = LAZY_LAYER_UNPACKED;
    ret->backend = "local";
    ret->present_bytes = ret->size_bytes;
    return 0;
}

void lazy_layer_fini(struct lazy_layer *layer)
{
    free(layer->dir);
    free(layer->image);
    free(layer->index);
    free(layer->namespace_);
    *layer = (struct lazy_layer){.dir = NULL};
}

void lazy_layers_fini(struct lazy_layers *layers)
{
    for (size_t i = 0; i < layers->count; i++)
        lazy_layer_fini(&layers->items[i]);
    free(layers->items);
    *layers = (struct lazy_layers){.items = NULL, .count = 0};
}
