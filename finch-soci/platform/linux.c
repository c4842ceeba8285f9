/* SPDX-License-Identifier: Apache-2.0 */
/* linux.c – what is particular to Linux: Finch has no virtual machine there. */
#include "platform/platform.h"

const char *const platform_finch_root = NULL;
const bool platform_has_vm = false;
