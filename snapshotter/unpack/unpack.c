/* SPDX-License-Identifier: Apache-2.0 */
/* unpack.c – the way of the bytes: hash, unpack, hash again, parse, and onto the disk. */
#include "unpack/internal.h"

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { PROGRAM_LOG_PERIOD_MS = 60 * 1000 };

static int open_root(struct unpack *u, const char *dir, struct err *err)
{
    u->root_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return u->root_fd < 0 ? err_sys(err, -errno, "%s", dir) : 0;
}

int unpack_new(const struct unpack_options *options, struct unpack **ret, struct err *err)
{
    SCOPED(unpack) struct unpack *u = calloc(1, sizeof(*u));
    const struct tar_events events = {.entry = entry_make, .arg = u};
    int rc;

    if (u == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    u->root_fd = u->place.fd = u->file_fd = -1;
    u->layer = options->layer;
    u->userxattr = options->userxattr;
    u->programs = options->programs;
    u->comp_hasher = hasher_new();
    u->uncomp_hasher = hasher_new();
    if (u->comp_hasher == NULL || u->uncomp_hasher == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    rc = tar_parser_new(&events, &u->tar, err);
    if (rc == 0)
        rc = open_root(u, options->dir, err);
    if (rc < 0)
        return rc;
    tar_parser_want_content(u->tar, entry_content);
    tar_parser_pass_over_global(u->tar); /* as containerd does */
    *ret = TAKE(u);
    return 0;
}

void unpack_free(struct unpack *u)
{
    if (u == NULL)
        return;
    if (u->codec != NULL && u->program == NULL)
        u->codec->close(u->codec_state);
    program_close(u->program);
    tar_parser_free(u->tar);
    hasher_free(u->comp_hasher);
    hasher_free(u->uncomp_hasher);
    scoped_fd(&u->file_fd);
    scoped_fd(&u->place.fd);
    scoped_fd(&u->root_fd);
    buf_fini(&u->place.name);
    text_list_fini(&u->made);
    buf_fini(&u->made_inodes);
    buf_fini(&u->name);
    buf_fini(&u->link);
    attrs_fini(&u->attrs);
    free(u);
}

static int on_tar(void *arg, struct bytes piece, struct err *err)
{
    struct unpack *u = arg;

    if (hasher_update(u->uncomp_hasher, piece) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    return tar_parser_feed(u->tar, piece, err);
}

static const char *const *program_for(const struct unpack *u, const struct codec *codec)
{
    if (u->programs == NULL || codec == &codec_plain)
        return NULL;
    return codec == &codec_gzip ? u->programs->gzip : u->programs->zstd;
}

static void start_program(struct unpack *u, const struct codec *codec)
{
    static struct log_limit limit = LOG_LIMIT_START;
    const char *const *argv = program_for(u, codec);
    struct err err = ERR_NONE;

    if (argv == NULL || program_open(argv, &u->program, &err) == 0)
        return;
    if (log_limit_pass(&limit, PROGRAM_LOG_PERIOD_MS))
        log_warn("a program to unpack layers cannot be run, doing it here", "program=%s err=%s",
                 argv[0], err_text(&err));
}

static int feed_piece(struct unpack *u, struct bytes comp, struct err *err)
{
    const struct sink sink = {.write = on_tar, .arg = u};
    int rc;

    if (u->program == NULL)
        return u->codec->feed(u->codec_state, comp, &sink, err);
    rc = program_feed(u->program, comp, &sink, err);
    return rc < 0 ? err_prefix(err, rc, "%s", program_for(u, u->codec)[0]) : 0;
}

static int feed_codec(struct unpack *u, struct bytes comp, struct err *err)
{
    int rc = 0;

    while (comp.len > 0 && rc == 0) {
        size_t len = comp.len < CODEC_FEED_MAX_BYTES ? comp.len : CODEC_FEED_MAX_BYTES;

        rc = feed_piece(u, bytes_of(comp.data, len), err);
        comp = bytes_of(comp.data + len, comp.len - len);
    }
    return rc;
}

static int finish_codec(struct unpack *u, struct err *err)
{
    const struct sink sink = {.write = on_tar, .arg = u};
    int rc;

    if (u->program == NULL)
        return u->codec->finish(u->codec_state, err);
    rc = program_finish(u->program, &sink, err);
    return rc < 0 ? err_prefix(err, rc, "%s", program_for(u, u->codec)[0]) : 0;
}

/* The first bytes, kept back until they tell how the layer is packed. */
static int start_codec(struct unpack *u, struct err *err)
{
    struct bytes start = bytes_of(u->start, u->start_len);
    const struct codec *codec = codec_of(start);
    int rc = 0;

    start_program(u, codec);
    if (u->program == NULL)
        rc = codec->open(&u->codec_state, err);
    if (rc < 0)
        return rc;
    u->codec = codec;
    return feed_codec(u, start, err);
}

static int take_start(struct unpack *u, struct bytes *comp, struct err *err)
{
    size_t len = CODEC_MAGIC_BYTES - u->start_len;

    if (len > comp->len)
        len = comp->len;
    memcpy(u->start + u->start_len, comp->data, len);
    u->start_len += len;
    *comp = bytes_of(comp->data + len, comp->len - len);
    return u->start_len < CODEC_MAGIC_BYTES ? 0 : start_codec(u, err);
}

int unpack_feed(struct unpack *u, struct bytes comp, struct err *err)
{
    int rc = 0;

    if (comp.len == 0)
        return 0;
    if (hasher_update(u->comp_hasher, comp) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    if (u->codec == NULL)
        rc = take_start(u, &comp, err);
    if (rc == 0)
        rc = feed_codec(u, comp, err);
    return rc;
}

static int check_layer(struct unpack *u, struct err *err)
{
    char text[DIGEST_TEXT_BYTES];
    struct digest digest;

    if (hasher_final(u->comp_hasher, &digest) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    digest_format(&digest, text);
    return digest_equal(&digest, &u->layer)
               ? 0
               : err_set(err, -EBADMSG, "the bytes have digest %s", text);
}

int unpack_finish(struct unpack *u, struct digest *ret_diff_id, struct err *err)
{
    int rc = u->codec == NULL ? start_codec(u, err) : 0;

    if (rc == 0)
        rc = finish_codec(u, err);
    if (rc == 0)
        rc = check_layer(u, err);
    if (rc == 0)
        rc = tar_parser_finish(u->tar, err);
    if (rc == 0)
        rc = place_leave(u, err);
    if (rc < 0)
        return rc;
    if (hasher_final(u->uncomp_hasher, ret_diff_id) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    return 0;
}

int unpack_sync(const struct unpack *u, struct err *err)
{
    return syncfs(u->root_fd) < 0 ? err_sys(err, -errno, "sync") : 0;
}

const struct text_list *unpack_made_dirs(const struct unpack *u)
{
    return &u->made;
}
