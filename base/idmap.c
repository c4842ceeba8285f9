/* SPDX-License-Identifier: Apache-2.0 */
/* idmap.c – lists of id ranges: parsed strictly, searched, written for the kernel. */
#include "base/idmap.h"

#include "base/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ID_NONE UINT32_MAX /* (uid_t)-1 is nobody's id */

/* ---- parsing --------------------------------------------------------------------------------- */

static int parse_number(const char *text, uint32_t *ret)
{
    uint64_t number;

    if (text_parse_u64(text, &number) < 0 || number > UINT32_MAX)
        return -EINVAL;
    *ret = (uint32_t)number;
    return 0;
}

/* The last id of a range must be an id. */
static bool fits(uint32_t first, uint32_t length)
{
    uint32_t end; /* one past the last */

    return !__builtin_add_overflow(first, length, &end) && end <= ID_NONE;
}

static int parse_range(const char *text, struct idmap_range *ret, struct err *err)
{
    SCOPED(text_list) struct text_list parts = TEXT_LIST_EMPTY;

    if (text_list_split(&parts, text, ':') < 0)
        return err_set(err, -ENOMEM, "out of memory");
    if (parts.count != 3 || parse_number(parts.items[0], &ret->inside) < 0 ||
        parse_number(parts.items[1], &ret->outside) < 0 ||
        parse_number(parts.items[2], &ret->length) < 0)
        return err_set(err, -EINVAL, "\"%s\" is not container:host:length", text);
    if (ret->length == 0 || !fits(ret->inside, ret->length) || !fits(ret->outside, ret->length))
        return err_set(err, -EINVAL, "\"%s\" is no range of ids", text);
    return 0;
}

static int compare_outside(const void *a, const void *b)
{
    uint32_t x = ((const struct idmap_range *)a)->outside,
             y = ((const struct idmap_range *)b)->outside;

    return x < y ? -1 : x > y;
}

static int compare_inside(const void *a, const void *b)
{
    uint32_t x = ((const struct idmap_range *)a)->inside,
             y = ((const struct idmap_range *)b)->inside;

    return x < y ? -1 : x > y;
}

/* Leaves them ordered by `inside`. */
static bool overlap(struct idmap *map)
{
    bool found = false;

    qsort(map->ranges, map->count, sizeof(*map->ranges), compare_outside);
    for (size_t i = 1; i < map->count; i++)
        found |= map->ranges[i].outside - map->ranges[i - 1].outside < map->ranges[i - 1].length;
    qsort(map->ranges, map->count, sizeof(*map->ranges), compare_inside);
    for (size_t i = 1; i < map->count; i++)
        found |= map->ranges[i].inside - map->ranges[i - 1].inside < map->ranges[i - 1].length;
    return found;
}

static int parse_all(const struct text_list *texts, struct idmap *map, struct err *err)
{
    int rc = 0;

    if (texts->count > IDMAP_RANGES_MAX)
        return err_set(err, -EINVAL, "more than %d ranges", (int)IDMAP_RANGES_MAX);
    map->ranges = calloc(texts->count, sizeof(*map->ranges));
    if (map->ranges == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    for (; rc == 0 && map->count < texts->count; map->count++)
        rc = parse_range(texts->items[map->count], &map->ranges[map->count], err);
    if (rc == 0 && overlap(map))
        rc = err_set(err, -EINVAL, "ranges overlap");
    return rc;
}

int idmap_parse(const char *text, struct idmap *ret, struct err *err)
{
    SCOPED(text_list) struct text_list texts = TEXT_LIST_EMPTY;
    struct idmap map = {.ranges = NULL, .count = 0};
    int rc;

    if (text == NULL || text[0] == '\0')
        text = "0:0:4294967295";
    rc = text_list_split(&texts, text, ',');
    if (rc < 0)
        return err_set(err, rc, "out of memory");
    rc = parse_all(&texts, &map, err);
    if (rc < 0) {
        idmap_fini(&map);
        return rc;
    }
    *ret = map;
    return 0;
}

int idmaps_parse(const char *uids, const char *gids, struct idmaps *ret, struct err *err)
{
    SCOPED(idmaps) struct idmaps maps = IDMAPS_EMPTY;
    int rc = idmap_parse(uids, &maps.uids, err);

    if (rc < 0)
        return err_prefix(err, rc, "user ids");
    rc = idmap_parse(gids, &maps.gids, err);
    if (rc < 0)
        return err_prefix(err, rc, "group ids");
    *ret = maps;
    maps = (struct idmaps)IDMAPS_EMPTY;
    return 0;
}

/* ---- owning ---------------------------------------------------------------------------------- */

void idmap_fini(struct idmap *map)
{
    free(map->ranges);
    *map = (struct idmap){.ranges = NULL, .count = 0};
}

void idmaps_fini(struct idmaps *maps)
{
    idmap_fini(&maps->uids);
    idmap_fini(&maps->gids);
}

static int copy(struct idmap *to, const struct idmap *from)
{
    to->ranges = calloc(from->count, sizeof(*to->ranges));
    if (to->ranges == NULL)
        return -ENOMEM;
    memcpy(to->ranges, from->ranges, from->count * sizeof(*to->ranges));
    to->count = from->count;
    return 0;
}

int idmaps_copy(struct idmaps *to, const struct idmaps *from)
{
    struct idmaps maps = IDMAPS_EMPTY;

    if (copy(&maps.uids, &from->uids) < 0 || copy(&maps.gids, &from->gids) < 0) {
        idmaps_fini(&maps);
        return -ENOMEM;
    }
    *to = maps;
    return 0;
}

/* ---- use ------------------------------------------------------------------------------------- */

/* The range with `inside` in it; NULL: none. */
static const struct idmap_range *find(const struct idmap *map, uint32_t inside)
{
    size_t from = 0, to = map->count;

    while (from < to) {
        size_t middle = from + (to - from) / 2;
        const struct idmap_range *range = &map->ranges[middle];

        if (inside < range->inside)
            to = middle;
        else if (inside - range->inside < range->length)
            return range;
        else
            from = middle + 1;
    }
    return NULL;
}

bool idmap_has(const struct idmap *map, uint32_t inside)
{
    return find(map, inside) != NULL;
}

uint32_t idmap_outside(const struct idmap *map, uint32_t inside)
{
    const struct idmap_range *range = find(map, inside);

    return range == NULL ? IDMAP_OVERFLOW_ID : range->outside + (inside - range->inside);
}

int idmap_format(const struct idmap *map, struct buf *ret)
{
    int rc = 0;

    for (size_t i = 0; i < map->count && rc == 0; i++) {
        const struct idmap_range *range = &map->ranges[i];
        rc = buf_addf(ret, "%u %u %u\n", range->inside, range->outside, range->length);
    }
    return rc;
}
