/* SPDX-License-Identifier: Apache-2.0 */
/* man.c – a manual page in man(7)'s language: one for a program, with all its commands. */
#include "pages/pages.h"

#include "base/text.h"

#include <errno.h>
#include <string.h>

struct man {
    const struct page_program *program;
    struct buf *out;
};

/* ---- text ------------------------------------------------------------------------------------ */

/* A text in the middle of a line. Backquotes make what is typed bold; `at_start`: it begins a line,
 * where a dot would make it a request. */
static int add_text(struct buf *out, const char *text, size_t len, bool at_start)
{
    bool bold = false;
    int rc = 0;

    if (len > 0 && at_start && (*text == '.' || *text == '\''))
        rc = buf_add_str(out, "\\&");
    for (size_t i = 0; i < len && rc == 0; i++) {
        const char *s = text + i;

        if (*s == '`') {
            bold = !bold;
            rc = buf_add_str(out, bold ? "\\fB" : "\\fR");
        } else if (*s == '\\') {
            rc = buf_add_str(out, "\\e");
        } else if (*s == '-') {
            rc = buf_add_str(out, "\\-");
        } else if (text_has_prefix(s, "–")) {
            rc = buf_add_str(out, "\\(en");
            i += strlen("–") - 1;
        } else if (text_has_prefix(s, "…")) {
            rc = buf_add_str(out, "...");
            i += strlen("…") - 1;
        } else {
            rc = buf_add_byte(out, (uint8_t)*s);
        }
    }
    if (rc == 0 && bold)
        rc = buf_add_str(out, "\\fR");
    return rc;
}

static int add_line(struct buf *out, const char *text)
{
    int rc = add_text(out, text, strlen(text), true);

    return rc == 0 ? buf_add_byte(out, '\n') : rc;
}

/* Within the quotes of a request's argument. */
static int add_heading(struct buf *out, const char *request, const char *text, size_t len)
{
    int rc = buf_addf(out, ".%s \"", request);

    if (rc == 0)
        rc = add_text(out, text, len, false);
    return rc == 0 ? buf_add_str(out, "\"\n") : rc;
}

/* ---- paragraphs ------------------------------------------------------------------------------ */

enum { PARAGRAPH_INDENT = 3 };

/* Where the writing of paragraphs stands. */
struct paragraphs {
    struct buf *out;
    bool keeps_lines; /* .nf is in force */
    bool is_apart;    /* an empty line was there */
};

static int keep_lines(struct paragraphs *p, bool keep)
{
    int rc = 0;

    if (p->keeps_lines != keep)
        rc = buf_add_str(p->out, keep ? ".RS\n.nf\n" : ".fi\n.RE\n");
    p->keeps_lines = keep;
    return rc;
}

/* A table is indented further, or has gaps in its lines; its lines stay as they are. */
static bool is_of_table(const char *line, size_t len, size_t indent)
{
    if (indent > PARAGRAPH_INDENT)
        return true;
    for (size_t i = indent; i + 2 < len; i++) {
        if (line[i] == ' ' && line[i + 1] == ' ' && line[i + 2] != ' ' && line[i - 1] != '.')
            return true;
    }
    return false;
}

static int add_paragraph_line(struct paragraphs *p, const char *line, size_t len, bool verbatim)
{
    size_t indent = strspn(line, " "), cut = indent < PARAGRAPH_INDENT ? indent : PARAGRAPH_INDENT;
    int rc = 0;

    if (len == 0) {
        p->is_apart = true;
        return 0;
    }
    if (indent == 0 && verbatim) { /* a section of its own */
        rc = keep_lines(p, false);
        p->is_apart = false;
        return rc == 0 ? add_heading(p->out, "SH", line, len) : rc;
    }
    rc = keep_lines(p, verbatim || is_of_table(line, len, indent));
    if (rc == 0 && p->is_apart)
        rc = buf_add_str(p->out, ".PP\n");
    p->is_apart = false;
    if (rc == 0)
        rc = add_text(p->out, line + (p->keeps_lines ? cut : indent),
                      len - (p->keeps_lines ? cut : indent), true);
    return rc == 0 ? buf_add_byte(p->out, '\n') : rc;
}

/* `verbatim`: lines stay lines. */
static int add_paragraphs(struct buf *out, const char *text, bool verbatim)
{
    struct paragraphs p = {.out = out};
    int rc = 0;

    while (*text != '\0' && rc == 0) {
        size_t len = strcspn(text, "\n");

        rc = add_paragraph_line(&p, text, len, verbatim);
        text += len + (text[len] == '\n');
    }
    return rc == 0 ? keep_lines(&p, false) : rc;
}

/* ---- parts of a page ------------------------------------------------------------------------- */

static int add_value(struct buf *out, const char *value)
{
    size_t len = strlen(value);
    bool bare = len > 2 && value[0] == '<' && value[len - 1] == '>';
    int rc = buf_add_str(out, " \\fI");

    if (rc == 0)
        rc = add_text(out, value + (bare ? 1 : 0), len - (bare ? 2 : 0), false);
    return rc == 0 ? buf_add_str(out, "\\fR") : rc;
}

