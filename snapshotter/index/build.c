/* SPDX-License-Identifier: Apache-2.0 */
/* build.c – all layers of an image at the same time, then the index that names their ztocs. */
#include "index/internal.h"

#include "base/threads.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char index_empty_config[] = "{}";

void index_built_fini(struct index_built *built)
{
    soci_index_free(built->index);
    built->index = NULL;
}

struct build {
    const struct index_build_options *options; /* fixed */
    struct index_printer printer;
    pthread_mutex_t known_lock; /* one find_known() at a time */
};

/* One layer's share of the work. The job's thread alone writes to it until the pool is gone. */
struct layer_job {
    struct pool_job job;
    struct build *build;                /* fixed */
    const struct oci_descriptor *layer; /* fixed */
    const struct layer_job *same_as;    /* fixed; an earlier job for the same layer. NULL: none */
    struct soci_index_ztoc ztoc;
    enum index_layer_outcome outcome;
    struct err err;
};

static void run_layer(struct pool_job *job)
{
    struct layer_job *layer =
        (struct layer_job *)(void *)((char *)job - offsetof(struct layer_job, job));
    struct build *build = layer->build;

    if (index_layer_build(build->options, &build->printer, &build->known_lock, layer->layer,
                          &layer->ztoc, &layer->outcome, &layer->err) < 0)
        layer->outcome = INDEX_LAYER_FAILED;
}

static size_t cpu_count(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1 ? 1 : (size_t)n;
}

static int run_layers(struct build *build, struct layer_job *jobs, size_t count, struct err *err)
{
    size_t threads = build->options->threads == 0 ? cpu_count() : build->options->threads;
    SCOPED(pool) struct pool *pool = NULL;
    int rc = pool_new("layer", threads < count ? threads : count, &pool, err);
    size_t i;

    if (rc < 0)
        return rc;
    for (i = 0; i < count; i++) {
        if (jobs[i].same_as == NULL)
            pool_submit(pool, &jobs[i].job, POOL_URGENT);
    }
    return 0; /* the pool's end waits for the jobs */
}

/* An image may hold the same layer several times (empty ones often): it is built once, and listed
 * as often. */
static const struct layer_job *find_same(const struct layer_job *jobs, size_t count,
                                         const struct oci_descriptor *layer)
{
    size_t i;

    for (i = 0; i < count; i++) {
        const struct oci_descriptor *other = jobs[i].layer;

        if (digest_equal(&other->digest, &layer->digest) && other->media_type != NULL &&
            layer->media_type != NULL && strcmp(other->media_type, layer->media_type) == 0)
            return &jobs[i];
    }
    return NULL;
}

/* What was built once, for the layers that are the same. */
static int share_results(struct layer_job *jobs, size_t count, struct err *err)
{
    size_t i;

    for (i = 0; i < count; i++) {
        const struct layer_job *same = jobs[i].same_as;

        if (same == NULL || same->outcome != INDEX_LAYER_BUILT)
            continue;
        jobs[i].outcome = same->outcome;
        jobs[i].ztoc = same->ztoc;
        jobs[i].ztoc.layer_media_type = text_copy(same->ztoc.layer_media_type);
        if (jobs[i].ztoc.layer_media_type == NULL)
            return err_set(err, -ENOMEM, "out of memory");
    }
    return 0;
}

/* The reference's form: every failed layer's error in one line. */
static int gather_errors(const struct layer_job *jobs, size_t count, struct err *err)
{
    char text[ERR_TEXT_BYTES] = "";
    size_t i, used = 0;
    int rc = 0;

    for (i = 0; i < count; i++) {
        if (jobs[i].outcome != INDEX_LAYER_FAILED)
            continue;
        if (rc == 0)
            rc = jobs[i].err.code < 0 ? jobs[i].err.code : -EIO;
        if (used < sizeof(text))
            used +=
                (size_t)snprintf(text + used, sizeof(text) - used, "; %s", err_text(&jobs[i].err));
    }
    return rc == 0 ? 0 : err_set(err, rc, "errors encountered while building soci layers%s", text);
}

static int gather_ztocs(struct layer_job *jobs, size_t count, struct soci_index *index,
                        struct err *err)
{
    size_t i;

