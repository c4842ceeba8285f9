/* SPDX-License-Identifier: Apache-2.0 */
/* check.c – the registry is asked what the daemon would ask it, in the same order, by the same
 * folders; a store that is gone afterwards takes what is found. */
#include "daemon/check.h"

#include "base/clock.h"
#include "base/files.h"
#include "base/log.h"
#include "base/text.h"
#include "daemon/config.h"
#include "daemon/registry_config.h"
#include "discover/discover.h"
#include "oci/oci.h"
#include "store/store.h"
#include "ztoc/ztoc.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROGRAM "soci-snapshotter-grpc"
enum { EXIT_NOT_LAZY = 3 };
enum { LOOKUP_MS = 30000 };
#define ZTOC_MAX_BYTES ((uint64_t)512 * 1024 * 1024) /* as the daemon takes them */

/* ---- credentials ----------------------------------------------------------------------------- */

/* The daemon's keychain, and whether it failed: what comes of that looks like no answer. */
struct noted {
    struct registry_keychain keychain;
    atomic_bool failed;
};

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

struct asking {
    const struct config *config;
    const char *platform; /* NULL: this machine's */
    struct check *check;
    struct noted noted;
    struct registry *registry;
    struct registry_repo *repo;
    struct oci_reference reference;
    char *name; /* host/repository */
    char *tag;  /* or a digest */
    char *store_dir;
    struct store *store;
    struct discover *discover;
};

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

