/* SPDX-License-Identifier: Apache-2.0 */
/* test_discover_flight.c – work that is done once for all who ask, and how long its outcome is
 * remembered. */
#include "test.h"

#include "base/clock.h"
#include "base/threads.h"
#include "discover/flight.h"

#include <errno.h>
#include <stdlib.h>

/* Work that waits at a gate, counts how often it was done, and answers as it is told. */
struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool open;      /* lock */
    int entered;    /* lock */
    int freed;      /* lock */
    int rc;         /* lock; what the next one returns */
    int64_t now_ms; /* lock */
    int results;    /* lock; references to results that are out */
};

struct gate_task {
    struct flight_task task;
    struct gate *gate;
};

static int gate_run(struct flight_task *task, void **ret_result, struct err *err)
{
    struct gate *g = ((struct gate_task *)task)->gate;
    LOCKED(&g->lock);

    g->entered++;
    (void)pthread_cond_broadcast(&g->changed);
    while (!g->open)
        (void)pthread_cond_wait(&g->changed, &g->lock);
    if (g->rc < 0)
        return err_set(err, g->rc, "told to fail");
    g->results++;
    *ret_result = g;
    return 0;
}

static void gate_task_free(struct flight_task *task)
{
    struct gate *g = ((struct gate_task *)task)->gate;
    LOCKED(&g->lock);

    g->freed++;
    free(task);
}

static void *result_ref(void *result)
{
    struct gate *g = result;
    LOCKED(&g->lock);

    g->results++;
    return g;
}

static void result_unref(void *result)
{
    struct gate *g = result;
    LOCKED(&g->lock);

    g->results--;
}

static int64_t gate_now(void *self)
{
    struct gate *g = self;
    LOCKED(&g->lock);

    return g->now_ms;
}

static struct flight_task *new_task(struct gate *g)
{
    struct gate_task *t = calloc(1, sizeof(*t));

    assert_non_null(t);
    t->gate = g;
    t->task.run = gate_run;
    t->task.free = gate_task_free;
    return &t->task;
}

static void set_gate(struct gate *g, bool open, int rc)
{
    LOCKED(&g->lock);

    g->open = open;
    g->rc = rc;
    (void)pthread_cond_broadcast(&g->changed);
}

static void wait_entered(struct gate *g, int count)
{
    LOCKED(&g->lock);

    while (g->entered < count)
        (void)pthread_cond_wait(&g->changed, &g->lock);
}

/* A gate, a pool and a table of flights. */
struct world {
    struct gate gate;
    struct pool *pool;
    struct flights *flights;
};

static struct world *world_new(size_t threads, size_t max_entries, bool keep_success)
{
    struct world *w = calloc(1, sizeof(*w));
    struct err err = ERR_NONE;
    struct flights_options o = {
        .max_entries = max_entries,
        .keep_success = keep_success,
        .failure_ttl_ms = 60000,
        .now_ms = gate_now,
        .result_ref = result_ref,
        .result_unref = result_unref,
    };

    assert_non_null(w);
    (void)pthread_mutex_init(&w->gate.lock, NULL);
    assert_ok(clock_cond_init(&w->gate.changed));
    assert_ok(pool_new("flights", threads, &w->pool, &err));
    o.pool = w->pool;
    o.now_self = &w->gate;
    assert_ok(flights_new(&o, &w->flights, &err));
    return w;
}

/* Ends the world and proves that nothing of it is left. */
static void world_free(struct world *w, int tasks)
{
    set_gate(&w->gate, true, 0);
    flights_stop(w->flights);
    pool_free(w->pool);
    flights_free(w->flights);
    assert_int_equal(w->gate.freed, tasks);
    assert_int_equal(w->gate.results, 0);
    free(w);
}

static int ask_as(struct world *w, const char *key, const char *asker, int64_t timeout_ms,
                  struct err *err)
{
    struct flight_task *task = new_task(&w->gate);
    void *result = NULL;
    int rc =
        flights_wait(w->flights, key, asker, &task, clock_mono_ms() + timeout_ms, &result, err);

