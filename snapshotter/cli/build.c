/* SPDX-License-Identifier: Apache-2.0 */
/* build.c – an image's indexes built in containerd's content store, and noted in the list of what
 * was made here. */
#include "cli/build.h"

#include "base/clock.h"
#include "containerd/containerd.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

void cli_build_set_defaults(void *flags)
{
    *(struct cli_build_flags *)flags = (struct cli_build_flags){
        .span_size = INDEX_SPAN_SIZE_BYTES, .min_layer_size = INDEX_MIN_LAYER_BYTES};
}

void cli_build_fini(void *arg)
{
    struct cli_build_flags *flags = arg;

    text_list_fini(&flags->platforms.wanted);
    text_list_fini(&flags->optimizations);
    cli_prefetch_files_fini(&flags->prefetch);
}

static int check_flags(const struct cli_build_flags *flags, struct err *err)
{
    for (size_t i = 0; i < flags->optimizations.count; i++) {
        if (strcmp(flags->optimizations.items[i], "xattr") != 0)
            return err_set(err, -EINVAL, "optimization %s is not a valid optimization [xattr]",
                           flags->optimizations.items[i]);
    }
    return 0;
}

static int find_known(void *self, const struct digest *layer, uint64_t span_size,
                      struct digest *ret)
{
    struct cli_build *build = self;
    struct artifact artifact;
    int rc = artifacts_find_ztoc(build->artifacts, layer, span_size, &artifact, NULL);

    if (rc == 0)
        *ret = artifact.digest;
    return rc;
}

int cli_build_index(struct cli_build *build, const struct cli_manifest *manifest, int version,
                    struct index_built *ret, struct err *err)
{
    const struct index_build_options options = {
        .content = cli_content_table(&build->content),
        .output = cli_stdout(),
        .version = version,
        .span_size_bytes = build->flags->span_size,
        .min_layer_bytes = build->flags->min_layer_size,
        .optimize_xattrs = build->flags->optimizations.count > 0,
        .find_known = build->flags->force ? NULL : find_known,
        .known_self = build,
        .prefetch_files = build->prefetch_files.count == 0 ? NULL : &build->prefetch_files,
    };

    return index_build(&options, &manifest->desc, manifest->manifest, ret, err);
}

static int record_ztocs(struct cli_build *build, const struct soci_index *index, int64_t created_ns,
                        struct err *err)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < index->ztoc_count; i++) {
        const struct soci_index_ztoc *ztoc = &index->ztocs[i];
        const struct artifact entry = {
            .kind = ARTIFACT_ZTOC,
            .digest = ztoc->ztoc,
            .size_bytes = ztoc->ztoc_bytes,
            .subject = ztoc->layer,
            .span_size = ztoc->span_size,
            .created_ns = created_ns,
        };

        rc = artifacts_put(build->artifacts, &entry, err);
    }
    return rc;
}

int cli_build_record(struct cli_build *build, const struct index_built *built, const char *platform,
                     const struct digest *subject, const struct digest *image, struct err *err)
{
    struct artifact index = {
        .kind = built->index->version == 2 ? ARTIFACT_INDEX_V2 : ARTIFACT_INDEX_V1,
        .digest = built->digest,
        .size_bytes = built->size_bytes,
        .subject = *subject,
        .image = *image,
        .created_ns = clock_wall_ns(),
    };
    int rc = record_ztocs(build, built->index, index.created_ns, err);

    (void)snprintf(index.platform, sizeof(index.platform), "%s", platform);
    if (rc == 0)
        rc = cli_prefetch_keep(build->artifacts, built->index, index.created_ns, err);
    return rc < 0 ? rc : artifacts_put(build->artifacts, &index, err);
}

static int with_lease(struct cli_build *build,
                      int (*work)(struct cli_build *build, void *arg, struct err *err), void *arg,
                      struct err *err)
{
    SCOPED(mem) char *lease = NULL;
    struct err ignored = ERR_NONE;
    int rc = containerd_lease_create(build->containerd, 0, &lease, err);

    if (rc < 0)
        return rc;
    build->content.lease = lease;
    rc = work(build, arg, err);
    (void)!containerd_lease_delete(build->containerd, lease, &ignored); /* it expires by itself */
    return rc;
}

int cli_build_run(const struct cli_globals *globals, const struct cli_build_flags *flags,
                  int (*work)(struct cli_build *build, void *arg, struct err *err), void *arg,
                  struct err *err)
{
    SCOPED(containerd) struct containerd *containerd = NULL;
    SCOPED(artifacts) struct artifacts *artifacts = NULL;
    struct cli_build build = {.globals = globals, .flags = flags, .content = {.globals = globals}};
    int rc = check_flags(flags, err);

    if (rc == 0)
        rc = cli_prefetch_files(&flags->prefetch, &build.prefetch_files, err);
    if (rc == 0)
        rc = artifacts_open(globals->root, &artifacts, err);
    if (rc == 0)
        rc = cli_connect(globals, &containerd, err);
    build.containerd = containerd;
    build.artifacts = artifacts;
    if (rc == 0)
        rc = with_lease(&build, work, arg, err);
    text_list_fini(&build.prefetch_files);
    return rc;
}
