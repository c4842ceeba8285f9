/* SPDX-License-Identifier: Apache-2.0 */
/* record.c – a record in memory: layers and touches are added one by one. */
#include "starts/starts.h"

#include "base/system.h"

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

int starts_record_add_layer(struct starts_record *record, const struct starts_layer *layer,
                            uint32_t *ret)
{
    struct starts_layer *layers;
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
    layers = system_grow(record->layers, i, sizeof(*layers));
    if (layers == NULL)
        return -ENOMEM;
    record->layers = layers;
    record->layers[record->layer_count++] = *layer;
    return 0;
}

int starts_record_add_touch(struct starts_record *record, const struct starts_touch *touch)
{
    struct starts_touch *touches;

    if (record->touch_count == STARTS_TOUCHES_MAX)
        return -EFBIG;
    touches = system_grow(record->touches, record->touch_count, sizeof(*touches));
    if (touches == NULL)
        return -ENOMEM;
    record->touches = touches;
    record->touches[record->touch_count++] = *touch;
    return 0;
}
