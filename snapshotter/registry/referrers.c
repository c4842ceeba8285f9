/* SPDX-License-Identifier: Apache-2.0 */
/* referrers.c – what refers to a manifest: the referrers API, or the tag that clients keep without
 * one. */
#include "registry/internal.h"

#include <errno.h>

/* Of an answer in pages. */
enum { PAGES_MAX = 100 };

static bool has_type(const struct oci_descriptor *desc, const char *artifact_type)
{
    return artifact_type == NULL ||
           (desc->artifact_type != NULL && strcmp(desc->artifact_type, artifact_type) == 0);
}

/* Registries may ignore the filter, and a tag has none. */
static int add_matching(struct oci_index *to, const struct oci_index *from,
                        const char *artifact_type, struct err *err)
{
    for (size_t i = 0; i < from->manifest_count; i++) {
        int rc = has_type(&from->manifests[i], artifact_type)
                     ? oci_index_add(to, &from->manifests[i])
                     : 0;
        if (rc < 0)
            return err_sys(err, rc, "referrers");
    }
    return 0;
}

static int add_parsed(struct oci_index *to, struct bytes json, const char *artifact_type,
                      struct err *err)
{
    SCOPED(oci_index) struct oci_index *page = NULL;
    int rc = oci_index_parse(json, &page, err);

    return rc < 0 ? err_prefix(err, rc, "referrers") : add_matching(to, page, artifact_type, err);
}

/* ---- the API --------------------------------------------------------------------------------- */

static char *api_url(const struct registry_repo *repo, const struct digest *subject,
                     const char *artifact_type)
{
    char text[DIGEST_TEXT_BYTES], path[sizeof("referrers/") + DIGEST_TEXT_BYTES];
    SCOPED(mem) char *url = NULL;

    digest_format(subject, text);
    (void)snprintf(path, sizeof(path), "referrers/%s", text);
    url = repo_address(repo, path);
    if (url == NULL || artifact_type == NULL)
        return TAKE(url);
    return url_with_parameter(url, "artifactType", artifact_type);
}

/* What registries without the API answer to its address. */
static bool is_no_api(int rc)
{
    return rc == -ENOENT || rc == -EOPNOTSUPP || rc == -EPROTO;
}

/* *next is the address of this page and then of the one after it, NULL at the end. 1: there is no
 * API. */
static int get_page(struct registry_repo *repo, char **next, const char *artifact_type,
                    struct oci_index *to, struct err *err)
{
    SCOPED(reply) struct reply reply = {.url = NULL};
    SCOPED(mem) char *link = NULL;
    SCOPED(mem) char *url = TAKE(*next);
    struct call call = {.method = "GET",
                        .url = url,
                        .accept = OCI_MEDIA_INDEX,
                        .max_bytes = OCI_MANIFEST_MAX_BYTES};
    int rc = call_run(repo, &call, &reply, err);

    if (rc < 0)
        return is_no_api(rc) ? 1 : rc;
    if (reply.answer.content_type == NULL ||
        !text_equal_nocase(reply.answer.content_type, OCI_MEDIA_INDEX))
        return 1;
    rc = add_parsed(to, buf_bytes(&reply.body), artifact_type, err);
    if (rc < 0 || reply.answer.link == NULL || reply.url == NULL)
        return rc;
    link = link_next(reply.answer.link);
    return link == NULL ? 0 : url_resolve(reply.url, link, next, err);
}

static int get_pages(struct registry_repo *repo, const struct digest *subject,
                     const char *artifact_type, struct oci_index *to, struct err *err)
{
    SCOPED(mem) char *next = api_url(repo, subject, artifact_type);

    if (next == NULL)
        return err_set(err, -ENOMEM, "referrers: out of memory");
    for (int page = 0; page < PAGES_MAX; page++) {
        int rc = get_page(repo, &next, artifact_type, to, err);

        if (rc == 1 && page > 0)
            return err_set(err, -EPROTO, "referrers: a page is missing");
        if (rc != 0 || next == NULL)
            return rc;
        if (!url_same_origin(next, repo->base))
            return err_set(err, -EPROTO, "referrers: the next page is at another host");
    }
    return err_set(err, -EFBIG, "referrers: more than %d pages", PAGES_MAX);
}

/* ---- the tag --------------------------------------------------------------------------------- */

static int get_tag(struct registry_repo *repo, const struct digest *subject,
                   const char *artifact_type, struct oci_index *to, struct err *err)
{
    SCOPED(buf_value) struct buf json = BUF_EMPTY;
    char hex[2 * DIGEST_BYTES + 1], tag[sizeof("sha256-") + sizeof(hex)];
    int rc;

    digest_hex(subject, hex);
    (void)snprintf(tag, sizeof(tag), "sha256-%s", hex);
    rc = registry_get_manifest(repo, tag, &json, NULL, err);
    if (rc < 0)
        return rc == -ENOENT ? 0 : rc;
    return add_parsed(to, buf_bytes(&json), artifact_type, err);
}

/* ---- who is asked ---------------------------------------------------------------------------- */

static int get_from(struct registry_repo *at, const struct digest *subject,
                    const char *artifact_type, struct oci_index **ret, bool *ret_from_tag,
                    struct err *err)
{
    SCOPED(oci_index) struct oci_index *index = oci_index_new();
    int rc;

    if (index == NULL)
        return err_set(err, -ENOMEM, "referrers: out of memory");
    rc = get_pages(at, subject, artifact_type, index, err);
    *ret_from_tag = rc == 1;
    if (rc == 1)
        rc = get_tag(at, subject, artifact_type, index, err);
    if (rc == 0)
        *ret = TAKE(index);
    return rc;
}

/* Mirrors do not know of all that the registry knows: the first that has some counts; that there
 * are none only the registry itself can say. */
int registry_get_referrers(struct registry_repo *repo, const struct digest *subject,
                           const char *artifact_type, struct oci_index **ret, bool *ret_from_tag,
                           struct err *err)
{
    struct registry_repo *list[ENDPOINTS_MAX];
    size_t count = endpoints_in_order(repo, list);
    int rc = -EIO;

    for (size_t i = 0; i < count; i++) {
        SCOPED(oci_index) struct oci_index *index = NULL;
        struct err other_err = ERR_NONE;
        bool is_origin = list[i] == repo, from_tag = false;
        int rc_here = get_from(list[i], subject, artifact_type, &index, &from_tag,
                               is_origin ? err : &other_err);

        if (rc_here == 0 && (is_origin || index->manifest_count > 0)) {
            if (ret_from_tag != NULL)
                *ret_from_tag = from_tag;
            *ret = TAKE(index);
            return 0;
        }
        if (rc_here == -ECANCELED || rc_here == -ENOMEM)
            return err_set(err, rc_here, "referrers: %s", err_text(is_origin ? err : &other_err));
        if (is_origin)
            rc = rc_here;
    }
    return rc;
}
