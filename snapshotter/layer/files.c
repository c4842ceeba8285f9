/* SPDX-License-Identifier: Apache-2.0 */
/* files.c – the files of a layer, in memory while somebody holds them.
 *
 * They are a quarter of a kilobyte each. Once the kernel has them as an image nobody asks for them,
 * until the layer is mounted once more or compared with its table as a whole. */
#include "layer/internal.h"

#include <errno.h>

static void drop(struct layer *layer)
{
    tree_free(layer->tree);
    layer->tree = NULL;
    ztoc_drop_files(layer->layout.toc);
}

static int read_again(struct layer *layer, struct err *err)
{
    int rc = layer_layout_read_files(&layer->layout, layer->store, &layer->ztoc_digest, err);

    if (rc == 0)
        rc = tree_build(layer->layout.toc, &layer->tree, err);
    if (rc < 0)
        drop(layer);
    return rc;
}

/* True: they are to be read, by the caller alone; else they are here and held. */
static bool hold_or_begin(struct layer *layer)
{
    LOCKED(layer->files_lock);

    while (layer->files.state == FILES_READING)
        (void)pthread_cond_wait(layer->files_settled, layer->files_lock);
    if (layer->files.state == FILES_HERE) {
        layer->files.holders++;
        return false;
    }
    layer->files.state = FILES_READING;
    return true;
}

static void settle(struct layer *layer, bool are_here)
{
    LOCKED(layer->files_lock);

    layer->files.state = are_here ? FILES_HERE : FILES_DROPPED;
    layer->files.holders = are_here ? 1 : 0;
    (void)pthread_cond_broadcast(layer->files_settled);
}

int layer_hold_tree(struct layer *layer, struct err *err)
{
    int rc;

    if (!hold_or_begin(layer))
        return 0;
    rc = read_again(layer, err);
    settle(layer, rc == 0);
    return rc;
}

/* Freeing is quick, so it is done where nobody can come in between. */
void layer_release_tree(struct layer *layer)
{
    LOCKED(layer->files_lock);

    if (--layer->files.holders > 0)
        return;
    layer->files.state = FILES_DROPPED;
    drop(layer);
}
