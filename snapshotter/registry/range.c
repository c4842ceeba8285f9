/* SPDX-License-Identifier: Apache-2.0 */
/* range.c – byte ranges of a blob: many at once, each told of when it is there. */
#include "registry/internal.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>

/* A registry that ignores ranges sends the whole layer for each: worth a word now and then. */
enum { WHOLE_BODY_LOG_PERIOD_MS = 60 * 1000 };

TAILQ_HEAD(range_list, range_request);

struct registry_blob {
    struct registry_repo *repo; /* fixed, counted */
    char *url;                  /* fixed */
    char *path;                 /* fixed: the same below a repository */
    uint64_t size_bytes;        /* fixed; 0: not known */
    struct landing *landings;   /* network thread: at each endpoint */
    struct range_list ranges;   /* lock: until their done() has returned */
    bool closing;               /* lock */
};

struct range_request {
    struct request req;
    struct registry_blob *blob;
    struct registry_fetch *fetch;
    uint64_t skip;  /* bytes of a whole body before those that were asked for */
    int64_t end_ms; /* of the fetch; until a byte came the request's may be earlier */
    bool is_in_parts;
    struct multipart parts; /* of a body in parts; its boundary is the answer's */
    TAILQ_ENTRY(range_request) blob_link;
};

static struct range_request *of(struct request *req)
{
    return (struct range_request *)(void *)((char *)req - offsetof(struct range_request, req));
}

/* ---- what comes ------------------------------------------------------------------------------ */

static int check_range(const struct range_request *range, const struct content_range *got,
                       struct err *err)
{
    const struct request *req = &range->req;

    if (got->first != req->range_first || got->last > req->range_last)
        return err_set(err, -EPROTO, "bytes %llu-%llu when %llu-%llu were asked for",
                       (unsigned long long)got->first, (unsigned long long)got->last,
                       (unsigned long long)req->range_first, (unsigned long long)req->range_last);
    if (range->blob->size_bytes != 0 && got->total != UINT64_MAX &&
        got->total != range->blob->size_bytes)
        return err_set(err, -EBADMSG, "%llu bytes in all, %llu were promised",
                       (unsigned long long)got->total, (unsigned long long)range->blob->size_bytes);
    return 0;
}

/* Some answer in parts though one was asked for. */
static bool is_in_parts(const struct answer *answer)
{
    return answer->content_range == NULL && answer->content_type != NULL &&
           text_equal_nocase(answer->content_type, "multipart/byteranges") &&
           answer->boundary != NULL && *answer->boundary != '\0';
}

static int begin_part(struct range_request *range, struct err *err)
{
    const struct answer *answer = &range->req.answer;
    struct content_range got;

    range->skip = 0;
    range->is_in_parts = is_in_parts(answer);
    if (range->fetch->take != NULL)
        return err_set(err, -EPROTO, "a part when none was asked for");
    if (range->is_in_parts) {
        multipart_init(&range->parts, answer->boundary);
        return 0;
    }
    if (answer->content_range == NULL || content_range_parse(answer->content_range, &got) < 0)
        return err_set(err, -EPROTO, "a part that does not say which");
    return check_range(range, &got, err);
}

static bool is_all(const struct range_request *range)
{
    return range->req.range_first == 0 && range->req.range_last + 1 == range->blob->size_bytes;
}

static int begin_whole(struct range_request *range, struct err *err)
{
    static struct log_limit limit = LOG_LIMIT_START;
    const struct answer *answer = &range->req.answer;

    if (answer->has_content_length && answer->content_length <= range->req.range_last)
        return err_set(err, -EBADMSG, "%llu bytes in all, %llu and more were promised",
                       (unsigned long long)answer->content_length,
                       (unsigned long long)range->req.range_last + 1);
    if (range->blob->size_bytes != 0 && answer->has_content_length &&
        answer->content_length != range->blob->size_bytes)
        return err_set(err, -EBADMSG, "%llu bytes in all, %llu were promised",
                       (unsigned long long)answer->content_length,
                       (unsigned long long)range->blob->size_bytes);
    if (range->fetch->ranges_only && !is_all(range))
        return err_set(err, -EOPNOTSUPP, "the registry ignores ranges");
    if (!is_all(range) && log_limit_pass(&limit, WHOLE_BODY_LOG_PERIOD_MS))
        log_warn("the registry ignores ranges, reading past what is not wanted", "host=%s",
                 range->req.at->host);
    range->skip = range->req.range_first;
    range->is_in_parts = false;
    return 0;
}

