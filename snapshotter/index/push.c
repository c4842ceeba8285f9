/* SPDX-License-Identifier: Apache-2.0 */
/* push.c – an index and its blobs to the image's repository: blobs first, several at a time, the
 * index last, so that nobody finds an index whose ztocs are not there yet. */
#include "index/internal.h"

#include "base/threads.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_UPLOADS = 3 };

struct push {
    const struct index_push_options *options; /* fixed */
    struct index_printer printer;
};

/* One blob's share of the work; the job's thread alone writes to it until the pool is gone. */
struct blob_job {
    struct pool_job job;
    struct push *push;    /* fixed */
    struct digest digest; /* fixed */
    int rc;
    struct err err;
};

static void say(struct push *push, const char *what, const struct digest *digest)
{
    char text[DIGEST_TEXT_BYTES];

    if (push->options->quiet)
        return;
    digest_format(digest, text);
    index_print(&push->printer, "%s artifact with digest: %s", what, text);
}

static int push_blob(struct push *push, const struct digest *digest, struct err *err)
{
    const struct index_push_options *options = push->options;
    SCOPED(buf_value) struct buf content = BUF_EMPTY;
    char text[DIGEST_TEXT_BYTES];
    bool there = false;
    int rc = registry_has_blob(options->repo, digest, &there, err);

    digest_format(digest, text);
    if (rc < 0)
        return err_prefix(err, rc, "failed to perform \"Exists\" on destination: %s", text);
    if (there) {
        say(push, "skipped", digest);
        return 0;
    }
    say(push, "pushing", digest);
    rc = index_content_read_all(&options->content, digest, &content, err);
    if (rc < 0)
        return err_prefix(err, rc, "failed to perform \"Fetch\" on source: %s", text);
    rc = registry_push_blob(options->repo, digest, buf_bytes(&content), err);
    if (rc < 0)
        return err_prefix(err, rc, "failed to perform \"Push\" on destination: %s", text);
    say(push, "successfully pushed", digest);
    return 0;
}

static void run_blob(struct pool_job *job)
{
    struct blob_job *blob =
        (struct blob_job *)(void *)((char *)job - offsetof(struct blob_job, job));

    blob->rc = push_blob(blob->push, &blob->digest, &blob->err);
}

static bool is_listed(const struct blob_job *jobs, size_t count, const struct digest *digest)
{
    size_t i;

    for (i = 0; i < count; i++) {
        if (digest_equal(&jobs[i].digest, digest))
            return true;
    }
    return false;
}

static int run_jobs(struct push *push, struct blob_job *jobs, size_t count, struct err *err)
{
    size_t uploads = push->options->uploads == 0 ? DEFAULT_UPLOADS : push->options->uploads, i;
    struct pool *pool = NULL;
    int rc = pool_new("upload", uploads < count ? uploads : count, &pool, err);

    if (rc < 0)
        return rc;
    for (i = 0; i < count; i++)
        pool_submit(pool, &jobs[i].job, POOL_URGENT);
    pool_free(pool); /* waits for the jobs */
    for (i = 0; i < count && rc == 0; i++) {
        rc = jobs[i].rc;
        if (rc < 0 && err != NULL)
            *err = jobs[i].err;
    }
    return rc;
}

/* The ztocs and prefetch artifacts, each once, and the config that every SOCI index has. */
static int push_blobs(struct push *push, const struct soci_index *index, struct err *err)
{
    struct blob_job *jobs = calloc(index->ztoc_count + index->prefetch_count + 1, sizeof(*jobs));
    size_t count = 0, i;
    int rc;

    if (jobs == NULL || digest_of(bytes_of_str(index_empty_config), &jobs[0].digest) < 0) {
        free(jobs);
        return err_set(err, -ENOMEM, "out of memory");
    }
    count = 1;
    for (i = 0; i < index->ztoc_count; i++) {
        if (!is_listed(jobs, count, &index->ztocs[i].ztoc))
            jobs[count++].digest = index->ztocs[i].ztoc;
    }
    for (i = 0; i < index->prefetch_count; i++) {
        if (!is_listed(jobs, count, &index->prefetches[i].artifact))
            jobs[count++].digest = index->prefetches[i].artifact;
    }
    for (i = 0; i < count; i++) {
        jobs[i].push = push;
        jobs[i].job.run = run_blob;
    }
    rc = run_jobs(push, jobs, count, err);
    free(jobs);
    return rc;
}

