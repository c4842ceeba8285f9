/* SPDX-License-Identifier: Apache-2.0 */
/* The parsers behind the registry client: addresses, headers, challenges, tokens, base64. */
#include "test.h"

#include "registry/internal.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

/* ---- addresses ------------------------------------------------------------------------------- */

static void expect_resolved(const char *base, const char *location, const char *expected)
{
    SCOPED(mem) char *url = NULL;
    struct err err = ERR_NONE;

    if (url_resolve(base, location, &url, &err) < 0)
        fail_msg("%s", err_text(&err));
    assert_string_equal(url, expected);
}

static void locations_are_relative_or_absolute(void **state)
{
    (void)state;
    expect_resolved("https://a.example/v2/x?q", "/y?z=1", "https://a.example/y?z=1");
    expect_resolved("https://a.example/v2/x", "y", "https://a.example/v2/y");
    expect_resolved("https://a.example/v2/x", "https://b.example:8443/y#part",
                    "https://b.example:8443/y");
    expect_resolved("http://a.example/", "https://a.example/", "https://a.example/");
    expect_resolved("http://[::1]:5000/a", "b", "http://[::1]:5000/b");
    expect_resolved("https://a.example/", "//b.example/c", "https://b.example/c");
}

static void places_that_are_not_gone_to(void **state)
{
    static const char *const bad[] = {
        "http://a.example/",  "ftp://a.example/",         "file:///etc/passwd",
        "gopher://a.example", "https://u:p@a.example/",   "https://",
        "data:text/plain,x",  "https://a.example:99999/", "//u@b.example/",
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        char *url = NULL;
        struct err err = ERR_NONE;
        if (url_resolve("https://a.example/v2/", bad[i], &url, &err) != -EPROTO)
            fail_msg("%s was accepted: %s", bad[i], url);
        assert_null(url);
    }
}

static void an_origin_is_scheme_host_and_port(void **state)
{
    (void)state;
    assert_true(url_same_origin("https://a.example/x", "https://A.example:443/y?z"));
    assert_true(url_same_origin("http://127.0.0.1:5000/x", "http://127.0.0.1:5000"));
    assert_false(url_same_origin("https://a.example/", "http://a.example/"));
    assert_false(url_same_origin("https://a.example/", "https://a.example:444/"));
    assert_false(url_same_origin("https://a.example/", "https://b.example/"));
    assert_false(url_same_origin("https://a.example/", "https://a.example.evil.example/"));
    assert_false(url_same_origin("nonsense", "nonsense"));
}

static void what_is_shown_has_no_query(void **state)
{
    SCOPED(mem) char *plain = url_plain("https://a.example/b?X-Amz-Signature=secret#f");
    SCOPED(mem) char *host = url_host("https://a.example:1/b?X-Amz-Signature=secret");
    (void)state;

    assert_string_equal(plain, "https://a.example/b");
    assert_string_equal(host, "a.example:1");
}

static void parameters_are_escaped_and_appended(void **state)
{
    SCOPED(mem) char *first = url_with_parameter("https://a.example/b", "digest", "sha256:1+/ &");
    SCOPED(mem) char *second = url_with_parameter("https://a.example/b?_state=x", "d", "y");
    (void)state;

    assert_string_equal(first, "https://a.example/b?digest=sha256%3A1%2B%2F%20%26");
    assert_string_equal(second, "https://a.example/b?_state=x&d=y");
}

static void loopback_is_known_by_name_and_number(void **state)
{
    (void)state;
    assert_true(host_is_loopback("localhost"));
    assert_true(host_is_loopback("localhost:5000"));
    assert_true(host_is_loopback("127.0.0.1"));
    assert_true(host_is_loopback("127.200.3.4:5000"));
    assert_true(host_is_loopback("[::1]:5000"));
    assert_false(host_is_loopback("localhost.example"));
    assert_false(host_is_loopback("127.0.0.1.example"));
    assert_false(host_is_loopback("128.0.0.1"));
    assert_false(host_is_loopback("[::2]:5000"));
    assert_false(host_is_loopback("[::1"));
    assert_false(host_is_loopback(""));
}

