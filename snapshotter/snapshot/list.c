/* SPDX-License-Identifier: Apache-2.0 */
/* list.c – List: the snapshots that a filter wants. */
#include "snapshot/filter.h"
#include "snapshot/internal.h"

struct listing {
    const struct filter *filter;
    int (*each)(void *arg, const struct snapdb_row *row);
    void *arg;
};

static int list_row(void *arg, const struct snapdb_row *row)
{
    const struct listing *listing = arg;

    return filter_matches(listing->filter, row) ? listing->each(listing->arg, row) : 0;
}

int snapshot_list(struct snapshotter *s, const struct text_list *filters,
                  int (*each)(void *arg, const struct snapdb_row *row), void *arg, struct err *err)
{
    SCOPED(filter) struct filter *filter = NULL;
    struct listing listing = {.each = each, .arg = arg};
    const char *key, *value;
    int rc = filter_parse(filters, &filter, err);

    if (rc < 0)
        return rc;
    listing.filter = filter;
    if (filter_label(filter, &key, &value))
        return snapdb_walk_label(s->db, key, value, list_row, &listing, err);
    return snapdb_walk(s->db, list_row, &listing, err);
}
