/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials: asked for once, kept until refused, Basic and Bearer, also by a form. */
#include "registry_fixture.h"

#include <poll.h>
#include <stdio.h>

#define BASIC_USER "Basic dXNlcjpwYXNzd29yZA==" /* user:password */

/* ---- keychains ------------------------------------------------------------------------------- */

struct keys {
    const char *username;
    const char *password;
    const char *identity_token;
    const char *registry_token;
    int rc;
    atomic_bool fails; /* from now on */
    atomic_uint asked;
};

static int find_keys(void *self, const char *host, int cancel_fd, struct registry_credentials *ret,
                     struct err *err)
{
    struct keys *keys = self;
    (void)cancel_fd;

    atomic_fetch_add(&keys->asked, 1);
    clock_sleep_ms(30); /* a helper program takes its time */
    if (atomic_load(&keys->fails))
        return err_set(err, -EAGAIN, "no socket yet");
    if (keys->rc < 0)
        return err_set(err, keys->rc, "the helper for %s is broken", host);
    ret->username = text_copy(keys->username);
    ret->password = text_copy(keys->password);
    ret->identity_token = text_copy(keys->identity_token);
    ret->registry_token = text_copy(keys->registry_token);
    return 0;
}

/* ---- Basic ----------------------------------------------------------------------------------- */

static void want_user(void *self, struct http_exchange *x)
{
    if (strcmp(x->authorization, BASIC_USER) == 0)
        http_reply_range(x, fixture_content(self));
    else
        http_reply_text(x, 401, "WWW-Authenticate: Basic realm=\"here\"\r\n", "");
}

static void credentials_are_looked_up_once_and_kept(void **state)
{
    struct keys keys = {.username = "user", .password = "password"};
    const struct registry_keychain keychain = {.find = find_keys, .self = &keys};
    SCOPED(fixture) struct fixture *f = fixture_open(want_user, NULL, &keychain);
    struct err err = ERR_NONE;
    (void)state;

    for (int i = 0; i < 3; i++)
        assert_ok(fetch_once(f, 0, 1000, &err));
    assert_int_equal(atomic_load(&keys.asked), 1);
    assert_int_equal(http_server_count(f->server, ""), 1 + 3);
}

static void many_refusals_at_once_cost_one_look_up(void **state)
{
    enum { COUNT = 12 };
    struct keys keys = {.username = "user", .password = "password"};
    const struct registry_keychain keychain = {.find = find_keys, .self = &keys};
    SCOPED(fixture) struct fixture *f = fixture_open(want_user, NULL, &keychain);
    SCOPED(registry_blob) struct registry_blob *blob = open_blob(f);
    struct fetched *got[COUNT];
    struct err err = ERR_NONE;
    (void)state;

    for (int i = 0; i < COUNT; i++) {
        got[i] = malloc(sizeof(*got[i]));
        fetched_init(got[i], (uint64_t)i * 10, 1000);
        assert_ok(registry_blob_fetch(blob, &got[i]->fetch, &err));
    }
    for (int i = 0; i < COUNT; i++) {
        assert_ok(fetched_wait(got[i]));
        free(got[i]);
    }
    assert_int_equal(atomic_load(&keys.asked), 1);
    assert_true(http_server_count(f->server, "") <= 2 * COUNT); /* refused once each at most */
}

static void expect_refusal(struct keys *keys, http_handler *handle, int rc, const char *text,
                           unsigned requests)
{
    const struct registry_keychain keychain = {.find = find_keys, .self = keys};
    SCOPED(fixture) struct fixture *f = fixture_open(handle, NULL, keys == NULL ? NULL : &keychain);
    struct err err = ERR_NONE;

    assert_int_equal(fetch_once(f, 0, 1000, &err), rc);
    assert_text_has(err_text(&err), text);
    assert_null(strstr(err_text(&err), "wrong"));
    assert_int_equal(http_server_count(f->server, ""), requests);
}

static void wrong_credentials_are_refused_after_two_tries(void **state)
{
    struct keys keys = {.username = "user", .password = "wrong"};
    (void)state;

    expect_refusal(&keys, want_user, -EACCES, "refuses the user name and password", 2);
    assert_int_equal(atomic_load(&keys.asked), 2);
}

