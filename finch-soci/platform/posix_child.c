/* SPDX-License-Identifier: Apache-2.0 */
/* posix_child.c – a program in the background, its output through a pipe that does not block. */
#include "platform/internal.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/posix.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

/* What is asked to end has so long for it. */
enum { END_MS = 5000, END_STEP_MS = 20 };

/* Both ends above 2, which are the program's; none is inherited. */
static int open_pipe(int ends[2])
{
    int raw[2];
    int rc = 0;

    if (pipe(raw) < 0)
        return -errno;
    for (int i = 0; i < 2; i++) {
        ends[i] = fcntl(raw[i], F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
        if (ends[i] < 0)
            rc = -errno;
        (void)close(raw[i]);
    }
    if (rc == 0 && fcntl(ends[0], F_SETFL, O_NONBLOCK) < 0)
        rc = -errno;
    for (int i = 0; rc < 0 && i < 2; i++) {
        if (ends[i] >= 0)
            (void)close(ends[i]);
        ends[i] = -1;
    }
    return rc;
}

/* ---- starting -------------------------------------------------------------------------------- */

static int set_files(posix_spawn_file_actions_t *files, int out)
{
    int rc = posix_spawn_file_actions_addopen(files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);

    if (rc == 0)
        rc = out >= 0
                 ? posix_spawn_file_actions_adddup2(files, out, STDOUT_FILENO)
                 : posix_spawn_file_actions_addopen(files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    return rc != 0
               ? rc
               : posix_spawn_file_actions_addopen(files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
}

static int spawn(const struct platform_child *how, int out, pid_t *ret)
{
    SCOPED(mem) char **environment = posix_environment(NULL, how->settings);
    posix_spawn_file_actions_t files;
    const struct posix_start start = {
        .argv = how->argv, .environment = environment, .files = &files};
    int rc = environment == NULL ? ENOMEM : posix_spawn_file_actions_init(&files);

    if (rc != 0)
        return -rc;
    rc = set_files(&files, out);
    rc = rc == 0 ? posix_start(&start, ret) : -rc;
    (void)posix_spawn_file_actions_destroy(&files);
    return rc;
}

int posix_child_start(const struct platform_child *how, struct posix_child *ret, struct err *err)
{
    int ends[2] = {-1, -1};
    pid_t pid = 0;
    int rc = how->gives_output ? open_pipe(ends) : 0;

    if (rc == 0)
        rc = spawn(how, ends[1], &pid);
    if (ends[1] >= 0)
        (void)close(ends[1]);
    if (rc < 0) {
        if (ends[0] >= 0)
            (void)close(ends[0]);
        return err_sys(err, rc, "%s", how->argv[0]);
    }
    *ret = (struct posix_child){.pid = pid, .out = ends[0]};
    return 0;
}

/* ---- afterwards ------------------------------------------------------------------------------ */

size_t posix_child_read(struct posix_child *child, void *buf, size_t size)
{
    ssize_t n;

    if (child->out < 0)
        return 0;
    n = read(child->out, buf, size);
    if (n > 0)
        return (size_t)n;
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    (void)close(child->out);
    child->out = -1;
    return 0;
}

bool posix_child_reap(struct posix_child *child, int *ret_status)
{
    int status = 0;
    pid_t done = waitpid(child->pid, &status, WNOHANG);

    if (done == 0 || (done < 0 && errno == EINTR))
        return false;
    if (child->out >= 0)
        (void)close(child->out);
    *child = (struct posix_child)POSIX_CHILD_NONE;
    *ret_status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    return true;
}

void posix_child_signal(const struct posix_child *child, bool force)
{
    (void)kill(-child->pid, force ? SIGKILL : SIGTERM);
}

void posix_child_stop(struct posix_child *child)
{
    int64_t deadline_ms = clock_mono_ms() + END_MS;
    int status;

    if (child->pid == 0)
        return;
    posix_child_signal(child, false);
    while (!posix_child_reap(child, &status)) {
        if (clock_mono_ms() > deadline_ms)
            posix_child_signal(child, true);
        clock_sleep_ms(END_STEP_MS);
    }
}
