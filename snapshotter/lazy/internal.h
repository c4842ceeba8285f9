/* SPDX-License-Identifier: Apache-2.0 */
/* internal.h – what the files of lazy/ share: labels as a struct, a layer's source, the table of
 * mounts. */
#ifndef LAZY_INTERNAL_H
#define LAZY_INTERNAL_H

#include "lazy/lazy.h"

#include "base/text.h"

#include <pthread.h>
#include <sys/queue.h>

/* ---- labels.c -------------------------------------------------------------------------------- */

/* Set by the client: digests of this layer and those above it, as many as there is room for. */
#define LAZY_LABEL_IMAGE_LAYERS "containerd.io/snapshot/cri.image-layers"

const char *lazy_label(const struct text_map *labels, const char *key); /* "": not there */
/* 0 or -ENOMEM. */
MUST_CHECK int lazy_label_set_digest(struct text_map *labels, const char *key,
                                     const struct digest *digest);

/* Which layer of which image; `ztoc` and what follows are known after it was mounted. */
struct lazy_target {
    char *image_ref;                /* as the client wrote it */
    struct oci_reference reference; /* image_ref, taken apart */
    char *repository;               /* host/repository */
    struct digest manifest;
    struct digest layer;
    uint64_t layer_bytes; /* compressed; 0: not said */
    char *index_digest;   /* "": none named */
    struct digest ztoc;
    uint64_t ztoc_bytes;
    struct layer_claim claim; /* what it should unpack to, as the runtime says */
    struct digest index;      /* the one that the ztoc is in, or would have to be */
    bool has_index;           /* `index` is known */
    bool disable_xattrs;
    bool on_nothing; /* prepared without a parent; not kept in the row */
    /* Borrowed while a Prepare mounts it, as mount() has them; NULL otherwise. */
    const struct text_list *lowers;
    const char *namespace_, *lease;
};
void lazy_target_fini(struct lazy_target *target);
DEFINE_SCOPED_VALUE(lazy_target, struct lazy_target, lazy_target_fini)

/* 0 or -ENOMEM; *to is empty then. */
MUST_CHECK int lazy_target_copy(struct lazy_target *to, const struct lazy_target *from);

/* Was an index found for the layer? Of what lazy_target_add_found() left. */
bool lazy_label_has_index(const struct text_map *found);
/* From the labels of a Prepare. -ENOENT: a label that is needed is not there; -EINVAL: one makes no
 * sense. */
MUST_CHECK int lazy_target_from_prepare(const struct text_map *labels, struct lazy_target *ret,
                                        struct err *err);
/* The image and layer that labels name, for texts: NULL when they do not. Borrowed. */
const char *lazy_label_image(const struct text_map *labels);
const char *lazy_label_layer(const struct text_map *labels);
const char *lazy_label_namespace(const struct text_map *labels); /* of a row */
/* From the labels that lazy_target_add_labels() once left in the row. */
MUST_CHECK int lazy_target_from_row(const struct text_map *labels, struct lazy_target *ret,
                                    struct err *err);
/* 0 or -ENOMEM. */
MUST_CHECK int lazy_target_add_labels(const struct lazy_target *target, const char *namespace_,
                                      struct text_map *labels);

/* Of them those that a layer should have which is not mounted but unpacked: for the status. */
MUST_CHECK int lazy_target_add_found(const struct lazy_target *target, const char *namespace_,
                                     struct text_map *labels);

/* ---- claim.c --------------------------------------------------------------------------------- */

/* The chain ID below; 1: there is none. Our names and containerd's end with it, ours perhaps with
 * @<id> behind. -EINVAL: it cannot be told. */
MUST_CHECK int lazy_chain_below(const struct text_map *labels, const char *parent,
                                struct digest *ret);
/* LAYER_CLAIM_NONE where nothing is said, or nothing that makes sense. */
void lazy_claim_of_prepare(const struct text_map *labels, const char *parent,
                           struct layer_claim *ret);
void lazy_claim_of_row(const struct text_map *labels, struct layer_claim *ret);
/* 0 or -ENOMEM. */
MUST_CHECK int lazy_claim_add_labels(const struct layer_claim *claim, struct text_map *labels);
/* For layer_set_tell(). */
void lazy_was_checked(void *lazy, struct layer *layer, enum layer_check check,
                      const struct err *why);

