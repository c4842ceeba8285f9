/* SPDX-License-Identifier: Apache-2.0 */
/* internal.h – what posix_process.c needs of each system. */
#ifndef BASE_INTERNAL_H
#define BASE_INTERNAL_H

#include "base/attr.h"

#include <spawn.h>

/* A pipe whose ends no program inherits, as far as the system can even one that another thread
 * starts at this moment. 0 or a negative errno. */
MUST_CHECK int process_pipe(int ends[2]);

/* The program has the descriptors 0, 1 and 2 and no other of ours: by `actions`, which are complete
 * but for that, or by *flags, which go to posix_spawnattr_setflags(). 0 or an errno. */
MUST_CHECK int process_close_others(posix_spawn_file_actions_t *actions, short *flags);

#endif
