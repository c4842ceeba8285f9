/* SPDX-License-Identifier: Apache-2.0 */
/* flags.h – command-line flags by a table, for the programs with verbs: one or two dashes, `--f v`
 * or `--f=v`, flags and arguments in any order, a list flag repeated or with commas, `--` ends the
 * flags. It is what the reference's command line takes. */
#ifndef BASE_FLAGS_H
#define BASE_FLAGS_H

#include "base/attr.h"
#include "base/err.h"
#include "base/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum flag_kind {
    FLAG_BOOL,     /* bool */
    FLAG_TEXT,     /* const char *, borrowed from argv or the environment */
    FLAG_SIZE,     /* uint64_t */
    FLAG_LIST,     /* struct text_list */
    FLAG_DURATION, /* int64_t milliseconds; 1h2m3s, 500ms as Go writes them, 0 */
};

struct flag {
    const char *name;
    const char *alias; /* NULL: none */
    const char *env;   /* NULL: none; an empty variable counts as unset */
    enum flag_kind kind;
    size_t offset;     /* of the value in the options struct, which holds the default before */
    const char *value; /* for the help: "<name>", NULL for a bool */
    const char *help;
};

/* Flags and the struct that they fill. */
struct flag_set {
    const struct flag *flags;
    size_t count;
    void *options;
};

struct flag_args {
    char **items; /* borrowed from argv */
    int count;
    bool as_typed; /* errors show a flag so; else with one dash, as the reference does */
};

/* What the environment says, for those of the flags that have a variable. Before flags_parse(), and
 * once for each set: flags may stand in front of a verb and behind it, and a variable that is read
 * again in between would win over the first ones. -EINVAL. */
MUST_CHECK int flags_from_environment(const struct flag_set *set, struct err *err);
/* With `until_word` it stops at the first argument that is no flag; else all of them are taken.
 * *used: how many items of `args` were read. `words` gets the arguments that are no flags. -ENOENT:
 * `flag provided but not defined: -x`, which is args.items[*used]; -EINVAL: `invalid value "v" for
 * flag -x: …`. */
MUST_CHECK int flags_parse(const struct flag_set *sets, size_t set_count, struct flag_args args,
                           bool until_word, int *used, struct text_list *words, struct err *err);
/* One line per flag, as in a help text. */
void flags_print(FILE *out, const struct flag *flags, size_t count);

#endif
