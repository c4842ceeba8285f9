/* SPDX-License-Identifier: Apache-2.0 */
/* Fetches that end early, many at once, and from within one another. */
#include "registry_fixture.h"

static void hang(void *self, struct http_exchange *x)
{
    (void)self;
    http_pause(x, DEADLINE_MS);
    http_cut(x);
}

static void hang_in_the_middle(void *self, struct http_exchange *x)
{
    struct fixture *f = self;

    http_send_text(
        x,
        "HTTP/1.1 206 Part\r\nContent-Range: bytes 0-9999/100000\r\nContent-Length: 10000\r\n\r\n");
    http_send(x, f->content, 5000);
    hang(self, x);
}

static void busy_for_long(void *self, struct http_exchange *x)
{
    (void)self;
    http_reply_text(x, 503, "Retry-After: 600\r\n", "");
}

static void wait_until_asked(struct fixture *f)
{
    int64_t until_ms = clock_mono_ms() + DEADLINE_MS;

    while (http_server_count(f->server, "") == 0 && clock_mono_ms() < until_ms)
        clock_sleep_ms(1);
}

static void expect_prompt_cancel(http_handler *handle)
{
    SCOPED(fixture) struct fixture *f = fixture_open(handle, NULL, NULL);
    SCOPED(registry_blob) struct registry_blob *blob = open_blob(f);
    SCOPED(mem) struct fetched *got = malloc(sizeof(*got));
    struct err err = ERR_NONE;
    int64_t start_ms;

    fetched_init(got, 0, 10000);
    assert_ok(registry_blob_fetch(blob, &got->fetch, &err));
    wait_until_asked(f);
    clock_sleep_ms(20);
    start_ms = clock_mono_ms();
    registry_fetch_cancel(blob, &got->fetch);
    assert_int_equal(fetched_wait(got), -ECANCELED);
    assert_true(clock_mono_ms() - start_ms < DEADLINE_MS / 2);
    registry_fetch_cancel(blob, &got->fetch); /* too late, and harmless */
    assert_int_equal(http_server_count(f->server, ""), 1);
}

static void a_cancelled_fetch_ends_at_once_wherever_it_is(void **state)
{
    (void)state;
    expect_prompt_cancel(hang);
    expect_prompt_cancel(hang_in_the_middle);
    expect_prompt_cancel(busy_for_long);
}

static void closing_a_blob_ends_its_fetches_and_waits_for_them(void **state)
{
    enum { COUNT = 20 };
    SCOPED(fixture) struct fixture *f = fixture_open(hang, NULL, NULL);
    struct fetched *got[COUNT];
    struct registry_blob *blob = open_blob(f);
    struct err err = ERR_NONE;
    (void)state;

    for (int i = 0; i < COUNT; i++) {
        got[i] = malloc(sizeof(*got[i]));
        fetched_init(got[i], (uint64_t)i, 10);
        assert_ok(registry_blob_fetch(blob, &got[i]->fetch, &err));
    }
    registry_blob_close(blob);
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(got[i]->done, 1); /* no waiting any more */
        assert_int_equal(got[i]->rc, -ECANCELED);
        free(got[i]);
    }
}

static void another_blob_is_not_touched_by_that(void **state)
{
    SCOPED(fixture) struct fixture *f = fixture_open(hang, NULL, NULL);
    SCOPED(registry_blob) struct registry_blob *kept = open_blob(f);
    SCOPED(mem) struct fetched *got = malloc(sizeof(*got));
    struct err err = ERR_NONE;
    (void)state;

    fetched_init(got, 0, 10);
    assert_ok(registry_blob_fetch(kept, &got->fetch, &err));
    registry_blob_close(open_blob(f));
    wait_until_asked(f);
    assert_int_equal(got->done, 0);
    registry_fetch_cancel(kept, &got->fetch);
    assert_int_equal(fetched_wait(got), -ECANCELED);
}

static atomic_bool hangs_now;

static void hang_for_now(void *self, struct http_exchange *x)
{
    struct fixture *f = self;

    if (atomic_load(&hangs_now))
        hang(self, x);
    else
        http_reply_range(x, bytes_of(f->content, sizeof(f->content)));
}

