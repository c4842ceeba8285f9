/* SPDX-License-Identifier: Apache-2.0 */
/* apply.c – has the steps done over there, by one run of a script that holds the lock. What the
 * steps need goes up first, to a directory of this run alone. */
#include "internal.h"

#include <errno.h>
#include <stdio.h>

enum { APPLY_TIMEOUT_MS = 20 * 60 * 1000, EXIT_BUSY = 45 };

/* ---- what the script says -------------------------------------------------------------------- */

struct talk {
    const struct guest_progress *progress; /* NULL: nobody listens */
    char line[512];
    size_t len;
    unsigned done, of;
    bool is_nothing;
};

static void take_line(struct talk *talk)
{
    const char *text = NULL;

    talk->line[talk->len] = '\0';
    talk->len = 0;
    if (strcmp(talk->line, "nothing") == 0)
        talk->is_nothing = true;
    if (text_has_prefix(talk->line, "step ")) {
        text = talk->line + 5;
        talk->done = talk->done < talk->of ? talk->done + 1 : talk->of;
    } else if (text_has_prefix(talk->line, "note ")) {
        text = talk->line + 5;
    }
    if (text != NULL && talk->progress != NULL)
        talk->progress->step(talk->progress->self, text, talk->done, talk->of);
}

/* Pieces as they come; what is no text is not shown, and long lines are cut. */
static int take_output(void *self, struct bytes piece)
{
    struct talk *talk = self;

    for (size_t i = 0; i < piece.len; i++) {
        if (piece.data[i] == '\n')
            take_line(talk);
        else if (talk->len + 1 < sizeof(talk->line))
            talk->line[talk->len++] = (char)(piece.data[i] < ' ' ? '?' : piece.data[i]);
    }
    return 0;
}

/* The script's last line on standard error. */
static int failed(struct machine_result *result, struct err *err)
{
    char *text = buf_str(&result->err), *line;
    size_t len = text == NULL ? 0 : strlen(text);
    int code = result->exit_status == EXIT_BUSY ? -EBUSY : -EIO;

    while (len > 0 && text[len - 1] == '\n')
        text[--len] = '\0';
    if (len == 0)
        return err_set(err, -EIO, "the work over there ended with status %d; run this again",
                       result->exit_status);
    line = strrchr(text, '\n');
    return err_set(err, code, "%s", line == NULL ? text : line + 1);
}

static int run_script(struct machine *machine, const char *script, struct bytes input,
                      struct talk *talk, struct err *err)
{
    SCOPED(machine_result) struct machine_result result = MACHINE_RESULT_NONE;
    struct machine_run run = {.script = script,
                              .input = input,
                              .timeout_ms = APPLY_TIMEOUT_MS,
                              .output = take_output,
                              .self = talk};
    int rc = machine_run(machine, &run, &result, err);

    if (rc < 0)
        return rc;
    return result.exit_status == 0 ? 0 : failed(&result, err);
}

/* ---- what goes up ---------------------------------------------------------------------------- */

static int make_stage(struct machine *machine, char **ret, struct err *err)
{
    SCOPED(machine_result) struct machine_result result = MACHINE_RESULT_NONE;
    struct machine_run run = {.script = guest_stage_text};
    int rc = machine_run(machine, &run, &result, err);
    char *text;

    if (rc < 0)
        return rc;
    if (result.exit_status != 0)
        return failed(&result, err);
    text = buf_str(&result.out);
    if (text == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    text[strcspn(text, "\n")] = '\0';
    if (!text_has_prefix(text, "/var/lib/finch-soci/stage.") || strchr(text, ' ') != NULL)
        return err_set(err, -EPROTO, "the machine made no directory for what goes up");
    *ret = text_copy(text);
    return *ret == NULL ? err_set(err, -ENOMEM, "out of memory") : 0;
}

static int64_t read_bytes(void *self, void *out, size_t len, struct err *err)
{
    struct bytes *left = self;
    size_t take = len < left->len ? len : left->len;

    (void)err;
    if (take > 0)
        memcpy(out, left->data, take);
    *left = bytes_of(left->data + take, left->len - take);
    return (int64_t)take;
}

static int put_up(struct machine *machine, const struct guest_step *step, const char *stage,
                  struct err *err)
{
    SCOPED(mem) char *path = text_format("%s/%s", stage, step->sha256);
    struct bytes left = step->content;
    struct machine_put put = {
        .path = path, .mode = 0600, .read = read_bytes, .self = &left, .size = left.len};

    if (path == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    if (text_unhex(step->sha256, put.sha256, sizeof(put.sha256)) < 0)
        return err_set(err, -EINVAL, "no digest: %s", step->sha256);
    return machine_put_file(machine, &put, err);
}

static int put_all_up(struct machine *machine, const struct guest_plan *plan, const char *stage,
                      struct err *err)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < plan->count; i++)
        if (plan->steps[i].verb == GUEST_PUT || plan->steps[i].verb == GUEST_PUT_BLOCK)
            rc = put_up(machine, &plan->steps[i], stage, err);
    return rc;
}

