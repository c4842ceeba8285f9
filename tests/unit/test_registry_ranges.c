/* SPDX-License-Identifier: Apache-2.0 */
/* Ranges of a blob from servers that behave well and badly: what arrives is right, or is an error.
 */
#include "registry_fixture.h"

#include <time.h>

/* ---- servers --------------------------------------------------------------------------------- */

static void behave(void *self, struct http_exchange *x)
{
    http_reply_range(x, fixture_content(self));
}

static void refuse_wrong_questions(void *self, struct http_exchange *x)
{
    struct fixture *f = self;
    bool good = strcmp(x->method, "GET") == 0 && strcmp(x->accept_encoding, "identity") == 0 &&
                strcmp(x->user_agent, "test/1") == 0 && x->authorization[0] == '\0' &&
                x->range[0] != '\0' && strchr(x->range, ',') == NULL &&
                text_has_prefix(x->target, "/v2/team/app/blobs/sha256:") &&
                text_has_suffix(x->target, f->digest_text);

    if (good)
        http_reply_range(x, fixture_content(f));
    else
        http_reply_text(x, 400, NULL, "");
}

/* A good header, then only so much of the body. */
static void send_some(struct fixture *f, struct http_exchange *x, size_t count)
{
    SCOPED(mem) char *head = NULL;
    size_t first, last;

    assert_true(http_range(x, &first, &last));
    head = text_format(
        "HTTP/1.1 206 Part\r\nContent-Range: bytes %zu-%zu/%zu\r\nContent-Length: %zu\r\n\r\n",
        first, last, sizeof(f->content), last - first + 1);
    http_send_text(x, head);
    http_send(x, f->content + first, count < last - first + 1 ? count : last - first + 1);
}

static void cut_after_1000(void *self, struct http_exchange *x)
{
    send_some(self, x, 1000);
    http_pause(x, 20); /* a reset overtakes what was sent */
    http_cut(x);
}

static void stall_after_1000(void *self, struct http_exchange *x)
{
    send_some(self, x, 1000);
    http_pause(x, 20 * IMPATIENCE_MS);
    http_cut(x);
}

static void never_answer_first(void *self, struct http_exchange *x)
{
    if (x->number > 0) {
        http_reply_range(x, fixture_content(self));
        return;
    }
    http_pause(x, 20 * IMPATIENCE_MS);
    http_cut(x);
}

static void reset_at_once(void *self, struct http_exchange *x)
{
    if (x->number < 2)
        http_cut(x);
    else
        http_reply_range(x, fixture_content(self));
}

static void trickle(void *self, struct http_exchange *x)
{
    struct fixture *f = self;
    size_t first, last;

    send_some(f, x, 1);
    assert_true(http_range(x, &first, &last));
    for (size_t at = first + 1; at <= last && !x->close; at++) {
        http_pause(x, (int)(f->patience_ms / 6));
        http_send(x, f->content + at, 1);
    }
}

static void ignore_ranges(void *self, struct http_exchange *x)
{
    http_reply(x, 200, NULL, fixture_content(self));
}

static void give_half(void *self, struct http_exchange *x)
{
    struct fixture *f = self;
    char header[128];
    size_t first, last;

    assert_true(http_range(x, &first, &last));
    last = first + (last - first) / 2;
    (void)snprintf(header, sizeof(header), "Content-Range: bytes %zu-%zu/*\r\n", first, last);
    http_reply(x, 206, header, bytes_of(f->content + first, last - first + 1));
}

static void answer_in_parts(void *self, struct http_exchange *x)
{
    struct fixture *f = self;
    SCOPED(buf_value) struct buf body = BUF_EMPTY;
    size_t first, last, middle;

    assert_true(http_range(x, &first, &last));
    middle = first + (last - first) / 3;
    assert_ok(buf_addf(&body, "\r\n--THIS\r\nContent-Range: bytes %zu-%zu/%zu\r\n\r\n", first,
                       middle, sizeof(f->content)));
    assert_ok(buf_add(&body, f->content + first, middle - first + 1));
    assert_ok(buf_addf(&body, "\r\n--THIS\r\nContent-Range: bytes %zu-%zu/%zu\r\n\r\n", middle + 1,
                       last, sizeof(f->content)));
    assert_ok(buf_add(&body, f->content + middle + 1, last - middle));
    assert_ok(buf_add_str(&body, "\r\n--THIS--\r\n"));
    http_reply(x, 206, "Content-Type: multipart/byteranges; boundary=THIS\r\n", buf_bytes(&body));
}

/* Parts of a larger blob, of what was not asked for, in the wrong order. */
static void answer_in_wrong_parts(void *self, struct http_exchange *x)
{
    static const char *const ranges[] = {"0-9/100001", "1-10/100000", "5-9/100000", "0-10/100000"};
    SCOPED(mem)
    char *body = text_format("--b\r\nContent-Range: bytes %s\r\n\r\n0123456789a\r\n--b--",
                             ranges[x->number % ARRAY_LEN(ranges)]);
    (void)self;

    http_reply_text(x, 206, "Content-Type: multipart/byteranges; boundary=b\r\n", body);
}

