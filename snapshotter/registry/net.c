/* SPDX-License-Identifier: Apache-2.0 */
/* net.c – the network thread: takes in what other threads ask, drives curl, looks after time. */
#include "registry/internal.h"

#include "base/clock.h"

#include <errno.h>
#include <sys/eventfd.h>

enum { KEPT_CONNECTIONS = 32 };
enum { CONNECTIONS_PER_HOST = 32 };
enum { POLL_MAX_MS = 1000 };

int64_t net_backoff_ms(struct registry *registry, const struct request_limits *limits,
                       unsigned failures)
{
    int64_t wait_ms = limits->min_wait_ms;
    int64_t longest_ms = limits->max_wait_ms;

    for (unsigned i = 1; i < failures && wait_ms < longest_ms; i++)
        wait_ms *= 2;
    if (wait_ms > longest_ms)
        wait_ms = longest_ms;
    /* xorshift64: no two processes should come back in step, and nothing here is secret. */
    registry->jitter ^= registry->jitter << 13;
    registry->jitter ^= registry->jitter >> 7;
    registry->jitter ^= registry->jitter << 17;
    return wait_ms + (int64_t)(registry->jitter % ((uint64_t)wait_ms / 8 + 1));
}

/* ---- the inbox ------------------------------------------------------------------------------- */

struct intake {
    struct request_list requests;
    struct repo_list answered;
    bool cancel_asked;
    bool resume_asked;
    bool cancel_all;
    bool stop;
};

/* The lock is held for moments only: what is taken in is started outside of it. */
static void take_in(struct registry *registry, struct intake *intake)
{
    LOCKED(&registry->lock);

    TAILQ_INIT(&intake->requests);
    TAILQ_INIT(&intake->answered);
    TAILQ_CONCAT(&intake->requests, &registry->inbox, link);
    TAILQ_CONCAT(&intake->answered, &registry->answered, answered_link);
    intake->cancel_asked = registry->cancel_asked;
    registry->cancel_asked = false;
    intake->resume_asked = registry->resume_asked;
    registry->resume_asked = false;
    intake->stop = registry->stop;
    intake->cancel_all = registry->cancel_all || registry->stop;
}

static void start_new(struct registry *registry, struct intake *intake)
{
    struct request *req;

    while ((req = TAILQ_FIRST(&intake->requests)) != NULL) {
        TAILQ_REMOVE(&intake->requests, req, link);
        TAILQ_INSERT_TAIL(&registry->live, req, link);
        request_attempt(req);
    }
}

static void hear_answers(struct intake *intake)
{
    struct registry_repo *repo;

    while ((repo = TAILQ_FIRST(&intake->answered)) != NULL) {
        TAILQ_REMOVE(&intake->answered, repo, answered_link);
        auth_go_on(repo);
    }
}

static bool is_cancelled(struct registry *registry, const struct request *req)
{
    LOCKED(&registry->lock);

    return req->cancelled;
}

static void end_cancelled(struct registry *registry, bool all)
{
    struct request *req, *next;

    for (req = TAILQ_FIRST(&registry->live); req != NULL; req = next) {
        next = TAILQ_NEXT(req, link); /* done() only adds to the inbox */
        if (!all && !is_cancelled(registry, req))
            continue;
        (void)err_set(&req->err, -ECANCELED, "cancelled");
        request_finish(req, -ECANCELED);
    }
}

static bool may_resume(struct registry *registry, struct request *req)
{
    bool resume;
    LOCKED(&registry->lock);

    resume = req->resume;
    req->resume = false;
    return resume && req->is_paused;
}

/* curl hands over what it holds from inside of its call, and may be paused again. */
static void resume_paused(struct registry *registry)
{
    struct request *req;

    TAILQ_FOREACH(req, &registry->live, link)
    {
        if (!may_resume(registry, req))
            continue;
        req->is_paused = false;
        req->active_ms = clock_mono_ms();
        (void)curl_easy_pause(req->easy, CURLPAUSE_CONT);
    }
}

/* ---- transfers and time ---------------------------------------------------------------------- */

static void hear_curl(struct registry *registry)
{
    struct CURLMsg *msg;
    int left;

    while ((msg = curl_multi_info_read(registry->multi, &left)) != NULL) {
        char *private_data = NULL;
        CURLcode code = msg->data.result;

        if (msg->msg != CURLMSG_DONE ||
            curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &private_data) != CURLE_OK)
            continue;
        request_attempt_ended((struct request *)(void *)private_data, code);
    }
}

static void end_stalled(struct request *req, int64_t now_ms)
{
    if (!req->is_sent || req->is_paused || now_ms - req->active_ms < transfer_patience_ms(req))
        return;
    (void)snprintf(req->curl_error, sizeof(req->curl_error), "nothing came for %lld ms",
                   (long long)transfer_patience_ms(req));
    req->has_stalled = true;
    request_attempt_ended(req, CURLE_OPERATION_TIMEDOUT);
}

