/* SPDX-License-Identifier: Apache-2.0 */
/* test_lazy_source.c – a layer that several images share is read with the credentials of any of
 * them. Two registries on loopback; what each does is switched by the test. */
#include "test.h"

#include "base/clock.h"
#include "base/threads.h"
#include "http_server.h"
#include "lazy/internal.h"

#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { BYTES = 10000 };
enum { DEADLINE_MS = 30 * 1000 };

/* ---- registries ------------------------------------------------------------------------------ */

enum behaviour { GIVES, REFUSES, HAS_NOT, HANGS, BREAKS, IS_DOWN };

struct host {
    struct http_server *server;
    atomic_int does;
    char *repository;
};

struct world {
    struct host hosts[3];
    struct registry *registry;
    struct lazy_repos *repos;
    struct lazy_origins *origins;
    struct digest layer;
    struct span_source source;
};

static uint8_t content[BYTES];
static char nothing[] = "";

static void answer(void *self, struct http_exchange *x)
{
    struct host *host = self;

    switch ((enum behaviour)atomic_load(&host->does)) {
    case GIVES:
        http_reply_range(x, bytes_of(content, sizeof(content)));
        break;
    case REFUSES:
        http_reply_text(x, 403, NULL, "");
        break;
    case HAS_NOT:
        http_reply_text(x, 404, NULL, "");
        break;
    case HANGS:
        http_pause(x, DEADLINE_MS);
        http_cut(x);
        break;
    case BREAKS:
        http_reply_text(x, 501, NULL, "");
        break;
    case IS_DOWN:
        http_cut(x);
        break;
    }
}

static struct lazy_target target_at(const struct world *w, size_t host)
{
    return (struct lazy_target){.image_ref = w->hosts[host].repository,
                                .repository = w->hosts[host].repository,
                                .index_digest = nothing,
                                .layer = w->layer,
                                .layer_bytes = BYTES};
}

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    const struct registry_options options = {
        .max_retries = UINT_MAX, .http_loopback = true, .blob_until_budget = true};
    struct err err = ERR_NONE;
    struct lazy_target target;

    assert_non_null(w);
    for (size_t i = 0; i < sizeof(content); i++)
        content[i] = (uint8_t)(i * 7);
    assert_ok(digest_of(bytes_of(content, sizeof(content)), &w->layer));
    for (size_t i = 0; i < ARRAY_LEN(w->hosts); i++) {
        w->hosts[i].server = http_server_start(answer, &w->hosts[i]);
        w->hosts[i].repository = text_format("%s/team/app", http_server_host(w->hosts[i].server));
    }
    assert_ok(registry_new(&options, &w->registry, &err));
    assert_ok(lazy_repos_new(w->registry, NULL, &w->repos, &err));
    assert_ok(lazy_origins_new(&w->origins, &err));
    target = target_at(w, 0);
    assert_ok(lazy_source_new(w->repos, w->origins, &target, &w->source, &err));
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;

    w->source.close(w->source.self);
    lazy_repos_unref(w->repos);
    lazy_origins_unref(w->origins);
    registry_free(w->registry);
    for (size_t i = 0; i < ARRAY_LEN(w->hosts); i++) {
        http_server_stop(w->hosts[i].server);
        free(w->hosts[i].repository);
    }
    free(w);
    return 0;
}

static struct lazy_origin *add(struct world *w, size_t host)
{
    struct lazy_origin *origin = NULL;
    struct err err = ERR_NONE;

    assert_ok(lazy_origin_add(w->origins, &w->layer, w->hosts[host].repository, &origin, &err));
    return origin;
}

/* An image that has other layers than ours mounted. */
static struct lazy_origin *add_another(struct world *w, size_t host)
{
    struct lazy_origin *origin = NULL;
    struct digest other;
    struct err err = ERR_NONE;

    assert_ok(digest_of(bytes_of("other", 5), &other));
    assert_ok(lazy_origin_add(w->origins, &other, w->hosts[host].repository, &origin, &err));
    return origin;
}

static unsigned asked(struct world *w, size_t host)
{
    return http_server_count(w->hosts[host].server, "");
}

/* ---- one fetch ------------------------------------------------------------------------------- */

struct waited {
    struct span_fetch fetch;
    pthread_mutex_t lock;
    pthread_cond_t settled;
    bool is_done; /* lock */
    int rc;       /* lock */
    struct err err;
    uint8_t buf[1000];
};

static void on_done(struct span_fetch *fetch, int rc, const struct err *err)
{
    struct waited *got = (struct waited *)fetch;
    LOCKED(&got->lock);

    assert_false(got->is_done);
    got->is_done = true;
    got->rc = rc;
    if (rc < 0)
        got->err = *err;
    (void)pthread_cond_broadcast(&got->settled);
}

static void begin(struct world *w, struct waited *got)
{
    memset(got, 0, sizeof(*got));
    (void)pthread_mutex_init(&got->lock, NULL);
    assert_ok(clock_cond_init(&got->settled));
    got->fetch = (struct span_fetch){.comp_off = 500,
                                     .len = sizeof(got->buf),
                                     .buf = got->buf,
                                     .budget_ms = DEADLINE_MS,
                                     .urgent = true,
                                     .done = on_done};
    assert_ok(w->source.start(w->source.self, &got->fetch, &got->err));
}