static void no_credentials_are_an_error_that_says_so(void **state)
{
    struct keys nobody = {.username = "", .password = ""};
    struct keys nothing = {.username = NULL, .password = NULL};
    (void)state;

    expect_refusal(&nobody, want_user, -EACCES,
                   "wants a user name and a password, and none are known", 1);
    expect_refusal(&nothing, want_user, -EACCES, "none are known", 1);
    expect_refusal(NULL, want_user, -EACCES, "none are known", 1);
}

static void a_keychain_that_fails_fails_the_request(void **state)
{
    struct keys keys = {.rc = -EIO};
    (void)state;

    expect_refusal(&keys, want_user, -EIO, "the helper for 127.0.0.1:", 1);
}

static void want_something_strange(void *self, struct http_exchange *x)
{
    (void)self;
    http_reply_text(x, 401, "WWW-Authenticate: Negotiate\r\n", "");
}

static void an_unknown_kind_of_challenge_is_refused(void **state)
{
    struct keys keys = {.username = "user", .password = "password"};
    (void)state;

    expect_refusal(&keys, want_something_strange, -EACCES, "no challenge of a kind that we know",
                   1);
    assert_int_equal(atomic_load(&keys.asked), 0);
}

static void closing_does_not_wait_for_a_slow_keychain(void **state)
{
    struct keys keys = {.username = "user", .password = "password"};
    const struct registry_keychain keychain = {.find = find_keys, .self = &keys};
    SCOPED(fixture) struct fixture *f = fixture_open(want_user, NULL, &keychain);
    struct registry_blob *blob = open_blob(f);
    SCOPED(mem) struct fetched *got = malloc(sizeof(*got));
    struct err err = ERR_NONE;
    (void)state;

    fetched_init(got, 0, 1000);
    assert_ok(registry_blob_fetch(blob, &got->fetch, &err));
    while (atomic_load(&keys.asked) == 0)
        clock_sleep_ms(1);
    registry_blob_close(blob);
    assert_int_equal(got->rc, -ECANCELED);
}

struct patient {
    atomic_bool asked, cancelled;
};

static int find_slowly(void *self, const char *host, int cancel_fd,
                       struct registry_credentials *ret, struct err *err)
{
    struct patient *patient = self;
    struct pollfd end = {.fd = cancel_fd, .events = POLLIN};

    (void)host;
    (void)ret;
    atomic_store(&patient->asked, true);
    if (poll(&end, 1, DEADLINE_MS) == 1)
        atomic_store(&patient->cancelled, true);
    return err_set(err, -ECANCELED, "nobody waits");
}

static void a_look_up_is_told_of_the_end(void **state)
{
    struct patient patient = {.asked = false};
    const struct registry_keychain keychain = {.find = find_slowly, .self = &patient};
    struct fixture *f = fixture_open(want_user, NULL, &keychain);
    struct registry_blob *blob = open_blob(f);
    SCOPED(mem) struct fetched *got = malloc(sizeof(*got));
    struct err err = ERR_NONE;
    (void)state;

    fetched_init(got, 0, 1000);
    assert_ok(registry_blob_fetch(blob, &got->fetch, &err));
    while (!atomic_load(&patient.asked))
        clock_sleep_ms(1);
    registry_cancel_all(f->registry);
    assert_int_equal(fetched_wait(got), -ECANCELED);
    registry_blob_close(blob);
    fixture_close(f);
    assert_true(atomic_load(&patient.cancelled));
}

/* ---- Bearer ---------------------------------------------------------------------------------- */

/* Tokens are numbered: token-1 and so on; `seen` is how many were given. The registry accepts the
 * newest. */
static void want_token(void *self, struct http_exchange *x)
{
    struct fixture *f = self;
    SCOPED(mem) char *good = text_format("Bearer token-%u", atomic_load(&f->seen));
    SCOPED(mem)
    char *challenge = text_format(
        "WWW-Authenticate: Bearer realm=\"http://%s/token?a=b\",service=\"the service\","
        "scope=\"repository:team/app:pull\"\r\n",
        http_server_host(f->elsewhere));

    if (strcmp(x->authorization, good) == 0)
        http_reply_range(x, fixture_content(f));
    else
        http_reply_text(x, 401, challenge, "");
}

