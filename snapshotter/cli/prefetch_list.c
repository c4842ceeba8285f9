/* SPDX-License-Identifier: Apache-2.0 */
/* prefetch_list.c – `soci prefetch list`: the prefetch artifacts that were made here, as a table or
 * as JSON. */
#include "cli/prefetch.h"
#include "cli/table.h"

#include "base/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct list_options {
    bool json;
};

struct listing {
    const struct cli_globals *globals;
    bool json;
    size_t count;
};

/* As wide as a digest for every row, so none has to wait for those below it. */
static void print_row(const char *digest, const char *layer, const char *spans, const char *created)
{
    (void)printf("%-75s%-75s%-9s%s    \n", digest, layer, spans, created);
}

static void print_json(const struct listing *listing, const char *digest, const char *layer,
                       int64_t spans, const struct artifact *artifact)
{
    char created[CLOCK_RFC3339_BYTES];

    clock_rfc3339(artifact->created_ns / 1000000000, (uint32_t)(artifact->created_ns % 1000000000),
                  created);
    (void)printf("%s  {\n    \"Digest\": \"%s\",\n    \"LayerDigest\": \"%s\",\n"
                 "    \"TotalSpans\": %" PRId64 ",\n    \"CreatedAt\": \"%s\"\n  }",
                 listing->count == 0 ? "[\n" : ",\n", digest, layer, spans, created);
}

/* One that cannot be read is listed all the same: the list of artifacts says that it was made. */
static int64_t count_spans(const struct cli_globals *globals, const struct digest *digest)
{
    SCOPED(soci_prefetch) struct soci_prefetch prefetch = {.ranges = NULL};
    struct err ignored = ERR_NONE;

    if (cli_prefetch_load(globals, digest, &prefetch, &ignored) < 0)
        return -1;
    return (int64_t)cli_prefetch_spans(&prefetch);
}

static int print_artifact(void *arg, const struct artifact *artifact, struct err *err)
{
    struct listing *listing = arg;
    char digest[DIGEST_TEXT_BYTES], layer[DIGEST_TEXT_BYTES];
    int64_t spans = count_spans(listing->globals, &artifact->digest);

    (void)err;
    digest_format(&artifact->digest, digest);
    digest_format(&artifact->subject, layer);
    if (listing->json) {
        print_json(listing, digest, layer, spans, artifact);
    } else {
        char number[32] = "N/A", age[CLI_AGE_BYTES];

        if (spans >= 0)
            (void)snprintf(number, sizeof(number), "%" PRId64, spans);
        cli_age(artifact->created_ns, age);
        print_row(digest, layer, number, age);
    }
    listing->count++;
    return 0;
}

static int run(const struct cli_globals *globals, void *arg, const struct text_list *words,
               struct err *err)
{
    const struct list_options *options = arg;
    SCOPED(artifacts) struct artifacts *artifacts = NULL;
    struct listing listing = {.globals = globals, .json = options->json};
    int rc = artifacts_open(globals->root, &artifacts, err);

    (void)words;
    if (rc == 0 && !options->json)
        print_row("DIGEST", "LAYER DIGEST", "SPANS", "CREATED");
    if (rc == 0)
        rc = artifacts_list(artifacts, ARTIFACT_PREFETCH, print_artifact, &listing, err);
    if (rc == 0 && options->json)
        (void)printf("%s\n", listing.count == 0 ? "null" : "\n]");
    return rc;
}

static const struct flag flags[] = {
    {.name = "json",
     .kind = FLAG_BOOL,
     .offset = offsetof(struct list_options, json),
     .help = "as JSON"},
};
const struct cli_verb cli_verb_prefetch_list = {
    .name = "list",
    .alias = "ls",
    .args = "[flags]",
    .summary = "list the prefetch artifacts that were made here",
    .flags = flags,
    .flag_count = ARRAY_LEN(flags),
    .options_bytes = sizeof(struct list_options),
    .needs_root_dir = true,
    .run = run,
};
