/* SPDX-License-Identifier: Apache-2.0 */
/* test_grpc_calls.c – our client against our server over a unix socket. */
#include "grpc_echo.h"

static int call(struct grpc_channel *channel, const char *path, const char *message, char out[64],
                struct grpc_status *status, struct err *err)
{
    SCOPED(buf_value) struct buf response = BUF_EMPTY;
    struct grpc_request request = {
        .path = path,
        .message = bytes_of_str(message),
        .deadline_ms = clock_mono_ms() + 10000,
    };
    int rc = grpc_unary(channel, &request, &response, status, err);

    (void)snprintf(out, 64, "%s", response.len == 0 ? "" : buf_str(&response));
    return rc;
}

static void a_call_gets_its_answer(void **state)
{
    struct echo *echo = echo_start((struct grpc_server_options){0});
    struct grpc_channel *channel = echo_dial(echo);
    struct grpc_status status = {.code = -1};
    char out[64];

    (void)state;
    assert_ok(call(channel, "/test.Echo/Say", "hello", out, &status, NULL));
    assert_string_equal(out, "hello");
    assert_int_equal(status.code, GRPC_OK);
    assert_ok(call(channel, "/test.Echo/Say", "", out, NULL, NULL));
    assert_string_equal(out, "");
    grpc_channel_close(channel);
    echo_stop(echo);
}

static void an_error_keeps_its_code_and_text(void **state)
{
    static const struct {
        const char *number;
        int status;
        int rc;
    } rows[] = {
        {"2", GRPC_NOT_FOUND, -ENOENT},
        {"17", GRPC_ALREADY_EXISTS, -EEXIST},
        {"22", GRPC_INVALID_ARGUMENT, -EINVAL},
        {"16", GRPC_FAILED_PRECONDITION, -EBUSY},
        {"11", GRPC_UNAVAILABLE, -EAGAIN},
        {"28", GRPC_RESOURCE_EXHAUSTED, -EFBIG},
        {"95", GRPC_UNIMPLEMENTED, -EOPNOTSUPP},
        {"5", GRPC_UNKNOWN, -EIO},
        {"110", GRPC_DEADLINE_EXCEEDED, -ETIMEDOUT},
        {"125", GRPC_CANCELLED, -ECANCELED},
    };
    struct echo *echo = echo_start((struct grpc_server_options){0});
    struct grpc_channel *channel = echo_dial(echo);
    size_t i;

    (void)state;
    for (i = 0; i < ARRAY_LEN(rows); i++) {
        struct grpc_status status = {.code = -1};
        struct err err = ERR_NONE;
        char out[64];

        assert_int_equal(call(channel, "/test.Echo/Fail", rows[i].number, out, &status, &err),
                         rows[i].rc);
        assert_int_equal(status.code, rows[i].status);
        assert_string_equal(status.text, "failed as asked: 100% \xc3\xa4\n");
        assert_string_equal(err_text(&err), status.text);
        assert_int_equal(err.code, rows[i].rc);
    }
    grpc_channel_close(channel);
    echo_stop(echo);
}

static void an_unknown_method_is_unimplemented(void **state)
{
    struct echo *echo = echo_start((struct grpc_server_options){0});
    struct grpc_channel *channel = echo_dial(echo);
    struct grpc_status status = {.code = -1};
    char out[64];

    (void)state;
    assert_int_equal(call(channel, "/test.Echo/Sa", "x", out, &status, NULL), -EOPNOTSUPP);
    assert_int_equal(status.code, GRPC_UNIMPLEMENTED);
    grpc_channel_close(channel);
    echo_stop(echo);
}

static int collect(void *arg, struct bytes message, struct err *err)
{
    (void)err;
    return buf_add(arg, message.data, message.len);
}

static int stop_at_two(void *arg, struct bytes message, struct err *err)
{
    (void)arg;
    return message.data[0] == '2' ? err_set(err, -EINTR, "enough") : 0;
}

