/* SPDX-License-Identifier: Apache-2.0 */
/* block.c – the headers of deflate blocks: what kind, and for two of them how its codes look. */
#include "zran/hold.h"

/* A header is read in one go, from a hold that can be thrown away when it runs out. */
struct header_reader {
    struct hold hold;
    bool is_short;
};

static unsigned take(struct header_reader *r, unsigned count)
{
    unsigned value;

    fill_careful(&r->hold);
    if (r->hold.count < count) {
        r->is_short = true;
        return 0;
    }
    value = (unsigned)low_bits(r->hold.bits, count);
    drop(&r->hold, count);
    return value;
}

/* A number in the code that code lengths are written in. */
static unsigned take_order(struct header_reader *r, const uint32_t *table)
{
    uint32_t entry;

    fill_careful(&r->hold);
    entry = table[low_bits(r->hold.bits, ORDER_TABLE_BITS)];
    if (r->hold.count < (entry & ENTRY_BITS_MASK)) {
        r->is_short = true;
        return 0;
    }
    drop(&r->hold, entry & ENTRY_BITS_MASK);
    return entry >> ENTRY_VALUE_SHIFT;
}

static const char *read_order(struct header_reader *r, uint32_t *table)
{
    static const uint8_t order[ORDER_SYMBOLS] = {16, 17, 18, 0, 8,  7, 9,  6, 10, 5,
                                                 11, 4,  12, 3, 13, 2, 14, 1, 15};
    uint8_t lengths[ORDER_SYMBOLS] = {0};
    unsigned count = take(r, 4) + 4;

    for (unsigned i = 0; i < count; i++)
        lengths[order[i]] = (uint8_t)take(r, 3);
    return r->is_short || huffman_build(HUFFMAN_ORDER, lengths, ORDER_SYMBOLS, table)
               ? NULL
               : "invalid code lengths set";
}

/* `count` code lengths, those of both alphabets in a row: 0…15 is a length, 16…18 repeat the
 * last one or zero. */
static const char *read_lengths(struct header_reader *r, const uint32_t *order, uint8_t *lengths,
                                unsigned count)
{
    static const uint8_t repeat_base[] = {3, 3, 11}, repeat_bits[] = {2, 3, 7};
    unsigned done = 0;

    while (done < count && !r->is_short) {
        unsigned symbol = take_order(r, order), repeat = 1;
        uint8_t length = symbol < 16 ? (uint8_t)symbol : 0;

        if (symbol >= 16)
            repeat = repeat_base[symbol - 16] + take(r, repeat_bits[symbol - 16]);
        if (symbol == 16 && done > 0)
            length = lengths[done - 1];
        if (!r->is_short && ((symbol == 16 && done == 0) || repeat > count - done))
            return "invalid bit length repeat";
        for (; repeat > 0 && done < count; repeat--)
            lengths[done++] = length;
    }
    return NULL;
}

static const char *read_dynamic(struct header_reader *r, struct deflate *d)
{
    uint8_t lengths[LENGTH_SYMBOLS + DISTANCE_SYMBOLS] = {0};
    uint32_t order[ORDER_TABLE_ENTRIES];
    unsigned length_count = take(r, 5) + 257, distance_count = take(r, 5) + 1;
    const char *why;

    if (!r->is_short && (length_count > 286 || distance_count > 30))
        return "too many length or distance symbols";
    why = read_order(r, order);
    if (why != NULL || r->is_short)
        return why;
    why = read_lengths(r, order, lengths, length_count + distance_count);
    if (why != NULL || r->is_short)
        return why;
    if (lengths[256] == 0)
        return "invalid code -- missing end-of-block";
    if (!huffman_build(HUFFMAN_LENGTHS, lengths, length_count, d->dynamic.lengths))
        return "invalid literal/lengths set";
    if (!huffman_build(HUFFMAN_DISTANCES, lengths + length_count, distance_count,
                       d->dynamic.distances))
        return "invalid distances set";
    d->tables = &d->dynamic;
    d->state = DEFLATE_IN_CODES;
    return NULL;
}

static const char *start_fixed(struct deflate *d)
{
    uint8_t lengths[LENGTH_SYMBOLS];

    if (!d->has_fixed) {
        memset(lengths, 8, 144);
        memset(lengths + 144, 9, 256 - 144);
        memset(lengths + 256, 7, 280 - 256);
        memset(lengths + 280, 8, LENGTH_SYMBOLS - 280);
        (void)huffman_build(HUFFMAN_LENGTHS, lengths, LENGTH_SYMBOLS, d->fixed.lengths);
        memset(lengths, 5, DISTANCE_SYMBOLS);
        (void)huffman_build(HUFFMAN_DISTANCES, lengths, DISTANCE_SYMBOLS, d->fixed.distances);
        d->has_fixed = true;
    }
    d->tables = &d->fixed;
    d->state = DEFLATE_IN_CODES;
    return NULL;
}

static const char *read_stored(struct header_reader *r, struct deflate *d)
{
    unsigned len, complement;

    (void)take(r, r->hold.count & 7); /* up to the next byte */
    len = take(r, 16);
    complement = take(r, 16);
    if (!r->is_short && len != (complement ^ 0xffff))
        return "invalid stored block lengths";
    d->stored_left = len;
    d->state = DEFLATE_IN_STORED;
    return NULL;
}

bool block_header_read(struct deflate *d, struct hold *h)
{
    struct header_reader r = {.hold = *h};
    bool is_last = take(&r, 1) != 0;
    const char *why = NULL;

    switch (take(&r, 2)) {
    case 0:
        why = read_stored(&r, d);
        break;
    case 1:
        why = start_fixed(d);
        break;
    case 2:
        why = read_dynamic(&r, d);
        break;
    default:
        why = "invalid block type";
    }
    if (r.is_short || why != NULL) {
        d->why = r.is_short ? NULL : why;
        d->state = DEFLATE_AT_HEADER;
        return false;
    }
    d->is_last = is_last;
    *h = r.hold;
    return true;
}
