/* SPDX-License-Identifier: Apache-2.0 */
/* siphash.h – a keyed hash, so that who writes a layer cannot choose names that collide. */
#ifndef TREE_SIPHASH_H
#define TREE_SIPHASH_H

#include "base/bytes.h"

#include <stdint.h>

/* SipHash-1-3 of `seed` (as 4 bytes) and the name. */
uint64_t tree_siphash(const uint64_t key[2], uint32_t seed, struct bytes name);

#endif
