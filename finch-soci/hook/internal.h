/* SPDX-License-Identifier: Apache-2.0 */
/* internal.h – the templates, as text. */
#ifndef HOOK_INTERNAL_H
#define HOOK_INTERNAL_H

#include "hook/hook.h"

/* templates/host/finch-soci.service.in, .plist.in, .task.xml.in */
extern const char hook_unit_text[];
extern const char hook_agent_text[];
extern const char hook_task_text[];

#endif
