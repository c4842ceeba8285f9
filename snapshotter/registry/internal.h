/* SPDX-License-Identifier: Apache-2.0 */
/* internal.h – the parts behind registry.h.
 *
 *   manifest.c blob.c referrers.c    ask and wait (call.c)
 *   range.c                          asks and is told
 *     └▶ request.c                   one question until its answer: attempts, retries
 *          ├▶ endpoints.c            which of the mirrors, or the registry itself (mirrors.c)
 *          ├▶ landing.c                where redirects led before (presigned.c)
 *          ├▶ auth.c                 credentials (token.c)
 *          ├▶ transfer.c             one attempt with curl (callbacks.c, answer.c)
 *          └▶ outcome.c              what an attempt came to
 *   net.c                            the thread in which all from request.c down happens
 *
 * Locking: registry->lock guards what other threads hand to the network thread (the inbox, cancel
 * flags, lists of a blob's fetches) and what they wait for. Everything else in a request and in a
 * repository's auth belongs to the network thread. No call out of the folder with the lock held. */
#ifndef REGISTRY_INTERNAL_H
#define REGISTRY_INTERNAL_H

#include "base/bytes.h"
#include "base/threads.h"
#include "registry/registry.h"

#include <curl/curl.h>
#include <stdatomic.h>
#include <sys/queue.h>

enum { REQUEST_REDIRECTS_MAX = 10 };
enum { URL_MAX_BYTES = 16 * 1024 };
enum { ANSWER_HEADERS_MAX_BYTES = 256 * 1024 };
enum { REFUSAL_MAX_BYTES = 4096 };   /* kept of the body of an answer that says no */
enum { REFUSAL_READ_BYTES = 65536 }; /* read of it, so that the connection can be used again */

/* ---- url.c ----------------------------------------------------------------------------------- */

/* `location`, perhaps relative, as seen from `base`. Refused with -EPROTO: other schemes than http
 * and https, user names, the way from https to http. */
MUST_CHECK int url_resolve(const char *base, const char *location, char **ret, struct err *err);
/* The same scheme, host and port: what credentials are for. False also when out of memory. */
bool url_same_origin(const char *a, const char *b);
/* scheme://host/path: what may be shown. New; NULL: out of memory. */
char *url_plain(const char *url);
/* The host alone, with its port: "" when there is none. New; NULL: out of memory. */
char *url_host(const char *url);
/* `url` with one more parameter in its query, its value escaped. New; NULL: out of memory. */
char *url_with_parameter(const char *url, const char *name, const char *value);

/* ---- base64.c -------------------------------------------------------------------------------- */

char *base64_encode(struct bytes in); /* new; NULL: out of memory */
/* Standard alphabet, padding needed: 0, -EINVAL, -ENOMEM. */
MUST_CHECK int base64_decode(const char *text, struct buf *ret);

/* ---- challenge.c ----------------------------------------------------------------------------- */

enum challenge_kind { CHALLENGE_NONE, CHALLENGE_BASIC, CHALLENGE_BEARER };
struct challenge {
    enum challenge_kind kind;
    char *realm; /* NULL: not said */
    char *service;
    char *scope;
};
/* A value of WWW-Authenticate, which may hold several challenges. What is better than *ret (Bearer,
 * Basic, none) replaces it. Values that make no sense are ignored. 0 or -ENOMEM. */
MUST_CHECK int challenge_add(struct challenge *ret, const char *value);
void challenge_fini(struct challenge *challenge);

/* ---- answer.c -------------------------------------------------------------------------------- */

/* What is used of a response's headers; zeroed storage is an empty one. */
struct answer {
    int status; /* 0: none yet */
    char *location;
    char *content_type; /* without parameters */
    char *content_range;
    char *link;
    char *boundary; /* of a body in parts */
    struct challenge challenge;
    int64_t retry_after_ms; /* -1: not said */
    int64_t date_s;         /* since 1970; 0: not said */
    uint64_t content_length;
    bool has_content_length;
    bool is_encoded;  /* Content-Encoding, though identity was asked for */
    bool has_subject; /* OCI-Subject */
    size_t header_bytes;
};
/* A header line as curl hands it over; a status line starts the answer anew. 0, -EPROTO, -ENOMEM.
 */
