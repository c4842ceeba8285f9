/* SPDX-License-Identifier: Apache-2.0 */
/* logs.c – `finch-soci logs`: what the snapshotter wrote. */
#include "cmd/internal.h"

#include <errno.h>

enum { LOGS_TIMEOUT_MS = 60000, LOGS_MEND_BYTES = 200 };

struct options {
    bool follow;
};

/* Finch's packages call the unit by another name. */
#define LOGS_COMMAND                                                                               \
    "exec journalctl --no-pager -n 200 -u soci-snapshotter.service -u finch-soci.service"

static int show(struct machine *machine, bool follow, struct err *err)
{
    SCOPED(machine_result) struct machine_result result = MACHINE_RESULT_NONE;
    const char *why;
    int rc = output_run(machine, follow ? LOGS_COMMAND " -f" : LOGS_COMMAND,
                        follow ? 0 : LOGS_TIMEOUT_MS, &result, err);

    if (rc < 0)
        return rc;
    if (result.exit_status == 0)
        return 0;
    why = buf_str(&result.err);
    return err_set(err, -EIO, "journalctl: exit status %d: %.*s", result.exit_status,
                   LOGS_MEND_BYTES, why == NULL ? "" : why);
}

static int run(const struct cmd_globals *globals, const void *self, struct err *err)
{
    SCOPED(session) struct session session = {.config = NULL};
    SCOPED(link) struct link link = {.machine = NULL};
    const struct options *options = self;
    int rc = session_open(globals, &session, err);

    if (rc == 0)
        rc = session_reach(&session, &link, err);
    if (rc == 0)
        rc = show(link.machine, options->follow, err);
    if (rc == -ECANCELED && options->follow)
        return CMD_FINE; /* the way that following ends */
    return rc;
}

static const struct flag flags[] = {
    {.name = "follow",
     .alias = "f",
     .kind = FLAG_BOOL,
     .offset = offsetof(struct options, follow),
     .help = "go on with what comes, until Ctrl-C"},
};

const struct cmd_verb cmd_verb_logs = {
    .name = "logs",
    .args = "[flags]",
    .summary = "show what the snapshotter in the machine wrote, the last 200 lines",
    .examples = "   finch-soci logs\n"
                "   finch-soci logs -f\n",
    .flags = flags,
    .flag_count = ARRAY_LEN(flags),
    .options_bytes = sizeof(struct options),
    .run = run,
};
