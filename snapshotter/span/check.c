/* SPDX-License-Identifier: Apache-2.0 */
/* check.c – a span that an earlier process recorded is compared with its CRC before its first use:
 * the disk may have lost or changed it since. What differs is forgotten and fetched like any other.
 */
#include "span/internal.h"

#include "base/files.h"

#include <errno.h>
#include <stdlib.h>
#include <zlib.h>

enum {
    CHECK_BYTES = 256 * 1024,
    DAMAGED_LOG_MS = 1000,
};

struct check {
    struct pool_job job;
    struct span_set *set;
    size_t n;
};

static int crc_of_span(const struct span_set *set, size_t n, uint32_t *ret, struct err *err)
{
    SCOPED(mem) uint8_t *piece = malloc(CHECK_BYTES);
    struct span_info info;
    uint64_t uncomp_off;
    uLong crc = 0;

    if (piece == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    set->layout.at(set->layout.self, n, &info);
    for (uncomp_off = info.uncomp_off; uncomp_off < info.uncomp_end; uncomp_off += CHECK_BYTES) {
        uint64_t left = info.uncomp_end - uncomp_off;
        size_t len = left < CHECK_BYTES ? (size_t)left : CHECK_BYTES;
        int rc = file_pread_all(span_file_fd(set->file), piece, len, uncomp_off, err);

        if (rc < 0)
            return rc;
        crc = crc32_z(crc, piece, len);
    }
    *ret = (uint32_t)crc;
    return 0;
}

/* 0: as it was recorded. */
static int check_span(struct span_set *set, size_t n, struct err *err)
{
    uint32_t want = 0, seen = 0;
    int rc;

    if (!span_file_recorded(set->file, n, &want))
        return err_set(err, -EBADMSG, "it is not recorded");
    rc = crc_of_span(set, n, &seen, err);
    if (rc == 0 && seen != want)
        rc = err_set(err, -EBADMSG, "its CRC is %08x instead of %08x", (unsigned)seen,
                     (unsigned)want);
    return rc;
}

static void forget(struct span_set *set, size_t n, const struct err *why)
{
    struct err err = ERR_NONE;

    if (log_limit_pass(&set->engine->damaged_log, DAMAGED_LOG_MS))
        log_warn("span on disk is damaged, fetching it again", "layer=%s span=%zu err=%s",
                 set->name, n, err_text(why));
    if (span_file_forget(set->file, n, &err) < 0)
        log_debug("damaged span stays recorded", "layer=%s span=%zu err=%s", set->name, n,
                  err_text(&err));
}

/* Without memory nothing is known: the span stays recorded, and this reader is told. */
static void settle(struct span_set *set, size_t n, int rc, struct span_want **ready)
{
    LOCKED(&set->engine->lock);

    if (rc == 0) {
        span_set_state_locked(set, n, SPAN_PRESENT);
        span_collect_present_locked(set, n, ready);
        return;
    }
    span_set_state_locked(set, n, rc == -ENOMEM ? SPAN_RECORDED : SPAN_MISSING);
    if (rc != -ENOMEM && !set->closing && span_is_wanted_locked(set, n))
        rc = span_fetch_again_locked(set, n, 0);
    if (rc < 0)
        span_collect_failed_locked(set, n, UINT64_MAX, rc, ready);
}

static void run_check(struct pool_job *job)
{
    struct check *check = (struct check *)((char *)job - offsetof(struct check, job));
    struct span_set *set = check->set;
    struct span_engine *engine = set->engine;
    struct span_want *ready = NULL;
    struct err err = ERR_NONE;
    int rc = check_span(set, check->n, &err);

    if (rc < 0 && rc != -ENOMEM)
        forget(set, check->n, &err);
    settle(set, check->n, rc, &ready);
    span_deliver(ready, &err);
    free(check);
    (void)pthread_mutex_lock(&engine->lock);
    engine->users++;
    span_set_unbusy_locked(set);
    (void)pthread_mutex_unlock(&engine->lock);
    span_schedule_and_leave(engine);
}

int span_check_start_locked(struct span_set *set, size_t n)
{
    struct check *check = calloc(1, sizeof(*check));

    if (check == NULL)
        return -ENOMEM;
    check->job.run = run_check;
    check->set = set;
    check->n = n;
    set->busy++;
    span_set_state_locked(set, n, SPAN_CHECKING);
    pool_submit(set->engine->pool, &check->job, POOL_URGENT);
    return 0;
}

int span_set_doubt(struct span_set *set, size_t n, struct err *err)
{
    enum span_state state;
    LOCKED(&set->engine->lock);

    state = span_state_of(set, n);
    if (set->closing || (state != SPAN_PRESENT && state != SPAN_RECORDED))
        return 0; /* it is being looked at, or fetched */
    if (span_check_start_locked(set, n) < 0)
        return err_set(err, -ENOMEM, "%s: out of memory", set->name);
    return 0;
}
