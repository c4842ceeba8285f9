/* SPDX-License-Identifier: Apache-2.0 */
/* endpoints.c – whom a request asks: the mirrors in their order, then the registry itself.
 *
 * Where something fails the next one is asked: at once when nobody answers or the answer is no,
 * after few retries when it is "later". Who was down is asked last for a while, so that it does not
 * cost its timeouts each time. When all have failed and one of them may heal, there is another
 * round after a while, until the retries of the request as a whole are spent, or its time. With no
 * mirrors that is a loop of attempts at the registry. */
#include "registry/internal.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>

enum { SHUN_MS = 30 * 1000 };
/* While there are others to ask. */
enum { RETRIES_HERE_MAX = 2 };
enum { WAIT_HERE_MAX_MS = 1000 };
/* Between attempts that go on until the time is spent: so late a reader notices that an outage is
 * over. */
enum { UNTIL_END_WAIT_MAX_MS = 3000 };
/* Hosts where redirects lead and that want credentials. */
enum { ELSEWHERE_MAX = 8 };

/* Number mirror_count is the repository itself. */
static struct registry_repo *endpoint(struct registry_repo *repo, size_t n)
{
    return n < repo->mirror_count ? repo->mirrors[n] : repo;
}

static bool is_shunned(struct registry_repo *at, int64_t now_ms)
{
    return atomic_load(&at->shun_until_ms) > now_ms ||
           (at->mirror != NULL && atomic_load(&at->mirror->shun_until_ms) > now_ms);
}

size_t endpoints_in_order(struct registry_repo *repo, struct registry_repo *ret[ENDPOINTS_MAX])
{
    int64_t now_ms = clock_mono_ms();
    size_t count = 0;

    for (int shunned = 0; shunned < 2; shunned++) {
        for (size_t n = 0; n <= repo->mirror_count && count < ENDPOINTS_MAX; n++) {
            if (is_shunned(endpoint(repo, n), now_ms) == (shunned != 0))
                ret[count++] = endpoint(repo, n);
        }
    }
    return count;
}

/* ---- the next one ---------------------------------------------------------------------------- */

static bool is_mirrored(const struct request *req)
{
    return req->path != NULL && req->repo->mirror_count > 0;
}

/* It said a moment ago that it has not got this. */
static bool is_missing_there(const struct request *req, size_t n, int64_t now_ms)
{
    return req->landings != NULL && req->landings[n].missing_until_ms > now_ms;
}

/* Best first; NULL: all were tried in this round. */
static struct registry_repo *find_untried(const struct request *req, size_t *ret_n)
{
    struct registry_repo *repo = req->repo;
    int64_t now_ms = clock_mono_ms();
    size_t count = req->path == NULL ? 0 : repo->mirror_count;

    for (int bad = 0; bad < 2; bad++) {
        for (*ret_n = repo->mirror_count - count; *ret_n <= repo->mirror_count; ++*ret_n) {
            struct registry_repo *at = endpoint(repo, *ret_n);
            bool is_bad = is_shunned(at, now_ms) || is_missing_there(req, *ret_n, now_ms);

            if ((req->tried & 1U << *ret_n) == 0 && is_bad == (bad != 0))
                return at;
        }
    }
    return NULL;
}

static bool has_others(const struct request *req)
{
    return is_mirrored(req) &&
           (req->tried | 1U << req->at_n) != (1U << (req->repo->mirror_count + 1)) - 1;
}

int endpoint_choose(struct request *req)
{
    if (req->at != NULL)
        return 0;
    req->at = find_untried(req, &req->at_n);
    if (req->at == NULL) { /* cannot be: a round begins with all */
        req->at = req->repo;
        req->at_n = req->repo->mirror_count;
    }
    req->failures_here = 0;
    req->landing = req->landings == NULL ? NULL : &req->landings[req->at_n];
    req->landing_refusals = 0;
    if (req->at == req->repo)
        return 0;
    free(req->mirror_url);
    req->mirror_url = repo_address(req->at, req->path);
    return req->mirror_url == NULL ? -ENOMEM : 0;
}

const char *request_first_url(const struct request *req)
{
    return req->at == NULL || req->at == req->repo ? req->url : req->mirror_url;
}

/* ---- failures -------------------------------------------------------------------------------- */

static bool is_down(int code)
{
    return code == -EIO || code == -EAGAIN || code == -ETIMEDOUT;
}

/* Down is a mirror for all repositories, closed for one; another may just not have this blob. */
static void shun(struct request *req, int code)
{
    int64_t until_ms = clock_mono_ms() + SHUN_MS;
    struct registry_repo *at = req->at;

    if (is_down(code) && at->mirror != NULL)
        atomic_store(&at->mirror->shun_until_ms, until_ms);
    else if (is_down(code) || (code == -EACCES && at->mirror != NULL))
        atomic_store(&at->shun_until_ms, until_ms);
    else if (req->landing != NULL)
        req->landing->missing_until_ms = until_ms;
}

/* The registry's own words are those that count. */
static void finish(struct request *req, int code)
{
    if (req->origin_rc < 0) {
        code = req->origin_rc;
        req->err = req->origin_err;
    }
    if (req->may_heal && req->failures > 1)
        (void)err_prefix(&req->err, code, "%u attempts", req->failures);
    request_finish(req, code);
}