MUST_CHECK int answer_add_line(struct answer *answer, struct bytes line);
void answer_fini(struct answer *answer);

/* bytes first-last/total; total UINT64_MAX when it is *. 0 or -EPROTO. */
struct content_range {
    uint64_t first, last, total;
};
MUST_CHECK int content_range_parse(const char *text, struct content_range *ret);
/* `boundary` of a Content-Type's parameters; new. NULL: none, or out of memory. */
char *boundary_parse(const char *parameters);
/* Seconds or a date, from now on: milliseconds, -1 when it is neither. */
int64_t retry_after_parse(const char *text);
/* The address in `Link: <…>; rel="next"`; new. NULL: none, or out of memory. */
char *link_next(const char *link);

/* ---- multipart.c ----------------------------------------------------------------------------- */

enum multipart_state {
    MULTIPART_BETWEEN, /* zeroed storage: before the first */
    MULTIPART_HEADERS,
    MULTIPART_BODY,
    MULTIPART_END,
};
struct multipart {
    const char *boundary; /* borrowed */
    enum multipart_state state;
    struct content_range range; /* of the part; its first moves on */
    bool has_range;
    char line[256];
    size_t line_len, lines_bytes;
};
/* Where parts go: `range->first` is where these bytes belong. 0 or an error that ends it all. */
struct multipart_sink {
    int (*part)(void *arg, const struct content_range *range, struct bytes bytes, struct err *err);
    void *arg;
};
void multipart_init(struct multipart *parts, const char *boundary);
/* -EPROTO, or what the sink said. */
MUST_CHECK int multipart_add(struct multipart *parts, struct bytes in, struct multipart_sink *sink,
                             struct err *err);

/* ---- refusal.c ------------------------------------------------------------------------------- */

/* What a registry says in the body of an error, printable and short; new. NULL: nothing. */
char *refusal_text(struct bytes body);
bool refusal_is_expired_token(struct bytes body);
/* Of storage, in XML: what an address was signed with has run out. */
bool refusal_is_expired_key(struct bytes body);

/* ---- roots.c: whom TLS trusts ---------------------------------------------------------------- */

struct roots {
    struct x509_store_st *store; /* NULL: not looked for yet, or none found */
    uint64_t stamp;              /* of the files it came from, and of those that were not there */
};
struct roots_places {
    const char *prefix;    /* of every path; "" but in tests */
    const char *cert_file; /* SSL_CERT_FILE; NULL: the system's */
    const char *cert_dir;  /* SSL_CERT_DIR; NULL: the system's */
};
/* Replaces what is in *ret. -ENODATA: none were found; the text says what to do. */
MUST_CHECK int roots_load(const struct roots_places *places, struct roots *ret, struct err *err);
uint64_t roots_stamp(const struct roots_places *places);
void roots_fini(struct roots *roots);
/* The network thread's: for a transfer by https. */
MUST_CHECK int roots_use(struct registry *registry, CURL *easy, struct err *err);
/* After a certificate was refused: there are others now, it is worth another try. */
bool roots_renew(struct registry *registry);

/* ---- the network thread's objects ------------------------------------------------------------ */

enum { REGISTRY_IDLE_MAX = 16 };

/* How long and how often something is asked. */
struct request_limits {
    int64_t timeout_ms; /* of an attempt; 0: none */
    unsigned max_retries;
    int64_t min_wait_ms, max_wait_ms;
};

/* ---- mirrors.c ------------------------------------------------------------------------------- */

struct mirror {
    char *of;                           /* fixed: the host whose images it has */
    char *base;                         /* fixed: http[s]://host[:port]/path */
    char *host;                         /* fixed: of base, with its port */
    int64_t timeout_ms;                 /* fixed: 0: as for others, negative: none */
    atomic_int_least64_t shun_until_ms; /* monotonic: it was down a moment ago */
};
/* Copies what the options say. -EINVAL: a url is none; -ENOMEM. */
MUST_CHECK int mirrors_init(struct registry *registry, const struct registry_options *options,
                            struct err *err);
