/* SPDX-License-Identifier: Apache-2.0 */
/* internal.h – what the files of store/ share: the store itself and the format of a span map. */
#ifndef STORE_INTERNAL_H
#define STORE_INTERNAL_H

#include "store/store.h"

#include <pthread.h>

struct store {
    char *root;        /* fixed at creation, as all the others */
    char *blobs_dir;   /* <root>/content/blobs/sha256 */
    char *layers_dir;  /* <root>/layers */
    char *refused_dir; /* <root>/refused; made when something is refused */
    int lock_fd;       /* <root>/lock, held exclusively by this process */
};

/* ---- the span map: docs/span-file.md --------------------------------------------------------- */

enum {
    SPAN_MAP_MAGIC_BYTES = 8,
    /* magic, version, record size, layer, ztoc, span count, data bytes, salt, reserved, CRC */
    SPAN_MAP_HEADER_BYTES = 8 + 4 + 4 + 32 + 32 + 8 + 8 + 8 + 4 + 4,
    SPAN_MAP_RECORD_BYTES =
        4 + 4 + 4 + 4, /* span, kind, CRC of the span's bytes, CRC of the record */
};
_Static_assert(SPAN_MAP_HEADER_BYTES == 112, "the span map is an on-disk format");
_Static_assert(SPAN_MAP_RECORD_BYTES == 16, "the span map is an on-disk format");

struct span_map_header {
    struct digest layer;
    struct digest ztoc;
    uint64_t span_count;
    uint64_t data_bytes;
    uint64_t
        salt; /* differs from one map to the next, so that no record of another map fits this one */
    uint32_t crc; /* of all above as encoded; seeds the CRC of every record */
};

enum span_map_kind {
    SPAN_MAP_PRESENT = 1,
    SPAN_MAP_FORGOTTEN = 2,
};

struct span_map_record {
    uint32_t span;
    enum span_map_kind kind;
    uint32_t data_crc; /* of a present span's bytes; 0 for a forgotten one */
};

/* What is known of each span after the last record. `known` and `crc` belong to the caller, one
 * element per span of the header, all `known` false before the first call. */
struct span_map_table {
    bool *known;
    uint32_t *crc;
    size_t span_count;
};

/* Fills out->crc too. */
void span_map_encode_header(struct span_map_header *header, uint8_t out[SPAN_MAP_HEADER_BYTES]);
/* -EBADMSG: no header of this version, or a damaged one. */
MUST_CHECK int span_map_parse_header(struct bytes map, struct span_map_header *ret,
                                     struct err *err);

/* `index` is the record's place in the log, from 0: a record is valid in one place only. */
void span_map_encode_record(const struct span_map_header *header, uint64_t index,
                            const struct span_map_record *record,
                            uint8_t out[SPAN_MAP_RECORD_BYTES]);
/* Play the records of `log` (the map without its header) into the table. Returns how many were
 * valid; the first one that is not, or that is cut off, ends the log. */
uint64_t span_map_replay(const struct span_map_header *header, struct bytes log,
                         const struct span_map_table *table);

/* ---- span_file_open.c: names ----------------------------------------------------------------- */

/* What is known of a layer by one ztoc, below `dir`. New string; NULL: out of memory. */
char *store_layer_path(const char *dir, const struct digest *layer, const struct digest *ztoc);

/* ---- verdicts: docs/verdicts.md -------------------------------------------------------------- */

enum verdict_kind { VERDICT_CHECKED = 1, VERDICT_REFUSED = 2 };
struct verdict {
    enum verdict_kind kind;
    struct digest layer, ztoc;
    struct digest digest; /* checked: the diff ID; refused: for whom it is, zeros: for all */
    char text[ERR_TEXT_BYTES];
};
enum {
    /* magic, version, kind, layer, ztoc, digest, length of the text; text; CRC */
    VERDICT_HEAD_BYTES = 8 + 4 + 4 + 32 + 32 + 32 + 4,
    VERDICT_BYTES_MAX = VERDICT_HEAD_BYTES + ERR_TEXT_BYTES + 4,
};
_Static_assert(VERDICT_HEAD_BYTES == 116, "a verdict is an on-disk format");

size_t verdict_encode(const struct verdict *verdict, uint8_t out[VERDICT_BYTES_MAX]);
/* -EBADMSG: not one of this version, or damaged. */
MUST_CHECK int verdict_parse(struct bytes raw, struct verdict *ret, struct err *err);
/* -ENOENT; -EBADMSG: as above, or of another layer or ztoc. */
MUST_CHECK int verdict_read(const char *path, const struct digest *layer, const struct digest *ztoc,
                            struct verdict *ret, struct err *err);
MUST_CHECK int verdict_write(const char *path, const struct verdict *verdict, struct err *err);

/* ---- an open span file ----------------------------------------------------------------------- */

struct span_file {
    int dir_fd; /* fixed at creation; locked (flock), so that a layer has one span_file at a time */
    int layers_fd;                 /* fixed at creation: <root>/layers */
    int data_fd;                   /* fixed at creation */
    int map_fd;                    /* fixed at creation */
    struct span_map_header header; /* fixed at creation */
    char *path;                    /* fixed at creation; of the directory, for error texts */
    char *data_path;               /* fixed at creation, as the next */
    char *checked_path;

    pthread_mutex_t sync_lock; /* held while a sync is on the disk: that is what serialises syncs */
    uint64_t records;          /* sync_lock; valid ones in the map */
    bool names_synced; /* sync_lock; the directory entries of both files survive power loss */

    pthread_mutex_t lock; /* taken after sync_lock; never held over disk work */
    bool *known;          /* lock; [span_count] */
    uint32_t *crc;        /* lock; [span_count] */
    struct buf pending; /* lock; struct span_map_record, in the order in which they go to the map */
    bool is_checked;    /* lock */
    struct digest diff_id; /* lock; of a checked one */
    uint64_t forgets;      /* lock; spans that were forgotten so far */
};

#endif
