/* SPDX-License-Identifier: Apache-2.0 */
/* linux_process.c – what posix_process.c needs of Linux. */
#include "base/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int process_pipe(int ends[2])
{
    return pipe2(ends, O_CLOEXEC) < 0 ? -errno : 0;
}

int process_close_others(posix_spawn_file_actions_t *actions, short *flags)
{
    (void)flags;
    return posix_spawn_file_actions_addclosefrom_np(actions, STDERR_FILENO + 1);
}
