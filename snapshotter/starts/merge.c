/* SPDX-License-Identifier: Apache-2.0 */
/* merge.c – two records of an image become one. */
#include "starts/starts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A record whose touches go into another. */
struct part {
    const struct starts_record *record;
    uint32_t places[STARTS_LAYERS_MAX]; /* where each of its layers is there */
    bool left_out[STARTS_LAYERS_MAX];   /* it is not */
    size_t touch_count;                 /* of those layers that are */
};

/* A layer that `newer` has with another ztoc was cut anew since. */
static bool is_outdated(const struct starts_layer *layer, const struct starts_record *newer)
{
    for (size_t i = 0; i < newer->layer_count; i++) {
        if (digest_equal(&newer->layers[i].layer, &layer->layer))
            return !digest_equal(&newer->layers[i].ztoc, &layer->ztoc);
    }
    return false;
}

static int place(struct part *part, const struct starts_record *newer, struct starts_record *into)
{
    const struct starts_record *record = part->record;

    for (size_t i = 0; i < record->layer_count; i++) {
        int rc;

        part->left_out[i] = is_outdated(&record->layers[i], newer);
        if (part->left_out[i])
            continue;
        rc = starts_record_add_layer(into, &record->layers[i], &part->places[i]);
        if (rc < 0)
            return rc;
    }
    for (size_t i = 0; i < record->touch_count; i++)
        part->touch_count += !part->left_out[record->touches[i].layer];
    return 0;
}

static int by_layer_and_span(const void *a, const void *b)
{
    const struct starts_touch *p = a, *q = b;

    if (p->layer != q->layer)
        return p->layer < q->layer ? -1 : 1;
    return p->span < q->span ? -1 : p->span > q->span;
}

/* All that is not among `known`, which is sorted, until the record is full. */
static int append(const struct part *part, const struct starts_touch *known, size_t known_count,
                  struct starts_record *into)
{
    for (size_t i = 0; i < part->record->touch_count; i++) {
        struct starts_touch touch = part->record->touches[i];
        int rc;

        if (part->left_out[touch.layer])
            continue;
        touch.layer = part->places[touch.layer];
        if (known_count > 0 &&
            bsearch(&touch, known, known_count, sizeof(touch), by_layer_and_span) != NULL)
            continue;
        rc = starts_record_add_touch(into, &touch);
        if (rc < 0)
            return rc == -EFBIG ? 0 : rc;
    }
    return 0;
}

static int append_both(const struct part *lead, const struct part *rest, struct starts_record *into)
{
    SCOPED(mem) struct starts_touch *known = NULL;
    size_t known_count;
    int rc = append(lead, NULL, 0, into);

    if (rc < 0)
        return rc;
    known_count = into->touch_count;
    known = reallocarray(NULL, known_count + 1, sizeof(*known));
    if (known == NULL)
        return -ENOMEM;
    if (known_count > 0)
        memcpy(known, into->touches, known_count * sizeof(*known));
    qsort(known, known_count, sizeof(*known), by_layer_and_span);
    return append(rest, known, known_count, into);
}

int starts_merge(const struct starts_record *old, const struct starts_record *fresh,
                 struct starts_record **ret, struct err *err)
{
    SCOPED(starts_record) struct starts_record *into = starts_record_new(&fresh->manifest);
    const struct starts_record none = {.manifest = fresh->manifest};
    struct part before = {.record = old == NULL ? &none : old}, now = {.record = fresh};
    int rc;

    if (into == NULL)
        return err_set(err, -ENOMEM, "record of a start: out of memory");
    if (!digest_equal(&before.record->manifest, &fresh->manifest))
        return err_set(err, -EINVAL, "records of two images");
    rc = place(&before, fresh, into);
    if (rc == 0)
        rc = place(&now, fresh, into);
    if (rc == 0)
        rc = now.touch_count >= before.touch_count ? append_both(&now, &before, into)
                                                   : append_both(&before, &now, into);
    if (rc < 0)
        return err_sys(err, rc, "record of a start");
    *ret = TAKE(into);
    return 0;
}
