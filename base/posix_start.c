/* SPDX-License-Identifier: Apache-2.0 */
/* posix_start.c – a program is started as if nobody had set anything: no signal is blocked or
 * ignored, and its group of processes is its own. */
#include "base/posix.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>

extern char **environ;

static int set(posix_spawnattr_t *attributes, short flags)
{
    sigset_t none, all;
    int rc;

    (void)sigemptyset(&none);
    (void)sigfillset(&all);
    rc = posix_spawnattr_setsigmask(attributes, &none);
    if (rc == 0)
        rc = posix_spawnattr_setsigdefault(attributes, &all);
    if (rc == 0)
        rc = posix_spawnattr_setpgroup(attributes, 0);
    if (rc == 0)
        rc = posix_spawnattr_setflags(attributes, flags);
    return rc;
}

int posix_start(const struct posix_start *how, pid_t *ret)
{
    short flags = POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
    posix_spawnattr_t attributes;
    int rc = posix_spawnattr_init(&attributes);

    if (rc != 0)
        return -rc;
    rc = set(&attributes, (short)(flags | how->flags));
    if (rc == 0) /* the strings are not written to */
        rc = posix_spawnp(ret, how->argv[0], how->files, &attributes,
                          (char *const *)(uintptr_t)how->argv,
                          how->environment == NULL ? environ : how->environment);
    (void)posix_spawnattr_destroy(&attributes);
    return -rc;
}
