/* SPDX-License-Identifier: Apache-2.0 */
/* Docker's config.json: what it says about a host, credential helpers good and bad, and Finch's
 * guest. Helpers are shell scripts. */
#include "test.h"

#include "base/clock.h"
#include "base/files.h"
#include "base/text.h"
#include "registry/keychain.h"
#include "registry/registry.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>

#define assert_text_has(text, part)                                                                \
    do {                                                                                           \
        if (strstr((text), (part)) == NULL)                                                        \
            fail_msg("\"%s\" does not say \"%s\"", (text), (part));                                \
    } while (0)

/* ---- a directory with config.json, helpers, and what they noted -------------------------------
 */

static char *old_path;

static void write_file(const char *dir, const char *name, const char *text, mode_t mode)
{
    SCOPED(mem) char *path = path_join(dir, name);
    struct err err = ERR_NONE;

    assert_ok(file_replace(path, bytes_of_str(text), mode, &err));
    assert_int_equal(chmod(path, mode), 0);
}

static void write_config(const char *dir, const char *json)
{
    write_file(dir, "config.json", json, 0600);
}

static void write_helper(const char *dir, const char *name, const char *script)
{
    SCOPED(mem) char *file = text_format("docker-credential-%s", name);
    SCOPED(mem) char *text = text_format("#!/bin/sh\n%s\n", script);

    write_file(dir, file, text, 0755);
}

/* What a helper wrote to a file in the directory: new. */
static char *read_note(const char *dir, const char *name)
{
    SCOPED(mem) char *path = path_join(dir, name);
    SCOPED(buf_value) struct buf text = BUF_EMPTY;
    struct err err = ERR_NONE;

    if (file_read(path, 1000 * 1000, &text, &err) < 0)
        fail_msg("%s", err_text(&err));
    return strdup(buf_str(&text));
}

static int look_up(const char *host, struct registry_credentials *ret, struct err *err)
{
    *ret = (struct registry_credentials){.username = NULL};
    return registry_keychain_docker.find(registry_keychain_docker.self, host, -1, ret, err);
}

static void expect_text(const char *got, const char *expected)
{
    if (expected == NULL)
        assert_null(got);
    else
        assert_string_equal(got == NULL ? "(nothing)" : got, expected);
}

static void expect_tokens(const char *host, const char *username, const char *password,
                          const char *identity, const char *bearer)
{
    struct registry_credentials cred;
    struct err err = ERR_NONE;

    if (look_up(host, &cred, &err) < 0)
        fail_msg("%s", err_text(&err));
    expect_text(cred.username, username);
    expect_text(cred.password, password);
    expect_text(cred.identity_token, identity);
    expect_text(cred.registry_token, bearer);
    registry_credentials_fini(&cred);
}

static void expect_user(const char *host, const char *username, const char *password)
{
    expect_tokens(host, username, password, NULL, NULL);
}

static void expect_failure(const char *host, int rc, const char *text)
{
    struct registry_credentials cred;
    struct err err = ERR_NONE;

    assert_int_equal(look_up(host, &cred, &err), rc);
    assert_text_has(err_text(&err), text);
    assert_null(strstr(err_text(&err), "secret"));
    assert_null(strchr(err_text(&err), '\n'));
    assert_null(cred.username);
    assert_null(cred.password);
    assert_null(cred.identity_token);
    assert_null(cred.registry_token);
}

static int set_up(void **state)
{
    char *dir = strdup("/tmp/test-keychain.XXXXXX");
    const char *inherited = getenv("PATH");
    SCOPED(mem) char *path = NULL;

    assert_non_null(mkdtemp(dir));
    assert_non_null(inherited);
    old_path = strdup(inherited);
    path = text_format("%s:%s", dir, old_path);
    assert_int_equal(setenv("PATH", path, 1), 0);
    assert_int_equal(setenv("DOCKER_CONFIG", dir, 1), 0);
    assert_int_equal(setenv("SOCI_LIMA_ENV", "/nonexistent", 1), 0);
    assert_int_equal(setenv("NOTES", dir, 1), 0);
    *state = dir;
    return 0;
}

