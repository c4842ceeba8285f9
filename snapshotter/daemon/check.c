/* SPDX-License-Identifier: Apache-2.0 */
/* check.c – the registry is asked what the daemon would ask it, in the same order, by the same
 * folders; a store that is gone afterwards takes what is found. */
#include "daemon/check_internal.h"

#include "base/clock.h"
#include "base/files.h"
#include "base/log.h"
#include "base/text.h"
#include "daemon/registry_config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROGRAM "soci-snapshotter-grpc"
enum { EXIT_NOT_LAZY = 3 };
enum { LOOKUP_MS = 30000 };

/* ---- credentials ----------------------------------------------------------------------------- */

static int find_noted(void *self, const char *host, int cancel_fd, struct registry_credentials *ret,
                      struct err *err)
{
    struct noted *noted = self;
    int rc =
        registry_keychain_docker.find(registry_keychain_docker.self, host, cancel_fd, ret, err);

    if (rc < 0)
        atomic_store(&noted->failed, true);
    return rc;
}

/* ---- asking ---------------------------------------------------------------------------------- */

static void asking_fini(struct asking *a)
{
    struct err err = ERR_NONE;

    discover_free(a->discover);
    store_close(a->store);
    if (a->store_dir != NULL && dir_remove_all(a->store_dir, &err) < 0)
        log_warn("files of the check stay", "dir=%s err=%s", a->store_dir, err_text(&err));
    registry_repo_unref(a->repo);
    registry_free(a->registry);
    oci_reference_fini(&a->reference);
    free(a->store_dir);
    free(a->name);
    free(a->tag);
}
DEFINE_SCOPED_VALUE(asking, struct asking, asking_fini)

enum check_problem check_problem_of(const struct asking *a, int rc, enum check_problem missing,
                                    enum check_problem broken)
{
    if (atomic_load(&a->noted.failed))
        return CHECK_CREDENTIALS;
    if (rc == -EACCES)
        return CHECK_REFUSED;
    if (rc == -ENOENT)
        return missing;
    return rc == -EBADMSG || rc == -EPROTO || rc == -EFBIG || rc == -EINVAL ? broken
                                                                            : CHECK_UNREACHABLE;
}

int check_settle(struct asking *a, enum check_problem problem, int rc, const struct err *err)
{
    if (rc == -ENOMEM)
        return rc;
    a->check->problem = problem;
    a->check->why = *err;
    return 0;
}

static int look_up(struct asking *a, struct discover_index **ret, struct err *err)
{
    const struct discover_options options = {
        .store = a->store,
        .v1_enabled = a->config->v1_enabled,
        .v2_enabled = a->config->v2_enabled,
        .disable_prefetch = true,
    };
    const struct discover_image image = {
        .repo = a->repo, .name = a->name, .manifest = a->check->manifest};
    int rc = discover_new(&options, &a->discover, err);

    return rc < 0 ? rc : discover_find(a->discover, &image, clock_mono_ms() + LOOKUP_MS, ret, err);
}

static int check_index(struct asking *a, const struct oci_manifest *manifest)
{
    SCOPED(discover_index) struct discover_index *index = NULL;
    struct err err = ERR_NONE;
    int rc = look_up(a, &index, &err);

    if (rc < 0)
        return check_settle(a, check_problem_of(a, rc, CHECK_NO_INDEX, CHECK_BROKEN_INDEX), rc,
                            &err);
    a->check->index = *discover_index_digest(index);
    a->check->has_index = true;
    rc = check_layers(a, manifest, discover_index_get(index));
    if (rc < 0 || a->check->lazy_count > 0)
        return rc < 0 ? rc : check_ranges(a);
    (void)err_set(&err, -ENOENT, "there is an index, and no layer can be mounted by it");
    return check_settle(a, CHECK_NO_LAYER, -ENOENT, &err);
}

/* 0: check->problem says how it is. Else a failure of our own. */
static int check_image(struct asking *a)
{
    SCOPED(oci_manifest) struct oci_manifest *manifest = NULL;
    struct err err = ERR_NONE;
    int rc = check_reach(a, &err);

    if (rc < 0 && (!a->check->reachable || a->reference.repository == NULL))
        return check_settle(a, check_problem_of(a, rc, CHECK_UNREACHABLE, CHECK_UNREACHABLE), rc,
                            &err);
    if (a->reference.repository == NULL)
        return 0;
    rc = check_get_manifest(a, &manifest, &err);
    if (rc == -EXDEV)
        return check_settle(a, CHECK_NO_PLATFORM, rc, &err);
    if (rc < 0)
        return check_settle(a, check_problem_of(a, rc, CHECK_NO_IMAGE, CHECK_NO_IMAGE), rc, &err);
    if (!a->config->v1_enabled && !a->config->v2_enabled) {
        (void)err_set(&err, -ENOENT, "the configuration switches both ways to an index off");
        return check_settle(a, CHECK_OFF, -ENOENT, &err);
    }
    return check_index(a, manifest);
}