static void a_stream_of_replies_comes_in_order(void **state)
{
    struct echo *echo = echo_start((struct grpc_server_options){0});
    struct grpc_channel *channel = echo_dial(echo);
    SCOPED(buf_value) struct buf got = BUF_EMPTY;
    struct grpc_request request = {.path = "/test.Echo/Count"};
    struct grpc_request none = {.path = "/test.Echo/Nothing"};
    struct grpc_status status = {.code = -1};
    struct err err = ERR_NONE;
    char out[64];

    (void)state;
    assert_ok(grpc_server_stream(channel, &request, collect, &got, &status, NULL));
    assert_string_equal(buf_str(&got), "01234");
    assert_int_equal(status.code, GRPC_OK);
    assert_ok(grpc_server_stream(channel, &none, collect, &got, NULL, NULL));
    assert_string_equal(buf_str(&got), "01234");
    /* Whoever has enough says so, and the channel is as good as before. */
    assert_int_equal(grpc_server_stream(channel, &request, stop_at_two, NULL, NULL, &err), -EINTR);
    assert_string_equal(err_text(&err), "enough");
    assert_ok(call(channel, "/test.Echo/Say", "again", out, NULL, NULL));
    assert_string_equal(out, "again");
    grpc_channel_close(channel);
    echo_stop(echo);
}

static void replies_before_an_error_are_delivered(void **state)
{
    struct echo *echo = echo_start((struct grpc_server_options){0});
    struct grpc_channel *channel = echo_dial(echo);
    SCOPED(buf_value) struct buf got = BUF_EMPTY;
    struct grpc_request request = {.path = "/test.Echo/FailLate"};
    struct err err = ERR_NONE;

    (void)state;
    assert_int_equal(grpc_server_stream(channel, &request, collect, &got, NULL, &err), -ENOENT);
    assert_string_equal(buf_str(&got), "early");
    assert_string_equal(err_text(&err), "late");
    grpc_channel_close(channel);
    echo_stop(echo);
}

static void a_unary_call_refuses_no_answer_and_two(void **state)
{
    struct echo *echo = echo_start((struct grpc_server_options){0});
    struct grpc_channel *channel = echo_dial(echo);
    struct grpc_status status = {.code = -1};
    char out[64];

    (void)state;
    assert_int_equal(call(channel, "/test.Echo/Nothing", "", out, &status, NULL), -EPROTO);
    assert_int_equal(status.code, GRPC_INTERNAL);
    assert_int_equal(call(channel, "/test.Echo/Count", "", out, &status, NULL), -EPROTO);
    grpc_channel_close(channel);
    echo_stop(echo);
}

static void metadata_reaches_the_handler(void **state)
{
    struct echo *echo = echo_start((struct grpc_server_options){0});
    struct grpc_channel *channel = echo_dial(echo);
    SCOPED(text_map) struct text_map metadata = TEXT_MAP_EMPTY;
    SCOPED(buf_value) struct buf got = BUF_EMPTY;
    struct grpc_request request = {
        .path = "/test.Echo/Header",
        .metadata = &metadata,
        .message = bytes_of_str("containerd-namespace"),
    };

    (void)state;
    assert_ok(text_map_set(&metadata, "containerd-namespace", "finch"));
    assert_ok(grpc_unary(channel, &request, &got, NULL, NULL));
    assert_string_equal(buf_str(&got), "finch");
    request.message = bytes_of_str("containerd-lease");
    assert_int_equal(grpc_unary(channel, &request, &got, NULL, NULL), -ENOENT);
    assert_ok(text_map_set(&metadata, "Upper", "x"));
    assert_int_equal(grpc_unary(channel, &request, &got, NULL, NULL), -EINVAL);
    text_map_remove(&metadata, "Upper");
    assert_ok(text_map_set(&metadata, "x", "two\nlines"));
    assert_int_equal(grpc_unary(channel, &request, &got, NULL, NULL), -EINVAL);
    grpc_channel_close(channel);
    echo_stop(echo);
}

