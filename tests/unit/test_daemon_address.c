/* SPDX-License-Identifier: Apache-2.0 */
/* test_daemon_address.c – where the daemon listens, and what it tells the service manager. */
#include "test.h"

#include "base/text.h"
#include "daemon/address.h"
#include "daemon/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

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

    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    return connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
}

static int listen_at(const char *path, int *ret_fd, struct err *err)
{
    SCOPED(address_sockets) struct address_sockets sockets = ADDRESS_SOCKETS_NONE;
    SCOPED(passed) struct passed none = PASSED_NONE;
    int rc = address_listen(path, &none, &sockets, err);

    if (rc < 0) {
        assert_null(sockets.made);
        assert_int_equal(sockets.count, 0);
        return rc;
    }
    assert_string_equal(sockets.made, path);
    assert_int_equal(sockets.count, 1);
    *ret_fd = take_fd(&sockets.fds[0]);
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

static void a_socket_of_ours_is_known_by_all_its_names(void **state)
{
    SCOPED(mem) char *path = path_join(*state, "own.sock");
    SCOPED(mem) char *link = path_join(*state, "link.sock");
    SCOPED(mem) char *other = path_join(*state, "other.sock");
    SCOPED(address_sockets) struct address_sockets sockets = ADDRESS_SOCKETS_NONE;
    SCOPED(passed) struct passed none = PASSED_NONE;
    SCOPED(fd) int other_fd = -1;
    struct err err = ERR_NONE;

    assert_ok(address_listen(path, &none, &sockets, &err));
    assert_ok(listen_at(other, &other_fd, &err));
    assert_int_equal(symlink(path, link), 0);
    assert_true(address_is_served(&sockets, path));
    assert_true(address_is_served(&sockets, link));
    assert_false(address_is_served(&sockets, other));
    assert_false(address_is_served(&sockets, "/nonexistent.sock"));
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

/* ---- what the service manager passes --------------------------------------------------------- */

/* As a child of the manager would find itself: `fds` from descriptor 3 on. cmocka and the test have
 * some of those numbers in use, so this is done in a child, whose exit code is what `check` says.
 */
struct as_passed {
    const int *fds;
    size_t count;
    const char *names;
    int (*check)(struct passed *passed, const char *dir);
    const char *dir;
};

static int be_child(const struct as_passed *p)
{
    SCOPED(passed) struct passed passed = PASSED_NONE;
    SCOPED(mem) char *pid = text_format("%d", (int)getpid());
    SCOPED(mem) char *count = text_format("%zu", p->count);
    struct err err = ERR_NONE;

    for (size_t i = 0; i < p->count; i++) { /* out of the way first */
        if (dup2(p->fds[i], 100 + (int)i) < 0)
            return 90;
    }
    for (size_t i = 0; i < p->count; i++) {
        if (dup2(100 + (int)i, 3 + (int)i) < 0)
            return 91;
    }
    if (setenv("LISTEN_PID", pid, 1) < 0 || setenv("LISTEN_FDS", count, 1) < 0 ||
        (p->names != NULL && setenv("LISTEN_FDNAMES", p->names, 1) < 0))
        return 92;
    if (passed_take(&passed, &err) < 0)
        return 93;
    if (getenv("LISTEN_PID") != NULL || getenv("LISTEN_FDS") != NULL ||
        getenv("LISTEN_FDNAMES") != NULL)
        return 94;
    return p->check(&passed, p->dir);
}

static int in_child(const struct as_passed *p)
{
    int status = 0;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0)
        _exit(be_child(p));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int open_socket(const char *path, int type, bool listens)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    if (listens)
        assert_int_equal(listen(fd, 8), 0);
    return fd;
}

static int check_both_are_served(struct passed *passed, const char *dir)
{
    SCOPED(address_sockets) struct address_sockets sockets = ADDRESS_SOCKETS_NONE;
    SCOPED(mem) char *own = path_join(dir, "own.sock");
    SCOPED(mem) char *given = path_join(dir, "given.sock");
    struct err err = ERR_NONE;

    if (address_listen(own, passed, &sockets, &err) < 0)
        return 1;
    if (sockets.count != 2 || sockets.made == NULL || strcmp(sockets.made, own) != 0)
        return 2;
    if (sockets.fds[0] != 3 || (fcntl(3, F_GETFD) & FD_CLOEXEC) == 0 || passed->items[0].fd != -1)
        return 3;
    return connect_to(own) == 0 && connect_to(given) == 0 ? 0 : 4;
}

static void a_passed_socket_is_served_besides_the_address(void **state)
{
    SCOPED(mem) char *given = path_join(*state, "given.sock");
    SCOPED(fd) int fd = open_socket(given, SOCK_STREAM, true);
    const struct as_passed p = {&fd, 1, "finch-soci.socket", check_both_are_served, *state};

    assert_int_equal(in_child(&p), 0);
}

static int check_it_is_not_made_again(struct passed *passed, const char *dir)
{
    SCOPED(address_sockets) struct address_sockets sockets = ADDRESS_SOCKETS_NONE;
    SCOPED(mem) char *path = path_join(dir, "link/same.sock");
    struct err err = ERR_NONE;

    if (address_listen(path, passed, &sockets, &err) < 0)
        return 1;
    return sockets.count == 1 && sockets.made == NULL && sockets.fds[0] == 3 ? 0 : 2;
}

static void a_socket_that_was_passed_for_the_address_is_not_made_again(void **state)
{
    SCOPED(mem) char *path = path_join(*state, "same.sock");
    SCOPED(mem) char *link = path_join(*state, "link");
    SCOPED(fd) int fd = open_socket(path, SOCK_STREAM, true);
    const struct as_passed p = {&fd, 1, NULL, check_it_is_not_made_again, *state};

    assert_int_equal(symlink(*state, link), 0);
    assert_int_equal(in_child(&p), 0);
}

static int check_only_passed(struct passed *passed, const char *dir)
{
    SCOPED(address_sockets) struct address_sockets sockets = ADDRESS_SOCKETS_NONE;
    struct err err = ERR_NONE;

    (void)dir;
    if (address_listen("fd://", passed, &sockets, &err) < 0)
        return 1;
    return sockets.count == 2 && sockets.made == NULL && sockets.fds[0] == 3 && sockets.fds[1] == 5
               ? 0
               : 2;
}

static void with_fd_all_passed_sockets_are_served_and_no_other(void **state)
{
    SCOPED(mem) char *a = path_join(*state, "a1.sock");
    SCOPED(mem) char *b = path_join(*state, "b1.sock");
    SCOPED(mem) char *c = path_join(*state, "c1.sock");
    SCOPED(fd) int first = open_socket(a, SOCK_STREAM, true);
    SCOPED(fd) int middle = open_socket(c, SOCK_STREAM, false);
    SCOPED(fd) int last = open_socket(b, SOCK_STREAM, true);
    const int fds[] = {first, middle, last};
    const struct as_passed p = {fds, 3, "a:b", check_only_passed, *state};

    assert_int_equal(in_child(&p), 0);
}

static int check_stored(struct passed *passed, const char *dir)
{
    (void)dir;
    if (passed->count != 3)
        return 1;
    if (passed->items[0].fd != -1 || fcntl(3, F_GETFD) >= 0) /* a datagram socket of nobody's */
        return 2;
    if (passed->items[1].fd != 4 || passed->items[1].is_listener ||
        strcmp(passed->items[1].name, PASSED_OURS_PREFIX "7") != 0)
        return 3;
    return passed->items[2].fd == -1 && fcntl(5, F_GETFD) < 0 ? 0 : 4;
}

static void descriptors_under_names_of_ours_are_kept_and_unknown_ones_closed(void **state)
{
    SCOPED(mem) char *path = path_join(*state, "datagram");
    SCOPED(fd) int datagram = open_socket(path, SOCK_DGRAM, false);
    SCOPED(fd) int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    const int fds[] = {datagram, null, null};
    const struct as_passed p = {fds, 3, "x:" PASSED_OURS_PREFIX "7:y", check_stored, *state};

    assert_int_equal(in_child(&p), 0);
}

static void descriptors_for_another_process_are_not_touched(void **state)
{
    SCOPED(passed) struct passed passed = PASSED_NONE;
    struct err err = ERR_NONE;

    (void)state;
    assert_int_equal(setenv("LISTEN_PID", "1", 1), 0);
    assert_int_equal(setenv("LISTEN_FDS", "1", 1), 0);
    assert_ok(passed_take(&passed, &err));
    assert_int_equal(passed.count, 0);
    assert_null(getenv("LISTEN_FDS"));
}

static void numbers_that_are_none_are_refused(void **state)
{
    static const char *const odd[] = {"x", "-1", "99999999999"};
    SCOPED(mem) char *pid = text_format("%d", (int)getpid());

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
        SCOPED(passed) struct passed passed = PASSED_NONE;
        struct err err = ERR_NONE;

        assert_int_equal(setenv("LISTEN_PID", pid, 1), 0);
        assert_int_equal(setenv("LISTEN_FDS", odd[i], 1), 0);
        assert_int_equal(passed_take(&passed, &err), -EINVAL);
        assert_int_equal(passed.count, 0);
    }
}

