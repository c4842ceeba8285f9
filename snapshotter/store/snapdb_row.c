/* SPDX-License-Identifier: Apache-2.0 */
/* snapdb_row.c – a snapshot and its labels, between a struct and the records of two tables. */
#include "store/snapdb_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* As SQL_GET and the walks select them. */
enum { COL_ID, COL_NAME, COL_PARENT, COL_KIND, COL_CREATED, COL_UPDATED, COL_BYTES, COL_INODES };
enum { COL_KEY = COL_INODES + 1, COL_VALUE };

void snapdb_row_fini(struct snapdb_row *row)
{
    free(row->name);
    free(row->parent);
    text_map_fini(&row->labels);
    memset(row, 0, sizeof(*row));
}

static const char *column_text(sqlite3_stmt *stmt, int column)
{
    return (const char *)sqlite3_column_text(stmt, column);
}

static int read_columns(sqlite3_stmt *stmt, struct snapdb_row *row, struct err *err)
{
    const char *name = column_text(stmt, COL_NAME), *parent = column_text(stmt, COL_PARENT);

    row->id = (uint64_t)sqlite3_column_int64(stmt, COL_ID);
    row->name = text_copy(name == NULL ? "" : name);
    row->parent = text_copy(parent == NULL ? "" : parent);
    row->kind = (enum snapdb_kind)sqlite3_column_int(stmt, COL_KIND);
    row->created_ns = sqlite3_column_int64(stmt, COL_CREATED);
    row->updated_ns = sqlite3_column_int64(stmt, COL_UPDATED);
    row->usage_bytes = (uint64_t)sqlite3_column_int64(stmt, COL_BYTES);
    row->usage_inodes = (uint64_t)sqlite3_column_int64(stmt, COL_INODES);
    if (row->name == NULL || row->parent == NULL)
        return err_set(err, -ENOMEM, "snapshot database: out of memory");
    return 0;
}

static int read_label(sqlite3_stmt *stmt, struct text_map *labels, struct err *err)
{
    const char *key = column_text(stmt, COL_KEY), *value = column_text(stmt, COL_VALUE);

    if (key == NULL || value == NULL)
        return 0; /* the outer join's record of a snapshot without labels */
    if (text_map_set(labels, key, value) < 0)
        return err_set(err, -ENOMEM, "snapshot database: out of memory");
    return 0;
}

int snapdb_row_read(struct snapdb_conn *conn, sqlite3_stmt *stmt, struct snapdb_row *ret,
                    struct err *err)
{
    SCOPED(snapdb_row) struct snapdb_row row = {.id = 0};
    int step, rc = read_columns(stmt, &row, err);

    do {
        if (rc == 0)
            rc = read_label(stmt, &row.labels, err);
        if (rc < 0)
            return rc;
        step = sqlite3_step(stmt);
    } while (step == SQLITE_ROW && (uint64_t)sqlite3_column_int64(stmt, COL_ID) == row.id);
    if (step != SQLITE_ROW && step != SQLITE_DONE)
        return snapdb_conn_fail(conn, -EIO, err);
    *ret = row;
    memset(&row, 0, sizeof(row));
    return step == SQLITE_ROW ? 1 : 0;
}

/* The order of the parameters of SQL_INSERT and SQL_UPDATE. Strings stay the caller's until the
 * reset. */
static int bind_row(sqlite3_stmt *stmt, const struct snapdb_row *row)
{
    bool has_parent = row->parent != NULL && row->parent[0] != '\0';
    int bad = 0;

    bad |= sqlite3_bind_text(stmt, 1, row->name, -1, SQLITE_STATIC);
    bad |= has_parent ? sqlite3_bind_text(stmt, 2, row->parent, -1, SQLITE_STATIC)
                      : sqlite3_bind_null(stmt, 2);
    bad |= sqlite3_bind_int(stmt, 3, (int)row->kind);
    bad |= sqlite3_bind_int64(stmt, 4, row->created_ns);
    bad |= sqlite3_bind_int64(stmt, 5, row->updated_ns);
    bad |= sqlite3_bind_int64(stmt, 6, (sqlite3_int64)row->usage_bytes);
    bad |= sqlite3_bind_int64(stmt, 7, (sqlite3_int64)row->usage_inodes);
    bad |= sqlite3_bind_int64(stmt, 8, (sqlite3_int64)row->id);
    return bad;
}