static void the_largest_message_passes_and_a_larger_one_does_not(void **state)
{
    struct echo *echo = echo_start((struct grpc_server_options){0});
    struct grpc_channel *channel = echo_dial(echo);
    SCOPED(buf_value) struct buf big = BUF_EMPTY;
    SCOPED(buf_value) struct buf got = BUF_EMPTY;
    struct grpc_request request = {.path = "/test.Echo/Say",
                                   .deadline_ms = clock_mono_ms() + 30000};
    struct grpc_status status = {.code = -1};
    struct err err = ERR_NONE;
    char out[64];

    (void)state;
    assert_ok(buf_add_zeros(&big, GRPC_MESSAGE_MAX_BYTES + 1));
    big.data[GRPC_MESSAGE_MAX_BYTES - 1] = 7;
    request.message = bytes_of(big.data, GRPC_MESSAGE_MAX_BYTES);
    assert_ok(grpc_unary(channel, &request, &got, &status, &err));
    assert_int_equal(got.len, GRPC_MESSAGE_MAX_BYTES);
    assert_memory_equal(got.data, big.data, GRPC_MESSAGE_MAX_BYTES);

    request.message = buf_bytes(&big);
    assert_int_equal(grpc_unary(channel, &request, &got, &status, &err), -EFBIG);
    assert_int_equal(status.code, GRPC_RESOURCE_EXHAUSTED);
    assert_ok(call(channel, "/test.Echo/Say", "still connected", out, NULL, NULL));
    assert_string_equal(out, "still connected");
    grpc_channel_close(channel);
    echo_stop(echo);
}

static void a_message_larger_than_the_client_takes_is_refused(void **state)
{
    struct echo *echo = echo_start((struct grpc_server_options){0});
    struct grpc_channel_options options = {.address = echo->path, .max_message_bytes = 4};
    struct grpc_channel *channel = NULL;
    struct grpc_status status = {.code = -1};
    char out[64];

    (void)state;
    assert_ok(grpc_channel_open(&options, &channel, NULL));
    assert_ok(call(channel, "/test.Echo/Say", "four", out, NULL, NULL));
    assert_int_equal(call(channel, "/test.Echo/Say", "fives", out, &status, NULL), -EFBIG);
    assert_int_equal(status.code, GRPC_RESOURCE_EXHAUSTED);
    grpc_channel_close(channel);
    echo_stop(echo);
}

static void a_deadline_ends_the_call_on_both_sides(void **state)
{
    struct echo *echo = echo_start((struct grpc_server_options){0});
    struct grpc_channel *channel = echo_dial(echo);
    SCOPED(buf_value) struct buf got = BUF_EMPTY;
    struct grpc_request request = {.path = "/test.Echo/Wait", .deadline_ms = clock_mono_ms() + 100};
    struct grpc_status status = {.code = -1};
    int64_t start_ms = clock_mono_ms();
    char out[64];

    (void)state;
    assert_int_equal(grpc_unary(channel, &request, &got, &status, NULL), -ETIMEDOUT);
    assert_int_equal(status.code, GRPC_DEADLINE_EXCEEDED);
    assert_true(clock_mono_ms() - start_ms >= 99);
    echo_await(&echo->cancelled, 1);
    assert_ok(call(channel, "/test.Echo/Say", "x", out, NULL, NULL));
    /* One that has passed already is not even sent. */
    request.deadline_ms = clock_mono_ms() - 1;
    assert_int_equal(grpc_unary(channel, &request, &got, &status, NULL), -ETIMEDOUT);
    grpc_channel_close(channel);
    echo_stop(echo);
}

static void closing_a_stream_cancels_its_call(void **state)
{
    struct echo *echo = echo_start((struct grpc_server_options){0});
    struct grpc_channel *channel = echo_dial(echo);
    struct grpc_request request = {.path = "/test.Echo/Wait"};
    struct grpc_stream *stream = NULL;
    char out[64];

    (void)state;
    assert_ok(grpc_stream_open(channel, &request, &stream, NULL));
    assert_ok(grpc_stream_send(stream, bytes_of_str(""), NULL));
    grpc_stream_close_send(stream);
    assert_ok(call(channel, "/test.Echo/Say", "beside", out, NULL, NULL));
    assert_string_equal(out, "beside");
    echo_await(&echo->running, 1);
    grpc_stream_close(stream);
    echo_await(&echo->cancelled, 1);
    grpc_channel_close(channel);
    echo_stop(echo);
}

static void a_client_that_hangs_up_cancels_its_calls(void **state)
{
    struct echo *echo = echo_start((struct grpc_server_options){0});
    struct grpc_channel *channel = echo_dial(echo);
    struct grpc_request request = {.path = "/test.Echo/Wait", .step_timeout_ms = 20};
    struct grpc_stream *stream = NULL;

    (void)state;
    assert_ok(grpc_stream_open(channel, &request, &stream, NULL));
    assert_ok(grpc_stream_send(stream, bytes_of_str(""), NULL));
    grpc_stream_close_send(stream);
    {
        SCOPED(buf_value) struct buf got = BUF_EMPTY;
        struct grpc_status status;

        assert_int_equal(grpc_stream_recv(stream, &got, &status, NULL), -ETIMEDOUT);
    }
    grpc_stream_close(stream);
    grpc_channel_close(channel);
    echo_await(&echo->cancelled, 1);
    echo_stop(echo);
}

