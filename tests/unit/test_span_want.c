/* SPDX-License-Identifier: Apache-2.0 */
/* Readers and the engine: who waits for what, how often it is fetched, and what comes first. */
#include "span_rig.h"

#include "base/clock.h"
#include "base/threads.h"

#include <errno.h>
#include <stdlib.h>

static void every_byte_of_a_layer_is_as_in_its_tar(void **state)
{
    static const enum rig_kind kinds[] = {RIG_PLAIN, RIG_GZIP};
    struct err err = ERR_NONE;
    struct rig rig;
    size_t i;

    (void)state;
    for (i = 0; i < ARRAY_LEN(kinds); i++) {
        rig_start(&rig, &(struct rig_options){.kind = kinds[i], .count = 7, .span_bytes = 300000});
        assert_true(rig.layer.count > 4);
        assert_ok(rig_read(&rig, 123, 1, &err));
        assert_ok(rig_read(&rig, rig.layer.tar.len - 1, 1, &err));
        assert_ok(rig_read(&rig, 0, rig.layer.tar.len, &err));
        assert_true(span_set_is_complete(rig.set));
        rig_stop(&rig);
    }
}

static void what_is_present_is_answered_at_once_and_not_fetched_again(void **state)
{
    struct span_want want = {.uncomp_off = 10, .len = 100};
    struct err err = ERR_NONE;
    struct rig rig;

    (void)state;
    rig_start(&rig, &(struct rig_options){.kind = RIG_GZIP, .count = 3, .span_bytes = 100000});
    assert_ok(rig_read_span(&rig, 0, &err));
    assert_int_equal(span_set_want(rig.set, &want, &err), 0); /* done is NULL: would crash */
    assert_int_equal(rig_calls(&rig.source), 1);
    assert_int_equal(span_set_present_bytes(rig.set),
                     rig.layer.spans[0].comp_end - rig.layer.spans[0].comp_off);
    rig_stop(&rig);
}

static void adjacent_spans_of_one_read_are_one_get(void **state)
{
    struct err err = ERR_NONE;
    struct rig rig;
    size_t n;

    (void)state;
    rig_start(&rig, &(struct rig_options){.kind = RIG_GZIP, .count = 8, .span_bytes = 100000});
    assert_ok(rig_read_span(&rig, 3, &err));
    assert_ok(rig_read(&rig, 0, rig.layer.tar.len, &err));
    assert_int_equal(rig_calls(&rig.source), 3); /* 3, those before it and those behind */
    for (n = 0; n < rig.layer.count; n++)
        assert_int_equal(rig_calls_over(&rig.source, rig.layer.spans[n].comp_off + 1), 1);
    rig_stop(&rig);
}

static void a_long_read_is_cut_into_gets_of_8_mib(void **state)
{
    struct err err = ERR_NONE;
    struct rig rig;
    size_t i;

    (void)state;
    rig_start(&rig, &(struct rig_options){.kind = RIG_PLAIN, .count = 9, .span_bytes = 2 << 20});
    assert_ok(rig_read(&rig, 0, rig.layer.tar.len, &err));
    assert_int_equal(rig_calls(&rig.source), 3);
    for (i = 0; i < 3; i++)
        assert_true(rig.source.log[i].len <= 8 << 20);
    rig_stop(&rig);
}

/* ---- many readers ---------------------------------------------------------------------------- */

enum { READERS = 64 };

struct reader_thread {
    pthread_t thread;
    struct rig *rig;
    size_t n;
    int rc;
};

static void *read_all(void *arg)
{
    struct reader_thread *reader_thread = arg;
    struct rig *rig = reader_thread->rig;
    struct err err = ERR_NONE;
    size_t i;

    for (i = 0; i < rig->layer.count && reader_thread->rc == 0; i++)
        reader_thread->rc = rig_read_span(rig, (reader_thread->n + i) % rig->layer.count, &err);
    return NULL;
}

