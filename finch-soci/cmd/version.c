/* SPDX-License-Identifier: Apache-2.0 */
/* version.c – `finch-soci version`: ours, and that of the programs for the machine. */
#include "cmd/internal.h"

#include "version.h"

struct options {
    bool json;
};

static int run(const struct cmd_globals *globals, const void *self, struct err *err)
{
    const struct options *options = self;
    SCOPED(bundle) struct bundle *bundle = NULL;
    int rc = bundle_open(globals->bundle, NULL, &bundle, err);
    const char *theirs = rc == 0 ? bundle_version(bundle) : "";
    const char *arch = rc == 0 ? bundle_arch(bundle) : "";

    if (rc < 0 && globals->bundle != NULL)
        return rc;
    if (options->json) {
        (void)printf("{\"version\":\"%s\",\"revision\":\"%s\",\"bundle\":{\"version\":\"%s\","
                     "\"arch\":\"%s\"}}\n",
                     SOCI_VERSION, SOCI_REVISION, theirs, arch);
        return CMD_FINE;
    }
    (void)printf("finch-soci version %s %s\n", SOCI_VERSION, SOCI_REVISION);
    if (rc == 0)
        (void)printf("programs for the machine: %s, %s\n", theirs, arch);
    else
        (void)printf("programs for the machine: none found\n");
    return CMD_FINE;
}

static const struct flag flags[] = {
    {.name = "json",
     .kind = FLAG_BOOL,
     .offset = offsetof(struct options, json),
     .help = "one JSON object"},
};

const struct cmd_verb cmd_verb_version = {
    .name = "version",
    .args = "[flags]",
    .summary = "print versions",
    .examples = "   finch-soci version\n",
    .flags = flags,
    .flag_count = ARRAY_LEN(flags),
    .options_bytes = sizeof(struct options),
    .run = run,
};
