/* SPDX-License-Identifier: Apache-2.0 */
/* snapdb.c – the database of snapshots: one writer at a time, readers that do not wait for it. */
#include "store/snapdb_internal.h"

#include "base/files.h"
#include "base/threads.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

/* Idle reader connections that are kept; each costs some 100 KiB. More are opened when more threads
 * read. */
enum { SNAPDB_IDLE_MAX = 2 };

struct snapdb {
    char *path, *reserve_path;                /* fixed at creation */
    pthread_mutex_t writer_lock;              /* held from begin to commit or rollback */
    atomic_uintptr_t owner;                   /* the thread that is in a transaction; 0: none */
    struct snapdb_conn *writer;               /* writer_lock */
    uint64_t last_id;                         /* writer_lock; the highest id that was handed out */
    struct snapdb_checkpointer *checkpointer; /* fixed at creation */
    pthread_mutex_t idle_lock;                /* taken after writer_lock */
    struct snapdb_conn *idle;                 /* idle_lock */
    size_t idle_count;                        /* idle_lock */
};

/* A pthread_t is a pointer or a number on every libc we build against, and never 0 for a live
 * thread. */
static bool in_transaction(struct snapdb *db)
{
    return atomic_load_explicit(&db->owner, memory_order_relaxed) == (uintptr_t)pthread_self();
}

/* ---- readers --------------------------------------------------------------------------------- */

int snapdb_take_reader(struct snapdb *db, struct snapdb_conn **ret, struct err *err)
{
    if (in_transaction(db)) {
        *ret = db->writer;
        return 0;
    }
    {
        LOCKED(&db->idle_lock);
        *ret = db->idle;
        if (*ret != NULL) {
            db->idle = (*ret)->next;
            db->idle_count--;
            return 0;
        }
    }
    return snapdb_conn_open(db->path, true, ret, err);
}

void snapdb_give_reader(struct snapdb *db, struct snapdb_conn *conn)
{
    if (conn == db->writer)
        return;
    {
        LOCKED(&db->idle_lock);
        if (db->idle_count < SNAPDB_IDLE_MAX) {
            conn->next = db->idle;
            db->idle = conn;
            db->idle_count++;
            return;
        }
    }
    snapdb_conn_close(conn);
}

/* ---- opening --------------------------------------------------------------------------------- */

static int read_last_id(struct snapdb *db, struct err *err)
{
    SCOPED(statement) sqlite3_stmt *stmt = NULL;
    int rc = snapdb_conn_statement(db->writer, SQL_LAST_ID, &stmt, err);

    if (rc < 0)
        return rc;
    if (sqlite3_step(stmt) != SQLITE_ROW)
        return snapdb_conn_fail(db->writer, -EIO, err);
    db->last_id = (uint64_t)sqlite3_column_int64(stmt, 0);
    return 0;
}

/* -EBADMSG: damaged, or lost while there are snapshots. */
static int open_writer(struct snapdb *db, const char *dir, struct err *err)
{
    SCOPED(snapdb_conn) struct snapdb_conn *conn = NULL;
    bool is_new = false;
    int rc = snapdb_conn_open(db->path, false, &conn, err);

    if (rc == 0)
        rc = snapdb_conn_check(conn, &is_new, err);
    if (rc < 0)
        return rc;
    if (is_new && snapdb_has_directories(dir))
        return err_set(err, -EBADMSG, "there are snapshots, but no database of them");
    db->writer = TAKE(conn);
    return 0;
}

/* Without its database nobody can say what a snapshot's directory is. A daemon that refuses to
 * start would keep every image from being used, or removed, or pulled again; one that goes on with
 * an empty database would take the directories for garbage, and what containers wrote is in them.
 * So both are set aside. */
static int open_or_begin_anew(struct snapdb *db, const char *dir, struct err *err)
{
    struct err why = ERR_NONE;
    int rc = open_writer(db, dir, &why);

    if (rc != -EBADMSG) {
        if (rc < 0 && err != NULL)
            *err = why;
        return rc;
    }
    rc = snapdb_set_aside(dir, &why, err);
    return rc < 0 ? rc : open_writer(db, dir, err);
}

