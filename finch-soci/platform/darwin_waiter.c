/* SPDX-License-Identifier: Apache-2.0 */
/* darwin_waiter.c – directories, ends of processes and pipes, waited for by one kqueue. */
#include "platform/internal.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/event.h>

enum { PIECE_BYTES = 4096 };
/* Of a program that has ended while what it started still prints. */
enum { LAST_PIECES = 64 };
/* An end may be told a moment before the program can be waited for. */
enum { REAP_MS = 10 };

/* A directory's entries came or went; it went itself, or its volume did. */
#define CHANGES (NOTE_WRITE | NOTE_DELETE | NOTE_RENAME | NOTE_REVOKE)

struct running {
    struct posix_child child; /* pid 0: free */
    bool has_ended;
    unsigned last_pieces; /* after its end */
};

struct watched {
    int fd;
    dev_t dev;
    ino_t ino;
};

/* All of the one thread that uses it, but for `wake`, which is fixed. */
struct platform_waiter {
    int queue;
    int wake[2]; /* a pipe: [0] can be read from when somebody wrote into [1] */
    pid_t process;
    struct watched watched[PLATFORM_WAITER_DIRS_MAX];
    size_t watched_count;
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

/* 0 or a negative errno. */
static int change(const struct platform_waiter *waiter, int64_t ident, int filter, unsigned flags,
                  unsigned what)
{
    struct kevent wanted;
    int rc;

    EV_SET(&wanted, (uintptr_t)ident, (int16_t)filter, (uint16_t)flags, what, 0, NULL);
    do
        rc = kevent(waiter->queue, &wanted, 1, NULL, 0, NULL);
    while (rc < 0 && errno == EINTR);
    return rc < 0 ? -errno : 0;
}

static int open_wake(struct platform_waiter *waiter)
{
    if (pipe(waiter->wake) < 0)
        return -errno;
    for (int i = 0; i < 2; i++) {
        if (fcntl(waiter->wake[i], F_SETFD, FD_CLOEXEC) < 0 ||
            fcntl(waiter->wake[i], F_SETFL, O_NONBLOCK) < 0)
            return -errno;
    }
    return change(waiter, waiter->wake[0], EVFILT_READ, EV_ADD, 0);
}

int platform_waiter_open(struct platform_waiter **ret, struct err *err)
{
    SCOPED(platform_waiter) struct platform_waiter *waiter = calloc(1, sizeof(*waiter));
    int rc;

    if (waiter == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    waiter->wake[0] = waiter->wake[1] = -1;
    for (size_t i = 0; i < PLATFORM_CHILDREN_MAX; i++)
        waiter->running[i] = (struct running){.child = POSIX_CHILD_NONE};
    waiter->queue = kqueue(); /* programs do not inherit it */
    if (waiter->queue < 0)
        return err_sys(err, -errno, "kqueue");
    rc = open_wake(waiter);
    if (rc < 0)
        return err_sys(err, rc, "pipe");
    *ret = TAKE(waiter);
    return 0;
}

void platform_waiter_close(struct platform_waiter *waiter)
{
    if (waiter == NULL)
        return;
    for (size_t i = 0; i < PLATFORM_CHILDREN_MAX; i++)
        posix_child_stop(&waiter->running[i].child);
    for (size_t i = 0; i < waiter->watched_count; i++)
        close_fd(&waiter->watched[i].fd);
    close_fd(&waiter->wake[0]);
    close_fd(&waiter->wake[1]);
    close_fd(&waiter->queue);
    free(waiter);
}

void platform_waiter_wake(struct platform_waiter *waiter)
{
    int saved_errno = errno;

    if (write(waiter->wake[1], "", 1) < 0) {
        /* it is full: set already */
    }
    errno = saved_errno;
}

/* ---- directories ----------------------------------------------------------------------------- */

/* A directory that is gone keeps its number for as long as we hold it, so one made anew in its
 * place is another. */
static bool take_watched(struct watched *set, size_t count, const struct stat *st,
                         struct watched *ret)
{
    for (size_t i = 0; i < count; i++) {
        if (set[i].fd >= 0 && set[i].dev == st->st_dev && set[i].ino == st->st_ino) {
            *ret = set[i];
            set[i].fd = -1;
            return true;
        }
    }
    return false;
}

static bool has(const struct watched *set, size_t count, const struct stat *st)
{
    for (size_t i = 0; i < count; i++) {
        if (set[i].dev == st->st_dev && set[i].ino == st->st_ino)
            return true;
    }
    return false;
}

static int add_watched(const struct platform_waiter *waiter, int *fd, const struct stat *st,
                       struct watched *ret)
{
    int rc = change(waiter, *fd, EVFILT_VNODE, EV_ADD | EV_CLEAR, CHANGES);

    if (rc == 0)
        *ret = (struct watched){.fd = take_fd(fd), .dev = st->st_dev, .ino = st->st_ino};
    return rc;
}

/* What is closed is watched no more. */
int platform_waiter_set_dirs(struct platform_waiter *waiter, const char *const *dirs,
                             struct err *err)
{
    struct watched next[PLATFORM_WAITER_DIRS_MAX];
    size_t count = 0;
    int rc = 0;

    for (size_t i = 0; dirs[i] != NULL && i < PLATFORM_WAITER_DIRS_MAX; i++) {
        SCOPED(fd) int fd = open(dirs[i], O_EVTONLY | O_DIRECTORY | O_CLOEXEC);
        struct stat st;
        int added = 0;

        if (fd < 0 || fstat(fd, &st) < 0) {
            if (errno != ENOENT && errno != ENOTDIR && errno != EACCES)
                rc = err_sys(err, -errno, "watch %s", dirs[i]);
            continue;
        }
        if (has(next, count, &st))
            continue;
        if (!take_watched(waiter->watched, waiter->watched_count, &st, &next[count]))
            added = add_watched(waiter, &fd, &st, &next[count]);
        if (added != 0)
            rc = err_sys(err, added, "watch %s", dirs[i]);
        else
            count++;
    }
    for (size_t i = 0; i < waiter->watched_count; i++)
        close_fd(&waiter->watched[i].fd);
    memcpy(waiter->watched, next, count * sizeof(*next));
    waiter->watched_count = count;
    return rc;
}

/* ---- processes ------------------------------------------------------------------------------- */

int platform_waiter_set_process(struct platform_waiter *waiter, int64_t pid, struct err *err)
{
    int rc;

    if (waiter->process != 0) /* -ENOENT: it has ended, and that waits to be told */
        (void)change(waiter, waiter->process, EVFILT_PROC, EV_DELETE, 0);
    waiter->process = 0;
    if (pid == 0)
        return 0;
    if (pid < 0 || pid > INT_MAX)
        return err_set(err, -ESRCH, "%lld is no process", (long long)pid);
    rc = change(waiter, pid, EVFILT_PROC, EV_ADD | EV_ONESHOT, NOTE_EXIT);
    if (rc == 0)
        waiter->process = (pid_t)pid;
    return rc < 0 ? err_sys(err, rc == -EPERM ? -EACCES : rc, "process %lld", (long long)pid) : 0;
}

/* One that has ended already is not there for the queue. */
static int follow(struct platform_waiter *waiter, struct running *running)
{
    int rc = change(waiter, running->child.pid, EVFILT_PROC, EV_ADD | EV_ONESHOT, NOTE_EXIT);

    running->last_pieces = 0;
    running->has_ended = rc == -ESRCH;
    if (rc < 0 && rc != -ESRCH)
        return rc;
    return running->child.out < 0 ? 0 : change(waiter, running->child.out, EVFILT_READ, EV_ADD, 0);
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
        rc = follow(waiter, running);
        if (rc < 0) {
            posix_child_stop(&running->child);
            return err_sys(err, rc, "%s", child->argv[0]);
        }
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

static bool read_piece(struct platform_waiter *waiter, int number, struct platform_event *ret)
{
    size_t n = posix_child_read(&waiter->running[number].child, waiter->piece, PIECE_BYTES);

    if (n > 0)
        *ret = (struct platform_event){
            .kind = PLATFORM_OUTPUT, .child = number, .output = bytes_of(waiter->piece, n)};
    return n > 0;
}

/* Its output before its end. */
static bool end_event(struct platform_waiter *waiter, int number, struct platform_event *ret)
{
    struct running *running = &waiter->running[number];

    if (running->child.pid == 0 || !running->has_ended)
        return false;
    if (running->last_pieces < LAST_PIECES) {
        running->last_pieces++;
        if (read_piece(waiter, number, ret))
            return true;
    }
    if (!posix_child_reap(&running->child, &ret->exit_status))
        return false;
    ret->kind = PLATFORM_ENDED;
    ret->child = number;
    return true;
}

static bool woken(struct platform_waiter *waiter)
{
    char drained[64];
    bool found = false;

    while (read(waiter->wake[0], drained, sizeof(drained)) > 0)
        found = true;
    return found;
}

/* The end of a program is noted, and told when its output is. */
static bool process_event(struct platform_waiter *waiter, pid_t pid, struct platform_event *ret)
{
    for (int i = 0; i < PLATFORM_CHILDREN_MAX; i++) {
        if (waiter->running[i].child.pid == pid) {
            waiter->running[i].has_ended = true;
            return end_event(waiter, i, ret);
        }
    }
    if (pid != waiter->process)
        return false;
    waiter->process = 0;
    ret->kind = PLATFORM_GONE;
    return true;
}

static bool take_event(struct platform_waiter *waiter, const struct kevent *happened,
                       struct platform_event *ret)
{
    int fd = (int)happened->ident;

    if (happened->filter == EVFILT_PROC)
        return process_event(waiter, (pid_t)happened->ident, ret);
    if (happened->filter == EVFILT_VNODE) {
        ret->kind = PLATFORM_CHANGED;
        return true;
    }
    if (fd == waiter->wake[0]) {
        ret->kind = PLATFORM_WOKEN;
        return woken(waiter);
    }
    for (int i = 0; i < PLATFORM_CHILDREN_MAX; i++) {
        if (waiter->running[i].child.pid != 0 && waiter->running[i].child.out == fd)
            return read_piece(waiter, i, ret);
    }
    return false;
}

/* How long the queue may sleep: not at all when a program's end is to be told. */
static bool find_end(struct platform_waiter *waiter, struct platform_event *ret, int64_t *left_ms)
{
    for (int i = 0; i < PLATFORM_CHILDREN_MAX; i++) {
        if (end_event(waiter, i, ret))
            return true;
        if (waiter->running[i].child.pid != 0 && waiter->running[i].has_ended && *left_ms > REAP_MS)
            *left_ms = REAP_MS;
    }
    return false;
}

int platform_waiter_wait(struct platform_waiter *waiter, int64_t timeout_ms,
                         struct platform_event *ret, struct err *err)
{
    int64_t deadline_ms = timeout_ms < 0 ? INT64_MAX : clock_mono_ms() + timeout_ms;

    for (;;) {
        int64_t now_ms = clock_mono_ms();
        int64_t left_ms = now_ms >= deadline_ms ? 0 : deadline_ms - now_ms;
        struct timespec left = {.tv_sec = 0};
        struct kevent happened;
        int n;

        *ret = (struct platform_event){.kind = PLATFORM_TIMEOUT};
        if (find_end(waiter, ret, &left_ms))
            return 0;
        left.tv_sec = left_ms / 1000;
        left.tv_nsec = left_ms % 1000 * 1000000;
        n = kevent(waiter->queue, NULL, 0, &happened, 1, left_ms > INT_MAX ? NULL : &left);
        if (n < 0 && errno != EINTR)
            return err_sys(err, -errno, "kevent");
        if (n > 0 && take_event(waiter, &happened, ret))
            return 0;
        if (n == 0 && clock_mono_ms() >= deadline_ms)
            return 0;
    }
}
