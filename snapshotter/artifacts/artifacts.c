/* SPDX-License-Identifier: Apache-2.0 */
/* artifacts.c – the list of what `soci` made in one SQLite table. */
#include "artifacts/artifacts.h"

#include "base/files.h"
#include "base/text.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* "SoCi", so that another program's database is told apart from ours. */
#define APPLICATION_ID "1399808873"
enum { APPLICATION_ID_NUMBER = 1399808873 };
enum { BUSY_TIMEOUT_MS = 10000 }; /* another `soci` writes for milliseconds */

static const char schema[] =
    "PRAGMA application_id=" APPLICATION_ID ";"
    "PRAGMA user_version=1;"
    "CREATE TABLE IF NOT EXISTS artifact ("
    " digest BLOB NOT NULL, subject BLOB NOT NULL, kind INTEGER NOT NULL, size INTEGER NOT NULL,"
    " image BLOB NOT NULL, span_size INTEGER NOT NULL, platform TEXT NOT NULL, created INTEGER NOT "
    "NULL,"
    " PRIMARY KEY (digest, subject));"
    "CREATE INDEX IF NOT EXISTS artifact_by_subject ON artifact (subject, kind, created);";

#define COLUMNS "kind, digest, size, subject, image, span_size, platform, created"

struct artifacts {
    sqlite3 *db;
};

static void finalize(sqlite3_stmt *stmt)
{
    (void)sqlite3_finalize(stmt);
}
DEFINE_SCOPED_PTR(stmt, sqlite3_stmt, finalize)

static int sqlite_failed(const struct artifacts *artifacts, const char *what, struct err *err)
{
    int code = sqlite3_errcode(artifacts->db);
    int rc = code == SQLITE_NOMEM                              ? -ENOMEM
             : code == SQLITE_FULL                             ? -ENOSPC
             : code == SQLITE_BUSY                             ? -EAGAIN
             : code == SQLITE_NOTADB || code == SQLITE_CORRUPT ? -EBADMSG
                                                               : -EIO;

    return err_set(err, rc, "artifact list: %s: %s%s", what, sqlite3_errmsg(artifacts->db),
                   rc == -EBADMSG ? "; move it away, `soci create` makes another" : "");
}

/* SQLite says that it could not, the system says why; of its second attempt, which only reads,
 * where the directory may not be written to. */
static int open_failed(const struct artifacts *artifacts, const char *root, const char *path,
                       int code, struct err *err)
{
    int number;

    if (artifacts->db == NULL || code == SQLITE_NOMEM)
        return err_set(err, -ENOMEM, "artifact list: %s: out of memory", path);
    number = access(root, W_OK) < 0 ? errno : sqlite3_system_errno(artifacts->db);
    return number == 0
               ? err_set(err, -EIO, "artifact list: %s: %s", path, sqlite3_errmsg(artifacts->db))
               : err_sys(err, -number, "artifact list: %s", path);
}

static int run(struct artifacts *artifacts, const char *sql, const char *what, struct err *err)
{
    return sqlite3_exec(artifacts->db, sql, NULL, NULL, NULL) == SQLITE_OK
               ? 0
               : sqlite_failed(artifacts, what, err);
}

static int prepare_named(struct artifacts *artifacts, const char *sql, const char *what,
                         sqlite3_stmt **ret, struct err *err)
{
    return sqlite3_prepare_v2(artifacts->db, sql, -1, ret, NULL) == SQLITE_OK
               ? 0
               : sqlite_failed(artifacts, what, err);
}

static int prepare(struct artifacts *artifacts, const char *sql, sqlite3_stmt **ret,
                   struct err *err)
{
    return prepare_named(artifacts, sql, "prepare", ret, err);
}

/* A new file is ours to fill; anything else must carry our mark. */
static int check_owner(struct artifacts *artifacts, const char *path, struct err *err)
{
    SCOPED(stmt) sqlite3_stmt *stmt = NULL;
    int rc = prepare_named(artifacts,
                           "SELECT (SELECT count(*) FROM sqlite_master), application_id "
                           "FROM pragma_application_id",
                           path, &stmt, err);

    if (rc < 0)
        return rc;
    if (sqlite3_step(stmt) != SQLITE_ROW)
        return sqlite_failed(artifacts, path, err);
    if (sqlite3_column_int(stmt, 0) != 0 && sqlite3_column_int(stmt, 1) != APPLICATION_ID_NUMBER)
        return err_set(err, -EBADMSG, "%s: not an artifact list of soci; move it away", path);
    return 0;
}

