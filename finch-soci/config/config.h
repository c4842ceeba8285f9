/* SPDX-License-Identifier: Apache-2.0 */
/* config.h – finch.yaml: what Finch reads in it, and `soci` put into its list of snapshotters or
 * taken out again, with every other byte as it was.
 *
 * Finch parses the file with Go's yaml.v3: the first document, keys in exact case, a key twice is
 * an error, merge keys work, null is "not there". libyaml parses here. Texts are UTF-8, with or
 * without byte order mark. Errors: -EINVAL, the text says where and why; -EFBIG, -ENOMEM. Nothing
 * here knows of files but file.c, whose functions say so. */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include "base/attr.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/text.h"

#include <stdbool.h>

enum { FINCH_CONFIG_MAX_BYTES = 256 * 1024 };

/* ---- what it says ---------------------------------------------------------------------------- */

/* The keys that matter here, with Finch's defaults for those that are missing. */
struct finch_config {
    struct text_list snapshotters; /* the first is the default; empty: overlayfs */
    struct text_list creds_helpers;
    char *vm_type;      /* vz, qemu, wsl2; NULL: not said */
    bool auto_vm_start; /* any command starts the machine */
};
void finch_config_fini(struct finch_config *config);
DEFINE_SCOPED_VALUE(finch_config, struct finch_config, finch_config_fini)

MUST_CHECK int finch_config_parse(struct bytes text, struct finch_config *ret, struct err *err);
/* What Finch checks when the machine is made or started: names that it does not know are
 * -EINVAL `snapshotter x is not supported`, `unsupported vm type "x"`. */
MUST_CHECK int finch_config_check(const struct finch_config *config, struct err *err);
bool finch_config_has_soci(const struct finch_config *config);
bool finch_config_is_soci_first(const struct finch_config *config);

/* ---- changing it ----------------------------------------------------------------------------- */

/* The text with `soci` in the list: at its end, or, with `first`, at its start. A list that is
 * missing, empty or null becomes the documented one. Returns 1 and the new text in *ret, or 0:
 * nothing to do. */
MUST_CHECK int finch_config_enable(struct bytes text, bool first, struct buf *ret, struct err *err);
/* The text without `soci` in the list. Returns as above. */
MUST_CHECK int finch_config_disable(struct bytes text, struct buf *ret, struct err *err);

/* ---- the file -------------------------------------------------------------------------------- */

/* The file is replaced at once, its mode and owner stay, links are followed. A finch that writes it
 * at the same moment is waited for, and edited again; -EAGAIN after several tries. Beside it are
 * kept what it was before the first edit (PATH.before-finch-soci) and a digest of what we wrote
 * (PATH.finch-soci). Block on the disk. */
enum finch_file_change {
    FINCH_FILE_SAME,     /* nothing was to be done */
    FINCH_FILE_EDITED,   /* backup: what it was before, where there was a file */
    FINCH_FILE_RESTORED, /* nobody had written it since: the old bytes are back */
};
struct finch_file_result {
    enum finch_file_change change;
    char *backup; /* NULL: none */
};
void finch_file_result_fini(struct finch_file_result *result);
DEFINE_SCOPED_VALUE(finch_file_result, struct finch_file_result, finch_file_result_fini)

/* A missing file is an empty one, here and for Finch. */
MUST_CHECK int finch_file_read(const char *path, struct finch_config *ret, struct err *err);
MUST_CHECK int finch_file_enable(const char *path, bool first, struct finch_file_result *ret,
                                 struct err *err);
MUST_CHECK int finch_file_disable(const char *path, struct finch_file_result *ret, struct err *err);
/* Remove what is kept beside the file. */
MUST_CHECK int finch_file_forget(const char *path, struct err *err);

#endif
