/* SPDX-License-Identifier: Apache-2.0 */
/* verify.c – that an edit did what it should and nothing else: both texts as events, side by side.
 */
#include "config/internal.h"

#include <errno.h>

static bool same_text(const yaml_char_t *a, const yaml_char_t *b)
{
    if (a == NULL || b == NULL)
        return a == b;
    return strcmp((const char *)a, (const char *)b) == 0;
}

static bool same_event(const yaml_event_t *a, const yaml_event_t *b)
{
    if (a->type != b->type)
        return false;
    switch (a->type) {
    case YAML_ALIAS_EVENT:
        return same_text(a->data.alias.anchor, b->data.alias.anchor);
    case YAML_SCALAR_EVENT:
        return same_text(a->data.scalar.anchor, b->data.scalar.anchor) &&
               same_text(a->data.scalar.tag, b->data.scalar.tag) &&
               a->data.scalar.style == b->data.scalar.style &&
               bytes_equal(bytes_of(a->data.scalar.value, a->data.scalar.length),
                           bytes_of(b->data.scalar.value, b->data.scalar.length));
    case YAML_SEQUENCE_START_EVENT:
        return same_text(a->data.sequence_start.anchor, b->data.sequence_start.anchor) &&
               same_text(a->data.sequence_start.tag, b->data.sequence_start.tag);
    case YAML_MAPPING_START_EVENT:
        return same_text(a->data.mapping_start.anchor, b->data.mapping_start.anchor) &&
               same_text(a->data.mapping_start.tag, b->data.mapping_start.tag);
    default:
        return true;
    }
}

/* Behind the key and its value when `at` is the key of the list. */
static size_t skip_list(const struct yaml_text *yaml, size_t list_key, size_t at)
{
    return at == list_key ? yaml_next(yaml, yaml_next(yaml, at)) : at;
}

static bool same_but_for_the_list(const struct yaml_text *a, size_t key_a, size_t from_a,
                                  const struct yaml_text *b, size_t key_b, size_t from_b)
{
    for (;;) {
        from_a = skip_list(a, key_a, from_a);
        from_b = skip_list(b, key_b, from_b);
        if (from_a >= a->count || from_b >= b->count)
            return from_a >= a->count && from_b >= b->count;
        if (!same_event(&a->items[from_a].raw, &b->items[from_b].raw))
            return false;
        from_a++;
        from_b++;
    }
}

static size_t list_key(const struct yaml_text *yaml, size_t top)
{
    return top == YAML_NONE ? YAML_NONE : yaml_find_key(yaml, top, "snapshotters");
}

/* Where a text goes on behind its first document. */
static size_t behind_document(const struct yaml_text *yaml)
{
    return yaml_is(yaml, 1, YAML_DOCUMENT_START_EVENT) ? yaml_next(yaml, 2) + 1 : 1;
}

/* Of a document that was empty, the list is all there is now. */
static bool is_list_alone(const struct yaml_text *before, const struct yaml_text *after, size_t top,
                          size_t key)
{
    return key == top + 1 && skip_list(after, key, key) == after->items[top].partner &&
           same_but_for_the_list(before, YAML_NONE, behind_document(before), after, YAML_NONE,
                                 behind_document(after));
}

static bool same_meaning(const struct yaml_text *before, size_t top_before,
                         const struct yaml_text *after, size_t top_after)
{
    size_t key = list_key(after, top_after);

    if (top_before == YAML_NONE)
        return is_list_alone(before, after, top_after, key);
    return same_but_for_the_list(before, list_key(before, top_before), 0, after, key, 0);
}

static bool same_list(const struct text_list *a, const struct text_list *b)
{
    bool same = a->count == b->count;

    for (size_t i = 0; same && i < a->count; i++)
        same = strcmp(a->items[i], b->items[i]) == 0;
    return same;
}

int finch_config_verify(const struct yaml_text *before, struct bytes after,
                        const struct text_list *wanted, struct err *err)
{
    SCOPED(yaml_text) struct yaml_text yaml = {.items = NULL};
    SCOPED(text_list) struct text_list list = TEXT_LIST_EMPTY;
    size_t top_before, top, key;
    int rc = yaml_text_parse(after, &yaml, err);

    if (rc == 0)
        rc = finch_config_top(before, &top_before, err);
    if (rc == 0)
        rc = finch_config_top(&yaml, &top, err);
    if (rc != 0)
        return rc;
    key = list_key(&yaml, top);
    if (key == YAML_NONE)
        return err_set(err, -EINVAL, "the list would be lost");
    rc = finch_config_strings(&yaml, yaml_next(&yaml, key), "snapshotters", &list, err);
    if (rc < 0)
        return rc;
    if (!same_list(&list, wanted) || !same_meaning(before, top_before, &yaml, top))
        return err_set(err, -EINVAL, "the meaning of the rest would change");
    return 0;
}
