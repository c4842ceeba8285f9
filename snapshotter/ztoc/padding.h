/* SPDX-License-Identifier: Apache-2.0 */
/* padding.h – where in a tar the padding of files is, apart from the files themselves. */
#ifndef ZTOC_PADDING_H
#define ZTOC_PADDING_H

#include "ztoc/ztoc.h"

struct padding {
    uint64_t *starts; /* in the tar, in order; each ends with its block */
    size_t count;
};
/* Of the files of `toc`, into zeroed storage. 0 or -ENOMEM. */
MUST_CHECK int padding_init(struct padding *padding, const struct ztoc *toc, struct err *err);
void padding_fini(struct padding *padding);
/* As ztoc_clear_padding(). */
bool padding_clear(const struct padding *padding, uint8_t *data, size_t len, uint64_t uncomp_off);

#endif
