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
    TOML_ARRAY, /* what is inside follows, each value with its place from "0" as its name */
    TOML_TABLE, /* the same, with the keys as names */
    TOML_OTHER, /* a float, a date */
};

struct toml_value {
    enum toml_kind kind;
    bool boolean;
    int64_t integer;
    const char *string; /* borrowed; without NUL inside */
    bool is_lossy;      /* a question mark in `string` may have been something else in the file */
    unsigned line;      /* from 1 */
};

/* What is done with each value, in the order of their names; a table or an array comes before what
 * is inside. `path` has the names that lead to it and its own. All borrowed. Returns 0 to go on,
 * TOML_SKIP to go on behind what is inside; less than 0 ends the walk with that. */
enum { TOML_SKIP = 1 };
struct toml_visitor {
    int (*value)(void *self, const char *const *path, size_t depth, const struct toml_value *value,
                 struct err *err);
    void *self;
};

/* `text` is UTF-8; characters beyond ASCII come out as question marks (is_lossy). -EINVAL: no TOML;
 * the text says where. -ENOMEM, or what the visitor said. */
MUST_CHECK int toml_walk(const char *text, size_t len, const struct toml_visitor *visitor,
                         struct err *err);

#ifdef __cplusplus
}
#endif

#endif
