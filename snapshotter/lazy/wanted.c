/* SPDX-License-Identifier: Apache-2.0 */
/* wanted.c – which spans of a layer will be wanted first, as far as anybody knows, and how the
 * layer is told. */
#include "lazy/internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/system.h"
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
    struct span_preferred *spans = system_grow(wanted->spans, wanted->count, sizeof(*spans));

    if (spans == NULL)
        return -ENOMEM;
    wanted->spans = spans;
    wanted->spans[wanted->count++] = (struct span_preferred){.span = span, .rank = rank};
    return 0;
}

bool lazy_wanted_find(struct lazy *lazy, const struct digest *manifest, const struct layer *layer,
                      struct lazy_wanted *ret)
{
    int rc;

    if (lazy->learn == NULL || lazy->options.disable_background)
        return false;
    rc = lazy_learn_wanted(lazy->learn, manifest, layer_digest(layer), layer_ztoc_digest(layer),
                           ret);
    if (rc < 0)
        lazy_wanted_fini(ret); /* half a list is none */
    return rc == 0;
}

/* ---- from an index ----------------------------------------------------------------------------
 */

/* A mount waits no longer for what only makes it quicker. */
enum { ARTIFACT_WAIT_MS = 3000 };
/* The rank of priority 0, which is none: such spans were named by a person, and come before
 * what was noted. Priorities count over all layers of an image, as ranks do. */
#define PRIORITY_RANK UINT32_C(0x40000000)

static uint32_t rank_of(const struct soci_prefetch_range *range, size_t before)
{
    if (range->priority == 0)
        return (uint32_t)before;
    return PRIORITY_RANK + (range->priority < PRIORITY_RANK ? range->priority : PRIORITY_RANK);
}

/* Ranges that overlap would be many times the layer. */
static int check_ranges(const struct soci_prefetch *prefetch, size_t span_count, struct err *err)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < prefetch->count; i++) {
        const struct soci_prefetch_range *range = &prefetch->ranges[i];

        if (range->last >= span_count)
            return err_set(err, -EBADMSG, "span %u of a layer of %zu", (unsigned)range->last,
                           span_count);
        sum += (uint64_t)range->last - range->first + 1;
    }
    return sum <= span_count ? 0 : err_set(err, -EBADMSG, "its ranges overlap");
}

int lazy_wanted_parse(struct bytes json, size_t span_count, struct lazy_wanted *ret,
                      struct err *err)
{
    SCOPED(soci_prefetch) struct soci_prefetch prefetch = {.ranges = NULL};
    int rc = soci_prefetch_parse(json, &prefetch, err);

    if (rc == 0)
        rc = check_ranges(&prefetch, span_count, err);
    for (size_t i = 0; rc == 0 && i < prefetch.count; i++) {
        uint32_t rank = rank_of(&prefetch.ranges[i], ret->count);

        for (uint32_t n = prefetch.ranges[i].first; rc == 0 && n <= prefetch.ranges[i].last; n++)
            rc = lazy_wanted_add(ret, n, rank++);
    }
    return rc == -ENOMEM ? err_set(err, rc, "out of memory") : rc;
}

static int fetch(struct lazy *lazy, const struct discover_image *image,
                 const struct soci_index_prefetch *prefetch, const struct layer *layer,
                 struct lazy_wanted *ret, struct err *err)
{
    SCOPED(buf_value) struct buf json = BUF_EMPTY;
    int rc;

    if (prefetch->artifact_bytes > SOCI_PREFETCH_MAX_BYTES)
        return err_set(err, -EFBIG, "it has %llu bytes",
                       (unsigned long long)prefetch->artifact_bytes);
    rc = discover_fetch_ztoc(lazy->options.discover, image, &prefetch->artifact,
                             prefetch->artifact_bytes, clock_mono_ms() + ARTIFACT_WAIT_MS, err);
    if (rc == 0)
        rc = store_blob_read(lazy->options.store, &prefetch->artifact, SOCI_PREFETCH_MAX_BYTES,
                             &json, err);
    return rc == 0 ? lazy_wanted_parse(buf_bytes(&json), layer_span_count(layer), ret, err) : rc;
}

void lazy_wanted_fetch(struct lazy *lazy, const struct discover_image *image,
                       const struct soci_index_prefetch *prefetch, const struct layer *layer,
                       struct lazy_wanted *ret)
{
    char digest[DIGEST_TEXT_BYTES];
    struct err err = ERR_NONE;

    if (fetch(lazy, image, prefetch, layer, ret, &err) == 0)
        return;
    lazy_wanted_fini(ret);
    digest_format(&prefetch->artifact, digest);
    log_warn("prefetch artifact is passed over", "artifact=%s image=%s err=%s", digest, image->name,
             err_text(&err));
}

void lazy_wanted_tell(struct layer *layer, const struct lazy_wanted *wanted)
{
    struct err err = ERR_NONE;

    if (wanted->count == 0)
        return;
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

    ret->layers = calloc(count + 1, sizeof(struct layer *));
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

        (void)lazy_wanted_find(lazy, &used.manifest, used.layers[i], &wanted);
        lazy_wanted_tell(used.layers[i], &wanted);
        layer_unref(used.layers[i]);
    }
    free(used.layers);
}
