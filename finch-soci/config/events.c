/* SPDX-License-Identifier: Apache-2.0 */
/* events.c – a YAML text as an array of libyaml's parse events. Aliases stay aliases, so nothing
 * grows larger than the text. */
#include "config/internal.h"

#include "base/system.h"

#include <errno.h>
#include <stdlib.h>

#define BOM "\xEF\xBB\xBF"

/* An alias may lead to an alias through a merge key; no honest file goes deeper. */
enum { MERGE_DEPTH_MAX = 8 };
/* Each is looked up by walking back. */
enum { ALIASES_MAX = 1000 };

void yaml_text_fini(struct yaml_text *yaml)
{
    for (size_t i = 0; i < yaml->count; i++)
        yaml_event_delete(&yaml->items[i].raw);
    free(yaml->items);
    *yaml = (struct yaml_text){.items = NULL};
}

/* ---- parsing --------------------------------------------------------------------------------- */

static void delete_parser(yaml_parser_t *parser)
{
    yaml_parser_delete(parser);
}
DEFINE_SCOPED_VALUE(yaml_parser, yaml_parser_t, delete_parser)

/* libyaml counts characters from behind the byte order mark, events come in the order of the text.
 */
struct place {
    size_t chars, bytes;
};

static bool is_char_start(uint8_t byte)
{
    return (byte & 0xC0) != 0x80;
}

static size_t offset_of(struct bytes text, size_t chars)
{
    size_t at = text.len >= 3 && memcmp(text.data, BOM, 3) == 0 ? 3 : 0;

    while (chars > 0 && at < text.len) {
        at++;
        while (at < text.len && !is_char_start(text.data[at]))
            at++;
        chars--;
    }
    return at;
}

/* From the last place onwards where that is possible: a file of a million lines is walked once. */
static size_t locate(struct bytes text, struct place *last, size_t chars)
{
    if (chars < last->chars || last->chars == 0) {
        *last = (struct place){.chars = chars, .bytes = offset_of(text, chars)};
        return last->bytes;
    }
    while (last->chars < chars && last->bytes < text.len) {
        last->bytes++;
        while (last->bytes < text.len && !is_char_start(text.data[last->bytes]))
            last->bytes++;
        last->chars++;
    }
    return last->bytes;
}

static int parse_error(const yaml_parser_t *parser, struct err *err)
{
    if (parser->error == YAML_MEMORY_ERROR)
        return err_set(err, -ENOMEM, "out of memory");
    if (parser->error == YAML_READER_ERROR)
        return err_set(err, -EINVAL, "not a text: %s at byte %zu",
                       parser->problem == NULL ? "unreadable" : parser->problem,
                       parser->problem_offset);
    return err_set(
        err, -EINVAL, "line %zu, column %zu: %s%s%s", parser->problem_mark.line + 1,
        parser->problem_mark.column + 1, parser->problem == NULL ? "no YAML" : parser->problem,
        parser->context == NULL ? "" : " ", parser->context == NULL ? "" : parser->context);
}