static void busy_twice(void *self, struct http_exchange *x)
{
    static const int statuses[] = {503, 429};

    if (x->number < 2)
        http_reply_text(x, statuses[x->number], NULL, "later");
    else
        http_reply_range(x, fixture_content(self));
}

static void busy_for_a_second(void *self, struct http_exchange *x)
{
    if (x->number == 0)
        http_reply_text(x, 503, "Retry-After: 1\r\n", "");
    else
        http_reply_range(x, fixture_content(self));
}

static void busy_until_two_seconds_later(void *self, struct http_exchange *x)
{
    time_t then = time(NULL) + 2;
    struct tm tm;
    char header[64];

    if (x->number > 0) {
        http_reply_range(x, fixture_content(self));
        return;
    }
    assert_non_null(gmtime_r(&then, &tm));
    (void)strftime(header, sizeof(header), "Retry-After: %a, %d %b %Y %H:%M:%S GMT\r\n", &tm);
    http_reply_text(x, 429, header, "");
}

/* The status is the first of the range that is asked for. */
static void fail_as_asked(void *self, struct http_exchange *x)
{
    size_t first = 0, last;
    (void)self;

    (void)http_range(x, &first, &last);
    http_reply_text(x, (int)first, NULL, "");
}

/* ---- good endings ---------------------------------------------------------------------------- */

static void a_range_is_asked_for_as_it_should_be(void **state)
{
    SCOPED(fixture) struct fixture *f = fixture_open(refuse_wrong_questions, NULL, NULL);
    struct err err = ERR_NONE;
    (void)state;

    assert_ok(fetch_once(f, 0, 1, &err));
    assert_ok(fetch_once(f, 0, sizeof(f->content), &err));
    assert_ok(fetch_once(f, sizeof(f->content) - 1, 1, &err));
    assert_ok(fetch_once(f, 12345, 54321, &err));
    assert_true(fixture_traced(f, "http req GET http://127.0.0.1:"));
    assert_true(fixture_traced(f, "http res 206 GET http://127.0.0.1:"));
}

static void one_connection_serves_one_fetch_after_another(void **state)
{
    SCOPED(fixture) struct fixture *f = fixture_open(behave, NULL, NULL);
    struct err err = ERR_NONE;
    (void)state;

    for (int i = 0; i < 20; i++)
        assert_ok(fetch_once(f, (uint64_t)i, 5000, &err));
    assert_int_equal(http_server_connections(f->server), 1);
}

/* Runs one fetch of 3,500 bytes against a server and returns how often it was asked. */
static unsigned requests_for_success(http_handler *handle, int64_t patience_ms)
{
    SCOPED(fixture) struct fixture *f = fixture_make(patience_ms, handle, NULL, NULL);
    struct err err = ERR_NONE;

    if (fetch_once(f, 500, 3500, &err) < 0)
        fail_msg("%s", err_text(&err));
    return http_server_count(f->server, "");
}

static void a_body_that_is_cut_goes_on_where_it_stopped(void **state)
{
    (void)state;
    assert_int_equal(requests_for_success(cut_after_1000, PATIENCE_MS), 4);
}

static void a_body_that_stalls_goes_on_where_it_stopped(void **state)
{
    (void)state;
    assert_true(requests_for_success(stall_after_1000, IMPATIENCE_MS) >= 4);
}

static void a_registry_that_gives_less_is_asked_for_the_rest(void **state)
{
    SCOPED(fixture) struct fixture *f = fixture_open(give_half, NULL, NULL);
    struct err err = ERR_NONE;
    (void)state;

    assert_ok(fetch_once(f, 7, 15, &err)); /* 8 + 4 + 2 + 1 */
    assert_int_equal(http_server_count(f->server, "GET "), 4);
}

static void no_answer_at_all_is_asked_again(void **state)
{
    (void)state;
    assert_true(requests_for_success(never_answer_first, IMPATIENCE_MS) >= 2);
}

static void a_reset_connection_is_replaced(void **state)
{
    (void)state;
    assert_true(requests_for_success(reset_at_once, PATIENCE_MS) >= 3);
}

/* How often it is asked for what takes three times as long as nothing may come. */
static unsigned requests_for_trickle(int64_t patience_ms)
{
    SCOPED(fixture) struct fixture *f = fixture_make(patience_ms, trickle, NULL, NULL);
    struct err err = ERR_NONE;

    assert_ok(fetch_once(f, 9, 18, &err));
    return http_server_count(f->server, "");
}

/* A busy machine may stall it, though not for any time. */
static void a_slow_answer_is_not_a_stalled_one(void **state)
{
    int64_t patience_ms = IMPATIENCE_MS;
    (void)state;

    while (requests_for_trickle(patience_ms) != 1) {
        patience_ms *= 2;
        assert_true(patience_ms <= 8 * IMPATIENCE_MS);
    }
}

