/* SPDX-License-Identifier: Apache-2.0 */
/* table.c – cells in columns, and ages. */
#include "cli/table.h"

#include "base/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { CELL_MIN = 8, CELL_PADDING = 4 };

static size_t column_width(const struct text_list *cells, size_t columns, size_t column)
{
    size_t width = CELL_MIN;

    for (size_t i = column; i < cells->count; i += columns) {
        size_t wanted = strlen(cells->items[i]) + CELL_PADDING;

        width = wanted > width ? wanted : width;
    }
    return width;
}

void cli_table_print(const struct text_list *cells, size_t columns)
{
    for (size_t i = 0; i < cells->count; i++)
        (void)printf("%-*s%s", (int)column_width(cells, columns, i % columns), cells->items[i],
                     i % columns == columns - 1 ? "\n" : "");
}

void cli_age(int64_t created_ns, char out[CLI_AGE_BYTES])
{
    int64_t age_ns = clock_wall_ns() - created_ns;
    int64_t sec = age_ns < 0 ? 0 : (age_ns + 500000000) / 1000000000;

    if (sec < 60)
        (void)snprintf(out, CLI_AGE_BYTES, "%" PRId64 "s ago", sec);
    else if (sec < 3600)
        (void)snprintf(out, CLI_AGE_BYTES, "%" PRId64 "m%" PRId64 "s ago", sec / 60, sec % 60);
    else
        (void)snprintf(out, CLI_AGE_BYTES, "%" PRId64 "h%" PRId64 "m%" PRId64 "s ago", sec / 3600,
                       sec / 60 % 60, sec % 60);
}
