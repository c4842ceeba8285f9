/* SPDX-License-Identifier: Apache-2.0 */
/* What an earlier start read is fetched before the rest, in its order, and yields to readers. */
#include "span_rig.h"

#include "base/clock.h"
#include "span/internal.h"

#include <errno.h>

enum { SPAN_BYTES = 10000 };

static void start(struct rig *rig, size_t count, struct span_engine_options engine,
                  enum rig_answer (*answer)(void *, size_t, const struct span_fetch *))
{
    rig_start(rig, &(struct rig_options){.kind = RIG_PLAIN,
                                         .count = count,
                                         .span_bytes = SPAN_BYTES,
                                         .engine = engine,
                                         .answer = answer});
}

/* A layer of the same bytes beside the rig's. */
struct beside {
    struct rig_source source;
    struct span_set *set;
};

static void beside_open(struct beside *beside, struct rig *rig, uint8_t name,
                        enum rig_answer (*answer)(void *, size_t, const struct span_fetch *))
{
    struct span_set_options options = {.name = "sha256:beside", .layout = rig_layout(&rig->layer)};
    struct span_file_options file_options = {.span_count = rig->layer.count,
                                             .uncomp_bytes = rig->layer.tar.len};
    struct err err = ERR_NONE;

    rig_source_init(&beside->source, &rig->layer, answer, NULL);
    options.source = rig_span_source(&beside->source);
    file_options.ztoc.sha256[0] = name;
    assert_ok(span_file_open(rig->store, &file_options, &options.file, &err));
    assert_ok(span_set_open(rig->engine, &options, &beside->set, &err));
}

static void beside_close(struct beside *beside)
{
    span_set_close(beside->set);
    rig_source_fini(&beside->source);
}

