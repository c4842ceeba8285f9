/* SPDX-License-Identifier: Apache-2.0 */
/* Manifests, blobs, referrers and pushes, with registries of different abilities and tempers. */
#include "registry_fixture.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#define MANIFEST "{\"schemaVersion\":2}"
#define SECRET_STATE "_state=do-not-show-this"

static struct digest digest_of_text(const char *text)
{
    struct digest digest;

    assert_ok(digest_of(bytes_of_str(text), &digest));
    return digest;
}

/* ---- manifests ------------------------------------------------------------------------------- */

static void give_manifest(void *self, struct http_exchange *x)
{
    (void)self;
    if (strstr(x->accept, OCI_MEDIA_MANIFEST) == NULL ||
        strstr(x->accept, OCI_MEDIA_DOCKER_LIST) == NULL)
        http_reply_text(x, 406, NULL, "");
    else if (text_has_prefix(x->target, "/v2/team/app/manifests/") && !http_target_has(x, "absent"))
        http_reply_text(x, 200, "Content-Type: " OCI_MEDIA_MANIFEST "; charset=x\r\n", MANIFEST);
    else
        http_reply_text(x, 404, NULL, "");
}

static void a_manifest_comes_with_its_type(void **state)
{
    SCOPED(fixture) struct fixture *f = fixture_open(give_manifest, NULL, NULL);
    SCOPED(buf_value) struct buf out = BUF_EMPTY;
    SCOPED(mem) char *media_type = NULL;
    struct digest digest = digest_of_text(MANIFEST);
    struct err err = ERR_NONE;
    char text[DIGEST_TEXT_BYTES];
    (void)state;

    assert_ok(registry_get_manifest(f->repo, "v1.0", &out, &media_type, &err));
    assert_string_equal(buf_str(&out), MANIFEST);
    assert_string_equal(media_type, OCI_MEDIA_MANIFEST);
    digest_format(&digest, text);
    assert_ok(registry_get_manifest(f->repo, text, &out, NULL, &err));
    assert_int_equal(out.len, 2 * strlen(MANIFEST));
}

static void a_manifest_of_another_digest_is_refused(void **state)
{
    SCOPED(fixture) struct fixture *f = fixture_open(give_manifest, NULL, NULL);
    SCOPED(buf_value) struct buf out = BUF_EMPTY;
    struct err err = ERR_NONE;
    (void)state;

    assert_int_equal(registry_get_manifest(f->repo, f->digest_text, &out, NULL, &err), -EBADMSG);
    assert_text_has(err_text(&err), "the bytes have another digest");
    assert_int_equal(out.len, 0);
}

static int get_by_digest(struct registry_repo *repo, const char *reference)
{
    SCOPED(buf_value) struct buf out = BUF_EMPTY;
    SCOPED(mem) char *media_type = NULL;
    struct err err = ERR_NONE;
    int rc = registry_get_manifest(repo, reference, &out, &media_type, &err);

    if (rc == 0) {
        assert_true(bytes_equal(buf_bytes(&out), bytes_of_str(MANIFEST)));
        assert_string_equal(media_type, OCI_MEDIA_MANIFEST);
    }
    return rc;
}

static void a_manifest_is_asked_for_once_in_a_while_where_that_is_wanted(void **state)
{
    SCOPED(fixture) struct fixture *f = fixture_open(give_manifest, NULL, NULL);
    const struct registry_options options = {.plain_http = true, .keep_manifests_ms = 3600000};
    SCOPED(registry) struct registry *registry = NULL;
    SCOPED(registry_repo) struct registry_repo *repo = NULL;
    SCOPED(registry_repo) struct registry_repo *other = NULL;
    char text[DIGEST_TEXT_BYTES];
    struct digest digest;
    struct err err = ERR_NONE;
    (void)state;

    assert_ok(digest_of(bytes_of_str(MANIFEST), &digest));
    digest_format(&digest, text);
    assert_ok(registry_new(&options, &registry, &err));
    assert_ok(
        registry_repo_open(registry, http_server_host(f->server), "team/app", NULL, &repo, &err));
    for (int i = 0; i < 3; i++)
        assert_ok(get_by_digest(repo, text));
    assert_int_equal(http_server_count(f->server, "GET "), 1);
    for (int i = 0; i < 2; i++)
        assert_ok(get_by_digest(repo, "v1.0")); /* which may have changed */
    assert_int_equal(http_server_count(f->server, "GET "), 3);
    for (int i = 0; i < 2; i++)
        assert_ok(get_by_digest(f->repo, text)); /* of another registry client, that keeps none */
    assert_int_equal(http_server_count(f->server, "GET "), 5);
    for (int i = 0; i < 2; i++) /* what is wrong is not kept */
        assert_int_equal(get_by_digest(repo, f->digest_text), -EBADMSG);
    assert_int_equal(http_server_count(f->server, "GET "), 7);
    assert_ok(registry_repo_open(registry, http_server_host(f->server), "team/other", NULL, &other,
                                 &err)); /* which has not got it */
    assert_int_equal(get_by_digest(other, text), -ENOENT);
    (void)!registry_delete_manifest(repo, &digest, &err);
    assert_ok(get_by_digest(repo, text));
    assert_int_equal(http_server_count(f->server, "GET "), 9);
}