static int begin(struct request *req, struct err *err)
{
    if (req->answer.is_encoded)
        return err_set(err, -EPROTO, "the body is compressed although that was declined");
    if (req->answer.status == 206)
        return begin_part(of(req), err);
    if (req->answer.status == 200)
        return begin_whole(of(req), err);
    return err_set(err, -EPROTO, "status %d for a range", req->answer.status);
}

static struct bytes skip_front(struct range_request *range, struct bytes body)
{
    uint64_t skipped = range->skip < body.len ? range->skip : body.len;

    range->skip -= skipped;
    return bytes_of(body.data + skipped, body.len - skipped);
}

static void keep(struct request *req, struct bytes bytes)
{
    struct registry_fetch *fetch = of(req)->fetch;

    if (bytes.len > 0 && fetch->take == NULL)
        memcpy(fetch->buf + (req->range_first - fetch->off), bytes.data, bytes.len);
    req->range_first += bytes.len;
    req->end_ms = of(req)->end_ms;
    /* A part ends by itself, and its connection is good for more; whatever happens to it when all
     * is there does not matter. */
    req->is_enough = req->range_first > req->range_last;
    if (fetch->progress != NULL && bytes.len > 0)
        fetch->progress(fetch, bytes.len);
}

static int keep_part(void *arg, const struct content_range *part, struct bytes bytes,
                     struct err *err)
{
    struct range_request *range = arg;
    int rc = check_range(range, part, err);

    if (rc == 0)
        keep(&range->req, bytes);
    return rc;
}

/* What is not taken comes again, with what was before it. */
static int hand_over(struct range_request *range, struct bytes body, struct bytes wanted)
{
    size_t taken = wanted.len == 0 ? 0 : range->fetch->take(range->fetch, wanted);

    keep(&range->req, bytes_of(wanted.data, taken));
    if (taken == wanted.len)
        return 0;
    range->skip = (uint64_t)(wanted.data - body.data) + taken;
    return REQUEST_NO_ROOM;
}

static int add(struct request *req, struct bytes body, struct err *err)
{
    struct range_request *range = of(req);
    struct multipart_sink sink = {.part = keep_part, .arg = range};
    struct bytes wanted = skip_front(range, body);
    uint64_t left = req->range_last + 1 - req->range_first;

    if (range->is_in_parts)
        return multipart_add(&range->parts, body, &sink, err);
    if (wanted.len > left) {
        if (req->answer.status == 206)
            return err_set(err, -EPROTO, "more bytes than were asked for");
        wanted.len = (size_t)left;
    }
    if (range->fetch->take != NULL) {
        int rc = hand_over(range, body, wanted);
        if (rc != 0)
            return rc;
    } else {
        keep(req, wanted);
    }
    return req->is_enough && req->answer.status == 200 ? REQUEST_ENOUGH : 0;
}

static bool is_complete(const struct request *req)
{
    return req->range_first > req->range_last;
}

static void leave_blob(struct range_request *range)
{
    struct registry *registry = range->req.repo->registry;
    LOCKED(&registry->lock);

    TAILQ_REMOVE(&range->blob->ranges, range, blob_link);
    if (range->blob->closing)
        (void)pthread_cond_broadcast(&registry->settled);
}

static void done(struct request *req, int rc, const struct err *err)
{
    struct range_request *range = of(req);
    struct registry_fetch *fetch = range->fetch;

    fetch->done(fetch, rc, err); /* the fetch may be gone, or be asked for again */
    leave_blob(range);           /* the blob may be gone */
    request_fini(req);
    free(range);
}

static const struct request_kind range_kind = {
    .begin = begin,
    .add = add,
    .is_complete = is_complete,
    .done = done,
};

/* ---- asking ---------------------------------------------------------------------------------- */

int registry_blob_open(struct registry_repo *repo, const struct digest *digest, uint64_t size_bytes,
                       struct registry_blob **ret, struct err *err)
{
    SCOPED(mem) char *path = NULL;
    SCOPED(mem) char *url = NULL;
    SCOPED(mem) struct landing *landings = calloc(repo->mirror_count + 1, sizeof(*landings));
    SCOPED(mem) struct registry_blob *blob = calloc(1, sizeof(*blob));
    char text[DIGEST_TEXT_BYTES];

