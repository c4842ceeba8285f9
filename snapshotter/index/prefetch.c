/* SPDX-License-Identifier: Apache-2.0 */
/* prefetch.c – prefetch artifacts, and an index that is there once more with others: one for each
 * layer of which something is wanted. */
#include "index/internal.h"

#include <errno.h>
#include <stdlib.h>

static void say(const struct index_output *output, const struct soci_index_prefetch *prefetch)
{
    struct index_printer printer = {.output = *output, .lock = PTHREAD_MUTEX_INITIALIZER};
    char layer[DIGEST_TEXT_BYTES], artifact[DIGEST_TEXT_BYTES];

    digest_format(&prefetch->layer, layer);
    digest_format(&prefetch->artifact, artifact);
    index_print(&printer, "Created prefetch artifact for layer %s: %s", layer, artifact);
    (void)pthread_mutex_destroy(&printer.lock);
}

/* Room for one artifact of each ztoc, once. */
static int make_room(struct soci_index *index)
{
    if (index->prefetches == NULL)
        index->prefetches = calloc(index->ztoc_count + 1, sizeof(*index->prefetches));
    return index->prefetches == NULL ? -ENOMEM : 0;
}

int index_add_prefetch(const struct index_content *content, const struct index_output *output,
                       const struct digest *layer, const struct soci_prefetch *prefetch,
                       struct soci_index *index, struct err *err)
{
    SCOPED(buf_value) struct buf json = BUF_EMPTY;
    struct soci_index_prefetch added = {.layer = *layer};
    int rc;

    if (soci_index_find_prefetch(index, layer) != NULL)
        return 0;
    rc = soci_prefetch_encode(prefetch, &json, err);
    if (rc < 0)
        return rc;
    if (digest_of(buf_bytes(&json), &added.artifact) < 0 || make_room(index) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    rc = content->write(content->self, &added.artifact, buf_bytes(&json), NULL, err);
    if (rc < 0)
        return err_prefix(err, rc, "cannot push prefetch artifact to local store");
    added.artifact_bytes = json.len;
    index->prefetches[index->prefetch_count++] = added;
    say(output, &added);
    return 0;
}

/* The artifact of one ztoc's layer, when something is wanted of it. What is wanted first, of all
 * layers together, has the lowest number. */
static int add_artifact(const struct index_prefetch_options *options,
                        const struct soci_index_ztoc *ztoc, struct soci_index *index,
                        struct err *err)
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
            spans[count++] = (struct soci_prefetch_span){wanted->span, (uint32_t)(i + 1)};
    }
    if (count == 0)
        return 0;
    if (soci_prefetch_of_order(spans, count, &prefetch) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    return index_add_prefetch(&options->content, &options->output, &ztoc->layer, &prefetch, index,
                              err);
}

static int add_artifacts(const struct index_prefetch_options *options, struct soci_index *index,
                         struct err *err)
{
    int rc = 0;

    free(index->prefetches);
    index->prefetches = NULL; /* new ones: there may have been fewer */
    index->prefetch_count = 0;
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
