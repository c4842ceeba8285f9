/* SPDX-License-Identifier: Apache-2.0 */
/* guest.h – what Finch's machine must hold so that images are loaded lazily, compared with what it
 * holds.
 *
 *   look ─▶ facts ─▶ plan (with the bundle) ─▶ apply ─▶ look again: the plan is empty
 *
 * Everything that is changed is noted in the guest before it is changed (/var/lib/finch-soci), with
 * what was there: undo() brings that back, and a run that was killed anywhere is repaired by the
 * next. One run at a time works on a guest; another waits for the lock there and says so. */
#ifndef GUEST_GUEST_H
#define GUEST_GUEST_H

#include "base/attr.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "bundle/bundle.h"
#include "vm-provision/machine.h"

#include <stdbool.h>
#include <stdint.h>

/* ---- look, plan, apply ----------------------------------------------------------------------- */

struct guest_facts; /* hidden: what one round trip has told */
MUST_CHECK int guest_look(struct machine *machine, struct guest_facts **ret, struct err *err);
void guest_facts_free(struct guest_facts *facts);
DEFINE_SCOPED_PTR(guest_facts, struct guest_facts, guest_facts_free)
const char *guest_arch(const struct guest_facts *facts);
/* Lima's boot-done marker is there, or there is no Lima. */
bool guest_is_booted(const struct guest_facts *facts);

/* containerd's version as it says; "": there is none. */
const char *guest_containerd(const struct guest_facts *facts);
/* containerd has all that lazy loading needs, also where images are pulled by its transfer service.
 */
bool guest_containerd_is_told(const struct guest_facts *facts);
/* The snapshotter's unit, without ".service". */
const char *guest_unit_name(const struct guest_facts *facts);
/* What it wrote last, when it has failed or starts again and again; "". Hostile. */
const char *guest_unit_says(const struct guest_facts *facts);

struct guest_options {
    bool now;        /* swap or restart the snapshotter at once, whatever runs on it */
    bool force;      /* merge our keys into a config.toml that the user wrote */
    bool is_default; /* Linux host: snapshotter = "soci" in Finch's nerdctl.toml */
};
struct guest_plan;
/* What is missing. The plan borrows `bundle`. -EBUSY: running containers use the snapshotter that
 * would be swapped or restarted; the text names them. -EOPNOTSUPP: no systemd or no containerd
 * there. -EBADMSG: the bundle lacks a program. */
MUST_CHECK int guest_plan_new(const struct guest_facts *facts, const struct guest_options *options,
                              struct bundle *bundle, struct guest_plan **ret, struct err *err);
void guest_plan_free(struct guest_plan *plan);
DEFINE_SCOPED_PTR(guest_plan, struct guest_plan, guest_plan_free)
bool guest_plan_is_empty(const struct guest_plan *plan);
/* As a person reads a diff; 0 or -ENOMEM. */
MUST_CHECK int guest_plan_print(const struct guest_plan *plan, bool colour, struct buf *ret);

/* Told of each step, before it is taken: "install /usr/local/bin/soci", …  */
struct guest_progress {
    void (*step)(void *self, const char *what, unsigned done, unsigned of);
    void *self;
};
/* Does it and verifies it. On failure what was not finished is undone or left for the next run, and
 * err says which. */
MUST_CHECK int guest_apply(struct machine *machine, const struct guest_plan *plan,
                           const struct guest_progress *progress, struct err *err);
/* Everything back as it was before the first apply; `purge`: the layers that were loaded too. 1:
 * something was done, 0: nothing of ours is there. */
MUST_CHECK int guest_undo(struct machine *machine, bool purge,
                          const struct guest_progress *progress, struct err *err);

/* Shell: the program that is there can be asked for its status. The reference cannot: it takes a
 * word that it does not know for none, and runs as a second daemon, which hangs. */
#define GUEST_KNOWS_STATUS "grep -qs soci.status.v1 /usr/local/bin/soci-snapshotter-grpc"

/* ---- state, for `status` --------------------------------------------------------------------- */

/* One row of what is, and what is not well about it. */
struct guest_check {
    const char *name; /* "programs", "unit", "plugin", … borrowed for ever */
    bool well;
    char text[256]; /* "0.15.0 (sha256:1f…)" */
    char mend[128]; /* the command that mends it; "" when well */
};
enum { GUEST_CHECKS_MAX = 16 };
struct guest_state {
    struct guest_check checks[GUEST_CHECKS_MAX];
    size_t count;
    struct buf daemon_json; /* `soci-snapshotter-grpc status --json` as it came; empty: it did not
                               answer */
};
void guest_state_fini(struct guest_state *state);
DEFINE_SCOPED_VALUE(guest_state, struct guest_state, guest_state_fini)
MUST_CHECK int guest_state_get(struct machine *machine, const struct guest_facts *facts,
                               struct bundle *bundle, struct guest_state *ret, struct err *err);

/* ---- images, for `status` -------------------------------------------------------------------- */

/* As containerd has it. Texts are the machine's: of any characters but line ends. */
struct guest_image {
    char *namespace_, *name;
    char *snapshotters; /* through which it was unpacked, with commas between; "": none */
    char *manifest;     /* digest of what was unpacked; "": not known */
};
enum { GUEST_IMAGES_MAX = 1000 };
struct guest_images {
    struct guest_image *items;
    size_t count;
    bool is_cut; /* there are more */
};
void guest_images_fini(struct guest_images *images);
DEFINE_SCOPED_VALUE(guest_images, struct guest_images, guest_images_fini)
/* Those of one namespace of containerd, "": of all; one round trip. -EIO: containerd does not
 * answer, -EBADMSG. */
MUST_CHECK int guest_images_get(struct machine *machine, const char *namespace_,
                                struct guest_images *ret, struct err *err);

#endif