static void after_many_that_had_no_connection_yet_were_cancelled_all_is_well(void **state)
{
    enum { MANY = 80, AFTERWARDS = 20 };
    SCOPED(fixture) struct fixture *f = fixture_open(hang_for_now, NULL, NULL);
    SCOPED(mem) struct fetched *got = calloc(MANY, sizeof(*got));
    struct registry_blob *blob = open_blob(f);
    struct err err = ERR_NONE;
    (void)state;

    atomic_store(&hangs_now, true);
    for (int i = 0; i < MANY; i++) {
        fetched_init(&got[i], (uint64_t)i, 10);
        assert_ok(registry_blob_fetch(blob, &got[i].fetch, &err));
    }
    wait_until_asked(f);
    clock_sleep_ms(100);
    for (int i = MANY - 1; i > MANY / 2; i--) { /* these wait for those before them */
        registry_fetch_cancel(blob, &got[i].fetch);
        assert_int_equal(fetched_wait(&got[i]), -ECANCELED);
    }
    registry_blob_close(blob);
    atomic_store(&hangs_now, false);
    blob = open_blob(f);
    for (int i = 0; i < AFTERWARDS; i++) {
        fetched_init(&got[i], (uint64_t)i, 10);
        assert_ok(registry_blob_fetch(blob, &got[i].fetch, &err));
    }
    for (int i = 0; i < AFTERWARDS; i++)
        assert_ok(fetched_wait(&got[i]));
    registry_blob_close(blob);
}

static void give_a_half_and_wait(void *self, struct http_exchange *x)
{
    struct fixture *f = self;

    http_send_text(
        x,
        "HTTP/1.1 206 Part\r\nContent-Range: bytes 0-9999/100000\r\nContent-Length: 10000\r\n\r\n");
    http_send(x, f->content, 5000);
    http_pause(x, 2500);
    http_send(x, f->content + 5000, 5000);
}

static void silence_has_a_limit_of_its_own_until_the_first_byte_comes(void **state)
{
    SCOPED(fixture) struct fixture *silent = fixture_open(hang, NULL, NULL);
    SCOPED(fixture) struct fixture *slow = fixture_open(give_a_half_and_wait, NULL, NULL);
    SCOPED(registry_blob) struct registry_blob *no = open_blob(silent), *yes = open_blob(slow);
    SCOPED(mem) struct fetched *got = malloc(sizeof(*got));
    int64_t start_ms = clock_mono_ms();
    struct err err = ERR_NONE;
    (void)state;

    fetched_init(got, 0, 10000);
    got->fetch.budget_ms = DEADLINE_MS;
    got->fetch.silence_ms = 200;
    assert_ok(registry_blob_fetch(no, &got->fetch, &err));
    assert_int_equal(fetched_wait(got), -ETIMEDOUT);
    assert_true(clock_mono_ms() - start_ms < DEADLINE_MS / 2);
    fetched_init(got, 0, 10000);
    got->fetch.budget_ms = DEADLINE_MS;
    got->fetch.silence_ms = 2000;
    assert_ok(registry_blob_fetch(yes, &got->fetch, &err));
    assert_ok(fetched_wait(got));
    assert_int_equal(http_server_count(slow->server, ""), 1);
}

static void all_is_cancelled_at_the_end_of_a_process(void **state)
{
    SCOPED(fixture) struct fixture *f = fixture_open(hang, NULL, NULL);
    SCOPED(registry_blob) struct registry_blob *blob = open_blob(f);
    SCOPED(mem) struct fetched *got = malloc(sizeof(*got));
    SCOPED(buf_value) struct buf out = BUF_EMPTY;
    struct err err = ERR_NONE;
    (void)state;

    fetched_init(got, 0, 10);
    assert_ok(registry_blob_fetch(blob, &got->fetch, &err));
    wait_until_asked(f);
    registry_cancel_all(f->registry);
    assert_int_equal(fetched_wait(got), -ECANCELED);
    assert_int_equal(fetch_range(f, blob, 0, 10, &err), -ECANCELED);
    assert_int_equal(registry_get_manifest(f->repo, "v1", &out, NULL, &err), -ECANCELED);
    assert_int_equal(registry_push_blob(f->repo, &f->digest, fixture_content(f), &err), -ECANCELED);
}

/* ---- many ------------------------------------------------------------------------------------ */

/* One in five answers is bad in one way or another, but none twice in a row: the retries are few.
 */
static void behave_mostly(void *self, struct http_exchange *x)
{
    struct fixture *f = self;
    size_t first = 0, last;

    (void)http_range(x, &first, &last);
    switch (atomic_exchange(&f->failed[first % 1024], true) ? 0 : x->number % 20) {
    case 3:
        http_cut(x);
        break;
    case 7:
        http_reply_text(x, 503, NULL, "");
        break;
    case 11:
        http_reply(x, 200, NULL, fixture_content(f));
        break;
    case 15:
        http_reply_text(x, 429, "Retry-After: 0\r\n", "");
        break;
    default:
        http_reply_range(x, fixture_content(f));
    }
}

struct worker {
    struct fixture *f;
    struct registry_blob *blob;
    pthread_t thread;
    unsigned number;
};

