/* SPDX-License-Identifier: Apache-2.0 */
/* powershell.c – completion for PowerShell: a table of what may follow, and a completer that walks
 * along the words that were typed. */
#include "pages/pages.h"

#include "base/text.h"

#include <errno.h>

struct powershell {
    const struct page_program *program;
    struct buf *out;
};

/* PowerShell takes curly quotes for quotes too, and doubles what ends a text. */
static int add_quoted(struct buf *out, const char *text)
{
    int rc = buf_add_byte(out, '\'');

    for (; *text != '\0' && rc == 0; text++) {
        rc = buf_add_byte(out, (uint8_t)*text);
        if (rc == 0 && *text == '\'')
            rc = buf_add_byte(out, '\'');
    }
    return rc == 0 ? buf_add_byte(out, '\'') : rc;
}

static int add_entry(struct buf *out, const char *dashes, const char *word, const char *summary,
                     bool has_value)
{
    int rc = buf_addf(out, "        @{ Word = '%s%s'; Value = $%s; Text = ", dashes, word,
                      has_value ? "true" : "false");

    if (rc == 0)
        rc = add_quoted(out, summary);
    return rc == 0 ? buf_add_str(out, " }\n") : rc;
}

static int add_flags(struct buf *out, const struct flag *flags, size_t count)
{
    int rc = 0;

    for (size_t i = 0; i < count && rc == 0; i++) {
        bool has_value = page_value_of(&flags[i]) != PAGE_NONE;

        rc = add_entry(out, "--", flags[i].name, flags[i].help, has_value);
        if (rc == 0 && flags[i].alias != NULL)
            rc = add_entry(out, "-", flags[i].alias, flags[i].help, has_value);
    }
    return rc;
}

static int add_command(void *self, const struct page_command *command, const char *path)
{
    const struct powershell *shell = self;
    int rc = buf_addf(shell->out, "    '%s' = @(\n", path);

    for (size_t i = 0; i < command->below_count && rc == 0; i++)
        rc = add_entry(shell->out, "", command->below[i].name, command->below[i].summary, false);
    if (rc == 0 && command->below_count > 0 && shell->program->has_help)
        rc = add_entry(shell->out, "", "help", "the page of a command", false);
    if (rc == 0)
        rc = add_flags(shell->out, command->flags, command->flag_count);
    return rc == 0 ? buf_add_str(shell->out, "    )\n") : rc;
}

static const char walker[] =
    "    $value = $false\n"
    "    foreach ($element in $commandAst.CommandElements | Select-Object -Skip 1) {\n"
    "        if ($element.Extent.EndOffset -ge $cursorPosition) { break }\n"
    "        $word = $element.ToString()\n"
    "        if ($value) { $value = $false; continue }\n"
    "        $found = @($commands[$path]) + $globals | Where-Object { $_.Word -ceq $word } |\n"
    "            Select-Object -First 1\n"
    "        if ($found -and $found.Value) { $value = $true }\n"
    "        if ($commands.ContainsKey(\"$path $word\")) { $path = \"$path $word\" }\n"
    "    }\n"
    "    if ($value) { return }\n"
    "    @($commands[$path]) + $globals |\n"
    "        Where-Object { $_.Word.StartsWith($wordToComplete) -and\n"
    "            ($wordToComplete.StartsWith('-') -or -not $_.Word.StartsWith('-')) } |\n"
    "        ForEach-Object {\n"
    "            [System.Management.Automation.CompletionResult]::new(\n"
    "                $_.Word, $_.Word, 'ParameterValue', $_.Text)\n"
    "        }\n"
    "}\n";

int page_powershell(const struct page_program *program, struct buf *ret)
{
    struct powershell shell = {.program = program, .out = ret};
    int rc = buf_addf(ret,
                      "# Completion for PowerShell, made of the table of commands of %s.\n"
                      "Register-ArgumentCompleter -Native -CommandName '%s', '%s.exe' -ScriptBlock "
                      "{\n    param($wordToComplete, $commandAst, $cursorPosition)\n"
                      "    $commands = @{\n",
                      program->top.name, program->top.name, program->top.name);

    if (rc == 0)
        rc = page_walk(program, &(struct page_walk){.each = add_command, .self = &shell});
    if (rc == 0)
        rc = buf_add_str(ret, "    }\n    $globals = @(\n");
    if (rc == 0)
        rc = add_flags(ret, program->globals, program->global_count);
    if (rc == 0)
        rc = buf_addf(ret, "    )\n    $path = '%s'\n", program->top.name);
    return rc == 0 ? buf_add_str(ret, walker) : rc;
}
