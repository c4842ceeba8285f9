/* SPDX-License-Identifier: Apache-2.0 */
/* zstd_none.c – a build without libzstd: such layers are somebody else's. */
#include "unpack/internal.h"

#include <errno.h>

bool unpack_has_zstd(void)
{
    return false;
}

static int zstd_open(void **ret, struct err *err)
{
    (void)ret;
    return err_set(err, -EOPNOTSUPP, "zstd is not built in");
}

/* Nothing was opened, so nobody calls these. */
static int zstd_feed(void *state, struct bytes comp, const struct sink *sink, struct err *err)
{
    (void)state;
    (void)comp;
    (void)sink;
    return err_set(err, -EOPNOTSUPP, "zstd is not built in");
}

static int zstd_finish(void *state, struct err *err)
{
    (void)state;
    return err_set(err, -EOPNOTSUPP, "zstd is not built in");
}

static void zstd_close(void *state)
{
    (void)state;
}

const struct codec codec_zstd = {zstd_open, zstd_feed, zstd_finish, zstd_close};
