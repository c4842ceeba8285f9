/* SPDX-License-Identifier: Apache-2.0 */
/* facts.c – what doctor.sh prints, read as hostile. */
#include "doctor/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { LOOK_MS = 120000, LINE_MAX_BYTES = 4096 };

void doctor_facts_fini(struct doctor_facts *facts)
{
    for (size_t i = 0; i < facts->count; i++) {
        free(facts->items[i].key);
        free(facts->items[i].value);
    }
    free(facts->items);
    *facts = (struct doctor_facts){.items = NULL};
}

const char *doctor_fact(const struct doctor_facts *facts, const char *key, size_t n)
{
    for (size_t i = 0; i < facts->count; i++) {
        if (strcmp(facts->items[i].key, key) == 0 && n-- == 0)
            return facts->items[i].value;
    }
    return NULL;
}

struct bytes doctor_next_line(struct bytes *text)
{
    const uint8_t *newline = text->len == 0 ? NULL : memchr(text->data, '\n', text->len);
    size_t len = newline == NULL ? text->len : (size_t)(newline - text->data);
    struct bytes line = bytes_of(text->data, len);

    len += newline == NULL ? 0 : 1;
    *text = bytes_of(text->len == 0 ? NULL : text->data + len, text->len - len);
    return line;
}

static int bad(struct err *err, const char *what)
{
    return err_set(err, -EBADMSG, "the machine tells of itself what makes no sense: %s", what);
}

static int add_line(struct doctor_facts *facts, struct bytes line, struct err *err)
{
    struct text_pair *pair = &facts->items[facts->count];
    char text[LINE_MAX_BYTES];
    char *space;

    if (line.len >= sizeof(text))
        return bad(err, "a long line");
    if (facts->count == DOCTOR_FACTS_MAX)
        return bad(err, "lines without an end");
    for (size_t i = 0; i < line.len; i++)
        text[i] = (char)(line.data[i] == '\0' ? '?' : line.data[i]);
    text[line.len] = '\0';
    space = strchr(text, ' ');
    if (space == NULL)
        return bad(err, "a line of one word");
    *space = '\0';
    pair->key = text_copy(text);
    pair->value = text_copy(space + 1);
    facts->count++;
    return pair->key == NULL || pair->value == NULL ? err_set(err, -ENOMEM, "out of memory") : 0;
}

int doctor_facts_parse(struct bytes text, struct doctor_facts *ret, struct err *err)
{
    SCOPED(doctor_facts) struct doctor_facts facts = {.count = 0};
    int rc = 0;

    facts.items = calloc(DOCTOR_FACTS_MAX, sizeof(*facts.items));
    if (facts.items == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    if (!bytes_equal(doctor_next_line(&text), bytes_of_str("finch-soci-doctor 1")))
        return bad(err, "its first line");
    for (;;) {
        struct bytes line = doctor_next_line(&text);

        if (bytes_equal(line, bytes_of_str("end")))
            break;
        if (line.len == 0 && text.len == 0)
            return bad(err, "it has no end");
        rc = line.len == 0 ? 0 : add_line(&facts, line, err);
        if (rc < 0)
            return rc;
    }
    *ret = facts;
    facts = (struct doctor_facts){.items = NULL};
    return 0;
}

int doctor_look(struct machine *machine, struct doctor_facts *ret, struct err *err)
{
    SCOPED(machine_result) struct machine_result result = MACHINE_RESULT_NONE;
    const struct machine_run run = {.script = doctor_look_text, .timeout_ms = LOOK_MS};
    int rc = machine_run(machine, &run, &result, err);

    return rc < 0 ? rc : doctor_facts_parse(buf_bytes(&result.out), ret, err);
}
