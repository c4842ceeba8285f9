/* SPDX-License-Identifier: Apache-2.0 */
/* padding.c – what a tar has between the end of a file and the end of its last block.
 *
 * Who writes a tar puts zeros there, but nothing says that he must; and where the kernel reads
 * files in blocks from a tar, those bytes are what a program finds behind the end of a file that it
 * maps into memory. */
#include "ztoc/internal.h"

static uint64_t block_end(const struct ztoc_file *f)
{
    uint64_t end = f->uncomp_off + f->uncomp_size; /* of a parsed ztoc: no overflow */

    return (end + TAR_BLOCK_BYTES - 1) / TAR_BLOCK_BYTES * TAR_BLOCK_BYTES;
}

/* The first entry whose blocks end behind that place: entries are in order and do not overlap. */
static size_t first_behind(const struct ztoc *toc, uint64_t uncomp_off)
{
    size_t low = 0, high = ztoc_file_count(toc);

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        struct ztoc_file f;

        ztoc_file_at(toc, mid, &f);
        if (block_end(&f) > uncomp_off)
            high = mid;
        else
            low = mid + 1;
    }
    return low;
}

static bool clear(uint8_t *data, size_t len)
{
    bool was_clear = true;

    for (size_t i = 0; i < len; i++) {
        was_clear = was_clear && data[i] == 0;
        data[i] = 0;
    }
    return !was_clear;
}

bool ztoc_clear_padding(const struct ztoc *toc, uint8_t *data, size_t len, uint64_t uncomp_off)
{
    uint64_t end = uncomp_off + len;
    bool changed = false;

    for (size_t i = first_behind(toc, uncomp_off); i < ztoc_file_count(toc); i++) {
        struct ztoc_file f;
        uint64_t from, to;

        ztoc_file_at(toc, i, &f);
        if (f.uncomp_off >= end)
            break;
        from = f.uncomp_off + f.uncomp_size;
        from = from < uncomp_off ? uncomp_off : from;
        to = block_end(&f) < end ? block_end(&f) : end;
        if (f.type == ZTOC_REG && from < to)
            changed = clear(data + (from - uncomp_off), (size_t)(to - from)) || changed;
    }
    return changed;
}
