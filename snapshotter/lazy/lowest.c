/* SPDX-License-Identifier: Apache-2.0 */
/* lowest.c – is a layer that is prepared on nothing the lowest of its image?
 *
 * It need not be: see snapshot/rebase.c. From 2.3 on containerd says so, and snapshot/ does not ask
 * for the layer at all. Before, only the image's manifest tells, and the client's list of this
 * layer and those above it. To take an upper layer for the lowest would leave the image without all
 * that is below; to be wrong the other way only costs a download. */
#include "lazy/internal.h"

#include <errno.h>
#include <string.h>

/* containerd allows 4096 bytes for key and value: a list that has no room for one more may go on.
 */
enum { LAYER_LIST_FULL_BYTES = 4096 - sizeof(LAZY_LABEL_IMAGE_LAYERS) - DIGEST_TEXT_BYTES };

static size_t count_listed(const char *list)
{
    size_t count = 1;

    for (const char *c = list; *c != '\0'; c++)
        count += *c == ',' ? 1 : 0;
    return count;
}

/* Does the list begin with the lowest layer? */
static bool lists_all(const struct oci_manifest *manifest, const char *list)
{
    return strlen(list) >= LAYER_LIST_FULL_BYTES || count_listed(list) == manifest->layer_count;
}

size_t lazy_lowest_of(const struct text_map *labels)
{
    const char *list = text_map_get(labels, LAZY_LABEL_IMAGE_LAYERS);

    if (text_map_get(labels, SNAPSHOT_LABEL_DIFF_ID) != NULL) /* such a client says what is below */
        return 0;
    return list == NULL || list[0] == '\0' ? SIZE_MAX : count_listed(list);
}

int lazy_check_lowest(const struct lazy_target *target, const struct oci_manifest *manifest,
                      const struct text_map *labels, struct err *err)
{
    const char *list = text_map_get(labels, LAZY_LABEL_IMAGE_LAYERS);

    if (!target->on_nothing || text_map_get(labels, SNAPSHOT_LABEL_DIFF_ID) != NULL)
        return 0;
    if (manifest == NULL)
        return err_set(err, -ENOTSUP, "it cannot be told whether this is the lowest layer");
    if (oci_manifest_is_lowest(manifest, &target->layer, list != NULL && lists_all(manifest, list)))
        return 0;
    return err_set(err, -ENOTSUP, "containerd unpacks layers in parallel (capability rebase)");
}
