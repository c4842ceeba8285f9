/* SPDX-License-Identifier: Apache-2.0 */
/* write_erofs.c – the EROFS image of one layer's file table, and what that cost. For the benchmark,
 * and for looking at images with other tools.
 *
 *   write_erofs ZTOC IMAGE */
#include "base/clock.h"
#include "base/files.h"
#include "erofs/erofs.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>

static int write_piece(void *self, struct bytes piece, struct err *err)
{
    return file_write_all(*(const int *)self, piece.data, piece.len, err);
}

static int load(const char *path, struct ztoc **ret, struct err *err)
{
    SCOPED(buf_value) struct buf blob = BUF_EMPTY;
    int rc = file_read(path, INT32_MAX, &blob, err);

    return rc < 0 ? rc : ztoc_parse(buf_bytes(&blob), ret, err);
}

static long peak_kib(void)
{
    struct rusage usage;

    (void)getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

static int run(char **argv, struct err *err)
{
    SCOPED(ztoc) struct ztoc *toc = NULL;
    SCOPED(tree) struct tree *tree = NULL;
    SCOPED(fd) int fd = open(argv[2], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    const struct erofs_sink sink = {.write = write_piece, .self = &fd};
    struct erofs_options options = {.no_xattrs = false};
    int64_t start_ns = clock_mono_ns(), tree_ns, write_ns;
    int rc = load(argv[1], &toc, err);

    if (fd < 0)
        return err_sys(err, -errno, "%s", argv[2]);
    if (rc < 0)
        return rc;
    options.tar_bytes = ztoc_uncomp_size(toc);
    tree_ns = clock_mono_ns();
    rc = tree_build(toc, &tree, err);
    write_ns = clock_mono_ns();
    if (rc == 0)
        rc = erofs_write(tree, &options, &sink, err);
    if (rc == 0)
        printf("{\"nodes\":%zu,\"parse_ms\":%" PRId64 ",\"tree_ms\":%" PRId64
               ",\"write_ms\":%" PRId64 ",\"image_bytes\":%jd,\"device_bytes\":%" PRIu64
               ",\"peak_rss_kib\":%ld}\n",
               tree_count(tree), (tree_ns - start_ns) / 1000000, (write_ns - tree_ns) / 1000000,
               (clock_mono_ns() - write_ns) / 1000000, (intmax_t)lseek(fd, 0, SEEK_CUR),
               erofs_device_bytes(options.tar_bytes), peak_kib());
    tree_free(TAKE(tree)); /* before what it borrows from */
    return rc;
}

int main(int argc, char **argv)
{
    struct err err = ERR_NONE;

    if (argc != 3) {
        (void)fprintf(stderr, "usage: write_erofs ZTOC IMAGE\n");
        return 2;
    }
    if (run(argv, &err) < 0) {
        (void)fprintf(stderr, "write_erofs: %s\n", err_text(&err));
        return 1;
    }
    return 0;
}
