/* SPDX-License-Identifier: Apache-2.0 */
/* test_fs_loop.c – descriptors served by a pool of threads. Socket pairs stand for /dev/fuse: a
 * datagram is a request, the other end closed is an unmounted one. */
#include "test.h"

#include "base/clock.h"
#include "base/threads.h"
#include "fs/loop.h"

#include <sys/socket.h>

enum { THREADS = 4, PATIENCE_MS = 10000 };

struct end {
    struct fs_channel channel;
    int peer;
    unsigned served, gone, inside, most_inside; /* atomic */
    int64_t serve_ms;                           /* how long one takes */
};

static struct end *of(struct fs_channel *channel)
{
    return (struct end *)(void *)((char *)channel - offsetof(struct end, channel));
}

static unsigned add(unsigned *counter, int by)
{
    return __atomic_add_fetch(counter, (unsigned)by, __ATOMIC_SEQ_CST);
}

static unsigned get(unsigned *counter)
{
    return add(counter, 0);
}

static int serve(struct fs_channel *channel, void *buffer)
{
    struct end *end = of(channel);
    ssize_t n = recv(channel->fd, buffer, LOOP_BUFFER_BYTES, 0);
    unsigned inside;

    if (n <= 0)
        return n < 0 ? -errno : -ENODEV;
    inside = add(&end->inside, 1);
    if (inside > get(&end->most_inside))
        __atomic_store_n(&end->most_inside, inside, __ATOMIC_SEQ_CST);
    if (end->serve_ms > 0)
        clock_sleep_ms(end->serve_ms);
    (void)add(&end->inside, -1);
    (void)add(&end->served, 1);
    return 0;
}

static void gone(struct fs_channel *channel)
{
    (void)add(&of(channel)->gone, 1);
}

static void open_end(struct end *end, int64_t serve_ms)
{
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    *end = (struct end){.channel = {.fd = fds[0], .serve = serve, .gone = gone},
                        .peer = fds[1],
                        .serve_ms = serve_ms};
}

static void close_end(struct end *end)
{
    (void)close(end->channel.fd);
    if (end->peer >= 0)
        (void)close(end->peer);
}

static void request(struct end *end, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        while (send(end->peer, "r", 1, 0) != 1) {
            assert_int_equal(errno, EAGAIN);
            clock_sleep_ms(1);
        }
}

static void wait_for(unsigned *counter, unsigned value)
{
    int64_t deadline = clock_mono_ms() + PATIENCE_MS;

    while (get(counter) < value && clock_mono_ms() < deadline)
        clock_sleep_ms(1);
    assert_true(get(counter) >= value);
}

static struct fs_loop *start(bool (*tick)(void *), void *arg)
{
    const struct fs_loop_options options = {.threads = THREADS, .tick = tick, .arg = arg};
    struct err err = ERR_NONE;
    struct fs_loop *loop = NULL;

    assert_ok(fs_loop_new(&options, &loop, &err));
    return loop;
}

static void requests_of_many_descriptors_are_all_served(void **state)
{
    SCOPED(fs_loop) struct fs_loop *loop = start(NULL, NULL);
    struct end ends[50];
    struct err err = ERR_NONE;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        open_end(&ends[i], 0);
        request(&ends[i], 3); /* before it is added */
        assert_ok(fs_loop_add(loop, &ends[i].channel, &err));
    }
    for (size_t i = 0; i < ARRAY_LEN(ends); i++)
        request(&ends[i], 100);
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        wait_for(&ends[i].served, 103);
        fs_loop_remove(loop, &ends[i].channel);
        close_end(&ends[i]);
    }
}

/* On a busy machine a request may be done before the next one is sent; then more are needed. */
static void one_busy_descriptor_gets_several_threads(void **state)
{
    SCOPED(fs_loop) struct fs_loop *loop = start(NULL, NULL);
    int64_t deadline = clock_mono_ms() + PATIENCE_MS;
    struct err err = ERR_NONE;
    unsigned sent = 0;
    struct end end;

    (void)state;
    open_end(&end, 20);
    assert_ok(fs_loop_add(loop, &end.channel, &err));
    while (sent < 12 || (get(&end.most_inside) < 2 && clock_mono_ms() < deadline)) {
        request(&end, 1);
        sent++;
        clock_sleep_ms(2);
    }
    wait_for(&end.served, sent);
    assert_in_range(get(&end.most_inside), 2, THREADS);
    fs_loop_remove(loop, &end.channel);
    close_end(&end);
}