static int tear_down(void **state)
{
    struct err err = ERR_NONE;

    assert_int_equal(setenv("PATH", old_path, 1), 0);
    free(TAKE(old_path));
    assert_ok(dir_remove_all(*state, &err));
    free(*state);
    return unsetenv("DOCKER_CONFIG");
}

/* ---- auths ----------------------------------------------------------------------------------- */

static void docker_config_is_read_at_each_look_up(void **state)
{
    const char *dir = *state;

    expect_user("a.example", NULL, NULL);
    write_config(dir, "{\"auths\":{"
                      "\"a.example\":{\"auth\":\"dXNlcjpwYXNzOndvcmQ=\"},"
                      "\"https://b.example:5000/v1/\":{\"username\":\"b\",\"password\":\"pb\"},"
                      "\"http://c.example\":{\"username\":\"c\",\"password\":\"pc\"},"
                      "\"https://index.docker.io/v1/\":{\"username\":\"hub\",\"password\":\"ph\"},"
                      "\"x.example/v2/\":{\"username\":\"second\",\"password\":\"\"},"
                      "\"x.example\":{\"username\":\"exact\",\"password\":\"\"},"
                      "\"odd.example\":7}}");
    expect_user("a.example", "user", "pass:word");
    expect_user("b.example:5000", "b", "pb");
    expect_user("c.example", "c", "pc");
    expect_user("docker.io", "hub", "ph");
    expect_user("x.example", "exact", NULL);
    expect_user("odd.example", NULL, NULL);
    expect_user("b.example", NULL, NULL);
    expect_user("a.example.evil.example", NULL, NULL);
    write_config(dir, "{}");
    expect_user("a.example", NULL, NULL);
}

static void tokens_are_told_from_passwords(void **state)
{
    write_config(*state, "{\"auths\":{\"a\":{\"identitytoken\":\"it\"},"
                         "\"b\":{\"auth\":\"dXNlcjpw\",\"identitytoken\":\"it\"},"
                         "\"c\":{\"registrytoken\":\"rt\"},\"d\":{\"registrytoken\":\"\"}}}");
    expect_tokens("a", NULL, NULL, "it", NULL);
    expect_tokens("b", "user", "p", "it", NULL);
    expect_tokens("c", NULL, NULL, NULL, "rt");
    expect_tokens("d", NULL, NULL, NULL, NULL);
}

static void a_broken_docker_config_is_an_error_without_secrets(void **state)
{
    static const char *const bad[] = {"", "[]",
                                      "{\"auths\":{\"a.example\":{\"auth\":\"c2VjcmV0\"}}}",
                                      "{\"auths\":{\"a.example\":{\"auth\":\"c2VjcmV0!\"}}}",
                                      "{\"auths\":{\"a.example\":{\"auth\":\"c2VjcmV0\"}"};
    struct registry_credentials cred;
    struct err err = ERR_NONE;

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        write_config(*state, bad[i]);
        expect_failure("a.example", -EBADMSG, "/config.json: ");
        assert_int_equal(look_up("a.example", &cred, &err), -EBADMSG);
        assert_null(strstr(err_text(&err), "c2Vj"));
    }
}

static void a_config_of_the_wrong_kind_is_refused_at_once(void **state)
{
    SCOPED(mem) char *path = path_join(*state, "config.json");
    SCOPED(mem) char *huge = malloc(2 * 1000 * 1000);

    assert_int_equal(mkdir(path, 0700), 0);
    expect_failure("a", -EBADMSG, "no regular file");
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    expect_failure("a", -EBADMSG, "no regular file");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("config.json", path), 0);
    expect_failure("a", -ELOOP, "config.json");
    assert_int_equal(unlink(path), 0);
    memset(huge, ' ', 2 * 1000 * 1000 - 1);
    huge[2 * 1000 * 1000 - 1] = '\0';
    write_config(*state, huge);
    expect_failure("a", -EFBIG, "larger than");
}

/* ---- helpers --------------------------------------------------------------------------------- */

#define ANSWER(user, secret)                                                                       \
    "echo '{\"ServerURL\":\"x\",\"Username\":\"" user "\",\"Secret\":\"" secret "\"}'"
#define NOBODY "echo credentials not found in native keychain; exit 1"