static void send_token(struct fixture *f, struct http_exchange *x, unsigned expires_s)
{
    SCOPED(mem)
    char *json = text_format("{\"token\":\"token-%u\",\"expires_in\":%u}",
                             atomic_fetch_add(&f->seen, 1) + 1, expires_s);

    http_reply_text(x, 200, "Content-Type: application/json\r\n", json);
}

/* Of the kind that has no POST. */
static void give_token(void *self, struct http_exchange *x)
{
    bool asked_well =
        strcmp(x->method, "GET") == 0 &&
        strcmp(x->target, "/token?a=b&service=the%20service&scope=repository%3Ateam%2F"
                          "app%3Apull") == 0;

    if (!asked_well || strcmp(x->authorization, BASIC_USER) != 0)
        http_reply_text(x, 401, NULL, "");
    else
        send_token(self, x, 60);
}

static void a_token_is_asked_for_and_kept(void **state)
{
    struct keys keys = {.username = "user", .password = "password"};
    const struct registry_keychain keychain = {.find = find_keys, .self = &keys};
    SCOPED(fixture) struct fixture *f = fixture_open(want_token, give_token, &keychain);
    struct err err = ERR_NONE;
    (void)state;

    for (int i = 0; i < 3; i++) {
        if (fetch_once(f, 0, 1000, &err) < 0)
            fail_msg("%s", err_text(&err));
    }
    assert_int_equal(http_server_count(f->elsewhere, "POST /token?a=b"), 1);
    assert_int_equal(http_server_count(f->elsewhere, "GET /token?a=b"), 1);
    assert_int_equal(http_server_count(f->server, ""), 1 + 3);
    assert_false(fixture_traced(f, "token-1"));
    assert_false(fixture_traced(f, "password"));
    assert_false(fixture_traced(f, "scope="));
}

static void a_token_that_is_refused_is_replaced(void **state)
{
    struct keys keys = {.username = "user", .password = "password"};
    const struct registry_keychain keychain = {.find = find_keys, .self = &keys};
    SCOPED(fixture) struct fixture *f = fixture_open(want_token, give_token, &keychain);
    struct err err = ERR_NONE;
    (void)state;

    assert_ok(fetch_once(f, 0, 1000, &err));
    atomic_fetch_add(&f->seen, 1); /* token-1 is not good any more */
    assert_ok(fetch_once(f, 0, 1000, &err));
    assert_int_equal(http_server_count(f->elsewhere, "GET"), 2);
    assert_int_equal(atomic_load(&keys.asked), 1); /* what it said is still good */
}

static void give_short_token(void *self, struct http_exchange *x)
{
    struct fixture *f = self;
    SCOPED(mem)
    char *json = text_format("{\"access_token\":\"token-%u\",\"expires_in\":1}",
                             atomic_fetch_add(&f->seen, 1) + 1);
    http_reply_text(x, x->authorization[0] == '\0' ? 200 : 500, NULL, json);
}

static void a_token_that_has_run_out_is_replaced_before_it_is_refused(void **state)
{
    SCOPED(fixture) struct fixture *f = fixture_open(want_token, give_short_token, NULL);
    struct err err = ERR_NONE;
    (void)state;

    assert_ok(fetch_once(f, 0, 1000, &err));
    clock_sleep_ms(1100);
    assert_ok(fetch_once(f, 0, 1000, &err));
    assert_int_equal(http_server_count(f->elsewhere, ""), 2);
    assert_int_equal(http_server_count(f->server, ""), 1 + 2);
}

static void refuse_all(void *self, struct http_exchange *x)
{
    (void)self;
    http_reply_text(x, 401, NULL,
                    "{\"errors\":[{\"code\":\"UNAUTHORIZED\",\"message\":\"go away\"}]}");
}

static void give_nonsense(void *self, struct http_exchange *x)
{
    (void)self;
    http_reply_text(x, 200, NULL, "{\"token\":\"a\\r\\nX-Injected: b\"}");
}

static void give_stale_token(void *self, struct http_exchange *x)
{
    (void)self;
    http_reply_text(x, 200, NULL, "{\"token\":\"stale\"}");
}

