/* SPDX-License-Identifier: Apache-2.0 */
/* internal.h – what the files of store/ share: the store itself and the format of a span map. */
#ifndef STORE_INTERNAL_H
#define STORE_INTERNAL_H

#include "store/store.h"

#include <pthread.h>

struct store {
    char *root;       /* fixed at creation, as all the others */
    char *blobs_dir;  /* <root>/content/blobs/sha256 */
    char *layers_dir; /* <root>/layers */
    int lock_fd;      /* <root>/lock, held exclusively by this process */
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

/* ---- an open span file ----------------------------------------------------------------------- */

struct span_file {
    int dir_fd; /* fixed at creation; locked (flock), so that a layer has one span_file at a time */
    int layers_fd;                 /* fixed at creation: <root>/layers */
    int data_fd;                   /* fixed at creation */
    int map_fd;                    /* fixed at creation */
    struct span_map_header header; /* fixed at creation */
    char *path;                    /* fixed at creation; of the directory, for error texts */

    pthread_mutex_t sync_lock; /* held while a sync is on the disk: that is what serialises syncs */
    uint64_t records;          /* sync_lock; valid ones in the map */
    bool names_synced; /* sync_lock; the directory entries of both files survive power loss */

    pthread_mutex_t lock; /* taken after sync_lock; never held over disk work */
    bool *known;          /* lock; [span_count] */
    uint32_t *crc;        /* lock; [span_count] */
    struct buf pending; /* lock; struct span_map_record, in the order in which they go to the map */
};

#endif
