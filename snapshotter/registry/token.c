/* SPDX-License-Identifier: Apache-2.0 */
/* token.c – a Bearer token from the realm that a challenge names.
 *
 * With credentials: POST of a form as OAuth2 has it (distribution's spec/auth/oauth), and where
 * that is not known GET realm?service=…&scope=… with Basic; without: GET. */
#include "registry/internal.h"

#include "base/clock.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <limits.h>

enum { TOKEN_ANSWER_MAX_BYTES = 64 * 1024 };
/* A token is replaced this much before its end, or a tenth of its life, so that it does not run out
 * on the way. */
enum { TOKEN_MARGIN_MS = 5000 };
/* As containerd calls itself: some realms know their clients by name. */
#define CLIENT_ID "containerd-client"
enum { TOKEN_LIFE_MAX_S = 7 * 24 * 3600 };

DEFINE_SCOPED_PTR(token_json, cJSON, cJSON_Delete)

struct token_request {
    struct request req;
    char *url;
    char *authorization;
    struct buf form; /* of a POST */
    struct buf body; /* of the answer */
};

static struct token_request *of(struct request *req)
{
    return (struct token_request *)(void *)((char *)req - offsetof(struct token_request, req));
}

static void forget_buf(struct buf *buf)
{
    if (buf->cap > 0)
        explicit_bzero(buf->data, buf->cap);
    buf_fini(buf);
}

static void token_request_free(struct token_request *asked)
{
    registry_forget(asked->authorization);
    forget_buf(&asked->form);
    forget_buf(&asked->body);
    free(asked->url);
    free(asked);
}
DEFINE_SCOPED_PTR(token_request, struct token_request, token_request_free)

bool token_is_proper(const char *s)
{
    for (const char *at = s; *at != '\0'; at++) {
        if (*at <= ' ' || *at > '~')
            return false;
    }
    return *s != '\0';
}

static int64_t life_s(const cJSON *tree)
{
    const cJSON *life = cJSON_GetObjectItemCaseSensitive(tree, "expires_in");

    if (!cJSON_IsNumber(life) || !(life->valuedouble >= 1))
        return 0;
    return life->valuedouble > TOKEN_LIFE_MAX_S ? TOKEN_LIFE_MAX_S : (int64_t)life->valuedouble;
}

int token_parse(struct bytes json, char **ret_token, int64_t *ret_expires_s, struct err *err)
{
    SCOPED(token_json)
    cJSON *tree = json.len == 0 ? NULL : cJSON_ParseWithLength((const char *)json.data, json.len);
    const char *token = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(tree, "token"));

    if (token == NULL || *token == '\0')
        token = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(tree, "access_token"));
    if (token == NULL || !token_is_proper(token))
        return err_set(err, -EPROTO, "the answer has no token");
    *ret_token = strdup(token);
    *ret_expires_s = life_s(tree);
    return *ret_token == NULL ? err_set(err, -ENOMEM, "out of memory") : 0;
}

/* ---- the request ----------------------------------------------------------------------------- */

static int begin(struct request *req, struct err *err)
{
    (void)err;
    of(req)->body.len = 0;
    return 0;
}