/* ---- base64 ---------------------------------------------------------------------------------- */

static void base64_goes_both_ways(void **state)
{
    static const char *const pairs[][2] = {
        {"", ""},        {"f", "Zg=="},          {"fo", "Zm8="},
        {"foo", "Zm9v"}, {"foobar", "Zm9vYmFy"}, {"\xff\xfe~", "//5+"}};
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        SCOPED(mem) char *encoded = base64_encode(bytes_of_str(pairs[i][0]));
        SCOPED(buf_value) struct buf decoded = BUF_EMPTY;
        assert_string_equal(encoded, pairs[i][1]);
        assert_ok(base64_decode(pairs[i][1], &decoded));
        assert_string_equal(buf_str(&decoded), pairs[i][0]);
    }
}

static void what_is_no_base64_is_refused(void **state)
{
    static const char *const bad[] = {
        "Z", "Zg", "Zg=", "Z===", "====", "Zg==Zg==", "Zm9v\n", "Zm 9", "Zm-_"};
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        SCOPED(buf_value) struct buf decoded = BUF_EMPTY;
        if (base64_decode(bad[i], &decoded) != -EINVAL)
            fail_msg("\"%s\" was accepted", bad[i]);
    }
}

/* ---- challenges ------------------------------------------------------------------------------ */

static void expect_challenge(const char *value, enum challenge_kind kind, const char *realm,
                             const char *service, const char *scope)
{
    struct challenge challenge = {.kind = CHALLENGE_NONE};

    assert_ok(challenge_add(&challenge, value));
    assert_int_equal(challenge.kind, kind);
    assert_string_equal(challenge.realm == NULL ? "-" : challenge.realm, realm);
    assert_string_equal(challenge.service == NULL ? "-" : challenge.service, service);
    assert_string_equal(challenge.scope == NULL ? "-" : challenge.scope, scope);
    challenge_fini(&challenge);
}

static void challenges_are_read(void **state)
{
    (void)state;
    expect_challenge("Basic realm=\"here\"", CHALLENGE_BASIC, "here", "-", "-");
    expect_challenge("basic", CHALLENGE_BASIC, "-", "-", "-");
    expect_challenge(
        "Bearer "
        "realm=\"https://auth.example/token\",service=\"s\",scope=\"repository:a/b:pull,push\"",
        CHALLENGE_BEARER, "https://auth.example/token", "s", "repository:a/b:pull,push");
    expect_challenge("Bearer realm = \"a\\\"b\" , service=plain", CHALLENGE_BEARER, "a\"b", "plain",
                     "-");
    expect_challenge("Basic realm=\"x\", Bearer realm=\"y\"", CHALLENGE_BEARER, "y", "-", "-");
    expect_challenge("Bearer realm=\"y\", Basic realm=\"x\"", CHALLENGE_BEARER, "y", "-", "-");
    expect_challenge("Negotiate, Basic realm=\"x\"", CHALLENGE_BASIC, "x", "-", "-");
    expect_challenge("Bearer realm=\"first\",realm=\"second\"", CHALLENGE_BEARER, "first", "-",
                     "-");
}

static void challenges_that_make_no_sense_are_ignored(void **state)
{
    (void)state;
    expect_challenge("", CHALLENGE_NONE, "-", "-", "-");
    expect_challenge("Digest realm=\"x\"", CHALLENGE_NONE, "-", "-", "-");
    expect_challenge("Basic realm=\"no end", CHALLENGE_NONE, "-", "-", "-");
    expect_challenge("\"Basic\"", CHALLENGE_NONE, "-", "-", "-");
    expect_challenge("= = =", CHALLENGE_NONE, "-", "-", "-");
}

/* ---- headers --------------------------------------------------------------------------------- */

static int add_line(struct answer *answer, const char *line)
{
    return answer_add_line(answer, bytes_of_str(line));
}

