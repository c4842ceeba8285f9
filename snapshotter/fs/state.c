/* SPDX-License-Identifier: Apache-2.0 */
/* state.c – <layer digest>.json in the state directory: how much of the layer is here, and the last
 * error. */
#include "base/text.h"
#include "fs/internal.h"

#include <stdio.h>
#include <stdlib.h>

void state_file_name(const struct layer *layer, char out[DIGEST_TEXT_BYTES + 5])
{
    digest_format(layer_digest(layer), out);
    memcpy(out + DIGEST_TEXT_BYTES - 1, ".json", 6);
}

/* The shortest decimal that reads back as the same number, with an exponent only where JSON writers
 * put one. */
static int add_number(struct buf *out, double number)
{
    char text[64];
    int digits = 0, exponent;

    do {
        (void)snprintf(text, sizeof(text), "%.*e", digits++, number);
    } while (digits < 17 && (strtod(text, NULL) < number || strtod(text, NULL) > number));
    exponent = (int)strtol(strchr(text, 'e') + 1, NULL, 10);
    if (exponent >= -6) /* never large: it is a percentage */
        (void)snprintf(text, sizeof(text), "%.*f",
                       digits - 1 > exponent ? digits - 1 - exponent : 0, number);
    return buf_add_str(out, text);
}

int state_render(struct layer *layer, struct buf *ret)
{
    struct layer_status status;
    char digest[DIGEST_TEXT_BYTES];
    double percent;
    int rc = 0;

    layer_get_status(layer, &status);
    digest_format(layer_digest(layer), digest);
    percent = status.size_bytes == 0
                  ? 100.0
                  : (double)status.fetched_bytes / (double)status.size_bytes * 100.0;

    ret->len = 0;
    rc = buf_add_str(ret, "{");
    if (rc == 0 && status.last_error.code != 0) {
        rc = buf_add_str(ret, "\"error\":");
        if (rc == 0)
            rc = text_add_json(ret, bytes_of_str(err_text(&status.last_error)), true);
        if (rc == 0)
            rc = buf_add_str(ret, ",");
    }
    if (rc == 0)
        rc = buf_addf(
            ret, "\"digest\":\"%s\",\"size\":%llu,\"fetchedSize\":%llu,\"fetchedPercent\":", digest,
            (unsigned long long)status.size_bytes, (unsigned long long)status.fetched_bytes);
    if (rc == 0)
        rc = add_number(ret, percent);
    if (rc == 0)
        rc = buf_add_str(ret, "}\n");
    return rc;
}
