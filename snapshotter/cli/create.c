/* SPDX-License-Identifier: Apache-2.0 */
/* create.c – `soci create`: v1 SOCI indexes for an image in containerd, kept in its content store.
 */
#include "cli/prefetch.h"

#include "base/clock.h"
#include "containerd/containerd.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct create_options {
    struct cli_platforms platforms;
    uint64_t span_size;
    uint64_t min_layer_size;
    struct text_list optimizations;
    bool force;
    struct cli_prefetch_files prefetch;
};

static void set_defaults(void *options)
{
    *(struct create_options *)options = (struct create_options){
        .span_size = INDEX_SPAN_SIZE_BYTES,
        .min_layer_size = INDEX_MIN_LAYER_BYTES,
    };
}

static void fini(void *arg)
{
    struct create_options *options = arg;

    text_list_fini(&options->platforms.wanted);
    text_list_fini(&options->optimizations);
    cli_prefetch_files_fini(&options->prefetch);
}

static int check_options(const struct create_options *options, struct err *err)
{
    size_t i;

    for (i = 0; i < options->optimizations.count; i++) {
        if (strcmp(options->optimizations.items[i], "xattr") != 0)
            return err_set(err, -EINVAL, "optimization %s is not a valid optimization [xattr]",
                           options->optimizations.items[i]);
    }
    return 0;
}

/* What one run needs, opened once. */
struct create {
    const struct cli_globals *globals;
    const struct create_options *options;
    struct containerd *containerd;
    struct artifacts *artifacts;
    struct cli_content content;
    struct text_list prefetch_files; /* of the options */
};

static int find_known(void *self, const struct digest *layer, uint64_t span_size,
                      struct digest *ret)
{
    struct create *create = self;
    struct artifact artifact;
    int rc = artifacts_find_ztoc(create->artifacts, layer, span_size, &artifact, NULL);

    if (rc == 0)
        *ret = artifact.digest;
    return rc;
}

static int record(struct create *create, const struct cli_image *image,
                  const struct cli_manifest *manifest, const struct index_built *built,
                  struct err *err)
{
    struct artifact index = {
        .kind = ARTIFACT_INDEX_V1,
        .digest = built->digest,
        .size_bytes = built->size_bytes,
        .subject = manifest->desc.digest,
        .image = image->target,
        .created_ns = clock_wall_ns(),
    };
    int rc;
    size_t i;

    (void)snprintf(index.platform, sizeof(index.platform), "%s", manifest->platform);
    for (i = 0; i < built->index->ztoc_count; i++) {
        const struct soci_index_ztoc *ztoc = &built->index->ztocs[i];
        struct artifact entry = {
            .kind = ARTIFACT_ZTOC,
            .digest = ztoc->ztoc,
            .size_bytes = ztoc->ztoc_bytes,
            .subject = ztoc->layer,
            .span_size = ztoc->span_size,
            .created_ns = index.created_ns,
        };

        rc = artifacts_put(create->artifacts, &entry, err);
        if (rc < 0)
            return rc;
    }
    rc = cli_prefetch_keep(create->artifacts, built->index, index.created_ns, err);
    return rc < 0 ? rc : artifacts_put(create->artifacts, &index, err);
}

/* The image record keeps the index alive. One label per platform: with one label for all, as the
 * reference has it, only the last platform's index survives garbage collection. The first keeps the
 * reference's name. */
static int keep_with_image(struct create *create, const char *image_name,
                           const struct digest *index, size_t n, struct err *err)
{
    char key[96], digest[DIGEST_TEXT_BYTES];

    digest_format(index, digest);
    if (n == 0)
        (void)snprintf(key, sizeof(key), "containerd.io/gc.ref.content.soci-index");
    else
        (void)snprintf(key, sizeof(key), "containerd.io/gc.ref.content.soci-index.%zu", n);
    return containerd_image_set_label(create->containerd, image_name, key, digest, err);
}

