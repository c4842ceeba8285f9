/* SPDX-License-Identifier: Apache-2.0 */
/* test_grpc_parked.c – calls that stay open after their handler: without a thread, until the client
 * or the server ends them. */
#include "grpc_echo.h"

enum { MANY = 300 };

static struct grpc_stream *park(struct grpc_channel *channel)
{
    const struct grpc_request request = {.path = "/test.Echo/Park", .step_timeout_ms = 20000};
    struct grpc_stream *stream = NULL;
    struct err err = ERR_NONE;

    assert_ok(grpc_stream_open(channel, &request, &stream, &err));
    assert_ok(grpc_stream_send(stream, bytes_of_str("hi"), &err));
    grpc_stream_close_send(stream);
    return stream;
}

static void expect(struct grpc_stream *stream, const char *text)
{
    SCOPED(buf_value) struct buf message = BUF_EMPTY;
    struct err err = ERR_NONE;

    assert_int_equal(grpc_stream_recv(stream, &message, NULL, &err), 1);
    assert_string_equal(buf_str(&message), text);
}

static int say(struct grpc_channel *channel)
{
    SCOPED(buf_value) struct buf response = BUF_EMPTY;
    const struct grpc_request request = {.path = "/test.Echo/Say",
                                         .message = bytes_of_str("x"),
                                         .deadline_ms = clock_mono_ms() + 20000};

    return grpc_unary(channel, &request, &response, NULL, NULL);
}

static void parked_calls_take_no_thread(void **state)
{
    struct echo *echo = echo_start((struct grpc_server_options){.max_threads = 1});
    struct grpc_channel *channel = echo_dial(echo);
    struct grpc_stream *streams[MANY];

    (void)state;
    for (size_t i = 0; i < MANY; i++) {
        streams[i] = park(channel);
        expect(streams[i], "hi");
    }
    assert_ok(say(channel));
    for (size_t i = 0; i < MANY; i++)
        grpc_stream_close(streams[i]);
    assert_ok(say(channel));
    grpc_channel_close(channel);
    echo_stop(echo);
}

static void hundreds_of_connections_with_parked_calls_leave_room(void **state)
{
    struct echo *echo = echo_start((struct grpc_server_options){.max_threads = 4});
    struct grpc_channel *channels[MANY], *other = echo_dial(echo);
    struct grpc_stream *streams[MANY];

    (void)state;
    for (size_t i = 0; i < MANY; i++) {
        channels[i] = echo_dial(echo);
        streams[i] = park(channels[i]);
        expect(streams[i], "hi");
    }
    assert_ok(say(other));
    for (size_t i = 0; i < MANY; i++) {
        grpc_stream_close(streams[i]);
        grpc_channel_close(channels[i]);
    }
    grpc_channel_close(other);
    echo_stop(echo);
}

/* A refused one is told so at once. */
static bool stays_open(struct grpc_channel *channel)
{
    const struct grpc_request request = {.path = "/test.Echo/Park", .step_timeout_ms = 100};
    SCOPED(grpc_stream) struct grpc_stream *stream = NULL;
    SCOPED(buf_value) struct buf message = BUF_EMPTY;
    struct err err = ERR_NONE;
    int rc;

    assert_ok(grpc_stream_open(channel, &request, &stream, &err));
    assert_ok(grpc_stream_send(stream, bytes_of_str("hi"), &err));
    grpc_stream_close_send(stream);
    while ((rc = grpc_stream_recv(stream, &message, NULL, &err)) == 1)
        ;
    return rc == -ETIMEDOUT;
}

static void more_than_the_bound_are_refused_until_others_end(void **state)
{
    struct echo *echo = echo_start((struct grpc_server_options){0});
    struct grpc_channel *channels[2] = {echo_dial(echo), echo_dial(echo)};
    struct grpc_stream *streams[GRPC_PARKED_MAX + 1];
    SCOPED(buf_value) struct buf message = BUF_EMPTY;
    struct grpc_status status = {.code = -1};
    bool is_parked = false;

    (void)state;
    for (size_t i = 0; i < GRPC_PARKED_MAX; i++) {
        streams[i] = park(channels[i % 2]);
        expect(streams[i], "hi");
    }
    streams[GRPC_PARKED_MAX] = park(channels[0]);
    while (grpc_stream_recv(streams[GRPC_PARKED_MAX], &message, &status, NULL) == 1)
        ;
    assert_int_equal(status.code, GRPC_RESOURCE_EXHAUSTED);
    grpc_stream_close(streams[0]);
    for (int tries = 0; tries < 1000 && !is_parked; tries++) /* the server must hear of it */
        is_parked = stays_open(channels[0]);
    assert_true(is_parked);
    for (size_t i = 1; i <= GRPC_PARKED_MAX; i++)
        grpc_stream_close(streams[i]);
    grpc_channel_close(channels[0]);
    grpc_channel_close(channels[1]);
    echo_stop(echo);
}

static void parked_calls_say_their_last_when_the_server_stops(void **state)
{
    struct echo *echo = echo_start((struct grpc_server_options){.stop_grace_ms = 60000});
    struct grpc_channel *channel = echo_dial(echo);
    struct grpc_stream *streams[20];
    SCOPED(buf_value) struct buf message = BUF_EMPTY;
    int64_t started_ms = clock_mono_ms();

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(streams); i++) {
        streams[i] = park(channel);
        expect(streams[i], "hi");
    }
    grpc_server_stop(echo->server);
    for (size_t i = 0; i < ARRAY_LEN(streams); i++) {
        struct grpc_status status = {.code = -1};

        expect(streams[i], "bye");
        assert_int_equal(grpc_stream_recv(streams[i], &message, &status, NULL), 0);
        assert_int_equal(status.code, GRPC_OK);
        grpc_stream_close(streams[i]);
    }
    grpc_channel_close(channel);
    echo_stop(echo);
    assert_true(clock_mono_ms() - started_ms < 50000); /* nobody waited for the grace to end */
}

static void a_deadline_ends_a_parked_call(void **state)
{
    struct echo *echo = echo_start((struct grpc_server_options){0});
    struct grpc_channel *channel = echo_dial(echo);
    const struct grpc_request request = {.path = "/test.Echo/Park",
                                         .deadline_ms = clock_mono_ms() + 300};
    struct grpc_status status = {.code = -1};
    struct grpc_stream *stream = NULL;
    SCOPED(buf_value) struct buf message = BUF_EMPTY;
    struct err err = ERR_NONE;
    int rc;

    (void)state;
    assert_ok(grpc_stream_open(channel, &request, &stream, &err));
    assert_ok(grpc_stream_send(stream, bytes_of_str("hi"), &err));
    grpc_stream_close_send(stream);
    while ((rc = grpc_stream_recv(stream, &message, &status, &err)) == 1)
        ;
    assert_int_equal(rc, -ETIMEDOUT);
    assert_int_equal(status.code, GRPC_DEADLINE_EXCEEDED);
    grpc_stream_close(stream);
    grpc_channel_close(channel);
    echo_stop(echo);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parked_calls_take_no_thread),
        cmocka_unit_test(hundreds_of_connections_with_parked_calls_leave_room),
        cmocka_unit_test(more_than_the_bound_are_refused_until_others_end),
        cmocka_unit_test(parked_calls_say_their_last_when_the_server_stops),
        cmocka_unit_test(a_deadline_ends_a_parked_call),
    };
    return cmocka_run_group_tests_name("grpc parked", tests, NULL, NULL);
}