static void expect_token_failure(http_handler *realm, int rc, const char *text, unsigned asked)
{
    SCOPED(fixture) struct fixture *f = fixture_open(want_token, realm, NULL);
    struct err err = ERR_NONE;

    assert_int_equal(fetch_once(f, 0, 1000, &err), rc);
    assert_text_has(err_text(&err), text);
    assert_null(strstr(err_text(&err), "scope="));
    assert_int_equal(http_server_count(f->elsewhere, ""), asked);
}

static void a_realm_that_gives_no_token_is_an_error(void **state)
{
    (void)state;
    expect_token_failure(refuse_all, -EACCES, "status 401: UNAUTHORIZED: go away", 1);
    expect_token_failure(give_nonsense, -EPROTO, "the answer has no token", 1);
    expect_token_failure(give_stale_token, -EACCES, "status 401", 2);
}

static void bad_realm(void *self, struct http_exchange *x)
{
    static const char *const realms[] = {"ftp://127.0.0.1/", "http://user:secret@127.0.0.1/", ""};
    SCOPED(mem)
    char *challenge = text_format("WWW-Authenticate: Bearer realm=\"%s\"\r\n",
                                  realms[x->number % ARRAY_LEN(realms)]);
    (void)self;

    http_reply_text(x, 401,
                    x->number == 2 ? "WWW-Authenticate: Bearer service=\"x\"\r\n" : challenge, "");
}

static void a_realm_that_is_no_place_to_ask_is_refused(void **state)
{
    SCOPED(fixture) struct fixture *f = fixture_open(bad_realm, NULL, NULL);
    struct err err = ERR_NONE;
    (void)state;

    assert_int_equal(fetch_once(f, 0, 10, &err), -EPROTO);
    assert_text_has(err_text(&err), "realm of 127.0.0.1:");
    assert_int_equal(fetch_once(f, 0, 10, &err), -EPROTO);
    assert_null(strstr(err_text(&err), "secret"));
    assert_int_equal(fetch_once(f, 0, 10, &err), -EPROTO);
    assert_text_has(err_text(&err), "names no place to get a token");
}

/* ---- Bearer, by a form ----------------------------------------------------------------------- */

static bool has_body(const struct http_exchange *x, const char *expected)
{
    return bytes_equal(x->body, bytes_of_str(expected));
}

/* Accepts one form and nothing else. */
static void give_for_form(struct fixture *f, struct http_exchange *x, const char *form,
                          unsigned expires_s)
{
    if (strcmp(x->method, "POST") == 0 && x->authorization[0] == '\0' &&
        strcmp(x->content_type, "application/x-www-form-urlencoded") == 0 && has_body(x, form))
        send_token(f, x, expires_s);
    else
        http_reply_text(x, 500, NULL, "");
}

#define FORM(grant)                                                                                \
    "client_id=containerd-client&service=the%20service&scope=repository%3Ateam%2Fapp%3Apull&"      \
    "grant_type=" grant

static void give_for_password(void *self, struct http_exchange *x)
{
    give_for_form(self, x, FORM("password&username=us%26er&password=pass%20word%3D%25"), 60);
}

static void give_for_identity(void *self, struct http_exchange *x)
{
    give_for_form(self, x, FORM("refresh_token&refresh_token=it%2B1"), 60);
}

static void expect_one_token(struct keys *keys, http_handler *realm)
{
    const struct registry_keychain keychain = {.find = find_keys, .self = keys};
    SCOPED(fixture) struct fixture *f = fixture_open(want_token, realm, &keychain);
    struct err err = ERR_NONE;

    for (int i = 0; i < 2; i++) {
        if (fetch_once(f, 0, 1000, &err) < 0)
            fail_msg("%s", err_text(&err));
    }
    assert_int_equal(http_server_count(f->elsewhere, "POST /token?a=b"), 1);
    assert_int_equal(http_server_count(f->elsewhere, ""), 1);
}

static void a_password_is_sent_in_a_form_and_in_no_address(void **state)
{
    struct keys keys = {.username = "us&er", .password = "pass word=%"};
    (void)state;

    expect_one_token(&keys, give_for_password);
}

