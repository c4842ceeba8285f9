/* SPDX-License-Identifier: Apache-2.0 */
/* facts.c – what one round trip has told: what look.sh prints, read as hostile. */
#include "internal.h"

#include <errno.h>
#include <stdio.h>

enum { LOOK_TIMEOUT_MS = 60000, LINE_MAX_BYTES = 4096, TEXT_MAX_BYTES = 256 * 1024 };

/* ---- lines ----------------------------------------------------------------------------------- */

/* Parses line by line; content lines go where `into` says. */
struct lines {
    struct guest_facts *facts;
    struct buf *into;        /* NULL: content is not expected */
    struct guest_file *file; /* of `into`; NULL: none */
    bool is_begun, is_ended;
};

static int bad(struct err *err, const char *what)
{
    return err_set(err, -EBADMSG, "the machine tells of itself what makes no sense: %s", what);
}

static int text_rc(int rc, struct err *err)
{
    return rc < 0 ? err_set(err, rc, "out of memory") : 0;
}

static int add_content(struct lines *lines, struct bytes line, struct err *err)
{
    int rc;

    if (lines->into == NULL)
        return bad(err, "content of no file");
    if (lines->into->len + line.len > TEXT_MAX_BYTES + 1)
        return bad(err, "more content than was asked for");
    rc = buf_add(lines->into, line.data, line.len);
    return text_rc(rc == 0 ? buf_add_byte(lines->into, '\n') : rc, err);
}

/* sed(1) gives every line an end: one too many where the last had none. */
static void end_content(struct lines *lines)
{
    struct guest_file *file = lines->file;

    if (file != NULL && file->kind == GUEST_FILE) {
        if (file->content.len == file->size + 1)
            file->content.len--;
        file->is_whole = file->content.len == file->size;
    } else if (file != NULL && file->content.len > 0) {
        file->content.len--; /* a link's target is a word */
        file->is_whole = true;
    }
    lines->file = NULL;
    lines->into = NULL;
}

/* ---- files ----------------------------------------------------------------------------------- */

static bool parse_kind(const char *word, enum guest_kind *ret)
{
    static const char *const names[] = {"none", "file", "link", "dir", "other"};

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strcmp(word, names[i]) == 0) {
            *ret = (enum guest_kind)i;
            return true;
        }
    return false;
}

/* "KIND MODE UID GID SIZE SHA256 PATH" */
static bool parse_file(char *line, struct guest_file *ret)
{
    char *words[6], *rest = line;
    uint64_t mode = 0;
    uint8_t digest[DIGEST_BYTES];

    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        words[i] = rest;
        rest = strchr(rest, ' ');
        if (rest == NULL)
            return false;
        *rest++ = '\0';
    }
    if (!parse_kind(words[0], &ret->kind) || rest[0] != '/')
        return false;
    for (const char *c = words[1]; *c != '\0'; c++) {
        if (*c < '0' || *c > '7' || mode > 07777)
            return false;
        mode = mode * 8 + (uint64_t)(*c - '0');
    }
    ret->mode = (unsigned)mode;
    if (mode > 07777 || text_parse_u64(words[2], &ret->uid) < 0 ||
        text_parse_u64(words[3], &ret->gid) < 0 || text_parse_u64(words[4], &ret->size) < 0)
        return false;
    if (ret->kind == GUEST_FILE) {
        if (strlen(words[5]) != 2 * DIGEST_BYTES || text_unhex(words[5], digest, DIGEST_BYTES) < 0)
            return false;
        memcpy(ret->sha256, words[5], sizeof(ret->sha256));
    }
    ret->path = text_copy(rest);
    return ret->path != NULL;
}

static int add_file(struct lines *lines, char *line, struct err *err)
{
    struct guest_facts *facts = lines->facts;
    struct guest_file *file = &facts->files[facts->file_count];

    if (facts->file_count == GUEST_FILES_MAX)
        return bad(err, "too many files");
    if (!parse_file(line, file))
        return bad(err, "a file");
    facts->file_count++;
    lines->file = file;
    lines->into = &file->content;
    return 0;
}

/* ---- the rest -------------------------------------------------------------------------------- */

