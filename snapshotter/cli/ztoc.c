/* SPDX-License-Identifier: Apache-2.0 */
/* ztoc.c – the verb `ztoc` and where its verbs find a ztoc. */
#include "cli/ztoc.h"

#include "artifacts/artifacts.h"
#include "base/files.h"

#include <errno.h>
#include <string.h>

/* A digest has a colon, and no file that someone would pass here starts with sha256: . */
static bool is_digest(const char *name)
{
    return text_has_prefix(name, "sha256:");
}

static int load_from_store(const struct cli_globals *globals, const char *name,
                           struct cli_ztoc *ret, struct err *err)
{
    SCOPED(artifacts) struct artifacts *artifacts = NULL;
    struct cli_content content = {.globals = globals};
    struct index_content table = cli_content_table(&content);
    struct artifact artifact;
    int rc = digest_parse(name, &ret->digest, err);

    if (rc < 0)
        return rc;
    rc = artifacts_open(globals->root, &artifacts, err);
    if (rc < 0)
        return rc;
    rc = artifacts_get(artifacts, &ret->digest, &artifact, err);
    if (rc < 0)
        return rc;
    if (artifact.kind != ARTIFACT_ZTOC)
        return err_set(
            err, -EINVAL,
            "the provided digest belongs to a SOCI index. Use `soci index info` to get the "
            "detailed information about it");
    ret->layer = artifact.subject;
    ret->has_layer = true;
    return index_content_read_all(&table, &ret->digest, &ret->blob, err);
}

int cli_ztoc_load(const struct cli_globals *globals, const char *name, struct cli_ztoc *ret,
                  struct err *err)
{
    int rc = is_digest(name) ? load_from_store(globals, name, ret, err)
                             : file_read(name, INDEX_BLOB_MAX_BYTES, &ret->blob, err);

    if (rc < 0)
        return rc;
    if (digest_of(buf_bytes(&ret->blob), &ret->digest) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    rc = ztoc_parse(buf_bytes(&ret->blob), &ret->toc, err);
    return rc < 0 ? err_prefix(err, rc, "%s", name) : 0;
}

void cli_ztoc_fini(struct cli_ztoc *ztoc)
{
    ztoc_free(ztoc->toc);
    buf_fini(&ztoc->blob);
    ztoc->toc = NULL;
}

static const struct cli_verb *const verbs[] = {&cli_verb_ztoc_create, &cli_verb_ztoc_info,
                                               &cli_verb_ztoc_get_file, NULL};
const struct cli_verb cli_verb_ztoc = {
    .name = "ztoc",
    .args = "command [flags] [args]",
    .summary = "make and read ztocs, the tables of contents of layers",
    .verbs = verbs,
};
