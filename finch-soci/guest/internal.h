/* SPDX-License-Identifier: Apache-2.0 */
/* internal.h – facts, steps, and what of it is pure: no machine is needed to decide.
 *
 *   facts.c              what look.sh prints
 *   plan.c               facts + bundle + options: the steps
 *     ├▶ containerd_config.c  which text containerd needs, and where
 *     ├▶ others.c             other snapshotters
 *     └▶ daemon_config.c      the daemon's config.toml
 *   apply.c              has the steps done by apply.sh, and undone by undo.sh
 *     └▶ room.c            says which disk was full when that failed
 *   state.c, images.c, print.c  for people */
#ifndef GUEST_INTERNAL_H
#define GUEST_INTERNAL_H

#include "guest/guest.h"

#include "base/text.h"
#include "digest/digest.h"

/* Texts of templates/, made into arrays by CMake. */
extern const char guest_look_text[], guest_images_text[], guest_stage_text[], guest_apply_text[],
    guest_undo_text[], guest_unit_text[];

#define GUEST_PROGRAM "/usr/local/bin/soci-snapshotter-grpc"
#define GUEST_SOCI "/usr/local/bin/soci"
#define GUEST_UNIT "/usr/local/lib/systemd/system/soci-snapshotter.service"
#define GUEST_FINCH_CONF GUEST_UNIT ".d/finch.conf"
#define GUEST_DROP_IN "/etc/systemd/system/soci-snapshotter.service.d/zz-finch-soci.conf"
#define GUEST_WANTED "/etc/systemd/system/multi-user.target.wants/soci-snapshotter.service"
#define GUEST_CONTAINERD_DROP_IN "/etc/systemd/system/containerd.service.d/zz-finch-soci.conf"
#define GUEST_CONTAINERD_CONFIG "/etc/containerd/config.toml"
#define GUEST_CONTAINERD_PART "/etc/containerd/conf.d/zz-finch-soci.toml"
#define GUEST_DAEMON_CONFIG "/etc/soci-snapshotter-grpc/config.toml"
#define GUEST_PACKAGE_DROP_IN "/etc/systemd/system/finch-soci.service.d/zz-finch-soci.conf"
#define GUEST_PACKAGE_SOCI "/usr/libexec/finch/soci"
#define GUEST_NERDCTL_CONFIG "/etc/finch/nerdctl/nerdctl.toml"
#define GUEST_SOCKET "/run/soci-snapshotter-grpc/soci-snapshotter-grpc.sock"

/* ---- facts.c --------------------------------------------------------------------------------- */

enum guest_kind { GUEST_NONE, GUEST_FILE, GUEST_LINK, GUEST_DIR, GUEST_OTHER };
struct guest_file {
    char *path;
    enum guest_kind kind;
    unsigned mode;
    uint64_t uid, gid, size;
    char sha256[2 * DIGEST_BYTES + 1]; /* "": of no file */
    struct buf content;                /* of a text; a link's target */
    bool is_whole;                     /* `content` is all of it */
};
enum { GUEST_FILES_MAX = 64, GUEST_LIST_MAX = 512 };
struct guest_facts {
    struct text_map values; /* "arch", "lima-HOME", …, and "unit NAME" */
    struct guest_file files[GUEST_FILES_MAX];
    size_t file_count;
    struct buf effective;             /* containerd's configuration, as it says */
    struct text_list ours;            /* "SHA256 PATH": what we put there */
    struct text_list running;         /* "namespace/id" of containers on the snapshotter */
    struct text_list foreign_unpacks; /* files in conf.d */
};
/* -EBADMSG: not what look.sh prints. */
MUST_CHECK int guest_facts_parse(struct bytes text, struct guest_facts **ret, struct err *err);
const char *guest_value(const struct guest_facts *facts, const char *key); /* "": not told */
bool guest_flag(const struct guest_facts *facts, const char *key);
/* The file that containerd reads: another than the usual where its unit says so. */
const char *guest_containerd_config(const struct guest_facts *facts);
/* NULL: not looked at. */
const struct guest_file *guest_file(const struct guest_facts *facts, const char *path);
bool guest_has(const struct guest_facts *facts, const char *path);          /* a file, or a link */
struct bytes guest_text(const struct guest_facts *facts, const char *path); /* empty: no file */
bool guest_is_ours(const struct guest_facts *facts, const char *path);      /* as we left it */
/* Finch's package is here and no virtual machine: its unit, NULL: not so. */
const struct guest_file *guest_package_unit(const struct guest_facts *facts);

