/* SPDX-License-Identifier: Apache-2.0 */
/* auth.c – credentials of a repository at its registry: asked for when the registry asks, kept
 * until refused.
 *
 *   401 ─▶ the keychain is asked, on a thread of its own: it may run a program
 *            ├▶ Basic: there is a header
 *            └▶ Bearer: the realm is asked for a token (token.c), there is a header
 *   the token runs out ─▶ the realm is asked again, with what the keychain gave before; when it
 *            refuses that, or it is old, the keychain is asked first
 *
 * Meanwhile every request to the registry for this repository waits, so that many at once cost one
 * look-up. They belong to one origin: a mirror, or an address elsewhere, where a redirect may lead,
 * has its own or none (endpoints.c). */
#include "registry/internal.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>

/* The first for credentials at all, the second because a token may have run out or may lack a
 * scope. */
enum { AUTH_ROUNDS_MAX = 2 };
/* Credentials that were refused, or are not there, are not looked for again for this long: readers
 * that try again and again would run a helper each time. */
enum { AUTH_HOLD_OFF_MS = 2000 };
/* Look-ups at once: a helper that hangs holds up its own host alone. */
enum { AUTH_LOOKUPS_MAX = 4 };

void registry_forget(char *secret)
{
    if (secret != NULL)
        explicit_bzero(secret, strlen(secret));
    free(secret);
}

void registry_credentials_fini(struct registry_credentials *cred)
{
    registry_forget(TAKE(cred->username));
    registry_forget(TAKE(cred->password));
    registry_forget(TAKE(cred->identity_token));
    registry_forget(TAKE(cred->registry_token));
}

void auth_fini(struct auth *auth)
{
    registry_forget(TAKE(auth->header));
    challenge_fini(&auth->challenge);
    registry_credentials_fini(&auth->found);
    registry_credentials_fini(&auth->kept);
}

static bool is_text(const char *s)
{
    return s != NULL && *s != '\0';
}

bool credentials_have_secret(const struct registry_credentials *cred)
{
    return is_text(cred->password) || is_text(cred->identity_token);
}

const char *credentials_refresh_token(const struct registry_credentials *cred)
{
    if (is_text(cred->identity_token))
        return cred->identity_token;
    return is_text(cred->username) ? NULL : cred->password;
}

char *auth_basic_header(const struct registry_credentials *cred)
{
    const char *secret = is_text(cred->password) ? cred->password : cred->identity_token;
    char *plain = text_format("%s:%s", cred->username == NULL ? "" : cred->username,
                              secret == NULL ? "" : secret);
    char *encoded = plain == NULL ? NULL : base64_encode(bytes_of_str(plain));
    char *header = encoded == NULL ? NULL : text_format("Basic %s", encoded);

    registry_forget(plain);
    registry_forget(encoded);
    return header;
}

/* ---- asking the keychain --------------------------------------------------------------------- */

void auth_answered(struct registry_repo *repo)
{
    struct registry *registry = repo->registry;

    (void)pthread_mutex_lock(&registry->lock);
    TAILQ_INSERT_TAIL(&registry->answered, repo, answered_link);
    (void)pthread_mutex_unlock(&registry->lock);
    (void)curl_multi_wakeup(registry->multi);
}

/* On the pool's thread; the network thread keeps its hands off what is found until it was told. */
static void ask_keychain(struct pool_job *job)
{
    struct registry_repo *repo =
        (struct registry_repo *)(void *)((char *)job - offsetof(struct registry_repo, auth.job));
    const struct registry_keychain *keychain = &repo->keychain;
    struct auth *auth = &repo->auth;

    if (keychain->find_in != NULL && repo->repository != NULL)
        auth->found_rc =
            keychain->find_in(keychain->self, repo->host, repo->repository,
                              repo->registry->cancel_fd, &auth->found, &auth->found_err);
    else
        auth->found_rc = keychain->find(keychain->self, repo->host, repo->registry->cancel_fd,
                                        &auth->found, &auth->found_err);
    auth_answered(repo);
}

