/* SPDX-License-Identifier: Apache-2.0 */
/* siphash.c – SipHash with one round per word and three at the end, as Aumasson and Bernstein
 * describe it. */
#include "tree/siphash.h"

struct sip {
    uint64_t v0, v1, v2, v3;
};

static uint64_t rotate(uint64_t x, unsigned bits)
{
    return (x << bits) | (x >> (64 - bits));
}

static void sip_round(struct sip *s)
{
    s->v0 += s->v1;
    s->v1 = rotate(s->v1, 13) ^ s->v0;
    s->v0 = rotate(s->v0, 32);
    s->v2 += s->v3;
    s->v3 = rotate(s->v3, 16) ^ s->v2;
    s->v0 += s->v3;
    s->v3 = rotate(s->v3, 21) ^ s->v0;
    s->v2 += s->v1;
    s->v1 = rotate(s->v1, 17) ^ s->v2;
    s->v2 = rotate(s->v2, 32);
}

static void sip_word(struct sip *s, uint64_t word)
{
    s->v3 ^= word;
    sip_round(s);
    s->v0 ^= word;
}

uint64_t tree_siphash(const uint64_t key[2], uint32_t seed, struct bytes name)
{
    struct sip s = {
        .v0 = key[0] ^ 0x736f6d6570736575u,
        .v1 = key[1] ^ 0x646f72616e646f6du,
        .v2 = key[0] ^ 0x6c7967656e657261u,
        .v3 = key[1] ^ 0x7465646279746573u,
    };
    uint64_t last = (uint64_t)(name.len + sizeof(seed)) << 56;
    size_t i;

    sip_word(&s, seed);
    for (i = 0; name.len - i >= 8; i += 8)
        sip_word(&s, get_u64le(name.data + i));
    for (size_t shift = 0; i < name.len; i++, shift += 8)
        last |= (uint64_t)name.data[i] << shift;
    sip_word(&s, last);

    s.v2 ^= 0xff;
    sip_round(&s);
    sip_round(&s);
    sip_round(&s);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}
