/* SPDX-License-Identifier: Apache-2.0 */
/* prefetch_info.c – `soci prefetch info`: which spans a prefetch artifact wants first. */
#include "cli/prefetch.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

struct info_options {
    bool json;
};

static const char *kind_name(enum artifact_kind kind)
{
    return kind == ARTIFACT_ZTOC ? "soci_layer" : "soci_index";
}

static void print_head(const struct artifact *artifact, const struct soci_prefetch *prefetch)
{
    char digest[DIGEST_TEXT_BYTES], layer[DIGEST_TEXT_BYTES], created[32] = "";
    time_t at = (time_t)(artifact->created_ns / 1000000000);
    struct tm utc;

    digest_format(&artifact->digest, digest);
    digest_format(&artifact->subject, layer);
    if (gmtime_r(&at, &utc) != NULL)
        (void)strftime(created, sizeof(created), "%Y-%m-%d %H:%M:%S", &utc);
    (void)printf("Digest:        %s\nVersion:       1.0\nSpan Ranges:   %zu\n"
                 "Layer Digest:  %s\nSize:          %" PRIu64 " bytes\nCreated:       %s\n\n",
                 digest, prefetch->count, layer, artifact->size_bytes, created);
}

static void print_spans(const struct soci_prefetch *prefetch)
{
    (void)printf("Prefetch Spans:\n");
    for (size_t i = 0; i < prefetch->count; i++) {
        const struct soci_prefetch_range *range = &prefetch->ranges[i];

        (void)printf("  [%zu] StartSpan: %u, EndSpan: %u (covers %u spans)\n", i,
                     (unsigned)range->first, (unsigned)range->last,
                     (unsigned)(range->last - range->first + 1));
        if (range->priority != 0)
            (void)printf("      Priority: %u\n", (unsigned)range->priority);
    }
    (void)printf("\nTotal spans to prefetch: %" PRIu64 "\n", cli_prefetch_spans(prefetch));
}

static void print_json(const struct soci_prefetch *prefetch)
{
    (void)printf("\nRaw JSON:\n{\n  \"version\": \"1.0\",\n  \"prefetch_spans\": [");
    for (size_t i = 0; i < prefetch->count; i++) {
        const struct soci_prefetch_range *range = &prefetch->ranges[i];

        (void)printf("%s\n    {\n      \"start_span\": %u,\n      \"end_span\": %u",
                     i == 0 ? "" : ",", (unsigned)range->first, (unsigned)range->last);
        if (range->priority != 0)
            (void)printf(",\n      \"priority\": %u", (unsigned)range->priority);
        (void)printf("\n    }");
    }
    (void)printf("\n  ]\n}\n");
}

static int find(const struct cli_globals *globals, const char *name, struct artifact *ret,
                struct err *err)
{
    SCOPED(artifacts) struct artifacts *artifacts = NULL;
    struct digest digest;
    int rc = digest_parse(name, &digest, err);

    if (rc == 0)
        rc = artifacts_open(globals->root, &artifacts, err);
    if (rc == 0)
        rc = artifacts_get(artifacts, &digest, ret, err);
    if (rc != 0)
        return rc;
    if (ret->kind != ARTIFACT_PREFETCH)
        return err_set(err, -EINVAL, "the provided digest is not a prefetch artifact (type: %s)",
                       kind_name(ret->kind));
    return 0;
}

static int run(const struct cli_globals *globals, void *arg, const struct text_list *words,
               struct err *err)
{
    const struct info_options *options = arg;
    SCOPED(soci_prefetch) struct soci_prefetch prefetch = {.ranges = NULL};
    struct artifact artifact;
    int rc;

    if (words->count == 0)
        return err_set(err, -EINVAL,
                       "please provide the digest of a prefetch artifact; `soci prefetch list` "
                       "knows them");
    rc = find(globals, words->items[0], &artifact, err);
    if (rc == 0)
        rc = cli_prefetch_load(globals, &artifact.digest, &prefetch, err);
    if (rc != 0)
        return rc;
    print_head(&artifact, &prefetch);
    print_spans(&prefetch);
    if (options->json)
        print_json(&prefetch);
    return 0;
}

static const struct flag flags[] = {
    {.name = "json",
     .kind = FLAG_BOOL,
     .offset = offsetof(struct info_options, json),
     .help = "the artifact itself, too"},
};
const struct cli_verb cli_verb_prefetch_info = {
    .name = "info",
    .args = "[flags] <digest>",
    .summary = "show which spans a prefetch artifact wants first",
    .flags = flags,
    .flag_count = ARRAY_LEN(flags),
    .options_bytes = sizeof(struct info_options),
    .needs_root_dir = true,
    .run = run,
};
