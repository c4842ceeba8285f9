/* SPDX-License-Identifier: Apache-2.0 */
/* event.h – kqueue's interface as macOS has it, as far as platform/darwin_waiter.c uses it. */
#ifndef FAKE_SYS_EVENT_H
#define FAKE_SYS_EVENT_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define EVFILT_READ (-1)
#define EVFILT_VNODE (-4)
#define EVFILT_PROC (-5)

#define EV_ADD 0x0001
#define EV_DELETE 0x0002
#define EV_ONESHOT 0x0010
#define EV_CLEAR 0x0020

#define NOTE_DELETE 0x00000001u
#define NOTE_WRITE 0x00000002u
#define NOTE_RENAME 0x00000020u
#define NOTE_REVOKE 0x00000040u
#define NOTE_EXIT 0x80000000u

struct kevent {
    uintptr_t ident;
    int16_t filter;
    uint16_t flags;
    uint32_t fflags;
    intptr_t data;
    void *udata;
};

#define EV_SET(kevp, a, b, c, d, e, f)                                                             \
    (*(kevp) = (struct kevent){                                                                    \
         .ident = (a), .filter = (b), .flags = (c), .fflags = (d), .data = (e), .udata = (f)})

int kqueue(void);
int kevent(int kq, const struct kevent *changelist, int nchanges, struct kevent *eventlist,
           int nevents, const struct timespec *timeout);

#endif
