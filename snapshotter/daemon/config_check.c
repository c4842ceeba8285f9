/* SPDX-License-Identifier: Apache-2.0 */
/* config_check.c – values of the right type that make no sense. */
#include "daemon/config_internal.h"

#include "metrics/metrics.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PARALLEL "pull_modes.parallel_pull_unpack."

/* ---- sizes ----------------------------------------------------------------------------------- */

/* 0: no such unit. */
static uint64_t unit_bytes(const char *unit)
{
    static const char *const units[] = {"b", "kb", "mb", "gb"};

    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        if (text_equal_nocase(unit, units[i]))
            return UINT64_C(1) << (10 * i);
    }
    return unit[0] == '\0' ? 1 : 0;
}

int config_size(const char *text, uint64_t *ret_bytes)
{
    size_t digits = strspn(text, "0123456789.");
    const char *unit = text + digits;
    uint64_t factor;
    double number;
    char *end;

    if (text[0] == '\0') {
        *ret_bytes = 0;
        return 0;
    }
    number = strtod(text, &end); /* in the C locale: the daemon sets no other */
    while (*unit == ' ')
        unit++;
    factor = unit_bytes(unit);
    if (digits == 0 || end != text + digits || factor == 0 || !(number * (double)factor < 0x1p63))
        return -EINVAL;
    *ret_bytes = (uint64_t)(number * (double)factor);
    return 0;
}

/* ---- keys ------------------------------------------------------------------------------------ */

static int check_choice(const struct config_choice *choice, const char *text, unsigned line,
                        struct err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(choice->values); i++)
        if (choice->values[i] != NULL && strcmp(text, choice->values[i]) == 0)
            return 0;
    return err_set(err, -ERANGE, "line %u: %s%s%s", line, choice->before, text, choice->after);
}

static int check_key(const struct config *config, const struct config_key *key, unsigned line,
                     struct err *err)
{
    int64_t value;

    if (key->type == CONFIG_TEXT && key->choice != NULL)
        return check_choice(key->choice, *config_text(config, key), line, err);
    if (key->type != CONFIG_INTEGER)
        return 0;
    value = *config_integer(config, key);
    if (value >= key->min && value <= key->max)
        return 0;
    if (key->max == INT64_MAX || key->min == INT64_MIN)
        return err_set(err, -ERANGE, "line %u: %s must be at %s %" PRId64, line, key->path,
                       value < key->min ? "least" : "most", value < key->min ? key->min : key->max);
    return err_set(err, -ERANGE, "line %u: %s must be between %" PRId64 " and %" PRId64, line,
                   key->path, key->min, key->max);
}

static bool is_default(const struct config *config, const char *path)
{
    for (size_t i = 0; i < config_key_count; i++) {
        if (strcmp(config_keys[i].path, path) == 0)
            return config_is_initial(config, &config_keys[i]);
    }
    return false;
}

/* The default for an image is no more than what the file says of all. */
static int check_limits(const struct config *config, int64_t all, int64_t per_image,
                        const char *all_path, const char *per_image_path, const char *what,
                        struct err *err)
{
    unsigned line = config_line(config, all_path);

    if (all <= 0 || per_image <= all || is_default(config, per_image_path))
        return 0;
    return err_set(err, -ERANGE, "line %u: %s: global %s limit less than per-image %s limit", line,
                   all_path, what, what);
}

static int check_parallel(const struct config *config, struct err *err)
{
    const struct config_parallel *p = &config->parallel;
    uint64_t bytes;
    int rc = check_limits(config, p->max_downloads, p->max_downloads_per_image,
                          PARALLEL "max_concurrent_downloads",
                          PARALLEL "max_concurrent_downloads_per_image", "download", err);

    if (rc == 0)
        rc = check_limits(config, p->max_unpacks, p->max_unpacks_per_image,
                          PARALLEL "max_concurrent_unpacks",
                          PARALLEL "max_concurrent_unpacks_per_image", "unpack", err);
    if (rc == 0 && config_size(p->chunk_size, &bytes) < 0)
        rc = err_set(err, -ERANGE,
                     "line %u: " PARALLEL "concurrent_download_chunk_size: invalid size format: %s",
                     config_line(config, PARALLEL "concurrent_download_chunk_size"), p->chunk_size);
    return rc;
}

static int check_metrics(const struct config *config, struct err *err)
{
    struct metrics_address address;
    int rc = config->metrics_address[0] == '\0'
                 ? 0
                 : metrics_address_parse(config->metrics_network, config->metrics_address, &address,
                                         err);

    return rc < 0 ? err_prefix(err, -ERANGE, "line %u: metrics_address",
                               config_line(config, "metrics_address"))
                  : 0;
}

int config_check(const struct config *config, struct err *err)
{
    int rc = 0;

    for (size_t i = 0; i < config_key_count && rc == 0; i++) {
        if (config->lines[i] != 0)
            rc = check_key(config, &config_keys[i], config->lines[i], err);
    }
    if (rc < 0)
        return rc;
    rc = check_metrics(config, err);
    if (rc == 0)
        rc = check_parallel(config, err);
    return rc < 0 ? rc : config_streams_check(config, err);
}