    index->ztocs = calloc(count == 0 ? 1 : count, sizeof(*index->ztocs));
    if (index->ztocs == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    for (i = 0; i < count; i++) {
        if (jobs[i].outcome != INDEX_LAYER_BUILT)
            continue;
        index->ztocs[index->ztoc_count++] = jobs[i].ztoc;
        jobs[i].ztoc = (struct soci_index_ztoc){0}; /* moved */
    }
    return index->ztoc_count > 0
               ? 0
               : err_set(err, -ENODATA,
                         "no ztocs created, all layers either skipped or produced errors");
}

static int set_head(const struct index_build_options *options,
                    const struct oci_descriptor *manifest_desc, struct soci_index *index,
                    struct err *err)
{
    index->version = options->version == 2 ? 2 : 1;
    index->build_tool =
        text_copy(options->build_tool == NULL ? INDEX_BUILD_TOOL : options->build_tool);
    if (index->build_tool == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    if (index->version == 2)
        return 0; /* the manifest names the index, so the index cannot name the manifest */
    index->has_subject = true;
    index->subject = manifest_desc->digest;
    index->subject_bytes = manifest_desc->size_bytes;
    index->subject_media_type = text_copy(manifest_desc->media_type);
    return index->subject_media_type == NULL ? err_set(err, -ENOMEM, "out of memory") : 0;
}

/* Labels by which containerd's garbage collector keeps what the index names; gc.root keeps the
 * index itself until the image record refers to it. */
static int keep_labels(const struct soci_index *index, const struct digest *config,
                       struct text_map *ret)
{
    char text[DIGEST_TEXT_BYTES], key[64];
    int rc;
    size_t i;

    digest_format(config, text);
    rc = text_map_set(ret, "containerd.io/gc.ref.content.config", text);
    for (i = 0; i < index->ztoc_count + index->prefetch_count && rc == 0; i++) {
        digest_format(i < index->ztoc_count ? &index->ztocs[i].ztoc
                                            : &index->prefetches[i - index->ztoc_count].artifact,
                      text);
        (void)snprintf(key, sizeof(key), "containerd.io/gc.ref.content.ztoc.%zu", i);
        rc = text_map_set(ret, key, text);
    }
    return rc;
}

int index_write(const struct index_content *content, struct index_built *built, struct err *err)
{
    SCOPED(buf_value) struct buf json = BUF_EMPTY;
    SCOPED(text_map) struct text_map labels = TEXT_MAP_EMPTY;
    struct bytes config = bytes_of_str(index_empty_config);
    struct digest config_digest;
    int rc = soci_index_encode(built->index, &json, err);

    if (rc < 0)
        return rc;
    if (digest_of(config, &config_digest) < 0 || digest_of(buf_bytes(&json), &built->digest) < 0 ||
        keep_labels(built->index, &config_digest, &labels) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    built->size_bytes = json.len;
    rc = content->write(content->self, &config_digest, config, NULL, err);
    if (rc == 0)
        rc = content->write(content->self, &built->digest, buf_bytes(&json), &labels, err);
    return rc < 0 ? err_prefix(err, rc, "cannot push soci index to local store") : 0;
}

static void free_jobs(struct layer_job *jobs, size_t count)
{
    size_t i;

    for (i = 0; i < count; i++)
        free(jobs[i].ztoc.layer_media_type);
    free(jobs);
}

static int build_index(struct build *build, const struct oci_descriptor *manifest_desc,
                       const struct oci_manifest *manifest, struct index_built *built,
                       struct err *err)
{
    size_t count = manifest->layer_count, i;
    struct layer_job *jobs = calloc(count == 0 ? 1 : count, sizeof(*jobs));
    int rc;

    built->index = calloc(1, sizeof(*built->index));
    if (jobs == NULL || built->index == NULL) {
        free(jobs);
        return err_set(err, -ENOMEM, "out of memory");
    }
    for (i = 0; i < count; i++) {
        jobs[i].build = build;
        jobs[i].layer = &manifest->layers[i];
        jobs[i].same_as = find_same(jobs, i, jobs[i].layer);
        jobs[i].job.run = run_layer;
    }
    rc = run_layers(build, jobs, count, err);
    if (rc == 0)
        rc = gather_errors(jobs, count, err);
    if (rc == 0)
        rc = share_results(jobs, count, err);
    if (rc == 0)
        rc = gather_ztocs(jobs, count, built->index, err);
    free_jobs(jobs, count);
    if (rc == 0)
        rc = set_head(build->options, manifest_desc, built->index, err);
    if (rc == 0 && build->options->prefetch_files != NULL)
        rc = index_prefetch_files(&build->options->content, &build->options->output,
                                  build->options->prefetch_files, built->index, err);
    return rc == 0 ? index_write(&build->options->content, built, err) : rc;
}

int index_build(const struct index_build_options *options,
                const struct oci_descriptor *manifest_desc, const struct oci_manifest *manifest,
                struct index_built *ret, struct err *err)
{
    SCOPED(index_built) struct index_built built = {.index = NULL};
    struct build build = {
        .options = options,
        .printer = {.output = options->output, .lock = PTHREAD_MUTEX_INITIALIZER},
        .known_lock = PTHREAD_MUTEX_INITIALIZER,
    };
    int rc = build_index(&build, manifest_desc, manifest, &built, err);

    (void)pthread_mutex_destroy(&build.printer.lock);
    (void)pthread_mutex_destroy(&build.known_lock);
    if (rc < 0)
        return rc;
    *ret = built;
    built.index = NULL;
    return 0;
}
