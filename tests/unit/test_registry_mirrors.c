/* SPDX-License-Identifier: Apache-2.0 */
/* Mirrors: asked first and in their order, passed over when they fail, not trusted, and given no
 * credentials but their own. */
#include "registry/internal.h"
#include "registry_fixture.h"

#include <stdio.h>

enum { MIRRORS_MAX = 3 };

/* A client whose registry has mirrors; each of them is a server that does as it is told. */
struct mirrored {
    struct fixture *f;
    struct http_server *mirrors[MIRRORS_MAX]; /* NULL: nobody listens there */
    char urls[MIRRORS_MAX][64];
    size_t count;
};

static void behave(void *self, struct http_exchange *x)
{
    http_reply_range(x, fixture_content(self));
}

static void break_down(void *self, struct http_exchange *x)
{
    (void)self;
    http_reply_text(x, 500, NULL, "");
}

static void have_nothing(void *self, struct http_exchange *x)
{
    (void)self;
    http_reply_text(x, 404, NULL, "");
}

static void forbid(void *self, struct http_exchange *x)
{
    (void)self;
    http_reply_text(x, 403, NULL, "");
}

static void be_busy_for_long(void *self, struct http_exchange *x)
{
    (void)self;
    http_reply_text(x, 503, "Retry-After: 1000\r\n", "");
}

static void lie(void *self, struct http_exchange *x)
{
    struct fixture *f = self;
    SCOPED(mem) uint8_t *wrong = malloc(sizeof(f->content));

    assert_non_null(wrong);
    memset(wrong, 'x', sizeof(f->content));
    http_reply_range(x, bytes_of(wrong, sizeof(f->content)));
}

static void be_of_another_size(void *self, struct http_exchange *x)
{
    struct fixture *f = self;

    http_reply_range(x, bytes_of(f->content, sizeof(f->content) - 1));
}

/* `handlers` are the mirrors'; one that is NULL is a port where nobody listens. */
static void mirrored_open(struct mirrored *m, http_handler *origin,
                          const struct registry_keychain *keychain, size_t count,
                          http_handler *const handlers[])
{
    struct registry_mirror list[MIRRORS_MAX];
    struct registry_options options = {
        .user_agent = "test/1",
        .response_timeout_ms = PATIENCE_MS,
        .max_retries = MAX_RETRIES,
        .blob_until_budget = true,
        .min_wait_ms = 1,
        .max_wait_ms = 2000,
        .http_loopback = true,
        .mirrors = list,
        .mirror_count = count,
    };
    struct err err = ERR_NONE;

    m->f = fixture_open(origin, NULL, keychain);
    m->count = count;
    for (size_t i = 0; i < count; i++) {
        m->mirrors[i] = http_server_start(handlers[i] == NULL ? break_down : handlers[i], m->f);
        (void)snprintf(m->urls[i], sizeof(m->urls[i]), "http://%s",
                       http_server_host(m->mirrors[i]));
        if (handlers[i] == NULL) {
            http_server_stop(m->mirrors[i]);
            m->mirrors[i] = NULL;
        }
        list[i] =
            (struct registry_mirror){.host = http_server_host(m->f->server), .url = m->urls[i]};
    }
    registry_repo_unref(m->f->repo);
    registry_free(m->f->registry);
    assert_ok(registry_new(&options, &m->f->registry, &err));
    assert_ok(registry_repo_open(m->f->registry, http_server_host(m->f->server), "team/app",
                                 keychain, &m->f->repo, &err));
}

static void mirrored_close(struct mirrored *m)
{
    registry_repo_unref(TAKE(m->f->repo));
    registry_free(TAKE(m->f->registry));
    for (size_t i = 0; i < m->count; i++) {
        if (m->mirrors[i] != NULL)
            http_server_stop(m->mirrors[i]);
    }
    fixture_close(m->f);
}
DEFINE_SCOPED_VALUE(mirrored, struct mirrored, mirrored_close)

static unsigned asked(const struct mirrored *m, size_t i)
{
    return http_server_count(m->mirrors[i], "GET /v2/team/app/");
}

static unsigned origin_asked(const struct mirrored *m)
{
    return http_server_count(m->f->server, "");
}

/* ---- ranges ---------------------------------------------------------------------------------- */

