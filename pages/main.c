/* SPDX-License-Identifier: Apache-2.0 */
/* main.c – make-pages DIR: writes all manual pages and completions into DIR. */
#include "pages/pages.h"

#include "base/files.h"
#include "base/text.h"

#include <errno.h>
#include <stdio.h>

/* A file of each program: its name is prefix, program, suffix. */
static const struct kind {
    const char *prefix, *suffix;
    int (*write)(const struct page_program *program, struct buf *ret);
} kinds[] = {
    {"", ".bash", page_bash},      {"_", "", page_zsh},  {"", ".fish", page_fish},
    {"", ".ps1", page_powershell}, {"", NULL, page_man}, /* the section's number */
};

static int write_page(const char *dir, const struct kind *kind, const struct page_program *program,
                      struct err *err)
{
    SCOPED(buf_value) struct buf text = BUF_EMPTY;
    char number[8];
    SCOPED(mem) char *path = NULL;

    (void)snprintf(number, sizeof(number), ".%d", program->section);
    path = text_format("%s/%s%s%s", dir, kind->prefix, program->top.name,
                       kind->suffix == NULL ? number : kind->suffix);
    if (path == NULL || kind->write(program, &text) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    return file_replace(path, buf_bytes(&text), 0644, err);
}

static int write_program(const char *dir, int (*take)(struct page_program *ret), struct err *err)
{
    struct page_program program;
    int rc = take(&program) < 0 ? err_set(err, -ENOMEM, "out of memory") : 0;

    for (size_t i = 0; i < ARRAY_LEN(kinds) && rc == 0; i++)
        rc = write_page(dir, &kinds[i], &program, err);
    page_command_fini(&program.top);
    return rc;
}

int main(int argc, char **argv)
{
    static int (*const programs[])(struct page_program * ret) = {
        page_program_finch_soci, page_program_soci, page_program_daemon};
    struct err err = ERR_NONE;
    int rc = 0;

    if (argc != 2) {
        (void)fprintf(stderr, "usage: make-pages DIR\n");
        return 2;
    }
    for (size_t i = 0; i < ARRAY_LEN(programs) && rc == 0; i++)
        rc = write_program(argv[1], programs[i], &err);
    if (rc < 0)
        (void)fprintf(stderr, "make-pages: %s\n", err_text(&err));
    return rc < 0 ? 1 : 0;
}
