/* SPDX-License-Identifier: Apache-2.0 */
/* program_finch_soci.c – the table of finch-soci, as the pages want it. */
#include "pages/pages.h"

#include "cmd/cmd.h"
#include "cmd/globals.h"

#include <errno.h>
#include <version.h>

static int take(const struct cmd_verb *verb, struct page_command *ret)
{
    size_t count = 0;
    int rc = 0;

    *ret = (struct page_command){
        .name = verb->name,
        .args = verb->args,
        .summary = verb->summary,
        .details = verb->details,
        .examples = verb->examples,
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

int page_program_finch_soci(struct page_program *ret)
{
    *ret = (struct page_program){
        .globals = cmd_global_flags,
        .global_count = cmd_global_flag_count,
        .has_help = true,
        .section = 1,
        .see_also = ".BR soci (1),\n.BR soci\\-snapshotter\\-grpc (8)",
        .version = SOCI_VERSION,
        .date = SOCI_DATE,
    };
    return take(&cmd_top, &ret->top);
}
