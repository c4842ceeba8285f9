/* SPDX-License-Identifier: Apache-2.0 */
/* push.c – `soci push`: the newest index of each platform to the image's repository. */
#include "cli/limit.h"

#include "artifacts/artifacts.h"
#include "containerd/containerd.h"

#include "version.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct push_options {
    struct cli_platforms platforms;
    bool plain_http;
    const char *user;
    const char *existing;
    uint64_t uploads;
    bool quiet;
    /* Taken for the sake of callers that pass them to the reference, which ignores them too. */
    bool ignored_bool;
    const char *ignored_text;
    struct text_list ignored_list;
};

static void set_defaults(void *options)
{
    *(struct push_options *)options = (struct push_options){.existing = "warn"};
}

static void fini(void *arg)
{
    struct push_options *options = arg;

    text_list_fini(&options->platforms.wanted);
    text_list_fini(&options->ignored_list);
}

static int parse_existing(const char *text, enum index_existing *ret, struct err *err)
{
    static const char *const words[] = {
        [INDEX_EXISTING_WARN] = "warn",
        [INDEX_EXISTING_SKIP] = "skip",
        [INDEX_EXISTING_ALLOW] = "allow",
    };
    size_t i;

    for (i = 0; i < ARRAY_LEN(words); i++) {
        if (strcmp(text, words[i]) == 0) {
            *ret = (enum index_existing)i;
            return 0;
        }
    }
    return err_set(err, -EINVAL,
                   "unexpected value for flag existing-index: %s, expected types [warn skip allow]",
                   text);
}

/* --user name[:password], for the image's own host. Docker's config.json is asked without it. */
static int find_user(void *self, const char *host, int cancel_fd, struct registry_credentials *ret,
                     struct err *err)
{
    const char *user = self;
    const char *colon = strchr(user, ':');
    (void)cancel_fd;

    (void)host;
    ret->username = colon == NULL ? text_copy(user) : strndup(user, (size_t)(colon - user));
    ret->password = text_copy(colon == NULL ? "" : colon + 1);
    return ret->username == NULL || ret->password == NULL ? err_set(err, -ENOMEM, "out of memory")
                                                          : 0;
}

static void print_trace(void *self, const char *line)
{
    struct index_output *output = self;

    output->line(output->self, line);
}

struct push {
    const struct cli_globals *globals;
    const struct push_options *options;
    struct index_push_options index; /* the same for every platform */
};

/* All platforms are looked up before anything is sent. */
static int find_indexes(const struct cli_globals *globals, const struct cli_image *image,
                        struct digest *ret, struct err *err)
{
    SCOPED(artifacts) struct artifacts *artifacts = NULL;
    struct artifact artifact;
    int rc = artifacts_open(globals->root, &artifacts, err);
    size_t i;

    for (i = 0; rc == 0 && i < image->manifest_count; i++) {
        const struct cli_manifest *manifest = &image->manifests[i];

        rc = artifacts_find_index(artifacts, &manifest->desc.digest, ARTIFACT_INDEX_V1, &artifact,
                                  err);
        if (rc == -ENOENT)
            rc = err_set(err, rc,
                         "could not find any soci index manifest v1 to push for platform %s; "
                         "make one with `soci create`",
                         manifest->platform);
        ret[i] = artifact.digest;
    }
    return rc;
}

