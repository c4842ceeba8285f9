/* SPDX-License-Identifier: Apache-2.0 */
/* blob.c – small blobs as a whole, the size of large ones, and pushing. */
#include "registry/internal.h"

#include "base/clock.h"

#include <errno.h>

enum { BLOB_PATH_BYTES = sizeof("blobs/") + DIGEST_TEXT_BYTES };
enum { PART_MAX_BYTES = 4096 }; /* a byte, and what is around it when it comes in parts */
/* Sending a blob again starts a new upload, so this is not done by the request. */
enum { PUSH_TRIES = 4 };
enum { PUSH_FIRST_WAIT_MS = 100 };

static void blob_path(const struct digest *digest, char out[BLOB_PATH_BYTES])
{
    char text[DIGEST_TEXT_BYTES];

    digest_format(digest, text);
    (void)snprintf(out, BLOB_PATH_BYTES, "blobs/%s", text);
}

/* -EBADMSG: the bytes have another digest. */
static int get_checked(struct registry_repo *repo, const struct call *call,
                       const struct digest *digest, struct buf *ret, struct err *err)
{
    SCOPED(reply) struct reply reply = {.url = NULL};
    struct digest got;
    int rc = call_run(repo, call, &reply, err);

    if (rc < 0)
        return rc;
    if (digest_of(buf_bytes(&reply.body), &got) < 0)
        return err_set(err, -ENOMEM, "%s: out of memory", call->path);
    if (!digest_equal(&got, digest))
        return err_set(err, -EBADMSG, "%s: the bytes have another digest", call->path);
    if (buf_add(ret, reply.body.data, reply.body.len) < 0)
        return err_set(err, -ENOMEM, "%s: out of memory", call->path);
    return 0;
}

int registry_get_blob(struct registry_repo *repo, const struct digest *digest, size_t max_bytes,
                      struct buf *ret, struct err *err)
{
    char path[BLOB_PATH_BYTES];
    struct call call = {
        .method = "GET", .path = path, .from_mirrors = true, .max_bytes = max_bytes};
    int rc;

    blob_path(digest, path);
    rc = get_checked(repo, &call, digest, ret, err);
    if (rc != -EBADMSG || repo->mirror_count == 0)
        return rc;
    call.from_mirrors = false; /* what came was wrong */
    return get_checked(repo, &call, digest, ret, err);
}

/* What the answer to a GET says of the blob's size. */
static int size_by_get(struct registry_repo *repo, const char *path, bool ranged,
                       uint64_t *ret_bytes, struct err *err)
{
    SCOPED(reply) struct reply reply = {.url = NULL};
    struct call call = {.method = "GET",
                        .path = path,
                        .from_mirrors = true,
                        .max_bytes = 1,
                        .headers_only = true,
                        .ranged = ranged};
    const struct answer *answer = &reply.answer;
    struct content_range range;
    int rc = call_run(repo, &call, &reply, err);

    if (rc < 0)
        return rc;
    if (answer->status == 200 && answer->has_content_length) {
        *ret_bytes = answer->content_length;
        return 0;
    }
    if (answer->status != 206 || answer->content_range == NULL ||
        content_range_parse(answer->content_range, &range) < 0 || range.total == UINT64_MAX)
        return err_set(err, -EPROTO, "%s: the registry does not say how large it is", path);
    *ret_bytes = range.total;
    return 0;
}

/* Asking in another way would give the same. */
static bool is_settled(int rc)
{
    return rc == 0 || rc == -ENOENT || rc == -ECANCELED || rc == -ENOMEM;
}

/* Where a redirect was signed for GET alone, HEAD is refused; some refuse ranges, or do not say of
 * what they are. */
int registry_blob_size(struct registry_repo *repo, const struct digest *digest, uint64_t *ret_bytes,
                       struct err *err)
{
    SCOPED(reply) struct reply reply = {.url = NULL};
    char path[BLOB_PATH_BYTES];
    struct call call = {.method = "HEAD", .path = path, .from_mirrors = true};
    int rc;

    blob_path(digest, path);
    rc = call_run(repo, &call, &reply, err);
    if (rc == 0 && reply.answer.has_content_length && !reply.answer.is_encoded) {
        *ret_bytes = reply.answer.content_length;
        return 0;
    }
    if (rc != 0 && is_settled(rc))
        return rc;
    rc = size_by_get(repo, path, true, ret_bytes, err);
    return is_settled(rc) ? rc : size_by_get(repo, path, false, ret_bytes, err);
}

