/* SPDX-License-Identifier: Apache-2.0 */
/* quiet.c – what waits until nothing that is waited for is on its way. */
#include "discover/internal.h"

#include "base/threads.h"

static void run_all(struct discover_later *list, bool canceled)
{
    while (list != NULL) {
        struct discover_later *next = list->next;

        list->run(list, canceled);
        list = next;
    }
}

static struct discover_later *take_list_locked(struct quiet *quiet)
{
    struct discover_later *list = quiet->list;

    quiet->list = NULL;
    return list;
}

void quiet_init(struct quiet *quiet)
{
    *quiet = (struct quiet){.busy = 0};
    (void)pthread_mutex_init(&quiet->lock, NULL);
}

void quiet_fini(struct quiet *quiet)
{
    (void)pthread_mutex_destroy(&quiet->lock);
}

void quiet_enter(struct quiet *quiet)
{
    LOCKED(&quiet->lock);

    quiet->busy++;
}

void quiet_leave(struct quiet *quiet)
{
    struct discover_later *list = NULL;

    (void)pthread_mutex_lock(&quiet->lock);
    if (--quiet->busy == 0)
        list = take_list_locked(quiet);
    (void)pthread_mutex_unlock(&quiet->lock);
    run_all(list, false);
}

void quiet_when(struct quiet *quiet, struct discover_later *later)
{
    bool now, stopped;

    (void)pthread_mutex_lock(&quiet->lock);
    stopped = quiet->stopped;
    now = quiet->busy == 0 || stopped;
    later->next = now ? NULL : quiet->list;
    if (!now)
        quiet->list = later;
    (void)pthread_mutex_unlock(&quiet->lock);
    if (now)
        later->run(later, stopped);
}

void quiet_stop(struct quiet *quiet)
{
    struct discover_later *list;

    (void)pthread_mutex_lock(&quiet->lock);
    quiet->stopped = true;
    list = take_list_locked(quiet);
    (void)pthread_mutex_unlock(&quiet->lock);
    run_all(list, true);
}
