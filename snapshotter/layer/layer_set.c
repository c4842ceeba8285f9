/* SPDX-License-Identifier: Apache-2.0 */
/* layer_set.c – the open layers: one of each, however many ask, opened and closed without holding
 * up the others. */
#include "layer/internal.h"

#include "base/threads.h"

#include <errno.h>
#include <stdlib.h>

struct layer_set {
    struct store *store;        /* fixed at creation */
    struct span_engine *engine; /* fixed at creation */
    struct metrics *metrics;    /* fixed before the first layer; NULL: none */
    pthread_mutex_t lock;       /* guards the list; not held while a layer is loaded or unloaded */
    pthread_cond_t settled;     /* a layer is open, or gone */
    struct layer *layers;       /* lock */
};

int layer_set_new(struct store *store, struct span_engine *engine, struct layer_set **ret,
                  struct err *err)
{
    struct layer_set *set = calloc(1, sizeof(*set));

    if (set == NULL)
        return err_set(err, -ENOMEM, "layers: out of memory");
    set->store = store;
    set->engine = engine;
    (void)pthread_mutex_init(&set->lock, NULL);
    (void)pthread_cond_init(&set->settled, NULL);
    *ret = set;
    return 0;
}

void layer_set_count_in(struct layer_set *set, struct metrics *metrics)
{
    set->metrics = metrics;
}

int layer_trace_new(struct layer_set *set, const struct span_trace_options *options,
                    struct span_trace **ret, struct err *err)
{
    return span_trace_new(set->engine, options, ret, err);
}

void layer_set_free(struct layer_set *set)
{
    if (set == NULL)
        return;
    (void)pthread_cond_destroy(&set->settled);
    (void)pthread_mutex_destroy(&set->lock);
    free(set);
}

/* ---- the list ---------------------------------------------------------------------------------
 */

/* By both digests: there can be two ztocs of a layer, with spans of different sizes, and two layers
 * of a ztoc, that differ in their gzip header alone. */
static struct layer *find_locked(const struct layer_set *set, const struct layer_options *options)
{
    struct layer *layer;

    for (layer = set->layers; layer != NULL; layer = layer->next) {
        if (digest_equal(&layer->digest, &options->layer) &&
            digest_equal(&layer->ztoc_digest, &options->ztoc))
            return layer;
    }
    return NULL;
}

static void unlink_locked(struct layer_set *set, const struct layer *layer)
{
    struct layer **link = &set->layers;

    while (*link != layer)
        link = &(*link)->next;
    *link = layer->next;
    (void)pthread_cond_broadcast(&set->settled);
}

static void layer_free(struct layer *layer)
{
    metrics_layer_unref(layer->metrics);
    free(layer);
}

static struct layer *add_opening_locked(struct layer_set *set, const struct layer_options *options)
{
    struct layer *layer = calloc(1, sizeof(*layer));

    if (layer == NULL)
        return NULL;
    layer->digest = options->layer;
    layer->ztoc_digest = options->ztoc;
    layer->disable_xattrs = options->disable_xattrs;
    layer->layout = (struct layer_layout)LAYER_LAYOUT_NONE;
    layer->set = set;
    layer->metrics = metrics_layer_ref(set->metrics, &options->layer);
    layer->refs = 1;
    layer->state = LAYER_OPENING;
    layer->next = set->layers;
    set->layers = layer;
    return layer;
}

/* A reference to the layer that is open, or else a new one for this thread to load (*ret_is_new).
 * NULL: out of memory. Waits for another thread that loads or unloads the same layer: disk work,
 * which ends. */
static struct layer *ref_or_add(struct layer_set *set, const struct layer_options *options,
                                bool *ret_is_new)
{
    struct layer *layer;
    LOCKED(&set->lock);

    while ((layer = find_locked(set, options)) != NULL && layer->state != LAYER_OPEN)
        (void)pthread_cond_wait(&set->settled, &set->lock);
    *ret_is_new = layer == NULL;
    if (layer == NULL)
        return add_opening_locked(set, options);
    layer->refs++;
    return layer;
}

/* ---- opening ----------------------------------------------------------------------------------
 */

static void close_source(struct layer_options *options)
{
    if (options->source.close != NULL)
        options->source.close(options->source.self);
    options->source = (struct span_source){.self = NULL};
}

static int load_new(struct layer *layer, struct layer_options *options, struct err *err)
{
    struct layer_set *set = layer->set;
    int rc = layer_load(layer, set->store, set->engine, options, err);

    (void)pthread_mutex_lock(&set->lock);
    if (rc < 0)
        unlink_locked(set, layer);
    else
        layer->state = LAYER_OPEN;
    (void)pthread_cond_broadcast(&set->settled);
    (void)pthread_mutex_unlock(&set->lock);
    if (rc < 0)
        layer_free(layer);
    else
        options->source = (struct span_source){.self = NULL}; /* the span set's */
    return rc;
}

static int use_open(struct layer *layer, struct layer_options *options, struct err *err)
{
    int rc = layer_check_bytes(layer, options->layer_bytes, err);

    if (rc < 0)
        return rc;
    rc = span_set_replace_source(layer->spans, options->source, err);
    options->source = (struct span_source){.self = NULL}; /* taken on failure too */
    return rc;
}

int layer_open(struct layer_set *set, struct layer_options *options, struct layer **ret,
               struct err *err)
{
    char name[DIGEST_TEXT_BYTES];
    bool is_new = false;
    struct layer *layer = ref_or_add(set, options, &is_new);
    int rc;

    digest_format(&options->layer, name);
    if (layer == NULL) {
        close_source(options);
        return err_set(err, -ENOMEM, "layer %s: out of memory", name);
    }
    rc = is_new ? load_new(layer, options, err) : use_open(layer, options, err);
    if (rc < 0 && !is_new)
        layer_unref(layer);
    close_source(options);
    if (rc < 0)
        return err_prefix(err, rc, "layer %s", name);
    *ret = layer;
    return 0;
}

/* ---- references -------------------------------------------------------------------------------
 */

struct layer *layer_ref(struct layer *layer)
{
    LOCKED(&layer->set->lock);
    layer->refs++;
    return layer;
}

/* True: the last one, and nobody finds the layer any more; who asks for it waits until it is gone.
 */
static bool drop_ref(struct layer *layer)
{
    LOCKED(&layer->set->lock);

    if (--layer->refs > 0)
        return false;
    layer->state = LAYER_CLOSING;
    return true;
}

void layer_unref(struct layer *layer)
{
    if (layer == NULL || !drop_ref(layer))
        return;
    layer_unload(layer);
    {
        LOCKED(&layer->set->lock);
        unlink_locked(layer->set, layer);
    }
    layer_free(layer);
}
