/* SPDX-License-Identifier: Apache-2.0 */
/* dispatch.c – from argv to a verb: global flags, help, version, errors as one line and an exit
 * status. */
#include "cli/cli.h"

#include "base/clock.h"
#include "base/log.h"

#include "version.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { EXIT_ERROR = 1, EXIT_UNKNOWN_WORD = 3 };

const struct flag cli_global_flags[] = {
    {.name = "address",
     .alias = "a",
     .env = "CONTAINERD_ADDRESS",
     .kind = FLAG_TEXT,
     .offset = offsetof(struct cli_globals, address),
     .value = "<socket>",
     .help = "containerd's socket"},
    {.name = "namespace",
     .alias = "n",
     .env = "CONTAINERD_NAMESPACE",
     .kind = FLAG_TEXT,
     .offset = offsetof(struct cli_globals, namespace_),
     .value = "<name>",
     .help = "containerd namespace"},
    {.name = "timeout",
     .kind = FLAG_DURATION,
     .offset = offsetof(struct cli_globals, timeout_ms),
     .value = "<duration>",
     .help = "give up after this long, such as 30s (default: never)"},
    {.name = "debug",
     .kind = FLAG_BOOL,
     .offset = offsetof(struct cli_globals, debug),
     .help = "show requests to the registry"},
    {.name = "content-store",
     .kind = FLAG_TEXT,
     .offset = offsetof(struct cli_globals, content_store),
     .value = "<type>",
     .help = "where content is kept: containerd"},
    {.name = "root",
     .kind = FLAG_TEXT,
     .offset = offsetof(struct cli_globals, root),
     .value = "<dir>",
     .help = "directory of the list of ztocs and indexes"},
    {.name = "help",
     .alias = "h",
     .kind = FLAG_BOOL,
     .offset = offsetof(struct cli_globals, help),
     .help = "this text"},
    {.name = "version",
     .alias = "v",
     .kind = FLAG_BOOL,
     .offset = offsetof(struct cli_globals, version),
     .help = "print the version"},
};
const size_t cli_global_flag_count = ARRAY_LEN(cli_global_flags);

static const struct cli_verb *const top_verbs[] = {&cli_verb_convert,
                                                   &cli_verb_create,
                                                   &cli_verb_index,
                                                   &cli_verb_prefetch,
                                                   &cli_verb_push,
                                                   &cli_verb_ztoc,
                                                   NULL};
const struct cli_verb cli_top = {
    .name = "soci",
    .args = "[global flags] command [flags] [args]",
    .summary = "indexes that let container images start before they are downloaded",
    .verbs = top_verbs,
};

static void print_help(const struct cli_verb *verb, const char *path)
{
    size_t i;

    (void)printf("NAME:\n   %s - %s\n\nUSAGE:\n   %s %s\n", path, verb->summary, path, verb->args);
    if (verb->details != NULL)
        (void)printf("\nDESCRIPTION:\n   %s\n", verb->details);
    if (verb->verbs != NULL) {
        (void)printf("\nCOMMANDS:\n");
        for (i = 0; verb->verbs[i] != NULL; i++)
            (void)printf("   %-12s %s\n", verb->verbs[i]->name, verb->verbs[i]->summary);
        (void)printf("   %-12s %s\n", "help, h", "help for a command");
    }
    if (verb->flag_count > 0) {
        (void)printf("\nFLAGS:\n");
        flags_print(stdout, verb->flags, verb->flag_count);
    }
    (void)printf("\nGLOBAL FLAGS:\n");
    flags_print(stdout, cli_global_flags, cli_global_flag_count);
}

static const struct cli_verb *find_verb(const struct cli_verb *const *verbs, const char *word)
{
    for (; *verbs != NULL; verbs++) {
        if (strcmp((*verbs)->name, word) == 0 ||
            ((*verbs)->alias != NULL && strcmp((*verbs)->alias, word) == 0))
            return *verbs;
    }
    return NULL;
}

/* One line, whatever is in the text. */
static int fail(const struct err *err)
{
    (void)fflush(stdout);
    (void)fprintf(stderr, "soci: %s\n", err_text(err));
    return EXIT_ERROR;
}

static int bad_usage(const struct cli_verb *verb, const char *path, const struct err *err)
{
    (void)fprintf(stderr, "Incorrect Usage: %s\n\n", err_text(err));
    print_help(verb, path);
    return fail(err);
}

/* Before any command that keeps something there. Its parent must exist: a typo is no reason to grow
 * a tree. */
static int make_root(const struct cli_globals *globals, struct err *err)
{
    struct stat st;

    if (globals->root[0] == '\0')
        return err_set(err, -EINVAL, "--root is empty; name a directory");
    if (mkdir(globals->root, 0700) < 0 && errno != EEXIST)
        return err_sys(err, -errno, "mkdir %s", globals->root);
    if (stat(globals->root, &st) < 0)
        return err_sys(err, -errno, "--root %s", globals->root);
    if (!S_ISDIR(st.st_mode))
        return err_set(err, -ENOTDIR, "--root %s is no directory", globals->root);
    return 0;
}

static int check_globals(const struct cli_globals *globals, struct err *err)
{
    if (strcmp(globals->content_store, "containerd") == 0)
        return 0;
    return err_set(err, -EINVAL, "unknown content store type: %s; must be containerd",
                   globals->content_store);
}

