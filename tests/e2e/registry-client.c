/* SPDX-License-Identifier: Apache-2.0 */
/* registry-client.c – the registry client as a program, for the script of the same name:
 *
 *   registry-client HOST REPOSITORY VERB ARGUMENT…
 *
 * Credentials are Docker's; what goes over the wire is traced on stderr. REGISTRY_CLIENT_TLS in the
 * environment: https for loopback too. */
#include "base/files.h"
#include "registry/registry.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_MAX_BYTES = 256 << 20 };
/* Larger than a read of the fetches below on purpose: ranges have to be cut anyhow. */
enum { RANGE_BYTES = 300 * 1000 };

static void print_trace(void *self, const char *line)
{
    (void)self;
    (void)fprintf(stderr, "%s\n", line);
}

static int verb_push_blob(struct registry_repo *repo, char **args, struct err *err)
{
    SCOPED(buf_value) struct buf content = BUF_EMPTY;
    struct digest digest;
    char text[DIGEST_TEXT_BYTES];
    int rc = file_read(args[0], FILE_MAX_BYTES, &content, err);

    if (rc == 0)
        rc = digest_of(buf_bytes(&content), &digest);
    if (rc == 0)
        rc = registry_push_blob(repo, &digest, buf_bytes(&content), err);
    if (rc < 0)
        return rc;
    digest_format(&digest, text);
    (void)printf("%s\n", text);
    return 0;
}

static int verb_get_blob(struct registry_repo *repo, char **args, struct err *err)
{
    SCOPED(buf_value) struct buf content = BUF_EMPTY;
    struct digest digest;
    int rc = digest_parse(args[0], &digest, err);

    if (rc == 0)
        rc = registry_get_blob(repo, &digest, FILE_MAX_BYTES, &content, err);
    if (rc == 0 && content.len > 0)
        (void)fwrite(content.data, 1, content.len, stdout);
    return rc;
}

static int verb_has_blob(struct registry_repo *repo, char **args, struct err *err)
{
    struct digest digest;
    bool has = false;
    int rc = digest_parse(args[0], &digest, err);

    if (rc == 0)
        rc = registry_has_blob(repo, &digest, &has, err);
    if (rc == 0)
        (void)printf("%s\n", has ? "yes" : "no");
    return rc;
}

static int verb_size(struct registry_repo *repo, char **args, struct err *err)
{
    struct digest digest;
    uint64_t bytes = 0;
    int rc = digest_parse(args[0], &digest, err);

    if (rc == 0)
        rc = registry_blob_size(repo, &digest, &bytes, err);
    if (rc == 0)
        (void)printf("%llu\n", (unsigned long long)bytes);
    return rc;
}

static int verb_push_manifest(struct registry_repo *repo, char **args, struct err *err)
{
    SCOPED(buf_value) struct buf content = BUF_EMPTY;
    bool known = false;
    int rc = file_read(args[2], FILE_MAX_BYTES, &content, err);

    if (rc == 0)
        rc = registry_push_manifest(repo, args[0], args[1], buf_bytes(&content), &known, err);
    if (rc == 0)
        (void)printf("subject %s\n", known ? "known" : "unknown");
    return rc;
}

static int verb_get_manifest(struct registry_repo *repo, char **args, struct err *err)
{
    SCOPED(buf_value) struct buf content = BUF_EMPTY;
    SCOPED(mem) char *media_type = NULL;
    int rc = registry_get_manifest(repo, args[0], &content, &media_type, err);

    if (rc < 0)
        return rc;
    (void)fprintf(stderr, "%s\n", media_type == NULL ? "" : media_type);
    (void)fwrite(content.data, 1, content.len, stdout);
    return 0;
}

static int verb_delete_manifest(struct registry_repo *repo, char **args, struct err *err)
{
    struct digest digest;
    int rc = digest_parse(args[0], &digest, err);

    return rc == 0 ? registry_delete_manifest(repo, &digest, err) : rc;
}

static int verb_referrers(struct registry_repo *repo, char **args, struct err *err)
{
    SCOPED(oci_index) struct oci_index *index = NULL;
    struct digest subject;
    bool from_tag = false;
    int rc = digest_parse(args[0], &subject, err);

    if (rc == 0)
        rc = registry_get_referrers(repo, &subject, args[1], &index, &from_tag, err);
    if (rc < 0 || index == NULL)
        return rc;
    (void)printf("from %s\n", from_tag ? "tag" : "api");
    for (size_t i = 0; i < index->manifest_count; i++) {
        char text[DIGEST_TEXT_BYTES];
        digest_format(&index->manifests[i].digest, text);
        (void)printf("%s\n", text);
    }
    return 0;
}

/* ---- all of a blob in ranges, all at once ---------------------------------------------------- */