static int add_to_list(struct text_list *list, const char *value, struct err *err)
{
    return list->count >= GUEST_LIST_MAX ? bad(err, "a list without an end")
                                         : text_rc(text_list_add(list, value), err);
}

static int add_value(struct guest_facts *facts, const char *key, char *value, struct err *err)
{
    static const char *const known[] = {
        "arch",      "systemd",       "lima",       "boot-done",   "lima-USER", "lima-UID",
        "lima-HOME", "finch-dir",     "data-disk",  "lima-VMTYPE", "libexec",   "containerd",
        "plugin",    "answers",       "applied",    "pending",     "aside",     "containerd-config",
        "unit-says", "second-daemon", "other-unit", "our-data"};
    size_t len = strlen(value);

    while (len > 0 && value[len - 1] == ' ')
        value[--len] = '\0';
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (strcmp(key, known[i]) == 0)
            return text_rc(text_map_set(&facts->values, key, value), err);
    return 0; /* of a newer look.sh */
}

/* "NAME STATE" */
static int add_unit(struct guest_facts *facts, char *value, struct err *err)
{
    char *space = strchr(value, ' ');
    char key[64];

    if (space == NULL || space - value > 40)
        return 0;
    *space = '\0';
    (void)snprintf(key, sizeof(key), "unit %s", value);
    return facts->values.count >= GUEST_LIST_MAX
               ? bad(err, "a list without an end")
               : text_rc(text_map_set(&facts->values, key, space + 1), err);
}

static int add_line(struct lines *lines, char *line, struct err *err)
{
    struct guest_facts *facts = lines->facts;
    char *value = strchr(line, ' ');

    if (!lines->is_begun) {
        lines->is_begun = strcmp(line, "finch-soci-facts 1") == 0;
        return lines->is_begun ? 0 : bad(err, "its first line");
    }
    if (line[0] == '\0')
        return 0;
    end_content(lines);
    if (strcmp(line, "effective") == 0) {
        facts->effective.len = 0;
        lines->into = &facts->effective;
        return 0;
    }
    if (value == NULL)
        return bad(err, "a line of one word");
    *value++ = '\0';
    if (strcmp(line, "file") == 0)
        return add_file(lines, value, err);
    if (strcmp(line, "unit") == 0)
        return add_unit(facts, value, err);
    if (strcmp(line, "ours") == 0)
        return add_to_list(&facts->ours, value, err);
    if (strcmp(line, "running") == 0)
        return add_to_list(&facts->running, value, err);
    if (strcmp(line, "foreign-unpack") == 0)
        return add_to_list(&facts->foreign_unpacks, value, err);
    lines->is_ended = strcmp(line, "end") == 0;
    return add_value(facts, line, value, err);
}

static int take_line(struct lines *lines, struct bytes line, struct err *err)
{
    char text[LINE_MAX_BYTES];

    if (lines->is_ended)
        return bad(err, "lines behind the last");
    if (line.len > 0 && line.data[0] == '|')
        return add_content(lines, bytes_of(line.data + 1, line.len - 1), err);
    if (line.len >= sizeof(text))
        return bad(err, "a long line");
    for (size_t i = 0; i < line.len; i++)
        if (line.data[i] < ' ' || line.data[i] == 127)
            return bad(err, "a line that is no text");
    if (line.len > 0)
        memcpy(text, line.data, line.len);
    text[line.len] = '\0';
    return add_line(lines, text, err);
}