static void presence_is_asked_with_head(void **state)
{
    SCOPED(fixture) struct fixture *f = fixture_open(give_manifest, NULL, NULL);
    struct err err = ERR_NONE;
    bool has = false;
    (void)state;

    assert_ok(registry_has_manifest(f->repo, "v1", &has, &err));
    assert_true(has);
    assert_ok(registry_has_manifest(f->repo, "absent", &has, &err));
    assert_false(has);
    assert_int_equal(registry_has_blob(f->repo, &f->digest, &has, &err), -EPROTO);
    assert_int_equal(http_server_count(f->server, "HEAD "), 3);
    assert_int_equal(http_server_count(f->server, ""), 3);
}

static int get_from(const struct registry_options *options, const char *host, struct err *err)
{
    SCOPED(registry) struct registry *registry = NULL;
    SCOPED(registry_repo) struct registry_repo *repo = NULL;
    SCOPED(buf_value) struct buf out = BUF_EMPTY;

    assert_ok(registry_new(options, &registry, err));
    assert_ok(registry_repo_open(registry, host, "team/app", NULL, &repo, err));
    return registry_get_manifest(repo, "v1", &out, NULL, err);
}

static void come_back_in_an_hour(void *self, struct http_exchange *x)
{
    (void)self;
    http_reply_text(x, 429, "Retry-After: 3600\r\n", "");
}

static void one_byte_now_and_then(void *self, struct http_exchange *x)
{
    (void)self;
    http_send_text(x, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
    while (!x->close) {
        http_pause(x, 20);
        http_send_text(x, " ");
    }
}

static void a_call_fails_rather_than_wait_long_when_it_may_not(void **state)
{
    SCOPED(fixture) struct fixture *f = fixture_open(come_back_in_an_hour, NULL, NULL);
    struct registry_options options = {.plain_http = true, .call_longest_wait_ms = 10000};
    struct err err = ERR_NONE;
    (void)state;

    assert_int_equal(get_from(&options, http_server_host(f->server), &err), -EAGAIN);
    assert_int_equal(http_server_count(f->server, ""), 1);
}

static void a_call_ends_with_its_budget(void **state)
{
    SCOPED(fixture) struct fixture *f = fixture_open(one_byte_now_and_then, NULL, NULL);
    struct registry_options options = {.plain_http = true, .call_budget_ms = 1000};
    struct err err = ERR_NONE;
    (void)state;

    assert_int_equal(get_from(&options, http_server_host(f->server), &err), -ETIMEDOUT);
    assert_text_has(err_text(&err), "in the time there is");
}

static void an_attempt_ends_as_a_whole_though_something_comes(void **state)
{
    SCOPED(fixture) struct fixture *f = fixture_open(one_byte_now_and_then, NULL, NULL);
    struct registry_options options = {
        .plain_http = true, .request_timeout_ms = 500, .max_retries = UINT_MAX};
    struct err err = ERR_NONE;
    (void)state;

    assert_int_equal(get_from(&options, http_server_host(f->server), &err), -ETIMEDOUT);
    assert_int_equal(http_server_count(f->server, ""), 1);
}

enum { BACKLOG = 8 };

/* A port that answers no SYN: its queue is full of connections that nobody accepts. */
static void make_deaf_port(int fds[BACKLOG], char host[32])
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);

    fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fds[0], (const struct sockaddr *)&at, len), 0);
    assert_int_equal(listen(fds[0], 0), 0);
    assert_int_equal(getsockname(fds[0], (struct sockaddr *)&at, &len), 0);
    for (int i = 1; i < BACKLOG; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        (void)!connect(fds[i], (const struct sockaddr *)&at, len);
    }
    (void)snprintf(host, 32, "127.0.0.1:%u", ntohs(at.sin_port));
}

static void a_dial_has_a_limit_of_its_own(void **state)
{
    struct registry_options options = {.plain_http = true,
                                       .dial_timeout_ms = 200,
                                       .response_timeout_ms = DEADLINE_MS,
                                       .max_retries = UINT_MAX};
    int64_t start_ms = clock_mono_ms();
    struct err err = ERR_NONE;
    int fds[BACKLOG];
    char host[32];
    (void)state;

    make_deaf_port(fds, host);
    assert_int_equal(get_from(&options, host, &err), -ETIMEDOUT);
    assert_true(clock_mono_ms() - start_ms < DEADLINE_MS);
    for (int i = 0; i < BACKLOG; i++)
        assert_int_equal(close(fds[i]), 0);
}