static void move_on(struct request *req)
{
    log_debug("asking another place", "host=%s err=%s", req->at->host, err_text(&req->err));
    req->tried |= 1U << req->at_n;
    req->at = NULL;
    request_start_over(req);
}

/* A mirror's hope is no reason to wait for long where the registry itself has said no. */
static bool goes_on_until_end(const struct request *req)
{
    return req->until_end && (req->origin_rc == 0 || is_down(req->origin_rc));
}

static bool has_retries_left(const struct request *req)
{
    return !req->no_retry && (goes_on_until_end(req) || req->retries < req->limits->max_retries);
}

static int64_t growing_wait(const struct request *req)
{
    int64_t wait_ms = net_backoff_ms(req->repo->registry, req->limits, req->retries + 1);

    return goes_on_until_end(req) && wait_ms > UNTIL_END_WAIT_MAX_MS ? UNTIL_END_WAIT_MAX_MS
                                                                     : wait_ms;
}

/* As long as is wanted (-1: a while that grows), but with time left for a last attempt; negative:
 * there is none. */
static int64_t fit_wait(const struct request *req, int64_t wait_ms)
{
    const struct registry *registry = req->repo->registry;
    int64_t left_ms = req->end_ms - clock_mono_ms();

    if (wait_ms < 0)
        wait_ms = growing_wait(req);
    if (req->longest_wait_ms != 0 && wait_ms > req->longest_wait_ms)
        return -1;
    if (wait_ms > req->limits->max_wait_ms)
        wait_ms = req->limits->max_wait_ms;
    if (req->end_ms == 0 || wait_ms < left_ms)
        return wait_ms;
    left_ms -= registry->options.response_timeout_ms;
    return left_ms > 0 ? left_ms : -1;
}

static void begin_round(struct request *req, int64_t wait_ms)
{
    req->tried = 0;
    req->may_heal = false;
    req->at = NULL;
    req->retries++;
    request_start_later(req, wait_ms);
}

static void note_failure(struct request *req, int code)
{
    if (!is_mirrored(req) && req->at->mirror == NULL)
        return;
    shun(req, code);
    if (req->at == req->repo) {
        req->origin_rc = code;
        req->origin_err = req->err;
    }
}

/* `wait_ms` is for another round, if there is one; negative: there is no time for that. */
static void give_up(struct request *req, int code, int64_t wait_ms)
{
    note_failure(req, code);
    if (has_others(req))
        move_on(req);
    else if (req->may_heal && has_retries_left(req) && wait_ms >= 0)
        begin_round(req, wait_ms);
    else
        finish(req, code);
}

void request_give_up(struct request *req, int code)
{
    if (code == -ECANCELED || code == -ENOMEM)
        request_finish(req, code);
    else
        give_up(req, code, fit_wait(req, -1));
}

/* One that never answered is not waited for while there are others. */
static bool is_worth_waiting_for(const struct request *req, int64_t wait_ms)
{
    return !is_mirrored(req) || (req->failures_here <= RETRIES_HERE_MAX &&
                                 req->answer.status != 0 && wait_ms <= WAIT_HERE_MAX_MS);
}

void request_retry(struct request *req, int code, int64_t wait_ms)
{
    if (req->use_remembered)
        landing_refused(req);
    req->failures++;
    req->failures_here++;
    wait_ms = fit_wait(req, wait_ms);
    if (!has_retries_left(req) || wait_ms < 0 || !is_worth_waiting_for(req, wait_ms)) {
        req->may_heal = true;
        give_up(req, code, wait_ms);
        return;
    }
    log_debug("a request failed, asking again", "host=%s err=%s try=%u wait_ms=%lld", req->at->host,
              err_text(&req->err), req->failures, (long long)wait_ms);
    req->retries++;
    request_start_later(req, wait_ms);
}

/* ---- credentials ----------------------------------------------------------------------------- */

struct registry_repo *endpoint_authority(const struct request *req)
{
    struct registry_repo *other;

    if (req->own_auth)
        return url_same_origin(req->url_now, req->url) ? req->repo : NULL;
    if (url_same_origin(req->url_now, req->at->base))
        return req->at;
    TAILQ_FOREACH(other, &req->repo->elsewhere, elsewhere_link)
    {
        if (url_same_origin(req->url_now, other->base))
            return other;
    }
    return NULL;
}

/* In clear text only to those that were named: who can redirect a request could ask for what is
 * meant for others. */
static bool may_get_credentials(const struct request *req, const char *host)
{
    return text_has_prefix(req->url_now, "https://") || host_is_plain(req->repo->registry, host);
}

struct registry_repo *endpoint_new_authority(struct request *req)
{
    SCOPED(mem) char *host = url_host(req->url_now);
    SCOPED(mem) char *base = NULL;
    struct registry_repo *home = req->repo, *other;

    if (host == NULL || home->keychain.find == NULL || home->elsewhere_count >= ELSEWHERE_MAX ||
        !may_get_credentials(req, host))
        return NULL;
    base = strndup(req->url_now, strcspn(req->url_now, "?#"));
    if (base == NULL || repo_new(home->registry, host, &base, &home->keychain, &other, NULL) < 0)
        return NULL;
    TAILQ_INSERT_TAIL(&home->elsewhere, other, elsewhere_link);
    home->elsewhere_count++;
    return other;
}