struct ranges {
    pthread_mutex_t lock;
    pthread_cond_t settled;
    size_t left;    /* lock */
    int rc;         /* lock: the first failure */
    struct err err; /* lock */
};

static void range_done(struct registry_fetch *fetch, int rc, const struct err *err)
{
    struct ranges *ranges = fetch->arg;

    (void)pthread_mutex_lock(&ranges->lock);
    if (rc < 0 && ranges->rc == 0) {
        ranges->rc = rc;
        ranges->err = *err;
    }
    ranges->left--;
    (void)pthread_cond_signal(&ranges->settled);
    (void)pthread_mutex_unlock(&ranges->lock);
}

static int fetch_all(struct registry_blob *blob, struct registry_fetch *fetches, size_t count,
                     struct err *err)
{
    struct ranges *ranges = fetches[0].arg;
    int rc = 0;

    for (size_t i = 0; i < count; i++) {
        int started = registry_blob_fetch(blob, &fetches[i], err);
        if (started < 0) {
            range_done(&fetches[i], started, err);
            rc = started;
        }
    }
    (void)pthread_mutex_lock(&ranges->lock);
    while (ranges->left > 0)
        (void)pthread_cond_wait(&ranges->settled, &ranges->lock);
    if (ranges->rc < 0) {
        rc = ranges->rc;
        *err = ranges->err;
    }
    (void)pthread_mutex_unlock(&ranges->lock);
    return rc;
}

static int verb_ranges(struct registry_repo *repo, char **args, struct err *err)
{
    SCOPED(registry_blob) struct registry_blob *blob = NULL;
    SCOPED(mem) uint8_t *content = NULL;
    SCOPED(mem) struct registry_fetch *fetches = NULL;
    struct ranges ranges = {.lock = PTHREAD_MUTEX_INITIALIZER, .settled = PTHREAD_COND_INITIALIZER};
    struct digest digest;
    uint64_t size;

    if (digest_parse(args[0], &digest, err) < 0 || text_parse_u64(args[1], &size) < 0 ||
        size == 0 || size > FILE_MAX_BYTES)
        return err_set(err, -EINVAL, "ranges DIGEST SIZE");
    ranges.left = (size_t)((size + RANGE_BYTES - 1) / RANGE_BYTES);
    content = malloc(size);
    fetches = calloc(ranges.left, sizeof(*fetches));
    if (content == NULL || fetches == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    for (size_t i = 0; i < ranges.left; i++) {
        uint64_t off = (uint64_t)i * RANGE_BYTES;
        fetches[i] = (struct registry_fetch){
            .off = off,
            .len = (size_t)(size - off < RANGE_BYTES ? size - off : RANGE_BYTES),
            .buf = content + off,
            .done = range_done,
            .arg = &ranges,
        };
    }
    int rc = registry_blob_open(repo, &digest, size, &blob, err);
    if (rc == 0)
        rc = fetch_all(blob, fetches, ranges.left, err);
    if (rc == 0)
        (void)fwrite(content, 1, size, stdout);
    return rc;
}

/* ---- verbs ----------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    int args;
    int (*run)(struct registry_repo *repo, char **args, struct err *err);
} verbs[] = {
    {"push-blob", 1, verb_push_blob},
    {"get-blob", 1, verb_get_blob},
    {"has-blob", 1, verb_has_blob},
    {"size", 1, verb_size},
    {"ranges", 2, verb_ranges},
    {"push-manifest", 3, verb_push_manifest},
    {"get-manifest", 1, verb_get_manifest},
    {"delete-manifest", 1, verb_delete_manifest},
    {"referrers", 2, verb_referrers},
};

static int run(int argc, char **argv, struct err *err)
{
    const struct registry_options options = {.user_agent = "registry-client/1",
                                             .http_loopback = getenv("REGISTRY_CLIENT_TLS") == NULL,
                                             .trace = print_trace};
    SCOPED(registry) struct registry *registry = NULL;
    SCOPED(registry_repo) struct registry_repo *repo = NULL;
    int rc = registry_new(&options, &registry, err);

    if (rc == 0)
        rc = registry_repo_open(registry, argv[1], argv[2], &registry_keychain_docker, &repo, err);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
        if (strcmp(argv[3], verbs[i].name) == 0 && argc == 4 + verbs[i].args)
            return verbs[i].run(repo, argv + 4, err);
    }
    return err_set(err, -EINVAL, "no such verb, or not its arguments: %s", argv[3]);
}

int main(int argc, char **argv)
{
    struct err err = ERR_NONE;

    if (argc < 4 || run(argc, argv, &err) < 0) {
        (void)fprintf(stderr, "error: %s\n", argc < 4 ? "HOST REPOSITORY VERB" : err_text(&err));
        return 1;
    }
    return fflush(stdout) == 0 ? 0 : 1;
}
