/* SPDX-License-Identifier: Apache-2.0 */
/* zsh.c – completion for zsh: a function for each command, with _arguments. */
#include "pages/pages.h"

#include "base/text.h"

#include <errno.h>
#include <string.h>

struct zsh {
    const struct page_program *program;
    struct buf *out;
};

/* A text within single quotes, where _arguments and _describe take `special` to mean something. */
static int add_text(struct buf *out, const char *text, const char *special)
{
    int rc = 0;

    for (; *text != '\0' && rc == 0; text++) {
        if (*text == '\'')
            rc = buf_add_str(out, "'\\''");
        else if (strchr(special, *text) != NULL)
            rc = buf_addf(out, "\\%c", *text);
        else
            rc = buf_add_byte(out, (uint8_t)*text);
    }
    return rc;
}

static int add_spec(struct buf *out, const char *dashes, const char *name, const struct flag *flag)
{
    static const char *const values[] = {[PAGE_NONE] = "",
                                         [PAGE_FILE] = ":file:_files",
                                         [PAGE_DIR] = ":directory:_files -/",
                                         [PAGE_ANY] = ":value: "};
    enum page_value value = page_value_of(flag);
    bool is_long = strlen(dashes) == 2;
    int rc = buf_addf(out, "        '%s%s%s[", dashes, name,
                      value == PAGE_NONE ? ""
                      : is_long          ? "="
                                         : "+");

    if (rc == 0)
        rc = add_text(out, flag->help, "[]\\:");
    return rc == 0 ? buf_addf(out, "]%s' \\\n", values[value]) : rc;
}

static int add_flags(struct buf *out, const struct flag *flags, size_t count)
{
    int rc = 0;

    for (size_t i = 0; i < count && rc == 0; i++) {
        rc = add_spec(out, "--", flags[i].name, &flags[i]);
        if (rc == 0 && flags[i].alias != NULL)
            rc = add_spec(out, "-", flags[i].alias, &flags[i]);
    }
    return rc;
}

/* A command's own flag stands in front of the flag of all commands with that name. */
static bool is_hidden(const struct page_command *command, const struct flag *global)
{
    for (size_t i = 0; i < command->flag_count; i++) {
        if (strcmp(command->flags[i].name, global->name) == 0)
            return true;
    }
    return false;
}

static int add_function_name(struct buf *out, const char *path)
{
    int rc = buf_add_byte(out, '_');

    for (; *path != '\0' && rc == 0; path++)
        rc = buf_add_byte(out, *path == ' ' ? '_' : (uint8_t)*path);
    return rc;
}

static int add_descriptions(const struct zsh *zsh, const struct page_command *command)
{
    int rc = buf_add_str(zsh->out, "    case $state in\n    command)\n        commands=(\n");

    for (size_t i = 0; i < command->below_count && rc == 0; i++) {
        rc = buf_addf(zsh->out, "            '%s:", command->below[i].name);
        if (rc == 0)
            rc = add_text(zsh->out, command->below[i].summary, ":\\");
        if (rc == 0)
            rc = buf_add_str(zsh->out, "'\n");
    }
    if (rc == 0 && zsh->program->has_help)
        rc = buf_add_str(zsh->out, "            'help:the page of a command'\n");
    return rc == 0 ? buf_add_str(zsh->out, "        )\n        _describe -t commands command "
                                           "commands\n        ;;\n    rest)\n        case "
                                           "$line[1] in\n")
                   : rc;
}

static int add_rest(const struct zsh *zsh, const struct page_command *command, const char *path)
{
    int rc = add_descriptions(zsh, command);

    for (size_t i = 0; i < command->below_count && rc == 0; i++) {
        SCOPED(mem) char *longer = text_format("%s %s", path, command->below[i].name);

        rc = longer == NULL ? -ENOMEM : buf_addf(zsh->out, "        %s) ", command->below[i].name);
        if (rc == 0)
            rc = add_function_name(zsh->out, longer);
        if (rc == 0)
            rc = buf_add_str(zsh->out, " ;;\n");
    }
    if (rc == 0 && zsh->program->has_help) {
        rc = buf_add_str(zsh->out, "        help) ");
        if (rc == 0)
            rc = add_function_name(zsh->out, path);
        if (rc == 0)
            rc = buf_add_str(zsh->out, " ;;\n");
    }
    return rc == 0 ? buf_add_str(zsh->out, "        esac\n        ;;\n    esac\n") : rc;
}

static int add_command(void *self, const struct page_command *command, const char *path)
{
    const struct zsh *zsh = self;
    bool has_below = command->below_count > 0;
    int rc = add_function_name(zsh->out, path);

    if (rc == 0)
        rc = buf_addf(zsh->out, "() {\n%s    _arguments%s \\\n",
                      has_below ? "    local state line commands\n" : "", has_below ? " -C" : "");
    if (rc == 0)
        rc = add_flags(zsh->out, command->flags, command->flag_count);
    for (size_t i = 0; i < zsh->program->global_count && rc == 0; i++) {
        if (!is_hidden(command, &zsh->program->globals[i]))
            rc = add_flags(zsh->out, &zsh->program->globals[i], 1);
    }
    if (rc == 0)
        rc = buf_add_str(zsh->out, has_below ? "        '1: :->command' '*:: :->rest'\n"
                                             : "        '*: : '\n");
    if (rc == 0 && has_below)
        rc = add_rest(zsh, command, path);
    return rc == 0 ? buf_add_str(zsh->out, "}\n\n") : rc;
}

int page_zsh(const struct page_program *program, struct buf *ret)
{
    struct zsh zsh = {.program = program, .out = ret};
    int rc =
        buf_addf(ret, "#compdef %s\n# Completion for zsh, made of the table of commands of %s.\n\n",
                 program->top.name, program->top.name);

    if (rc == 0)
        rc = page_walk(program, &(struct page_walk){.each = add_command, .self = &zsh});
    return rc == 0 ? buf_addf(ret, "_%s \"$@\"\n", program->top.name) : rc;
}
