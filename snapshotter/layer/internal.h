/* SPDX-License-Identifier: Apache-2.0 */
/* internal.h – a layer, and how its ztoc becomes what the span engine asks for. */
#ifndef LAYER_INTERNAL_H
#define LAYER_INTERNAL_H

#include "layer/layer.h"

#include "base/threads.h"

#include "ztoc/ztoc.h"

#include <sys/queue.h>

/* ---- layout.c ---------------------------------------------------------------------------------
 */

/* The ztoc's table, and its blob for the windows: they are most of a ztoc, so they stay on disk and
 * are read when a span is inflated. */
struct layer_layout {
    struct ztoc *toc;
    int ztoc_fd;          /* -1: none */
    uint32_t *window_crc; /* of each window as it was when the blob's digest was checked; NULL: not
                             compressed */
};
#define LAYER_LAYOUT_NONE                                                                          \
    {                                                                                              \
        .ztoc_fd = -1                                                                              \
    }
/* From the store. -ENOENT: there is no such blob; -EBADMSG: it is no ztoc; -EFBIG, -ENOMEM, -EIO.
 */
MUST_CHECK int layer_layout_open(struct layer_layout *layout, struct store *store,
                                 const struct digest *ztoc, struct err *err);
void layer_layout_close(struct layer_layout *layout);
/* The files of the toc, which were dropped. */
MUST_CHECK int layer_layout_read_files(struct layer_layout *layout, struct store *store,
                                       const struct digest *ztoc, struct err *err);
/* Borrows the layout. */
struct span_layout layer_span_layout(struct layer_layout *layout);

/* ---- claim.c ----------------------------------------------------------------------------------
 */

/* 1: a tar with this diff ID is what the image says; 0: it is not, or the image says nothing;
 * -ENOMEM. */
MUST_CHECK int claim_fits(const struct layer_claim *claim, const struct digest *diff_id);
/* 1: they cannot both be right; 0: they can, as far as one can tell (of two chain IDs over
 * different layers one cannot); -ENOMEM. */
MUST_CHECK int claim_contradicts(const struct layer_claim *a, const struct layer_claim *b);
/* Equal claims have equal ones: 0 or -ENOMEM. */
MUST_CHECK int claim_identity(const struct layer_claim *claim, struct digest *ret);
/* -EBADMSG, with both in the text. */
int claim_refuse(const struct layer_claim *claim, const struct digest *diff_id, struct err *err);

/* ---- whole.c ----------------------------------------------------------------------------------
 */

/* Called between pieces of the tar; may take its time. True: end. */
struct whole_pause {
    bool (*wait)(void *self);
    void *self;
};
struct whole_finding {
    struct digest diff_id; /* of a layer that passes */
    bool needs_daemon;     /* though it passes: what is behind the end of a file is not all zeros */
    bool is_of_claim;      /* of one that does not: it may be what another image says */
};
/* All spans are on the disk: is the layer what the image says? 0, or -EBADMSG: it is not, err says
 * why. -EAGAIN: a span was damaged, and is fetched again; -ECANCELED; -ENOMEM, -EIO; what fetching
 * the end fails with. Blocks on disk and network, and takes a second for each GiB or so. */
MUST_CHECK int layer_check_whole(struct layer *layer, const struct layer_claim *claim,
                                 const struct whole_pause *pause, struct whole_finding *ret,
                                 struct err *err);

/* ---- checker.c --------------------------------------------------------------------------------
 */

enum check_state {
    CHECK_IDLE,    /* not complete, or nobody says what it should be */
    CHECK_QUEUED,  /* in checker->queue */
    CHECK_RUNNING, /* it is checker->current, as it may be in the next two */
    CHECK_PASSED,
    CHECK_FAILED,
    CHECK_CLOSED, /* never again */
};
/* Of a layer; all of it is checker->lock's. */
struct check {
    enum check_state state;
    struct layer_claim claim; /* the first that somebody made; of one that passed what is so */
    struct err why;           /* of one that failed */
    int64_t why_ms;           /* when, on clock_wall_ms() */
    int64_t at_ms, retry_ms;  /* not before, and how long that was */
    bool needs_daemon;        /* of one that passed: its file is not for others */
    bool is_complete_again;   /* since the check began that is running */
    TAILQ_ENTRY(layer) link;
};

