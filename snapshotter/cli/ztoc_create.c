/* SPDX-License-Identifier: Apache-2.0 */
/* ztoc_create.c – `soci ztoc create`: the ztoc of a layer in a file, with no containerd. */
#include "cli/output.h"
#include "cli/ztoc.h"

#include "base/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct create_options {
    uint64_t span_size;
    const char *build_tool;
    const char *output;
};

static void set_defaults(void *options)
{
    *(struct create_options *)options = (struct create_options){
        .span_size = INDEX_SPAN_SIZE_BYTES,
        .build_tool = INDEX_BUILD_TOOL,
    };
}

/* Whole reads of this much: the builder works on what it is fed without copying. */
enum { READ_BYTES = 256 * 1024 };

/* Gzip's magic tells; anything else must be a tar, and the parser says so when it is not. */
static int detect(int fd, const char *path, enum ztoc_compression *ret, struct err *err)
{
    uint8_t magic[2] = {0, 0};
    ssize_t n = pread(fd, magic, sizeof(magic), 0);

    if (n < 0)
        return err_sys(err, -errno, "%s", path);
    if (n == 0)
        return err_set(err, -EBADMSG, "%s: the file is empty", path);
    *ret = n == 2 && magic[0] == 0x1f && magic[1] == 0x8b ? ZTOC_GZIP : ZTOC_UNCOMPRESSED;
    return 0;
}

static int feed_file(int fd, struct ztoc_builder *builder, struct err *err)
{
    SCOPED(mem) uint8_t *buf = malloc(READ_BYTES);

    if (buf == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    for (;;) {
        ssize_t n = read(fd, buf, READ_BYTES);
        int rc;

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_sys(err, -errno, "read");
        if (n == 0)
            return 0;
        rc = ztoc_builder_feed(builder, bytes_of(buf, (size_t)n), err);
        if (rc < 0)
            return rc;
    }
}

static int build(const char *path, const struct create_options *options, struct buf *ret_blob,
                 struct ztoc_build_info *ret_info, struct err *err)
{
    const struct ztoc_build_options build_options = {
        .span_size = options->span_size,
        .build_tool = options->build_tool,
    };
    SCOPED(ztoc_builder) struct ztoc_builder *builder = NULL;
    SCOPED(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
    enum ztoc_compression compression = ZTOC_UNCOMPRESSED;
    int rc;

    if (fd < 0)
        return err_sys(err, -errno, "%s", path);
    rc = detect(fd, path, &compression, err);
    if (rc < 0)
        return rc;
    rc = ztoc_builder_new(compression, &build_options, &builder, err);
    if (rc == 0)
        rc = feed_file(fd, builder, err);
    if (rc == 0)
        rc = ztoc_builder_finish(builder, ret_blob, ret_info, err);
    return rc < 0 ? err_prefix(err, rc, "%s", path) : 0;
}

static int write_blob(const char *path, struct bytes blob, struct err *err)
{
    SCOPED(cli_output) struct cli_output output = CLI_OUTPUT_NONE;
    int rc = cli_output_open(path, &output, err);

    if (rc < 0)
        return rc;
    rc = file_write_all(output.fd, blob.data, blob.len, err);
    return rc < 0 ? err_prefix(err, rc, "%s", path) : cli_output_done(&output, err);
}

static int run(const struct cli_globals *globals, void *arg, const struct text_list *words,
               struct err *err)
{
    const struct create_options *options = arg;
    SCOPED(buf_value) struct buf blob = BUF_EMPTY;
    char text[DIGEST_TEXT_BYTES];
    struct ztoc_build_info info;
    int rc;

    (void)globals;
    if (words->count != 1)
        return err_set(err, -EINVAL,
                       words->count == 0 ? "a layer file needs to be specified"
                                         : "one layer file at a time, please");
    rc = build(words->items[0], options, &blob, &info, err);
    if (rc == 0 && options->output != NULL)
        rc = write_blob(options->output, buf_bytes(&blob), err);
    if (rc < 0)
        return rc;
    digest_format(&info.digest, text);
    (void)printf("%s\n", text);
    return 0;
}

static const struct flag flags[] = {
    {.name = "span-size",
     .kind = FLAG_SIZE,
     .offset = offsetof(struct create_options, span_size),
     .value = "<bytes>",
     .help = "tar bytes per span (default: 4194304)"},
    {.name = "build-tool",
     .kind = FLAG_TEXT,
     .offset = offsetof(struct create_options, build_tool),
     .value = "<id>",
     .help = "written into the ztoc (default: \"" INDEX_BUILD_TOOL "\")"},
    {.name = "output",
     .alias = "o",
     .kind = FLAG_TEXT,
     .offset = offsetof(struct create_options, output),
     .value = "<file>",
     .help = "write the ztoc there; without it only the digest is printed"},
};
const struct cli_verb cli_verb_ztoc_create = {
    .name = "create",
    .args = "[flags] <layer file>",
    .summary = "make the ztoc of a layer file (tar or tar.gz) and print its digest",
    .flags = flags,
    .flag_count = ARRAY_LEN(flags),
    .options_bytes = sizeof(struct create_options),
    .set_defaults = set_defaults,
    .run = run,
};
