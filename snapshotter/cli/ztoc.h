/* SPDX-License-Identifier: Apache-2.0 */
/* ztoc.h – what the verbs under `soci ztoc` share. */
#ifndef CLI_ZTOC_H
#define CLI_ZTOC_H

#include "cli/cli.h"
#include "ztoc/ztoc.h"

extern const struct cli_verb cli_verb_ztoc_create;
extern const struct cli_verb cli_verb_ztoc_info;
extern const struct cli_verb cli_verb_ztoc_get_file;

struct cli_ztoc {
    struct digest digest;
    struct buf blob;
    struct ztoc *toc;
    bool has_layer; /* the artifact list knows the layer's digest */
    struct digest layer;
};
#define CLI_ZTOC_EMPTY                                                                             \
    {                                                                                              \
        .toc = NULL, .blob = BUF_EMPTY                                                             \
    }
/* `name` is a digest (the artifact list and containerd's content store are asked) or the path of a
 * ztoc file. */
MUST_CHECK int cli_ztoc_load(const struct cli_globals *globals, const char *name,
                             struct cli_ztoc *ret, struct err *err);
void cli_ztoc_fini(struct cli_ztoc *ztoc);
DEFINE_SCOPED_VALUE(cli_ztoc, struct cli_ztoc, cli_ztoc_fini)

#endif
