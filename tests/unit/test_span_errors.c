/* SPDX-License-Identifier: Apache-2.0 */
/* What goes wrong on the way of a span: who is told what, what is tried again, and what is never
 * kept. */
#include "span_rig.h"

#include "base/clock.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <unistd.h>

/* The first `count` calls get one answer, the others the bytes. */
struct plan {
    enum rig_answer answer;
    size_t count;
};

static enum rig_answer first_calls(void *arg, size_t call, const struct span_fetch *fetch)
{
    const struct plan *plan = arg;

    (void)fetch;
    return call < plan->count ? plan->answer : RIG_GIVE;
}

static void start(struct rig *rig, struct plan *plan)
{
    rig_start(rig, &(struct rig_options){.kind = RIG_GZIP,
                                         .count = 4,
                                         .span_bytes = 100000,
                                         .answer = first_calls,
                                         .arg = plan});
}

static void a_reader_is_told_of_a_failure_and_the_next_read_tries_again(void **state)
{
    struct plan plan = {RIG_FAIL, 1};
    struct err err = ERR_NONE, last;
    struct rig rig;

    (void)state;
    start(&rig, &plan);
    assert_int_equal(rig_read_span(&rig, 1, &err), -ETIMEDOUT);
    assert_non_null(strstr(err_text(&err), "the rig fails"));
    span_set_last_error(rig.set, &last);
    assert_int_equal(last.code, -ETIMEDOUT);
    assert_ok(rig_read_span(&rig, 1, &err));
    span_set_last_error(rig.set, &last);
    assert_int_equal(last.code, 0);
    assert_int_equal(rig_calls(&rig.source), 2);
    rig_stop(&rig);
}

static void a_source_that_does_not_start_is_a_failure_like_any_other(void **state)
{
    struct plan plan = {RIG_NO_START, 1};
    struct err err = ERR_NONE;
    struct rig rig;

    (void)state;
    start(&rig, &plan);
    assert_int_equal(rig_read_span(&rig, 1, &err), -EAGAIN);
    assert_ok(rig_read_span(&rig, 1, &err));
    rig_stop(&rig);
}

static void bytes_that_do_not_match_are_fetched_once_more(void **state)
{
    struct plan plan = {RIG_DAMAGE, 1};
    struct err err = ERR_NONE;
    struct rig rig;

    (void)state;
    start(&rig, &plan);
    assert_ok(rig_read_span(&rig, 2, &err));
    assert_int_equal(rig_calls(&rig.source), 2);
    rig_stop(&rig);
}

static void bytes_that_do_not_match_twice_are_refused_and_not_kept(void **state)
{
    struct plan plan = {RIG_DAMAGE, 2};
    struct err err = ERR_NONE;
    struct rig rig;

    (void)state;
    start(&rig, &plan);
    assert_int_equal(rig_read_span(&rig, 2, &err), -EBADMSG);
    assert_int_equal(rig_calls(&rig.source), 2);
    assert_int_equal(span_set_present_bytes(rig.set), 0);
    assert_ok(rig_read_span(&rig, 2, &err)); /* it tries again, and this time it goes well */
    assert_int_equal(rig_calls(&rig.source), 3);
    rig_stop(&rig);
}

static void a_span_is_fetched_again_as_often_as_one_wishes(void **state)
{
    struct plan plan = {RIG_DAMAGE, 3};
    struct err err = ERR_NONE;
    struct rig rig;

    (void)state;
    rig_start(&rig, &(struct rig_options){.kind = RIG_PLAIN,
                                          .count = 4,
                                          .span_bytes = 1000,
                                          .engine = {.digest_retries = 3},
                                          .answer = first_calls,
                                          .arg = &plan});
    assert_ok(rig_read_span(&rig, 2, &err));
    assert_int_equal(rig_calls(&rig.source), 4);
    rig_stop(&rig);
}

static void one_bad_span_of_a_get_does_not_spoil_the_others(void **state)
{
    struct plan plan = {RIG_DAMAGE, 2}; /* the long GET, then the bad span alone */
    struct err err = ERR_NONE;
    struct rig rig;
    size_t n, bad, count;

    (void)state;
    start(&rig, &plan);
    count = rig.layer.count;
    assert_int_equal(rig_read(&rig, 0, rig.layer.tar.len, &err), -EBADMSG);
    for (n = bad = 0; n < count; n++) {
        const struct span_info *span = &rig.layer.spans[n];

        if (rig_calls_over(&rig.source, span->comp_off + 1) > 1)
            bad++;
    }
    assert_int_equal(bad, 1);
    assert_ok(rig_read(&rig, 0, rig.layer.tar.len, &err));
    assert_int_equal(rig_calls(&rig.source), 3); /* what was good was kept */
    rig_stop(&rig);
}

