/* SPDX-License-Identifier: Apache-2.0 */
/* Prefetch artifacts are added to an index that is there: which, in which order, and what is
 * refused. The content store is an array. */
#include "blob_store.h"

static struct digest digest_like(uint8_t byte)
{
    struct digest digest;

    memset(digest.sha256, byte, sizeof(digest.sha256));
    return digest;
}

/* An index of three layers a, b and a again, whose ztocs are A and B. */
static struct digest put_index(struct world *w)
{
    static const char names[] = "aba";
    SCOPED(soci_index) struct soci_index *index = calloc(1, sizeof(*index));
    SCOPED(buf_value) struct buf json = BUF_EMPTY;
    struct err err = ERR_NONE;
    struct digest digest;

    assert_non_null(index);
    index->version = 1;
    index->has_subject = true;
    index->subject = digest_like(9);
    index->subject_media_type = text_copy(OCI_MEDIA_MANIFEST);
    index->ztocs = calloc(3, sizeof(*index->ztocs));
    for (size_t i = 0; i < 3; i++) {
        index->ztocs[i].layer = digest_like((uint8_t)names[i]);
        index->ztocs[i].ztoc = digest_like((uint8_t)(names[i] - 'a' + 'A'));
        index->ztocs[i].ztoc_bytes = 1;
    }
    index->ztoc_count = 3;
    assert_ok(soci_index_encode(index, &json, &err));
    assert_ok(digest_of(buf_bytes(&json), &digest));
    assert_ok(content_write(w, &digest, buf_bytes(&json), NULL, &err));
    return digest;
}

static struct index_wanted wanted(char layer, char ztoc, uint32_t span)
{
    return (struct index_wanted){digest_like((uint8_t)layer), digest_like((uint8_t)ztoc), span};
}

static int prefetch(struct world *w, const struct digest *old, const struct index_wanted *list,
                    size_t count, struct index_built *ret)
{
    const struct index_prefetch_options options = {
        .content = {.read = content_read, .write = content_write, .self = w},
        .output = {.line = print_line, .self = w},
        .wanted = list,
        .wanted_count = count,
    };
    struct err err = ERR_NONE;

    return index_prefetch(&options, old, ret, &err);
}

static void each_layer_of_which_something_is_wanted_has_one_artifact(void **state)
{
    const struct index_wanted list[] = {wanted('b', 'B', 4), wanted('a', 'A', 2),
                                        wanted('a', 'A', 3), wanted('b', 'B', 5)};
    struct world w = {.count = 0};
    struct digest old = put_index(&w);
    SCOPED(index_built) struct index_built built = {.index = NULL};
    const struct soci_index_prefetch *of_a, *of_b;

    (void)state;
    assert_ok(prefetch(&w, &old, list, 4, &built));
    assert_int_equal(built.index->prefetch_count, 2);
    assert_int_equal(built.index->ztoc_count, 3);
    of_a = &built.index->prefetches[0];
    of_b = &built.index->prefetches[1];
    assert_int_equal(of_a->layer.sha256[0], 'a');
    assert_string_equal(text_of(&w, &of_a->artifact),
                        "{\"version\":\"1.0\",\"prefetch_spans\":["
                        "{\"start_span\":2,\"end_span\":3,\"priority\":2}]}");
    assert_string_equal(text_of(&w, &of_b->artifact),
                        "{\"version\":\"1.0\",\"prefetch_spans\":["
                        "{\"start_span\":4,\"end_span\":4,\"priority\":1},"
                        "{\"start_span\":5,\"end_span\":5,\"priority\":4}]}");
    assert_int_equal(of_b->artifact_bytes, strlen(text_of(&w, &of_b->artifact)));
    assert_true(strncmp(buf_str(&w.lines), "Created prefetch artifact for layer sha256:6161", 47) ==
                0);
    assert_non_null(strstr(w.blobs[w.count - 1].labels, "containerd.io/gc.ref.content.ztoc.4"));
    world_fini(&w);
}

static void doing_it_again_takes_the_place_of_what_was_there_and_gives_the_same_bytes(void **state)
{
    const struct index_wanted first[] = {wanted('a', 'A', 7), wanted('b', 'B', 1)};
    const struct index_wanted second[] = {wanted('b', 'B', 1)};
    struct world w = {.count = 0};
    struct digest old = put_index(&w);
    SCOPED(index_built) struct index_built one = {.index = NULL}, two = {.index = NULL};
    SCOPED(index_built) struct index_built direct = {.index = NULL};

    (void)state;
    assert_ok(prefetch(&w, &old, first, 2, &one));
    assert_ok(prefetch(&w, &one.digest, second, 1, &two));
    assert_ok(prefetch(&w, &old, second, 1, &direct));
    assert_int_equal(two.index->prefetch_count, 1);
    assert_true(digest_equal(&two.digest, &direct.digest));
    assert_false(digest_equal(&two.digest, &one.digest));
    world_fini(&w);
}

static void what_was_recorded_with_other_ztocs_is_refused(void **state)
{
    const struct index_wanted list[] = {wanted('a', 'B', 4), wanted('c', 'A', 2)};
    SCOPED(index_built) struct index_built built = {.index = NULL};
    struct world w = {.count = 0};
    struct digest old = put_index(&w);

    (void)state;
    assert_int_equal(prefetch(&w, &old, list, 2, &built), -ENODATA);
    assert_int_equal(prefetch(&w, &old, NULL, 0, &built), -ENODATA);
    assert_null(built.index);
    assert_int_equal(w.count, 1);
    world_fini(&w);
}

static void an_index_that_is_not_there_or_none_is_refused(void **state)
{
    const struct index_wanted list[] = {wanted('a', 'A', 4)};
    SCOPED(index_built) struct index_built built = {.index = NULL};
    struct world w = {.count = 0};
    struct digest other = digest_like(3);
    struct err err = ERR_NONE;

    (void)state;
    assert_int_equal(prefetch(&w, &other, list, 1, &built), -ENOENT);
    assert_ok(digest_of(bytes_of_str("{}"), &other));
    assert_ok(content_write(&w, &other, bytes_of_str("{}"), NULL, &err));
    assert_int_equal(prefetch(&w, &other, list, 1, &built), -EBADMSG);
    world_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_layer_of_which_something_is_wanted_has_one_artifact),
        cmocka_unit_test(doing_it_again_takes_the_place_of_what_was_there_and_gives_the_same_bytes),
        cmocka_unit_test(what_was_recorded_with_other_ztocs_is_refused),
        cmocka_unit_test(an_index_that_is_not_there_or_none_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
