/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_spanmap – the span map's header and records (store/span_map.c). What was valid is encoded
 * again and must be the bytes that were read. */
#include "store/internal.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SPANS_MAX = 4096 }; /* more only costs memory: the decoder's table is the caller's */

/* The log's records one by one; the table says what each one did. */
static void compare_records(const struct span_map_header *header, struct bytes log, uint64_t count)
{
    uint64_t i;

    for (i = 0; i < count; i++) {
        const uint8_t *at = log.data + i * SPAN_MAP_RECORD_BYTES;
        struct span_map_record record = {get_u32le(at), (enum span_map_kind)get_u32le(at + 4),
                                         get_u32le(at + 8)};
        uint8_t again[SPAN_MAP_RECORD_BYTES];

        span_map_encode_record(header, i, &record, again);
        if (memcmp(again, at, sizeof(again)) != 0)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span_map_header header;
    struct err err = ERR_NONE;
    uint8_t again[SPAN_MAP_HEADER_BYTES];
    bool known[SPANS_MAX] = {false};
    struct span_map_table table = {.known = known};
    SCOPED(mem) uint32_t *crc = calloc(SPANS_MAX, sizeof(*crc));
    struct bytes log;

    if (crc == NULL || span_map_parse_header(bytes_of(data, size), &header, &err) < 0)
        return 0;
    span_map_encode_header(&header, again);
    if (memcmp(again, data, sizeof(again)) != 0)
        abort();
    table.crc = crc;
    table.span_count = header.span_count > SPANS_MAX ? SPANS_MAX : (size_t)header.span_count;
    log = bytes_of(data + SPAN_MAP_HEADER_BYTES, size - SPAN_MAP_HEADER_BYTES);
    compare_records(&header, log, span_map_replay(&header, log, &table));
    return 0;
}
