/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_metrics_http.c – the head of a request to the server of metrics, as it arrives: what it is
 * answered with does not depend on how it is cut, and a request that is as long as it may be is
 * answered in any case. The first byte says how it is cut. */
#include "metrics/metrics.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t len = size > METRICS_REQUEST_MAX_BYTES ? METRICS_REQUEST_MAX_BYTES : size;
    size_t piece = size == 0 ? 1 : (size_t)data[0] + 1;
    unsigned whole = metrics_http_status(bytes_of(data, len)), status = 0;

    for (size_t end = 0; end <= len && status == 0; end += piece) {
        /* a copy, so that one byte too many is seen */
        uint8_t *copy = malloc(end == 0 ? 1 : end);

        if (copy == NULL)
            abort();
        if (end > 0)
            memcpy(copy, data, end);
        status = metrics_http_status(bytes_of(copy, end));
        free(copy);
    }
    if ((status != 0 && status != whole) || (len == METRICS_REQUEST_MAX_BYTES && whole == 0))
        abort();
    return 0;
}