int guest_facts_parse(struct bytes text, struct guest_facts **ret, struct err *err)
{
    SCOPED(guest_facts) struct guest_facts *facts = calloc(1, sizeof(*facts));
    struct lines lines = {.facts = facts};
    int rc = 0;

    if (facts == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    while (rc == 0 && text.len > 0) {
        const uint8_t *newline = memchr(text.data, '\n', text.len);
        size_t len = newline == NULL ? text.len : (size_t)(newline - text.data);

        rc = take_line(&lines, bytes_of(text.data, len), err);
        len += newline == NULL ? 0 : 1;
        text = bytes_of(text.data + len, text.len - len);
    }
    if (rc < 0)
        return rc;
    if (!lines.is_ended)
        return bad(err, "it has no end");
    *ret = TAKE(facts);
    return 0;
}

void guest_facts_free(struct guest_facts *facts)
{
    if (facts == NULL)
        return;
    text_map_fini(&facts->values);
    for (size_t i = 0; i < facts->file_count; i++) {
        free(facts->files[i].path);
        buf_fini(&facts->files[i].content);
    }
    buf_fini(&facts->effective);
    text_list_fini(&facts->ours);
    text_list_fini(&facts->running);
    text_list_fini(&facts->foreign_unpacks);
    free(facts);
}

int guest_look(struct machine *machine, struct guest_facts **ret, struct err *err)
{
    SCOPED(machine_result) struct machine_result result = MACHINE_RESULT_NONE;
    struct machine_run run = {.script = guest_look_text, .timeout_ms = LOOK_TIMEOUT_MS};
    int rc = machine_run(machine, &run, &result, err);

    if (rc < 0)
        return rc;
    if (result.exit_status != 0)
        return err_set(err, -EIO, "the machine cannot be looked at: %.200s",
                       result.err.len == 0 ? "it does not say why" : buf_str(&result.err));
    return guest_facts_parse(buf_bytes(&result.out), ret, err);
}

/* ---- asked ----------------------------------------------------------------------------------- */

const char *guest_value(const struct guest_facts *facts, const char *key)
{
    const char *value = text_map_get(&facts->values, key);

    return value == NULL ? "" : value;
}

bool guest_flag(const struct guest_facts *facts, const char *key)
{
    return strcmp(guest_value(facts, key), "yes") == 0;
}

const char *guest_containerd_config(const struct guest_facts *facts)
{
    const char *told = guest_value(facts, "containerd-config");

    return told[0] == '\0' ? GUEST_CONTAINERD_CONFIG : told;
}

const char *guest_arch(const struct guest_facts *facts)
{
    return guest_value(facts, "arch");
}

bool guest_is_booted(const struct guest_facts *facts)
{
    return !guest_flag(facts, "lima") || text_map_get(&facts->values, "boot-done") != NULL;
}

const struct guest_file *guest_file(const struct guest_facts *facts, const char *path)
{
    for (size_t i = 0; i < facts->file_count; i++)
        if (strcmp(facts->files[i].path, path) == 0)
            return &facts->files[i];
    return NULL;
}

bool guest_has(const struct guest_facts *facts, const char *path)
{
    const struct guest_file *file = guest_file(facts, path);

    return file != NULL && (file->kind == GUEST_FILE || file->kind == GUEST_LINK);
}

struct bytes guest_text(const struct guest_facts *facts, const char *path)
{
    const struct guest_file *file = guest_file(facts, path);

    return file == NULL || file->kind != GUEST_FILE ? bytes_of(NULL, 0) : buf_bytes(&file->content);
}

bool guest_is_ours(const struct guest_facts *facts, const char *path)
{
    const struct guest_file *file = guest_file(facts, path);
    size_t len = strlen(path);

    if (file == NULL || file->kind != GUEST_FILE)
        return false;
    for (size_t i = 0; i < facts->ours.count; i++) {
        const char *line = facts->ours.items[i];

        if (strlen(line) == 2 * DIGEST_BYTES + 1 + len &&
            memcmp(line, file->sha256, 2 * DIGEST_BYTES) == 0 &&
            strcmp(line + 2 * DIGEST_BYTES + 1, path) == 0)
            return true;
    }
    return false;
}

const struct guest_file *guest_package_unit(const struct guest_facts *facts)
{
    static const char *const places[] = {"/etc/systemd/system/finch-soci.service",
                                         "/usr/lib/systemd/system/finch-soci.service",
                                         "/lib/systemd/system/finch-soci.service"};

    if (guest_flag(facts, "lima"))
        return NULL;
    for (size_t i = 0; i < ARRAY_LEN(places); i++)
        if (guest_has(facts, places[i]))
            return guest_file(facts, places[i]);
    return NULL;
}

const char *guest_unit_name(const struct guest_facts *facts)
{
    return guest_package_unit(facts) == NULL ? "soci-snapshotter" : "finch-soci";
}
