/* SPDX-License-Identifier: Apache-2.0 */
/* What a layer has behind the end of its tar, that all spans are there, and that one is doubted. */
#include "span_rig.h"

#include "base/clock.h"
#include "base/threads.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { SPANS = 6, SPAN_BYTES = 100000 };

static int append(void *self, struct bytes piece, struct err *err)
{
    (void)err;
    return buf_add(self, piece.data, piece.len);
}

/* The tar is said to end in the middle of span n, as a ztoc's layout says it. Before the set is
 * opened. */
static uint64_t cut(struct rig_layer *layer, size_t n)
{
    uint64_t end = (layer->spans[n].uncomp_off + layer->spans[n].uncomp_end) / 2;

    for (size_t i = n; i < layer->count; i++) {
        if (i > n)
            layer->spans[i].uncomp_off = end;
        layer->spans[i].uncomp_end = end;
    }
    return end;
}

static void start_cut(struct rig *rig, enum rig_kind kind, size_t n, uint64_t *ret_end,
                      enum rig_answer (*answer)(void *, size_t, const struct span_fetch *))
{
    const struct rig_options options = {.kind = kind, .count = SPANS, .span_bytes = SPAN_BYTES};

    rig_start(rig, &options);
    rig_close_set(rig);
    *ret_end = cut(&rig->layer, n);
    rig_open_set(rig, answer, NULL);
}

static void what_is_behind_the_tar_comes_in_order_however_many_spans_it_is(void **state)
{
    static const enum rig_kind kinds[] = {RIG_PLAIN, RIG_GZIP};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        for (size_t n = 0; n < SPANS - 1; n += 2) {
            SCOPED(buf_value) struct buf out = BUF_EMPTY;
            const struct span_sink sink = {append, &out};
            struct err err = ERR_NONE;
            uint64_t end = 0;
            struct rig rig;

            start_cut(&rig, kinds[i], n, &end, NULL);
            assert_ok(span_set_read_behind(rig.set, &sink, &err));
            assert_int_equal(out.len, rig.layer.tar.len - end);
            assert_memory_equal(out.data, rig.layer.tar.data + end, out.len);
            rig_stop(&rig);
        }
    }
}

static enum rig_answer damage_all(void *arg, size_t call, const struct span_fetch *fetch)
{
    (void)arg;
    (void)call;
    (void)fetch;
    return RIG_DAMAGE;
}

static void bytes_that_do_not_match_are_no_answer(void **state)
{
    SCOPED(buf_value) struct buf out = BUF_EMPTY;
    const struct span_sink sink = {append, &out};
    struct err err = ERR_NONE;
    uint64_t end = 0;
    struct rig rig;

    (void)state;
    start_cut(&rig, RIG_GZIP, 3, &end, damage_all);
    assert_int_equal(span_set_read_behind(rig.set, &sink, &err), -EAGAIN);
    assert_int_equal(out.len, 0);
    rig_stop(&rig);
}

static void a_source_that_fails_is_an_answer(void **state)
{
    SCOPED(buf_value) struct buf out = BUF_EMPTY;
    const struct span_sink sink = {append, &out};
    struct err err = ERR_NONE;
    uint64_t end = 0;
    struct rig rig;

    (void)state;
    start_cut(&rig, RIG_GZIP, 3, &end, rig_fail_all);
    assert_int_equal(span_set_read_behind(rig.set, &sink, &err), -ETIMEDOUT);
    rig_stop(&rig);
}

static void *cancel_soon(void *arg)
{
    struct rig *rig = arg;

    rig_wait_calls(&rig->source, 1);
    span_set_cancel_behind(rig->set);
    return NULL;
}

static void a_source_that_hangs_is_left_when_nobody_wants_to_know_any_more(void **state)
{
    SCOPED(buf_value) struct buf out = BUF_EMPTY;
    const struct span_sink sink = {append, &out};
    struct err err = ERR_NONE;
    uint64_t end = 0;
    pthread_t thread;
    struct rig rig;

    (void)state;
    start_cut(&rig, RIG_GZIP, 3, &end, rig_hold_all);
    assert_ok(thread_start(&thread, "cancel", cancel_soon, &rig));
    assert_int_equal(span_set_read_behind(rig.set, &sink, &err), -ECANCELED);
    assert_int_equal(span_set_read_behind(rig.set, &sink, &err), -ECANCELED);
    (void)pthread_join(thread, NULL);
    rig_stop(&rig);
}

/* ---- doubt ----------------------------------------------------------------------------------- */

static void a_span_that_is_doubted_is_fetched_again_if_it_is_wrong(void **state)
{
    const struct rig_options options = {.kind = RIG_GZIP, .count = SPANS, .span_bytes = SPAN_BYTES};
    int64_t deadline_ms = clock_mono_ms() + RIG_DEADLINE_MS;
    struct err err = ERR_NONE;
    struct rig rig;
    size_t calls;

    (void)state;
    rig_start(&rig, &options);
    assert_ok(rig_read(&rig, 0, rig.layer.tar.len, &err));
    calls = rig_calls(&rig.source);
    assert_ok(span_set_doubt(rig.set, 2, &err)); /* without reason */
    assert_ok(rig_read_span(&rig, 2, &err));
    assert_int_equal(rig_calls(&rig.source), calls);

    assert_int_equal(
        pwrite(span_set_fd(rig.set), "\xff", 1, (off_t)rig.layer.spans[2].uncomp_end - 1), 1);
    assert_int_equal(rig_read_span(&rig, 2, &err), -EILSEQ); /* nobody has noticed */
    assert_ok(span_set_doubt(rig.set, 2, &err));
    while (span_set_is_complete(rig.set) && clock_mono_ms() < deadline_ms)
        clock_sleep_ms(1);
    assert_ok(rig_read_span(&rig, 2, &err));
    assert_int_equal(rig_calls(&rig.source), calls + 1);
    rig_stop(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_behind_the_tar_comes_in_order_however_many_spans_it_is),
        cmocka_unit_test(bytes_that_do_not_match_are_no_answer),
        cmocka_unit_test(a_source_that_fails_is_an_answer),
        cmocka_unit_test(a_source_that_hangs_is_left_when_nobody_wants_to_know_any_more),
        cmocka_unit_test(a_span_that_is_doubted_is_fetched_again_if_it_is_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