static void the_helper_of_the_host_comes_first_then_the_store_then_the_file(void **state)
{
    const char *dir = *state;

    write_helper(dir, "mine", ANSWER("from mine", "1"));
    write_helper(dir, "all",
                 "read host; case $host in known) " ANSWER("from all", "2") ";; *) " NOBODY
                                                                            ";; esac");
    write_config(dir, "{\"credsStore\":\"all\",\"credHelpers\":{\"a\":\"mine\",\"file\":\"\"},"
                      "\"auths\":{\"a\":{\"username\":\"f\",\"password\":\"p\"},"
                      "\"known\":{\"username\":\"f\",\"password\":\"p\"},"
                      "\"file\":{\"username\":\"f\",\"password\":\"p\"},"
                      "\"old\":{\"username\":\"f\",\"password\":\"p\"}}}");
    expect_user("a", "from mine", "1");
    expect_user("known", "from all", "2");
    expect_user("file", "f", "p"); /* an empty name: no helper for this one */
    expect_user("old", "f", "p");  /* the store knows nobody */
    expect_user("other", NULL, NULL);
}

static void a_helper_is_told_get_and_the_name_of_the_server(void **state)
{
    const char *dir = *state;
    SCOPED(mem) char *hub = NULL;
    SCOPED(mem) char *host = NULL;

    write_helper(dir, "notes", "cat >$NOTES/stdin; echo \"$# $1\" >>$NOTES/stdin; " NOBODY);
    write_config(dir, "{\"credsStore\":\"notes\"}");
    expect_user("docker.io", NULL, NULL);
    hub = read_note(dir, "stdin");
    assert_string_equal(hub, "https://index.docker.io/v1/1 get\n");
    expect_user("b.example:5000", NULL, NULL);
    host = read_note(dir, "stdin");
    assert_string_equal(host, "b.example:50001 get\n");
}

static void a_helper_for_docker_hub_is_found_by_any_of_its_names(void **state)
{
    static const char *const keys[] = {"https://index.docker.io/v1/", "index.docker.io",
                                       "docker.io"};

    write_helper(*state, "hub", ANSWER("hub", "p"));
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        SCOPED(mem) char *json = text_format("{\"credHelpers\":{\"%s\":\"hub\"}}", keys[i]);

        write_config(*state, json);
        expect_user("docker.io", "hub", "p");
    }
}

static void an_identity_token_is_known_by_its_user_name(void **state)
{
    write_helper(*state, "token", ANSWER("<token>", "it"));
    write_config(*state, "{\"credsStore\":\"token\"}");
    expect_tokens("a", NULL, NULL, "it", NULL);
}

static void a_name_that_is_no_name_is_never_run(void **state)
{
    static const char *const names[] = {"../x", "a/b", "a b", "a;b", "$(id)", "a\\nb"};

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        SCOPED(mem) char *json = text_format("{\"credsStore\":\"%s\"}", names[i]);

        write_config(*state, json);
        expect_failure("a", -EINVAL, "no proper name");
    }
}

static void a_helper_that_fails_is_named_with_host_and_reason(void **state)
{
    write_config(*state, "{\"credsStore\":\"bad\"}");
    expect_failure("h.example", -EAGAIN,
                   "docker-credential-bad for h.example: there is no such program in PATH");
    write_helper(*state, "bad", "echo no such socket >&2; exit 3");
    expect_failure("h.example", -EAGAIN,
                   "docker-credential-bad for h.example: exit code 3: no such socket");
    write_helper(*state, "bad", "echo it said so; exit 1");
    expect_failure("h.example", -EAGAIN, "exit code 1: it said so");
    write_helper(*state, "bad", "printf 'two\\nlines\\033[31m' >&2; exit 1");
    expect_failure("h.example", -EAGAIN, "exit code 1: two lines?[31m");
    write_helper(*state, "bad", "kill -9 $$");
    expect_failure("h.example", -EAGAIN, "killed by signal 9");
    write_helper(*state, "bad", ANSWER("u", "secret") "; exit 1");
    expect_failure("h.example", -EAGAIN, "exit code 1");
    /* longer than any word */
    write_helper(*state, "bad", "printf 'got %080dsecret instead' 7 >&2; exit 1");
    expect_failure("h.example", -EAGAIN, "exit code 1: got * instead");
}

