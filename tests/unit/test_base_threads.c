/* SPDX-License-Identifier: Apache-2.0 */
/* test_base_threads.c – the job pool runs everything, urgent jobs first. */
#include "test.h"

#include "base/threads.h"

enum { JOBS = 1000 };

struct count_job {
    struct pool_job job;
    int *count; /* atomic */
};

static void count_one(struct pool_job *job)
{
    struct count_job *self = (struct count_job *)(void *)job;

    __atomic_fetch_add(self->count, 1, __ATOMIC_RELAXED);
}

static void every_job_runs_once_before_the_pool_is_gone(void **state)
{
    struct count_job jobs[JOBS];
    struct err err = ERR_NONE;
    struct pool *pool = NULL;
    int count = 0, i;

    (void)state;
    assert_ok(pool_new("count", 4, &pool, &err));
    for (i = 0; i < JOBS; i++) {
        jobs[i] = (struct count_job){.job = {.run = count_one}, .count = &count};
        pool_submit(pool, &jobs[i].job, i % 2 == 0 ? POOL_URGENT : POOL_BACKGROUND);
    }
    pool_free(pool);
    assert_int_equal(count, JOBS);
}

/* Jobs that write down the order in which they ran; the first one waits until all are queued. */
struct order {
    pthread_mutex_t gate;
    char ran[8];
    size_t count;
};
struct order_job {
    struct pool_job job;
    struct order *order;
    char name;
};

static void note_order(struct pool_job *job)
{
    struct order_job *self = (struct order_job *)(void *)job;
    LOCKED(&self->order->gate);

    self->order->ran[self->order->count++] = self->name;
}

static void urgent_jobs_overtake_background_jobs(void **state)
{
    struct order order = {.gate = PTHREAD_MUTEX_INITIALIZER};
    struct order_job jobs[4];
    static const char names[] = "0bBu";
    static const enum pool_class classes[] = {POOL_URGENT, POOL_BACKGROUND, POOL_BACKGROUND,
                                              POOL_URGENT};
    struct err err = ERR_NONE;
    struct pool *pool = NULL;
    size_t i;

    (void)state;
    assert_ok(pool_new("order", 1, &pool, &err));
    (void)pthread_mutex_lock(&order.gate);
    for (i = 0; i < ARRAY_LEN(jobs); i++) {
        jobs[i] = (struct order_job){.job = {.run = note_order}, .order = &order, .name = names[i]};
        pool_submit(pool, &jobs[i].job, classes[i]);
    }
    (void)pthread_mutex_unlock(&order.gate);
    pool_free(pool);
    /* The thread may have taken the first job or not when the others came; the urgent one is never
     * behind. */
    assert_string_equal(order.ran, "0ubB");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_job_runs_once_before_the_pool_is_gone),
        cmocka_unit_test(urgent_jobs_overtake_background_jobs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
