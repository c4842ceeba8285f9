/* SPDX-License-Identifier: Apache-2.0 */
/* test_cri_credentials.c – credentials out of requests of CRI, which anybody may have written, and
 * whose they are. */
#include "test.h"

#include "base/text.h"
#include "cri/internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- messages -------------------------------------------------------------------------------- */

static void put_varint(struct buf *to, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        assert_ok(buf_add_byte(to, (uint8_t)(value | 0x80)));
    assert_ok(buf_add_byte(to, (uint8_t)value));
}

static void put_bytes(struct buf *to, unsigned number, struct bytes value)
{
    put_varint(to, number << 3 | 2);
    put_varint(to, value.len);
    assert_ok(buf_add(to, value.data, value.len));
}

static void put_text(struct buf *to, unsigned number, const char *text)
{
    if (text != NULL)
        put_bytes(to, number, bytes_of_str(text));
}

struct pull {
    const char *image, *username, *password, *auth, *server, *identity, *token;
};

/* With fields that nobody here knows: annotations, a sandbox, a number. */
static void put_pull(struct buf *to, const struct pull *pull)
{
    SCOPED(buf_value) struct buf image = BUF_EMPTY;
    SCOPED(buf_value) struct buf auth = BUF_EMPTY;

    put_text(&image, 1, pull->image);
    put_text(&image, 2, "annotation");
    put_text(&image, 18, "as the user wrote it");
    put_text(&auth, 1, pull->username);
    put_text(&auth, 2, pull->password);
    put_text(&auth, 3, pull->auth);
    put_text(&auth, 4, pull->server);
    put_text(&auth, 5, pull->identity);
    put_text(&auth, 6, pull->token);
    put_varint(to, 9 << 3 | 0);
    put_varint(to, UINT64_MAX);
    put_bytes(to, 1, buf_bytes(&image));
    if (auth.len > 0)
        put_bytes(to, 2, buf_bytes(&auth));
    put_text(to, 3, "sandbox");
}

static int remember(struct cri_credentials *credentials, const struct pull *pull, struct err *err)
{
    SCOPED(buf_value) struct buf message = BUF_EMPTY;
    struct cri_request request;

    put_pull(&message, pull);
    assert_ok(cri_request_parse(buf_bytes(&message), &request, err));
    return cri_remember(credentials, &request, err);
}

/* "user:password:identity:token", "-" for what is not there. */
static const char *found(struct cri_credentials *credentials, const char *host, const char *repo)
{
    static char text[256];
    struct registry_credentials c = {.username = NULL};

    assert_ok(cri_find(credentials, host, repo, &c, NULL));
    (void)snprintf(text, sizeof(text), "%s:%s:%s:%s", c.username == NULL ? "-" : c.username,
                   c.password == NULL ? "-" : c.password,
                   c.identity_token == NULL ? "-" : c.identity_token,
                   c.registry_token == NULL ? "-" : c.registry_token);
    registry_credentials_fini(&c);
    return text;
}
#define NOTHING "-:-:-:-"

static int setup(void **state)
{
    static struct cri_credentials credentials;

    cri_credentials_init(&credentials);
    *state = &credentials;
    return 0;
}

static int teardown(void **state)
{
    cri_credentials_fini(*state);
    return 0;
}

/* ---- requests -------------------------------------------------------------------------------- */

static int parse(const void *data, size_t len)
{
    struct cri_request request;
    /* a copy of its own, so that one byte too many is seen */
    SCOPED(mem) uint8_t *copy = malloc(len == 0 ? 1 : len);

    assert_non_null(copy);
    memcpy(copy, data, len);
    return cri_request_parse(bytes_of(copy, len), &request, NULL);
}

