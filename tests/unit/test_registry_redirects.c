/* SPDX-License-Identifier: Apache-2.0 */
/* Redirects: followed so far and no further, remembered, asked for again when they wear out; and
 * what is told to whom on the way. */
#include "registry_fixture.h"

#include <stdio.h>

#define SECRET "X-Signature=do-not-show-this"

static void redirect_to(struct http_exchange *x, int status, const char *location)
{
    SCOPED(mem) char *header = text_format("Location: %s\r\n", location);

    http_reply_text(x, status, header, "<a href=elsewhere>elsewhere</a>");
}

static void send_elsewhere(void *self, struct http_exchange *x)
{
    struct fixture *f = self;
    SCOPED(mem)
    char *location =
        text_format("http://%s/store/%u?" SECRET, http_server_host(f->elsewhere), x->number);

    redirect_to(x, 307, location);
}

static void store(void *self, struct http_exchange *x)
{
    struct fixture *f = self;

    if (x->authorization[0] != '\0')
        atomic_fetch_add(&f->seen, 1);
    http_reply_range(x, fixture_content(f));
}

static void where_redirects_led_is_remembered(void **state)
{
    SCOPED(fixture) struct fixture *f = fixture_open(send_elsewhere, store, NULL);
    SCOPED(registry_blob) struct registry_blob *blob = open_blob(f);
    struct err err = ERR_NONE;
    (void)state;

    for (int i = 0; i < 5; i++)
        assert_ok(fetch_range(f, blob, (uint64_t)i * 100, 1000, &err));
    assert_int_equal(http_server_count(f->server, ""), 1);
    assert_int_equal(http_server_count(f->elsewhere, "GET /store/0?" SECRET), 5);
    assert_false(fixture_traced(f, "do-not-show-this"));
    assert_true(fixture_traced(f, "/store/0"));
}

/* Every signed address is good for two requests. */
static void wear_out(void *self, struct http_exchange *x)
{
    struct fixture *f = self;

    if (x->number % 3 == 2)
        http_reply_text(x, 403, NULL, "<Error>expired</Error>");
    else
        http_reply_range(x, fixture_content(f));
}

static void a_worn_out_address_is_asked_for_again(void **state)
{
    SCOPED(fixture) struct fixture *f = fixture_open(send_elsewhere, wear_out, NULL);
    SCOPED(registry_blob) struct registry_blob *blob = open_blob(f);
    struct err err = ERR_NONE;
    (void)state;

    for (int i = 0; i < 6; i++)
        assert_ok(fetch_range(f, blob, (uint64_t)i * 100, 1000, &err));
    assert_int_equal(http_server_count(f->elsewhere, ""), 6 + 2);
    assert_int_equal(http_server_count(f->server, ""), 1 + 2);
    assert_int_equal(http_server_count(f->elsewhere, "GET /store/2?"), 2);
}

static void good_once(void *self, struct http_exchange *x)
{
    if (x->number == 0)
        http_reply_range(x, fixture_content(self));
    else
        http_reply_text(x, 403, NULL, "");
}

static void a_refusal_of_the_fresh_address_is_final(void **state)
{
    SCOPED(fixture) struct fixture *f = fixture_open(send_elsewhere, good_once, NULL);
    SCOPED(registry_blob) struct registry_blob *blob = open_blob(f);
    struct err err = ERR_NONE;
    (void)state;

    assert_ok(fetch_range(f, blob, 0, 1000, &err));
    assert_int_equal(fetch_range(f, blob, 0, 1000, &err), -EACCES);
    assert_int_equal(http_server_count(f->elsewhere, ""), 3); /* remembered, fresh */
    assert_int_equal(http_server_count(f->server, ""), 2);
    assert_text_has(err_text(&err), "status 403 from 127.0.0.1:");
    assert_null(strstr(err_text(&err), "do-not-show-this"));
    assert_null(strstr(err_text(&err), "/store/"));
}

static void break_down_once(void *self, struct http_exchange *x)
{
    if (x->number == 1)
        http_cut(x);
    else
        http_reply_range(x, fixture_content(self));
}

static void a_remembered_address_that_breaks_is_replaced(void **state)
{
    SCOPED(fixture) struct fixture *f = fixture_open(send_elsewhere, break_down_once, NULL);
    SCOPED(registry_blob) struct registry_blob *blob = open_blob(f);
    struct err err = ERR_NONE;
    (void)state;

    assert_ok(fetch_range(f, blob, 0, 1000, &err));
    assert_ok(fetch_range(f, blob, 0, 1000, &err));
    assert_true(http_server_count(f->server, "") >= 1);
    assert_true(http_server_count(f->elsewhere, "") >= 3);
}

/* ---- how far --------------------------------------------------------------------------------- */

/* /v2/…/blobs/D leads to /hop/1 and so on; `seen` hops lead to the bytes. */
static void hop(void *self, struct http_exchange *x)
{
    struct fixture *f = self;
    bool is_hop = text_has_prefix(x->target, "/hop/");
    unsigned long number = is_hop ? strtoul(x->target + strlen("/hop/"), NULL, 10) : 0;
    char location[64];

    (void)snprintf(location, sizeof(location), "%s%lu", number == 0 ? "/hop/" : "", number + 1);
    if (number == atomic_load(&f->seen))
        http_reply_range(x, fixture_content(f));
    else
        redirect_to(x, number % 2 == 0 ? 301 : 308, location);
}

