/* SPDX-License-Identifier: Apache-2.0 */
/* dispatch.c – from argv to a verb: flags, help, errors as one line and an exit status. */
#include "cmd/globals.h"
#include "cmd/internal.h"

#include "base/log.h"
#include "base/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "version.h"

enum { DISPATCH_NAMES_MAX = 64 };

/* ---- errors ---------------------------------------------------------------------------------- */

static int fail(const struct err *err)
{
    int number = interrupt_number();

    (void)fflush(stdout);
    if (number != 0) {
        (void)fprintf(stderr, "finch-soci: interrupted: what is not finished, the next run does\n");
        return 128 + number;
    }
    say_error(err);
    return CMD_FAILED;
}

static int usage(const char *path, const char *what, const char *near)
{
    if (near == NULL)
        (void)fprintf(stderr, "finch-soci: %s: see `%s --help`\n", what, path);
    else
        (void)fprintf(stderr, "finch-soci: %s, did you mean %s? See `%s --help`\n", what, near,
                      path);
    return CMD_USAGE;
}

static int unknown_verb(const struct cmd_verb *verb, const char *path, const char *word)
{
    const char *names[DISPATCH_NAMES_MAX + 1];
    SCOPED(mem) char *what = text_format("there is no command %s", word);
    size_t count = 0;

    for (; count < DISPATCH_NAMES_MAX && verb->verbs[count] != NULL; count++)
        names[count] = verb->verbs[count]->name;
    names[count] = NULL;
    return usage(path, what == NULL ? "no such command" : what, cmd_nearest(word, names));
}

/* `arg` is as it was typed: --jso, -f=x. */
static int unknown_flag(const struct flag_set *sets, size_t set_count, const char *path,
                        const char *arg)
{
    const char *names[DISPATCH_NAMES_MAX + 1];
    SCOPED(mem) char *word = text_copy(arg + strspn(arg, "-"));
    SCOPED(mem) char *what = NULL, *near = NULL;
    const char *found;
    size_t count = 0;

    if (word == NULL)
        return usage(path, "no such flag", NULL);
    word[strcspn(word, "=")] = '\0';
    for (size_t s = 0; s < set_count; s++) {
        for (size_t i = 0; i < sets[s].count && count < DISPATCH_NAMES_MAX; i++)
            names[count++] = sets[s].flags[i].name;
    }
    names[count] = NULL;
    found = cmd_nearest(word, names);
    what = text_format("there is no flag %.*s", (int)strcspn(arg, "="), arg);
    near = found == NULL ? NULL : text_format("--%s", found);
    return usage(path, what == NULL ? "no such flag" : what, near);
}

static int bad_flags(const struct flag_set *sets, size_t set_count, const char *path,
                     struct flag_args args, int used, const struct err *err)
{
    if (err->code == -ENOENT && used < args.count)
        return unknown_flag(sets, set_count, path, args.items[used]);
    return usage(path, err_text(err), NULL);
}

/* ---- verbs ----------------------------------------------------------------------------------- */

static int print_version(void)
{
    (void)printf("finch-soci version %s %s\n", SOCI_VERSION, SOCI_REVISION);
    return CMD_FINE;
}

static int run(const struct cmd_verb *verb, const struct cmd_globals *globals, const void *options)
{
    struct err err = ERR_NONE;
    int status;

    log_setup(globals->verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARN, LOG_STYLE_TEXT);
    status = verb->run(globals, options, &err);
    return status < 0 ? fail(&err) : status;
}

static int run_verb(const struct cmd_verb *verb, const char *path, struct cmd_globals *globals,
                    struct flag_args args)
{
    SCOPED(mem) void *options = calloc(1, verb->options_bytes == 0 ? 1 : verb->options_bytes);
    SCOPED(text_list) struct text_list words = TEXT_LIST_EMPTY;
    const struct flag_set sets[] = {
        {.flags = verb->flags, .count = verb->flag_count, .options = options},
        {.flags = cmd_global_flags, .count = cmd_global_flag_count, .options = globals},
    };
    struct err err = ERR_NONE;
    int used = 0;