static void the_first_mirror_is_asked_and_told_for_whom(void **state)
{
    SCOPED(mirrored) struct mirrored m;
    SCOPED(mem) char *target = NULL;
    struct err err = ERR_NONE;
    (void)state;

    mirrored_open(&m, behave, NULL, 2, (http_handler *const[]){behave, behave});
    for (int i = 0; i < 3; i++)
        assert_ok(fetch_once(m.f, (uint64_t)i, 1000, &err));
    assert_int_equal(asked(&m, 0), 3);
    assert_int_equal(http_server_count(m.mirrors[1], ""), 0);
    assert_int_equal(origin_asked(&m), 0);
    target = text_format("GET /v2/team/app/blobs/%s?ns=127.0.0.1%%3A", m.f->digest_text);
    assert_int_equal(http_server_count(m.mirrors[0], target), 3);
}

/* However the first one fails, the second is asked, and that the first failed is remembered. */
static void pass_over(http_handler *first, unsigned questions, unsigned questions_more)
{
    SCOPED(mirrored) struct mirrored m;
    SCOPED(registry_blob) struct registry_blob *blob = NULL;
    struct err err = ERR_NONE;

    mirrored_open(&m, behave, NULL, 2, (http_handler *const[]){first, behave});
    blob = open_blob(m.f);
    for (int i = 0; i < 3; i++)
        assert_ok(fetch_range(m.f, blob, (uint64_t)i, 1000, &err));
    if (first != NULL)
        assert_int_equal(asked(&m, 0), questions + 2 * questions_more);
    assert_int_equal(asked(&m, 1), 3);
    assert_int_equal(origin_asked(&m), 0);
    registry_blob_close(TAKE(blob));
}

static void a_mirror_that_fails_is_passed_over_and_then_left_alone(void **state)
{
    (void)state;
    pass_over(NULL, 0, 0);
    pass_over(break_down, 3, 0); /* with two retries */
    pass_over(be_busy_for_long, 1, 0);
    pass_over(have_nothing, 1, 0);
    pass_over(forbid, 1, 0);
    pass_over(be_of_another_size, 1, 0);
}

static void the_registry_itself_is_the_last(void **state)
{
    SCOPED(mirrored) struct mirrored m;
    struct err err = ERR_NONE;
    (void)state;

    mirrored_open(&m, behave, NULL, 2, (http_handler *const[]){NULL, have_nothing});
    assert_ok(fetch_once(m.f, 0, 1000, &err));
    assert_int_equal(origin_asked(&m), 1);
}

static void a_mirror_alone_is_enough(void **state)
{
    SCOPED(mirrored) struct mirrored m;
    struct err err = ERR_NONE;
    (void)state;

    mirrored_open(&m, break_down, NULL, 2, (http_handler *const[]){have_nothing, behave});
    for (int i = 0; i < 3; i++)
        assert_ok(fetch_once(m.f, 0, 1000, &err));
    assert_int_equal(origin_asked(&m), 0);
}

static void what_the_registry_itself_says_is_the_error(void **state)
{
    SCOPED(mirrored) struct mirrored m;
    struct err err = ERR_NONE;
    (void)state;

    mirrored_open(&m, have_nothing, NULL, 2, (http_handler *const[]){NULL, forbid});
    assert_int_equal(fetch_once(m.f, 0, 1000, &err), -ENOENT);
    assert_text_has(err_text(&err), "status 404");
}

static void break_down_twice(void *self, struct http_exchange *x)
{
    if (x->number < 2)
        http_cut(x);
    else
        http_reply_range(x, fixture_content(self));
}

static void all_are_asked_again_while_there_are_retries(void **state)
{
    SCOPED(mirrored) struct mirrored m;
    struct err err = ERR_NONE;
    (void)state;

    mirrored_open(&m, break_down_twice, NULL, 1, (http_handler *const[]){NULL});
    if (fetch_once(m.f, 0, 1000, &err) < 0)
        fail_msg("%s", err_text(&err));
    assert_true(origin_asked(&m) >= 3);
}

static void retries_end_also_with_mirrors(void **state)
{
    SCOPED(mirrored) struct mirrored m;
    struct err err = ERR_NONE;
    (void)state;

    mirrored_open(&m, break_down, NULL, 2, (http_handler *const[]){NULL, break_down});
    assert_int_equal(fetch_once(m.f, 0, 1000, &err), -EIO);
    assert_text_has(err_text(&err), "attempts");
    assert_true(origin_asked(&m) <= 2 * (MAX_RETRIES + 1));
}

static void break_down_often(void *self, struct http_exchange *x)
{
    if (x->number < 2 * MAX_RETRIES)
        http_cut(x);
    else
        http_reply_range(x, fixture_content(self));
}