static int end(struct world *w, struct waited *got)
{
    int64_t until_ms = clock_mono_ms() + DEADLINE_MS;

    {
        LOCKED(&got->lock);
        while (!got->is_done) {
            if (clock_cond_wait_until(&got->settled, &got->lock, until_ms) == -ETIMEDOUT)
                fail_msg("the fetch never ended");
        }
    }
    w->source.release(w->source.self, &got->fetch);
    (void)pthread_cond_destroy(&got->settled);
    (void)pthread_mutex_destroy(&got->lock);
    if (got->rc == 0)
        assert_memory_equal(got->buf, content + 500, sizeof(got->buf));
    return got->rc;
}

static int fetch(struct world *w, struct err *err)
{
    struct waited got;
    int rc;

    begin(w, &got);
    rc = end(w, &got);
    *err = got.err;
    return rc;
}

static void expect_bytes(struct world *w)
{
    struct err err = ERR_NONE;

    if (fetch(w, &err) < 0)
        fail_msg("%s", err_text(&err));
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void bytes_come_from_the_newest_image(void **state)
{
    struct world *w = *state;
    struct lazy_origin *a = add(w, 0), *b = add(w, 1);

    expect_bytes(w);
    assert_int_equal(asked(w, 0), 0);
    assert_int_equal(asked(w, 1), 1);
    lazy_origin_remove(a);
    lazy_origin_remove(b);
}

static void where_one_is_refused_the_other_is_asked_and_remembered(void **state)
{
    static const enum behaviour bad[] = {REFUSES, HAS_NOT};
    struct world *w = *state;
    struct lazy_origin *a = add(w, 0), *b = add(w, 1);
    unsigned refused;

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        atomic_store(&w->hosts[1].does, bad[i]);
        expect_bytes(w);
        refused = asked(w, 1);
        expect_bytes(w);
        assert_int_equal(asked(w, 1), refused); /* not tried first any more */
        atomic_store(&w->hosts[1].does, GIVES);
        atomic_store(&w->hosts[0].does, bad[i]); /* and back */
        expect_bytes(w);
        atomic_store(&w->hosts[0].does, GIVES);
    }
    lazy_origin_remove(a);
    lazy_origin_remove(b);
}

static void an_image_that_was_removed_is_not_asked(void **state)
{
    struct world *w = *state;
    struct lazy_origin *a = add(w, 0), *b = add(w, 1);
    struct err err = ERR_NONE;

    expect_bytes(w); /* from the second */
    lazy_origin_remove(b);
    expect_bytes(w);
    assert_int_equal(asked(w, 1), 1);
    atomic_store(&w->hosts[0].does, REFUSES);
    assert_int_equal(fetch(w, &err), -EACCES);
    assert_int_equal(asked(w, 1), 1);
    lazy_origin_remove(a);
}

static void images_that_share_lower_layers_help_out(void **state)
{
    struct world *w = *state;
    struct lazy_origin *a = add(w, 0), *b = add_another(w, 1);

    expect_bytes(w);
    assert_int_equal(asked(w, 1), 0);
    atomic_store(&w->hosts[0].does, REFUSES);
    expect_bytes(w);
    expect_bytes(w);
    assert_int_equal(asked(w, 0), 2);
    assert_int_equal(asked(w, 1), 2);
    lazy_origin_remove(a);
    expect_bytes(w);
    lazy_origin_remove(b);
}

static void the_same_repository_twice_is_one(void **state)
{
    struct world *w = *state;
    struct lazy_origin *a = add(w, 0), *again = add(w, 0);
    struct err err = ERR_NONE;

    atomic_store(&w->hosts[0].does, HAS_NOT);
    assert_int_equal(fetch(w, &err), -ENOENT);
    assert_int_equal(asked(w, 0), 1);
    lazy_origin_remove(a);
    atomic_store(&w->hosts[0].does, GIVES);
    expect_bytes(w);
    lazy_origin_remove(again);
}

static void a_layer_of_no_image_is_read_from_where_it_came(void **state)
{
    struct world *w = *state;

    expect_bytes(w);
    assert_int_equal(asked(w, 0), 1);
}

static void when_all_refuse_the_first_is_quoted(void **state)
{
    struct world *w = *state;
    struct lazy_origin *a = add(w, 0), *b = add(w, 1), *c = add_another(w, 2);
    struct err err = ERR_NONE;

    atomic_store(&w->hosts[0].does, HAS_NOT);
    atomic_store(&w->hosts[1].does, REFUSES);
    atomic_store(&w->hosts[2].does, HAS_NOT);
    assert_int_equal(fetch(w, &err), -EACCES);
    assert_non_null(strstr(err_text(&err), http_server_host(w->hosts[1].server)));
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(asked(w, i), 1);
    lazy_origin_remove(a);
    lazy_origin_remove(b);
    lazy_origin_remove(c);
}

