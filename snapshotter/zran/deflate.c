/* SPDX-License-Identifier: Apache-2.0 */
/* deflate.c – decoding RFC 1951, in pieces, with a stop between blocks.
 *
 * Bits are taken from a 64-bit hold that is filled from the input. Inside deflate_run() the hold
 * may have read ahead by some bytes; at its end those are given back, so that between runs a
 * position is a byte and up to seven bits.
 *
 * Codes are decoded by a fast loop while there is plenty of input and room: it fills the hold by
 * loads of eight bytes and copies matches in words, past their end if need be. The last bytes of
 * the input are for a careful loop, which decodes one symbol at a time and only if all bits of
 * it are there. What is refused is what zlib refuses. */
#include "zran/hold.h"

#include <string.h>

enum { MAX_MATCH_BYTES = 258, WORD_BYTES = sizeof(uint64_t) };
enum { FAST_IN_BYTES = 2 * WORD_BYTES };     /* two loads per turn */
enum { MATCH_SLACK_BYTES = 2 * WORD_BYTES }; /* copied past the end of a match */
enum { FAST_LITERALS = 3 }; /* of up to 11 bits, and a length of up to 20, in a fill of 56 */
enum { FAST_OUT_BYTES = FAST_LITERALS + MAX_MATCH_BYTES + MATCH_SLACK_BYTES };
_Static_assert((int)FAST_OUT_BYTES <= (int)DEFLATE_MIN_ROOM,
               "there is room for a turn of either loop");

/* ---- codes ----------------------------------------------------------------------------------- */

/* A match, `distance` back. Most are short, so two words are copied without asking: up to
 * MATCH_SLACK_BYTES behind the match are written too. A match that overlaps itself within a word
 * repeats its first `distance` bytes. */
static inline uint8_t *copy_match(uint8_t *out, unsigned length, unsigned distance)
{
    const uint8_t *from = out - distance;
    uint8_t *end = out + length;

    if (distance >= WORD_BYTES) {
        memcpy(out, from, WORD_BYTES);
        memcpy(out + WORD_BYTES, from + WORD_BYTES, WORD_BYTES);
        while (end - out > MATCH_SLACK_BYTES) {
            out += MATCH_SLACK_BYTES;
            from += MATCH_SLACK_BYTES;
            memcpy(out, from, WORD_BYTES);
            memcpy(out + WORD_BYTES, from + WORD_BYTES, WORD_BYTES);
        }
    } else if (distance == 1) {
        memset(out, *from, length);
    } else {
        while (out < end)
            *out++ = *from++;
    }
    return end;
}

/* The value of an entry with the extra bits that lie behind its code. */
static inline unsigned value_of(uint32_t entry, uint64_t bits)
{
    uint64_t all = low_bits(bits, entry & ENTRY_BITS_MASK);

    return (entry >> ENTRY_VALUE_SHIFT) +
           (unsigned)(all >> (entry >> ENTRY_CODE_SHIFT & ENTRY_CODE_MASK));
}

/* The entry for the bits in the hold; the bits of a link to a subtable are dropped. */
static inline uint32_t look_up(const uint32_t *table, unsigned width, struct hold *h)
{
    uint32_t entry = table[low_bits(h->bits, width)];

    if ((entry & ENTRY_SUBTABLE) == 0)
        return entry;
    drop(h, width);
    return table[(entry >> ENTRY_VALUE_SHIFT) +
                 low_bits(h->bits, entry >> ENTRY_CODE_SHIFT & ENTRY_CODE_MASK)];
}

static enum deflate_event bad(struct deflate *d, const char *why)
{
    d->why = why;
    return DEFLATE_BAD;
}

static enum deflate_event end_block(struct deflate *d)
{
    d->state = DEFLATE_AT_HEADER;
    return d->is_last ? DEFLATE_STREAM_END : DEFLATE_BLOCK_END;
}

