/* SPDX-License-Identifier: Apache-2.0 */
/* test_grpc_socket.c – listening, dialing, and peers that do not behave, over unix sockets. */
#include "grpc_echo.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

static int say(struct grpc_channel *channel, struct grpc_status *status, struct err *err)
{
    SCOPED(buf_value) struct buf response = BUF_EMPTY;
    struct grpc_request request = {.path = "/test.Echo/Say",
                                   .message = bytes_of_str("hello"),
                                   .deadline_ms = clock_mono_ms() + 10000};

    return grpc_unary(channel, &request, &response, status, err);
}

static struct grpc_channel *dial(const char *address, int64_t timeout_ms)
{
    struct grpc_channel_options options = {.address = address, .connect_timeout_ms = timeout_ms};
    struct grpc_channel *channel = NULL;

    assert_ok(grpc_channel_open(&options, &channel, NULL));
    return channel;
}

/* ---- addresses and listeners ----------------------------------------------------------------- */

static void addresses_are_paths_with_or_without_a_scheme(void **state)
{
    struct echo *echo = echo_start((struct grpc_server_options){0});
    char address[128];
    SCOPED(grpc_channel) struct grpc_channel *slashes = NULL;
    SCOPED(grpc_channel) struct grpc_channel *plain = NULL;

    (void)state;
    (void)snprintf(address, sizeof(address), "unix://%s", echo->path);
    slashes = dial(address, 1000);
    assert_ok(say(slashes, NULL, NULL));
    (void)snprintf(address, sizeof(address), "unix:%s", echo->path);
    plain = dial(address, 1000);
    assert_ok(say(plain, NULL, NULL));
    echo_stop(echo);
}

static void addresses_that_are_no_paths_are_refused(void **state)
{
    static const char *const rows[] = {
        "",
        "localhost:1",
        "unix://relative",
        "tcp://127.0.0.1:1",
        "unix:",
        ("/tmp/a-path-that-is-longer-than-the-hundred-and-seven-bytes-which-the-address-of-a-unix-"
         "socket-has-room-for/sock")};
    size_t i;

    (void)state;
    for (i = 0; i < ARRAY_LEN(rows); i++) {
        struct grpc_channel_options options = {.address = rows[i]};
        struct grpc_channel *channel = NULL;

        assert_int_equal(grpc_channel_open(&options, &channel, NULL), -EINVAL);
        assert_null(channel);
    }
}

static void a_socket_that_is_in_use_is_not_taken(void **state)
{
    struct echo *echo = echo_start((struct grpc_server_options){0});
    int fd = -1;

    (void)state;
    assert_int_equal(grpc_listen_unix(echo->path, 0600, &fd, NULL), -EBUSY);
    assert_int_equal(fd, -1);
    echo_stop(echo);
}

static void the_socket_has_the_mode_that_was_asked_for(void **state)
{
    char dir[] = "/tmp/soci-grpc.XXXXXX";
    char path[64], file[64];
    struct stat st;
    int fd = -1;

    (void)state;
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof(path), "%s/a/b/c.sock", dir);
    assert_ok(grpc_listen_unix(path, 0660, &fd, NULL));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0660);
    assert_int_equal(close(fd), 0);
    /* What is no socket is not removed. */
    (void)snprintf(file, sizeof(file), "%s/file", dir);
    assert_ok(file_replace(file, bytes_of_str("x"), 0600, NULL));
    assert_true(grpc_listen_unix(file, 0660, &fd, NULL) < 0);
    assert_true(path_exists(file));
    assert_ok(dir_remove_all(dir, NULL));
}

static void only_a_listening_socket_is_a_listener(void **state)
{
    struct grpc_server_options options = {.max_threads = 1};
    SCOPED(grpc_server) struct grpc_server *server = NULL;
    int pair[2];

    (void)state;
    assert_ok(grpc_server_new(&options, &server, NULL));
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_int_equal(grpc_server_add_listener(server, &pair[0], NULL), -EINVAL);
    assert_int_equal(pair[0], -1); /* taken and closed */
    assert_int_equal(close(pair[1]), 0);
}

