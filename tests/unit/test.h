/* SPDX-License-Identifier: Apache-2.0 */
/* test.h – cmocka with the headers that it wants before it, and vectors by name. */
#ifndef UNIT_TEST_H
#define UNIT_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/files.h"

/* The static analyzer does not know that cmocka's checks end a test. No compiler sees this. */
#ifdef __clang_analyzer__
#include <stdlib.h>
#undef assert_true
#undef assert_false
#undef assert_null
#undef assert_non_null
#undef assert_int_equal
#define assert_true(c) ((c) ? (void)0 : abort())
#define assert_false(c) assert_true(!(c))
#define assert_null(p) assert_true((p) == NULL)
#define assert_non_null(p) assert_true((p) != NULL)
#define assert_int_equal(a, b)                                                                     \
    assert_true(cast_to_largest_integral_type(a) == cast_to_largest_integral_type(b))
#endif

#define assert_ok(expr)                                                                            \
    do {                                                                                           \
        int assert_ok_rc_ = (expr);                                                                \
        if (assert_ok_rc_ < 0)                                                                     \
            print_error("%s: %s\n", #expr, strerror(-assert_ok_rc_));                              \
        assert_true(assert_ok_rc_ >= 0);                                                           \
    } while (0)

/* The bytes of tests/vectors/<name>; fails the test when it is not there. The caller frees. */
static inline struct buf *vector_load(const char *name)
{
    struct err err = ERR_NONE;
    struct buf *content = buf_new();
    char path[1024];

    assert_non_null(content);
    (void)snprintf(path, sizeof(path), "%s/%s", VECTORS_DIR, name);
    if (file_read(path, 256u << 20, content, &err) < 0)
        fail_msg("%s", err_text(&err));
    return content;
}

#endif
