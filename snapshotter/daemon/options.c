/* SPDX-License-Identifier: Apache-2.0 */
/* options.c – the table of flags, and how a command line is read with it. */
#include "daemon/options.h"

#include "base/text.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

const struct flag options_flags[] = {
    {.name = "address",
     .env = "SOCI_SNAPSHOTTER_ADDRESS",
     .kind = FLAG_TEXT,
     .offset = offsetof(struct options, address),
     .value = "<socket>",
     .help = "socket to serve on: a path, unix://path, or fd:// for those that systemd passes, "
             "alone"},
    {.name = "config",
     .env = "SOCI_SNAPSHOTTER_CONFIG",
     .kind = FLAG_TEXT,
     .offset = offsetof(struct options, config),
     .value = "<file>",
     .help = "configuration file"},
    {.name = "log-level",
     .env = "SOCI_SNAPSHOTTER_LOG_LEVEL",
     .kind = FLAG_TEXT,
     .offset = offsetof(struct options, log_level),
     .value = "<level>",
     .help = "trace, debug, info, warn, error, fatal or panic"},
    {.name = "root",
     .env = "SOCI_SNAPSHOTTER_ROOT",
     .kind = FLAG_TEXT,
     .offset = offsetof(struct options, root),
     .value = "<dir>",
     .help = "directory for everything that is kept"},
};
const size_t options_flag_count = ARRAY_LEN(options_flags);

/* What each of them is when nobody says. */
static const char *const initial[] = {OPTIONS_DEFAULT_ADDRESS,
                                      "/etc/soci-snapshotter-grpc/config.toml", "info",
                                      "/var/lib/soci-snapshotter-grpc/"};
static_assert(ARRAY_LEN(initial) == ARRAY_LEN(options_flags), "one for each flag");

static const struct flag status_flags[] = {
    {.name = "json", .kind = FLAG_BOOL, .help = "one JSON object (docs/status.md)"},
};
static const struct flag check_flags[] = {
    {.name = "json", .kind = FLAG_BOOL, .help = "one JSON object (docs/doctor.md)"},
    {.name = "platform",
     .kind = FLAG_TEXT,
     .offset = offsetof(struct options, platform),
     .value = "<os/arch>",
     .help = "of the image (this machine's)"},
};
static const struct flag probe_flags[] = {
    {.name = "json", .kind = FLAG_BOOL, .help = "one JSON object (docs/doctor.md)"},
};
static const struct options_verb config_verbs[] = {
    {.name = "default", .args = "", .summary = "print the configuration that is built in"},
    {.name = "dump", .args = "[--config <file>]", .summary = "print it as the file changes it"},
};
const struct options_verb options_verbs[] = {
    {.name = "config",
     .args = "default|dump",
     .summary = "print the configuration",
     .verbs = config_verbs,
     .verb_count = ARRAY_LEN(config_verbs)},
    {.name = "status",
     .args = "[--json] [IMAGE]",
     .summary = "ask the running daemon how it is, or what it has of an image",
     .flags = status_flags,
     .flag_count = ARRAY_LEN(status_flags)},
    {.name = "check",
     .args = "[flags] IMAGE | HOST/",
     .summary = "ask the registry whether an image would be loaded lazily, layer by layer; exit "
                "status 3: no",
     .flags = check_flags,
     .flag_count = ARRAY_LEN(check_flags)},
    {.name = "probe",
     .args = "[--json]",
     .summary = "try what this kernel can do: FUSE, EROFS from a plain file, requests sent again",
     .flags = probe_flags,
     .flag_count = ARRAY_LEN(probe_flags)},
};
const size_t options_verb_count = ARRAY_LEN(options_verbs);

static const char **field(struct options *options, const struct flag *flag)
{
    return (const char **)(void *)((char *)options + flag->offset);
}

static void set_initial(struct options *options, const char *(*env)(const char *name))
{
    for (size_t i = 0; i < ARRAY_LEN(options_flags); i++) {
        const char *value = env(options_flags[i].env);
        bool given = value != NULL && value[0] != '\0';

        *field(options, &options_flags[i]) = given ? value : initial[i];
        if (strcmp(options_flags[i].name, "config") == 0)
            options->config_is_default = !given;
    }
}

static const struct flag *find_flag(const char *name, size_t len)
{
    for (size_t i = 0; i < ARRAY_LEN(options_flags); i++) {
        if (strlen(options_flags[i].name) == len && strncmp(options_flags[i].name, name, len) == 0)
            return &options_flags[i];
    }
    return NULL;
}

static bool is_one_of(const char *name, const char *a, const char *b)
{
    return strcmp(name, a) == 0 || strcmp(name, b) == 0;
}

