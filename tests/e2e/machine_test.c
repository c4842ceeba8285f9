/* SPDX-License-Identifier: Apache-2.0 */
/* machine_test.c – vm-provision's machine against the SSH server that the script ssh-machine
 * started, and the same against this machine. */
#include "../unit/test.h"

#include "base/clock.h"
#include "base/files.h"
#include "base/text.h"
#include "base/threads.h"
#include "digest/digest.h"
#include "vm-provision/machine.h"

#include <dlfcn.h>
#include <errno.h>
#include <libssh2.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PORT = 2222 };

static char *key(const char *name)
{
    char *path = path_join(getenv("KEYS"), name);

    assert_non_null(path);
    return path;
}

static int open_with(const char *identity, const char *known, int64_t wait_ms, struct machine **ret,
                     struct err *err)
{
    SCOPED(mem) char *identity_path = key(identity);
    SCOPED(mem) char *known_path = known == NULL ? NULL : key(known);
    const struct machine_ssh ssh = {
        .host = "127.0.0.1",
        .port = PORT,
        .user = "root",
        .identity = identity_path,
        .known_hosts = known_path,
        .wait_ms = wait_ms,
    };

    return machine_open_ssh(&ssh, ret, err);
}

static int open_far(void **state)
{
    struct machine *machine = NULL;
    struct err err = ERR_NONE;
    int rc = open_with("user", NULL, 30000, &machine, &err);

    assert_string_equal(rc == 0 ? "" : err_text(&err), "");
    *state = machine;
    return 0;
}

static int open_near(void **state)
{
    struct machine *machine = NULL;

    assert_ok(machine_open_local(&machine, NULL));
    *state = machine;
    return 0;
}

/* In front of libssh2's own, which up to 1.10 takes the key for text, whatever length it is told.
 */
int libssh2_userauth_publickey_frommemory(LIBSSH2_SESSION *session, const char *user,
                                          size_t user_len, const char *public_key,
                                          size_t public_key_len, const char *private_key,
                                          size_t private_key_len, const char *passphrase)
{
    int (*log_in)(LIBSSH2_SESSION *, const char *, size_t, const char *, size_t, const char *,
                  size_t, const char *);

    *(void **)&log_in = dlsym(RTLD_NEXT, "libssh2_userauth_publickey_frommemory");
    if (private_key[private_key_len] != '\0')
        return LIBSSH2_ERROR_BAD_USE;
    return log_in(session, user, user_len, public_key, public_key_len, private_key, private_key_len,
                  passphrase);
}

static int close_it(void **state)
{
    machine_close(*state);
    return 0;
}

/* ---- either way ------------------------------------------------------------------------------ */

static void a_script_has_its_input_and_two_outputs(void **state)
{
    SCOPED(machine_result) struct machine_result result = MACHINE_RESULT_NONE;
    const struct machine_run run = {.script =
                                        "echo \"it's $((1 + 1))\"; cat; echo aside >&2; exit 3",
                                    .input = bytes_of_str("some\ninput")};

    assert_ok(machine_run(*state, &run, &result, NULL));
    assert_string_equal(buf_str(&result.out), "it's 2\nsome\ninput");
    assert_string_equal(buf_str(&result.err), "aside\n");
    assert_int_equal(result.exit_status, 3);
}

static void megabytes_go_both_ways(void **state)
{
    SCOPED(machine_result) struct machine_result result = MACHINE_RESULT_NONE;
    SCOPED(buf_value) struct buf big = BUF_EMPTY;
    struct machine_run run = {.script = "tee /dev/stderr"};

    for (int i = 0; i < 300000; i++)
        assert_ok(buf_addf(&big, "line %d\n", i));
    run.input = buf_bytes(&big);
    assert_ok(machine_run(*state, &run, &result, NULL));
    assert_true(bytes_equal(buf_bytes(&result.out), buf_bytes(&big)));
    assert_int_equal(result.err.len, big.len);
}

