/* SPDX-License-Identifier: Apache-2.0 */
/* oci.h – what a registry stores about images, as structs: references, descriptors, manifests,
 * image indexes, and the SOCI index, which is a manifest too. Bytes in, structs out; no sockets.
 *
 * Everything parsed here is hostile until its digest was checked by the caller, and bounded even
 * then: at most OCI_MANIFEST_MAX_BYTES, OCI_ENTRIES_MAX descriptors, 64 levels. What else is
 * refused, and why: docs/soci-index.md. Sizes stay below 2^53. `urls` and `data` of a descriptor
 * are not kept. Facts: OCI image-spec 1.1, OCI distribution-spec 1.1, docs/soci-index.md. */
#ifndef OCI_OCI_H
#define OCI_OCI_H

#include "base/bytes.h"
#include "base/err.h"
#include "base/text.h"
#include "digest/digest.h"

#include <stdbool.h>
#include <stdint.h>

enum { OCI_MANIFEST_MAX_BYTES = 8 * 1024 * 1024 };
enum { OCI_ENTRIES_MAX = 10000 };

#define OCI_MEDIA_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define OCI_MEDIA_INDEX "application/vnd.oci.image.index.v1+json"
#define OCI_MEDIA_DOCKER_MANIFEST "application/vnd.docker.distribution.manifest.v2+json"
#define OCI_MEDIA_DOCKER_LIST "application/vnd.docker.distribution.manifest.list.v2+json"
#define OCI_MEDIA_OCTETS "application/octet-stream"
#define SOCI_MEDIA_INDEX_V1 "application/vnd.amazon.soci.index.v1+json"
#define SOCI_MEDIA_INDEX_V2 "application/vnd.amazon.soci.index.v2+json"
/* By this annotation an image manifest names its SOCI index. */
#define SOCI_ANNOTATION_INDEX "com.amazon.soci.index-digest"
/* By this one a list's entry for a SOCI index names the image manifest that it is of. */
#define SOCI_ANNOTATION_MANIFEST "com.amazon.soci.image-manifest-digest"
#define SOCI_MEDIA_PREFETCH "application/vnd.amazon.soci.prefetch.v1+json"

/* ---- references ------------------------------------------------------------------------------ */

/* docker.io/library/alpine:3 , localhost:5000/team/app@sha256:… ; host and repository are as an
 * HTTP client needs them once docker.io was mapped to its API host by the caller. */
struct oci_reference {
    char *host;       /* with the port: "localhost:5000", "docker.io" */
    char *repository; /* "library/alpine" */
    char *tag;        /* NULL: none given */
    char *digest;     /* "sha256:…", NULL: none given */
};
/* Normalises as Docker does: "alpine" is docker.io/library/alpine. 0 or -EINVAL, -ENOMEM. */
MUST_CHECK int oci_reference_parse(const char *text, struct oci_reference *ret, struct err *err);
void oci_reference_fini(struct oci_reference *ref);
DEFINE_SCOPED_VALUE(oci_reference, struct oci_reference, oci_reference_fini)

/* ---- descriptors, manifests, indexes --------------------------------------------------------- */

/* A missing string is NULL. Platform fields are NULL when there is no platform. */
struct oci_platform {
    char *os;
    char *architecture;
    char *variant;
    char *os_version;
    struct text_list os_features;
};

struct oci_descriptor {
    char *media_type;
    struct digest digest;
    uint64_t size_bytes;
    struct text_map annotations;
    char *artifact_type;
    struct oci_platform platform;
};
void oci_descriptor_fini(struct oci_descriptor *desc);
DEFINE_SCOPED_VALUE(oci_descriptor, struct oci_descriptor, oci_descriptor_fini)
MUST_CHECK int oci_descriptor_copy(struct oci_descriptor *to, const struct oci_descriptor *from);

/* An image manifest, OCI or Docker schema 2. */
struct oci_manifest {
    char *media_type; /* NULL when the document has none */
    struct oci_descriptor config;
    struct oci_descriptor *layers;
    size_t layer_count;
    struct oci_descriptor *subject; /* NULL: none */
    struct text_map annotations;
};
/* -EBADMSG with what is wrong where. *ret is filled only on success. */
MUST_CHECK int oci_manifest_parse(struct bytes json, struct oci_manifest **ret, struct err *err);
void oci_manifest_free(struct oci_manifest *manifest);
DEFINE_SCOPED_PTR(oci_manifest, struct oci_manifest, oci_manifest_free)
/* Is the layer the lowest one? What is there more than once is, where it is meant with as many
 * layers as the image has (`with_all`); else nobody knows which of them is meant. */