struct canceller {
    struct echo *echo;
    struct grpc_channel *channel;
};

static void *cancel_what_runs(void *arg)
{
    const struct canceller *canceller = arg;

    echo_await(&canceller->echo->running, 1);
    grpc_channel_cancel(canceller->channel);
    return NULL;
}

static void cancelling_a_channel_wakes_its_caller(void **state)
{
    struct echo *echo = echo_start((struct grpc_server_options){0});
    struct grpc_channel *channel = echo_dial(echo);
    struct canceller canceller = {echo, channel};
    struct grpc_status status = {.code = -1};
    pthread_t thread;
    char out[64];

    (void)state;
    assert_ok(thread_start(&thread, "canceller", cancel_what_runs, &canceller));
    assert_int_equal(call(channel, "/test.Echo/Wait", "", out, &status, NULL), -ECANCELED);
    assert_int_equal(status.code, GRPC_CANCELLED);
    assert_int_equal(call(channel, "/test.Echo/Say", "x", out, NULL, NULL), -ECANCELED);
    assert_int_equal(pthread_join(thread, NULL), 0);
    echo_await(&echo->cancelled, 1);
    grpc_channel_close(channel);
    echo_stop(echo);
}

/* 200 calls on one connection, all answered only when all have arrived: no handler keeps another
 * one waiting. */
static void two_hundred_calls_run_at_once(void **state)
{
    enum { CALLS = 200 };
    struct echo *echo = echo_start((struct grpc_server_options){0});
    struct grpc_channel *channel = echo_dial(echo);
    struct grpc_channel *other = echo_dial(echo);
    struct grpc_request request = {.path = "/test.Echo/Wait",
                                   .deadline_ms = clock_mono_ms() + 30000};
    struct grpc_stream *streams[CALLS] = {NULL};
    SCOPED(buf_value) struct buf got = BUF_EMPTY;
    char out[64];
    int i;

    (void)state;
    for (i = 0; i < CALLS; i++) {
        assert_ok(grpc_stream_open(channel, &request, &streams[i], NULL));
        assert_ok(grpc_stream_send(streams[i], bytes_of_str("x"), NULL));
        grpc_stream_close_send(streams[i]);
    }
    assert_ok(call(channel, "/test.Echo/Say", "not blocked", out, NULL, NULL));
    assert_ok(call(other, "/test.Echo/Say", "not blocked", out, NULL, NULL));
    echo_await(&echo->running, CALLS);
    atomic_store(&echo->release, true);
    for (i = 0; i < CALLS; i++) {
        assert_int_equal(grpc_stream_recv(streams[i], &got, NULL, NULL), 1);
        assert_int_equal(grpc_stream_recv(streams[i], &got, NULL, NULL), 0);
        grpc_stream_close(streams[i]);
    }
    grpc_channel_close(channel);
    grpc_channel_close(other);
    echo_stop(echo);
}

/* A reader that takes its time gets all; the server makes no more than a little ahead of it. */
static void a_slow_reader_holds_the_server_back(void **state)
{
    struct echo *echo = echo_start((struct grpc_server_options){0});
    struct grpc_channel *channel = echo_dial(echo);
    struct grpc_request request = {.path = "/test.Echo/Flood",
                                   .deadline_ms = clock_mono_ms() + 30000};
    struct grpc_stream *stream = NULL;
    SCOPED(buf_value) struct buf got = BUF_EMPTY;
    int64_t end_ms;
    char out[64];
    int i;

    (void)state;
    assert_ok(grpc_stream_open(channel, &request, &stream, NULL));
    assert_ok(grpc_stream_send(stream, bytes_of_str(""), NULL));
    grpc_stream_close_send(stream);
    /* Other calls move the connection, and with it whatever the server sends unasked. */
    for (end_ms = clock_mono_ms() + 300; clock_mono_ms() < end_ms;)
        assert_ok(call(channel, "/test.Echo/Say", "beside", out, NULL, NULL));
    assert_in_range(atomic_load(&echo->replies), 1, 8);
    for (i = 0; i < 64; i++) {
        assert_int_equal(grpc_stream_recv(stream, &got, NULL, NULL), 1);
        assert_int_equal(got.len, 1024 * 1024);
    }
    assert_int_equal(grpc_stream_recv(stream, &got, NULL, NULL), 0);
    grpc_stream_close(stream);
    grpc_channel_close(channel);
    echo_stop(echo);
}

