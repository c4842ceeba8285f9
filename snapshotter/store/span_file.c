/* SPDX-License-Identifier: Apache-2.0 */
/* span_file.c – writing spans into a layer's data file, and recording them once they are durable.
 */
#include "store/internal.h"

#include "base/files.h"
#include "base/log.h"
#include "base/threads.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

bool span_file_recorded(struct span_file *file, size_t n, uint32_t *ret_crc32)
{
    LOCKED(&file->lock);

    if (n >= file->header.span_count || !file->known[n])
        return false;
    *ret_crc32 = file->crc[n];
    return true;
}

int span_file_fd(const struct span_file *file)
{
    return file->data_fd;
}

int span_file_write(struct span_file *file, struct bytes uncomp, uint64_t uncomp_off,
                    struct err *err)
{
    uint64_t end;

    if (__builtin_add_overflow(uncomp_off, (uint64_t)uncomp.len, &end) ||
        end > file->header.data_bytes)
        return err_set(err, -EINVAL, "%s: %zu bytes at %llu are past the end of the tar",
                       file->path, uncomp.len, (unsigned long long)uncomp_off);
    return file_pwrite_all(file->data_fd, uncomp.data, uncomp.len, uncomp_off, err);
}

const char *span_file_data_path(const struct span_file *file)
{
    return file->data_path;
}

static int note_locked(struct span_file *file, const struct span_map_record *record,
                       struct err *err)
{
    file->known[record->span] = record->kind == SPAN_MAP_PRESENT;
    file->crc[record->span] = record->data_crc;
    if (buf_add(&file->pending, record, sizeof(*record)) < 0)
        return err_set(err, -ENOMEM, "%s: out of memory for a record", file->path);
    return 0;
}

int span_file_add(struct span_file *file, size_t n, uint32_t crc32, struct err *err)
{
    struct span_map_record record = {
        .span = (uint32_t)n, .kind = SPAN_MAP_PRESENT, .data_crc = crc32};
    LOCKED(&file->lock);

    if (n >= file->header.span_count)
        return err_set(err, -EINVAL, "%s: there is no span %zu", file->path, n);
    return note_locked(file, &record, err);
}

/* ---- the whole ------------------------------------------------------------------------------- */

static uint64_t forgets(struct span_file *file)
{
    LOCKED(&file->lock);
    return file->forgets;
}

/* False: a span was forgotten meanwhile. */
static bool note_checked(struct span_file *file, const struct digest *diff_id, uint64_t before)
{
    LOCKED(&file->lock);

    file->is_checked = file->forgets == before;
    file->diff_id = *diff_id;
    return file->is_checked;
}

static void remove_checked(const struct span_file *file)
{
    if (unlinkat(file->dir_fd, "checked", 0) < 0 || fsync(file->dir_fd) < 0)
        log_warn("a layer stays recorded as checked", "path=%s err=%s", file->path,
                 strerror(errno));
}

int span_file_set_checked(struct span_file *file, const struct digest *diff_id, struct err *err)
{
    const struct verdict verdict = {.kind = VERDICT_CHECKED,
                                    .layer = file->header.layer,
                                    .ztoc = file->header.ztoc,
                                    .digest = *diff_id};
    uint64_t before = forgets(file);
    int rc = span_file_sync(file, err);

    /* Also when no span was added: the file may just have got its length. */
    if (rc == 0 && fdatasync(file->data_fd) < 0)
        rc = err_sys(err, -errno, "%s: sync of the data", file->path);
    if (rc == 0)
        rc = verdict_write(file->checked_path, &verdict, err);
    if (rc == 0 && !note_checked(file, diff_id, before)) {
        remove_checked(file);
        rc = err_set(err, -EAGAIN, "%s: a span was forgotten meanwhile", file->path);
    }
    return rc;
}

bool span_file_is_checked(struct span_file *file, struct digest *ret_diff_id)
{
    LOCKED(&file->lock);

    if (file->is_checked)
        *ret_diff_id = file->diff_id;
    return file->is_checked;
}

/* A span is wrong, so the whole is not what it was. True: that it was checked is on the disk. */
static bool note_forgotten(struct span_file *file)
{
    LOCKED(&file->lock);
    bool was_checked = file->is_checked;

    file->forgets++;
    file->is_checked = false;
    return was_checked;
}

