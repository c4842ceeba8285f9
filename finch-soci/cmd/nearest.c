/* SPDX-License-Identifier: Apache-2.0 */
/* nearest.c – what was perhaps meant: the name that is the fewest typing errors away. */
#include "cmd/cmd.h"

#include <stdint.h>
#include <string.h>

enum { NEAREST_WORD_BYTES = 32, NEAREST_ERRORS_MAX = 2 };

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Letters left out, put in, taken for another, or two changed about. */
static size_t typing_errors(const char *a, const char *b)
{
    size_t rows[3][NEAREST_WORD_BYTES + 1];
    size_t *before = rows[0], *last = rows[1], *now = rows[2];
    size_t a_len = strlen(a), b_len = strlen(b);

    for (size_t j = 0; j <= b_len; j++)
        last[j] = before[j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        size_t *old = before;

        now[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            now[j] = least(least(last[j], now[j - 1]) + 1, last[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = least(now[j], before[j - 2] + 1);
        }
        before = last;
        last = now;
        now = old;
    }
    return last[b_len];
}

const char *cmd_nearest(const char *word, const char *const *names)
{
    const char *best = NULL;
    size_t best_errors = NEAREST_ERRORS_MAX + 1, len = strlen(word);

    for (; *names != NULL; names++) {
        size_t errors;

        if (len > NEAREST_WORD_BYTES || strlen(*names) > NEAREST_WORD_BYTES)
            continue;
        errors = typing_errors(word, *names);
        if (errors < best_errors && errors < strlen(*names)) {
            best = *names;
            best_errors = errors;
        }
    }
    return best;
}
