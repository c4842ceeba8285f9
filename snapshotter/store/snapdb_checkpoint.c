/* SPDX-License-Identifier: Apache-2.0 */
/* snapdb_checkpoint.c – the thread that moves the write-ahead log into the database.
 *
 * Left to SQLite, the commit that finds a thousand pages in the log moves them all, and whoever
 * asked for that one waits for some megabytes to be written and synced. containerd holds a lock
 * over its whole database meanwhile. So a thread with a connection of its own does it, beside
 * commits and readers, which wait for nothing.
 *
 * The log begins at its start again when all of it was moved and nobody reads from it. While
 * commits follow one another closely that never comes about by itself. So when the log is large,
 * the thread keeps new transactions out for as long as the few pages take that came since it moved
 * the rest. The file keeps its size and is written over: to sync one that grows takes longer.
 *
 * Should the thread get too little of the processor even for that, writers wait for it: the log is
 * never larger than CHECKPOINT_LIMIT_PAGES and what is written during one long walk over all rows.
 * What that made it grow beyond SNAPDB_LOG_KEPT is given back. */
#include "store/snapdb_internal.h"

#include "base/log.h"
#include "base/threads.h"

#include <errno.h>
#include <stdlib.h>

enum {
    CHECKPOINT_PAGES = 1000,        /* 4 MiB: SQLite's own number */
    CHECKPOINT_LARGE_PAGES = 4000,  /* it is begun anew */
    CHECKPOINT_LIMIT_PAGES = 16000, /* writers wait for that */
};

struct snapdb_checkpointer {
    struct snapdb_conn *conn;     /* the thread's */
    pthread_mutex_t *writer_lock; /* fixed at creation; taken with `lock` not held */
    pthread_t thread;             /* fixed at creation */
    bool has_failed;              /* the thread's; logged, and not gone well since */
    pthread_mutex_t lock;         /* a leaf */
    pthread_cond_t wake;          /* `wanted` or `stopping` was set */
    pthread_cond_t opened;        /* `closed` is false again */
    int pages;                    /* lock; in the log, as of the last commit */
    int next_pages;               /* lock; so many, and the thread is woken */
    bool wanted, stopping;        /* lock */
    bool closed;                  /* lock; no transaction begins */
};

/* ---- what writers call ----------------------------------------------------------------------- */

/* At the end of each commit, in the committing thread. */
static int note_commit(void *arg, sqlite3 *db, const char *name, int pages)
{
    struct snapdb_checkpointer *cp = arg;
    LOCKED(&cp->lock);

    (void)db;
    (void)name;
    if (pages < cp->pages) /* the log was begun anew */
        cp->next_pages = CHECKPOINT_PAGES;
    cp->pages = pages;
    if (pages < cp->next_pages)
        return SQLITE_OK;
    cp->next_pages = pages + CHECKPOINT_PAGES;
    cp->wanted = true;
    cp->closed |= pages >= CHECKPOINT_LIMIT_PAGES;
    (void)pthread_cond_signal(&cp->wake);
    return SQLITE_OK;
}

void snapdb_checkpointer_wait(struct snapdb_checkpointer *cp)
{
    LOCKED(&cp->lock);

    while (cp->closed)
        (void)pthread_cond_wait(&cp->opened, &cp->lock);
}

/* ---- the thread ------------------------------------------------------------------------------ */

static bool wait_until_wanted(struct snapdb_checkpointer *cp)
{
    LOCKED(&cp->lock);

    while (!cp->wanted && !cp->stopping)
        (void)pthread_cond_wait(&cp->wake, &cp->lock);
    cp->wanted = false;
    return !cp->stopping;
}

static void set_closed(struct snapdb_checkpointer *cp, bool closed)
{
    LOCKED(&cp->lock);

    cp->closed = closed;
    if (!closed)
        (void)pthread_cond_broadcast(&cp->opened);
}

