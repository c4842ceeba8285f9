/* SPDX-License-Identifier: Apache-2.0 */
/* config_streams.c – [pull_modes.parallel_pull_unpack.decompress_streams.<kind>]: programs that
 * unpack layers. */
#include "daemon/config_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define STREAMS "pull_modes.parallel_pull_unpack.decompress_streams"

/* pull_modes.parallel_pull_unpack.decompress_streams.<kind>.<key>[.<n>] */
enum { STREAM_DEPTH = 4, KEY_DEPTH = 5, ITEM_DEPTH = 6 };
enum { ARGS_MAX = 100 };

static const char *const kinds[CONFIG_STREAMS] = {"gzip", "zstd"};

/* NULL: of a kind that nobody has layers of. */
static struct config_stream *find_stream(struct config *config, const char *kind)
{
    for (size_t i = 0; i < CONFIG_STREAMS; i++) {
        if (text_equal_nocase(kinds[i], kind))
            return &config->parallel.streams[i];
    }
    return NULL;
}

static int check_kind(const char *name, enum toml_kind wanted, const char *what,
                      const struct toml_value *value, struct err *err)
{
    return value->kind == wanted
               ? 0
               : err_set(err, -EINVAL, "toml: line %u: %s must be %s", value->line, name, what);
}

static int read_path(struct config_stream *stream, const struct toml_value *value, struct err *err)
{
    free(stream->path);
    stream->path = text_copy(value->string);
    return stream->path == NULL ? err_set(err, -ENOMEM, "out of memory") : 0;
}

static int read_arg(struct config_stream *stream, const struct toml_value *value, struct err *err)
{
    if (stream->args.count == ARGS_MAX)
        return err_set(err, -ERANGE, "line %u: " STREAMS ": more than %d args", value->line,
                       ARGS_MAX);
    return text_list_add(&stream->args, value->string) < 0 ? err_set(err, -ENOMEM, "out of memory")
                                                           : 0;
}

int config_streams_value(struct config *config, const char *const *path, size_t depth,
                         const struct toml_value *value, struct err *err)
{
    struct config_stream *stream =
        depth >= STREAM_DEPTH ? find_stream(config, path[STREAM_DEPTH - 1]) : NULL;
    const char *key = depth >= KEY_DEPTH ? path[KEY_DEPTH - 1] : "";
    bool is_args = text_equal_nocase(key, "args");
    int rc;

    if (depth < KEY_DEPTH) {
        rc = check_kind(path[depth - 1], TOML_TABLE, "a table", value, err);
        if (rc == 0 && stream != NULL)
            stream->line = value->line;
        return rc < 0 || depth < STREAM_DEPTH || stream != NULL ? rc : TOML_SKIP;
    }
    if (stream == NULL || depth > ITEM_DEPTH || (depth == ITEM_DEPTH && !is_args) ||
        (!is_args && !text_equal_nocase(key, "path")))
        return TOML_SKIP;
    rc = check_kind(key, is_args && depth == KEY_DEPTH ? TOML_ARRAY : TOML_STRING,
                    is_args ? "a list of strings" : "a string", value, err);
    if (rc < 0)
        return rc;
    if (!is_args)
        return read_path(stream, value, err);
    return depth == ITEM_DEPTH ? read_arg(stream, value, err) : 0;
}

int config_streams_check(const struct config *config, struct err *err)
{
    for (size_t i = 0; i < CONFIG_STREAMS; i++) {
        const struct config_stream *stream = &config->parallel.streams[i];

        if (stream->line != 0 && (stream->path == NULL || stream->path[0] == '\0'))
            return err_set(err, -ERANGE, "line %u: " STREAMS ".%s: path is missing", stream->line,
                           kinds[i]);
    }
    return 0;
}

static int print_stream(const char *kind, const struct config_stream *stream, struct buf *ret)
{
    int rc = buf_addf(ret, "\n[" STREAMS ".%s]\npath = ", kind);

    if (rc == 0)
        rc = text_add_json(ret, bytes_of_str(stream->path), false);
    if (rc == 0)
        rc = buf_add_str(ret, "\nargs = [");
    for (size_t i = 0; i < stream->args.count && rc == 0; i++) {
        rc = i == 0 ? 0 : buf_add_str(ret, ", ");
        if (rc == 0)
            rc = text_add_json(ret, bytes_of_str(stream->args.items[i]), false);
    }
    return rc < 0 ? rc : buf_add_str(ret, "]\n");
}

int config_streams_print(const struct config *config, struct buf *ret)
{
    int rc = 0;

    for (size_t i = 0; i < CONFIG_STREAMS && rc == 0; i++) {
        if (config->parallel.streams[i].path != NULL)
            rc = print_stream(kinds[i], &config->parallel.streams[i], ret);
    }
    return rc;
}

void config_streams_fini(struct config *config)
{
    for (size_t i = 0; i < CONFIG_STREAMS; i++) {
        free(TAKE(config->parallel.streams[i].path));
        text_list_fini(&config->parallel.streams[i].args);
    }
}
