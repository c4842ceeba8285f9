/* SPDX-License-Identifier: Apache-2.0 */
/* registry.h – an OCI registry over HTTP: manifests, blobs, ranges of blobs, referrers, pushes.
 *
 * One `struct registry` per process holds one network thread (curl's multi interface), which keeps
 * and reuses connections (HTTP/2 where offered), retries what may heal with exponential backoff and
 * jitter (timeouts, resets, 429, 5xx but 501; Retry-After is honoured), and follows at most 10
 * redirects by itself so that credentials stay with the host they belong to. Nothing here trusts a
 * peer: sizes are bounded before they are read, digests are checked where one is known.
 *
 * Errors everywhere: -EACCES refused (401, 403), -ENOENT (404), -EBADMSG not the promised bytes,
 * -EPROTO an answer that makes no sense, -EOPNOTSUPP (405, 501: deletion is often off), -EFBIG
 * larger than allowed, -ETIMEDOUT / -EIO / -EAGAIN after the last retry, -ECANCELED. The text names
 * method, host and path, never the query or a token. Calls that are not marked async block; any
 * thread. */
#ifndef REGISTRY_REGISTRY_H
#define REGISTRY_REGISTRY_H

#include "base/bytes.h"
#include "base/err.h"
#include "digest/digest.h"
#include "oci/oci.h"

#include <stdbool.h>
#include <stdint.h>

/* Where else the images of a host are to be had. Mirrors are asked before the host, in their order,
 * for all that is read: manifests, referrers, blobs, ranges. One that does not answer, breaks down,
 * has not got it or refuses is passed over at once, and for half a minute; what comes is compared
 * with its digest. Credentials are those that the keychain has for the mirror's own host. */
struct registry_mirror {
    const char *host;           /* whose images, as in their references */
    const char *url;            /* http[s]://host[:port][/path]; without a path: /v2 */
    bool insecure;              /* http, whatever `url` says */
    int64_t request_timeout_ms; /* one attempt as a whole; 0: as for others, negative: no limit */
};

struct registry_options {
    const char *user_agent;
    int64_t dial_timeout_ms;     /* 0: 3000 */
    int64_t response_timeout_ms; /* for which nothing comes, at the start or later; 0: 3000 */
    int64_t request_timeout_ms;  /* one attempt as a whole; 0: 300000, negative: no limit */
    unsigned max_retries;        /* after the first attempt; 0: 8, UINT_MAX: none */
    int64_t min_wait_ms;         /* before a retry, doubled each time; 0: 30 */
    int64_t max_wait_ms;         /* 0: 300000 */
    /* The same for byte ranges of blobs; 0: as for the rest. */
    int64_t blob_request_timeout_ms;
    unsigned blob_max_retries;
    int64_t blob_min_wait_ms;
    int64_t blob_max_wait_ms;
    /* A range for which somebody waits (registry_fetch.is_awaited) is tried again while there is
     * time, however often, and every few seconds: the numbers above are for the others. */
    bool blob_until_budget;
    /* What blocks fails after the first of these, retries included, and rather than wait longer
     * than the second for the next attempt, whatever Retry-After says; 0: no such limits. */
    int64_t call_budget_ms;
    int64_t call_longest_wait_ms;
    /* What a keychain gave is asked for anew after this, when a token has run out; 0: an hour;
     * negative: not before it is refused. */
    int64_t credentials_ttl_ms;
    /* A manifest that was got by its digest is not asked for again for so long, the last few of a
     * repository at least; 0: each time. */
    int64_t keep_manifests_ms;
    bool plain_http;    /* http for every host */
    bool http_loopback; /* http for localhost, 127.0.0.0/8 and ::1 */
    /* http for these, with their ports; NULL: none. Lives as long as the registry. */
    const struct text_list *plain_http_hosts;
    const struct registry_mirror *mirrors; /* copied; -EINVAL when a url is none */
    size_t mirror_count;
    /* NULL, or told of `http req …` and `http res …`, without secrets, in the network thread. */
    void (*trace)(void *self, const char *line);
    void *trace_self;
};

struct registry;
MUST_CHECK int registry_new(const struct registry_options *options, struct registry **ret,
                            struct err *err);
bool registry_waits_for_readers(const struct registry *registry); /* blob_until_budget */
/* At the end of a process: what is under way and all that is asked for later ends with -ECANCELED,
 * so that whoever waits is done and can be joined. Any thread. */
