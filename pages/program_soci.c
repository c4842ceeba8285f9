/* SPDX-License-Identifier: Apache-2.0 */
/* program_soci.c – the table of soci, as the pages want it. */
#include "pages/pages.h"

#include "cli/cli.h"

#include <errno.h>
#include <version.h>

static int take(const struct cli_verb *verb, struct page_command *ret)
{
    size_t count = 0;
    int rc = 0;

    *ret = (struct page_command){
        .name = verb->name,
        .args = verb->args,
        .summary = verb->summary,
        .details = verb->details,
        .flags = verb->flags,
        .flag_count = verb->flag_count,
    };
    while (verb->verbs != NULL && verb->verbs[count] != NULL)
        count++;
    if (count > 0 && page_command_add(ret, count) == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < count && rc == 0; i++)
        rc = take(verb->verbs[i], &ret->below[i]);
    return rc;
}

int page_program_soci(struct page_program *ret)
{
    *ret = (struct page_program){
        .globals = cli_global_flags,
        .global_count = cli_global_flag_count,
        .has_help = true,
        .section = 1,
        .see_also = ".BR finch\\-soci (1),\n.BR soci\\-snapshotter\\-grpc (8)",
        .version = SOCI_VERSION,
        .date = SOCI_DATE,
    };
    return take(&cli_top, &ret->top);
}