/* A datagram socket in the place of systemd's. */
static int open_manager(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    assert_true(fd >= 0);
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
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
        cmocka_unit_test(a_socket_of_ours_is_known_by_all_its_names),
        cmocka_unit_test(the_sockets_directory_is_made_for_the_owner_alone),
        cmocka_unit_test(a_socket_that_nobody_listens_on_is_replaced),
        cmocka_unit_test(a_socket_in_use_is_left_to_its_owner),
        cmocka_unit_test(what_is_no_socket_is_not_removed),
        cmocka_unit_test(a_path_that_no_socket_can_have_is_refused),
        cmocka_unit_test(a_passed_socket_is_served_besides_the_address),
        cmocka_unit_test(a_socket_that_was_passed_for_the_address_is_not_made_again),
        cmocka_unit_test(with_fd_all_passed_sockets_are_served_and_no_other),
        cmocka_unit_test(descriptors_under_names_of_ours_are_kept_and_unknown_ones_closed),
        cmocka_unit_test(descriptors_for_another_process_are_not_touched),
        cmocka_unit_test(numbers_that_are_none_are_refused),
        cmocka_unit_test(the_service_manager_gets_one_datagram),
        cmocka_unit_test(a_service_manager_that_makes_no_sense_does_no_harm),
    };
    return cmocka_run_group_tests_name("daemon address", tests, make_dir, remove_dir);
}