static void an_answer_starts_anew_at_each_status(void **state)
{
    struct answer answer = {.status = 0};
    (void)state;

    assert_ok(add_line(&answer, "HTTP/1.1 100 Continue\r\n"));
    assert_ok(add_line(&answer, "Location: /old\r\n"));
    assert_ok(add_line(&answer, "\r\n"));
    assert_ok(add_line(&answer, "HTTP/2 206 \r\n"));
    assert_int_equal(answer.status, 206);
    assert_null(answer.location);
    assert_int_equal(answer.retry_after_ms, -1);
    assert_ok(add_line(&answer, "content-TYPE:  a/b; charset=utf-8 \r\n"));
    assert_ok(add_line(&answer, "Content-Length: 5\r\n"));
    assert_ok(add_line(&answer, "OCI-Subject: sha256:x\r\n"));
    assert_ok(add_line(&answer, "Content-Encoding: gzip\r\n"));
    assert_ok(add_line(&answer, "retry-after: 3\r\n"));
    assert_string_equal(answer.content_type, "a/b");
    assert_int_equal(answer.content_length, 5);
    assert_true(answer.has_subject);
    assert_true(answer.is_encoded);
    assert_int_equal(answer.retry_after_ms, 3000);
    answer_fini(&answer);
}

static void headers_that_make_no_sense_are_refused(void **state)
{
    static const char with_nul[] = "Location: a\0b\r\n";
    struct answer answer = {.status = 0};
    (void)state;

    assert_int_equal(add_line(&answer, "HTTP/1.1\r\n"), -EPROTO);
    assert_int_equal(add_line(&answer, "HTTP/1.1 20\r\n"), -EPROTO);
    assert_int_equal(add_line(&answer, "HTTP/1.1 2000\r\n"), -EPROTO);
    assert_int_equal(add_line(&answer, "HTTP/1.1 999 x\r\n"), -EPROTO);
    assert_int_equal(add_line(&answer, "Content-Length: -1\r\n"), -EPROTO);
    assert_ok(add_line(&answer, "Content-Length: 5\r\n"));
    assert_ok(add_line(&answer, "Content-Length: 5\r\n"));
    assert_int_equal(add_line(&answer, "Content-Length: 6\r\n"), -EPROTO);
    assert_int_equal(answer_add_line(&answer, bytes_of(with_nul, sizeof(with_nul) - 1)), -EPROTO);
    answer_fini(&answer);
}

static void content_ranges_are_read(void **state)
{
    struct content_range range;
    (void)state;

    assert_ok(content_range_parse("bytes 0-1/2", &range));
    assert_true(range.first == 0 && range.last == 1 && range.total == 2);
    assert_ok(content_range_parse("Bytes 5-9/*", &range));
    assert_true(range.first == 5 && range.last == 9 && range.total == UINT64_MAX);
}

static void content_ranges_that_are_none_are_refused(void **state)
{
    static const char *const bad[] = {"",
                                      "bytes",
                                      "bytes */5",
                                      "bytes 5-4/9",
                                      "bytes 0-9/9",
                                      "bytes 0-1",
                                      "bytes -1-1/9",
                                      "bytes 0-1/2x",
                                      "lines 0-1/2",
                                      "bytes 0-1/",
                                      "bytes 0-18446744073709551616/*"};
    struct content_range range;
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        if (content_range_parse(bad[i], &range) != -EPROTO)
            fail_msg("\"%s\" was accepted", bad[i]);
    }
}

static void retry_after_is_seconds_or_a_date(void **state)
{
    (void)state;
    assert_int_equal(retry_after_parse("0"), 0);
    assert_int_equal(retry_after_parse("120"), 120000);
    assert_int_equal(retry_after_parse("Wed, 21 Oct 2015 07:28:00 GMT"), 0);
    assert_true(retry_after_parse("Fri, 31 Dec 2100 23:59:59 GMT") > 1000000);
    assert_int_equal(retry_after_parse("99999999999999999"), (int64_t)INT32_MAX * 1000);
    assert_true(retry_after_parse("Wed, 11 Oct 20157") <= (int64_t)INT32_MAX * 1000);
    assert_int_equal(retry_after_parse("soon"), -1);
    assert_int_equal(retry_after_parse(""), -1);
}

