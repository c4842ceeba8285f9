/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_verdict – what is kept of whole layers that were checked (store/verdict.c). What was valid
 * is encoded again and must be the bytes that were read. */
#include "store/internal.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = ERR_NONE;
    uint8_t again[VERDICT_BYTES_MAX];
    struct verdict verdict;

    if (verdict_parse(bytes_of(data, size), &verdict, &err) < 0)
        return 0;
    if (verdict_encode(&verdict, again) != size || memcmp(again, data, size) != 0)
        abort();
    return 0;
}
