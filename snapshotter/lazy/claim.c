/* SPDX-License-Identifier: Apache-2.0 */
/* claim.c – what the runtime says that a layer unpacks to, and what becomes of it when that is
 * found to be so or not. The runtime has it from the image's config, whose digest the manifest
 * names: an index cannot change it. */
#include "lazy/internal.h"

#include "base/threads.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Ours, in rows. */
#define LABEL_ROW_DIFF_ID "containerd.io/snapshot/remote/soci.diff-id"
#define LABEL_ROW_CHAIN_ID "containerd.io/snapshot/remote/soci.chain-id"
#define LABEL_ROW_BELOW "containerd.io/snapshot/remote/soci.parent-chain-id"

static bool read_digest(const struct text_map *labels, const char *key, struct digest *ret)
{
    const char *value = text_map_get(labels, key);
    struct err ignored = ERR_NONE;

    return value != NULL && digest_parse(value, ret, &ignored) == 0;
}

int lazy_chain_below(const struct text_map *labels, const char *parent, struct digest *ret)
{
    const char *label = lazy_label(labels, SNAPSHOT_LABEL_PARENT_CHAIN), *slash;
    char text[DIGEST_TEXT_BYTES];
    struct err ignored = ERR_NONE;

    if (label[0] != '\0')
        return digest_parse(label, ret, &ignored);
    if (parent[0] == '\0')
        return 1;
    slash = strrchr(parent, '/');
    (void)snprintf(text, sizeof(text), "%s", slash == NULL ? parent : slash + 1);
    return digest_parse(text, ret, &ignored);
}

void lazy_claim_of_prepare(const struct text_map *labels, const char *parent,
                           struct layer_claim *ret)
{
    int rc;

    *ret = (struct layer_claim){.kind = LAYER_CLAIM_DIFF_ID};
    if (read_digest(labels, SNAPSHOT_LABEL_DIFF_ID, &ret->digest))
        return;
    rc = lazy_chain_below(labels, parent, &ret->below);
    if (rc == 0)
        ret->kind = LAYER_CLAIM_CHAIN_ID; /* the lowest layer's chain ID is its diff ID */
    if (rc < 0 || !read_digest(labels, SNAPSHOT_LABEL_TARGET, &ret->digest))
        *ret = (struct layer_claim){.kind = LAYER_CLAIM_NONE};
}

void lazy_claim_of_row(const struct text_map *labels, struct layer_claim *ret)
{
    *ret = (struct layer_claim){.kind = LAYER_CLAIM_DIFF_ID};
    if (read_digest(labels, LABEL_ROW_DIFF_ID, &ret->digest))
        return;
    ret->kind = LAYER_CLAIM_CHAIN_ID;
    if (read_digest(labels, LABEL_ROW_CHAIN_ID, &ret->digest) &&
        read_digest(labels, LABEL_ROW_BELOW, &ret->below))
        return;
    *ret = (struct layer_claim){.kind = LAYER_CLAIM_NONE};
}

int lazy_claim_add_labels(const struct layer_claim *claim, struct text_map *labels)
{
    int rc = 0;

    if (claim->kind == LAYER_CLAIM_DIFF_ID)
        return lazy_label_set_digest(labels, LABEL_ROW_DIFF_ID, &claim->digest);
    if (claim->kind == LAYER_CLAIM_CHAIN_ID)
        rc = lazy_label_set_digest(labels, LABEL_ROW_CHAIN_ID, &claim->digest);
    if (claim->kind == LAYER_CLAIM_CHAIN_ID && rc == 0)
        rc = lazy_label_set_digest(labels, LABEL_ROW_BELOW, &claim->below);
    return rc;
}

/* ---- found to be so, or not ------------------------------------------------------------------ */

/* The image of one that has it, a new string; NULL: none has it, or out of memory. */
static char *image_of(struct lazy *lazy, const struct layer *layer)
{
    const struct lazy_entry *entry;
    LOCKED(&lazy->lock);

    TAILQ_FOREACH(entry, &lazy->entries, link)
    {
        if (entry->target.image_ref != NULL &&
            digest_equal(&entry->target.layer, layer_digest(layer)) &&
            digest_equal(&entry->target.ztoc, layer_ztoc_digest(layer)))
            return text_copy(entry->target.image_ref);
    }
    return NULL;
}

void lazy_was_checked(void *arg, struct layer *layer, enum layer_check check, const struct err *why)
{
    struct lazy *lazy = arg;
    SCOPED(mem) char *image = NULL;
    char digest[DIGEST_TEXT_BYTES];

    if (check != LAYER_REFUSED)
        return;
    image = image_of(lazy, layer);
    digest_format(layer_digest(layer), digest);
    lazy_note(lazy, LAZY_EVENT_REFUSED, image, digest, why);
}