void registry_cancel_all(struct registry *registry);
/* Cancels what is under way (their done() is called with -ECANCELED) and joins the thread. All
 * repos and blobs must be closed before. NULL is fine. */
void registry_free(struct registry *registry);
DEFINE_SCOPED_PTR(registry, struct registry, registry_free)

/* Where user names and passwords come from, asked when a host wants some. All NULL or empty:
 * anonymous. find() gets `ret` zeroed. It may block, and runs on threads for this alone, several at
 * once; when it fails, so do the requests that wait for it, and the next one asks again. `self`
 * outlives the repositories. What was found is kept until it is refused: Basic, and Bearer tokens
 * until they run out. Then find() is asked anew, but for some seconds not again when it has nothing
 * better. */
struct registry_credentials {
    char *username;
    char *password;
    char *identity_token; /* of OAuth2, a "refresh token": the realm gives a token for it */
    char *registry_token; /* the registry takes it as it is: Bearer */
};
void registry_credentials_fini(struct registry_credentials *cred);
struct registry_keychain {
    /* `cancel_fd` becomes readable when nobody waits any more: -ECANCELED; -1: never. */
    int (*find)(void *self, const char *host, int cancel_fd, struct registry_credentials *ret,
                struct err *err);
    /* The same, for a repository of the registry itself: who has credentials for images alone. Not
     * asked for a mirror, nor for a host where a redirect leads. NULL: find() is. */
    int (*find_in)(void *self, const char *host, const char *repository, int cancel_fd,
                   struct registry_credentials *ret, struct err *err);
    void *self;
};
/* `auth` as Docker's config.json and CRI have it: base64 of user:password, over what is in *ret.
 * -EBADMSG: it is not that; -ENOMEM. */
MUST_CHECK int registry_credentials_decode(const char *auth, struct registry_credentials *ret,
                                           struct err *err);
/* Is a server's address, as Docker's tools write it, that of the host? "https://host/v1/" is, and
 * "https://index.docker.io/v1/" is docker.io's. */
bool registry_address_is_of(const char *address, const char *host);
/* The keychain of Docker's config.json, read at every look-up; no such file: anonymous. A
 * credential helper comes before `auths`. docs/credentials.md tells where it is looked for, and how
 * helpers are run.
 *
 * -EBADMSG: the file, or what a helper says, makes no sense; -EAGAIN, -ETIMEDOUT: the helper fails
 * for now; -EINVAL: its name is none. The text names helper and host, and holds no secret. */
extern const struct registry_keychain registry_keychain_docker;

/* ---- a repository ---------------------------------------------------------------------------- */

struct registry_repo; /* counted */
/* host as in an image reference ("docker.io" is mapped to its API host). keychain may be NULL:
 * anonymous. */
MUST_CHECK int registry_repo_open(struct registry *registry, const char *host,
                                  const char *repository, const struct registry_keychain *keychain,
                                  struct registry_repo **ret, struct err *err);
struct registry_repo *registry_repo_ref(struct registry_repo *repo);
void registry_repo_unref(struct registry_repo *repo);
DEFINE_SCOPED_PTR(registry_repo, struct registry_repo, registry_repo_unref)

/* `reference` is a tag or a digest; a digest is checked. *media_type (new string, may be NULL when
 * the caller passes NULL) is the Content-Type. */
MUST_CHECK int registry_get_manifest(struct registry_repo *repo, const char *reference,
                                     struct buf *ret, char **ret_media_type, struct err *err);
/* A whole small blob, digest checked. -EFBIG over max_bytes. */
MUST_CHECK int registry_get_blob(struct registry_repo *repo, const struct digest *digest,
                                 size_t max_bytes, struct buf *ret, struct err *err);
/* Size of a blob by HEAD, else by a ranged GET, else by a GET whose body is left. */
MUST_CHECK int registry_blob_size(struct registry_repo *repo, const struct digest *digest,
                                  uint64_t *ret_bytes, struct err *err);
/* Is a part of the blob to be had, as layers are read? Its last byte is asked for. -EOPNOTSUPP: all
 * of it came, and was left; -EPROTO: another part did; else how the range was refused. */
MUST_CHECK int registry_blob_gives_ranges(struct registry_repo *repo, const struct digest *digest,
                                          uint64_t size_bytes, struct err *err);
/* Manifests that refer to `subject`: the referrers API with the artifactType filter, else the tag
 * sha256-<hex>; filtered again here. None: 0 and an empty index. `*ret_from_tag` (may be NULL): no
 * referrers API there. */