static void a_read_gives_up_at_its_deadline_and_the_span_comes_all_the_same(void **state)
{
    struct err err = ERR_NONE;
    struct rig rig;

    (void)state;
    rig_start(&rig, &(struct rig_options){
                        .kind = RIG_PLAIN, .count = 2, .span_bytes = 1000, .answer = rig_hold_all});
    assert_int_equal(span_set_wait(rig.set, 0, 10, clock_mono_ms() + 20, &err), -ETIMEDOUT);
    rig_let_go(&rig.source);
    assert_ok(rig_read(&rig, 0, 10, &err));
    assert_int_equal(rig_calls(&rig.source), 1);
    rig_stop(&rig);
}

/* ---- closing --------------------------------------------------------------------------------- */

struct told {
    struct span_want want;
    int rc;
};

static void tell(struct span_want *want, int rc, const struct err *err)
{
    struct told *told = (struct told *)((char *)want - offsetof(struct told, want));

    (void)err;
    __atomic_store_n(&told->rc, rc, __ATOMIC_RELEASE);
}

static void closing_tells_who_waits_and_cancels_what_never_answers(void **state)
{
    struct told told[3];
    struct err err = ERR_NONE;
    struct rig rig;
    size_t i;

    (void)state;
    rig_start(&rig, &(struct rig_options){.kind = RIG_PLAIN,
                                          .count = 30,
                                          .span_bytes = 1000,
                                          .answer = rig_hold_all,
                                          .engine = {.max_memory_bytes = 1500}});
    span_set_start_background(rig.set);
    for (i = 0; i < 3; i++) { /* two are under way, one waits for memory */
        told[i] = (struct told){.want = {.uncomp_off = 10000 * i, .len = 1, .done = tell}, .rc = 1};
        assert_int_equal(span_set_want(rig.set, &told[i].want, &err), 1);
    }
    rig_close_set(&rig); /* returns although nothing is ever answered */
    for (i = 0; i < 3; i++)
        assert_int_equal(told[i].rc, -ECANCELED);
    assert_int_equal(rig.source.cancelled, rig.source.calls);
    assert_int_equal(rig.source.released, rig.source.calls);
    rig_stop(&rig);
}

static void closing_while_spans_arrive_is_clean(void **state)
{
    size_t round;

    (void)state;
    for (round = 0; round < 30; round++) {
        struct told told[8];
        struct err err = ERR_NONE;
        struct rig rig;
        size_t i;

        rig_start(&rig, &(struct rig_options){.kind = RIG_GZIP, .count = 16, .span_bytes = 40000});
        span_set_start_background(rig.set);
        for (i = 0; i < ARRAY_LEN(told); i++) {
            told[i] =
                (struct told){.want = {.uncomp_off = 80000 * i, .len = 1, .done = tell}, .rc = 1};
            if (span_set_want(rig.set, &told[i].want, &err) == 0)
                told[i].rc = 0;
        }
        rig_wait_calls(&rig.source, round % 4);
        rig_close_set(&rig);
        for (i = 0; i < ARRAY_LEN(told); i++)
            assert_true(told[i].rc == 0 || told[i].rc == -ECANCELED);
        rig_stop(&rig);
    }
}

/* ---- who comes later, who hangs -------------------------------------------------------------- */

static void a_reader_that_comes_later_gets_a_get_of_its_own_when_that_one_fails(void **state)
{
    struct plan plan = {RIG_HOLD_AND_FAIL, 1};
    struct told first = {.want = {.len = 1, .done = tell}, .rc = 1}, later = first;
    struct err err = ERR_NONE;
    struct rig rig;

    (void)state;
    start(&rig, &plan);
    assert_int_equal(span_set_want(rig.set, &first.want, &err), 1);
    assert_int_equal(span_set_want(rig.set, &later.want, &err), 1);
    assert_int_equal(rig_calls(&rig.source), 1);
    rig_let_go(&rig.source);
    rig_wait_calls(&rig.source, 2);
    assert_ok(rig_read(&rig, 0, 1, &err));
    rig_close_set(&rig);
    assert_int_equal(first.rc, -ETIMEDOUT);
    assert_int_equal(later.rc, 0);
    rig_stop(&rig);
}