static void a_server_may_be_stopped_before_it_runs(void **state)
{
    struct grpc_server_options options = {.max_threads = 1};
    SCOPED(grpc_server) struct grpc_server *server = NULL;

    (void)state;
    assert_ok(grpc_server_new(&options, &server, NULL));
    grpc_server_stop(server);
    assert_ok(grpc_server_run(server, NULL));
}

static void several_listeners_are_served(void **state)
{
    struct echo *echo = calloc(1, sizeof(*echo));
    const struct grpc_server_options options = {.services = &echo->service, .service_count = 1};
    char paths[2][96];
    int i;

    (void)state;
    assert_non_null(echo);
    (void)snprintf(echo->dir, sizeof(echo->dir), "/tmp/soci-grpc.XXXXXX");
    assert_non_null(mkdtemp(echo->dir));
    echo->service = echo_service(echo);
    assert_ok(grpc_server_new(&options, &echo->server, NULL));
    for (i = 0; i < 2; i++) {
        int fd = -1;

        (void)snprintf(paths[i], sizeof(paths[i]), "%s/%d.sock", echo->dir, i);
        assert_ok(grpc_listen_unix(paths[i], 0600, &fd, NULL));
        assert_ok(grpc_server_add_listener(echo->server, &fd, NULL));
    }
    assert_ok(thread_start(&echo->thread, "echo-loop", echo_main, echo));
    for (i = 0; i < 2; i++) {
        SCOPED(grpc_channel) struct grpc_channel *channel = dial(paths[i], 1000);

        assert_ok(say(channel, NULL, NULL));
    }
    echo_stop(echo);
}

/* ---- servers that do not answer -------------------------------------------------------------- */

static void a_missing_server_is_unavailable_with_a_known_text(void **state)
{
    SCOPED(grpc_channel) struct grpc_channel *channel = dial("/tmp/soci-grpc-none/sock", 60);
    struct grpc_status status = {.code = -1};
    struct err err = ERR_NONE;
    int64_t start_ms = clock_mono_ms();

    (void)state;
    assert_int_equal(say(channel, &status, &err), -EAGAIN);
    assert_string_equal(err_text(&err),
                        "connection error: desc = \"transport: Error while dialing: dial unix "
                        "/tmp/soci-grpc-none/sock: connect: no such file or directory\"");
    assert_int_equal(status.code, GRPC_UNAVAILABLE);
    assert_true(clock_mono_ms() - start_ms >= 59); /* it waited for one to come */
}

static void a_deadline_before_the_connection_is_worded_as_such(void **state)
{
    SCOPED(grpc_channel) struct grpc_channel *channel = dial("/tmp/soci-grpc-none/sock", 10000);
    SCOPED(buf_value) struct buf response = BUF_EMPTY;
    struct grpc_request request = {.path = "/x", .deadline_ms = clock_mono_ms() + 40};
    struct err err = ERR_NONE;

    (void)state;
    assert_int_equal(grpc_unary(channel, &request, &response, NULL, &err), -ETIMEDOUT);
    assert_non_null(strstr(
        err_text(&err),
        "context deadline exceeded while waiting for connections to become ready: connection "
        "error: desc = \"transport: Error while dialing: "));
}

struct late {
    char path[96];
    struct echo *echo;
    struct grpc_server_options options;
};

static void *start_late(void *arg)
{
    struct late *late = arg;

    clock_sleep_ms(60);
    late->echo = echo_start(late->options);
    if (rename(late->echo->path, late->path) < 0)
        abort();
    return NULL;
}

static void a_server_that_comes_in_time_is_found(void **state)
{
    struct late late = {.path = "/tmp/soci-grpc-late.sock"};
    SCOPED(grpc_channel) struct grpc_channel *channel = NULL;
    pthread_t thread;

    (void)state;
    (void)snprintf(late.path, sizeof(late.path), "/tmp/soci-grpc-late-%ld.sock", (long)getpid());
    channel = dial(late.path, 5000);
    assert_ok(thread_start(&thread, "late", start_late, &late));
    assert_ok(say(channel, NULL, NULL));
    assert_int_equal(pthread_join(thread, NULL), 0);
    (void)unlink(late.path);
    echo_stop(late.echo);
}

/* A server that says `text` to whoever comes and then hangs up, or waits when there is no text. */
struct liar {
    char path[96];
    int fd;
    const char *text;
    size_t len;
    pthread_t thread;
};