static void http_is_for_those_that_were_named(void **state)
{
    SCOPED(fixture) struct fixture *f = fixture_open(give_manifest, NULL, NULL);
    SCOPED(text_list) struct text_list hosts = TEXT_LIST_EMPTY;
    struct registry_options options = {
        .dial_timeout_ms = 200, .max_retries = UINT_MAX, .plain_http_hosts = &hosts};
    struct err err = ERR_NONE;
    (void)state;

    assert_ok(text_list_add(&hosts, "a.example"));
    assert_true(get_from(&options, http_server_host(f->server), &err) < 0);
    assert_text_has(err_text(&err), "GET https://127.0.0.1:");
    assert_ok(text_list_add(&hosts, http_server_host(f->server)));
    assert_ok(get_from(&options, http_server_host(f->server), &err));
    options = (struct registry_options){.plain_http = true};
    assert_ok(get_from(&options, http_server_host(f->server), &err));
}

static void names_that_are_none_are_not_asked_for(void **state)
{
    static const char *const bad[] = {"",   "../x",      "a/b", "a?b",  ".a",
                                      "-a", "sha256:12", "a b", "a\nb", "sha512:x"};
    static const char *const repos[] = {"", "/a", "a/../b", "a?b", "a b", "a%2fb", "a#b"};
    SCOPED(fixture) struct fixture *f = fixture_open(give_manifest, NULL, NULL);
    SCOPED(buf_value) struct buf out = BUF_EMPTY;
    struct err err = ERR_NONE;
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(registry_get_manifest(f->repo, bad[i], &out, NULL, &err), -EINVAL);
    for (size_t i = 0; i < ARRAY_LEN(repos); i++) {
        struct registry_repo *repo = NULL;
        assert_int_equal(registry_repo_open(f->registry, "a.example", repos[i], NULL, &repo, &err),
                         -EINVAL);
        assert_int_equal(registry_repo_open(f->registry, "a.example/b", "c", NULL, &repo, &err),
                         -EINVAL);
        assert_int_equal(registry_repo_open(f->registry, "user@a.example", "c", NULL, &repo, &err),
                         -EINVAL);
        assert_null(repo);
    }
    assert_int_equal(http_server_count(f->server, ""), 0);
}

/* ---- blobs ----------------------------------------------------------------------------------- */

static void give_blob(void *self, struct http_exchange *x)
{
    http_reply_range(x, fixture_content(self));
}

