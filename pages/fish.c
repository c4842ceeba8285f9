/* SPDX-License-Identifier: Apache-2.0 */
/* fish.c – completion for fish: a function that tells which commands were typed, and a line for
 * each word and flag. */
#include "pages/pages.h"

#include "base/text.h"

#include <errno.h>

struct fish {
    const struct page_program *program;
    struct buf *out;
    const char *function;
};

/* Within fish's single quotes. */
static int add_quoted(struct buf *out, const char *text)
{
    int rc = buf_add_byte(out, '\'');

    for (; *text != '\0' && rc == 0; text++) {
        if (*text == '\'' || *text == '\\')
            rc = buf_add_byte(out, '\\');
        if (rc == 0)
            rc = buf_add_byte(out, (uint8_t)*text);
    }
    return rc == 0 ? buf_add_byte(out, '\'') : rc;
}

static int add_flag(const struct fish *fish, const char *path, const struct flag *flag)
{
    static const char *const values[] = {
        [PAGE_NONE] = "", [PAGE_FILE] = " -r -F", [PAGE_DIR] = " -x", [PAGE_ANY] = " -x"};
    enum page_value value = page_value_of(flag);
    int rc = buf_addf(fish->out, "complete -c %s", fish->program->top.name);

    if (rc == 0 && path != NULL)
        rc = buf_addf(fish->out, " -n '%s_at \"%s\"'", fish->function, path);
    if (rc == 0)
        rc = buf_addf(fish->out, " -l %s", flag->name);
    if (rc == 0 && flag->alias != NULL)
        rc = buf_addf(fish->out, " -s %s", flag->alias);
    if (rc == 0)
        rc = buf_add_str(fish->out, values[value]);
    if (rc == 0 && value == PAGE_DIR)
        rc = buf_add_str(fish->out, " -a '(__fish_complete_directories)'");
    if (rc == 0)
        rc = buf_add_str(fish->out, " -d ");
    if (rc == 0)
        rc = add_quoted(fish->out, flag->help);
    return rc == 0 ? buf_add_byte(fish->out, '\n') : rc;
}

static int add_word(const struct fish *fish, const char *path, const char *name,
                    const char *summary)
{
    int rc = buf_addf(fish->out, "complete -c %s -n '%s_at \"%s\"' -a %s -d ",
                      fish->program->top.name, fish->function, path, name);

    if (rc == 0)
        rc = add_quoted(fish->out, summary);
    return rc == 0 ? buf_add_byte(fish->out, '\n') : rc;
}

static int add_command(void *self, const struct page_command *command, const char *path)
{
    const struct fish *fish = self;
    int rc = 0;

    for (size_t i = 0; i < command->below_count && rc == 0; i++)
        rc = add_word(fish, path, command->below[i].name, command->below[i].summary);
    if (rc == 0 && command->below_count > 0 && fish->program->has_help)
        rc = add_word(fish, path, "help", "the page of a command");
    for (size_t i = 0; i < command->flag_count && rc == 0; i++)
        rc = add_flag(fish, path, &command->flags[i]);
    return rc;
}

/* "|--config|--root|" of all that have a value. */
static int add_valued(void *self, const struct page_command *command, const char *path)
{
    const struct fish *fish = self;
    int rc = 0;

    (void)path;
    for (size_t i = 0; i < command->flag_count && rc == 0; i++) {
        if (page_value_of(&command->flags[i]) == PAGE_NONE)
            continue;
        rc = buf_addf(fish->out, " --%s", command->flags[i].name);
        if (rc == 0 && command->flags[i].alias != NULL)
            rc = buf_addf(fish->out, " -%s", command->flags[i].alias);
    }
    return rc;
}

static int add_known(void *self, const struct page_command *command, const char *path)
{
    const struct fish *fish = self;

    (void)command;
    return buf_addf(fish->out, " '%s'", path);
}

static int add_functions(struct fish *fish)
{
    const struct page_program *program = fish->program;
    const struct page_command globals = {.flags = program->globals,
                                         .flag_count = program->global_count};
    int rc = buf_addf(fish->out,
                      "# Are the commands that were typed, without flags, those in $argv?\n"
                      "function %s_at\n    set -l path %s\n    set -l value no\n"
                      "    set -l known",
                      fish->function, program->top.name);

    if (rc == 0)
        rc = page_walk(program, &(struct page_walk){.each = add_known, .self = fish});
    if (rc == 0)
        rc = buf_add_str(fish->out, "\n    set -l valued");
    if (rc == 0)
        rc = page_walk(program, &(struct page_walk){.each = add_valued, .self = fish});
    if (rc == 0)
        rc = add_valued(fish, &globals, NULL);
    return rc == 0 ? buf_add_str(fish->out, "\n    for word in (commandline -opc)[2..-1]\n"
                                            "        if test $value = yes\n"
                                            "            set value no\n"
                                            "        else if contains -- $word $valued\n"
                                            "            set value yes\n"
                                            "        else if contains -- \"$path $word\" $known\n"
                                            "            set path \"$path $word\"\n"
                                            "        end\n"
                                            "    end\n"
                                            "    test \"$path\" = \"$argv\"\n"
                                            "end\n\n")
                   : rc;
}

int page_fish(const struct page_program *program, struct buf *ret)
{
    SCOPED(mem) char *function = text_format("__%s", program->top.name);
    struct fish fish = {.program = program, .out = ret, .function = function};
    int rc;

    if (function == NULL)
        return -ENOMEM;
    for (char *c = function; *c != '\0'; c++)
        if (*c == '-')
            *c = '_';
    rc = buf_addf(ret, "# Completion for fish, made of the table of commands of %s.\n\n",
                  program->top.name);
    if (rc == 0)
        rc = add_functions(&fish);
    if (rc == 0)
        rc = buf_addf(ret, "complete -c %s -f\n", program->top.name);
    for (size_t i = 0; i < program->global_count && rc == 0; i++)
        rc = add_flag(&fish, NULL, &program->globals[i]);
    if (rc == 0)
        rc = page_walk(program, &(struct page_walk){.each = add_command, .self = &fish});
    return rc;
}
