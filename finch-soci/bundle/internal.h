/* SPDX-License-Identifier: Apache-2.0 */
/* internal.h – a bundle's parts: its manifest, and its archive in memory. */
#ifndef BUNDLE_INTERNAL_H
#define BUNDLE_INTERNAL_H

#include "bundle/bundle.h"

#include <stdbool.h>
#include <stdint.h>

enum { BUNDLE_FILES_MAX = 64 };
enum { BUNDLE_NAME_MAX_BYTES = 200 };
enum { BUNDLE_GZIP_MAX_BYTES = 128 * 1024 * 1024 };
enum { BUNDLE_TAR_MAX_BYTES = 256 * 1024 * 1024 };
enum { BUNDLE_MANIFEST_MAX_BYTES = 64 * 1024 };
#define BUNDLE_MANIFEST "manifest.json"

struct bundle_entry {
    char *name;
    unsigned mode;
    uint64_t size;
    struct digest digest;
    bool seen; /* its content was in the archive */
    struct buf content;
    struct bundle_file file; /* what is shown of it */
};

struct bundle {
    char *version, *arch;
    struct bundle_entry *entries;
    size_t count;
};

/* ---- manifest.c ------------------------------------------------------------------------------ */

/* Fills version, arch and entries. -EBADMSG. */
MUST_CHECK int bundle_parse_manifest(struct bytes json, struct bundle *ret, struct err *err);

/* ---- archive.c ------------------------------------------------------------------------------- */

/* The manifest, which comes first, and then the contents of what it names. */
MUST_CHECK int bundle_read_archive(struct bytes gzip, struct bundle *ret, struct err *err);

#endif
