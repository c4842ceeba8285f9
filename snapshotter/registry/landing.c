/* SPDX-License-Identifier: Apache-2.0 */
/* landing.c – where redirects led, so that the next requests go there at once.
 *
 * Such an address is often signed for a while only. Before that has passed one request asks the
 * registry anew, while the others go on with the old one; when it has passed, or was refused, they
 * wait for that one, so that many at once cost the registry one question. Only in vain do they wait
 * once: when the one fails, each asks for itself. */
#include "registry/internal.h"

#include "base/clock.h"

#include <errno.h>

/* Of a signed address's life is left, when it is renewed: an eighth, at most: */
enum { RENEW_BEFORE_MAX_MS = 10 * 1000 };
/* The clock in the query has whole seconds, and a request takes a moment to get there. */
enum { DEAD_BEFORE_MS = 100 };
/* Refused more often than this, a request does not listen to others any more. */
enum { REFUSALS_MAX = 1 };

void landing_fini(struct landing *landing)
{
    free(TAKE(landing->url));
}

static bool is_usable(const struct request *req, int64_t now_ms)
{
    const struct landing *landing = req->landing;

    return landing->url != NULL && req->landing_refusals <= REFUSALS_MAX &&
           now_ms < landing->dead_ms;
}

int landing_choose(struct request *req, const char **ret)
{
    struct landing *landing = req->landing;
    int64_t now_ms = clock_mono_ms();
    bool is_asked;

    *ret = request_first_url(req);
    req->use_remembered = false;
    if (landing == NULL)
        return 0;
    is_asked = landing->resolver != NULL;
    if (is_usable(req, now_ms) && (now_ms < landing->renew_ms || is_asked)) {
        req->use_remembered = true;
        *ret = landing->url;
        return 0;
    }
    if (is_asked && req->landing_refusals <= REFUSALS_MAX) {
        req->state = REQUEST_LANDING;
        return 1;
    }
    if (landing->leads_away && !is_asked)
        landing->resolver = req;
    return 0;
}

/* In the next turn of the network thread: this may be inside of a callback of curl's. */
static void wake(struct registry *registry, const struct landing *landing)
{
    struct request *req;

    TAILQ_FOREACH(req, &registry->live, link)
    {
        if (req->state != REQUEST_LANDING || req->landing != landing)
            continue;
        req->state = REQUEST_WAITING;
        req->due_ms = 0;
    }
}

void landing_leave(struct request *req)
{
    struct landing *landing = req->landing;

    if (landing == NULL || landing->resolver != req)
        return;
    landing->resolver = NULL;
    landing->leads_away = false; /* as far as is known: nobody waits for the next */
    wake(req->repo->registry, landing);
}

/* By the clock of who signed it, if that is known. */
static void set_life(struct landing *landing, const struct request *req)
{
    int64_t now_s = req->redirected_s != 0 ? req->redirected_s : clock_wall_ms() / 1000;
    int64_t life_s = presigned_life_s(req->url_now, now_s);
    int64_t early_ms = life_s * 1000 / 8;

    landing->renew_ms = landing->dead_ms = INT64_MAX;
    if (life_s <= 0)
        return; /* until it is refused */
    if (early_ms > RENEW_BEFORE_MAX_MS)
        early_ms = RENEW_BEFORE_MAX_MS;
    landing->dead_ms = req->redirected_ms + life_s * 1000 - DEAD_BEFORE_MS;
    landing->renew_ms = req->redirected_ms + life_s * 1000 - early_ms;
}

/* Redirects are worth remembering once they led to bytes. */
void landing_learn(struct request *req)
{
    struct landing *landing = req->landing;

    if (landing == NULL || req->use_remembered)
        return;
    free(landing->url);
    landing->url =
        req->redirects == 0 ? NULL : strdup(req->url_now); /* no memory: not remembered */
    landing->leads_away = req->redirects > 0;
    set_life(landing, req);
    if (landing->resolver == req)
        landing->resolver = NULL;
    wake(req->repo->registry, landing);
}

/* Where the registry last said the blob is has failed: ask it again, unless another has already. */
void landing_refused(struct request *req)
{
    struct landing *landing = req->landing;

    req->landing_refusals++;
    req->use_remembered = false;
    if (landing->url != NULL && strcmp(landing->url, req->url_now) == 0)
        free(TAKE(landing->url));
}
