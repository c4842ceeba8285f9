/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_finch_yaml.c – finch.yaml read and edited. An edit that is made must mean what was asked:
 * soci in the list or not, a second edit has nothing to do, and what else is read is as before. */
#include "config/config.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void parse(const struct buf *text, struct finch_config *ret)
{
    must(finch_config_parse(buf_bytes(text), ret, NULL) == 0);
}

static void check_rest(const struct finch_config *a, const struct finch_config *b)
{
    must(a->auto_vm_start == b->auto_vm_start);
    must(a->creds_helpers.count == b->creds_helpers.count);
    must((a->vm_type == NULL) == (b->vm_type == NULL));
    must(a->vm_type == NULL || strcmp(a->vm_type, b->vm_type) == 0);
}

static void try_enable(struct bytes text, const struct finch_config *before, bool first)
{
    SCOPED(buf_value) struct buf edited = BUF_EMPTY;
    SCOPED(buf_value) struct buf again = BUF_EMPTY;
    SCOPED(finch_config) struct finch_config after = {.vm_type = NULL};

    if (finch_config_enable(text, first, &edited, NULL) != 1)
        return;
    parse(&edited, &after);
    must(finch_config_has_soci(&after) && (!first || finch_config_is_soci_first(&after)));
    check_rest(before, &after);
    must(finch_config_enable(buf_bytes(&edited), first, &again, NULL) == 0);
}

static void try_disable(struct bytes text, const struct finch_config *before)
{
    SCOPED(buf_value) struct buf edited = BUF_EMPTY;
    SCOPED(finch_config) struct finch_config after = {.vm_type = NULL};

    if (finch_config_disable(text, &edited, NULL) != 1)
        return;
    parse(&edited, &after);
    must(!finch_config_has_soci(&after));
    check_rest(before, &after);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes text = bytes_of(data, size);
    SCOPED(finch_config) struct finch_config config = {.vm_type = NULL};

    if (finch_config_parse(text, &config, NULL) < 0)
        return 0;
    try_enable(text, &config, false);
    try_enable(text, &config, true);
    try_disable(text, &config);
    return 0;
}
