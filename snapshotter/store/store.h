/* SPDX-License-Identifier: Apache-2.0 */
/* store.h – what is on disk under the daemon's root, so that a crash or power loss at any instant
 * leaves garbage to collect and never a wrong answer:
 *
 *   <root>/content/blobs/sha256/<hex>       ztocs, SOCI indexes, manifests; checked by digest
 *   <root>/layers/<hex of layer>-<hex of ztoc>/{data,map,checked}
 *                                           the layer's tar, sparse, which spans are present, and
 *                                           that the whole was found to be what the image says
 *   <root>/refused/<hex of layer>-<hex of ztoc>
 *                                           it was found to be something else
 *   <root>/snapshotter/metadata.sqlite      snapshots (SQLite, WAL)
 *   <root>/snapshotter/set-aside-<time>/    a broken one, with the snapshots' directories
 *   <root>/erofs/                           not the store's: images of fs/, while they are mounted
 *
 * All calls block on the disk; any thread unless said otherwise. */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/bytes.h"
#include "base/err.h"
#include "base/text.h"
#include "digest/digest.h"

#include <stdbool.h>
#include <stdint.h>

struct store;
/* Makes the directories (root 0700). A second process on the same root: -EBUSY. A relative root is
 * taken from the current directory, once: mounts are given to processes that are elsewhere. */
MUST_CHECK int store_open(const char *root, struct store **ret, struct err *err);
void store_close(struct store *store);
DEFINE_SCOPED_PTR(store, struct store, store_close)
const char *store_root(const struct store *store); /* absolute */

/* ---- blobs ----------------------------------------------------------------------------------- */

/* Written beside, synced and renamed; there already: 0. The caller vouches for the digest. A crash
 * leaves at most a file that the next store_open() sweeps away. */
MUST_CHECK int store_blob_put(struct store *store, const struct digest *digest,
                              struct bytes content, struct err *err);
/* -ENOENT: not there. Read whole and checked: bytes that no longer match are removed, -ENOENT as
 * well. */
MUST_CHECK int store_blob_read(struct store *store, const struct digest *digest, size_t max_bytes,
                               struct buf *ret, struct err *err);
/* The same without a copy: what is large must not pass through the heap, which keeps such pieces
 * for good. Nobody but this process writes below the root, so the file does not shrink under the
 * mapping. */
MUST_CHECK int store_blob_map(struct store *store, const struct digest *digest, size_t max_bytes,
                              struct bytes *ret, struct err *err);
void store_blob_unmap(struct bytes *content); /* of nothing: fine */
DEFINE_SCOPED_VALUE(blob_map, struct bytes, store_blob_unmap)
/* A descriptor to read ranges from (not checked). */
MUST_CHECK int store_blob_open(struct store *store, const struct digest *digest, int *ret_fd,
                               struct err *err);
MUST_CHECK int store_blob_remove(struct store *store, const struct digest *digest, struct err *err);
/* Each blob that was put at least `min_age_ms` ago (0: each); each() may remove it, and returns 0
 * to go on, else the walk ends with that. */
MUST_CHECK int store_blob_walk(struct store *store, int64_t min_age_ms,
                               int (*each)(void *arg, const struct digest *digest), void *arg,
                               struct err *err);

/* ---- a layer's spans ------------------------------------------------------------------------- */

/* File systems that are mounted straight from a layer's data read whole blocks of it, so the file's
 * length is rounded up to such a block; zeros follow the tar. */
enum { SPAN_FILE_BLOCK_BYTES = 512 };

/* The tar of a layer, sparse, with a log of which spans are present (docs/span-file.md). Keyed by
 * the layer, whose bytes they are, and by the ztoc, which cuts it into spans: blobs that differ in
 * their gzip header alone share a ztoc. A record in the log carries a CRC of the span's bytes, and
 * is written only after those bytes were synced: "present" survives power loss, and a damaged data
 * file is noticed. */
struct span_file;
struct span_file_options {
    struct digest layer; /* checked against what the map says: another layer, another file */
    struct digest ztoc;
    size_t span_count;
    uint64_t uncomp_bytes; /* of the tar */
};
/* Files that do not fit the options, or are damaged, are started anew. -EBUSY: open already, here
 * or elsewhere; -EFBIG: more spans or bytes than a file can have; -ENOSPC, -EIO, -ENOMEM. */