static void give_chunks(void *self, struct http_exchange *x)
{
    struct fixture *f = self;

    http_send_text(x, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (size_t at = 0; at < sizeof(f->content) && !x->close; at += 1000) {
        http_send_text(x, "3e8\r\n");
        http_send(x, f->content + at, 1000);
        http_send_text(x, "\r\n");
    }
    http_send_text(x, "0\r\n\r\n");
}

static void a_small_blob_comes_whole_and_checked(void **state)
{
    SCOPED(fixture) struct fixture *f = fixture_open(give_blob, NULL, NULL);
    SCOPED(buf_value) struct buf out = BUF_EMPTY;
    struct digest other = digest_of_text("other");
    struct err err = ERR_NONE;
    (void)state;

    assert_ok(registry_get_blob(f->repo, &f->digest, sizeof(f->content), &out, &err));
    assert_true(bytes_equal(buf_bytes(&out), fixture_content(f)));
    assert_int_equal(registry_get_blob(f->repo, &other, sizeof(f->content), &out, &err), -EBADMSG);
}

static void expect_too_large(http_handler *handle)
{
    SCOPED(fixture) struct fixture *f = fixture_open(handle, NULL, NULL);
    SCOPED(buf_value) struct buf out = BUF_EMPTY;
    struct err err = ERR_NONE;

    assert_int_equal(registry_get_blob(f->repo, &f->digest, sizeof(f->content) - 1, &out, &err),
                     -EFBIG);
    assert_int_equal(out.len, 0);
    assert_int_equal(http_server_count(f->server, ""), 1);
}

static void a_blob_over_the_limit_is_refused_said_or_not(void **state)
{
    (void)state;
    expect_too_large(give_blob);
    expect_too_large(give_chunks);
}

static void cut_twice(void *self, struct http_exchange *x)
{
    struct fixture *f = self;

    if (x->number >= 2) {
        give_chunks(self, x);
        return;
    }
    http_send_text(x, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
    http_send(x, f->content + 50, 5000);
    x->close = true;
}

static void a_blob_that_is_cut_is_read_anew(void **state)
{
    SCOPED(fixture) struct fixture *f = fixture_open(cut_twice, NULL, NULL);
    SCOPED(buf_value) struct buf out = BUF_EMPTY;
    struct err err = ERR_NONE;
    (void)state;

    assert_ok(registry_get_blob(f->repo, &f->digest, 1 << 20, &out, &err));
    assert_true(bytes_equal(buf_bytes(&out), fixture_content(f)));
    assert_int_equal(http_server_count(f->server, ""), 3);
}

static void refuse_head(void *self, struct http_exchange *x)
{
    if (strcmp(x->method, "HEAD") == 0)
        http_reply_text(x, 403, NULL, "");
    else
        http_reply_range(x, fixture_content(self));
}

static void the_size_is_found_with_and_without_head(void **state)
{
    http_handler *const handlers[] = {give_blob, refuse_head};
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(handlers); i++) {
        SCOPED(fixture) struct fixture *f = fixture_open(handlers[i], NULL, NULL);
        struct err err = ERR_NONE;
        uint64_t size = 0;
        assert_ok(registry_blob_size(f->repo, &f->digest, &size, &err));
        assert_int_equal(size, sizeof(f->content));
        assert_int_equal(http_server_count(f->server, "GET "), i);
    }
}

static bool is_head(const struct http_exchange *x)
{
    return strcmp(x->method, "HEAD") == 0;
}

static void refuse_head_and_ranges(void *self, struct http_exchange *x)
{
    if (is_head(x) || x->range[0] != '\0')
        http_reply_text(x, is_head(x) ? 405 : 416, NULL, "");
    else
        http_reply(x, 200, NULL, fixture_content(self));
}

static void give_a_part_of_something(void *self, struct http_exchange *x)
{
    if (is_head(x))
        http_reply_text(x, 403, NULL, "");
    else if (x->range[0] != '\0')
        http_reply_text(x, 206, "Content-Range: bytes 0-0/*\r\n", "x");
    else
        http_reply(x, 200, NULL, fixture_content(self));
}

static void ignore_ranges(void *self, struct http_exchange *x)
{
    if (is_head(x))
        http_reply_text(x, 403, NULL, "");
    else
        http_reply(x, 200, NULL, fixture_content(self));
}

static void a_size_that_no_range_tells_is_that_of_a_whole_body(void **state)
{
    static const struct {
        http_handler *handle;
        unsigned gets;
    } cases[] = {{refuse_head_and_ranges, 2}, {give_a_part_of_something, 2}, {ignore_ranges, 1}};
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        SCOPED(fixture) struct fixture *f = fixture_open(cases[i].handle, NULL, NULL);
        struct err err = ERR_NONE;
        uint64_t size = 0;
        assert_ok(registry_blob_size(f->repo, &f->digest, &size, &err));
        assert_int_equal(size, sizeof(f->content));
        assert_int_equal(http_server_count(f->server, "HEAD "), 1);
        assert_int_equal(http_server_count(f->server, "GET "), cases[i].gets);
    }
}

static void refuse_head_and_send_chunks(void *self, struct http_exchange *x)
{
    if (is_head(x))
        http_reply_text(x, 403, NULL, "");
    else
        give_chunks(self, x);
}

static void a_size_that_nobody_tells_is_not_guessed(void **state)
{
    SCOPED(fixture) struct fixture *f = fixture_open(refuse_head_and_send_chunks, NULL, NULL);
    struct err err = ERR_NONE;
    uint64_t size = 0;
    (void)state;

    assert_int_equal(registry_blob_size(f->repo, &f->digest, &size, &err), -EPROTO);
    assert_text_has(err_text(&err), "the registry does not say how large it is");
}

static void give_parts(void *self, struct http_exchange *x)
{
    http_reply_range(x, fixture_content(self));
}

static void give_in_parts(void *self, struct http_exchange *x)
{
    (void)self;
    http_reply_text(x, 206, "Content-Type: multipart/byteranges; boundary=b\r\n",
                    "--b\r\nContent-Range: bytes 99999-99999/100000\r\n\r\nx\r\n--b--");
}

static void parts_of_a_blob_are_to_be_had_where_one_comes(void **state)
{
    http_handler *const handlers[] = {give_parts, give_in_parts};
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(handlers); i++) {
        SCOPED(fixture) struct fixture *f = fixture_open(handlers[i], NULL, NULL);
        struct err err = ERR_NONE;

        assert_ok(registry_blob_gives_ranges(f->repo, &f->digest, sizeof(f->content), &err));
        assert_int_equal(http_server_count(f->server, "GET "), 1);
    }
}

static void refuse_parts(void *self, struct http_exchange *x)
{
    (void)self;
    http_reply_text(x, 403, NULL, "");
}

