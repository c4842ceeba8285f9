/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials: asked for once, kept until refused, Basic and Bearer. */
#include "registry_fixture.h"

#include <stdio.h>

#define BASIC_USER "Basic dXNlcjpwYXNzd29yZA==" /* user:password */

/* ---- keychains ------------------------------------------------------------------------------- */

struct keys {
    const char *username;
    const char *password;
    int rc;
    atomic_uint asked;
};

static int find_keys(void *self, const char *host, struct registry_credentials *ret,
                     struct err *err)
{
    struct keys *keys = self;

    atomic_fetch_add(&keys->asked, 1);
    clock_sleep_ms(30); /* a helper program takes its time */
    if (keys->rc < 0)
        return err_set(err, keys->rc, "the helper for %s is broken", host);
    ret->username = text_copy(keys->username);
    ret->password = text_copy(keys->password);
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

static void give_token(void *self, struct http_exchange *x)
{
    struct fixture *f = self;
    bool asked_well =
        strcmp(x->target, "/token?a=b&service=the%20service&scope=repository%3Ateam%2F"
                          "app%3Apull") == 0;
    SCOPED(mem) char *json = NULL;

    if (!asked_well || strcmp(x->authorization, BASIC_USER) != 0) {
        http_reply_text(x, 401, NULL, "");
        return;
    }
    json = text_format("{\"token\":\"token-%u\",\"expires_in\":60}",
                       atomic_fetch_add(&f->seen, 1) + 1);
    http_reply_text(x, 200, "Content-Type: application/json\r\n", json);
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
    assert_int_equal(http_server_count(f->elsewhere, ""), 1);
    assert_int_equal(http_server_count(f->server, ""), 1 + 3);
    assert_false(fixture_traced(f, "token-1"));
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
    assert_int_equal(http_server_count(f->elsewhere, ""), 2);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(credentials_are_looked_up_once_and_kept),
        cmocka_unit_test(many_refusals_at_once_cost_one_look_up),
        cmocka_unit_test(wrong_credentials_are_refused_after_two_tries),
        cmocka_unit_test(no_credentials_are_an_error_that_says_so),
        cmocka_unit_test(a_keychain_that_fails_fails_the_request),
        cmocka_unit_test(an_unknown_kind_of_challenge_is_refused),
        cmocka_unit_test(closing_does_not_wait_for_a_slow_keychain),
        cmocka_unit_test(a_token_is_asked_for_and_kept),
        cmocka_unit_test(a_token_that_is_refused_is_replaced),
        cmocka_unit_test(a_token_that_has_run_out_is_replaced_before_it_is_refused),
        cmocka_unit_test(a_realm_that_gives_no_token_is_an_error),
        cmocka_unit_test(a_realm_that_is_no_place_to_ask_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
