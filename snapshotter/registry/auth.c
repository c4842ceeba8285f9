/* SPDX-License-Identifier: Apache-2.0 */
/* auth.c – credentials of a repository at its registry: asked for when the registry asks, kept
 * until refused.
 *
 *   401 ─▶ the keychain is asked (on a thread of its own: it may run a program) ─▶ Basic: there is
 * a header └▶ Bearer: the realm is asked for a token (token.c) Meanwhile every request to the
 * registry for this repository waits, so that many at once cost one look-up. They belong to one
 * origin: a mirror, or an address elsewhere, where a redirect may lead, has its own or none
 * (endpoints.c). */
#include "registry/internal.h"

#include "base/clock.h"

#include <errno.h>

/* The first for credentials at all, the second because a token may have run out or may lack a
 * scope. */
enum { AUTH_ROUNDS_MAX = 2 };

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
}

char *auth_basic_header(const struct registry_credentials *cred)
{
    char *plain =
        text_format("%s:%s", cred->username, cred->password == NULL ? "" : cred->password);
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
    struct auth *auth = &repo->auth;

    auth->found_rc =
        repo->keychain.find(repo->keychain.self, repo->host, &auth->found, &auth->found_err);
    auth_answered(repo);
}

/* Holds a reference on the repository until settle(). */
static int start(struct registry_repo *repo, struct err *err)
{
    struct registry *registry = repo->registry;
    struct auth *auth = &repo->auth;
    int rc = 0;

    if (repo->keychain.find != NULL && registry->lookups == NULL)
        rc = pool_new("keychain", 1, &registry->lookups, err);
    if (rc < 0)
        return rc;
    auth->state = AUTH_LOOKING_UP;
    registry_credentials_fini(&auth->found);
    auth->found_rc = 0;
    (void)registry_repo_ref(repo);
    if (repo->keychain.find == NULL) {
        auth_answered(repo);
    } else {
        auth->job.run = ask_keychain;
        pool_submit(registry->lookups, &auth->job, POOL_URGENT);
    }
    return 0;
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
    if (repo == NULL)
        return 0;
    auth = &repo->auth;
    if (req->own_auth) {
        *ret = req->authorization;
        return 0;
    }
    /* When a new token cannot even be asked for, the old one is as good as none: the answer will
     * tell. */
    if (auth->state != AUTH_IDLE || (has_expired(auth) && start(repo, NULL) == 0)) {
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

int auth_challenged(struct request *req, struct err *err)
{
    struct auth *auth = &req->authority->auth;
    int rc;

    /* Someone has, or is about to have, newer ones than this request was sent with. */
    if (auth->state != AUTH_IDLE || req->auth_generation != auth->generation) {
        request_attempt(req);
        return 0;
    }
    if (req->auth_rounds++ >= AUTH_ROUNDS_MAX)
        return -EACCES; /* the text is the registry's own */
    rc = take_challenge(req, err);
    if (rc == 0)
        rc = start(req->authority, err);
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

static int use_basic(struct registry_repo *repo)
{
    struct auth *auth = &repo->auth;
    char *header;

    if (auth->found.username == NULL || *auth->found.username == '\0')
        return err_set(&auth->found_err, -EACCES,
                       "%s wants a user name and a password, and none are known", repo->host);
    header = auth_basic_header(&auth->found);
    if (header == NULL)
        return err_set(&auth->found_err, -ENOMEM, "out of memory");
    if (auth->header != NULL && strcmp(header, auth->header) == 0) {
        registry_forget(header);
        return err_set(&auth->found_err, -EACCES, "%s refuses the user name and password",
                       repo->host);
    }
    registry_forget(auth->header);
    auth->header = header;
    auth->expires_ms = 0;
    auth->generation++;
    return 0;
}

void auth_go_on(struct registry_repo *repo)
{
    struct auth *auth = &repo->auth;
    int rc = auth->found_rc;

    if (auth->state == AUTH_LOOKING_UP && rc == 0 && auth->challenge.kind == CHALLENGE_BEARER) {
        rc = token_ask(repo, &auth->found_err);
        if (rc == 0) {
            auth->state = AUTH_ASKING;
            return;
        }
    } else if (auth->state == AUTH_LOOKING_UP && rc == 0) {
        rc = use_basic(repo);
    } else if (auth->state == AUTH_ASKING && rc == 0) {
        auth->generation++;
    }
    settle(repo, rc);
}
