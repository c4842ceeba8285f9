/* SPDX-License-Identifier: Apache-2.0 */
/* image_check.h – a tree becomes an EROFS image that reads back as the tree, or is refused. */
#ifndef FUZZ_IMAGE_CHECK_H
#define FUZZ_IMAGE_CHECK_H

#include "../unit/erofs_check.h"

#include <errno.h>

static inline int collect(void *self, struct bytes piece, struct err *err)
{
    (void)err;
    check(buf_add(self, piece.data, piece.len) == 0, "memory");
    return 0;
}

static inline void write_and_check(const struct tree *tree, const struct erofs_options *options)
{
    SCOPED(buf_value) struct buf image = BUF_EMPTY;
    const struct erofs_sink sink = {.write = collect, .self = &image};
    struct err err = ERR_NONE;
    int rc = erofs_write(tree, options, &sink, &err);

    check(rc == 0 || (rc == -EOPNOTSUPP && image.len == 0), "refused in an odd way");
    if (rc == 0)
        check_erofs(buf_bytes(&image), tree, options);
}

#endif
