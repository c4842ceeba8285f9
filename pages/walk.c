/* SPDX-License-Identifier: Apache-2.0 */
/* walk.c – a tree of commands: made, walked, released. */
#include "pages/pages.h"

#include "base/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct page_command *page_command_add(struct page_command *command, size_t count)
{
    command->below = calloc(count + 1, sizeof(*command->below));
    command->below_count = command->below == NULL ? 0 : count;
    return command->below;
}

void page_command_fini(struct page_command *command)
{
    for (size_t i = 0; i < command->below_count; i++)
        page_command_fini(&command->below[i]);
    free(command->below);
    command->below = NULL;
    command->below_count = 0;
}

static int walk_from(const struct page_walk *walk, const struct page_command *command,
                     const char *path)
{
    int rc = walk->each(walk->self, command, path);

    for (size_t i = 0; i < command->below_count && rc == 0; i++) {
        SCOPED(mem) char *longer = text_format("%s %s", path, command->below[i].name);

        rc = longer == NULL ? -ENOMEM : walk_from(walk, &command->below[i], longer);
    }
    return rc;
}

int page_walk(const struct page_program *program, const struct page_walk *walk)
{
    return walk_from(walk, &program->top, program->top.name);
}

enum page_value page_value_of(const struct flag *flag)
{
    if (flag->kind == FLAG_BOOL)
        return PAGE_NONE;
    if (flag->value != NULL &&
        (strstr(flag->value, "file") != NULL || strstr(flag->value, "socket") != NULL))
        return PAGE_FILE;
    if (flag->value != NULL && strstr(flag->value, "dir") != NULL)
        return PAGE_DIR;
    return PAGE_ANY;
}
