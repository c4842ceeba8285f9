/* SPDX-License-Identifier: Apache-2.0 */
/* convert.h – an image on its way to one that names its SOCI indexes. */
#ifndef CLI_CONVERT_H
#define CLI_CONVERT_H

#include "cli/build.h"

/* A name for an image in containerd: "registry/repository:tag", all three said and no digest. 0 or
 * -EINVAL, text "the destination image must be a tagged ref …". */
MUST_CHECK int cli_convert_check_name(const char *name, struct err *err);

/* The SOCI index of one platform. */
struct cli_converted {
    const struct cli_manifest *manifest; /* of cli_convert.image */
    struct oci_platform platform;        /* as the list has it */
    struct index_built index;
};

/* A manifest of the image, and what stands for it. */
struct cli_rewritten {
    struct digest from, to;
    uint64_t to_bytes;
    struct oci_manifest *manifest; /* the new one */
};

struct cli_convert {
    const char *source, *destination;
    struct cli_image image;
    struct buf list; /* the source's list of manifests, or one that was made for it */
    struct cli_converted *built;
    size_t built_count;
    struct cli_rewritten *rewritten;
    size_t rewritten_count;
};

/* Every manifest of `list` that is an image's and in containerd is written anew, as an OCI one that
 * names its index if it has one: convert->rewritten. */
MUST_CHECK int cli_convert_manifests(struct cli_build *build, struct cli_convert *convert,
                                     const struct oci_index *list, struct err *err);
/* What stands for a manifest of the image; NULL: nothing does. Borrowed. */
const struct cli_rewritten *cli_convert_find(const struct cli_convert *convert,
                                             const struct digest *from);
/* The list with all those and the indexes is written. */
MUST_CHECK int cli_convert_list(struct cli_build *build, const struct cli_convert *convert,
                                struct digest *ret, uint64_t *ret_bytes, struct err *err);

#endif
