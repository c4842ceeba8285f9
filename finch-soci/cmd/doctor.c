/* SPDX-License-Identifier: Apache-2.0 */
/* doctor.c – `finch-soci doctor`: looks closer than `status`, and mends what is safe to mend. */
#include "cmd/internal.h"

#include "doctor/doctor.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct options {
    bool json, fix;
    const char *bundle;
    const struct text_list *words;
};

static int show(const struct doctor *doctor, bool json, struct err *err)
{
    const struct report_style style = {.colour = say_in_colour(stdout)};
    SCOPED(buf_value) struct buf text = BUF_EMPTY;
    int rc = json ? doctor_encode(doctor, &text) : doctor_print(doctor, &style, &text);

    if (rc < 0)
        return err_set(err, rc, "out of memory");
    (void)fwrite(text.data, 1, text.len, stdout);
    return doctor_is_well(doctor) ? CMD_FINE : CMD_NOT_WELL;
}

/* What was done is told with what is left. */
static int repair(struct session *session, const struct options *options, struct doctor *doctor,
                  struct err *err)
{
    SCOPED(mem) struct doctor *left = calloc(1, sizeof(*left));
    int rc =
        left == NULL ? err_set(err, -ENOMEM, "out of memory") : doctor_repair(session, doctor, err);

    if (rc < 0 || doctor->done_count == 0)
        return rc;
    rc = doctor_collect(session, options->words, left, err);
    if (rc < 0)
        return rc;
    memcpy(left->done, doctor->done, sizeof(left->done));
    left->done_count = doctor->done_count;
    *doctor = *left;
    return 0;
}

static int run(const struct cmd_globals *globals, const void *self, struct err *err)
{
    SCOPED(session) struct session session = {.config = NULL};
    SCOPED(mem) struct doctor *doctor = calloc(1, sizeof(*doctor));
    const struct options *options = self;
    int rc = doctor == NULL ? err_set(err, -ENOMEM, "out of memory") : 0;

    for (size_t i = 0; i < options->words->count; i++) {
        if (doctor_check_word(options->words->items[i], err) < 0)
            return say_refused("%s", err_text(err));
    }
    if (options->bundle != NULL && *options->bundle == '\0')
        return say_refused("--bundle: the name of a file is missing");
    if (rc == 0 && options->bundle != NULL)
        rc = doctor_may_write(options->bundle, err);
    if (rc == 0)
        rc = session_open(globals, &session, err);
    if (rc == 0)
        rc = doctor_collect(&session, options->words, doctor, err);
    if (rc == 0 && options->fix)
        rc = repair(&session, options, doctor, err);
    if (rc == 0 && options->bundle != NULL)
        return doctor_write_bundle(&session, doctor, options->bundle, err);
    return rc < 0 ? rc : show(doctor, options->json, err);
}

static const struct flag flags[] = {
    {.name = "json",
     .kind = FLAG_BOOL,
     .offset = offsetof(struct options, json),
     .help = "one JSON object (docs/doctor.md)"},
    {.name = "fix",
     .kind = FLAG_BOOL,
     .offset = offsetof(struct options, fix),
     .help = "mend what is safe to mend, and tell what was done"},
    {.name = "bundle",
     .kind = FLAG_TEXT,
     .offset = offsetof(struct options, bundle),
     .value = "<file>",
     .help = "write an archive (.tar.gz) for support, with logs and facts, without secrets"},
};

const struct cmd_verb cmd_verb_doctor = {
    .name = "doctor",
    .args = "[flags] [IMAGE | HOST/…]",
    .summary = "find out what is wrong, and what mends it",
    .details =
        "   Looks closer than `status`: what the kernel can do, by trying; disks; clocks;\n"
        "   whether registries answer the machine, take its credentials and give parts of\n"
        "   layers; what competes with the snapshotter; ssh; the hook. ok is well, !! is wrong,\n"
        "   with the command that mends it, -- is worth knowing. Asked are the registries of the\n"
        "   images that the machine has, and those of IMAGE and HOST/.\n"
        "   --fix starts a unit that does not run, removes a socket on which nobody listens,\n"
        "   loads FUSE's module, sets the machine's clock, has the hook run again, and does\n"
        "   what `finch-soci provision` does; nothing of a container is touched.\n"
        "   The exit status is 3 when something is wrong, after --fix: still.\n"
        "   --bundle writes logs and facts of this computer and of the machine into a file that\n"
        "   only you can read. Passwords, tokens, and what else is secret in them is left out;\n"
        "   look through it all the same before you send it to anybody. (The programs for the\n"
        "   machine, which --bundle names for other commands: FINCH_SOCI_BUNDLE.)\n",
    .examples = "   finch-soci doctor\n"
                "   finch-soci doctor registry.example/\n"
                "   finch-soci doctor --fix\n"
                "   finch-soci doctor --bundle support.tar.gz\n",
    .flags = flags,
    .flag_count = ARRAY_LEN(flags),
    .options_bytes = sizeof(struct options),
    .words_max = 100,
    .words_offset = offsetof(struct options, words),
    .run = run,
};
