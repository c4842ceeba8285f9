/* SPDX-License-Identifier: Apache-2.0 */
/* build.h – what the verbs that build an image's indexes share: `create` and `convert`. */
#ifndef CLI_BUILD_H
#define CLI_BUILD_H

#include "artifacts/artifacts.h"
#include "cli/cli.h"
#include "cli/prefetch.h"

/* The options of both verbs. */
struct cli_build_flags {
    struct cli_platforms platforms;
    uint64_t span_size;
    uint64_t min_layer_size;
    struct text_list optimizations;
    bool force;
    struct cli_prefetch_files prefetch;
};
#define CLI_BUILD_FLAGS                                                                            \
    CLI_PLATFORM_FLAGS(struct cli_build_flags, platforms),                                         \
        CLI_PREFETCH_FLAGS(struct cli_build_flags, prefetch),                                      \
        {.name = "span-size",                                                                      \
         .kind = FLAG_SIZE,                                                                        \
         .offset = offsetof(struct cli_build_flags, span_size),                                    \
         .value = "<bytes>",                                                                       \
         .help = "tar bytes per span (default: 4194304)"},                                         \
        {.name = "min-layer-size",                                                                 \
         .kind = FLAG_SIZE,                                                                        \
         .offset = offsetof(struct cli_build_flags, min_layer_size),                               \
         .value = "<bytes>",                                                                       \
         .help = "smaller layers get no ztoc and are downloaded whole (default: 10485760)"},       \
        {.name = "optimizations",                                                                  \
         .kind = FLAG_LIST,                                                                        \
         .offset = offsetof(struct cli_build_flags, optimizations),                                \
         .value = "<name>",                                                                        \
         .help = "xattr: mark layers that have no extended attributes"},                           \
    {                                                                                              \
        .name = "force", .alias = "f", .kind = FLAG_BOOL,                                          \
        .offset = offsetof(struct cli_build_flags, force),                                         \
        .help = "build ztocs that were built before, too"                                          \
    }
/* For the verbs' tables: `flags` is a struct cli_build_flags. */
void cli_build_set_defaults(void *flags);
void cli_build_fini(void *flags);

/* What one run needs, opened once. */
struct cli_build {
    const struct cli_globals *globals;
    const struct cli_build_flags *flags;
    struct containerd *containerd;
    struct artifacts *artifacts;
    struct cli_content content; /* under the lease */
    struct text_list prefetch_files;
};
/* Checks the flags, opens all that, and runs `work` under a lease: what is written is referred to
 * by nothing until `work` has said who refers to it. The strings of `globals` and `flags` are
 * borrowed while it runs. */
MUST_CHECK int cli_build_run(const struct cli_globals *globals, const struct cli_build_flags *flags,
                             int (*work)(struct cli_build *build, void *arg, struct err *err),
                             void *arg, struct err *err);
/* The index of one platform, of version 1 or 2, into containerd's content store. Errors as
 * index_build(). */
MUST_CHECK int cli_build_index(struct cli_build *build, const struct cli_manifest *manifest,
                               int version, struct index_built *ret, struct err *err);
/* Into the list of what was made on this machine: the index, of the image manifest `subject` in the
 * image `image`, and its ztocs and prefetch artifacts. */
MUST_CHECK int cli_build_record(struct cli_build *build, const struct index_built *built,
                                const char *platform, const struct digest *subject,
                                const struct digest *image, struct err *err);

#endif
