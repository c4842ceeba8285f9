/* SPDX-License-Identifier: Apache-2.0 */
/* others.c – other snapshotters in the machine: one in whose place ours comes, and those beside
 * which it must not run. */
#include "internal.h"

#include <errno.h>

/* ---- a second daemon ------------------------------------------------------------------------- */

/* Both would serve the same socket with data of their own. */
static int second_daemon(const struct guest_facts *facts, struct err *err)
{
    const char *unit = guest_value(facts, "second-daemon");

    if (guest_is_ours(facts, GUEST_UNIT))
        return err_set(err, -EEXIST,
                       "Finch's package has come since, with a unit of its own for the "
                       "snapshotter: `finch-soci disable`, then `finch-soci enable`");
    return err_set(err, -EEXIST,
                   "%s is enabled beside the finch-soci.service of Finch's package, and two "
                   "snapshotters would serve one socket: `systemctl disable --now %s`, then this "
                   "again",
                   unit, unit);
}

/* A unit of the name that ours has, at a place that comes before ours, and that runs something
 * else. One that runs what we install is fine. */
static int check_other_unit(const struct guest_facts *facts, struct err *err)
{
    const char *unit = guest_value(facts, "other-unit"), *space = strchr(unit, ' ');
    bool is_first = text_has_prefix(unit, "/etc/") || text_has_prefix(unit, "/run/");

    if (!is_first || (space != NULL && strcmp(space + 1, GUEST_PROGRAM) == 0))
        return 0;
    return err_set(err, -EEXIST,
                   "%.*s is another snapshotter's unit, of the name that ours has, and would run "
                   "in its place: `systemctl disable --now soci-snapshotter.service`, move that "
                   "file away, then this again",
                   space == NULL ? (int)strlen(unit) : (int)(space - unit), unit);
}

int others_check(const struct guest_facts *facts, struct err *err)
{
    if (guest_package_unit(facts) == NULL)
        return check_other_unit(facts, err);
    return guest_value(facts, "second-daemon")[0] == '\0' ? 0 : second_daemon(facts, err);
}

/* ---- one that is to be swapped --------------------------------------------------------------- */

bool guest_is_foreign(const struct guest_facts *facts, const struct bundle *bundle)
{
    const struct guest_file *program = guest_file(facts, GUEST_PROGRAM);
    const struct bundle_file *ours =
        bundle == NULL ? NULL : bundle_find(bundle, "bin/soci-snapshotter-grpc");
    char hex[2 * DIGEST_BYTES + 1] = "";

    if (guest_has(facts, guest_package_unit(facts) == NULL
                             ? "/var/lib/soci-snapshotter-grpc/snapshotter/metadata.db"
                             : "/var/lib/finch/soci/snapshotter/metadata.db"))
        return true;
    if (guest_package_unit(facts) != NULL || program == NULL || program->kind != GUEST_FILE)
        return false;
    if (ours != NULL)
        digest_hex(&ours->digest, hex);
    return !guest_is_ours(facts, GUEST_PROGRAM) && strcmp(program->sha256, hex) != 0;
}

enum { NAMED_MAX = 10, ID_BYTES = 12 }; /* as `finch ps` shows them */

int others_busy(const struct guest_facts *facts, const char *why, struct err *err)
{
    SCOPED(buf_value) struct buf names = BUF_EMPTY;
    size_t count = facts->running.count;
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < count && i < NAMED_MAX; i++) {
        const char *item = facts->running.items[i], *slash = strrchr(item, '/');

        rc = buf_addf(&names, "%s%.*s", i == 0 ? "" : ", ", ID_BYTES,
                      slash == NULL ? item : slash + 1);
    }
    if (rc == 0 && count > NAMED_MAX)
        rc = buf_addf(&names, " and %zu more", count - NAMED_MAX);
    return err_set(err, -EBUSY, "running containers use the snapshotter that is to be %s: %s", why,
                   rc < 0 || names.len == 0 ? "?" : buf_str(&names));
}