/* What all of it is, is not waited for. */
static void parts_of_a_blob_are_not_to_be_had_where_they_are_ignored_or_refused(void **state)
{
    static const struct {
        http_handler *handle;
        int rc;
        const char *text;
    } cases[] = {{ignore_ranges, -EOPNOTSUPP, "all of it is sent"},
                 {give_a_part_of_something, -EPROTO, "not the part"},
                 {refuse_parts, -EACCES, "403"},
                 {refuse_head_and_ranges, -EBADMSG, "416"}};
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        SCOPED(fixture) struct fixture *f = fixture_open(cases[i].handle, NULL, NULL);
        struct err err = ERR_NONE;

        assert_int_equal(registry_blob_gives_ranges(f->repo, &f->digest, sizeof(f->content), &err),
                         cases[i].rc);
        assert_text_has(err_text(&err), cases[i].text);
    }
}

/* ---- manners --------------------------------------------------------------------------------- */

/* Counts those that do not say who asks, or take another encoding than none. */
static void note_manners(struct fixture *f, const struct http_exchange *x)
{
    if (strcmp(x->user_agent, "test/1") != 0 || strcmp(x->accept_encoding, "identity") != 0)
        atomic_fetch_add(&f->seen, 1);
}

static void note_and_give(void *self, struct http_exchange *x)
{
    note_manners(self, x);
    http_reply_range(x, fixture_content(self));
}

static void answer_token(struct http_exchange *x)
{
    bool is_post = strcmp(x->method, "POST") == 0;

    http_reply_text(x, is_post ? 404 : 200, NULL, is_post ? "" : "{\"token\":\"t\"}");
}

static void answer_reading(struct fixture *f, struct http_exchange *x)
{
    SCOPED(mem)
    char *there = text_format("Location: http://%s/store\r\n", http_server_host(f->elsewhere));

    if (http_target_has(x, "/blobs/"))
        http_reply_text(x, 307, there, "");
    else if (http_target_has(x, "/manifests/v1"))
        http_reply_text(x, 200, "Content-Type: " OCI_MEDIA_MANIFEST "\r\n", MANIFEST);
    else
        http_reply_text(x, 404, NULL, "");
}

static void answer_all_kinds(void *self, struct http_exchange *x)
{
    struct fixture *f = self;
    SCOPED(mem)
    char *challenge = text_format("WWW-Authenticate: Bearer realm=\"http://%s/token\"\r\n",
                                  http_server_host(f->server));

    note_manners(f, x);
    if (http_target_has(x, "/token"))
        answer_token(x);
    else if (strcmp(x->authorization, "Bearer t") != 0)
        http_reply_text(x, 401, challenge, "");
    else if (strcmp(x->method, "GET") == 0 || is_head(x))
        answer_reading(f, x);
    else if (strcmp(x->method, "POST") == 0)
        http_reply_text(x, 202, "Location: /upload\r\n", "");
    else
        http_reply_text(x, strcmp(x->method, "PUT") == 0 ? 201 : 202, NULL, "");
}

static int find_user(void *self, const char *host, int cancel_fd, struct registry_credentials *ret,
                     struct err *err)
{
    (void)self;
    (void)host;
    (void)cancel_fd;
    (void)err;
    ret->username = text_copy("user");
    ret->password = text_copy("password");
    return 0;
}

static void read_all_kinds(struct fixture *f)
{
    SCOPED(buf_value) struct buf out = BUF_EMPTY;
    SCOPED(oci_index) struct oci_index *index = NULL;
    struct err err = ERR_NONE;
    uint64_t size;
    bool has;

    assert_ok(registry_get_manifest(f->repo, "v1", &out, NULL, &err));
    assert_ok(registry_get_blob(f->repo, &f->digest, sizeof(f->content), &out, &err));
    assert_ok(registry_blob_size(f->repo, &f->digest, &size, &err));
    assert_ok(registry_has_manifest(f->repo, "v1", &has, &err));
    assert_ok(registry_get_referrers(f->repo, &f->digest, "a/b", &index, NULL, &err));
    assert_ok(fetch_once(f, 500, 3500, &err));
}

static void every_kind_of_request_says_who_asks_and_takes_no_encoding(void **state)
{
    static const char *const kinds[] = {
        "POST /token",
        "GET /token",
        "HEAD /v2/",
        "GET /v2/team/app/manifests/v1",
        "GET /v2/team/app/blobs/",
        "GET /v2/team/app/referrers/",
        "GET /v2/team/app/manifests/sha256-",
        "POST /v2/team/app/blobs/uploads/",
        "PUT /upload",
        "PUT /v2/team/app/manifests/v1",
        "DELETE /v2/team/app/manifests/",
    };
    const struct registry_keychain keychain = {.find = find_user};
    SCOPED(fixture) struct fixture *f = fixture_open(answer_all_kinds, note_and_give, &keychain);
    struct err err = ERR_NONE;
    (void)state;

    read_all_kinds(f);
    assert_ok(registry_push_blob(f->repo, &f->digest, fixture_content(f), &err));
    assert_ok(registry_push_manifest(f->repo, "v1", OCI_MEDIA_MANIFEST, bytes_of_str(MANIFEST),
                                     NULL, &err));
    assert_ok(registry_delete_manifest(f->repo, &f->digest, &err));
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (http_server_count(f->server, kinds[i]) == 0)
            fail_msg("no %s", kinds[i]);
    }
    assert_true(http_server_count(f->elsewhere, "") >= 3);
    assert_int_equal(atomic_load(&f->seen), 0);
}

