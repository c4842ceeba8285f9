/* SPDX-License-Identifier: Apache-2.0 */
/* parse.c – a ztoc from bytes that nobody vouches for: every entry is checked, then copied into the
 * table.
 *
 * A FlatBuffer may refer to one string or table from many places, so a small blob can describe a
 * huge table. Writers of ztocs do not do that; how many entries there are, and what is copied of
 * them, is limited by the size of the blob. */
#include "ztoc/internal.h"

#include "base/clock.h"
#include "flatbuf/flatbuf.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

enum {
    ARENA_SLACK_BYTES = 64 * 1024
};                            /* strings that another writer shares, over the size of the blob */
enum { MIN_XATTR_BYTES = 4 }; /* a reference to it, at least */
/* A reference to it, its own table with references to a type and a name, and that name. */
enum { MIN_FILE_BYTES = 4 + 12 + 8 };

/* The records of one entry, used again for the next. */
struct records {
    struct tar_record *items;
    size_t cap;
    uint64_t total;
};

static void records_fini(struct records *records)
{
    free(records->items);
}
DEFINE_SCOPED_VALUE(records, struct records, records_fini)

static bool parse_type(struct bytes name, char *ret)
{
    for (size_t i = 0; table_type_chars[i] != '\0'; i++) {
        if (bytes_equal(name, bytes_of_str(ztoc_type_name((enum ztoc_type)i)))) {
            *ret = table_type_chars[i];
            return true;
        }
    }
    return false;
}

/* A time that does not parse is none, as in the reference. */
static void parse_mtime(struct bytes text, struct tar_entry *entry)
{
    char s[CLOCK_RFC3339_BYTES + 24]; /* any zone, and digits that do not count */

    entry->mtime_sec = INT64_MIN;
    if (text.len >= sizeof(s))
        return;
    if (text.len > 0)
        memcpy(s, text.data, text.len);
    s[text.len] = '\0';
    if (strlen(s) != text.len || clock_parse_rfc3339(s, &entry->mtime_sec, &entry->mtime_nsec) < 0)
        entry->mtime_sec = INT64_MIN;
}

static int compare_records(const void *a_, const void *b_)
{
    const struct tar_record *a = a_, *b = b_;
    size_t len = a->key.len < b->key.len ? a->key.len : b->key.len;
    int order = len == 0 ? 0 : memcmp(a->key.data, b->key.data, len);

    return order != 0 ? order : (a->key.len > b->key.len) - (a->key.len < b->key.len);
}

/* Sort, if another writer did not; a key that is there twice has no meaning. */
static int sort_records(struct records *records, size_t count, struct err *err)
{
    bool sorted = true;

    for (size_t i = 1; i < count && sorted; i++)
        sorted = compare_records(&records->items[i - 1], &records->items[i]) < 0;
    if (sorted)
        return 0;
    qsort(records->items, count, sizeof(records->items[0]), compare_records);
    for (size_t i = 1; i < count; i++) {
        if (compare_records(&records->items[i - 1], &records->items[i]) == 0)
            return err_set(err, -EBADMSG, "two extended attributes with the same name");
    }
    return 0;
}

static int parse_records(struct flatbuf *fb, struct flatbuf_table file, struct records *records,
                         struct tar_entry *entry, struct err *err)
{
    struct flatbuf_vector vector = flatbuf_vector_at(fb, file, FILE_XATTRS);

    entry->record_count = vector.count;
    records->total += vector.count;
    if (records->total > fb->blob.len / MIN_XATTR_BYTES)
        return err_set(err, -EBADMSG, "more extended attributes than fit");
    if (vector.count > records->cap) {
        struct tar_record *bigger = realloc(records->items, vector.count * sizeof(*bigger));

        if (bigger == NULL)
            return err_set(err, -ENOMEM, "out of memory");
        records->items = bigger;
        records->cap = vector.count;
    }
    for (size_t i = 0; i < vector.count; i++) {
        struct flatbuf_table xattr = flatbuf_vector_table(fb, vector, i);

        records->items[i].key = flatbuf_bytes(fb, xattr, XATTR_KEY);
        records->items[i].value = flatbuf_bytes(fb, xattr, XATTR_VALUE);
    }
    entry->records = records->items;
    return sort_records(records, vector.count, err);
}

