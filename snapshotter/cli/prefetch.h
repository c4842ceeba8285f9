/* SPDX-License-Identifier: Apache-2.0 */
/* prefetch.h – what the verbs that make or read prefetch artifacts share. */
#ifndef CLI_PREFETCH_H
#define CLI_PREFETCH_H

#include "artifacts/artifacts.h"
#include "cli/cli.h"

extern const struct cli_verb cli_verb_prefetch_info;
extern const struct cli_verb cli_verb_prefetch_list;
extern const struct cli_verb cli_verb_prefetch_record;

/* The artifact with this digest, out of containerd's content store. -ENOENT, -EBADMSG: the bytes
 * are others, or no artifact. */
MUST_CHECK int cli_prefetch_load(const struct cli_globals *globals, const struct digest *digest,
                                 struct soci_prefetch *ret, struct err *err);
uint64_t cli_prefetch_spans(const struct soci_prefetch *prefetch); /* in all its ranges */
/* The artifacts of an index into the list of what was made. */
MUST_CHECK int cli_prefetch_keep(struct artifacts *artifacts, const struct soci_index *index,
                                 int64_t created_ns, struct err *err);

/* ---- files that a person names --------------------------------------------------------------- */

struct cli_prefetch_files {
    struct text_list named; /* --prefetch-file */
    const char *json_path;  /* --prefetch-files-json */
};
#define CLI_PREFETCH_FLAGS(type, member)                                                           \
    {.name = "prefetch-file",                                                                      \
     .kind = FLAG_LIST,                                                                            \
     .offset = offsetof(type, member.named),                                                       \
     .value = "<path>",                                                                            \
     .help = "a file of the image that is fetched first; may be repeated"},                        \
    {                                                                                              \
        .name = "prefetch-files-json", .kind = FLAG_TEXT,                                          \
        .offset = offsetof(type, member.json_path), .value = "<file>",                             \
        .help = "a file with a JSON array of such paths"                                           \
    }
/* All of them, without what surrounds and what is empty. -EINVAL, -EBADMSG or what reading the file
 * failed with, text "failed to parse prefetch files: …". */
MUST_CHECK int cli_prefetch_files(const struct cli_prefetch_files *files, struct text_list *ret,
                                  struct err *err);
void cli_prefetch_files_fini(struct cli_prefetch_files *files);

#endif