void mirrors_fini(struct registry *registry);
/* scheme://host[:port]/path, normalised; new. -EINVAL, -ENOMEM. */
MUST_CHECK int mirror_base_parse(const struct registry_mirror *mirror, char **ret, struct err *err);

struct request;
TAILQ_HEAD(request_list, request);
TAILQ_HEAD(repo_list, registry_repo);

struct registry {
    struct registry_options options;   /* fixed, defaults filled in */
    struct request_limits limits;      /* fixed */
    struct request_limits blob_limits; /* fixed: for ranges */
    struct request_limits all_limits;  /* fixed: for whole blobs that are taken as they come */
    struct mirror *mirrors;            /* fixed */
    size_t mirror_count;               /* fixed */
    char *user_agent;                  /* fixed */
    CURLM *multi;                      /* network thread; curl_multi_wakeup() any */
    pthread_t thread;                  /* fixed */
    int cancel_fd;                     /* fixed: readable from registry_cancel_all() on */
    pthread_mutex_t lock;
    pthread_cond_t settled;    /* a call was answered or a blob lost a fetch */
    struct request_list inbox; /* lock */
    struct repo_list answered; /* lock: repositories whose keychain or realm has answered */
    bool cancel_asked;         /* lock: some request's cancel flag was set */
    bool resume_asked;         /* lock: the same of resume */
    bool cancel_all;           /* lock: registry_cancel_all() was called */
    bool stop;                 /* lock */

    /* the network thread's */
    struct request_list live;
    CURL *idle[REGISTRY_IDLE_MAX]; /* easy handles to use again */
    size_t idle_count;
    struct roots roots;
    struct pool *lookups; /* asks keychains, which may block; NULL until the first */
    uint64_t jitter;
};

enum auth_state { AUTH_IDLE, AUTH_LOOKING_UP, AUTH_ASKING };
/* Credentials of a repository at its registry; the network thread's but for `job` and what is
 * found. */
struct auth {
    enum auth_state state;
    unsigned generation; /* of the header: grows when it is replaced */
    char *header;        /* "Basic …" or "Bearer …"; NULL: none needed so far */
    int64_t expires_ms;  /* monotonic; 0: not before it is refused */
    struct challenge challenge;
    /* What the realm was last given: tokens run out, and a helper may be gone when they do. */
    struct registry_credentials kept;
    bool has_kept, is_kept_fresh;      /* fresh: just found, there are no newer ones */
    int64_t kept_until_ms;             /* monotonic; then the keychain is asked for newer ones */
    int64_t refused_until_ms;          /* monotonic; before, nothing better will be found */
    struct err refused_err;            /* set with it */
    struct pool_job job;               /* the keychain's look-up, on registry->lookups */
    struct registry_credentials found; /* the job's until it has reported */
    int found_rc;                      /* of the keychain, then of the realm */
    struct err found_err;
};

/* ---- kept.c: manifests that were asked for a moment ago ---------------------------------------
 */

enum { KEPT_MANIFESTS = 4 }; /* of a repository */
struct kept_manifest {
    struct digest digest;
    struct buf content;
    char *media_type; /* NULL: not said */
    int64_t until_ms; /* monotonic; 0: there is none */
};
struct kept_manifests {
    pthread_mutex_t lock;                       /* a leaf */
    struct kept_manifest items[KEPT_MANIFESTS]; /* lock */
    size_t next;                                /* lock: to be replaced */
};
void kept_init(struct kept_manifests *kept);
void kept_fini(struct kept_manifests *kept);
/* Appends it to *ret, and gives its media type unless ret_media_type is NULL. False: not there. */
bool kept_find(struct kept_manifests *kept, const struct digest *digest, struct buf *ret,
               char **ret_media_type);
/* For so long, unless it is large. `digest` is the content's. */
void kept_add(struct kept_manifests *kept, const struct digest *digest, struct bytes content,
              const char *media_type, int64_t keep_ms);
void kept_drop(struct kept_manifests *kept, const struct digest *digest);

/* Also of this kind: the repository at a mirror, and a host where redirects lead, if that wants
 * credentials. */