/* `value` NULL: the statement has none. */
static int write_label(struct snapdb_conn *conn, enum snapdb_sql which, uint64_t id,
                       const char *key, const char *value, struct err *err)
{
    SCOPED(statement) sqlite3_stmt *stmt = NULL;
    int rc = snapdb_conn_statement(conn, which, &stmt, err);

    if (rc < 0)
        return rc;
    if (sqlite3_bind_int64(stmt, 1, (sqlite3_int64)id) != SQLITE_OK ||
        sqlite3_bind_text(stmt, 2, key, -1, SQLITE_STATIC) != SQLITE_OK ||
        (value != NULL && sqlite3_bind_text(stmt, 3, value, -1, SQLITE_STATIC) != SQLITE_OK) ||
        sqlite3_step(stmt) != SQLITE_DONE)
        return snapdb_conn_fail(conn, -ENOENT, err);
    return 0;
}

static int add_labels(struct snapdb_conn *conn, const struct snapdb_row *row, struct err *err)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < row->labels.count; i++)
        rc = write_label(conn, SQL_ADD_LABEL, row->id, row->labels.items[i].key,
                         row->labels.items[i].value, err);
    return rc;
}

/* Each label is in two trees, and in the second one the labels of a snapshot lie far from one
 * another. */
static int update_labels(struct snapdb_conn *conn, const struct text_map *old,
                         const struct snapdb_row *row, struct err *err)
{
    int rc = 0;
    size_t i;

    for (i = 0; rc == 0 && i < old->count; i++) {
        if (text_map_get(&row->labels, old->items[i].key) == NULL)
            rc = write_label(conn, SQL_DROP_LABEL, row->id, old->items[i].key, NULL, err);
    }
    for (i = 0; rc == 0 && i < row->labels.count; i++) {
        const struct text_pair *label = &row->labels.items[i];
        const char *value = text_map_get(old, label->key);
        if (value == NULL || strcmp(value, label->value) != 0)
            rc = write_label(conn, SQL_SET_LABEL, row->id, label->key, label->value, err);
    }
    return rc;
}

/* Insert or update the record without its labels. */
static int write_record(struct snapdb_conn *conn, enum snapdb_sql which,
                        const struct snapdb_row *row, struct err *err)
{
    SCOPED(statement) sqlite3_stmt *stmt = NULL;
    int rc = snapdb_conn_statement(conn, which, &stmt, err);

    if (rc < 0)
        return rc;
    if (bind_row(stmt, row) != SQLITE_OK || sqlite3_step(stmt) != SQLITE_DONE)
        return snapdb_conn_fail(conn, -ENOENT, err);
    if (sqlite3_changes(conn->db) == 0)
        return err_set(err, -ENOENT, "snapshot database: no snapshot with id %llu",
                       (unsigned long long)row->id);
    return 0;
}

int snapdb_row_insert(struct snapdb_conn *conn, const struct snapdb_row *row, struct err *err)
{
    int rc = write_record(conn, SQL_INSERT, row, err);

    return rc < 0 ? rc : add_labels(conn, row, err);
}

int snapdb_row_update(struct snapdb_conn *conn, const struct snapdb_row *row, struct err *err)
{
    SCOPED(snapdb_row) struct snapdb_row old = {.id = 0};
    int rc = snapdb_row_get(conn, NULL, row->id, &old, err);
    bool has_moved;

    if (rc < 0)
        return rc;
    /* Writing a column writes its index too, whether it changes or not. */
    has_moved = strcmp(old.name, row->name) != 0 ||
                strcmp(old.parent, row->parent == NULL ? "" : row->parent) != 0;
    rc = write_record(conn, has_moved ? SQL_UPDATE : SQL_UPDATE_REST, row, err);
    return rc < 0 ? rc : update_labels(conn, &old.labels, row, err);
}