/* ---- lazy.c ---------------------------------------------------------------------------------- */

struct lazy_repos;
struct lazy_origin;
struct lazy_origins;

/* One snapshot whose layer is, or should be, mounted. */
struct lazy_entry {
    uint64_t id;                /* fixed at creation */
    char *dir;                  /* fixed at creation */
    struct fs_mount *mount;     /* lock; NULL: not mounted, see `err` */
    struct lazy_target target;  /* fixed at creation; image_ref NULL: the row does not say enough */
    struct lazy_origin *origin; /* fixed at creation; NULL with image_ref */
    char *namespace_;           /* fixed at creation; NULL: not known */
    struct err err;             /* lock; why it is not mounted */
    int64_t err_ms;             /* lock; since when that is known, on clock_wall_ms() */
    int64_t next_try_ms;        /* lock */
    bool busy;                  /* lock; someone mounts it again just now */
    bool dropped;               /* lock; the snapshot went away meanwhile */
    TAILQ_ENTRY(lazy_entry) link; /* lock */
};

/* A layer that is mounted once more, for a user namespace. */
struct lazy_mapped {
    char *dir; /* fixed at creation, as is `mount` */
    struct fs_mount *mount;
    TAILQ_ENTRY(lazy_mapped) link; /* lock */
};

struct lazy_events {
    pthread_mutex_t lock;                     /* a leaf */
    size_t count;                             /* lock */
    struct lazy_event items[LAZY_EVENTS_MAX]; /* lock; newest first */
};

/* Images that are left to containerd for a while. */
enum { LAZY_REFUSED_MAX = 16 };
struct lazy_refused {
    struct digest manifest;
    int64_t until_ms; /* on clock_mono_ms() */
};

struct lazy {
    struct lazy_events events;
    struct lazy_options options;      /* fixed at creation */
    pthread_mutex_t lock;             /* a leaf, but for layer_ref() */
    pthread_cond_t collected;         /* `collecting` is false again */
    size_t opening;                   /* lock; layers that are being mounted */
    bool collecting;                  /* lock; blobs are being removed, so nothing is mounted */
    TAILQ_HEAD(, lazy_entry) entries; /* lock */
    TAILQ_HEAD(, lazy_mapped) mapped; /* lock */
    struct lazy_refused refused[LAZY_REFUSED_MAX]; /* lock; used in turn */
    size_t refused_next;                           /* lock */
    struct lazy_repos *repos;                      /* fixed at creation: a reference */
    struct lazy_origins *origins;                  /* fixed at creation: a reference */
    struct lazy_learn *learn; /* fixed at creation; NULL: nothing is recorded or used */
};

/* ---- events.c -------------------------------------------------------------------------------- */

/* `image` and `layer` as text; NULL: not known. */
void lazy_note(struct lazy *lazy, enum lazy_event_kind kind, const char *image, const char *layer,
               const struct err *why);

struct lazy_entry *lazy_entry_find_locked(struct lazy *lazy, uint64_t id); /* NULL: none */
/* Unmount, and if that fails detach. *mount may be NULL: then what an earlier process left at
 * `dir`.
 */
void lazy_take_down(struct lazy *lazy, struct fs_mount **mount, const char *dir, bool force);

/* ---- mapped.c -------------------------------------------------------------------------------- */

/* See struct snapshot_lazy. */
MUST_CHECK int lazy_mount_mapped(struct lazy *lazy, uint64_t id, const char *dir,
                                 const struct idmaps *ids, struct err *err);
void lazy_unmount_mapped(struct lazy *lazy, const char *dir);
void lazy_end_mapped(struct lazy *lazy); /* stops serving all of them */

/* ---- repos.c --------------------------------------------------------------------------------- */

/* The repositories that layers come from. Counted: a layer that was unmounted while somebody reads
 * from it outlives `lazy`. */
MUST_CHECK int lazy_repos_new(struct registry *registry, const struct registry_keychain *keychain,
                              struct lazy_repos **ret, struct err *err);
struct lazy_repos *lazy_repos_ref(struct lazy_repos *repos);
void lazy_repos_unref(struct lazy_repos *repos);
bool lazy_repos_wait_for_readers(const struct lazy_repos *repos); /* registry_waits_for_readers() */
/* The repository of that name (host/repository), with a reference for the caller. Never on the
 * network. */
