/* SPDX-License-Identifier: Apache-2.0 */
/* transfer.c – one attempt at a request: what curl is told. */
#include "registry/internal.h"

#include "base/clock.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

/* Big enough that a span is a few dozen callbacks. curl holds it only while a transfer is under
 * way. */
enum { RECEIVE_BUFFER_BYTES = 64 * 1024 };
/* A registry that was sent a blob hashes and stores it before it answers. */
enum { UPLOAD_PATIENCE_MS = 60 * 1000 };

/* A connection whose packets nobody acknowledges (the network has changed under it) is given up by
 * the kernel after this, instead of a quarter of an hour: with HTTP/2 new requests would go on
 * choosing it. */
enum { DEAD_CONNECTION_MS = 10 * 1000 };

static int add_header(struct request *req, const char *name, const char *value)
{
    SCOPED(mem) char *line = text_format("%s: %s", name, value);
    struct curl_slist *longer = line == NULL ? NULL : curl_slist_append(req->headers, line);

    if (longer == NULL)
        return -ENOMEM;
    req->headers = longer;
    return 0;
}

static int add_headers(struct request *req, const char *authorization)
{
    char range[64];
    /* Ranges and digests are of the bytes as they are stored. */
    int rc = add_header(req, "Accept-Encoding", "identity");

    if (rc == 0 && req->accept != NULL)
        rc = add_header(req, "Accept", req->accept);
    if (rc == 0 && req->content_type != NULL)
        rc = add_header(req, "Content-Type", req->content_type);
    if (rc == 0 && authorization != NULL)
        rc = add_header(req, "Authorization", authorization);
    if (rc == 0 && req->ranged) {
        (void)snprintf(range, sizeof(range), "bytes=%llu-%llu",
                       (unsigned long long)req->range_first, (unsigned long long)req->range_last);
        rc = add_header(req, "Range", range);
    }
    /* curl would wait a second for a 100 Continue that many registries never send. */
    return rc == 0 ? add_header(req, "Expect", "") : rc;
}

static bool set_method(CURL *easy, struct request *req)
{
    bool ok = true;

    if (strcmp(req->method, "GET") == 0)
        return curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L) == CURLE_OK;
    if (strcmp(req->method, "HEAD") == 0)
        return curl_easy_setopt(easy, CURLOPT_NOBODY, 1L) == CURLE_OK;
    if (req->body.len > 0) {
        ok &= curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L) == CURLE_OK;
        ok &=
            curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)req->body.len) == CURLE_OK;
    } else if (strcmp(req->method, "DELETE") != 0) {
        ok &= curl_easy_setopt(easy, CURLOPT_POSTFIELDS, "") == CURLE_OK;
        ok &= curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, 0L) == CURLE_OK;
    }
    return ok && curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, req->method) == CURLE_OK;
}

static bool set_address(CURL *easy, struct request *req)
{
    SCOPED(mem) char *host = url_host(req->url_now);
    bool ok = host != NULL;

    ok &= curl_easy_setopt(easy, CURLOPT_URL, req->url_now) == CURLE_OK;
    ok &= curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK;
    ok &= curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L) == CURLE_OK;
    ok &= curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS) == CURLE_OK;
    ok &= curl_easy_setopt(easy, CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE) == CURLE_OK;
    ok &= curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L) == CURLE_OK;
    /* As in Go: a proxy of the environment is for other machines. */
    if (ok && host_is_loopback(host))
        ok = curl_easy_setopt(easy, CURLOPT_PROXY, "") == CURLE_OK;
    return ok;
}

static int on_socket(void *arg, curl_socket_t fd, curlsocktype purpose)
{
    const unsigned patience_ms = DEAD_CONNECTION_MS;

    (void)arg;
    (void)purpose;
    /* An old kernel without it only notices later. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &patience_ms, sizeof(patience_ms));
    return CURL_SOCKOPT_OK;
}

/* 0: as long as it takes, while something moves. */
static int64_t timeout_ms(const struct request *req)
{
    const struct mirror *mirror = req->at->mirror;

    if (mirror == NULL || mirror->timeout_ms == 0)
        return req->limits->timeout_ms;
    return mirror->timeout_ms < 0 ? 0 : mirror->timeout_ms;
}

/* Bytes that come so slowly for so long are no answer: another connection may be better, and goes
 * on where this one was. Nothing for a shorter time is noticed by net.c. */
enum { CRAWL_BYTES_PER_S = 1000, CRAWL_PATIENCES = 3 };

static bool set_slowest(CURL *easy, const struct request *req)
{
    int64_t patience_ms = req->repo->registry->options.response_timeout_ms;
    long seconds = (long)((CRAWL_PATIENCES * patience_ms + 999) / 1000);

    if (req->body.len > 0) /* while it stores what it was sent it says nothing */
        return true;
    return curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, (long)CRAWL_BYTES_PER_S) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, seconds) == CURLE_OK;
}

