/* SPDX-License-Identifier: Apache-2.0 */
/* test_lazy_claim.c – what a runtime's labels say that a layer unpacks to, and what a row keeps of
 * it. */
#include "test.h"

#include "base/text.h"
#include "lazy/internal.h"

#include <errno.h>

#define A "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define C "sha256:cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"
#define DIFF_ID "containerd.io/snapshot/diff-id"
#define PARENT_CHAIN "containerd.io/snapshot/parent-chain-id"

/* NULL: no such label. */
static struct layer_claim claim_of(const char *diff_id, const char *target, const char *chain,
                                   const char *parent)
{
    SCOPED(text_map) struct text_map labels = TEXT_MAP_EMPTY;
    struct layer_claim claim;

    if (diff_id != NULL)
        assert_ok(text_map_set(&labels, DIFF_ID, diff_id));
    if (target != NULL)
        assert_ok(text_map_set(&labels, SNAPSHOT_LABEL_TARGET, target));
    if (chain != NULL)
        assert_ok(text_map_set(&labels, PARENT_CHAIN, chain));
    lazy_claim_of_prepare(&labels, parent, &claim);
    return claim;
}

static void assert_is(const struct layer_claim *claim, enum layer_claim_kind kind, uint8_t digest,
                      uint8_t below)
{
    assert_int_equal(claim->kind, kind);
    assert_int_equal(claim->digest.sha256[0], digest);
    assert_int_equal(claim->below.sha256[31], below);
}

static void a_diff_id_is_taken_as_it_is(void **state)
{
    struct layer_claim claim = claim_of(A, B, C, "ns/1/" C);

    (void)state;
    assert_is(&claim, LAYER_CLAIM_DIFF_ID, 0xaa, 0);
}

static void without_one_the_chain_ids_say_as_much(void **state)
{
    struct layer_claim by_name = claim_of(NULL, B, NULL, "ns/1/" C),
                       by_our_name = claim_of(NULL, B, NULL, C "@7"),
                       by_label = claim_of(NULL, B, C, "");

    (void)state;
    assert_is(&by_name, LAYER_CLAIM_CHAIN_ID, 0xbb, 0xcc);
    assert_is(&by_our_name, LAYER_CLAIM_CHAIN_ID, 0xbb, 0xcc);
    assert_is(&by_label, LAYER_CLAIM_CHAIN_ID, 0xbb, 0xcc);
}

static void the_lowest_layers_chain_id_is_its_diff_id(void **state)
{
    struct layer_claim claim = claim_of(NULL, B, NULL, "");

    (void)state;
    assert_is(&claim, LAYER_CLAIM_DIFF_ID, 0xbb, 0);
}

static void what_says_nothing_or_makes_no_sense_is_no_claim(void **state)
{
    const struct layer_claim claims[] = {
        claim_of(NULL, NULL, NULL, ""),         claim_of(NULL, "some name", NULL, ""),
        claim_of(NULL, B, NULL, "some parent"), claim_of(NULL, B, "some chain", "ns/1/" C),
        claim_of("sha512:" B, NULL, NULL, ""),
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(claims); i++)
        assert_is(&claims[i], LAYER_CLAIM_NONE, 0, 0);
}

static void a_row_keeps_what_was_said(void **state)
{
    const struct layer_claim claims[] = {
        claim_of(A, NULL, NULL, ""),
        claim_of(NULL, B, C, ""),
        claim_of(NULL, NULL, NULL, ""),
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(claims); i++) {
        SCOPED(text_map) struct text_map row = TEXT_MAP_EMPTY;
        struct layer_claim again;

        assert_ok(lazy_claim_add_labels(&claims[i], &row));
        lazy_claim_of_row(&row, &again);
        assert_int_equal(again.kind, claims[i].kind);
        assert_true(digest_equal(&again.digest, &claims[i].digest) ||
                    again.kind == LAYER_CLAIM_NONE);
        assert_true(digest_equal(&again.below, &claims[i].below));
    }
}

static void a_row_that_lost_a_part_of_it_says_nothing(void **state)
{
    SCOPED(text_map) struct text_map row = TEXT_MAP_EMPTY;
    struct layer_claim claim = claim_of(NULL, B, C, "");

    (void)state;
    assert_ok(lazy_claim_add_labels(&claim, &row));
    text_map_remove(&row, "containerd.io/snapshot/remote/soci.parent-chain-id");
    lazy_claim_of_row(&row, &claim);
    assert_is(&claim, LAYER_CLAIM_NONE, 0, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_diff_id_is_taken_as_it_is),
        cmocka_unit_test(without_one_the_chain_ids_say_as_much),
        cmocka_unit_test(the_lowest_layers_chain_id_is_its_diff_id),
        cmocka_unit_test(what_says_nothing_or_makes_no_sense_is_no_claim),
        cmocka_unit_test(a_row_keeps_what_was_said),
        cmocka_unit_test(a_row_that_lost_a_part_of_it_says_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