MUST_CHECK int lazy_repo_get(struct lazy_repos *repos, const char *name, struct registry_repo **ret,
                             struct err *err);

/* ---- origins.c ------------------------------------------------------------------------------- */

/* Which repositories should give out which layers. Counted: a layer may outlive `lazy`. */
MUST_CHECK int lazy_origins_new(struct lazy_origins **ret, struct err *err);
struct lazy_origins *lazy_origins_ref(struct lazy_origins *origins);
void lazy_origins_unref(struct lazy_origins *origins);
/* An image in `repository` has the layer, until lazy_origin_remove(). */
MUST_CHECK int lazy_origin_add(struct lazy_origins *origins, const struct digest *layer,
                               const char *repository, struct lazy_origin **ret, struct err *err);
void lazy_origin_remove(struct lazy_origin *origin); /* NULL is fine */
/* Those of images that have the layer, newest first, then those of all others. 0 or -ENOMEM. */
MUST_CHECK int lazy_origins_list(struct lazy_origins *origins, const struct digest *layer,
                                 struct text_list *ret);
/* Is an image from there mounted? */
bool lazy_origins_has(struct lazy_origins *origins, const char *repository);
/* Is another than this one among them? */
bool lazy_origins_has_other(struct lazy_origins *origins, const char *repository);

/* ---- source.c -------------------------------------------------------------------------------- */

/* The compressed bytes of the target's layer from any of its origins; the target's own repository
 * when there is none. Nothing is opened or resolved before the first fetch, so that a start without
 * network or credentials works. */
MUST_CHECK int lazy_source_new(struct lazy_repos *repos, struct lazy_origins *origins,
                               const struct lazy_target *target, struct span_source *ret,
                               struct err *err);

/* ---- collect.c ------------------------------------------------------------------------------- */

/* Around all that reads or fetches a ztoc to mount it. Waits while ztocs are being removed, which
 * is quick. */
void lazy_opening_begin(struct lazy *lazy);
void lazy_opening_end(struct lazy *lazy);
/* A layer was unmounted, and is in no entry any more: remove its files and its ztoc unless another
 * entry needs them. What is in use yet goes another time. */
void lazy_collect_layer(struct lazy *lazy, const struct digest *ztoc);
/* Remove all that no entry needs and that is not just being made. */
void lazy_collect_old(struct lazy *lazy);

/* ---- open.c ---------------------------------------------------------------------------------- */

/* Mount the target's layer at `dir`, its ztoc found by way of the image's index; *target is
 * completed. SNAPSHOT_UNPACK: there is an index, but this layer cannot be mounted; err says why.
 * Those that `labels` name and that will have to be unpacked are begun. */
MUST_CHECK int lazy_mount_by_index(struct lazy *lazy, struct lazy_target *target,
                                   const struct text_map *labels, const char *dir,
                                   struct fs_mount **ret, struct err *err);
/* Mount a completed target. `online`: a ztoc that was lost is fetched again. */
MUST_CHECK int lazy_mount_known(struct lazy *lazy, const struct lazy_target *target,
                                const char *dir, bool online, struct fs_mount **ret,
                                struct err *err);

/* ---- learn.c ----------------------------------------------------------------------------------
 */

/* Records are below `root`. */
MUST_CHECK int lazy_learn_new(struct layer_set *layers, const char *root, int64_t record_ms,
                              struct lazy_learn **ret, struct err *err);
void lazy_learn_free(struct lazy_learn *learn); /* what is being recorded is kept as it is */
/* A container of the image is about to start over these layers. */
void lazy_learn_begin(struct lazy_learn *learn, const struct digest *manifest,
                      struct layer *const *layers, size_t count);

/* Spans of a layer, and when they are wanted: the lower the sooner, over all layers of an image. */
struct lazy_wanted {
    struct span_preferred *spans;
    size_t count;
};
void lazy_wanted_fini(struct lazy_wanted *wanted);
DEFINE_SCOPED_VALUE(lazy_wanted, struct lazy_wanted, lazy_wanted_fini)
MUST_CHECK int lazy_wanted_add(struct lazy_wanted *wanted, uint32_t span, uint32_t rank);
/* What the image's record says of the layer. -ENOENT: it has none; -ENOMEM. Reads the disk. */
MUST_CHECK int lazy_learn_wanted(const struct lazy_learn *learn, const struct digest *manifest,
                                 const struct digest *layer, const struct digest *ztoc,
                                 struct lazy_wanted *ret);