static int run_verb(const struct cli_verb *verb, const char *path, struct cli_globals *globals,
                    struct flag_args args)
{
    SCOPED(mem) void *options = calloc(1, verb->options_bytes == 0 ? 1 : verb->options_bytes);
    SCOPED(text_list) struct text_list words = TEXT_LIST_EMPTY;
    struct flag_set sets[] = {
        {.flags = verb->flags, .count = verb->flag_count, .options = options},
        {.flags = cli_global_flags, .count = cli_global_flag_count, .options = globals},
    };
    struct err err = ERR_NONE;
    int used, rc, status = 0;

    if (options == NULL) {
        (void)err_set(&err, -ENOMEM, "out of memory");
        return fail(&err);
    }
    if (verb->set_defaults != NULL)
        verb->set_defaults(options);
    rc = flags_from_environment(&sets[0], &err);
    if (rc == 0)
        rc = flags_parse(sets, ARRAY_LEN(sets), args, false, &used, &words, &err);
    if (rc < 0) {
        status = bad_usage(verb, path, &err);
    } else if (globals->help) {
        print_help(verb, path);
    } else {
        if (globals->timeout_ms > 0)
            globals->deadline_ms = clock_mono_ms() + globals->timeout_ms;
        rc = check_globals(globals, &err);
        if (rc == 0 && verb->needs_root_dir)
            rc = make_root(globals, &err);
        if (rc == 0)
            /* NOLINTNEXTLINE(*-core.CallAndMessage): only a verb with verbs below has none */
            rc = verb->run(globals, options, &words, &err);
        if (rc < 0)
            status = fail(&err);
    }
    if (verb->fini != NULL)
        verb->fini(options);
    return status;
}

static int unknown_word(const char *word)
{
    (void)fprintf(stderr, "No help topic for '%s'\n", word);
    return EXIT_UNKNOWN_WORD;
}

/* `help [command …]`. */
static int run_help(const struct cli_verb *verb, const char *path, struct flag_args args)
{
    const struct cli_verb *below =
        args.count > 0 && verb->verbs != NULL ? find_verb(verb->verbs, args.items[0]) : NULL;
    SCOPED(mem) char *longer = below == NULL ? NULL : text_format("%s %s", path, below->name);

    if (args.count > 0 && below == NULL)
        return unknown_word(args.items[0]);
    if (below == NULL || longer == NULL) {
        print_help(verb, path);
        return 0;
    }
    return run_help(below, longer,
                    (struct flag_args){.items = args.items + 1, .count = args.count - 1});
}

/* Walks down the table of verbs: global flags may stand before each word. */
static int dispatch(const struct cli_verb *verb, const char *path, struct cli_globals *globals,
                    struct flag_args args)
{
    struct flag_set set = {
        .flags = cli_global_flags, .count = cli_global_flag_count, .options = globals};
    SCOPED(mem) char *longer = NULL;
    const struct cli_verb *below;
    struct err err = ERR_NONE;
    int used;

    if (verb->verbs == NULL)
        return run_verb(verb, path, globals, args);
    if (flags_parse(&set, 1, args, true, &used, NULL, &err) < 0)
        return bad_usage(verb, path, &err);
    if (globals->version) {
        (void)printf("soci version %s %s\n", SOCI_VERSION, SOCI_REVISION);
        return 0;
    }
    args.items += used;
    args.count -= used;
    if (args.count == 0) {
        print_help(verb, path);
        return 0;
    }
    if (strcmp(args.items[0], "help") == 0 || strcmp(args.items[0], "h") == 0)
        return run_help(verb, path,
                        (struct flag_args){.items = args.items + 1, .count = args.count - 1});
    below = find_verb(verb->verbs, args.items[0]);
    if (below == NULL)
        return unknown_word(args.items[0]);
    longer = text_format("%s %s", path, below->name);
    return dispatch(below, longer == NULL ? path : longer, globals,
                    (struct flag_args){.items = args.items + 1, .count = args.count - 1});
}

/* Whoever has read enough, as `head` has, closes its end of the pipe: that is no error. */
static bool is_reader_gone(void)
{
    struct pollfd end = {.fd = STDOUT_FILENO, .events = POLLOUT};

    return poll(&end, 1, 0) == 1 && (end.revents & POLLERR) != 0;
}

/* A result that nobody can have got is no success. */
static int check_output(int status)
{
    struct err err = ERR_NONE;
    int rc = fflush(stdout) != 0 ? -errno : 0;

    if (status != 0 || (rc == 0 && !ferror(stdout)) || is_reader_gone())
        return status;
    (void)(rc < 0 ? err_sys(&err, rc, "standard output")
                  : err_set(&err, -EIO, "standard output: not all lines could be written"));
    return fail(&err);
}

int cli_main(int argc, char **argv)
{
    struct cli_globals globals = {
        .address = "/run/containerd/containerd.sock",
        .namespace_ = "default",
        .content_store = "containerd",
        .root = "/var/lib/soci-snapshotter-grpc/",
    };

    const struct flag_set set = {
        .flags = cli_global_flags, .count = cli_global_flag_count, .options = &globals};
    struct err err = ERR_NONE;

    log_setup(LOG_LEVEL_WARN, LOG_STYLE_TEXT);
    (void)signal(SIGPIPE, SIG_IGN);
    if (flags_from_environment(&set, &err) < 0)
        return bad_usage(&cli_top, cli_top.name, &err);
    return check_output(dispatch(&cli_top, cli_top.name, &globals,
                                 (struct flag_args){.items = argv + 1, .count = argc - 1}));
}
