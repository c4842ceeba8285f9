/* SPDX-License-Identifier: Apache-2.0 */
/* edit.c – `soci` into the list of snapshotters, or out of it.
 *
 * Where the list stands and how it is written decides on splices; there may be several ways, the
 * best first. Each result is parsed again and taken only if it means what was intended (verify.c):
 * what YAML allows beyond what is handled here ends as a refusal, and never as a wrong file. */
#include "config/internal.h"

#include <errno.h>
#include <stdlib.h>

/* What is to be done, and to what. */
struct edit {
    const struct yaml_text *yaml;
    size_t top;                     /* the mapping; YAML_NONE: the document is empty */
    size_t key, value;              /* of the list; YAML_NONE: not there */
    const struct text_list *before; /* what the list says, wherever that comes from */
    struct text_list wanted;
    bool first;
    bool remove;
};

/* One way to do it: fills splices, which may come out wrong or not at all. */
typedef void edit_way(const struct edit *edit, struct splices *s);

/* ---- a list that is to be written whole ------------------------------------------------------ */

static bool is_plain_name(const char *name)
{
    return *name != '\0' && strspn(name, "abcdefghijklmnopqrstuvwxyz") == strlen(name);
}

/* [a, b]; names that could be read as something else are quoted. */
static char *flow_list(const struct text_list *names, bool quoted)
{
    SCOPED(buf_value) struct buf text = BUF_EMPTY;
    int rc = buf_add_byte(&text, '[');
    char *string;

    for (size_t i = 0; i < names->count && rc == 0; i++) {
        if (i > 0)
            rc = buf_add_str(&text, ", ");
        if (rc == 0)
            rc = is_plain_name(names->items[i]) && !quoted
                     ? buf_add_str(&text, names->items[i])
                     : text_add_json(&text, bytes_of_str(names->items[i]), false);
    }
    if (rc == 0)
        rc = buf_add_byte(&text, ']');
    string = rc == 0 ? buf_str(&text) : NULL;
    return string == NULL ? NULL : strdup(string);
}

/* The documented form when the list is `soci` alone, else one line. */
static void add_key_lines(const struct edit *edit, struct splices *s, size_t at, const char *indent)
{
    SCOPED(mem) char *list = flow_list(&edit->wanted, false);
    SCOPED(mem) char *documented = text_format("snapshotters:%s%s- soci", s->line_end, indent);

    if (list == NULL || documented == NULL)
        s->rc = -ENOMEM;
    else if (edit->wanted.count == 1 && !edit->remove)
        splice_add_line(s, at, indent, "%s", documented);
    else
        splice_add_line(s, at, indent, "snapshotters: %s", list);
}

/* ---- the key is not there -------------------------------------------------------------------- */

/* The end of what is written for a node: a block collection's own end is where the next thing
 * starts. */
static size_t written_end(const struct yaml_text *yaml, size_t node)
{
    size_t last = yaml_next(yaml, node) - 1;

    while (last > node && yaml->items[last].partner != last &&
           !yaml_is_flow(yaml, yaml->items[last].partner))
        last--;
    return yaml->items[last].end;
}

static void key_at_the_end(const struct edit *edit, struct splices *s)
{
    const struct yaml_text *yaml = edit->yaml;
    SCOPED(mem) char *indent = splice_indent(yaml->text, yaml->items[edit->top + 1].start);
    size_t end = written_end(yaml, edit->top);
    size_t start = splice_line_start(yaml->text, end);

    if (indent != NULL) /* a block scalar ends at the start of the line behind it */
        add_key_lines(edit, s, end == start ? end : splice_line_after(yaml->text, end), indent);
}

static void key_at_the_start(const struct edit *edit, struct splices *s)
{
    const struct yaml_text *yaml = edit->yaml;
    size_t first = yaml->items[edit->top + 1].start;
    SCOPED(mem) char *indent = splice_indent(yaml->text, first);

    if (indent != NULL)
        add_key_lines(edit, s, splice_line_start(yaml->text, first), indent);
}

static void key_in_flow(const struct edit *edit, struct splices *s)
{
    const struct yaml_text *yaml = edit->yaml;
    size_t end = yaml->items[edit->top].partner;
    bool is_empty = end == edit->top + 1;
    bool quoted = !is_empty && yaml->text.data[yaml->items[edit->top + 1].start] == '"';
    SCOPED(mem) char *list = flow_list(&edit->wanted, quoted);
    const char *mark = quoted ? "\"" : "";

    if (list == NULL)
        s->rc = -ENOMEM;
    else if (is_empty)
        splice_add(s, yaml->items[edit->top].end, 0, "snapshotters: %s", list);
    else
        splice_add(s, yaml->items[end - 1].end, 0, ", %ssnapshotters%s: %s", mark, mark, list);
}