/* ---- pushing --------------------------------------------------------------------------------- */

/* Uploads to where the first reply's Location says, relative on even numbers. */
static void take_upload(void *self, struct http_exchange *x)
{
    struct fixture *f = self;
    SCOPED(mem) char *location = NULL;

    if (strcmp(x->method, "POST") == 0) {
        location = text_format("Location: http://%s/upload/%u?" SECRET_STATE "\r\n",
                               http_server_host(f->server), x->number);
        http_reply_text(
            x, 202, x->number % 4 == 0 ? "Location: /upload/0?" SECRET_STATE "\r\n" : location, "");
    } else if (http_target_has(x, SECRET_STATE "&digest=sha256%3A") &&
               bytes_equal(x->body, fixture_content(f)) &&
               strcmp(x->content_type, OCI_MEDIA_OCTETS) == 0) {
        http_reply_text(x, 201, NULL, "");
    } else {
        http_reply_text(x, 400, NULL, "");
    }
}

static void a_blob_goes_to_where_the_registry_says(void **state)
{
    SCOPED(fixture) struct fixture *f = fixture_open(take_upload, NULL, NULL);
    struct err err = ERR_NONE;
    (void)state;

    assert_ok(registry_push_blob(f->repo, &f->digest, fixture_content(f), &err));
    assert_ok(registry_push_blob(f->repo, &f->digest, fixture_content(f), &err));
    assert_int_equal(http_server_count(f->server, "POST /v2/team/app/blobs/uploads/"), 2);
    assert_int_equal(http_server_count(f->server, "PUT /upload/0?" SECRET_STATE), 1);
    assert_int_equal(http_server_count(f->server, "PUT /upload/2?" SECRET_STATE), 1);
    assert_false(fixture_traced(f, "do-not-show-this"));
}

static void break_first_upload(void *self, struct http_exchange *x)
{
    if (x->number == 1)
        http_reply_text(x, 503, NULL, "");
    else
        take_upload(self, x);
}

static void an_upload_that_breaks_is_begun_again(void **state)
{
    SCOPED(fixture) struct fixture *f = fixture_open(break_first_upload, NULL, NULL);
    struct err err = ERR_NONE;
    (void)state;

    assert_ok(registry_push_blob(f->repo, &f->digest, fixture_content(f), &err));
    assert_int_equal(http_server_count(f->server, "POST "), 2);
    assert_int_equal(http_server_count(f->server, "PUT "), 2);
}

static void refuse_upload(void *self, struct http_exchange *x)
{
    (void)self;
    if (strcmp(x->method, "POST") == 0)
        http_reply_text(x, 202, "Location: /upload?" SECRET_STATE "\r\n", "");
    else
        http_reply_text(x, 400, NULL,
                        "{\"errors\":[{\"code\":\"DIGEST_INVALID\",\"message\":\"provided digest "
                        "did not match\"}]}");
}

static void a_refused_upload_says_why_and_shows_no_query(void **state)
{
    SCOPED(fixture) struct fixture *f = fixture_open(refuse_upload, NULL, NULL);
    struct err err = ERR_NONE;
    (void)state;

    assert_int_equal(registry_push_blob(f->repo, &f->digest, fixture_content(f), &err), -EPROTO);
    assert_text_has(err_text(&err), "status 400: DIGEST_INVALID: provided digest did not match");
    assert_null(strstr(err_text(&err), "do-not-show-this"));
    assert_int_equal(http_server_count(f->server, "PUT "), 1);
}

static void upload_to_nowhere(void *self, struct http_exchange *x)
{
    (void)self;
    http_reply_text(x, 202, NULL, "");
}

static void an_upload_without_a_place_is_refused(void **state)
{
    SCOPED(fixture) struct fixture *f = fixture_open(upload_to_nowhere, NULL, NULL);
    struct err err = ERR_NONE;
    (void)state;

    assert_int_equal(registry_push_blob(f->repo, &f->digest, fixture_content(f), &err), -EPROTO);
    assert_text_has(err_text(&err), "does not say where to");
    assert_int_equal(http_server_count(f->server, ""), 1);
}

