/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_answer.c – what a registry or a token realm may send: header lines into an answer, and the
 * values in them that have a grammar (challenges, ranges, dates, links, locations, until when these
 * are signed), then the body as a token, as a refusal, as what a credential helper printed, as
 * base64 and in parts. A location is also taken for a mirror of somebody's configuration. */
#include "registry/internal.h"

#include "registry/keychain.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool condition)
{
    if (!condition)
        abort();
}

/* Where a redirect leads is http or https, never down from https, and shown without a query. */
static void try_location(const char *location)
{
    SCOPED(mem) char *url = NULL;
    SCOPED(mem) char *shown = NULL;

    if (url_resolve("https://registry.example/v2/a/blobs/b", location, &url, NULL) < 0)
        return;
    must(text_has_prefix(url, "https://"));
    shown = url_plain(url);
    must(shown != NULL && strpbrk(shown, "?#") == NULL);
    (void)url_same_origin(url, "https://registry.example/");
}

static void try_signature(const char *location)
{
    int64_t life_s = presigned_life_s(location, 1700000000);

    must(life_s == -1 || (life_s > 0 && life_s <= 7 * 24 * 3600));
}

/* What is accepted is an address to which a path can be appended. */
static void try_mirror(const char *url)
{
    const struct registry_mirror mirror = {.host = "registry.example", .url = url};
    SCOPED(mem) char *base = NULL;

    if (mirror_base_parse(&mirror, &base, NULL) < 0)
        return;
    must(text_has_prefix(base, "http://") || text_has_prefix(base, "https://"));
    must(strpbrk(base, "?#@ ") == NULL && !text_has_suffix(base, "/"));
}

static void try_values(const struct answer *answer)
{
    SCOPED(mem) char *next = answer->link == NULL ? NULL : link_next(answer->link);
    struct content_range range;

    if (answer->content_range != NULL && content_range_parse(answer->content_range, &range) == 0)
        must(range.first <= range.last && range.last < range.total);
    if (answer->location != NULL) {
        try_location(answer->location);
        try_signature(answer->location);
        try_mirror(answer->location);
    }
    if (next != NULL)
        try_location(next);
    if (answer->challenge.realm != NULL)
        try_location(answer->challenge.realm);
    must(answer->status == 0 || (answer->status >= 100 && answer->status <= 599));
}

struct part_sum {
    uint64_t hash, count;
};

static int add_part(void *arg, const struct content_range *range, struct bytes bytes,
                    struct err *err)
{
    struct part_sum *sum = arg;

    (void)err;
    must(range->first <= range->last && bytes.len > 0 &&
         bytes.len - 1 <= range->last - range->first);
    for (size_t i = 0; i < bytes.len; i++)
        sum->hash = (sum->hash ^ bytes.data[i] ^ (range->first + i)) * UINT64_C(1099511628211);
    sum->count += bytes.len;
    return 0;
}

/* The same comes out however the body is cut. */
static void try_parts(const char *boundary, struct bytes body)
{
    struct part_sum whole = {.hash = 1}, bytewise = {.hash = 1};
    struct multipart_sink sink = {.part = add_part, .arg = &whole};
    struct multipart parts;
    int rc, rc_bytewise = 0;

    multipart_init(&parts, boundary);
    rc = multipart_add(&parts, body, &sink, NULL);
    sink.arg = &bytewise;
    multipart_init(&parts, boundary);
    for (size_t i = 0; i < body.len && rc_bytewise == 0; i++)
        rc_bytewise = multipart_add(&parts, bytes_of(body.data + i, 1), &sink, NULL);
    must(rc == rc_bytewise && whole.hash == bytewise.hash && whole.count == bytewise.count);
    must(whole.count <= body.len);
}

static void try_body(struct bytes body)
{
    SCOPED(mem) char *token = NULL;
    SCOPED(mem) char *said = refusal_text(body);
    SCOPED(mem) char *text = strndup((const char *)body.data, body.len);
    SCOPED(buf_value) struct buf decoded = BUF_EMPTY;
    struct registry_credentials cred = {.username = NULL};
    int64_t expires_s;

    if (token_parse(body, &token, &expires_s, NULL) == 0)
        must(strpbrk(token, "\r\n ") == NULL && expires_s >= 0);
    must(said == NULL || strpbrk(said, "\r\n\033") == NULL);
    if (helper_answer_parse(body, &cred, NULL) == 0)
        must(registry_credentials_are_empty(&cred) || credentials_have_secret(&cred));
    registry_credentials_fini(&cred);
    if (text != NULL && base64_decode(text, &decoded) == 0) {
        SCOPED(mem) char *again = base64_encode(buf_bytes(&decoded));
        must(again != NULL && strlen(again) == strlen(text));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct answer answer = {.status = 0};
    SCOPED(mem) char *boundary = NULL;
    struct bytes rest = bytes_of(data, size);

    while (rest.len > 0) {
        const uint8_t *end = memchr(rest.data, '\n', rest.len);
        struct bytes line =
            bytes_of(rest.data, end == NULL ? rest.len : (size_t)(end - rest.data) + 1);

        if (answer_add_line(&answer, line) < 0)
            break;
        rest = bytes_of(rest.data + line.len, rest.len - line.len);
    }
    try_values(&answer);
    boundary = TAKE(answer.boundary);
    answer_fini(&answer);
    if (rest.len == 0) { /* all of it were lines; the body is behind the last empty one */
        const uint8_t *body = size < 4 ? NULL : memmem(data, size, "\r\n\r\n", 4);
        rest = body == NULL ? bytes_of(data, size)
                            : bytes_of(body + 4, size - (size_t)(body + 4 - data));
    }
    if (rest.len > 0)
        try_body(rest);
    if (boundary != NULL)
        try_parts(boundary, rest);
    return 0;
}
