/* SPDX-License-Identifier: Apache-2.0 */
/* create.c – `soci create`: v1 SOCI indexes for an image in containerd, kept in its content store.
 */
#include "cli/build.h"

#include "containerd/containerd.h"

#include <errno.h>
#include <stdio.h>

struct create_options {
    struct cli_platforms platforms;
    struct cli_build_flags build;
};

static void set_defaults(void *options)
{
    *(struct create_options *)options = (struct create_options){.build = CLI_BUILD_DEFAULTS};
}

static void fini(void *arg)
{
    struct create_options *options = arg;

    text_list_fini(&options->platforms.wanted);
    cli_build_flags_fini(&options->build);
}

/* The image record keeps the index alive. One label per platform: with one label for all, as the
 * reference has it, only the last platform's index survives garbage collection. The first keeps the
 * reference's name. */
static int keep_with_image(struct cli_build *build, const char *image_name,
                           const struct digest *index, size_t n, struct err *err)
{
    char key[96], digest[DIGEST_TEXT_BYTES];

    digest_format(index, digest);
    if (n == 0)
        (void)snprintf(key, sizeof(key), "containerd.io/gc.ref.content.soci-index");
    else
        (void)snprintf(key, sizeof(key), "containerd.io/gc.ref.content.soci-index.%zu", n);
    return containerd_image_set_label(build->containerd, image_name, key, digest, err);
}

static int create_index(struct cli_build *build, const struct cli_image *image, size_t n,
                        struct err *err)
{
    const struct cli_manifest *manifest = &image->manifests[n];
    SCOPED(index_built) struct index_built built = {.index = NULL};
    int rc = cli_build_index(build, manifest, 1, &built, err);

    if (rc == 0)
        rc = cli_build_record(build, &built, manifest->platform, &manifest->desc.digest,
                              &image->target, err);
    return rc < 0 ? rc : keep_with_image(build, image->name, &built.digest, n, err);
}

struct create {
    const struct create_options *options;
    const char *ref;
};

static int create_all(struct cli_build *build, void *arg, struct err *err)
{
    const struct create *create = arg;
    SCOPED(cli_image) struct cli_image image = {.name = NULL};
    int rc =
        cli_image_load(build->containerd, create->ref, &create->options->platforms, &image, err);

    for (size_t i = 0; rc == 0 && i < image.manifest_count; i++)
        rc = create_index(build, &image, i, err);
    return rc;
}

static int run(const struct cli_globals *globals, void *arg, const struct text_list *words,
               struct err *err)
{
    struct create create = {.options = arg};

    if (words->count == 0)
        return err_set(err, -EINVAL, "source image needs to be specified");
    create.ref = words->items[0];
    return cli_build_run(globals, &create.options->build, create_all, &create, err);
}

static const struct flag flags[] = {
    CLI_PLATFORM_FLAGS(struct create_options, platforms),
    CLI_BUILD_FLAGS(struct create_options, build),
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