static void a_script_may_be_longer_than_a_command_line(void **state)
{
    SCOPED(machine_result) struct machine_result result = MACHINE_RESULT_NONE;
    SCOPED(buf_value) struct buf script = BUF_EMPTY;
    struct machine_run run = {.input = bytes_of_str("rest")};

    for (int i = 0; i < 20000; i++)
        assert_ok(buf_add_str(&script, "# nothing but words\n"));
    assert_ok(buf_add_str(&script, "cat"));
    run.script = buf_str(&script);
    assert_ok(machine_run(*state, &run, &result, NULL));
    assert_string_equal(buf_str(&result.out), "rest");
}

static void a_signal_is_128_and_its_number(void **state)
{
    SCOPED(machine_result) struct machine_result result = MACHINE_RESULT_NONE;
    const struct machine_run run = {.script = "kill -TERM $$; sleep 10"};

    assert_ok(machine_run(*state, &run, &result, NULL));
    assert_int_equal(result.exit_status, 128 + SIGTERM);
}

static void input_that_nobody_reads_is_no_error(void **state)
{
    SCOPED(machine_result) struct machine_result result = MACHINE_RESULT_NONE;
    SCOPED(buf_value) struct buf big = BUF_EMPTY;
    struct machine_run run = {.script = "exec <&-; echo done"};

    assert_ok(buf_add_zeros(&big, 4 * 1024 * 1024));
    run.input = buf_bytes(&big);
    assert_ok(machine_run(*state, &run, &result, NULL));
    assert_string_equal(buf_str(&result.out), "done\n");
}

static void a_script_that_hangs_is_left(void **state)
{
    SCOPED(machine_result) struct machine_result result = MACHINE_RESULT_NONE;
    const struct machine_run run = {.script = "exec sleep 30", .timeout_ms = 300};
    struct err err = ERR_NONE;

    assert_int_equal(machine_run(*state, &run, &result, &err), -ETIMEDOUT);
}

static int count_pieces(void *self, struct bytes piece)
{
    size_t *left = self;

    *left = piece.len >= *left ? 0 : *left - piece.len;
    return *left == 0 ? -1 : 0;
}

static void whoever_has_enough_ends_the_command(void **state)
{
    SCOPED(machine_result) struct machine_result result = MACHINE_RESULT_NONE;
    size_t left = 100000;
    const struct machine_run run = {.script = "yes", .output = count_pieces, .self = &left};

    assert_int_equal(machine_run(*state, &run, &result, NULL), -ECANCELED);
}

static void *cancel_soon(void *arg)
{
    clock_sleep_ms(300);
    machine_cancel(arg);
    return NULL;
}

static void another_thread_ends_what_runs_and_all_that_comes(void **state)
{
    SCOPED(machine_result) struct machine_result result = MACHINE_RESULT_NONE;
    const struct machine_run run = {.script = "exec sleep 30"};
    pthread_t thread;

    assert_ok(thread_start(&thread, "cancel", cancel_soon, *state));
    assert_int_equal(machine_run(*state, &run, &result, NULL), -ECANCELED);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(machine_run(*state, &run, &result, NULL) < 0);
}

/* ---- files ----------------------------------------------------------------------------------- */

struct source {
    struct bytes left;
};

static int64_t read_source(void *self, void *buf, size_t len, struct err *err)
{
    struct source *source = self;
    size_t n = source->left.len < len ? source->left.len : len;

    (void)err;
    if (n > 0)
        memcpy(buf, source->left.data, n);
    source->left = bytes_of(source->left.data + n, source->left.len - n);
    return (int64_t)n;
}

static int put(struct machine *machine, const char *path, struct bytes content, bool wrong_sum,
               struct err *err)
{
    struct source source = {.left = content};
    struct machine_put what = {
        .path = path, .mode = 04755, .read = read_source, .self = &source, .size = content.len};
    struct digest digest;

