/* SPDX-License-Identifier: Apache-2.0 */
/* posix_run.c – a program with its input, its output and a time limit. */
#include "platform/platform.h"

#include "base/clock.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

extern char **environ;

enum { RUN_TIMEOUT_MS = 60000, RUN_OUTPUT_MAX_BYTES = 1024 * 1024 };
enum { RUN_PIECE_BYTES = 16 * 1024 };
/* After its pipes were closed a program has nothing to say; how often it is asked whether it ended.
 */
enum { RUN_REAP_MS = 20 };

void platform_result_fini(struct platform_result *result)
{
    buf_fini(&result->out);
    buf_fini(&result->err);
}

/* ---- a child --------------------------------------------------------------------------------- */

/* Our ends of its three pipes; -1: closed. */
struct child {
    pid_t pid; /* 0: none, or reaped */
    int in, out, err;
};

static void child_fini(struct child *child)
{
    const int fds[] = {child->in, child->out, child->err};

    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        if (fds[i] >= 0)
            (void)close(fds[i]);
    }
    if (child->pid > 0) {
        (void)kill(-child->pid, SIGKILL); /* its group: what it started too */
        while (waitpid(child->pid, NULL, 0) < 0 && errno == EINTR)
            ;
    }
}
DEFINE_SCOPED_VALUE(child, struct child, child_fini)

struct pipes {
    int in[2], out[2], err[2];
};

static void pipes_fini(struct pipes *pipes)
{
    int *all[] = {pipes->in, pipes->out, pipes->err};

    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        for (size_t end = 0; end < 2; end++) {
            if (all[i][end] >= 0)
                (void)close(all[i][end]);
        }
    }
}
DEFINE_SCOPED_VALUE(pipes, struct pipes, pipes_fini)

static int open_pipes(struct pipes *ret, struct err *err)
{
    if (pipe2(ret->in, O_CLOEXEC) < 0 || pipe2(ret->out, O_CLOEXEC) < 0 ||
        pipe2(ret->err, O_CLOEXEC) < 0)
        return err_sys(err, -errno, "pipe");
    if (fcntl(ret->in[1], F_SETFL, O_NONBLOCK) < 0 || fcntl(ret->out[0], F_SETFL, O_NONBLOCK) < 0 ||
        fcntl(ret->err[0], F_SETFL, O_NONBLOCK) < 0)
        return err_sys(err, -errno, "pipe");
    return 0;
}

static bool is_setting_of(const char *setting, const char *variable)
{
    size_t len = strcspn(setting, "=") + 1;

    return strncmp(setting, variable, len) == 0;
}

/* Ours with the settings over it; the strings are borrowed. NULL: out of memory. */
static char **make_environment(const char *const *settings)
{
    size_t ours = 0, more = 0, count = 0;
    char **made;

    while (environ[ours] != NULL)
        ours++;
    while (settings != NULL && settings[more] != NULL)
        more++;
    made = calloc(ours + more + 1, sizeof(*made));
    for (size_t i = 0; made != NULL && i < ours; i++) {
        bool replaced = false;

        for (size_t k = 0; k < more; k++)
            replaced = replaced || is_setting_of(settings[k], environ[i]);
        if (!replaced)
            made[count++] = environ[i];
    }
    for (size_t k = 0; made != NULL && k < more; k++)
        made[count++] = (char *)(uintptr_t)settings[k]; /* posix_spawn() does not write to it */
    return made;
}

static int spawn(const struct platform_run *run, const struct pipes *pipes, char **environment,
                 pid_t *ret)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, defaults;
    int rc;

    (void)sigemptyset(&none);
    (void)sigemptyset(&defaults);
    (void)sigaddset(&defaults, SIGPIPE);
    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawnattr_init(&attributes);
    rc = posix_spawn_file_actions_adddup2(&actions, pipes->in[0], 0);
    if (rc == 0)
        rc = posix_spawn_file_actions_adddup2(&actions, pipes->out[1], 1);
    if (rc == 0)
        rc = posix_spawn_file_actions_adddup2(&actions, pipes->err[1], 2);
    (void)posix_spawnattr_setpgroup(&attributes, 0);
    (void)posix_spawnattr_setsigmask(&attributes, &none);
    (void)posix_spawnattr_setsigdefault(&attributes, &defaults);
    (void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                                    POSIX_SPAWN_SETSIGDEF);
    if (rc == 0) /* the strings of argv are not written to either */
        rc = posix_spawnp(ret, run->argv[0], &actions, &attributes,
                          (char *const *)(uintptr_t)run->argv, environment);
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)posix_spawnattr_destroy(&attributes);
    return -rc;
}