static void an_identity_token_is_sent_as_a_refresh_token(void **state)
{
    struct keys named = {.identity_token = "it+1"};
    struct keys nameless = {.username = "", .password = "it+1"};
    struct keys both = {.username = "u", .password = "p", .identity_token = "it+1"};
    (void)state;

    expect_one_token(&named, give_for_identity);
    expect_one_token(&nameless, give_for_identity);
    expect_one_token(&both, give_for_identity);
}

/* The status that this realm has for a POST is in `failed[0…3]`, by its number. */
static void give_after_refusal(void *self, struct http_exchange *x)
{
    static const int statuses[] = {400, 401, 404, 405, 403};
    struct fixture *f = self;

    if (strcmp(x->method, "POST") == 0) {
        for (size_t i = 0; i < ARRAY_LEN(statuses); i++) {
            if (atomic_load(&f->failed[i]))
                http_reply_text(x, statuses[i], NULL, "");
        }
    } else {
        give_token(self, x);
    }
}

static void a_realm_without_POST_is_asked_by_GET(void **state)
{
    (void)state;
    for (size_t i = 0; i < 5; i++) {
        struct keys keys = {.username = "user", .password = "password"};
        const struct registry_keychain keychain = {.find = find_keys, .self = &keys};
        SCOPED(fixture)
        struct fixture *f = fixture_open(want_token, give_after_refusal, &keychain);
        struct err err = ERR_NONE;

        atomic_store(&f->failed[i], true);
        assert_int_equal(fetch_once(f, 0, 1000, &err), i == 4 ? -EACCES : 0);
        assert_int_equal(http_server_count(f->elsewhere, "GET"), i == 4 ? 0 : 1);
    }
}

static void redirect_home(void *self, struct http_exchange *x)
{
    struct fixture *f = self;
    SCOPED(mem)
    char *location = text_format("Location: http://%s/stolen\r\n", http_server_host(f->server));

    http_reply_text(x, 307, location, "");
}

static void a_password_does_not_follow_a_redirect(void **state)
{
    struct keys keys = {.username = "user", .password = "password"};
    const struct registry_keychain keychain = {.find = find_keys, .self = &keys};
    SCOPED(fixture) struct fixture *f = fixture_open(want_token, redirect_home, &keychain);
    struct err err = ERR_NONE;
    (void)state;

    assert_int_equal(fetch_once(f, 0, 1000, &err), -EACCES);
    assert_text_has(err_text(&err), "redirected elsewhere");
    assert_int_equal(http_server_count(f->server, "POST"), 0);
    assert_int_equal(http_server_count(f->server, "GET /stolen"), 0);
}

static void want_registry_token(void *self, struct http_exchange *x)
{
    if (strcmp(x->authorization, "Bearer rt") == 0)
        http_reply_range(x, fixture_content(self));
    else
        http_reply_text(x, 401, "WWW-Authenticate: Bearer realm=\"http://127.0.0.1:1/\"\r\n", "");
}

static void a_registry_token_is_used_as_it_is(void **state)
{
    struct keys good = {.registry_token = "rt"}, bad = {.registry_token = "wrong"},
                worse = {.registry_token = "r\r\nX-Injected: wrong"};
    const struct registry_keychain keychain = {.find = find_keys, .self = &good};
    SCOPED(fixture) struct fixture *f = fixture_open(want_registry_token, NULL, &keychain);
    struct err err = ERR_NONE;
    (void)state;

    assert_ok(fetch_once(f, 0, 1000, &err));
    expect_refusal(&bad, want_registry_token, -EACCES, "refuses the token", 2);
    expect_refusal(&worse, want_registry_token, -EBADMSG, "is none", 1);
}

/* ---- several scopes -------------------------------------------------------------------------- */

static void want_scopes(void *self, struct http_exchange *x)
{
    struct fixture *f = self;
    SCOPED(mem)
    char *challenge = text_format("WWW-Authenticate: Bearer realm=\"http://%s/token\","
                                  "scope=\"a:b:pull c:d:pull,push\"\r\n",
                                  http_server_host(f->elsewhere));

    if (strcmp(x->authorization, "Bearer token-1") == 0)
        http_reply_range(x, fixture_content(f));
    else
        http_reply_text(x, 401, challenge, "");
}

