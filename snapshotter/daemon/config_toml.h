/* SPDX-License-Identifier: Apache-2.0 */
/* config_toml.h – a TOML document, value by value. The only door to the C++ parser: no exception
 * and no C++ type comes out of it. */
#ifndef DAEMON_CONFIG_TOML_H
#define DAEMON_CONFIG_TOML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" { /* base/ is C: what its headers declare too */
#endif

#include "base/attr.h"
#include "base/err.h"

enum toml_kind {
    TOML_BOOL,
    TOML_INTEGER,
    TOML_STRING,
    TOML_OTHER, /* a float, a date, an array or table that is empty */
};

struct toml_value {
    enum toml_kind kind;
    bool boolean;
    int64_t integer;
    const char *string; /* borrowed; without NUL inside */
    unsigned line;      /* from 1 */
};

/* What is done with each value. `path` has the names of the tables that lead to it and its own; the
 * place in an array is a number from "0". All borrowed. Returns 0 to go on; anything else ends the
 * walk with that. */
struct toml_visitor {
    int (*value)(void *self, const char *const *path, size_t depth, const struct toml_value *value,
                 struct err *err);
    void *self;
};

/* `text` is UTF-8; characters beyond ASCII come out as question marks. -EINVAL: no TOML; the text
 * says where. -ENOMEM, or what the visitor said. */
MUST_CHECK int toml_walk(const char *text, size_t len, const struct toml_visitor *visitor,
                         struct err *err);

#ifdef __cplusplus
}
#endif

#endif
