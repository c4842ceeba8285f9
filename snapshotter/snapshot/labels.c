/* SPDX-License-Identifier: Apache-2.0 */
/* labels.c – which labels a row keeps, and how a request changes them. */
#include "snapshot/internal.h"

#include <errno.h>
#include <string.h>

/* On a remote row these say which layer it is and how to mount it again. */
#define OWN_PREFIX "containerd.io/snapshot"

bool snapshot_is_remote(const struct snapdb_row *row)
{
    return text_map_get(&row->labels, SNAPSHOT_LABEL_REMOTE) != NULL;
}

static int no_memory(struct err *err)
{
    return err_set(err, -ENOMEM, "labels: out of memory");
}

int snapshot_labels_add(struct text_map *to, const struct text_map *given, struct err *err)
{
    size_t i;

    for (i = 0; given != NULL && i < given->count; i++) {
        const struct text_pair *label = &given->items[i];
        if (label->value[0] == '\0' || strcmp(label->key, SNAPSHOT_LABEL_REMOTE) == 0)
            continue;
        if (text_map_set(to, label->key, label->value) < 0)
            return no_memory(err);
    }
    return 0;
}

/* containerd replaces what it knows of; what a lazily mounted layer needs after a restart must not
 * get lost by that, so such a row keeps its own labels unless they are given anew. */
static int replace_all(struct snapdb_row *row, const struct text_map *given, struct err *err)
{
    SCOPED(text_map) struct text_map labels = TEXT_MAP_EMPTY;
    struct text_map old;
    size_t i;

    for (i = 0; snapshot_is_remote(row) && i < row->labels.count; i++) {
        const struct text_pair *label = &row->labels.items[i];
        if (text_has_prefix(label->key, OWN_PREFIX) &&
            text_map_set(&labels, label->key, label->value) < 0)
            return no_memory(err);
    }
    if (snapshot_labels_add(&labels, given, err) < 0)
        return -ENOMEM;
    old = row->labels;
    row->labels = labels;
    labels = old;
    return 0;
}

static int replace_one(struct snapdb_row *row, const char *key, const struct text_map *given,
                       struct err *err)
{
    const char *value = text_map_get(given, key);

    if (strcmp(key, SNAPSHOT_LABEL_REMOTE) == 0)
        return 0; /* ours alone, as in snapshot_labels_add() */
    if (value == NULL || value[0] == '\0') {
        text_map_remove(&row->labels, key);
        return 0;
    }
    return text_map_set(&row->labels, key, value) < 0 ? no_memory(err) : 0;
}

int snapshot_labels_update(struct snapdb_row *row, const struct text_map *given,
                           const struct text_list *paths, struct err *err)
{
    static const char one[] = "labels.";
    int rc = 0;
    size_t i;

    if (paths->count == 0)
        return replace_all(row, given, err);
    for (i = 0; rc == 0 && i < paths->count; i++) {
        const char *path = paths->items[i];
        if (strcmp(path, "labels") == 0)
            rc = replace_all(row, given, err);
        else if (text_has_prefix(path, one))
            rc = replace_one(row, path + strlen(one), given, err);
        else
            rc =
                err_set(err, -EINVAL, "cannot update field \"%s\" of snapshot %s", path, row->name);
    }
    return rc;
}
