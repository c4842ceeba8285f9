/* SPDX-License-Identifier: Apache-2.0 */
/* cmd.h – the command line of finch-soci: one file and one entry in a table per verb; help is made
 * from the table. Results go to stdout, everything else to stderr; an error is one line. */
#ifndef CMD_CMD_H
#define CMD_CMD_H

#include "base/err.h"
#include "base/flags.h"

#include <stdbool.h>
#include <stdio.h>

/* Exit statuses; `vm` has those of finch where finch failed. */
enum cmd_status {
    CMD_FINE = 0,
    CMD_FAILED = 1,
    CMD_USAGE = 2,    /* the command line makes no sense; nothing was done */
    CMD_NOT_WELL = 3, /* `status`, `doctor`: something is not as it should be */
    /* 128 + signal: interrupted, 130 by Ctrl-C */
};

struct cmd_globals {
    const char *config; /* finch.yaml; NULL: where Finch has it */
    const char *finch_root, *lima_home, *instance;
    const char *bundle; /* NULL: the one beside us */
    bool quiet, verbose, help, version;
};

struct cmd_verb {
    const char *name;
    const char *args;     /* for the help: "[flags]" */
    const char *summary;  /* one line */
    const char *details;  /* paragraphs, each line indented by four spaces; NULL: none */
    const char *examples; /* as above */
    const struct flag *flags;
    size_t flag_count;
    size_t options_bytes; /* of the verb's options struct, which starts as zeros */
    /* How many arguments that are no flags it takes, and where the options struct has a `const
     * struct text_list *` for them. */
    size_t words_max, words_offset;
    /* Returns an exit status, or a negative errno with err. NULL: only verbs below it. */
    int (*run)(const struct cmd_globals *globals, const void *options, struct err *err);
    const struct cmd_verb *const *verbs; /* NULL at the end; NULL: none */
};

/* "finch-soci" itself, with all verbs below it. */
extern const struct cmd_verb cmd_top;

int cmd_main(int argc, char **argv);
/* `path`: the words that lead to it, "finch-soci vm start". */
void cmd_print_help(FILE *out, const struct cmd_verb *verb, const char *path);
/* The one of `names` (NULL at the end) that was perhaps meant; NULL: none is near. */
const char *cmd_nearest(const char *word, const char *const *names);

#endif
