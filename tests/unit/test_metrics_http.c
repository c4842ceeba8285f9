/* SPDX-License-Identifier: Apache-2.0 */
/* test_metrics_http.c – where metrics are served, to whom, and what anybody else is told. */
#include "test.h"

#include "base/clock.h"
#include "base/text.h"
#include "metrics/metrics.h"

#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { PATIENCE_MS = 30000 };

/* ---- requests -------------------------------------------------------------------------------- */

static void each_request_gets_the_status_of_its_name_however_it_is_cut(void **state)
{
    SCOPED(dir) DIR *dir = opendir(VECTORS_DIR "/metrics-http");
    const struct dirent *entry;
    size_t count = 0;

    (void)state;
    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL) {
        const char *dot = strrchr(entry->d_name, '.');
        SCOPED(mem) char *path = text_format("metrics-http/%s", entry->d_name);
        SCOPED(buf) struct buf *in = NULL;
        unsigned status = 0;
        uint64_t wanted;

        if (dot == NULL || text_parse_u64(dot + 1, &wanted) < 0)
            continue;
        in = vector_load(path);
        for (size_t len = 0; len <= in->len && status == 0; len++)
            status = metrics_http_status(bytes_of(in->data, len));
        if (status != wanted || metrics_http_status(buf_bytes(in)) != wanted)
            fail_msg("%s: %u", entry->d_name, status);
        count++;
    }
    assert_true(count >= 20);
}

/* ---- addresses ------------------------------------------------------------------------------- */

static void addresses_are_ip_addresses_with_a_port(void **state)
{
    static const struct {
        const char *text;
        int family;
        uint16_t port;
    } good[] = {
        {"127.0.0.1:9100", AF_INET, 9100}, {"localhost:1", AF_INET, 1},
        {"[::1]:65535", AF_INET6, 65535},  {":9100", AF_INET6, 9100},
        {"0.0.0.0:0", AF_INET, 0},
    };
    struct metrics_address address;

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct sockaddr_in in;

        assert_ok(metrics_address_parse("tcp", good[i].text, &address, NULL));
        memcpy(&in, &address.at, sizeof(in)); /* the port is at the same place in both */
        assert_int_equal(in.sin_family, good[i].family);
        assert_int_equal(ntohs(in.sin_port), good[i].port);
        assert_null(address.path);
    }
}

static void what_is_no_address_is_refused_with_a_reason(void **state)
{
    static const struct {
        const char *network, *text, *why;
    } bad[] = {
        {"tcp", "", "no port"},
        {"tcp", "127.0.0.1", "no port"},
        {"tcp", "127.0.0.1:", "no port"},
        {"tcp", "127.0.0.1:65536", "no port"},
        {"tcp", "127.0.0.1:-1", "no port"},
        {"tcp", "127.0.0.1:http", "no port"},
        {"tcp", "metrics.example:9100", "neither an IP address"},
        {"tcp", "::1:9100", "neither an IP address"},
        {"tcp", "[::1:9100", "neither an IP address"},
        {"tcp", "[]:9100", "neither an IP address"},
        {"tcp", "[:9100", "neither an IP address"},
        {"tcp", "256.0.0.1:9100", "neither an IP address"},
        {"tcp", "/run/metrics.sock", "no port"},
        {"unix", "run/metrics.sock", "no absolute path"},
        {"unix", "127.0.0.1:9100", "no absolute path"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct metrics_address address;
        struct err err = ERR_NONE;

        assert_int_equal(metrics_address_parse(bad[i].network, bad[i].text, &address, &err),
                         -EINVAL);
        assert_non_null(strstr(err.text, bad[i].why));
    }
}

static void a_path_is_as_long_as_a_socket_can_have(void **state)
{
    struct metrics_address address;
    char path[120];

    (void)state;
    memset(path, 'a', sizeof(path));
    path[0] = '/';
    path[107] = '\0';
    assert_ok(metrics_address_parse("unix", path, &address, NULL));
    assert_ptr_equal(address.path, path);
    path[107] = 'a';
    path[108] = '\0';
    assert_int_equal(metrics_address_parse("unix", path, &address, NULL), -EINVAL);
}

/* ---- the server ------------------------------------------------------------------------------ */

struct rig {
    struct metrics_server *server;
    struct sockaddr_in at;
    size_t body_bytes; /* of the next answer; SIZE_MAX: it fails */
};

static int write_body(void *self, struct buf *ret)
{
    struct rig *rig = self;

    if (rig->body_bytes == SIZE_MAX)
        return -EIO;
    for (size_t i = 0; i < rig->body_bytes; i++) {
        if (buf_add_byte(ret, (uint8_t)('a' + i % 26)) < 0)
            return -ENOMEM;
    }
    return 0;
}

static void start(struct rig *rig, int64_t request_ms, int64_t answer_ms)
{
    const struct metrics_server_options options = {
        .write = write_body, .self = rig, .request_ms = request_ms, .answer_ms = answer_ms};
    struct metrics_address address;
    socklen_t len = sizeof(rig->at);
    int fd = -1;

    assert_ok(metrics_address_parse("tcp", "127.0.0.1:0", &address, NULL));
    assert_ok(metrics_listen_tcp(&address, &fd, NULL));
    assert_int_equal(getsockname(fd, (struct sockaddr *)&rig->at, &len), 0);
    assert_ok(metrics_server_start(&options, &fd, &rig->server, NULL));
    assert_int_equal(fd, -1);
}

static int dial(const struct rig *rig)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&rig->at, sizeof(rig->at)), 0);
    return fd;
}

