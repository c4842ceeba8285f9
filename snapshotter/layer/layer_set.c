/* SPDX-License-Identifier: Apache-2.0 */
/* layer_set.c – the open layers: one of each, however many ask, opened and closed without holding
 * up the others. */
#include "layer/internal.h"

#include "base/log.h"
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
    struct checker checker;     /* has a lock of its own, taken alone */
};

int layer_set_new(struct store *store, struct span_engine *engine, struct layer_set **ret,
                  struct err *err)
{
    struct layer_set *set = calloc(1, sizeof(*set));

    if (set == NULL)
        return err_set(err, -ENOMEM, "layers: out of memory");
    if (checker_init(&set->checker, store, engine) < 0) {
        free(set);
        return err_set(err, -ENOMEM, "layers: out of memory");
    }
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

void layer_set_tell(struct layer_set *set,
                    void (*told)(void *arg, struct layer *layer, enum layer_check check,
                                 const struct err *why),
                    void *arg)
{
    checker_tell(&set->checker, told, arg);
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
    checker_fini(&set->checker);
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
    layer->store = set->store;
    layer->files_lock = &set->lock;
    layer->files_settled = &set->settled;
    layer->checker = &set->checker;
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

/* ---- what it should be ------------------------------------------------------------------------
 */

/* Does the store, or what this process has seen, speak against it? */
static int check_refused(struct layer_set *set, const struct layer_options *options,
                         struct err *err)
{
    const struct layer_claim *claim = &options->claim;
    struct digest identity;

    if (claim->kind == LAYER_CLAIM_NONE)
        return store_refused(set->store, &options->layer, &options->ztoc, NULL, err);
    if (claim_identity(claim, &identity) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    return store_refused(set->store, &options->layer, &options->ztoc, &identity, err);
}

/* What the layer hashes to is known: that is the same for all images. */
static int check_diff_id(struct layer *layer, const struct layer_claim *claim,
                         const struct digest *diff_id, struct err *err)
{
    struct err ignored = ERR_NONE;
    struct digest identity;
    int rc = claim->kind == LAYER_CLAIM_NONE ? 1 : claim_fits(claim, diff_id);

    if (rc < 0 || claim_identity(claim, &identity) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    if (rc == 1)
        return 0;
    rc = claim_refuse(claim, diff_id, err);
    if (store_refuse(layer->set->store, &layer->digest, &layer->ztoc_digest, &identity,
                     err_text(err), &ignored) < 0)
        log_debug("refused again each time", "err=%s", err_text(&ignored));
    return rc;
}

/* Of one that is not checked yet only one claim can be: who contradicts the first may be right, and
 * gets the layer in another way. */
static int add_claim(struct layer *layer, const struct layer_claim *claim, struct err *err)
{
    struct layer_claim first = checker_claim(layer->checker, layer, claim);
    int rc = claim_contradicts(claim, &first);

    if (rc < 0)
        return err_set(err, rc, "out of memory");
    return rc == 0 ? 0
                   : err_set(err, -EBADMSG, "another image says that it unpacks to something else");
}

/* Of a layer that is loaded: -EBADMSG: the image says something else of it. */
static int use_claim(struct layer *layer, const struct layer_claim *claim, struct err *err)
{
    struct digest diff_id;
    int64_t ignored_ms;
    int rc;

    if (checker_failed(layer->checker, layer, err == NULL ? &(struct err)ERR_NONE : err,
                       &ignored_ms))
        return -EBADMSG;
    if (span_file_is_checked(layer->file, &diff_id)) {
        rc = check_diff_id(layer, claim, &diff_id, err);
        if (rc < 0)
            return rc;
        if (span_set_is_complete(layer->spans))
            checker_set_passed(layer->checker, layer, &diff_id);
    }
    rc = add_claim(layer, claim, err);
    if (rc == 0)
        checker_add(layer->checker, layer);
    return rc;
}

static int load_new(struct layer *layer, struct layer_options *options, struct err *err)
{
    struct layer_set *set = layer->set;
    int rc = check_refused(set, options, err);

    if (rc == 0)
        rc = layer_load(layer, set->store, set->engine, options, err);
    if (rc == 0) {
        options->source = (struct span_source){.self = NULL}; /* the span set's */
        rc = use_claim(layer, &options->claim, err);
        if (rc < 0)
            layer_unload(layer);
    }
    (void)pthread_mutex_lock(&set->lock);
    if (rc < 0)
        unlink_locked(set, layer);
    else
        layer->state = LAYER_OPEN;
    (void)pthread_cond_broadcast(&set->settled);
    (void)pthread_mutex_unlock(&set->lock);
    if (rc < 0)
        layer_free(layer);
    return rc;
}

static int use_open(struct layer *layer, struct layer_options *options, struct err *err)
{
    int rc = layer_check_bytes(layer, options->layer_bytes, err);

    if (rc == 0)
        rc = check_refused(layer->set, options, err);
    if (rc == 0)
        rc = use_claim(layer, &options->claim, err);
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
