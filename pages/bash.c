/* SPDX-License-Identifier: Apache-2.0 */
/* bash.c – completion for bash: two tables, of words and of flags with a value, and a walk along
 * the words that were typed. */
#include "pages/pages.h"

#include "base/text.h"

#include <errno.h>

struct bash {
    const struct page_program *program;
    struct buf *out;
};

static int add_flags(struct buf *out, const struct flag *flags, size_t count)
{
    int rc = 0;

    for (size_t i = 0; i < count && rc == 0; i++) {
        rc = buf_addf(out, " --%s", flags[i].name);
        if (rc == 0 && flags[i].alias != NULL)
            rc = buf_addf(out, " -%s", flags[i].alias);
    }
    return rc;
}

static int add_words(void *self, const struct page_command *command, const char *path)
{
    struct bash *bash = self;
    int rc = buf_addf(bash->out, "    '%s') words='", path);

    for (size_t i = 0; i < command->below_count && rc == 0; i++)
        rc = buf_addf(bash->out, "%s%s", i == 0 ? "" : " ", command->below[i].name);
    if (rc == 0 && command->below_count > 0 && bash->program->has_help)
        rc = buf_add_str(bash->out, " help");
    if (rc == 0)
        rc = buf_add_str(bash->out, "' flags='");
    if (rc == 0)
        rc = add_flags(bash->out, command->flags, command->flag_count);
    return rc == 0 ? buf_add_str(bash->out, "' ;;\n") : rc;
}

static int add_values_of(struct buf *out, const char *path, const struct flag *flags, size_t count)
{
    static const char *const names[] = {
        [PAGE_NONE] = "", [PAGE_FILE] = "file", [PAGE_DIR] = "dir", [PAGE_ANY] = "any"};
    int rc = 0;

    for (size_t i = 0; i < count && rc == 0; i++) {
        enum page_value value = page_value_of(&flags[i]);

        if (value == PAGE_NONE)
            continue;
        rc = buf_addf(out, "    '%s --%s'", path, flags[i].name);
        if (rc == 0 && flags[i].alias != NULL)
            rc = buf_addf(out, " | '%s -%s'", path, flags[i].alias);
        if (rc == 0)
            rc = buf_addf(out, ") value=%s ;;\n", names[value]);
    }
    return rc;
}

static int add_values(void *self, const struct page_command *command, const char *path)
{
    struct bash *bash = self;

    return add_values_of(bash->out, path, command->flags, command->flag_count);
}

/* The name of a function of the shell's: without dashes. */
static int add_function(struct buf *out, const char *program)
{
    int rc = 0;

    for (; *program != '\0' && rc == 0; program++)
        rc = buf_add_byte(out, *program == '-' ? '_' : (uint8_t)*program);
    return rc;
}

static int add_tables(struct bash *bash, const char *name)
{
    const struct page_program *program = bash->program;
    int rc = buf_addf(bash->out,
                      "# What may follow the commands in $1: words, and flags.\n_%s_next() {\n"
                      "    case $1 in\n",
                      name);

    if (rc == 0)
        rc = page_walk(program, &(struct page_walk){.each = add_words, .self = bash});
    if (rc == 0)
        rc = buf_add_str(bash->out, "    *) words='' flags='' ;;\n    esac\n    flags+='");
    if (rc == 0)
        rc = add_flags(bash->out, program->globals, program->global_count);
    if (rc == 0)
        rc = buf_addf(bash->out,
                      "'\n}\n\n# What the value of the flag $2 is, behind the commands in $1.\n"
                      "_%s_value() {\n    value=''\n    case \"$1 $2\" in\n",
                      name);
    if (rc == 0)
        rc = page_walk(program, &(struct page_walk){.each = add_values, .self = bash});
    if (rc == 0) /* a command's own come first */
        rc = buf_add_str(bash->out, "    *)\n        case \" $2\" in\n");
    if (rc == 0)
        rc = add_values_of(bash->out, "", program->globals, program->global_count);
    return rc == 0 ? buf_add_str(bash->out, "        esac\n        ;;\n    esac\n}\n\n") : rc;
}

/* bash takes `--flag=value` apart into three words. */
static const char walker[] =
    "    local path=@PROGRAM@ words flags value word current=${COMP_WORDS[COMP_CWORD]}\n"
    "    local at=1 flag=''\n"
    "    while [ $at -lt \"$COMP_CWORD\" ]; do\n"
    "        word=${COMP_WORDS[at]}\n"
    "        at=$((at + 1))\n"
    "        if [ -n \"$flag\" ]; then\n"
    "            [ \"$word\" = = ] || flag=''\n"
    "            continue\n"
    "        fi\n"
    "        case $word in\n"
    "        --*=*) ;;\n"
    "        -*)\n"
    "            _@NAME@_value \"$path\" \"$word\"\n"
    "            [ -z \"$value\" ] || flag=$word\n"
    "            ;;\n"
    "        *)\n"
    "            _@NAME@_next \"$path\"\n"
    "            if [ \"$word\" = help ]; then\n"
    "                continue\n"
    "            fi\n"
    "            case \" $words \" in *\" $word \"*) path+=\" $word\" ;; esac\n"
    "            ;;\n"
    "        esac\n"
    "    done\n"
    "    COMPREPLY=()\n"
    "    if [ -n \"$flag\" ]; then\n"
    "        _@NAME@_value \"$path\" \"$flag\"\n"
    "        [ \"$current\" != = ] || current=''\n"
    "        case $value in\n"
    "        file) mapfile -t COMPREPLY < <(compgen -f -- \"$current\") ;;\n"
    "        dir) mapfile -t COMPREPLY < <(compgen -d -- \"$current\") ;;\n"
    "        esac\n"
    "        compopt -o filenames 2>/dev/null\n"
    "        return 0\n"
    "    fi\n"
    "    _@NAME@_next \"$path\"\n"
    "    case $current in\n"
    "    -*) words=$flags ;;\n"
    "    esac\n"
    "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$current\")\n"
    "}\n";

static int add_walker(struct buf *out, const char *program, const char *name)
{
    const char *at = walker;
    int rc = buf_addf(out, "_%s() {\n", name);

    while (rc == 0 && *at != '\0') {
        if (text_has_prefix(at, "@PROGRAM@")) {
            rc = buf_add_str(out, program);
            at += strlen("@PROGRAM@");
        } else if (text_has_prefix(at, "@NAME@")) {
            rc = buf_add_str(out, name);
            at += strlen("@NAME@");
        } else {
            rc = buf_add_byte(out, (uint8_t)*at++);
        }
    }
    return rc == 0 ? buf_addf(out, "complete -F _%s %s\n", name, program) : rc;
}

int page_bash(const struct page_program *program, struct buf *ret)
{
    SCOPED(buf_value) struct buf name = BUF_EMPTY;
    struct bash bash = {.program = program, .out = ret};
    int rc = add_function(&name, program->top.name);
    const char *function = rc == 0 ? buf_str(&name) : NULL;

    if (function == NULL)
        return -ENOMEM;
    rc = buf_addf(ret,
                  "# shellcheck shell=bash disable=SC2034,SC2209\n"
                  "# Completion for bash, made of the table of commands of %s.\n\n",
                  program->top.name);
    if (rc == 0)
        rc = add_tables(&bash, function);
    return rc == 0 ? add_walker(ret, program->top.name, function) : rc;
}