    assert_null(task);
    if (rc == 0) {
        assert_ptr_equal(result, &w->gate);
        result_unref(result);
    } else {
        assert_null(result);
    }
    return rc;
}

static int ask(struct world *w, const char *key, int64_t timeout_ms, struct err *err)
{
    return ask_as(w, key, NULL, timeout_ms, err);
}

struct asker {
    struct world *w;
    int rc;
};

static void *ask_in_thread(void *arg)
{
    struct asker *a = arg;
    struct err err = ERR_NONE;

    a->rc = ask(a->w, "k", 10000, &err);
    return NULL;
}

static void many_who_ask_at_once_get_one_flight(void **state)
{
    enum { ASKERS = 8 };
    struct world *w = world_new(4, 10, true);
    struct asker askers[ASKERS];
    pthread_t threads[ASKERS];

    (void)state;
    for (int i = 0; i < ASKERS; i++) {
        askers[i] = (struct asker){.w = w, .rc = 1};
        assert_ok(thread_start(&threads[i], "asker", ask_in_thread, &askers[i]));
    }
    wait_entered(&w->gate, 1);
    set_gate(&w->gate, true, 0);
    for (int i = 0; i < ASKERS; i++) {
        (void)pthread_join(threads[i], NULL);
        assert_int_equal(askers[i].rc, 0);
    }
    assert_int_equal(w->gate.entered, 1);
    world_free(w, ASKERS);
}

static void a_failure_is_remembered_and_asked_for_anew_when_it_is_old(void **state)
{
    struct world *w = world_new(2, 10, true);
    struct err err = ERR_NONE;

    (void)state;
    set_gate(&w->gate, true, -ENOENT);
    assert_int_equal(ask(w, "k", 10000, &err), -ENOENT);
    assert_string_equal(err.text, "told to fail");
    set_gate(&w->gate, true, 0);
    w->gate.now_ms = 59999;
    assert_int_equal(ask(w, "k", 10000, &err), -ENOENT);
    assert_int_equal(w->gate.entered, 1);
    w->gate.now_ms = 60000;
    assert_int_equal(ask(w, "k", 10000, &err), 0);
    assert_int_equal(w->gate.entered, 2);
    world_free(w, 3);
}

static void who_was_told_of_a_failure_and_asks_again_is_not_told_the_same(void **state)
{
    struct world *w = world_new(2, 10, true);
    struct err err = ERR_NONE;

    (void)state;
    set_gate(&w->gate, true, -ENOENT);
    assert_int_equal(ask_as(w, "k", "first layer", 10000, &err), -ENOENT);
    assert_int_equal(ask_as(w, "k", "second layer", 10000, &err), -ENOENT);
    assert_int_equal(w->gate.entered, 1);
    set_gate(&w->gate, true, 0);
    assert_int_equal(ask_as(w, "k", "second layer", 10000, &err), 0);
    assert_int_equal(ask_as(w, "k", "first layer", 10000, &err), 0);
    assert_int_equal(ask_as(w, "k", "first layer", 10000, &err), 0);
    assert_int_equal(w->gate.entered, 2);
    world_free(w, 5);
}

static void who_asks_again_while_it_is_under_way_waits_for_the_same(void **state)
{
    struct world *w = world_new(2, 10, true);
    struct err err = ERR_NONE;

    (void)state;
    assert_int_equal(ask_as(w, "k", "layer", 20, &err), -ETIMEDOUT);
    wait_entered(&w->gate, 1);
    assert_int_equal(ask_as(w, "k", "layer", 20, &err), -ETIMEDOUT);
    assert_int_equal(w->gate.entered, 1);
    world_free(w, 2);
}

/* Far more than the test may take. */
enum { LONG_MS = 60 * 1000 };