int snapdb_open(struct store *store, struct snapdb **ret, struct err *err)
{
    SCOPED(snapdb) struct snapdb *db = calloc(1, sizeof(*db));
    SCOPED(mem) char *dir = path_join(store_root(store), "snapshotter");
    int rc;

    if (db == NULL || dir == NULL) {
        free(TAKE(db)); /* its locks are not there yet */
        return err_set(err, -ENOMEM, "snapshot database: out of memory");
    }
    (void)pthread_mutex_init(&db->writer_lock, NULL);
    (void)pthread_mutex_init(&db->idle_lock, NULL);
    db->path = path_join(dir, "metadata.sqlite");
    db->reserve_path = path_join(dir, "reserve");
    if (db->path == NULL || db->reserve_path == NULL)
        return err_set(err, -ENOMEM, "snapshot database: out of memory");
    rc = dir_make_all(dir, 0700, err);
    if (rc == 0)
        rc = open_or_begin_anew(db, dir, err);
    if (rc == 0)
        rc = snapdb_conn_upgrade(db->writer, err);
    if (rc == 0)
        rc = read_last_id(db, err);
    if (rc == 0)
        rc =
            snapdb_checkpointer_new(db->path, &db->writer_lock, db->writer, &db->checkpointer, err);
    if (rc < 0)
        return err_prefix(err, rc, "%s", db->path);
    snapdb_fill_reserve(db);
    *ret = TAKE(db);
    return 0;
}

void snapdb_close(struct snapdb *db)
{
    if (db == NULL)
        return;
    snapdb_checkpointer_free(db->checkpointer, db->writer);
    while (db->idle != NULL) {
        struct snapdb_conn *conn = db->idle;
        db->idle = conn->next;
        snapdb_conn_close(conn);
    }
    if (db->writer != NULL)
        snapdb_conn_close(db->writer); /* the last one: it moves the log and removes it */
    (void)pthread_mutex_destroy(&db->idle_lock);
    (void)pthread_mutex_destroy(&db->writer_lock);
    free(db->reserve_path);
    free(db->path);
    free(db);
}

const char *snapdb_reserve_path(const struct snapdb *db)
{
    return db->reserve_path;
}

/* ---- transactions ---------------------------------------------------------------------------- */

static void leave(struct snapdb *db)
{
    atomic_store_explicit(&db->owner, 0, memory_order_relaxed);
    (void)pthread_mutex_unlock(&db->writer_lock);
}

int snapdb_begin(struct snapdb *db, struct err *err)
{
    int rc;

    if (in_transaction(db))
        return err_set(err, -EBUSY, "snapshot database: a transaction inside a transaction");
    snapdb_checkpointer_wait(db->checkpointer);
    (void)pthread_mutex_lock(&db->writer_lock);
    atomic_store_explicit(&db->owner, (uintptr_t)pthread_self(), memory_order_relaxed);
    rc = snapdb_conn_run(db->writer, SQL_BEGIN, err);
    if (rc < 0)
        leave(db);
    return rc;
}

int snapdb_commit(struct snapdb *db, struct err *err)
{
    int rc = snapdb_conn_run(db->writer, SQL_COMMIT, err);

    if (rc < 0) {
        snapdb_rollback(db);
        return rc;
    }
    leave(db);
    return 0;
}

void snapdb_rollback(struct snapdb *db)
{
    /* Some errors (a full disk) have rolled back already; then SQLite says so and all is well. */
    if (!sqlite3_get_autocommit(db->writer->db)) {
        struct err ignored = ERR_NONE;
        if (snapdb_conn_run(db->writer, SQL_ROLLBACK, &ignored) < 0 &&
            !sqlite3_get_autocommit(db->writer->db))
            (void)sqlite3_exec(db->writer->db, "ROLLBACK", NULL, NULL, NULL);
    }
    leave(db);
}

static int need_transaction(struct snapdb *db, struct err *err)
{
    if (!in_transaction(db))
        return err_set(err, -EINVAL, "snapshot database: a write outside a transaction");
    return 0;
}

/* ---- writing --------------------------------------------------------------------------------- */

int snapdb_insert(struct snapdb *db, struct snapdb_row *row, struct err *err)
{
    int rc = need_transaction(db, err);

    if (rc < 0)
        return rc;
    /* Counted here and not by SQLite, so that a rollback does not give the id back: a directory of
     * that name may be there already, and someone may be removing it. */
    row->id = ++db->last_id;
    return snapdb_row_insert(db->writer, row, err);
}

int snapdb_update(struct snapdb *db, const struct snapdb_row *row, struct err *err)
{
    int rc = need_transaction(db, err);

    return rc < 0 ? rc : snapdb_row_update(db->writer, row, err);
}

int snapdb_delete(struct snapdb *db, const char *name, struct err *err)
{
    SCOPED(statement) sqlite3_stmt *stmt = NULL;
    int rc = need_transaction(db, err);

    if (rc == 0)
        rc = snapdb_conn_statement(db->writer, SQL_DELETE, &stmt, err);
    if (rc < 0)
        return rc;
    if (sqlite3_bind_text(stmt, 1, name, -1, SQLITE_STATIC) != SQLITE_OK ||
        sqlite3_step(stmt) != SQLITE_DONE)
        return snapdb_conn_fail(db->writer, -EBUSY, err);
    if (sqlite3_changes(db->writer->db) == 0)
        return err_set(err, -ENOENT, "snapshot %s does not exist", name);
    return 0;
}