struct registry_repo {
    atomic_uint refs;
    struct registry *registry;         /* fixed */
    char *host;                        /* fixed: as the keychain knows it */
    char *base;                        /* fixed: https://host/v2/name */
    char *repository;                  /* fixed: the name; NULL: at a mirror, or elsewhere */
    struct registry_keychain keychain; /* fixed; find is NULL: anonymous */
    struct kept_manifests kept;
    struct auth auth;
    TAILQ_ENTRY(registry_repo) answered_link; /* lock */

    struct mirror *mirror;              /* fixed: whose it is; NULL: the registry itself */
    struct registry_repo **mirrors;     /* fixed, counted: the repository at each mirror */
    size_t mirror_count;                /* fixed */
    atomic_int_least64_t shun_until_ms; /* monotonic: it refused us or was down a moment ago */
    struct repo_list elsewhere;         /* network thread: hosts that asked for credentials */
    size_t elsewhere_count;
    TAILQ_ENTRY(registry_repo) elsewhere_link;
};

bool host_is_loopback(const char *host); /* host[:port] */
/* May `host` be spoken to in plain HTTP, credentials and all? */
bool host_is_plain(const struct registry *registry, const char *host);
/* One more, of any kind; takes *base also on failure. */
MUST_CHECK int repo_new(struct registry *registry, const char *host, char **base,
                        const struct registry_keychain *keychain, struct registry_repo **ret,
                        struct err *err);
/* repo->mirrors. 0 or a negative errno. */
MUST_CHECK int repo_add_mirrors(struct registry_repo *repo, const char *repository,
                                struct err *err);

/* `path` below the repository; new. NULL: out of memory. */
char *repo_address(const struct registry_repo *repo, const char *path);

/* ---- endpoints.c: the registry, its mirrors, and in which order -------------------------------
 */

enum { ENDPOINTS_MAX = 16 }; /* of a repository */
/* Those to ask, best first: a mirror that failed a moment ago comes after all others. */
size_t endpoints_in_order(struct registry_repo *repo, struct registry_repo *ret[ENDPOINTS_MAX]);

/* ---- landing.c: where redirects led ------------------------------------------------------------
 */

/* Of one blob at one endpoint; the network thread's. Zeroed storage knows nothing. */
struct landing {
    char *url;                /* NULL: not known */
    int64_t renew_ms;         /* monotonic: from then on one request asks anew, and from */
    int64_t dead_ms;          /* then on the others wait for it */
    bool leads_away;          /* there was a redirect the last time */
    struct request *resolver; /* who asks just now; NULL: nobody */
    int64_t missing_until_ms; /* monotonic: the endpoint has not got the blob */
};
void landing_fini(struct landing *landing);
/* The address for a new start: *ret is borrowed. 1: another request is about to know it, and this
 * one goes on then. */
int landing_choose(struct request *req, const char **ret);
void landing_learn(struct request *req);   /* there is a good answer */
void landing_refused(struct request *req); /* the remembered address is no good for this request */
void landing_leave(struct request *req);   /* it will not find out, at least not now */

/* ---- presigned.c ----------------------------------------------------------------------------- */

/* How long an address that was given out at `now_s` is good: seconds by what its query says; -1
 * when it says nothing of use. */
int64_t presigned_life_s(const char *url, int64_t now_s);

/* ---- request.c ------------------------------------------------------------------------------- */

/* What becomes of a good answer's body, and who is told. All are called in the network thread. */
enum { REQUEST_ENOUGH = 1, REQUEST_NO_ROOM = 2 };
struct request_kind {
    /* The headers of a 2xx are here: 0, or an error that ends the request. */
    int (*begin)(struct request *req, struct err *err);
    /* 0, REQUEST_ENOUGH (the rest is not wanted), REQUEST_NO_ROOM (the same again later), or an
     * error that ends the request. */
    int (*add)(struct request *req, struct bytes body, struct err *err);
    /* At the end of the body: false is a short one, to be asked for again. */
    bool (*is_complete)(const struct request *req);
    /* The end, once; it may free the request. */
    void (*done)(struct request *req, int rc, const struct err *err);
};

enum request_state {
    REQUEST_RUNNING, /* an attempt is under way */
    REQUEST_WAITING, /* for due_ms */
    REQUEST_LANDING, /* for another that asks where the blob is */
    REQUEST_AUTH,    /* for credentials */
};

