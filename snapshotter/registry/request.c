/* SPDX-License-Identifier: Apache-2.0 */
/* request.c – one question until its answer: the next attempt at it, and its end. What an attempt
 * came to is judged in outcome.c.
 *
 *   attempt ─▶ good and whole ──────────────▶ done
 *      ▲   ├─▶ redirect: at once
 *      │   ├─▶ 401 of the registry: after auth.c
 *      │   ├─▶ refused by the remembered address: at once, asking the registry itself
 *      │   ├─▶ what may heal: after a while
 *      └───┘                                  else ─▶ done with an error
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

void request_trace(const struct request *req, int status)
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

/* ---- the next attempt ------------------------------------------------------------------------ */

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
        request_trace(req, 0);
}

void request_start_over(struct request *req)
{
    free(TAKE(req->url_now));
    request_attempt(req);
}

/* Where the registry last said the blob is has failed: ask it again, in this request and in those
 * to come, unless another has asked already. */
void request_forget_remembered(struct request *req)
{
    req->never_remembered = true;
    if (*req->remembered != NULL && strcmp(*req->remembered, req->url_now) == 0)
        free(TAKE(*req->remembered));
}

/* As long as is wanted, but with time left for a last attempt; negative: there is none. */
static int64_t fit_wait(const struct request *req, int64_t wait_ms)
{
    const struct registry_options *options = &req->repo->registry->options;
    int64_t left_ms = req->end_ms - clock_mono_ms();

    if (wait_ms > options->max_wait_ms)
        wait_ms = options->max_wait_ms;
    if (req->end_ms == 0 || wait_ms < left_ms)
        return wait_ms;
    left_ms -= options->response_timeout_ms;
    return left_ms > 0 ? left_ms : -1;
}

/* The text and `code` are for the case that this was the last retry. */
void request_retry(struct request *req, int code, int64_t wait_ms)
{
    struct registry *registry = req->repo->registry;

    if (req->use_remembered)
        request_forget_remembered(req);
    req->failures++;
    if (wait_ms < 0)
        wait_ms = net_backoff_ms(registry, req->failures);
    wait_ms = fit_wait(req, wait_ms);
    if (req->failures > req->max_retries || wait_ms < 0) {
        if (req->failures > 1)
            (void)err_prefix(&req->err, code, "%u attempts", req->failures);
        request_finish(req, code);
        return;
    }
    log_debug("a request failed, asking again", "host=%s err=%s try=%u wait_ms=%lld",
              req->repo->host, err_text(&req->err), req->failures, (long long)wait_ms);
    req->due_ms = clock_mono_ms() + wait_ms;
    req->state = REQUEST_WAITING;
    free(TAKE(req->url_now));
}