/* What an answer of the registry's means; `missing` where it has not got what was asked for. */
static enum check_problem problem_of(const struct asking *a, int rc, enum check_problem missing,
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

/* Ends the check with what `rc` and *err say, as an answer and not as a failure: 0, or -ENOMEM. */
static int settle(struct asking *a, enum check_problem problem, int rc, const struct err *err)
{
    if (rc == -ENOMEM)
        return rc;
    a->check->problem = problem;
    a->check->why = *err;
    return 0;
}

/* ---- the registry ---------------------------------------------------------------------------- */

static int reach(struct asking *a, struct err *err)
{
    int64_t date_s = 0;
    int rc = registry_ping(a->repo, &date_s, err);

    if (date_s > 0) {
        a->check->skew_s = date_s - clock_wall_ms() / 1000;
        a->check->has_skew = true;
    }
    /* One that answers has answered, whatever it says. */
    a->check->reachable = rc == 0 || (date_s > 0 && (rc == -EACCES || rc == -ENOENT));
    return rc;
}

static char *platforms_of(const struct oci_index *index)
{
    SCOPED(buf_value) struct buf list = BUF_EMPTY;
    int rc = 0;

    for (size_t i = 0; i < index->manifest_count && rc == 0; i++) {
        const struct oci_platform *platform = &index->manifests[i].platform;
        SCOPED(mem) char *text = NULL;

        if (platform->os == NULL || strcmp(platform->os, "unknown") == 0)
            continue;
        text = oci_platform_text(platform);
        rc = text == NULL ? -ENOMEM : buf_addf(&list, "%s%s", list.len == 0 ? "" : ", ", text);
    }
    return rc < 0 ? NULL : text_copy(list.len == 0 ? "none" : buf_str(&list));
}

static int want_platform(const struct asking *a, struct oci_platform *ret, struct err *err)
{
    if (a->platform != NULL)
        return oci_platform_parse(a->platform, ret, err);
    return oci_platform_host(ret) < 0 ? err_set(err, -ENOMEM, "out of memory") : 0;
}

/* -EXDEV: none of the list's is for that platform. */
static int choose(struct asking *a, const struct oci_index *index,
                  const struct oci_platform *platform, struct err *err)
{
    SCOPED(mem) char *there = NULL;

    for (size_t i = 0; i < index->manifest_count; i++) {
        const struct oci_descriptor *desc = &index->manifests[i];

        if (desc->platform.os != NULL && oci_platform_matches(&desc->platform, platform)) {
            a->check->manifest = desc->digest;
            a->check->has_manifest = true;
            return 0;
        }
    }
    there = platforms_of(index);
    return err_set(err, -EXDEV, "the image is not for %s, but for %s", a->check->platform,
                   there == NULL ? "others" : there);
}

/* check->manifest, of the image for the platform, and what it holds, when that came along. */
static int find_manifest(struct asking *a, struct buf *json, struct err *err)
{
    SCOPED(oci_platform) struct oci_platform platform = {.os = NULL};
    SCOPED(oci_index) struct oci_index *index = NULL;
    SCOPED(mem) char *media_type = NULL;
    int rc = want_platform(a, &platform, err);

    if (rc < 0)
        return rc;
    a->check->platform = oci_platform_text(&platform);
    rc = registry_get_manifest(a->repo, a->tag, json, &media_type, err);
    if (rc < 0)
        return rc;
    if (!oci_is_index(media_type)) {
        a->check->has_manifest = true;
        return digest_of(buf_bytes(json), &a->check->manifest) < 0
                   ? err_set(err, -ENOMEM, "out of memory")
                   : 0;
    }
    rc = oci_index_parse(buf_bytes(json), &index, err);
    json->len = 0;
    return rc < 0 ? rc : choose(a, index, &platform, err);
}

/* A lone manifest says in its configuration what it is for. */
static int check_lone_platform(struct asking *a, const struct oci_manifest *manifest,
                               struct err *err)
{
    SCOPED(buf_value) struct buf json = BUF_EMPTY;
    SCOPED(oci_platform) struct oci_platform wanted = {.os = NULL}, has = {.os = NULL};
    SCOPED(mem) char *text = NULL;
    int rc =
        registry_get_blob(a->repo, &manifest->config.digest, OCI_MANIFEST_MAX_BYTES, &json, err);

    if (rc == 0)
        rc = oci_config_platform(buf_bytes(&json), &has, err);
    if (rc < 0 || has.os == NULL)
        return rc == -ENOMEM ? rc : 0; /* what cannot be told hinders nothing */
    rc = want_platform(a, &wanted, err);
    if (rc < 0 || oci_platform_matches(&has, &wanted))
        return rc;
    text = oci_platform_text(&has);
    return err_set(err, -EXDEV, "the image is not for %s, but for %s", a->check->platform,
                   text == NULL ? "another" : text);
}

static int get_manifest(struct asking *a, struct oci_manifest **ret, struct err *err)
{
    SCOPED(buf_value) struct buf json = BUF_EMPTY;
    char digest[DIGEST_TEXT_BYTES];
    bool is_lone;
    int rc = find_manifest(a, &json, err);

    if (rc < 0)
        return rc;
    is_lone = json.len > 0;
    digest_format(&a->check->manifest, digest);
    if (!is_lone)
        rc = registry_get_manifest(a->repo, digest, &json, NULL, err);
    if (rc == 0)
        rc = oci_manifest_parse(buf_bytes(&json), ret, err);
    return rc == 0 && is_lone ? check_lone_platform(a, *ret, err) : rc;
}

/* ---- layers ---------------------------------------------------------------------------------- */

static enum check_state state_of(struct asking *a, const struct oci_descriptor *layer,
                                 const struct soci_index *index, struct err *err)
{
    const struct soci_index_ztoc *desc = soci_index_find(index, &layer->digest);
    int64_t least = a->config->min_layer_bytes;
    SCOPED(buf_value) struct buf blob = BUF_EMPTY;
    SCOPED(ztoc) struct ztoc *toc = NULL;
    uint64_t size = 0;
    int rc;

    if (least > 0 && layer->size_bytes < (uint64_t)least) {
        (void)err_set(err, -ENOENT, "smaller than snapshotter.min_layer_size, %lld bytes",
                      (long long)least);
        return CHECK_TOO_SMALL;
    }
    if (desc == NULL) {
        (void)err_set(err, -ENOENT, "it has no table of contents in the index: %s",
                      oci_layer_compression(layer->media_type) == OCI_COMPRESSION_UNSUPPORTED
                          ? "it is not packed with gzip"
                          : "it was too small when that was made");
        return CHECK_NO_ZTOC;
    }
    if (desc->ztoc_bytes == 0 || desc->ztoc_bytes > ZTOC_MAX_BYTES) {
        (void)err_set(err, -EBADMSG, "the index gives its table of contents a size that cannot be");
        return CHECK_BROKEN_ZTOC;
    }
    rc = registry_get_blob(a->repo, &desc->ztoc, (size_t)desc->ztoc_bytes, &blob, err);
    if (rc < 0)
        return rc == -EBADMSG || rc == -EFBIG ? CHECK_BROKEN_ZTOC : CHECK_NOT_THERE;
    if (ztoc_parse(buf_bytes(&blob), &toc, err) < 0)
        return CHECK_BROKEN_ZTOC;
    if (ztoc_comp_size(toc) != layer->size_bytes) {
        (void)err_set(err, -EBADMSG, "its table of contents is of another layer");
        return CHECK_BROKEN_ZTOC;
    }
    rc = registry_blob_size(a->repo, &layer->digest, &size, err);
    if (rc < 0)
        return CHECK_NOT_THERE;
    if (size != layer->size_bytes) {
        (void)err_set(err, -EBADMSG, "the registry has it with another size");
        return CHECK_NOT_THERE;
    }
    return CHECK_LAZY;
}

static int check_layers(struct asking *a, const struct oci_manifest *manifest,
                        const struct soci_index *index)
{
    struct check *check = a->check;

    check->layers = calloc(manifest->layer_count + 1, sizeof(*check->layers));
    if (check->layers == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < manifest->layer_count; i++) {
        struct check_layer *layer = &check->layers[check->layer_count++];
        struct err err = ERR_NONE;

        layer->digest = manifest->layers[i].digest;
        layer->size_bytes = manifest->layers[i].size_bytes;
        layer->state = state_of(a, &manifest->layers[i], index, &err);
        if (layer->state == CHECK_LAZY)
            check->lazy_count++;
        else
            (void)snprintf(layer->text, sizeof(layer->text), "%s", err_text(&err));
    }
    return 0;
}

/* ---- ranges ---------------------------------------------------------------------------------- */

/* The one that a part is asked of; NULL: none is lazy. */
static const struct check_layer *largest_lazy(const struct check *check)
{
    const struct check_layer *largest = NULL;

    for (size_t i = 0; i < check->layer_count; i++) {
        const struct check_layer *layer = &check->layers[i];

        if (layer->state == CHECK_LAZY &&
            (largest == NULL || layer->size_bytes > largest->size_bytes))
            largest = layer;
    }
    return largest;
}

static void forget_lazy(struct check *check, const struct err *why)
{
    for (size_t i = 0; i < check->layer_count; i++) {
        struct check_layer *layer = &check->layers[i];

        if (layer->state != CHECK_LAZY)
            continue;
        layer->state = CHECK_ONLY_WHOLE;
        (void)snprintf(layer->text, sizeof(layer->text), "%s", err_text(why));
    }
    check->lazy_count = 0;
}

/* A registry, a proxy before it, or where it redirects to may ignore ranges or refuse them: then a
 * file is read by fetching its whole layer, or not at all. One layer speaks for all. */
static int check_ranges(struct asking *a)
{
    const struct check_layer *layer = largest_lazy(a->check);
    struct err err = ERR_NONE;
    int rc = layer == NULL
                 ? 0
                 : registry_blob_gives_ranges(a->repo, &layer->digest, layer->size_bytes, &err);

    if (rc == 0 || rc == -ENOMEM)
        return rc;
    (void)err_prefix(&err, rc, "no part of a layer can be had");
    forget_lazy(a->check, &err);
    return settle(a, CHECK_NO_RANGES, rc, &err);
}

/* ---- the whole of it ------------------------------------------------------------------------- */

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
        return settle(a, problem_of(a, rc, CHECK_NO_INDEX, CHECK_BROKEN_INDEX), rc, &err);
    a->check->index = *discover_index_digest(index);
    a->check->has_index = true;
    rc = check_layers(a, manifest, discover_index_get(index));
    if (rc < 0 || a->check->lazy_count > 0)
        return rc < 0 ? rc : check_ranges(a);
    (void)err_set(&err, -ENOENT, "there is an index, and no layer can be mounted by it");
    return settle(a, CHECK_NO_LAYER, -ENOENT, &err);
}

/* 0: check->problem says how it is. Else a failure of our own. */
static int check_image(struct asking *a)
{
    SCOPED(oci_manifest) struct oci_manifest *manifest = NULL;
    struct err err = ERR_NONE;
    int rc = reach(a, &err);

    if (rc < 0 && (!a->check->reachable || a->reference.repository == NULL))
        return settle(a, problem_of(a, rc, CHECK_UNREACHABLE, CHECK_UNREACHABLE), rc, &err);
    if (a->reference.repository == NULL)
        return 0;
    rc = get_manifest(a, &manifest, &err);
    if (rc == -EXDEV)
        return settle(a, CHECK_NO_PLATFORM, rc, &err);
    if (rc < 0)
        return settle(a, problem_of(a, rc, CHECK_NO_IMAGE, CHECK_NO_IMAGE), rc, &err);
    if (!a->config->v1_enabled && !a->config->v2_enabled) {
        (void)err_set(&err, -ENOENT, "the configuration switches both ways to an index off");
        return settle(a, CHECK_OFF, -ENOENT, &err);
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
