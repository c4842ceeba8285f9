/* SPDX-License-Identifier: Apache-2.0 */
/* internal.h – what build.c and push.c share with their helpers. */
#ifndef INDEX_INTERNAL_H
#define INDEX_INTERNAL_H

#include "index/index.h"

#include <pthread.h>

/* What every SOCI index has as its config: the two bytes {}. */
extern const char index_empty_config[];

/* Serialises line(): `lock` guards nothing else. */
struct index_printer {
    struct index_output output;
    pthread_mutex_t lock;
};
void index_print(struct index_printer *printer, const char *fmt, ...) PRINTF_LIKE(2, 3);

enum index_layer_outcome {
    INDEX_LAYER_SKIPPED,
    INDEX_LAYER_BUILT,
    INDEX_LAYER_FAILED,
};
/* The ztoc of one layer, built or found, written to the content store. On success *ret is filled
 * (strings owned by the caller). *ret_outcome is set when 0 is returned. */
MUST_CHECK int index_layer_build(const struct index_build_options *options,
                                 struct index_printer *printer, pthread_mutex_t *known_lock,
                                 const struct oci_descriptor *layer, struct soci_index_ztoc *ret,
                                 enum index_layer_outcome *ret_outcome, struct err *err);

/* built->index, and the config that it names, to the content store; fills in the rest of *built. */
MUST_CHECK int index_write(const struct index_content *content, struct index_built *built,
                           struct err *err);

/* The prefetch artifact of `layer` to the content store and behind the others of `index`, with the
 * line that says so. The layer has one already: nothing happens, the image has it twice. */
MUST_CHECK int index_add_prefetch(const struct index_content *content,
                                  const struct index_output *output, const struct digest *layer,
                                  const struct soci_prefetch *prefetch, struct soci_index *index,
                                  struct err *err);
/* Artifacts for what holds `files`, added to `index`, which has none. The ztocs are read from the
 * content store, one after the other. What no layer has is said in a warning, and no error. */
MUST_CHECK int index_prefetch_files(const struct index_content *content,
                                    const struct index_output *output,
                                    const struct text_list *files, struct soci_index *index,
                                    struct err *err);

/* The tag sha256-<hex of subject> lists `entry` afterwards, whoever else pushes at the same time.
 */
MUST_CHECK int index_update_referrers_tag(struct registry_repo *repo, const struct digest *subject,
                                          const struct oci_descriptor *entry, struct err *err);

#endif
