/* SPDX-License-Identifier: Apache-2.0 */
/* local.h – layers that cannot be mounted lazily are downloaded and unpacked by us, several at
 * once.
 *
 * containerd prepares the layers of an image one after another, and at the first one that it must
 * fetch itself it fetches all later ones too. So none must be left to it. As soon as it is known
 * which layers of an image will be needed, local_begin() starts on them in the background, and
 * local_take() finds them ready or nearly so.
 *
 * A layer's bytes are asked for in ranges, many at once and of several layers, those first that are
 * needed first, and unpacked in order while later ones are on their way. What came and is not
 * unpacked yet is in memory, which is bounded: a slow disk slows down the network. Of a registry
 * that ignores ranges a layer comes by one request, which waits when the memory is used up.
 *
 * A layer is unpacked in a directory of its own below `dir`, which is on the file system of the
 * snapshots, so that handing it over is a rename. What nobody takes is removed after some minutes;
 * what is there at a start is of a dead process and removed too. The bytes are checked against the
 * layer's digest, sizes come from the image's manifest.
 *
 * Any thread. Locks: only one, a leaf. */
#ifndef LOCAL_LOCAL_H
#define LOCAL_LOCAL_H

#include "base/attr.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/text.h"
#include "digest/digest.h"
#include "registry/registry.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is asked of a registry, as functions: registry/'s own in the daemon, arrays in a test. */
struct local_registry {
    int (*get_manifest)(struct registry_repo *repo, const char *reference, struct buf *ret,
                        char **ret_media_type, struct err *err);
    int (*blob_open)(struct registry_repo *repo, const struct digest *digest, uint64_t size_bytes,
                     struct registry_blob **ret, struct err *err);
    int (*blob_fetch)(struct registry_blob *blob, struct registry_fetch *fetch, struct err *err);
    void (*blob_resume)(struct registry_blob *blob, const struct registry_fetch *fetch);
    void (*blob_close)(struct registry_blob *blob);
    struct registry_repo *(*ref)(struct registry_repo *repo);
    void (*unref)(struct registry_repo *repo);
};

/* A layer whose bytes are about to be unpacked; borrowed during the call. */
struct local_kept {
    const char *name; /* of the image, host/repository */
    struct digest manifest, layer;
    uint64_t size_bytes;
    const char *namespace_, *lease; /* as in struct local_keep */
};
/* Where layers are kept as they came too, as functions: containerd's content store in the daemon,
 * an array in a test. None of them fails a layer, and the layer waits for them, so none takes long.
 * Each layer's are called by one thread. */
struct local_keeper {
    /* What was begun, for the others; NULL: it is not to be kept, or is kept already. */
    void *(*begin)(void *self, const struct local_kept *layer);
    void (*add)(void *kept, struct bytes comp); /* the next bytes */
    /* Once. `diff_id` of a layer that came as a whole and is what its digest says; NULL: nothing
     * came of it. */
    void (*end)(void *kept, const struct digest *diff_id);
    void *self;
};

struct unpack_programs;

struct local_options {
    const char *dir;                       /* made, and emptied */
    const struct local_registry *registry; /* NULL: registry/ */
    const struct local_keeper *keeper;     /* NULL: no layer is kept. Lives as long as local */
    size_t unpacks;           /* layers at once; 0: as many as processors, 4 at least. 16 at most */
    size_t unpacks_per_image; /* of those; 0: any number */
    size_t gets;              /* requests under way at once; 0: as many as memory allows */
    size_t gets_per_image;    /* of those; 0: 16 */
    size_t chunk_bytes;       /* one request; 0: 2 MiB. 16 MiB at most */
    size_t memory_bytes;      /* for bytes that are asked for or not unpacked yet; 0: 64 MiB */
    /* How long a layer waits for who takes it, after somebody asked for one of its image; 0: 5
     * minutes. */
    int64_t keep_ms;
    /* What was begun ahead ends when nobody has asked for a layer of the image for so long: its
     * client must be gone. 0: 1 minute, more than a client waits for a layer that is mounted. */
    int64_t idle_ms;
    bool userxattr;                         /* as in unpack.h, and the next too */
    const struct unpack_programs *programs; /* lives as long as local */
};
struct local;
MUST_CHECK int local_new(const struct local_options *options, struct local **ret, struct err *err);
/* Nothing more begins, what is under way ends soon, and whoever waits is told -ECANCELED. Any
 * thread. */
