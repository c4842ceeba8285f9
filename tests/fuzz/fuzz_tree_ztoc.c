/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_tree_ztoc.c – a ztoc that nobody vouches for, parsed, made a file system, and an image of
 * that; and bytes of its tar cleared as its table says. */
#include "image_check.h"
#include "tree_walk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Behind the end of the first files, and before it. */
static void clear_some(const struct ztoc *toc)
{
    uint8_t bytes[1500];

    for (size_t i = 0; i < ztoc_file_count(toc) && i < 8; i++) {
        struct ztoc_file f;
        uint64_t from;

        ztoc_file_at(toc, i, &f);
        from = f.uncomp_off + f.uncomp_size - f.uncomp_size % 700;
        for (size_t len = 0; len <= sizeof(bytes); len += 250) {
            memset(bytes, 'x', sizeof(bytes));
            (void)ztoc_clear_padding(toc, bytes, len, from);
            check(!ztoc_clear_padding(toc, bytes, len, from), "something is left");
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    SCOPED(ztoc) struct ztoc *toc = NULL;
    SCOPED(tree) struct tree *tree = NULL;
    struct err err = ERR_NONE;

    if (ztoc_parse(bytes_of(data, size), &toc, &err) < 0)
        return 0;
    clear_some(toc);
    if (tree_build(toc, &tree, &err) == 0) {
        walk_tree(tree);
        write_and_check(tree, &(struct erofs_options){.tar_bytes = ztoc_uncomp_size(toc)});
    }
    tree_free(TAKE(tree)); /* before what it borrows from */
    return 0;
}
