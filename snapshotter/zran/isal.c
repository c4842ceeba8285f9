/* SPDX-License-Identifier: Apache-2.0 */
/* isal.c – one span by ISA-L, whose inflate takes less than half of zlib's time.
 *
 * It does the first gzip member of the span, which in nearly all layers is all of it. What comes
 * after a member's end, and what it refuses, is left to zlib: a stream that zlib takes is never
 * refused. The other way round it is more lenient, with sets of codes that are not complete; no
 * scan lets such a layer pass. That it starts in the middle of a byte is as rapidgzip has it: the
 * bits go to read_in. */
#include "zran/internal.h"

#include "base/cleanup.h"

#include <errno.h>
#include <isa-l/igzip_lib.h>
#include <stdlib.h>

/* avail_in has 32 bits. */
enum { MAX_COMP_BYTES = 1 << 30 };

static bool start(struct inflate_state *state, uint8_t bits,
                  const uint8_t window[ZRAN_WINDOW_BYTES], struct bytes comp)
{
    union { /* next_in and the dictionary are not const; nothing is written through them */
        const uint8_t *in;
        uint8_t *out;
    } unconst_in = {.in = comp.data}, unconst_window = {.in = window};

    if (comp.len > MAX_COMP_BYTES || bits > 7 || (bits != 0 && comp.len == 0))
        return false;
    isal_inflate_init(state);
    state->crc_flag = ISAL_DEFLATE;
    state->next_in = unconst_in.out;
    state->avail_in = (uint32_t)comp.len;
    if (bits != 0) {
        state->read_in = comp.data[0] >> (8 - bits);
        state->read_in_length = bits;
        state->next_in++;
        state->avail_in--;
    }
    return isal_inflate_set_dict(state, unconst_window.out, ZRAN_WINDOW_BYTES) == ISAL_DECOMP_OK;
}

int isal_inflate_member(uint8_t bits, const uint8_t window[ZRAN_WINDOW_BYTES], struct bytes comp,
                        const struct inflate_sink *sink, uint8_t *out, struct inflated *ret,
                        struct err *err)
{
    SCOPED(mem) struct inflate_state *state = malloc(sizeof(*state));

    if (state == NULL)
        return err_set(err, -ENOMEM, "inflate: out of memory");
    if (!start(state, bits, window, comp))
        return 0;
    while (ret->uncomp_len < sink->uncomp_len && !ret->member_ended) {
        uint64_t left = sink->uncomp_len - ret->uncomp_len;
        uint32_t room = left < INFLATE_OUT_BYTES ? (uint32_t)left : INFLATE_OUT_BYTES, len;
        int rc;

        state->next_out = out;
        state->avail_out = room;
        rc = isal_inflate(state);
        len = room - state->avail_out;
        if (rc != ISAL_DECOMP_OK || state->read_in_length < 0 ||
            (len == 0 && state->block_state != ISAL_BLOCK_FINISH))
            return 0;
        ret->uncomp_len += len;
        ret->member_ended = state->block_state == ISAL_BLOCK_FINISH;
        /* Before 2.32 whole bytes of what follows may be left in read_in. */
        ret->comp_len = comp.len - state->avail_in - (size_t)state->read_in_length / 8;
        if (len > 0 && (rc = sink->take(sink->arg, bytes_of(out, len), err)) < 0)
            return rc;
    }
    return 0;
}