struct checker {
    struct store *store; /* fixed at creation, as the next */
    struct span_engine *engine;
    pthread_mutex_t lock;   /* taken alone */
    pthread_cond_t changed; /* any of what follows */
    pthread_t thread;       /* fixed when is_started */
    bool is_started;        /* lock, as all below */
    bool stop;
    bool cancel; /* the current one is not wanted any more */
    bool telling;
    struct layer *current; /* NULL: none */
    TAILQ_HEAD(, layer) queue;
    void (*told)(void *arg, struct layer *layer, enum layer_check check, const struct err *why);
    void *told_arg;
};
MUST_CHECK int checker_init(struct checker *c, struct store *store, struct span_engine *engine);
void checker_fini(struct checker *c); /* every layer was taken back */
/* Perhaps it is complete now, or an image says what it should be. */
void checker_add(struct checker *c, struct layer *layer);
/* An earlier process has checked it. */
void checker_set_passed(struct checker *c, struct layer *layer, const struct digest *diff_id);
/* An image says what it should be. What check.claim is then. */
struct layer_claim checker_claim(struct checker *c, struct layer *layer,
                                 const struct layer_claim *claim);
/* It is being closed. Returns when the thread does nothing with it any more, and it will not. */
void checker_forget(struct checker *c, struct layer *layer);
/* See layer_set_tell(). */
void checker_tell(struct checker *c,
                  void (*told)(void *arg, struct layer *layer, enum layer_check check,
                               const struct err *why),
                  void *arg);
bool checker_passed(struct checker *c, const struct layer *layer);
bool checker_failed(struct checker *c, const struct layer *layer, struct err *ret, int64_t *ret_ms);

/* ---- files.c ----------------------------------------------------------------------------------
 */

enum files_state { FILES_DROPPED, FILES_READING, FILES_HERE };
/* The files of layer->layout.toc, and layer->tree; see layer_hold_tree(). All of it is the layer
 * set's lock's; the files themselves belong to those who hold them, and to who reads them. */
struct files {
    enum files_state state;
    size_t holders;
};

/* ---- layer.c ----------------------------------------------------------------------------------
 */

struct layer {
    struct digest digest; /* fixed at creation, as all but what says otherwise */
    struct digest ztoc_digest;
    bool disable_xattrs;
    struct layer_layout layout;
    struct files files;            /* set->lock */
    struct tree *tree;             /* theirs; NULL: dropped */
    struct span_set *spans;        /* NULL until it is open */
    struct span_file *file;        /* the set's; NULL with it */
    struct metrics_layer *metrics; /* a reference; NULL: none */

    struct layer_set *set;
    struct store *store;
    pthread_mutex_t *files_lock; /* the set's, for files.c, as the next */
    pthread_cond_t *files_settled;
    struct checker *checker;                                 /* the set's */
    struct check check;                                      /* its lock's */
    size_t refs;                                             /* set->lock */
    struct layer *next;                                      /* set->lock */
    enum { LAYER_OPENING, LAYER_OPEN, LAYER_CLOSING } state; /* set->lock */
};

/* Layout, tree and spans of a layer whose digests are set. Takes the source on success alone. */
MUST_CHECK int layer_load(struct layer *layer, struct store *store, struct span_engine *engine,
                          const struct layer_options *options, struct err *err);
void layer_unload(struct layer *layer); /* blocks until nothing of it runs */
/* The compressed size as the image says must be the ztoc's. */
MUST_CHECK int layer_check_bytes(const struct layer *layer, uint64_t layer_bytes, struct err *err);

#endif