static void a_span_is_fetched_once_however_many_readers_wait(void **state)
{
    struct reader_thread readers[READERS];
    struct rig rig;
    size_t i;

    (void)state;
    rig_start(&rig, &(struct rig_options){.kind = RIG_GZIP,
                                          .count = 16,
                                          .span_bytes = 50000,
                                          .answer = rig_hold_all,
                                          .engine = {.inflate_threads = 4}});
    for (i = 0; i < READERS; i++) {
        readers[i] = (struct reader_thread){.rig = &rig, .n = i};
        assert_ok(thread_start(&readers[i].thread, "reader", read_all, &readers[i]));
    }
    rig_wait_calls(&rig.source,
                   rig.layer.count); /* 64 readers began in as many places as there are */
    rig_let_go(&rig.source);
    for (i = 0; i < READERS; i++) {
        (void)pthread_join(readers[i].thread, NULL);
        assert_int_equal(readers[i].rc, 0);
    }
    assert_int_equal(rig_calls(&rig.source), rig.layer.count);
    rig_stop(&rig);
}

/* ---- order ----------------------------------------------------------------------------------- */

struct note {
    struct span_want want;
    int rc; /* 1: not told yet */
};

static void note_done(struct span_want *want, int rc, const struct err *err)
{
    struct note *note = (struct note *)((char *)want - offsetof(struct note, want));

    (void)err;
    __atomic_store_n(&note->rc, rc, __ATOMIC_RELEASE);
}

static int note_rc(struct note *note)
{
    return __atomic_load_n(&note->rc, __ATOMIC_ACQUIRE);
}

/* What a want was told; it is told after the span is present, by another thread. */
static int wait_note(struct note *note)
{
    int64_t deadline_ms = clock_mono_ms() + RIG_DEADLINE_MS;

    while (note_rc(note) == 1 && clock_mono_ms() < deadline_ms)
        clock_sleep_ms(1);
    return note_rc(note);
}

static void want_span(struct rig *rig, size_t n, struct note *note)
{
    struct err err = ERR_NONE;

    *note = (struct note){.rc = 1};
    note->want = (struct span_want){
        .uncomp_off = rig->layer.spans[n].uncomp_off, .len = 1, .done = note_done};
    assert_int_equal(span_set_want(rig->set, &note->want, &err), 1);
}

static void a_reader_does_not_wait_for_the_background(void **state)
{
    struct note note;
    struct rig rig;

    (void)state;
    rig_start(&rig, &(struct rig_options){.kind = RIG_PLAIN,
                                          .count = 50,
                                          .span_bytes = 10000,
                                          .answer = rig_hold_all,
                                          .engine = {.background_bytes = 10000}});
    span_set_start_background(rig.set);
    rig_wait_calls(&rig.source, 2);
    want_span(&rig, 40, &note);
    assert_int_equal(rig_calls(&rig.source), 3); /* started inside span_set_want() */
    assert_int_equal(rig.source.log[2].comp_off, 40 * 10000);
    rig_let_go(&rig.source);
    rig_wait_complete(&rig);
    assert_int_equal(wait_note(&note), 0);
    rig_stop(&rig);
}

static enum rig_answer hold_first(void *arg, size_t call, const struct span_fetch *fetch)
{
    (void)arg;
    (void)fetch;
    return call == 0 ? RIG_HOLD : RIG_GIVE;
}

static void while_a_reader_waits_background_goes_one_span_at_a_time_behind_it(void **state)
{
    struct note note;
    struct rig rig;
    size_t i;

    (void)state;
    rig_start(&rig, &(struct rig_options){.kind = RIG_PLAIN,
                                          .count = 20,
                                          .span_bytes = 10000,
                                          .answer = hold_first,
                                          .engine = {.background_bytes = 50000}});
    want_span(&rig, 10, &note);
    span_set_start_background(rig.set);
    rig_wait_calls(&rig.source, 20); /* all the others, while the reader waits */
    assert_int_equal(note_rc(&note), 1);
    for (i = 1; i < 20; i++) {
        assert_int_equal(rig.source.log[i].len, 10000);
        assert_int_equal(rig.source.log[i].comp_off, (10 + i) % 20 * 10000);
    }
    rig_let_go(&rig.source);
    rig_wait_complete(&rig);
    assert_int_equal(wait_note(&note), 0);
    rig_stop(&rig);
}

static void a_reader_joins_a_background_fetch(void **state)
{
    struct note note;
    struct rig rig;

    (void)state;
    rig_start(&rig,
              &(struct rig_options){
                  .kind = RIG_PLAIN, .count = 2, .span_bytes = 10000, .answer = rig_hold_all});
    span_set_start_background(rig.set);
    rig_wait_calls(&rig.source, 1);
    want_span(&rig, 0, &note);
    rig_let_go(&rig.source);
    rig_wait_complete(&rig);
    assert_int_equal(wait_note(&note), 0);
    assert_int_equal(rig_calls_over(&rig.source, 0), 1);
    rig_stop(&rig);
}