/* An empty document: nothing, comments, or a marker with nothing behind it. */
static void key_at_the_end_of_nothing(const struct edit *edit, struct splices *s)
{
    const struct yaml_text *yaml = edit->yaml;
    bool has_document = yaml_is(yaml, 1, YAML_DOCUMENT_START_EVENT);

    if (has_document && yaml_next(yaml, 2) + 1 < yaml->count - 1)
        return; /* there are more */
    add_key_lines(edit, s, yaml->text.len, "");
}

static void key_behind_the_marker(const struct edit *edit, struct splices *s)
{
    const struct yaml_text *yaml = edit->yaml;

    if (yaml_is(yaml, 1, YAML_DOCUMENT_START_EVENT) && yaml->items[1].end > yaml->items[1].start)
        add_key_lines(edit, s, splice_line_after(yaml->text, yaml->items[1].end), "");
}

static void key_for_null(const struct edit *edit, struct splices *s)
{
    const struct yaml_text *yaml = edit->yaml;

    if (yaml_is(yaml, 2, YAML_SCALAR_EVENT) && yaml->items[2].end > yaml->items[2].start)
        splice_add(s, yaml->items[2].start, yaml->items[2].end - yaml->items[2].start,
                   "snapshotters:%s- soci", s->line_end);
}

/* ---- the key is there, and no list of its own behind it -------------------------------------- */

static size_t behind_colon(const struct edit *edit)
{
    const struct yaml_text *yaml = edit->yaml;
    size_t at = yaml->items[edit->key].end;

    while (at < yaml->text.len && yaml->text.data[at] != ':')
        at++;
    return at < yaml->text.len ? at + 1 : at;
}

/* `snapshotters: ~ # why`, `snapshotters: []` and the like become the documented two lines; the
 * comment stays. */
static void null_to_lines(const struct edit *edit, struct splices *s)
{
    const struct yaml_text *yaml = edit->yaml;
    SCOPED(mem) char *indent = splice_indent(yaml->text, yaml->items[edit->key].start);
    size_t colon = behind_colon(edit);
    size_t end = yaml->items[yaml->items[edit->value].partner].end;

    if (indent == NULL || edit->remove || edit->wanted.count != 1 || end < colon ||
        splice_line_start(yaml->text, colon) != splice_line_start(yaml->text, end))
        return;
    splice_add(s, colon, end - colon, "%s", "");
    splice_add_line(s, splice_line_after(yaml->text, end), indent, "- soci");
}

/* Anything that is replaced where it stands: null in a flow mapping, an alias, an empty list over
 * lines. */
static void value_to_flow(const struct edit *edit, struct splices *s)
{
    const struct yaml_text *yaml = edit->yaml;
    size_t start = yaml->items[edit->value].start;
    size_t end = yaml->items[yaml->items[edit->value].partner].end;
    bool quoted = yaml->text.data[yaml->items[edit->key].start] == '"';
    SCOPED(mem) char *list = flow_list(&edit->wanted, quoted);

    if (list == NULL)
        s->rc = -ENOMEM;
    else if (yaml_is(yaml, edit->value, YAML_SEQUENCE_START_EVENT)) /* with a comment in it */
        splice_add(s, end - 1, 0, "%s", quoted ? "\"soci\"" : "soci");
    else if (start == end)
        splice_add(s, behind_colon(edit), 0, " %s", list);
    else
        splice_add(s, start, end - start, "%s", list);
}

/* ---- the list is there ----------------------------------------------------------------------- */

static void item_added(const struct edit *edit, struct splices *s)
{
    struct err ignored = ERR_NONE;

    if (!edit->first) {
        list_append(s, edit->yaml, edit->value);
        return;
    }
    list_prepend(s, edit->yaml, edit->value);
    if (list_remove(s, edit->yaml, edit->value, &ignored) < 0)
        splices_fini(s);
}

static void item_removed(const struct edit *edit, struct splices *s)
{
    struct err ignored = ERR_NONE;

    if (list_remove(s, edit->yaml, edit->value, &ignored) < 0)
        splices_fini(s);
}

/* A block list that loses its last item would become null; [] says it more clearly. */
static void last_item_removed(const struct edit *edit, struct splices *s)
{
    item_removed(edit, s);
    if (s->count > 0 && !yaml_is_flow(edit->yaml, edit->value))
        splice_add(s, behind_colon(edit), 0, " []");
}

/* ---- which ways there are -------------------------------------------------------------------- */

enum { WAYS_MAX = 3 };

static void choose_for_missing(const struct edit *edit, edit_way *ways[WAYS_MAX])
{
    if (edit->top == YAML_NONE) {
        ways[0] = key_at_the_end_of_nothing;
        ways[1] = key_behind_the_marker;
        ways[2] = key_for_null;
    } else if (yaml_is_flow(edit->yaml, edit->top)) {
        ways[0] = key_in_flow;
    } else {
        ways[0] = key_at_the_end;
        ways[1] = key_at_the_start;
    }
}

static bool is_own_list(const struct edit *edit)
{
    return yaml_is(edit->yaml, edit->value, YAML_SEQUENCE_START_EVENT);
}