bool oci_manifest_is_lowest(const struct oci_manifest *manifest, const struct digest *layer,
                            bool with_all);

/* An image index, a Docker manifest list, the answer of the referrers API or of a referrers tag. */
struct oci_index {
    char *media_type;
    struct oci_descriptor *manifests;
    size_t manifest_count;
    struct text_map annotations;
};
MUST_CHECK int oci_index_parse(struct bytes json, struct oci_index **ret, struct err *err);
void oci_index_free(struct oci_index *index);
DEFINE_SCOPED_PTR(oci_index, struct oci_index, oci_index_free)
/* JSON as Go's encoder writes it (key order, escapes); for the referrers tag. 0 or -ENOMEM. */
MUST_CHECK int oci_index_encode(const struct oci_index *index, struct buf *ret, struct err *err);
/* Append a copy of `desc`. */
MUST_CHECK int oci_index_add(struct oci_index *index,
                             const struct oci_descriptor *desc); /* -ENOMEM, -EFBIG */
struct oci_index *oci_index_new(void); /* empty OCI index; NULL: out of memory */

bool oci_is_manifest(const char *media_type); /* OCI or Docker manifest; NULL is false */
bool oci_is_index(const char *media_type);    /* OCI index or Docker list; NULL is false */

/* os/arch[/variant] of `desc` against a wanted platform: as containerd's strict matcher with the
 * usual normalisation (x86_64 is amd64, arm64 is v8 …). "" in `want` matches this machine. */
MUST_CHECK int oci_platform_parse(const char *text, struct oci_platform *ret, struct err *err);
bool oci_platform_matches(const struct oci_platform *have, const struct oci_platform *want);
/* Each matches the other, and their versions of the system are the same. */
bool oci_platform_equal(const struct oci_platform *a, const struct oci_platform *b);
MUST_CHECK int oci_platform_host(struct oci_platform *ret); /* 0 or -ENOMEM */
char *
oci_platform_text(const struct oci_platform *platform); /* "linux/arm64/v8", new; NULL: no memory */
/* What an image's configuration says that the image is for; fields that it does not have are NULL.
 * -EBADMSG, -ENOMEM. */
MUST_CHECK int oci_config_platform(struct bytes json, struct oci_platform *ret, struct err *err);
void oci_platform_fini(struct oci_platform *platform);
DEFINE_SCOPED_VALUE(oci_platform, struct oci_platform, oci_platform_fini)

/* How a layer's media type says that its bytes are packed (docs/soci-index.md has the table). */
enum oci_compression {
    OCI_COMPRESSION_GZIP,
    OCI_COMPRESSION_NONE,        /* plain tar */
    OCI_COMPRESSION_UNKNOWN,     /* Docker's plain tar type: treated as plain tar */
    OCI_COMPRESSION_UNSUPPORTED, /* zstd, encrypted, foreign plain tar …: the layer gets no ztoc */
    OCI_COMPRESSION_PREFETCH,    /* no layer: ignored silently */
    OCI_COMPRESSION_NO_LAYER,    /* not a layer type at all: an error when building */
};
enum oci_compression oci_layer_compression(const char *media_type);
/* The word for messages: "gzip", "uncompressed", "unknown", "zstd", "" for the rest. Static. */
const char *oci_layer_compression_word(const char *media_type);

/* ---- the SOCI index -------------------------------------------------------------------------- */

struct soci_index_ztoc {
    struct digest ztoc;
    uint64_t ztoc_bytes;
    struct digest layer;
    char *layer_media_type;
    uint64_t span_size; /* uncompressed bytes, as asked for when it was built; 0: not said */
    bool disable_xattrs;
};

/* Which spans of a layer are worth fetching before anybody asks is in a blob of its own. */
struct soci_index_prefetch {
    struct digest artifact;
    uint64_t artifact_bytes;
    struct digest layer;
};

