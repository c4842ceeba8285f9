/* SPDX-License-Identifier: Apache-2.0 */
/* local_none.c – a system that runs no containers itself. */
#include "internal.h"

#include <errno.h>

int machine_open_local(struct machine **ret, struct err *err)
{
    *ret = NULL;
    return err_set(err, -EOPNOTSUPP, "containers do not run on this system itself");
}