static int fetch_awaited(struct mirrored *m)
{
    SCOPED(registry_blob) struct registry_blob *blob = open_blob(m->f);
    SCOPED(mem) struct fetched *got = calloc(1, sizeof(*got));
    struct err err = ERR_NONE;

    assert_non_null(got);
    fetched_init(got, 0, 1000);
    got->fetch.budget_ms = DEADLINE_MS;
    got->fetch.is_awaited = true;
    assert_ok(registry_blob_fetch(blob, &got->fetch, &err));
    return fetched_wait(got);
}

static void who_waits_is_served_by_the_first_that_is_back(void **state)
{
    SCOPED(mirrored) struct mirrored m;
    (void)state;

    mirrored_open(&m, break_down, NULL, 2, (http_handler *const[]){NULL, break_down_often});
    assert_ok(fetch_awaited(&m));
    assert_true(origin_asked(&m) > MAX_RETRIES);
}

static void no_mirror_is_waited_for_where_the_registry_said_no(void **state)
{
    SCOPED(mirrored) struct mirrored m;
    (void)state;

    mirrored_open(&m, have_nothing, NULL, 1, (http_handler *const[]){NULL});
    assert_int_equal(fetch_awaited(&m), -ENOENT);
    assert_int_equal(origin_asked(&m), 1 + MAX_RETRIES);
}

static void the_origin_is_asked_alone_when_bytes_were_wrong(void **state)
{
    SCOPED(mirrored) struct mirrored m;
    SCOPED(registry_blob) struct registry_blob *blob = NULL;
    SCOPED(mem) struct fetched *got = calloc(1, sizeof(*got));
    struct err err = ERR_NONE;
    (void)state;

    mirrored_open(&m, behave, NULL, 1, (http_handler *const[]){lie});
    blob = open_blob(m.f);
    assert_non_null(got);
    fetched_init(got, 0, 1000);
    assert_ok(registry_blob_fetch(blob, &got->fetch, &err));
    assert_ok(fetched_wait(got));
    assert_int_equal(got->buf[0], 'x');
    fetched_init(got, 0, 1000);
    got->fetch.from_origin = true;
    assert_ok(registry_blob_fetch(blob, &got->fetch, &err));
    assert_ok(fetched_wait(got));
    assert_memory_equal(got->buf, m.f->content, 1000);
    assert_int_equal(asked(&m, 0), 1);
    assert_int_equal(origin_asked(&m), 1);
    registry_blob_close(TAKE(blob));
}

/* ---- what is read whole ---------------------------------------------------------------------- */

static void whole(void *self, struct http_exchange *x)
{
    http_reply(x, 200, NULL, fixture_content(self));
}

static void wrong_whole(void *self, struct http_exchange *x)
{
    (void)self;
    http_reply_text(x, 200, NULL, "something else");
}

static void blobs_and_manifests_come_from_mirrors(void **state)
{
    SCOPED(mirrored) struct mirrored m;
    SCOPED(buf_value) struct buf got = BUF_EMPTY;
    struct err err = ERR_NONE;
    uint64_t size;
    (void)state;

    mirrored_open(&m, whole, NULL, 2, (http_handler *const[]){NULL, whole});
    assert_ok(registry_get_blob(m.f->repo, &m.f->digest, 200000, &got, &err));
    assert_ok(registry_get_manifest(m.f->repo, m.f->digest_text, &got, NULL, &err));
    assert_ok(registry_blob_size(m.f->repo, &m.f->digest, &size, &err));
    assert_int_equal(size, sizeof(m.f->content));
    assert_int_equal(origin_asked(&m), 0);
    assert_int_equal(http_server_count(m.mirrors[1], "GET /v2/team/app/manifests/sha256:"), 1);
}

static void wrong_bytes_of_a_mirror_heal(void **state)
{
    SCOPED(mirrored) struct mirrored m;
    SCOPED(buf_value) struct buf got = BUF_EMPTY;
    struct err err = ERR_NONE;
    (void)state;

    mirrored_open(&m, whole, NULL, 1, (http_handler *const[]){wrong_whole});
    assert_ok(registry_get_blob(m.f->repo, &m.f->digest, 200000, &got, &err));
    assert_ok(registry_get_manifest(m.f->repo, m.f->digest_text, &got, NULL, &err));
    assert_int_equal(asked(&m, 0), 2);
    assert_int_equal(origin_asked(&m), 2);
}

