/* SPDX-License-Identifier: Apache-2.0 */
/* padding.c – what a tar has between the end of a file and the end of its last block.
 *
 * Who writes a tar puts zeros there, but nothing says that he must; and where the kernel reads
 * files in blocks from a tar, those bytes are what a program finds behind the end of a file that it
 * maps into memory. */
#include "ztoc/padding.h"

#include "tar/tar.h"

#include <errno.h>
#include <stdlib.h>

static uint64_t block_end(uint64_t uncomp_off)
{
    return (uncomp_off + TAR_BLOCK_BYTES - 1) / TAR_BLOCK_BYTES * TAR_BLOCK_BYTES;
}

/* Of a parsed ztoc: no overflow. 0: there is none, which is no place of padding either. */
static uint64_t start_at(const struct ztoc *toc, size_t i)
{
    struct ztoc_file file;
    uint64_t start;

    ztoc_file_at(toc, i, &file);
    start = file.uncomp_off + file.uncomp_size;
    return file.type == ZTOC_REG && start % TAR_BLOCK_BYTES > 0 ? start : 0;
}

int padding_init(struct padding *padding, const struct ztoc *toc, struct err *err)
{
    size_t count = 0;

    for (size_t i = 0; i < ztoc_file_count(toc); i++)
        count += start_at(toc, i) > 0;
    padding->starts = calloc(count == 0 ? 1 : count, sizeof(*padding->starts));
    if (padding->starts == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    for (size_t i = 0; i < ztoc_file_count(toc); i++) /* in order, and not overlapping */
        if (start_at(toc, i) > 0)
            padding->starts[padding->count++] = start_at(toc, i);
    return 0;
}

void padding_fini(struct padding *padding)
{
    free(padding->starts);
    *padding = (struct padding){.starts = NULL};
}

/* The first that ends behind that place. */
static size_t first_behind(const struct padding *padding, uint64_t uncomp_off)
{
    size_t low = 0, high = padding->count;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (block_end(padding->starts[mid]) > uncomp_off)
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

bool padding_clear(const struct padding *padding, uint8_t *data, size_t len, uint64_t uncomp_off)
{
    uint64_t end = uncomp_off + len;
    bool changed = false;

    for (size_t i = first_behind(padding, uncomp_off); i < padding->count; i++) {
        uint64_t from = padding->starts[i], to = block_end(from);

        if (from >= end)
            break;
        from = from < uncomp_off ? uncomp_off : from;
        to = to < end ? to : end;
        changed = clear(data + (from - uncomp_off), (size_t)(to - from)) || changed;
    }
    return changed;
}