static void give_for_scopes(void *self, struct http_exchange *x)
{
    bool well = strcmp(x->target, "/token?scope=a%3Ab%3Apull&scope=c%3Ad%3Apull%2Cpush") == 0 ||
                has_body(x, "client_id=containerd-client&scope=a%3Ab%3Apull%20c%3Ad%3Apull%2Cpush&"
                            "grant_type=password&username=u&password=p");

    if (well)
        send_token(self, x, 60);
    else
        http_reply_text(x, 403, NULL, "");
}

static void several_scopes_are_asked_for_together(void **state)
{
    struct keys keys = {.username = "u", .password = "p"};
    const struct registry_keychain keychain = {.find = find_keys, .self = &keys};
    (void)state;

    for (int i = 0; i < 2; i++) {
        SCOPED(fixture)
        struct fixture *f = fixture_open(want_scopes, give_for_scopes, i == 0 ? NULL : &keychain);
        struct err err = ERR_NONE;

        if (fetch_once(f, 0, 1000, &err) < 0)
            fail_msg("%s", err_text(&err));
    }
}

/* ---- what changes in the middle of a run ------------------------------------------------------
 */

static void give_short_for_password(void *self, struct http_exchange *x)
{
    give_for_form(self, x, FORM("password&username=user&password=password"), 1);
}

static void a_helper_that_is_gone_when_a_token_runs_out_is_not_missed(void **state)
{
    struct keys keys = {.username = "user", .password = "password"};
    const struct registry_keychain keychain = {.find = find_keys, .self = &keys};
    SCOPED(fixture)
    struct fixture *f = fixture_open(want_token, give_short_for_password, &keychain);
    struct err err = ERR_NONE;
    (void)state;

    assert_ok(fetch_once(f, 0, 1000, &err));
    atomic_store(&keys.fails, true);
    for (int i = 0; i < 2; i++) {
        clock_sleep_ms(1100);
        assert_ok(fetch_once(f, 0, 1000, &err));
    }
    /* Refused before its time: what was known then is good for another. */
    atomic_fetch_add(&f->seen, 1);
    assert_ok(fetch_once(f, 0, 1000, &err));
}

static void what_the_keychain_gave_is_asked_for_anew_after_a_while(void **state)
{
    static const int64_t ttls_ms[] = {1, -1};
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(ttls_ms); i++) {
        struct keys keys = {.username = "user", .password = "password"};
        const struct registry_keychain keychain = {.find = find_keys, .self = &keys};
        const struct registry_options options = {.http_loopback = true,
                                                 .credentials_ttl_ms = ttls_ms[i]};
        SCOPED(fixture)
        struct fixture *f = fixture_open(want_token, give_short_for_password, NULL);
        struct err err = ERR_NONE;

        registry_repo_unref(f->repo);
        registry_free(f->registry);
        assert_ok(registry_new(&options, &f->registry, &err));
        assert_ok(registry_repo_open(f->registry, http_server_host(f->server), "team/app",
                                     &keychain, &f->repo, &err));
        assert_ok(fetch_once(f, 0, 1000, &err));
        clock_sleep_ms(1100);
        assert_ok(fetch_once(f, 0, 1000, &err));
        assert_int_equal(atomic_load(&keys.asked), i == 0 ? 2 : 1);
    }
}

static void a_helper_that_fails_first_is_asked_again_by_the_next_request(void **state)
{
    struct keys keys = {.username = "user", .password = "password", .fails = true};
    const struct registry_keychain keychain = {.find = find_keys, .self = &keys};
    SCOPED(fixture) struct fixture *f = fixture_open(want_user, NULL, &keychain);
    struct err err = ERR_NONE;
    (void)state;

    assert_int_equal(fetch_once(f, 0, 1000, &err), -EAGAIN);
    assert_text_has(err_text(&err), "no socket yet");
    atomic_store(&keys.fails, false);
    assert_ok(fetch_once(f, 0, 1000, &err));
}

/* The password is that of `rotated`: user:password, or user:other. */
static void want_newest(void *self, struct http_exchange *x)
{
    struct fixture *f = self;
    bool is_rotated = atomic_load(&f->failed[0]);

    if (strcmp(x->authorization, is_rotated ? "Basic dXNlcjpvdGhlcg==" : BASIC_USER) == 0)
        http_reply_range(x, fixture_content(self));
    else
        http_reply_text(x, 401, "WWW-Authenticate: Basic realm=\"here\"\r\n", "");
}