static void wrong_bytes_everywhere_are_refused(void **state)
{
    SCOPED(mirrored) struct mirrored m;
    SCOPED(buf_value) struct buf got = BUF_EMPTY;
    struct err err = ERR_NONE;
    (void)state;

    mirrored_open(&m, wrong_whole, NULL, 1, (http_handler *const[]){wrong_whole});
    assert_int_equal(registry_get_blob(m.f->repo, &m.f->digest, 200000, &got, &err), -EBADMSG);
    assert_int_equal(registry_get_manifest(m.f->repo, m.f->digest_text, &got, NULL, &err),
                     -EBADMSG);
}

#define NONE "{\"schemaVersion\":2,\"manifests\":[]}"
#define ONE                                                                                        \
    "{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"application/"                            \
    "vnd.oci.image.manifest.v1+json\",\"artifactType\":\"a/b\",\"size\":2,\"digest\":\"sha256:"    \
    "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a\"}]}"
#define INDEX_TYPE "Content-Type: application/vnd.oci.image.index.v1+json\r\n"

static void refer_to_none(void *self, struct http_exchange *x)
{
    (void)self;
    http_reply_text(x, 200, INDEX_TYPE, NONE);
}

static void refer_to_one(void *self, struct http_exchange *x)
{
    (void)self;
    http_reply_text(x, 200, INDEX_TYPE, ONE);
}

/* No API, but the tag. */
static void refer_by_tag(void *self, struct http_exchange *x)
{
    if (http_target_has(x, "/manifests/sha256-"))
        refer_to_one(self, x);
    else
        http_reply_text(x, 404, NULL, "");
}

static size_t referrers_from(http_handler *origin, http_handler *first, http_handler *second,
                             unsigned origin_questions)
{
    SCOPED(mirrored) struct mirrored m;
    SCOPED(oci_index) struct oci_index *index = NULL;
    struct err err = ERR_NONE;

    mirrored_open(&m, origin, NULL, 2, (http_handler *const[]){first, second});
    if (registry_get_referrers(m.f->repo, &m.f->digest, "a/b", &index, NULL, &err) < 0)
        fail_msg("%s", err_text(&err));
    assert_int_equal(origin_asked(&m), origin_questions);
    return index->manifest_count;
}

static void referrers_come_from_whoever_has_some(void **state)
{
    (void)state;
    assert_int_equal(referrers_from(break_down, NULL, refer_to_one, 0), 1);
    assert_int_equal(referrers_from(break_down, refer_to_none, refer_by_tag, 0), 1);
    assert_int_equal(referrers_from(refer_to_one, refer_to_none, have_nothing, 1), 1);
    assert_int_equal(referrers_from(refer_to_none, NULL, refer_to_none, 1), 0);
}

static void that_there_are_none_only_the_registry_can_say(void **state)
{
    SCOPED(mirrored) struct mirrored m;
    SCOPED(oci_index) struct oci_index *index = NULL;
    struct err err = ERR_NONE;
    (void)state;

    mirrored_open(&m, break_down, NULL, 1, (http_handler *const[]){refer_to_none});
    assert_int_equal(registry_get_referrers(m.f->repo, &m.f->digest, "a/b", &index, NULL, &err),
                     -EIO);
    assert_null(index);
}

static void pushes_and_their_questions_go_to_the_registry_itself(void **state)
{
    SCOPED(mirrored) struct mirrored m;
    struct err err = ERR_NONE;
    bool has = false;
    (void)state;

    mirrored_open(&m, whole, NULL, 1, (http_handler *const[]){have_nothing});
    assert_ok(registry_has_blob(m.f->repo, &m.f->digest, &has, &err));
    assert_true(has);
    assert_ok(registry_has_manifest(m.f->repo, "v1", &has, &err));
    assert_true(has);
    assert_int_equal(http_server_count(m.mirrors[0], ""), 0);
}

/* ---- credentials ----------------------------------------------------------------------------- */

/* The user's name is the host that asks. */
static int find_by_host(void *self, const char *host, int cancel_fd,
                        struct registry_credentials *ret, struct err *err)
{
    (void)cancel_fd;
    (void)self;
    (void)err;
    ret->username = text_copy(host);
    ret->password = text_copy("password");
    return 0;
}

static const struct registry_keychain by_host = {.find = find_by_host};

/* Knows its own user alone. */
static void want_own_user(void *self, struct http_exchange *x)
{
    SCOPED(mem) char *plain = text_format("%s:password", http_server_host(x->server));
    SCOPED(mem) char *encoded = base64_encode(bytes_of_str(plain));

    if (x->authorization[0] == '\0')
        http_reply_text(x, 401, "WWW-Authenticate: Basic realm=\"here\"\r\n", "");
    else if (text_has_prefix(x->authorization, "Basic ") &&
             text_has_suffix(x->authorization, encoded))
        http_reply_range(x, fixture_content(self));
    else
        http_reply_text(x, 500, NULL, "a leak");
}