struct request {
    /* Set by who asks; unchanged (but for range_first) and alive until done(). */
    const struct request_kind *kind;
    struct registry_repo *repo; /* the request has a reference from request_submit() to done() */
    const struct request_limits *limits;
    const char *method;
    const char *url;           /* at `repo` */
    const char *path;          /* the same below a repository: mirrors are asked too; or NULL */
    const char *accept;        /* NULL: none */
    const char *content_type;  /* of the body */
    bool own_auth;             /* the repository's credentials are not for this one */
    const char *authorization; /* with own_auth, for the origin of `url` alone; NULL: none */
    struct bytes body;
    bool no_retry;
    int64_t longest_wait_ms; /* between attempts, else it fails; 0: that of `limits` */
    int64_t end_ms;          /* monotonic: it fails when it has no good answer by then; 0: never */
    bool until_end;          /* what may heal is tried again until then, max_retries or not */
    bool ranged;
    uint64_t range_first,
        range_last; /* kind->add() moves range_first on: a retry asks for the rest */
    struct landing
        *landings; /* network thread's, for each endpoint one; NULL: not to be remembered */

    TAILQ_ENTRY(request) link; /* inbox: lock; live: network thread */
    bool cancelled;            /* lock */
    bool resume;               /* lock: there is room again */

    /* the network thread's */
    enum request_state state;
    int64_t due_ms;
    struct registry_repo *at;        /* who is asked: repo, or one of its mirrors; NULL: not yet */
    size_t at_n;                     /* its number: mirror_count is `repo` */
    struct registry_repo *authority; /* whose credentials are for url_now; NULL: nobody's */
    const struct registry_repo *challenged_by; /* the last time: auth_rounds are of that */
    char *mirror_url;                          /* `path` at the mirror */
    unsigned tried;         /* bits: endpoints of this round that are done with */
    bool may_heal;          /* some of them may be better in another round */
    unsigned retries;       /* of all, after a wait */
    unsigned failures_here; /* at `at`, in this round */
    int origin_rc;          /* what the registry itself said; 0: nothing yet */
    struct err origin_err;
    char *url_now;
    struct landing *landing;   /* at `at`; NULL: nothing is remembered */
    bool use_remembered;       /* url_now is what was remembered */
    unsigned landing_refusals; /* how often that was of no use to this request */
    int64_t redirected_ms;     /* monotonic: of the last redirect, */
    int64_t redirected_s;      /* and what the clock of who sent it said; 0: not said */
    bool was_authorized;
    bool is_sent;
    bool has_begun;
    bool is_paused; /* there is no room for the body */
    bool is_enough;
    bool has_new_roots; /* it was begun again with them */
    bool has_stalled;   /* some connection is no good: the next attempt gets one of its own */
    unsigned failures, redirects, auth_rounds, auth_generation;
    CURL *easy;
    struct curl_slist *headers;
    int64_t active_ms; /* when something moved last */
    size_t body_sent;
    struct answer answer;
    struct buf refusal;
    size_t refusal_read;
    int rc; /* of kind->begin or add, or of a header: ends the request */
    struct err err;
    char curl_error[CURL_ERROR_SIZE];
};

/* Any thread. done() will be called, from the network thread and never from inside. */
void request_submit(struct request *req);
/* Lock held: done() will come soon, with -ECANCELED unless it is on its way. */
void request_cancel_locked(struct request *req);

/* For kind->done(), before the request is freed. */
void request_fini(struct request *req);

/* The network thread's: start the next attempt, take note of the end of one, end the request. */
void request_attempt(struct request *req);
void request_attempt_ended(struct request *req, CURLcode code); /* outcome.c */
/* Again from the first address, at once. */
void request_start_over(struct request *req);
/* The same after `wait_ms`. */
void request_start_later(struct request *req, int64_t wait_ms);
/* The first address at who is asked just now. */
const char *request_first_url(const struct request *req);
void request_trace(const struct request *req, int status); /* 0: no answer yet */
void request_finish(struct request *req, int rc);

/* endpoints.c: req->at and its address. 0 or -ENOMEM. */
MUST_CHECK int endpoint_choose(struct request *req);
/* What failed may heal: ask again in `wait_ms` (-1: a while that grows), or another, or that was
 * the last retry: then `code` and the text that is set are the end. */