    assert_ok(digest_of(content, &digest));
    memcpy(what.sha256, digest.sha256, sizeof(what.sha256));
    what.sha256[0] ^= wrong_sum ? 1 : 0;
    return machine_put_file(machine, &what, err);
}

static void a_file_is_put_and_read_back(void **state)
{
    SCOPED(mem) char *path = path_join(getenv("WORK"), "it's a file");
    SCOPED(buf_value) struct buf big = BUF_EMPTY;
    SCOPED(buf_value) struct buf back = BUF_EMPTY;
    struct stat st;
    struct err err = ERR_NONE;

    for (int i = 0; i < 200000; i++)
        assert_ok(buf_addf(&big, "%d ", i));
    assert_ok(put(*state, path, bytes_of_str("old"), false, &err));
    assert_ok(put(*state, path, buf_bytes(&big), false, &err));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 04755);
    assert_ok(machine_get_file(*state, path, big.len, &back, &err));
    assert_true(bytes_equal(buf_bytes(&back), buf_bytes(&big)));
    assert_int_equal(machine_get_file(*state, path, big.len - 1, &back, &err), -EFBIG);
}

static void bytes_that_changed_on_the_way_do_not_take_the_files_place(void **state)
{
    SCOPED(mem) char *path = path_join(getenv("WORK"), "kept");
    SCOPED(buf_value) struct buf back = BUF_EMPTY;
    struct err err = ERR_NONE;

    assert_ok(put(*state, path, bytes_of_str("good"), false, &err));
    assert_int_equal(put(*state, path, bytes_of_str("evil"), true, &err), -EBADMSG);
    assert_ok(machine_get_file(*state, path, 100, &back, &err));
    assert_string_equal(buf_str(&back), "good");
}

static void a_file_that_is_not_there_is_said_so(void **state)
{
    SCOPED(buf_value) struct buf back = BUF_EMPTY;

    assert_int_equal(machine_get_file(*state, "/no/such/file", 100, &back, NULL), -ENOENT);
    assert_int_equal(machine_get_file(*state, "not/absolute", 100, &back, NULL), -EINVAL);
    assert_int_equal(machine_get_file(*state, "/two\nlines", 100, &back, NULL), -EINVAL);
}

static void nothing_is_left_in_tmp(void **state)
{
    SCOPED(machine_result) struct machine_result result = MACHINE_RESULT_NONE;
    const struct machine_run run = {.script = "ls /tmp | grep -c '^finch-soci-upload' || true"};

    assert_ok(machine_run(*state, &run, &result, NULL));
    assert_string_equal(buf_str(&result.out), "0\n");
}

static void a_directory_that_cannot_be_written_is_said_so(void **state)
{
    SCOPED(mem) char *dir = path_join(getenv("WORK"), "read-only");
    SCOPED(mem) char *path = path_join(dir, "file");
    SCOPED(mem) char *script = text_format("mkdir -p %s && mount -t tmpfs -o ro none %s", dir, dir);
    SCOPED(machine_result) struct machine_result result = MACHINE_RESULT_NONE;
    const struct machine_run run = {.script = script};
    struct err err = ERR_NONE;

    assert_ok(machine_run(*state, &run, &result, NULL));
    assert_int_equal(result.exit_status, 0);
    assert_int_equal(put(*state, path, bytes_of_str("x"), false, &err), -EROFS);
}