static int look_up(struct registry_repo *repo, struct err *err)
{
    struct registry *registry = repo->registry;
    struct auth *auth = &repo->auth;
    int rc = 0;

    if (repo->keychain.find != NULL && registry->lookups == NULL)
        rc = pool_new("keychain", AUTH_LOOKUPS_MAX, &registry->lookups, err);
    if (rc < 0)
        return rc;
    auth->state = AUTH_LOOKING_UP;
    registry_credentials_fini(&auth->found);
    auth->found_rc = 0;
    if (repo->keychain.find == NULL) {
        auth_answered(repo);
    } else {
        auth->job.run = ask_keychain;
        pool_submit(registry->lookups, &auth->job, POOL_URGENT);
    }
    return 0;
}

static int ask_realm(struct registry_repo *repo, struct err *err)
{
    int rc = token_ask(repo, err);

    if (rc == 0)
        repo->auth.state = AUTH_ASKING;
    return rc;
}

/* `use_kept`: no need to ask the keychain if there is something that is not too old. Holds a
 * reference on the repository until settle(). */
static int start(struct registry_repo *repo, bool use_kept, struct err *err)
{
    struct auth *auth = &repo->auth;
    int rc;

    auth->is_kept_fresh = false;
    if (use_kept && auth->has_kept && auth->challenge.kind == CHALLENGE_BEARER &&
        clock_mono_ms() < auth->kept_until_ms)
        rc = ask_realm(repo, err);
    else
        rc = look_up(repo, err);
    if (rc == 0)
        (void)registry_repo_ref(repo);
    return rc;
}

/* ---- requests -------------------------------------------------------------------------------- */

static bool has_expired(const struct auth *auth)
{
    return auth->header != NULL && auth->expires_ms != 0 && clock_mono_ms() >= auth->expires_ms;
}

int auth_before_attempt(struct request *req, const char **ret)
{
    struct registry_repo *repo = req->authority;
    struct auth *auth;

    *ret = NULL;
    if (repo == NULL && req->own_auth && req->body.len > 0) {
        (void)err_set(&req->err, -EACCES, "redirected elsewhere, where the password does not go");
        request_finish(req, -EACCES);
        return 1;
    }
    if (repo == NULL)
        return 0;
    auth = &repo->auth;
    if (req->own_auth) {
        *ret = req->authorization;
        return 0;
    }
    /* When a new token cannot even be asked for, the old one is as good as none: the answer will
     * tell. */
    if (auth->state != AUTH_IDLE || (has_expired(auth) && start(repo, true, NULL) == 0)) {
        req->state = REQUEST_AUTH;
        return 1;
    }
    req->auth_generation = auth->generation;
    *ret = auth->header;
    return 0;
}

static int take_challenge(struct request *req, struct err *err)
{
    struct auth *auth = &req->authority->auth;
    struct challenge *challenge = &req->answer.challenge;

    if (req->answer.status == 403) /* Amazon's way of saying 401 does without a challenge */
        challenge->kind = CHALLENGE_BASIC;
    if (challenge->kind == CHALLENGE_NONE)
        return err_prefix(err, -EACCES, "no challenge of a kind that we know");
    challenge_fini(&auth->challenge);
    auth->challenge = *challenge;
    memset(challenge, 0, sizeof(*challenge));
    return 0;
}

static void hold_off(struct auth *auth, const struct err *why)
{
    auth->refused_until_ms = clock_mono_ms() + AUTH_HOLD_OFF_MS;
    auth->refused_err = *why;
}

int auth_challenged(struct request *req, struct err *err)
{
    struct auth *auth = &req->authority->auth;
    int rc;

    /* Someone has, or is about to have, newer ones than this request was sent with. */
    if (auth->state != AUTH_IDLE || req->auth_generation != auth->generation) {
        request_attempt(req);
        return 0;
    }
    if (clock_mono_ms() < auth->refused_until_ms) {
        *err = auth->refused_err;
        return -EACCES;
    }
    if (req->auth_rounds++ >= AUTH_ROUNDS_MAX) {
        hold_off(auth, err);
        return -EACCES; /* the text is the registry's own */
    }
    rc = take_challenge(req, err);
    if (rc == 0)
        rc = start(req->authority, req->auth_rounds == 1, err);
    if (rc == 0)
        req->state = REQUEST_AUTH;
    return rc;
}

