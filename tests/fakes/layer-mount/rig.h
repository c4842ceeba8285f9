/* SPDX-License-Identifier: Apache-2.0 */
/* rig.h – a layer to mount, whose bytes come as told. Two programs are made of it: layer-mount has
 * a stand-in for layer/ and span/ over a plain tar, layer-mount-engine the real ones over a layer
 * file. */
#ifndef LAYER_MOUNT_RIG_H
#define LAYER_MOUNT_RIG_H

#include "layer/layer.h"

enum rig_mode {
    RIG_NOW,     /* at once */
    RIG_LATER,   /* soon, from another thread */
    RIG_HANG,    /* when the mode changes */
    RIG_FAIL,    /* never: -EIO, from another thread */
    RIG_ALREADY, /* from another thread before layer_want() returned; the engine: as RIG_NOW */
};

struct rig;
MUST_CHECK int rig_open(const char *path, bool disable_xattrs, struct rig **ret, struct err *err);
void rig_close(struct rig *rig);
struct layer *rig_layer(struct rig *rig); /* borrowed */
void rig_set_mode(struct rig *rig, enum rig_mode mode);
size_t rig_waiting(struct rig *rig); /* reads, or fetches */

#endif