static void a_reader_that_stops_loses_its_call_alone(void **state)
{
    struct echo *echo = echo_start((struct grpc_server_options){.reply_stall_ms = 100});
    struct grpc_channel *channel = echo_dial(echo);
    struct grpc_request request = {.path = "/test.Echo/Flood",
                                   .deadline_ms = clock_mono_ms() + 30000};
    struct grpc_stream *stream = NULL;
    SCOPED(buf_value) struct buf got = BUF_EMPTY;
    struct grpc_status status = {.code = -1};
    int64_t end_ms = clock_mono_ms() + 400;
    char out[64];
    int rc;

    (void)state;
    assert_ok(grpc_stream_open(channel, &request, &stream, NULL));
    assert_ok(grpc_stream_send(stream, bytes_of_str(""), NULL));
    grpc_stream_close_send(stream);
    while (clock_mono_ms() < end_ms)
        assert_ok(call(channel, "/test.Echo/Say", "beside", out, NULL, NULL));
    do
        rc = grpc_stream_recv(stream, &got, &status, NULL);
    while (rc == 1);
    assert_int_equal(rc, -ECANCELED);
    assert_int_equal(status.code, GRPC_CANCELLED);
    grpc_stream_close(stream);
    grpc_channel_close(channel);
    echo_stop(echo);
}

static void a_channel_dials_again_after_the_server_came_back(void **state)
{
    struct echo *echo = echo_start((struct grpc_server_options){0});
    struct grpc_channel *channel = echo_dial(echo);
    struct grpc_server_options options = {.services = &echo->service, .service_count = 1};
    char out[64];
    int fd = -1;

    (void)state;
    assert_ok(call(channel, "/test.Echo/Say", "one", out, NULL, NULL));
    grpc_server_stop(echo->server);
    assert_int_equal(pthread_join(echo->thread, NULL), 0);
    grpc_server_free(echo->server);
    assert_int_equal(call(channel, "/test.Echo/Say", "two", out, NULL, NULL), -EAGAIN);

    assert_ok(grpc_server_new(&options, &echo->server, NULL));
    assert_ok(grpc_listen_unix(echo->path, 0600, &fd, NULL)); /* replaces the stale socket */
    assert_ok(grpc_server_add_listener(echo->server, &fd, NULL));
    assert_ok(thread_start(&echo->thread, "echo-loop", echo_main, echo));
    assert_ok(call(channel, "/test.Echo/Say", "three", out, NULL, NULL));
    assert_string_equal(out, "three");
    grpc_channel_close(channel);
    echo_stop(echo);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_gets_its_answer),
        cmocka_unit_test(an_error_keeps_its_code_and_text),
        cmocka_unit_test(an_unknown_method_is_unimplemented),
        cmocka_unit_test(a_stream_of_replies_comes_in_order),
        cmocka_unit_test(replies_before_an_error_are_delivered),
        cmocka_unit_test(a_unary_call_refuses_no_answer_and_two),
        cmocka_unit_test(metadata_reaches_the_handler),
        cmocka_unit_test(the_largest_message_passes_and_a_larger_one_does_not),
        cmocka_unit_test(a_message_larger_than_the_client_takes_is_refused),
        cmocka_unit_test(a_deadline_ends_the_call_on_both_sides),
        cmocka_unit_test(closing_a_stream_cancels_its_call),
        cmocka_unit_test(a_client_that_hangs_up_cancels_its_calls),
        cmocka_unit_test(cancelling_a_channel_wakes_its_caller),
        cmocka_unit_test(two_hundred_calls_run_at_once),
        cmocka_unit_test(a_slow_reader_holds_the_server_back),
        cmocka_unit_test(a_reader_that_stops_loses_its_call_alone),
        cmocka_unit_test(a_channel_dials_again_after_the_server_came_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