/* ---- the plan, as apply.sh reads it ---------------------------------------------------------- */

static int add_step_line(const struct guest_plan *plan, const struct guest_step *step,
                         struct buf *ret)
{
    switch (step->verb) {
    case GUEST_SWAP:
        return buf_addf(ret, "swap %s\n", plan->now ? "yes" : "no");
    case GUEST_PUT:
    case GUEST_PUT_BLOCK:
        return buf_addf(ret, "file %s %o %s %s %s\n", step->effects, step->mode, step->sha256,
                        step->verb == GUEST_PUT ? "whole" : "block", step->path);
    case GUEST_PUT_LINK:
        return buf_addf(ret, "link %s %.*s %s\n", step->effects, (int)step->content.len,
                        (const char *)step->content.data, step->path);
    case GUEST_EFFECTS:
        return buf_addf(ret, "effects %s\n", step->effects);
    }
    return 0;
}

static int encode(const struct guest_plan *plan, const char *stage, struct buf *ret,
                  struct err *err)
{
    int rc = buf_addf(ret, "stage %s\nroot %s\nunit %s\nconfig %s\n", stage, plan->root, plan->unit,
                      plan->containerd_config);

    for (size_t i = 0; rc == 0 && i < plan->count; i++)
        rc = add_step_line(plan, &plan->steps[i], ret);
    if (rc == 0)
        rc = buf_addf(ret, "settle %s\n", plan->version);
    return rc < 0 ? err_set(err, rc, "out of memory") : 0;
}

/* What goes up is there three times for a moment: uploaded, staged, installed. */
static uint64_t room_of(const struct guest_plan *plan)
{
    uint64_t bytes = 512 * 1024; /* what is noted, and copies of what was there */

    for (size_t i = 0; i < plan->count; i++)
        bytes += 3 * (uint64_t)plan->steps[i].content.len;
    return bytes;
}

int guest_apply(struct machine *machine, const struct guest_plan *plan,
                const struct guest_progress *progress, struct err *err)
{
    struct talk talk = {.progress = progress, .of = (unsigned)plan->count + 4};
    SCOPED(buf_value) struct buf lines = BUF_EMPTY;
    SCOPED(mem) char *stage = NULL;
    int rc;

    if (plan->count == 0)
        return 0;
    rc = make_stage(machine, &stage, err);
    if (rc == 0)
        rc = put_all_up(machine, plan, stage, err);
    if (rc == 0)
        rc = encode(plan, stage, &lines, err);
    if (rc == 0)
        rc = run_script(machine, guest_apply_text, buf_bytes(&lines), &talk, err);
    return rc < 0 ? guest_explain_room(machine, room_of(plan), rc, err) : 0;
}

int guest_undo(struct machine *machine, bool purge, const struct guest_progress *progress,
               struct err *err)
{
    struct talk talk = {.progress = progress, .of = 0};
    int rc =
        run_script(machine, guest_undo_text, bytes_of_str(purge ? "purge" : "keep"), &talk, err);

    if (rc < 0)
        return guest_explain_room(machine, 64 * 1024, rc, err);
    return talk.is_nothing ? 0 : 1;
}
