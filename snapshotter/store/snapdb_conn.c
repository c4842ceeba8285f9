/* SPDX-License-Identifier: Apache-2.0 */
/* snapdb_conn.c – one connection to the snapshot database: schema, statements, errors. */
#include "store/snapdb_internal.h"

#include "base/attr.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { SNAPDB_SCHEMA_VERSION = 1 };
enum { SNAPDB_BUSY_MS = 10000 }; /* for a checkpoint or recovery by another connection of ours */

#define SNAPDB_LOG_KEPT "20000000" /* bytes of log that stay on disk: more than is usual */

/* What a connection is told first. A commit must survive power loss: containerd's own database
 * remembers the snapshot, and an image with a snapshot that we forgot is broken for good. So
 * synchronous is FULL, one fdatasync of the log per commit. A few pages of cache are plenty for
 * what is asked of each connection. The log is moved into the database by snapdb_checkpoint.c. */
static const char setup_sql[] = "PRAGMA journal_mode = WAL;"
                                "PRAGMA synchronous = FULL;"
                                "PRAGMA wal_autocheckpoint = 0;"
                                "PRAGMA journal_size_limit = " SNAPDB_LOG_KEPT ";"
                                "PRAGMA foreign_keys = ON;"
                                "PRAGMA temp_store = MEMORY;"
                                "PRAGMA cache_size = -256;";

/* AUTOINCREMENT: an id names a directory, so it is not given again after its row was deleted.
 * `parent` refers to a name, as containerd does; a committed name never changes. The label index is
 * for the one query that must not look at every row, see snapdb_walk_label() in store.h. */
static const char schema_sql[] =
    "BEGIN IMMEDIATE;"
    "CREATE TABLE snapshot ("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  name TEXT NOT NULL UNIQUE,"
    "  parent TEXT REFERENCES snapshot (name),"
    "  kind INTEGER NOT NULL,"
    "  created_ns INTEGER NOT NULL,"
    "  updated_ns INTEGER NOT NULL,"
    "  usage_bytes INTEGER NOT NULL,"
    "  usage_inodes INTEGER NOT NULL);"
    "CREATE INDEX snapshot_parent ON snapshot (parent);"
    "CREATE TABLE label ("
    "  snapshot INTEGER NOT NULL REFERENCES snapshot (id) ON DELETE CASCADE,"
    "  key TEXT NOT NULL,"
    "  value TEXT NOT NULL,"
    "  PRIMARY KEY (snapshot, key)) WITHOUT ROWID;"
    "CREATE INDEX label_value ON label (key, value);"
    "PRAGMA user_version = 1;"
    "COMMIT;";

#define ROW_COLUMNS                                                                                \
    "SELECT s.id, s.name, s.parent, s.kind, s.created_ns, s.updated_ns, s.usage_bytes,"            \
    " s.usage_inodes, l.key, l.value FROM snapshot s LEFT JOIN label l ON l.snapshot = s.id "

static const char *const sql_text[SQL_COUNT] = {
    [SQL_BEGIN] = "BEGIN IMMEDIATE",
    [SQL_COMMIT] = "COMMIT",
    [SQL_ROLLBACK] = "ROLLBACK",
    [SQL_GET] = ROW_COLUMNS "WHERE s.name = ?1 ORDER BY l.key",
    [SQL_GET_BY_ID] = ROW_COLUMNS "WHERE s.id = ?1 ORDER BY l.key",
    [SQL_INSERT] = "INSERT INTO snapshot (name, parent, kind, created_ns, updated_ns, usage_bytes,"
                   " usage_inodes, id) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    [SQL_UPDATE] = "UPDATE snapshot SET name = ?1, parent = ?2, kind = ?3, created_ns = ?4,"
                   " updated_ns = ?5, usage_bytes = ?6, usage_inodes = ?7 WHERE id = ?8",
    [SQL_UPDATE_REST] = "UPDATE snapshot SET kind = ?3, created_ns = ?4, updated_ns = ?5,"
                        " usage_bytes = ?6, usage_inodes = ?7 WHERE id = ?8",
    [SQL_DELETE] = "DELETE FROM snapshot WHERE name = ?1",
    [SQL_ADD_LABEL] = "INSERT INTO label (snapshot, key, value) VALUES (?1, ?2, ?3)",
    [SQL_SET_LABEL] = "INSERT INTO label (snapshot, key, value) VALUES (?1, ?2, ?3)"
                      " ON CONFLICT (snapshot, key) DO UPDATE SET value = ?3",
    [SQL_DROP_LABEL] = "DELETE FROM label WHERE snapshot = ?1 AND key = ?2",
    [SQL_FIND_CHILD] = "SELECT 1 FROM snapshot WHERE parent = ?1 LIMIT 1",
    [SQL_WALK] = ROW_COLUMNS "ORDER BY s.id, l.key",
    [SQL_WALK_LABEL] = ROW_COLUMNS "WHERE s.id IN (SELECT snapshot FROM label WHERE key = ?1"
                                   " AND value = ?2) ORDER BY s.id, l.key",
    [SQL_IDS] = "SELECT id FROM snapshot ORDER BY id",
    [SQL_LAST_ID] = "SELECT max(seq) FROM sqlite_sequence WHERE name = 'snapshot'",
};

