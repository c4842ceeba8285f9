/* SPDX-License-Identifier: Apache-2.0 */
/* request.c – one question until its answer: the next attempt at it, and its end. What an attempt
 * came to is judged in outcome.c.
 *
 *   attempt ─▶ good and whole ──────────────▶ done
 *      ▲   ├─▶ redirect: at once
 *      │   ├─▶ 401 of the registry: after auth.c
 *      │   ├─▶ refused by the remembered address: at once, asking the registry itself
 *      │   ├─▶ what may heal: after a while, or another endpoint
 *      │   ├─▶ a mirror's no: another endpoint
 *      └───┘                                  else ─▶ done with an error
 */
#include "registry/internal.h"

#include "base/clock.h"

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
    free(TAKE(req->mirror_url));
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
    landing_leave(req);
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

/* A new start from the first address, or from where redirects led the last time. 1: not yet. */
static int choose_address(struct request *req)
{
    const char *url = NULL;
    int rc = endpoint_choose(req);

    if (rc == 0)
        rc = landing_choose(req, &url);
    if (rc != 0)
        return rc;
    req->url_now = strdup(url);
    req->redirects = 0;
    return req->url_now == NULL ? -ENOMEM : 0;
}

static int start_attempt(struct request *req)
{
    const char *authorization = NULL;

    req->authority = endpoint_authority(req);
    if (auth_before_attempt(req, &authorization) != 0)
        return 1; /* auth.c goes on with it */
    req->state = REQUEST_RUNNING;
    req->was_authorized = authorization != NULL;
    return transfer_start(req, authorization, &req->err);
}

void request_attempt(struct request *req)
{
    int rc = 0;

    if (req->url_now == NULL)
        rc = choose_address(req);
    if (rc == -ENOMEM)
        (void)err_set(&req->err, rc, "out of memory");
    if (rc == 0)
        rc = start_attempt(req);
    if (rc < 0)
        request_give_up(req, rc);
    else if (rc == 0)
        request_trace(req, 0);
}

void request_start_over(struct request *req)
{
    landing_leave(req);
    free(TAKE(req->url_now));
    request_attempt(req);
}

void request_start_later(struct request *req, int64_t wait_ms)
{
    landing_leave(req);
    free(TAKE(req->url_now));
    req->due_ms = clock_mono_ms() + wait_ms;
    req->state = REQUEST_WAITING;
}
