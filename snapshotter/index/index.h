/* SPDX-License-Identifier: Apache-2.0 */
/* index.h – build the ztocs of an image's layers, write the SOCI index that names them, push both
 * beside the image.
 *
 * Where content comes from and goes to is a table of functions: containerd's store in `soci`, an
 * array in a test. The lines that nerdctl and Finch show their users go to line(), in the
 * reference's words. */
#ifndef INDEX_INDEX_H
#define INDEX_INDEX_H

#include "base/bytes.h"
#include "base/err.h"
#include "base/text.h"
#include "digest/digest.h"
#include "oci/oci.h"
#include "registry/registry.h"

#include <stdbool.h>
#include <stdint.h>

/* The build tool of the reference: written into ztocs and indexes, so digests agree only when it
 * does. */
#define INDEX_BUILD_TOOL "AWS SOCI CLI v0.2"
enum { INDEX_SPAN_SIZE_BYTES = 4 * 1024 * 1024 };
enum { INDEX_MIN_LAYER_BYTES = 10 * 1024 * 1024 };

/* Any thread; calls may run at the same time. */
struct index_content {
    /* All bytes of a blob, in order. -ENOENT "content digest D: not found". What sink returns < 0
     * ends it. */
    int (*read)(void *self, const struct digest *digest,
                int (*sink)(void *arg, struct bytes part, struct err *err), void *arg,
                struct err *err);
    /* Store a blob and set its labels; there already: only the labels. */
    int (*write)(void *self, const struct digest *digest, struct bytes content,
                 const struct text_map *labels, struct err *err);
    void *self;
};

/* Larger ztocs than this are no ztocs: about 20 million files. */
enum { INDEX_BLOB_MAX_BYTES = 1024 * 1024 * 1024 };
/* A whole blob, appended to *ret. -EFBIG over INDEX_BLOB_MAX_BYTES, and what read() fails with. The
 * digest is not checked. */
MUST_CHECK int index_content_read_all(const struct index_content *content,
                                      const struct digest *digest, struct buf *ret,
                                      struct err *err);

/* Where progress goes. Calls come one at a time, from any thread. */
struct index_output {
    void (*line)(void *self, const char *line);
    void *self;
};

/* ---- build ----------------------------------------------------------------------------------- */

struct index_build_options {
    struct index_content content;
    struct index_output output;
    uint64_t span_size_bytes; /* 0: a span at every block of the deflate stream */
    uint64_t min_layer_bytes; /* smaller layers get no ztoc */
    const char *build_tool;   /* NULL: INDEX_BUILD_TOOL */
    int version;              /* of the index: 2 has no subject; 1, or 0, has one */
    bool optimize_xattrs;     /* mark layers whose xattrs need not be asked for */
    size_t threads;           /* layers at the same time; 0: as many as CPUs */
    /* Paths in the image whose spans are worth fetching first: prefetch artifacts say so. Borrowed;
     * NULL: none. One that no layer with a ztoc has is told in a warning. */
    const struct text_list *prefetch_files;
    /* A ztoc made earlier for this layer at this span size: 0 and its digest, -ENOENT: none. May be
     * NULL. The blob is checked to be there and to parse. One call at a time. */
    int (*find_known)(void *self, const struct digest *layer, uint64_t span_size_bytes,
                      struct digest *ret_ztoc);
    void *known_self;
};

struct index_built {
    struct soci_index *index;
    struct digest digest; /* of the encoded index */
    uint64_t size_bytes;
};
void index_built_fini(struct index_built *built);
DEFINE_SCOPED_VALUE(index_built, struct index_built, index_built_fini)

/* Ztocs and the index of the image manifest that `manifest_desc` names, all written to the
 * content store with labels that keep what they refer to. -ENODATA: every layer is too small or of
 * an unsupported kind ("no ztocs created, …"). */
MUST_CHECK int index_build(const struct index_build_options *options,
                           const struct oci_descriptor *manifest_desc,
                           const struct oci_manifest *manifest, struct index_built *ret,
                           struct err *err);

/* ---- what is fetched first ------------------------------------------------------------------- */

/* A span that will be wanted, of the layer that this ztoc cuts into spans. */
struct index_wanted {
    struct digest layer, ztoc;
    uint32_t span;
};
struct index_prefetch_options {
    struct index_content content;
    struct index_output output;
    const struct index_wanted *wanted; /* each once, in the order in which they are wanted */
    size_t wanted_count;
};
/* The index `old` with prefetch artifacts for what is wanted in the place of those that it had, and
 * the artifacts, all written to the content store. Same order, same bytes. -ENODATA: nothing that
 * is wanted is of the index's ztocs. */
MUST_CHECK int index_prefetch(const struct index_prefetch_options *options,
                              const struct digest *old, struct index_built *ret, struct err *err);

/* ---- push ------------------------------------------------------------------------------------ */

enum index_existing {
    INDEX_EXISTING_WARN,  /* one line, and push anyway */
    INDEX_EXISTING_SKIP,  /* one line, and push nothing */
    INDEX_EXISTING_ALLOW, /* do not look */
};

struct index_push_options {
    struct index_content content;
    struct index_output output; /* gets every line that is to be printed, see `quiet` */
    struct registry_repo *repo;
    enum index_existing existing;
    bool quiet;     /* only the index digest and warnings */
    size_t uploads; /* at the same time; 0: 3 */
};

/* Push a v1 index and its blobs to the image's repository, by digest; where the registry has no
 * referrers API, bring the tag sha256-<hex of the image manifest> up to date. -ENOENT: the image
 * manifest itself is not in the repository. */
MUST_CHECK int index_push(const struct index_push_options *options,
                          const struct digest *index_digest, struct err *err);

#endif