/* ---- wanted.c ---------------------------------------------------------------------------------
 */

/* What the image will ask this layer for first, as its record says. False: it has no record, or
 * none that is to be used. */
bool lazy_wanted_find(struct lazy *lazy, const struct digest *manifest, const struct layer *layer,
                      struct lazy_wanted *ret);
/* The same by a prefetch artifact, which is fetched unless it is in the store; *ret stays empty,
 * and the log says why, when it cannot be had or used. */
void lazy_wanted_fetch(struct lazy *lazy, const struct discover_image *image,
                       const struct soci_index_prefetch *prefetch, const struct layer *layer,
                       struct lazy_wanted *ret);
/* From the artifact's bytes, for a layer of so many spans. -EBADMSG: it is none, or not of this
 * layer; -ENOMEM. */
MUST_CHECK int lazy_wanted_parse(struct bytes json, size_t span_count, struct lazy_wanted *ret,
                                 struct err *err);
void lazy_wanted_tell(struct layer *layer, const struct lazy_wanted *wanted);
/* See struct snapshot_lazy. */
void lazy_used(struct lazy *lazy, const uint64_t *ids, size_t count);

/* ---- look.c ---------------------------------------------------------------------------------- */

/* 0, or -EOPNOTSUPP: on the layers below (their directories, nearest first; NULL: none) some
 * directory would look otherwise than after an ordinary pull. Other errors are theirs. */
MUST_CHECK int lazy_check_look(const struct tree *tree, const struct text_list *lowers,
                               struct err *err);

/* ---- lowest.c -------------------------------------------------------------------------------- */

/* 0 unless the target is prepared on nothing and is not surely the lowest layer: -ENOTSUP.
 * `manifest` is the image's, NULL: not known. */
MUST_CHECK int lazy_check_lowest(const struct lazy_target *target,
                                 const struct oci_manifest *manifest, const struct text_map *labels,
                                 struct err *err);
/* For struct local_image: how many layers there must be in an image of which the layer that is
 * prepared on nothing is the lowest; 0: it is. */
size_t lazy_lowest_of(const struct text_map *labels);

/* ---- unpack.c -------------------------------------------------------------------------------- */

/* Download and unpack in the background what of the labels' list of layers has no ztoc; NULL: all
 * of them. */
void lazy_begin_unpacking(struct lazy *lazy, const struct local_image *image,
                          const struct text_map *labels, const struct soci_index *index);
/* The client has gone: end what was begun of the image of `labels`, for that namespace where they
 * differ. As local_abandon(). */
void lazy_abandon(struct lazy *lazy, const char *namespace_, const struct text_map *labels,
                  bool ready_too);
/* The layer's files into a snapshot's directory. `is_whole`: see whole.c. */
MUST_CHECK int lazy_unpack(struct lazy *lazy, const struct snapshot_layer *how, bool is_whole,
                           struct err *err);
/* Does a layer that unpacks to `diff_id` make the chain ID that containerd asked for? -EBADMSG: no;
 * -EINVAL: it cannot be told. */
MUST_CHECK int lazy_check_chain(const struct snapshot_layer *how, const struct digest *diff_id,
                                struct err *err);

/* ---- whole.c: images that are not mounted at all ----------------------------------------------
 */

/* SNAPSHOT_UNPACK: this layer is to be unpacked, and those above it were begun. -ENOENT: another of
 * the image could not be, a moment ago. */
MUST_CHECK int lazy_whole_begin(struct lazy *lazy, const struct lazy_target *target,
                                struct registry_repo *repo, const struct text_map *labels,
                                struct err *err);
/* Is this how it was begun? `found` is what the row gets. */
bool lazy_whole_is(const struct lazy *lazy, const struct text_map *found);
/* lazy_unpack() could not do it. */
void lazy_whole_failed(struct lazy *lazy, const struct snapshot_layer *how);
/* For whom the layers of an image that is unpacked as a whole are kept, in *keep; NULL: they are
 * not. Borrows its arguments. */
const struct local_keep *lazy_whole_keep(const struct lazy *lazy, const char *namespace_,
                                         const char *lease, struct local_keep *keep);

#endif
