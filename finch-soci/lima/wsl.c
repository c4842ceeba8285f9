/* SPDX-License-Identifier: Apache-2.0 */
/* wsl.c – what `wsl.exe --list --verbose` says of a distribution. */
#include "lima/lima.h"

#include "base/text.h"

#include <errno.h>

enum { WORDS_MAX = 8 }; /* `*`, name, a state of some words, version */

/* ---- text ------------------------------------------------------------------------------------ */

/* As ASCII, which is what names and states are: what is not becomes a question mark. Console
 * programs print UTF-16 without a mark, in which every second byte of a list is 0. */
static int to_ascii(struct bytes text, struct buf *ret)
{
    bool is_wide = text.len > 0 && memchr(text.data, 0, text.len) != NULL;
    size_t step = is_wide ? 2 : 1;
    int rc = 0;

    for (size_t i = 0; rc == 0 && text.len - i >= step; i += step) {
        unsigned unit = text.data[i] | (is_wide ? (unsigned)text.data[i + 1] << 8 : 0);

        if (unit != 0xfeff && unit != 0)
            rc = buf_add_byte(ret, unit < 0x80 ? (uint8_t)unit : '?');
    }
    return rc;
}

/* In place. */
static size_t split(char *line, char *words[WORDS_MAX])
{
    size_t count = 0;

    for (char *at = line; count < WORDS_MAX; at++) {
        at += strspn(at, " \t\r");
        if (*at == '\0')
            break;
        words[count++] = at;
        at += strcspn(at, " \t\r");
        if (*at == '\0')
            break;
        *at = '\0';
    }
    return count;
}

/* ---- lines ----------------------------------------------------------------------------------- */

/* These words are the same in every language. */
static int fill(const char *state, struct lima_machine *ret, struct err *err)
{
    static const struct {
        const char *name;
        enum lima_state state;
    } states[] = {
        {"Running", LIMA_RUNNING},
        {"Stopped", LIMA_STOPPED},
        {"Installing", LIMA_STOPPED},
    };
    struct lima_machine machine = {.state = LIMA_BROKEN, .vm_type = text_copy("wsl2")};

    for (size_t i = 0; i < ARRAY_LEN(states); i++) {
        if (strcmp(state, states[i].name) == 0)
            machine.state = states[i].state;
    }
    if (machine.state == LIMA_BROKEN)
        machine.problem = text_format("WSL says of it: %s", state);
    if (machine.vm_type == NULL || (machine.state == LIMA_BROKEN && machine.problem == NULL)) {
        lima_machine_fini(&machine);
        return err_set(err, -ENOMEM, "out of memory");
    }
    *ret = machine;
    return 0;
}

/* A line's version, which is its last word, is a number; the heading's is not. */
static bool is_entry(char *const *words, size_t count)
{
    return count >= 3 && words[count - 1][strspn(words[count - 1], "0123456789")] == '\0';
}

int lima_parse_wsl_list(struct bytes text, const char *distribution, struct lima_machine *ret,
                        bool *ret_found, struct err *err)
{
    SCOPED(buf_value) struct buf ascii = BUF_EMPTY;
    bool any = false;
    char *line, *next;

    *ret_found = false;
    if (to_ascii(text, &ascii) < 0 || (line = buf_str(&ascii)) == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    for (; line != NULL; line = next) {
        char *words[WORDS_MAX];
        char **name = words;
        size_t count;

        next = strchr(line, '\n');
        if (next != NULL)
            *next++ = '\0';
        count = split(line, words);
        if (count > 0 && strcmp(words[0], "*") == 0) { /* the one that `wsl` alone starts */
            name++;
            count--;
        }
        if (!is_entry(name, count))
            continue;
        any = true;
        if (strcmp(name[0], distribution) != 0)
            continue;
        *ret_found = true;
        return fill(name[1], ret, err);
    }
    return any ? 0 : err_set(err, -EBADMSG, "no list of distributions");
}
