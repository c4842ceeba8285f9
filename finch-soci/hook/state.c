/* SPDX-License-Identifier: Apache-2.0 */
/* state.c – whether the hook is there and at work, and what it did last. */
#include "hook/hook.h"

#include "base/files.h"

void hook_state_fini(struct hook_state *state)
{
    free(state->where);
    state->where = NULL;
}

/* Its lock says so, whoever started it: the system's manager need not know. A watcher that starts
 * in the moment that we hold the lock tries again. */
static bool is_held(const char *path)
{
    SCOPED(platform_lock) struct platform_lock *lock = NULL;

    return path_exists(path) && platform_lock_take(path, &lock, NULL) == -EBUSY;
}

int hook_state_get(const struct hook_files *files, const char *name, struct hook_state *ret,
                   struct err *err)
{
    struct hook_state state = {.where = NULL};
    int rc = platform_hook_find(name, &state.registered, &state.where, err);

    if (rc < 0)
        return rc;
    state.watches = is_held(files->watch_lock);
    hook_record_read(files->start, &state.start);
    hook_record_read(files->stop, &state.stop);
    *ret = state;
    return 0;
}