MUST_CHECK int span_file_open(struct store *store, const struct span_file_options *options,
                              struct span_file **ret, struct err *err);
/* Syncs and logs what is outstanding. NULL is fine. */
void span_file_close(struct span_file *file);
DEFINE_SCOPED_PTR(span_file, struct span_file, span_file_close)

/* Is span n known to be in the file, recorded by an earlier process or added by this one, and with
 * which CRC-32 of its bytes? */
bool span_file_recorded(struct span_file *file, size_t n, uint32_t *ret_crc32);
/* -ENOSPC, -EIO; -EINVAL: past the end of the tar. */
MUST_CHECK int span_file_write(struct span_file *file, struct bytes uncomp, uint64_t uncomp_off,
                               struct err *err);
/* All bytes of span n were written. It is recorded at the next span_file_sync(). -ENOMEM: it will
 * not be. */
MUST_CHECK int span_file_add(struct span_file *file, size_t n, uint32_t crc32, struct err *err);
/* fdatasync the data, then append the records, then fdatasync those. Serialised inside. -EIO: the
 * data could not be synced, and whether the spans added since the last sync are still what was
 * written is not known: they will not be recorded, and their CRC should be checked before the next
 * use. Other failures: the records are kept for the next call. */
MUST_CHECK int span_file_sync(struct span_file *file, struct err *err);
/* Span n turned out wrong (CRC): forget it now, and on disk at the next span_file_sync(); an
 * earlier crash is fine, because the next process checks the CRC too. -ENOMEM: forgotten in this
 * process only. */
MUST_CHECK int span_file_forget(struct span_file *file, size_t n, struct err *err);
/* For pread(2) and splice(2) of present spans; lives as long as the file. */
int span_file_fd(const struct span_file *file);
const char *span_file_data_path(const struct span_file *file); /* absolute; borrowed */
/* Every span is in the file, and the whole tar, with what the layer has behind it, was found to be
 * what the image says: it has this diff ID, and its headers are those of the ztoc. All of it is
 * synced, then so recorded (docs/verdicts.md); it holds until a span is forgotten. */
MUST_CHECK int span_file_set_checked(struct span_file *file, const struct digest *diff_id,
                                     struct err *err);
/* So recorded, by this or an earlier process? Whether all spans are there is the caller's to see.
 */
bool span_file_is_checked(struct span_file *file, struct digest *ret_diff_id);
/* Remove the files of a layer that nobody has open (-EBUSY: somebody has). -ENOENT is success. */
MUST_CHECK int span_file_remove(struct store *store, const struct digest *layer,
                                const struct digest *ztoc, struct err *err);
/* Each layer that has files, as store_blob_walk(). */
MUST_CHECK int span_file_walk(struct store *store,
                              int (*each)(void *arg, const struct digest *layer,
                                          const struct digest *ztoc),
                              void *arg, struct err *err);

/* ---- layers that are not what their image says ------------------------------------------------
 */

/* Kept when the layer itself is removed; of so many, then the oldest goes. */
enum { STORE_REFUSED_MAX = 1024 };
/* From now on store_refused() says `why` of this layer and ztoc: whatever an image claims of them
 * (`claim` NULL), or for those that claim the same. */
MUST_CHECK int store_refuse(struct store *store, const struct digest *layer,
                            const struct digest *ztoc, const struct digest *claim, const char *why,
                            struct err *err);
/* 0: not refused. -EBADMSG: it is, and err says why; also when no claim is known (NULL) and it is
 * refused for some. What is damaged is a refusal too. */
MUST_CHECK int store_refused(struct store *store, const struct digest *layer,
                             const struct digest *ztoc, const struct digest *claim,
                             struct err *err);

/* ---- how much it is -------------------------------------------------------------------------- */

/* On disk, not in length: files are sparse. */
struct store_usage {
    uint64_t layer_bytes;    /* what was fetched of layers */
    uint64_t blob_bytes;     /* ztocs and indexes */
    uint64_t database_bytes; /* with its log and reserve */
};
/* Looks at every file of every layer: some microseconds each. */
MUST_CHECK int store_get_usage(struct store *store, struct store_usage *ret, struct err *err);

