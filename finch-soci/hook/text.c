/* SPDX-License-Identifier: Apache-2.0 */
/* text.c – the texts of templates/host/, with what is particular put in between their at signs:
 * command lines and variables, escaped as each format wants it. */
#include "hook/internal.h"

#include "base/text.h"

/* ---- escaping -------------------------------------------------------------------------------- */

/* Line ends and what no XML may hold; a name of a file can. */
static int check(const char *text, struct err *err)
{
    for (const char *c = text; *c != '\0'; c++) {
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            return err_set(err, -EINVAL, "a character that is not printed is in \"%s\"", text);
    }
    if (!text_is_utf8(bytes_of_str(text)))
        return err_set(err, -EINVAL, "\"%s\" is not UTF-8", text);
    return 0;
}

/* In XML's text; the same in an attribute. */
static int add_xml(struct buf *out, const char *text)
{
    int rc = 0;

    for (; rc == 0 && *text != '\0'; text++) {
        rc = *text == '&'    ? buf_add_str(out, "&amp;")
             : *text == '<'  ? buf_add_str(out, "&lt;")
             : *text == '>'  ? buf_add_str(out, "&gt;")
             : *text == '"'  ? buf_add_str(out, "&quot;")
             : *text == '\'' ? buf_add_str(out, "&apos;")
                             : buf_add_byte(out, (uint8_t)*text);
    }
    return rc;
}

/* A word of systemd's: in double quotes, % for its specifiers, and $ where it stands for a variable
 * (systemd.service(5), "Command lines"). */
static int add_unit_word(struct buf *out, const char *text, bool has_variables)
{
    int rc = buf_add_byte(out, '"');

    for (; rc == 0 && *text != '\0'; text++) {
        bool is_special = *text == '"' || *text == '\\';
        bool is_doubled = *text == '%' || (has_variables && *text == '$');

        if (is_special)
            rc = buf_add_byte(out, '\\');
        if (rc == 0 && is_doubled)
            rc = buf_add_byte(out, (uint8_t)*text);
        if (rc == 0)
            rc = buf_add_byte(out, (uint8_t)*text);
    }
    return rc < 0 ? rc : buf_add_byte(out, '"');
}

/* As programs on Windows take their command line apart: backslashes count only in front of a quote.
 */
static int add_windows_word(struct buf *out, const char *text)
{
    size_t backslashes = 0;
    int rc = buf_add_byte(out, '"');

    for (; rc == 0; text++) {
        if (*text == '\\') {
            backslashes++;
            continue;
        }
        if (*text == '"' || *text == '\0')
            backslashes *= 2;
        if (*text == '"')
            backslashes++;
        for (; rc == 0 && backslashes > 0; backslashes--)
            rc = buf_add_byte(out, '\\');
        if (rc == 0)
            rc = buf_add_byte(out, *text == '\0' ? '"' : (uint8_t)*text);
        if (*text == '\0')
            break;
    }
    return rc;
}

/* ---- what is put in -------------------------------------------------------------------------- */

/* systemd takes no program whose path has quotes or backslashes in it, but as a word of another's.
 * In that path there are no variables. */
static int unit_command(struct buf *out, const struct hook_wish *wish)
{
    bool is_odd = strpbrk(wish->argv[0], "\"'\\") != NULL;
    int rc = is_odd ? buf_add_str(out, "/usr/bin/env ") : 0;

    if (rc == 0)
        rc = add_unit_word(out, wish->argv[0], is_odd);

    for (size_t i = 1; rc == 0 && wish->argv[i] != NULL; i++) {
        rc = buf_add_byte(out, ' ');
        if (rc == 0)
            rc = add_unit_word(out, wish->argv[i], true);
    }
    return rc;
}

static int unit_environment(struct buf *out, const struct hook_wish *wish)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && wish->environment[i] != NULL; i++) {
        rc = buf_add_str(out, i == 0 ? "Environment=" : "\nEnvironment=");
        if (rc == 0)
            rc = add_unit_word(out, wish->environment[i], false);
    }
    return rc;
}

static int agent_arguments(struct buf *out, const struct hook_wish *wish)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && wish->argv[i] != NULL; i++) {
        rc = buf_add_str(out, i == 0 ? "<string>" : "\n\t\t<string>");
        if (rc == 0)
            rc = add_xml(out, wish->argv[i]);
        if (rc == 0)
            rc = buf_add_str(out, "</string>");
    }
    return rc;
}

