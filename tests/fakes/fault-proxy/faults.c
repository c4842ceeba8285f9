/* SPDX-License-Identifier: Apache-2.0 */
/* faults.c – a right answer, made wrong in one way. */
#include "proxy.h"

#include "base/attr.h"

#include <inttypes.h>
#include <string.h>

enum {
    FOR_EVER_MS = 3600 * 1000,
    OVERTAKE_MS = 20, /* a reset overtakes what was sent before it */
    FLOOD_BYTES = 64 * 1024 * 1024,
};

struct fault_case {
    struct http_exchange *x;
    const struct sockaddr_in *to;
    const char *arg;
    struct right_answer right;
};

/* ---- sending --------------------------------------------------------------------------------- */

/* Everything but the body. */
static void send_head(struct fault_case *c)
{
    SCOPED(buf_value) struct buf head = BUF_EMPTY;
    bool ok = buf_addf(&head, "HTTP/1.1 %d Whatever\r\n", c->right.status) == 0 &&
              (c->right.headers.len == 0 ||
               buf_add(&head, c->right.headers.data, c->right.headers.len) == 0);

    if (ok && c->right.content_range[0] != '\0')
        ok = buf_addf(&head, "Content-Range: %s\r\n", c->right.content_range) == 0;
    if (ok && strcmp(c->x->method, "HEAD") != 0)
        ok = buf_addf(&head, "Content-Length: %zu\r\n", c->right.body.len) == 0;
    if (ok && buf_add_str(&head, "\r\n") == 0)
        http_send(c->x, head.data, head.len);
}

static void send_all(struct fault_case *c)
{
    send_head(c);
    http_send(c->x, c->right.body.data, c->right.body.len);
}

static void send_half(struct fault_case *c)
{
    send_head(c);
    http_send(c->x, c->right.body.data, c->right.body.len / 2);
}

/* ---- the connection breaks, or hardly moves -------------------------------------------------- */

static void reset(struct fault_case *c)
{
    http_cut(c->x);
}

static void reset_body(struct fault_case *c)
{
    send_half(c);
    http_pause(c->x, OVERTAKE_MS);
    http_cut(c->x);
}

static void truncate_body(struct fault_case *c)
{
    send_half(c);
    c->x->close = true;
}

static void delay(struct fault_case *c)
{
    http_pause(c->x, atoi(c->arg));
    send_all(c);
}

static void stall(struct fault_case *c)
{
    send_half(c);
    http_pause(c->x, FOR_EVER_MS);
    c->x->close = true;
}

static void silence(struct fault_case *c)
{
    http_pause(c->x, FOR_EVER_MS);
    c->x->close = true;
}

/* trickle=100: a byte each 100 ms. */
static void trickle(struct fault_case *c)
{
    send_head(c);
    for (size_t i = 0; i < c->right.body.len && !c->x->close; i++) {
        http_send(c->x, c->right.body.data + i, 1);
        http_pause(c->x, atoi(c->arg));
    }
    c->x->close = true;
}

/* ---- other answers --------------------------------------------------------------------------- */

/* status=429,retry=3600 or status=401,basic */
static void status(struct fault_case *c)
{
    const char *retry = strstr(c->arg, "retry="), *basic = strstr(c->arg, "basic");
    char headers[ORDER_WORD_BYTES + 64];

    (void)snprintf(headers, sizeof(headers), "%s%.*s%s%s", retry == NULL ? "" : "Retry-After: ",
                   retry == NULL ? 0 : (int)strcspn(retry + 6, ","), retry == NULL ? "" : retry + 6,
                   retry == NULL ? "" : "\r\n",
                   basic == NULL ? "" : "WWW-Authenticate: Basic realm=\"nowhere\"\r\n");
    http_reply_text(c->x, atoi(c->arg), headers, "{\"errors\":[{\"message\":\"as ordered\"}]}");
}

static void redirect_loop(struct fault_case *c)
{
    char headers[sizeof(c->x->target) + 32];

    (void)snprintf(headers, sizeof(headers), "Location: %s\r\n", c->x->target);
    http_reply_text(c->x, 307, headers, "");
}

static void ask_instead(struct fault_case *c, const char *target, const char *range)
{
    right_answer_fini(&c->right);
    c->right = (struct right_answer){.status = 0};
    if (upstream_ask(c->to, c->x, target, range, &c->right))
        send_all(c);
    else
        http_cut(c->x);
}

static void ignore_range(struct fault_case *c)
{
    ask_instead(c, c->x->target, "");
}

/* other=/v2/…: what is there. */
static void other(struct fault_case *c)
{
    ask_instead(c, c->arg, c->x->range);
}

static void garbage(struct fault_case *c)
{
    http_send_text(c->x, "\x16\x03\x01 this is no HTTP at all\r\n\r\n\x01\x02\x03");
    c->x->close = true;
}

