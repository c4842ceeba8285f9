/* SPDX-License-Identifier: Apache-2.0 */
/* call.c – ask and wait: a request whose answer is kept in memory. */
#include "registry/internal.h"

#include "base/clock.h"

#include <errno.h>

struct call_request {
    struct request req;
    struct reply *reply;
    size_t max_bytes;  /* fixed */
    bool headers_only; /* fixed */
    bool is_settled;   /* lock */
    int rc;            /* lock */
    struct err *err;   /* written before is_settled */
};

static struct call_request *of(struct request *req)
{
    return (struct call_request *)(void *)((char *)req - offsetof(struct call_request, req));
}

void reply_fini(struct reply *reply)
{
    answer_fini(&reply->answer);
    buf_fini(&reply->body);
    free(TAKE(reply->url));
}

static int begin(struct request *req, struct err *err)
{
    struct call_request *asked = of(req);
    const struct answer *answer = &req->answer;

    asked->reply->body.len = 0;
    if (strcmp(req->method, "HEAD") == 0)
        return 0;
    if (answer->is_encoded)
        return err_set(err, -EPROTO, "the body is compressed although that was declined");
    if (asked->headers_only && answer->status != 206)
        return 0;
    if (answer->has_content_length && answer->content_length > asked->max_bytes)
        return err_set(err, -EFBIG, "%llu bytes, at most %zu are read",
                       (unsigned long long)answer->content_length, asked->max_bytes);
    return 0;
}

static int add(struct request *req, struct bytes body, struct err *err)
{
    struct call_request *asked = of(req);

    if (asked->headers_only && req->answer.status != 206)
        return REQUEST_ENOUGH;
    if (body.len > asked->max_bytes - asked->reply->body.len)
        return err_set(err, -EFBIG, "more than %zu bytes", asked->max_bytes);
    if (buf_add(&asked->reply->body, body.data, body.len) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    return 0;
}

/* curl compares the body with its Content-Length and with the end of its chunks. */
static bool is_complete(const struct request *req)
{
    (void)req;
    return true;
}

static void done(struct request *req, int rc, const struct err *err)
{
    struct call_request *asked = of(req);
    struct registry *registry = req->repo->registry;

    asked->reply->answer = req->answer;
    memset(&req->answer, 0, sizeof(req->answer));
    asked->reply->url = TAKE(req->url_now);
    request_fini(req);
    if (rc < 0 && asked->err != NULL)
        *asked->err = *err;
    (void)pthread_mutex_lock(&registry->lock);
    asked->rc = rc;
    asked->is_settled = true; /* the caller may be gone as soon as the lock is free */
    (void)pthread_cond_broadcast(&registry->settled);
    (void)pthread_mutex_unlock(&registry->lock);
}

static const struct request_kind call_kind = {
    .begin = begin,
    .add = add,
    .is_complete = is_complete,
    .done = done,
};

/* The end comes from the network thread, which has a deadline for every attempt. */
static int wait_for(struct registry *registry, struct call_request *asked)
{
    LOCKED(&registry->lock);

    while (!asked->is_settled)
        (void)pthread_cond_wait(&registry->settled, &registry->lock);
    return asked->rc;
}

int call_run(struct registry_repo *repo, const struct call *call, struct reply *ret,
             struct err *err)
{
    SCOPED(mem)
    char *url = call->url != NULL ? strdup(call->url) : repo_address(repo, call->path);
    const struct registry_options *options = &repo->registry->options;
    struct call_request asked = {
        .req =
            {
                .kind = &call_kind,
                .repo = repo,
                .method = call->method,
                .url = url,
                .accept = call->accept,
                .content_type = call->content_type,
                .body = call->body,
                .path = call->from_mirrors ? call->path : NULL,
                .limits = &repo->registry->limits,
                .no_retry = call->no_retry || repo->mirror != NULL, /* there are others */
                .longest_wait_ms = options->call_longest_wait_ms,
                .end_ms =
                    options->call_budget_ms > 0 ? clock_mono_ms() + options->call_budget_ms : 0,
                .ranged = call->ranged,
                .range_first = call->range_first,
                .range_last = call->range_last,
            },
        .reply = ret,
        .max_bytes = call->max_bytes,
        .headers_only = call->headers_only,
        .err = err,
    };

    if (url == NULL)
        return err_set(err, -ENOMEM, "%s: out of memory", call->method);
    request_submit(&asked.req);
    return wait_for(repo->registry, &asked);
}
