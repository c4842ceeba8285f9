/* SPDX-License-Identifier: Apache-2.0 */
/* table.c – the verbs, and the flags that all of them have. */
#include "cmd/globals.h"
#include "cmd/internal.h"

const struct flag cmd_global_flags[] = {
    {.name = "config",
     .env = "FINCH_SOCI_CONFIG",
     .kind = FLAG_TEXT,
     .offset = offsetof(struct cmd_globals, config),
     .value = "<file>",
     .help = "finch.yaml, when it is not where Finch has it"},
    {.name = "finch-root",
     .env = "FINCH_ROOT",
     .kind = FLAG_TEXT,
     .offset = offsetof(struct cmd_globals, finch_root),
     .value = "<dir>",
     .help = "where Finch is installed"},
    {.name = "lima-home",
     .env = "LIMA_HOME",
     .kind = FLAG_TEXT,
     .offset = offsetof(struct cmd_globals, lima_home),
     .value = "<dir>",
     .help = "where Lima keeps its machines"},
    {.name = "instance",
     .env = "FINCH_SOCI_INSTANCE",
     .kind = FLAG_TEXT,
     .offset = offsetof(struct cmd_globals, instance),
     .value = "<name>",
     .help = "Lima's name of the machine (finch)"},
    {.name = "bundle",
     .env = "FINCH_SOCI_BUNDLE",
     .kind = FLAG_TEXT,
     .offset = offsetof(struct cmd_globals, bundle),
     .value = "<file>",
     .help = "the programs for the machine"},
    {.name = "quiet",
     .alias = "q",
     .kind = FLAG_BOOL,
     .offset = offsetof(struct cmd_globals, quiet),
     .help = "errors and what was asked for, nothing else"},
    {.name = "verbose",
     .kind = FLAG_BOOL,
     .offset = offsetof(struct cmd_globals, verbose),
     .help = "what is done, in detail"},
    {.name = "help",
     .alias = "h",
     .kind = FLAG_BOOL,
     .offset = offsetof(struct cmd_globals, help),
     .help = "this text"},
    {.name = "version",
     .alias = "v",
     .kind = FLAG_BOOL,
     .offset = offsetof(struct cmd_globals, version),
     .help = "print the version"},
};
const size_t cmd_global_flag_count = ARRAY_LEN(cmd_global_flags);

static const struct cmd_verb *const verbs[] = {
    &cmd_verb_enable, &cmd_verb_disable, &cmd_verb_status, &cmd_verb_doctor,  &cmd_verb_provision,
    &cmd_verb_vm,     &cmd_verb_hook,    &cmd_verb_logs,   &cmd_verb_version, NULL,
};

const struct cmd_verb cmd_top = {
    .name = "finch-soci",
    .args = "[global flags] command [flags]",
    .summary = "containers in Finch that start before their images are downloaded",
    .details =
        "   Puts `soci` into finch.yaml and the snapshotter into Finch's virtual machine, so that\n"
        "   `finch run --snapshotter soci` mounts the layers of an image at once and fetches what\n"
        "   is read. On Linux, where Finch has no machine, it works on the system itself.\n",
    .verbs = verbs,
    .examples =
        "   finch-soci enable             # once\n"
        "   finch-soci vm start           # as finch vm start, and looks after the machine\n"
        "   finch push --snapshotter soci registry.example/app:1\n"
        "   finch run --snapshotter soci registry.example/app:1\n"
        "   finch-soci status             # what is lazy, and what is not well\n"
        "\n"
        "EXIT STATUS\n"
        "   0    fine\n"
        "   1    failed; one line on stderr says why, and what to do\n"
        "   2    the command line makes no sense\n"
        "   3    status, doctor, hook status: something is not as it should be\n"
        "   130  interrupted\n"
        "\n"
        "ENVIRONMENT\n"
        "   Variables in brackets above stand for flags; a flag wins. NO_COLOR set to\n"
        "   anything: no colours. PATH is where finch and limactl are looked for.\n",
};