/* Knows subjects in tags that start with "api". */
static void take_manifest(void *self, struct http_exchange *x)
{
    (void)self;
    if (strcmp(x->method, "DELETE") == 0)
        http_reply_text(x, 405, NULL, "");
    else if (strcmp(x->method, "PUT") == 0 && strcmp(x->content_type, OCI_MEDIA_MANIFEST) == 0 &&
             bytes_equal(x->body, bytes_of_str(MANIFEST)))
        http_reply_text(x, 201, http_target_has(x, "/api") ? "OCI-Subject: sha256:1\r\n" : NULL,
                        "");
    else
        http_reply_text(x, 400, NULL, "");
}

static void whether_the_subject_is_known_is_said_by_the_registry(void **state)
{
    SCOPED(fixture) struct fixture *f = fixture_open(take_manifest, NULL, NULL);
    struct err err = ERR_NONE;
    bool known = false;
    (void)state;

    assert_ok(registry_push_manifest(f->repo, "api", OCI_MEDIA_MANIFEST, bytes_of_str(MANIFEST),
                                     &known, &err));
    assert_true(known);
    assert_ok(registry_push_manifest(f->repo, "old", OCI_MEDIA_MANIFEST, bytes_of_str(MANIFEST),
                                     &known, &err));
    assert_false(known);
}

static void deletion_that_is_off_is_told_apart(void **state)
{
    SCOPED(fixture) struct fixture *f = fixture_open(take_manifest, NULL, NULL);
    struct err err = ERR_NONE;
    (void)state;

    assert_int_equal(registry_delete_manifest(f->repo, &f->digest, &err), -EOPNOTSUPP);
}

/* ---- referrers ------------------------------------------------------------------------------- */

#define ENTRY(digit, type)                                                                         \
    "{\"mediaType\":\"" OCI_MEDIA_MANIFEST "\",\"size\":5,\"artifactType\":\"" type                \
    "\",\"digest\":\"sha256:" digit digit digit digit digit digit digit digit "\"}"
#define EIGHT(d) d d d d d d d d
#define INDEX(entries)                                                                             \
    "{\"schemaVersion\":2,\"mediaType\":\"" OCI_MEDIA_INDEX "\",\"manifests\":[" entries "]}"
#define INDEX_TYPE "Content-Type: " OCI_MEDIA_INDEX "\r\n"
#define THREE_ENTRIES                                                                              \
    ENTRY(EIGHT("1"), "a/wanted")                                                                  \
    "," ENTRY(EIGHT("2"), "a/other") "," ENTRY(EIGHT("3"), "a/"                                    \
                                                           "wanted")

/* Ignores the filter, as some do. */
static void referrers_api(void *self, struct http_exchange *x)
{
    (void)self;
    if (http_target_has(x, "/referrers/sha256:") && http_target_has(x, "?artifactType=a%2Fwanted"))
        http_reply_text(x, 200, INDEX_TYPE, INDEX(THREE_ENTRIES));
    else
        http_reply_text(x, 500, NULL, "");
}

static void referrers_tag(void *self, struct http_exchange *x)
{
    struct fixture *f = self;
    SCOPED(mem)
    char *tag = text_format("/v2/team/app/manifests/sha256-%s", f->digest_text + strlen("sha256:"));

    if (strcmp(x->target, tag) == 0)
        http_reply_text(x, 200, INDEX_TYPE, INDEX(THREE_ENTRIES));
    else if (http_target_has(x, "/referrers/"))
        http_reply_text(x, 404, NULL, "404 page not found");
    else
        http_reply_text(x, 500, NULL, "");
}

/* A web server with a friendly page for everything. */
static void friendly_page(void *self, struct http_exchange *x)
{
    if (http_target_has(x, "/referrers/"))
        http_reply_text(x, 200, "Content-Type: text/html\r\n", "<html>");
    else
        referrers_tag(self, x);
}

static void nothing_at_all(void *self, struct http_exchange *x)
{
    (void)self;
    http_reply_text(x, 404, NULL, "");
}

static void expect_referrers(http_handler *handle, size_t count, bool from_tag)
{
    SCOPED(fixture) struct fixture *f = fixture_open(handle, NULL, NULL);
    SCOPED(oci_index) struct oci_index *index = NULL;
    struct err err = ERR_NONE;
    bool got_from_tag = !from_tag;

    if (registry_get_referrers(f->repo, &f->digest, "a/wanted", &index, &got_from_tag, &err) < 0)
        fail_msg("%s", err_text(&err));
    assert_int_equal(index->manifest_count, count);
    assert_int_equal(got_from_tag, from_tag);
    for (size_t i = 0; i < count; i++)
        assert_string_equal(index->manifests[i].artifact_type, "a/wanted");
}

static void referrers_come_from_the_api_or_the_tag_and_are_filtered(void **state)
{
    (void)state;
    expect_referrers(referrers_api, 2, false);
    expect_referrers(referrers_tag, 2, true);
    expect_referrers(friendly_page, 2, true);
    expect_referrers(nothing_at_all, 0, true);
}

