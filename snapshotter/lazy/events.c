/* SPDX-License-Identifier: Apache-2.0 */
/* events.c – the last reasons why a layer was not mounted, so that a user learns them without the
 * log. All layers of an image tend to have the same reason, so equal ones are one. */
#include "lazy/internal.h"

#include "base/clock.h"
#include "base/threads.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A copy that fits: the end of what is longer does not matter. */
static void fill(char *to, size_t to_bytes, const char *text)
{
    (void)snprintf(to, to_bytes, "%s", text);
}

static bool is_same(const struct lazy_event *event, const struct lazy_event *other)
{
    return event->kind == other->kind && strcmp(event->image, other->image) == 0 &&
           strcmp(event->text, other->text) == 0;
}

/* Newest first; the oldest falls out at the end. */
static void put_first_locked(struct lazy_events *events, const struct lazy_event *event)
{
    size_t at = 0;
    uint64_t count = 1;

    while (at < events->count && !is_same(&events->items[at], event))
        at++;
    if (at < events->count)
        count = events->items[at].count + 1;
    else if (events->count < LAZY_EVENTS_MAX)
        events->count++;
    else
        at--;
    memmove(&events->items[1], &events->items[0], at * sizeof(events->items[0]));
    events->items[0] = *event;
    events->items[0].count = count;
}

void lazy_note(struct lazy *lazy, enum lazy_event_kind kind, const char *image, const char *layer,
               const struct err *why)
{
    struct lazy_event event = {.kind = kind, .time_ms = clock_wall_ms()};

    fill(event.image, sizeof(event.image), image == NULL ? "" : image);
    fill(event.layer, sizeof(event.layer), layer == NULL ? "" : layer);
    fill(event.text, sizeof(event.text), err_text(why));
    {
        LOCKED(&lazy->events.lock);

        put_first_locked(&lazy->events, &event);
    }
}

int lazy_get_events(struct lazy *lazy, struct lazy_event **ret, size_t *ret_count, struct err *err)
{
    struct lazy_event *copy = calloc(LAZY_EVENTS_MAX, sizeof(*copy));

    if (copy == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    {
        LOCKED(&lazy->events.lock);

        memcpy(copy, lazy->events.items, lazy->events.count * sizeof(*copy));
        *ret_count = lazy->events.count;
    }
    *ret = copy;
    return 0;
}
