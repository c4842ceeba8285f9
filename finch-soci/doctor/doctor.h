/* SPDX-License-Identifier: Apache-2.0 */
/* doctor.h – a closer look than `status` takes: what registries say of images, and what else in the
 * machine and around it keeps images from being lazy.
 *
 *   guest's check.sh ──▶ struct doctor_image: would it be lazy, layer by layer?
 *   guest's doctor.sh ─▶ struct doctor_facts ─▶ doctor_judge() ─▶ findings, each with its command
 *   guest's mend.sh ◀── what of that is safe to do without asking
 *
 *   guest's collect.sh, files here ─▶ struct doctor_archive ─▶ a tar in gzip without secrets
 *
 * What comes from the machine is hostile: it is cut to size, and what a terminal would obey is
 * taken out when it is parsed. A command that mends something can be pasted into a shell as it is;
 * what no command mends is said in words, behind a # for the shell's sake. */
#ifndef DOCTOR_DOCTOR_H
#define DOCTOR_DOCTOR_H

#include "base/attr.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/text.h"
#include "report/report.h"
#include "vm-provision/machine.h"

#include <stdbool.h>
#include <stdint.h>

/* ---- an image, asked of its registry --------------------------------------------------------- */

enum { DOCTOR_LAYERS_MAX = 1000, DOCTOR_WORDS_MAX = 200 };
enum { DOCTOR_NAME_BYTES = 512, DOCTOR_TEXT_BYTES = 512, DOCTOR_DIGEST_BYTES = 80 };
struct doctor_layer {
    char digest[DOCTOR_DIGEST_BYTES];
    uint64_t size_bytes; /* compressed */
    char state[24];      /* "lazy", "no-ztoc", … as docs/doctor.md has them */
    char text[DOCTOR_TEXT_BYTES];
};
/* Strings are clean; "" is not known. */
struct doctor_image {
    char word[DOCTOR_NAME_BYTES]; /* as it was asked for: an image, or "HOST/" */
    char name[DOCTOR_NAME_BYTES]; /* as containerd calls it */
    char registry[DOCTOR_NAME_BYTES];
    char platform[64];
    char manifest[DOCTOR_DIGEST_BYTES], index[DOCTOR_DIGEST_BYTES];
    bool reachable, lazy;
    bool has_skew;
    int64_t skew_s;   /* the registry's clock is ahead of the machine's by so much */
    char problem[24]; /* "no-index", … as docs/doctor.md has them; "present", "failed" */
    char text[DOCTOR_TEXT_BYTES];
    struct doctor_layer *layers; /* lowest first */
    size_t layer_count, lazy_count;
    char mend[DOCTOR_NAME_BYTES + 128]; /* as of a finding; "": nothing is to be done */
};
struct doctor_images {
    struct doctor_image *items;
    size_t count;
};
void doctor_images_fini(struct doctor_images *images);
DEFINE_SCOPED_VALUE(doctor_images, struct doctor_images, doctor_images_fini)

/* May it be asked about? -EINVAL: it is no reference, or too long. */
MUST_CHECK int doctor_check_word(const char *word, struct err *err);
/* Asks in the machine, in one round trip; an answer for each word, in their order. `vm`: the
 * instance's name, for commands; NULL: this system. Blocks on the network for a minute and a half
 * for each word at worst. -EOPNOTSUPP: the snapshotter there is not ours, or too old. */
MUST_CHECK int doctor_ask_images(struct machine *machine, const struct text_list *words,
                                 const char *vm, struct doctor_images *ret, struct err *err);
/* What check.sh prints. -EBADMSG, -ENOMEM. */
MUST_CHECK int doctor_parse_images(struct bytes text, const struct text_list *words, const char *vm,
                                   struct doctor_images *ret, struct err *err);
/* The image is in the machine already, unpacked through others: a run takes that. */
void doctor_image_is_present(struct doctor_image *image, const char *snapshotters);

/* Both append to *ret; 0 or -ENOMEM. JSON: one line for each. */
MUST_CHECK int doctor_images_print(const struct doctor_images *images,
                                   const struct report_style *style, struct buf *ret);
MUST_CHECK int doctor_images_encode(const struct doctor_images *images, struct buf *ret);

/* ---- what the machine is like ---------------------------------------------------------------- */

enum { DOCTOR_FACTS_MAX = 200 };
struct doctor_facts {
    struct text_pair *items; /* a key as often as there are such things */
    size_t count;
};
void doctor_facts_fini(struct doctor_facts *facts);
DEFINE_SCOPED_VALUE(doctor_facts, struct doctor_facts, doctor_facts_fini)
/* One round trip. -EBADMSG: it makes no sense. */
MUST_CHECK int doctor_look(struct machine *machine, struct doctor_facts *ret, struct err *err);
/* What doctor.sh prints. */
MUST_CHECK int doctor_facts_parse(struct bytes text, struct doctor_facts *ret, struct err *err);

/* ---- findings -------------------------------------------------------------------------------- */