static void a_helper_that_talks_nonsense_is_refused(void **state)
{
    static const char *const bad[] = {
        ":",
        "echo nonsense",
        "echo '[]'",
        "echo '{}'",
        "echo '{\"Username\":\"u\"}'",
        "echo '{\"Username\":1,\"Secret\":[\"secret\"]}'",
        "echo '{\"Username\":\"u\",\"Secret\":\"secret'",
        "printf '\\0\\0\\0\\377'",
        "head -c 50000 /dev/zero",
    };

    write_config(*state, "{\"credsStore\":\"bad\"}");
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        write_helper(*state, "bad", bad[i]);
        expect_failure("h", -EBADMSG, "docker-credential-bad for h: its answer has no");
    }
    write_helper(*state, "bad", "head -c 10000000 /dev/zero; sleep 100");
    expect_failure("h", -EFBIG, "docker-credential-bad for h: it says more than 65536 bytes");
    write_helper(*state, "bad", ANSWER("u", ""));
    expect_user("h", NULL, NULL);
}

static void much_on_stderr_holds_nothing_up(void **state)
{
    write_config(*state, "{\"credsStore\":\"loud\"}");
    write_helper(*state, "loud", "head -c 1000000 /dev/zero >&2; " ANSWER("u", "p"));
    expect_user("h", "u", "p");
}

static void a_child_that_keeps_the_pipes_open_holds_nothing_up(void **state)
{
    int64_t start_ms = clock_mono_ms();

    write_config(*state, "{\"credsStore\":\"agent\"}");
    write_helper(*state, "agent", "sleep 20 & echo $! >$NOTES/pid; " ANSWER("u", "p"));
    expect_user("h", "u", "p");
    assert_true(clock_mono_ms() - start_ms < 15 * 1000);
    {
        SCOPED(mem) char *pid = read_note(*state, "pid");

        (void)kill((pid_t)strtol(pid, NULL, 10), SIGKILL);
    }
}