static bool prints_json(const struct options *options)
{
    return options->action == OPTIONS_STATUS || options->action == OPTIONS_CHECK ||
           options->action == OPTIONS_PROBE;
}

static bool asks_about_image(const struct options *options)
{
    return options->action == OPTIONS_STATUS || options->action == OPTIONS_CHECK;
}

/* One flag at argv[*at], its dashes removed in `name`; *at moves past a value of its own. */
static int parse_flag(int argc, char *const *argv, int *at, const char *name, struct options *ret,
                      struct err *err)
{
    const char *equals = strchr(name, '=');
    size_t len = equals != NULL ? (size_t)(equals - name) : strlen(name);
    const struct flag *flag = find_flag(name, len);

    if (is_one_of(name, "help", "h")) {
        ret->action = OPTIONS_HELP;
        return 0;
    }
    if (is_one_of(name, "version", "v")) {
        ret->action = OPTIONS_VERSION;
        return 0;
    }
    if (prints_json(ret) && strcmp(name, "json") == 0) {
        ret->json = true;
        return 0;
    }
    if (ret->action == OPTIONS_CHECK && len == strlen("platform") &&
        strncmp(name, "platform", len) == 0)
        flag = &check_flags[1];
    if (flag == NULL)
        return err_set(err, -EINVAL, "flag provided but not defined: -%.*s", (int)len, name);
    if (equals == NULL && *at + 1 >= argc)
        return err_set(err, -EINVAL, "flag needs an argument: -%s", flag->name);
    *field(ret, flag) = equals != NULL ? equals + 1 : argv[++*at];
    if (strcmp(flag->name, "config") == 0)
        ret->config_is_default = false;
    return 0;
}

/* The words in order: `help`, `config default`, `config dump`, `status`, `status IMAGE`, `check
 * IMAGE`.
 */
static void parse_word(const char *word, unsigned *words, bool *in_config, struct options *ret)
{
    if (*words == 0 && strcmp(word, "status") == 0)
        ret->action = OPTIONS_STATUS;
    if (*words == 1 && asks_about_image(ret))
        ret->image = word;
    if (*words == 0 && strcmp(word, "check") == 0)
        ret->action = OPTIONS_CHECK;
    if (*words == 0 && strcmp(word, "probe") == 0)
        ret->action = OPTIONS_PROBE;
    if (*words == 0 && is_one_of(word, "help", "h"))
        ret->action = OPTIONS_HELP;
    if (*words == 0 && strcmp(word, "config") == 0) {
        *in_config = true;
        ret->action = OPTIONS_HELP; /* until the next word says more */
    }
    if (*words == 1 && *in_config && strcmp(word, "default") == 0)
        ret->action = OPTIONS_CONFIG_DEFAULT;
    if (*words == 1 && *in_config && strcmp(word, "dump") == 0)
        ret->action = OPTIONS_CONFIG_DUMP;
    ++*words;
}

int options_parse(int argc, char *const *argv, const char *(*env)(const char *name),
                  struct options *ret, struct err *err)
{
    unsigned words = 0;
    bool in_config = false;

    *ret = (struct options){.action = OPTIONS_RUN};
    set_initial(ret, env);
    for (int i = 1; i < argc; i++) {
        const char *arg = argv[i];
        int rc;

        if (arg[0] != '-' || arg[1] == '\0') {
            parse_word(arg, &words, &in_config, ret);
            continue;
        }
        rc = parse_flag(argc, argv, &i, arg + (arg[1] == '-' ? 2 : 1), ret, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

int options_help(struct buf *ret)
{
    int rc = buf_add_str(
        ret, "soci-snapshotter-grpc - containerd snapshotter that loads images lazily\n\n"
             "usage: soci-snapshotter-grpc [flags]\n"
             "       soci-snapshotter-grpc config default | config dump\n"
             "       soci-snapshotter-grpc status [--json] [IMAGE]\n"
             "       soci-snapshotter-grpc check [--json] [--platform os/arch] IMAGE | "
             "HOST/\n"
             "       soci-snapshotter-grpc probe [--json]\n\nflags:\n");

    for (size_t i = 0; i < ARRAY_LEN(options_flags) && rc == 0; i++)
        rc =
            buf_addf(ret, "  --%-10s %s\n%15s(default %s, environment %s)\n", options_flags[i].name,
                     options_flags[i].help, "", initial[i], options_flags[i].env);
    if (rc == 0)
        rc = buf_addf(ret, "  --%-10s %s\n  --%-10s %s\n", "help", "this text", "version",
                      "print the version");
    return rc;
}