/* Is it the byte at `off`? One in parts is, as far as the layers' reader can tell. */
static bool is_part(const struct answer *answer, uint64_t off)
{
    struct content_range range;

    if (answer->status != 206)
        return false;
    if (answer->content_range == NULL)
        return answer->boundary != NULL && *answer->boundary != '\0';
    return content_range_parse(answer->content_range, &range) == 0 && range.first == off &&
           range.last == off;
}

int registry_blob_gives_ranges(struct registry_repo *repo, const struct digest *digest,
                               uint64_t size_bytes, struct err *err)
{
    SCOPED(reply) struct reply reply = {.url = NULL};
    char path[BLOB_PATH_BYTES];
    uint64_t last = size_bytes == 0 ? 0 : size_bytes - 1;
    struct call call = {.method = "GET",
                        .path = path,
                        .from_mirrors = true,
                        .max_bytes = PART_MAX_BYTES,
                        .headers_only = true,
                        .ranged = true,
                        .range_first = last,
                        .range_last = last};
    int rc;

    blob_path(digest, path);
    rc = call_run(repo, &call, &reply, err);
    if (rc < 0)
        return rc;
    if (reply.answer.status == 200)
        return err_set(err, -EOPNOTSUPP, "%s: all of it is sent when a part is asked for", path);
    return is_part(&reply.answer, last)
               ? 0
               : err_set(err, -EPROTO, "%s: not the part that was asked for", path);
}

int registry_has_blob(struct registry_repo *repo, const struct digest *digest, bool *ret,
                      struct err *err)
{
    SCOPED(reply) struct reply reply = {.url = NULL};
    char path[BLOB_PATH_BYTES];
    struct call call = {.method = "HEAD", .path = path};
    int rc;

    blob_path(digest, path);
    rc = call_run(repo, &call, &reply, err);
    *ret = rc == 0;
    return rc == -ENOENT ? 0 : rc;
}

/* ---- pushing --------------------------------------------------------------------------------- */

/* A new upload: *ret_url is where the bytes go. The Location keeps its query: it holds the upload's
 * state. */
static int start_upload(struct registry_repo *repo, const char *digest, char **ret_url,
                        struct err *err)
{
    SCOPED(reply) struct reply reply = {.url = NULL};
    SCOPED(mem) char *location = NULL;
    struct call call = {.method = "POST",
                        .path = "blobs/uploads/",
                        .content_type = OCI_MEDIA_OCTETS,
                        .max_bytes = REFUSAL_READ_BYTES};
    int rc = call_run(repo, &call, &reply, err);

    if (rc < 0)
        return rc;
    if (reply.answer.location == NULL || reply.url == NULL)
        return err_set(err, -EPROTO, "upload: the registry does not say where to");
    rc = url_resolve(reply.url, reply.answer.location, &location, err);
    if (rc < 0)
        return err_prefix(err, rc, "upload");
    *ret_url = url_with_parameter(location, "digest", digest);
    return *ret_url == NULL ? err_set(err, -ENOMEM, "upload: out of memory") : 0;
}

static int try_push(struct registry_repo *repo, const char *digest, struct bytes content,
                    struct err *err)
{
    SCOPED(reply) struct reply reply = {.url = NULL};
    SCOPED(mem) char *url = NULL;
    struct call call = {.method = "PUT",
                        .content_type = OCI_MEDIA_OCTETS,
                        .body = content,
                        .max_bytes = REFUSAL_READ_BYTES,
                        .no_retry = true};
    int rc = start_upload(repo, digest, &url, err);

    if (rc < 0)
        return rc;
    call.url = url;
    return call_run(repo, &call, &reply, err);
}

static bool may_heal(int rc)
{
    return rc == -EIO || rc == -EAGAIN || rc == -ETIMEDOUT;
}

int registry_push_blob(struct registry_repo *repo, const struct digest *digest,
                       struct bytes content, struct err *err)
{
    char text[DIGEST_TEXT_BYTES];
    int64_t wait_ms = PUSH_FIRST_WAIT_MS;
    int rc;

    digest_format(digest, text);
    rc = try_push(repo, text, content, err);
    for (int tries = 1; may_heal(rc) && tries < PUSH_TRIES; tries++) {
        clock_sleep_ms(wait_ms);
        wait_ms *= 2;
        rc = try_push(repo, text, content, err);
    }
    return rc < 0 ? err_prefix(err, rc, "push %s", text) : 0;
}