/* "HOST/" is a registry alone. */
static int parse_reference(struct asking *a, const char *word, struct err *err)
{
    size_t len = strlen(word);
    int rc;

    if (len > 1 && word[len - 1] == '/' && memchr(word, '/', len - 1) == NULL) {
        a->reference.host = strndup(word, len - 1);
        a->check->host = text_copy(a->reference.host);
        return a->check->host == NULL ? err_set(err, -ENOMEM, "out of memory") : 0;
    }
    rc = oci_reference_parse(word, &a->reference, err);
    if (rc < 0)
        return rc;
    a->name = text_format("%s/%s", a->reference.host, a->reference.repository);
    a->check->host = text_copy(a->reference.host);
    a->tag = text_copy(a->reference.digest != NULL ? a->reference.digest
                       : a->reference.tag != NULL  ? a->reference.tag
                                                   : "latest");
    a->check->name =
        text_format("%s%c%s", a->name, a->reference.digest != NULL ? '@' : ':', a->tag);
    return a->name == NULL || a->tag == NULL || a->check->host == NULL || a->check->name == NULL
               ? err_set(err, -ENOMEM, "out of memory")
               : 0;
}

static int open_store(struct asking *a, struct err *err)
{
    const char *dir = getenv("TMPDIR");

    a->store_dir = text_format("%s/soci-check.XXXXXX", dir == NULL || *dir == '\0' ? "/tmp" : dir);
    if (a->store_dir == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    if (mkdtemp(a->store_dir) == NULL) {
        int rc = err_sys(err, -errno, "%s", a->store_dir);

        free(TAKE(a->store_dir));
        return rc;
    }
    return store_open(a->store_dir, &a->store, err);
}

static int ask(struct asking *a, const char *word, struct err *err)
{
    int rc = parse_reference(a, word, err);

    if (rc == 0)
        rc = open_store(a, err);
    if (rc == 0)
        rc = config_open_registry(a->config, true, &a->registry, err);
    a->noted.keychain = (struct registry_keychain){.find = find_noted, .self = &a->noted};
    if (rc == 0)
        rc = registry_repo_open(a->registry, a->reference.host,
                                a->reference.repository == NULL ? "library/none"
                                                                : a->reference.repository,
                                &a->noted.keychain, &a->repo, err);
    if (rc < 0)
        return rc;
    return check_image(a) < 0 ? err_set(err, -ENOMEM, "out of memory") : 0;
}

/* ---- telling --------------------------------------------------------------------------------- */

void check_fini(struct check *check)
{
    free(check->image);
    free(check->host);
    free(check->name);
    free(check->platform);
    free(check->layers);
}

static int tell(const struct check *check, bool json, struct err *err)
{
    SCOPED(buf_value) struct buf text = BUF_EMPTY;
    int rc = json ? check_print_json(check, &text) : check_print_table(check, &text);

    if (rc < 0)
        return err_set(err, rc, "out of memory");
    if (fwrite(text.data, 1, text.len, stdout) != text.len || fflush(stdout) != 0)
        return err_sys(err, -errno, "standard output");
    return check->problem == CHECK_FINE ? 0 : EXIT_NOT_LAZY;
}

static int run(const struct options *options, struct err *err)
{
    SCOPED(config) struct config config = config_default();
    SCOPED(check) struct check check = {.image = text_copy(options->image)};
    SCOPED(asking)
    struct asking asking = {.config = &config, .platform = options->platform, .check = &check};
    int rc = config_load(options->config, options->config_is_default, &config, err);

    if (rc == 0)
        rc = ask(&asking, options->image, err);
    return rc < 0 ? rc : tell(&check, options->json, err);
}

int check_main(const struct options *options)
{
    struct err err = ERR_NONE;
    int rc;

    if (options->image == NULL) {
        (void)fprintf(stderr, PROGRAM ": check: which image? `check IMAGE`, or `check HOST/`\n");
        return 1;
    }
    log_setup(LOG_LEVEL_ERROR, LOG_STYLE_TEXT);
    rc = run(options, &err);
    if (rc < 0)
        (void)fprintf(stderr, PROGRAM ": check: %s\n", err_text(&err));
    return rc < 0 ? 1 : rc;
}