static void referrers_in_pages(void *self, struct http_exchange *x)
{
    (void)self;
    if (http_target_has(x, "page=3"))
        http_reply_text(x, 200, INDEX_TYPE, INDEX(ENTRY(EIGHT("6"), "a/wanted")));
    else if (http_target_has(x, "page=2"))
        http_reply_text(x, 200, INDEX_TYPE "Link: <?page=3>; rel=\"next\"\r\n", INDEX(""));
    else
        http_reply_text(x, 200,
                        INDEX_TYPE "Link: </v2/team/app/referrers/x?page=2>; rel=\"next\"\r\n",
                        INDEX(ENTRY(EIGHT("5"), "a/wanted")));
}

static void all_pages_are_read(void **state)
{
    (void)state;
    expect_referrers(referrers_in_pages, 2, false);
}

static void endless_pages(void *self, struct http_exchange *x)
{
    (void)self;
    http_reply_text(x, 200, INDEX_TYPE "Link: <?more>; rel=\"next\"\r\n", INDEX(""));
}

static void pages_elsewhere(void *self, struct http_exchange *x)
{
    (void)self;
    http_reply_text(x, 200, INDEX_TYPE "Link: <http://127.0.0.1:1/?n>; rel=\"next\"\r\n",
                    INDEX(""));
}

static void broken_index(void *self, struct http_exchange *x)
{
    (void)self;
    http_reply_text(x, 200, INDEX_TYPE, "{\"manifests\":[{}]}");
}

static void no_entry(void *self, struct http_exchange *x)
{
    (void)self;
    http_reply_text(x, 403, NULL, "");
}

static void expect_no_referrers(http_handler *handle, int rc, const char *text)
{
    SCOPED(fixture) struct fixture *f = fixture_open(handle, NULL, NULL);
    struct oci_index *index = NULL;
    struct err err = ERR_NONE;

    assert_int_equal(registry_get_referrers(f->repo, &f->digest, "a/b", &index, NULL, &err), rc);
    assert_text_has(err_text(&err), text);
    assert_null(index);
}

static void referrers_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    expect_no_referrers(endless_pages, -EFBIG, "more than 100 pages");
    expect_no_referrers(pages_elsewhere, -EPROTO, "the next page is at another host");
    expect_no_referrers(broken_index, -EBADMSG, "referrers: index: manifests[0]: no mediaType");
    expect_no_referrers(no_entry, -EACCES, "status 403");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_manifest_comes_with_its_type),
        cmocka_unit_test(a_manifest_of_another_digest_is_refused),
        cmocka_unit_test(a_manifest_is_asked_for_once_in_a_while_where_that_is_wanted),
        cmocka_unit_test(a_manifest_is_asked_for_once_in_a_while_where_that_is_wanted),
        cmocka_unit_test(presence_is_asked_with_head),
        cmocka_unit_test(a_call_fails_rather_than_wait_long_when_it_may_not),
        cmocka_unit_test(a_call_ends_with_its_budget),
        cmocka_unit_test(an_attempt_ends_as_a_whole_though_something_comes),
        cmocka_unit_test(a_dial_has_a_limit_of_its_own),
        cmocka_unit_test(http_is_for_those_that_were_named),
        cmocka_unit_test(names_that_are_none_are_not_asked_for),
        cmocka_unit_test(a_small_blob_comes_whole_and_checked),
        cmocka_unit_test(a_blob_over_the_limit_is_refused_said_or_not),
        cmocka_unit_test(a_blob_that_is_cut_is_read_anew),
        cmocka_unit_test(the_size_is_found_with_and_without_head),
        cmocka_unit_test(a_size_that_no_range_tells_is_that_of_a_whole_body),
        cmocka_unit_test(a_size_that_nobody_tells_is_not_guessed),
        cmocka_unit_test(parts_of_a_blob_are_to_be_had_where_one_comes),
        cmocka_unit_test(parts_of_a_blob_are_not_to_be_had_where_they_are_ignored_or_refused),
        cmocka_unit_test(every_kind_of_request_says_who_asks_and_takes_no_encoding),
        cmocka_unit_test(a_blob_goes_to_where_the_registry_says),
        cmocka_unit_test(an_upload_that_breaks_is_begun_again),
        cmocka_unit_test(a_refused_upload_says_why_and_shows_no_query),
        cmocka_unit_test(an_upload_without_a_place_is_refused),
        cmocka_unit_test(whether_the_subject_is_known_is_said_by_the_registry),
        cmocka_unit_test(deletion_that_is_off_is_told_apart),
        cmocka_unit_test(referrers_come_from_the_api_or_the_tag_and_are_filtered),
        cmocka_unit_test(all_pages_are_read),
        cmocka_unit_test(referrers_that_make_no_sense_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
