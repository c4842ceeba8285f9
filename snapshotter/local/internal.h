/* SPDX-License-Identifier: Apache-2.0 */
/* internal.h – what the files of local/ share: jobs, images, the bytes of a layer.
 *
 *   local.c      begins jobs                         list.c   tells of them
 *   take.c       waits for them
 *     └▶ jobs.c                the table             install.c  gives their files away
 *   workers.c    threads that take a job: manifest, then
 *     └▶ make.c  unpacks, and gives to the keeper, what
 *          └▶ feed.c           hands over in order: a layer's bytes in chunks, which
 *   fetcher.c    one thread asks for, of all jobs, as many as limits and memory (slots.c) allow
 */
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
    struct local *sync_in; /* whom to tell that it is to be synced; NULL: it is already */
};

enum job_state {
    JOB_QUEUED,
    JOB_RUNNING,
    JOB_READY,
    JOB_FAILED,
};

/* An image of which layers are being made. */
struct pull {
    size_t users;   /* lock; jobs of it, and who is busy with it */
    size_t gets;    /* lock; requests under way */
    size_t running; /* lock; jobs that are being unpacked */
    struct registry_repo *repo;
    char *name;                   /* fixed at creation, as repo, manifest and namespace_ */
    struct digest manifest;       /* of the image */
    char *namespace_;             /* for which its layers are kept; NULL: they are not */
    int64_t asked_ms;             /* lock; when a layer of it was last begun or waited for */
    bool ignores_ranges;          /* lock; the registry does */
    bool reading;                 /* lock; somebody fetches `content` */
    struct oci_manifest *content; /* lock, and fixed once it is set. Sizes are from here */
    int rc;         /* lock; why `content` could not be had, with `err`: then no job can be done */
    struct err err; /* lock */
};

/* A range of a layer: asked for, then there until it is unpacked. */
struct chunk {
    struct registry_fetch fetch; /* first */
    struct local *local;         /* fixed at creation, as is `job` */
    struct job *job;
    bool settled;   /* lock */
    int rc;         /* lock; with `err`: of a settled one */
    struct err err; /* lock */
    TAILQ_ENTRY(chunk) link;
};
TAILQ_HEAD(chunk_list, chunk);

/* A whole layer by one request: its bytes are put into chunks as they come. */
struct stream {
    struct registry_fetch fetch; /* first */
    struct local *local;         /* fixed while it is under way, as is `job` */
    struct job *job;
    bool begun;   /* lock */
    bool no_room; /* lock; it waits for registry_fetch_resume() */
};

/* The bytes of a layer on their way. */
struct feed {
    bool is_open;     /* lock; more may be asked for */
    bool from_origin; /* fixed while it is open: not from mirrors */
    bool in_one;      /* the same: by `stream` */
    struct stream stream;
    bool asking;                /* lock; the fetcher is busy with it */
    uint64_t size_bytes;        /* fixed while it is open */
    uint64_t asked_bytes;       /* lock; `in_one`: what has come */
    uint64_t passed_on_bytes;   /* the worker's */
    size_t held;                /* lock; chunks of it, each with memory */
    struct chunk_list chunks;   /* lock; in order */
    struct registry_blob *blob; /* the fetcher's while `asking`, else lock; NULL: not opened yet */
    int rc;                     /* lock; why no more can be asked for, with `err` */
    struct err err;             /* lock */
};

struct job {
    struct pull *pull;    /* fixed at creation */
    struct digest layer;  /* fixed at creation */
    enum job_state state; /* lock */
    bool taken;           /* lock; somebody waits for it, and will take it out of the table */
    bool sync_later;      /* fixed at creation; as in struct local_image */
    size_t lowest_of;     /* lock; the same */
    char *lease;          /* fixed at creation; as in struct local_keep */
    struct feed feed;
    atomic_bool cancelled;      /* set by job_cancel_locked() */
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
    size_t slot_count; /* fixed at creation: chunks that may be held at once */
    size_t reserve;    /* fixed at creation: of those for jobs that are being unpacked */