int span_file_forget(struct span_file *file, size_t n, struct err *err)
{
    struct span_map_record record = {.span = (uint32_t)n, .kind = SPAN_MAP_FORGOTTEN};

    if (n >= file->header.span_count)
        return err_set(err, -EINVAL, "%s: there is no span %zu", file->path, n);
    if (note_forgotten(file))
        remove_checked(file);

    LOCKED(&file->lock);
    return note_locked(file, &record, err);
}

/* ---- syncing --------------------------------------------------------------------------------- */

static struct buf take_pending(struct span_file *file)
{
    struct buf taken;
    LOCKED(&file->lock);

    taken = file->pending;
    file->pending = (struct buf)BUF_EMPTY;
    return taken;
}

/* In front of what was added meanwhile. Without the memory for it the records are lost, and the
 * next process fetches their spans again. */
static void give_back(struct span_file *file, struct buf *batch)
{
    struct buf newer;
    LOCKED(&file->lock);

    newer = file->pending;
    file->pending = *batch;
    *batch = newer;
    if (buf_add(&file->pending, newer.data, newer.len) < 0)
        log_warn("out of memory for span records, dropping some", "path=%s", file->path);
}

static int sync_names(struct span_file *file, struct err *err)
{
    if (file->names_synced)
        return 0;
    if (fsync(file->dir_fd) < 0 || fsync(file->layers_fd) < 0)
        return err_sys(err, -errno, "%s: sync of the directory", file->path);
    file->names_synced = true;
    return 0;
}

static int encode_batch(const struct span_file *file, struct bytes batch, struct buf *ret,
                        struct err *err)
{
    struct reader r = reader_of(batch);
    uint64_t index;

    for (index = file->records; reader_left(&r) > 0; index++) {
        struct span_map_record record;
        uint8_t raw[SPAN_MAP_RECORD_BYTES];

        memcpy(&record, reader_take(&r, sizeof(record)).data, sizeof(record));
        span_map_encode_record(&file->header, index, &record, raw);
        if (buf_add(ret, raw, sizeof(raw)) < 0)
            return err_set(err, -ENOMEM, "%s: out of memory", file->path);
    }
    return 0;
}

/* Written at the end of what is valid, so the rest of an append that failed half-way is
 * overwritten. */
static int append_records(struct span_file *file, struct bytes batch, struct err *err)
{
    SCOPED(buf_value) struct buf raw = BUF_EMPTY;
    uint64_t map_off = SPAN_MAP_HEADER_BYTES + file->records * SPAN_MAP_RECORD_BYTES;
    int rc = encode_batch(file, batch, &raw, err);

    if (rc == 0)
        rc = file_pwrite_all(file->map_fd, raw.data, raw.len, map_off, err);
    if (rc < 0)
        return rc;
    if (fdatasync(file->map_fd) < 0)
        return err_sys(err, -errno, "sync of the map");
    file->records += raw.len / SPAN_MAP_RECORD_BYTES;
    return 0;
}

int span_file_sync(struct span_file *file, struct err *err)
{
    SCOPED(buf_value) struct buf batch = BUF_EMPTY;
    int rc;
    LOCKED(&file->sync_lock);

    batch = take_pending(file);
    if (batch.len == 0)
        return 0;
    /* After a failed sync the kernel may call the lost pages clean, so that a second sync would
     * succeed without them: these records must never be written. */
    if (fdatasync(file->data_fd) < 0)
        return err_set(err, -EIO, "%s: sync of the data: %s", file->path, strerror(errno));
    rc = sync_names(file, err);
    if (rc == 0)
        rc = append_records(file, buf_bytes(&batch), err);
    if (rc < 0)
        give_back(file, &batch);
    /* -EIO would say that the data is in doubt. */
    return rc == -EIO ? err_prefix(err, -EAGAIN, "%s", file->path) : rc;
}

void span_file_close(struct span_file *file)
{
    struct err err = ERR_NONE;

    if (file == NULL)
        return;
    if (file->data_fd >= 0 && span_file_sync(file, &err) < 0)
        log_warn("spans are not recorded, they will be fetched again", "path=%s err=%s", file->path,
                 err_text(&err));
    scoped_fd(&file->data_fd);
    scoped_fd(&file->map_fd);
    scoped_fd(&file->dir_fd);
    scoped_fd(&file->layers_fd);
    (void)pthread_mutex_destroy(&file->lock);
    (void)pthread_mutex_destroy(&file->sync_lock);
    buf_fini(&file->pending);
    free(file->known);
    free(file->crc);
    free(file->path);
    free(file->data_path);
    free(file->checked_path);
    free(file);
}
