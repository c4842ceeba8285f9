/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_filter.c – containerd's filters: the lexer, Go's quoted strings, the translation of regular
 * expressions and the C library's compiler behind it, matching against rows with and without
 * labels, the hint for the look-up by label. The input is one filter string per line. */
#include "snapshot/filter.h"

#include "base/bytes.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int fill_row(struct snapdb_row *row)
{
    row->id = 1;
    row->name = text_copy("finch/48/sha256:abc");
    row->parent = text_copy("");
    row->kind = SNAPDB_COMMITTED;
    if (row->name == NULL || row->parent == NULL)
        return -1;
    return text_map_set(&row->labels, "containerd.io/snapshot.ref", "sha256:abc");
}

/* What the hint says must be true of everything that matches. */
static void check_hint(const struct filter *filter, const struct snapdb_row *row)
{
    const char *key, *value, *has;

    if (!filter_matches(filter, row) || !filter_label(filter, &key, &value))
        return;
    has = text_map_get(&row->labels, key);
    if (has == NULL || strcmp(has, value) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    SCOPED(text_list) struct text_list filters = TEXT_LIST_EMPTY;
    SCOPED(filter) struct filter *filter = NULL;
    SCOPED(snapdb_row) struct snapdb_row row = {.id = 0};
    SCOPED(snapdb_row) struct snapdb_row bare = {.id = 2, .kind = SNAPDB_VIEW};
    SCOPED(mem) char *text = malloc(size + 1);
    struct err err = ERR_NONE;

    if (text == NULL || fill_row(&row) < 0)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    bare.name = text_copy("v");
    bare.parent = text_copy("p");
    if (text_list_split(&filters, text, '\n') < 0 || filter_parse(&filters, &filter, &err) < 0)
        return 0;
    check_hint(filter, &row);
    check_hint(filter, &bare);
    return 0;
}