/* What --fix does about it. */
enum doctor_fix {
    DOCTOR_FIX_NONE,
    DOCTOR_FIX_PROVISION,     /* the machine made what it should be */
    DOCTOR_FIX_START,         /* the unit, which does not run */
    DOCTOR_FIX_REMOVE_SOCKET, /* on which nobody listens */
    DOCTOR_FIX_LOAD_FUSE,     /* the kernel's module */
    DOCTOR_FIX_SET_CLOCK,     /* the machine's, by what keeps it, else by this computer's */
    DOCTOR_FIX_HOOK,          /* which is installed and does not watch; of this computer */
};
enum { DOCTOR_FINDINGS_MAX = 64 };
struct doctor_finding {
    char area[24];                /* "unit", "disk", … as docs/doctor.md has them */
    bool is_note;                 /* worth knowing, and nothing wrong */
    char text[DOCTOR_TEXT_BYTES]; /* one line */
    char mend[DOCTOR_TEXT_BYTES]; /* a command, or words behind a #; "" of a note */
    enum doctor_fix fix;
};
enum { DOCTOR_FINE_MAX = 48 };
struct doctor_fine { /* what was looked at, and is well */
    char area[24];
    char text[DOCTOR_TEXT_BYTES];
};
enum { DOCTOR_DONE_MAX = 16 };
struct doctor {
    struct doctor_finding findings[DOCTOR_FINDINGS_MAX];
    size_t count;
    struct doctor_fine fine[DOCTOR_FINE_MAX];
    size_t fine_count;
    char done[DOCTOR_DONE_MAX][DOCTOR_TEXT_BYTES]; /* what --fix did, or could not */
    size_t done_count;
};
/* Texts are cleaned; what does not fit is dropped. A finding of the same area with the same text is
 * not added twice. */
void doctor_add(struct doctor *doctor, const struct doctor_finding *finding);
void doctor_add_fine(struct doctor *doctor, const char *area, const char *fmt, ...)
    PRINTF_LIKE(3, 4);
void doctor_add_done(struct doctor *doctor, const char *text);
bool doctor_is_well(const struct doctor *doctor); /* nothing but notes */

/* What is known beside the machine's own facts. */
struct doctor_context {
    const char *vm;            /* NULL: this system, no machine */
    int64_t before_s, after_s; /* our clock when the machine was asked; 0: not compared */
    bool is_told;              /* containerd has the settings for transfers */
    const char *containerd;    /* its version, as it says; "": none */
    const char *unit;          /* that should run: "soci-snapshotter.service" */
    const char *unit_says;     /* why it does not; "" or NULL: not known */
};
void doctor_judge(struct doctor *doctor, const struct doctor_facts *facts,
                  const struct doctor_context *context);
/* What keeps these from being lazy that is no fault of the image itself:
 * networks, credentials, ranges, clocks. One finding for a registry. */
void doctor_judge_images(struct doctor *doctor, const struct doctor_images *images, const char *vm);

/* Has the machine do what is to be fixed in it, but for DOCTOR_FIX_PROVISION; what came of it is in
 * doctor->done. */
MUST_CHECK int doctor_mend(struct machine *machine, struct doctor *doctor, const char *unit,
                           struct err *err);

/* Both append to *ret; 0 or -ENOMEM. */
MUST_CHECK int doctor_print(const struct doctor *doctor, const struct report_style *style,
                            struct buf *ret);
MUST_CHECK int doctor_encode(const struct doctor *doctor, struct buf *ret);

/* ---- a support archive ----------------------------------------------------------------------- */

enum { DOCTOR_FILES_MAX = 64, DOCTOR_FILE_NAME_BYTES = 80 };
struct doctor_file {
    char name[DOCTOR_FILE_NAME_BYTES];
    struct buf content; /* scrubbed */
};
struct doctor_archive {
    struct doctor_file files[DOCTOR_FILES_MAX];
    size_t count;
};
void doctor_archive_fini(struct doctor_archive *archive);
DEFINE_SCOPED_VALUE(doctor_archive, struct doctor_archive, doctor_archive_fini)
/* `text` without its secrets, as a file; nothing when it is empty. More than DOCTOR_FILES_MAX are
 * dropped. 0 or -ENOMEM, here and below. */
MUST_CHECK int doctor_archive_add(struct doctor_archive *archive, const char *name,
                                  struct bytes text);
/* Append `text` without what is, or looks like, a secret: passwords, tokens, headers of
 * authorization, user names and queries in addresses, variables of units, private keys. Lines of
 * any length; bytes of value 0 become blanks. */
MUST_CHECK int doctor_scrub(struct bytes text, struct buf *ret);
/* What may be shown of a config.json of Docker's: helpers, and the names of registries. */
MUST_CHECK int doctor_docker_config(struct bytes text, struct buf *ret);
/* What the machine gives. -EBADMSG: it makes no sense. What came before is in *archive then. */
MUST_CHECK int doctor_collect_sections(struct machine *machine, struct doctor_archive *archive,
                                       struct err *err);
MUST_CHECK int doctor_parse_sections(struct bytes text, struct doctor_archive *archive,
                                     struct err *err);
/* finch-soci-doctor.tar.gz as bytes; `time_s` of all files. */
MUST_CHECK int doctor_archive_encode(const struct doctor_archive *archive, int64_t time_s,
                                     struct buf *ret);

#endif