    pthread_mutex_t lock;
    pthread_cond_t work;    /* a job was queued or can go on, a manifest came, or `stopping` */
    pthread_cond_t settled; /* a job is ready or failed, or `stopping` */
    pthread_cond_t room;    /* the fetcher may be able to ask for more, or `stopping` */
    pthread_cond_t arrived; /* a chunk settled, a job was cancelled, a feed is not asked for */
    bool stopping;          /* lock */
    size_t job_count;       /* lock */
    TAILQ_HEAD(, job) jobs; /* lock; in the order in which they were asked for */
    size_t gets;            /* lock; requests under way */
    size_t held;            /* lock; chunks with memory */
    void **spare;           /* lock; memory that no chunk uses just now, slot_count at most */
    size_t spare_count;     /* lock */
    int64_t unsynced_ms;    /* lock; when a layer was last installed unsynced; 0: all are synced */
    pthread_t *threads;     /* lock; those of workers.c; room for options.unpacks */
    size_t thread_count;    /* lock */
    size_t waiting;         /* lock; workers that have nothing to do */
    pthread_t fetcher;      /* fixed at creation */
    bool has_fetcher;       /* fixed at creation */
};

/* ---- jobs.c ---------------------------------------------------------------------------------- */

bool pull_is(const struct pull *pull, const struct local_image *image);
struct pull *pull_find_locked(struct local *local,
                              const struct local_image *image); /* NULL: none */
void pull_unref(struct local *local, struct pull *pull);
MUST_CHECK int job_new_locked(struct local *local, const struct local_image *image,
                              const struct digest *layer, struct job **ret);
/* The image's manifest is there: let the layer's bytes come. -EBADMSG: it is none of the image's.
 */
MUST_CHECK int job_open_feed_locked(struct local *local, struct job *job, struct err *err);
/* Out of the table. Its result goes with it, so files are removed: not with the lock held. */
void job_unlink_locked(struct local *local, struct job *job);
void job_free(struct local *local, struct job *job);

void job_cancel_locked(struct local *local, struct job *job);
/* Nobody waits for it, nor has asked for its image lately: then it is cancelled. */
bool job_is_idle(struct local *local, struct job *job);

/* ---- workers.c ------------------------------------------------------------------------------- */

/* The first, so that there always is one. */
MUST_CHECK int workers_start(struct local *local, struct err *err);
/* There is something to do: another thread starts if all are busy and there may be one more. */
void workers_wake_locked(struct local *local);
/* A layer was installed that is not on disk for good. */
void workers_sync_later(struct local *local);
/* After this none starts: `stopping` is set. */
void workers_join(struct local *local);

/* ---- fetcher.c ------------------------------------------------------------------------------- */

MUST_CHECK int fetcher_start(struct local *local, struct err *err);
void fetcher_join(struct local *local);

/* ---- stream.c: a whole layer by one request ---------------------------------------------------
 */

/* Is there something to ask, or to go on with? */
bool stream_can_go_on_locked(const struct local *local, const struct job *job);
/* Ask for it, or have it go on. The lock is let go meanwhile. */
void stream_go_on_locked(struct local *local, struct job *job);

/* ---- slots.c --------------------------------------------------------------------------------- */

/* May the job have memory for one more chunk? */
bool slots_have_locked(const struct local *local, const struct job *job);
/* NULL: out of memory. */
void *slot_take_locked(struct local *local);
void slot_put_locked(struct local *local, void *slot);
void slots_free(struct local *local);

/* ---- feed.c ---------------------------------------------------------------------------------- */

void feed_init(struct feed *feed);
/* From now on the fetcher asks for the layer. */
void feed_open_locked(struct local *local, struct job *job, uint64_t size_bytes, bool from_origin);
/* The feed's of the layer, opened if need be. It cannot be closed meanwhile. */
MUST_CHECK int feed_open_blob(struct local *local, struct job *job, struct err *err);
/* At the end of the list, empty and with memory. NULL: out of memory, which is noted. */
struct chunk *feed_add_chunk_locked(struct local *local, struct job *job, size_t len);
/* What is under way is cancelled and what is there dropped. Not from the network's thread. */
void feed_close(struct local *local, struct job *job);
/* Blocks. 1: *ret are the next bytes, until the next call. 0: that was all. -ECANCELED: the job is;
 * else why they could not be had. */
MUST_CHECK int feed_next(struct local *local, struct job *job, struct bytes *ret, struct err *err);

/* ---- make.c: a layer from the registry to the disk ------------------------------------------- */

/* Its feed is open. */
MUST_CHECK int layer_make(struct local *local, struct job *job, struct local_layer **ret,
                          struct err *err);

#endif