static void what_is_no_protobuf_is_refused(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
    } bad[] = {
        {"\x0a", 1}, /* a length that is missing */
        {"\x0a\x05"
         "abc",
         5},                                                  /* shorter than it says */
        {"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11}, /* 2^64-1 bytes */
        {"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 11}, /* more than 64 bits */
        {"\x48\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12},
        {"\x08\x01", 2},         /* the image is a number */
        {"\x12\x02\x08\x01", 4}, /* the user is a number */
        {"\x0a\x02\x0a\x05", 4}, /* the inner message ends early */
        {"\x0b\x0c", 2},         /* a group */
        {"\x0f", 1},             /* no such wire type */
        {"\x02\x00", 2},         /* number 0 */
        {"\x4d\x00\x00\x00", 4}, /* three of four bytes */
        {"\x49\x00\x00\x00\x00\x00\x00\x00", 8},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        if (parse(bad[i].bytes, bad[i].len) != -EBADMSG)
            fail_msg("number %zu was taken", i);
    }
    assert_ok(parse("", 0));
    assert_ok(parse("\x4d\x00\x00\x00\x00\x49\x00\x00\x00\x00\x00\x00\x00\x00", 14));
}

static void no_part_of_a_request_reads_past_its_end(void **state)
{
    SCOPED(buf_value) struct buf message = BUF_EMPTY;

    (void)state;
    put_pull(&message, &(struct pull){.image = "a.example/b", .username = "u", .password = "p"});
    for (size_t len = 0; len < message.len; len++) {
        int rc = parse(message.data, len);

        assert_true(rc == 0 || rc == -EBADMSG);
    }
}

static void a_part_that_comes_twice_is_one(void **state)
{
    SCOPED(buf_value) struct buf message = BUF_EMPTY;
    struct cri_request request;

    put_pull(&message, &(struct pull){.image = "a.example/b", .username = "u", .password = "p"});
    put_pull(&message, &(struct pull){.image = "a.example/c", .password = "q"});
    assert_ok(cri_request_parse(buf_bytes(&message), &request, NULL));
    assert_ok(cri_remember(*state, &request, NULL));
    assert_string_equal(found(*state, "a.example", "c"), "u:q:-:-");
}

/* ---- what is remembered ---------------------------------------------------------------------- */

static void all_kinds_of_credentials_are_found_by_repository(void **state)
{
    static const struct {
        struct pull pull;
        const char *host, *repository, *found;
    } cases[] = {
        {{.image = "a.example/b:1", .username = "u", .password = "p"}, "a.example", "b", "u:p:-:-"},
        {{.image = "a.example/c", .auth = "dTpwOnE="}, "a.example", "c", "u:p:q:-:-"},
        {{.image = "a.example/d", .identity = "i"}, "a.example", "d", "-:-:i:-"},
        {{.image = "a.example/e", .token = "t"}, "a.example", "e", "-:-:-:t"},
        {{.image = "alpine", .username = "u", .password = "p", .auth = "eDp5"},
         "docker.io",
         "library/alpine",
         "u:p:-:-"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_ok(remember(*state, &cases[i].pull, NULL));
        assert_string_equal(found(*state, cases[i].host, cases[i].repository), cases[i].found);
    }
    assert_string_equal(found(*state, "a.example", "other"), NOTHING);
    assert_string_equal(found(*state, "other.example", "b"), NOTHING);
    assert_string_equal(found(*state, "a.example:443", "b"), NOTHING);
}

static void credentials_for_another_server_are_not_kept(void **state)
{
    struct pull pull = {.image = "a.example/b", .username = "u", .password = "p"};
    static const char *const same[] = {"a.example", "https://a.example", "https://a.example/v1/"};
    static const char *const other[] = {"b.example", "https://b.example/a.example", "a.example.b",
                                        "https://index.docker.io/v1/"};
    struct err err = ERR_NONE;

    for (size_t i = 0; i < ARRAY_LEN(other); i++) {
        pull.server = other[i];
        assert_int_equal(remember(*state, &pull, &err), -EINVAL);
        assert_string_equal(found(*state, "a.example", "b"), NOTHING);
    }
    for (size_t i = 0; i < ARRAY_LEN(same); i++) {
        pull.server = same[i];
        assert_ok(remember(*state, &pull, &err));
        assert_string_equal(found(*state, "a.example", "b"), "u:p:-:-");
        cri_forget(*state, bytes_of_str("a.example/b"));
    }
    pull = (struct pull){.image = "alpine",
                         .username = "u",
                         .password = "p",
                         .server = "https://index.docker.io/v1/"};
    assert_ok(remember(*state, &pull, &err));
    assert_string_equal(found(*state, "docker.io", "library/alpine"), "u:p:-:-");
}

static void what_makes_no_sense_ends_what_was_known_and_tells_no_secret(void **state)
{
    static const struct pull bad[] = {
        {.image = "a.example/b", .auth = "c2VjcmV0"}, /* no colon in "secret" */
        {.image = "a.example/b", .auth = "secret!"},
    };
    const struct pull good = {.image = "a.example/b", .username = "u", .password = "p"};

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct err err = ERR_NONE;

        assert_ok(remember(*state, &good, NULL));
        assert_int_equal(remember(*state, &bad[i], &err), -EBADMSG);
        assert_null(strstr(err.text, "ecret"));
        assert_string_equal(found(*state, "a.example", "b"), NOTHING);
    }
}

static void no_image_and_a_nul_are_refused(void **state)
{
    struct cri_request request = {.image = {NULL, 0}};

    assert_int_equal(cri_remember(*state, &request, NULL), -EINVAL);
    request.image = bytes_of("a.example/b\0c", 13);
    assert_int_equal(cri_remember(*state, &request, NULL), -EINVAL);
    request.image = bytes_of_str("a.example/b");
    request.auth.username = bytes_of("u\0v", 3);
    assert_int_equal(cri_remember(*state, &request, NULL), -EINVAL);
    assert_string_equal(found(*state, "a.example", "b"), NOTHING);
}

static void a_secret_has_a_limit(void **state)
{
    SCOPED(buf_value) struct buf secret = BUF_EMPTY;
    struct cri_request request = {.image = bytes_of_str("a.example/b")};

    for (size_t i = 0; i < 64 * 1024; i++)
        assert_ok(buf_add_byte(&secret, 'a'));
    request.auth.registry_token = buf_bytes(&secret);
    assert_ok(cri_remember(*state, &request, NULL));
    assert_ok(buf_add_byte(&secret, 'a'));
    request.auth.registry_token = buf_bytes(&secret);
    assert_int_equal(cri_remember(*state, &request, NULL), -EFBIG);
}

static void the_newest_pull_of_a_repository_counts(void **state)
{
    assert_ok(remember(*state, &(struct pull){.image = "a.example/b:1", .token = "1"}, NULL));
    assert_ok(remember(*state, &(struct pull){.image = "a.example/b:2", .token = "2"}, NULL));
    assert_string_equal(found(*state, "a.example", "b"), "-:-:-:2");
    assert_ok(remember(*state, &(struct pull){.image = "a.example/b:1", .token = "3"}, NULL));
    assert_string_equal(found(*state, "a.example", "b"), "-:-:-:3");
    cri_forget(*state, bytes_of_str("a.example/b:1"));
    assert_string_equal(found(*state, "a.example", "b"), "-:-:-:2");
    assert_ok(remember(*state, &(struct pull){.image = "a.example/b:2"}, NULL)); /* with none */
    assert_string_equal(found(*state, "a.example", "b"), NOTHING);
    cri_forget(*state, bytes_of_str("sha256:no such image"));
}

static void beyond_its_number_the_oldest_is_forgotten(void **state)
{
    struct cri_credentials *credentials = *state;
    char image[64];

    for (int i = 0; i <= CRI_CREDENTIALS_MAX; i++) {
        (void)snprintf(image, sizeof(image), "a.example/i%d", i);
        assert_ok(remember(credentials, &(struct pull){.image = image, .token = "t"}, NULL));
    }
    assert_int_equal(credentials->count, CRI_CREDENTIALS_MAX);
    assert_string_equal(found(credentials, "a.example", "i0"), NOTHING);
    assert_string_equal(found(credentials, "a.example", "i1"), "-:-:-:t");
    (void)snprintf(image, sizeof(image), "i%d", CRI_CREDENTIALS_MAX);
    assert_string_equal(found(credentials, "a.example", image), "-:-:-:t");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_protobuf_is_refused),
        cmocka_unit_test(no_part_of_a_request_reads_past_its_end),
        cmocka_unit_test_setup_teardown(a_part_that_comes_twice_is_one, setup, teardown),
        cmocka_unit_test_setup_teardown(all_kinds_of_credentials_are_found_by_repository, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(credentials_for_another_server_are_not_kept, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(what_makes_no_sense_ends_what_was_known_and_tells_no_secret,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(no_image_and_a_nul_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_secret_has_a_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(the_newest_pull_of_a_repository_counts, setup, teardown),
        cmocka_unit_test_setup_teardown(beyond_its_number_the_oldest_is_forgotten, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
