/* SPDX-License-Identifier: Apache-2.0 */
/* build_ztoc.c – build the ztoc of one layer file and say what that cost. For the benchmark, and
 * for comparing with other builders by hand.
 *
 *   build_ztoc gzip|plain SPAN_SIZE LAYER [OUTPUT] */
#include "base/files.h"
#include "base/text.h"
#include "ztoc/ztoc.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>

enum { PIECE_BYTES = 128 * 1024 };

static int feed_file(struct ztoc_builder *builder, const char *path, struct err *err)
{
    static uint8_t piece[PIECE_BYTES];
    SCOPED(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len;

    if (fd < 0)
        return err_sys(err, -errno, "%s", path);
    while ((len = read(fd, piece, sizeof(piece))) > 0) {
        int rc = ztoc_builder_feed(builder, bytes_of(piece, (size_t)len), err);

        if (rc < 0)
            return rc;
    }
    return len < 0 ? err_sys(err, -errno, "%s", path) : 0;
}

static int build(const char *kind, const char *span_size, const char *layer, struct buf *ret,
                 struct ztoc_build_info *info, struct err *err)
{
    struct ztoc_build_options options = {.build_tool = NULL};
    enum ztoc_compression compression = strcmp(kind, "plain") == 0 ? ZTOC_UNCOMPRESSED : ZTOC_GZIP;
    SCOPED(ztoc_builder) struct ztoc_builder *builder = NULL;
    int rc = text_parse_u64(span_size, &options.span_size);

    if (rc < 0)
        return err_set(err, rc, "no span size: %s", span_size);
    rc = ztoc_builder_new(compression, &options, &builder, err);
    if (rc == 0)
        rc = feed_file(builder, layer, err);
    if (rc == 0)
        rc = ztoc_builder_finish(builder, ret, info, err);
    return rc;
}

static void print_cost(const struct ztoc_build_info *info)
{
    char digest[DIGEST_TEXT_BYTES];
    struct rusage usage;

    (void)getrusage(RUSAGE_SELF, &usage);
    digest_format(&info->digest, digest);
    printf("{\"digest\":\"%s\",\"ztoc_bytes\":%" PRIu64 ",\"layer_bytes\":%" PRIu64
           ",\"tar_bytes\":%" PRIu64
           ",\"files\":%zu,\"spans\":%zu,\"cpu_s\":%.3f,\"peak_rss_kib\":%ld}\n",
           digest, info->ztoc_size, info->comp_size, info->uncomp_size, info->file_count,
           info->span_count,
           (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
               (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6,
           usage.ru_maxrss);
}

int main(int argc, char **argv)
{
    SCOPED(buf_value) struct buf blob = BUF_EMPTY;
    struct ztoc_build_info info;
    struct err err = ERR_NONE;
    int rc;

    if (argc < 4 || argc > 5) {
        (void)fprintf(stderr, "usage: build_ztoc gzip|plain SPAN_SIZE LAYER [OUTPUT]\n");
        return 2;
    }
    rc = build(argv[1], argv[2], argv[3], &blob, &info, &err);
    if (rc == 0 && argc == 5)
        rc = file_replace(argv[4], buf_bytes(&blob), 0644, &err);
    if (rc != 0) {
        (void)fprintf(stderr, "build_ztoc: %s\n", err_text(&err));
        return 1;
    }
    print_cost(&info);
    return 0;
}