static void *lie(void *arg)
{
    struct liar *liar = arg;
    int fd = accept(liar->fd, NULL, NULL);
    char drain[4096];
    struct pollfd in = {.fd = fd, .events = POLLIN};

    if (liar->len > 0 && send(fd, liar->text, liar->len, MSG_NOSIGNAL) < 0)
        abort();
    while (liar->len == 0 && recv(fd, drain, sizeof(drain), 0) > 0)
        ;
    while (poll(&in, 1, 50) > 0 && recv(fd, drain, sizeof(drain), 0) > 0)
        ;
    (void)close(fd);
    return NULL;
}

static void a_server_that_does_not_speak_http2_is_an_error_in_time(void **state)
{
    /* The last is a proper SETTINGS frame, and then the end. */
    static const struct liar rows[] = {
        {.text = "HTTP/1.1 400 Bad Request\r\n\r\n", .len = 28},
        {.text = "", .len = 0},
        {.text = "\0\0\0\4\0\0\0\0\0", .len = 9},
        {.text = "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", .len = 10},
    };
    size_t i;

    (void)state;
    for (i = 0; i < ARRAY_LEN(rows); i++) {
        struct liar liar = rows[i];
        struct grpc_channel *channel;
        struct err err = ERR_NONE;

        (void)snprintf(liar.path, sizeof(liar.path), "/tmp/soci-grpc-liar-%ld.sock",
                       (long)getpid());
        assert_ok(grpc_listen_unix(liar.path, 0600, &liar.fd, NULL));
        assert_int_equal(fcntl(liar.fd, F_SETFL, 0), 0);
        assert_ok(thread_start(&liar.thread, "liar", lie, &liar));
        channel = dial(liar.path, 100);
        assert_int_equal(say(channel, NULL, &err), -EAGAIN);
        assert_true(text_has_prefix(err_text(&err), "connection error: desc = \"transport: "));
        grpc_channel_close(channel);
        assert_int_equal(pthread_join(liar.thread, NULL), 0);
        assert_int_equal(close(liar.fd), 0);
        assert_int_equal(unlink(liar.path), 0);
    }
}

/* ---- clients that do not behave -------------------------------------------------------------- */