static bool is_empty_list(const struct edit *edit)
{
    return is_own_list(edit) && edit->yaml->items[edit->value].partner == edit->value + 1;
}

static void choose(const struct edit *edit, edit_way *ways[WAYS_MAX])
{
    if (edit->key == YAML_NONE) {
        choose_for_missing(edit, ways);
    } else if (!is_own_list(edit) || is_empty_list(edit)) {
        ways[0] = null_to_lines;
        ways[1] = value_to_flow;
    } else if (edit->remove) {
        ways[0] = edit->wanted.count == 0 ? last_item_removed : item_removed;
    } else {
        ways[0] = item_added;
    }
}

static int try_way(const struct edit *edit, edit_way *way, struct buf *ret, struct err *err)
{
    SCOPED(splices) struct splices s = SPLICES_OF(edit->yaml->text);
    int rc;

    way(edit, &s);
    if (s.count == 0 && s.rc == 0)
        return err_set(err, -EINVAL, "the list is written in a way that is not handled");
    rc = splices_apply(&s, ret, err);
    return rc < 0 ? rc : finch_config_verify(edit->yaml, buf_bytes(ret), &edit->wanted, err);
}

static int apply(const struct edit *edit, struct buf *ret, struct err *err)
{
    edit_way *ways[WAYS_MAX] = {NULL};
    int rc = -EINVAL;

    choose(edit, ways);
    for (size_t i = 0; i < WAYS_MAX && ways[i] != NULL && rc == -EINVAL; i++)
        rc = try_way(edit, ways[i], ret, err);
    if (rc < 0)
        return err_prefix(err, rc, "cannot be edited without risk, do it by hand");
    return 1;
}

/* ---- what is wanted -------------------------------------------------------------------------- */

static int add_names(struct text_list *to, const struct text_list *from)
{
    int rc = 0;

    for (size_t i = 0; i < from->count && rc == 0; i++) {
        if (strcmp(from->items[i], "soci") != 0)
            rc = text_list_add(to, from->items[i]);
    }
    return rc;
}

static int want(struct edit *edit, struct err *err)
{
    int rc = edit->first && !edit->remove ? text_list_add(&edit->wanted, "soci") : 0;

    if (rc == 0)
        rc = add_names(&edit->wanted, edit->before);
    if (rc == 0 && !edit->first && !edit->remove)
        rc = text_list_add(&edit->wanted, "soci");
    return rc < 0 ? err_set(err, rc, "out of memory") : 0;
}

/* What other keys say by an alias to this list would change with it. */
static int check_shared(const struct edit *edit, struct err *err)
{
    const struct yaml_text *yaml = edit->yaml;

    if (edit->value == YAML_NONE || !yaml_is_shared(yaml, edit->value))
        return 0;
    return err_set(
        err, -EINVAL,
        "line %u: other keys use the list of snapshotters by its anchor: edit it by hand",
        yaml_line(yaml, edit->value));
}

static int edit_text(struct bytes text, const struct finch_config *config, bool remove, bool first,
                     struct buf *ret, struct err *err)
{
    SCOPED(yaml_text) struct yaml_text yaml = {.items = NULL};
    struct edit edit = {.yaml = &yaml,
                        .key = YAML_NONE,
                        .value = YAML_NONE,
                        .before = &config->snapshotters,
                        .wanted = TEXT_LIST_EMPTY,
                        .first = first,
                        .remove = remove};
    int rc = yaml_text_parse(text, &yaml, err);

    if (rc == 0)
        rc = finch_config_top(&yaml, &edit.top, err);
    if (rc == 0 && edit.top != YAML_NONE)
        edit.key = yaml_find_key(&yaml, edit.top, "snapshotters");
    if (rc == 0 && edit.key != YAML_NONE)
        edit.value = yaml_next(&yaml, edit.key);
    if (rc == 0)
        rc = check_shared(&edit, err);
    if (rc == 0)
        rc = want(&edit, err);
    if (rc == 0)
        rc = apply(&edit, ret, err);
    text_list_fini(&edit.wanted);
    return rc;
}

int finch_config_enable(struct bytes text, bool first, struct buf *ret, struct err *err)
{
    SCOPED(finch_config) struct finch_config config = {.vm_type = NULL};
    int rc = finch_config_parse(text, &config, err);

    if (rc == 0)
        rc = finch_config_check(&config, err);
    if (rc < 0)
        return rc;
    if (first ? finch_config_is_soci_first(&config) : finch_config_has_soci(&config))
        return 0;
    return edit_text(text, &config, false, first, ret, err);
}

int finch_config_disable(struct bytes text, struct buf *ret, struct err *err)
{
    SCOPED(finch_config) struct finch_config config = {.vm_type = NULL};
    int rc = finch_config_parse(text, &config, err);

    if (rc < 0)
        return rc;
    return finch_config_has_soci(&config) ? edit_text(text, &config, true, false, ret, err) : 0;
}
