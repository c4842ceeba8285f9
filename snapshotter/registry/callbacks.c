/* SPDX-License-Identifier: Apache-2.0 */
/* callbacks.c – what curl hands over during an attempt: headers into the answer, the body to who
 * asked. */
#include "registry/internal.h"

#include "base/clock.h"

#include <errno.h>

static void touch(struct request *req)
{
    req->active_ms = clock_mono_ms();
}

static int refuse(struct request *req, int rc, const char *why)
{
    if (req->rc >= 0)
        req->rc = err_set(&req->err, rc, "%s", why);
    return -1;
}

/* Connected, and about to send: from here on the registry's patience counts. */
static int on_prerequest(void *arg, char *to_ip, char *from_ip, int to_port, int from_port)
{
    struct request *req = arg;

    (void)to_ip;
    (void)from_ip;
    (void)to_port;
    (void)from_port;
    req->is_sent = true;
    touch(req);
    return CURL_PREREQFUNC_OK;
}

static size_t on_header(char *data, size_t size, size_t count, void *arg)
{
    struct request *req = arg;
    size_t len = size * count;
    int rc;

    touch(req);
    if (req->has_begun)
        return len; /* a trailer */
    rc = answer_add_line(&req->answer, bytes_of(data, len));
    if (rc == 0)
        return len;
    (void)refuse(req, rc, rc == -ENOMEM ? "out of memory" : "the headers make no sense");
    return 0;
}

/* The body of an answer that is no success: its start, for the message. */
static size_t keep_refusal(struct request *req, struct bytes body)
{
    size_t room = REFUSAL_MAX_BYTES - req->refusal.len;

    if (buf_add(&req->refusal, body.data, body.len < room ? body.len : room) < 0)
        return 0;
    req->refusal_read += body.len;
    return req->refusal_read > REFUSAL_READ_BYTES ? 0 : body.len;
}

static size_t on_body(char *data, size_t size, size_t count, void *arg)
{
    struct request *req = arg;
    struct bytes body = bytes_of(data, size * count);
    int rc = 0;

    touch(req);
    if (req->answer.status < 200 || req->answer.status > 299)
        return keep_refusal(req, body);
    if (!req->has_begun) {
        req->has_begun = true;
        rc = req->kind->begin(req, &req->err);
        if (rc == 0)
            landing_learn(req);
    }
    if (rc == 0)
        rc = req->kind->add(req, body, &req->err);
    if (rc == REQUEST_NO_ROOM) {
        req->is_paused = true;
        return CURL_WRITEFUNC_PAUSE;
    }
    if (rc == REQUEST_ENOUGH)
        req->is_enough = true;
    else if (rc < 0)
        req->rc = rc;
    return rc == 0 ? body.len : 0;
}

static size_t on_send(char *data, size_t size, size_t count, void *arg)
{
    struct request *req = arg;
    size_t left = req->body.len - req->body_sent;
    size_t len = size * count < left ? size * count : left;

    touch(req);
    if (len > 0)
        memcpy(data, req->body.data + req->body_sent, len);
    req->body_sent += len;
    return len;
}

/* curl sends again by itself when a kept connection turns out to be closed. */
static int on_seek(void *arg, curl_off_t off, int origin)
{
    struct request *req = arg;

    if (origin != SEEK_SET || off < 0 || (uint64_t)off > req->body.len)
        return CURL_SEEKFUNC_FAIL;
    req->body_sent = (size_t)off;
    return CURL_SEEKFUNC_OK;
}

bool callbacks_set(struct request *req)
{
    CURL *easy = req->easy;
    bool ok = true;

    ok &= curl_easy_setopt(easy, CURLOPT_PRIVATE, req) == CURLE_OK;
    ok &= curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, req->curl_error) == CURLE_OK;
    ok &= curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_prerequest) == CURLE_OK;
    ok &= curl_easy_setopt(easy, CURLOPT_PREREQDATA, req) == CURLE_OK;
    ok &= curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header) == CURLE_OK;
    ok &= curl_easy_setopt(easy, CURLOPT_HEADERDATA, req) == CURLE_OK;
    ok &= curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK;
    ok &= curl_easy_setopt(easy, CURLOPT_WRITEDATA, req) == CURLE_OK;
    ok &= curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_send) == CURLE_OK;
    ok &= curl_easy_setopt(easy, CURLOPT_READDATA, req) == CURLE_OK;
    ok &= curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, on_seek) == CURLE_OK;
    ok &= curl_easy_setopt(easy, CURLOPT_SEEKDATA, req) == CURLE_OK;
    return ok;
}
