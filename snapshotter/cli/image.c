/* SPDX-License-Identifier: Apache-2.0 */
/* image.c – from an image's name to the manifests of the platforms that are wanted. */
#include "cli/cli.h"

#include "containerd/containerd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { CONFIG_MAX_BYTES = 8 * 1024 * 1024 };

void cli_image_fini(struct cli_image *image)
{
    size_t i;

    for (i = 0; i < image->manifest_count; i++) {
        free(image->manifests[i].platform);
        oci_descriptor_fini(&image->manifests[i].desc);
        oci_manifest_free(image->manifests[i].manifest);
    }
    free(image->manifests);
    free(image->name);
    *image = (struct cli_image){.name = NULL};
}

int cli_read_checked(struct containerd *containerd, const struct digest *digest, size_t max_bytes,
                     struct buf *ret, struct err *err)
{
    char text[DIGEST_TEXT_BYTES];
    struct digest actual;
    int rc;

    digest_format(digest, text);
    rc = containerd_content_read_all(containerd, text, max_bytes, ret, err);
    if (rc < 0)
        return rc;
    if (digest_of(buf_bytes(ret), &actual) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    return digest_equal(&actual, digest)
               ? 0
               : err_set(err, -EBADMSG, "content digest %s: containerd holds other bytes", text);
}

static int load_manifest(struct containerd *containerd, const struct oci_descriptor *desc,
                         struct oci_manifest **ret, struct err *err)
{
    SCOPED(buf_value) struct buf json = BUF_EMPTY;
    int rc = cli_read_checked(containerd, &desc->digest, OCI_MANIFEST_MAX_BYTES, &json, err);

    return rc < 0 ? rc : oci_manifest_parse(buf_bytes(&json), ret, err);
}

int cli_config_platform(struct containerd *containerd, const struct oci_manifest *manifest,
                        struct oci_platform *ret, struct err *err)
{
    SCOPED(buf_value) struct buf json = BUF_EMPTY;
    int rc = cli_read_checked(containerd, &manifest->config.digest, CONFIG_MAX_BYTES, &json, err);

    return rc < 0 ? rc : oci_config_platform(buf_bytes(&json), ret, err);
}

static int add_manifest(struct cli_image *image, const struct oci_descriptor *desc,
                        const struct oci_platform *platform, struct oci_manifest **manifest,
                        struct err *err)
{
    struct cli_manifest *bigger =
        realloc(image->manifests, (image->manifest_count + 1) * sizeof(*bigger));
    struct cli_manifest *added;

    if (bigger == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    image->manifests = bigger;
    added = &bigger[image->manifest_count];
    *added = (struct cli_manifest){.platform = oci_platform_text(platform)};
    if (added->platform == NULL || oci_descriptor_copy(&added->desc, desc) < 0) {
        free(added->platform);
        return err_set(err, -ENOMEM, "out of memory");
    }
    added->manifest = TAKE(*manifest);
    image->manifest_count++;
    return 0;
}

/* An image that is one manifest serves every platform that is asked for, as in containerd; it is
 * listed under the wanted one, else under its config's. */
static int load_single(struct containerd *containerd, const struct oci_descriptor *target,
                       const struct cli_platforms *platforms, struct cli_image *ret,
                       struct err *err)
{
    SCOPED(oci_manifest) struct oci_manifest *manifest = NULL;
    SCOPED(oci_platform) struct oci_platform platform = {.os = NULL};
    int rc = load_manifest(containerd, target, &manifest, err);

    if (rc < 0)
        return rc;
    if (!platforms->all && platforms->wanted.count > 0)
        rc = oci_platform_parse(platforms->wanted.items[0], &platform, err);
    else
        rc = cli_config_platform(containerd, manifest, &platform, err);
    return rc < 0 ? rc : add_manifest(ret, target, &platform, &manifest, err);
}

/* A copy of a descriptor's platform, in a struct of its own. */
static int copy_platform(const struct oci_descriptor *desc, struct oci_platform *ret,
                         struct err *err)
{
    SCOPED(oci_descriptor) struct oci_descriptor copy = {.media_type = NULL};

    if (oci_descriptor_copy(&copy, desc) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    *ret = copy.platform;
    copy.platform = (struct oci_platform){.os = NULL};
    return 0;
}

/* An attestation's platform is unknown/unknown; it is no image. */
static bool is_attestation(const struct oci_descriptor *desc)
{
    return desc->platform.os != NULL && strcmp(desc->platform.os, "unknown") == 0;
}

bool cli_is_image_entry(const struct oci_descriptor *desc)
{
    return oci_is_manifest(desc->media_type) && !is_attestation(desc) &&
           (desc->artifact_type == NULL ||
            !text_has_prefix(desc->artifact_type, "application/vnd.amazon.soci."));
}

/* The manifest of one entry of an image index and its platform. 1: it counts; 0: it is no image
 * manifest, or not here. */
static int load_entry(struct containerd *containerd, const struct oci_descriptor *desc,
                      struct oci_manifest **ret, struct oci_platform *ret_platform, struct err *err)
{
    int rc;

