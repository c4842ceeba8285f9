/* SPDX-License-Identifier: Apache-2.0 */
/* program.c – run a program to its end: something on its stdin, what it says read up to a limit,
 * and a deadline after which it is killed with all that it started. */
#include "registry/keychain.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

enum { STDERR_MAX_BYTES = 4096 }; /* kept of it; the rest is read and dropped */
enum {
    LOOK_MS = 50
};                   /* how often we see whether it has ended though a child of its own
                        keeps the pipes open */
enum { END_MS = 2 }; /* the same, when the pipes are closed: it ends any moment */

struct pipe_ends {
    int ours, its;
};
#define PIPE_NONE                                                                                  \
    {                                                                                              \
        .ours = -1, .its = -1                                                                      \
    }
static void pipe_fini(struct pipe_ends *p)
{
    scoped_fd(&p->ours);
    scoped_fd(&p->its);
    *p = (struct pipe_ends)PIPE_NONE;
}

/* The program's end is none of 0, 1 and 2, which are replaced one after the other in the child. */
static int pipe_open(struct pipe_ends *p, bool to_it)
{
    int fds[2];

    if (pipe2(fds, O_CLOEXEC) < 0)
        return -errno;
    p->ours = fds[to_it ? 1 : 0];
    p->its = fds[to_it ? 0 : 1];
    if (p->its <= STDERR_FILENO) {
        int moved = fcntl(p->its, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);

        if (moved < 0)
            return -errno;
        (void)close(p->its);
        p->its = moved;
    }
    return fcntl(p->ours, F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
}

struct running {
    struct pipe_ends in, out, err;
    pid_t pid;
    int status; /* of waitpid(), when has_ended */
    bool has_ended;
};

/* ---- starting -------------------------------------------------------------------------------- */

static int open_pipes(struct running *r, struct bytes in)
{
    int rc = pipe_open(&r->in, true);

    if (rc == 0)
        rc = pipe_open(&r->out, false);
    if (rc == 0)
        rc = pipe_open(&r->err, false);
    if (rc < 0)
        return rc;
    /* All of it before there is a reader who could go away and leave us with a SIGPIPE. It fits: an
     * empty pipe takes PIPE_BUF bytes at once. */
    if (write(r->in.ours, in.data, in.len) != (ssize_t)in.len)
        return -EIO;
    scoped_fd(&r->in.ours);
    r->in.ours = -1;
    return 0;
}

/* What the program gets of us is three descriptors, and no blocked, ignored or caught signal. */
static int spawn_with(struct running *r, const struct program *program,
                      posix_spawn_file_actions_t *files, posix_spawnattr_t *attr)
{
    char *argv[] = {program->name, program->argument, NULL};
    sigset_t none, all;
    int rc = posix_spawn_file_actions_adddup2(files, r->in.its, STDIN_FILENO);

    if (rc == 0)
        rc = posix_spawn_file_actions_adddup2(files, r->out.its, STDOUT_FILENO);
    if (rc == 0)
        rc = posix_spawn_file_actions_adddup2(files, r->err.its, STDERR_FILENO);
    if (rc == 0)
        rc = posix_spawn_file_actions_addclosefrom_np(files, STDERR_FILENO + 1);
    (void)sigemptyset(&none);
    (void)sigfillset(&all);
    if (rc == 0)
        rc = posix_spawnattr_setsigmask(attr, &none);
    if (rc == 0)
        rc = posix_spawnattr_setsigdefault(attr, &all);
    if (rc == 0)
        rc = posix_spawnattr_setpgroup(attr, 0);
    if (rc == 0)
        rc = posix_spawnattr_setflags(attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                                POSIX_SPAWN_SETPGROUP);
    return rc == 0 ? posix_spawnp(&r->pid, program->name, files, attr, argv, program->env) : rc;
}

static int start(struct running *r, const struct program *program)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    int rc = open_pipes(r, program->in);

    if (rc < 0)
        return rc;
    if (posix_spawn_file_actions_init(&files) != 0)
        return -ENOMEM;
    rc = posix_spawnattr_init(&attr);
    if (rc == 0) {
        rc = spawn_with(r, program, &files, &attr);
        (void)posix_spawnattr_destroy(&attr);
    }
    (void)posix_spawn_file_actions_destroy(&files);
    pipe_fini(&r->in);
    scoped_fd(&r->out.its);
    scoped_fd(&r->err.its);
    r->out.its = r->err.its = -1;
    return -rc;
}

