/* SPDX-License-Identifier: Apache-2.0 */
/* request.c – one question until its answer: what the end of an attempt means, and what is tried
 * next.
 *
 *   attempt ─▶ good and whole ─────────────▶ done
 *      ▲   ├─▶ redirect ─── at once ──┐
 *      │   ├─▶ 401 of the registry ── after auth.c ──┤
 *      │   ├─▶ refused by the remembered address ── at once, asking the registry again ──┤
 *      │   ├─▶ what may heal ── after a while ──┤
 *      └───┴────────────────────────────────────┘   else ─▶ done with an error
 */
#include "registry/internal.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>

void request_submit(struct request *req)
{
    struct registry *registry = req->repo->registry;

    (void)registry_repo_ref(req->repo);
    (void)pthread_mutex_lock(&registry->lock);
    TAILQ_INSERT_TAIL(&registry->inbox, req, link);
    (void)pthread_mutex_unlock(&registry->lock);
    (void)curl_multi_wakeup(registry->multi);
}

void request_cancel_locked(struct request *req)
{
    struct registry *registry = req->repo->registry;

    req->cancelled = true;
    registry->cancel_asked = true;
    (void)curl_multi_wakeup(registry->multi);
}

void request_fini(struct request *req)
{
    free(TAKE(req->url_now));
    answer_fini(&req->answer);
    buf_fini(&req->refusal);
}

void request_finish(struct request *req, int rc)
{
    struct registry_repo *repo = req->repo;
    const struct request_kind *kind = req->kind;
    struct err err = ERR_NONE;

    if (rc < 0) {
        SCOPED(mem) char *shown = url_plain(req->url);
        err = req->err;
        (void)err_prefix(&err, rc, "%s %s", req->method, shown == NULL ? "" : shown);
    }
    transfer_stop(req);
    TAILQ_REMOVE(&repo->registry->live, req, link);
    kind->done(req, rc, &err); /* the request may be gone now */
    registry_repo_unref(repo);
}

static void trace(const struct request *req, int status)
{
    const struct registry_options *options = &req->repo->registry->options;
    SCOPED(mem) char *shown = NULL;
    SCOPED(mem) char *line = NULL;

    if (options->trace == NULL)
        return;
    shown = url_plain(req->url_now);
    line = status == 0
               ? text_format("http req %s %s", req->method, shown == NULL ? "" : shown)
               : text_format("http res %d %s %s", status, req->method, shown == NULL ? "" : shown);
    if (line != NULL)
        options->trace(options->trace_self, line);
}

/* ---- the next attempt
 * ------------------------------------------------------------------------------- */

/* A new start from the first address, or from where redirects led the last time. */
static int choose_address(struct request *req)
{
    const char *url = req->url;

    req->use_remembered =
        req->remembered != NULL && *req->remembered != NULL && !req->never_remembered;
    if (req->use_remembered)
        url = *req->remembered;
    free(req->url_now);
    req->url_now = strdup(url);
    req->redirects = 0;
    return req->url_now == NULL ? -ENOMEM : 0;
}

void request_attempt(struct request *req)
{
    const char *authorization = NULL;
    int rc = 0;

    if (req->url_now == NULL && choose_address(req) < 0)
        rc = err_set(&req->err, -ENOMEM, "out of memory");
    if (rc == 0 && auth_before_attempt(req, &authorization) != 0)
        return; /* auth.c goes on with it */
    if (rc == 0) {
        req->state = REQUEST_RUNNING;
        req->was_authorized = authorization != NULL;
        rc = transfer_start(req, authorization, &req->err);
    }
    if (rc < 0)
        request_finish(req, rc);
    else
        trace(req, 0);
}

static void start_over(struct request *req)
{
    free(TAKE(req->url_now));
    request_attempt(req);
}

/* Where the registry last said the blob is has failed: ask it again, in this request and in those
 * to come, unless another has asked already. */
static void forget_remembered(struct request *req)
{
    req->never_remembered = true;
    if (*req->remembered != NULL && strcmp(*req->remembered, req->url_now) == 0)
        free(TAKE(*req->remembered));
}