static int fetch_ranges_only(struct registry_blob *blob, struct fetched *got, uint64_t off,
                             size_t len)
{
    struct err err = ERR_NONE;

    fetched_init(got, off, len);
    got->fetch.ranges_only = true;
    assert_ok(registry_blob_fetch(blob, &got->fetch, &err));
    return fetched_wait(got);
}

static void a_registry_that_ignores_ranges_is_refused_when_they_are_wanted(void **state)
{
    SCOPED(fixture) struct fixture *f = fixture_open(ignore_ranges, NULL, NULL);
    SCOPED(registry_blob) struct registry_blob *blob = open_blob(f);
    SCOPED(mem) struct fetched *got = malloc(sizeof(*got));

    (void)state;
    assert_non_null(got);
    assert_int_equal(fetch_ranges_only(blob, got, 1000, 500), -EOPNOTSUPP);
    assert_int_equal(http_server_count(f->server, "GET "), 1);
    /* All of it is what comes. */
    assert_ok(fetch_ranges_only(blob, got, 0, sizeof(f->content)));
    assert_memory_equal(got->buf, f->content, sizeof(f->content));
}

/* ---- a whole blob, taken as it comes ----------------------------------------------------------
 */

/* Room for so much, and then for nothing until more is made. */
struct taker {
    struct fetched got; /* first; its lock is for all of this */
    size_t room, taken;
    unsigned refusals;
};

static size_t take_some(struct registry_fetch *fetch, struct bytes bytes)
{
    struct taker *taker = (struct taker *)fetch;
    size_t len;
    LOCKED(&taker->got.lock);

    len = bytes.len < taker->room ? bytes.len : taker->room;
    assert_true(len <= sizeof(taker->got.buf) - taker->taken);
    memcpy(taker->got.buf + taker->taken, bytes.data, len);
    taker->taken += len;
    taker->room -= len;
    taker->refusals += len < bytes.len;
    (void)pthread_cond_broadcast(&taker->got.settled);
    return len;
}

static struct taker *taker_start(struct registry_blob *blob, size_t room)
{
    struct taker *taker = calloc(1, sizeof(*taker));
    struct err err = ERR_NONE;

    assert_non_null(taker);
    fetched_init(&taker->got, 0, sizeof(taker->got.buf));
    taker->got.fetch.buf = NULL;
    taker->got.fetch.take = take_some;
    taker->room = room;
    assert_ok(registry_blob_fetch(blob, &taker->got.fetch, &err));
    return taker;
}

/* Until it waits for room, or has ended: then false. */
static bool wait_for_refusal(struct taker *taker, unsigned refusals)
{
    LOCKED(&taker->got.lock);

    while (taker->got.done == 0 && taker->refusals <= refusals)
        (void)clock_cond_wait_until(&taker->got.settled, &taker->got.lock,
                                    clock_mono_ms() + DEADLINE_MS);
    return taker->got.done == 0;
}

static void make_room(struct taker *taker, struct registry_blob *blob, size_t room)
{
    {
        LOCKED(&taker->got.lock);
        taker->room += room;
    }
    registry_fetch_resume(blob, &taker->got.fetch);
}

/* So much at a time until the end. */
static int take_all(struct taker *taker, struct registry_blob *blob, size_t room)
{
    for (unsigned refusals = 0; wait_for_refusal(taker, refusals); refusals++)
        make_room(taker, blob, room);
    return fetched_wait(&taker->got);
}

static void plain_requests_only(void *self, struct http_exchange *x)
{
    if (x->range[0] != '\0')
        http_reply_text(x, 400, NULL, "");
    else
        ignore_ranges(self, x);
}

static void a_whole_blob_comes_as_there_is_room_for_it(void **state)
{
    SCOPED(fixture) struct fixture *f = fixture_open(plain_requests_only, NULL, NULL);
    SCOPED(registry_blob) struct registry_blob *blob = open_blob(f);
    SCOPED(mem) struct taker *taker = taker_start(blob, 1);

    (void)state;
    assert_ok(take_all(taker, blob, 9999));
    assert_int_equal(taker->taken, sizeof(f->content));
    assert_memory_equal(taker->got.buf, f->content, sizeof(f->content));
    assert_int_equal(taker->refusals, 11);
    assert_int_equal(http_server_count(f->server, "GET "), 1);
}

static void one_that_waits_for_room_has_not_stalled(void **state)
{
    SCOPED(fixture)
    struct fixture *f = fixture_make(4 * IMPATIENCE_MS, ignore_ranges, NULL, NULL);
    SCOPED(registry_blob) struct registry_blob *blob = open_blob(f);
    SCOPED(mem) struct taker *taker = taker_start(blob, 1000);

    (void)state;
    assert_true(wait_for_refusal(taker, 0));
    clock_sleep_ms(8 * IMPATIENCE_MS);
    make_room(taker, blob, sizeof(f->content));
    assert_ok(fetched_wait(&taker->got));
    assert_memory_equal(taker->got.buf, f->content, sizeof(f->content));
    assert_int_equal(http_server_count(f->server, "GET "), 1);
}