    if (options == NULL) {
        (void)err_set(&err, -ENOMEM, "out of memory");
        return fail(&err);
    }
    if (flags_from_environment(&sets[0], &err) < 0)
        return usage(path, err_text(&err), NULL);
    if (flags_parse(sets, ARRAY_LEN(sets), args, false, &used, &words, &err) < 0)
        return bad_flags(sets, ARRAY_LEN(sets), path, args, used, &err);
    if (globals->help) {
        cmd_print_help(stdout, verb, path);
        return CMD_FINE;
    }
    if (globals->version)
        return print_version();
    if (globals->config != NULL && *globals->config == '\0')
        return usage(path, "--config: the name of a file is missing", NULL);
    if (words.count > verb->words_max) {
        SCOPED(mem)
        char *what = text_format("%s takes no %s", verb->name, words.items[verb->words_max]);

        return usage(path, what == NULL ? "too many words" : what, NULL);
    }
    if (verb->words_max > 0) {
        const struct text_list *taken = &words;

        memcpy((char *)options + verb->words_offset, &taken, sizeof(const struct text_list *));
    }
    return run(verb, globals, options);
}

static const struct cmd_verb *find(const struct cmd_verb *verb, const char *word)
{
    for (size_t i = 0; verb->verbs != NULL && verb->verbs[i] != NULL; i++) {
        if (strcmp(verb->verbs[i]->name, word) == 0)
            return verb->verbs[i];
    }
    return NULL;
}

/* `help [command …]`. */
static int run_help(const struct cmd_verb *verb, const char *path, struct flag_args args)
{
    const struct cmd_verb *below = args.count > 0 ? find(verb, args.items[0]) : NULL;
    SCOPED(mem) char *longer = below == NULL ? NULL : text_format("%s %s", path, below->name);

    if (args.count > 0 && below == NULL)
        return verb->verbs == NULL ? usage(path, "it has no commands", NULL)
                                   : unknown_verb(verb, path, args.items[0]);
    if (below == NULL || longer == NULL) {
        cmd_print_help(stdout, verb, path);
        return CMD_FINE;
    }
    return run_help(below, longer,
                    (struct flag_args){.items = args.items + 1, .count = args.count - 1});
}

/* Walks down the table; global flags may stand before each word. */
static int dispatch(const struct cmd_verb *verb, const char *path, struct cmd_globals *globals,
                    struct flag_args args)
{
    const struct flag_set set = {
        .flags = cmd_global_flags, .count = cmd_global_flag_count, .options = globals};
    SCOPED(mem) char *longer = NULL;
    const struct cmd_verb *below;
    struct err err = ERR_NONE;
    int used = 0;

    if (verb->verbs == NULL)
        return run_verb(verb, path, globals, args);
    if (flags_parse(&set, 1, args, true, &used, NULL, &err) < 0)
        return bad_flags(&set, 1, path, args, used, &err);
    if (globals->version)
        return print_version();
    args.items += used;
    args.count -= used;
    if (args.count == 0 && !globals->help && verb != &cmd_top)
        return usage(path, "a command is missing", NULL);
    if (args.count == 0) {
        cmd_print_help(stdout, verb, path);
        return CMD_FINE;
    }
    args.items++;
    args.count--;
    if (strcmp(args.items[-1], "help") == 0)
        return run_help(verb, path, args);
    below = find(verb, args.items[-1]);
    if (below == NULL)
        return unknown_verb(verb, path, args.items[-1]);
    longer = text_format("%s %s", path, below->name);
    return dispatch(below, longer == NULL ? path : longer, globals, args);
}

/* What was asked for is on stdout, or it has failed. */
static int printed(int status)
{
    struct err err = ERR_NONE;

    if (fflush(stdout) != 0)
        (void)err_sys(&err, -errno, "standard output");
    else if (ferror(stdout) != 0)
        (void)err_set(&err, -EIO, "standard output: not all could be written");
    else
        return status;
    return status == CMD_FINE || status == CMD_NOT_WELL ? fail(&err) : status;
}

int cmd_main(int argc, char **argv)
{
    struct cmd_globals globals = {.config = NULL};

    const struct flag_set set = {
        .flags = cmd_global_flags, .count = cmd_global_flag_count, .options = &globals};
    struct err err = ERR_NONE;

    platform_start();
    interrupt_watch();
    if (flags_from_environment(&set, &err) < 0)
        return usage(cmd_top.name, err_text(&err), NULL);
    return printed(dispatch(
        &cmd_top, cmd_top.name, &globals,
        (struct flag_args){.items = argv + 1, .count = argc > 0 ? argc - 1 : 0, .as_typed = true}));
}