    digest_format(digest, text);
    path = text_format("blobs/%s", text);
    url = text_format("%s/blobs/%s", repo->base, text);
    if (path == NULL || url == NULL || landings == NULL || blob == NULL)
        return err_set(err, -ENOMEM, "blob %s: out of memory", text);
    blob->path = TAKE(path);
    blob->url = TAKE(url);
    blob->landings = TAKE(landings);
    blob->repo = registry_repo_ref(repo);
    blob->size_bytes = size_bytes;
    TAILQ_INIT(&blob->ranges);
    *ret = TAKE(blob);
    return 0;
}

static void cancel_all(struct registry_blob *blob)
{
    struct registry *registry = blob->repo->registry;
    struct range_request *range;
    LOCKED(&registry->lock);

    blob->closing = true;
    TAILQ_FOREACH(range, &blob->ranges, blob_link)
    {
        request_cancel_locked(&range->req);
    }
    while (!TAILQ_EMPTY(&blob->ranges))
        (void)pthread_cond_wait(&registry->settled, &registry->lock);
}

void registry_blob_close(struct registry_blob *blob)
{
    if (blob == NULL)
        return;
    cancel_all(blob);
    for (size_t i = 0; i <= blob->repo->mirror_count; i++)
        landing_fini(&blob->landings[i]);
    registry_repo_unref(blob->repo);
    free(blob->landings);
    free(blob->path);
    free(blob->url);
    free(blob);
}

static int enter_blob(struct registry_blob *blob, struct range_request *range)
{
    LOCKED(&blob->repo->registry->lock);

    if (blob->closing)
        return -ECANCELED;
    TAILQ_INSERT_TAIL(&blob->ranges, range, blob_link);
    return 0;
}

static int64_t first_end_ms(const struct range_request *range)
{
    int64_t silence_ms = range->fetch->silence_ms;

    if (silence_ms == 0 || (range->end_ms != 0 && silence_ms >= range->fetch->budget_ms))
        return range->end_ms;
    return clock_mono_ms() + silence_ms;
}

int registry_blob_fetch(struct registry_blob *blob, struct registry_fetch *fetch, struct err *err)
{
    SCOPED(mem) struct range_request *range = NULL;
    uint64_t end;

    if (fetch->len == 0 || __builtin_add_overflow(fetch->off, fetch->len, &end) ||
        (blob->size_bytes != 0 && end > blob->size_bytes))
        return err_set(err, -EINVAL, "range past the end of the blob");
    range = calloc(1, sizeof(*range));
    if (range == NULL)
        return err_set(err, -ENOMEM, "range: out of memory");
    range->blob = blob;
    range->fetch = fetch;
    range->req.kind = &range_kind;
    range->req.repo = blob->repo;
    range->req.method = "GET";
    range->req.url = blob->url;
    range->req.path = fetch->from_origin ? NULL : blob->path;
    range->req.limits = fetch->take != NULL ? &blob->repo->registry->all_limits
                                            : &blob->repo->registry->blob_limits;
    range->req.longest_wait_ms = fetch->longest_wait_ms;
    range->end_ms = fetch->budget_ms > 0 ? clock_mono_ms() + fetch->budget_ms : 0;
    range->req.end_ms = first_end_ms(range);
    range->req.until_end = fetch->is_awaited && fetch->budget_ms > 0 &&
                           blob->repo->registry->options.blob_until_budget;
    range->req.ranged = fetch->take == NULL;
    range->req.range_first = fetch->off;
    range->req.range_last = fetch->off + fetch->len - 1;
    range->req.landings = blob->landings;
    if (enter_blob(blob, range) < 0)
        return err_set(err, -ECANCELED, "the blob is being closed");
    request_submit(&TAKE(range)->req);
    return 0;
}

/* By comparing addresses: the fetch may have ended meanwhile, and its storage may be gone. */
void registry_fetch_cancel(struct registry_blob *blob, struct registry_fetch *fetch)
{
    struct range_request *range;
    LOCKED(&blob->repo->registry->lock);

    TAILQ_FOREACH(range, &blob->ranges, blob_link)
    {
        if (range->fetch == fetch)
            request_cancel_locked(&range->req);
    }
}

void registry_fetch_resume(struct registry_blob *blob, const struct registry_fetch *fetch)
{
    struct registry *registry = blob->repo->registry;
    struct range_request *range;
    LOCKED(&registry->lock);

    TAILQ_FOREACH(range, &blob->ranges, blob_link)
    {
        if (range->fetch != fetch)
            continue;
        range->req.resume = true;
        registry->resume_asked = true;
        (void)curl_multi_wakeup(registry->multi);
    }
}
