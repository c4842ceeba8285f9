/* SPDX-License-Identifier: Apache-2.0 */
/* manifest.c – manifests by tag or digest: got, asked after, put, deleted. */
#include "registry/internal.h"

#include "base/text.h"

#include <errno.h>

#define ACCEPT_MANIFESTS                                                                           \
    OCI_MEDIA_MANIFEST ", " OCI_MEDIA_INDEX ", " OCI_MEDIA_DOCKER_MANIFEST                         \
                       ", " OCI_MEDIA_DOCKER_LIST ", */*"
enum { TAG_MAX_BYTES = 128 };

/* A tag or a digest: *ret_path is new, below the repository. `digest` is filled for a digest. */
static int manifest_path(const char *reference, char **ret_path, bool *ret_is_digest,
                         struct digest *digest, struct err *err)
{
    static const char tag_chars[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
    size_t len = strlen(reference);

    *ret_is_digest = strchr(reference, ':') != NULL;
    if (*ret_is_digest) {
        int rc = digest_parse(reference, digest, err);
        if (rc < 0)
            return rc;
    } else if (len == 0 || len > TAG_MAX_BYTES || *reference == '.' || *reference == '-' ||
               strspn(reference, tag_chars) != len) {
        return err_set(err, -EINVAL, "no tag: \"%.140s\"", reference);
    }
    *ret_path = text_format("manifests/%s", reference);
    return *ret_path == NULL ? err_set(err, -ENOMEM, "out of memory") : 0;
}

static int check_digest(struct bytes content, const struct digest *wanted, struct err *err)
{
    struct digest got;

    if (digest_of(content, &got) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    return digest_equal(&got, wanted) ? 0 : err_set(err, -EBADMSG, "the bytes have another digest");
}

/* `digest` NULL: by tag, nothing to compare with. */
static int get_checked(struct registry_repo *repo, const struct call *call,
                       const struct digest *digest, struct reply *reply, struct err *err)
{
    int rc = call_run(repo, call, reply, err);

    return rc < 0 || digest == NULL ? rc : check_digest(buf_bytes(&reply->body), digest, err);
}

static int get(struct registry_repo *repo, struct call *call, const struct digest *digest,
               struct reply *reply, struct err *err)
{
    int rc = get_checked(repo, call, digest, reply, err);

    if (rc != -EBADMSG || repo->mirror_count == 0)
        return rc;
    reply_fini(reply);
    call->from_mirrors = false; /* what came was wrong */
    return get_checked(repo, call, digest, reply, err);
}

int registry_get_manifest(struct registry_repo *repo, const char *reference, struct buf *ret,
                          char **ret_media_type, struct err *err)
{
    SCOPED(mem) char *path = NULL;
    SCOPED(reply) struct reply reply = {.url = NULL};
    struct digest digest;
    bool is_digest;
    int rc = manifest_path(reference, &path, &is_digest, &digest, err);
    struct call call = {.method = "GET",
                        .path = path,
                        .from_mirrors = true,
                        .accept = ACCEPT_MANIFESTS,
                        .max_bytes = OCI_MANIFEST_MAX_BYTES};

    if (rc < 0)
        return rc;
    if (is_digest && kept_find(&repo->kept, &digest, ret, ret_media_type))
        return 0;
    rc = get(repo, &call, is_digest ? &digest : NULL, &reply, err);
    if (rc == -EBADMSG)
        return err_prefix(err, rc, "manifest %s", reference);
    if (rc < 0)
        return rc;
    if (buf_add(ret, reply.body.data, reply.body.len) < 0)
        return err_set(err, -ENOMEM, "manifest %s: out of memory", reference);
    if (is_digest)
        kept_add(&repo->kept, &digest, buf_bytes(&reply.body), reply.answer.content_type,
                 repo->registry->options.keep_manifests_ms);
    if (ret_media_type != NULL)
        *ret_media_type = TAKE(reply.answer.content_type);
    return 0;
}

int registry_has_manifest(struct registry_repo *repo, const char *reference, bool *ret,
                          struct err *err)
{
    SCOPED(mem) char *path = NULL;
    SCOPED(reply) struct reply reply = {.url = NULL};
    struct digest digest;
    bool is_digest;
    int rc = manifest_path(reference, &path, &is_digest, &digest, err);
    struct call call = {.method = "HEAD", .path = path, .accept = ACCEPT_MANIFESTS};

    if (rc < 0)
        return rc;
    rc = call_run(repo, &call, &reply, err);
    *ret = rc == 0;
    return rc == -ENOENT ? 0 : rc;
}

int registry_push_manifest(struct registry_repo *repo, const char *reference,
                           const char *media_type, struct bytes content, bool *ret_subject_known,
                           struct err *err)
{
    SCOPED(mem) char *path = NULL;
    SCOPED(reply) struct reply reply = {.url = NULL};
    struct digest digest;
    bool is_digest;
    int rc = manifest_path(reference, &path, &is_digest, &digest, err);
    struct call call = {.method = "PUT",
                        .path = path,
                        .content_type = media_type,
                        .body = content,
                        .max_bytes = REFUSAL_READ_BYTES};

    if (rc == 0)
        rc = call_run(repo, &call, &reply, err);
    if (rc < 0)
        return rc;
    if (ret_subject_known != NULL)
        *ret_subject_known = reply.answer.has_subject;
    return 0;
}

int registry_delete_manifest(struct registry_repo *repo, const struct digest *digest,
                             struct err *err)
{
    SCOPED(reply) struct reply reply = {.url = NULL};
    char text[DIGEST_TEXT_BYTES], path[sizeof("manifests/") + DIGEST_TEXT_BYTES];
    struct call call = {.method = "DELETE", .path = path, .max_bytes = REFUSAL_READ_BYTES};

    kept_drop(&repo->kept, digest);
    digest_format(digest, text);
    (void)snprintf(path, sizeof(path), "manifests/%s", text);
    return call_run(repo, &call, &reply, err);
}

/* The root of the protocol: a repository's address begins with it. */
int registry_ping(struct registry_repo *repo, int64_t *ret_date_s, struct err *err)
{
    SCOPED(reply) struct reply reply = {.url = NULL};
    const char *name = strstr(repo->base, "/v2/");
    SCOPED(mem)
    char *url = name == NULL ? NULL : text_format("%.*s/v2/", (int)(name - repo->base), repo->base);
    const struct call call = {.method = "GET", .url = url, .max_bytes = REFUSAL_READ_BYTES};
    int rc;

    if (url == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    rc = call_run(repo, &call, &reply, err);
    *ret_date_s = reply.answer.date_s;
    return rc;
}