static void a_reader_is_not_told_of_a_background_get_that_fails(void **state)
{
    struct plan plan = {RIG_HOLD_AND_FAIL, 1};
    struct told reader = {.want = {.len = 1, .done = tell}, .rc = 1};
    struct err err = ERR_NONE;
    struct rig rig;

    (void)state;
    rig_start(&rig, &(struct rig_options){.kind = RIG_GZIP,
                                          .count = 4,
                                          .span_bytes = 100000,
                                          .engine = {.max_fetches = 1},
                                          .answer = first_calls,
                                          .arg = &plan});
    span_set_start_background(rig.set);
    assert_int_equal(rig_calls_over(&rig.source, rig.layer.spans[0].comp_off), 1);
    assert_int_equal(span_set_want(rig.set, &reader.want, &err), 1);
    rig_let_go(&rig.source);
    assert_ok(rig_read(&rig, 0, 1, &err));
    rig_close_set(&rig);
    assert_int_equal(reader.rc, 0);
    rig_stop(&rig);
}

static void fail_slowly(struct rig *rig, struct plan *plan, int64_t echo_ms)
{
    struct told told = {.want = {.len = 1, .done = tell}, .rc = 1};
    struct err err = ERR_NONE;

    rig_start(rig, &(struct rig_options){.kind = RIG_PLAIN,
                                         .count = 2,
                                         .span_bytes = 1000,
                                         .engine = {.echo_ms = echo_ms},
                                         .answer = first_calls,
                                         .arg = plan});
    assert_int_equal(span_set_want(rig->set, &told.want, &err), 1);
    clock_sleep_ms(1001);
    rig_let_go(&rig->source);
    while (__atomic_load_n(&told.rc, __ATOMIC_ACQUIRE) == 1)
        clock_sleep_ms(1);
    assert_int_equal(told.rc, -ETIMEDOUT);
}

static void a_read_right_after_a_slow_failure_is_told_the_same(void **state)
{
    struct plan plan = {RIG_HOLD_AND_FAIL, 1};
    struct err err = ERR_NONE;
    struct rig rig;

    (void)state;
    fail_slowly(&rig, &plan, RIG_DEADLINE_MS);
    assert_int_equal(rig_read_span(&rig, 0, &err), -ETIMEDOUT);
    assert_non_null(strstr(err_text(&err), "just now"));
    assert_ok(rig_read_span(&rig, 1, &err)); /* another span has not failed */
    assert_int_equal(rig_calls(&rig.source), 2);
    rig_stop(&rig);
}

static void a_moment_after_a_slow_failure_it_is_tried_again(void **state)
{
    struct plan plan = {RIG_HOLD_AND_FAIL, 1};
    struct err err = ERR_NONE;
    struct rig rig;

    (void)state;
    fail_slowly(&rig, &plan, 1);
    clock_sleep_ms(2);
    assert_ok(rig_read_span(&rig, 0, &err));
    rig_stop(&rig);
}

static void a_get_that_keeps_failing_is_not_tried_for_ever(void **state)
{
    struct plan plan = {RIG_FAIL, SIZE_MAX};
    struct err err = ERR_NONE;
    struct rig rig;

    (void)state;
    start(&rig, &plan);
    span_set_start_background(rig.set);
    assert_int_equal(rig_read_span(&rig, 0, &err), -ETIMEDOUT);
    rig_stop(&rig);
}

static enum rig_answer note_question(void *arg, size_t call, const struct span_fetch *fetch)
{
    ((struct span_fetch *)arg)[call] = *fetch;
    return RIG_GIVE;
}

static void a_source_is_told_of_the_budget_and_whether_a_reader_waits(void **state)
{
    struct span_fetch asked[64] = {{.len = 0}};
    struct err err = ERR_NONE;
    struct rig rig;

    (void)state;
    rig_start(&rig, &(struct rig_options){.kind = RIG_PLAIN,
                                          .count = 4,
                                          .span_bytes = 1000,
                                          .engine = {.read_budget_ms = 1234},
                                          .answer = note_question,
                                          .arg = asked});
    assert_ok(rig_read_span(&rig, 2, &err));
    span_set_start_background(rig.set);
    rig_wait_complete(&rig);
    assert_true(asked[0].urgent);
    assert_int_equal(asked[0].budget_ms, 1234);
    assert_false(asked[1].urgent);
    assert_int_equal(asked[1].budget_ms, 1234);
    rig_stop(&rig);
}