    if (!cli_is_image_entry(desc))
        return 0;
    rc = load_manifest(containerd, desc, ret, err);
    if (rc == -ENOENT)
        return 0;
    if (rc < 0)
        return rc;
    if (desc->platform.os == NULL)
        rc = cli_config_platform(containerd, *ret, ret_platform, err);
    else
        rc = copy_platform(desc, ret_platform, err);
    return rc < 0 ? rc : 1;
}

/* All entries that match `want` (NULL: every one); only the first when `want` is given. */
static int load_matching(struct containerd *containerd, const struct oci_index *index,
                         const struct oci_platform *want, struct cli_image *ret, struct err *err)
{
    size_t i;

    for (i = 0; i < index->manifest_count; i++) {
        SCOPED(oci_manifest) struct oci_manifest *manifest = NULL;
        SCOPED(oci_platform) struct oci_platform have = {.os = NULL};
        const struct oci_descriptor *desc = &index->manifests[i];
        int rc;

        if (want != NULL && desc->platform.os != NULL &&
            !oci_platform_matches(&desc->platform, want))
            continue;
        rc = load_entry(containerd, desc, &manifest, &have, err);
        if (rc == 1 && (want == NULL || oci_platform_matches(&have, want)))
            rc = add_manifest(ret, desc, &have, &manifest, err) < 0 ? -ENOMEM : 2;
        if (rc < 0)
            return rc;
        if (rc == 2 && want != NULL)
            return 0;
    }
    return 0;
}

static int load_wanted(struct containerd *containerd, const struct oci_index *index,
                       const char *wanted, struct cli_image *ret, struct err *err)
{
    SCOPED(oci_platform) struct oci_platform want = {.os = NULL};
    SCOPED(mem) char *text = NULL;
    size_t before = ret->manifest_count;
    int rc = wanted == NULL ? oci_platform_host(&want) : oci_platform_parse(wanted, &want, err);

    if (rc < 0)
        return rc;
    rc = load_matching(containerd, index, &want, ret, err);
    if (rc < 0 || ret->manifest_count > before)
        return rc;
    text = oci_platform_text(&want);
    return err_set(err, -ENOENT, "image manifest for %s: not found",
                   text == NULL ? "this platform" : text);
}

static int load_index(struct containerd *containerd, const struct oci_descriptor *target,
                      const struct cli_platforms *platforms, struct cli_image *ret, struct err *err)
{
    SCOPED(buf_value) struct buf json = BUF_EMPTY;
    SCOPED(oci_index) struct oci_index *index = NULL;
    int rc = cli_read_checked(containerd, &target->digest, OCI_MANIFEST_MAX_BYTES, &json, err);
    size_t i;

    if (rc == 0)
        rc = oci_index_parse(buf_bytes(&json), &index, err);
    if (rc < 0)
        return rc;
    if (platforms->all)
        rc = load_matching(containerd, index, NULL, ret, err);
    else if (platforms->wanted.count == 0)
        rc = load_wanted(containerd, index, NULL, ret, err);
    for (i = 0; rc == 0 && !platforms->all && i < platforms->wanted.count; i++)
        rc = load_wanted(containerd, index, platforms->wanted.items[i], ret, err);
    if (rc == 0 && ret->manifest_count == 0)
        return err_set(err, -ENOENT, "image does not support any platforms");
    return rc;
}

int cli_image_load(struct containerd *containerd, const char *ref,
                   const struct cli_platforms *platforms, struct cli_image *ret, struct err *err)
{
    SCOPED(containerd_image) struct containerd_image record = CONTAINERD_IMAGE_NONE;
    SCOPED(cli_image) struct cli_image image = {.name = NULL};
    struct oci_descriptor target = {.media_type = NULL};
    int rc = containerd_image_get(containerd, ref, &record, err);

    if (rc < 0)
        return rc;
    rc = digest_parse(record.digest, &target.digest, err);
    if (rc < 0)
        return err_prefix(err, rc, "image \"%s\"", ref);
    target.media_type = record.media_type; /* lent, the record outlives it */
    target.size_bytes = record.size_bytes;
    image.target = target.digest;
    image.is_single = oci_is_manifest(target.media_type);
    image.name = text_copy(ref);
    if (image.name == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    if (oci_is_index(target.media_type))
        rc = load_index(containerd, &target, platforms, &image, err);
    else if (image.is_single)
        rc = load_single(containerd, &target, platforms, &image, err);
    else
        rc = err_set(err, -EINVAL, "image \"%s\" is a %s, which is no image manifest", ref,
                     target.media_type);
    if (rc < 0)
        return rc;
    *ret = image;
    image = (struct cli_image){.name = NULL};
    return 0;
}