static void assert_calls(struct rig_source *source, const size_t *spans, size_t count)
{
    rig_wait_calls(source, count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(source->log[i].comp_off / SPAN_BYTES, spans[i]);
}

/* One GET at a time, so that the order of the source is that of the engine. */
static const struct span_engine_options one_by_one = {.max_fetches = 1,
                                                      .background_bytes = SPAN_BYTES};

static void preferred_spans_come_first_in_the_order_of_their_ranks(void **state)
{
    const struct span_preferred preferred[] = {{3, 2}, {11, 1}, {7, 0}};
    const size_t order[] = {7, 11, 3, 0, 1, 2};
    struct err err = ERR_NONE;
    struct rig rig;

    (void)state;
    start(&rig, 12, one_by_one, NULL);
    assert_ok(span_set_prefer(rig.set, preferred, 3, &err));
    span_set_start_background(rig.set);
    rig_wait_complete(&rig);
    assert_calls(&rig.source, order, 6);
    assert_int_equal(rig_calls(&rig.source), 12);
    rig_stop(&rig);
}

static void the_order_goes_across_layers(void **state)
{
    const struct span_preferred here[] = {{5, 1}, {2, 3}}, there[] = {{9, 0}, {1, 2}};
    const size_t order_here[] = {5, 2}, order_there[] = {9, 1};
    struct beside beside;
    struct err err = ERR_NONE;
    struct rig rig;

    (void)state;
    start(&rig, 12, one_by_one, rig_hold_all);
    beside_open(&beside, &rig, 1, rig_hold_all);
    /* Whoever comes first has the only GET until it is let go. */
    assert_ok(span_set_prefer(beside.set, there, 2, &err));
    assert_ok(span_set_prefer(rig.set, here, 2, &err));
    assert_int_equal(rig_calls(&beside.source), 1);
    assert_int_equal(rig_calls(&rig.source), 0);
    rig_let_go(&beside.source); /* 9 ends, 5 begins */
    rig_wait_calls(&rig.source, 1);
    assert_int_equal(rig_calls(&beside.source), 1); /* 1 is behind 5 */
    rig_let_go(&rig.source);
    assert_calls(&rig.source, order_here, 2);
    assert_calls(&beside.source, order_there, 2);
    beside_close(&beside);
    rig_stop(&rig);
}

/* How fast the link is, and so how long a GET may be, is not known in a test: straight to it. */
static void neighbours_of_nearly_the_same_rank_share_a_get(void **state)
{
    struct rig_layer layer;
    bool refused[12] = {[10] = true};
    uint8_t states[12] = {0};
    uint32_t rank[12] = {[3] = 101, [4] = 0, [5] = 1, [6] = 2, [7] = 100, [9] = 5, [10] = 6};
    struct span_set set = {.span_count = 12, .state = states, .refused = refused, .rank = rank};
    const struct span_preferred head = {4, 0}, second = {5, 1}, last = {3, 101}, nine = {9, 5};
    uint64_t budget_bytes = 100 * SPAN_BYTES;

    (void)state;
    rig_layer_init(&layer, RIG_PLAIN, 12, SPAN_BYTES);
    set.layout = rig_layout(&layer);
    rank[8] = rank[11] = SPAN_RANK_NONE;
    assert_int_equal(span_preferred_run_locked(&set, &head, budget_bytes), 3);
    assert_int_equal(span_preferred_run_locked(&set, &second, budget_bytes), 2);
    assert_int_equal(span_preferred_run_locked(&set, &last, budget_bytes), 1); /* 4 came before */
    assert_int_equal(span_preferred_run_locked(&set, &nine, budget_bytes), 1); /* 10 is refused */
    assert_int_equal(span_preferred_run_locked(&set, &head, 2 * SPAN_BYTES), 2);
    assert_int_equal(span_preferred_run_locked(&set, &head, 1), 1);
    states[5] = SPAN_FETCHING;
    assert_int_equal(span_preferred_run_locked(&set, &head, budget_bytes), 1);
    rig_layer_fini(&layer);
}

static void neither_a_silence_nor_a_disabled_background_holds_them(void **state)
{
    const struct span_preferred preferred[] = {{2, 0}};
    const struct span_engine_options silent = {.silence_ms = 3600 * 1000};
    const struct span_engine_options disabled = {.disable_background = true};
    struct err err = ERR_NONE;
    struct rig rig;

    (void)state;
    start(&rig, 4, silent, NULL);
    span_set_start_background(rig.set);
    assert_ok(span_set_prefer(rig.set, preferred, 1, &err));
    rig_wait_calls(&rig.source, 1);
    rig_stop(&rig);
    start(&rig, 4, disabled, NULL);
    assert_ok(span_set_prefer(rig.set, preferred, 1, &err));
    rig_wait_calls(&rig.source, 1);
    assert_int_equal(rig.source.log[0].comp_off, 2 * SPAN_BYTES);
    rig_stop(&rig);
}

static void what_a_reader_waits_for_is_not_behind_them(void **state)
{
    const struct span_preferred preferred[] = {{0, 0}, {2, 20}, {4, 40}, {6, 60}};
    struct span_want want = {.uncomp_off = 9 * SPAN_BYTES, .len = 1};
    struct err err = ERR_NONE;
    struct rig rig;

    (void)state;
    start(&rig, 12, one_by_one, rig_hold_all);
    assert_ok(span_set_prefer(rig.set, preferred, 4, &err));
    assert_int_equal(rig_calls(&rig.source), 1);
    assert_int_equal(span_set_wait(rig.set, want.uncomp_off, want.len, clock_mono_ms(), &err),
                     -ETIMEDOUT);
    assert_int_equal(rig_calls(&rig.source), 2);
    assert_int_equal(rig.source.log[1].comp_off, 9 * SPAN_BYTES);
    rig_stop(&rig);
}

static void what_is_there_already_is_not_fetched_again(void **state)
{
    const struct span_preferred preferred[] = {{1, 0}, {3, 20}};
    struct err err = ERR_NONE;
    struct rig rig;

    (void)state;
    start(&rig, 6, (struct span_engine_options){.disable_background = true}, NULL);
    assert_ok(rig_read_span(&rig, 1, &err));
    assert_ok(span_set_prefer(rig.set, preferred, 2, &err));
    rig_wait_calls(&rig.source, 2);
    assert_ok(rig_read_span(&rig, 3, &err));
    assert_ok(span_set_prefer(rig.set, preferred, 2, &err));
    assert_int_equal(rig_calls(&rig.source), 2);
    rig_stop(&rig);
}

static void of_two_lists_the_lower_rank_counts(void **state)
{
    const struct span_preferred held[] = {{0, 0}};
    const struct span_preferred first[] = {{2, 30}, {4, 40}}, second[] = {{4, 20}, {2, 50}};
    const size_t order[] = {0, 4, 2};
    struct err err = ERR_NONE;
    struct rig rig;

    (void)state;
    start(&rig, 6, one_by_one, rig_hold_all);
    assert_ok(span_set_prefer(rig.set, held, 1, &err));
    assert_ok(span_set_prefer(rig.set, first, 2, &err));
    assert_ok(span_set_prefer(rig.set, second, 2, &err));
    rig_let_go(&rig.source);
    assert_calls(&rig.source, order, 3);
    rig_stop(&rig);
}

static void only_so_many_layers_are_fetched_at_once(void **state)
{
    const struct span_preferred preferred[] = {{1, 0}, {3, 20}};
    struct beside beside;
    struct err err = ERR_NONE;
    struct rig rig;

    (void)state;
    start(&rig, 6,
          (struct span_engine_options){.max_preferred_sets = 1, .disable_background = true},
          rig_hold_all);
    beside_open(&beside, &rig, 1, NULL);
    assert_ok(span_set_prefer(rig.set, preferred, 2, &err));
    assert_ok(span_set_prefer(beside.set, preferred, 2, &err));
    rig_wait_calls(&rig.source, 2);
    assert_int_equal(rig_calls(&beside.source), 0);
    rig_let_go(&rig.source);
    rig_wait_calls(&beside.source, 2);
    beside_close(&beside);
    rig_stop(&rig);
}

static enum rig_answer fail_first(void *arg, size_t call, const struct span_fetch *fetch)
{
    (void)arg;
    (void)fetch;
    return call == 0 ? RIG_FAIL : RIG_GIVE;
}

static void one_that_failed_is_tried_again_later(void **state)
{
    const struct span_preferred preferred[] = {{1, 0}};
    struct err err = ERR_NONE;
    struct rig rig;

    (void)state;
    start(&rig, 6, (struct span_engine_options){.disable_background = true}, fail_first);
    assert_ok(span_set_prefer(rig.set, preferred, 1, &err));
    rig_wait_calls(&rig.source, 2);
    assert_int_equal(rig.source.log[1].comp_off, SPAN_BYTES);
    rig_stop(&rig);
}

static enum rig_answer damage_all(void *arg, size_t call, const struct span_fetch *fetch)
{
    (void)arg;
    (void)call;
    (void)fetch;
    return RIG_DAMAGE;
}

static void one_whose_bytes_were_refused_is_left_to_readers(void **state)
{
    const struct span_preferred preferred[] = {{1, 0}};
    struct err err = ERR_NONE;
    struct rig rig;

    (void)state;
    start(&rig, 6, (struct span_engine_options){.disable_background = true}, damage_all);
    assert_ok(span_set_prefer(rig.set, preferred, 1, &err));
    rig_wait_calls(&rig.source, 2); /* once more, and then no more */
    clock_sleep_ms(50);
    assert_ok(span_set_prefer(rig.set, preferred, 1, &err));
    clock_sleep_ms(50);
    assert_true(rig_calls(&rig.source) <= 4);
    rig_stop(&rig);
}

static void a_span_past_the_end_is_refused_with_all_of_its_list(void **state)
{
    const struct span_preferred preferred[] = {{1, 0}, {6, 1}};
    const struct span_preferred no_rank[] = {{1, SPAN_RANK_NONE}};
    struct err err = ERR_NONE;
    struct rig rig;

    (void)state;
    start(&rig, 6, (struct span_engine_options){.disable_background = true}, NULL);
    assert_int_equal(span_set_prefer(rig.set, preferred, 2, &err), -EINVAL);
    assert_int_equal(span_set_prefer(rig.set, no_rank, 1, &err), -EINVAL);
    assert_ok(span_set_prefer(rig.set, NULL, 0, &err));
    assert_int_equal(rig_calls(&rig.source), 0);
    rig_stop(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(preferred_spans_come_first_in_the_order_of_their_ranks),
        cmocka_unit_test(the_order_goes_across_layers),
        cmocka_unit_test(neighbours_of_nearly_the_same_rank_share_a_get),
        cmocka_unit_test(neither_a_silence_nor_a_disabled_background_holds_them),
        cmocka_unit_test(what_a_reader_waits_for_is_not_behind_them),
        cmocka_unit_test(what_is_there_already_is_not_fetched_again),
        cmocka_unit_test(of_two_lists_the_lower_rank_counts),
        cmocka_unit_test(only_so_many_layers_are_fetched_at_once),
        cmocka_unit_test(one_that_failed_is_tried_again_later),
        cmocka_unit_test(one_whose_bytes_were_refused_is_left_to_readers),
        cmocka_unit_test(a_span_past_the_end_is_refused_with_all_of_its_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