static void say(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* Until the peer closes; the connection is closed then. */
static void hear(int fd, struct buf *ret)
{
    int64_t until_ms = clock_mono_ms() + PATIENCE_MS;

    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        uint8_t some[4096];
        ssize_t n;

        assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
        n = recv(fd, some, sizeof(some), 0);
        if (n <= 0)
            break;
        assert_ok(buf_add(ret, some, (size_t)n));
        assert_true(clock_mono_ms() < until_ms);
    }
    (void)close(fd);
}

static void get(const struct rig *rig, const char *request, struct buf *ret)
{
    int fd = dial(rig);

    ret->len = 0;
    say(fd, request);
    hear(fd, ret);
    assert_non_null(buf_str(ret));
}

static void the_text_is_given_with_its_length_and_type(void **state)
{
    struct rig rig = {.body_bytes = 4000000};
    SCOPED(buf_value) struct buf answer = BUF_EMPTY;
    static const char head[] = "HTTP/1.1 200 OK\r\n"
                               "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
                               "Content-Length: 4000000\r\n"
                               "Connection: close\r\n\r\nabcdef";

    (void)state;
    start(&rig, 0, 0);
    get(&rig, "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", &answer);
    assert_int_equal(strncmp(buf_str(&answer), head, strlen(head)), 0);
    assert_int_equal(answer.len, strlen(head) - 6 + 4000000);
    metrics_server_stop(rig.server);
}

static void anything_else_is_told_so_and_the_next_one_is_served(void **state)
{
    struct rig rig = {.body_bytes = 10};
    SCOPED(buf_value) struct buf answer = BUF_EMPTY;

    (void)state;
    start(&rig, 0, 0);
    get(&rig, "GET /other HTTP/1.1\r\n\r\n", &answer);
    assert_non_null(strstr(buf_str(&answer), "HTTP/1.1 404 Not Found\r\n"));
    get(&rig, "DELETE /metrics HTTP/1.1\r\n\r\n", &answer);
    assert_non_null(strstr(buf_str(&answer), "HTTP/1.1 405 Method Not Allowed\r\n"));
    assert_non_null(strstr(buf_str(&answer), "\r\nAllow: GET\r\n"));
    get(&rig, "\026\003\001\n", &answer);
    assert_non_null(strstr(buf_str(&answer), "HTTP/1.1 400 Bad Request\r\n"));
    rig.body_bytes = SIZE_MAX;
    get(&rig, "GET /metrics HTTP/1.1\r\n\r\n", &answer);
    assert_non_null(strstr(buf_str(&answer), "HTTP/1.1 500 Internal Server Error\r\n"));
    rig.body_bytes = 10;
    get(&rig, "GET /metrics HTTP/1.1\r\n\r\n", &answer);
    assert_non_null(strstr(buf_str(&answer), "\r\n\r\nabcdefghij"));
    metrics_server_stop(rig.server);
}

static void a_request_without_end_is_refused(void **state)
{
    struct rig rig = {.body_bytes = 10};
    SCOPED(buf_value) struct buf answer = BUF_EMPTY;
    SCOPED(buf_value) struct buf request = BUF_EMPTY;

    (void)state;
    start(&rig, 0, 0);
    assert_ok(buf_add_str(&request, "GET /metrics HTTP/1.1\r\nA: "));
    for (size_t i = 0; i < 20000; i++)
        assert_ok(buf_add_byte(&request, 'a'));
    get(&rig, buf_str(&request), &answer);
    assert_non_null(strstr(buf_str(&answer), "HTTP/1.1 431 "));
    metrics_server_stop(rig.server);
}

