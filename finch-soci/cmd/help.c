/* SPDX-License-Identifier: Apache-2.0 */
/* help.c – one page for each entry of the table. */
#include "cmd/cmd.h"
#include "cmd/globals.h"

static void print_verbs(FILE *out, const struct cmd_verb *verb)
{
    (void)fputs("\nCOMMANDS\n", out);
    for (size_t i = 0; verb->verbs[i] != NULL; i++)
        (void)fprintf(out, "   %-12s %s\n", verb->verbs[i]->name, verb->verbs[i]->summary);
    (void)fprintf(out, "   %-12s %s\n", "help", "the page of a command");
}

void cmd_print_help(FILE *out, const struct cmd_verb *verb, const char *path)
{
    (void)fprintf(out, "%s – %s\n\nUSAGE\n   %s %s\n", path, verb->summary, path, verb->args);
    if (verb->details != NULL)
        (void)fprintf(out, "\n%s", verb->details);
    if (verb->verbs != NULL)
        print_verbs(out, verb);
    if (verb->flag_count > 0) {
        (void)fputs("\nFLAGS\n", out);
        flags_print(out, verb->flags, verb->flag_count);
    }
    (void)fputs("\nGLOBAL FLAGS\n", out);
    flags_print(out, cmd_global_flags, cmd_global_flag_count);
    if (verb->examples != NULL)
        (void)fprintf(out, "\nEXAMPLES\n%s", verb->examples);
}
