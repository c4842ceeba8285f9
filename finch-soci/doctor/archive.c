/* SPDX-License-Identifier: Apache-2.0 */
/* archive.c – files in memory become a tar in gzip: ustar, all of them 0600. */
#include "doctor/internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { BLOCK_BYTES = 512, NAME_BYTES = 100 };

int doctor_archive_add(struct doctor_archive *archive, const char *name, struct bytes text)
{
    struct doctor_file *file = &archive->files[archive->count];
    int rc;

    if (archive->count == DOCTOR_FILES_MAX || text.len == 0)
        return 0;
    *file = (struct doctor_file){.content = BUF_EMPTY};
    (void)snprintf(file->name, sizeof(file->name), "%s", name);
    rc = doctor_scrub(text, &file->content);
    archive->count++;
    return rc;
}

void doctor_archive_fini(struct doctor_archive *archive)
{
    for (size_t i = 0; i < archive->count; i++)
        buf_fini(&archive->files[i].content);
    archive->count = 0;
}

/* ---- tar ------------------------------------------------------------------------------------- */

/* Where each field of a ustar header begins. */
enum {
    AT_MODE = 100,
    AT_UID = 108,
    AT_GID = 116,
    AT_SIZE = 124,
    AT_TIME = 136,
    AT_SUM = 148,
    AT_TYPE = 156,
    AT_MAGIC = 257
};

static int add_header(struct buf *tar, const char *name, size_t size, int64_t time_s)
{
    char header[BLOCK_BYTES] = "";
    unsigned sum = 0;

    (void)snprintf(header, NAME_BYTES, "%s", name);
    (void)snprintf(header + AT_MODE, 8, "%07o", 0600u);
    (void)snprintf(header + AT_UID, 8, "%07o", 0u);
    (void)snprintf(header + AT_GID, 8, "%07o", 0u);
    (void)snprintf(header + AT_SIZE, 12, "%011llo", (unsigned long long)size);
    (void)snprintf(header + AT_TIME, 12, "%011llo", (unsigned long long)time_s);
    memset(header + AT_SUM, ' ', 8);
    header[AT_TYPE] = '0';
    memcpy(header + AT_MAGIC, "ustar\00000", 8);
    for (size_t i = 0; i < sizeof(header); i++)
        sum += (unsigned char)header[i];
    (void)snprintf(header + AT_SUM, 8, "%06o", sum);
    return buf_add(tar, header, sizeof(header));
}

static int make_tar(const struct doctor_archive *archive, int64_t time_s, struct buf *tar)
{
    int rc = 0;

    for (size_t i = 0; i < archive->count && rc == 0; i++) {
        const struct doctor_file *file = &archive->files[i];
        SCOPED(mem) char *name = text_format("finch-soci-doctor/%s", file->name);

        rc = name == NULL ? -ENOMEM : add_header(tar, name, file->content.len, time_s);
        if (rc == 0)
            rc = buf_add(tar, file->content.data, file->content.len);
        if (rc == 0 && file->content.len % BLOCK_BYTES != 0)
            rc = buf_add_zeros(tar, BLOCK_BYTES - file->content.len % BLOCK_BYTES);
    }
    return rc == 0 ? buf_add_zeros(tar, 2 * (size_t)BLOCK_BYTES) : rc;
}

/* ---- gzip ------------------------------------------------------------------------------------ */

static int compress_all(struct bytes in, struct buf *ret)
{
    z_stream z = {.zalloc = NULL};
    int rc;

    /* 15 bits of window, and 16: gzip's header */
    if (deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return -ENOMEM;
    rc = buf_reserve(ret, deflateBound(&z, (uLong)in.len));
    if (rc == 0) {
        z.next_in = (Bytef *)(uintptr_t)in.data;
        z.avail_in = (uInt)in.len;
        z.next_out = ret->data + ret->len;
        z.avail_out = (uInt)(ret->cap - ret->len);
        rc = deflate(&z, Z_FINISH) == Z_STREAM_END ? 0 : -EIO;
        ret->len += z.total_out;
    }
    (void)deflateEnd(&z);
    return rc;
}

int doctor_archive_encode(const struct doctor_archive *archive, int64_t time_s, struct buf *ret)
{
    SCOPED(buf_value) struct buf tar = BUF_EMPTY;
    int rc = make_tar(archive, time_s, &tar);

    return rc < 0 ? rc : compress_all(buf_bytes(&tar), ret);
}