/* 1: push; 0: there is an index already and the user wants no second. */
static int check_existing(struct push *push, const struct digest *manifest, struct err *err)
{
    const struct index_push_options *options = push->options;
    SCOPED(oci_index) struct oci_index *found = NULL;
    char digest[DIGEST_TEXT_BYTES], manifest_text[DIGEST_TEXT_BYTES], what[160];
    int rc;

    if (options->existing == INDEX_EXISTING_ALLOW)
        return 1;
    if (!options->quiet)
        index_print(&push->printer,
                    "checking if a soci index already exists in remote repository...");
    rc = registry_get_referrers(options->repo, manifest, SOCI_MEDIA_INDEX_V1, &found, NULL, err);
    if (rc < 0)
        return err_prefix(err, rc, "failed to fetch list of referrers");
    if (found->manifest_count == 0)
        return 1;
    digest_format(&found->manifests[0].digest, digest);
    digest_format(manifest, manifest_text);
    if (found->manifest_count > 1)
        (void)snprintf(what, sizeof(what), "multiple soci indices found in remote repository");
    else
        (void)snprintf(what, sizeof(what), "soci index found in remote repository with digest: %s",
                       digest);
    if (options->existing == INDEX_EXISTING_WARN) {
        index_print(&push->printer, "[WARN] %s: pushing index anyway", what);
        return 1;
    }
    if (!options->quiet)
        index_print(&push->printer, "%s: skipping pushing artifacts for image manifest: %s", what,
                    manifest_text);
    return 0;
}

/* The image itself is not ours to push: nerdctl did that a moment ago. */
static int check_subject(struct push *push, const struct soci_index *index, struct err *err)
{
    char text[DIGEST_TEXT_BYTES];
    bool there = false;
    int rc;

    digest_format(&index->subject, text);
    rc = registry_has_manifest(push->options->repo, text, &there, err);
    if (rc < 0)
        return err_prefix(err, rc, "failed to perform \"Exists\" on destination: %s", text);
    if (!there)
        return err_set(err, -ENOENT,
                       "image manifest %s is not in the repository; push the image first", text);
    say(push, "skipped", &index->subject);
    return 0;
}

static int set_referrer(struct oci_descriptor *entry, const struct soci_index *index)
{
    entry->media_type = text_copy(OCI_MEDIA_MANIFEST);
    entry->artifact_type = text_copy(SOCI_MEDIA_INDEX_V1);
    if (entry->media_type == NULL || entry->artifact_type == NULL)
        return -ENOMEM;
    return index->build_tool == NULL
               ? 0
               : text_map_set(&entry->annotations, "com.amazon.soci.build-tool-identifier",
                              index->build_tool);
}

static int push_index_manifest(struct push *push, const struct digest *digest, struct bytes json,
                               const struct soci_index *index, struct err *err)
{
    SCOPED(oci_descriptor)
    struct oci_descriptor entry = {.digest = *digest, .size_bytes = json.len};
    char text[DIGEST_TEXT_BYTES];
    bool subject_known = false;
    int rc;

    say(push, "pushing", digest);
    digest_format(digest, text);
    rc = registry_push_manifest(push->options->repo, text, OCI_MEDIA_MANIFEST, json, &subject_known,
                                err);
    if (rc < 0)
        return err_prefix(err, rc, "failed to perform \"Push\" on destination: %s", text);
    if (!subject_known) {
        if (set_referrer(&entry, index) < 0)
            return err_set(err, -ENOMEM, "out of memory");
        rc = index_update_referrers_tag(push->options->repo, &index->subject, &entry, err);
        if (rc < 0)
            return rc;
    }
    say(push, "successfully pushed", digest);
    return 0;
}

static int push_all(struct push *push, const struct digest *digest, struct err *err)
{
    const struct index_content *content = &push->options->content;
    SCOPED(buf_value) struct buf json = BUF_EMPTY;
    SCOPED(soci_index) struct soci_index *index = NULL;
    char text[DIGEST_TEXT_BYTES];
    int rc = index_content_read_all(content, digest, &json, err);

    if (rc == 0)
        rc = soci_index_parse(buf_bytes(&json), &index, err);
    digest_format(digest, text);
    if (rc != 0)
        return err_prefix(err, rc, "soci index %s", text);
    if (!index->has_subject)
        return err_set(err, -EINVAL, "soci index %s belongs to no image manifest", text);
    rc = check_existing(push, &index->subject, err);
    if (rc <= 0)
        return rc;
    index_print(&push->printer, push->options->quiet ? "%s" : "pushing soci index with digest: %s",
                text);
    rc = check_subject(push, index, err);
    if (rc == 0)
        rc = push_blobs(push, index, err);
    if (rc == 0)
        rc = push_index_manifest(push, digest, buf_bytes(&json), index, err);
    return rc < 0 ? err_prefix(err, rc, "error pushing graph to remote") : 0;
}

int index_push(const struct index_push_options *options, const struct digest *index_digest,
               struct err *err)
{
    struct push push = {
        .options = options,
        .printer = {.output = options->output, .lock = PTHREAD_MUTEX_INITIALIZER},
    };
    int rc = push_all(&push, index_digest, err);

    (void)pthread_mutex_destroy(&push.printer.lock);
    return rc;
}
