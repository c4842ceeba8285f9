/* SPDX-License-Identifier: Apache-2.0 */
/* status.c – what the engine has to do, for whoever asks how it is. */
#include "span/internal.h"

static void add_get(const struct span_get *get, struct span_engine_status *ret)
{
    switch (get->phase) {
    case GET_QUEUED:
        ret->queued_spans += get->count;
        break;
    case GET_STARTING:
    case GET_UNDER_WAY:
        ret->fetching_spans += get->count;
        ret->fetching_bytes += get->fetch.len;
        ret->background_fetching_spans += get->urgent ? 0 : get->count;
        break;
    case GET_ARRIVED:
        ret->inflating_spans += get->count;
        break;
    }
}

static void add_set(const struct span_set *set, struct span_engine_status *ret)
{
    ret->layers++;
    for (const struct span_want *want = set->wants; want != NULL; want = want->next)
        ret->waiting_readers++;
    for (const struct span_get *get = set->gets; get != NULL; get = get->next_of_set)
        add_get(get, ret);
    if (set->background)
        ret->background_missing_spans += set->missing;
}

void span_engine_get_status(struct span_engine *engine, struct span_engine_status *ret)
{
    LOCKED(&engine->lock);

    *ret = (struct span_engine_status){
        .memory_bytes = engine->memory_bytes,
        .bytes_per_s = engine->pace.bytes_per_s,
    };
    for (const struct span_set *set = engine->sets; set != NULL; set = set->next)
        add_set(set, ret);
}
