/* SPDX-License-Identifier: Apache-2.0 */
/* internal.h – JSON as the files of this folder read and write it.
 *
 * Reading: json_read() first proves that the bytes are JSON of a bounded size (json_check.c), then
 * lets cJSON make the tree. The getters below look a member up by its exact name. A member that is
 * null counts as absent, as in Go. A name that occurs twice is refused: readers disagree on which
 * one counts, and a document that means different things to different readers is an attack or a
 * bug. */
#ifndef OCI_INTERNAL_H
#define OCI_INTERNAL_H

#include "oci/oci.h"

#include <cjson/cJSON.h>

DEFINE_SCOPED_PTR(json, cJSON, cJSON_Delete)

/* Enough for OCI_ENTRIES_MAX descriptors with a platform and a few annotations each; cJSON needs
 * some 80 bytes per value. */
enum { JSON_VALUES_MAX = 400 * 1000 };
enum { JSON_DEPTH_MAX = 64 };
/* Longer than any number that means something here, and shorter than what cJSON cuts off (63). */
enum { JSON_NUMBER_MAX_BYTES = 40 };
enum { OCI_ANNOTATIONS_MAX = 256 };

/* One JSON value and nothing else, in UTF-8, without U+0000, within the limits above: 0 or
 * -EBADMSG. */
MUST_CHECK int json_check(struct bytes text, struct err *err);
/* As a tree whose root is an object: 0, -EBADMSG, -ENOMEM. */
MUST_CHECK int json_read(struct bytes text, cJSON **ret, struct err *err);

/* 0 and NULL or false or 0 when the member is absent. -EBADMSG: it has another type, or is there
 * twice. What `ret` points to belongs to the tree. */
MUST_CHECK int json_get(const cJSON *object, const char *name, const cJSON **ret, struct err *err);
MUST_CHECK int json_get_string(const cJSON *object, const char *name, const char **ret,
                               struct err *err);
MUST_CHECK int json_get_object(const cJSON *object, const char *name, const cJSON **ret,
                               struct err *err);
MUST_CHECK int json_get_array(const cJSON *object, const char *name, const cJSON **ret,
                              struct err *err);
/* A number that a double holds exactly and that is no negative or broken one: below 2^53. */
MUST_CHECK int json_get_u64(const cJSON *object, const char *name, bool *ret_present, uint64_t *ret,
                            struct err *err);
/* A new string of the member, or NULL. Also -ENOMEM. */
MUST_CHECK int json_take_string(const cJSON *object, const char *name, char **ret, struct err *err);
/* An object whose values are strings, sorted as it stands; null is "" as in Go. */
MUST_CHECK int json_take_map(const cJSON *object, const char *name, struct text_map *ret,
                             struct err *err);

/* descriptor.c */
MUST_CHECK int oci_descriptor_read(const cJSON *object, struct oci_descriptor *ret,
                                   struct err *err);
/* An array of descriptors, at most OCI_ENTRIES_MAX. On failure too, what is there is the caller's.
 */
MUST_CHECK int oci_descriptors_read(const cJSON *object, const char *name,
                                    struct oci_descriptor **ret, size_t *ret_count,
                                    struct err *err);
void oci_descriptors_free(struct oci_descriptor *descs, size_t count);
/* What a manifest and an index have in common: schemaVersion is 2 or absent. */
MUST_CHECK int oci_schema_check(const cJSON *object, struct err *err);

/* encode.c: as Go's encoder writes it. 0 or -ENOMEM. */
MUST_CHECK int oci_put_string(struct buf *out, const char *key,
                              const char *value); /* "key":"value" */
MUST_CHECK int oci_put_descriptor(struct buf *out, const struct oci_descriptor *desc);
/* ,"annotations":{…} with sorted keys; nothing when there are none. */
MUST_CHECK int oci_put_annotations(struct buf *out, const struct text_map *annotations);

/* spell.c: a whole document of others, as Go's encoder would write it; what is not known stands
 * behind what is. 0 or -ENOMEM. */
MUST_CHECK int oci_spell_manifest(struct buf *out, const cJSON *tree);
MUST_CHECK int oci_spell_index(struct buf *out, const cJSON *tree);

#endif
