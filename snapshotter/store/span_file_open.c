/* SPDX-License-Identifier: Apache-2.0 */
/* span_file_open.c – opening a layer's data file and map: what fits is used, what does not is
 * started anew. */
#include "store/internal.h"

#include "base/files.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>

/* A map is written anew when it has more records than this: a span's worth of "present, forgotten,
 * present again" each, and some. */
static uint64_t records_kept(uint64_t span_count)
{
    return 2 * span_count + 64;
}

/* One process adds less than two records per span to what it found. What is longer is not ours. */
static uint64_t records_read(uint64_t span_count)
{
    return 2 * records_kept(span_count);
}

/* ---- the directory --------------------------------------------------------------------------- */

char *store_layer_path(const char *dir, const struct digest *layer, const struct digest *ztoc)
{
    char layer_hex[2 * DIGEST_BYTES + 1], ztoc_hex[2 * DIGEST_BYTES + 1];

    digest_hex(layer, layer_hex);
    digest_hex(ztoc, ztoc_hex);
    return text_format("%s/%s-%s", dir, layer_hex, ztoc_hex);
}

/* The directory itself is locked, not a file in it: files are replaced. */
static int lock_dir(const char *path, int *ret_fd, struct err *err)
{
    SCOPED(fd) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    struct stat st;

    if (fd < 0)
        return err_sys(err, -errno, "%s", path);
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK ? err_set(err, -EBUSY, "%s: in use", path)
                                    : err_sys(err, -errno, "%s", path);
    if (fstat(fd, &st) < 0)
        return err_sys(err, -errno, "%s", path);
    if (st.st_nlink == 0) /* removed between open and flock */
        return err_set(err, -EBUSY, "%s: was just removed", path);
    *ret_fd = take_fd(&fd);
    return 0;
}