/* Offset and size as numbers that can be added. */
static int check_range(const struct ztoc *toc, const struct tar_entry *entry, struct err *err)
{
    uint64_t end;

    if (entry->uncomp_off > toc->uncomp_size)
        return err_set(err, -EBADMSG, "at %" PRIu64 ", outside the tar of %" PRIu64 " bytes",
                       entry->uncomp_off, toc->uncomp_size);
    if (__builtin_add_overflow(entry->uncomp_off, entry->size, &end) ||
        end > INT64_MAX - TAR_BLOCK_BYTES)
        return err_set(err, -EBADMSG, "a size of %" PRId64 " at %" PRIu64, (int64_t)entry->size,
                       entry->uncomp_off);
    if (entry->type == '0' && entry->size > 0 && end > toc->uncomp_size)
        return err_set(err, -EBADMSG,
                       "its %" PRIu64 " bytes at %" PRIu64 " end outside the tar of %" PRIu64
                       " bytes",
                       entry->size, entry->uncomp_off, toc->uncomp_size);
    return 0;
}

static int parse_file(struct flatbuf *fb, struct flatbuf_table file, struct records *records,
                      struct ztoc *toc, struct err *err)
{
    struct tar_entry entry = {
        .name = flatbuf_bytes(fb, file, FILE_NAME),
        .uncomp_off = (uint64_t)flatbuf_i64(fb, file, FILE_UNCOMP_OFF, 0),
        .size = (uint64_t)flatbuf_i64(fb, file, FILE_UNCOMP_SIZE, 0),
        .linkname = flatbuf_bytes(fb, file, FILE_LINKNAME),
        .mode = flatbuf_i64(fb, file, FILE_MODE, 0),
        .uid =
            flatbuf_i32(fb, file, FILE_UID, 0), /* unsigned on the wire; the table keeps 32 bits */
        .gid = flatbuf_i32(fb, file, FILE_GID, 0),
        .uname = flatbuf_bytes(fb, file, FILE_UNAME),
        .gname = flatbuf_bytes(fb, file, FILE_GNAME),
        .devmajor = flatbuf_i64(fb, file, FILE_DEVMAJOR, 0),
        .devminor = flatbuf_i64(fb, file, FILE_DEVMINOR, 0),
    };
    int rc;

    if (!parse_type(flatbuf_bytes(fb, file, FILE_TYPE), &entry.type))
        return err_set(err, -EBADMSG, "of no known type");
    parse_mtime(flatbuf_bytes(fb, file, FILE_MTIME), &entry);
    rc = check_range(toc, &entry, err);
    if (rc == 0)
        rc = parse_records(fb, file, records, &entry, err);
    if (rc == 0 && fb->failed)
        rc = err_set(err, -EBADMSG, "leads out of the ztoc");
    if (rc == 0)
        rc = table_add(&toc->table, &entry, err);
    if (rc == 0 && toc->table.arena.len > fb->blob.len + ARENA_SLACK_BYTES)
        rc = err_set(err, -EBADMSG, "more text than fits");
    return rc;
}

static int compare_offsets(const void *a_, const void *b_)
{
    const struct table_entry *a = a_, *b = b_;

    if (a->uncomp_off != b->uncomp_off)
        return a->uncomp_off < b->uncomp_off ? -1 : 1;
    return (a->name > b->name) -
           (a->name < b->name); /* names were added in the order of the blob */
}

/* The headers of an entry come right behind the content of the one before, so no entry can start
 * before that. */
