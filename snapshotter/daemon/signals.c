/* SPDX-License-Identifier: Apache-2.0 */
/* signals.c – a thread that reads a signalfd. */
#include "daemon/signals.h"

#include "base/threads.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>

struct signals {
    void (*on_signal)(void *self, int number); /* fixed at creation, as are the descriptors */
    void *self;
    int signal_fd;
    int stop_fd; /* eventfd: signals_stop() */
    pthread_t thread;
    int received; /* atomic */
};

static sigset_t watched(void)
{
    sigset_t set;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    return set;
}

void signals_hold(void)
{
    sigset_t set = watched();

    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
}

static void take_signal(struct signals *s)
{
    struct signalfd_siginfo info;
    int none = 0;

    if (read(s->signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
        return;
    if (!__atomic_compare_exchange_n(&s->received, &none, (int)info.ssi_signo, false,
                                     __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
        _exit(128 + (int)info.ssi_signo);
    s->on_signal(s->self, (int)info.ssi_signo);
}

static void *run(void *arg)
{
    struct signals *s = arg;
    struct pollfd fds[] = {{.fd = s->signal_fd, .events = POLLIN},
                           {.fd = s->stop_fd, .events = POLLIN}};

    for (;;) {
        if (poll(fds, ARRAY_LEN(fds), -1) < 0 && errno != EINTR)
            return NULL;
        if (fds[1].revents != 0)
            return NULL;
        if (fds[0].revents != 0)
            take_signal(s);
    }
}

static void close_and_free(struct signals *s)
{
    if (s->signal_fd >= 0)
        (void)close(s->signal_fd);
    if (s->stop_fd >= 0)
        (void)close(s->stop_fd);
    free(s);
}

int signals_start(void (*on_signal)(void *self, int number), void *self, struct signals **ret,
                  struct err *err)
{
    struct signals *s = calloc(1, sizeof(*s));
    sigset_t set = watched();
    int rc = 0;

    if (s == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    s->on_signal = on_signal;
    s->self = self;
    s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    s->stop_fd = eventfd(0, EFD_CLOEXEC);
    if (s->signal_fd < 0 || s->stop_fd < 0)
        rc = -errno;
    if (rc == 0)
        rc = thread_start(&s->thread, "signals", run, s);
    if (rc < 0) {
        close_and_free(s);
        return err_sys(err, rc, "watching for signals");
    }
    *ret = s;
    return 0;
}

int signals_received(const struct signals *s)
{
    return __atomic_load_n(&s->received, __ATOMIC_SEQ_CST);
}

void signals_stop(struct signals *s)
{
    const uint64_t one = 1;

    if (s == NULL)
        return;
    while (write(s->stop_fd, &one, sizeof(one)) < 0 && errno == EINTR)
        ;
    (void)pthread_join(s->thread, NULL);
    close_and_free(s);
}