/* More of them than there are places. */
static void those_who_say_nothing_make_room_when_their_time_is_over(void **state)
{
    struct rig rig = {.body_bytes = 10};
    SCOPED(buf_value) struct buf answer = BUF_EMPTY;
    int silent[6];

    (void)state;
    start(&rig, 100, 0);
    for (size_t i = 0; i < 6; i++) {
        silent[i] = dial(&rig);
        if (i % 2 == 0)
            say(silent[i], "GET /metr");
    }
    /* Its own time begins when it is let in. */
    get(&rig, "GET /metrics HTTP/1.1\r\n\r\n", &answer);
    assert_non_null(strstr(buf_str(&answer), "\r\n\r\nabcdefghij"));
    for (size_t i = 0; i < 6; i++) {
        answer.len = 0;
        hear(silent[i], &answer);
        assert_int_equal(answer.len, 0);
    }
    metrics_server_stop(rig.server);
}

static void those_who_do_not_take_their_answer_are_cut_off(void **state)
{
    struct rig rig = {.body_bytes = 30000000};
    SCOPED(buf_value) struct buf answer = BUF_EMPTY;
    int deaf[4];

    (void)state;
    start(&rig, 0, 100);
    for (size_t i = 0; i < 4; i++) {
        deaf[i] = dial(&rig);
        say(deaf[i], "GET /metrics HTTP/1.1\r\n\r\n");
    }
    get(&rig, "GET /other HTTP/1.1\r\n\r\n", &answer);
    assert_non_null(strstr(buf_str(&answer), " 404 "));
    for (size_t i = 0; i < 4; i++) {
        answer.len = 0;
        hear(deaf[i], &answer);
        assert_true(answer.len < 30000000);
    }
    metrics_server_stop(rig.server);
}

static void it_can_be_stopped_while_somebody_is_connected(void **state)
{
    struct rig rig = {.body_bytes = 10};
    SCOPED(buf_value) struct buf answer = BUF_EMPTY;
    int fd;

    (void)state;
    start(&rig, 0, 0);
    fd = dial(&rig);
    say(fd, "GET");
    metrics_server_stop(rig.server);
    hear(fd, &answer);
    assert_int_equal(answer.len, 0);
}

static void an_address_that_is_taken_says_so(void **state)
{
    struct rig rig = {.body_bytes = 10};
    struct metrics_address address;
    SCOPED(mem) char *text = NULL;
    struct err err = ERR_NONE;
    int fd = -1;

    (void)state;
    start(&rig, 0, 0);
    text = text_format("127.0.0.1:%u", (unsigned)ntohs(rig.at.sin_port));
    assert_ok(metrics_address_parse("tcp", text, &address, NULL));
    assert_int_equal(metrics_listen_tcp(&address, &fd, &err), -EBUSY);
    assert_string_equal(err.text, "another process listens there");
    metrics_server_stop(rig.server);
    assert_ok(metrics_address_parse("tcp", "192.0.2.1:0", &address, NULL));
    assert_int_equal(metrics_listen_tcp(&address, &fd, &err), -EADDRNOTAVAIL);
}

static void any_address_is_one_that_loopback_reaches(void **state)
{
    struct metrics_address address;
    struct sockaddr_storage at;
    socklen_t len = sizeof(at);
    struct sockaddr_in in;
    SCOPED(fd) int fd = -1;
    SCOPED(fd) int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)state;
    assert_ok(metrics_address_parse("tcp", ":0", &address, NULL));
    assert_ok(metrics_listen_tcp(&address, &fd, NULL));
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    memcpy(&in, &at, sizeof(in)); /* the port is at the same place in both */
    in = (struct sockaddr_in){.sin_family = AF_INET,
                              .sin_port = in.sin_port,
                              .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    assert_int_equal(connect(client, (const struct sockaddr *)&in, sizeof(in)), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_request_gets_the_status_of_its_name_however_it_is_cut),
        cmocka_unit_test(addresses_are_ip_addresses_with_a_port),
        cmocka_unit_test(what_is_no_address_is_refused_with_a_reason),
        cmocka_unit_test(a_path_is_as_long_as_a_socket_can_have),
        cmocka_unit_test(the_text_is_given_with_its_length_and_type),
        cmocka_unit_test(anything_else_is_told_so_and_the_next_one_is_served),
        cmocka_unit_test(a_request_without_end_is_refused),
        cmocka_unit_test(those_who_say_nothing_make_room_when_their_time_is_over),
        cmocka_unit_test(those_who_do_not_take_their_answer_are_cut_off),
        cmocka_unit_test(it_can_be_stopped_while_somebody_is_connected),
        cmocka_unit_test(an_address_that_is_taken_says_so),
        cmocka_unit_test(any_address_is_one_that_loopback_reaches),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
