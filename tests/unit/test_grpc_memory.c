/* SPDX-License-Identifier: Apache-2.0 */
/* test_grpc_memory.c – every allocation of a connection fails once: an error, no crash, nothing
 * leaks. */
#include "test.h"

#include "failing_malloc.h"
#include "grpc/client.h"
#include "grpc_host.h"

#include <sys/socket.h>

/* The server's side reads two requests and answers them; allocation `n` fails. Whether it came to
 * that. */
static bool serve(int n, struct bytes requests)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";
    struct host *host = host_new();
    bool failed;

    grpc_conn_free(TAKE(host->conn));
    fail_one_allocation(n);
    if (grpc_conn_new(&host->shared, &host->conn, NULL) == 0 &&
        host_input(host, bytes_of(preface, sizeof(preface) - 1)) == 0 &&
        host_input(host, requests) == 0) {
        host_run(host);
        (void)host_flush(host);
    }
    failed = stop_failing();
    assert_int_equal(host_free(host), 0);
    return failed;
}

static void a_server_survives_every_failing_allocation(void **state)
{
    SCOPED(buf) struct buf *requests = vector_load("grpc/two-calls.bin");
    int n = 0;

    (void)state;
    while (serve(n, bytes_of(requests->data + 1, requests->len - 1)))
        n++;
    assert_in_range(n, 10, 1000);
}

static void ask(struct grpc_channel *channel, int peer, struct bytes answers)
{
    const struct grpc_request request = {.path = "/t.T/Say"};
    SCOPED(grpc_stream) struct grpc_stream *first = NULL;
    SCOPED(grpc_stream) struct grpc_stream *second = NULL;
    SCOPED(buf_value) struct buf message = BUF_EMPTY;
    int rc;

    if (grpc_client_session_new(channel) < 0 ||
        grpc_stream_open(channel, &request, &first, NULL) < 0 ||
        grpc_stream_open(channel, &request, &second, NULL) < 0)
        return;
    rc = grpc_stream_send(second, bytes_of("hello", 5), NULL);
    if (send(peer, answers.data, answers.len, MSG_NOSIGNAL) < 0 || shutdown(peer, SHUT_WR) < 0)
        abort();
    grpc_stream_close_send(second);
    do
        rc = grpc_stream_recv(second, &message, NULL, NULL);
    while (rc == 1);
}

/* The client's side makes two calls, which `answers` answers; allocation `n` fails. Whether it came
 * to that. */
static bool call(int n, struct bytes answers)
{
    struct grpc_channel_options options = {.address = "/nowhere", .connect_timeout_ms = 1};
    struct grpc_channel *channel = NULL;
    bool failed;
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    fail_one_allocation(n);
    if (grpc_channel_open(&options, &channel, NULL) < 0) {
        assert_int_equal(close(pair[0]), 0);
    } else {
        channel->fd = pair[0];
        channel->is_ready = true;
        ask(channel, pair[1], answers);
    }
    failed = stop_failing();
    grpc_channel_close(channel);
    assert_int_equal(close(pair[1]), 0);
    return failed;
}

static void a_client_survives_every_failing_allocation(void **state)
{
    SCOPED(buf) struct buf *answers = vector_load("grpc-client/both-answered.bin");
    int n = 0;

    (void)state;
    while (call(n, bytes_of(answers->data + 1, answers->len - 1)))
        n++;
    assert_in_range(n, 10, 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_server_survives_every_failing_allocation),
        cmocka_unit_test(a_client_survives_every_failing_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
