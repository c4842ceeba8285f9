/* SPDX-License-Identifier: Apache-2.0 */
/* program.c – a layer is unpacked by a program: its bytes in, the tar out. */
#include "unpack/internal.h"

#include "base/clock.h"
#include "base/posix.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { OUT_BYTES = 128 * 1024 };
enum { PATIENCE_MS = 60 * 1000 }; /* in which nothing goes in or comes out */
enum { END_PATIENCE_MS = 10 * 1000 };

struct program {
    pid_t pid; /* -1: ended, and waited for */
    int in_fd, out_fd;
    uint8_t out[OUT_BYTES];
};

/* ---- beginning and end ----------------------------------------------------------------------- */

/* With all that it may have started: it leads a group of its own. */
void program_close(struct program *program)
{
    if (program == NULL)
        return;
    scoped_fd(&program->in_fd);
    scoped_fd(&program->out_fd);
    if (program->pid > 0) {
        (void)kill(-program->pid, SIGKILL);
        while (waitpid(program->pid, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    free(program);
}

/* All else that we have open is closed when it begins. */
static int start(const char *const *argv, int in_fd, int out_fd, pid_t *ret_pid)
{
    posix_spawn_file_actions_t files;
    const struct posix_start how = {.argv = argv, .files = &files};
    int rc = posix_spawn_file_actions_init(&files);

    if (rc != 0)
        return -rc;
    rc = posix_spawn_file_actions_adddup2(&files, in_fd, STDIN_FILENO);
    if (rc == 0)
        rc = posix_spawn_file_actions_adddup2(&files, out_fd, STDOUT_FILENO);
    if (rc == 0)
        rc = posix_spawn_file_actions_addopen(&files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    rc = rc == 0 ? posix_start(&how, ret_pid) : -rc;
    (void)posix_spawn_file_actions_destroy(&files);
    return rc;
}

static int open_pipe(int *ret_read, int *ret_write)
{
    int fds[2];

    if (pipe2(fds, O_CLOEXEC) < 0)
        return -errno;
    *ret_read = fds[0];
    *ret_write = fds[1];
    return 0;
}

static int no_waiting(int fd)
{
    return fcntl(fd, F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
}

int program_open(const char *const *argv, struct program **ret, struct err *err)
{
    SCOPED(program) struct program *program = calloc(1, sizeof(*program));
    SCOPED(fd) int its_in = -1;
    SCOPED(fd) int its_out = -1;
    int rc;

    if (program == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    program->pid = program->in_fd = program->out_fd = -1;
    rc = open_pipe(&its_in, &program->in_fd);
    if (rc == 0)
        rc = open_pipe(&program->out_fd, &its_out);
    if (rc == 0)
        rc = no_waiting(program->in_fd);
    if (rc == 0)
        rc = no_waiting(program->out_fd);
    if (rc == 0)
        rc = start(argv, its_in, its_out, &program->pid);
    if (rc < 0)
        return err_sys(err, rc, "%s", argv[0]);
    *ret = TAKE(program);
    return 0;
}

/* ---- bytes ----------------------------------------------------------------------------------- */

/* 0: it has said all that it will. */
static int take_out(struct program *program, const struct sink *sink, struct err *err)
{
    ssize_t len = read(program->out_fd, program->out, OUT_BYTES);
    int rc;

    if (len < 0)
        return errno == EAGAIN || errno == EINTR ? 1 : err_sys(err, -errno, "its output");
    if (len == 0)
        return 0;
    rc = sink->write(sink->arg, bytes_of(program->out, (size_t)len), err);
    return rc < 0 ? rc : 1;
}

/* A broken pipe is an error here: whoever runs this ignores or blocks the signal. */
static int put_in(struct program *program, struct bytes *comp, struct err *err)
{
    ssize_t len = write(program->in_fd, comp->data, comp->len);

    if (len < 0 && errno != EAGAIN && errno != EINTR)
        return err_sys(err, errno == EPIPE ? -EBADMSG : -errno, "its input");
    if (len > 0)
        *comp = bytes_of(comp->data + len, comp->len - (size_t)len);
    return 0;
}

static int wait_for(struct program *program, bool has_input, struct pollfd fds[2], struct err *err)
{
    int count;

    fds[0] = (struct pollfd){.fd = program->out_fd, .events = POLLIN};
    fds[1] = (struct pollfd){.fd = has_input ? program->in_fd : -1, .events = POLLOUT};
    count = poll(fds, 2, PATIENCE_MS);
    if (count < 0 && errno != EINTR)
        return err_sys(err, -errno, "poll");
    return count == 0 ? err_set(err, -ETIMEDOUT, "nothing moves any more") : 0;
}

/* One step: 1, or 0 at the end of its output. */
static int step(struct program *program, struct bytes *comp, const struct sink *sink,
                struct err *err)
{
    struct pollfd fds[2];
    int rc = wait_for(program, comp->len > 0, fds, err);

    if (rc == 0 && fds[1].revents != 0)
        rc = put_in(program, comp, err);
    if (rc < 0)
        return rc;
    return fds[0].revents != 0 ? take_out(program, sink, err) : 1;
}

int program_feed(struct program *program, struct bytes comp, const struct sink *sink,
                 struct err *err)
{
    int rc = 1;

    while (rc > 0 && comp.len > 0)
        rc = step(program, &comp, sink, err);
    if (rc == 0)
        return err_set(err, -EBADMSG, "it ended before its input");
    return rc < 0 ? rc : 0;
}

/* It has closed its output, so there is nothing left for it to do. */
static int wait_for_end(struct program *program, struct err *err)
{
    int64_t deadline_ms = clock_mono_ms() + END_PATIENCE_MS;
    int status = 0;
    pid_t got;

    while ((got = waitpid(program->pid, &status, WNOHANG)) != program->pid) {
        if (got < 0 && errno != EINTR)
            return err_sys(err, -errno, "wait");
        if (clock_mono_ms() >= deadline_ms)
            return err_set(err, -ETIMEDOUT, "it does not end");
        clock_sleep_ms(1);
    }
    program->pid = -1;
    if (WIFSIGNALED(status))
        return err_set(err, -EBADMSG, "ended by signal %d", WTERMSIG(status));
    return WEXITSTATUS(status) == 0 ? 0
                                    : err_set(err, -EBADMSG, "exit status %d", WEXITSTATUS(status));
}

int program_finish(struct program *program, const struct sink *sink, struct err *err)
{
    struct bytes none = bytes_of(NULL, 0);
    int rc = 1;

    scoped_fd(&program->in_fd);
    program->in_fd = -1;
    while (rc > 0)
        rc = step(program, &none, sink, err);
    return rc < 0 ? rc : wait_for_end(program, err);
}