static int push_all(struct push *push, const struct cli_image *image, struct err *err)
{
    SCOPED(mem) struct digest *digests = calloc(image->manifest_count + 1, sizeof(*digests));
    size_t i;
    int rc;

    if (digests == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    rc = find_indexes(push->globals, image, digests, err);
    for (i = 0; rc == 0 && i < image->manifest_count; i++)
        rc = index_push(&push->index, &digests[i], err);
    return rc;
}

static int push_to(struct push *push, const struct cli_image *image, struct registry *registry,
                   struct err *err)
{
    char *user = NULL;
    SCOPED(oci_reference) struct oci_reference reference = {.host = NULL};
    SCOPED(registry_repo) struct registry_repo *repo = NULL;
    struct registry_keychain keychain = registry_keychain_docker;
    int rc = oci_reference_parse(image->name, &reference, err);

    if (rc < 0)
        return rc;
    if (push->options->user != NULL) {
        user = text_copy(push->options->user);
        if (user == NULL)
            return err_set(err, -ENOMEM, "out of memory");
        keychain = (struct registry_keychain){.find = find_user, .self = user};
    }
    rc = registry_repo_open(registry, reference.host, reference.repository, &keychain, &repo, err);
    if (rc == 0) {
        push->index.repo = repo;
        rc = push_all(push, image, err);
    }
    registry_repo_unref(TAKE(repo)); /* before the keychain's text */
    free(user);
    return rc;
}

static int push_image(struct push *push, const struct cli_image *image, struct err *err)
{
    struct index_output output = cli_stdout();
    const struct registry_options options = {
        .user_agent = "soci/" SOCI_VERSION,
        .plain_http = push->options->plain_http,
        .http_loopback = true,
        .trace = push->globals->debug ? print_trace : NULL,
        .trace_self = &output,
    };
    SCOPED(registry) struct registry *registry = NULL;
    SCOPED(cli_limit) struct cli_limit *limit = NULL;
    int rc = registry_new(&options, &registry, err);

    if (rc == 0)
        rc = cli_limit_start(push->globals, registry, &limit, err);
    return rc < 0 ? rc : cli_limit_judge(limit, push_to(push, image, registry, err), err);
}

static int run(const struct cli_globals *globals, void *arg, const struct text_list *words,
               struct err *err)
{
    const struct push_options *options = arg;
    SCOPED(containerd) struct containerd *containerd = NULL;
    SCOPED(cli_image) struct cli_image image = {.name = NULL};
    struct cli_content content = {.globals = globals};
    struct push push = {
        .globals = globals,
        .options = options,
        .index = {.content = cli_content_table(&content),
                  .output = cli_stdout(),
                  .quiet = options->quiet,
                  .uploads = options->uploads > 64 ? 64 : (size_t)options->uploads},
    };
    int rc;

    if (words->count == 0)
        return err_set(err, -EINVAL, "please provide an image reference to push");
    rc = parse_existing(options->existing, &push.index.existing, err);
    if (rc == 0)
        rc = cli_connect(globals, &containerd, err);
    if (rc == 0)
        rc = cli_image_load(containerd, words->items[0], &options->platforms, &image, err);
    return rc < 0 ? rc : push_image(&push, &image, err);
}

#define IGNORED_TEXT(flag_name)                                                                    \
    {                                                                                              \
        .name = (flag_name), .kind = FLAG_TEXT,                                                    \
        .offset = offsetof(struct push_options, ignored_text), .value = "<value>",                 \
        .help = "accepted and ignored"                                                             \
    }

static const struct flag flags[] = {
    CLI_PLATFORM_FLAGS(struct push_options, platforms),
    {.name = "plain-http",
     .kind = FLAG_BOOL,
     .offset = offsetof(struct push_options, plain_http),
     .help = "http instead of https (loopback always is)"},
    {.name = "user",
     .alias = "u",
     .kind = FLAG_TEXT,
     .offset = offsetof(struct push_options, user),
     .value = "<name[:password]>",
     .help = "credentials (default: Docker's config.json)"},
    {.name = "existing-index",
     .kind = FLAG_TEXT,
     .offset = offsetof(struct push_options, existing),
     .value = "<what>",
     .help = "when the repository has an index: warn, skip or allow (default: warn)"},
    {.name = "max-concurrent-uploads",
     .kind = FLAG_SIZE,
     .offset = offsetof(struct push_options, uploads),
     .value = "<count>",
     .help = "blobs at the same time (default: 3)"},
    {.name = "quiet",
     .alias = "q",
     .kind = FLAG_BOOL,
     .offset = offsetof(struct push_options, quiet),
     .help = "print the index digests alone"},
    {.name = "skip-verify",
     .alias = "k",
     .kind = FLAG_BOOL,
     .offset = offsetof(struct push_options, ignored_bool),
     .help = "accepted and ignored"},
    {.name = "hosts-dir",
     .kind = FLAG_LIST,
     .offset = offsetof(struct push_options, ignored_list),
     .value = "<dirs>",
     .help = "accepted and ignored"},
    {.name = "http-dump",
     .kind = FLAG_BOOL,
     .offset = offsetof(struct push_options, ignored_bool),
     .help = "accepted and ignored"},
    {.name = "http-trace",
     .kind = FLAG_BOOL,
     .offset = offsetof(struct push_options, ignored_bool),
     .help = "accepted and ignored"},
    {.name = "snapshotter",
     .env = "CONTAINERD_SNAPSHOTTER",
     .kind = FLAG_TEXT,
     .offset = offsetof(struct push_options, ignored_text),
     .value = "<name>",
     .help = "accepted and ignored"},
    IGNORED_TEXT("refresh"),
    IGNORED_TEXT("tlscacert"),
    IGNORED_TEXT("tlscert"),
    IGNORED_TEXT("tlskey"),
};
const struct cli_verb cli_verb_push = {
    .name = "push",
    .args = "[flags] <image>",
    .summary = "push the SOCI index of an image to the image's repository",
    .details =
        "The image itself must be in the repository, and `soci create` must have made the index.",
    .flags = flags,
    .flag_count = ARRAY_LEN(flags),
    .options_bytes = sizeof(struct push_options),
    .set_defaults = set_defaults,
    .fini = fini,
    .needs_root_dir = true,
    .run = run,
};
