/* SPDX-License-Identifier: Apache-2.0 */
/* convert_list.c – the manifests of an image, and the list that they are in, written anew with what
 * names their SOCI indexes, under labels that keep what they name. */
#include "cli/convert.h"

#include <errno.h>
#include <stdlib.h>

/* ---- manifests ------------------------------------------------------------------------------- */

static int add_label(struct text_map *labels, const char *what, size_t n, const struct digest *to)
{
    char text[DIGEST_TEXT_BYTES];
    SCOPED(mem) char *key = text_format("containerd.io/gc.ref.content.%s.%zu", what, n);

    digest_format(to, text);
    return key == NULL ? -ENOMEM : text_map_set(labels, key, text);
}

/* By these containerd keeps what the manifest names. */
static int manifest_labels(const struct oci_manifest *manifest, struct text_map *ret)
{
    char text[DIGEST_TEXT_BYTES];
    int rc;

    digest_format(&manifest->config.digest, text);
    rc = text_map_set(ret, "containerd.io/gc.ref.content.config", text);
    for (size_t i = 0; rc == 0 && i < manifest->layer_count; i++)
        rc = add_label(ret, "l", i, &manifest->layers[i].digest);
    return rc;
}

static const struct digest *index_of(const struct cli_convert *convert,
                                     const struct digest *manifest)
{
    for (size_t i = 0; i < convert->built_count; i++) {
        if (digest_equal(&convert->built[i].manifest->desc.digest, manifest))
            return &convert->built[i].index.digest;
    }
    return NULL;
}

static int write_manifest(struct cli_build *build, struct bytes json, struct cli_rewritten *ret,
                          struct err *err)
{
    const struct index_content content = cli_content_table(&build->content);
    SCOPED(text_map) struct text_map labels = TEXT_MAP_EMPTY;
    int rc = oci_manifest_parse(json, &ret->manifest, err);

    if (rc < 0)
        return rc;
    ret->to_bytes = json.len;
    if (digest_of(json, &ret->to) < 0 || manifest_labels(ret->manifest, &labels) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    return content.write(content.self, &ret->to, json, &labels, err);
}

/* The manifest of one entry, when it is an image's and here. */
static int rewrite(struct cli_build *build, struct cli_convert *convert,
                   const struct oci_descriptor *entry, struct err *err)
{
    SCOPED(buf_value) struct buf json = BUF_EMPTY, fresh = BUF_EMPTY;
    struct cli_rewritten *to = &convert->rewritten[convert->rewritten_count];
    int rc;

    for (size_t i = 0; i < convert->rewritten_count; i++) {
        if (digest_equal(&convert->rewritten[i].from, &entry->digest))
            return 0;
    }
    rc = cli_read_checked(build->containerd, &entry->digest, OCI_MANIFEST_MAX_BYTES, &json, err);
    if (rc == -ENOENT)
        return 0; /* of a platform that was not pulled: it stays as it is */
    if (rc == 0)
        rc = soci_enable_manifest(buf_bytes(&json), index_of(convert, &entry->digest), &fresh, err);
    if (rc < 0)
        return rc;
    convert->rewritten_count++;
    to->from = entry->digest;
    return write_manifest(build, buf_bytes(&fresh), to, err);
}

int cli_convert_manifests(struct cli_build *build, struct cli_convert *convert,
                          const struct oci_index *list, struct err *err)
{
    int rc = 0;

    convert->rewritten = calloc(list->manifest_count + 1, sizeof(*convert->rewritten));
    if (convert->rewritten == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    for (size_t i = 0; rc == 0 && i < list->manifest_count; i++) {
        if (cli_is_image_entry(&list->manifests[i]))
            rc = rewrite(build, convert, &list->manifests[i], err);
    }
    return rc;
}

/* ---- the list -------------------------------------------------------------------------------- */

const struct cli_rewritten *cli_convert_find(const struct cli_convert *convert,
                                             const struct digest *from)
{
    for (size_t i = 0; i < convert->rewritten_count; i++) {
        if (digest_equal(&convert->rewritten[i].from, from))
            return &convert->rewritten[i];
    }
    return NULL;
}

static int make_list(const struct cli_convert *convert, struct buf *ret, struct err *err)
{
    SCOPED(mem)
    struct soci_enabled *enabled = calloc(convert->rewritten_count + 1, sizeof(*enabled));
    SCOPED(mem) struct soci_listed *listed = calloc(convert->built_count + 1, sizeof(*listed));
    const struct soci_enable options = {
        .enabled = enabled,
        .enabled_count = convert->rewritten_count,
        .listed = listed,
        .listed_count = convert->built_count,
    };

    if (enabled == NULL || listed == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    for (size_t i = 0; i < convert->rewritten_count; i++) {
        const struct cli_rewritten *from = &convert->rewritten[i];

        enabled[i] = (struct soci_enabled){.from = from->from,
                                           .to = from->to,
                                           .to_bytes = from->to_bytes,
                                           .annotations = &from->manifest->annotations};
    }
    for (size_t i = 0; i < convert->built_count; i++) {
        const struct cli_converted *from = &convert->built[i];
        const struct cli_rewritten *manifest =
            cli_convert_find(convert, &from->manifest->desc.digest);

        if (manifest == NULL)
            return err_set(err, -EBADMSG, "the image does not list its own manifest");
        listed[i] = (struct soci_listed){.index = from->index.digest,
                                         .index_bytes = from->index.size_bytes,
                                         .manifest = manifest->to,
                                         .platform = &from->platform};
    }
    return soci_enable_list(buf_bytes(&convert->list), &options, ret, err);
}

/* Labels that keep what the list names; also what is not here now, should it come. */
static int list_labels(struct bytes json, struct text_map *ret, struct err *err)
{
    SCOPED(oci_index) struct oci_index *index = NULL;
    int rc = oci_index_parse(json, &index, err);

    if (rc < 0)
        return rc;
    for (size_t i = 0; rc == 0 && i < index->manifest_count; i++)
        rc = add_label(ret, "m", i, &index->manifests[i].digest);
    return rc < 0 ? err_set(err, rc, "out of memory") : 0;
}

int cli_convert_list(struct cli_build *build, const struct cli_convert *convert, struct digest *ret,
                     uint64_t *ret_bytes, struct err *err)
{
    const struct index_content content = cli_content_table(&build->content);
    SCOPED(buf_value) struct buf json = BUF_EMPTY;
    SCOPED(text_map) struct text_map labels = TEXT_MAP_EMPTY;
    int rc = make_list(convert, &json, err);

    if (rc == 0)
        rc = list_labels(buf_bytes(&json), &labels, err);
    if (rc == 0 && digest_of(buf_bytes(&json), ret) < 0)
        rc = err_set(err, -ENOMEM, "out of memory");
    *ret_bytes = json.len;
    return rc < 0 ? rc : content.write(content.self, ret, buf_bytes(&json), &labels, err);
}
