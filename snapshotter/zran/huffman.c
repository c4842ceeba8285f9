/* SPDX-License-Identifier: Apache-2.0 */
/* huffman.c – from the lengths of codes to tables in which the next bits of a stream find their
 * meaning.
 *
 * Codes are canonical (RFC 1951, 3.2.2): numbered by length, then by symbol. They are written
 * with their first bit lowest, so a table is indexed by the reversed code, and an entry stands
 * wherever the bits behind the code may vary. */
#include "zran/internal.h"

/* Least value and extra bits of match lengths 257…285 and of distances. */
static const uint16_t length_base[29] = {3,  4,  5,  6,   7,   8,   9,   10,  11, 13,
                                         15, 17, 19, 23,  27,  31,  35,  43,  51, 59,
                                         67, 83, 99, 115, 131, 163, 195, 227, 258};
static const uint8_t length_extra[29] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2,
                                         2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0};
static const uint16_t distance_base[30] = {
    1,   2,   3,   4,   5,   7,    9,    13,   17,   25,   33,   49,   65,    97,    129,
    193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577};
static const uint8_t distance_extra[30] = {0, 0, 0, 0, 1, 1, 2, 2,  3,  3,  4,  4,  5,  5,  6,
                                           6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13};

struct shape {
    unsigned width;
    size_t entries;
};
static const struct shape shapes[] = {
    [HUFFMAN_LENGTHS] = {LENGTH_TABLE_BITS, LENGTH_TABLE_ENTRIES},
    [HUFFMAN_DISTANCES] = {DISTANCE_TABLE_BITS, DISTANCE_TABLE_ENTRIES},
    [HUFFMAN_ORDER] = {ORDER_TABLE_BITS, ORDER_TABLE_ENTRIES},
};

static uint32_t make_entry(uint32_t value, unsigned flags, unsigned code_bits, unsigned extra_bits)
{
    return value << ENTRY_VALUE_SHIFT | flags | code_bits << ENTRY_CODE_SHIFT |
           (code_bits + extra_bits);
}

/* What a symbol means, when `bits` bits of its code are looked up in this table. */
static uint32_t entry_of(enum huffman_kind kind, unsigned symbol, unsigned bits)
{
    if (kind == HUFFMAN_ORDER)
        return make_entry(symbol, 0, bits, 0);
    if (kind == HUFFMAN_DISTANCES)
        return symbol < ARRAY_LEN(distance_base)
                   ? make_entry(distance_base[symbol], 0, bits, distance_extra[symbol])
                   : make_entry(0, ENTRY_INVALID, bits, 0);
    if (symbol < 256)
        return make_entry(symbol, ENTRY_LITERAL, bits, 0);
    if (symbol == 256)
        return make_entry(0, ENTRY_END, bits, 0);
    if (symbol - 257 < ARRAY_LEN(length_base))
        return make_entry(length_base[symbol - 257], 0, bits, length_extra[symbol - 257]);
    return make_entry(0, ENTRY_INVALID, bits, 0);
}

static unsigned reverse(unsigned code, unsigned bits)
{
    unsigned reversed = 0;

    for (; bits > 0; bits--, code >>= 1)
        reversed = reversed << 1 | (code & 1);
    return reversed;
}

/* Do the lengths use up all codes, exactly? *ret_full false: some are left, which is fine in the
 * cases that the header names. */
static bool check_lengths(enum huffman_kind kind, const unsigned *counts, bool *ret_full)
{
    unsigned longest = 0;
    int left = 1; /* codes of the length looked at that are not taken by shorter ones */

    for (unsigned bits = 1; bits <= HUFFMAN_MAX_BITS; bits++) {
        left = left * 2 - (int)counts[bits];
        if (left < 0)
            return false;
        if (counts[bits] > 0)
            longest = bits;
    }
    *ret_full = left == 0;
    if (left == 0)
        return true;
    return kind != HUFFMAN_ORDER && (longest == 1 || (longest == 0 && kind == HUFFMAN_DISTANCES));
}

/* Codes that are longer than the table is wide share a subtable with those that begin with the
 * same bits: it is as wide as the longest of them needs. */
static bool place_subtables(enum huffman_kind kind, const uint16_t *codes, const uint8_t *lengths,
                            size_t count, uint32_t *table)
{
    unsigned width = shapes[kind].width;
    size_t used = (size_t)1 << width;
    uint8_t sub_bits[1 << LENGTH_TABLE_BITS] = {0};

    for (size_t i = 0; i < count; i++) {
        unsigned prefix = codes[i] & ((1u << width) - 1);

        if (lengths[i] > width && lengths[i] - width > sub_bits[prefix])
            sub_bits[prefix] = (uint8_t)(lengths[i] - width);
    }
    for (size_t prefix = 0; prefix < (size_t)1 << width; prefix++) {
        if (sub_bits[prefix] == 0)
            continue;
        table[prefix] = (uint32_t)used << ENTRY_VALUE_SHIFT | ENTRY_SUBTABLE |
                        (uint32_t)sub_bits[prefix] << ENTRY_CODE_SHIFT | width;
        used += (size_t)1 << sub_bits[prefix];
        if (used > shapes[kind].entries)
            return false;
    }
    return true;
}

static void fill(uint32_t *table, size_t entries, unsigned code, unsigned bits, uint32_t entry)
{
    for (size_t i = code; i < entries; i += (size_t)1 << bits)
        table[i] = entry;
}

static void place_code(enum huffman_kind kind, unsigned symbol, unsigned code, unsigned bits,
                       uint32_t *table)
{
    unsigned width = shapes[kind].width;
    uint32_t link;

    if (bits <= width) {
        fill(table, (size_t)1 << width, code, bits, entry_of(kind, symbol, bits));
        return;
    }
    link = table[code & ((1u << width) - 1)];
    fill(table + (link >> ENTRY_VALUE_SHIFT),
         (size_t)1 << (link >> ENTRY_CODE_SHIFT & ENTRY_CODE_MASK), code >> width, bits - width,
         entry_of(kind, symbol, bits - width));
}

bool huffman_build(enum huffman_kind kind, const uint8_t *lengths, size_t count, uint32_t *table)
{
    unsigned counts[HUFFMAN_MAX_BITS + 1] = {0}, next[HUFFMAN_MAX_BITS + 2] = {0};
    uint16_t codes[LENGTH_SYMBOLS];
    bool full, has_long = false;

    for (size_t i = 0; i < count; i++)
        counts[lengths[i]]++;
    counts[0] = 0;
    if (!check_lengths(kind, counts, &full))
        return false;
    for (unsigned bits = 1; bits <= HUFFMAN_MAX_BITS; bits++)
        next[bits + 1] = (next[bits] + counts[bits]) << 1;
    for (size_t i = 0; i < count; i++) {
        codes[i] = lengths[i] == 0 ? 0 : (uint16_t)reverse(next[lengths[i]]++, lengths[i]);
        has_long = has_long || lengths[i] > shapes[kind].width;
    }
    if (!full)
        fill(table, (size_t)1 << shapes[kind].width, 0, 0, make_entry(0, ENTRY_INVALID, 1, 0));
    if (has_long && !place_subtables(kind, codes, lengths, count, table))
        return false;
    for (size_t i = 0; i < count; i++) {
        if (lengths[i] != 0)
            place_code(kind, (unsigned)i, codes[i], lengths[i], table);
    }
    return true;
}
