/* SPDX-License-Identifier: Apache-2.0 */
/* fake_layer.h – layer/layer.h over a plain tar that is all there, whose bytes come at once, later,
 * never or not at all, as told. */
#ifndef FAKES_FAKE_LAYER_H
#define FAKES_FAKE_LAYER_H

#include "layer/layer.h"

enum fake_mode {
    FAKE_NOW,     /* layer_want() answers 0 */
    FAKE_LATER,   /* done() comes soon, from another thread */
    FAKE_HANG,    /* done() comes when the mode changes, or -ECANCELED at the end */
    FAKE_FAIL,    /* done() comes with -EIO */
    FAKE_ALREADY, /* done() comes from another thread before layer_want() returns 1 */
};

MUST_CHECK int fake_layer_open(const char *tar, bool disable_xattrs, struct layer **ret,
                               struct err *err);
void fake_layer_set_mode(struct layer *layer, enum fake_mode mode);
size_t fake_layer_waiting(struct layer *layer);

#endif