static void waits_double_up_to_a_limit_and_an_eighth(void **state)
{
    static const int64_t waits_ms[] = {30, 60, 120, 240, 300, 300};
    const struct request_limits limits = {.min_wait_ms = 30, .max_wait_ms = 300};
    SCOPED(mem) struct registry *registry = calloc(1, sizeof(*registry));
    bool differ = false;
    (void)state;

    assert_non_null(registry);
    registry->jitter = 0x9E3779B97F4A7C15;
    for (unsigned i = 0; i < ARRAY_LEN(waits_ms); i++) {
        int64_t first_ms = net_backoff_ms(registry, &limits, i + 1);

        assert_in_range(first_ms, waits_ms[i], waits_ms[i] + waits_ms[i] / 8);
        for (int j = 0; j < 50; j++)
            differ |= net_backoff_ms(registry, &limits, i + 1) != first_ms;
    }
    assert_true(differ);
    assert_in_range(net_backoff_ms(registry, &limits, UINT_MAX), 300, 337);
}

static void expect_next(const char *link, const char *expected)
{
    SCOPED(mem) char *next = link_next(link);

    assert_string_equal(next == NULL ? "-" : next, expected);
}

static void the_next_page_is_found(void **state)
{
    (void)state;
    expect_next("</v2/a?n=1>; rel=\"next\"", "/v2/a?n=1");
    expect_next("</first>; rel=\"first\", </v2/b>;rel=next", "/v2/b");
    expect_next("</first>; rel=\"first\"", "-");
    expect_next("</v2/a", "-");
    expect_next("", "-");
}

/* ---- tokens and refusals --------------------------------------------------------------------- */

static int parse_token(const char *json, char **ret_token, int64_t *ret_expires_s)
{
    return token_parse(bytes_of_str(json), ret_token, ret_expires_s, NULL);
}

static void tokens_come_under_two_names(void **state)
{
    SCOPED(mem) char *first = NULL;
    SCOPED(mem) char *second = NULL;
    SCOPED(mem) char *third = NULL;
    int64_t expires_s;
    (void)state;

    assert_ok(parse_token("{\"token\":\"abc\",\"expires_in\":300}", &first, &expires_s));
    assert_string_equal(first, "abc");
    assert_int_equal(expires_s, 300);
    assert_ok(parse_token("{\"access_token\":\"d.e-f\"}", &second, &expires_s));
    assert_string_equal(second, "d.e-f");
    assert_int_equal(expires_s, 0);
    assert_ok(parse_token("{\"token\":\"a\",\"expires_in\":1e300}", &third, &expires_s));
    assert_int_equal(expires_s, 7 * 24 * 3600);
}

static void answers_without_a_usable_token_are_refused(void **state)
{
    static const char *const bad[] = {"",
                                      "{}",
                                      "[]",
                                      "{\"token\":1}",
                                      "{\"token\":\"\"}",
                                      "{\"token\":\"a\\r\\nX: y\"}",
                                      "{\"token\":\"a b\"}",
                                      "no"};
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        char *token = NULL;
        int64_t expires_s;
        if (parse_token(bad[i], &token, &expires_s) != -EPROTO)
            fail_msg("\"%s\" was accepted", bad[i]);
        assert_null(token);
    }
}

static void a_registrys_reasons_become_one_printable_line(void **state)
{
    SCOPED(mem)
    char *said = refusal_text(
        bytes_of_str("{\"errors\":[{\"code\":\"DENIED\",\"message\":\"no\\nentry\\u001b[1m\"}]}"));
    (void)state;

    assert_string_equal(said, "DENIED: no?entry?[1m");
    assert_null(refusal_text(bytes_of_str("<html>")));
    assert_null(refusal_text(bytes_of_str("{\"errors\":[]}")));
    assert_null(refusal_text(bytes_of_str("")));
}

/* ---- bodies in parts ------------------------------------------------------------------------- */

struct collected {
    uint8_t bytes[64];
    size_t count; /* how many were given */
};

static int collect(void *arg, const struct content_range *range, struct bytes bytes,
                   struct err *err)
{
    struct collected *to = arg;

    if (range->first + bytes.len > sizeof(to->bytes))
        return err_set(err, -EFBIG, "past the end");
    memcpy(to->bytes + range->first, bytes.data, bytes.len);
    to->count += bytes.len;
    return 0;
}

