/* SPDX-License-Identifier: Apache-2.0 */
/* read.c – finch.yaml as Finch reads it: keys, types, defaults. */
#include "config/internal.h"

#include <errno.h>
#include <stdlib.h>

static const char *const snapshotters[] = {"overlayfs", "soci"};
static const char *const vm_types[] = {"vz", "qemu", "wsl2"};

void finch_config_fini(struct finch_config *config)
{
    text_list_fini(&config->snapshotters);
    text_list_fini(&config->creds_helpers);
    free(config->vm_type);
    config->vm_type = NULL;
}

/* ---- the top --------------------------------------------------------------------------------- */

struct key_at {
    const char *name;
    size_t node;
};

static int compare_keys(const void *a, const void *b)
{
    const struct key_at *left = a, *right = b;
    int order = strcmp(left->name, right->name);

    if (order != 0)
        return order;
    return left->node < right->node ? -1 : left->node > right->node;
}

/* As Go's decoder does, which takes neither of the two. */
static int check_duplicates(const struct yaml_text *yaml, size_t top, struct err *err)
{
    size_t end = yaml->items[top].partner, count = 0;
    SCOPED(mem) struct key_at *keys = calloc(end - top, sizeof(*keys));

    if (keys == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    for (size_t key = top + 1; key < end; key = yaml_next(yaml, yaml_next(yaml, key))) {
        const char *name = yaml_scalar(yaml, key);

        if (name != NULL)
            keys[count++] = (struct key_at){.name = name, .node = key};
    }
    qsort(keys, count, sizeof(*keys), compare_keys);
    for (size_t i = 1; i < count; i++) {
        if (strcmp(keys[i - 1].name, keys[i].name) == 0)
            return err_set(err, -EINVAL, "line %u: mapping key \"%s\" already defined at line %u",
                           yaml_line(yaml, keys[i].node), keys[i].name,
                           yaml_line(yaml, keys[i - 1].node));
    }
    return 0;
}

static int check_aliases(const struct yaml_text *yaml, struct err *err)
{
    for (size_t i = 0; i < yaml->count; i++) {
        if (yaml_is(yaml, i, YAML_ALIAS_EVENT) && yaml_resolve(yaml, i) == YAML_NONE)
            return err_set(err, -EINVAL, "line %u: unknown anchor '%s' referenced",
                           yaml_line(yaml, i), (const char *)yaml->items[i].raw.data.alias.anchor);
    }
    return 0;
}

int finch_config_top(const struct yaml_text *yaml, size_t *ret, struct err *err)
{
    size_t top = yaml_top(yaml);
    int rc = check_aliases(yaml, err);

    *ret = top;
    if (rc < 0 || top == YAML_NONE)
        return rc;
    if (!yaml_is(yaml, top, YAML_MAPPING_START_EVENT))
        return err_set(err, -EINVAL, "line %u: keys and values were expected",
                       yaml_line(yaml, top));
    return check_duplicates(yaml, top, err);
}

/* ---- values ---------------------------------------------------------------------------------- */

static int type_error(const struct yaml_text *yaml, size_t value, const char *key,
                      const char *wanted, struct err *err)
{
    return err_set(err, -EINVAL, "line %u: %s must be %s", yaml_line(yaml, value), key, wanted);
}

int finch_config_strings(const struct yaml_text *yaml, size_t value, const char *key,
                         struct text_list *ret, struct err *err)
{
    size_t seq = yaml_resolve(yaml, value);

    if (yaml_is_null(yaml, value))
        return 0;
    if (!yaml_is(yaml, seq, YAML_SEQUENCE_START_EVENT))
        return type_error(yaml, value, key, "a list", err);
    for (size_t item = seq + 1; item < yaml->items[seq].partner; item = yaml_next(yaml, item)) {
        const char *text = yaml_scalar(yaml, item);

        if (text == NULL)
            return type_error(yaml, item, key, "a list of names", err);
        if (text_list_add(ret, yaml_is_null(yaml, item) ? "" : text) < 0)
            return err_set(err, -ENOMEM, "out of memory");
    }
    return 0;
}

static int read_strings(const struct yaml_text *yaml, size_t top, const char *key,
                        struct text_list *ret, struct err *err)
{
    size_t value;

    return yaml_find_value(yaml, top, key, &value)
               ? finch_config_strings(yaml, value, key, ret, err)
               : 0;
}

static int read_string(const struct yaml_text *yaml, size_t top, const char *key, char **ret,
                       struct err *err)
{
    const char *text;
    size_t value;

    if (!yaml_find_value(yaml, top, key, &value) || yaml_is_null(yaml, value))
        return 0;
    text = yaml_scalar(yaml, value);
    if (text == NULL)
        return type_error(yaml, value, key, "a word", err);
    *ret = text_copy(text);
    return *ret == NULL ? err_set(err, -ENOMEM, "out of memory") : 0;
}

/* Go's decoder takes YAML 1.1's words where a bool is wanted. */
static int read_bool(const struct yaml_text *yaml, size_t top, const char *key, bool *ret,
                     struct err *err)
{
    static const char *const yes[] = {"true", "True", "TRUE", "y",  "Y", "yes",
                                      "Yes",  "YES",  "on",   "On", "ON"};
    static const char *const no[] = {"false", "False", "FALSE", "n",   "N",  "no",
                                     "No",    "NO",    "off",   "Off", "OFF"};
    const char *text;
    size_t value;

    if (!yaml_find_value(yaml, top, key, &value) || yaml_is_null(yaml, value))
        return 0;
    text = yaml_scalar(yaml, value);
    for (size_t i = 0; text != NULL && i < ARRAY_LEN(yes); i++) {
        if (strcmp(text, yes[i]) == 0 || strcmp(text, no[i]) == 0) {
            *ret = strcmp(text, yes[i]) == 0;
            return 0;
        }
    }
    return type_error(yaml, value, key, "true or false", err);
}

int finch_config_parse(struct bytes text, struct finch_config *ret, struct err *err)
{
    SCOPED(yaml_text) struct yaml_text yaml = {.items = NULL};
    SCOPED(finch_config)
    struct finch_config config = {.snapshotters = TEXT_LIST_EMPTY, .auto_vm_start = true};
    size_t top;
    int rc = yaml_text_parse(text, &yaml, err);

    if (rc == 0)
        rc = finch_config_top(&yaml, &top, err);
    if (rc == 0 && top != YAML_NONE)
        rc = read_strings(&yaml, top, "snapshotters", &config.snapshotters, err);
    if (rc == 0 && top != YAML_NONE)
        rc = read_strings(&yaml, top, "creds_helpers", &config.creds_helpers, err);
    if (rc == 0 && top != YAML_NONE)
        rc = read_string(&yaml, top, "vmType", &config.vm_type, err);
    if (rc == 0 && top != YAML_NONE)
        rc = read_bool(&yaml, top, "auto_vm_start", &config.auto_vm_start, err);
    if (rc < 0)
        return rc;
    *ret = config;
    config = (struct finch_config){.vm_type = NULL};
    return 0;
}

int finch_config_check(const struct finch_config *config, struct err *err)
{
    for (size_t i = 0; i < config->snapshotters.count; i++) {
        const char *name = config->snapshotters.items[i];
        bool known = false;

        for (size_t k = 0; k < ARRAY_LEN(snapshotters); k++)
            known = known || strcmp(name, snapshotters[k]) == 0;
        if (!known)
            return err_set(err, -EINVAL, "snapshotter %s is not supported", name);
    }
    for (size_t i = 0; config->vm_type != NULL && i <= ARRAY_LEN(vm_types); i++) {
        if (i == ARRAY_LEN(vm_types))
            return err_set(err, -EINVAL, "unsupported vm type \"%s\"", config->vm_type);
        if (strcmp(config->vm_type, vm_types[i]) == 0)
            break;
    }
    return 0;
}

bool finch_config_has_soci(const struct finch_config *config)
{
    return text_list_has(&config->snapshotters, "soci");
}

bool finch_config_is_soci_first(const struct finch_config *config)
{
    return config->snapshotters.count > 0 && strcmp(config->snapshotters.items[0], "soci") == 0;
}
