/* SPDX-License-Identifier: Apache-2.0 */
/* check_internal.h – what the files of the verb `check` share. */
#ifndef DAEMON_CHECK_INTERNAL_H
#define DAEMON_CHECK_INTERNAL_H

#include "daemon/check.h"

#include "daemon/config.h"
#include "discover/discover.h"
#include "oci/oci.h"
#include "store/store.h"

#include <stdatomic.h>

/* The daemon's keychain, and whether it failed: what comes of that looks like no answer. */
struct noted {
    struct registry_keychain keychain;
    atomic_bool failed;
};

struct asking {
    const struct config *config;
    const char *platform; /* NULL: this machine's */
    struct check *check;
    struct noted noted;
    struct registry *registry;
    struct registry_repo *repo;
    struct oci_reference reference;
    char *name; /* host/repository */
    char *tag;  /* or a digest */
    char *store_dir;
    struct store *store;
    struct discover *discover;
};

/* What an answer of the registry's means; `missing` where it has not got what was asked for. */
enum check_problem check_problem_of(const struct asking *a, int rc, enum check_problem missing,
                                    enum check_problem broken);
/* Ends the check with what `rc` and *err say, as an answer and not as a failure: 0, or -ENOMEM. */
int check_settle(struct asking *a, enum check_problem problem, int rc, const struct err *err);

/* ---- check_manifest.c ------------------------------------------------------------------------ */

/* Does the registry answer? How its clock goes is noted, too. */
MUST_CHECK int check_reach(struct asking *a, struct err *err);
/* The image's manifest for the platform, whose digest is noted. -EXDEV: it is for others. */
MUST_CHECK int check_get_manifest(struct asking *a, struct oci_manifest **ret, struct err *err);

/* ---- check_layers.c -------------------------------------------------------------------------- */

/* Which layers would be lazy, and why others would not. 0 or -ENOMEM. */
MUST_CHECK int check_layers(struct asking *a, const struct oci_manifest *manifest,
                            const struct soci_index *index);
/* A registry, a proxy before it, or where it redirects to may ignore ranges or refuse them: then a
 * file is read by fetching its whole layer, or not at all, and no layer is lazy. 0 or -ENOMEM. */
MUST_CHECK int check_ranges(struct asking *a);

#endif