static int open_dirs(struct store *store, struct span_file *file, struct err *err)
{
    int rc = dir_make_all(file->path, 0700, err);

    if (rc == 0)
        rc = lock_dir(file->path, &file->dir_fd, err);
    if (rc < 0)
        return rc;
    file->layers_fd = open(store->layers_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return file->layers_fd < 0 ? err_sys(err, -errno, "%s", store->layers_dir) : 0;
}

/* ---- using what is there --------------------------------------------------------------------- */

static int read_map(struct span_file *file, struct buf *ret, struct err *err)
{
    uint64_t limit_bytes =
        SPAN_MAP_HEADER_BYTES + records_read(file->header.span_count) * SPAN_MAP_RECORD_BYTES;
    struct stat st;
    int rc;

    file->map_fd = openat(file->dir_fd, "map", O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (file->map_fd < 0)
        return err_sys(err, -errno, "map");
    if (fstat(file->map_fd, &st) < 0)
        return err_sys(err, -errno, "map");
    if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size > limit_bytes)
        return err_set(err, -EBADMSG, "map: longer than it can be");
    if (buf_reserve(ret, (size_t)st.st_size) < 0)
        return err_set(err, -ENOMEM, "map: out of memory");
    rc = st.st_size == 0 ? 0 : file_pread_all(file->map_fd, ret->data, (size_t)st.st_size, 0, err);
    if (rc == 0)
        ret->len = (size_t)st.st_size;
    return rc;
}

static off_t data_file_bytes(const struct span_file *file)
{
    return (off_t)((file->header.data_bytes + SPAN_FILE_BLOCK_BYTES - 1) / SPAN_FILE_BLOCK_BYTES *
                   SPAN_FILE_BLOCK_BYTES);
}

/* Those of earlier versions end where the tar does. */
static int open_data(struct span_file *file, struct err *err)
{
    struct stat st;

    file->data_fd = openat(file->dir_fd, "data", O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (file->data_fd < 0 || fstat(file->data_fd, &st) < 0)
        return err_sys(err, -errno, "data");
    if (!S_ISREG(st.st_mode) ||
        ((uint64_t)st.st_size != file->header.data_bytes && st.st_size != data_file_bytes(file)))
        return err_set(err, -EBADMSG, "data: not the tar's size");
    if (st.st_size != data_file_bytes(file) && ftruncate(file->data_fd, data_file_bytes(file)) < 0)
        return err_sys(err, -errno, "data");
    return 0;
}

/* The header as the options want it becomes the header as it is in the map. */
static int fit_header(struct span_file *file, struct bytes map, struct err *err)
{
    struct span_map_header seen;
    int rc = span_map_parse_header(map, &seen, err);

    if (rc < 0)
        return rc;
    if (!digest_equal(&seen.layer, &file->header.layer) ||
        !digest_equal(&seen.ztoc, &file->header.ztoc) ||
        seen.span_count != file->header.span_count || seen.data_bytes != file->header.data_bytes)
        return err_set(err, -EBADMSG, "map: of another layer or ztoc");
    file->header = seen;
    return 0;
}

/* -ENOENT, -EBADMSG: start anew. */
static int use_existing(struct span_file *file, struct err *err)
{
    struct span_map_table table = {file->known, file->crc, (size_t)file->header.span_count};
    SCOPED(buf_value) struct buf map = BUF_EMPTY;
    uint64_t end;
    int rc = read_map(file, &map, err);

    if (rc == 0)
        rc = fit_header(file, buf_bytes(&map), err);
    if (rc == 0)
        rc = open_data(file, err);
    if (rc < 0)
        return rc;
    file->records = span_map_replay(
        &file->header, bytes_of(map.data + SPAN_MAP_HEADER_BYTES, map.len - SPAN_MAP_HEADER_BYTES),
        &table);
    file->names_synced = file->records > 0; /* a record is written only after that */
    end = SPAN_MAP_HEADER_BYTES + file->records * SPAN_MAP_RECORD_BYTES;
    if (end < map.len && ftruncate(file->map_fd, (off_t)end) < 0)
        return err_sys(err, -errno, "map: cutting off its torn end");
    return 0;
}

/* ---- starting anew --------------------------------------------------------------------------- */

static int write_header(struct span_file *file, int map_fd, struct err *err)
{
    uint8_t raw[SPAN_MAP_HEADER_BYTES];

    if (getrandom(&file->header.salt, sizeof(file->header.salt), 0) != sizeof(file->header.salt))
        return err_sys(err, -errno, "random bytes");
    span_map_encode_header(&file->header, raw);
    return file_pwrite_all(map_fd, raw, sizeof(raw), 0, err);
}

static int remove_name(const struct span_file *file, const char *name, struct err *err)
{
    if (unlinkat(file->dir_fd, name, 0) < 0 && errno != ENOENT)
        return err_sys(err, -errno, "%s", name);
    return 0;
}

/* The old map, and that the data was checked, must be gone for good before there is another data
 * file, or after a power loss it they could speak of that one. A data file that someone still has
 * open lives on without its name. */
static int remove_old(const struct span_file *file, struct err *err)
{
    int rc = remove_name(file, "checked", err);

    if (rc == 0)
        rc = remove_name(file, "map", err);
    if (rc == 0 && fsync(file->dir_fd) < 0)
        rc = err_sys(err, -errno, "sync of the directory");
    return rc < 0 ? rc : remove_name(file, "data", err);
}

static int start_anew(struct span_file *file, struct err *err)
{
    enum { FLAGS = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC };
    int rc = remove_old(file, err);

    if (rc < 0)
        return rc;
    scoped_fd(&file->data_fd);
    scoped_fd(&file->map_fd);
    memset(file->known, 0, file->header.span_count * sizeof(*file->known));
    file->records = 0;
    file->names_synced = false;
    file->map_fd = -1;
    file->data_fd = openat(file->dir_fd, "data", FLAGS, 0600);
    if (file->data_fd < 0 || ftruncate(file->data_fd, data_file_bytes(file)) < 0)
        return err_sys(err, -errno, "data");
    file->map_fd = openat(file->dir_fd, "map", FLAGS, 0600);
    if (file->map_fd < 0)
        return err_sys(err, -errno, "map");
    return write_header(file, file->map_fd, err);
}

/* ---- a log that grew ------------------------------------------------------------------------- */

/* The present spans alone, under a new salt. */
static int encode_compact(struct span_file *file, int map_fd, uint64_t *ret_records,
                          struct err *err)
{
    SCOPED(buf_value) struct buf raw = BUF_EMPTY;
    uint8_t one[SPAN_MAP_RECORD_BYTES];
    int rc = write_header(file, map_fd, err);
    uint64_t n;

    for (n = 0; n < file->header.span_count && rc == 0; n++) {
        struct span_map_record record = {(uint32_t)n, SPAN_MAP_PRESENT, file->crc[n]};

        if (!file->known[n])
            continue;
        span_map_encode_record(&file->header, (*ret_records)++, &record, one);
        if (buf_add(&raw, one, sizeof(one)) < 0)
            return err_set(err, -ENOMEM, "map: out of memory");
    }
    if (rc == 0)
        rc = file_pwrite_all(map_fd, raw.data, raw.len, SPAN_MAP_HEADER_BYTES, err);
    return rc;
}

static int compact(struct span_file *file, struct err *err)
{
    SCOPED(fd)
    int map_fd = openat(file->dir_fd, "map.new", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    uint64_t records = 0;
    int rc;

    if (map_fd < 0)
        return err_sys(err, -errno, "map.new");
    rc = encode_compact(file, map_fd, &records, err);
    if (rc < 0)
        return rc;
    if (fsync(map_fd) < 0 || renameat(file->dir_fd, "map.new", file->dir_fd, "map") < 0 ||
        fsync(file->dir_fd) < 0)
        return err_sys(err, -errno, "map.new");
    scoped_fd(&file->map_fd);
    file->map_fd = take_fd(&map_fd);
    file->records = records;
    return 0;
}

/* ---- opening --------------------------------------------------------------------------------- */

/* What cannot be read is checked again. */
static void read_checked(struct span_file *file)
{
    struct err err = ERR_NONE;
    struct verdict verdict;
    int rc =
        verdict_read(file->checked_path, &file->header.layer, &file->header.ztoc, &verdict, &err);

    file->is_checked = rc == 0 && verdict.kind == VERDICT_CHECKED;
    if (file->is_checked)
        file->diff_id = verdict.digest;
    if (rc < 0 && rc != -ENOENT)
        log_debug("that a layer was checked is not known any more", "path=%s err=%s", file->path,
                  err_text(&err));
}

static int open_files(struct store *store, struct span_file *file, struct err *err)
{
    int rc = open_dirs(store, file, err);

    if (rc < 0)
        return rc;
    rc = use_existing(file, err);
    if (rc == -ENOENT || rc == -EBADMSG) {
        log_debug("starting a span file anew", "path=%s err=%s", file->path, err_text(err));
        return start_anew(file, err);
    }
    if (rc == 0)
        read_checked(file);
    if (rc == 0 && file->records > records_kept(file->header.span_count))
        rc = compact(file, err);
    return rc;
}

static int alloc_file(struct store *store, const struct span_file_options *options,
                      struct span_file **ret)
{
    struct span_file *file = calloc(1, sizeof(*file));

    if (file == NULL)
        return -ENOMEM;
    *ret = file;
    file->dir_fd = file->layers_fd = file->data_fd = file->map_fd = -1;
    file->header = (struct span_map_header){.layer = options->layer,
                                            .ztoc = options->ztoc,
                                            .span_count = options->span_count,
                                            .data_bytes = options->uncomp_bytes};
    (void)pthread_mutex_init(&file->lock, NULL);
    (void)pthread_mutex_init(&file->sync_lock, NULL);
    file->path = store_layer_path(store->layers_dir, &options->layer, &options->ztoc);
    file->data_path = file->path == NULL ? NULL : path_join(file->path, "data");
    file->checked_path = file->path == NULL ? NULL : path_join(file->path, "checked");
    file->known = calloc(options->span_count, sizeof(*file->known));
    file->crc = calloc(options->span_count, sizeof(*file->crc));
    return file->data_path == NULL || file->checked_path == NULL || file->known == NULL ||
                   file->crc == NULL
               ? -ENOMEM
               : 0;
}

int span_file_open(struct store *store, const struct span_file_options *options,
                   struct span_file **ret, struct err *err)
{
    SCOPED(span_file) struct span_file *file = NULL;
    struct err own =
        ERR_NONE; /* the text is wanted for the log also when the caller does not want it */
    int rc;

    if (options->span_count == 0 || options->span_count > UINT32_MAX ||
        options->uncomp_bytes > INT64_MAX)
        return err_set(err, -EFBIG, "span file: %zu spans of %llu bytes cannot be",
                       options->span_count, (unsigned long long)options->uncomp_bytes);
    rc = alloc_file(store, options, &file);
    if (rc < 0)
        return err_set(err, rc, "span file: out of memory");
    rc = open_files(store, file, &own);
    if (rc < 0)
        return err_set(err, rc, "span file %s: %s", file->path, own.text);
    *ret = TAKE(file);
    return 0;
}

int span_file_remove(struct store *store, const struct digest *layer, const struct digest *ztoc,
                     struct err *err)
{
    SCOPED(mem) char *path = store_layer_path(store->layers_dir, layer, ztoc);
    SCOPED(fd) int dir_fd = -1;
    int rc;

    if (path == NULL)
        return err_set(err, -ENOMEM, "span file: out of memory");
    rc = lock_dir(path, &dir_fd, err);
    if (rc == -ENOENT)
        return 0;
    return rc < 0 ? rc : dir_remove_all(path, err);
}