/* *ret_pages: how many the log has. A reader of old pages is no failure: another time. */
static int move_pages(struct snapdb_checkpointer *cp, int mode, int *ret_pages, struct err *err)
{
    int moved, rc = sqlite3_wal_checkpoint_v2(cp->conn->db, "main", mode, ret_pages, &moved);

    return rc == SQLITE_OK || rc == SQLITE_BUSY ? 0 : snapdb_conn_fail(cp->conn, -EIO, err);
}

/* The next transaction begins the log anew. The mutex alone would not do: a thread that writes
 * without a pause takes it again before this one is awake. */
static int empty_log(struct snapdb_checkpointer *cp, struct err *err)
{
    int pages, rc;

    set_closed(cp, true);
    (void)pthread_mutex_lock(cp->writer_lock);
    rc = move_pages(cp, SQLITE_CHECKPOINT_RESTART, &pages, err);
    (void)pthread_mutex_unlock(cp->writer_lock);
    return rc;
}

static void checkpoint(struct snapdb_checkpointer *cp)
{
    struct err err = ERR_NONE;
    int pages = 0;
    int rc = move_pages(cp, SQLITE_CHECKPOINT_PASSIVE, &pages, &err);

    if (rc == 0 && pages >= CHECKPOINT_LARGE_PAGES)
        rc = empty_log(cp, &err);
    set_closed(cp, false);
    if (rc < 0 && !cp->has_failed)
        log_warn("the log of the snapshot database cannot be moved into it, and grows", "err=%s",
                 err_text(&err));
    cp->has_failed = rc < 0;
}

static void *run(void *arg)
{
    struct snapdb_checkpointer *cp = arg;

    while (wait_until_wanted(cp))
        checkpoint(cp);
    return NULL;
}

/* ---- beginning and end ----------------------------------------------------------------------- */

static void destroy(struct snapdb_checkpointer *cp)
{
    if (cp->conn != NULL)
        snapdb_conn_close(cp->conn);
    (void)pthread_cond_destroy(&cp->opened);
    (void)pthread_cond_destroy(&cp->wake);
    (void)pthread_mutex_destroy(&cp->lock);
    free(cp);
}

int snapdb_checkpointer_new(const char *path, pthread_mutex_t *writer_lock,
                            struct snapdb_conn *writer, struct snapdb_checkpointer **ret,
                            struct err *err)
{
    struct snapdb_checkpointer *cp = calloc(1, sizeof(*cp));
    int rc;

    if (cp == NULL)
        return err_set(err, -ENOMEM, "snapshot database: out of memory");
    cp->writer_lock = writer_lock;
    cp->next_pages = CHECKPOINT_PAGES;
    (void)pthread_mutex_init(&cp->lock, NULL);
    (void)pthread_cond_init(&cp->wake, NULL);
    (void)pthread_cond_init(&cp->opened, NULL);
    rc = snapdb_conn_open(path, false, &cp->conn, err);
    if (rc == 0) {
        (void)sqlite3_busy_timeout(cp->conn->db, 0); /* never wait for readers, see move_pages() */
        rc = thread_start(&cp->thread, "snapdb-log", run, cp);
        if (rc < 0)
            (void)err_sys(err, rc, "snapshot database: thread");
    }
    if (rc < 0) {
        destroy(cp);
        return rc;
    }
    (void)sqlite3_wal_hook(writer->db, note_commit, cp);
    *ret = cp;
    return 0;
}

void snapdb_checkpointer_free(struct snapdb_checkpointer *cp, struct snapdb_conn *writer)
{
    if (cp == NULL)
        return;
    (void)sqlite3_wal_hook(writer->db, NULL, NULL);
    {
        LOCKED(&cp->lock);

        cp->stopping = true;
        (void)pthread_cond_signal(&cp->wake);
    }
    (void)pthread_join(cp->thread, NULL);
    destroy(cp);
}
