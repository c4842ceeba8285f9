/* SPDX-License-Identifier: Apache-2.0 */
/* darwin_process.c – what posix_process.c needs of macOS. */
#include "base/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* There is no pipe2(). A program that another thread starts between the two calls has the ends only
 * if it is started without process_close_others(). */
int process_pipe(int ends[2])
{
    if (pipe(ends) < 0)
        return -errno;
    for (int i = 0; i < 2; i++) {
        if (fcntl(ends[i], F_SETFD, FD_CLOEXEC) < 0) {
            int why = errno;

            (void)close(ends[0]);
            (void)close(ends[1]);
            return -why;
        }
    }
    return 0;
}

/* What `actions` make is inherited, nothing else. */
int process_close_others(posix_spawn_file_actions_t *actions, short *flags)
{
    (void)actions;
    *flags |= POSIX_SPAWN_CLOEXEC_DEFAULT;
    return 0;
}
