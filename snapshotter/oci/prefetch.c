/* SPDX-License-Identifier: Apache-2.0 */
/* prefetch.c – the prefetch artifact of a layer: ranges of spans, and which come first
 * (docs/soci-index.md). */
#include "oci/internal.h"

#include <errno.h>

#define PREFETCH_VERSION "1.0"

void soci_prefetch_fini(struct soci_prefetch *prefetch)
{
    free(prefetch->ranges);
    *prefetch = (struct soci_prefetch){.ranges = NULL, .count = 0};
}

/* ---- reading --------------------------------------------------------------------------------- */

static int read_u32(const cJSON *object, const char *name, bool may_be_absent, uint32_t *ret,
                    struct err *err)
{
    bool present = false;
    uint64_t value = 0;
    int rc = json_get_u64(object, name, &present, &value, err);

    if (rc < 0)
        return rc;
    if (!present && !may_be_absent)
        return err_set(err, -EBADMSG, "no %s", name);
    if (value >= UINT32_MAX)
        return err_set(err, -EBADMSG, "%s is %llu", name, (unsigned long long)value);
    *ret = (uint32_t)value;
    return 0;
}

static int read_range(const cJSON *object, struct soci_prefetch_range *ret, struct err *err)
{
    int rc;

    if (!cJSON_IsObject(object))
        return err_set(err, -EBADMSG, "it is no object");
    rc = read_u32(object, "start_span", false, &ret->first, err);
    if (rc == 0)
        rc = read_u32(object, "end_span", false, &ret->last, err);
    if (rc == 0)
        rc = read_u32(object, "priority", true, &ret->priority, err);
    if (rc < 0)
        return rc;
    return ret->first <= ret->last ? 0
                                   : err_set(err, -EBADMSG, "it ends before it begins, %u after %u",
                                             (unsigned)ret->first, (unsigned)ret->last);
}

static int read_ranges(const cJSON *array, struct soci_prefetch *prefetch, struct err *err)
{
    int count = array == NULL ? 0 : cJSON_GetArraySize(array);
    const cJSON *item;

    if (count == 0)
        return err_set(err, -EBADMSG, "it has no spans");
    if (count > SOCI_PREFETCH_RANGES_MAX)
        return err_set(err, -EBADMSG, "%d ranges of spans", count);
    prefetch->ranges = calloc((size_t)count, sizeof(*prefetch->ranges));
    if (prefetch->ranges == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    cJSON_ArrayForEach(item, array)
    {
        int rc = read_range(item, &prefetch->ranges[prefetch->count], err);

        if (rc < 0)
            return err_prefix(err, rc, "prefetch_spans[%zu]", prefetch->count);
        prefetch->count++;
    }
    return 0;
}

static int read_all(struct bytes json, struct soci_prefetch *prefetch, struct err *err)
{
    SCOPED(json) cJSON *tree = NULL;
    const char *version = NULL;
    const cJSON *array = NULL;
    int rc = json_read(json, &tree, err);

    if (rc == 0)
        rc = json_get_string(tree, "version", &version, err);
    if (rc == 0 && (version == NULL || strcmp(version, PREFETCH_VERSION) != 0))
        rc = err_set(err, -EBADMSG, "its version is not " PREFETCH_VERSION);
    if (rc == 0)
        rc = json_get_array(tree, "prefetch_spans", &array, err);
    return rc == 0 ? read_ranges(array, prefetch, err) : rc;
}

int soci_prefetch_parse(struct bytes json, struct soci_prefetch *ret, struct err *err)
{
    SCOPED(soci_prefetch) struct soci_prefetch prefetch = {.ranges = NULL};
    int rc = read_all(json, &prefetch, err);

    if (rc < 0)
        return err_prefix(err, rc, "prefetch artifact");
    *ret = prefetch;
    prefetch = (struct soci_prefetch){.ranges = NULL, .count = 0};
    return 0;
}

/* ---- writing --------------------------------------------------------------------------------- */

static int put_range(struct buf *out, const struct soci_prefetch_range *range)
{
    int rc = buf_addf(out, "{\"start_span\":%u,\"end_span\":%u", (unsigned)range->first,
                      (unsigned)range->last);

    if (rc == 0 && range->priority != 0)
        rc = buf_addf(out, ",\"priority\":%u", (unsigned)range->priority);
    return rc == 0 ? buf_add_byte(out, '}') : rc;
}

int soci_prefetch_encode(const struct soci_prefetch *prefetch, struct buf *ret, struct err *err)
{
    size_t before = ret->len;
    int rc = buf_add_str(ret, "{\"version\":\"" PREFETCH_VERSION "\",\"prefetch_spans\":[");

    for (size_t i = 0; rc == 0 && i < prefetch->count; i++) {
        rc = i == 0 ? 0 : buf_add_byte(ret, ',');
        if (rc == 0)
            rc = put_range(ret, &prefetch->ranges[i]);
    }
    if (rc == 0)
        rc = buf_add_str(ret, "]}");
    if (rc == 0)
        return 0;
    ret->len = before;
    return err_sys(err, rc, "prefetch artifact");
}

/* ---- from the order of touches --------------------------------------------------------------- */

static int by_first(const void *a, const void *b)
{
    const struct soci_prefetch_range *p = a, *q = b;

    return p->first < q->first ? -1 : p->first > q->first;
}

int soci_prefetch_of_order(const struct soci_prefetch_span *spans, size_t count,
                           struct soci_prefetch *ret)
{
    struct soci_prefetch_range *ranges = calloc(count + 1, sizeof(*ranges));
    size_t used = 0;

    if (ranges == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        struct soci_prefetch_range *last = used == 0 ? NULL : &ranges[used - 1];

        /* What was read one behind the other is one range, and no order is lost. */
        if (last != NULL && spans[i].span == last->last + 1 &&
            spans[i].priority == last->priority + (last->last - last->first) + 1) {
            last->last++;
            continue;
        }
        ranges[used++] =
            (struct soci_prefetch_range){spans[i].span, spans[i].span, spans[i].priority};
    }
    qsort(ranges, used, sizeof(*ranges), by_first);
    *ret = (struct soci_prefetch){.ranges = ranges, .count = used};
    return 0;
}