void request_retry(struct request *req, int code, int64_t wait_ms);
/* Nothing will come of it here: ask another, or end with `code` and the text that is set. */
void request_give_up(struct request *req, int code);
/* Whose credentials are for req->url_now; NULL: nobody's. */
struct registry_repo *endpoint_authority(const struct request *req);
/* The same, for a host elsewhere that has asked for some: made when it is new. NULL: it gets none.
 */
struct registry_repo *endpoint_new_authority(struct request *req);

/* ---- transfer.c ------------------------------------------------------------------------------ */

/* An attempt at req->url_now: 0, -ENOMEM, -EINVAL. */
MUST_CHECK int transfer_start(struct request *req, const char *authorization, struct err *err);
bool callbacks_set(struct request *req); /* on req->easy */
void transfer_stop(struct request *req); /* gives the easy handle back; nothing under way is fine */
/* How long nothing may move before the attempt is given up. */
int64_t transfer_patience_ms(const struct request *req);

/* ---- auth.c ---------------------------------------------------------------------------------- */

/* The header for an attempt at req->url_now. 0 and *ret (NULL: none), or 1: the request has to wait
 * for credentials, and auth.c goes on with it. */
int auth_before_attempt(struct request *req, const char **ret);
/* A 401 (or what amounts to one) from the registry itself. 0: auth.c goes on with the request; else
 * it has to end with this. */
MUST_CHECK int auth_challenged(struct request *req, struct err *err);
/* Any thread: the keychain or the realm has answered; the network thread calls auth_go_on(). */
void auth_answered(struct registry_repo *repo);
void auth_go_on(struct registry_repo *repo);
void auth_fini(struct auth *auth);
/* free() of a string that nobody is to find in memory later; NULL is fine. */
void registry_forget(char *secret);

/* token.c: asks the realm of auth->challenge, with the credentials that are kept. Later found_rc,
 * found_err, header and expires_ms are set, and auth_answered() is called. */
MUST_CHECK int token_ask(struct registry_repo *repo, struct err *err);
/* The realm's answer: *ret_token is new; *ret_expires_s 0 when not said. 0, -EPROTO, -ENOMEM. */
MUST_CHECK int token_parse(struct bytes json, char **ret_token, int64_t *ret_expires_s,
                           struct err *err);
/* May it be put into a header? */
bool token_is_proper(const char *token);
/* "Basic …", new; NULL: out of memory. */
char *auth_basic_header(const struct registry_credentials *cred);
/* Is there a password or an identity token? */
bool credentials_have_secret(const struct registry_credentials *cred);
/* What the realm gives tokens for without a user name; NULL: none. */
const char *credentials_refresh_token(const struct registry_credentials *cred);

/* ---- net.c ----------------------------------------------------------------------------------- */

MUST_CHECK int net_start(struct registry *registry, struct err *err);
void net_stop(struct registry *registry); /* cancels everything, joins */
/* Exponential backoff with jitter for the n-th failure, 1 for the first. */
int64_t net_backoff_ms(struct registry *registry, const struct request_limits *limits,
                       unsigned failures);

/* ---- call.c: ask and wait -------------------------------------------------------------------- */

struct call {
    const char *method;
    const char *path;  /* below the repository's base; or */
    const char *url;   /* the whole address */
    bool from_mirrors; /* may come from there: path */
    const char *accept;
    const char *content_type;
    struct bytes body;
    size_t max_bytes; /* of the answer's body; -EFBIG over it */
    bool
        headers_only; /* of a body more than the part that was asked for is neither read nor kept */
    bool ranged;
    uint64_t range_first, range_last;
    bool no_retry;
};
/* Zeroed storage is an empty one. */
struct reply {
    struct answer answer;
    struct buf body;
    char *url; /* where the answer came from at last */
};
void reply_fini(struct reply *reply);
DEFINE_SCOPED_VALUE(reply, struct reply, reply_fini)
/* 0: a 2xx. Blocks. */
MUST_CHECK int call_run(struct registry_repo *repo, const struct call *call, struct reply *ret,
                        struct err *err);

#endif