static void what_is_broken_is_not_asked_for_elsewhere(void **state)
{
    struct world *w = *state;
    struct lazy_origin *a = add(w, 0), *b = add(w, 1);
    struct err err = ERR_NONE;

    atomic_store(&w->hosts[1].does, BREAKS);
    assert_int_equal(fetch(w, &err), -EOPNOTSUPP);
    assert_int_equal(asked(w, 0), 0);
    lazy_origin_remove(a);
    lazy_origin_remove(b);
}

static void while_one_is_down_the_other_is_asked(void **state)
{
    struct world *w = *state;
    struct lazy_origin *a = add(w, 0), *b = add(w, 1);

    atomic_store(&w->hosts[1].does, IS_DOWN);
    expect_bytes(w);
    assert_int_equal(asked(w, 1), 1);
    assert_int_equal(asked(w, 0), 1);
    lazy_origin_remove(a);
    lazy_origin_remove(b);
}

static void a_reader_waits_for_the_first_to_come_back(void **state)
{
    struct world *w = *state;
    struct lazy_origin *a = add(w, 0), *b = add(w, 1);
    struct waited got;

    atomic_store(&w->hosts[0].does, HAS_NOT);
    atomic_store(&w->hosts[1].does, IS_DOWN);
    begin(w, &got);
    while (asked(w, 1) < 4)
        clock_sleep_ms(10);
    atomic_store(&w->hosts[1].does, GIVES);
    assert_ok(end(w, &got));
    assert_int_equal(asked(w, 0), 1);
    lazy_origin_remove(a);
    lazy_origin_remove(b);
}

static void one_that_says_nothing_does_not_keep_those_who_can_ask_another(void **state)
{
    struct world *w = *state;
    struct lazy_origin *a = add_another(w, 0), *b = add(w, 1);
    int64_t began_ms = clock_mono_ms();

    atomic_store(&w->hosts[1].does, HANGS);
    expect_bytes(w);
    assert_true(clock_mono_ms() - began_ms < DEADLINE_MS / 2);
    assert_int_equal(asked(w, 1), 1);
    assert_int_equal(asked(w, 0), 1);
    expect_bytes(w); /* nor is it asked again */
    assert_int_equal(asked(w, 1), 1);
    lazy_origin_remove(a);
    lazy_origin_remove(b);
}

static void one_that_said_nothing_is_asked_again_when_no_other_has_it(void **state)
{
    struct world *w = *state;
    struct lazy_origin *a = add_another(w, 0), *b = add(w, 1);
    struct waited got;

    atomic_store(&w->hosts[0].does, HAS_NOT);
    atomic_store(&w->hosts[1].does, HANGS);
    begin(w, &got);
    while (asked(w, 0) == 0)
        clock_sleep_ms(10);
    atomic_store(&w->hosts[1].does, GIVES);
    assert_ok(end(w, &got));
    assert_int_equal(asked(w, 0), 1);
    assert_in_range(asked(w, 1), 2, 3);
    lazy_origin_remove(a);
    lazy_origin_remove(b);
}

static void a_second_try_can_be_cancelled(void **state)
{
    struct world *w = *state;
    struct lazy_origin *a = add(w, 0), *b = add(w, 1);
    struct waited got;

    atomic_store(&w->hosts[1].does, REFUSES);
    atomic_store(&w->hosts[0].does, HANGS);
    begin(w, &got);
    while (asked(w, 0) == 0)
        clock_sleep_ms(1);
    w->source.cancel(w->source.self, &got.fetch);
    assert_int_equal(end(w, &got), -ECANCELED);
    lazy_origin_remove(a);
    lazy_origin_remove(b);
}

static void a_cancel_at_any_moment_ends_a_fetch(void **state)
{
    struct world *w = *state;
    struct lazy_origin *a = add(w, 0), *b = add(w, 1);

    for (int i = 0; i < 60; i++) {
        struct waited got;

        atomic_store(&w->hosts[1].does, REFUSES);
        atomic_store(&w->hosts[0].does, i % 2 == 0 ? REFUSES : GIVES);
        begin(w, &got);
        if (i > 10)
            clock_sleep_ms(i % 5);
        w->source.cancel(w->source.self, &got.fetch);
        (void)end(w, &got);
    }
    lazy_origin_remove(a);
    lazy_origin_remove(b);
}

#define test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(bytes_come_from_the_newest_image),
        test(where_one_is_refused_the_other_is_asked_and_remembered),
        test(an_image_that_was_removed_is_not_asked),
        test(images_that_share_lower_layers_help_out),
        test(the_same_repository_twice_is_one),
        test(a_layer_of_no_image_is_read_from_where_it_came),
        test(when_all_refuse_the_first_is_quoted),
        test(what_is_broken_is_not_asked_for_elsewhere),
        test(while_one_is_down_the_other_is_asked),
        test(a_reader_waits_for_the_first_to_come_back),
        test(one_that_says_nothing_does_not_keep_those_who_can_ask_another),
        test(one_that_said_nothing_is_asked_again_when_no_other_has_it),
        test(a_second_try_can_be_cancelled),
        test(a_cancel_at_any_moment_ends_a_fetch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
