/* SPDX-License-Identifier: Apache-2.0 */
/* token.c – a Bearer token from the realm that a challenge names: GET realm?service=…&scope=…, with
 * Basic credentials where there are some. */
#include "registry/internal.h"

#include "base/clock.h"

#include <cjson/cJSON.h>
#include <errno.h>

enum { TOKEN_ANSWER_MAX_BYTES = 64 * 1024 };
/* A token is replaced this much before its end, so that it does not run out on the way. */
enum { TOKEN_MARGIN_MS = 5000 };
enum { TOKEN_LIFE_MAX_S = 7 * 24 * 3600 };

DEFINE_SCOPED_PTR(token_json, cJSON, cJSON_Delete)

struct token_request {
    struct request req;
    char *url;
    char *authorization;
    struct buf body;
};

static struct token_request *of(struct request *req)
{
    return (struct token_request *)(void *)((char *)req - offsetof(struct token_request, req));
}

static void token_request_free(struct token_request *asked)
{
    registry_forget(asked->authorization);
    if (asked->body.len > 0)
        explicit_bzero(asked->body.data, asked->body.len);
    free(asked->url);
    buf_fini(&asked->body);
    free(asked);
}
DEFINE_SCOPED_PTR(token_request, struct token_request, token_request_free)

/* It becomes a header, so nothing may be in it that ends one. */
static bool is_token(const char *s)
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
    if (token == NULL || !is_token(token))
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
    int64_t expires_s = 0;
    int rc = token_parse(json, &token, &expires_s, &auth->found_err);

    if (rc < 0)
        return rc;
    header = text_format("Bearer %s", token);
    registry_forget(token);
    if (header == NULL)
        return err_set(&auth->found_err, -ENOMEM, "out of memory");
    registry_forget(auth->header);
    auth->header = header;
    auth->expires_ms = expires_s == 0 ? 0
                                      : clock_mono_ms() + expires_s * 1000 -
                                            (expires_s > 10 ? TOKEN_MARGIN_MS : 0);
    return 0;
}

static void done(struct request *req, int rc, const struct err *err)
{
    SCOPED(token_request) struct token_request *asked = of(req);
    struct registry_repo *repo = req->repo;
    struct auth *auth = &repo->auth;

    if (rc < 0)
        auth->found_err = *err;
    else
        rc = use_token(auth, buf_bytes(&asked->body));
    auth->found_rc = rc < 0 ? err_prefix(&auth->found_err, rc, "token for %s", repo->host) : 0;
    request_fini(req);
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
    SCOPED(mem) char *url = NULL;
    int rc;

    if (challenge->realm == NULL)
        return err_set(err, -EPROTO, "%s names no place to get a token", repo->host);
    rc = url_resolve(repo->base, challenge->realm, &url, err);
    if (rc < 0)
        return err_prefix(err, rc, "realm of %s", repo->host);
    if (add_parameter(&url, "service", challenge->service) < 0 ||
        add_parameter(&url, "scope", challenge->scope) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    *ret = TAKE(url);
    return 0;
}

int token_ask(struct registry_repo *repo, struct err *err)
{
    SCOPED(token_request) struct token_request *asked = calloc(1, sizeof(*asked));
    const struct registry_credentials *cred = &repo->auth.found;
    int rc;

    if (asked == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    rc = make_url(repo, &asked->url, err);
    if (rc < 0)
        return rc;
    if (cred->username != NULL && *cred->username != '\0') {
        asked->authorization = auth_basic_header(cred);
        if (asked->authorization == NULL)
            return err_set(err, -ENOMEM, "out of memory");
    }
    asked->req.kind = &token_kind;
    asked->req.repo = repo;
    asked->req.method = "GET";
    asked->req.url = asked->url;
    asked->req.own_auth = true;
    asked->req.authorization = asked->authorization;
    asked->req.limits = &repo->registry->limits;
    request_submit(&TAKE(asked)->req);
    return 0;
}
