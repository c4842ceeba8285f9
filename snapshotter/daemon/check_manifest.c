/* SPDX-License-Identifier: Apache-2.0 */
/* check_manifest.c – is the registry there, and what has it of the image? */
#include "daemon/check_internal.h"

#include "base/clock.h"
#include "base/text.h"

#include <errno.h>
#include <string.h>

int check_reach(struct asking *a, struct err *err)
{
    int64_t date_s = 0;
    int rc = registry_ping(a->repo, &date_s, err);

    if (date_s > 0) {
        a->check->skew_s = date_s - clock_wall_ms() / 1000;
        a->check->has_skew = true;
    }
    /* One that answers has answered, whatever it says. */
    a->check->reachable = rc == 0 || (date_s > 0 && (rc == -EACCES || rc == -ENOENT));
    return rc;
}

static char *platforms_of(const struct oci_index *index)
{
    SCOPED(buf_value) struct buf list = BUF_EMPTY;
    int rc = 0;

    for (size_t i = 0; i < index->manifest_count && rc == 0; i++) {
        const struct oci_platform *platform = &index->manifests[i].platform;
        SCOPED(mem) char *text = NULL;

        if (platform->os == NULL || strcmp(platform->os, "unknown") == 0)
            continue;
        text = oci_platform_text(platform);
        rc = text == NULL ? -ENOMEM : buf_addf(&list, "%s%s", list.len == 0 ? "" : ", ", text);
    }
    return rc < 0 ? NULL : text_copy(list.len == 0 ? "none" : buf_str(&list));
}

static int want_platform(const struct asking *a, struct oci_platform *ret, struct err *err)
{
    if (a->platform != NULL)
        return oci_platform_parse(a->platform, ret, err);
    return oci_platform_host(ret) < 0 ? err_set(err, -ENOMEM, "out of memory") : 0;
}

/* -EXDEV: none of the list's is for that platform. */
static int choose(struct asking *a, const struct oci_index *index,
                  const struct oci_platform *platform, struct err *err)
{
    SCOPED(mem) char *there = NULL;

    for (size_t i = 0; i < index->manifest_count; i++) {
        const struct oci_descriptor *desc = &index->manifests[i];

        if (desc->platform.os != NULL && oci_platform_matches(&desc->platform, platform)) {
            a->check->manifest = desc->digest;
            a->check->has_manifest = true;
            return 0;
        }
    }
    there = platforms_of(index);
    return err_set(err, -EXDEV, "the image is not for %s, but for %s", a->check->platform,
                   there == NULL ? "others" : there);
}

/* check->manifest, of the image for the platform, and what it holds, when that came along. */
static int find_manifest(struct asking *a, struct buf *json, struct err *err)
{
    SCOPED(oci_platform) struct oci_platform platform = {.os = NULL};
    SCOPED(oci_index) struct oci_index *index = NULL;
    SCOPED(mem) char *media_type = NULL;
    int rc = want_platform(a, &platform, err);

    if (rc < 0)
        return rc;
    a->check->platform = oci_platform_text(&platform);
    rc = registry_get_manifest(a->repo, a->tag, json, &media_type, err);
    if (rc < 0)
        return rc;
    if (!oci_is_index(media_type)) {
        a->check->has_manifest = true;
        return digest_of(buf_bytes(json), &a->check->manifest) < 0
                   ? err_set(err, -ENOMEM, "out of memory")
                   : 0;
    }
    rc = oci_index_parse(buf_bytes(json), &index, err);
    json->len = 0;
    return rc < 0 ? rc : choose(a, index, &platform, err);
}

/* A lone manifest says in its configuration what it is for. */
static int check_lone_platform(struct asking *a, const struct oci_manifest *manifest,
                               struct err *err)
{
    SCOPED(buf_value) struct buf json = BUF_EMPTY;
    SCOPED(oci_platform) struct oci_platform wanted = {.os = NULL}, has = {.os = NULL};
    SCOPED(mem) char *text = NULL;
    int rc =
        registry_get_blob(a->repo, &manifest->config.digest, OCI_MANIFEST_MAX_BYTES, &json, err);

    if (rc == 0)
        rc = oci_config_platform(buf_bytes(&json), &has, err);
    if (rc < 0 || has.os == NULL)
        return rc == -ENOMEM ? rc : 0; /* what cannot be told hinders nothing */
    rc = want_platform(a, &wanted, err);
    if (rc < 0 || oci_platform_matches(&has, &wanted))
        return rc;
    text = oci_platform_text(&has);
    return err_set(err, -EXDEV, "the image is not for %s, but for %s", a->check->platform,
                   text == NULL ? "another" : text);
}

int check_get_manifest(struct asking *a, struct oci_manifest **ret, struct err *err)
{
    SCOPED(buf_value) struct buf json = BUF_EMPTY;
    char digest[DIGEST_TEXT_BYTES];
    bool is_lone;
    int rc = find_manifest(a, &json, err);

    if (rc < 0)
        return rc;
    is_lone = json.len > 0;
    digest_format(&a->check->manifest, digest);
    if (!is_lone)
        rc = registry_get_manifest(a->repo, digest, &json, NULL, err);
    if (rc == 0)
        rc = oci_manifest_parse(buf_bytes(&json), ret, err);
    return rc == 0 && is_lone ? check_lone_platform(a, *ret, err) : rc;
}