static bool has_fast_input(const struct hold *h)
{
    return h->end - h->next >= FAST_IN_BYTES;
}

/* Up to three literals, which fit into one fill with the code that follows them: its entry. */
static inline uint32_t take_literals(const uint32_t *lengths, struct hold *h, uint8_t **out)
{
    uint32_t entry = lengths[low_bits(h->bits, LENGTH_TABLE_BITS)];

    for (int i = 0; i < FAST_LITERALS && (entry & ENTRY_LITERAL) != 0; i++) {
        drop(h, entry & ENTRY_BITS_MASK);
        *(*out)++ = (uint8_t)(entry >> ENTRY_VALUE_SHIFT);
        entry = lengths[low_bits(h->bits, LENGTH_TABLE_BITS)];
    }
    return (entry & ENTRY_SUBTABLE) != 0 ? look_up(lengths, LENGTH_TABLE_BITS, h) : entry;
}

/* The length is in `entry`; the distance follows in the stream. False: it cannot be. */
static inline bool take_match(struct deflate *d, const uint32_t *distances, uint32_t entry,
                              struct hold *h, uint8_t **out)
{
    unsigned length = value_of(entry, h->bits), distance;

    drop(h, entry & ENTRY_BITS_MASK);
    fill_fast(h);
    entry = look_up(distances, DISTANCE_TABLE_BITS, h);
    distance = value_of(entry, h->bits);
    drop(h, entry & ENTRY_BITS_MASK);
    if (distance > (size_t)(*out - d->floor) || (entry & ENTRY_INVALID) != 0) {
        d->why = (entry & ENTRY_INVALID) != 0 ? "invalid distance code"
                                              : "invalid distance too far back";
        return false;
    }
    *out = copy_match(*out, length, distance);
    return true;
}

/* DEFLATE_NEEDS_INPUT: too little of it for this loop; the careful one goes on. */
static enum deflate_event decode_fast(struct deflate *d, struct hold *hold)
{
    const uint32_t *lengths = d->tables->lengths, *distances = d->tables->distances;
    const uint8_t *out_limit = d->out_end - FAST_OUT_BYTES; /* at least that much room there is */
    enum deflate_event event = DEFLATE_NEEDS_ROOM;
    struct hold h = *hold; /* locals, which can stay in registers */
    uint8_t *out = d->out;
    uint32_t entry;

    while (out <= out_limit) {
        if (!has_fast_input(&h)) {
            event = DEFLATE_NEEDS_INPUT;
            break;
        }
        fill_fast(&h);
        entry = take_literals(lengths, &h, &out);
        if ((entry & (ENTRY_LITERAL | ENTRY_END | ENTRY_INVALID)) == 0) {
            if (take_match(d, distances, entry, &h, &out))
                continue;
            event = DEFLATE_BAD;
            break;
        }
        drop(&h, entry & ENTRY_BITS_MASK);
        if ((entry & ENTRY_LITERAL) == 0) {
            event = (entry & ENTRY_END) != 0 ? end_block(d) : bad(d, "invalid literal/length code");
            break;
        }
        *out++ = (uint8_t)(entry >> ENTRY_VALUE_SHIFT); /* a fourth, or one with a long code */
    }
    h.bits = low_bits(h.bits, h.count); /* what fill_fast() left above */
    *hold = h;
    d->out = out;
    return event;
}

/* False: not all bits of the code, or of what is behind it, are there. An entry that is complete
 * was found by bits of its own alone, so what the hold lacks cannot have made it. */
static bool look_up_careful(const uint32_t *table, unsigned width, struct hold *h, uint32_t *ret)
{
    uint32_t entry = table[low_bits(h->bits, width)];

    if ((entry & ENTRY_SUBTABLE) != 0 && h->count < width)
        return false;
    *ret = look_up(table, width, h);
    return (*ret & ENTRY_BITS_MASK) <= h->count;
}