static int create_index(struct create *create, const struct cli_image *image, size_t n,
                        struct err *err)
{
    const struct cli_manifest *manifest = &image->manifests[n];
    const struct index_build_options options = {
        .content = cli_content_table(&create->content),
        .output = cli_stdout(),
        .span_size_bytes = create->options->span_size,
        .min_layer_bytes = create->options->min_layer_size,
        .optimize_xattrs = create->options->optimizations.count > 0,
        .find_known = create->options->force ? NULL : find_known,
        .known_self = create,
        .prefetch_files = create->prefetch_files.count == 0 ? NULL : &create->prefetch_files,
    };
    SCOPED(index_built) struct index_built built = {.index = NULL};
    int rc = index_build(&options, &manifest->desc, manifest->manifest, &built, err);

    if (rc == 0)
        rc = record(create, image, manifest, &built, err);
    if (rc == 0)
        rc = keep_with_image(create, image->name, &built.digest, n, err);
    return rc;
}

static int create_all(struct create *create, const char *ref, struct err *err)
{
    SCOPED(cli_image) struct cli_image image = {.name = NULL};
    int rc = cli_image_load(create->containerd, ref, &create->options->platforms, &image, err);
    size_t i;

    for (i = 0; rc == 0 && i < image.manifest_count; i++)
        rc = create_index(create, &image, i, err);
    return rc;
}

/* What is written is not referred to by anything until the image's label is set; a lease keeps it
 * that long. */
static int with_lease(struct create *create, const char *ref, struct err *err)
{
    SCOPED(mem) char *lease = NULL;
    struct err ignored = ERR_NONE;
    int rc = containerd_lease_create(create->containerd, 0, &lease, err);

    if (rc < 0)
        return rc;
    create->content.lease = lease;
    rc = create_all(create, ref, err);
    (void)!containerd_lease_delete(create->containerd, lease, &ignored); /* it expires by itself */
    return rc;
}

static int run(const struct cli_globals *globals, void *arg, const struct text_list *words,
               struct err *err)
{
    const struct create_options *options = arg;
    SCOPED(containerd) struct containerd *containerd = NULL;
    SCOPED(artifacts) struct artifacts *artifacts = NULL;
    struct create create = {
        .globals = globals, .options = options, .content = {.globals = globals}};
    int rc;

    if (words->count == 0)
        return err_set(err, -EINVAL, "source image needs to be specified");
    rc = check_options(options, err);
    if (rc == 0)
        rc = cli_prefetch_files(&options->prefetch, &create.prefetch_files, err);
    if (rc == 0)
        rc = artifacts_open(globals->root, &artifacts, err);
    if (rc == 0)
        rc = cli_connect(globals, &containerd, err);
    create.containerd = containerd;
    create.artifacts = artifacts;
    if (rc == 0)
        rc = with_lease(&create, words->items[0], err);
    text_list_fini(&create.prefetch_files);
    return rc;
}

static const struct flag flags[] = {
    CLI_PLATFORM_FLAGS(struct create_options, platforms),
    CLI_PREFETCH_FLAGS(struct create_options, prefetch),
    {.name = "span-size",
     .kind = FLAG_SIZE,
     .offset = offsetof(struct create_options, span_size),
     .value = "<bytes>",
     .help = "tar bytes per span (default: 4194304)"},
    {.name = "min-layer-size",
     .kind = FLAG_SIZE,
     .offset = offsetof(struct create_options, min_layer_size),
     .value = "<bytes>",
     .help = "smaller layers get no ztoc and are downloaded whole (default: 10485760)"},
    {.name = "optimizations",
     .kind = FLAG_LIST,
     .offset = offsetof(struct create_options, optimizations),
     .value = "<name>",
     .help = "xattr: mark layers that have no extended attributes"},
    {.name = "force",
     .alias = "f",
     .kind = FLAG_BOOL,
     .offset = offsetof(struct create_options, force),
     .help = "build ztocs that were built before, too"},
};
const struct cli_verb cli_verb_create = {
    .name = "create",
    .args = "[flags] <image>",
    .summary = "make a SOCI index of an image in containerd",
    .details = "The image's layers must be in containerd's content store. `soci push` puts the "
               "index beside the image.",
    .flags = flags,
    .flag_count = ARRAY_LEN(flags),
    .options_bytes = sizeof(struct create_options),
    .set_defaults = set_defaults,
    .fini = fini,
    .needs_root_dir = true,
    .run = run,
};