/* All the memory there is waits for a source that hangs. */
static void a_layer_that_hangs_does_not_hold_up_another(void **state)
{
    struct span_set_options options = {.name = "sha256:healthy"};
    struct span_file_options file_options = {.span_count = 8, .uncomp_bytes = 8000};
    struct told told[8];
    struct err err = ERR_NONE;
    struct rig_source healthy;
    struct span_set *set = NULL;
    struct rig rig;
    size_t i;

    (void)state;
    rig_start(&rig, &(struct rig_options){.kind = RIG_PLAIN,
                                          .count = 8,
                                          .span_bytes = 1000,
                                          .engine = {.max_memory_bytes = 2000},
                                          .answer = rig_hold_all});
    for (i = 0; i < 8; i++) {
        told[i] = (struct told){.want = {.uncomp_off = 1000 * i, .len = 1, .done = tell}, .rc = 1};
        assert_int_equal(span_set_want(rig.set, &told[i].want, &err), 1);
    }
    assert_int_equal(rig_calls(&rig.source), 2);
    rig_source_init(&healthy, &rig.layer, NULL, NULL);
    options.layout = rig_layout(&rig.layer);
    options.source = rig_span_source(&healthy);
    file_options.ztoc.sha256[0] = 1;
    assert_ok(span_file_open(rig.store, &file_options, &options.file, &err));
    assert_ok(span_set_open(rig.engine, &options, &set, &err));
    for (i = 0; i < 8; i++)
        assert_ok(span_set_wait(set, 1000 * i, 1000, clock_mono_ms() + RIG_DEADLINE_MS, &err));
    assert_int_equal(rig_calls(&rig.source), 2);
    span_set_close(set);
    rig_source_fini(&healthy);
    rig_stop(&rig);
}

/* ---- another source -------------------------------------------------------------------------- */

static void a_replaced_source_is_closed_when_its_fetches_are_done(void **state)
{
    struct told told = {.want = {.len = 1, .done = tell}, .rc = 1};
    struct err err = ERR_NONE;
    struct rig_source fresh;
    struct rig rig;

    (void)state;
    rig_start(&rig, &(struct rig_options){
                        .kind = RIG_PLAIN, .count = 3, .span_bytes = 1000, .answer = rig_hold_all});
    rig_source_init(&fresh, &rig.layer, NULL, NULL);
    assert_int_equal(span_set_want(rig.set, &told.want, &err), 1);
    assert_ok(span_set_replace_source(rig.set, rig_span_source(&fresh), &err));
    assert_ok(rig_read_span(&rig, 1, &err)); /* from the new one */
    assert_int_equal(rig_calls(&fresh), 1);
    assert_false(rig.source.closed);
    rig_let_go(&rig.source);
    rig_wait_closed(&rig.source);
    rig_close_set(&rig);
    assert_int_equal(told.rc, 0);
    rig_source_fini(&fresh);
    rig_stop(&rig);
}

static void a_reader_whose_source_fails_after_it_was_replaced_gets_the_new_one(void **state)
{
    struct plan plan = {RIG_HOLD_AND_FAIL, SIZE_MAX};
    struct told told = {.want = {.len = 1, .done = tell}, .rc = 1};
    struct err err = ERR_NONE;
    struct rig_source fresh;
    struct rig rig;

    (void)state;
    start(&rig, &plan);
    rig_source_init(&fresh, &rig.layer, NULL, NULL);
    assert_int_equal(span_set_want(rig.set, &told.want, &err), 1);
    assert_ok(span_set_replace_source(rig.set, rig_span_source(&fresh), &err));
    rig_let_go(&rig.source);
    rig_wait_calls(&fresh, 1);
    assert_ok(rig_read(&rig, 0, 1, &err));
    rig_close_set(&rig);
    assert_int_equal(told.rc, 0);
    rig_source_fini(&fresh);
    rig_stop(&rig);
}

/* ---- a full disk ----------------------------------------------------------------------------- */

/* On a small tmpfs, in a mount namespace of our own: it ends with the process. */
static void a_full_disk_is_told_and_heals_when_there_is_room(void **state)
{
    struct err err = ERR_NONE;
    struct rig rig;
    size_t n;
    int rc;

    (void)state;
    rig_start(&rig, &(struct rig_options){.kind = RIG_GZIP, .count = 4, .span_bytes = 200000});
    rig_close_set(&rig);
    store_close(rig.store);
    rig.store = NULL;
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("tmpfs", rig.root, "tmpfs", 0, "size=256k") < 0) {
        assert_ok(store_open(rig.root, &rig.store, &err));
        rig_stop(&rig);
        skip(); /* needs CAP_SYS_ADMIN */
    }
    assert_ok(store_open(rig.root, &rig.store, &err));
    rig_open_set(&rig, NULL, NULL);
    for (n = rc = 0; n < rig.layer.count && rc == 0;
         n++) /* one by one: nothing else is under way */
        rc = rig_read_span(&rig, n, &err);
    assert_int_equal(rc, -ENOSPC);
    assert_false(span_set_is_complete(rig.set));
    assert_int_equal(mount(NULL, rig.root, NULL, MS_REMOUNT, "size=16m"), 0);
    assert_ok(rig_read(&rig, 0, rig.layer.tar.len, &err));
    rig_close_set(&rig);
    store_close(rig.store);
    assert_int_equal(umount2(rig.root, MNT_DETACH), 0);
    assert_ok(store_open(rig.root, &rig.store, &err));
    rig_stop(&rig);
}