static enum deflate_event decode_careful(struct deflate *d, struct hold *hold)
{
    for (;;) {
        unsigned length, distance;
        uint32_t entry;
        struct hold h;

        if (d->out_end - d->out < FAST_OUT_BYTES)
            return DEFLATE_NEEDS_ROOM;
        fill_careful(hold);
        h = *hold;
        if (!look_up_careful(d->tables->lengths, LENGTH_TABLE_BITS, &h, &entry))
            return DEFLATE_NEEDS_INPUT;
        length = value_of(entry, h.bits);
        drop(&h, entry & ENTRY_BITS_MASK);
        if ((entry & ENTRY_INVALID) != 0)
            return bad(d, "invalid literal/length code");
        if ((entry & (ENTRY_LITERAL | ENTRY_END)) != 0) {
            *hold = h;
            if ((entry & ENTRY_END) != 0)
                return end_block(d);
            *d->out++ = (uint8_t)length;
            continue;
        }
        if (!look_up_careful(d->tables->distances, DISTANCE_TABLE_BITS, &h, &entry))
            return DEFLATE_NEEDS_INPUT;
        distance = value_of(entry, h.bits);
        drop(&h, entry & ENTRY_BITS_MASK);
        if ((entry & ENTRY_INVALID) != 0)
            return bad(d, "invalid distance code");
        if (distance > (size_t)(d->out - d->floor))
            return bad(d, "invalid distance too far back");
        *hold = h;
        d->out = copy_match(d->out, length, distance);
    }
}

/* ---- the stream ------------------------------------------------------------------------------ */

/* Whole bytes in the hold go back to the input. */
static void give_back(struct hold *h)
{
    h->next -= h->count >> 3;
    h->count &= 7;
    h->bits = low_bits(h->bits, h->count);
}

static enum deflate_event copy_stored(struct deflate *d, struct hold *h)
{
    size_t len = d->stored_left, in, room = (size_t)(d->out_end - d->out);

    give_back(h); /* to the first byte of the content: the header ended on a byte */
    in = (size_t)(h->end - h->next);
    if (len > in)
        len = in;
    if (len > room)
        len = room;
    memcpy(d->out, h->next, len);
    d->out += len;
    h->next += len;
    d->stored_left -= (uint32_t)len;
    if (d->stored_left == 0)
        return end_block(d);
    return len == room ? DEFLATE_NEEDS_ROOM : DEFLATE_NEEDS_INPUT;
}

void deflate_make_room(struct deflate *d, uint8_t buffer[DEFLATE_BUFFER_BYTES])
{
    if (d->out_end - d->out >= DEFLATE_MIN_ROOM)
        return;
    memmove(buffer, d->out - ZRAN_WINDOW_BYTES, ZRAN_WINDOW_BYTES);
    d->out = buffer + ZRAN_WINDOW_BYTES;
}

void deflate_reset(struct deflate *d)
{
    d->state = DEFLATE_AT_HEADER;
    d->bits = 0;
    d->bits_value = 0;
}

static enum deflate_event run(struct deflate *d, struct hold *h)
{
    enum deflate_event event = DEFLATE_NEEDS_INPUT;

    if (d->state == DEFLATE_AT_HEADER) {
        d->why = NULL;
        if (!block_header_read(d, h))
            return d->why == NULL ? DEFLATE_NEEDS_INPUT : DEFLATE_BAD;
    }
    if (d->state == DEFLATE_IN_STORED)
        return copy_stored(d, h);
    event = decode_fast(d, h);
    return event == DEFLATE_NEEDS_INPUT ? decode_careful(d, h) : event;
}

enum deflate_event deflate_run(struct deflate *d)
{
    struct hold h = {.bits = d->bits_value, .count = d->bits, .next = d->in, .end = d->in_end};
    enum deflate_event event = run(d, &h);

    give_back(&h);
    d->in = h.next;
    d->bits = (uint8_t)h.count;
    d->bits_value = (uint8_t)h.bits;
    return event;
}
