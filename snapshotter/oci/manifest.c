/* SPDX-License-Identifier: Apache-2.0 */
/* manifest.c – image manifests. */
#include "oci/internal.h"

#include <errno.h>

bool oci_is_manifest(const char *media_type)
{
    return media_type != NULL && (strcmp(media_type, OCI_MEDIA_MANIFEST) == 0 ||
                                  strcmp(media_type, OCI_MEDIA_DOCKER_MANIFEST) == 0);
}

void oci_manifest_free(struct oci_manifest *manifest)
{
    if (manifest == NULL)
        return;
    free(manifest->media_type);
    oci_descriptor_fini(&manifest->config);
    oci_descriptors_free(manifest->layers, manifest->layer_count);
    oci_descriptors_free(manifest->subject, manifest->subject == NULL ? 0 : 1);
    text_map_fini(&manifest->annotations);
    free(manifest);
}

/* With `manifests` beside `layers` it is an index to one reader and a manifest to another. */
static int check_kind(const cJSON *tree, const struct oci_manifest *manifest, struct err *err)
{
    const cJSON *manifests;
    int rc = json_get(tree, "manifests", &manifests, err);

    if (rc < 0)
        return rc;
    if (manifests != NULL || oci_is_index(manifest->media_type))
        return err_set(err, -EBADMSG, "an index where a manifest is expected");
    return oci_schema_check(tree, err);
}

static int read_config(const cJSON *tree, struct oci_manifest *manifest, struct err *err)
{
    const cJSON *config;
    int rc = json_get_object(tree, "config", &config, err);

    if (rc < 0)
        return rc;
    if (config == NULL)
        return err_set(err, -EBADMSG, "no config");
    rc = oci_descriptor_read(config, &manifest->config, err);
    return rc < 0 ? err_prefix(err, rc, "config") : 0;
}

static int read_subject(const cJSON *tree, struct oci_manifest *manifest, struct err *err)
{
    const cJSON *subject;
    SCOPED(mem) struct oci_descriptor *desc = NULL;
    int rc = json_get_object(tree, "subject", &subject, err);

    if (rc < 0 || subject == NULL)
        return rc;
    desc = calloc(1, sizeof(*desc));
    if (desc == NULL)
        return err_set(err, -ENOMEM, "subject: out of memory");
    rc = oci_descriptor_read(subject, desc, err);
    if (rc < 0)
        return err_prefix(err, rc, "subject");
    manifest->subject = TAKE(desc);
    return 0;
}

static int read_members(const cJSON *tree, struct oci_manifest *manifest, struct err *err)
{
    int rc = json_take_string(tree, "mediaType", &manifest->media_type, err);

    if (rc == 0)
        rc = check_kind(tree, manifest, err);
    if (rc == 0)
        rc = read_config(tree, manifest, err);
    if (rc == 0)
        rc = oci_descriptors_read(tree, "layers", &manifest->layers, &manifest->layer_count, err);
    if (rc == 0)
        rc = read_subject(tree, manifest, err);
    if (rc == 0)
        rc = json_take_map(tree, "annotations", &manifest->annotations, err);
    return rc;
}

int oci_manifest_parse(struct bytes json, struct oci_manifest **ret, struct err *err)
{
    SCOPED(json) cJSON *tree = NULL;
    SCOPED(oci_manifest) struct oci_manifest *manifest = calloc(1, sizeof(*manifest));
    int rc;

    if (manifest == NULL)
        return err_set(err, -ENOMEM, "manifest: out of memory");
    rc = json_read(json, &tree, err);
    if (rc == 0)
        rc = read_members(tree, manifest, err);
    if (rc < 0)
        return err_prefix(err, rc, "manifest");
    *ret = TAKE(manifest);
    return 0;
}

bool oci_manifest_is_lowest(const struct oci_manifest *manifest, const struct digest *layer,
                            bool with_all)
{
    size_t count = 0;

    for (size_t i = 0; i < manifest->layer_count; i++)
        count += digest_equal(&manifest->layers[i].digest, layer) ? 1 : 0;
    return count > 0 && digest_equal(&manifest->layers[0].digest, layer) &&
           (count == 1 || with_all);
}

int oci_config_platform(struct bytes json, struct oci_platform *ret, struct err *err)
{
    SCOPED(json) cJSON *tree = NULL;
    SCOPED(oci_platform) struct oci_platform platform = {.os = NULL};
    int rc = json_read(json, &tree, err);

    if (rc == 0)
        rc = json_take_string(tree, "os", &platform.os, err);
    if (rc == 0)
        rc = json_take_string(tree, "architecture", &platform.architecture, err);
    if (rc == 0)
        rc = json_take_string(tree, "variant", &platform.variant, err);
    if (rc < 0)
        return err_prefix(err, rc, "the image's configuration");
    *ret = platform;
    platform = (struct oci_platform){.os = NULL};
    return 0;
}