static void a_helper_gets_no_descriptor_and_no_blocked_signal_of_ours(void **state)
{
    SCOPED(mem) char *fds = NULL;
    SCOPED(mem) char *signals = NULL;
    int leak = open("/dev/null", O_RDONLY);
    const char *ignored;
    sigset_t all, before;

    assert_true(leak >= 0);
    (void)sigfillset(&all);
    assert_int_equal(pthread_sigmask(SIG_BLOCK, &all, &before), 0);
    assert_true(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
    write_config(*state, "{\"credsStore\":\"look\"}");
    write_helper(*state, "look",
                 "ls /proc/self/fd >$NOTES/fds; grep 'SigBlk\\|SigIgn' /proc/self/status >"
                 "$NOTES/signals; " NOBODY);
    expect_user("h", NULL, NULL);
    assert_int_equal(pthread_sigmask(SIG_SETMASK, &before, NULL), 0);
    (void)close(leak);
    fds = read_note(*state, "fds");
    assert_string_equal(fds, "0\n1\n2\n3\n"); /* 3 is that of ls */
    signals = read_note(*state, "signals");
    assert_text_has(signals, "SigBlk:\t0000000000000000");
    ignored = strstr(signals, "SigIgn:\t");
    assert_non_null(ignored);
    assert_int_equal(strtoull(ignored + 8, NULL, 16) & 0x7fffffff, 0); /* above are libc's own */
}

static void a_helper_does_not_speak_to_systemd_for_us(void **state)
{
    SCOPED(mem) char *note = NULL;

    assert_int_equal(setenv("NOTIFY_SOCKET", "/run/x", 1), 0);
    assert_int_equal(setenv("LISTEN_FDS", "1", 1), 0);
    write_config(*state, "{\"credsStore\":\"env\"}");
    write_helper(*state, "env", "echo \"$NOTIFY_SOCKET|$LISTEN_FDS|$NOTES\" >$NOTES/env; " NOBODY);
    expect_user("h", NULL, NULL);
    note = read_note(*state, "env");
    assert_true(text_has_prefix(note, "||/tmp/"));
    assert_int_equal(unsetenv("NOTIFY_SOCKET"), 0);
    assert_int_equal(unsetenv("LISTEN_FDS"), 0);
}

static void a_program_that_hangs_is_killed_with_its_children(void **state)
{
    const struct text_list no_environment = TEXT_LIST_EMPTY;
    const struct helper_call call = {.name = "hangs",
                                     .host = "h",
                                     .environment = &no_environment,
                                     .cancel_fd = -1,
                                     .timeout_ms = 300};
    struct registry_credentials cred = {.username = NULL};
    SCOPED(mem)
    char *script = text_format("/bin/sleep 1000 & echo $! >%s/child; exec /bin/sleep 1000",
                               (const char *)*state);
    SCOPED(mem) char *child = NULL;
    struct err err = ERR_NONE;

    write_helper(*state, "hangs", script);
    assert_int_equal(helper_get(&call, &cred, &err), -ETIMEDOUT);
    assert_text_has(err_text(&err), "did not end within 1 s and was killed");
    child = read_note(*state, "child");
    /* Whoever adopted it needs a moment to see that it is dead. */
    for (int i = 0; i < 500; i++) {
        SCOPED(mem) char *path = text_format("/proc/%ld/stat", strtol(child, NULL, 10));
        SCOPED(buf_value) struct buf stat_text = BUF_EMPTY;

        if (file_read(path, 4096, &stat_text, &err) < 0 ||
            strstr(buf_str(&stat_text), ") Z ") != NULL)
            return;
        clock_sleep_ms(10);
    }
    fail_msg("the child of the program lives on");
}

static void a_program_that_hangs_does_not_hold_up_the_end(void **state)
{
    struct registry_credentials cred = {.username = NULL};
    int64_t start_ms = clock_mono_ms();
    struct err err = ERR_NONE;
    int ends[2];

    write_config(*state, "{\"credsStore\":\"hangs\"}");
    write_helper(*state, "hangs", "exec sleep 1000");
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "", 1), 1);
    assert_int_equal(
        registry_keychain_docker.find(registry_keychain_docker.self, "h", ends[0], &cred, &err),
        -ECANCELED);
    assert_true(clock_mono_ms() - start_ms < 14 * 1000); /* its time is 15 s */
    (void)close(ends[0]);
    (void)close(ends[1]);
}

/* ---- Finch's guest --------------------------------------------------------------------------- */

static void make_guest(const char *dir, const char *more)
{
    SCOPED(mem) char *path = path_join(dir, "lima.env");
    SCOPED(mem) char *text = text_format("LIMA_CIDATA_NAME=finch\nLIMA_CIDATA_USER=ann\n%s", more);

    write_file(dir, "lima.env", text, 0600);
    assert_int_equal(setenv("SOCI_LIMA_ENV", path, 1), 0);
}

static void note_environment(const char *dir)
{
    write_helper(dir, "env", "echo \"$SUDO_UID|$HOME|$DOCKER_CONFIG|$NOTES\" >$NOTES/env; " NOBODY);
}

static void in_a_guest_the_credentials_are_those_of_its_user(void **state)
{
    static const char *const forms[] = {"$HOME/vm", "${HOME}/vm", "~/vm"};
    const char *dir = *state;
    SCOPED(mem) char *vm = path_join(dir, "vm");
    SCOPED(mem) char *lines = text_format("LIMA_CIDATA_UID=501\nLIMA_CIDATA_HOME=%s\n", dir);
    SCOPED(mem) char *expected = text_format("501|/root|%s|%s\n", vm, dir);

    assert_int_equal(mkdir(vm, 0700), 0);
    make_guest(dir, lines);
    note_environment(dir);
    write_config(vm, "{\"credsStore\":\"env\"}");
    assert_int_equal(setenv("HOME", "/root", 1), 0);
    assert_int_equal(unsetenv("SUDO_UID"), 0);
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        SCOPED(mem) char *note = NULL;

        assert_int_equal(setenv("DOCKER_CONFIG", forms[i], 1), 0);
        write_file(dir, "env", "", 0600);
        expect_user("h", NULL, NULL);
        note = read_note(dir, "env");
        assert_string_equal(note, expected);
    }
}

