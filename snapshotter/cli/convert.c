/* SPDX-License-Identifier: Apache-2.0 */
/* convert.c – `soci convert`: an image in containerd becomes another one whose manifests name their
 * SOCI indexes (v2, docs/soci-index.md), so that it is pushed and pulled with them like any image.
 */
#include "cli/convert.h"

#include "containerd/containerd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- the name of what is made ---------------------------------------------------------------- */

static int bad_name(const char *why, struct err *err)
{
    return err_set(err, -EINVAL,
                   "the destination image must be a tagged ref of the form "
                   "\"registry/repository:tag\": %s",
                   why);
}

/* Names are containerd's here, which adds no host: what has none would never be found again. */
int cli_convert_check_name(const char *name, struct err *err)
{
    SCOPED(oci_reference) struct oci_reference parsed = {.host = NULL};
    struct err why = ERR_NONE;
    const char *slash = strchr(name, '/');
    const char *object = slash == NULL ? NULL : strpbrk(slash, ":@");

    if (*name == '\0')
        return bad_name("reference cannot be empty", err);
    if (strstr(name, "://") != NULL || slash == NULL || slash == name)
        return bad_name("could not parse reference: it begins with no registry's name", err);
    if (object == NULL || object[1] == '\0')
        return bad_name("reference must be tagged", err);
    if (strchr(object, '@') != NULL)
        return bad_name("reference must not contain a digest", err);
    if (oci_reference_parse(name, &parsed, &why) < 0) {
        SCOPED(mem) char *text = text_format("could not parse reference: %s", err_text(&why));

        return bad_name(text == NULL ? "out of memory" : text, err);
    }
    return 0;
}

/* ---- the image, as it is and as it becomes --------------------------------------------------- */

static void convert_fini(struct cli_convert *convert)
{
    for (size_t i = 0; i < convert->built_count; i++) {
        oci_platform_fini(&convert->built[i].platform);
        index_built_fini(&convert->built[i].index);
    }
    for (size_t i = 0; i < convert->rewritten_count; i++)
        oci_manifest_free(convert->rewritten[i].manifest);
    free(convert->built);
    free(convert->rewritten);
    buf_fini(&convert->list);
    cli_image_fini(&convert->image);
}

/* The list that the image is, or a list of the one manifest that it is. */
static int load_list(struct cli_build *build, struct cli_convert *convert, struct err *err)
{
    const struct cli_image *image = &convert->image;
    SCOPED(oci_index) struct oci_index *index = NULL;
    struct oci_descriptor only;
    int rc;

    if (!image->is_single)
        return cli_read_checked(build->containerd, &image->target, OCI_MANIFEST_MAX_BYTES,
                                &convert->list, err);
    index = oci_index_new();
    if (index == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    only = image->manifests[0].desc; /* lent, as is the platform */
    only.platform = (struct oci_platform){.os = NULL};
    rc = cli_config_platform(build->containerd, image->manifests[0].manifest, &only.platform, err);
    if (rc == 0 && oci_index_add(index, &only) < 0)
        rc = err_set(err, -ENOMEM, "out of memory");
    oci_platform_fini(&only.platform);
    return rc < 0 ? rc : oci_index_encode(index, &convert->list, err);
}

/* What the list says of the manifest's platform: the index is listed beside it under the same. */
static int listed_platform(struct cli_build *build, const struct oci_index *list,
                           const struct cli_manifest *manifest, struct oci_platform *ret,
                           struct err *err)
{
    SCOPED(oci_descriptor) struct oci_descriptor copy = {.media_type = NULL};

    for (size_t i = 0; i < list->manifest_count; i++) {
        const struct oci_descriptor *desc = &list->manifests[i];

        if (!digest_equal(&desc->digest, &manifest->desc.digest) || desc->platform.os == NULL ||
            (manifest->desc.platform.os != NULL &&
             !oci_platform_equal(&desc->platform, &manifest->desc.platform)))
            continue;
        if (oci_descriptor_copy(&copy, desc) < 0)
            return err_set(err, -ENOMEM, "out of memory");
        *ret = copy.platform;
        copy.platform = (struct oci_platform){.os = NULL};
        return 0;
    }
    return cli_config_platform(build->containerd, manifest->manifest, ret, err);
}

/* 0 as well when none of its layers gets a ztoc: other platforms may have some. */
static int build_one(struct cli_build *build, struct cli_convert *convert,
                     const struct oci_index *list, const struct cli_manifest *manifest,
                     struct err *err)
{
    struct cli_converted *built = &convert->built[convert->built_count];
    int rc = cli_build_index(build, manifest, 2, &built->index, err);

    if (rc < 0)
        return rc == -ENODATA ? 0 : rc;
    convert->built_count++;
    built->manifest = manifest;
    return listed_platform(build, list, manifest, &built->platform, err);
}

static int build_all(struct cli_build *build, struct cli_convert *convert,
                     const struct oci_index *list, struct err *err)
{
    const struct cli_image *image = &convert->image;
    int rc = 0;

    convert->built = calloc(image->manifest_count + 1, sizeof(*convert->built));
    if (convert->built == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    for (size_t i = 0; rc == 0 && i < image->manifest_count; i++)
        rc = build_one(build, convert, list, &image->manifests[i], err);
    if (rc == 0 && convert->built_count == 0)
        rc = err_set(err, -ENODATA,
                     "no ztocs created, all layers either skipped or produced errors");
    return rc;
}

/* ---- all of it ------------------------------------------------------------------------------- */

/* The record is what keeps all that was written, so it is made while the lease is there. */
static int name_it(struct cli_build *build, const struct cli_convert *convert,
                   const struct digest *list, uint64_t bytes, struct err *err)
{
    char text[DIGEST_TEXT_BYTES];
    const struct containerd_target target = {
        .media_type = OCI_MEDIA_INDEX, .digest = text, .size_bytes = bytes};
    int rc;

    digest_format(list, text);
    rc = containerd_image_create(build->containerd, convert->destination, &target, err);
    if (rc == -EEXIST) {
        *err = (struct err)ERR_NONE;
        rc = containerd_image_set_target(build->containerd, convert->destination, &target, err);
    }
    return rc;
}

static int record_all(struct cli_build *build, const struct cli_convert *convert,
                      const struct digest *list, struct err *err)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < convert->built_count; i++) {
        const struct cli_converted *built = &convert->built[i];
        const struct cli_rewritten *manifest =
            cli_convert_find(convert, &built->manifest->desc.digest);

        rc = cli_build_record(build, &built->index, built->manifest->platform, &manifest->to, list,
                              err);
    }
    return rc;
}