/* ---- images.c -------------------------------------------------------------------------------- */

/* -EBADMSG: not what images.sh prints. */
MUST_CHECK int guest_images_parse(struct bytes text, struct guest_images *ret, struct err *err);

/* ---- containerd_config.c --------------------------------------------------------------------- */

/* Does containerd's effective configuration have all that lazy loading needs? */
bool containerd_is_told(struct bytes effective, unsigned major);
unsigned containerd_major(const char *version_line); /* 0: cannot be told */
/* What is missing, and where it goes. *ret_path NULL: nothing. */
MUST_CHECK int containerd_config_want(const struct guest_facts *facts, const char **ret_path,
                                      struct buf *ret, struct err *err);
/* The text without our block, and with what that had commented out. 0, -ENOMEM. */
MUST_CHECK int containerd_without_block(struct bytes text, struct buf *ret);
bool containerd_has_block(struct bytes text);

/* ---- others.c -------------------------------------------------------------------------------- */

/* -EEXIST: a snapshotter that is not ours would run beside ours, or in its place. */
MUST_CHECK int others_check(const struct guest_facts *facts, struct err *err);
/* Its place is to be taken: a program or a database that is not ours. */
bool guest_is_foreign(const struct guest_facts *facts, const struct bundle *bundle);
/* -EBUSY, with the names of the containers that run on it. */
int others_busy(const struct guest_facts *facts, const char *why, struct err *err);

/* ---- daemon_config.c ------------------------------------------------------------------------- */

/* `set` true: what the file shall hold is in *ret; false: it stays. -EINVAL: the user's file is
 * written in a way that cannot be merged. */
MUST_CHECK int daemon_config_want(const struct guest_facts *facts, bool force, bool *ret_set,
                                  struct buf *ret, struct err *err);
/* A key of a TOML text, set: the line replaced, or added to its table. `table` "": the top. */
MUST_CHECK int toml_set(struct bytes text, const char *table, const char *key, const char *value,
                        struct buf *ret, struct err *err);

/* ---- room.c ---------------------------------------------------------------------------------- */

/* Something that may have wanted room has failed with `rc` and err. When a file system over there
 * has less than `bytes` left, -ENOSPC, and err names it and what to do; else both stay. */
MUST_CHECK int guest_explain_room(struct machine *machine, uint64_t bytes, int rc, struct err *err);

/* ---- plan.c ---------------------------------------------------------------------------------- */

enum guest_verb { GUEST_SWAP, GUEST_PUT, GUEST_PUT_BLOCK, GUEST_PUT_LINK, GUEST_EFFECTS };
struct guest_step {
    enum guest_verb verb;
    char *path;          /* put; swap: NULL */
    const char *effects; /* "reload,daemon"; a literal */
    unsigned mode;
    struct bytes content; /* put: what; link: the target */
    struct buf own;       /* holds `content`, where that is not the bundle's */
    bool is_program;      /* no text */
    char sha256[2 * DIGEST_BYTES + 1];
    struct buf before; /* what is there, of a text */
    bool was_there;
};
enum { GUEST_STEPS_MAX = 32 };
struct guest_plan {
    struct guest_step steps[GUEST_STEPS_MAX];
    size_t count;
    bool now;
    char *version;
    const char *unit;        /* a literal */
    const char *root;        /* a literal */
    char *containerd_config; /* the file that containerd reads */
    struct text_list running;
};

#endif
