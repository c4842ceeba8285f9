/* SPDX-License-Identifier: Apache-2.0 */
/* snapdb_query.c – reading snapshots: one, all, those with a label. */
#include "store/snapdb_internal.h"

#include <errno.h>
#include <stdlib.h>

/* ---- one row --------------------------------------------------------------------------------- */

int snapdb_row_get(struct snapdb_conn *conn, const char *name, uint64_t id, struct snapdb_row *ret,
                   struct err *err)
{
    SCOPED(statement) sqlite3_stmt *stmt = NULL;
    int rc = snapdb_conn_statement(conn, name != NULL ? SQL_GET : SQL_GET_BY_ID, &stmt, err);

    if (rc < 0)
        return rc;
    rc = name != NULL ? sqlite3_bind_text(stmt, 1, name, -1, SQLITE_STATIC)
                      : sqlite3_bind_int64(stmt, 1, (sqlite3_int64)id);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(stmt);
    if (rc == SQLITE_DONE && name != NULL)
        return err_set(err, -ENOENT, "snapshot %s does not exist", name);
    if (rc == SQLITE_DONE)
        return err_set(err, -ENOENT, "snapshot %llu does not exist", (unsigned long long)id);
    if (rc != SQLITE_ROW)
        return snapdb_conn_fail(conn, -EIO, err);
    rc = snapdb_row_read(conn, stmt, ret, err);
    return rc < 0 ? rc : 0;
}

static int get(struct snapdb *db, const char *name, uint64_t id, struct snapdb_row *ret,
               struct err *err)
{
    struct snapdb_conn *conn = NULL;
    int rc = snapdb_take_reader(db, &conn, err);

    if (rc < 0)
        return rc;
    rc = snapdb_row_get(conn, name, id, ret, err);
    snapdb_give_reader(db, conn);
    return rc;
}

int snapdb_get(struct snapdb *db, const char *name, struct snapdb_row *ret, struct err *err)
{
    return get(db, name, 0, ret, err);
}

int snapdb_get_by_id(struct snapdb *db, uint64_t id, struct snapdb_row *ret, struct err *err)
{
    return get(db, NULL, id, ret, err);
}

static int find_child(struct snapdb_conn *conn, const char *name, bool *ret, struct err *err)
{
    SCOPED(statement) sqlite3_stmt *stmt = NULL;
    int rc = snapdb_conn_statement(conn, SQL_FIND_CHILD, &stmt, err);

    if (rc < 0)
        return rc;
    rc = sqlite3_bind_text(stmt, 1, name, -1, SQLITE_STATIC);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(stmt);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        return snapdb_conn_fail(conn, -EIO, err);
    *ret = rc == SQLITE_ROW;
    return 0;
}

int snapdb_has_children(struct snapdb *db, const char *name, bool *ret, struct err *err)
{
    struct snapdb_conn *conn = NULL;
    int rc = snapdb_take_reader(db, &conn, err);

    if (rc < 0)
        return rc;
    rc = find_child(conn, name, ret, err);
    snapdb_give_reader(db, conn);
    return rc;
}

/* ---- many rows ------------------------------------------------------------------------------- */

struct walk {
    const char *key, *value; /* NULL: all rows */
    int (*each)(void *arg, const struct snapdb_row *row);
    void *arg;
};

static int walk_rows(struct snapdb_conn *conn, const struct walk *walk, struct err *err)
{
    SCOPED(statement) sqlite3_stmt *stmt = NULL;
    int step,
        rc = snapdb_conn_statement(conn, walk->key != NULL ? SQL_WALK_LABEL : SQL_WALK, &stmt, err);

    if (rc < 0)
        return rc;
    if (walk->key != NULL &&
        (sqlite3_bind_text(stmt, 1, walk->key, -1, SQLITE_STATIC) != SQLITE_OK ||
         sqlite3_bind_text(stmt, 2, walk->value, -1, SQLITE_STATIC) != SQLITE_OK))
        return snapdb_conn_fail(conn, -EIO, err);
    step = sqlite3_step(stmt);
    if (step != SQLITE_ROW && step != SQLITE_DONE)
        return snapdb_conn_fail(conn, -EIO, err);
    for (rc = step == SQLITE_ROW ? 1 : 0; rc == 1;) {
        SCOPED(snapdb_row) struct snapdb_row row = {.id = 0};
        int each_rc;

        rc = snapdb_row_read(conn, stmt, &row, err);
        if (rc < 0)
            return rc;
        each_rc = walk->each(walk->arg, &row);
        if (each_rc != 0)
            return each_rc;
    }
    return rc;
}

static int walk_with_reader(struct snapdb *db, const struct walk *walk, struct err *err)
{
    struct snapdb_conn *conn = NULL;
    int rc = snapdb_take_reader(db, &conn, err);

    if (rc < 0)
        return rc;
    rc = walk_rows(conn, walk, err);
    snapdb_give_reader(db, conn);
    return rc;
}

int snapdb_walk(struct snapdb *db, int (*each)(void *arg, const struct snapdb_row *row), void *arg,
                struct err *err)
{
    return walk_with_reader(db, &(struct walk){.each = each, .arg = arg}, err);
}

int snapdb_walk_label(struct snapdb *db, const char *key, const char *value,
                      int (*each)(void *arg, const struct snapdb_row *row), void *arg,
                      struct err *err)
{
    struct walk walk = {.key = key, .value = value, .each = each, .arg = arg};

    return walk_with_reader(db, &walk, err);
}

static int read_ids(struct snapdb_conn *conn, struct buf *ids, struct err *err)
{
    SCOPED(statement) sqlite3_stmt *stmt = NULL;
    int step, rc = snapdb_conn_statement(conn, SQL_IDS, &stmt, err);

    if (rc < 0)
        return rc;
    while ((step = sqlite3_step(stmt)) == SQLITE_ROW) {
        uint64_t id = (uint64_t)sqlite3_column_int64(stmt, 0);
        if (buf_add(ids, &id, sizeof(id)) < 0)
            return err_set(err, -ENOMEM, "snapshot database: out of memory");
    }
    return step == SQLITE_DONE ? 0 : snapdb_conn_fail(conn, -EIO, err);
}

int snapdb_ids(struct snapdb *db, uint64_t **ret, size_t *ret_count, struct err *err)
{
    SCOPED(buf_value) struct buf ids = BUF_EMPTY;
    struct snapdb_conn *conn = NULL;
    int rc = snapdb_take_reader(db, &conn, err);

    if (rc < 0)
        return rc;
    rc = read_ids(conn, &ids, err);
    snapdb_give_reader(db, conn);
    if (rc < 0)
        return rc;
    *ret_count = ids.len / sizeof(uint64_t);
    *ret = (uint64_t *)(void *)TAKE(ids.data);
    return 0;
}
