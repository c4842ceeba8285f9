/* SPDX-License-Identifier: Apache-2.0 */
/* encode.c – the FlatBuffer of a ztoc, byte for byte as the reference lays it out.
 *
 * It is written twice: once to learn its size, then into memory of that size. Order of creation,
 * and so the place of everything, is the reference's: texts, entries from the last to the first,
 * the zinfo, the digests, the root. */
#include "ztoc/internal.h"

#include "base/clock.h"
#include "flatbuf/flatbuf.h"

#include <errno.h>
#include <stdlib.h>

/* References to what was created, in the order of the tar and of the spans; and room for those of
 * an entry. */
struct encoding {
    const struct encode_input *input;
    size_t zinfo_bytes;
    flatbuf_ref *files, *digests, *xattrs;
    flatbuf_ref zinfo; /* of the last writing */
};

static void encoding_fini(struct encoding *e)
{
    free(e->files);
    free(e->digests);
    free(e->xattrs);
}
DEFINE_SCOPED_VALUE(encoding, struct encoding, encoding_fini)

static int encoding_init(struct encoding *e, const struct encode_input *input, size_t zinfo_bytes)
{
    size_t most_xattrs = 0;

    for (size_t i = 0; i < input->table->rare_count; i++) {
        if (input->table->rares[i].xattr_count > most_xattrs)
            most_xattrs = input->table->rares[i].xattr_count;
    }
    e->input = input;
    e->zinfo_bytes = zinfo_bytes;
    e->files = calloc(input->table->count + 1, sizeof(*e->files));
    e->digests = calloc(input->span_count + 1, sizeof(*e->digests));
    e->xattrs = calloc(most_xattrs + 1, sizeof(*e->xattrs));
    return e->files == NULL || e->digests == NULL || e->xattrs == NULL ? -ENOMEM : 0;
}

static flatbuf_ref add_text(struct flatbuf_writer *w, const char *s)
{
    return flatbuf_add_string(w, bytes_of_str(s));
}

static flatbuf_ref add_xattrs(struct encoding *e, struct flatbuf_writer *w, size_t file,
                              size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct ztoc_xattr xattr;
        flatbuf_ref key, value;

        table_get_xattr(e->input->table, file, i, &xattr);
        key = add_text(w, xattr.key);
        value = flatbuf_add_string(w, xattr.value);
        flatbuf_table_start(w, XATTR_FIELDS);
        flatbuf_put_ref(w, XATTR_KEY, key);
        flatbuf_put_ref(w, XATTR_VALUE, value);
        e->xattrs[i] = flatbuf_table_end(w);
    }
    return flatbuf_add_refs(w, e->xattrs, count);
}

static flatbuf_ref add_file(struct encoding *e, struct flatbuf_writer *w, size_t i)
{
    char mtime_text[CLOCK_RFC3339_BYTES] = "";
    flatbuf_ref name, type, linkname, uname, gname, mtime, xattrs;
    struct ztoc_file file;

    table_get(e->input->table, i, &file);
    if (file.has_mtime)
        clock_rfc3339(file.mtime_sec, file.mtime_nsec, mtime_text);
    name = add_text(w, file.name);
    type = add_text(w, ztoc_type_name(file.type));
    linkname = add_text(w, file.linkname);
    uname = add_text(w, file.uname);
    gname = add_text(w, file.gname);
    mtime = add_text(w, mtime_text);
    xattrs = add_xattrs(e, w, i, file.xattr_count);
    flatbuf_table_start(w, FILE_FIELDS);
    flatbuf_put_ref(w, FILE_NAME, name);
    flatbuf_put_ref(w, FILE_TYPE, type);
    flatbuf_put_i64(w, FILE_UNCOMP_OFF, (int64_t)file.uncomp_off);
    flatbuf_put_i64(w, FILE_UNCOMP_SIZE, (int64_t)file.uncomp_size);
    flatbuf_put_ref(w, FILE_LINKNAME, linkname);
    flatbuf_put_i64(w, FILE_MODE, file.mode);
    flatbuf_put_i32(w, FILE_UID, (int32_t)file.uid);
    flatbuf_put_i32(w, FILE_GID, (int32_t)file.gid);
    flatbuf_put_ref(w, FILE_UNAME, uname);
    flatbuf_put_ref(w, FILE_GNAME, gname);
    flatbuf_put_ref(w, FILE_MTIME, mtime);
    flatbuf_put_i64(w, FILE_DEVMAJOR, file.devmajor);
    flatbuf_put_i64(w, FILE_DEVMINOR, file.devminor);
    flatbuf_put_ref(w, FILE_XATTRS, xattrs);
    return flatbuf_table_end(w);
}

