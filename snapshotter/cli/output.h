/* SPDX-License-Identifier: Apache-2.0 */
/* output.h – where --output says that bytes go. */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include "base/attr.h"
#include "base/cleanup.h"
#include "base/err.h"

#include <sys/types.h>

struct cli_output {
    int fd;          /* to write to */
    char *path;      /* of the file, links followed */
    char *temporary; /* beside it; NULL: it is no regular file and written where it is */
    mode_t mode;
};
#define CLI_OUTPUT_NONE                                                                            \
    {                                                                                              \
        .fd = -1                                                                                   \
    }
/* A file is written beside the one that is there, if any, so that a failure leaves that as it was.
 * A device or a pipe (/dev/null, /dev/stdout, a FIFO) is written to: it is never replaced. *ret on
 * success alone. */
MUST_CHECK int cli_output_open(const char *path, struct cli_output *ret, struct err *err);
/* All was written: it takes the place of what was there. */
MUST_CHECK int cli_output_done(struct cli_output *output, struct err *err);
/* What is not done is gone. */
void cli_output_fini(struct cli_output *output);
DEFINE_SCOPED_VALUE(cli_output, struct cli_output, cli_output_fini)

#endif