static int connect_raw(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static bool is_hung_up(int fd)
{
    struct pollfd in = {.fd = fd, .events = POLLIN};
    char drain[4096];
    ssize_t len;

    do {
        if (poll(&in, 1, 5000) <= 0)
            return false;
        len = recv(fd, drain, sizeof(drain), 0);
    } while (len > 0);
    return true;
}

static void a_client_that_does_not_speak_http2_is_hung_up_on(void **state)
{
    struct echo *echo = echo_start((struct grpc_server_options){0});
    SCOPED(grpc_channel) struct grpc_channel *channel = echo_dial(echo);
    int fd = connect_raw(echo->path);

    (void)state;
    assert_int_equal(send(fd, "GET / HTTP/1.1\r\n\r\n", 18, MSG_NOSIGNAL), 18);
    assert_true(is_hung_up(fd));
    assert_int_equal(close(fd), 0);
    assert_ok(say(channel, NULL, NULL));
    echo_stop(echo);
}

/* It floods PINGs and reads none of the answers. */
static void a_client_that_only_writes_is_hung_up_on(void **state)
{
    struct echo *echo = echo_start((struct grpc_server_options){.reply_stall_ms = 200});
    SCOPED(grpc_channel) struct grpc_channel *channel = echo_dial(echo);
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";
    static const char ping[17] = "\0\0\10\6\0\0\0\0\0abcdefgh";
    int fd = connect_raw(echo->path);
    int64_t end_ms = clock_mono_ms() + 10000;
    ssize_t rc = 0;

    (void)state;
    assert_int_equal(send(fd, preface, sizeof(preface) - 1, MSG_NOSIGNAL), sizeof(preface) - 1);
    while (clock_mono_ms() < end_ms) {
        rc = send(fd, ping, sizeof(ping), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (rc < 0 && errno == EAGAIN)
            clock_sleep_ms(1);
        else if (rc < 0)
            break;
    }
    assert_int_equal(rc, -1);
    assert_true(errno == EPIPE || errno == ECONNRESET);
    assert_int_equal(close(fd), 0);
    assert_ok(say(channel, NULL, NULL));
    echo_stop(echo);
}

static void connections_beyond_the_bound_wait_for_room(void **state)
{
    struct echo *echo = echo_start((struct grpc_server_options){.max_connections = 2});
    struct grpc_channel *first = echo_dial(echo);
    struct grpc_channel *second = echo_dial(echo);
    struct grpc_channel *third = dial(echo->path, 100);
    int64_t deadline_ms = clock_mono_ms() + 10000;
    int rc;

    (void)state;
    assert_ok(say(first, NULL, NULL));
    assert_ok(say(second, NULL, NULL));
    assert_int_equal(say(third, NULL, NULL), -EAGAIN);
    grpc_channel_close(first);
    do /* that may take longer than it waits */
        rc = say(third, NULL, NULL);
    while (rc == -EAGAIN && clock_mono_ms() < deadline_ms);
    assert_ok(rc);
    grpc_channel_close(second);
    grpc_channel_close(third);
    echo_stop(echo);
}

/* ---- stopping -------------------------------------------------------------------------------- */

static void *release_later(void *arg)
{
    struct echo *echo = arg;

    echo_await(&echo->running, 1);
    grpc_server_stop(echo->server);
    clock_sleep_ms(50);
    atomic_store(&echo->release, true);
    return NULL;
}

static int wait_call(struct grpc_channel *channel, struct err *err)
{
    SCOPED(buf_value) struct buf response = BUF_EMPTY;
    struct grpc_request request = {.path = "/test.Echo/Wait",
                                   .deadline_ms = clock_mono_ms() + 10000};

    return grpc_unary(channel, &request, &response, NULL, err);
}

static void running_calls_end_well_when_the_server_stops(void **state)
{
    struct echo *echo = echo_start((struct grpc_server_options){0});
    SCOPED(grpc_channel) struct grpc_channel *channel = echo_dial(echo);
    struct err err = ERR_NONE;
    pthread_t thread;

    (void)state;
    assert_ok(thread_start(&thread, "release", release_later, echo));
    if (wait_call(channel, &err) < 0)
        fail_msg("%s", err_text(&err));
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(atomic_load(&echo->cancelled), 0);
    echo_stop(echo);
}

static void *stop_later(void *arg)
{
    struct echo *echo = arg;

    echo_await(&echo->running, 1);
    grpc_server_stop(echo->server);
    return NULL;
}

static void calls_that_outlast_the_grace_are_cancelled(void **state)
{
    struct echo *echo = echo_start((struct grpc_server_options){.stop_grace_ms = 30});
    SCOPED(grpc_channel) struct grpc_channel *channel = echo_dial(echo);
    pthread_t thread;

    (void)state;
    assert_ok(thread_start(&thread, "stop", stop_later, echo));
    assert_int_equal(wait_call(channel, NULL), -EAGAIN);
    assert_int_equal(pthread_join(thread, NULL), 0);
    echo_await(&echo->cancelled, 1);
    echo_stop(echo);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_paths_with_or_without_a_scheme),
        cmocka_unit_test(addresses_that_are_no_paths_are_refused),
        cmocka_unit_test(a_socket_that_is_in_use_is_not_taken),
        cmocka_unit_test(the_socket_has_the_mode_that_was_asked_for),
        cmocka_unit_test(only_a_listening_socket_is_a_listener),
        cmocka_unit_test(a_server_may_be_stopped_before_it_runs),
        cmocka_unit_test(several_listeners_are_served),
        cmocka_unit_test(a_missing_server_is_unavailable_with_a_known_text),
        cmocka_unit_test(a_deadline_before_the_connection_is_worded_as_such),
        cmocka_unit_test(a_server_that_comes_in_time_is_found),
        cmocka_unit_test(a_server_that_does_not_speak_http2_is_an_error_in_time),
        cmocka_unit_test(a_client_that_does_not_speak_http2_is_hung_up_on),
        cmocka_unit_test(a_client_that_only_writes_is_hung_up_on),
        cmocka_unit_test(connections_beyond_the_bound_wait_for_room),
        cmocka_unit_test(running_calls_end_well_when_the_server_stops),
        cmocka_unit_test(calls_that_outlast_the_grace_are_cancelled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
