/* SPDX-License-Identifier: Apache-2.0 */
/* http.c – as much of HTTP/1.1 (RFC 9112) as GET /metrics takes: the head of a request, which
 * anybody may have sent, and the head of an answer. Fed bytes; no socket here. */
#include "metrics/internal.h"

#include "base/text.h"

#include <inttypes.h>

static const struct {
    unsigned status;
    const char *reason;
} reasons[] = {
    {200, "OK"},
    {400, "Bad Request"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {505, "HTTP Version Not Supported"},
};

/* ---- requests -------------------------------------------------------------------------------- */

/* The next line without its end, CR LF or LF. False: it is not whole yet. */
static bool next_line(struct bytes *in, struct bytes *ret)
{
    const uint8_t *end = in->len == 0 ? NULL : memchr(in->data, '\n', in->len);
    size_t len;

    if (end == NULL)
        return false;
    len = (size_t)(end - in->data);
    *ret = bytes_of(in->data, len > 0 && end[-1] == '\r' ? len - 1 : len);
    *in = bytes_of(end + 1, in->len - len - 1);
    return true;
}

/* Up to the next space, which is skipped; all that is left when there is none, and *line has no
 * data then. */
static struct bytes next_word(struct bytes *line)
{
    const uint8_t *space = line->len == 0 ? NULL : memchr(line->data, ' ', line->len);
    size_t len = space == NULL ? line->len : (size_t)(space - line->data);
    struct bytes word = bytes_of(line->data, len);

    *line = space == NULL ? bytes_of(NULL, 0) : bytes_of(space + 1, line->len - len - 1);
    return word;
}

static bool has_prefix(struct bytes text, const char *prefix)
{
    size_t len = strlen(prefix);

    return text.len >= len && memcmp(text.data, prefix, len) == 0;
}

static bool is_clean(struct bytes text)
{
    for (size_t i = 0; i < text.len; i++) {
        if ((text.data[i] < ' ' && text.data[i] != '\t') || text.data[i] == 0x7f)
            return false;
    }
    return true;
}

/* "/metrics", perhaps with a query; perhaps with the scheme and host that proxies are sent. */
static bool is_metrics(struct bytes target)
{
    const uint8_t *end;

    if (has_prefix(target, "http://")) {
        target = bytes_of(target.data + 7, target.len - 7);
        end = target.len == 0 ? NULL : memchr(target.data, '/', target.len);
        if (end == NULL)
            return false;
        target = bytes_of(end, target.len - (size_t)(end - target.data));
    }
    end = target.len == 0 ? NULL : memchr(target.data, '?', target.len);
    if (end != NULL)
        target.len = (size_t)(end - target.data);
    return bytes_equal(target, bytes_of_str("/metrics"));
}

static unsigned status_of_line(struct bytes line)
{
    struct bytes method = next_word(&line), target = next_word(&line), version = next_word(&line);

    if (method.len == 0 || target.len == 0 || line.data != NULL || !has_prefix(version, "HTTP/"))
        return 400;
    if (!has_prefix(version, "HTTP/1.") || version.len != strlen("HTTP/1.1"))
        return 505;
    if (!is_metrics(target))
        return 404;
    return bytes_equal(method, bytes_of_str("GET")) ? 200 : 405;
}

unsigned metrics_http_status(struct bytes request)
{
    bool is_too_long = request.len >= METRICS_REQUEST_MAX_BYTES;
    struct bytes first, line;
    unsigned status;

    if (!next_line(&request, &first))
        return is_too_long ? 431 : 0;
    if (!is_clean(first))
        return 400;
    status = status_of_line(first);
    if (status == 400)
        return status;
    while (next_line(&request, &line)) {
        if (line.len == 0)
            return status;
        if (!is_clean(line) || memchr(line.data, ':', line.len) == NULL)
            return 400;
    }
    return is_too_long ? 431 : 0;
}

/* ---- answers --------------------------------------------------------------------------------- */

static const char *reason_of(unsigned status)
{
    for (size_t i = 0; i < ARRAY_LEN(reasons); i++) {
        if (reasons[i].status == status)
            return reasons[i].reason;
    }
    return "";
}

int metrics_http_head(unsigned status, size_t body_bytes, struct buf *ret)
{
    const char *reason = reason_of(status);
    bool is_ok = status == 200;

    return buf_addf(ret,
                    "HTTP/1.1 %u %s\r\n"
                    "Content-Type: text/plain; %scharset=utf-8\r\n"
                    "Content-Length: %zu\r\n"
                    "%s"
                    "Connection: close\r\n"
                    "\r\n"
                    "%s%s",
                    status, reason, is_ok ? "version=0.0.4; " : "",
                    is_ok ? body_bytes : strlen(reason) + 1, status == 405 ? "Allow: GET\r\n" : "",
                    is_ok ? "" : reason, is_ok ? "" : "\n");
}
