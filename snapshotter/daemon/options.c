/* SPDX-License-Identifier: Apache-2.0 */
/* options.c – the table of flags, and how a command line is read with it. */
#include "daemon/options.h"

#include "base/text.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

/* One flag with a value. */
struct flag {
    const char *name;
    const char *env;
    const char *initial;
    const char *help;
    size_t offset;
};

static const struct flag flags[] = {
    {"address", "SOCI_SNAPSHOTTER_ADDRESS", OPTIONS_DEFAULT_ADDRESS,
     "socket to serve on: a path, unix://path, or fd:// for those that systemd passes, alone",
     offsetof(struct options, address)},
    {"config", "SOCI_SNAPSHOTTER_CONFIG", "/etc/soci-snapshotter-grpc/config.toml",
     "configuration file", offsetof(struct options, config)},
    {"log-level", "SOCI_SNAPSHOTTER_LOG_LEVEL", "info",
     "trace, debug, info, warn, error, fatal or panic", offsetof(struct options, log_level)},
    {"root", "SOCI_SNAPSHOTTER_ROOT", "/var/lib/soci-snapshotter-grpc/",
     "directory for everything that is kept", offsetof(struct options, root)},
};

static const char **field(struct options *options, const struct flag *flag)
{
    return (const char **)(void *)((char *)options + flag->offset);
}

static void set_initial(struct options *options, const char *(*env)(const char *name))
{
    for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
        const char *value = env(flags[i].env);
        bool given = value != NULL && value[0] != '\0';

        *field(options, &flags[i]) = given ? value : flags[i].initial;
        if (strcmp(flags[i].name, "config") == 0)
            options->config_is_default = !given;
    }
}

static const struct flag *find_flag(const char *name, size_t len)
{
    for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
        if (strlen(flags[i].name) == len && strncmp(flags[i].name, name, len) == 0)
            return &flags[i];
    }
    return NULL;
}

static bool is_one_of(const char *name, const char *a, const char *b)
{
    return strcmp(name, a) == 0 || strcmp(name, b) == 0;
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
    if (ret->action == OPTIONS_STATUS && strcmp(name, "json") == 0) {
        ret->json = true;
        return 0;
    }
    if (flag == NULL)
        return err_set(err, -EINVAL, "flag provided but not defined: -%.*s", (int)len, name);
    if (equals == NULL && *at + 1 >= argc)
        return err_set(err, -EINVAL, "flag needs an argument: -%s", flag->name);
    *field(ret, flag) = equals != NULL ? equals + 1 : argv[++*at];
    if (strcmp(flag->name, "config") == 0)
        ret->config_is_default = false;
    return 0;
}

/* The words in order: `help`, `config default`, `config dump`, `status`, `status IMAGE`. */
static void parse_word(const char *word, unsigned *words, bool *in_config, struct options *ret)
{
    if (*words == 0 && strcmp(word, "status") == 0)
        ret->action = OPTIONS_STATUS;
    if (*words == 1 && ret->action == OPTIONS_STATUS)
        ret->image = word;
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
             "       soci-snapshotter-grpc status [--json] [IMAGE]\n\nflags:\n");

    for (size_t i = 0; i < ARRAY_LEN(flags) && rc == 0; i++)
        rc = buf_addf(ret, "  --%-10s %s\n%15s(default %s, environment %s)\n", flags[i].name,
                      flags[i].help, "", flags[i].initial, flags[i].env);
    if (rc == 0)
        rc = buf_addf(ret, "  --%-10s %s\n  --%-10s %s\n", "help", "this text", "version",
                      "print the version");
    return rc;
}
