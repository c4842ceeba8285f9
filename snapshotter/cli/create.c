/* SPDX-License-Identifier: Apache-2.0 */
/* create.c – `soci create`: v1 SOCI indexes for an image in containerd, kept in its content store.
 */
#include "cli/build.h"

#include "containerd/containerd.h"

#include <errno.h>
#include <stdio.h>

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

static int create_all(struct cli_build *build, void *ref, struct err *err)
{
    SCOPED(cli_image) struct cli_image image = {.name = NULL};
    int rc = cli_image_load(build->containerd, ref, &build->flags->platforms, &image, err);

    for (size_t i = 0; rc == 0 && i < image.manifest_count; i++)
        rc = create_index(build, &image, i, err);
    return rc;
}

static int run(const struct cli_globals *globals, void *arg, const struct text_list *words,
               struct err *err)
{
    if (words->count == 0)
        return err_set(err, -EINVAL, "source image needs to be specified");
    return cli_build_run(globals, arg, create_all, words->items[0], err);
}

static const struct flag flags[] = {CLI_BUILD_FLAGS};
const struct cli_verb cli_verb_create = {
    .name = "create",
    .args = "[flags] <image>",
    .summary = "make a SOCI index of an image in containerd",
    .details = "The image's layers must be in containerd's content store. `soci push` puts the "
               "index beside the image.",
    .flags = flags,
    .flag_count = ARRAY_LEN(flags),
    .options_bytes = sizeof(struct cli_build_flags),
    .set_defaults = cli_build_set_defaults,
    .fini = cli_build_fini,
    .needs_root_dir = true,
    .run = run,
};