static int grow(struct yaml_text *yaml, size_t *cap, struct err *err)
{
    struct yaml_at *more;

    if (yaml->count < *cap)
        return 0;
    *cap = *cap == 0 ? 64 : *cap * 2;
    more = system_resize(yaml->items, *cap, sizeof(*more));
    if (more == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    yaml->items = more;
    return 0;
}

static bool is_start(yaml_event_type_t type)
{
    return type == YAML_SEQUENCE_START_EVENT || type == YAML_MAPPING_START_EVENT;
}

static bool is_end(yaml_event_type_t type)
{
    return type == YAML_SEQUENCE_END_EVENT || type == YAML_MAPPING_END_EVENT;
}

/* Pair starts with ends; libyaml has made sure that they match. Open starts are chained through
 * `partner`. */
static void pair(struct yaml_text *yaml)
{
    size_t open = YAML_NONE;

    for (size_t i = 0; i < yaml->count; i++) {
        struct yaml_at *at = &yaml->items[i];

        at->partner = i;
        if (is_start(at->raw.type)) {
            at->partner = open;
            open = i;
        } else if (is_end(at->raw.type) && open != YAML_NONE) {
            size_t outer = yaml->items[open].partner;

            at->partner = open;
            yaml->items[open].partner = i;
            open = outer;
        }
    }
}

static int parse_events(yaml_parser_t *parser, struct yaml_text *yaml, struct err *err)
{
    struct place last = {.chars = 0, .bytes = 0};
    size_t cap = 0, aliases = 0;
    bool ended = false;

    while (!ended) {
        struct yaml_at *at;
        int rc = grow(yaml, &cap, err);

        if (rc < 0)
            return rc;
        at = &yaml->items[yaml->count];
        if (yaml_parser_parse(parser, &at->raw) == 0)
            return parse_error(parser, err);
        yaml->count++;
        at->start = locate(yaml->text, &last, at->raw.start_mark.index);
        at->end = locate(yaml->text, &last, at->raw.end_mark.index);
        ended = at->raw.type == YAML_STREAM_END_EVENT;
        if (at->raw.type == YAML_ALIAS_EVENT && ++aliases > ALIASES_MAX)
            return err_set(err, -EFBIG, "more than %d aliases", ALIASES_MAX);
    }
    pair(yaml);
    return 0;
}

/* libyaml reads UTF-16 as well, Finch does too; offsets would be wrong in it, and nobody has it but
 * by accident. */
static int check_encoding(struct bytes text, struct err *err)
{
    if (text.len > FINCH_CONFIG_MAX_BYTES)
        return err_set(err, -EFBIG, "larger than %d bytes", FINCH_CONFIG_MAX_BYTES);
    if (text.len >= 2 &&
        (memcmp(text.data, "\xFF\xFE", 2) == 0 || memcmp(text.data, "\xFE\xFF", 2) == 0))
        return err_set(err, -EINVAL, "the text is UTF-16: save it as UTF-8");
    if (!text_is_utf8(text))
        return err_set(err, -EINVAL, "not a text: there are bytes that are no UTF-8");
    return 0;
}

int yaml_text_parse(struct bytes text, struct yaml_text *ret, struct err *err)
{
    SCOPED(yaml_parser) yaml_parser_t parser = {.error = YAML_NO_ERROR};
    SCOPED(yaml_text) struct yaml_text yaml = {.text = text};
    int rc = check_encoding(text, err);

    if (rc < 0)
        return rc;
    if (yaml_parser_initialize(&parser) == 0)
        return err_set(err, -ENOMEM, "out of memory");
    yaml_parser_set_input_string(&parser, text.data == NULL ? (const uint8_t *)"" : text.data,
                                 text.len);
    rc = parse_events(&parser, &yaml, err);
    if (rc < 0)
        return rc;
    *ret = yaml;
    yaml = (struct yaml_text){.items = NULL};
    return 0;
}

/* ---- finding one's way ----------------------------------------------------------------------- */

bool yaml_is(const struct yaml_text *yaml, size_t node, yaml_event_type_t type)
{
    return node < yaml->count && yaml->items[node].raw.type == type;
}

size_t yaml_next(const struct yaml_text *yaml, size_t node)
{
    return is_start(yaml->items[node].raw.type) ? yaml->items[node].partner + 1 : node + 1;
}

size_t yaml_top(const struct yaml_text *yaml)
{
    /* stream start, document start, value */
    if (!yaml_is(yaml, 1, YAML_DOCUMENT_START_EVENT) || yaml_is_null(yaml, 2))
        return YAML_NONE;
    return 2;
}

static const char *anchor_of(const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        return (const char *)event->data.scalar.anchor;
    case YAML_SEQUENCE_START_EVENT:
        return (const char *)event->data.sequence_start.anchor;
    case YAML_MAPPING_START_EVENT:
        return (const char *)event->data.mapping_start.anchor;
    default:
        return NULL;
    }
}

/* The last one of that name before it counts; anchors do not outlive their document. */
size_t yaml_resolve(const struct yaml_text *yaml, size_t node)
{
    const char *name;

    if (!yaml_is(yaml, node, YAML_ALIAS_EVENT))
        return node < yaml->count ? node : YAML_NONE;
    name = (const char *)yaml->items[node].raw.data.alias.anchor;
    for (size_t i = node; i-- > 0 && yaml->items[i].raw.type != YAML_DOCUMENT_START_EVENT;) {
        const char *anchor = anchor_of(&yaml->items[i].raw);

        if (anchor != NULL && strcmp(anchor, name) == 0)
            return i;
    }
    return YAML_NONE;
}

