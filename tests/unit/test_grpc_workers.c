/* SPDX-License-Identifier: Apache-2.0 */
/* test_grpc_workers.c – threads that come with the work and go without it. */
#include "test.h"

#include "base/clock.h"
#include "grpc/internal.h"

struct gate {
    struct pool_job job;
    atomic_int *running;
    atomic_int *done;
    atomic_bool *open;
};

static void wait_at_gate(struct pool_job *job)
{
    struct gate *gate = (struct gate *)(void *)job; /* its first member */

    atomic_fetch_add(gate->running, 1);
    while (!atomic_load(gate->open))
        clock_sleep_ms(1);
    atomic_fetch_sub(gate->running, 1);
    atomic_fetch_add(gate->done, 1);
}

struct gates {
    struct gate gates[64];
    atomic_int running, done;
    atomic_bool open;
};

static void submit(struct grpc_workers *workers, struct gates *gates, int count)
{
    int i;

    for (i = 0; i < count; i++) {
        gates->gates[i] = (struct gate){.job.run = wait_at_gate,
                                        .running = &gates->running,
                                        .done = &gates->done,
                                        .open = &gates->open};
        grpc_workers_submit(workers, &gates->gates[i].job);
    }
}

static void await(atomic_int *value, int want)
{
    int64_t end_ms = clock_mono_ms() + 5000;

    while (atomic_load(value) != want && clock_mono_ms() < end_ms)
        clock_sleep_ms(1);
    assert_int_equal(atomic_load(value), want);
}

static void as_many_jobs_run_at_once_as_are_blocked(void **state)
{
    SCOPED(grpc_workers) struct grpc_workers *workers = NULL;
    struct gates gates = {.open = false};

    (void)state;
    assert_ok(grpc_workers_new(64, 10000, &workers, NULL));
    assert_int_equal(grpc_workers_count(workers), 1);
    submit(workers, &gates, 64);
    await(&gates.running, 64);
    assert_int_equal(grpc_workers_count(workers), 64);
    atomic_store(&gates.open, true);
    await(&gates.done, 64);
}

static void more_than_the_bound_wait_their_turn(void **state)
{
    SCOPED(grpc_workers) struct grpc_workers *workers = NULL;
    struct gates gates = {.open = false};

    (void)state;
    assert_ok(grpc_workers_new(3, 10000, &workers, NULL));
    submit(workers, &gates, 10);
    await(&gates.running, 3);
    clock_sleep_ms(20);
    assert_int_equal(atomic_load(&gates.running), 3);
    assert_int_equal(grpc_workers_count(workers), 3);
    atomic_store(&gates.open, true);
    await(&gates.done, 10);
}

static void idle_threads_end_but_for_one(void **state)
{
    SCOPED(grpc_workers) struct grpc_workers *workers = NULL;
    struct gates gates = {.open = false};
    struct gates more = {.open = true};
    int64_t end_ms = clock_mono_ms() + 5000;

    (void)state;
    assert_ok(grpc_workers_new(64, 20, &workers, NULL));
    submit(workers, &gates, 20);
    await(&gates.running, 20);
    atomic_store(&gates.open, true);
    while (grpc_workers_count(workers) > 1 && clock_mono_ms() < end_ms)
        clock_sleep_ms(5);
    assert_int_equal(grpc_workers_count(workers), 1);
    clock_sleep_ms(50);
    assert_int_equal(grpc_workers_count(workers), 1);
    submit(workers, &more, 20); /* and come again */
    await(&more.done, 20);
}

static void what_is_queued_at_the_end_still_runs(void **state)
{
    struct grpc_workers *workers = NULL;
    struct gates gates = {.open = true};

    (void)state;
    assert_ok(grpc_workers_new(1, 10000, &workers, NULL));
    submit(workers, &gates, 64);
    grpc_workers_free(workers);
    assert_int_equal(atomic_load(&gates.done), 64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_many_jobs_run_at_once_as_are_blocked),
        cmocka_unit_test(more_than_the_bound_wait_their_turn),
        cmocka_unit_test(idle_threads_end_but_for_one),
        cmocka_unit_test(what_is_queued_at_the_end_still_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