MUST_CHECK int registry_get_referrers(struct registry_repo *repo, const struct digest *subject,
                                      const char *artifact_type, struct oci_index **ret,
                                      bool *ret_from_tag, struct err *err);

/* Does the registry itself answer us, whatever the repository? What the clock of who answered says,
 * in seconds since 1970; 0: nothing. */
MUST_CHECK int registry_ping(struct registry_repo *repo, int64_t *ret_date_s, struct err *err);

/* ---- pushing --------------------------------------------------------------------------------- */

MUST_CHECK int registry_has_blob(struct registry_repo *repo, const struct digest *digest, bool *ret,
                                 struct err *err);
MUST_CHECK int registry_has_manifest(struct registry_repo *repo, const char *reference, bool *ret,
                                     struct err *err);
MUST_CHECK int registry_push_blob(struct registry_repo *repo, const struct digest *digest,
                                  struct bytes content, struct err *err);
/* `*ret_subject_known` (may be NULL): the answer had OCI-Subject, so the registry indexes referrers
 * itself. */
MUST_CHECK int registry_push_manifest(struct registry_repo *repo, const char *reference,
                                      const char *media_type, struct bytes content,
                                      bool *ret_subject_known, struct err *err);
MUST_CHECK int registry_delete_manifest(struct registry_repo *repo, const struct digest *digest,
                                        struct err *err);

/* ---- byte ranges of a blob, async ------------------------------------------------------------ */

struct registry_blob; /* a layer in a repository; remembers where redirects led */
/* size_bytes as the image says: an answer that speaks of another size is refused. 0: not known. */
MUST_CHECK int registry_blob_open(struct registry_repo *repo, const struct digest *digest,
                                  uint64_t size_bytes, struct registry_blob **ret, struct err *err);
/* Cancels its fetches and returns when the last done() was called. Not from a done(). */
void registry_blob_close(struct registry_blob *blob);
DEFINE_SCOPED_PTR(registry_blob, struct registry_blob, registry_blob_close)

/* One ranged GET in the caller's storage, untouched by the caller until done(). */
struct registry_fetch {
    uint64_t off;
    size_t len;   /* > 0; off + len <= the blob's size */
    uint8_t *buf; /* filled wholly on success; NULL with take() */
    /* Instead: all of it by one plain request, for a registry that knows no ranges; a retry reads
     * past what was there, and an attempt has no limit but that something must come. The next bytes
     * are in `bytes`; so many of them are taken. Fewer than all: there is no room, and no more come
     * until registry_fetch_resume(), however long that takes. Otherwise as progress(). */
    size_t (*take)(struct registry_fetch *fetch, struct bytes bytes);
    bool from_origin; /* not from mirrors: what came was wrong */
    /* Of a registry that ignores ranges nothing is taken, unless this one is all of the blob:
     * -EOPNOTSUPP. Else it is read past what is before the range. */
    bool ranges_only;
    /* For all attempts, the waits between them and credentials; then -ETIMEDOUT, or what the last
     * attempt came to. A registry that wants to be asked later than that (Retry-After) is asked
     * once more shortly before. 0: max_retries alone is the limit. */
    int64_t budget_ms;
    /* As budget_ms, but only until the first byte of it comes. 0: no such limit. */
    int64_t silence_ms;
    /* Somebody waits for it, until budget_ms at most: see blob_until_budget. */
    bool is_awaited;
    /* It fails rather than wait longer than this for the next attempt. 0: it waits. */
    int64_t longest_wait_ms;
    /* Exactly once, from the network thread, never from inside registry_blob_fetch(): rc 0 or a
     * negative errno. It must not block; it may start other fetches and may free this one. */
    void (*done)(struct registry_fetch *fetch, int rc, const struct err *err);
    /* So many bytes more are in buf: before done(), otherwise as it, but it must not free the
     * fetch. NULL: nobody wants to know. */
    void (*progress)(struct registry_fetch *fetch, size_t len);
    void *arg; /* the caller's */
};
/* Async. 0: done() will be called. Else it will not: -ECANCELED (closing), -ENOMEM. */
MUST_CHECK int registry_blob_fetch(struct registry_blob *blob, struct registry_fetch *fetch,
                                   struct err *err);
/* Ask for an early end: done() still comes, with -ECANCELED unless it was quicker. Any thread. */
void registry_fetch_cancel(struct registry_blob *blob, struct registry_fetch *fetch);

/* There is room again for take(). Any thread; what has ended or was not waiting is left alone. */
void registry_fetch_resume(struct registry_blob *blob, const struct registry_fetch *fetch);

#endif