#define PARTS                                                                                      \
    "preamble\r\n--b b\r\nContent-Type: x/y\r\nContent-Range: bytes 3-5/9\r\n\r\n-\r\n\r\n--b b  " \
    "\r\n"                                                                                         \
    "content-range:bytes 7-8/9\r\n\r\nhi\r\n--b b--\r\nepilogue: ignored\r\n"

static void parts_are_found_however_they_are_cut(void **state)
{
    struct bytes all = bytes_of_str(PARTS);
    (void)state;

    for (size_t step = 1; step <= all.len; step++) {
        struct collected got = {.count = 0};
        struct multipart_sink sink = {.part = collect, .arg = &got};
        struct multipart parts;

        multipart_init(&parts, "b b");
        for (size_t at = 0; at < all.len; at += step) {
            size_t len = all.len - at < step ? all.len - at : step;
            assert_ok(multipart_add(&parts, bytes_of(all.data + at, len), &sink, NULL));
        }
        assert_int_equal(parts.state, MULTIPART_END);
        assert_int_equal(got.count, 5);
        assert_memory_equal(got.bytes + 3, "-\r\n", 3);
        assert_memory_equal(got.bytes + 7, "hi", 2);
    }
}

static void parts_that_make_no_sense_are_refused(void **state)
{
    static const char *const bad[] = {
        "--b\r\n\r\nbytes",
        "--b\r\nContent-Range: bytes 5-3/9\r\n\r\n",
        "--b\r\nContent-Range: nothing\r\n\r\n",
        "--b\r\nContent-Range: bytes 1-2/9\r\nContent-Range: bytes 1-2/9\r\n\r\n",
        "--b\r\nContent-Range: bytes 60-70/99\r\n\r\n0123456789",
    };
    SCOPED(mem) char *much = calloc(1, 100001);
    struct collected got = {.count = 0};
    struct multipart_sink sink = {.part = collect, .arg = &got};
    struct multipart parts;
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        multipart_init(&parts, "b");
        if (multipart_add(&parts, bytes_of_str(bad[i]), &sink, NULL) >= 0)
            fail_msg("%s", bad[i]);
    }
    memset(much, '\n', 100000);
    multipart_init(&parts, "b");
    assert_int_equal(multipart_add(&parts, bytes_of_str(much), &sink, NULL), -EPROTO);
}

static void boundaries_are_found_in_their_header(void **state)
{
    static const char *const cases[][2] = {
        {"multipart/byteranges; boundary=abc", "abc"},
        {"multipart/byteranges;BOUNDARY=\"a b;c\"; x=y", "a b;c"},
        {"multipart/byteranges; x=y; boundary=abc; z=z", "abc"},
        {"multipart/byteranges; boundary=\"abc", "abc"},
        {"multipart/byteranges", NULL},
        {"multipart/byteranges; xboundary=abc", NULL},
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        SCOPED(mem) char *got = boundary_parse(cases[i][0]);

        if (cases[i][1] == NULL)
            assert_null(got);
        else
            assert_string_equal(got, cases[i][1]);
    }
}