static int start(const struct platform_run *run, struct child *ret, struct err *err)
{
    SCOPED(pipes) struct pipes pipes = {.in = {-1, -1}, .out = {-1, -1}, .err = {-1, -1}};
    SCOPED(mem) char **environment = make_environment(run->settings);
    int rc = open_pipes(&pipes, err);

    if (rc < 0)
        return rc;
    if (environment == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    rc = spawn(run, &pipes, environment, &ret->pid);
    if (rc < 0) {
        ret->pid = 0;
        return err_sys(err, rc, "%s", run->argv[0]);
    }
    ret->in = take_fd(&pipes.in[1]);
    ret->out = take_fd(&pipes.out[0]);
    ret->err = take_fd(&pipes.err[0]);
    return 0;
}

/* ---- talking to it --------------------------------------------------------------------------- */

static void close_end(int *fd)
{
    (void)close(*fd);
    *fd = -1;
}

/* A program that does not want its input has every right to. */
static void feed(struct child *child, struct bytes *input)
{
    ssize_t n = input->len == 0 ? 0 : write(child->in, input->data, input->len);

    if (n > 0)
        *input = bytes_of(input->data + n, input->len - (size_t)n);
    if (input->len == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        close_end(&child->in);
}

static int drain(int *fd, struct buf *to, size_t max_bytes, struct err *err)
{
    uint8_t piece[RUN_PIECE_BYTES];
    ssize_t n = read(*fd, piece, sizeof(piece));

    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : err_sys(err, -errno, "output");
    if (n == 0)
        close_end(fd);
    else if ((size_t)n > max_bytes - to->len)
        return err_set(err, -EFBIG, "more output than %zu bytes", max_bytes);
    else if (buf_add(to, piece, (size_t)n) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    return 0;
}

static int left_ms(int64_t deadline_ms)
{
    int64_t left = deadline_ms - clock_mono_ms();

    return left <= 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
}

static int talk(const struct platform_run *run, struct child *child, int64_t deadline_ms,
                struct platform_result *ret, struct err *err)
{
    size_t max_bytes = run->max_output_bytes == 0 ? RUN_OUTPUT_MAX_BYTES : run->max_output_bytes;
    struct bytes input = run->input;
    int rc = 0;

    while (rc == 0 && (child->out >= 0 || child->err >= 0)) {
        struct pollfd polls[] = {{.fd = child->in, .events = POLLOUT},
                                 {.fd = child->out, .events = POLLIN},
                                 {.fd = child->err, .events = POLLIN}};
        int ready = poll(polls, ARRAY_LEN(polls), left_ms(deadline_ms));

        if (ready == 0)
            return err_set(err, -ETIMEDOUT, "no end within its time");
        if (ready < 0 && errno != EINTR)
            return err_sys(err, -errno, "poll");
        if (ready < 0)
            continue;
        if (polls[0].revents != 0)
            feed(child, &input);
        if (polls[1].revents != 0)
            rc = drain(&child->out, &ret->out, max_bytes, err);
        if (rc == 0 && polls[2].revents != 0)
            rc = drain(&child->err, &ret->err, max_bytes, err);
    }
    return rc;
}

static int reap(struct child *child, int64_t deadline_ms, int *ret_status, struct err *err)
{
    int status = 0;

    for (;;) {
        pid_t pid = waitpid(child->pid, &status, WNOHANG);

        if (pid == child->pid)
            break;
        if (pid < 0 && errno != EINTR)
            return err_sys(err, -errno, "wait");
        if (left_ms(deadline_ms) == 0)
            return err_set(err, -ETIMEDOUT, "no end within its time");
        clock_sleep_ms(RUN_REAP_MS);
    }
    child->pid = 0;
    *ret_status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    return 0;
}

int platform_run(const struct platform_run *run, struct platform_result *ret, struct err *err)
{
    SCOPED(child) struct child child = {.pid = 0, .in = -1, .out = -1, .err = -1};
    SCOPED(platform_result)
    struct platform_result result = {.out = BUF_EMPTY, .err = BUF_EMPTY, .exit_status = 0};
    int64_t deadline_ms =
        clock_mono_ms() + (run->timeout_ms == 0 ? RUN_TIMEOUT_MS : run->timeout_ms);
    int rc = start(run, &child, err);

    if (rc < 0)
        return rc;
    rc = talk(run, &child, deadline_ms, &result, err);
    if (rc == 0)
        rc = reap(&child, deadline_ms, &result.exit_status, err);
    if (rc < 0)
        return err_prefix(err, rc, "%s", run->argv[0]);
    *ret = result;
    result = (struct platform_result){.out = BUF_EMPTY, .err = BUF_EMPTY};
    return 0;
}

/* ---- programs and places --------------------------------------------------------------------- */

static bool is_program(const char *path)
{
    return access(path, X_OK) == 0;
}

int platform_find_program(const char *name, char **ret, struct err *err)
{
    const char *path = getenv("PATH");
    const char *at = path == NULL ? "" : path;

    while (*at != '\0') {
        size_t len = strcspn(at, ":");
        SCOPED(mem) char *candidate = text_format("%.*s/%s", (int)len, at, name);

        if (candidate == NULL)
            return err_set(err, -ENOMEM, "out of memory");
        if (len > 0 && is_program(candidate)) {
            *ret = realpath(candidate, NULL);
            return *ret == NULL ? err_sys(err, -errno, "%s", candidate) : 0;
        }
        at += len + (at[len] == ':');
    }
    return err_set(err, -ENOENT, "%s is not in PATH", name);
}

bool platform_is_alive(int64_t pid)
{
    return pid > 0 && pid <= INT_MAX && (kill((pid_t)pid, 0) == 0 || errno == EPERM);
}

char *platform_home(void)
{
    const char *home = getenv("HOME");
    const struct passwd *user;

    if (home != NULL && *home == '/')
        return text_copy(home);
    user = getpwuid(getuid()); /* at start, before there are threads */
    return user == NULL ? NULL : text_copy(user->pw_dir);
}