static int agent_environment(struct buf *out, const struct hook_wish *wish)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && wish->environment[i] != NULL; i++) {
        const char *setting = wish->environment[i];
        SCOPED(mem) char *name = strndup(setting, strcspn(setting, "="));

        if (name == NULL)
            return -ENOMEM;
        rc = buf_add_str(out, i == 0 ? "<key>" : "\n\t\t<key>");
        if (rc == 0)
            rc = add_xml(out, name);
        if (rc == 0)
            rc = buf_add_str(out, "</key>\n\t\t<string>");
        if (rc == 0)
            rc = add_xml(out, setting + strlen(name) + (setting[strlen(name)] == '='));
        if (rc == 0)
            rc = buf_add_str(out, "</string>");
    }
    return rc;
}

static int task_arguments(struct buf *out, const struct hook_wish *wish)
{
    SCOPED(buf_value) struct buf line = BUF_EMPTY;
    int rc = 0;

    for (size_t i = 1; rc == 0 && wish->argv[i] != NULL; i++) {
        rc = i == 1 ? 0 : buf_add_byte(&line, ' ');
        if (rc == 0)
            rc = add_windows_word(&line, wish->argv[i]);
    }
    if (rc == 0 && buf_str(&line) == NULL)
        rc = -ENOMEM;
    return rc < 0 ? rc : add_xml(out, buf_str(&line));
}

static int name_as_xml(struct buf *out, const struct hook_wish *wish)
{
    return add_xml(out, wish->name);
}

static int program_as_xml(struct buf *out, const struct hook_wish *wish)
{
    return add_xml(out, wish->argv[0]);
}

static int user_as_xml(struct buf *out, const struct hook_wish *wish)
{
    return add_xml(out, wish->user == NULL ? "" : wish->user);
}

/* ---- filling --------------------------------------------------------------------------------- */

struct place {
    const char *name; /* @NAME@ */
    int (*fill)(struct buf *out, const struct hook_wish *wish);
};

static const struct place unit_places[] = {
    {"COMMAND", unit_command}, {"ENVIRONMENT", unit_environment}, {NULL, NULL}};
static const struct place agent_places[] = {{"LABEL", name_as_xml},
                                            {"ARGUMENTS", agent_arguments},
                                            {"ENVIRONMENT", agent_environment},
                                            {NULL, NULL}};
static const struct place task_places[] = {{"USER", user_as_xml},
                                           {"PROGRAM", program_as_xml},
                                           {"ARGUMENTS", task_arguments},
                                           {NULL, NULL}};

static const struct {
    const char *text;
    const struct place *places;
} forms[] = {
    [PLATFORM_HOOK_UNIT] = {hook_unit_text, unit_places},
    [PLATFORM_HOOK_AGENT] = {hook_agent_text, agent_places},
    [PLATFORM_HOOK_TASK] = {hook_task_text, task_places},
};

static const struct place *find(const struct place *places, const char *name, size_t len)
{
    for (; places->name != NULL; places++) {
        if (strlen(places->name) == len && memcmp(places->name, name, len) == 0)
            return places;
    }
    return NULL;
}

static int fill(const char *text, const struct place *places, const struct hook_wish *wish,
                struct buf *out)
{
    int rc = 0;

    while (rc == 0 && *text != '\0') {
        const char *at = text + strcspn(text, "@");
        const char *end = *at == '\0' ? NULL : strchr(at + 1, '@');
        const struct place *place =
            end == NULL ? NULL : find(places, at + 1, (size_t)(end - at - 1));

        rc = buf_add(out, text, (size_t)(at - text));
        text = at;
        if (rc == 0 && place != NULL) {
            rc = place->fill(out, wish);
            text = end + 1;
        } else if (rc == 0 && *at != '\0') {
            rc = buf_add_byte(out, '@');
            text = at + 1;
        }
    }
    return rc;
}

static int check_all(const char *const *words, struct err *err)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && words[i] != NULL; i++)
        rc = check(words[i], err);
    return rc;
}

int hook_text(enum platform_hook_form form, const struct hook_wish *wish, struct buf *ret,
              struct err *err)
{
    int rc = check_all(wish->argv, err);

    if (rc == 0)
        rc = check_all(wish->environment, err);
    if (rc == 0 && wish->user != NULL)
        rc = check(wish->user, err);
    if (rc < 0)
        return rc;
    rc = fill(forms[form].text, forms[form].places, wish, ret);
    return rc < 0 ? err_set(err, rc, "out of memory") : 0;
}
