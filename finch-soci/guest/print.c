/* SPDX-License-Identifier: Apache-2.0 */
/* print.c – a plan as a person reads a diff. */
#include "internal.h"

#include <errno.h>

enum { CONTEXT_LINES = 3 };

struct lines {
    struct bytes at[4096];
    size_t count;
};

struct paint {
    struct buf *out;
    bool colour;
    int rc;
};

static void add_line(struct paint *paint, const char *colour, const char *sign, struct bytes line)
{
    if (paint->rc == 0)
        paint->rc = buf_addf(paint->out, "%s%s%.*s%s\n", paint->colour ? colour : "", sign,
                             (int)line.len, line.len == 0 ? "" : (const char *)line.data,
                             paint->colour && colour[0] != '\0' ? "\033[0m" : "");
}

static void add_text(struct paint *paint, const char *colour, const char *text)
{
    add_line(paint, colour, "", bytes_of_str(text));
}

/* The last of `ret` takes what does not fit. */
static void split(struct bytes text, struct lines *ret)
{
    ret->count = 0;
    while (text.len > 0 && ret->count < ARRAY_LEN(ret->at)) {
        const uint8_t *newline = memchr(text.data, '\n', text.len);
        size_t len = newline == NULL ? text.len : (size_t)(newline - text.data);

        ret->at[ret->count++] = bytes_of(text.data, len);
        len += newline == NULL ? 0 : 1;
        text = bytes_of(text.data + len, text.len - len);
    }
}

/* What is equal in front and behind is left out, but for a few lines: our changes are in one place
 * mostly, and a person wants to see them whole. */
static void add_diff(struct paint *paint, const struct lines *before, const struct lines *after)
{
    size_t front = 0, behind = 0,
           least = before->count < after->count ? before->count : after->count;

    while (front < least && bytes_equal(before->at[front], after->at[front]))
        front++;
    while (behind < least - front && bytes_equal(before->at[before->count - 1 - behind],
                                                 after->at[after->count - 1 - behind]))
        behind++;
    for (size_t i = front > CONTEXT_LINES ? front - CONTEXT_LINES : 0; i < front; i++)
        add_line(paint, "", " ", before->at[i]);
    for (size_t i = front; i < before->count - behind; i++)
        add_line(paint, "\033[31m", "-", before->at[i]);
    for (size_t i = front; i < after->count - behind; i++)
        add_line(paint, "\033[32m", "+", after->at[i]);
    for (size_t i = 0; i < behind && i < CONTEXT_LINES; i++)
        add_line(paint, "", " ", before->at[before->count - behind + i]);
}

static void add_heading(struct paint *paint, const struct guest_step *step)
{
    SCOPED(mem) char *old = text_format("--- %s", step->was_there ? step->path : "/dev/null");
    SCOPED(mem) char *new = text_format("+++ %s", step->path);

    if (old == NULL || new == NULL) {
        paint->rc = -ENOMEM;
        return;
    }
    add_text(paint, "\033[1m", old);
    add_text(paint, "\033[1m", new);
}

static void add_file(struct paint *paint, const struct guest_step *step)
{
    SCOPED(mem) struct lines *before = malloc(sizeof(*before));
    SCOPED(mem) struct lines *after = malloc(sizeof(*after));

    if (before == NULL || after == NULL) {
        paint->rc = -ENOMEM;
        return;
    }
    split(buf_bytes(&step->before), before);
    split(step->content, after);
    add_heading(paint, step);
    add_diff(paint, before, after);
}

static void add_program(struct paint *paint, const struct guest_plan *plan,
                        const struct guest_step *step)
{
    SCOPED(mem)
    char *text = text_format("+ %s: program %s, %zu bytes, mode %04o, sha256:%.12s…%s", step->path,
                             plan->version, step->content.len, step->mode, step->sha256,
                             step->was_there ? ", in place of another" : "");

    if (text == NULL)
        paint->rc = -ENOMEM;
    else
        add_text(paint, "\033[32m", text);
}

static void add_action(struct paint *paint, const struct guest_plan *plan,
                       const struct guest_step *step)
{
    SCOPED(mem) char *text = NULL;

    if (step->verb == GUEST_SWAP)
        text =
            text_format("! take over from the snapshotter that is here: its data goes aside, its "
                        "images have to be pulled again%s",
                        plan->now ? ", its containers are removed" : "");
    else if (strcmp(step->effects, "containerd") == 0)
        text = text_format("! restart containerd: it does not know the snapshotter soci");
    else if (strcmp(step->effects, "daemon") == 0)
        text = text_format("! start %s: it does not answer", plan->unit);
    else
        text = text_format("! end what an earlier run has begun");
    if (text == NULL)
        paint->rc = -ENOMEM;
    else
        add_text(paint, "\033[33m", text);
}

static void add_link(struct paint *paint, const struct guest_step *step)
{
    SCOPED(mem)
    char *text = text_format("+ %s -> %.*s", step->path, (int)step->content.len,
                             (const char *)step->content.data);

    if (text == NULL)
        paint->rc = -ENOMEM;
    else
        add_text(paint, "\033[32m", text);
}

static void add_restarts(struct paint *paint, const struct guest_plan *plan)
{
    static const struct {
        const char *effect, *text;
    } known[] = {{"reload", "! reload units"},
                 {"daemon", "! restart the daemon"},
                 {"containerd", "! restart containerd"}};

    for (size_t k = 0; k < ARRAY_LEN(known); k++)
        for (size_t i = 0; i < plan->count; i++)
            if (plan->steps[i].verb != GUEST_EFFECTS &&
                strstr(plan->steps[i].effects, known[k].effect) != NULL) {
                add_text(paint, "\033[33m", known[k].text);
                break;
            }
}

int guest_plan_print(const struct guest_plan *plan, bool colour, struct buf *ret)
{
    struct paint paint = {.out = ret, .colour = colour};

    for (size_t i = 0; i < plan->count; i++) {
        const struct guest_step *step = &plan->steps[i];

        if (step->verb == GUEST_SWAP || step->verb == GUEST_EFFECTS)
            add_action(&paint, plan, step);
        else if (step->verb == GUEST_PUT_LINK)
            add_link(&paint, step);
        else if (step->is_program)
            add_program(&paint, plan, step);
        else
            add_file(&paint, step);
    }
    add_restarts(&paint, plan);
    return paint.rc;
}