static int add_flag(struct buf *out, const struct flag *flag)
{
    int rc = buf_add_str(out, ".TP\n\\fB\\-\\-");

    if (rc == 0)
        rc = add_text(out, flag->name, strlen(flag->name), false);
    if (rc == 0)
        rc = buf_add_str(out, "\\fR");
    if (rc == 0 && flag->alias != NULL)
        rc = buf_addf(out, ", \\fB\\-%s\\fR", flag->alias);
    if (rc == 0 && flag->value != NULL)
        rc = add_value(out, flag->value);
    if (rc == 0)
        rc = buf_add_byte(out, '\n');
    if (rc == 0)
        rc = add_line(out, flag->help);
    if (rc == 0 && flag->env != NULL)
        rc = buf_addf(out, "(environment: \\fB%s\\fR)\n", flag->env);
    return rc;
}

static int add_flags(struct buf *out, const struct flag *flags, size_t count)
{
    int rc = 0;

    for (size_t i = 0; i < count && rc == 0; i++)
        rc = add_flag(out, &flags[i]);
    return rc;
}

static int add_usage(struct buf *out, const struct page_command *command, const char *path)
{
    int rc = buf_add_str(out, "\\fB");

    if (rc == 0)
        rc = add_text(out, path, strlen(path), false);
    if (rc == 0)
        rc = buf_add_str(out, "\\fR ");
    return rc == 0 ? add_line(out, command->args) : rc;
}

/* One command with its flags; those that only have others below them are not worth a heading. */
static int add_command(void *self, const struct page_command *command, const char *path)
{
    struct man *man = self;
    struct buf *out = man->out;
    int rc = 0;

    if (command == &man->program->top || command->below_count > 0)
        return 0;
    rc = add_heading(out, "SS", path, strlen(path));
    if (rc == 0)
        rc = add_usage(out, command, path);
    if (rc == 0)
        rc = buf_add_str(out, ".PP\n");
    if (rc == 0)
        rc = add_line(out, command->summary);
    if (rc == 0 && command->details != NULL)
        rc = buf_add_str(out, ".PP\n");
    if (rc == 0 && command->details != NULL)
        rc = add_paragraphs(out, command->details, false);
    if (rc == 0)
        rc = add_flags(out, command->flags, command->flag_count);
    if (rc == 0 && command->examples != NULL)
        rc = buf_add_str(out, ".PP\nExamples:\n");
    if (rc == 0 && command->examples != NULL)
        rc = add_paragraphs(out, command->examples, true);
    return rc;
}

static int add_title(const struct man *man)
{
    const struct page_program *program = man->program;
    const char *name = program->top.name;
    int rc = buf_add_str(man->out, ".\\\" Made of the table of commands; not to be edited.\n.TH ");

    for (const char *c = name; *c != '\0' && rc == 0; c++)
        rc = *c == '-' ? buf_add_str(man->out, "\\-")
                       : buf_add_byte(man->out, (uint8_t)(*c >= 'a' && *c <= 'z' ? *c - 32 : *c));
    if (rc == 0)
        rc = buf_addf(man->out, " %d \"%s\" \"finch\\-soci %s\"\n.SH NAME\n", program->section,
                      program->date, program->version);
    if (rc == 0)
        rc = add_text(man->out, name, strlen(name), true);
    if (rc == 0)
        rc = buf_add_str(man->out, " \\- ");
    return rc == 0 ? add_line(man->out, program->top.summary) : rc;
}

static int add_globals(const struct man *man)
{
    const struct page_program *program = man->program;
    int rc = buf_add_str(man->out, ".SH OPTIONS\n");

    if (rc == 0 && program->top.below_count > 0)
        rc = buf_add_str(man->out, "Every command takes these:\n");
    return rc == 0 ? add_flags(man->out, program->globals, program->global_count) : rc;
}

int page_man(const struct page_program *program, struct buf *ret)
{
    struct man man = {.program = program, .out = ret};
    const struct page_command *top = &program->top;
    int rc = add_title(&man);

    if (rc == 0)
        rc = buf_add_str(ret, ".SH SYNOPSIS\n");
    if (rc == 0)
        rc = add_usage(ret, top, top->name);
    if (rc == 0)
        rc = buf_add_str(ret, ".SH DESCRIPTION\n");
    if (rc == 0)
        rc = top->details != NULL ? add_paragraphs(ret, top->details, false)
                                  : add_line(ret, top->summary);
    if (rc == 0 && top->flag_count > 0)
        rc = add_flags(ret, top->flags, top->flag_count);
    if (rc == 0 && top->below_count > 0)
        rc = buf_add_str(ret, ".SH COMMANDS\n");
    if (rc == 0)
        rc = page_walk(program, &(struct page_walk){.each = add_command, .self = &man});
    if (rc == 0)
        rc = add_globals(&man);
    if (rc == 0 && top->examples != NULL)
        rc = buf_add_str(ret, ".SH EXAMPLES\n");
    if (rc == 0 && top->examples != NULL)
        rc = add_paragraphs(ret, top->examples, true);
    return rc == 0 ? buf_addf(ret, ".SH SEE ALSO\n%s\n", program->see_also) : rc;
}
