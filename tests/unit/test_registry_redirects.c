/* SPDX-License-Identifier: Apache-2.0 */
/* Redirects: followed so far and no further, remembered, asked for again when they wear out; and
 * what is told to whom on the way. */
#include "registry_fixture.h"

#include <stdio.h>
#include <time.h>

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

static void send_to_nobody(void *self, struct http_exchange *x)
{
    (void)self;
    redirect_to(x, 307, "http://127.0.0.1:1/store?" SECRET);
}

static void an_address_where_nobody_is_is_told_of_without_its_query(void **state)
{
    SCOPED(fixture) struct fixture *f = fixture_open(send_to_nobody, NULL, NULL);
    struct err err = ERR_NONE;
    (void)state;

    assert_int_equal(fetch_once(f, 0, 10, &err), -EIO);
    assert_text_has(err_text(&err), "4 attempts: ");
    assert_null(strstr(err_text(&err), "do-not-show-this"));
    assert_false(fixture_traced(f, "do-not-show-this"));
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

static int find_user(void *self, const char *host, int cancel_fd, struct registry_credentials *ret,
                     struct err *err)
{
    (void)cancel_fd;
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

/* Knows the registry alone, by its host in `self`. */
static int find_registrys_user(void *self, const char *host, int cancel_fd,
                               struct registry_credentials *ret, struct err *err)
{
    const struct fixture *f = *(struct fixture **)self;
    (void)cancel_fd;
    bool known = f != NULL && strcmp(host, http_server_host(f->server)) == 0;

    (void)err;
    ret->username = text_copy(known ? "user" : "");
    ret->password = text_copy(known ? "password" : "");
    return 0;
}

static void another_host_that_asks_for_credentials_gets_none(void **state)
{
    struct fixture *known = NULL;
    const struct registry_keychain keychain = {.find = find_registrys_user, .self = &known};
    SCOPED(fixture)
    struct fixture *f = fixture_open(want_user_then_send_elsewhere, demand_credentials, &keychain);
    struct err err = ERR_NONE;
    (void)state;

    known = f;
    assert_int_equal(fetch_once(f, 0, 1000, &err), -EACCES);
    assert_int_equal(atomic_load(&f->seen), 0);
    assert_int_equal(http_server_count(f->elsewhere, ""), 1);
    assert_text_has(err_text(&err), "none are known");
}

static void want_user(void *self, struct http_exchange *x)
{
    if (strcmp(x->authorization, "Basic dXNlcjpwYXNzd29yZA==") == 0)
        http_reply_range(x, fixture_content(self));
    else
        http_reply_text(x, 401, "WWW-Authenticate: Basic realm=\"there\"\r\n", "");
}

static void another_host_gets_those_that_are_for_it(void **state)
{
    SCOPED(fixture) struct fixture *f = fixture_open(send_elsewhere, want_user, &user_keychain);
    SCOPED(registry_blob) struct registry_blob *blob = open_blob(f);
    struct err err = ERR_NONE;
    (void)state;

    for (int i = 0; i < 3; i++)
        assert_ok(fetch_range(f, blob, 0, 1000, &err));
    assert_int_equal(http_server_count(f->server, ""), 1);
    assert_int_equal(http_server_count(f->elsewhere, ""), 4);
}

/* ---- addresses that are good for a while ----------------------------------------------------- */

/* Good until two seconds later, in the way of S3; what was signed is in the path. */
static void sign_for_two_seconds(void *self, struct http_exchange *x)
{
    struct fixture *f = self;
    time_t now = time(NULL);
    struct tm tm;
    char date[32];
    SCOPED(mem) char *location = NULL;

    (void)gmtime_r(&now, &tm);
    (void)strftime(date, sizeof(date), "%Y%m%dT%H%M%SZ", &tm);
    location = text_format("http://%s/store/%lld?X-Amz-Date=%s&X-Amz-Expires=2&" SECRET,
                           http_server_host(f->elsewhere), (long long)now, date);
    redirect_to(x, 307, location);
}

static void be_good_for_two_seconds(void *self, struct http_exchange *x)
{
    long long signed_at = strtoll(x->target + strlen("/store/"), NULL, 10);

    if (clock_wall_ms() > signed_at * 1000 + 3000) {
        http_reply_text(x, 403, NULL, "expired");
        atomic_fetch_add(&((struct fixture *)self)->seen, 1);
    } else {
        http_reply_range(x, fixture_content(self));
    }
}

static void a_signed_address_is_renewed_before_it_runs_out(void **state)
{
    SCOPED(fixture)
    struct fixture *f = fixture_open(sign_for_two_seconds, be_good_for_two_seconds, NULL);
    SCOPED(registry_blob) struct registry_blob *blob = open_blob(f);
    int64_t until_ms = clock_mono_ms() + 4500;
    struct err err = ERR_NONE;
    unsigned fetches = 0;
    (void)state;

    for (; clock_mono_ms() < until_ms; fetches++) {
        assert_ok(fetch_range(f, blob, fetches % 1000, 1000, &err));
        clock_sleep_ms(50);
    }
    assert_int_equal(atomic_load(&f->seen), 0); /* refusals */
    assert_true(fetches > 10);
    assert_in_range(http_server_count(f->server, ""), 2, 4);
    assert_false(fixture_traced(f, "do-not-show-this"));
}

enum { MANY = 40 };

/* The first address is good for one answer; the next ones are, and the registry is slow. */
static void send_elsewhere_slowly(void *self, struct http_exchange *x)
{
    if (x->number > 0)
        http_pause(x, 100);
    send_elsewhere(self, x);
}

static void forget_the_first_address(void *self, struct http_exchange *x)
{
    if (x->number > 0 && http_target_has(x, "/store/0?"))
        http_reply_text(x, 403, NULL, "expired");
    else
        http_reply_range(x, fixture_content(self));
}

static void many_refusals_at_once_cost_the_registry_one_question(void **state)
{
    SCOPED(fixture)
    struct fixture *f = fixture_open(send_elsewhere_slowly, forget_the_first_address, NULL);
    SCOPED(registry_blob) struct registry_blob *blob = open_blob(f);
    struct fetched *got[MANY];
    struct err err = ERR_NONE;
    (void)state;

    assert_ok(fetch_range(f, blob, 0, 1000, &err));
    for (size_t i = 0; i < MANY; i++) {
        got[i] = malloc(sizeof(*got[i]));
        assert_non_null(got[i]);
        fetched_init(got[i], i * 100, 1000);
        assert_ok(registry_blob_fetch(blob, &got[i]->fetch, &err));
    }
    for (size_t i = 0; i < MANY; i++) {
        assert_ok(fetched_wait(got[i]));
        assert_memory_equal(got[i]->buf, f->content + i * 100, 1000);
        free(got[i]);
    }
    assert_int_equal(http_server_count(f->server, ""), 2);
}

static void fail_to_say(void *self, struct http_exchange *x)
{
    if (x->number == 0)
        send_elsewhere(self, x);
    else
        http_reply_text(x, 404, NULL, "");
}

static void nobody_waits_for_ever_for_one_that_failed_to_ask(void **state)
{
    SCOPED(fixture) struct fixture *f = fixture_open(fail_to_say, forget_the_first_address, NULL);
    SCOPED(registry_blob) struct registry_blob *blob = open_blob(f);
    struct fetched *got[MANY];
    struct err err = ERR_NONE;
    (void)state;

    assert_ok(fetch_range(f, blob, 0, 1000, &err));
    for (size_t i = 0; i < MANY; i++) {
        got[i] = malloc(sizeof(*got[i]));
        assert_non_null(got[i]);
        fetched_init(got[i], i * 100, 1000);
        assert_ok(registry_blob_fetch(blob, &got[i]->fetch, &err));
    }
    for (size_t i = 0; i < MANY; i++) {
        assert_int_equal(fetched_wait(got[i]), -ENOENT);
        free(got[i]);
    }
}

static void have_expired_keys(void *self, struct http_exchange *x)
{
    if (x->number == 1)
        http_reply_text(x, 400, NULL, "<Error><Code>ExpiredToken</Code></Error>");
    else
        http_reply_range(x, fixture_content(self));
}

static void an_expired_key_is_an_expired_address(void **state)
{
    SCOPED(fixture) struct fixture *f = fixture_open(send_elsewhere, have_expired_keys, NULL);
    SCOPED(registry_blob) struct registry_blob *blob = open_blob(f);
    struct err err = ERR_NONE;
    (void)state;

    assert_ok(fetch_range(f, blob, 0, 1000, &err));
    assert_ok(fetch_range(f, blob, 0, 1000, &err));
    assert_int_equal(http_server_count(f->server, ""), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(where_redirects_led_is_remembered),
        cmocka_unit_test(a_worn_out_address_is_asked_for_again),
        cmocka_unit_test(a_refusal_of_the_fresh_address_is_final),
        cmocka_unit_test(a_remembered_address_that_breaks_is_replaced),
        cmocka_unit_test(an_address_where_nobody_is_is_told_of_without_its_query),
        cmocka_unit_test(ten_redirects_are_followed),
        cmocka_unit_test(eleven_are_not),
        cmocka_unit_test(places_that_are_no_http_addresses_are_not_gone_to),
        cmocka_unit_test(a_redirect_without_a_place_is_refused),
        cmocka_unit_test(credentials_stay_with_the_registry),
        cmocka_unit_test(another_host_that_asks_for_credentials_gets_none),
        cmocka_unit_test(another_host_gets_those_that_are_for_it),
        cmocka_unit_test(a_signed_address_is_renewed_before_it_runs_out),
        cmocka_unit_test(many_refusals_at_once_cost_the_registry_one_question),
        cmocka_unit_test(nobody_waits_for_ever_for_one_that_failed_to_ask),
        cmocka_unit_test(an_expired_key_is_an_expired_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