/* Digest and all are right, but the end of the span is no deflate stream. */
static void a_reader_is_told_before_the_span_is_whole(void **state)
{
    struct err err = ERR_NONE;
    struct span_info *span;
    struct rig rig;

    (void)state;
    rig_start(&rig, &(struct rig_options){.kind = RIG_GZIP, .count = 2, .span_bytes = 1 << 20});
    span = &rig.layer.spans[0];
    memset(rig.layer.comp.data + span->comp_end - 4000, 0xff, 3000);
    assert_ok(
        digest_of(bytes_of(rig.layer.comp.data + span->comp_off, span->comp_end - span->comp_off),
                  &span->digest));
    assert_ok(rig_read(&rig, 0, 1000, &err));
    assert_int_equal(rig_read_span(&rig, 0, &err), -EBADMSG);
    assert_false(span_set_is_complete(rig.set));
    rig_stop(&rig);
}

/* ---- limits ---------------------------------------------------------------------------------- */

static void readers_wait_for_memory_and_all_are_served(void **state)
{
    struct note notes[10];
    struct rig rig;
    size_t i;

    (void)state;
    rig_start(&rig, &(struct rig_options){.kind = RIG_PLAIN,
                                          .count = 20,
                                          .span_bytes = 10000,
                                          .answer = rig_hold_all,
                                          .engine = {.max_memory_bytes = 25000}});
    for (i = 0; i < ARRAY_LEN(notes); i++)
        want_span(&rig, 2 * i, &notes[i]);
    assert_int_equal(rig_calls(&rig.source), 3); /* the limit, and one span over it */
    rig_let_go(&rig.source);
    rig_wait_calls(&rig.source, 10);
    rig_close_set(&rig);
    for (i = 0; i < ARRAY_LEN(notes); i++)
        assert_int_not_equal(note_rc(&notes[i]), 1);
    rig_stop(&rig);
}

static void a_span_over_the_memory_limit_is_served_alone(void **state)
{
    struct err err = ERR_NONE;
    struct rig rig;

    (void)state;
    rig_start(&rig, &(struct rig_options){.kind = RIG_PLAIN,
                                          .count = 3,
                                          .span_bytes = 10000,
                                          .engine = {.max_memory_bytes = 100}});
    assert_ok(rig_read(&rig, 0, 30000, &err));
    rig_stop(&rig);
}

static void a_read_outside_the_tar_is_refused(void **state)
{
    struct err err = ERR_NONE;
    struct rig rig;

    (void)state;
    rig_start(&rig, &(struct rig_options){.kind = RIG_PLAIN, .count = 2, .span_bytes = 1000});
    assert_int_equal(rig_read(&rig, 1999, 2, &err), -EINVAL);
    assert_int_equal(rig_read(&rig, 2000, 1, &err), -EINVAL);
    assert_int_equal(rig_read(&rig, UINT64_MAX, 1, &err), -EINVAL);
    assert_int_equal(span_set_wait(rig.set, 0, 0, INT64_MAX, &err), -EINVAL);
    assert_int_equal(rig_calls(&rig.source), 0);
    rig_stop(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_byte_of_a_layer_is_as_in_its_tar),
        cmocka_unit_test(what_is_present_is_answered_at_once_and_not_fetched_again),
        cmocka_unit_test(adjacent_spans_of_one_read_are_one_get),
        cmocka_unit_test(a_long_read_is_cut_into_gets_of_8_mib),
        cmocka_unit_test(a_span_is_fetched_once_however_many_readers_wait),
        cmocka_unit_test(a_reader_does_not_wait_for_the_background),
        cmocka_unit_test(while_a_reader_waits_background_goes_one_span_at_a_time_behind_it),
        cmocka_unit_test(a_reader_joins_a_background_fetch),
        cmocka_unit_test(a_reader_is_told_before_the_span_is_whole),
        cmocka_unit_test(readers_wait_for_memory_and_all_are_served),
        cmocka_unit_test(a_span_over_the_memory_limit_is_served_alone),
        cmocka_unit_test(a_read_outside_the_tar_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