static flatbuf_ref add_files(struct encoding *e, struct flatbuf_writer *w)
{
    size_t count = e->input->table->count;
    flatbuf_ref files;

    for (size_t i = count; i > 0; i--)
        e->files[i - 1] = add_file(e, w, i - 1);
    files = flatbuf_add_refs(w, e->files, count);
    flatbuf_table_start(w, TOC_FIELDS);
    flatbuf_put_ref(w, TOC_FILES, files);
    return flatbuf_table_end(w);
}

static flatbuf_ref add_info(struct encoding *e, struct flatbuf_writer *w)
{
    const struct encode_input *input = e->input;
    char digest[DIGEST_TEXT_BYTES];
    flatbuf_ref digests;

    e->zinfo = flatbuf_add_space(w, e->zinfo_bytes);
    for (size_t i = 0; i < input->span_count; i++) {
        digest_format(&input->digests[i], digest);
        e->digests[i] = add_text(w, digest);
    }
    digests = flatbuf_add_refs(w, e->digests, input->span_count);
    flatbuf_table_start(w, INFO_FIELDS);
    flatbuf_put_i32(w, INFO_MAX_SPAN,
                    (int32_t)input->span_count - 1); /* -1 for an empty layer, as the reference */
    flatbuf_put_ref(w, INFO_DIGESTS, digests);
    flatbuf_put_ref(w, INFO_CHECKPOINTS, e->zinfo);
    flatbuf_put_i8(w, INFO_ALGORITHM, (int8_t)input->compression, ZTOC_GZIP);
    return flatbuf_table_end(w);
}

static int write_all(struct encoding *e, struct flatbuf_writer *w)
{
    flatbuf_ref version = add_text(w, e->input->version);
    flatbuf_ref build_tool = add_text(w, e->input->build_tool);
    flatbuf_ref files = add_files(e, w);
    flatbuf_ref info = add_info(e, w);

    flatbuf_table_start(w, ROOT_FIELDS);
    flatbuf_put_ref(w, ROOT_VERSION, version);
    flatbuf_put_ref(w, ROOT_BUILD_TOOL, build_tool);
    flatbuf_put_ref(w, ROOT_TOC, files);
    flatbuf_put_i64(w, ROOT_COMP_SIZE, (int64_t)e->input->comp_size);
    flatbuf_put_i64(w, ROOT_UNCOMP_SIZE, (int64_t)e->input->uncomp_size);
    flatbuf_put_ref(w, ROOT_INFO, info);
    return flatbuf_finish(w, flatbuf_table_end(w));
}

int ztoc_encode(const struct encode_input *input, struct buf *blob, struct err *err)
{
    SCOPED(encoding) struct encoding e = {.input = NULL};
    SCOPED(flatbuf_writer) struct flatbuf_writer sizing;
    SCOPED(flatbuf_writer) struct flatbuf_writer writer;
    int rc = encoding_init(&e, input, blob->len);

    flatbuf_writer_init(&sizing, NULL);
    flatbuf_writer_init(&writer, NULL);
    if (rc == 0)
        rc = write_all(&e, &sizing);
    if (rc == 0)
        rc = buf_reserve(blob, sizing.used - blob->len);
    if (rc == 0) {
        writer.end = blob->data + sizing.used;
        memmove(writer.end - e.zinfo + sizeof(uint32_t), blob->data, blob->len);
        blob->len = sizing.used;
        rc = write_all(&e, &writer);
    }
    return rc < 0 ? err_sys(err, rc, "ztoc: writing %zu entries", input->table->count) : 0;
}
