/* SPDX-License-Identifier: Apache-2.0 */
/* test_base_socket.c – sockets, and waiting for them, as Linux, macOS and Windows have them. */
#include "test.h"

#include "base/clock.h"
#include "base/socket.h"

#include <errno.h>
#include <pthread.h>

/* Long enough for a machine that is busy. */
enum { LONG_MS = 30000, SHORT_MS = 200 };

/* ---- two ends -------------------------------------------------------------------------------- */

static int listen_somewhere(struct sockaddr_in *ret)
{
    socklen_t len = sizeof(*ret);
    int fd;

    assert_ok(socket_start());
    fd = socket_open(AF_INET, SOCK_STREAM);
    assert_true(fd >= 0);
    *ret = (struct sockaddr_in){.sin_family = AF_INET};
    ret->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(fd, (const struct sockaddr *)ret, sizeof(*ret)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)ret, &len), 0);
    assert_int_equal(listen(fd, 8), 0);
    return fd;
}

static short wait_for(int fd, short events, int timeout_ms)
{
    struct pollfd one = {.fd = fd, .events = events};
    int ready = socket_poll(&one, 1, timeout_ms);

    assert_true(ready >= 0);
    return (short)(ready == 0 ? 0 : one.revents);
}

static int connect_to(const struct sockaddr_in *address)
{
    int fd = socket_open(AF_INET, SOCK_STREAM);
    int rc;

    assert_true(fd >= 0);
    rc = socket_connect(fd, (const struct sockaddr *)address, sizeof(*address));
    if (rc == -EINPROGRESS) {
        assert_true(wait_for(fd, POLLOUT, LONG_MS) != 0);
        rc = socket_connect_result(fd);
    }
    if (rc < 0) {
        socket_close(fd);
        return rc;
    }
    return fd;
}

struct pair {
    int ours, theirs;
};

static int open_pair(void **state)
{
    static struct pair pair;
    struct sockaddr_in address;
    int listener = listen_somewhere(&address);

    pair.ours = connect_to(&address);
    assert_true(pair.ours >= 0);
    assert_true((wait_for(listener, POLLIN, LONG_MS) & POLLIN) != 0);
    pair.theirs = (int)accept(listener, NULL, NULL);
    assert_true(pair.theirs >= 0);
    socket_close(listener);
    *state = &pair;
    return 0;
}

static int close_pair(void **state)
{
    struct pair *pair = *state;

    socket_close(pair->ours);
    socket_close(pair->theirs);
    return 0;
}

static void give(int fd, size_t count)
{
    for (size_t i = 0; i < count; i++)
        assert_int_equal(send(fd, "x", 1, 0), 1);
}

static void take(int fd)
{
    char c;

    assert_int_equal(recv(fd, &c, 1, 0), 1);
}

/* ---- waiting --------------------------------------------------------------------------------- */

static void what_was_not_read_is_told_again(void **state)
{
    const struct pair *pair = *state;

    give(pair->theirs, 3);
    for (int i = 0; i < 3; i++) {
        assert_true((wait_for(pair->ours, POLLIN, LONG_MS) & POLLIN) != 0);
        assert_true((wait_for(pair->ours, POLLIN, LONG_MS) & POLLIN) != 0);
        take(pair->ours);
    }
    assert_int_equal(wait_for(pair->ours, POLLIN, 0), 0);
}

static void an_end_that_is_closed_can_be_read(void **state)
{
    struct pair *pair = *state;
    char c;

    socket_close(pair->theirs);
    pair->theirs = -1;
    assert_true((wait_for(pair->ours, POLLIN, LONG_MS) & POLLIN) != 0);
    assert_int_equal(recv(pair->ours, &c, 1, 0), 0);
}

static void only_what_is_asked_for_is_told(void **state)
{
    const struct pair *pair = *state;

    assert_true((wait_for(pair->ours, POLLOUT, LONG_MS) & POLLOUT) != 0);
    assert_int_equal(wait_for(pair->ours, POLLIN, SHORT_MS), 0);
}

static void a_wait_is_not_shorter_than_it_should_be(void **state)
{
    const struct pair *pair = *state;
    int64_t from_ms = clock_mono_ms();

    assert_int_equal(wait_for(pair->ours, POLLIN, SHORT_MS), 0);
    assert_true(clock_mono_ms() - from_ms >= SHORT_MS / 2); /* clocks of two kinds */
}

static void a_peer_that_takes_nothing_makes_us_wait(void **state)
{
    static char piece[64 * 1024];
    const struct pair *pair = *state;

    for (int i = 0; i < 1024 && wait_for(pair->ours, POLLOUT, SHORT_MS) != 0; i++) {
        while (send(pair->ours, piece, sizeof(piece), 0) > 0)
            ;
    }
    assert_int_equal(wait_for(pair->ours, POLLOUT, SHORT_MS), 0);
    while (wait_for(pair->ours, POLLOUT, 0) == 0) {
        assert_true((wait_for(pair->theirs, POLLIN, LONG_MS) & POLLIN) != 0);
        assert_true(recv(pair->theirs, piece, sizeof(piece), 0) > 0);
    }
}

static void a_connection_that_is_refused_is_told(void **state)
{
    struct sockaddr_in address;

    (void)state;
    socket_close(listen_somewhere(&address));
    assert_int_equal(connect_to(&address), -ECONNREFUSED);
}

/* ---- woken ----------------------------------------------------------------------------------- */

static void *wake_soon(void *end)
{
    clock_sleep_ms(SHORT_MS);
    wake_up(*(int *)end);
    return NULL;
}

static void another_thread_ends_a_wait_for_ever(void **state)
{
    const struct pair *pair = *state;
    struct pollfd fds[2] = {{.fd = pair->ours, .events = POLLIN}, {.events = POLLIN}};
    pthread_t thread;
    int ends[2];

    assert_ok(wake_open(ends, NULL));
    fds[1].fd = ends[0];
    assert_int_equal(socket_poll(fds, 2, 0), 0);
    assert_int_equal(pthread_create(&thread, NULL, wake_soon, &ends[1]), 0);
    assert_int_equal(socket_poll(fds, 2, LONG_MS), 1);
    assert_int_equal(pthread_join(thread, NULL), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(socket_poll(fds, 2, LONG_MS), 1);
        assert_int_equal(fds[0].revents, 0);
        assert_true(fds[1].revents != 0);
    }
    wake_close(ends);
}

#define WITH_PAIR(name) cmocka_unit_test_setup_teardown(name, open_pair, close_pair)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_PAIR(what_was_not_read_is_told_again),
        WITH_PAIR(an_end_that_is_closed_can_be_read),
        WITH_PAIR(only_what_is_asked_for_is_told),
        WITH_PAIR(a_wait_is_not_shorter_than_it_should_be),
        WITH_PAIR(a_peer_that_takes_nothing_makes_us_wait),
        WITH_PAIR(another_thread_ends_a_wait_for_ever),
        cmocka_unit_test(a_connection_that_is_refused_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
