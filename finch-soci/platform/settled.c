/* SPDX-License-Identifier: Apache-2.0 */
/* settled.c – reading a file while nobody is in the middle of writing it. */
#include "platform/settled.h"
#include "platform/platform.h"

#include "base/clock.h"
#include "base/files.h"

#include <errno.h>
#include <stdbool.h>

/* Finch truncates finch.yaml and then writes it with one call; a file that was touched within this
 * time is looked at twice, and one that is empty is given longer. */
enum { SETTLE_MS = 100, SETTLE_EMPTY_MS = 1000, SETTLE_TRIES = 20 };

static bool is_fresh(const struct file_look *look)
{
    return look->age_ms >= 0 && look->age_ms < (look->size == 0 ? SETTLE_EMPTY_MS : SETTLE_MS);
}

static bool is_same_moment(const struct file_look *a, const struct file_look *b)
{
    return a->id == b->id && a->size == b->size && a->written == b->written;
}

/* Where every command of Finch's writes the file anew it may never rest, but what is written twice
 * is whole: a half-written file is empty, not the same half at two moments. */
static bool is_again(struct bytes now, struct bytes last)
{
    return now.len > 0 && bytes_equal(now, last);
}

static int read_once(const char *path, size_t max_bytes, struct buf *ret, bool *ret_rests,
                     struct err *err)
{
    struct file_look before, after;
    int rc = file_look_at(path, &before);

    ret->len = 0;
    if (rc < 0)
        return err_sys(err, rc, "%s", path);
    rc = file_read_regular(path, max_bytes, ret, err);
    if (rc < 0)
        return rc;
    *ret_rests =
        !is_fresh(&before) && file_look_at(path, &after) == 0 && is_same_moment(&before, &after);
    return 0;
}

int platform_file_read(const char *path, size_t max_bytes, struct buf *ret, struct err *err)
{
    SCOPED(buf_value) struct buf last = BUF_EMPTY;

    for (int tries = 0; tries < SETTLE_TRIES; tries++) {
        bool rests = false;
        int rc = read_once(path, max_bytes, ret, &rests, err);

        if (rc < 0 || rests || is_again(buf_bytes(ret), buf_bytes(&last)))
            return rc;
        last.len = 0;
        if (buf_add(&last, ret->data, ret->len) < 0)
            return err_set(err, -ENOMEM, "out of memory");
        clock_sleep_ms(SETTLE_MS);
    }
    return err_set(err, -EAGAIN, "%s is being written all the time", path);
}
