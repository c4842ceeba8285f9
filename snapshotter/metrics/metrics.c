/* SPDX-License-Identifier: Apache-2.0 */
/* metrics.c – what is counted, and for which layer. */
#include "metrics/internal.h"

#include "base/clock.h"
#include "base/threads.h"

#include <errno.h>
#include <stdlib.h>

int metrics_new(struct metrics **ret, struct err *err)
{
    struct metrics *metrics = calloc(1, sizeof(*metrics));

    if (metrics == NULL)
        return err_set(err, -ENOMEM, "metrics: out of memory");
    (void)pthread_mutex_init(&metrics->lock, NULL);
    metrics->no_layer.metrics = metrics;
    metrics->layers = &metrics->no_layer;
    *ret = metrics;
    return 0;
}

void metrics_free(struct metrics *metrics)
{
    if (metrics == NULL)
        return;
    (void)pthread_mutex_destroy(&metrics->lock);
    free(metrics);
}

/* ---- layers ---------------------------------------------------------------------------------- */

struct metrics_layer *metrics_no_layer(struct metrics *metrics)
{
    return metrics == NULL ? NULL : &metrics->no_layer;
}

static struct metrics_layer *find_locked(struct metrics *metrics, const char *name)
{
    struct metrics_layer *layer;

    for (layer = metrics->layers; layer != NULL; layer = layer->next) {
        if (strcmp(layer->name, name) == 0)
            break;
    }
    return layer;
}

/* Behind the one of no layer, which comes first. */
static struct metrics_layer *add_locked(struct metrics *metrics, const char *name)
{
    struct metrics_layer *layer =
        metrics->layer_count >= METRICS_LAYERS_MAX ? NULL : calloc(1, sizeof(*layer));

    if (layer == NULL)
        return &metrics->no_layer;
    (void)snprintf(layer->name, sizeof(layer->name), "%s", name);
    layer->metrics = metrics;
    layer->next = metrics->no_layer.next;
    metrics->no_layer.next = layer;
    metrics->layer_count++;
    return layer;
}

struct metrics_layer *metrics_layer_ref(struct metrics *metrics, const struct digest *digest)
{
    struct metrics_layer *layer;
    char name[DIGEST_TEXT_BYTES];

    if (metrics == NULL)
        return NULL;
    digest_format(digest, name);
    LOCKED(&metrics->lock);
    layer = find_locked(metrics, name);
    if (layer == NULL)
        layer = add_locked(metrics, name);
    layer->refs++;
    return layer;
}

void metrics_layer_unref(struct metrics_layer *layer)
{
    struct metrics_layer **link;

    if (layer == NULL)
        return;
    LOCKED(&layer->metrics->lock);
    if (--layer->refs > 0 || layer == &layer->metrics->no_layer)
        return;
    for (link = &layer->metrics->layers; *link != layer; link = &(*link)->next)
        ;
    *link = layer->next;
    layer->metrics->layer_count--;
    free(layer);
}

/* ---- counting -------------------------------------------------------------------------------- */

static void add(uint64_t *to, uint64_t n)
{
    (void)__atomic_add_fetch(to, n, __ATOMIC_RELAXED);
}

void metrics_count(struct metrics_layer *layer, enum metrics_counter what, uint64_t n)
{
    if (layer != NULL)
        add(&layer->counters[what], n);
}

/* A bound belongs to its bucket. */
static size_t bucket_of(const struct metrics_unit *unit, uint64_t took_ns)
{
    size_t i = 0;

    while (i < unit->bucket_count && took_ns > unit->ns << i)
        i++;
    return i;
}

void metrics_took_ns(struct metrics_layer *layer, enum metrics_duration what, int64_t took_ns)
{
    uint64_t ns = took_ns < 0 ? 0 : (uint64_t)took_ns;
    struct metrics_histogram *h;

    if (layer == NULL)
        return;
    h = &layer->durations[what];
    add(&h->buckets[bucket_of(metrics_unit_of(what), ns)], 1);
    add(&h->sum_ns, ns);
}

void metrics_since(struct metrics_layer *layer, enum metrics_duration what, int64_t start_ns)
{
    if (layer != NULL)
        metrics_took_ns(layer, what, clock_mono_ns() - start_ns);
}
