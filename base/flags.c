/* SPDX-License-Identifier: Apache-2.0 */
/* flags.c – parsing flags into option structs by a table. */
#include "base/flags.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct flag *find_flag(const struct flag_set *sets, size_t set_count, const char *name,
                                    size_t len, void **ret_options)
{
    size_t s, i;

    for (s = 0; s < set_count; s++) {
        for (i = 0; i < sets[s].count; i++) {
            const struct flag *flag = &sets[s].flags[i];

            if ((strlen(flag->name) == len && strncmp(flag->name, name, len) == 0) ||
                (flag->alias != NULL && strlen(flag->alias) == len &&
                 strncmp(flag->alias, name, len) == 0)) {
                *ret_options = sets[s].options;
                return flag;
            }
        }
    }
    return NULL;
}

static int parse_bool(const char *text, bool *ret)
{
    static const char *const yes[] = {"1", "t", "T", "true", "TRUE", "True"};
    static const char *const no[] = {"0", "f", "F", "false", "FALSE", "False"};
    size_t i;

    for (i = 0; i < ARRAY_LEN(yes); i++) {
        if (strcmp(text, yes[i]) == 0 || strcmp(text, no[i]) == 0) {
            *ret = strcmp(text, yes[i]) == 0;
            return 0;
        }
    }
    return -EINVAL;
}

static int unit_ms(const char **text, int64_t *ret)
{
    static const struct {
        const char *name;
        int64_t ms;
    } units[] = {{"ms", 1}, {"h", 3600000}, {"m", 60000}, {"s", 1000}};
    size_t i;

    for (i = 0; i < ARRAY_LEN(units); i++) {
        if (text_has_prefix(*text, units[i].name)) {
            *text += strlen(units[i].name);
            *ret = units[i].ms;
            return 0;
        }
    }
    return -EINVAL;
}

/* Whole numbers with units; "0" needs none. */
static int parse_duration(const char *text, int64_t *ret)
{
    int64_t total = 0;

    if (strcmp(text, "0") == 0) {
        *ret = 0;
        return 0;
    }
    if (*text == '\0')
        return -EINVAL;
    while (*text != '\0') {
        int64_t value = 0, ms;
        const char *start = text;

        for (; *text >= '0' && *text <= '9'; text++) {
            if (__builtin_mul_overflow(value, 10, &value) ||
                __builtin_add_overflow(value, *text - '0', &value))
                return -EINVAL;
        }
        if (text == start || unit_ms(&text, &ms) < 0 || __builtin_mul_overflow(value, ms, &value) ||
            __builtin_add_overflow(total, value, &total))
            return -EINVAL;
    }
    *ret = total;
    return 0;
}

static int set_value(const struct flag *flag, void *options, const char *text)
{
    char *field = (char *)options + flag->offset;

    switch (flag->kind) {
    case FLAG_BOOL:
        return parse_bool(text, (bool *)(void *)field);
    case FLAG_TEXT:
        memcpy(field, &text, sizeof(text));
        return 0;
    case FLAG_SIZE:
        return text_parse_u64(text, (uint64_t *)(void *)field);
    case FLAG_LIST:
        return text_list_split((struct text_list *)(void *)field, text, ',');
    case FLAG_DURATION:
        return parse_duration(text, (int64_t *)(void *)field);
    }
    return -EINVAL;
}

static const char *wanted(enum flag_kind kind)
{
    switch (kind) {
    case FLAG_BOOL:
        return "want true or false";
    case FLAG_SIZE:
        return "want a whole number >= 0";
    case FLAG_DURATION:
        return "want a duration such as 30s or 2m";
    case FLAG_TEXT:
    case FLAG_LIST:
        break;
    }
    return "out of memory";
}

/* A flag as errors show it, without its value. */
struct typed {
    const char *text;
    int len;
};

static struct typed typed_as(const char *text, bool as_typed)
{
    const char *shown = !as_typed && text[1] == '-' ? text + 1 : text;

    return (struct typed){.text = shown, .len = (int)strcspn(shown, "=")};
}

static int set_checked(const struct flag *flag, void *options, struct typed typed, const char *text,
                       struct err *err)
{
    int rc = set_value(flag, options, text);

    return rc == 0 ? 0
                   : err_set(err, rc, "invalid value \"%s\" for flag %.*s: %s", text, typed.len,
                             typed.text, wanted(flag->kind));
}

static int set_variable(const struct flag *flag, void *options, struct err *err)
{
    const char *value = flag->env == NULL ? NULL : getenv(flag->env);
    int rc = value == NULL || *value == '\0' ? 0 : set_value(flag, options, value);

    return rc == 0 ? 0
                   : err_set(err, rc, "environment variable %s: invalid value \"%s\": %s",
                             flag->env, value, wanted(flag->kind));
}

int flags_from_environment(const struct flag_set *set, struct err *err)
{
    int rc = 0;

    for (size_t i = 0; i < set->count && rc == 0; i++)
        rc = set_variable(&set->flags[i], set->options, err);
    return rc;
}

/* One flag at args.items[*at]; moves *at past it and its value. */
static int take_flag(const struct flag_set *sets, size_t set_count, struct flag_args args, int *at,
                     struct err *err)
{
    const char *text = args.items[*at], *equals = strchr(text, '=');
    const struct typed typed = typed_as(text, args.as_typed);
    const struct flag *flag;
    void *options = NULL;
    size_t len;

    text += text[1] == '-' ? 2 : 1;
    len = equals == NULL ? strlen(text) : (size_t)(equals - text);
    flag = find_flag(sets, set_count, text, len, &options);
    if (flag == NULL)
        return err_set(err, -ENOENT, "flag provided but not defined: %.*s", typed.len, typed.text);
    (*at)++;
    if (equals != NULL)
        return set_checked(flag, options, typed, equals + 1, err);
    if (flag->kind == FLAG_BOOL)
        return set_checked(flag, options, typed, "true", err);
    if (*at >= args.count)
        return err_set(err, -EINVAL, "flag needs an argument: %.*s", typed.len, typed.text);
    return set_checked(flag, options, typed, args.items[(*at)++], err);
}

int flags_parse(const struct flag_set *sets, size_t set_count, struct flag_args args,
                bool until_word, int *used, struct text_list *words, struct err *err)
{
    bool only_words = false;
    int at = 0, rc = 0;

    while (rc == 0 && at < args.count) {
        const char *text = args.items[at];

        if (only_words || text[0] != '-' || text[1] == '\0') {
            if (until_word)
                break;
            rc = text_list_add(words, text) < 0 ? err_set(err, -ENOMEM, "out of memory") : 0;
            at++;
        } else if (strcmp(text, "--") == 0) {
            only_words = true;
            at++;
        } else {
            rc = take_flag(sets, set_count, args, &at, err);
        }
    }
    *used = at;
    return rc;
}

void flags_print(FILE *out, const struct flag *flags, size_t count)
{
    size_t i;

    for (i = 0; i < count; i++) {
        const struct flag *flag = &flags[i];
        char left[96];
        int used = snprintf(left, sizeof(left), "--%s", flag->name);

        if (flag->alias != NULL)
            used += snprintf(left + used, sizeof(left) - (size_t)used, ", -%s", flag->alias);
        if (flag->value != NULL)
            (void)snprintf(left + used, sizeof(left) - (size_t)used, " %s", flag->value);
        (void)fprintf(out, "   %-36s %s%s%s%s\n", left, flag->help, flag->env == NULL ? "" : " [$",
                      flag->env == NULL ? "" : flag->env, flag->env == NULL ? "" : "]");
    }
}
