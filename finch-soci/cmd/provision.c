/* SPDX-License-Identifier: Apache-2.0 */
/* provision.c – `finch-soci provision`: the machine as it should be. */
#include "cmd/internal.h"

#include <errno.h>

struct options {
    bool dry_run, force, now;
};

static int run(const struct cmd_globals *globals, const void *self, struct err *err)
{
    SCOPED(session) struct session session = {.config = NULL};
    const struct options *options = self;
    const struct provision_how how = {
        .guest = {.now = options->now, .force = options->force},
        .dry_run = options->dry_run,
    };
    int rc = session_open(globals, &session, err);

    if (rc == 0)
        rc = session_check_rights(&session, err);
    if (rc == 0)
        rc = session_look(&session, err);
    if (rc == 0)
        rc = session_must_run(&session, err);
    if (rc == 0)
        rc = provision_do(&session, &how, err);
    if (rc < 0)
        return rc;
    provision_tell(&session, rc);
    return CMD_FINE;
}

static const struct flag flags[] = {
    {.name = "dry-run",
     .kind = FLAG_BOOL,
     .offset = offsetof(struct options, dry_run),
     .help = "print what would be changed, and change nothing"},
    {.name = "force",
     .kind = FLAG_BOOL,
     .offset = offsetof(struct options, force),
     .help = "put our keys into a config.toml that somebody else wrote"},
    {.name = "now",
     .kind = FLAG_BOOL,
     .offset = offsetof(struct options, now),
     .help = "do not wait for containers that use the snapshotter; another's are removed"},
};

const struct cmd_verb cmd_verb_provision = {
    .name = "provision",
    .args = "[flags]",
    .summary = "make the running machine what it should be",
    .details =
        "   Compares the machine with what it should hold (programs, unit, containerd's\n"
        "   configuration), changes only what differs, and has containerd confirm it. What\n"
        "   was there before is kept for `disable`. When nothing differs, nothing is done.\n"
        "   Needed after the machine was made anew; the hook and `vm start` do it by themselves.\n",
    .examples = "   finch-soci provision --dry-run\n"
                "   finch-soci provision\n",
    .flags = flags,
    .flag_count = ARRAY_LEN(flags),
    .options_bytes = sizeof(struct options),
    .run = run,
};
