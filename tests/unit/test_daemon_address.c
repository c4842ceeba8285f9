/* SPDX-License-Identifier: Apache-2.0 */
/* test_daemon_address.c – where the daemon listens, and what it tells the service manager. */
#include "test.h"

#include "base/text.h"
#include "daemon/address.h"
#include "daemon/notify.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

static int make_dir(void **state)
{
    char *dir = text_copy("/tmp/test_address.XXXXXX");

    *state = dir;
    return dir != NULL && mkdtemp(dir) != NULL ? 0 : -1;
}

static int remove_dir(void **state)
{
    struct err err = ERR_NONE;
    int rc = dir_remove_all(*state, &err);

    free(*state);
    return rc;
}

static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    SCOPED(fd) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)strcpy(address.sun_path, path);
    return connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
}

static int listen_at(const char *path, int *ret_fd, struct err *err)
{
    SCOPED(mem) char *made = NULL;
    int rc = address_listen(path, ret_fd, &made, err);

    if (rc < 0)
        assert_null(made);
    else
        assert_string_equal(made, path);
    return rc;
}

static void a_path_is_an_address_with_or_without_its_scheme(void **state)
{
    struct err err = ERR_NONE;
    const char *path = NULL;

    (void)state;
    assert_ok(address_parse("/run/a.sock", &path, &err));
    assert_string_equal(path, "/run/a.sock");
    assert_ok(address_parse("unix:///run/a.sock", &path, &err));
    assert_string_equal(path, "/run/a.sock");
    assert_ok(address_parse("fd://", &path, &err));
    assert_null(path);
}

static void another_protocol_is_refused_by_name(void **state)
{
    struct err err = ERR_NONE;
    const char *path = NULL;

    (void)state;
    assert_int_equal(address_parse("tcp://127.0.0.1:1", &path, &err), -EINVAL);
    assert_string_equal(err.text, "unknown protocol for address tcp://127.0.0.1:1");
    assert_int_equal(address_parse("unix://", &path, &err), -EINVAL);
    assert_int_equal(address_parse("", &path, &err), -EINVAL);
    assert_null(path);
}

static void the_sockets_directory_is_made_for_the_owner_alone(void **state)
{
    SCOPED(mem) char *dir = path_join(*state, "run");
    SCOPED(mem) char *path = path_join(dir, "a.sock");
    SCOPED(fd) int fd = -1;
    struct err err = ERR_NONE;
    struct stat st;

    assert_ok(listen_at(path, &fd, &err));
    assert_int_equal(stat(dir, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    assert_ok(connect_to(path));
}

static void a_socket_that_nobody_listens_on_is_replaced(void **state)
{
    SCOPED(mem) char *path = path_join(*state, "a.sock");
    struct err err = ERR_NONE;

    for (int i = 0; i < 2; i++) {
        SCOPED(fd) int fd = -1;

        assert_ok(listen_at(path, &fd, &err));
        assert_ok(connect_to(path));
    }
    assert_int_equal(connect_to(path), -ECONNREFUSED);
}

static void a_socket_in_use_is_left_to_its_owner(void **state)
{
    SCOPED(mem) char *path = path_join(*state, "a.sock");
    SCOPED(fd) int first = -1;
    SCOPED(fd) int second = -1;
    struct err err = ERR_NONE;

    assert_ok(listen_at(path, &first, &err));
    assert_int_equal(listen_at(path, &second, &err), -EBUSY);
    assert_int_equal(second, -1);
    assert_ok(connect_to(path));
}

static void what_is_no_socket_is_not_removed(void **state)
{
    SCOPED(mem) char *path = path_join(*state, "precious");
    SCOPED(fd) int fd = -1;
    struct err err = ERR_NONE;

    assert_ok(file_replace(path, bytes_of_str("data"), 0600, &err));
    assert_true(listen_at(path, &fd, &err) < 0);
    assert_true(path_exists(path));
}

static void a_path_that_no_socket_can_have_is_refused(void **state)
{
    SCOPED(buf_value) struct buf path = BUF_EMPTY;
    SCOPED(fd) int fd = -1;
    struct err err = ERR_NONE;

    assert_ok(buf_addf(&path, "%s/", (const char *)*state));
    for (int i = 0; i < 200; i++)
        assert_ok(buf_add_byte(&path, 'x'));
    assert_true(listen_at(buf_str(&path), &fd, &err) < 0);
    assert_int_equal(fd, -1);
}

/* A datagram socket in the place of systemd's. */
static int open_manager(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    assert_true(fd >= 0);
    (void)strcpy(address.sun_path, path);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static void the_service_manager_gets_one_datagram(void **state)
{
    SCOPED(mem) char *path = path_join(*state, "notify");
    SCOPED(fd) int fd = open_manager(path);
    char got[64] = {0};

    assert_int_equal(setenv("NOTIFY_SOCKET", path, 1), 0);
    notify_send("READY=1");
    assert_int_equal(unsetenv("NOTIFY_SOCKET"), 0);
    notify_send("STOPPING=1"); /* nobody asked for this one */
    assert_int_equal(recv(fd, got, sizeof(got) - 1, 0), 7);
    assert_string_equal(got, "READY=1");
    assert_int_equal(recv(fd, got, sizeof(got) - 1, 0), -1);
}

static void a_service_manager_that_makes_no_sense_does_no_harm(void **state)
{
    static const char *const odd[] = {"", "relative", "/nonexistent/notify", "@"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
        assert_int_equal(setenv("NOTIFY_SOCKET", odd[i], 1), 0);
        notify_send("READY=1");
    }
    assert_int_equal(unsetenv("NOTIFY_SOCKET"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_path_is_an_address_with_or_without_its_scheme),
        cmocka_unit_test(another_protocol_is_refused_by_name),
        cmocka_unit_test(the_sockets_directory_is_made_for_the_owner_alone),
        cmocka_unit_test(a_socket_that_nobody_listens_on_is_replaced),
        cmocka_unit_test(a_socket_in_use_is_left_to_its_owner),
        cmocka_unit_test(what_is_no_socket_is_not_removed),
        cmocka_unit_test(a_path_that_no_socket_can_have_is_refused),
        cmocka_unit_test(the_service_manager_gets_one_datagram),
        cmocka_unit_test(a_service_manager_that_makes_no_sense_does_no_harm),
    };
    return cmocka_run_group_tests_name("daemon address", tests, make_dir, remove_dir);
}
