/* SPDX-License-Identifier: Apache-2.0 */
/* kqueue.c – kqueue made of epoll, inotify and pidfd: level-triggered reads, directories whose
 * changes are told once, ends of processes that are told once. One queue at a time, one thread. */
#include "darwin.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/event.h>
#include <sys/inotify.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { NOTES_MAX = 16 };

struct note {
    struct kevent wanted;    /* filter 0: free */
    int fd;                  /* what epoll waits for: the pipe itself, an inotify, a pidfd */
    char name[NAME_MAX + 1]; /* the directory's, in the one above it */
    int self, above;         /* watches of the inotify */
    dev_t dev;               /* of what was open as `ident` */
    ino_t ino;
};

static struct note notes[NOTES_MAX];

int kqueue(void)
{
    memset(notes, 0, sizeof(notes));
    return epoll_create1(EPOLL_CLOEXEC);
}

static int failed(int why)
{
    errno = why;
    return -1;
}

/* ---- registering ----------------------------------------------------------------------------- */

/* inotify tells of a directory's own end when nobody holds it any more, kqueue at once: the one
 * above it knows. */
static int watch_dir(struct note *note)
{
    char link[64], path[PATH_MAX];
    ssize_t len;
    char *slash;

    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", (int)note->wanted.ident);
    len = readlink(link, path, sizeof(path) - 1);
    if (len <= 0)
        return failed(EBADF);
    path[len] = '\0';
    slash = strrchr(path, '/');
    (void)snprintf(note->name, sizeof(note->name), "%s", slash + 1);
    note->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    note->self = inotify_add_watch(
        note->fd, path, IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ONLYDIR);
    *slash = '\0';
    note->above = inotify_add_watch(note->fd, path, IN_DELETE | IN_MOVED_FROM | IN_ONLYDIR);
    return note->fd < 0 || note->self < 0 || note->above < 0 ? -1 : 0;
}

static void drop(int queue, struct note *note)
{
    (void)epoll_ctl(queue, EPOLL_CTL_DEL, note->fd, NULL);
    if (note->wanted.filter != EVFILT_READ && note->fd >= 0)
        (void)close(note->fd);
    note->wanted.filter = 0;
}

/* What is closed is forgotten; its number may stand for something else by now. */
static bool is_open(const struct note *note)
{
    struct stat st;

    return fstat((int)note->wanted.ident, &st) == 0 && st.st_dev == note->dev &&
           st.st_ino == note->ino;
}

static struct note *find(uintptr_t ident, int16_t filter)
{
    for (size_t i = 0; i < NOTES_MAX; i++) {
        if (notes[i].wanted.filter == filter && notes[i].wanted.ident == ident)
            return &notes[i];
    }
    return NULL;
}

static int add(int queue, const struct kevent *wanted)
{
    struct note *note = find(wanted->ident, wanted->filter);
    struct epoll_event event = {.events = EPOLLIN};
    struct stat st = {.st_dev = 0};
    int rc = 0;

    if (note != NULL)
        drop(queue, note);
    note = NULL;
    for (size_t i = 0; note == NULL && i < NOTES_MAX; i++) {
        if (notes[i].wanted.filter == 0)
            note = &notes[i];
    }
    assert(note != NULL);
    note->wanted = *wanted;
    note->fd = (int)wanted->ident;
    (void)fstat(note->fd, &st); /* of a process: whatever has its number */
    note->dev = st.st_dev;
    note->ino = st.st_ino;
    if (wanted->filter == EVFILT_VNODE)
        rc = watch_dir(note);
    else if (wanted->filter == EVFILT_PROC)
        rc = note->fd = (int)syscall(SYS_pidfd_open, (pid_t)wanted->ident, 0U);
    event.data.ptr = note;
    if (rc >= 0)
        rc = epoll_ctl(queue, EPOLL_CTL_ADD, note->fd, &event);
    if (rc < 0)
        note->wanted.filter = 0;
    return rc < 0 ? failed(errno == EINVAL ? ESRCH : errno) : 0;
}

static int change(int queue, const struct kevent *wanted)
{
    struct note *note;

    if ((wanted->flags & EV_ADD) != 0)
        return add(queue, wanted);
    note = find(wanted->ident, wanted->filter);
    if (note == NULL)
        return failed(ENOENT);
    drop(queue, note);
    return 0;
}

/* ---- what happened --------------------------------------------------------------------------- */

static bool dir_changed(const struct note *note)
{
    union {
        struct inotify_event aligned;
        char bytes[16 * (sizeof(struct inotify_event) + NAME_MAX + 1)];
    } events;
    bool found = false;
    ssize_t n;

    while ((n = read(note->fd, &events, sizeof(events))) > 0) {
        for (ssize_t at = 0; at < n;) {
            struct inotify_event event;

            memcpy(&event, events.bytes + at, sizeof(event));
            if (event.wd == note->self ||
                (event.wd == note->above && event.len > 0 &&
                 strcmp(events.bytes + at + sizeof(event), note->name) == 0))
                found = found || (event.mask & IN_IGNORED) == 0;
            at += (ssize_t)(sizeof(event) + event.len);
        }
    }
    return found;
}

static bool happened(int queue, struct note *note, struct kevent *ret)
{
    bool is_descriptor = note->wanted.filter != EVFILT_PROC;

    if (note->wanted.filter == 0)
        return false;
    if (is_descriptor && !is_open(note)) {
        drop(queue, note);
        return false;
    }
    if (note->wanted.filter == EVFILT_VNODE && !dir_changed(note))
        return false;
    *ret = note->wanted;
    if ((note->wanted.flags & EV_ONESHOT) != 0)
        drop(queue, note);
    return true;
}

int kevent(int kq, const struct kevent *changelist, int nchanges, struct kevent *eventlist,
           int nevents, const struct timespec *timeout)
{
    struct epoll_event event;
    int ms = timeout == NULL ? -1 : (int)(timeout->tv_sec * 1000 + timeout->tv_nsec / 1000000);

    for (int i = 0; i < nchanges; i++) {
        if (change(kq, &changelist[i]) < 0)
            return -1;
    }
    while (nevents > 0) {
        int n = epoll_wait(kq, &event, 1, ms);

        if (n <= 0)
            return n;
        if (happened(kq, event.data.ptr, eventlist))
            return 1;
    }
    return 0;
}
