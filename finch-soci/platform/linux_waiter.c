/* SPDX-License-Identifier: Apache-2.0 */
/* linux_waiter.c – inotify, descriptors of processes and pipes, waited for by one poll(). */
#include "platform/internal.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/syscall.h>

enum {
    CHANGES = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_CLOSE_WRITE |
              IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR
};
enum { PIECE_BYTES = 4096 };
/* Of a program that has ended while what it started still prints. */
enum { LAST_PIECES = 64 };
/* How often it is looked whether a program has ended, on kernels before 5.3 alone. */
enum { LOOK_MS = 2000 };

struct running {
    struct posix_child child; /* pid 0: free */
    int pidfd;                /* -1: the kernel has none */
    unsigned last_pieces;     /* after its end */
};

/* All of the one thread that uses it, but for `wake`, which is fixed. */
struct platform_waiter {
    int wake, changes;
    int process; /* the pidfd of somebody else's; -1: none */
    int watches[PLATFORM_WAITER_DIRS_MAX];
    size_t watch_count;
    struct running running[PLATFORM_CHILDREN_MAX];
    uint8_t piece[PIECE_BYTES];
};

/* ---- made and gone --------------------------------------------------------------------------- */

static void close_fd(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

int platform_waiter_open(struct platform_waiter **ret, struct err *err)
{
    SCOPED(platform_waiter) struct platform_waiter *waiter = calloc(1, sizeof(*waiter));

    if (waiter == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    waiter->process = -1;
    for (size_t i = 0; i < PLATFORM_CHILDREN_MAX; i++)
        waiter->running[i] = (struct running){.child = POSIX_CHILD_NONE, .pidfd = -1};
    waiter->changes = -1;
    waiter->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (waiter->wake < 0)
        return err_sys(err, -errno, "eventfd");
    waiter->changes = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (waiter->changes < 0)
        return err_sys(err, -errno, "inotify");
    *ret = TAKE(waiter);
    return 0;
}

void platform_waiter_close(struct platform_waiter *waiter)
{
    if (waiter == NULL)
        return;
    for (size_t i = 0; i < PLATFORM_CHILDREN_MAX; i++) {
        posix_child_stop(&waiter->running[i].child);
        close_fd(&waiter->running[i].pidfd);
    }
    close_fd(&waiter->process);
    close_fd(&waiter->changes);
    close_fd(&waiter->wake);
    free(waiter);
}

void platform_waiter_wake(struct platform_waiter *waiter)
{
    int saved_errno = errno;
    const uint64_t one = 1;

    if (write(waiter->wake, &one, sizeof(one)) < 0) {
        /* it is set already */
    }
    errno = saved_errno;
}

/* ---- what is waited for ---------------------------------------------------------------------- */

static bool has(const int *watches, size_t count, int watch)
{
    for (size_t i = 0; i < count; i++) {
        if (watches[i] == watch)
            return true;
    }
    return false;
}

/* To add one that is there is to change nothing, and gives the same number. */
int platform_waiter_set_dirs(struct platform_waiter *waiter, const char *const *dirs,
                             struct err *err)
{
    int watches[PLATFORM_WAITER_DIRS_MAX];
    size_t count = 0;
    int rc = 0;

    for (size_t i = 0; dirs[i] != NULL && i < PLATFORM_WAITER_DIRS_MAX; i++) {
        int watch = inotify_add_watch(waiter->changes, dirs[i], CHANGES);

        if (watch >= 0)
            watches[count++] = watch;
        else if (errno != ENOENT && errno != ENOTDIR && errno != EACCES)
            rc = err_sys(err, -errno, "watch %s", dirs[i]);
    }
    for (size_t i = 0; i < waiter->watch_count; i++) {
        if (!has(watches, count, waiter->watches[i]))
            (void)inotify_rm_watch(waiter->changes, waiter->watches[i]);
    }
    memcpy(waiter->watches, watches, count * sizeof(*watches));
    waiter->watch_count = count;
    return rc;
}

static int open_process(int64_t pid)
{
    return pid < 1 || pid > INT_MAX ? -1 : (int)syscall(SYS_pidfd_open, (pid_t)pid, 0U);
}

int platform_waiter_set_process(struct platform_waiter *waiter, int64_t pid, struct err *err)
{
    close_fd(&waiter->process);
    if (pid == 0)
        return 0;
    if (pid < 0 || pid > INT_MAX)
        return err_set(err, -ESRCH, "%lld is no process", (long long)pid);
    waiter->process = open_process(pid);
    if (waiter->process >= 0)
        return 0;
    /* EINVAL: a thread's number */
    return err_sys(err,
                   errno == ENOSYS                     ? -EOPNOTSUPP
                   : errno == ESRCH || errno == EINVAL ? -ESRCH
                                                       : -errno,
                   "process %lld", (long long)pid);
}

int platform_waiter_start(struct platform_waiter *waiter, const struct platform_child *child,
                          int *ret, struct err *err)
{
    for (int i = 0; i < PLATFORM_CHILDREN_MAX; i++) {
        struct running *running = &waiter->running[i];
        int rc;

        if (running->child.pid != 0)
            continue;
        rc = posix_child_start(child, &running->child, err);
        if (rc < 0)
            return rc;
        running->pidfd = open_process(running->child.pid);
        running->last_pieces = 0;
        *ret = i;
        return 0;
    }
    return err_set(err, -EBUSY, "%d programs run already", PLATFORM_CHILDREN_MAX);
}

void platform_waiter_end(struct platform_waiter *waiter, int child)
{
    if (waiter->running[child].child.pid != 0)
        posix_child_signal(&waiter->running[child].child, false);
}

/* ---- waiting --------------------------------------------------------------------------------- */

enum { POLL_WAKE, POLL_CHANGES, POLL_PROCESS, POLL_FIRST_CHILD };
enum { POLL_COUNT = POLL_FIRST_CHILD + 2 * PLATFORM_CHILDREN_MAX };

static void fill(const struct platform_waiter *waiter, struct pollfd polls[POLL_COUNT])
{
    polls[POLL_WAKE].fd = waiter->wake;
    polls[POLL_CHANGES].fd = waiter->changes;
    polls[POLL_PROCESS].fd = waiter->process;
    for (size_t i = 0; i < PLATFORM_CHILDREN_MAX; i++) {
        const struct running *running = &waiter->running[i];

        polls[POLL_FIRST_CHILD + 2 * i].fd = running->child.out;
        polls[POLL_FIRST_CHILD + 2 * i + 1].fd = running->pidfd;
    }
    for (size_t i = 0; i < POLL_COUNT; i++) {
        polls[i].events = POLLIN;
        polls[i].revents = 0;
    }
}

static bool woken(struct platform_waiter *waiter)
{
    uint64_t count;

    return read(waiter->wake, &count, sizeof(count)) > 0;
}

/* All there is; that a watch is gone is told for those that we took away, too. */
static bool changed(struct platform_waiter *waiter)
{
    union {
        struct inotify_event aligned;
        char bytes[16 * (sizeof(struct inotify_event) + NAME_MAX + 1)];
    } events;
    bool found = false;
    ssize_t n;

    while ((n = read(waiter->changes, &events, sizeof(events))) > 0) {
        for (ssize_t at = 0; at < n;) {
            struct inotify_event event;

            memcpy(&event, events.bytes + at, sizeof(event));
            at += (ssize_t)(sizeof(event) + event.len);
            found = found || (event.mask & IN_IGNORED) == 0;
        }
    }
    return found;
}

/* Its output before its end. */
static bool child_event(struct platform_waiter *waiter, int number, const struct pollfd polls[2],
                        struct platform_event *ret)
{
    struct running *running = &waiter->running[number];
    bool may_have_ended = polls[1].revents != 0 || running->pidfd < 0;

    if (running->child.pid == 0)
        return false;
    if (polls[0].revents != 0 && (polls[1].revents == 0 || running->last_pieces < LAST_PIECES)) {
        size_t n = posix_child_read(&running->child, waiter->piece, sizeof(waiter->piece));

        running->last_pieces += polls[1].revents != 0;
        if (n > 0) {
            *ret = (struct platform_event){
                .kind = PLATFORM_OUTPUT, .child = number, .output = bytes_of(waiter->piece, n)};
            return true;
        }
    }
    if (!may_have_ended || !posix_child_reap(&running->child, &ret->exit_status))
        return false;
    close_fd(&running->pidfd);
    ret->kind = PLATFORM_ENDED;
    ret->child = number;
    return true;
}

static bool take_event(struct platform_waiter *waiter, const struct pollfd polls[POLL_COUNT],
                       struct platform_event *ret)
{
    if (polls[POLL_WAKE].revents != 0 && woken(waiter)) {
        ret->kind = PLATFORM_WOKEN;
        return true;
    }
    for (int i = 0; i < PLATFORM_CHILDREN_MAX; i++) {
        if (child_event(waiter, i, &polls[POLL_FIRST_CHILD + 2 * i], ret))
            return true;
    }
    if (polls[POLL_PROCESS].revents != 0) {
        close_fd(&waiter->process);
        ret->kind = PLATFORM_GONE;
        return true;
    }
    if (polls[POLL_CHANGES].revents != 0 && changed(waiter)) {
        ret->kind = PLATFORM_CHANGED;
        return true;
    }
    return false;
}

/* For poll(): no longer than until somebody has to be looked at. */
static int poll_ms(const struct platform_waiter *waiter, int64_t timeout_ms, int64_t deadline_ms)
{
    int64_t left = timeout_ms < 0 ? INT_MAX : deadline_ms - clock_mono_ms();

    for (size_t i = 0; i < PLATFORM_CHILDREN_MAX; i++) {
        const struct running *running = &waiter->running[i];

        if (running->child.pid != 0 && running->pidfd < 0 && left > LOOK_MS)
            left = LOOK_MS;
    }
    if (left <= 0)
        return 0;
    return left < INT_MAX ? (int)left : timeout_ms < 0 ? -1 : INT_MAX;
}

int platform_waiter_wait(struct platform_waiter *waiter, int64_t timeout_ms,
                         struct platform_event *ret, struct err *err)
{
    int64_t deadline_ms = timeout_ms < 0 ? INT64_MAX : clock_mono_ms() + timeout_ms;

    *ret = (struct platform_event){.kind = PLATFORM_TIMEOUT};
    for (;;) {
        struct pollfd polls[POLL_COUNT];
        int rc;

        fill(waiter, polls);
        rc = poll(polls, POLL_COUNT, poll_ms(waiter, timeout_ms, deadline_ms));
        if (rc < 0 && errno != EINTR)
            return err_sys(err, -errno, "poll");
        if (rc >= 0 && take_event(waiter, polls, ret))
            return 0;
        if (clock_mono_ms() >= deadline_ms)
            return 0;
    }
}