/* All threads are in the flood when the quiet one's request comes. Is it served before any of the
 * others was done? */
static bool is_served_in_a_flood(void)
{
    SCOPED(fs_loop) struct fs_loop *loop = start(NULL, NULL);
    struct end flood[THREADS], quiet;
    struct err err = ERR_NONE;
    bool is_early = true;

    open_end(&quiet, 0);
    assert_ok(fs_loop_add(loop, &quiet.channel, &err));
    for (size_t i = 0; i < THREADS; i++) {
        open_end(&flood[i], 2);
        request(&flood[i], 150);
        assert_ok(fs_loop_add(loop, &flood[i].channel, &err));
    }
    request(&quiet, 1);
    wait_for(&quiet.served, 1);
    for (size_t i = 0; i < THREADS; i++)
        is_early = is_early && get(&flood[i].served) < 150;
    for (size_t i = 0; i < THREADS; i++) {
        fs_loop_remove(loop, &flood[i].channel);
        close_end(&flood[i]);
    }
    fs_loop_remove(loop, &quiet.channel);
    close_end(&quiet);
    return is_early;
}

/* On a busy machine the flood may be over before we look; one that starves others never is. */
static void a_flood_does_not_starve_a_quiet_descriptor(void **state)
{
    bool is_early = false;

    (void)state;
    for (int i = 0; i < 10 && !is_early; i++)
        is_early = is_served_in_a_flood();
    assert_true(is_early);
}

static void a_dead_descriptor_is_reported_once_and_after_the_last_request(void **state)
{
    SCOPED(fs_loop) struct fs_loop *loop = start(NULL, NULL);
    struct err err = ERR_NONE;
    struct end end;

    (void)state;
    open_end(&end, 10);
    assert_ok(fs_loop_add(loop, &end.channel, &err));
    request(&end, 8);
    (void)close(end.peer);
    end.peer = -1;
    wait_for(&end.gone, 1);
    assert_int_equal(get(&end.served), 8);
    assert_int_equal(get(&end.inside), 0);
    clock_sleep_ms(30);
    assert_int_equal(get(&end.gone), 1);
    fs_loop_remove(loop, &end.channel);
    close_end(&end);
}

static void removing_waits_for_the_request_in_hand_and_no_more_come(void **state)
{
    SCOPED(fs_loop) struct fs_loop *loop = start(NULL, NULL);
    struct err err = ERR_NONE;
    struct end end;

    (void)state;
    open_end(&end, 200);
    assert_ok(fs_loop_add(loop, &end.channel, &err));
    request(&end, 40);
    wait_for(&end.inside, 1);
    fs_loop_remove(loop, &end.channel);
    unsigned served = get(&end.served);
    assert_int_equal(get(&end.inside), 0);
    assert_true(served < 40);
    clock_sleep_ms(300);
    assert_int_equal(get(&end.served), served);
    assert_int_equal(get(&end.gone), 0);
    close_end(&end);
}

static bool tick_thrice(void *arg)
{
    unsigned *ticks = arg;

    return add(ticks, 1) < 3;
}

static void the_tick_goes_on_while_it_is_wanted(void **state)
{
    unsigned ticks = 0;
    SCOPED(fs_loop) struct fs_loop *loop = start(tick_thrice, &ticks);
    struct err err = ERR_NONE;
    struct end end;

    (void)state;
    open_end(&end, 0);
    assert_ok(fs_loop_add(loop, &end.channel, &err));
    clock_sleep_ms(LOOP_TICK_MS + 100);
    assert_int_equal(get(&ticks), 0); /* nothing happened, nobody ticks */
    request(&end, 1);
    wait_for(&ticks, 3); /* once after the request, then by the clock */
    fs_loop_remove(loop, &end.channel);
    close_end(&end);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_of_many_descriptors_are_all_served),
        cmocka_unit_test(one_busy_descriptor_gets_several_threads),
        cmocka_unit_test(a_flood_does_not_starve_a_quiet_descriptor),
        cmocka_unit_test(a_dead_descriptor_is_reported_once_and_after_the_last_request),
        cmocka_unit_test(removing_waits_for_the_request_in_hand_and_no_more_come),
        cmocka_unit_test(the_tick_goes_on_while_it_is_wanted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
