/* SPDX-License-Identifier: Apache-2.0 */
/* snapdb_internal.h – one SQLite connection with its statements, for snapdb*.c. */
#ifndef STORE_SNAPDB_INTERNAL_H
#define STORE_SNAPDB_INTERNAL_H

#include "base/cleanup.h"
#include "store/store.h"

#include <pthread.h>
#include <sqlite3.h>

enum snapdb_sql {
    SQL_BEGIN,
    SQL_COMMIT,
    SQL_ROLLBACK,
    SQL_GET,
    SQL_GET_BY_ID,
    SQL_INSERT,
    SQL_UPDATE,
    SQL_UPDATE_REST,
    SQL_DELETE,
    SQL_ADD_LABEL,
    SQL_SET_LABEL,
    SQL_DROP_LABEL,
    SQL_FIND_CHILD,
    SQL_WALK,
    SQL_WALK_LABEL,
    SQL_IDS,
    SQL_LAST_ID,
    SQL_COUNT,
};

/* Used by one thread at a time. */
struct snapdb_conn {
    sqlite3 *db;
    sqlite3_stmt *statements[SQL_COUNT]; /* prepared when first asked for */
    struct snapdb_conn *next;            /* in the list of idle ones */
};

/* The first connection of a process makes or checks the schema. A reader refuses to write. */
MUST_CHECK int snapdb_conn_open(const char *path, bool reader, struct snapdb_conn **ret,
                                struct err *err);
void snapdb_conn_close(struct snapdb_conn *conn);
DEFINE_SCOPED_PTR(snapdb_conn, struct snapdb_conn, snapdb_conn_close)

/* Create the tables, or bring an older schema to this one. -EOPNOTSUPP: made by a newer program. */
MUST_CHECK int snapdb_conn_upgrade(struct snapdb_conn *conn, struct err *err);

/* Look at every page. -EBADMSG: the file is damaged. *ret_is_new: it has no schema yet. */
MUST_CHECK int snapdb_conn_check(struct snapdb_conn *conn, bool *ret_is_new, struct err *err);

/* ---- snapdb_aside.c ---- */

/* Are there directories of snapshots below `dir`, that of the database? */
bool snapdb_has_directories(const char *dir);
/* Move the database and the snapshots' directories out of the way, to a directory of their own
 * beside them; `why` and its name are logged. */
MUST_CHECK int snapdb_set_aside(const char *dir, const struct err *why, struct err *err);

/* ---- snapdb_checkpoint.c ---- */

/* Moves the log into the database when commits of `writer` made it long enough, on a thread of its
 * own. *writer_lock is held by whoever is in a transaction. */
struct snapdb_checkpointer;
MUST_CHECK int snapdb_checkpointer_new(const char *path, pthread_mutex_t *writer_lock,
                                       struct snapdb_conn *writer, struct snapdb_checkpointer **ret,
                                       struct err *err);
/* Joins the thread; no transaction is open or follows. What is in the log stays there. NULL is
 * fine. */
void snapdb_checkpointer_free(struct snapdb_checkpointer *cp, struct snapdb_conn *writer);
/* Before a transaction begins, writer_lock not held: returns at once but for the moments in which
 * the log is emptied. */
void snapdb_checkpointer_wait(struct snapdb_checkpointer *cp);

/* ---- snapdb_conn.c ---- */

/* Make of SQLite's last error ours: -EEXIST a name is taken, -ENOENT a parent is not there or
 * -EBUSY a child is (`foreign`), -ENOSPC, -ENOMEM, -EBADMSG the file is damaged, else -EIO. */
int snapdb_conn_fail(struct snapdb_conn *conn, int foreign, struct err *err);

/* Ready to bind. -EBUSY: it is being walked on this connection. It is reset when the scope is left:
 *   SCOPED(statement) sqlite3_stmt *stmt = NULL; */
MUST_CHECK int snapdb_conn_statement(struct snapdb_conn *conn, enum snapdb_sql which,
                                     sqlite3_stmt **ret, struct err *err);
static inline void snapdb_statement_release(sqlite3_stmt *stmt)
{
    (void)sqlite3_reset(stmt); /* repeats the error of the last step, which was looked at */
    (void)sqlite3_clear_bindings(stmt);
}
DEFINE_SCOPED_PTR(statement, sqlite3_stmt, snapdb_statement_release)

/* Run a statement without parameters or results. */
MUST_CHECK int snapdb_conn_run(struct snapdb_conn *conn, enum snapdb_sql which, struct err *err);

/* `stmt` stands on the first of a snapshot's records, one per label. Fill *ret from them and step
 * past them: 1 when another snapshot follows, 0 at the end, or an error. */
MUST_CHECK int snapdb_row_read(struct snapdb_conn *conn, sqlite3_stmt *stmt, struct snapdb_row *ret,
                               struct err *err);
/* By `name`; NULL: by id. -ENOENT: no such. */
MUST_CHECK int snapdb_row_get(struct snapdb_conn *conn, const char *name, uint64_t id,
                              struct snapdb_row *ret, struct err *err);
MUST_CHECK int snapdb_row_insert(struct snapdb_conn *conn, const struct snapdb_row *row,
                                 struct err *err);
/* Writes what is not there already: a label that stays costs nothing. */
MUST_CHECK int snapdb_row_update(struct snapdb_conn *conn, const struct snapdb_row *row,
                                 struct err *err);

/* A connection to read with, and back again. A thread in a transaction must see what it wrote, so
 * it gets the writer's. */
MUST_CHECK int snapdb_take_reader(struct snapdb *db, struct snapdb_conn **ret, struct err *err);
void snapdb_give_reader(struct snapdb *db, struct snapdb_conn *conn);

const char *snapdb_reserve_path(const struct snapdb *db);

#endif
