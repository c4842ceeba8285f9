/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_starts – the record of a start (starts/file.c). The checksum is made right first, or nothing
 * else would be reached. What was valid is encoded again and must be the bytes that were read, and
 * merged with itself it must stay what it is. */
#include "starts/starts.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must_be_the_same(const struct starts_record *record, struct bytes file)
{
    SCOPED(buf_value) struct buf again = BUF_EMPTY;
    struct err err = ERR_NONE;

    if (starts_encode(record, &again, &err) < 0 || !bytes_equal(buf_bytes(&again), file))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    SCOPED(starts_record) struct starts_record *record = NULL;
    SCOPED(starts_record) struct starts_record *merged = NULL;
    SCOPED(buf_value) struct buf file = BUF_EMPTY;
    struct err err = ERR_NONE;
    struct digest digest;

    if (starts_parse(bytes_of(data, size), &record, &err) == 0)
        must_be_the_same(record, bytes_of(data, size));
    starts_record_free(record);
    record = NULL;
    if (size < DIGEST_BYTES || buf_add(&file, data, size) < 0 ||
        digest_of(bytes_of(data, size - DIGEST_BYTES), &digest) < 0)
        return 0;
    memcpy(file.data + size - DIGEST_BYTES, digest.sha256, DIGEST_BYTES);
    if (starts_parse(buf_bytes(&file), &record, &err) < 0)
        return 0;
    must_be_the_same(record, buf_bytes(&file));
    if (starts_merge(record, record, &merged, &err) == 0 &&
        merged->touch_count > record->touch_count)
        abort();
    return 0;
}