/* ---- snapshots ------------------------------------------------------------------------------- */

enum snapdb_kind {
    SNAPDB_VIEW = 1, /* containerd's numbers */
    SNAPDB_ACTIVE = 2,
    SNAPDB_COMMITTED = 3,
};

struct snapdb_row {
    uint64_t id; /* never reused; the directory's name */
    char
        *name; /* key of an active or view, name of a committed; unique, opaque bytes without NUL */
    char *parent; /* "" when there is none */
    enum snapdb_kind kind;
    int64_t created_ns, updated_ns; /* since 1970, UTC */
    struct text_map labels;
    uint64_t usage_bytes, usage_inodes; /* of a committed one */
};
void snapdb_row_fini(struct snapdb_row *row);
DEFINE_SCOPED_VALUE(snapdb_row, struct snapdb_row, snapdb_row_fini)

/* One database, several threads: a transaction is a begin … commit/rollback of one thread; writers
 * queue. A commit is one sync of the log, which a thread of the database's own moves into it. Reads
 * outside a transaction see the last commit. The rules of containerd's model are
 * snapshot/'s. */
struct snapdb;
/* A database that is damaged, or gone while there are snapshots, is set aside together with their
 * directories, an error is logged, and a new one is begun. -EOPNOTSUPP: a newer program's; nothing
 * is changed. */
MUST_CHECK int snapdb_open(struct store *store, struct snapdb **ret, struct err *err);
void snapdb_close(struct snapdb *db);
DEFINE_SCOPED_PTR(snapdb, struct snapdb, snapdb_close)

MUST_CHECK int snapdb_begin(struct snapdb *db, struct err *err);  /* waits for another writer */
MUST_CHECK int snapdb_commit(struct snapdb *db, struct err *err); /* on failure it is rolled back */
void snapdb_rollback(struct snapdb *db);

/* -ENOENT: no such name. */
MUST_CHECK int snapdb_get(struct snapdb *db, const char *name, struct snapdb_row *ret,
                          struct err *err);
MUST_CHECK int snapdb_get_by_id(struct snapdb *db, uint64_t id, struct snapdb_row *ret,
                                struct err *err);
/* In a transaction. insert sets row->id, to one that was never handed out, not even to a
 * transaction that was rolled back. -EEXIST: the name is taken. -ENOENT: no such row, or its parent
 * is not there. -EBUSY from delete: it has children. */
MUST_CHECK int snapdb_insert(struct snapdb *db, struct snapdb_row *row, struct err *err);
MUST_CHECK int snapdb_update(struct snapdb *db, const struct snapdb_row *row,
                             struct err *err); /* by id, all fields */
MUST_CHECK int snapdb_delete(struct snapdb *db, const char *name, struct err *err);
MUST_CHECK int snapdb_has_children(struct snapdb *db, const char *name, bool *ret, struct err *err);
/* Rows in the order of their ids; each() returns 0 to go on, else the walk ends with that value.
 * The row is borrowed. A consistent view, held without blocking writers. */
MUST_CHECK int snapdb_walk(struct snapdb *db, int (*each)(void *arg, const struct snapdb_row *row),
                           void *arg, struct err *err);
/* Only those with this label, by an index: containerd looks for one by its target after every lazy
 * Prepare. */
MUST_CHECK int snapdb_walk_label(struct snapdb *db, const char *key, const char *value,
                                 int (*each)(void *arg, const struct snapdb_row *row), void *arg,
                                 struct err *err);
/* Disk space is kept back so that rows can be deleted from a full disk. Spend it when a delete
 * fails with -ENOSPC and try once more (false: there is none left); fill it again when files were
 * removed, which does nothing where there is no room or it is full. */
bool snapdb_spend_reserve(struct snapdb *db);
void snapdb_fill_reserve(struct snapdb *db);
/* The ids of all rows, ascending; *ret is the caller's to free, NULL when there are none. */
MUST_CHECK int snapdb_ids(struct snapdb *db, uint64_t **ret, size_t *ret_count, struct err *err);

#endif
