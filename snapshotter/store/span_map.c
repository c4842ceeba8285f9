/* SPDX-License-Identifier: Apache-2.0 */
/* span_map.c – the span map as bytes: a header that says whose spans these are, then a log of
 * records. The format and its reasons are in docs/span-file.md. */
#include "store/internal.h"

#include <errno.h>
#include <zlib.h>

enum {
    SPAN_MAP_VERSION = 1,
    HEADER_CRC_AT = SPAN_MAP_HEADER_BYTES - 4,
    RECORD_CRC_AT = SPAN_MAP_RECORD_BYTES - 4,
};

static const uint8_t magic[SPAN_MAP_MAGIC_BYTES] = {'S', 'O', 'C', 'I', 's', 'p', 'a', 'n'};

static uint32_t crc_of(uint32_t seed, const uint8_t *data, size_t len)
{
    return (uint32_t)crc32_z(seed, data, len);
}

void span_map_encode_header(struct span_map_header *header, uint8_t out[SPAN_MAP_HEADER_BYTES])
{
    uint8_t *p = out;

    memcpy(p, magic, SPAN_MAP_MAGIC_BYTES);
    put_u32le(p += SPAN_MAP_MAGIC_BYTES, SPAN_MAP_VERSION);
    put_u32le(p += 4, SPAN_MAP_RECORD_BYTES);
    memcpy(p += 4, header->layer.sha256, DIGEST_BYTES);
    memcpy(p += DIGEST_BYTES, header->ztoc.sha256, DIGEST_BYTES);
    put_u64le(p += DIGEST_BYTES, header->span_count);
    put_u64le(p += 8, header->data_bytes);
    put_u64le(p += 8, header->salt);
    put_u32le(p += 8, 0);
    header->crc = crc_of(0, out, HEADER_CRC_AT);
    put_u32le(out + HEADER_CRC_AT, header->crc);
}

static void read_digest(struct reader *r, struct digest *ret)
{
    struct bytes raw = reader_take(r, DIGEST_BYTES);

    if (raw.len == DIGEST_BYTES)
        memcpy(ret->sha256, raw.data, DIGEST_BYTES);
}

int span_map_parse_header(struct bytes map, struct span_map_header *ret, struct err *err)
{
    struct reader r = reader_of(map);
    struct span_map_header header = {.span_count = 0};
    struct bytes seen_magic = reader_take(&r, SPAN_MAP_MAGIC_BYTES);
    uint32_t version = reader_u32le(&r);
    uint32_t record_bytes = reader_u32le(&r);
    uint32_t reserved;

    read_digest(&r, &header.layer);
    read_digest(&r, &header.ztoc);
    header.span_count = reader_u64le(&r);
    header.data_bytes = reader_u64le(&r);
    header.salt = reader_u64le(&r);
    reserved = reader_u32le(&r);
    header.crc = reader_u32le(&r);
    if (reader_failed(&r))
        return err_set(err, -EBADMSG, "span map: %zu bytes hold no header", map.len);
    if (!bytes_equal(seen_magic, bytes_of(magic, sizeof(magic))))
        return err_set(err, -EBADMSG, "span map: not one");
    if (crc_of(0, map.data, HEADER_CRC_AT) != header.crc)
        return err_set(err, -EBADMSG, "span map: the header is damaged");
    if (version != SPAN_MAP_VERSION || record_bytes != SPAN_MAP_RECORD_BYTES || reserved != 0)
        return err_set(err, -EBADMSG, "span map: version %u is not known", (unsigned)version);
    *ret = header;
    return 0;
}

static uint32_t record_crc(const struct span_map_header *header, uint64_t index,
                           const uint8_t record[SPAN_MAP_RECORD_BYTES])
{
    uint8_t place[8];

    put_u64le(place, index);
    return crc_of(crc_of(header->crc, place, sizeof(place)), record, RECORD_CRC_AT);
}

void span_map_encode_record(const struct span_map_header *header, uint64_t index,
                            const struct span_map_record *record,
                            uint8_t out[SPAN_MAP_RECORD_BYTES])
{
    put_u32le(out, record->span);
    put_u32le(out + 4, (uint32_t)record->kind);
    put_u32le(out + 8, record->data_crc);
    put_u32le(out + RECORD_CRC_AT, record_crc(header, index, out));
}

/* False: the log ends before this record. */
static bool replay_one(const struct span_map_header *header, uint64_t index, struct bytes record,
                       const struct span_map_table *table)
{
    struct reader r = reader_of(record);
    uint32_t span = reader_u32le(&r);
    uint32_t kind = reader_u32le(&r);
    uint32_t data_crc = reader_u32le(&r);

    if (reader_u32le(&r) != record_crc(header, index, record.data))
        return false;
    if (span >= table->span_count || (kind != SPAN_MAP_PRESENT && kind != SPAN_MAP_FORGOTTEN))
        return false;
    table->known[span] = kind == SPAN_MAP_PRESENT;
    table->crc[span] = data_crc;
    return true;
}

uint64_t span_map_replay(const struct span_map_header *header, struct bytes log,
                         const struct span_map_table *table)
{
    struct reader r = reader_of(log);
    uint64_t index = 0;

    while (reader_left(&r) >= SPAN_MAP_RECORD_BYTES) {
        if (!replay_one(header, index, reader_take(&r, SPAN_MAP_RECORD_BYTES), table))
            break;
        index++;
    }
    return index;
}
