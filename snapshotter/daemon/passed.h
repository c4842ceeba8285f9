/* SPDX-License-Identifier: Apache-2.0 */
/* passed.h – the descriptors that the service manager passes (sd_listen_fds' protocol, without its
 * library): sockets to serve, and what an earlier process stored under a name. */
#ifndef DAEMON_PASSED_H
#define DAEMON_PASSED_H

#include "base/attr.h"
#include "base/cleanup.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

/* Names of what this program stores begin so; no socket unit is called that. */
#define PASSED_OURS_PREFIX "soci-fd-"

struct passed_fd {
    int fd;           /* -1: moved out */
    char *name;       /* "" when none was said */
    bool is_listener; /* a unix stream socket that listens */
};
struct passed {
    struct passed_fd *items;
    size_t count;
};
#define PASSED_NONE                                                                                \
    {                                                                                              \
        .items = NULL, .count = 0                                                                  \
    }

/* In main(), before there are threads: $LISTEN_PID, $LISTEN_FDS and $LISTEN_FDNAMES are read, and
 * removed so that no child takes them for its own; the descriptors become close-on-exec. Those that
 * are neither listening sockets nor named as ours are closed, with a warning. *ret starts as
 * PASSED_NONE. -EINVAL: the variables make no sense; -ENOMEM. */
MUST_CHECK int passed_take(struct passed *ret, struct err *err);
/* Closes what was not moved out. */
void passed_fini(struct passed *passed);
DEFINE_SCOPED_VALUE(passed, struct passed, passed_fini)

#endif
