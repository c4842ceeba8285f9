/* SPDX-License-Identifier: Apache-2.0 */
/* exchange.c – answers, good and bad. */
#include "http_server.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

void http_send(struct http_exchange *x, const void *data, size_t len)
{
    const char *at = data;

    while (len > 0) {
        ssize_t sent = send(x->fd, at, len, MSG_NOSIGNAL);
        if (sent <= 0) {
            x->close = true; /* the client has gone; the test sees to whether it should have */
            return;
        }
        at += sent;
        len -= (size_t)sent;
    }
}

void http_send_text(struct http_exchange *x, const char *text)
{
    http_send(x, text, strlen(text));
}

void http_reply(struct http_exchange *x, int status, const char *headers, struct bytes body)
{
    SCOPED(buf_value) struct buf answer = BUF_EMPTY;
    bool head = strcmp(x->method, "HEAD") == 0;

    if (buf_addf(&answer, "HTTP/1.1 %d Whatever\r\n%sContent-Length: %zu\r\n\r\n", status,
                 headers == NULL ? "" : headers, body.len) < 0 ||
        (!head && buf_add(&answer, body.data, body.len) < 0))
        x->close = true;
    else
        http_send(x, answer.data, answer.len);
}

void http_reply_text(struct http_exchange *x, int status, const char *headers, const char *text)
{
    http_reply(x, status, headers, bytes_of_str(text));
}

bool http_range(const struct http_exchange *x, size_t *ret_first, size_t *ret_last)
{
    char *end;

    if (strncmp(x->range, "bytes=", 6) != 0)
        return false;
    *ret_first = strtoul(x->range + 6, &end, 10);
    if (*end != '-')
        return false;
    *ret_last = strtoul(end + 1, &end, 10);
    return *end == '\0';
}

void http_reply_range(struct http_exchange *x, struct bytes whole)
{
    size_t first, last;
    char header[128];

    if (!http_range(x, &first, &last)) {
        http_reply(x, 200, NULL, whole);
        return;
    }
    if (first >= whole.len) {
        http_reply_text(x, 416, NULL, "");
        return;
    }
    if (last >= whole.len)
        last = whole.len - 1;
    (void)snprintf(header, sizeof(header), "Content-Range: bytes %zu-%zu/%zu\r\n", first, last,
                   whole.len);
    http_reply(x, 206, header, bytes_of(whole.data + first, last - first + 1));
}

void http_cut(struct http_exchange *x)
{
    const struct linger reset = {.l_onoff = 1, .l_linger = 0};

    (void)setsockopt(x->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    x->close = true;
}

bool http_target_has(const struct http_exchange *x, const char *part)
{
    return strstr(x->target, part) != NULL;
}
