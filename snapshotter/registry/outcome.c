/* SPDX-License-Identifier: Apache-2.0 */
/* outcome.c – what the end of an attempt means: success, a redirect, a refusal, what may heal. */
#include "registry/internal.h"

#include "base/clock.h"

#include <errno.h>

static void follow_redirect(struct request *req)
{
    SCOPED(mem) char *next = NULL;
    int rc = 0;

    if (++req->redirects > REQUEST_REDIRECTS_MAX)
        rc = err_set(&req->err, -EPROTO, "more than %d redirects", REQUEST_REDIRECTS_MAX);
    else if (req->answer.location == NULL)
        rc = err_set(&req->err, -EPROTO, "a redirect to nowhere (%d)", req->answer.status);
    else
        rc = url_resolve(req->url_now, req->answer.location, &next, &req->err);
    if (rc < 0) {
        request_give_up(req, rc);
        return;
    }
    req->redirected_ms = clock_mono_ms();
    req->redirected_s = req->answer.date_s;
    free(req->url_now);
    req->url_now = TAKE(next);
    request_attempt(req);
}

/* 301 to 303 turn what is no GET into one, which is never what an upload means. */
static bool is_redirect(const struct request *req)
{
    switch (req->answer.status) {
    case 301:
    case 302:
    case 303:
        return strcmp(req->method, "GET") == 0 || strcmp(req->method, "HEAD") == 0;
    case 307:
    case 308:
        return true;
    default:
        return false;
    }
}

/* 429, and 5xx but 501, are a registry that is busy or broken for now. */
static bool may_heal(int status)
{
    return status == 408 || status == 429 || (status >= 500 && status != 501);
}

static int code_of_status(const struct request *req)
{
    int status = req->answer.status;

    if (status == 400 && refusal_is_expired_key(buf_bytes(&req->refusal)))
        return -EACCES;
    switch (status) {
    case 401:
    case 403:
        return -EACCES;
    case 404:
    case 410:
        return -ENOENT;
    case 405:
    case 501:
        return -EOPNOTSUPP;
    case 408:
    case 504:
        return -ETIMEDOUT;
    case 413:
        return -EFBIG;
    case 416:
        return -EBADMSG;
    case 429:
    case 502:
    case 503:
        return -EAGAIN;
    default:
        return status >= 500 ? -EIO : -EPROTO;
    }
}

/* An answer whose meaning is not good, and where it came from when that is not the registry. */
static int describe_status(struct request *req)
{
    bool elsewhere = !url_same_origin(req->url_now, req->url); /* also a mirror */
    SCOPED(mem) char *host = elsewhere ? url_host(req->url_now) : NULL;
    SCOPED(mem) char *said = elsewhere ? NULL : refusal_text(buf_bytes(&req->refusal));

    return err_set(&req->err, code_of_status(req), "status %d%s%s%s%s", req->answer.status,
                   host == NULL ? "" : " from ", host == NULL ? "" : host, said == NULL ? "" : ": ",
                   said == NULL ? "" : said);
}

/* An address that was remembered wears out: it was signed for a while only. */
static bool may_have_expired(int status)
{
    return status == 400 || status == 401 || status == 403 || status == 404 || status == 410;
}

/* Storage that was given credentials for a while only says so in its own way. */
static bool is_unauthorized(const struct request *req)
{
    struct bytes said = buf_bytes(&req->refusal);

    return req->answer.status == 401 ||
           (req->answer.status == 403 && refusal_is_expired_token(said));
}

/* Who refused us: the registry, a mirror, or a host elsewhere that has a challenge of its own. */
static bool wants_credentials(struct request *req)
{
    struct registry_repo *authority = req->authority;

    if (req->own_auth || !is_unauthorized(req))
        return false;
    if (authority == NULL && req->answer.challenge.kind != CHALLENGE_NONE)
        authority = endpoint_new_authority(req);
    if (authority == NULL)
        return false;
    if (req->authority == NULL)
        req->auth_generation = authority->auth.generation;
    if (authority != req->challenged_by)
        req->auth_rounds = 0;
    req->authority = authority;
    req->challenged_by = authority;
    return true;
}

static void judge_refusal(struct request *req)
{
    int status = req->answer.status;
    int rc = describe_status(req);

    if (req->use_remembered && may_have_expired(status)) {
        landing_refused(req);
        request_start_over(req);
    } else if (wants_credentials(req)) {
        rc = auth_challenged(req, &req->err);
        if (rc < 0)
            request_give_up(req, rc);
    } else if (may_heal(status)) {
        request_retry(req, rc, req->answer.retry_after_ms);
    } else {
        request_give_up(req, rc);
    }
}

static void judge_success(struct request *req)
{
    int rc = 0;

    if (!req->has_begun) { /* there was no body */
        req->has_begun = true;
        rc = req->kind->begin(req, &req->err);
        if (rc == 0)
            landing_learn(req);
    }
    if (rc < 0) {
        request_give_up(req, rc);
        return;
    }
    if (req->is_enough || req->kind->is_complete(req)) {
        request_finish(req, 0);
        return;
    }
    rc = err_set(&req->err, -EIO, "the body ends early");
    request_retry(req, rc, -1);
}

/* Repeating these would only give the same again. */
static bool is_final(CURLcode code)
{
    switch (code) {
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
    case CURLE_NOT_BUILT_IN:
    case CURLE_OUT_OF_MEMORY:
    case CURLE_BAD_FUNCTION_ARGUMENT:
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS:
        return true;
    default:
        return false;
    }
}

static int code_of_curl(CURLcode code)
{
    switch (code) {
    case CURLE_OUT_OF_MEMORY:
        return -ENOMEM;
    case CURLE_OPERATION_TIMEDOUT:
        return -ETIMEDOUT;
    case CURLE_WEIRD_SERVER_REPLY:
        return -EPROTO;
    default:
        return -EIO;
    }
}

/* curl's own words name hosts and reasons. They hold no query, and if they did it stays here. */
static void judge_failure(struct request *req, CURLcode code)
{
    bool usable = req->curl_error[0] != '\0' && strpbrk(req->curl_error, "?\r\n") == NULL;
    int rc = err_set(&req->err, code_of_curl(code), "%s",
                     usable ? req->curl_error : curl_easy_strerror(code));

    if (code == CURLE_PEER_FAILED_VERIFICATION && !req->has_new_roots &&
        roots_renew(req->repo->registry)) {
        req->has_new_roots = true;
        request_attempt(req);
        return;
    }
    if (code == CURLE_OPERATION_TIMEDOUT)
        req->has_stalled = true;
    if (is_final(code))
        request_give_up(req, rc);
    else
        request_retry(req, rc, -1);
}

void request_attempt_ended(struct request *req, CURLcode code)
{
    int status = req->answer.status;
    bool cut_off_by_us = req->is_enough || req->refusal_read > REFUSAL_READ_BYTES;

    transfer_stop(req);
    if (status != 0)
        request_trace(req, status);
    if (req->rc < 0)
        request_give_up(req, req->rc);
    else if (code != CURLE_OK && !cut_off_by_us)
        judge_failure(req, code);
    else if (status >= 200 && status <= 299)
        judge_success(req);
    else if (is_redirect(req))
        follow_redirect(req);
    else
        judge_refusal(req);
}
