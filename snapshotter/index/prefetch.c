/* SPDX-License-Identifier: Apache-2.0 */
/* prefetch.c – prefetch artifacts for an index that is there: one for each layer of which something
 * is wanted, and an index that lists them. */
#include "index/internal.h"

#include <errno.h>
#include <stdlib.h>

/* The artifact of one ztoc's layer, as text appended to *ret; nothing is wanted of it: nothing.
 * What is wanted first, of all layers together, has the highest priority. */
static int encode_artifact(const struct index_prefetch_options *options,
                           const struct soci_index_ztoc *ztoc, struct buf *ret, struct err *err)
{
    SCOPED(mem)
    struct soci_prefetch_span *spans = calloc(options->wanted_count + 1, sizeof(*spans));
    SCOPED(soci_prefetch) struct soci_prefetch prefetch = {.ranges = NULL};
    size_t count = 0;

    if (spans == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    for (size_t i = 0; i < options->wanted_count; i++) {
        const struct index_wanted *wanted = &options->wanted[i];

        if (digest_equal(&wanted->layer, &ztoc->layer) && digest_equal(&wanted->ztoc, &ztoc->ztoc))
            spans[count++] =
                (struct soci_prefetch_span){wanted->span, (uint32_t)(options->wanted_count - i)};
    }
    if (count == 0)
        return 0;
    if (soci_prefetch_of_order(spans, count, &prefetch) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    return soci_prefetch_encode(&prefetch, ret, err);
}

static void say(const struct index_prefetch_options *options,
                const struct soci_index_prefetch *prefetch)
{
    struct index_printer printer = {.output = options->output, .lock = PTHREAD_MUTEX_INITIALIZER};
    char layer[DIGEST_TEXT_BYTES], artifact[DIGEST_TEXT_BYTES];

    digest_format(&prefetch->layer, layer);
    digest_format(&prefetch->artifact, artifact);
    index_print(&printer, "Created prefetch artifact for layer %s: %s", layer, artifact);
    (void)pthread_mutex_destroy(&printer.lock);
}

static int add_artifact(const struct index_prefetch_options *options,
                        const struct soci_index_ztoc *ztoc, struct soci_index *index,
                        struct err *err)
{
    struct soci_index_prefetch *prefetch = &index->prefetches[index->prefetch_count];
    const struct index_content *content = &options->content;
    SCOPED(buf_value) struct buf json = BUF_EMPTY;
    int rc;

    if (soci_index_find_prefetch(index, &ztoc->layer) != NULL)
        return 0; /* the image has the layer twice */
    rc = encode_artifact(options, ztoc, &json, err);
    if (rc < 0 || json.len == 0)
        return rc;
    if (digest_of(buf_bytes(&json), &prefetch->artifact) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    rc = content->write(content->self, &prefetch->artifact, buf_bytes(&json), NULL, err);
    if (rc < 0)
        return rc;
    prefetch->artifact_bytes = json.len;
    prefetch->layer = ztoc->layer;
    index->prefetch_count++;
    say(options, prefetch);
    return 0;
}

static int add_artifacts(const struct index_prefetch_options *options, struct soci_index *index,
                         struct err *err)
{
    int rc = 0;

    free(index->prefetches);
    index->prefetch_count = 0;
    index->prefetches = calloc(index->ztoc_count + 1, sizeof(*index->prefetches));
    if (index->prefetches == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    for (size_t i = 0; rc == 0 && i < index->ztoc_count; i++)
        rc = add_artifact(options, &index->ztocs[i], index, err);
    if (rc == 0 && index->prefetch_count == 0)
        rc = err_set(err, -ENODATA, "nothing was recorded with the ztocs of this index");
    return rc;
}

int index_prefetch(const struct index_prefetch_options *options, const struct digest *old,
                   struct index_built *ret, struct err *err)
{
    SCOPED(index_built) struct index_built built = {.index = NULL};
    SCOPED(buf_value) struct buf json = BUF_EMPTY;
    char text[DIGEST_TEXT_BYTES];
    int rc = index_content_read_all(&options->content, old, &json, err);

    if (rc == 0)
        rc = soci_index_parse(buf_bytes(&json), &built.index, err);
    if (rc == 0)
        rc = add_artifacts(options, built.index, err);
    if (rc == 0)
        rc = index_write(&options->content, &built, err);
    digest_format(old, text);
    if (rc < 0)
        return err_prefix(err, rc, "soci index %s", text);
    *ret = built;
    built.index = NULL;
    return 0;
}