void local_stop(struct local *local);
/* Stops first. No call is running or follows, and all layers that were taken are freed. NULL is
 * fine. */
void local_free(struct local *local);
DEFINE_SCOPED_PTR(local, struct local, local_free)

/* For whom the layers of an image are kept. */
struct local_keep {
    const char *namespace_; /* containerd's; what is made for one is not taken for another */
    const char *lease;      /* under which it pulls the image; NULL: none */
};
struct local_image {
    struct registry_repo *repo; /* borrowed; local takes references */
    const char *name;           /* host/repository, unique for repo */
    struct digest manifest;
    const struct local_keep *keep; /* NULL: they are not kept */
    /* Of what is begun or taken: layers are ready before they are on disk for good, and synced a
     * moment after the last one was installed. That is more than what containerd does for those
     * that it unpacks, and many times as fast when there are many. */
    bool sync_later;
    /* local_take() alone, 0: nothing. The layer must be the image's lowest, with so many layers
     * from it upwards, or at least the only one that is like the lowest: else -ENOTSUP. */
    size_t lowest_of;
};
/* These layers of the image will be asked for, in this order. Those that are begun already are not
 * begun again; of too many, the later ones are left until they are asked for. */
void local_begin(struct local *local, const struct local_image *image, const struct digest *layers,
                 size_t count);

/* Layers that are queued, being made, or made and not taken yet. */
struct local_work {
    char *name; /* of the image, as local_image's */
    struct digest manifest, layer;
    uint64_t layer_bytes; /* compressed; 0: not known yet */
    bool is_ready;
};
struct local_works {
    struct local_work *items;
    size_t count;
};
MUST_CHECK int local_list(struct local *local, struct local_works *ret, struct err *err);
void local_works_fini(struct local_works *works);
DEFINE_SCOPED_VALUE(local_works, struct local_works, local_works_fini)

/* Does whoever waits want no more? Asked a few times a second. */
struct local_cancel {
    bool (*is_cancelled)(void *self); /* NULL: never */
    void *self;
};
/* The client that wanted the image has gone: of what was begun for it, nothing more is downloaded,
 * and what is ready waits for the next try, or goes too. Layers that somebody waits for are not
 * touched. Does not block: files are removed by the threads that make them. */
void local_abandon(struct local *local, const struct local_image *image, bool ready_too);

struct local_layer; /* an unpacked layer that is the caller's */
/* Blocks until the layer is there, begun or not. -ECANCELED: the caller wants no more (then what
 * was begun of the same image ends too), or local_stop(). Otherwise what the registry, the layer or
 * the disk say. */
MUST_CHECK int local_take(struct local *local, const struct local_image *image,
                          const struct digest *layer, const struct local_cancel *cancel,
                          struct local_layer **ret, struct err *err);
const struct digest *local_layer_diff_id(const struct local_layer *layer);
/* Put its files in the place of `dir`, which is an empty directory and gives owner and mode.
 * `lowers` are the directories of the layers below, nearest first. It is on disk for good when this
 * returns 0, unless its image has sync_later. */
MUST_CHECK int local_layer_install(struct local_layer *layer, const char *dir,
                                   const struct text_list *lowers, struct err *err);
/* With its files, if they were not installed. NULL is fine. */
void local_layer_free(struct local_layer *layer);
DEFINE_SCOPED_PTR(local_layer, struct local_layer, local_layer_free)

#endif
