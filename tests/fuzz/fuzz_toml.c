/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_toml.c – any bytes as config.toml: the C++ parser (whose exceptions must stay inside), the
 * table of keys, and the printer. What was accepted is printed, and what was printed must read back
 * to the same print. */
#include "daemon/config.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void round_trip(const struct config *config)
{
    SCOPED(config) struct config again = config_default();
    SCOPED(buf_value) struct buf first = BUF_EMPTY;
    SCOPED(buf_value) struct buf second = BUF_EMPTY;
    struct err err = ERR_NONE;

    if (config_print(config, &first) < 0)
        return;
    if (config_parse(buf_bytes(&first), &again, &err) < 0 || config_print(&again, &second) < 0)
        abort();
    if (!bytes_equal(buf_bytes(&first), buf_bytes(&second)))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    SCOPED(config) struct config config = config_default();
    struct err err = ERR_NONE;

    if (config_parse(bytes_of(data, size), &config, &err) == 0)
        round_trip(&config);
    return 0;
}