/* ---- until its end --------------------------------------------------------------------------- */

static int note_end(struct running *r, int flags)
{
    pid_t pid = r->has_ended ? 0 : waitpid(r->pid, &r->status, flags);

    if (pid < 0 && errno != EINTR)
        return -errno;
    if (pid > 0)
        r->has_ended = true;
    return 0;
}

static void kill_all(struct running *r)
{
    if (r->has_ended)
        return;
    (void)kill(-r->pid, SIGKILL);
    while (note_end(r, 0) == 0 && !r->has_ended)
        ;
}

/* What is there now. The end closes the pipe; what `keep` has no room for is dropped. 1: there was
 * such. */
static int read_some(int *fd, struct buf *ret, size_t max_bytes)
{
    uint8_t part[4096];
    int dropped = 0;

    while (*fd >= 0) {
        ssize_t got = read(*fd, part, sizeof(part));
        size_t len = got > 0 ? (size_t)got : 0, room = max_bytes - ret->len;

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && errno == EAGAIN)
            break;
        if (got <= 0) {
            scoped_fd(fd);
            *fd = -1;
            break;
        }
        if (len > room)
            dropped = 1;
        if (buf_add(ret, part, len > room ? room : len) < 0)
            dropped = 1;
        if (dropped != 0) /* endless output does not keep us here */
            break;
    }
    explicit_bzero(part, sizeof(part));
    return dropped;
}

static int wait_a_little(const struct running *r, int64_t left_ms)
{
    struct pollfd fds[2] = {{.fd = r->out.ours, .events = POLLIN},
                            {.fd = r->err.ours, .events = POLLIN}};
    bool open = r->out.ours >= 0 || r->err.ours >= 0;
    int64_t most_ms = open ? LOOK_MS : END_MS;

    if (poll(fds, 2, (int)(left_ms < most_ms ? left_ms : most_ms)) < 0 && errno != EINTR)
        return -errno;
    return 0;
}

static int follow(struct running *r, const struct program *program, struct program_end *ret,
                  struct err *err)
{
    int64_t until_ms = clock_mono_ms() + program->timeout_ms;

    for (;;) {
        int64_t left_ms = until_ms - clock_mono_ms();
        int rc = note_end(r, WNOHANG); /* before what it has written is read for the last time */

        if (rc < 0)
            return err_sys(err, rc, "cannot wait for its end");
        (void)read_some(&r->err.ours, &ret->err, STDERR_MAX_BYTES);
        if (read_some(&r->out.ours, &ret->out, program->max_bytes) != 0)
            return err_set(err, -EFBIG, "it says more than %zu bytes", program->max_bytes);
        if (r->has_ended)
            return 0;
        if (left_ms <= 0)
            return err_set(err, -ETIMEDOUT, "it did not end within %lld s and was killed",
                           (long long)(program->timeout_ms + 999) / 1000);
        rc = wait_a_little(r, left_ms);
        if (rc < 0)
            return err_sys(err, rc, "cannot hear it");
    }
}

void program_end_fini(struct program_end *end)
{
    if (end->out.len > 0)
        explicit_bzero(end->out.data, end->out.len);
    buf_fini(&end->out);
    buf_fini(&end->err);
}

int program_run(const struct program *program, struct program_end *ret, struct err *err)
{
    struct running r = {.in = PIPE_NONE, .out = PIPE_NONE, .err = PIPE_NONE};
    int rc = start(&r, program);

    if (rc == -ENOENT)
        (void)err_set(err, rc, "there is no such program in PATH");
    else if (rc < 0)
        (void)err_sys(err, rc, "it does not start");
    if (rc == 0) {
        rc = follow(&r, program, ret, err);
        kill_all(&r);
    }
    pipe_fini(&r.in);
    pipe_fini(&r.out);
    pipe_fini(&r.err);
    ret->exit_code = rc == 0 && WIFEXITED(r.status) ? WEXITSTATUS(r.status) : -1;
    ret->signal = rc == 0 && WIFSIGNALED(r.status) ? WTERMSIG(r.status) : 0;
    return rc;
}
