/* SPDX-License-Identifier: Apache-2.0 */
/* test_digest_digest.c – digests in text and bytes; hashing in pieces equals hashing at once. */
#include "test.h"

#include "digest/digest.h"

#include <errno.h>

#define EMPTY "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define ABC "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

static void known_answers(void **state)
{
    struct digest digest;
    char text[DIGEST_TEXT_BYTES];

    (void)state;
    assert_ok(digest_of(bytes_of(NULL, 0), &digest));
    digest_format(&digest, text);
    assert_string_equal(text, EMPTY);
    assert_ok(digest_of(bytes_of_str("abc"), &digest));
    digest_format(&digest, text);
    assert_string_equal(text, ABC);
}

static void pieces_and_copies_agree(void **state)
{
    struct hasher *hasher = hasher_new(), *copy;
    struct digest digest;
    char text[DIGEST_TEXT_BYTES];

    (void)state;
    assert_non_null(hasher);
    assert_ok(hasher_update(hasher, bytes_of_str("ab")));
    copy = hasher_copy(hasher);
    assert_non_null(copy);
    assert_ok(hasher_update(hasher, bytes_of_str("X")));
    assert_ok(hasher_update(copy, bytes_of_str("c")));
    assert_ok(hasher_final(copy, &digest));
    digest_format(&digest, text);
    assert_string_equal(text, ABC);
    assert_ok(hasher_final(hasher, &digest));
    assert_ok(hasher_final(hasher, &digest)); /* started anew */
    digest_format(&digest, text);
    assert_string_equal(text, EMPTY);
    hasher_free(hasher);
    hasher_free(copy);
}

static void only_the_one_spelling_is_a_digest(void **state)
{
    static const char *const bad[] = {
        "",
        "sha256:",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "sha256:E3B0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b85",
        "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b8550",
        "sha512:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "sha256:../c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    };
    struct digest digest;
    struct err err = ERR_NONE;
    size_t i;

    (void)state;
    assert_ok(digest_parse(EMPTY, &digest, &err));
    for (i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(digest_parse(bad[i], &digest, &err), -EINVAL);
}

/* What sha256sum(1) says of the two texts with a space between them. */
static void a_chain_id_is_of_the_chain_below_and_the_layer(void **state)
{
    struct digest below = {{0}}, diff_id, chain;
    char text[DIGEST_TEXT_BYTES];

    (void)state;
    memset(diff_id.sha256, 0xaa, sizeof(diff_id.sha256));
    assert_ok(digest_chain(&below, &diff_id, &chain));
    digest_format(&chain, text);
    assert_string_equal(text,
                        "sha256:e8b4d0eabf8c52865f2b0a14af0ba1ee75b89c6eac8e0af4c5980e606351db1c");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_answers),
        cmocka_unit_test(pieces_and_copies_agree),
        cmocka_unit_test(a_chain_id_is_of_the_chain_below_and_the_layer),
        cmocka_unit_test(only_the_one_spelling_is_a_digest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