static void what_is_set_already_stays(void **state)
{
    const char *dir = *state;
    SCOPED(mem) char *note = NULL;
    SCOPED(mem) char *expected = text_format("7|/home/x|%s|%s\n", dir, dir);

    make_guest(dir, "LIMA_CIDATA_UID=501\nLIMA_CIDATA_HOME=/elsewhere\n");
    note_environment(dir);
    write_config(dir, "{\"credsStore\":\"env\"}");
    assert_int_equal(setenv("HOME", "/home/x", 1), 0);
    assert_int_equal(setenv("SUDO_UID", "7", 1), 0);
    expect_user("h", NULL, NULL);
    note = read_note(dir, "env");
    assert_string_equal(note, expected);
    assert_int_equal(unsetenv("SUDO_UID"), 0);
}

static void without_DOCKER_CONFIG_a_guest_has_that_of_Finch(void **state)
{
    const char *dir = *state;
    SCOPED(mem) char *vm = path_join(dir, ".finch-vm-config");
    SCOPED(mem)
    char *lines = text_format("LIMA_CIDATA_UID=\"501\"\r\nLIMA_CIDATA_HOME=\"%s\"", dir);

    assert_int_equal(mkdir(vm, 0700), 0);
    make_guest(dir, lines);
    write_config(vm, "{\"auths\":{\"h\":{\"username\":\"u\",\"password\":\"p\"}}}");
    assert_int_equal(unsetenv("DOCKER_CONFIG"), 0);
    assert_int_equal(setenv("HOME", "/nonexistent", 1), 0);
    expect_user("h", "u", "p");
}

static void without_a_guest_nothing_changes(void **state)
{
    static const char *const not_enough[] = {
        "",
        "LIMA_CIDATA_HOME=/x\n",
        "LIMA_CIDATA_UID=501x\nLIMA_CIDATA_HOME=/x\n",
        "LIMA_CIDATA_UID=501\nLIMA_CIDATA_HOME=x\n",
        "XLIMA_CIDATA_UID=501\nLIMA_CIDATA_HOME=/x\n",
    };
    const char *dir = *state;

    note_environment(dir);
    write_config(dir, "{\"credsStore\":\"env\"}");
    assert_int_equal(setenv("HOME", "/root", 1), 0);
    for (size_t i = 0; i < ARRAY_LEN(not_enough); i++) {
        SCOPED(mem) char *note = NULL;
        SCOPED(mem) char *expected = text_format("|/root|%s|%s\n", dir, dir);

        make_guest(dir, not_enough[i]);
        expect_user("h", NULL, NULL);
        note = read_note(dir, "env");
        assert_string_equal(note, expected);
    }
    assert_int_equal(setenv("SOCI_LIMA_ENV", "/nonexistent", 1), 0);
    assert_int_equal(setenv("DOCKER_CONFIG", "$HOME/x", 1), 0);
    expect_user("h", NULL, NULL);
}

#define test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(docker_config_is_read_at_each_look_up),
        test(tokens_are_told_from_passwords),
        test(a_broken_docker_config_is_an_error_without_secrets),
        test(a_config_of_the_wrong_kind_is_refused_at_once),
        test(the_helper_of_the_host_comes_first_then_the_store_then_the_file),
        test(a_helper_is_told_get_and_the_name_of_the_server),
        test(a_helper_for_docker_hub_is_found_by_any_of_its_names),
        test(an_identity_token_is_known_by_its_user_name),
        test(a_name_that_is_no_name_is_never_run),
        test(a_helper_that_fails_is_named_with_host_and_reason),
        test(a_helper_that_talks_nonsense_is_refused),
        test(much_on_stderr_holds_nothing_up),
        test(a_child_that_keeps_the_pipes_open_holds_nothing_up),
        test(a_helper_gets_no_descriptor_and_no_blocked_signal_of_ours),
        test(a_helper_does_not_speak_to_systemd_for_us),
        test(a_program_that_hangs_is_killed_with_its_children),
        test(a_program_that_hangs_does_not_hold_up_the_end),
        test(in_a_guest_the_credentials_are_those_of_its_user),
        test(what_is_set_already_stays),
        test(without_DOCKER_CONFIG_a_guest_has_that_of_Finch),
        test(without_a_guest_nothing_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