static void signed_addresses_say_until_when(void **state)
{
    static const struct {
        const char *query;
        int64_t life_s;
    } cases[] = {
        /* 1700000000 is 2023-11-14T22:13:20Z */
        {"?X-Amz-Date=20231114T221320Z&X-Amz-Expires=600&X-Amz-Signature=a", 600},
        {"?X-Amz-Signature=a&X-Amz-Expires=600&X-Amz-Date=20231114T221300Z", 580},
        {"?X-Goog-Date=20231114T221320Z&X-Goog-Expires=30", 30},
        {"?x=y&Expires=1700000100&Signature=a&Key-Pair-Id=b", 100},
        {"?sv=2019-02-02&se=2023-11-14T22%3A23%3A20Z&sr=b&sig=a", 600},
        {"?se=2023-11-14T22:13:21Z&sv=2019-02-02", 1},
        /* someone's clock is wrong: as long as it was signed for */
        {"?X-Amz-Date=20231114T211320Z&X-Amz-Expires=600", 600},
        {"?X-Amz-Date=20231115T221320Z&X-Amz-Expires=600", 600},
        /* nothing of use */
        {"", -1},
        {"?", -1},
        {"?X-Amz-Date=20231114T221320Z", -1},
        {"?X-Amz-Expires=600", -1},
        {"?X-Amz-Date=20231314T221320Z&X-Amz-Expires=600", -1},
        {"?X-Amz-Date=2023-11-14T22:13Z&X-Amz-Expires=600", -1},
        {"?X-Amz-Date=20231114T221320Z&X-Amz-Expires=-600", -1},
        {"?X-Amz-Date=20231114T221320Z&X-Amz-Expires=99999999999999999999", -1},
        {"?X-Amz-Date=20231114T221320Z&X-Amz-Expires=9999999999", -1},
        {"?NotX-Amz-Date=20231114T221320Z&X-Amz-Expires=600", -1},
        {"?Expires=1699999999", -1},
        {"?Expires=18446744073709551615", -1},
        {"?se=2023-11-14T22:13:21Z", -1},
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        SCOPED(mem) char *url = text_format("https://cdn.example/a/b%s", cases[i].query);
        int64_t life_s = presigned_life_s(url, 1700000000);

        if (life_s != cases[i].life_s)
            fail_msg("%s: %lld", cases[i].query, (long long)life_s);
    }
}

static void a_mirrors_path_is_v2_unless_it_is_said(void **state)
{
    static const struct {
        const char *url;
        bool insecure;
        const char *base;
    } cases[] = {
        {"https://mirror.example", false, "https://mirror.example/v2"},
        {"https://mirror.example/", false, "https://mirror.example/v2"},
        {"http://10.0.0.1:5000", false, "http://10.0.0.1:5000/v2"},
        {"https://mirror.example:443/v2/cache/", false, "https://mirror.example:443/v2/cache"},
        {"https://mirror.example", true, "http://mirror.example/v2"},
        {"HTTPS://mirror.example/a", true, "http://mirror.example/a"},
        {"http://[::1]:5000", true, "http://[::1]:5000/v2"},
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct registry_mirror mirror = {
            .host = "h", .url = cases[i].url, .insecure = cases[i].insecure};
        SCOPED(mem) char *base = NULL;

        assert_ok(mirror_base_parse(&mirror, &base, NULL));
        assert_string_equal(base, cases[i].base);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(locations_are_relative_or_absolute),
        cmocka_unit_test(places_that_are_not_gone_to),
        cmocka_unit_test(an_origin_is_scheme_host_and_port),
        cmocka_unit_test(what_is_shown_has_no_query),
        cmocka_unit_test(parameters_are_escaped_and_appended),
        cmocka_unit_test(loopback_is_known_by_name_and_number),
        cmocka_unit_test(parts_are_found_however_they_are_cut),
        cmocka_unit_test(parts_that_make_no_sense_are_refused),
        cmocka_unit_test(boundaries_are_found_in_their_header),
        cmocka_unit_test(signed_addresses_say_until_when),
        cmocka_unit_test(a_mirrors_path_is_v2_unless_it_is_said),
        cmocka_unit_test(base64_goes_both_ways),
        cmocka_unit_test(what_is_no_base64_is_refused),
        cmocka_unit_test(challenges_are_read),
        cmocka_unit_test(challenges_that_make_no_sense_are_ignored),
        cmocka_unit_test(an_answer_starts_anew_at_each_status),
        cmocka_unit_test(headers_that_make_no_sense_are_refused),
        cmocka_unit_test(content_ranges_are_read),
        cmocka_unit_test(content_ranges_that_are_none_are_refused),
        cmocka_unit_test(retry_after_is_seconds_or_a_date),
        cmocka_unit_test(waits_double_up_to_a_limit_and_an_eighth),
        cmocka_unit_test(the_next_page_is_found),
        cmocka_unit_test(tokens_come_under_two_names),
        cmocka_unit_test(answers_without_a_usable_token_are_refused),
        cmocka_unit_test(a_registrys_reasons_become_one_printable_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