static void endless_headers(struct fault_case *c)
{
    http_send_text(c->x, "HTTP/1.1 200 OK\r\n");
    for (size_t sent = 0; sent < FLOOD_BYTES && !c->x->close; sent += 40)
        http_send_text(c->x, "X-Nothing-In-Particular: aaaaaaaaaaaaa\r\n");
    c->x->close = true;
}

static void endless_body(struct fault_case *c)
{
    static const uint8_t zeros[4096];

    http_send_text(c->x, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (size_t sent = 0; sent < FLOOD_BYTES && !c->x->close; sent += sizeof(zeros)) {
        http_send_text(c->x, "1000\r\n");
        http_send(c->x, zeros, sizeof(zeros));
        http_send_text(c->x, "\r\n");
    }
    c->x->close = true;
}

/* ---- headers that lie ------------------------------------------------------------------------ */

static void shift_range(struct fault_case *c, uint64_t first, uint64_t total)
{
    uint64_t from = 0, to = 0, of = 0;

    if (sscanf(c->right.content_range, "bytes %" SCNu64 "-%" SCNu64 "/%" SCNu64, &from, &to, &of) ==
        3)
        (void)snprintf(c->right.content_range, sizeof(c->right.content_range),
                       "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, from + first, to + first,
                       of + total);
    send_all(c);
}

static void wrong_offset(struct fault_case *c)
{
    shift_range(c, 1, 1);
}

static void wrong_total(struct fault_case *c)
{
    shift_range(c, 0, 1000);
}

static void no_content_range(struct fault_case *c)
{
    c->right.content_range[0] = '\0';
    send_all(c);
}

static void multipart(struct fault_case *c)
{
    struct right_answer *right = &c->right;
    SCOPED(buf_value) struct buf parts = BUF_EMPTY;

    if (buf_addf(&parts,
                 "\r\n--part\r\nContent-Type: application/octet-stream\r\nContent-Range: "
                 "%s\r\n\r\n",
                 right->content_range) < 0 ||
        buf_add(&parts, right->body.data, right->body.len) < 0 ||
        buf_add_str(&parts, "\r\n--part--\r\n") < 0)
        return;
    http_reply(c->x, 206, "Content-Type: multipart/byteranges; boundary=part\r\n",
               buf_bytes(&parts));
}

static void gzip(struct fault_case *c)
{
    if (buf_add_str(&c->right.headers, "Content-Encoding: gzip\r\n") == 0)
        send_all(c);
}

/* ---- bytes that are wrong -------------------------------------------------------------------- */

static void flip(struct fault_case *c)
{
    if (c->right.body.len > 0)
        c->right.body.data[c->right.body.len / 2] ^= 0x10;
    send_all(c);
}

static void zeros(struct fault_case *c)
{
    if (c->right.body.len > 0)
        memset(c->right.body.data, 0, c->right.body.len);
    send_all(c);
}

/* Another blob is at the origin: of another size, with other bytes. */
static void changed(struct fault_case *c)
{
    for (size_t i = 0; i < c->right.body.len; i++)
        c->right.body.data[i] = (uint8_t)(i * 7);
    shift_range(c, 0, 4321);
}

/* ---- all of them ----------------------------------------------------------------------------- */

static const struct {
    const char *name;
    void (*answer)(struct fault_case *c);
} faults[] = {
    {"", send_all},
    {"refuse", reset}, /* main.c closes the listener */
    {"reset", reset},
    {"reset-body", reset_body},
    {"truncate", truncate_body},
    {"delay", delay},
    {"stall", stall},
    {"silence", silence},
    {"trickle", trickle},
    {"status", status},
    {"redirect-loop", redirect_loop},
    {"ignore-range", ignore_range},
    {"other", other},
    {"garbage", garbage},
    {"endless-headers", endless_headers},
    {"endless-body", endless_body},
    {"wrong-offset", wrong_offset},
    {"wrong-total", wrong_total},
    {"no-content-range", no_content_range},
    {"multipart", multipart},
    {"gzip", gzip},
    {"flip", flip},
    {"zeros", zeros},
    {"changed", changed},
};

static size_t find(const char *name)
{
    size_t i;

    for (i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        if (strcmp(faults[i].name, name) == 0)
            break;
    }
    return i;
}

bool fault_is_known(const char *name)
{
    return find(name) < sizeof(faults) / sizeof(faults[0]);
}

void fault_answer(const struct sockaddr_in *to, struct http_exchange *x, const char *name,
                  const char *arg)
{
    struct fault_case c = {.x = x, .to = to, .arg = arg};

    if (upstream_ask(to, x, x->target, x->range, &c.right))
        faults[find(name)].answer(&c);
    else
        http_cut(x);
    right_answer_fini(&c.right);
}
