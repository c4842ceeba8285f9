/* SPDX-License-Identifier: Apache-2.0 */
/* list.c – an item put into a list of names or taken out, in the list's own style. */
#include "config/internal.h"

#include <errno.h>

static bool is_soci(const struct yaml_text *yaml, size_t item)
{
    const char *text = yaml_scalar(yaml, item);

    return text != NULL && strcmp(text, "soci") == 0;
}

static size_t last_item(const struct yaml_text *yaml, size_t seq)
{
    return yaml->items[seq].partner - 1; /* they are scalars and aliases: one event each */
}

/* ---- block lists: a line for each item ------------------------------------------------------- */

/* The dash before an item: the first one of a line behind the item before. libyaml tells the place
 * of the first dash as that of the list. */
static size_t find_dash(const struct yaml_text *yaml, size_t seq, size_t item)
{
    struct bytes text = yaml->text;
    size_t at;

    if (item == seq + 1)
        return yaml->items[seq].start;
    at = splice_line_after(text, yaml->items[item - 1].end);
    while (at < yaml->items[item].start) {
        size_t first = at;

        while (first < text.len && text.data[first] == ' ')
            first++;
        if (first < text.len && text.data[first] == '-')
            return first;
        at = splice_line_after(text, at);
    }
    return YAML_NONE;
}

/* A list's anchor or tag stands before its first dash: not handled in place. */
static char *block_indent(const struct yaml_text *yaml, size_t seq)
{
    size_t dash = find_dash(yaml, seq, seq + 1);

    return dash < yaml->text.len && yaml->text.data[dash] == '-' ? splice_indent(yaml->text, dash)
                                                                 : NULL;
}

static void block_append(struct splices *s, const struct yaml_text *yaml, size_t seq)
{
    SCOPED(mem) char *indent = block_indent(yaml, seq);
    size_t last = last_item(yaml, seq);

    if (indent != NULL)
        splice_add_line(s, splice_line_after(yaml->text, yaml->items[last].end), indent, "- soci");
}

static void block_prepend(struct splices *s, const struct yaml_text *yaml, size_t seq)
{
    SCOPED(mem) char *indent = block_indent(yaml, seq);

    if (indent != NULL)
        splice_add_line(s, splice_line_start(yaml->text, find_dash(yaml, seq, seq + 1)), indent,
                        "- soci");
}

static int block_remove_one(struct splices *s, const struct yaml_text *yaml, size_t seq,
                            size_t item, struct err *err)
{
    size_t dash = find_dash(yaml, seq, item), start, after;
    SCOPED(mem) char *indent = dash == YAML_NONE ? NULL : splice_indent(yaml->text, dash);

    if (indent == NULL || yaml->text.data[dash] != '-')
        return err_set(err, -EINVAL, "line %u: more than the list's item is in the line",
                       yaml_line(yaml, item));
    start = splice_line_start(yaml->text, dash);
    after = splice_line_after(yaml->text, yaml->items[item].end);
    splice_add(s, start, after - start, "%s", "");
    return 0;
}

/* ---- flow lists: [a, b] ---------------------------------------------------------------------- */

static size_t skip_spaces(struct bytes text, size_t at)
{
    while (at < text.len && (text.data[at] == ' ' || text.data[at] == '\t'))
        at++;
    return at;
}

/* An item and one of the commas beside it; comments and line ends stay. */
static void flow_remove_one(struct splices *s, const struct yaml_text *yaml, size_t item)
{
    struct bytes text = yaml->text;
    size_t start = yaml->items[item].start, end = yaml->items[item].end;
    size_t at = skip_spaces(text, end);

    if (at < text.len && text.data[at] == ',') {
        end = skip_spaces(text, at + 1);
    } else {
        at = start;
        while (at > 0 && (text.data[at - 1] == ' ' || text.data[at - 1] == '\t'))
            at--;
        if (at > 0 && text.data[at - 1] == ',')
            start = at - 1;
    }
    splice_add(s, start, end - start, "%s", "");
}

/* ---- either ---------------------------------------------------------------------------------- */

/* As the neighbour is written, so that JSON stays JSON. */
static const char *flow_word(const struct yaml_text *yaml, size_t item)
{
    return yaml->text.data[yaml->items[item].start] == '"' ? "\"soci\"" : "soci";
}

void list_append(struct splices *s, const struct yaml_text *yaml, size_t seq)
{
    size_t last = last_item(yaml, seq);

    if (yaml_is_flow(yaml, seq))
        splice_add(s, yaml->items[last].end, 0, ", %s", flow_word(yaml, last));
    else
        block_append(s, yaml, seq);
}

void list_prepend(struct splices *s, const struct yaml_text *yaml, size_t seq)
{
    if (yaml_is_flow(yaml, seq))
        splice_add(s, yaml->items[seq + 1].start, 0, "%s, ", flow_word(yaml, seq + 1));
    else
        block_prepend(s, yaml, seq);
}

int list_remove(struct splices *s, const struct yaml_text *yaml, size_t seq, struct err *err)
{
    int rc = 0;

    for (size_t item = seq + 1; item <= last_item(yaml, seq) && rc == 0; item++) {
        if (!is_soci(yaml, item))
            continue;
        if (yaml_is_flow(yaml, seq))
            flow_remove_one(s, yaml, item);
        else
            rc = block_remove_one(s, yaml, seq, item, err);
    }
    return rc;
}