/* ---- layouts --------------------------------------------------------------------------------- */

static int open_with(struct rig *rig, struct rig_layer *layer)
{
    struct span_file_options file_options = {.span_count = layer->count, .uncomp_bytes = 1 << 20};
    struct span_set_options options = {.name = "sha256:rig", .layout = rig_layout(layer)};
    struct err err = ERR_NONE;
    struct span_set *set = NULL;
    int rc;

    file_options.ztoc.sha256[0] = 1;
    options.source = rig_span_source(&rig->source);
    assert_ok(span_file_open(rig->store, &file_options, &options.file, &err));
    rc = span_set_open(rig->engine, &options, &set, &err);
    assert_true(rc < 0);
    span_file_close(options.file); /* still the caller's */
    return rc;
}

static void layouts_with_gaps_or_giants_are_refused(void **state)
{
    struct rig_layer layer;
    struct rig rig;

    (void)state;
    rig_start(&rig, &(struct rig_options){.kind = RIG_PLAIN, .count = 2, .span_bytes = 1000});
    rig_layer_init(&layer, RIG_PLAIN, 3, 1000);
    layer.spans[1].uncomp_off++;
    assert_int_equal(open_with(&rig, &layer), -EBADMSG);
    layer.spans[1].uncomp_off--;
    layer.spans[2].comp_off += 2;
    assert_int_equal(open_with(&rig, &layer), -EBADMSG);
    layer.spans[2].comp_off -= 2;
    layer.spans[0].uncomp_off = 1;
    assert_int_equal(open_with(&rig, &layer), -EBADMSG);
    layer.spans[0].uncomp_off = 0;
    layer.spans[2].comp_end = layer.spans[2].comp_off;
    assert_int_equal(open_with(&rig, &layer), -EBADMSG);
    layer.spans[2].comp_end = layer.spans[2].comp_off + (256 << 20) + 1;
    assert_int_equal(open_with(&rig, &layer), -EFBIG);
    layer.spans[2].comp_end = 2999;
    assert_int_equal(open_with(&rig, &layer), -EBADMSG); /* plain, and shorter than its tar */
    rig_layer_fini(&layer);
    rig_stop(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reader_is_told_of_a_failure_and_the_next_read_tries_again),
        cmocka_unit_test(a_source_that_does_not_start_is_a_failure_like_any_other),
        cmocka_unit_test(bytes_that_do_not_match_are_fetched_once_more),
        cmocka_unit_test(a_span_is_fetched_again_as_often_as_one_wishes),
        cmocka_unit_test(bytes_that_do_not_match_twice_are_refused_and_not_kept),
        cmocka_unit_test(one_bad_span_of_a_get_does_not_spoil_the_others),
        cmocka_unit_test(a_read_gives_up_at_its_deadline_and_the_span_comes_all_the_same),
        cmocka_unit_test(closing_tells_who_waits_and_cancels_what_never_answers),
        cmocka_unit_test(closing_while_spans_arrive_is_clean),
        cmocka_unit_test(a_reader_that_comes_later_gets_a_get_of_its_own_when_that_one_fails),
        cmocka_unit_test(a_reader_is_not_told_of_a_background_get_that_fails),
        cmocka_unit_test(a_read_right_after_a_slow_failure_is_told_the_same),
        cmocka_unit_test(a_moment_after_a_slow_failure_it_is_tried_again),
        cmocka_unit_test(a_get_that_keeps_failing_is_not_tried_for_ever),
        cmocka_unit_test(a_source_is_told_of_the_budget_and_whether_a_reader_waits),
        cmocka_unit_test(a_layer_that_hangs_does_not_hold_up_another),
        cmocka_unit_test(a_replaced_source_is_closed_when_its_fetches_are_done),
        cmocka_unit_test(a_reader_whose_source_fails_after_it_was_replaced_gets_the_new_one),
        cmocka_unit_test(a_full_disk_is_told_and_heals_when_there_is_room),
        cmocka_unit_test(layouts_with_gaps_or_giants_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
