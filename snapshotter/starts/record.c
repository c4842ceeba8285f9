/* SPDX-License-Identifier: Apache-2.0 */
/* record.c – a record in memory: layers and touches are added one by one. */
#include "starts/starts.h"

#include <errno.h>
#include <stdlib.h>

struct starts_record *starts_record_new(const struct digest *manifest)
{
    struct starts_record *record = calloc(1, sizeof(*record));

    if (record != NULL)
        record->manifest = *manifest;
    return record;
}

void starts_record_free(struct starts_record *record)
{
    if (record == NULL)
        return;
    free(record->layers);
    free(record->touches);
    free(record);
}

/* Arrays double: full exactly when their length is a power of two, or nothing. */
static int make_room(void **items, size_t count, size_t item_bytes)
{
    void *more;

    if ((count & (count - 1)) != 0)
        return 0;
    more = reallocarray(*items, count == 0 ? 1 : 2 * count, item_bytes);
    if (more == NULL)
        return -ENOMEM;
    *items = more;
    return 0;
}

int starts_record_add_layer(struct starts_record *record, const struct starts_layer *layer,
                            uint32_t *ret)
{
    void *items = record->layers;
    size_t i;

    for (i = 0; i < record->layer_count; i++) {
        if (digest_equal(&record->layers[i].layer, &layer->layer) &&
            digest_equal(&record->layers[i].ztoc, &layer->ztoc))
            break;
    }
    *ret = (uint32_t)i;
    if (i < record->layer_count)
        return 0;
    if (i == STARTS_LAYERS_MAX)
        return -EFBIG;
    if (make_room(&items, i, sizeof(*layer)) < 0)
        return -ENOMEM;
    record->layers = items;
    record->layers[record->layer_count++] = *layer;
    return 0;
}

int starts_record_add_touch(struct starts_record *record, const struct starts_touch *touch)
{
    void *items = record->touches;

    if (record->touch_count == STARTS_TOUCHES_MAX)
        return -EFBIG;
    if (make_room(&items, record->touch_count, sizeof(*touch)) < 0)
        return -ENOMEM;
    record->touches = items;
    record->touches[record->touch_count++] = *touch;
    return 0;
}
