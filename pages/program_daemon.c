/* SPDX-License-Identifier: Apache-2.0 */
/* program_daemon.c – the tables of soci-snapshotter-grpc, as the pages want them. */
#include "pages/pages.h"

#include "daemon/options.h"

#include <errno.h>
#include <version.h>

static const struct flag help_flags[] = {
    {.name = "help", .alias = "h", .kind = FLAG_BOOL, .help = "the usage in short"},
    {.name = "version", .alias = "v", .kind = FLAG_BOOL, .help = "print the version"},
};

/* `config default` is a command below `config`. */
static int take(const struct options_verb *verbs, size_t count, struct page_command *ret)
{
    int rc = 0;

    if (count > 0 && page_command_add(ret, count) == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < count && rc == 0; i++) {
        ret->below[i] = (struct page_command){
            .name = verbs[i].name,
            .args = verbs[i].args,
            .summary = verbs[i].summary,
            .flags = verbs[i].flags,
            .flag_count = verbs[i].flag_count,
        };
        rc = take(verbs[i].verbs, verbs[i].verb_count, &ret->below[i]);
    }
    return rc;
}

int page_program_daemon(struct page_program *ret)
{
    *ret = (struct page_program){
        .top =
            {
                .name = "soci-snapshotter-grpc",
                .args = "[flags] [command]",
                .summary = "containerd snapshotter that loads images lazily",
                .details = "   Without a command it is the daemon that serves containerd on its "
                           "socket, until\n   a signal ends it. Any word that is no command is "
                           "passed over.\n",
                .flags = options_flags,
                .flag_count = options_flag_count,
            },
        .globals = help_flags,
        .global_count = ARRAY_LEN(help_flags),
        .section = 8,
        .see_also = ".BR finch\\-soci (1),\n.BR soci (1)",
        .version = SOCI_VERSION,
        .date = SOCI_DATE,
    };
    return take(options_verbs, options_verb_count, &ret->top);
}
