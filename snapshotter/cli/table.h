/* SPDX-License-Identifier: Apache-2.0 */
/* table.h – results as columns, as the reference aligns them. */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include "base/text.h"

#include <stdint.h>

/* `cells` row by row, the header first, `columns` to a row: each as wide as the widest of its
 * column and four spaces, at least eight. To standard output. */
void cli_table_print(const struct text_list *cells, size_t columns);

enum { CLI_AGE_BYTES = 48 };
/* How long ago, as Go writes a duration: 59s ago, 1m0s ago, 26h3m4s ago. */
void cli_age(int64_t created_ns, char out[CLI_AGE_BYTES]);

#endif
