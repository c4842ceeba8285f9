/* SPDX-License-Identifier: Apache-2.0 */
/* hold.h – the bits that the decoder looks at: taken from bytes with the lowest bit first. */
#ifndef ZRAN_HOLD_H
#define ZRAN_HOLD_H

#include "zran/internal.h"

#include <endian.h>
#include <string.h>

struct hold {
    uint64_t bits;
    unsigned count;
    const uint8_t *next, *end;
};

static inline uint64_t low_bits(uint64_t value, unsigned count)
{
    return value & ((UINT64_C(1) << count) - 1);
}

static inline void drop(struct hold *h, unsigned count)
{
    h->bits >>= count;
    h->count -= count;
}

/* get_u64le(), but inline: this is done for every code. */
static inline uint64_t load_word(const uint8_t *p)
{
    uint64_t word;

    memcpy(&word, p, sizeof(word));
    return le64toh(word);
}

/* At least 56 bits, by one load. What is above `count` is the beginning of the byte at `next`,
 * and will be put there again. */
static inline void fill_fast(struct hold *h)
{
    h->bits |= load_word(h->next) << h->count;
    h->next += (63 - h->count) >> 3;
    h->count |= 56;
}

/* 56 bits or more, or all up to the last byte. */
static inline void fill_careful(struct hold *h)
{
    for (; h->count < 56 && h->next < h->end; h->count += 8)
        h->bits |= (uint64_t)*h->next++ << h->count;
}

/* block.c: read the header of a block and prepare for its content. False: nothing is consumed,
 * because it is cut off or d->why is set. */
bool block_header_read(struct deflate *d, struct hold *h);

#endif
