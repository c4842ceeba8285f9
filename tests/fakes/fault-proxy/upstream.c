/* SPDX-License-Identifier: Apache-2.0 */
/* upstream.c – the real server is asked, and its answer kept whole. HTTP/1.0: its end is the end of
 * the connection. */
#include "proxy.h"

#include "base/text.h"

#include <string.h>
#include <sys/socket.h>

void right_answer_fini(struct right_answer *answer)
{
    buf_fini(&answer->headers);
    buf_fini(&answer->body);
}

static bool ask(int fd, const struct http_exchange *x, const char *target, const char *range)
{
    SCOPED(buf_value) struct buf head = BUF_EMPTY;
    bool ok = buf_addf(&head, "%s %s HTTP/1.0\r\nHost: registry\r\n", x->method, target) == 0;

    if (ok && range[0] != '\0')
        ok = buf_addf(&head, "Range: %s\r\n", range) == 0;
    if (ok && x->accept[0] != '\0')
        ok = buf_addf(&head, "Accept: %s\r\n", x->accept) == 0;
    if (ok && x->user_agent[0] != '\0')
        ok = buf_addf(&head, "User-Agent: %s\r\n", x->user_agent) == 0;
    ok = ok && buf_add_str(&head, "\r\n") == 0;
    return ok && send(fd, head.data, head.len, MSG_NOSIGNAL) == (ssize_t)head.len;
}

static bool read_all(int fd, struct buf *ret)
{
    ssize_t got = 1;

    while (got > 0) {
        if (buf_reserve(ret, 65536) < 0)
            return false;
        got = recv(fd, ret->data + ret->len, 65536, 0);
        if (got > 0)
            ret->len += (size_t)got;
    }
    return got == 0;
}

static bool keep_header(struct right_answer *answer, const char *line)
{
    if (strncasecmp(line, "Content-Length:", 15) == 0 || strncasecmp(line, "Connection:", 11) == 0)
        return true;
    if (strncasecmp(line, "Content-Range: ", 15) == 0)
        return snprintf(answer->content_range, sizeof(answer->content_range), "%s", line + 15) <
               (int)sizeof(answer->content_range);
    return buf_addf(&answer->headers, "%s\r\n", line) == 0;
}

/* A HEAD has no body whose length could be told: its Content-Length is kept as it is. */
static bool take_apart(const struct http_exchange *x, struct buf *all, struct right_answer *ret)
{
    bool is_head = strcmp(x->method, "HEAD") == 0;
    char *text = buf_str(all), *rest = NULL, *line;
    char *end = text == NULL ? NULL : strstr(text, "\r\n\r\n");
    size_t head_len;

    if (end == NULL || sscanf(text, "HTTP/%*s %d", &ret->status) != 1)
        return false;
    head_len = (size_t)(end - text) + 4;
    if (buf_add(&ret->body, all->data + head_len, all->len - head_len) < 0)
        return false;
    *end = '\0';
    (void)strtok_r(text, "\r\n", &rest);
    while ((line = strtok_r(NULL, "\r\n", &rest)) != NULL) {
        bool ok = is_head && strncasecmp(line, "Content-Length:", 15) == 0
                      ? buf_addf(&ret->headers, "%s\r\n", line) == 0
                      : keep_header(ret, line);
        if (!ok)
            return false;
    }
    return true;
}

bool upstream_ask(const struct sockaddr_in *to, const struct http_exchange *x, const char *target,
                  const char *range, struct right_answer *ret)
{
    SCOPED(fd) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    SCOPED(buf_value) struct buf all = BUF_EMPTY;

    return fd >= 0 && connect(fd, (const struct sockaddr *)to, sizeof(*to)) == 0 &&
           ask(fd, x, target, range) && read_all(fd, &all) && take_apart(x, &all, ret);
}
