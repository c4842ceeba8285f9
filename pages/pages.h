/* SPDX-License-Identifier: Apache-2.0 */
/* pages.h – manual pages, and completions for four shells, made of the tables that the programs'
 * own help is made of. Runs when we are built, on the machine that builds, and is not installed.
 *
 * Texts in a table are plain, with what is typed between backquotes; paragraphs may be indented by
 * three blanks, and what is indented further keeps its lines. All writers append to *ret and return
 * 0 or -ENOMEM. */
#ifndef PAGES_PAGES_H
#define PAGES_PAGES_H

#include "base/bytes.h"
#include "base/flags.h"

#include <stddef.h>

/* A command, or a whole program. All is borrowed but `below`. */
struct page_command {
    const char *name;
    const char *args; /* "[flags] <image>" */
    const char *summary;
    const char *details;  /* NULL: none */
    const char *examples; /* NULL: none; a line that is not indented begins a section */
    const struct flag *flags;
    size_t flag_count;
    struct page_command *below; /* commands below it; owned */
    size_t below_count;
};
struct page_program {
    struct page_command top;
    const struct flag *globals; /* flags of every command */
    size_t global_count;
    bool has_help; /* `help COMMAND` */
    int section;   /* of the manual */
    const char *see_also;
    const char *version, *date; /* of the manual's page: YYYY-MM-DD */
};
void page_command_fini(struct page_command *command);
/* Room for `count` commands below; NULL: out of memory. */
struct page_command *page_command_add(struct page_command *command, size_t count);

MUST_CHECK int page_man(const struct page_program *program, struct buf *ret);
MUST_CHECK int page_bash(const struct page_program *program, struct buf *ret);
MUST_CHECK int page_zsh(const struct page_program *program, struct buf *ret);
MUST_CHECK int page_fish(const struct page_program *program, struct buf *ret);
MUST_CHECK int page_powershell(const struct page_program *program, struct buf *ret);

/* ---- parts ----------------------------------------------------------------------------------- */

/* What the value of a flag is. */
enum page_value { PAGE_NONE, PAGE_FILE, PAGE_DIR, PAGE_ANY };
enum page_value page_value_of(const struct flag *flag);

/* Every command from the top down, with the words that lead to it: "finch-soci vm start". Ends at
 * the first call that does not return 0, with what it returned. */
struct page_walk {
    int (*each)(void *self, const struct page_command *command, const char *path);
    void *self;
};
MUST_CHECK int page_walk(const struct page_program *program, const struct page_walk *walk);

/* The programs' own tables (program_*.c); 0 or -ENOMEM. */
MUST_CHECK int page_program_finch_soci(struct page_program *ret);
MUST_CHECK int page_program_soci(struct page_program *ret);
MUST_CHECK int page_program_daemon(struct page_program *ret);

#endif
