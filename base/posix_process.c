/* SPDX-License-Identifier: Apache-2.0 */
/* posix_process.c – pipes, a child in a group of its own, and a loop until both are done. */
#include "base/process.h"
#include "base/internal.h"

#include "base/clock.h"
#include "base/posix.h"
#include "base/system.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

extern char **environ;

enum { RUN_TIMEOUT_MS = 60000, RUN_OUTPUT_MAX_BYTES = 1024 * 1024 };
enum { RUN_PIECE_BYTES = 16 * 1024 };
/* How often it is asked whether it has ended: what it started may keep its pipes open, and when
 * they are closed it ends any moment. */
enum { RUN_LOOK_MS = 50, RUN_REAP_MS = 5 };
/* More than a pipe holds by default; what is still written then is not the program's. */
enum { RUN_LAST_PIECES = 64 };

static void wipe(struct buf *buf)
{
    if (buf->cap > 0)
        system_wipe(buf->data, buf->cap);
}

void process_end_fini(struct process_end *end)
{
    if (end->is_secret) {
        wipe(&end->out);
        wipe(&end->err);
    }
    buf_fini(&end->out);
    buf_fini(&end->err);
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

/* The child's end is none of 0, 1 and 2, which are replaced there one after the other. */
static int open_pipe(int ends[2], int childs)
{
    int moved, rc = process_pipe(ends);

    if (rc < 0)
        return rc;
    if (ends[childs] > STDERR_FILENO)
        return 0;
    moved = fcntl(ends[childs], F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (moved < 0)
        return -errno;
    (void)close(ends[childs]);
    ends[childs] = moved;
    return 0;
}

static int open_pipes(struct pipes *ret, struct err *err)
{
    int rc = open_pipe(ret->in, 0);

    if (rc == 0)
        rc = open_pipe(ret->out, 1);
    if (rc == 0)
        rc = open_pipe(ret->err, 1);
    if (rc < 0)
        return err_sys(err, rc, "pipe");
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

char **posix_environment(const char *const *base, const char *const *settings)
{
    size_t ours = 0, more = 0, count = 0;
    char **made;

    if (base == NULL)
        base = (const char *const *)environ;
    while (base[ours] != NULL)
        ours++;
    while (settings != NULL && settings[more] != NULL)
        more++;
    made = calloc(ours + more + 1, sizeof(*made));
    for (size_t i = 0; made != NULL && i < ours; i++) {
        bool replaced = false;

        for (size_t k = 0; k < more; k++)
            replaced = replaced || is_setting_of(settings[k], base[i]);
        if (!replaced)
            made[count++] = (char *)(uintptr_t)base[i]; /* posix_spawn() does not write to it */
    }
    for (size_t k = 0; made != NULL && k < more; k++)
        made[count++] = (char *)(uintptr_t)settings[k];
    return made;
}

static int spawn(const struct process_run *run, const struct pipes *pipes, char **environment,
                 pid_t *ret)
{
    posix_spawn_file_actions_t actions;
    struct posix_start how = {.argv = run->argv, .environment = environment, .files = &actions};
    int rc = posix_spawn_file_actions_init(&actions);

    if (rc != 0)
        return -rc;
    rc = posix_spawn_file_actions_adddup2(&actions, pipes->in[0], 0);
    if (rc == 0)
        rc = posix_spawn_file_actions_adddup2(&actions, pipes->out[1], 1);
    if (rc == 0)
        rc = posix_spawn_file_actions_adddup2(&actions, pipes->err[1], 2);
    if (rc == 0)
        rc = process_close_others(&actions, &how.flags);
    rc = rc == 0 ? posix_start(&how, ret) : -rc;
    (void)posix_spawn_file_actions_destroy(&actions);
    return rc;
}

static int start(const struct process_run *run, struct child *ret, struct err *err)
{
    SCOPED(pipes) struct pipes pipes = {.in = {-1, -1}, .out = {-1, -1}, .err = {-1, -1}};
    SCOPED(mem) char **environment = posix_environment(run->environment, run->settings);
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

/* A program that does not want its input has every right to: the signal that this gives is taken
 * back. */
static ssize_t write_quietly(int fd, struct bytes bytes)
{
    sigset_t pipe, before, pending;
    ssize_t n;
    int why, taken;

    (void)sigemptyset(&pipe);
    (void)sigaddset(&pipe, SIGPIPE);
    (void)pthread_sigmask(SIG_BLOCK, &pipe, &before);
    n = write(fd, bytes.data, bytes.len);
    why = errno;
    if (n < 0 && why == EPIPE && sigismember(&before, SIGPIPE) == 0 && sigpending(&pending) == 0 &&
        sigismember(&pending, SIGPIPE) == 1)
        (void)sigwait(&pipe, &taken);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = why;
    return n;
}

static void feed(struct child *child, struct bytes *input)
{
    ssize_t n = input->len == 0 ? 0 : write_quietly(child->in, *input);

    if (n > 0)
        *input = bytes_of(input->data + n, input->len - (size_t)n);
    if (input->len == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        close_end(&child->in);
}

/* Where a piece of output goes. */
struct sink {
    struct buf *to;
    size_t max_bytes;
    const struct process_run *run; /* NULL: into `to`, whatever the caller wants */
    bool may_drop;                 /* what is more */
};

static int take(const struct sink *sink, struct bytes piece, struct err *err)
{
    if (sink->run != NULL && sink->run->output != NULL)
        return sink->run->output(sink->run->self, piece) == 0
                   ? 0
                   : err_set(err, -ECANCELED, "nobody wants more of its output");
    if (sink->may_drop && piece.len > sink->max_bytes - sink->to->len)
        piece.len = sink->max_bytes - sink->to->len;
    if (piece.len > sink->max_bytes - sink->to->len)
        return err_set(err, -EFBIG, "more output than %zu bytes", sink->max_bytes);
    return buf_add(sink->to, piece.data, piece.len) < 0 ? err_set(err, -ENOMEM, "out of memory")
                                                        : 0;
}

/* 1: there may be more. */
static int drain(int *fd, const struct sink *sink, struct err *err)
{
    uint8_t piece[RUN_PIECE_BYTES];
    ssize_t n = read(*fd, piece, sizeof(piece));
    int rc;

    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : err_sys(err, -errno, "output");
    if (n == 0)
        close_end(fd);
    rc = n == 0 ? 0 : take(sink, bytes_of(piece, (size_t)n), err);
    system_wipe(piece, n > 0 ? (size_t)n : 0);
    return rc == 0 && n > 0 ? 1 : rc;
}

/* What is left in the pipe of a program that has ended. */
static int drain_rest(int *fd, const struct sink *sink, struct err *err)
{
    int rc = 1;

    for (int i = 0; i < RUN_LAST_PIECES && *fd >= 0 && rc > 0; i++)
        rc = drain(fd, sink, err);
    return rc < 0 ? rc : 0;
}

static int left_ms(int64_t deadline_ms)
{
    int64_t left = deadline_ms - clock_mono_ms();

    return left <= 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
}

/* 0: perhaps something is ready, in `polls`. */
static int wait_for(const struct process_run *run, const struct child *child, int64_t deadline_ms,
                    struct pollfd polls[4], struct err *err)
{
    int left = left_ms(deadline_ms);
    int most = child->out >= 0 || child->err >= 0 ? RUN_LOOK_MS : RUN_REAP_MS;

    polls[0] = (struct pollfd){.fd = child->in, .events = POLLOUT};
    polls[1] = (struct pollfd){.fd = child->out, .events = POLLIN};
    polls[2] = (struct pollfd){.fd = child->err, .events = POLLIN};
    polls[3] =
        (struct pollfd){.fd = run->cancel_fd == NULL ? -1 : *run->cancel_fd, .events = POLLIN};
    if (left == 0)
        return err_set(err, -ETIMEDOUT, "no end within its time");
    if (poll(polls, 4, left < most ? left : most) < 0) {
        if (errno != EINTR)
            return err_sys(err, -errno, "poll");
        memset(polls, 0, 4 * sizeof(polls[0]));
    }
    return polls[3].revents != 0 ? err_set(err, -ECANCELED, "ended on request") : 0;
}

static int note_end(struct child *child, struct process_end *ret, struct err *err)
{
    int status = 0;
    pid_t pid = waitpid(child->pid, &status, WNOHANG);

    if (pid < 0 && errno != EINTR)
        return err_sys(err, -errno, "wait");
    if (pid <= 0)
        return 0;
    child->pid = 0;
    ret->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    ret->exit_status = ret->signal != 0 ? 128 + ret->signal : WEXITSTATUS(status);
    return 0;
}

struct talk {
    const struct process_run *run;
    struct child *child;
    struct bytes input;
    struct sink out, err;
};

static int exchange(struct talk *talk, int64_t deadline_ms, struct err *err)
{
    struct child *child = talk->child;
    struct pollfd polls[4];
    int rc = wait_for(talk->run, child, deadline_ms, polls, err);

    if (rc == 0 && polls[0].revents != 0)
        feed(child, &talk->input);
    if (rc == 0 && polls[1].revents != 0)
        rc = drain(&child->out, &talk->out, err);
    if (rc >= 0 && polls[2].revents != 0)
        rc = drain(&child->err, &talk->err, err);
    return rc < 0 ? rc : 0;
}

/* Until it has ended and what it said is here. */
static int follow(struct talk *talk, int64_t deadline_ms, struct process_end *ret, struct err *err)
{
    struct child *child = talk->child;
    int rc = 0;

    while (rc == 0 && child->pid > 0) {
        rc = exchange(talk, deadline_ms, err);
        if (rc == 0)
            rc = note_end(child, ret, err);
    }
    if (rc == 0)
        rc = drain_rest(&child->out, &talk->out, err);
    return rc == 0 ? drain_rest(&child->err, &talk->err, err) : rc;
}

/* Room for all at once: what is moved to make some would stay in memory. */
static int prepare(const struct process_run *run, struct process_end *end, struct talk *talk)
{
    size_t max_bytes = run->max_output_bytes == 0 ? RUN_OUTPUT_MAX_BYTES : run->max_output_bytes;
    size_t err_bytes = run->kept_error_bytes == 0 ? max_bytes : run->kept_error_bytes;

    talk->out = (struct sink){.to = &end->out, .max_bytes = max_bytes, .run = run};
    talk->err = (struct sink){
        .to = &end->err, .max_bytes = err_bytes, .may_drop = run->kept_error_bytes != 0};
    end->is_secret = run->is_secret;
    if (run->is_secret &&
        (buf_reserve(&end->out, max_bytes) < 0 || buf_reserve(&end->err, err_bytes) < 0))
        return -ENOMEM;
    return 0;
}

int process_run(const struct process_run *run, struct process_end *ret, struct err *err)
{
    SCOPED(child) struct child child = {.pid = 0, .in = -1, .out = -1, .err = -1};
    SCOPED(process_end) struct process_end result = PROCESS_END_NONE;
    struct talk talk = {.run = run, .child = &child, .input = run->input};
    int64_t deadline_ms =
        clock_mono_ms() + (run->timeout_ms == 0 ? RUN_TIMEOUT_MS : run->timeout_ms);
    int rc = prepare(run, &result, &talk);

    if (rc < 0)
        return err_set(err, rc, "%s: out of memory", run->argv[0]);
    rc = start(run, &child, err);
    if (rc < 0)
        return rc;
    rc = follow(&talk, deadline_ms, &result, err);
    if (rc < 0)
        return err_prefix(err, rc, "%s", run->argv[0]);
    *ret = result;
    result = (struct process_end)PROCESS_END_NONE;
    return 0;
}

/* ---- programs that are there ----------------------------------------------------------------- */

int process_program_in(const char *dir, const char *name, char **ret, struct err *err)
{
    SCOPED(mem) char *path = text_format("%s/%s", dir, name);

    if (path == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    if (access(path, X_OK) < 0)
        return err_set(err, -ENOENT, "there is no program %s", path);
    *ret = TAKE(path);
    return 0;
}

int process_find_program(const char *name, char **ret, struct err *err)
{
    const char *path = getenv("PATH");
    const char *at = path == NULL ? "" : path;

    while (*at != '\0') {
        size_t len = strcspn(at, ":");
        SCOPED(mem) char *dir = text_format("%.*s", (int)len, at);
        SCOPED(mem) char *candidate = NULL;

        if (dir == NULL)
            return err_set(err, -ENOMEM, "out of memory");
        if (len > 0 && process_program_in(dir, name, &candidate, NULL) == 0) {
            *ret = realpath(candidate, NULL);
            return *ret == NULL ? err_sys(err, -errno, "%s", candidate) : 0;
        }
        at += len + (at[len] == ':');
    }
    return err_set(err, -ENOENT, "%s is not in PATH", name);
}

bool process_is_alive(int64_t pid)
{
    return pid > 0 && pid <= INT_MAX && (kill((pid_t)pid, 0) == 0 || errno == EPERM);
}
