/* SPDX-License-Identifier: Apache-2.0 */
/* options.h – the command line and the environment as a struct. One dash or two, `--f v` or
 * `--f=v`. */
#ifndef DAEMON_OPTIONS_H
#define DAEMON_OPTIONS_H

#include "base/attr.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/flags.h"

#include <stdbool.h>
#include <stddef.h>

#define OPTIONS_DEFAULT_ADDRESS "/run/soci-snapshotter-grpc/soci-snapshotter-grpc.sock"

enum options_action {
    OPTIONS_RUN,
    OPTIONS_HELP,
    OPTIONS_VERSION,
    OPTIONS_CONFIG_DEFAULT,
    OPTIONS_CONFIG_DUMP,
    OPTIONS_STATUS,
    OPTIONS_CHECK,
    OPTIONS_PROBE,
};

/* Strings are borrowed from argv, the environment or the program. */
struct options {
    enum options_action action;
    const char *address;
    const char *config;
    bool config_is_default; /* nobody named it, so it may be missing */
    const char *log_level;
    const char *root;
    const char *image;    /* of `status` and `check`; NULL: none named */
    const char *platform; /* of `check`; NULL: this machine's */
    bool json;            /* of both, and of `probe` */
};

/* What the command line is made of, for the help and for manual pages. */
struct options_verb {
    const char *name, *args, *summary;
    const struct flag *flags;
    size_t flag_count;
    const struct options_verb *verbs; /* below it */
    size_t verb_count;
};
extern const struct flag options_flags[]; /* of the daemon; those of commands are in the verbs */
extern const size_t options_flag_count;
extern const struct options_verb options_verbs[];
extern const size_t options_verb_count;

/* `env` is getenv() or a test's. A flag wins over the environment. -EINVAL: the command line makes
 * no sense. A word that is no command is passed over and the daemon runs, as the reference does. */
MUST_CHECK int options_parse(int argc, char *const *argv, const char *(*env)(const char *name),
                             struct options *ret, struct err *err);
/* The help text. 0 or -ENOMEM. */
MUST_CHECK int options_help(struct buf *ret);

#endif