static void ten_redirects_are_followed(void **state)
{
    SCOPED(fixture) struct fixture *f = fixture_open(hop, NULL, NULL);
    struct err err = ERR_NONE;
    (void)state;

    atomic_store(&f->seen, 10);
    if (fetch_once(f, 0, 1000, &err) < 0)
        fail_msg("%s", err_text(&err));
    assert_int_equal(http_server_count(f->server, ""), 11);
}

static void eleven_are_not(void **state)
{
    SCOPED(fixture) struct fixture *f = fixture_open(hop, NULL, NULL);
    struct err err = ERR_NONE;
    (void)state;

    atomic_store(&f->seen, 11);
    assert_int_equal(fetch_once(f, 0, 1000, &err), -EPROTO);
    assert_text_has(err_text(&err), "more than 10 redirects");
    assert_int_equal(http_server_count(f->server, ""), 11);
}

static void lead_astray(void *self, struct http_exchange *x)
{
    static const char *const places[] = {"ftp://127.0.0.1/x?" SECRET, "file:///etc/passwd",
                                         "http://user:" SECRET "@127.0.0.1/", "http://"};
    (void)self;
    redirect_to(x, 302, places[x->number % ARRAY_LEN(places)]);
}

static void places_that_are_no_http_addresses_are_not_gone_to(void **state)
{
    SCOPED(fixture) struct fixture *f = fixture_open(lead_astray, NULL, NULL);
    struct err err = ERR_NONE;
    (void)state;

    for (int i = 0; i < 4; i++) {
        assert_int_equal(fetch_once(f, 0, 10, &err), -EPROTO);
        assert_text_has(err_text(&err), "sent on to ");
        assert_null(strstr(err_text(&err), "do-not-show-this"));
    }
    assert_int_equal(http_server_count(f->server, ""), 4);
}

static void to_nowhere(void *self, struct http_exchange *x)
{
    (void)self;
    http_reply_text(x, 302, NULL, "");
}

static void a_redirect_without_a_place_is_refused(void **state)
{
    SCOPED(fixture) struct fixture *f = fixture_open(to_nowhere, NULL, NULL);
    struct err err = ERR_NONE;
    (void)state;

    assert_int_equal(fetch_once(f, 0, 10, &err), -EPROTO);
    assert_text_has(err_text(&err), "a redirect to nowhere (302)");
}

/* ---- secrets --------------------------------------------------------------------------------- */

static int find_user(void *self, const char *host, struct registry_credentials *ret,
                     struct err *err)
{
    (void)self;
    (void)host;
    (void)err;
    ret->username = text_copy("user");
    ret->password = text_copy("password");
    return 0;
}

static const struct registry_keychain user_keychain = {.find = find_user};

static void want_user_then_send_elsewhere(void *self, struct http_exchange *x)
{
    if (strcmp(x->authorization, "Basic dXNlcjpwYXNzd29yZA==") == 0)
        send_elsewhere(self, x);
    else
        http_reply_text(x, 401, "WWW-Authenticate: Basic realm=\"here\"\r\n", "");
}

static void credentials_stay_with_the_registry(void **state)
{
    SCOPED(fixture)
    struct fixture *f = fixture_open(want_user_then_send_elsewhere, store, &user_keychain);
    SCOPED(registry_blob) struct registry_blob *blob = open_blob(f);
    struct err err = ERR_NONE;
    (void)state;

    for (int i = 0; i < 3; i++)
        assert_ok(fetch_range(f, blob, 0, 1000, &err));
    assert_int_equal(http_server_count(f->elsewhere, ""), 3);
    assert_int_equal(atomic_load(&f->seen), 0);
    assert_false(fixture_traced(f, "dXNlc"));
}

static void demand_credentials(void *self, struct http_exchange *x)
{
    struct fixture *f = self;

    if (x->authorization[0] != '\0')
        atomic_fetch_add(&f->seen, 1);
    http_reply_text(x, 401, "WWW-Authenticate: Basic realm=\"phish\"\r\n", "");
}

static void another_host_that_asks_for_credentials_gets_none(void **state)
{
    SCOPED(fixture)
    struct fixture *f = fixture_open(send_elsewhere, demand_credentials, &user_keychain);
    struct err err = ERR_NONE;
    (void)state;

    assert_int_equal(fetch_once(f, 0, 1000, &err), -EACCES);
    assert_int_equal(atomic_load(&f->seen), 0);
    assert_int_equal(http_server_count(f->elsewhere, ""), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(where_redirects_led_is_remembered),
        cmocka_unit_test(a_worn_out_address_is_asked_for_again),
        cmocka_unit_test(a_refusal_of_the_fresh_address_is_final),
        cmocka_unit_test(a_remembered_address_that_breaks_is_replaced),
        cmocka_unit_test(ten_redirects_are_followed),
        cmocka_unit_test(eleven_are_not),
        cmocka_unit_test(places_that_are_no_http_addresses_are_not_gone_to),
        cmocka_unit_test(a_redirect_without_a_place_is_refused),
        cmocka_unit_test(credentials_stay_with_the_registry),
        cmocka_unit_test(another_host_that_asks_for_credentials_gets_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
