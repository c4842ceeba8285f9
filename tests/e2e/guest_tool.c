/* SPDX-License-Identifier: Apache-2.0 */
/* guest_tool.c – finch-soci/guest/ on this machine, for scripts.
 *
 *   guest-tool plan|apply|undo|state [BUNDLE] [now] [force] [default] [purge]
 *
 * Exit code 0; 3: plan is not empty, apply had nothing to do, undo found nothing; 1 and a line on
 * stderr: an error, 4: EBUSY. */
#include "guest/guest.h"

#include <errno.h>
#include <stdio.h>

struct words {
    const char *verb, *bundle;
    struct guest_options options;
    bool purge;
};

static struct words read_words(int argc, char **argv)
{
    struct words words = {.verb = argc > 1 ? argv[1] : ""};

    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "now") == 0)
            words.options.now = true;
        else if (strcmp(argv[i], "force") == 0)
            words.options.force = true;
        else if (strcmp(argv[i], "default") == 0)
            words.options.is_default = true;
        else if (strcmp(argv[i], "purge") == 0)
            words.purge = true;
        else
            words.bundle = argv[i];
    }
    return words;
}

static void show_step(void *self, const char *what, unsigned done, unsigned of)
{
    (void)self;
    (void)printf("[%u/%u] %s\n", done, of, what);
    (void)fflush(stdout);
}

static int show_plan(const struct guest_plan *plan, struct err *err)
{
    SCOPED(buf_value) struct buf text = BUF_EMPTY;
    int rc = guest_plan_print(plan, false, &text);

    if (rc < 0)
        return err_set(err, rc, "out of memory");
    if (text.len > 0)
        (void)fwrite(text.data, 1, text.len, stdout);
    return guest_plan_is_empty(plan) ? 0 : 3;
}

static int show_state(struct machine *machine, const struct guest_facts *facts,
                      struct bundle *bundle, struct err *err)
{
    SCOPED(guest_state) struct guest_state state = {.count = 0};
    int rc = guest_state_get(machine, facts, bundle, &state, err);

    for (size_t i = 0; rc == 0 && i < state.count; i++)
        (void)printf("%s %s: %s%s%s\n", state.checks[i].well ? "well" : "BAD", state.checks[i].name,
                     state.checks[i].text, state.checks[i].mend[0] == '\0' ? "" : "; mend with ",
                     state.checks[i].mend);
    return rc;
}

static int work(struct machine *machine, const struct words *words, struct err *err)
{
    const struct guest_progress progress = {.step = show_step};
    SCOPED(guest_facts) struct guest_facts *facts = NULL;
    SCOPED(bundle) struct bundle *bundle = NULL;
    SCOPED(guest_plan) struct guest_plan *plan = NULL;
    int rc;

    if (strcmp(words->verb, "undo") == 0) {
        rc = guest_undo(machine, words->purge, &progress, err);
        return rc < 0 ? rc : (rc == 0 ? 3 : 0);
    }
    rc = guest_look(machine, &facts, err);
    if (rc == 0)
        rc = bundle_open(words->bundle, guest_arch(facts), &bundle, err);
    if (rc == 0 && strcmp(words->verb, "state") == 0)
        return show_state(machine, facts, bundle, err);
    if (rc == 0)
        rc = guest_plan_new(facts, &words->options, bundle, &plan, err);
    if (rc < 0)
        return rc;
    if (strcmp(words->verb, "apply") != 0)
        return show_plan(plan, err);
    rc = guest_apply(machine, plan, &progress, err);
    return rc == 0 && guest_plan_is_empty(plan) ? 3 : rc;
}

int main(int argc, char **argv)
{
    const struct words words = read_words(argc, argv);
    SCOPED(machine) struct machine *machine = NULL;
    struct err err = ERR_NONE;
    int rc = machine_open_local(&machine, &err);

    if (rc == 0)
        rc = work(machine, &words, &err);
    if (rc < 0)
        (void)fprintf(stderr, "%s\n", err_text(&err));
    return rc == -EBUSY ? 4 : (rc < 0 ? 1 : rc);
}
