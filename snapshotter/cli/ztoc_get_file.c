/* SPDX-License-Identifier: Apache-2.0 */
/* ztoc_get_file.c – `soci ztoc get-file`: one file out of a layer, by inflating only the spans that
 * hold it. */
#include "cli/output.h"
#include "cli/ztoc.h"

#include "base/files.h"
#include "containerd/containerd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct get_options {
    const char *output;
    const char *layer;
};

/* ---- the layer's bytes: a file, or containerd's content store -------------------------------- */

struct layer_bytes {
    int fd; /* -1: containerd is asked */
    struct containerd *containerd;
    char digest[DIGEST_TEXT_BYTES];
};

struct part {
    uint8_t *to;
    size_t left;
};

static int fill_part(void *self, struct bytes piece, struct err *err)
{
    struct part *part = self;

    if (piece.len > part->left)
        return err_set(err, -EPROTO, "containerd sent more than was asked for");
    memcpy(part->to, piece.data, piece.len);
    part->to += piece.len;
    part->left -= piece.len;
    return 0;
}

static int read_layer(void *self, void *buf, size_t len, uint64_t comp_off, struct err *err)
{
    struct layer_bytes *layer = self;
    struct part part = {.to = buf, .left = len};
    const struct containerd_sink sink = {.write = fill_part, .self = &part};

    if (layer->fd >= 0)
        return file_pread_all(layer->fd, buf, len, comp_off, err);
    return containerd_content_read(layer->containerd, layer->digest, comp_off, len, &sink, err);
}

static int open_layer(const struct cli_globals *globals, const struct get_options *options,
                      const struct cli_ztoc *ztoc, struct layer_bytes *ret, struct err *err)
{
    if (options->layer != NULL) {
        ret->fd = open(options->layer, O_RDONLY | O_CLOEXEC);
        return ret->fd < 0 ? err_sys(err, -errno, "%s", options->layer) : 0;
    }
    if (!ztoc->has_layer)
        return err_set(err, -EINVAL, "the layer is not known; name its file with --layer");
    digest_format(&ztoc->layer, ret->digest);
    return cli_connect(globals, &ret->containerd, err);
}

/* ---- which entry ----------------------------------------------------------------------------- */

enum { LINKS_MAX = 40 }; /* as the kernel follows */

/* The stored name of a link's target: a hard link names it as it is, a symlink from its own
 * directory. New string. */
static char *target_name(const struct ztoc_file *file)
{
    const char *slash = strrchr(file->name, '/');

    if (file->type == ZTOC_HARDLINK || file->linkname[0] == '/' || slash == NULL)
        return text_copy(file->linkname);
    return text_format("%.*s%s", (int)(slash - file->name + 1), file->name, file->linkname);
}

/* A symlink may be absolute where the stored names are not. */
static bool find_entry(const struct ztoc *toc, const char *name, struct ztoc_file *ret)
{
    size_t i = ztoc_find(toc, name);

    if (i == SIZE_MAX && name[0] == '/')
        i = ztoc_find(toc, name + 1);
    if (i != SIZE_MAX)
        ztoc_file_at(toc, i, ret);
    return i != SIZE_MAX;
}

static int find_file(const struct ztoc *toc, const char *name, struct ztoc_file *ret,
                     struct err *err)
{
    SCOPED(mem) char *at = text_copy(name);
    int links;

    for (links = 0; at != NULL && links < LINKS_MAX; links++) {
        char *next;

        if (!find_entry(toc, at, ret))
            return err_set(err, -ENOENT, "file %s does not exist in metadata", at);
        if (ret->type == ZTOC_REG)
            return 0;
        if (ret->type != ZTOC_HARDLINK && ret->type != ZTOC_SYMLINK)
            return err_set(err, -EINVAL, "%s is no regular file", at);
        next = target_name(ret);
        free(at);
        at = next;
    }
    return at == NULL ? err_set(err, -ENOMEM, "out of memory")
                      : err_set(err, -ELOOP, "%s: too many links", name);
}

/* ---- where it goes --------------------------------------------------------------------------- */

static int write_fd(void *arg, struct bytes part, struct err *err)
{
    return file_write_all(*(int *)arg, part.data, part.len, err);
}

static int extract(const struct cli_ztoc *ztoc, const struct ztoc_file *file,
                   struct layer_bytes *layer, int fd, struct err *err)
{
    const struct ztoc_source source = {.read_at = read_layer, .self = layer};
    const struct ztoc_sink sink = {.write = write_fd, .self = &fd};

    return ztoc_extract(ztoc->toc, buf_bytes(&ztoc->blob), &source, file, &sink, err);
}

static int extract_to_file(const char *path, const struct cli_ztoc *ztoc,
                           const struct ztoc_file *file, struct layer_bytes *layer, struct err *err)
{
    SCOPED(cli_output) struct cli_output output = CLI_OUTPUT_NONE;
    int rc = cli_output_open(path, &output, err);

    if (rc == 0)
        rc = extract(ztoc, file, layer, output.fd, err);
    return rc < 0 ? rc : cli_output_done(&output, err);
}

/* On stdout a newline follows, as with the reference; a file gets the bytes alone. */
static int extract_to(const struct get_options *options, const struct cli_ztoc *ztoc,
                      const struct ztoc_file *file, struct layer_bytes *layer, struct err *err)
{
    int rc;

    if (options->output != NULL)
        return extract_to_file(options->output, ztoc, file, layer, err);
    rc = extract(ztoc, file, layer, STDOUT_FILENO, err);
    return rc < 0 ? rc : file_write_all(STDOUT_FILENO, "\n", 1, err);
}

static int run(const struct cli_globals *globals, void *arg, const struct text_list *words,
               struct err *err)
{
    const struct get_options *options = arg;
    SCOPED(cli_ztoc) struct cli_ztoc ztoc = CLI_ZTOC_EMPTY;
    struct layer_bytes layer = {.fd = -1};
    struct ztoc_file file;
    int rc;

    if (words->count < 2)
        return err_set(err, -EINVAL, "please provide both a ztoc digest and a filename to extract");
    rc = cli_ztoc_load(globals, words->items[0], &ztoc, err);
    if (rc == 0)
        rc = find_file(ztoc.toc, words->items[1], &file, err);
    if (rc == 0)
        rc = open_layer(globals, options, &ztoc, &layer, err);
    if (rc == 0)
        rc = extract_to(options, &ztoc, &file, &layer, err);
    if (layer.fd >= 0)
        (void)close(layer.fd);
    containerd_close(layer.containerd);
    return rc;
}

static const struct flag flags[] = {
    {.name = "output",
     .alias = "o",
     .kind = FLAG_TEXT,
     .offset = offsetof(struct get_options, output),
     .value = "<file>",
     .help = "write there instead of to standard output"},
    {.name = "layer",
     .kind = FLAG_TEXT,
     .offset = offsetof(struct get_options, layer),
     .value = "<file>",
     .help = "the layer (default: containerd's content store is asked)"},
};
const struct cli_verb cli_verb_ztoc_get_file = {
    .name = "get-file",
    .args = "[flags] <ztoc digest or file> <name>",
    .summary = "take one file out of a layer",
    .flags = flags,
    .flag_count = ARRAY_LEN(flags),
    .options_bytes = sizeof(struct get_options),
    .run = run,
};
