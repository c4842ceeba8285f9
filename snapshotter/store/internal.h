/* SPDX-License-Identifier: Apache-2.0 */
/* internal.h – what the files of store/ share. */
#ifndef STORE_INTERNAL_H
#define STORE_INTERNAL_H

#include "store/store.h"

struct store {
    char *root;  /* fixed at creation */
    int lock_fd; /* fixed at creation; holds the lock on <root>/lock */
};

#endif