static void a_full_disk_is_said_so_and_the_old_file_stays(void **state)
{
    SCOPED(mem) char *dir = path_join(getenv("WORK"), "full");
    SCOPED(mem) char *path = path_join(dir, "file");
    SCOPED(mem)
    char *script = text_format("mkdir -p %s && mount -t tmpfs -o size=64k none %s", dir, dir);
    SCOPED(machine_result) struct machine_result result = MACHINE_RESULT_NONE;
    SCOPED(buf_value) struct buf big = BUF_EMPTY;
    SCOPED(buf_value) struct buf back = BUF_EMPTY;
    const struct machine_run run = {.script = script};
    struct err err = ERR_NONE;

    assert_ok(machine_run(*state, &run, &result, NULL));
    assert_ok(put(*state, path, bytes_of_str("old"), false, &err));
    assert_ok(buf_add_zeros(&big, 1024 * 1024));
    assert_int_equal(put(*state, path, buf_bytes(&big), false, &err), -ENOSPC);
    assert_ok(machine_get_file(*state, path, 100, &back, &err));
    assert_string_equal(buf_str(&back), "old");
}

/* ---- over SSH -------------------------------------------------------------------------------- */

static void a_stranger_is_refused(void **state)
{
    SCOPED(machine) struct machine *machine = NULL;
    struct err err = ERR_NONE;

    (void)state;
    assert_int_equal(open_with("stranger", NULL, 5000, &machine, &err), -EACCES);
    assert_non_null(strstr(err_text(&err), "stranger"));
    assert_int_equal(open_with("no-such-key", NULL, 5000, &machine, &err), -ENOENT);
}

/* With the libssh2 of Debian 12 it cannot work, and one line says what would. */
static void an_rsa_key_works_or_says_what_is_missing(void **state)
{
    SCOPED(machine) struct machine *machine = NULL;
    struct err err = ERR_NONE;
    int rc = open_with("rsa", NULL, 0, &machine, &err);

    (void)state;
    if (rc == 0)
        return;
    assert_int_equal(rc, -EACCES);
    assert_non_null(strstr(err_text(&err), "use an ed25519 key"));
}

static void host_keys_are_checked_where_a_file_of_them_is_named(void **state)
{
    SCOPED(machine) struct machine *machine = NULL;
    SCOPED(machine) struct machine *none = NULL;
    struct err err = ERR_NONE;

    (void)state;
    assert_ok(open_with("user", "known", 0, &machine, &err));
    assert_int_equal(open_with("user", "known-other", 0, &none, &err), -EACCES);
    assert_non_null(strstr(err_text(&err), "another than"));
    assert_int_equal(open_with("user", "no-such-file", 0, &none, &err), -EACCES);
}

/* Nobody listens on the first, or somebody who does not know us. */
static void another_address_is_tried_where_there_is_no_way_in(void **state)
{
    SCOPED(mem) char *identity = key("user");
    SCOPED(mem) char *stranger = key("stranger");
    struct machine_ssh ssh = {.host = "127.0.0.2",
                              .other_host = "127.0.0.1",
                              .port = PORT,
                              .user = "root",
                              .identity = identity};
    SCOPED(machine) struct machine *machine = NULL;
    SCOPED(machine) struct machine *none = NULL;
    struct err err = ERR_NONE;

    (void)state;
    assert_ok(machine_open_ssh(&ssh, &machine, &err));
    ssh.identity = stranger;
    assert_int_equal(machine_open_ssh(&ssh, &none, &err), -EACCES);
    assert_non_null(strstr(err_text(&err), "127.0.0.2 port"));
    assert_non_null(strstr(err_text(&err), "; root is not let in"));
    ssh.host = "127.0.0.1";
    ssh.other_host = "127.0.0.2";
    assert_int_equal(machine_open_ssh(&ssh, &none, &err), -EAGAIN); /* it may boot still */
}

static void a_port_where_nobody_listens_is_tried_until_the_time_is_over(void **state)
{
    SCOPED(mem) char *identity = key("user");
    const struct machine_ssh ssh = {
        .host = "127.0.0.1", .port = 2223, .user = "root", .identity = identity, .wait_ms = 1500};
    SCOPED(machine) struct machine *machine = NULL;
    struct err err = ERR_NONE;

    (void)state;
    assert_int_equal(machine_open_ssh(&ssh, &machine, &err), -EAGAIN);
    assert_non_null(strstr(err_text(&err), "127.0.0.1 port 2223"));
}