static int convert_loaded(struct cli_build *build, struct cli_convert *convert, struct err *err)
{
    SCOPED(oci_index) struct oci_index *list = NULL;
    struct digest made;
    uint64_t made_bytes = 0;
    int rc = load_list(build, convert, err);

    if (rc == 0)
        rc = oci_index_parse(buf_bytes(&convert->list), &list, err);
    if (rc == 0)
        rc = build_all(build, convert, list, err);
    if (rc == 0)
        rc = cli_convert_manifests(build, convert, list, err);
    if (rc == 0)
        rc = cli_convert_list(build, convert, &made, &made_bytes, err);
    if (rc == 0)
        rc = record_all(build, convert, &made, err);
    return rc < 0 ? rc : name_it(build, convert, &made, made_bytes, err);
}

static int convert_image(struct cli_build *build, void *arg, struct err *err)
{
    struct cli_convert *convert = arg;
    int rc = cli_image_load(build->containerd, convert->source, &build->flags->platforms,
                            &convert->image, err);

    return rc < 0 ? rc : convert_loaded(build, convert, err);
}

static int run(const struct cli_globals *globals, void *arg, const struct text_list *words,
               struct err *err)
{
    struct cli_convert convert = {.source = NULL};
    int rc;

    if (words->count < 1 || words->items[0][0] == '\0')
        return err_set(err, -EINVAL, "source image needs to be specified");
    if (words->count < 2 || words->items[1][0] == '\0')
        return err_set(err, -EINVAL, "destination needs to be specified");
    convert.source = words->items[0];
    convert.destination = words->items[1];
    rc = cli_convert_check_name(convert.destination, err);
    if (rc == 0)
        rc = cli_build_run(globals, arg, convert_image, &convert, err);
    convert_fini(&convert);
    return rc;
}

static const struct flag flags[] = {CLI_BUILD_FLAGS};
const struct cli_verb cli_verb_convert = {
    .name = "convert",
    .args = "[flags] <image> <new image>",
    .summary = "make an image that names its SOCI indexes itself",
    .details = "The image's layers must be in containerd's content store. The new image has the "
               "same layers and brings its indexes with it: push it as any image, `soci push` is "
               "not needed.",
    .flags = flags,
    .flag_count = ARRAY_LEN(flags),
    .options_bytes = sizeof(struct cli_build_flags),
    .set_defaults = cli_build_set_defaults,
    .fini = cli_build_fini,
    .needs_root_dir = true,
    .run = run,
};