static bool set_limits(CURL *easy, const struct request *req)
{
    const struct registry_options *options = &req->repo->registry->options;
    bool ok = true;

    ok &= curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)options->dial_timeout_ms) ==
          CURLE_OK;
    ok &= curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)timeout_ms(req)) == CURLE_OK;
    ok &= set_slowest(easy, req);
    ok &= curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) == CURLE_OK;
    /* Do not wait for a name server when a look-up is given up. */
    ok &= curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L) == CURLE_OK;
    ok &= curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L) == CURLE_OK;
    ok &= curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, on_socket) == CURLE_OK;
    ok &= curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, req->has_stalled ? 1L : 0L) == CURLE_OK;
    ok &= curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, (long)RECEIVE_BUFFER_BYTES) == CURLE_OK;
    return ok;
}

static bool set_all(struct request *req)
{
    const struct registry *registry = req->repo->registry;

    return curl_easy_setopt(req->easy, CURLOPT_HTTPHEADER, req->headers) == CURLE_OK &&
           set_method(req->easy, req) && set_address(req->easy, req) &&
           set_limits(req->easy, req) && callbacks_set(req) &&
           curl_easy_setopt(req->easy, CURLOPT_USERAGENT, registry->user_agent) == CURLE_OK;
}

static void forget_last_attempt(struct request *req)
{
    answer_fini(&req->answer);
    req->refusal.len = 0;
    req->refusal_read = 0;
    req->rc = 0;
    req->is_sent = req->has_begun = req->is_enough = req->is_paused = false;
    req->body_sent = 0;
    req->curl_error[0] = '\0';
    req->active_ms = clock_mono_ms();
}

int transfer_start(struct request *req, const char *authorization, struct err *err)
{
    struct registry *registry = req->repo->registry;

    forget_last_attempt(req);
    req->easy =
        registry->idle_count > 0 ? registry->idle[--registry->idle_count] : curl_easy_init();
    if (req->easy == NULL || add_headers(req, authorization) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    if (!set_all(req))
        return err_set(err, -EINVAL, "libcurl does not take the request");
    if (text_has_prefix(req->url_now, "https://")) {
        int rc = roots_use(registry, req->easy, err);
        if (rc < 0)
            return rc;
    }
    if (curl_multi_add_handle(registry->multi, req->easy) != CURLM_OK)
        return err_set(err, -ENOMEM, "libcurl does not start");
    return 0;
}

/* One that was taken back while it waited for a connection (there are so many to a host) keeps its
 * buffer, also through a reset, and curl then refuses to be told of its size ever again. */
static bool is_like_new(CURL *easy)
{
    return curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, (long)RECEIVE_BUFFER_BYTES) == CURLE_OK;
}

/* Removing a handle that was never added is fine. An attempt cut off in the middle costs its
 * connection. */
void transfer_stop(struct request *req)
{
    struct registry *registry = req->repo->registry;

    if (req->easy != NULL) {
        (void)curl_multi_remove_handle(registry->multi, req->easy);
        curl_easy_reset(req->easy);
        if (registry->idle_count < REGISTRY_IDLE_MAX && is_like_new(req->easy))
            registry->idle[registry->idle_count++] = req->easy;
        else
            curl_easy_cleanup(req->easy);
    }
    req->easy = NULL;
    curl_slist_free_all(req->headers);
    req->headers = NULL;
}

int64_t transfer_patience_ms(const struct request *req)
{
    int64_t patience_ms = req->repo->registry->options.response_timeout_ms;

    return req->body.len > 0 && patience_ms < UPLOAD_PATIENCE_MS ? UPLOAD_PATIENCE_MS : patience_ms;
}