static int add(struct request *req, struct bytes body, struct err *err)
{
    struct token_request *asked = of(req);

    if (body.len > TOKEN_ANSWER_MAX_BYTES - asked->body.len)
        return err_set(err, -EFBIG, "more than %d bytes", TOKEN_ANSWER_MAX_BYTES);
    if (buf_add(&asked->body, body.data, body.len) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    return 0;
}

static bool is_complete(const struct request *req)
{
    (void)req;
    return true;
}

static int use_token(struct auth *auth, struct bytes json)
{
    char *token = NULL, *header;
    int64_t life_ms = 0;
    int rc = token_parse(json, &token, &life_ms, &auth->found_err);

    if (rc < 0)
        return rc;
    life_ms *= 1000;
    header = text_format("Bearer %s", token);
    registry_forget(token);
    if (header == NULL)
        return err_set(&auth->found_err, -ENOMEM, "out of memory");
    registry_forget(auth->header);
    auth->header = header;
    if (life_ms > 0)
        life_ms -= life_ms / 10 < TOKEN_MARGIN_MS ? life_ms / 10 : TOKEN_MARGIN_MS;
    auth->expires_ms = life_ms == 0 ? 0 : clock_mono_ms() + life_ms;
    return 0;
}

/* What realms say that have no POST, or none for this kind of credentials: 405 by the book, 404 on
 * Google's, 401 on Artifactory, 400 on Azure's. */
static bool knows_no_form(const struct token_request *asked)
{
    int status = asked->req.answer.status;

    return asked->form.len > 0 &&
           (status == 404 || status == 405 || status == 401 || status == 400);
}

static int ask_by_get(struct registry_repo *repo, struct err *err);

static void done(struct request *req, int rc, const struct err *err)
{
    SCOPED(token_request) struct token_request *asked = of(req);
    struct registry_repo *repo = req->repo;
    struct auth *auth = &repo->auth;
    bool try_get = rc < 0 && rc != -ECANCELED && knows_no_form(asked);

    if (rc < 0)
        auth->found_err = *err;
    else
        rc = use_token(auth, buf_bytes(&asked->body));
    request_fini(req);
    if (try_get) {
        rc = ask_by_get(repo, &auth->found_err);
        if (rc == 0)
            return;
    }
    auth->found_rc = rc < 0 ? err_prefix(&auth->found_err, rc, "token for %s", repo->host) : 0;
    auth_answered(repo);
}

static const struct request_kind token_kind = {
    .begin = begin,
    .add = add,
    .is_complete = is_complete,
    .done = done,
};

static int add_parameter(char **url, const char *name, const char *value)
{
    char *longer;

    if (value == NULL || *value == '\0')
        return 0;
    longer = url_with_parameter(*url, name, value);
    if (longer == NULL)
        return -ENOMEM;
    free(*url);
    *url = longer;
    return 0;
}

/* The realm is held to the rules of a redirect: no user name in it, no way from https to http. */
static int make_url(const struct registry_repo *repo, char **ret, struct err *err)
{
    const struct challenge *challenge = &repo->auth.challenge;
    int rc;

    if (challenge->realm == NULL)
        return err_set(err, -EPROTO, "%s names no place to get a token", repo->host);
    rc = url_resolve(repo->base, challenge->realm, ret, err);
    return rc < 0 ? err_prefix(err, rc, "realm of %s", repo->host) : 0;
}

static void submit(struct registry_repo *repo, struct token_request **asked)
{
    struct request *req = &(*asked)->req;

    req->kind = &token_kind;
    req->repo = repo;
    req->url = (*asked)->url;
    req->own_auth = true;
    req->authorization = (*asked)->authorization;
    req->limits = &repo->registry->limits;
    *asked = NULL;
    request_submit(req);
}

/* ---- GET ------------------------------------------------------------------------------------- */

/* Each of several scopes is a parameter of its own. */
static int add_scopes(char **url, const char *scopes)
{
    SCOPED(text_list) struct text_list list = TEXT_LIST_EMPTY;
    int rc = scopes == NULL ? 0 : text_list_split(&list, scopes, ' ');

    for (size_t i = 0; rc == 0 && i < list.count; i++)
        rc = add_parameter(url, "scope", list.items[i]);
    return rc;
}

static int ask_by_get(struct registry_repo *repo, struct err *err)
{
    SCOPED(token_request) struct token_request *asked = calloc(1, sizeof(*asked));
    const struct auth *auth = &repo->auth;
    int rc =
        asked == NULL ? err_set(err, -ENOMEM, "out of memory") : make_url(repo, &asked->url, err);

    if (rc < 0)
        return rc;
    if (add_parameter(&asked->url, "service", auth->challenge.service) < 0 ||
        add_scopes(&asked->url, auth->challenge.scope) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    if (credentials_have_secret(&auth->kept)) {
        asked->authorization = auth_basic_header(&auth->kept);
        if (asked->authorization == NULL)
            return err_set(err, -ENOMEM, "out of memory");
    }
    asked->req.method = "GET";
    submit(repo, &asked);
    return 0;
}

/* ---- POST ------------------------------------------------------------------------------------ */

/* The form has room already: what is moved to make some would stay in memory. */
static int add_field(struct buf *form, const char *name, const char *value)
{
    char *escaped;
    int rc;

    if (value == NULL || *value == '\0')
        return 0;
    if (strlen(value) > INT_MAX)
        return -ENOMEM;
    escaped = curl_easy_escape(NULL, value, (int)strlen(value));
    if (escaped == NULL)
        return -ENOMEM;
    rc = buf_addf(form, "%s%s=%s", form->len == 0 ? "" : "&", name, escaped);
    explicit_bzero(escaped, strlen(escaped));
    curl_free(escaped);
    return rc;
}

static size_t escaped_max_bytes(const char *value)
{
    return value == NULL ? 0 : 3 * strlen(value);
}

static int make_form(const struct auth *auth, struct buf *form)
{
    const struct registry_credentials *cred = &auth->kept;
    const char *refresh = credentials_refresh_token(cred);
    int rc = buf_reserve(form, 256 + escaped_max_bytes(cred->username) +
                                   escaped_max_bytes(cred->password) +
                                   escaped_max_bytes(cred->identity_token) +
                                   escaped_max_bytes(auth->challenge.service) +
                                   escaped_max_bytes(auth->challenge.scope));

    if (rc == 0)
        rc = add_field(form, "client_id", CLIENT_ID);
    if (rc == 0)
        rc = add_field(form, "service", auth->challenge.service);
    if (rc == 0)
        rc = add_field(form, "scope", auth->challenge.scope);
    if (rc == 0)
        rc = add_field(form, "grant_type", refresh == NULL ? "password" : "refresh_token");
    if (rc == 0 && refresh != NULL)
        return add_field(form, "refresh_token", refresh);
    if (rc == 0)
        rc = add_field(form, "username", cred->username);
    return rc == 0 ? add_field(form, "password", cred->password) : rc;
}

static int ask_by_post(struct registry_repo *repo, struct err *err)
{
    SCOPED(token_request) struct token_request *asked = calloc(1, sizeof(*asked));
    int rc =
        asked == NULL ? err_set(err, -ENOMEM, "out of memory") : make_url(repo, &asked->url, err);

    if (rc < 0)
        return rc;
    if (make_form(&repo->auth, &asked->form) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    asked->req.method = "POST";
    asked->req.content_type = "application/x-www-form-urlencoded";
    asked->req.body = buf_bytes(&asked->form);
    submit(repo, &asked);
    return 0;
}

int token_ask(struct registry_repo *repo, struct err *err)
{
    return credentials_have_secret(&repo->auth.kept) ? ask_by_post(repo, err)
                                                     : ask_by_get(repo, err);
}
