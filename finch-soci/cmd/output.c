/* SPDX-License-Identifier: Apache-2.0 */
/* output.c – what a command in the machine prints, on our stdout as it comes. */
#include "cmd/internal.h"

#include <errno.h>

/* Until its end, or Ctrl-C; a year is as good as for ever. */
#define OUTPUT_UNTIL_END_MS (INT64_C(365) * 24 * 3600 * 1000)

static int on_output(void *self, struct bytes piece)
{
    int *why = self;

    if (fwrite(piece.data, 1, piece.len, stdout) == piece.len && fflush(stdout) == 0)
        return 0;
    *why = -errno;
    return -EIO;
}

int output_run(struct machine *machine, const char *script, int64_t timeout_ms,
               struct machine_result *ret, struct err *err)
{
    int why = 0;
    const struct machine_run run = {
        .script = script,
        .timeout_ms = timeout_ms == 0 ? OUTPUT_UNTIL_END_MS : timeout_ms,
        .output = on_output,
        .self = &why,
    };
    int rc = machine_run(machine, &run, ret, err);

    return why < 0 ? err_sys(err, why, "standard output") : rc;
}
