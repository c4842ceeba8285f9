/* SPDX-License-Identifier: Apache-2.0 */
/* internal.h – what the files of local/ share: jobs, images, one download. */
#ifndef LOCAL_INTERNAL_H
#define LOCAL_INTERNAL_H

#include "local/local.h"

#include "base/threads.h"
#include "oci/oci.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

/* An unpacked layer, or one in the making. */
struct local_layer {
    char *parent_dir; /* of its own; "fs" in it has the files */
    char *fs_dir;
    struct digest diff_id;
    struct text_list made; /* see unpack_made_dirs() */
};

enum job_state {
    JOB_QUEUED,
    JOB_RUNNING,
    JOB_READY,
    JOB_FAILED,
};

/* An image of which layers are being made. */
struct pull {
    size_t users; /* lock; jobs of it, and who is busy with it */
    struct registry_repo *repo;
    char *name;                   /* fixed at creation, as repo and manifest */
    struct digest manifest;       /* of the image */
    int64_t asked_ms;             /* lock; when a layer of it was last begun or waited for */
    bool reading;                 /* lock; somebody fetches `content` */
    struct oci_manifest *content; /* lock, and fixed once it is set. Sizes are from here */
    int rc;         /* lock; why `content` could not be had, with `err`: then no job can be done */
    struct err err; /* lock */
};

struct job {
    struct pull *pull;    /* fixed at creation */
    struct digest layer;  /* fixed at creation */
    enum job_state state; /* lock */
    bool taken;           /* lock; somebody waits for it, and will take it out of the table */
    atomic_bool cancelled;
    int64_t ready_ms;           /* lock */
    int rc;                     /* lock; of a failed one */
    struct err err;             /* lock */
    struct local_layer *result; /* lock; of a ready one */
    TAILQ_ENTRY(job) link;      /* lock */
};

struct local {
    struct local_options options; /* fixed at creation; `dir` is a copy */
    char *dir;
    atomic_ullong last_number;
    pthread_t *threads; /* fixed at creation */
    size_t thread_count;

    pthread_mutex_t lock;
    pthread_cond_t work;    /* a job was queued, a manifest came, or `stopping` */
    pthread_cond_t settled; /* a job is ready or failed, or `stopping` */
    bool stopping;          /* lock */
    size_t job_count;       /* lock */
    TAILQ_HEAD(, job) jobs; /* lock; in the order in which they were asked for */
};

/* ---- jobs.c ---------------------------------------------------------------------------------- */

bool pull_is(const struct pull *pull, const struct local_image *image);
struct pull *pull_find_locked(struct local *local,
                              const struct local_image *image); /* NULL: none */
void pull_unref(struct local *local, struct pull *pull);
MUST_CHECK int job_new_locked(struct local *local, const struct local_image *image,
                              const struct digest *layer, struct job **ret);
/* Out of the table. Its result goes with it, so files are removed: not with the lock held. */
void job_unlink_locked(struct local *local, struct job *job);
void job_free(struct local *local, struct job *job);

/* Nobody waits for it, nor has asked for its image lately: then it is cancelled. */
bool job_is_idle(struct local *local, struct job *job);

/* ---- workers.c ------------------------------------------------------------------------------- */

MUST_CHECK int workers_start(struct local *local, size_t count, struct err *err);
void workers_join(struct local *local);

/* ---- make.c: a layer from the registry to the disk ------------------------------------------- */

MUST_CHECK int layer_make(struct local *local, struct job *job, uint64_t layer_bytes,
                          struct local_layer **ret, struct err *err);

/* ---- download.c ------------------------------------------------------------------------------ */

struct download_options {
    const struct local_registry *registry;
    struct registry_repo *repo;
    struct digest layer;
    uint64_t layer_bytes;
    size_t chunk_bytes;
    bool from_origin; /* not from mirrors */
    const atomic_bool *cancelled;
    /* The bytes in order, in pieces; a failure ends the download. */
    int (*write)(void *arg, struct bytes piece, struct err *err);
    void *arg;
};
MUST_CHECK int download(const struct download_options *options, struct err *err);

#endif