const char *yaml_scalar(const struct yaml_text *yaml, size_t node)
{
    const yaml_event_t *event;
    size_t at = yaml_resolve(yaml, node);

    if (at == YAML_NONE || !yaml_is(yaml, at, YAML_SCALAR_EVENT))
        return NULL;
    event = &yaml->items[at].raw;
    if (strlen((const char *)event->data.scalar.value) != event->data.scalar.length)
        return NULL;
    return (const char *)event->data.scalar.value;
}

bool yaml_is_null(const struct yaml_text *yaml, size_t node)
{
    static const char *const names[] = {"", "~", "null", "Null", "NULL"};
    size_t at = yaml_resolve(yaml, node);
    const char *value = yaml_scalar(yaml, node);
    const yaml_event_t *event;

    if (value == NULL)
        return false;
    event = &yaml->items[at].raw;
    if (event->data.scalar.tag != NULL)
        return strcmp((const char *)event->data.scalar.tag, YAML_NULL_TAG) == 0;
    if (event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
        return false;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (strcmp(value, names[i]) == 0)
            return true;
    }
    return false;
}

bool yaml_is_flow(const struct yaml_text *yaml, size_t collection)
{
    const yaml_event_t *event = &yaml->items[collection].raw;

    if (event->type == YAML_SEQUENCE_START_EVENT)
        return event->data.sequence_start.style == YAML_FLOW_SEQUENCE_STYLE;
    return event->type == YAML_MAPPING_START_EVENT &&
           event->data.mapping_start.style == YAML_FLOW_MAPPING_STYLE;
}

size_t yaml_find_key(const struct yaml_text *yaml, size_t mapping, const char *name)
{
    size_t end = yaml->items[mapping].partner;

    for (size_t key = mapping + 1; key < end; key = yaml_next(yaml, yaml_next(yaml, key))) {
        const char *text = yaml_scalar(yaml, key);

        if (text != NULL && strcmp(text, name) == 0)
            return key;
    }
    return YAML_NONE;
}

static bool find_merged(const struct yaml_text *yaml, size_t mapping, const char *name, int depth,
                        size_t *ret);

/* What `<<` names: a mapping, or a list of them, the first of which wins. */
static bool find_in_merge(const struct yaml_text *yaml, size_t value, const char *name, int depth,
                          size_t *ret)
{
    size_t from = yaml_resolve(yaml, value);

    if (from == YAML_NONE)
        return false;
    if (yaml_is(yaml, from, YAML_MAPPING_START_EVENT))
        return find_merged(yaml, from, name, depth, ret);
    if (!yaml_is(yaml, from, YAML_SEQUENCE_START_EVENT))
        return false;
    for (size_t item = from + 1; item < yaml->items[from].partner; item = yaml_next(yaml, item)) {
        size_t at = yaml_resolve(yaml, item);

        if (at != YAML_NONE && yaml_is(yaml, at, YAML_MAPPING_START_EVENT) &&
            find_merged(yaml, at, name, depth, ret))
            return true;
    }
    return false;
}

static bool find_merged(const struct yaml_text *yaml, size_t mapping, const char *name, int depth,
                        size_t *ret)
{
    size_t key = yaml_find_key(yaml, mapping, name);

    if (key != YAML_NONE) {
        *ret = yaml_next(yaml, key);
        return true;
    }
    key = depth < MERGE_DEPTH_MAX ? yaml_find_key(yaml, mapping, "<<") : YAML_NONE;
    return key != YAML_NONE && find_in_merge(yaml, yaml_next(yaml, key), name, depth + 1, ret);
}

bool yaml_find_value(const struct yaml_text *yaml, size_t mapping, const char *name,
                     size_t *ret_value)
{
    return find_merged(yaml, mapping, name, 0, ret_value);
}

bool yaml_is_shared(const struct yaml_text *yaml, size_t node)
{
    if (anchor_of(&yaml->items[node].raw) == NULL)
        return false;
    for (size_t i = node + 1; i < yaml->count; i++) {
        if (yaml_is(yaml, i, YAML_ALIAS_EVENT) && yaml_resolve(yaml, i) == node)
            return true;
    }
    return false;
}

unsigned yaml_line(const struct yaml_text *yaml, size_t node)
{
    return (unsigned)yaml->items[node].raw.start_mark.line + 1;
}