static void half_then_all(void *self, struct http_exchange *x)
{
    struct fixture *f = self;

    if (x->number > 0) {
        ignore_ranges(self, x);
        return;
    }
    http_send_text(x, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
    http_send(x, f->content, 50000);
    http_pause(x, 20);
    http_cut(x);
}

static void after_a_break_what_was_taken_is_read_past(void **state)
{
    SCOPED(fixture) struct fixture *f = fixture_open(half_then_all, NULL, NULL);
    SCOPED(registry_blob) struct registry_blob *blob = open_blob(f);
    SCOPED(mem) struct taker *taker = taker_start(blob, 7);

    (void)state;
    assert_ok(take_all(taker, blob, 30001));
    assert_int_equal(taker->taken, sizeof(f->content));
    assert_memory_equal(taker->got.buf, f->content, sizeof(f->content));
    assert_int_equal(http_server_count(f->server, "GET "), 2);
}

static void one_that_waits_for_room_ends_with_its_blob(void **state)
{
    SCOPED(fixture) struct fixture *f = fixture_open(ignore_ranges, NULL, NULL);
    struct registry_blob *blob = open_blob(f);
    SCOPED(mem) struct taker *taker = taker_start(blob, 7);

    (void)state;
    assert_true(wait_for_refusal(taker, 0));
    registry_blob_close(blob);
    assert_int_equal(fetched_wait(&taker->got), -ECANCELED);
    assert_int_equal(taker->taken, 7);
}

static void answer_with_a_part(void *self, struct http_exchange *x)
{
    struct fixture *f = self;

    http_reply(x, 206, "Content-Range: bytes 0-9/100000\r\n", bytes_of(f->content, 10));
}

static void a_part_of_what_should_come_as_a_whole_is_refused(void **state)
{
    SCOPED(fixture) struct fixture *f = fixture_open(answer_with_a_part, NULL, NULL);
    SCOPED(registry_blob) struct registry_blob *blob = open_blob(f);
    SCOPED(mem) struct taker *taker = taker_start(blob, sizeof(f->content));

    (void)state;
    assert_int_equal(fetched_wait(&taker->got), -EPROTO);
    assert_int_equal(taker->taken, 0);
}

static void a_registry_that_ignores_ranges_is_read_past(void **state)
{
    (void)state;
    assert_int_equal(requests_for_success(ignore_ranges, PATIENCE_MS), 1);
}

static void a_body_in_parts_is_put_together(void **state)
{
    SCOPED(fixture) struct fixture *f = fixture_open(answer_in_parts, NULL, NULL);
    struct err err = ERR_NONE;
    (void)state;

    assert_ok(fetch_once(f, 500, 3500, &err));
    assert_ok(fetch_once(f, 0, sizeof(f->content), &err));
    assert_int_equal(http_server_count(f->server, ""), 2);
}

static void parts_of_something_else_are_refused(void **state)
{
    SCOPED(fixture) struct fixture *f = fixture_open(answer_in_wrong_parts, NULL, NULL);
    struct err err = ERR_NONE;
    (void)state;

    assert_int_equal(fetch_once(f, 0, 10, &err), -EBADMSG);
    for (int i = 0; i < 3; i++)
        assert_int_equal(fetch_once(f, 0, 10, &err), -EPROTO);
}

static void a_busy_registry_is_asked_again(void **state)
{
    (void)state;
    assert_int_equal(requests_for_success(busy_twice, PATIENCE_MS), 3);
}

static void retry_after_is_honoured(void **state)
{
    int64_t start_ms = clock_mono_ms();
    (void)state;

    assert_int_equal(requests_for_success(busy_for_a_second, PATIENCE_MS), 2);
    assert_true(clock_mono_ms() - start_ms >= 1000);
}

/* A date has whole seconds: of the two it may be little more than one. */
static void retry_after_a_date_is_honoured(void **state)
{
    int64_t start_ms = clock_mono_ms();
    (void)state;

    assert_int_equal(requests_for_success(busy_until_two_seconds_later, PATIENCE_MS), 2);
    assert_true(clock_mono_ms() - start_ms >= 1000);
}

/* ---- bad endings ----------------------------------------------------------------------------- */

static void expect_failure_of(http_handler *handle, uint64_t off, int rc, const char *text,
                              unsigned requests)
{
    SCOPED(fixture) struct fixture *f = fixture_open(handle, NULL, NULL);
    struct err err = ERR_NONE;

    assert_int_equal(fetch_once(f, off, 3500, &err), rc);
    assert_text_has(err_text(&err), text);
    assert_text_has(err_text(&err), "GET http://127.0.0.1:");
    assert_int_equal(http_server_count(f->server, ""), requests);
}

/* ---- no longer than there is time ------------------------------------------------------------ */

static void come_back_in_an_hour(void *self, struct http_exchange *x)
{
    (void)self;
    http_reply_text(x, 503, "Retry-After: 3600\r\n", "");
}

static void one_byte_now_and_then(void *self, struct http_exchange *x)
{
    struct fixture *f = self;
    size_t at, last;

    send_some(f, x, 1);
    assert_true(http_range(x, &at, &last));
    while (!x->close && ++at < last) {
        http_pause(x, 20);
        http_send(x, f->content + at, 1);
    }
}

static void crawl_first(void *self, struct http_exchange *x)
{
    if (x->number == 0)
        one_byte_now_and_then(self, x);
    else
        http_reply_range(x, fixture_content(self));
}

static void a_body_that_crawls_goes_on_elsewhere(void **state)
{
    (void)state;
    assert_true(requests_for_success(crawl_first, IMPATIENCE_MS) >= 2);
}

static int fetch_within(struct fixture *f, int64_t budget_ms, struct err *err)
{
    SCOPED(registry_blob) struct registry_blob *blob = open_blob(f);
    SCOPED(mem) struct fetched *got = malloc(sizeof(*got));
    int rc;

    assert_non_null(got);
    fetched_init(got, 0, sizeof(got->buf));
    got->fetch.budget_ms = budget_ms;
    assert_ok(registry_blob_fetch(blob, &got->fetch, err));
    rc = fetched_wait(got);
    *err = got->err;
    return rc;
}

static void a_long_retry_after_is_cut_to_one_last_attempt_within_the_budget(void **state)
{
    int64_t start_ms = clock_mono_ms();
    SCOPED(fixture)
    struct fixture *f = fixture_make(3000, come_back_in_an_hour, NULL, NULL);
    struct err err = ERR_NONE;

    (void)state;
    assert_int_equal(fetch_within(f, 4000, &err), -EAGAIN);
    assert_text_has(err_text(&err), "2 attempts: status 503");
    assert_int_equal(http_server_count(f->server, ""), 2);
    assert_true(clock_mono_ms() - start_ms >= 900); /* 3000 are left for the last */
}

static void a_fetch_that_is_in_no_hurry_fails_rather_than_wait_long(void **state)
{
    SCOPED(fixture) struct fixture *f = fixture_open(come_back_in_an_hour, NULL, NULL);
    SCOPED(registry_blob) struct registry_blob *blob = open_blob(f);
    SCOPED(mem) struct fetched *got = malloc(sizeof(*got));
    struct err err = ERR_NONE;

    (void)state;
    assert_non_null(got);
    fetched_init(got, 0, sizeof(got->buf));
    got->fetch.longest_wait_ms = 1000;
    assert_ok(registry_blob_fetch(blob, &got->fetch, &err));
    assert_int_equal(fetched_wait(got), -EAGAIN);
    assert_int_equal(http_server_count(f->server, ""), 1);
}

/* A port where nobody listens until somebody does. */
static uint16_t port_of(const struct http_server *server)
{
    return (uint16_t)strtoul(strchr(http_server_host(server), ':') + 1, NULL, 10);
}

static struct fixture *open_patient(http_handler *handle)
{
    const struct registry_options options = {
        .max_retries = MAX_RETRIES,
        .min_wait_ms = 1,
        .blob_max_wait_ms = 50,
        .http_loopback = true,
        .blob_until_budget = true,
    };
    struct fixture *f = fixture_open(handle, NULL, NULL);
    struct err err = ERR_NONE;

    registry_repo_unref(TAKE(f->repo));
    registry_free(TAKE(f->registry));
    assert_ok(registry_new(&options, &f->registry, &err));
    assert_ok(registry_repo_open(f->registry, http_server_host(f->server), "team/app", NULL,
                                 &f->repo, &err));
    return f;
}

static void begin_awaited(struct registry_blob *blob, struct fetched *got, uint64_t off,
                          int64_t budget_ms)
{
    struct err err = ERR_NONE;

    assert_non_null(got);
    fetched_init(got, off, 3500);
    got->fetch.budget_ms = budget_ms;
    got->fetch.is_awaited = true;
    assert_ok(registry_blob_fetch(blob, &got->fetch, &err));
}

static int fetch_awaited(struct fixture *f, uint64_t off, int64_t budget_ms, struct err *err)
{
    SCOPED(registry_blob) struct registry_blob *blob = open_blob(f);
    SCOPED(mem) struct fetched *got = malloc(sizeof(*got));
    int rc;

    begin_awaited(blob, got, off, budget_ms);
    rc = fetched_wait(got);
    *err = got->err;
    return rc;
}

static void busy_for_long(void *self, struct http_exchange *x)
{
    if (x->number < 4 * MAX_RETRIES)
        http_reply_text(x, x->number % 2 == 0 ? 429 : 503, NULL, "");
    else
        http_reply_range(x, fixture_content(self));
}

static void who_waits_is_served_when_an_outage_is_over(void **state)
{
    SCOPED(fixture) struct fixture *f = open_patient(behave);
    SCOPED(registry_blob) struct registry_blob *blob = open_blob(f);
    SCOPED(mem) struct fetched *got = malloc(sizeof(*got));
    uint16_t port = port_of(f->server);
    (void)state;

    http_server_stop(f->server);
    begin_awaited(blob, got, 0, DEADLINE_MS);
    clock_sleep_ms(1000); /* the retries alone would be over long ago */
    f->server = http_server_start_at(port, behave, f);
    assert_ok(fetched_wait(got));
    assert_memory_equal(got->buf, f->content, 3500);
}

static void who_waits_is_served_however_often_it_takes(void **state)
{
    SCOPED(fixture) struct fixture *f = open_patient(busy_for_long);
    struct err err = ERR_NONE;
    (void)state;

    assert_ok(fetch_awaited(f, 0, DEADLINE_MS, &err));
    assert_int_equal(http_server_count(f->server, ""), 4 * MAX_RETRIES + 1);
}

static void who_waits_is_told_when_the_budget_is_spent(void **state)
{
    SCOPED(fixture) struct fixture *f = open_patient(fail_as_asked);
    struct err err = ERR_NONE;
    int rc;
    (void)state;

    rc = fetch_awaited(f, 503, 1500, &err);

    /* On a busy machine the time may end in the middle of an attempt. */
    assert_true(rc == -EAGAIN || rc == -ETIMEDOUT);
    assert_text_has(err_text(&err),
                    rc == -EAGAIN ? "attempts: status 503" : "no good answer in the time there is");
    assert_true(http_server_count(f->server, "") > 1 + MAX_RETRIES);
}

static void who_waits_is_told_at_once_what_cannot_heal(void **state)
{
    SCOPED(fixture) struct fixture *f = open_patient(fail_as_asked);
    struct err err = ERR_NONE;
    (void)state;

    assert_int_equal(fetch_awaited(f, 404, DEADLINE_MS, &err), -ENOENT);
    assert_int_equal(http_server_count(f->server, ""), 1);
}

static void retries_that_were_set_are_obeyed_also_when_somebody_waits(void **state)
{
    SCOPED(fixture) struct fixture *f = fixture_open(busy_for_long, NULL, NULL);
    struct err err = ERR_NONE;
    (void)state;

    assert_int_equal(fetch_awaited(f, 0, DEADLINE_MS, &err), -EAGAIN);
    assert_int_equal(http_server_count(f->server, ""), 1 + MAX_RETRIES);
}

static void a_budget_ends_what_never_quite_stops(void **state)
{
    SCOPED(fixture) struct fixture *f = fixture_open(one_byte_now_and_then, NULL, NULL);
    struct err err = ERR_NONE;

    (void)state;
    assert_int_equal(fetch_within(f, 1000, &err), -ETIMEDOUT);
    assert_text_has(err_text(&err), "in the time there is");
    assert_int_equal(http_server_count(f->server, ""), 1);
}

static void a_budget_does_not_end_what_arrives_in_time(void **state)
{
    SCOPED(fixture) struct fixture *f = fixture_open(reset_at_once, NULL, NULL);
    struct err err = ERR_NONE;

    (void)state;
    assert_ok(fetch_within(f, DEADLINE_MS, &err));
    assert_int_equal(http_server_count(f->server, ""), 3);
}

static void refusals_are_not_repeated(void **state)
{
    (void)state;
    expect_failure_of(fail_as_asked, 404, -ENOENT, "status 404", 1);
    expect_failure_of(fail_as_asked, 403, -EACCES, "status 403", 1);
    expect_failure_of(fail_as_asked, 401, -EACCES, "status 401", 1);
    expect_failure_of(fail_as_asked, 400, -EPROTO, "status 400", 1);
    expect_failure_of(fail_as_asked, 416, -EBADMSG, "status 416", 1);
    expect_failure_of(fail_as_asked, 501, -EOPNOTSUPP, "status 501", 1);
    expect_failure_of(fail_as_asked, 204, -EPROTO, "status 204 for a range", 1);
    expect_failure_of(fail_as_asked, 304, -EPROTO, "status 304", 1);
}

static void what_may_heal_is_given_up_after_the_last_retry(void **state)
{
    (void)state;
    expect_failure_of(fail_as_asked, 503, -EAGAIN, "4 attempts: status 503", 1 + MAX_RETRIES);
    expect_failure_of(fail_as_asked, 429, -EAGAIN, "4 attempts: status 429", 1 + MAX_RETRIES);
    expect_failure_of(fail_as_asked, 500, -EIO, "4 attempts: status 500", 1 + MAX_RETRIES);
}

static void never_answer(void *self, struct http_exchange *x)
{
    (void)self;
    http_pause(x, 20 * IMPATIENCE_MS);
    http_cut(x);
}

static void a_registry_that_never_answers_is_a_timeout(void **state)
{
    SCOPED(fixture) struct fixture *f = fixture_make(IMPATIENCE_MS, never_answer, NULL, NULL);
    struct err err = ERR_NONE;
    (void)state;

    assert_int_equal(fetch_once(f, 0, 3500, &err), -ETIMEDOUT);
    assert_text_has(err_text(&err), "4 attempts: nothing came for 300 ms");
    assert_int_equal(http_server_count(f->server, ""), 1 + MAX_RETRIES);
}

static void other_bytes(void *self, struct http_exchange *x)
{
    struct fixture *f = self;
    http_reply(x, 206, "Content-Range: bytes 0-3499/100000\r\n", bytes_of(f->content, 3500));
}

static void no_content_range(void *self, struct http_exchange *x)
{
    struct fixture *f = self;
    http_reply(x, 206, NULL, bytes_of(f->content + 500, 3500));
}

static void another_total(void *self, struct http_exchange *x)
{
    struct fixture *f = self;
    http_reply(x, 206, "Content-Range: bytes 500-3999/99999\r\n", bytes_of(f->content + 500, 3500));
}

static void too_many_bytes(void *self, struct http_exchange *x)
{
    struct fixture *f = self;
    http_reply(x, 206, "Content-Range: bytes 500-3999/100000\r\n",
               bytes_of(f->content + 500, 3501));
}

static void another_whole(void *self, struct http_exchange *x)
{
    struct fixture *f = self;
    http_reply(x, 200, NULL, bytes_of(f->content, sizeof(f->content) - 1));
}

static void compressed(void *self, struct http_exchange *x)
{
    struct fixture *f = self;
    http_reply(x, 206, "Content-Encoding: gzip\r\nContent-Range: bytes 500-3999/100000\r\n",
               bytes_of(f->content + 500, 3500));
}

static void endless_headers(void *self, struct http_exchange *x)
{
    SCOPED(mem) char *line = text_format("X-Header: %01000d\r\n", 0);
    (void)self;

    http_send_text(x, "HTTP/1.1 206 Part\r\n");
    for (int i = 0; i < 2000 && !x->close; i++)
        http_send_text(x, line);
    x->close = true; /* no reset: that would overtake what was sent */
}

static void no_http(void *self, struct http_exchange *x)
{
    (void)self;
    http_send_text(x, "SSH-2.0-OpenSSH\r\n\r\n");
    x->close = true;
}

static void endless_refusal(void *self, struct http_exchange *x)
{
    SCOPED(mem) char *text = text_format("%0100000d", 0);
    (void)self;

    http_send_text(x, "HTTP/1.1 404 No\r\nContent-Length: 1000000000\r\n\r\n");
    for (int i = 0; i < 10000 && !x->close; i++)
        http_send_text(x, text);
}

static void answers_that_are_not_what_was_asked_for_are_refused(void **state)
{
    (void)state;
    expect_failure_of(other_bytes, 500, -EPROTO, "bytes 0-3499 when 500-3999 were asked for", 1);
    expect_failure_of(no_content_range, 500, -EPROTO, "a part that does not say which", 1);
    expect_failure_of(another_total, 500, -EBADMSG, "99999 bytes in all, 100000 were promised", 1);
    expect_failure_of(too_many_bytes, 500, -EPROTO, "more bytes than were asked for", 1);
    expect_failure_of(another_whole, 500, -EBADMSG, "99999 bytes in all, 100000 were promised", 1);
    expect_failure_of(compressed, 500, -EPROTO, "compressed", 1);
    expect_failure_of(endless_headers, 500, -EPROTO, "the headers make no sense", 1);
    expect_failure_of(endless_refusal, 500, -ENOENT, "status 404", 1);
}

static void a_server_that_speaks_no_http_is_refused(void **state)
{
    SCOPED(fixture) struct fixture *f = fixture_open(no_http, NULL, NULL);
    struct err err = ERR_NONE;
    int rc;
    (void)state;

    rc = fetch_once(f, 0, 10, &err);
    assert_true(rc == -EPROTO || rc == -EIO);
}

static void nobody_listening_is_an_error_after_the_retries(void **state)
{
    SCOPED(fixture) struct fixture *f = fixture_open(behave, NULL, NULL);
    struct err err = ERR_NONE;
    SCOPED(registry_repo) struct registry_repo *nobody = NULL;
    SCOPED(buf_value) struct buf out = BUF_EMPTY;
    (void)state;

    assert_ok(registry_repo_open(f->registry, "127.0.0.1:1", "a", NULL, &nobody, &err));
    assert_int_equal(registry_get_manifest(nobody, "latest", &out, NULL, &err), -EIO);
    assert_text_has(err_text(&err), "4 attempts: ");
}

static void the_size_of_a_blob_may_be_unknown(void **state)
{
    http_handler *const handlers[] = {behave, ignore_ranges};
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(handlers); i++) {
        SCOPED(fixture) struct fixture *f = fixture_open(handlers[i], NULL, NULL);
        SCOPED(registry_blob) struct registry_blob *blob = NULL;
        struct err err = ERR_NONE;
        assert_ok(registry_blob_open(f->repo, &f->digest, 0, &blob, &err));
        assert_ok(fetch_range(f, blob, sizeof(f->content) - 10, 10, &err));
        assert_int_equal(fetch_range(f, blob, sizeof(f->content), 10, &err), -EBADMSG);
    }
}