/* The text and `code` are for the case that this was the last retry. */
static void retry_or_finish(struct request *req, int code, int64_t wait_ms)
{
    struct registry *registry = req->repo->registry;
    int64_t longest_ms = registry->options.max_wait_ms;

    if (req->use_remembered)
        forget_remembered(req);
    req->failures++;
    if (req->failures > req->max_retries) {
        if (req->failures > 1)
            (void)err_prefix(&req->err, code, "%u attempts", req->failures);
        request_finish(req, code);
        return;
    }
    if (wait_ms < 0)
        wait_ms = net_backoff_ms(registry, req->failures);
    if (wait_ms > longest_ms)
        wait_ms = longest_ms;
    log_debug("a request failed, asking again", "host=%s err=%s try=%u wait_ms=%lld",
              req->repo->host, err_text(&req->err), req->failures, (long long)wait_ms);
    req->due_ms = clock_mono_ms() + wait_ms;
    req->state = REQUEST_WAITING;
    free(TAKE(req->url_now));
}

/* ---- what an attempt came to
 * -------------------------------------------------------------------------- */

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
        request_finish(req, rc);
        return;
    }
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

static int code_of_status(int status)
{
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
    bool elsewhere = !url_same_origin(req->url_now, req->url);
    SCOPED(mem) char *host = elsewhere ? url_host(req->url_now) : NULL;
    SCOPED(mem) char *said = elsewhere ? NULL : refusal_text(buf_bytes(&req->refusal));

    return err_set(&req->err, code_of_status(req->answer.status), "status %d%s%s%s%s",
                   req->answer.status, host == NULL ? "" : " from ", host == NULL ? "" : host,
                   said == NULL ? "" : ": ", said == NULL ? "" : said);
}

/* An address that was remembered wears out: it was signed for a while only. */
static bool may_have_expired(int status)
{
    return status == 400 || status == 401 || status == 403 || status == 404 || status == 410;
}

static bool wants_credentials(struct request *req)
{
    if (req->own_auth || !url_same_origin(req->url_now, req->repo->base))
        return false;
    return req->answer.status == 401 ||
           (req->answer.status == 403 && refusal_is_expired_token(buf_bytes(&req->refusal)));
}

static void judge_refusal(struct request *req)
{
    int status = req->answer.status;
    int rc = describe_status(req);

    if (req->use_remembered && may_have_expired(status)) {
        forget_remembered(req);
        start_over(req);
    } else if (wants_credentials(req)) {
        rc = auth_challenged(req, &req->err);
        if (rc < 0)
            request_finish(req, rc);
    } else if (may_heal(status)) {
        retry_or_finish(req, rc, req->answer.retry_after_ms);
    } else {
        request_finish(req, rc);
    }
}

/* Redirects are worth remembering once they led to bytes. */
static void remember(struct request *req)
{
    if (req->remembered == NULL || req->redirects == 0)
        return;
    free(*req->remembered);
    *req->remembered = strdup(req->url_now); /* out of memory: then it is not remembered */
}

static void judge_success(struct request *req)
{
    int rc = 0;

    if (!req->has_begun) { /* there was no body */
        req->has_begun = true;
        rc = req->kind->begin(req, &req->err);
    }
    if (rc < 0) {
        request_finish(req, rc);
        return;
    }
    remember(req);
    if (req->is_enough || req->kind->is_complete(req)) {
        request_finish(req, 0);
        return;
    }
    rc = err_set(&req->err, -EIO, "the body ends early");
    retry_or_finish(req, rc, -1);
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

/* curl's own words name hosts and reasons. They hold no address, but better no words than a query.
 */
static void judge_failure(struct request *req, CURLcode code)
{
    bool usable = req->curl_error[0] != '\0' && strpbrk(req->curl_error, "?\r\n") == NULL;
    int rc = err_set(&req->err, code_of_curl(code), "%s",
                     usable ? req->curl_error : curl_easy_strerror(code));

    if (is_final(code))
        request_finish(req, rc);
    else
        retry_or_finish(req, rc, -1);
}

void request_attempt_ended(struct request *req, CURLcode code)
{
    int status = req->answer.status;
    bool cut_off_by_us = req->is_enough || req->refusal_read > REFUSAL_READ_BYTES;

    transfer_stop(req);
    if (status != 0)
        trace(req, status);
    if (req->rc < 0)
        request_finish(req, req->rc);
    else if (code != CURLE_OK && !cut_off_by_us)
        judge_failure(req, code);
    else if (status >= 200 && status <= 299)
        judge_success(req);
    else if (is_redirect(req))
        follow_redirect(req);
    else
        judge_refusal(req);
}