static void a_password_that_was_changed_is_looked_up_anew_but_not_in_a_loop(void **state)
{
    struct keys keys = {.username = "user", .password = "password"};
    const struct registry_keychain keychain = {.find = find_keys, .self = &keys};
    SCOPED(fixture) struct fixture *f = fixture_open(want_newest, NULL, &keychain);
    struct err err = ERR_NONE;
    int64_t start_ms;
    (void)state;

    assert_ok(fetch_once(f, 0, 1000, &err));
    atomic_store(&f->failed[0], true);
    start_ms = clock_mono_ms();
    for (int i = 0; i < 20; i++) {
        assert_int_equal(fetch_once(f, 0, 1000, &err), -EACCES);
        assert_text_has(err_text(&err), "refuses the user name and password");
    }
    /* Once, and once again for each pause that a slow machine made of it. */
    assert_true(atomic_load(&keys.asked) <= 2 + (clock_mono_ms() - start_ms) / 2000);
    keys.password = "other";
    clock_sleep_ms(2100);
    assert_ok(fetch_once(f, 0, 1000, &err));
}

static void expired_at_amazon(void *self, struct http_exchange *x)
{
    struct fixture *f = self;

    if (strcmp(x->authorization, BASIC_USER) == 0)
        http_reply_range(x, fixture_content(f));
    else if (atomic_fetch_add(&f->seen, 1) == 0)
        http_reply_text(x, 403, NULL,
                        "{\"message\":\"Your authorization token has expired. Reauthenticate and "
                        "try again.\"}");
    else
        http_reply_text(x, 403, NULL, "{\"message\":\"no\"}");
}

static void a_403_of_amazon_that_means_expired_is_a_401(void **state)
{
    struct keys keys = {.username = "user", .password = "password"};
    const struct registry_keychain keychain = {.find = find_keys, .self = &keys};
    SCOPED(fixture) struct fixture *f = fixture_open(expired_at_amazon, NULL, &keychain);
    struct err err = ERR_NONE;
    (void)state;

    assert_ok(fetch_once(f, 0, 1000, &err));
    assert_int_equal(atomic_load(&keys.asked), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(credentials_are_looked_up_once_and_kept),
        cmocka_unit_test(many_refusals_at_once_cost_one_look_up),
        cmocka_unit_test(wrong_credentials_are_refused_after_two_tries),
        cmocka_unit_test(no_credentials_are_an_error_that_says_so),
        cmocka_unit_test(a_keychain_that_fails_fails_the_request),
        cmocka_unit_test(an_unknown_kind_of_challenge_is_refused),
        cmocka_unit_test(a_look_up_is_told_of_the_end),
        cmocka_unit_test(closing_does_not_wait_for_a_slow_keychain),
        cmocka_unit_test(a_token_is_asked_for_and_kept),
        cmocka_unit_test(a_token_that_is_refused_is_replaced),
        cmocka_unit_test(a_token_that_has_run_out_is_replaced_before_it_is_refused),
        cmocka_unit_test(a_realm_that_gives_no_token_is_an_error),
        cmocka_unit_test(a_realm_that_is_no_place_to_ask_is_refused),
        cmocka_unit_test(a_password_is_sent_in_a_form_and_in_no_address),
        cmocka_unit_test(an_identity_token_is_sent_as_a_refresh_token),
        cmocka_unit_test(a_realm_without_POST_is_asked_by_GET),
        cmocka_unit_test(a_password_does_not_follow_a_redirect),
        cmocka_unit_test(a_registry_token_is_used_as_it_is),
        cmocka_unit_test(several_scopes_are_asked_for_together),
        cmocka_unit_test(a_helper_that_is_gone_when_a_token_runs_out_is_not_missed),
        cmocka_unit_test(what_the_keychain_gave_is_asked_for_anew_after_a_while),
        cmocka_unit_test(a_helper_that_fails_first_is_asked_again_by_the_next_request),
        cmocka_unit_test(a_password_that_was_changed_is_looked_up_anew_but_not_in_a_loop),
        cmocka_unit_test(a_403_of_amazon_that_means_expired_is_a_401),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