static void ranges_outside_of_the_blob_are_not_asked_for(void **state)
{
    SCOPED(fixture) struct fixture *f = fixture_open(behave, NULL, NULL);
    struct registry_fetch fetch = {.off = 0, .len = 0};
    struct err err = ERR_NONE;
    (void)state;

    SCOPED(registry_blob) struct registry_blob *blob = open_blob(f);
    assert_int_equal(registry_blob_fetch(blob, &fetch, &err), -EINVAL);
    fetch = (struct registry_fetch){.off = sizeof(f->content), .len = 1};
    assert_int_equal(registry_blob_fetch(blob, &fetch, &err), -EINVAL);
    fetch = (struct registry_fetch){.off = UINT64_MAX, .len = 2};
    assert_int_equal(registry_blob_fetch(blob, &fetch, &err), -EINVAL);
    fetch = (struct registry_fetch){.off = 1, .len = SIZE_MAX};
    assert_int_equal(registry_blob_fetch(blob, &fetch, &err), -EINVAL);
    assert_int_equal(http_server_count(f->server, ""), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_range_is_asked_for_as_it_should_be),
        cmocka_unit_test(one_connection_serves_one_fetch_after_another),
        cmocka_unit_test(a_body_that_is_cut_goes_on_where_it_stopped),
        cmocka_unit_test(a_body_that_stalls_goes_on_where_it_stopped),
        cmocka_unit_test(a_registry_that_gives_less_is_asked_for_the_rest),
        cmocka_unit_test(no_answer_at_all_is_asked_again),
        cmocka_unit_test(a_reset_connection_is_replaced),
        cmocka_unit_test(a_slow_answer_is_not_a_stalled_one),
        cmocka_unit_test(a_registry_that_ignores_ranges_is_read_past),
        cmocka_unit_test(a_whole_blob_comes_as_there_is_room_for_it),
        cmocka_unit_test(one_that_waits_for_room_has_not_stalled),
        cmocka_unit_test(after_a_break_what_was_taken_is_read_past),
        cmocka_unit_test(one_that_waits_for_room_ends_with_its_blob),
        cmocka_unit_test(a_part_of_what_should_come_as_a_whole_is_refused),
        cmocka_unit_test(a_registry_that_ignores_ranges_is_refused_when_they_are_wanted),
        cmocka_unit_test(a_body_in_parts_is_put_together),
        cmocka_unit_test(parts_of_something_else_are_refused),
        cmocka_unit_test(a_busy_registry_is_asked_again),
        cmocka_unit_test(retry_after_is_honoured),
        cmocka_unit_test(retry_after_a_date_is_honoured),
        cmocka_unit_test(a_long_retry_after_is_cut_to_one_last_attempt_within_the_budget),
        cmocka_unit_test(a_fetch_that_is_in_no_hurry_fails_rather_than_wait_long),
        cmocka_unit_test(who_waits_is_served_when_an_outage_is_over),
        cmocka_unit_test(who_waits_is_served_however_often_it_takes),
        cmocka_unit_test(who_waits_is_told_when_the_budget_is_spent),
        cmocka_unit_test(who_waits_is_told_at_once_what_cannot_heal),
        cmocka_unit_test(retries_that_were_set_are_obeyed_also_when_somebody_waits),
        cmocka_unit_test(a_body_that_crawls_goes_on_elsewhere),
        cmocka_unit_test(a_budget_ends_what_never_quite_stops),
        cmocka_unit_test(a_budget_does_not_end_what_arrives_in_time),
        cmocka_unit_test(refusals_are_not_repeated),
        cmocka_unit_test(what_may_heal_is_given_up_after_the_last_retry),
        cmocka_unit_test(a_registry_that_never_answers_is_a_timeout),
        cmocka_unit_test(answers_that_are_not_what_was_asked_for_are_refused),
        cmocka_unit_test(a_server_that_speaks_no_http_is_refused),
        cmocka_unit_test(nobody_listening_is_an_error_after_the_retries),
        cmocka_unit_test(the_size_of_a_blob_may_be_unknown),
        cmocka_unit_test(ranges_outside_of_the_blob_are_not_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
