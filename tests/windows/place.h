/* SPDX-License-Identifier: Apache-2.0 */
/* place.h – a directory for one test, below a name with spaces and letters of several scripts. */
#ifndef WINDOWS_TEST_PLACE_H
#define WINDOWS_TEST_PLACE_H

#include "../unit/test.h"

#include "base/clock.h"
#include "base/text.h"
#include "base/windows.h"

struct place {
    char *dir;
};

static inline int place_set_up(void **state)
{
    static unsigned count;
    struct place *place = calloc(1, sizeof(*place));
    const char *temp = getenv("TEMP");

    assert_non_null(place);
    assert_non_null(temp);
    /* Numbers of processes come again under wine. */
    place->dir = text_format("%s\\Jürgens Ordner & 日本語 (%lld)\\%u", temp,
                             (long long)clock_wall_ns(), ++count);
    assert_non_null(place->dir);
    assert_ok(dir_make_all(place->dir, 0700, NULL));
    *state = place;
    return 0;
}

/* The files go with wine's directory. */
static inline int place_tear_down(void **state)
{
    struct place *place = *state;

    free(place->dir);
    free(place);
    return 0;
}

/* The caller frees. */
static inline char *place_path(const struct place *place, const char *name)
{
    char *path = path_join(place->dir, name);

    assert_non_null(path);
    return path;
}

static inline void write_text(const char *path, const char *text)
{
    assert_ok(file_replace(path, bytes_of_str(text), 0600, NULL));
}

static inline void assert_text(const char *path, const char *wanted)
{
    SCOPED(buf_value) struct buf text = BUF_EMPTY;

    assert_ok(file_read(path, 1 << 20, &text, NULL));
    assert_string_equal(buf_str(&text), wanted);
}

#endif
