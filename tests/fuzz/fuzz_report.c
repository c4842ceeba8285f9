/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_report.c – what the snapshotter in the machine says of itself: parsed, printed at several
 * widths and encoded. Nothing that a terminal obeys may come out. */
#include "report/report.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must_be_tame(const struct buf *text)
{
    for (size_t i = 0; i < text->len; i++) {
        if ((text->data[i] < 0x20 && text->data[i] != '\n') || text->data[i] == 0x7f)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const unsigned widths[] = {0, 1, 60, 200};
    SCOPED(report) struct report report = {.namespace_ = "finch"};

    if (report_parse_daemon(&report, bytes_of(data, size), NULL) < 0)
        return 0;
    for (size_t i = 0; i <= ARRAY_LEN(widths); i++) {
        SCOPED(buf_value) struct buf text = BUF_EMPTY;
        const struct report_style style = {.width = i < ARRAY_LEN(widths) ? widths[i] : 0};
        int rc = i < ARRAY_LEN(widths) ? report_print(&report, &style, &text)
                                       : report_encode(&report, &text);

        if (rc == 0)
            must_be_tame(&text);
    }
    return 0;
}