int artifacts_open(const char *root, struct artifacts **ret, struct err *err)
{
    SCOPED(artifacts) struct artifacts *artifacts = calloc(1, sizeof(*artifacts));
    SCOPED(mem) char *path = path_join(root, "artifacts.sqlite");
    mode_t old_umask;
    int rc;

    if (artifacts == NULL || path == NULL)
        return err_set(err, -ENOMEM, "artifact list: out of memory");
    old_umask = umask(077);
    rc = sqlite3_open_v2(path, &artifacts->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL);
    (void)umask(old_umask);
    if (rc != SQLITE_OK)
        return open_failed(artifacts, root, path, rc, err);
    (void)sqlite3_busy_timeout(artifacts->db, BUSY_TIMEOUT_MS);
    rc = check_owner(artifacts, path, err);
    if (rc == 0)
        rc = run(artifacts, schema, path, err);
    if (rc < 0)
        return rc;
    *ret = TAKE(artifacts);
    return 0;
}

void artifacts_close(struct artifacts *artifacts)
{
    if (artifacts == NULL)
        return;
    (void)sqlite3_close(artifacts->db);
    free(artifacts);
}

static bool bind_digest(sqlite3_stmt *stmt, int at, const struct digest *digest)
{
    return sqlite3_bind_blob(stmt, at, digest->sha256, DIGEST_BYTES, SQLITE_TRANSIENT) == SQLITE_OK;
}

static bool bind_u64(sqlite3_stmt *stmt, int at, uint64_t value)
{
    return sqlite3_bind_int64(stmt, at, (sqlite3_int64)value) == SQLITE_OK;
}

int artifacts_put(struct artifacts *artifacts, const struct artifact *artifact, struct err *err)
{
    SCOPED(stmt) sqlite3_stmt *stmt = NULL;
    int rc = prepare(
        artifacts, "INSERT OR REPLACE INTO artifact (" COLUMNS ") VALUES (?1,?2,?3,?4,?5,?6,?7,?8)",
        &stmt, err);

    if (rc < 0)
        return rc;
    if (!bind_u64(stmt, 1, (uint64_t)artifact->kind) || !bind_digest(stmt, 2, &artifact->digest) ||
        !bind_u64(stmt, 3, artifact->size_bytes) || !bind_digest(stmt, 4, &artifact->subject) ||
        !bind_digest(stmt, 5, &artifact->image) || !bind_u64(stmt, 6, artifact->span_size) ||
        sqlite3_bind_text(stmt, 7, artifact->platform, -1, SQLITE_TRANSIENT) != SQLITE_OK ||
        !bind_u64(stmt, 8, (uint64_t)artifact->created_ns))
        return sqlite_failed(artifacts, "bind", err);
    return sqlite3_step(stmt) == SQLITE_DONE ? 0 : sqlite_failed(artifacts, "insert", err);
}

static bool column_digest(sqlite3_stmt *stmt, int at, struct digest *ret)
{
    const void *blob = sqlite3_column_blob(stmt, at);

    if (blob == NULL || sqlite3_column_bytes(stmt, at) != DIGEST_BYTES)
        return false;
    memcpy(ret->sha256, blob, DIGEST_BYTES);
    return true;
}

static int read_row(sqlite3_stmt *stmt, struct artifact *ret, struct err *err)
{
    const char *platform = (const char *)sqlite3_column_text(stmt, 6);
    struct artifact row = {
        .kind = (enum artifact_kind)sqlite3_column_int(stmt, 0),
        .size_bytes = (uint64_t)sqlite3_column_int64(stmt, 2),
        .span_size = (uint64_t)sqlite3_column_int64(stmt, 5),
        .created_ns = sqlite3_column_int64(stmt, 7),
    };

    if (!column_digest(stmt, 1, &row.digest) || !column_digest(stmt, 3, &row.subject) ||
        !column_digest(stmt, 4, &row.image) || platform == NULL ||
        strlen(platform) >= sizeof(row.platform))
        return err_set(err, -EBADMSG, "artifact list: a row is damaged");
    memcpy(row.platform, platform, strlen(platform) + 1);
    *ret = row;
    return 0;
}

