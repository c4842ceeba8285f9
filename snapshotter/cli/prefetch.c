/* SPDX-License-Identifier: Apache-2.0 */
/* prefetch.c – the verb `prefetch`, and what its verbs know of an artifact. */
#include "cli/prefetch.h"

#include "containerd/containerd.h"

#include <errno.h>

int cli_prefetch_load(const struct cli_globals *globals, const struct digest *digest,
                      struct soci_prefetch *ret, struct err *err)
{
    SCOPED(containerd) struct containerd *containerd = NULL;
    SCOPED(buf_value) struct buf json = BUF_EMPTY;
    int rc = cli_connect(globals, &containerd, err);

    if (rc == 0)
        rc = cli_read_checked(containerd, digest, INDEX_BLOB_MAX_BYTES, &json, err);
    return rc < 0 ? rc : soci_prefetch_parse(buf_bytes(&json), ret, err);
}

uint64_t cli_prefetch_spans(const struct soci_prefetch *prefetch)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < prefetch->count; i++)
        sum += (uint64_t)prefetch->ranges[i].last - prefetch->ranges[i].first + 1;
    return sum;
}

int cli_prefetch_keep(struct artifacts *artifacts, const struct soci_index *index,
                      int64_t created_ns, struct err *err)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < index->prefetch_count; i++) {
        const struct artifact entry = {
            .kind = ARTIFACT_PREFETCH,
            .digest = index->prefetches[i].artifact,
            .size_bytes = index->prefetches[i].artifact_bytes,
            .subject = index->prefetches[i].layer,
            .created_ns = created_ns,
        };

        rc = artifacts_put(artifacts, &entry, err);
    }
    return rc;
}

static const struct cli_verb *const verbs[] = {&cli_verb_prefetch_list, &cli_verb_prefetch_info,
                                               &cli_verb_prefetch_record, NULL};
const struct cli_verb cli_verb_prefetch = {
    .name = "prefetch",
    .args = "command [flags] [args]",
    .summary = "make and read what says which spans of an image are fetched first",
    .verbs = verbs,
};