/* Before the second output is asked for, when the first had nothing three times: in two rounds the
 * input and its end are sent, and after these there is another in any case. */
static int64_t linger_ms;

/* In front of libssh2's own. */
ssize_t libssh2_channel_read_ex(LIBSSH2_CHANNEL *channel, int stream, char *to, size_t len)
{
    static int nothings;
    ssize_t (*read_ex)(LIBSSH2_CHANNEL *, int, char *, size_t);
    ssize_t n;

    *(void **)&read_ex = dlsym(RTLD_NEXT, "libssh2_channel_read_ex");
    if (stream != 0 && nothings >= 3)
        clock_sleep_ms(linger_ms);
    n = read_ex(channel, stream, to, len);
    if (stream == 0)
        nothings = n == LIBSSH2_ERROR_EAGAIN ? nothings + 1 : 0;
    return n;
}

/* Whoever asks for one output takes in all that came, and then nothing more comes to wake us. */
static void what_comes_while_the_other_output_is_asked_for_is_not_waited_for(void **state)
{
    SCOPED(machine_result) struct machine_result result = MACHINE_RESULT_NONE;
    const struct machine_run run = {.script = "sleep 0.7; echo here", .timeout_ms = 10000};
    int rc;

    linger_ms = 2000;
    rc = machine_run(*state, &run, &result, NULL);
    linger_ms = 0;
    assert_ok(rc);
    assert_string_equal(buf_str(&result.out), "here\n");
}

static void a_connection_that_breaks_is_an_error_and_no_hang(void **state)
{
    SCOPED(machine_result) struct machine_result result = MACHINE_RESULT_NONE;
    /* the server's process of this connection is our parent's parent */
    const struct machine_run run = {.script = "up=$(ps -o ppid= -p $PPID | tr -d ' '); [ \"$(ps -o "
                                              "comm= -p $PPID)\" = sshd ] && up=$PPID;"
                                              " kill -KILL $up; sleep 30"};
    struct err err = ERR_NONE;
    int rc = machine_run(*state, &run, &result, &err);

    assert_int_equal(rc, -EAGAIN);
    assert_int_equal(machine_run(*state, &run, &result, &err), -EAGAIN);
}

#define FAR(name) cmocka_unit_test_setup_teardown(name, open_far, close_it)
#define NEAR(name) cmocka_unit_test_setup_teardown(name, open_near, close_it)
#define BOTH(name) FAR(name), NEAR(name)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(a_script_has_its_input_and_two_outputs),
        BOTH(megabytes_go_both_ways),
        BOTH(a_script_may_be_longer_than_a_command_line),
        BOTH(a_signal_is_128_and_its_number),
        BOTH(input_that_nobody_reads_is_no_error),
        BOTH(a_script_that_hangs_is_left),
        BOTH(whoever_has_enough_ends_the_command),
        BOTH(another_thread_ends_what_runs_and_all_that_comes),
        BOTH(a_file_is_put_and_read_back),
        BOTH(bytes_that_changed_on_the_way_do_not_take_the_files_place),
        BOTH(a_file_that_is_not_there_is_said_so),
        BOTH(a_directory_that_cannot_be_written_is_said_so),
        BOTH(a_full_disk_is_said_so_and_the_old_file_stays),
        FAR(nothing_is_left_in_tmp),
        cmocka_unit_test(a_stranger_is_refused),
        cmocka_unit_test(an_rsa_key_works_or_says_what_is_missing),
        cmocka_unit_test(host_keys_are_checked_where_a_file_of_them_is_named),
        cmocka_unit_test(another_address_is_tried_where_there_is_no_way_in),
        cmocka_unit_test(a_port_where_nobody_listens_is_tried_until_the_time_is_over),
        FAR(what_comes_while_the_other_output_is_asked_for_is_not_waited_for),
        FAR(a_connection_that_breaks_is_an_error_and_no_hang),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