/* The first row of a query whose parameters are bound. */
static int first_row(struct artifacts *artifacts, sqlite3_stmt *stmt, const struct digest *wanted,
                     struct artifact *ret, struct err *err)
{
    char text[DIGEST_TEXT_BYTES];
    int rc = sqlite3_step(stmt);

    if (rc == SQLITE_ROW)
        return read_row(stmt, ret, err);
    if (rc != SQLITE_DONE)
        return sqlite_failed(artifacts, "query", err);
    digest_format(wanted, text);
    return err_set(err, -ENOENT, "nothing is recorded for %s", text);
}

int artifacts_find_ztoc(struct artifacts *artifacts, const struct digest *layer, uint64_t span_size,
                        struct artifact *ret, struct err *err)
{
    SCOPED(stmt) sqlite3_stmt *stmt = NULL;
    int rc =
        prepare(artifacts,
                "SELECT " COLUMNS " FROM artifact WHERE subject=?1 AND kind=?2 AND span_size=?3"
                " ORDER BY created DESC LIMIT 1",
                &stmt, err);

    if (rc < 0)
        return rc;
    if (!bind_digest(stmt, 1, layer) || !bind_u64(stmt, 2, ARTIFACT_ZTOC) ||
        !bind_u64(stmt, 3, span_size))
        return sqlite_failed(artifacts, "bind", err);
    return first_row(artifacts, stmt, layer, ret, err);
}

int artifacts_find_index(struct artifacts *artifacts, const struct digest *manifest,
                         enum artifact_kind kind, struct artifact *ret, struct err *err)
{
    SCOPED(stmt) sqlite3_stmt *stmt = NULL;
    int rc = prepare(artifacts,
                     "SELECT " COLUMNS " FROM artifact WHERE subject=?1 AND kind=?2"
                     " ORDER BY created DESC LIMIT 1",
                     &stmt, err);

    if (rc < 0)
        return rc;
    if (!bind_digest(stmt, 1, manifest) || !bind_u64(stmt, 2, (uint64_t)kind))
        return sqlite_failed(artifacts, "bind", err);
    return first_row(artifacts, stmt, manifest, ret, err);
}

int artifacts_get(struct artifacts *artifacts, const struct digest *digest, struct artifact *ret,
                  struct err *err)
{
    SCOPED(stmt) sqlite3_stmt *stmt = NULL;
    int rc = prepare(
        artifacts, "SELECT " COLUMNS " FROM artifact WHERE digest=?1 ORDER BY created DESC LIMIT 1",
        &stmt, err);

    if (rc < 0)
        return rc;
    if (!bind_digest(stmt, 1, digest))
        return sqlite_failed(artifacts, "bind", err);
    return first_row(artifacts, stmt, digest, ret, err);
}

int artifacts_list(struct artifacts *artifacts, enum artifact_kind kind,
                   int (*each)(void *arg, const struct artifact *artifact, struct err *err),
                   void *arg, struct err *err)
{
    SCOPED(stmt) sqlite3_stmt *stmt = NULL;
    int step,
        rc = prepare(artifacts,
                     "SELECT " COLUMNS " FROM artifact WHERE kind=?1 ORDER BY digest, subject",
                     &stmt, err);

    if (rc < 0)
        return rc;
    if (!bind_u64(stmt, 1, (uint64_t)kind))
        return sqlite_failed(artifacts, "bind", err);
    while ((step = sqlite3_step(stmt)) == SQLITE_ROW) {
        struct artifact row;

        rc = read_row(stmt, &row, err);
        if (rc == 0)
            rc = each(arg, &row, err);
        if (rc != 0)
            return rc;
    }
    return step == SQLITE_DONE ? 0 : sqlite_failed(artifacts, "query", err);
}