static void when_one_has_waited_in_vain_the_others_are_told_at_once(void **state)
{
    struct world *w = world_new(2, 10, true);
    struct err err = ERR_NONE;

    (void)state;
    assert_int_equal(ask_as(w, "k", "first layer", 20, &err), -ETIMEDOUT);
    assert_int_equal(ask_as(w, "k", "second layer", LONG_MS, &err), -ETIMEDOUT);
    assert_int_equal(ask_as(w, "k", "third layer", LONG_MS, &err), -ETIMEDOUT);
    wait_entered(&w->gate, 1);
    set_gate(&w->gate, true, 0);
    assert_int_equal(ask_as(w, "k", "first layer", LONG_MS, &err), 0); /* the next pull's */
    assert_int_equal(ask_as(w, "k", "fourth layer", LONG_MS, &err), 0);
    assert_int_equal(w->gate.entered, 1);
    world_free(w, 5);
}

static void each_round_of_askers_waits_in_vain_once(void **state)
{
    struct world *w = world_new(2, 10, true);
    struct err err = ERR_NONE;

    (void)state;
    assert_int_equal(ask_as(w, "k", "first layer", 20, &err), -ETIMEDOUT);
    assert_int_equal(ask_as(w, "k", "second layer", LONG_MS, &err), -ETIMEDOUT);
    assert_int_equal(ask_as(w, "k", "first layer", 20, &err), -ETIMEDOUT);
    assert_int_equal(ask_as(w, "k", "second layer", LONG_MS, &err), -ETIMEDOUT);
    assert_int_equal(ask_as(w, "k", "second layer", 20, &err), -ETIMEDOUT);
    assert_int_equal(ask_as(w, "k", "first layer", LONG_MS, &err), -ETIMEDOUT);
    world_free(w, 6);
}

static void that_it_is_late_is_forgotten_with_time(void **state)
{
    struct world *w = world_new(2, 10, true);
    struct err err = ERR_NONE;
    int64_t start_ms;

    (void)state;
    assert_int_equal(ask_as(w, "k", "first layer", 20, &err), -ETIMEDOUT);
    wait_entered(&w->gate, 1);
    {
        LOCKED(&w->gate.lock);
        w->gate.now_ms += 60000;
    }
    start_ms = clock_mono_ms();
    assert_int_equal(ask_as(w, "k", "second layer", 50, &err), -ETIMEDOUT);
    assert_true(clock_mono_ms() - start_ms >= 50);
    world_free(w, 2);
}

static void a_success_is_kept_however_old_it_is(void **state)
{
    struct world *w = world_new(2, 10, true);
    struct err err = ERR_NONE;

    (void)state;
    set_gate(&w->gate, true, 0);
    assert_int_equal(ask(w, "k", 10000, &err), 0);
    w->gate.now_ms = INT64_C(1) << 40;
    assert_int_equal(ask(w, "k", 10000, &err), 0);
    assert_int_equal(w->gate.entered, 1);
    world_free(w, 2);
}

static void a_success_that_is_not_to_be_kept_is_done_again(void **state)
{
    struct world *w = world_new(2, 10, false);
    struct err err = ERR_NONE;

    (void)state;
    set_gate(&w->gate, true, 0);
    assert_int_equal(ask(w, "k", 10000, &err), 0);
    assert_int_equal(ask(w, "k", 10000, &err), 0);
    assert_int_equal(w->gate.entered, 2);
    world_free(w, 2);
}

static void who_gives_up_leaves_the_work_to_the_next(void **state)
{
    struct world *w = world_new(2, 10, true);
    struct err err = ERR_NONE;

    (void)state;
    assert_int_equal(ask(w, "k", 20, &err), -ETIMEDOUT);
    wait_entered(&w->gate, 1);
    set_gate(&w->gate, true, 0);
    assert_int_equal(ask(w, "k", 10000, &err), 0);
    assert_int_equal(w->gate.entered, 1);
    world_free(w, 2);
}