static void each_gets_its_own_credentials(void **state)
{
    SCOPED(mirrored) struct mirrored m;
    struct err err = ERR_NONE;
    (void)state;

    mirrored_open(&m, want_own_user, &by_host, 1, (http_handler *const[]){want_own_user});
    assert_ok(fetch_once(m.f, 0, 1000, &err));
    assert_ok(fetch_once(m.f, 0, 1000, &err));
    assert_int_equal(asked(&m, 0), 3);
    assert_int_equal(origin_asked(&m), 0);
    http_server_stop(TAKE(m.mirrors[0]));
    assert_ok(fetch_once(m.f, 0, 1000, &err));
    assert_int_equal(origin_asked(&m), 2);
}

static atomic_uint asked_for_repository;

static int find_by_repository(void *self, const char *host, const char *repository, int cancel_fd,
                              struct registry_credentials *ret, struct err *err)
{
    atomic_fetch_add(&asked_for_repository, 1);
    assert_string_equal(repository, "team/app");
    return find_by_host(self, host, cancel_fd, ret, err);
}

/* Who gave them to us for an image did not mean the mirror. */
static void credentials_of_a_repository_are_for_the_registry_alone(void **state)
{
    const struct registry_keychain keychain = {.find = find_by_host, .find_in = find_by_repository};
    SCOPED(mirrored) struct mirrored m;
    struct err err = ERR_NONE;
    (void)state;

    atomic_store(&asked_for_repository, 0);
    mirrored_open(&m, want_own_user, &keychain, 1, (http_handler *const[]){want_own_user});
    assert_ok(fetch_once(m.f, 0, 1000, &err));
    assert_int_equal(asked(&m, 0), 2);
    assert_int_equal(atomic_load(&asked_for_repository), 0);
    http_server_stop(TAKE(m.mirrors[0]));
    assert_ok(fetch_once(m.f, 0, 1000, &err));
    assert_int_equal(origin_asked(&m), 2);
    assert_int_equal(atomic_load(&asked_for_repository), 1);
}

/* ---- what is no mirror ----------------------------------------------------------------------- */

static void mirrors_are_addresses(void **state)
{
    static const char *const bad[] = {"127.0.0.1:5000",
                                      "mirror",
                                      "",
                                      "ftp://mirror",
                                      "http://",
                                      "https:///v2",
                                      "http://user:secret@mirror",
                                      "http://mirror/?a=b",
                                      "http://mirror:99999",
                                      "http://a b"};
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        const struct registry_mirror mirror = {.host = "registry.example", .url = bad[i]};
        const struct registry_options options = {.mirrors = &mirror, .mirror_count = 1};
        struct registry *registry = NULL;
        struct err err = ERR_NONE;

        if (registry_new(&options, &registry, &err) != -EINVAL)
            fail_msg("%s was accepted", bad[i]);
        assert_text_has(err_text(&err), "mirror of registry.example");
        assert_null(strstr(err_text(&err), "secret"));
        assert_null(registry);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_mirror_is_asked_and_told_for_whom),
        cmocka_unit_test(a_mirror_that_fails_is_passed_over_and_then_left_alone),
        cmocka_unit_test(the_registry_itself_is_the_last),
        cmocka_unit_test(a_mirror_alone_is_enough),
        cmocka_unit_test(what_the_registry_itself_says_is_the_error),
        cmocka_unit_test(all_are_asked_again_while_there_are_retries),
        cmocka_unit_test(retries_end_also_with_mirrors),
        cmocka_unit_test(who_waits_is_served_by_the_first_that_is_back),
        cmocka_unit_test(no_mirror_is_waited_for_where_the_registry_said_no),
        cmocka_unit_test(the_origin_is_asked_alone_when_bytes_were_wrong),
        cmocka_unit_test(blobs_and_manifests_come_from_mirrors),
        cmocka_unit_test(wrong_bytes_of_a_mirror_heal),
        cmocka_unit_test(wrong_bytes_everywhere_are_refused),
        cmocka_unit_test(referrers_come_from_whoever_has_some),
        cmocka_unit_test(that_there_are_none_only_the_registry_can_say),
        cmocka_unit_test(pushes_and_their_questions_go_to_the_registry_itself),
        cmocka_unit_test(each_gets_its_own_credentials),
        cmocka_unit_test(credentials_of_a_repository_are_for_the_registry_alone),
        cmocka_unit_test(mirrors_are_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