static void *fetch_many(void *arg)
{
    struct worker *worker = arg;

    for (unsigned i = 0; i < 40; i++) {
        struct err err = ERR_NONE;
        size_t off = (worker->number * 40 + i) * 120;
        int rc = fetch_range(worker->f, worker->blob, off, 3000, &err);
        if (rc < 0)
            fail_msg("%s", err_text(&err));
    }
    return NULL;
}

static void many_threads_fetch_at_once_from_a_flaky_registry(void **state)
{
    enum { WORKERS = 16 };
    SCOPED(fixture) struct fixture *f = fixture_open(behave_mostly, NULL, NULL);
    SCOPED(registry_blob) struct registry_blob *blob = open_blob(f);
    struct worker workers[WORKERS];
    (void)state;

    for (unsigned i = 0; i < WORKERS; i++) {
        workers[i] = (struct worker){.f = f, .blob = blob, .number = i};
        assert_ok(thread_start(&workers[i].thread, "worker", fetch_many, &workers[i]));
    }
    for (unsigned i = 0; i < WORKERS; i++)
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
}

static void *cancel_many(void *arg)
{
    struct worker *worker = arg;
    SCOPED(mem) struct fetched *got = malloc(sizeof(*got));

    for (unsigned i = 0; i < 50; i++) {
        struct err err = ERR_NONE;
        int rc;

        fetched_init(got, i, 3000);
        assert_ok(registry_blob_fetch(worker->blob, &got->fetch, &err));
        if ((i + worker->number) % 3 != 0)
            sched_yield();
        registry_fetch_cancel(worker->blob, &got->fetch);
        rc = fetched_wait(got);
        assert_true(rc == -ECANCELED || rc == 0);
    }
    return NULL;
}

static void cancelling_races_with_answers(void **state)
{
    enum { WORKERS = 8 };
    SCOPED(fixture) struct fixture *f = fixture_open(behave_mostly, NULL, NULL);
    SCOPED(registry_blob) struct registry_blob *blob = open_blob(f);
    struct worker workers[WORKERS];
    (void)state;

    for (unsigned i = 0; i < WORKERS; i++) {
        workers[i] = (struct worker){.f = f, .blob = blob, .number = i};
        assert_ok(thread_start(&workers[i].thread, "worker", cancel_many, &workers[i]));
    }
    for (unsigned i = 0; i < WORKERS; i++)
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
}

/* ---- from within done() ---------------------------------------------------------------------- */

struct chain {
    struct registry_blob *blob;
    struct fetched last; /* told at the end */
    unsigned left;
};

/* Frees the fetch that ended and starts the next. */
static void start_next(struct registry_fetch *fetch, int rc, const struct err *err)
{
    struct chain *chain = fetch->arg;
    struct registry_fetch *next;

    free(fetch);
    if (rc < 0 || chain->left-- == 0) {
        fetched_done(&chain->last.fetch, rc, err);
        return;
    }
    next = calloc(1, sizeof(*next));
    assert_non_null(next);
    *next = (struct registry_fetch){
        .off = chain->left, .len = 100, .buf = chain->last.buf, .done = start_next, .arg = chain};
    assert_ok(registry_blob_fetch(chain->blob, next, NULL));
}

static void a_fetch_may_be_started_and_freed_when_another_ends(void **state)
{
    SCOPED(fixture) struct fixture *f = fixture_open(behave_mostly, NULL, NULL);
    SCOPED(registry_blob) struct registry_blob *blob = open_blob(f);
    SCOPED(mem) struct chain *chain = calloc(1, sizeof(*chain));
    struct registry_fetch *first = calloc(1, sizeof(*first));
    struct err err = ERR_NONE;
    (void)state;

    fetched_init(&chain->last, 0, 100);
    chain->blob = blob;
    chain->left = 30;
    *first = (struct registry_fetch){
        .off = 0, .len = 100, .buf = chain->last.buf, .done = start_next, .arg = chain};
    assert_ok(registry_blob_fetch(blob, first, &err));
    assert_ok(fetched_wait(&chain->last));
    assert_int_equal(chain->left, UINT_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cancelled_fetch_ends_at_once_wherever_it_is),
        cmocka_unit_test(closing_a_blob_ends_its_fetches_and_waits_for_them),
        cmocka_unit_test(another_blob_is_not_touched_by_that),
        cmocka_unit_test(after_many_that_had_no_connection_yet_were_cancelled_all_is_well),
        cmocka_unit_test(silence_has_a_limit_of_its_own_until_the_first_byte_comes),
        cmocka_unit_test(all_is_cancelled_at_the_end_of_a_process),
        cmocka_unit_test(many_threads_fetch_at_once_from_a_flaky_registry),
        cmocka_unit_test(cancelling_races_with_answers),
        cmocka_unit_test(a_fetch_may_be_started_and_freed_when_another_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