static void who_waits_overtakes_what_was_only_started(void **state)
{
    struct world *w =
        world_new(2, 10, true); /* one of the two threads is kept for those who wait */
    struct err err = ERR_NONE;

    (void)state;
    for (int i = 0; i < 3; i++) {
        char key[8];
        struct flight_task *task = new_task(&w->gate);

        (void)snprintf(key, sizeof(key), "%d", i);
        assert_ok(flights_start(w->flights, key, &task, &err));
    }
    wait_entered(&w->gate, 1);
    assert_int_equal(ask(w, "2", 50, &err), -ETIMEDOUT); /* it began, though 1 waits before it */
    wait_entered(&w->gate, 2);
    set_gate(&w->gate, true, 0);
    assert_int_equal(ask(w, "2", 10000, &err), 0);
    world_free(w, 5);
}

static void when_all_places_are_under_way_one_more_is_refused(void **state)
{
    struct world *w = world_new(4, 2, true);
    struct err err = ERR_NONE;

    (void)state;
    assert_int_equal(ask(w, "a", 10, &err), -ETIMEDOUT);
    assert_int_equal(ask(w, "b", 10, &err), -ETIMEDOUT);
    assert_int_equal(ask(w, "c", 10, &err), -EAGAIN);
    world_free(w, 3);
}

static void the_longest_unused_outcome_makes_room(void **state)
{
    struct world *w = world_new(2, 2, true);
    struct err err = ERR_NONE;

    (void)state;
    set_gate(&w->gate, true, 0);
    assert_int_equal(ask(w, "a", 10000, &err), 0);
    assert_int_equal(ask(w, "b", 10000, &err), 0);
    assert_int_equal(ask(w, "a", 10000, &err), 0);
    assert_int_equal(ask(w, "c", 10000, &err), 0); /* b goes */
    assert_int_equal(w->gate.entered, 3);
    assert_int_equal(ask(w, "a", 10000, &err), 0);
    assert_int_equal(w->gate.entered, 3);
    assert_int_equal(ask(w, "b", 10000, &err), 0);
    assert_int_equal(w->gate.entered, 4);
    world_free(w, 6);
}

static void a_forgotten_outcome_is_asked_for_anew(void **state)
{
    struct world *w = world_new(2, 2, true);
    struct err err = ERR_NONE;

    (void)state;
    set_gate(&w->gate, true, 0);
    assert_int_equal(ask(w, "a", 10000, &err), 0);
    flights_forget(w->flights, "a");
    flights_forget(w->flights, "never heard of");
    assert_int_equal(ask(w, "a", 10000, &err), 0);
    assert_int_equal(w->gate.entered, 2);
    world_free(w, 2);
}

static void after_a_stop_nothing_begins(void **state)
{
    struct world *w = world_new(2, 10, true);
    struct err err = ERR_NONE;

    (void)state;
    set_gate(&w->gate, true, 0);
    flights_stop(w->flights);
    assert_int_equal(ask(w, "a", 10000, &err), -ECANCELED);
    assert_int_equal(w->gate.entered, 0);
    world_free(w, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_who_ask_at_once_get_one_flight),
        cmocka_unit_test(a_failure_is_remembered_and_asked_for_anew_when_it_is_old),
        cmocka_unit_test(who_was_told_of_a_failure_and_asks_again_is_not_told_the_same),
        cmocka_unit_test(who_asks_again_while_it_is_under_way_waits_for_the_same),
        cmocka_unit_test(when_one_has_waited_in_vain_the_others_are_told_at_once),
        cmocka_unit_test(each_round_of_askers_waits_in_vain_once),
        cmocka_unit_test(that_it_is_late_is_forgotten_with_time),
        cmocka_unit_test(a_success_is_kept_however_old_it_is),
        cmocka_unit_test(a_success_that_is_not_to_be_kept_is_done_again),
        cmocka_unit_test(who_gives_up_leaves_the_work_to_the_next),
        cmocka_unit_test(who_waits_overtakes_what_was_only_started),
        cmocka_unit_test(when_all_places_are_under_way_one_more_is_refused),
        cmocka_unit_test(the_longest_unused_outcome_makes_room),
        cmocka_unit_test(a_forgotten_outcome_is_asked_for_anew),
        cmocka_unit_test(after_a_stop_nothing_begins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
