/* SPDX-License-Identifier: Apache-2.0 */
/* Every allocation of the client fails once, in the caller and in the network thread: an error, no
 * crash, no call that never returns, nothing leaks. */
#include "failing_malloc.h"
#include "registry_fixture.h"

/* The server's threads are called http…, and are not what is tested. */
static bool is_client(void)
{
    char name[16] = "";

    (void)pthread_getname_np(pthread_self(), name, sizeof(name));
    return !text_has_prefix(name, "http");
}

/* Credentials, a redirect within the registry, an upload, referrers by tag: as many paths as
 * possible. */
static void serve_all(void *self, struct http_exchange *x)
{
    struct fixture *f = self;

    if (strcmp(x->authorization, "Basic dTpw") != 0)
        http_reply_text(x, 401, "WWW-Authenticate: Basic realm=\"here\"\r\n", "");
    else if (text_has_prefix(x->target, "/bytes"))
        http_reply_range(x, fixture_content(f));
    else if (strcmp(x->method, "POST") == 0)
        http_reply_text(x, 202, "Location: /upload\r\n", "");
    else if (strcmp(x->method, "PUT") == 0)
        http_reply_text(x, 201, NULL, "");
    else if (http_target_has(x, "/blobs/"))
        http_reply_text(x, 307, "Location: /bytes?secret\r\n", "");
    else
        http_reply_text(x, 404, NULL,
                        "{\"errors\":[{\"code\":\"NAME_UNKNOWN\",\"message\":\"?\"}]}");
}

static int find_user(void *self, const char *host, int cancel_fd, struct registry_credentials *ret,
                     struct err *err)
{
    (void)cancel_fd;
    (void)self;
    (void)host;
    ret->username = text_copy("u");
    ret->password = text_copy("p");
    return ret->username == NULL || ret->password == NULL ? err_set(err, -ENOMEM, "out of memory")
                                                          : 0;
}

static const struct registry_keychain keychain = {.find = find_user};

static int fetch_some(struct registry_repo *repo, struct fixture *f, struct fetched *got)
{
    SCOPED(registry_blob) struct registry_blob *blob = NULL;
    int rc = registry_blob_open(repo, &f->digest, sizeof(f->content), &blob, NULL);

    if (rc == 0)
        rc = registry_blob_fetch(blob, &got->fetch, NULL);
    return rc == 0 ? fetched_wait(got) : rc;
}

/* From nothing to everything. */
static int use_client(struct fixture *f, struct fetched *got)
{
    const struct registry_options options = {
        .min_wait_ms = 1, .max_retries = 1, .http_loopback = true};
    SCOPED(registry) struct registry *registry = NULL;
    SCOPED(registry_repo) struct registry_repo *repo = NULL;
    SCOPED(oci_index) struct oci_index *index = NULL;
    int rc = registry_new(&options, &registry, NULL);

    if (rc == 0)
        rc = registry_repo_open(registry, http_server_host(f->server), "a", &keychain, &repo, NULL);
    if (rc == 0)
        rc = fetch_some(repo, f, got);
    if (rc == 0)
        rc = registry_push_blob(repo, &f->digest, bytes_of(f->content, 10), NULL);
    if (rc == 0)
        rc = registry_get_referrers(repo, &f->digest, "a/b", &index, NULL, NULL);
    return rc;
}

static void a_client_survives_every_failing_allocation(void **state)
{
    SCOPED(fixture) struct fixture *f = fixture_open(serve_all, NULL, NULL);
    SCOPED(mem) struct fetched *got = malloc(sizeof(*got));
    bool failed = true;
    int n = 0, rc = 0;
    (void)state;

    failing.is_tested = is_client;
    for (; failed; n++) {
        fetched_init(got, 100, 100);
        fail_one_allocation(n);
        rc = use_client(f, got);
        failed = stop_failing();
    }
    assert_ok(rc);
    assert_in_range(n, 50, 2000);
    print_message("%d allocations\n", n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_survives_every_failing_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