/* ---- answers --------------------------------------------------------------------------------- */

static void settle(struct registry_repo *repo, int rc)
{
    struct registry *registry = repo->registry;
    struct request *req, *next;

    repo->auth.state = AUTH_IDLE;
    registry_credentials_fini(&repo->auth.found);
    for (req = TAILQ_FIRST(&registry->live); req != NULL; req = next) {
        next = TAILQ_NEXT(req, link);
        if (req->authority != repo || req->state != REQUEST_AUTH)
            continue;
        if (rc == 0) {
            request_attempt(req);
        } else {
            req->err = repo->auth.found_err;
            request_give_up(req, rc);
        }
    }
    registry_repo_unref(repo);
}

/* Takes the header, unless it is what was refused just now. */
static int use_header(struct registry_repo *repo, char *header, const char *what)
{
    struct auth *auth = &repo->auth;

    if (header == NULL)
        return err_set(&auth->found_err, -ENOMEM, "out of memory");
    if (auth->header != NULL && strcmp(header, auth->header) == 0) {
        registry_forget(header);
        return err_set(&auth->found_err, -EACCES, "%s refuses the %s", repo->host, what);
    }
    registry_forget(auth->header);
    auth->header = header;
    auth->expires_ms = 0;
    auth->generation++;
    return 0;
}

static int use_basic(struct registry_repo *repo)
{
    struct auth *auth = &repo->auth;

    if (!is_text(auth->found.username))
        return err_set(&auth->found_err, -EACCES,
                       "%s wants a user name and a password, and none are known", repo->host);
    return use_header(repo, auth_basic_header(&auth->found), "user name and password");
}

static int use_registry_token(struct registry_repo *repo)
{
    const char *token = repo->auth.found.registry_token;

    if (!token_is_proper(token))
        return err_set(&repo->auth.found_err, -EBADMSG, "the token for %s is none", repo->host);
    return use_header(repo, text_format("Bearer %s", token), "token");
}

static void keep(struct auth *auth, int64_t for_ms)
{
    registry_credentials_fini(&auth->kept);
    auth->kept = auth->found;
    memset(&auth->found, 0, sizeof(auth->found));
    auth->has_kept = auth->is_kept_fresh = true;
    auth->kept_until_ms = clock_mono_ms() + for_ms;
}

/* The keychain has answered. 1: the realm is to answer next. */
static int use_found(struct registry_repo *repo, int rc)
{
    struct auth *auth = &repo->auth;
    bool bearer = auth->challenge.kind == CHALLENGE_BEARER;

    if (rc < 0 && bearer && auth->has_kept && rc != -ENOMEM) {
        log_warn("credentials cannot be looked up, using those of before", "host=%s err=%s",
                 repo->host, err_text(&auth->found_err));
        auth->is_kept_fresh = true;
    } else if (rc < 0) {
        return rc;
    } else if (!bearer) {
        return use_basic(repo);
    } else if (is_text(auth->found.registry_token)) {
        return use_registry_token(repo);
    } else {
        keep(auth, repo->registry->options.credentials_ttl_ms);
    }
    rc = ask_realm(repo, &auth->found_err);
    return rc == 0 ? 1 : rc;
}

/* The realm has answered. 1: the keychain is to answer next. */
static int use_answer(struct registry_repo *repo, int rc)
{
    struct auth *auth = &repo->auth;

    if (rc == 0) {
        auth->generation++;
        return 0;
    }
    if (rc != -EACCES || auth->is_kept_fresh)
        return rc;
    rc = look_up(repo, &auth->found_err);
    return rc == 0 ? 1 : rc;
}

void auth_go_on(struct registry_repo *repo)
{
    struct auth *auth = &repo->auth;
    int rc = auth->state == AUTH_LOOKING_UP ? use_found(repo, auth->found_rc)
                                            : use_answer(repo, auth->found_rc);

    if (rc == 1)
        return;
    if (rc == -EACCES)
        hold_off(auth, &auth->found_err);
    settle(repo, rc);
}