static int errno_of(int code, int foreign)
{
    switch (code) {
    case SQLITE_CONSTRAINT_UNIQUE:
    case SQLITE_CONSTRAINT_PRIMARYKEY:
        return -EEXIST;
    case SQLITE_CONSTRAINT_FOREIGNKEY:
        return foreign;
    default:
        break;
    }
    switch (code & 0xff) { /* the primary code; the rest says where it came from */
    case SQLITE_NOMEM:
        return -ENOMEM;
    case SQLITE_FULL:
        return -ENOSPC;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return -EBADMSG;
    case SQLITE_BUSY:
        return -EAGAIN;
    default:
        return -EIO;
    }
}

int snapdb_conn_fail(struct snapdb_conn *conn, int foreign, struct err *err)
{
    return err_set(err, errno_of(sqlite3_extended_errcode(conn->db), foreign),
                   "snapshot database: %s", sqlite3_errmsg(conn->db));
}

int snapdb_conn_statement(struct snapdb_conn *conn, enum snapdb_sql which, sqlite3_stmt **ret,
                          struct err *err)
{
    sqlite3_stmt **slot = &conn->statements[which];

    if (*slot == NULL && sqlite3_prepare_v3(conn->db, sql_text[which], -1,
                                            SQLITE_PREPARE_PERSISTENT, slot, NULL) != SQLITE_OK)
        return snapdb_conn_fail(conn, -EIO, err);
    if (sqlite3_stmt_busy(*slot))
        return err_set(err, -EBUSY, "snapshot database: a walk inside the same walk");
    *ret = *slot;
    return 0;
}

int snapdb_conn_run(struct snapdb_conn *conn, enum snapdb_sql which, struct err *err)
{
    SCOPED(statement) sqlite3_stmt *stmt = NULL;
    int rc = snapdb_conn_statement(conn, which, &stmt, err);

    if (rc < 0)
        return rc;
    return sqlite3_step(stmt) == SQLITE_DONE ? 0 : snapdb_conn_fail(conn, -EIO, err);
}

static int schema_version(struct snapdb_conn *conn, int *ret, struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = 0;

    if (sqlite3_prepare_v2(conn->db, "PRAGMA user_version", -1, &stmt, NULL) != SQLITE_OK ||
        sqlite3_step(stmt) != SQLITE_ROW)
        rc = snapdb_conn_fail(conn, -EIO, err);
    else
        *ret = sqlite3_column_int(stmt, 0);
    (void)sqlite3_finalize(stmt);
    return rc;
}

static int quick_check(struct snapdb_conn *conn, struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = 0;

    if (sqlite3_prepare_v2(conn->db, "PRAGMA quick_check(1)", -1, &stmt, NULL) != SQLITE_OK ||
        sqlite3_step(stmt) != SQLITE_ROW)
        rc = snapdb_conn_fail(conn, -EIO, err);
    else if (strcmp((const char *)sqlite3_column_text(stmt, 0), "ok") != 0)
        rc = err_set(err, -EBADMSG, "snapshot database: %s",
                     (const char *)sqlite3_column_text(stmt, 0));
    (void)sqlite3_finalize(stmt);
    return rc;
}

int snapdb_conn_check(struct snapdb_conn *conn, bool *ret_is_new, struct err *err)
{
    int version = 0, rc = schema_version(conn, &version, err);

    *ret_is_new = version == 0;
    /* A newer program's is its own business. */
    return rc < 0 || version > SNAPDB_SCHEMA_VERSION ? rc : quick_check(conn, err);
}

int snapdb_conn_upgrade(struct snapdb_conn *conn, struct err *err)
{
    int version = 0, rc = schema_version(conn, &version, err);

    if (rc < 0 || version == SNAPDB_SCHEMA_VERSION)
        return rc;
    if (version != 0)
        return err_set(err, -EOPNOTSUPP,
                       "snapshot database: its schema has version %d and this program knows %d",
                       version, (int)SNAPDB_SCHEMA_VERSION);
    if (sqlite3_exec(conn->db, schema_sql, NULL, NULL, NULL) != SQLITE_OK)
        return snapdb_conn_fail(conn, -EIO, err);
    return 0;
}

int snapdb_conn_open(const char *path, bool reader, struct snapdb_conn **ret, struct err *err)
{
    SCOPED(snapdb_conn) struct snapdb_conn *conn = calloc(1, sizeof(*conn));

    if (conn == NULL)
        return err_set(err, -ENOMEM, "snapshot database: out of memory");
    /* A reader opens read-write as well: readers of a WAL keep marks in the shared-memory file. */
    if (sqlite3_open_v2(path, &conn->db,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX |
                            (reader ? 0 : SQLITE_OPEN_CREATE),
                        NULL) != SQLITE_OK)
        return conn->db == NULL ? err_set(err, -ENOMEM, "snapshot database: out of memory")
                                : snapdb_conn_fail(conn, -EIO, err);
    (void)sqlite3_extended_result_codes(conn->db, 1);
    (void)sqlite3_busy_timeout(conn->db, SNAPDB_BUSY_MS);
    if (sqlite3_exec(conn->db, setup_sql, NULL, NULL, NULL) != SQLITE_OK)
        return snapdb_conn_fail(conn, -EIO, err);
    if (reader && sqlite3_exec(conn->db, "PRAGMA query_only = ON", NULL, NULL, NULL) != SQLITE_OK)
        return snapdb_conn_fail(conn, -EIO, err);
    *ret = TAKE(conn);
    return 0;
}

void snapdb_conn_close(struct snapdb_conn *conn)
{
    size_t i;

    for (i = 0; i < ARRAY_LEN(conn->statements); i++)
        (void)sqlite3_finalize(conn->statements[i]);
    (void)sqlite3_close(conn->db);
    free(conn);
}
