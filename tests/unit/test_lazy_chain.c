/* SPDX-License-Identifier: Apache-2.0 */
/* test_lazy_chain.c – an unpacked layer must be what the name of its snapshot stands for. */
#include "test.h"

#include "base/text.h"
#include "lazy/internal.h"

#include <errno.h>
#include <stdlib.h>

/* Of a layer A with layer B on top, computed by hand: printf 'sha256:<A> sha256:<B>' | sha256sum */
static const char digest_a[] =
    "sha256:ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"; /* of "a" */
static const char digest_b[] =
    "sha256:3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d"; /* of "b" */

struct question {
    struct snapshot_layer how;
    struct text_map labels;
};

static void ask(struct question *q, const char *target, const char *parent)
{
    q->labels = (struct text_map)TEXT_MAP_EMPTY;
    assert_ok(text_map_set(&q->labels, SNAPSHOT_LABEL_TARGET, target));
    q->how = (struct snapshot_layer){.parent = parent, .labels = &q->labels};
}

static int answer(struct question *q, const char *diff_id)
{
    struct digest digest;
    struct err err = ERR_NONE;
    int rc;

    assert_ok(digest_parse(diff_id, &digest, &err));
    rc = lazy_check_chain(&q->how, &digest, &err);
    text_map_fini(&q->labels);
    return rc;
}

static void chain_of_both(char out[DIGEST_TEXT_BYTES])
{
    SCOPED(mem) char *text = text_format("%s %s", digest_a, digest_b);
    struct digest digest;

    assert_ok(digest_of(bytes_of_str(text), &digest));
    digest_format(&digest, out);
}

static void the_lowest_layer_is_its_own_chain(void **state)
{
    struct question q;

    (void)state;
    ask(&q, digest_a, "");
    assert_ok(answer(&q, digest_a));
    ask(&q, digest_a, "");
    assert_int_equal(answer(&q, digest_b), -EBADMSG);
}

static void a_layer_above_continues_the_chain_of_its_parent(void **state)
{
    SCOPED(mem) char *containerd = text_format("ns/17/%s", digest_a);
    SCOPED(mem) char *ours = text_format("%s@17", digest_a);
    const char *const parents[] = {digest_a, containerd, ours};
    char target[DIGEST_TEXT_BYTES];
    struct question q;

    (void)state;
    chain_of_both(target);
    for (size_t i = 0; i < ARRAY_LEN(parents); i++) {
        ask(&q, target, parents[i]);
        assert_ok(answer(&q, digest_b));
        ask(&q, target, parents[i]);
        assert_int_equal(answer(&q, digest_a), -EBADMSG);
    }
    ask(&q, target, digest_b);
    assert_int_equal(answer(&q, digest_b), -EBADMSG);
}

static void without_a_parent_yet_the_label_says_what_will_be_below(void **state)
{
    char target[DIGEST_TEXT_BYTES];
    struct question q;

    (void)state;
    chain_of_both(target);
    ask(&q, target, "");
    assert_ok(text_map_set(&q.labels, "containerd.io/snapshot/parent-chain-id", digest_a));
    assert_ok(answer(&q, digest_b));
    ask(&q, target, "");
    assert_int_equal(answer(&q, digest_b), -EBADMSG);
}

static void another_diff_id_than_the_label_says_is_refused(void **state)
{
    struct question q;

    (void)state;
    ask(&q, digest_a, "");
    assert_ok(text_map_set(&q.labels, "containerd.io/snapshot/diff-id", digest_b));
    assert_int_equal(answer(&q, digest_a), -EBADMSG);
}

static void what_cannot_be_told_is_refused(void **state)
{
    struct question q;

    (void)state;
    ask(&q, digest_a, "ns/1/a name of another kind");
    assert_int_equal(answer(&q, digest_a), -EINVAL);
    ask(&q, "no digest", "");
    assert_int_equal(answer(&q, digest_a), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_lowest_layer_is_its_own_chain),
        cmocka_unit_test(a_layer_above_continues_the_chain_of_its_parent),
        cmocka_unit_test(without_a_parent_yet_the_label_says_what_will_be_below),
        cmocka_unit_test(another_diff_id_than_the_label_says_is_refused),
        cmocka_unit_test(what_cannot_be_told_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
