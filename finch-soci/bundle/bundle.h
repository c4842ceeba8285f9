/* SPDX-License-Identifier: Apache-2.0 */
/* bundle.h – the programs for the guest in one file: finch-soci-guest-<arch>.tar.gz. docs/bundle.md
 * is its format. What is opened has been checked as a whole: every file has the size and the digest
 * that the manifest says. */
#ifndef BUNDLE_BUNDLE_H
#define BUNDLE_BUNDLE_H

#include "base/attr.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "digest/digest.h"

#include <stddef.h>

struct bundle;
struct bundle_file {
    const char *name; /* as "bin/soci": no "..", no "/" in front */
    unsigned mode;    /* permissions */
    struct bytes content;
    struct digest digest;
};

/* `path` NULL: the one for `arch` beside our own program, or in ../lib/finch-soci/ from there.
 * `arch` as uname(1) calls it; NULL: any. -ENOENT, -EBADMSG broken, or for another architecture;
 * -EFBIG. */
MUST_CHECK int bundle_open(const char *path, const char *arch, struct bundle **ret,
                           struct err *err);
/* From bytes: what bundle_open() does with the file's. */
MUST_CHECK int bundle_parse(struct bytes gzip, const char *arch, struct bundle **ret,
                            struct err *err);
void bundle_close(struct bundle *bundle); /* NULL is fine */
DEFINE_SCOPED_PTR(bundle, struct bundle, bundle_close)

/* All borrowed until bundle_close(). */
const char *bundle_version(const struct bundle *bundle);
const char *bundle_arch(const struct bundle *bundle);
size_t bundle_count(const struct bundle *bundle);
const struct bundle_file *bundle_at(const struct bundle *bundle, size_t n);
const struct bundle_file *bundle_find(const struct bundle *bundle,
                                      const char *name); /* NULL: no such */

#endif