static int check_order(struct table *table, struct err *err)
{
    uint64_t last_end = 0;
    bool sorted = true;

    for (size_t i = 1; i < table->count && sorted; i++)
        sorted = table->entries[i - 1].uncomp_off <= table->entries[i].uncomp_off;
    if (!sorted)
        qsort(table->entries, table->count, sizeof(table->entries[0]), compare_offsets);
    for (size_t i = 0; i < table->count; i++) {
        const struct table_entry *entry = &table->entries[i];
        uint64_t end = entry->uncomp_off + entry->uncomp_size; /* check_range() has added them */

        if (entry->uncomp_off < last_end)
            return err_set(err, -EBADMSG,
                           "invalid toc entry %zu: at %" PRIu64
                           ", before the end of the last at %" PRIu64,
                           i, entry->uncomp_off, last_end);
        last_end = (end + TAR_BLOCK_BYTES - 1) / TAR_BLOCK_BYTES * TAR_BLOCK_BYTES;
    }
    return 0;
}

static int parse_files(struct flatbuf *fb, struct flatbuf_table toc_table, struct ztoc *toc,
                       struct err *err)
{
    SCOPED(records) struct records records = {.items = NULL};
    struct flatbuf_vector files = flatbuf_vector_at(fb, toc_table, TOC_FILES);

    if (files.count > fb->blob.len / MIN_FILE_BYTES)
        return err_set(err, -EBADMSG, "more entries than fit");
    for (size_t i = 0; i < files.count; i++) {
        int rc = parse_file(fb, flatbuf_vector_table(fb, files, i), &records, toc, err);

        if (rc < 0)
            return err_prefix(err, rc, "entry %zu", i);
    }
    table_trim(&toc->table);
    return check_order(&toc->table, err);
}

static int copy_text(struct bytes text, char **ret, struct err *err)
{
    if (text.len > 0 && memchr(text.data, '\0', text.len) != NULL)
        return err_set(err, -EBADMSG, "a text with a NUL in it");
    *ret = malloc(text.len + 1);
    if (*ret == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    if (text.len > 0)
        memcpy(*ret, text.data, text.len);
    (*ret)[text.len] = '\0';
    return 0;
}

static int parse_root(struct flatbuf *fb, struct ztoc *toc, struct err *err)
{
    struct flatbuf_table root = flatbuf_root(fb);
    struct flatbuf_table files = flatbuf_table_at(fb, root, ROOT_TOC);
    struct flatbuf_table info = flatbuf_table_at(fb, root, ROOT_INFO);
    int64_t comp_size = flatbuf_i64(fb, root, ROOT_COMP_SIZE, 0);
    int64_t uncomp_size = flatbuf_i64(fb, root, ROOT_UNCOMP_SIZE, 0);
    int rc;

    if (fb->failed || files.pos == 0 || info.pos == 0)
        return err_set(err, -EBADMSG, "not a ztoc");
    if (comp_size < 0 || uncomp_size < 0)
        return err_set(err, -EBADMSG, "a layer of negative size");
    toc->comp_size = (uint64_t)comp_size;
    toc->uncomp_size = (uint64_t)uncomp_size;
    rc = copy_text(flatbuf_bytes(fb, root, ROOT_VERSION), &toc->version, err);
    if (rc == 0)
        rc = copy_text(flatbuf_bytes(fb, root, ROOT_BUILD_TOOL), &toc->build_tool, err);
    if (rc == 0)
        rc = spans_parse(fb, info, toc, err);
    if (rc == 0)
        rc = parse_files(fb, files, toc, err);
    if (rc == 0 && fb->failed)
        rc = err_set(err, -EBADMSG, "leads out of its bytes");
    return rc < 0 ? rc : padding_init(&toc->padding, toc, err);
}

int ztoc_parse(struct bytes blob, struct ztoc **ret, struct err *err)
{
    SCOPED(ztoc) struct ztoc *toc = calloc(1, sizeof(*toc));
    struct flatbuf fb = flatbuf_of(blob);
    int rc;

    if (toc == NULL)
        return err_set(err, -ENOMEM, "ztoc: out of memory");
    rc = parse_root(&fb, toc, err);
    if (rc < 0)
        return err_prefix(err, rc, "ztoc");
    *ret = TAKE(toc);
    return 0;
}