struct soci_index {
    int version;                   /* 1 or 2 */
    struct soci_index_ztoc *ztocs; /* in the order of the image's layers */
    size_t ztoc_count;
    struct soci_index_prefetch *prefetches; /* in the order of the image's layers */
    size_t prefetch_count;
    bool has_subject; /* always for v1 */
    char *subject_media_type;
    struct digest subject;
    uint64_t subject_bytes;
    char *build_tool;
};
/* Either version. -EBADMSG: no SOCI index, or one that breaks the format. A prefetch artifact that
 * does not say whose it is is passed over. */
MUST_CHECK int soci_index_parse(struct bytes json, struct soci_index **ret, struct err *err);
/* Byte for byte what the reference writes: its daemon refuses any other spelling. */
MUST_CHECK int soci_index_encode(const struct soci_index *index, struct buf *ret, struct err *err);
/* The ztoc of a layer; NULL: it has none. Borrowed. */
const struct soci_index_ztoc *soci_index_find(const struct soci_index *index,
                                              const struct digest *layer);
/* The same for its prefetch artifact. */
const struct soci_index_prefetch *soci_index_find_prefetch(const struct soci_index *index,
                                                           const struct digest *layer);
void soci_index_free(struct soci_index *index);
DEFINE_SCOPED_PTR(soci_index, struct soci_index, soci_index_free)

/* ---- an image that names its SOCI indexes (v2) ------------------------------------------------
 */

/* An image manifest, OCI or Docker, as an OCI one that names `index` (NULL: it names what it named
 * before), spelt as Go's encoder would. Members that nobody here knows stay, behind the others.
 * 0, -EBADMSG, -ENOMEM; *ret grows on success alone. */
MUST_CHECK int soci_enable_manifest(struct bytes json, const struct digest *index, struct buf *ret,
                                    struct err *err);

/* A manifest of the list, and what stands for it from now on. */
struct soci_enabled {
    struct digest from, to;
    uint64_t to_bytes;
    const struct text_map *annotations; /* its own: its entry has them, too */
};
/* A SOCI index that the list has from now on. */
struct soci_listed {
    struct digest index;
    uint64_t index_bytes;
    struct digest manifest; /* whose it is, as it is called afterwards */
    const struct oci_platform *platform;
};
struct soci_enable {
    const struct soci_enabled *enabled;
    size_t enabled_count;
    const struct soci_listed *listed;
    size_t listed_count;
};
/* The list of manifests, OCI or Docker, as an OCI one with all that; an index for a platform that
 * had one takes its place. What refers to a manifest (an attestation) refers to what stands for it.
 * Errors as above. */
MUST_CHECK int soci_enable_list(struct bytes json, const struct soci_enable *options,
                                struct buf *ret, struct err *err);

/* ---- the prefetch artifact ------------------------------------------------------------------- */

enum { SOCI_PREFETCH_MAX_BYTES = 8 * 1024 * 1024, SOCI_PREFETCH_RANGES_MAX = 65536 };

/* Spans first … last; how many the layer has is for the reader to check. */
struct soci_prefetch_range {
    uint32_t first, last;
    uint32_t priority; /* the lower, the sooner; of each next span of the range one more. 0: none */
};
struct soci_prefetch {
    struct soci_prefetch_range *ranges;
    size_t count;
};
/* -EBADMSG: no prefetch artifact, of another version, or without a range. */
MUST_CHECK int soci_prefetch_parse(struct bytes json, struct soci_prefetch *ret, struct err *err);
/* As the reference spells it. 0 or -ENOMEM. */
MUST_CHECK int soci_prefetch_encode(const struct soci_prefetch *prefetch, struct buf *ret,
                                    struct err *err);
void soci_prefetch_fini(struct soci_prefetch *prefetch);
DEFINE_SCOPED_VALUE(soci_prefetch, struct soci_prefetch, soci_prefetch_fini)
/* The ranges of spans that are each there once, in the order in which they are wanted, so with
 * rising priorities: sorted by span, and none longer than keeps that order. 0 or -ENOMEM. */
struct soci_prefetch_span {
    uint32_t span, priority;
};
MUST_CHECK int soci_prefetch_of_order(const struct soci_prefetch_span *spans, size_t count,
                                      struct soci_prefetch *ret);

#endif
