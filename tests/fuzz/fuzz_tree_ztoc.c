/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_tree_ztoc.c – a ztoc that nobody vouches for, parsed and made a file system. */
#include "tree_walk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    SCOPED(ztoc) struct ztoc *toc = NULL;
    SCOPED(tree) struct tree *tree = NULL;
    struct err err = ERR_NONE;

    if (ztoc_parse(bytes_of(data, size), &toc, &err) < 0)
        return 0;
    if (tree_build(toc, &tree, &err) == 0)
        walk_tree(tree);
    tree_free(TAKE(tree)); /* before what it borrows from */
    return 0;
}