static bool is_out_of_time(const struct request *req, int64_t now_ms)
{
    return req->end_ms != 0 && req->end_ms <= now_ms;
}

static void end_out_of_time(struct request *req)
{
    int rc = err_set(&req->err, -ETIMEDOUT, "no good answer in the time there is, %u failures",
                     req->failures);

    request_finish(req, rc);
}

/* After curl had its turn, so that what lies in a socket after a pause of this process counts. */
static void look_at_the_clock(struct registry *registry)
{
    int64_t now_ms = clock_mono_ms();
    struct request *req, *next;

    for (req = TAILQ_FIRST(&registry->live); req != NULL; req = next) {
        next = TAILQ_NEXT(req, link);
        if (is_out_of_time(req, now_ms))
            end_out_of_time(req);
        else if (req->state == REQUEST_RUNNING)
            end_stalled(req, now_ms);
        else if (req->state == REQUEST_WAITING && req->due_ms <= now_ms)
            request_attempt(req);
    }
}

/* curl_multi_poll() returns earlier when curl itself, or a wake-up, wants it to. */
static int poll_ms(const struct registry *registry)
{
    int64_t now_ms = clock_mono_ms(), wait_ms = POLL_MAX_MS;
    const struct request *req;

    TAILQ_FOREACH(req, &registry->live, link)
    {
        int64_t left_ms = wait_ms;

        if (req->state == REQUEST_WAITING)
            left_ms = req->due_ms - now_ms;
        else if (req->state == REQUEST_RUNNING && req->is_sent && !req->is_paused)
            left_ms = req->active_ms + transfer_patience_ms(req) - now_ms;
        if (req->end_ms != 0 && req->end_ms - now_ms < left_ms)
            left_ms = req->end_ms - now_ms;
        if (left_ms < wait_ms)
            wait_ms = left_ms < 0 ? 0 : left_ms;
    }
    return (int)wait_ms;
}

static bool is_idle(struct registry *registry)
{
    LOCKED(&registry->lock);

    return TAILQ_EMPTY(&registry->live) && TAILQ_EMPTY(&registry->inbox) &&
           TAILQ_EMPTY(&registry->answered);
}

static void *net_main(void *arg)
{
    struct registry *registry = arg;
    struct intake intake;
    int running;

    for (;;) {
        take_in(registry, &intake);
        start_new(registry, &intake);
        hear_answers(&intake);
        if (intake.cancel_asked || intake.cancel_all)
            end_cancelled(registry, intake.cancel_all);
        if (intake.resume_asked)
            resume_paused(registry);
        if (intake.stop) {
            /* A look-up under way reports before its pool is gone, and holds its repository until
             * then. */
            pool_free(TAKE(registry->lookups));
            if (is_idle(registry))
                return NULL;
            continue;
        }
        (void)curl_multi_perform(registry->multi, &running);
        hear_curl(registry);
        look_at_the_clock(registry);
        (void)curl_multi_poll(registry->multi, NULL, 0, poll_ms(registry), NULL);
    }
}

int net_start(struct registry *registry, struct err *err)
{
    int rc;

    registry->multi = curl_multi_init();
    if (registry->multi == NULL ||
        curl_multi_setopt(registry->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_MULTIPLEX) !=
            CURLM_OK ||
        curl_multi_setopt(registry->multi, CURLMOPT_MAXCONNECTS, (long)KEPT_CONNECTIONS) !=
            CURLM_OK ||
        curl_multi_setopt(registry->multi, CURLMOPT_MAX_HOST_CONNECTIONS,
                          (long)CONNECTIONS_PER_HOST) != CURLM_OK)
        return err_set(err, -ENOMEM, "registry client: out of memory");
    registry->cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (registry->cancel_fd < 0)
        return err_sys(err, -errno, "registry client: eventfd");
    registry->jitter = (uint64_t)clock_wall_ns() | 1;
    rc = thread_start(&registry->thread, "registry", net_main, registry);
    return rc < 0 ? err_sys(err, rc, "registry client: thread") : 0;
}

/* Also for those that run programs meanwhile. */
static void say_the_end(const struct registry *registry)
{
    (void)eventfd_write(registry->cancel_fd, 1);
    (void)curl_multi_wakeup(registry->multi);
}

void registry_cancel_all(struct registry *registry)
{
    (void)pthread_mutex_lock(&registry->lock);
    registry->cancel_all = true;
    (void)pthread_mutex_unlock(&registry->lock);
    say_the_end(registry);
}

void net_stop(struct registry *registry)
{
    (void)pthread_mutex_lock(&registry->lock);
    registry->stop = true;
    (void)pthread_mutex_unlock(&registry->lock);
    say_the_end(registry);
    (void)pthread_join(registry->thread, NULL);
}
