/* SPDX-License-Identifier: Apache-2.0 */
/* posix_terminal.c – the terminal that we run on: its width, its interrupts, and programs that get
 * it from us for a while. */
#include "platform/platform.h"

#include <signal.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

extern char **environ;

void platform_start(void)
{
    (void)signal(SIGPIPE, SIG_IGN);
}

bool platform_is_terminal(FILE *stream)
{
    return isatty(fileno(stream)) == 1;
}

unsigned platform_terminal_width(FILE *stream)
{
    struct winsize size;

    return ioctl(fileno(stream), TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

/* ---- interrupts ------------------------------------------------------------------------------ */

void platform_on_interrupt(void (*call)(int number))
{
    struct sigaction action = {.sa_handler = call}; /* no SA_RESTART: waits end */

    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
}

/* ---- programs -------------------------------------------------------------------------------- */

static int spawn(const char *const *argv, pid_t *ret)
{
    posix_spawnattr_t attributes;
    sigset_t defaults;
    int rc;

    (void)sigemptyset(&defaults);
    (void)sigaddset(&defaults, SIGINT);
    (void)sigaddset(&defaults, SIGQUIT);
    (void)sigaddset(&defaults, SIGTERM);
    (void)sigaddset(&defaults, SIGPIPE);
    (void)posix_spawnattr_init(&attributes);
    (void)posix_spawnattr_setsigdefault(&attributes, &defaults);
    (void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
    rc = posix_spawnp(ret, argv[0], NULL, &attributes, /* it does not write to the strings */
                      (char *const *)(uintptr_t)argv, environ);
    (void)posix_spawnattr_destroy(&attributes);
    return -rc;
}

/* As system(3) has it: the terminal interrupts us both, and the answer is the program's. */
int platform_run_attached(const char *const *argv, int *ret_status, struct err *err)
{
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    struct sigaction interrupt, quit;
    int rc, status = 0;
    pid_t pid = 0, done;

    (void)sigaction(SIGINT, &ignore, &interrupt);
    (void)sigaction(SIGQUIT, &ignore, &quit);
    rc = spawn(argv, &pid);
    do
        done = rc < 0 ? -1 : waitpid(pid, &status, 0);
    while (rc == 0 && done < 0 && errno == EINTR);
    if (rc == 0 && done < 0)
        rc = -errno;
    (void)sigaction(SIGINT, &interrupt, NULL);
    (void)sigaction(SIGQUIT, &quit, NULL);
    if (rc < 0)
        return err_sys(err, rc, "%s", argv[0]);
    *ret_status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    return 0;
}
