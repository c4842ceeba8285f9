/* SPDX-License-Identifier: Apache-2.0 */
/* table.c – the file table: compact records over one arena of strings. */
#include "ztoc/internal.h"

#include <errno.h>
#include <stdlib.h>

#define YEAR_0_SEC INT64_C(-62167219200) /* 0000-01-01T00:00:00Z */
#define YEAR_1_SEC                                                                                 \
    INT64_C(-62135596800) /* 0001-01-01T00:00:00Z, what the reference has for no time */
#define YEAR_10000_SEC INT64_C(253402300800)
#define MAX_ARENA_BYTES ((size_t)INT32_MAX) /* a ztoc is smaller */

const char table_type_chars[] = "0521346";

/* Room for one more element of `size` bytes: the array, moved perhaps, or NULL. */
static void *grow(void *array, size_t count, size_t *cap, size_t size)
{
    size_t bigger = *cap == 0 ? 64 : *cap + *cap / 2;
    void *moved;

    if (count < *cap)
        return array;
    if (bigger > INT32_MAX)
        return NULL;
    moved = realloc(array, bigger * size);
    if (moved != NULL)
        *cap = bigger;
    return moved;
}

/* Put a string into the arena: its offset, or 0 when there is no room (the empty string is at 0
 * always). */
static uint32_t add_bytes(struct table *table, struct bytes s)
{
    struct buf *arena = &table->arena;
    size_t off;

    if ((arena->len == 0 && buf_add_byte(arena, '\0') < 0) || s.len == 0)
        return 0;
    off = arena->len;
    if (s.len >= MAX_ARENA_BYTES - off || buf_reserve(arena, s.len + 1) < 0)
        return 0;
    memcpy(arena->data + off, s.data, s.len);
    arena->data[off + s.len] = '\0';
    arena->len += s.len + 1;
    return (uint32_t)off;
}

static int add_string(struct table *table, struct bytes s, uint32_t *ret, struct err *err)
{
    *ret = add_bytes(table, s);
    if (table->arena.len == 0 || (*ret == 0 && s.len > 0))
        return err_set(err, -ENOMEM, "file table: no room for %zu bytes", s.len);
    return 0;
}

static int add_name(struct table *table, struct bytes s, uint32_t *ret, struct err *err)
{
    if (s.len > 0 && memchr(s.data, '\0', s.len) != NULL)
        return err_set(err, -EBADMSG, "entry %zu: a name with a NUL in it", table->count);
    return add_string(table, s, ret, err);
}

/* As add_name(), but the string that was last added here is used again when it is the same. */
static int add_owner(struct table *table, struct bytes s, uint32_t *last, uint32_t *ret,
                     struct err *err)
{
    const char *known = *last == 0 ? "" : (const char *)table->arena.data + *last;
    int rc;

    if (*last != 0 && bytes_equal(bytes_of_str(known), s)) {
        *ret = *last;
        return 0;
    }
    rc = add_name(table, s, ret, err);
    if (rc == 0 && *ret != 0)
        *last = *ret;
    return rc;
}

static int add_xattr(struct table *table, const struct tar_record *record, struct err *err)
{
    struct table_xattr *xattrs =
        grow(table->xattrs, table->xattr_count, &table->xattr_cap, sizeof(*xattrs));
    struct table_xattr *xattr;
    int rc;

    if (xattrs == NULL)
        return err_set(err, -ENOMEM, "file table: out of memory");
    table->xattrs = xattrs;
    xattr = &xattrs[table->xattr_count];
    xattr->value_len = (uint32_t)record->value.len; /* add_string() refuses what does not fit */
    rc = add_name(table, record->key, &xattr->key, err);
    if (rc == 0)
        rc = add_string(table, record->value, &xattr->value, err);
    if (rc == 0)
        table->xattr_count++;
    return rc;
}

static int add_rare(struct table *table, const struct tar_entry *entry, uint32_t *ret,
                    struct err *err)
{
    struct table_rare *rares;
    size_t first = table->xattr_count;

    *ret = TABLE_NO_RARE;
    if (entry->record_count == 0 && entry->devmajor == 0 && entry->devminor == 0 &&
        entry->mode >= 0 && entry->mode <= UINT32_MAX)
        return 0;
    rares = grow(table->rares, table->rare_count, &table->rare_cap, sizeof(*rares));
    if (rares == NULL)
        return err_set(err, -ENOMEM, "file table: out of memory");
    table->rares = rares;
    for (size_t i = 0; i < entry->record_count; i++) {
        int rc = add_xattr(table, &entry->records[i], err);

        if (rc < 0)
            return rc;
    }
    rares[table->rare_count] = (struct table_rare){entry->mode, entry->devmajor, entry->devminor,
                                                   (uint32_t)first, (uint32_t)entry->record_count};
    *ret = (uint32_t)table->rare_count++;
    return 0;
}

int table_add(struct table *table, const struct tar_entry *from, struct err *err)
{
    struct table_entry *entries = grow(table->entries, table->count, &table->cap, sizeof(*entries));
    bool has_mtime = from->mtime_sec >= YEAR_0_SEC && from->mtime_sec < YEAR_10000_SEC;
    struct table_entry *entry;
    const char *type = strchr(table_type_chars, from->type);
    int rc;

    if (entries == NULL)
        return err_set(err, -ENOMEM, "file table: out of memory");
    table->entries = entries;
    entry = &entries[table->count];
    *entry = (struct table_entry){
        .uncomp_off = from->uncomp_off,
        .uncomp_size = from->size,
        .mtime_sec = has_mtime ? from->mtime_sec : YEAR_1_SEC,
        .mtime_nsec = has_mtime ? from->mtime_nsec : TABLE_NO_MTIME,
        .uid = (uint32_t)from->uid, /* truncated, as in the reference */
        .gid = (uint32_t)from->gid,
        .mode = (uint32_t)from->mode,
        .type = (uint8_t)(type - table_type_chars),
    };
    rc = add_name(table, from->name, &entry->name, err);
    if (rc == 0)
        rc = add_name(table, from->linkname, &entry->linkname, err);
    if (rc == 0)
        rc = add_owner(table, from->uname, &table->last_uname, &entry->uname, err);
    if (rc == 0)
        rc = add_owner(table, from->gname, &table->last_gname, &entry->gname, err);
    if (rc == 0)
        rc = add_rare(table, from, &entry->rare, err);
    if (rc == 0)
        table->count++;
    return rc;
}

static const char *string_at(const struct table *table, uint32_t off)
{
    return (const char *)table->arena.data + off;
}

void table_get(const struct table *table, size_t i, struct ztoc_file *ret)
{
    const struct table_entry *entry = &table->entries[i];

    *ret = (struct ztoc_file){
        .name = string_at(table, entry->name),
        .linkname = string_at(table, entry->linkname),
        .uname = string_at(table, entry->uname),
        .gname = string_at(table, entry->gname),
        .type = (enum ztoc_type)entry->type,
        .uncomp_off = entry->uncomp_off,
        .uncomp_size = entry->uncomp_size,
        .mode = entry->mode,
        .uid = entry->uid,
        .gid = entry->gid,
        .mtime_sec = entry->mtime_sec,
        .mtime_nsec = entry->mtime_nsec == TABLE_NO_MTIME ? 0 : entry->mtime_nsec,
        .has_mtime = entry->mtime_nsec != TABLE_NO_MTIME,
    };
    if (entry->rare != TABLE_NO_RARE) {
        const struct table_rare *rare = &table->rares[entry->rare];

        ret->mode = rare->mode;
        ret->devmajor = rare->devmajor;
        ret->devminor = rare->devminor;
        ret->xattr_count = rare->xattr_count;
    }
}

void table_get_xattr(const struct table *table, size_t file, size_t i, struct ztoc_xattr *ret)
{
    const struct table_rare *rare = &table->rares[table->entries[file].rare];
    const struct table_xattr *xattr = &table->xattrs[rare->xattr_first + i];

    ret->key = string_at(table, xattr->key);
    ret->value = bytes_of(string_at(table, xattr->value), xattr->value_len);
}

static void *shrink(void *array, size_t count, size_t *cap, size_t size)
{
    void *moved = count == 0 ? NULL : realloc(array, count * size);

    if (moved == NULL)
        return array;
    *cap = count;
    return moved;
}

void table_trim(struct table *table)
{
    table->entries = shrink(table->entries, table->count, &table->cap, sizeof(*table->entries));
    table->rares = shrink(table->rares, table->rare_count, &table->rare_cap, sizeof(*table->rares));
    table->xattrs =
        shrink(table->xattrs, table->xattr_count, &table->xattr_cap, sizeof(*table->xattrs));
    table->arena.data = shrink(table->arena.data, table->arena.len, &table->arena.cap, 1);
}

void table_fini(struct table *table)
{
    free(table->entries);
    free(table->rares);
    free(table->xattrs);
    buf_fini(&table->arena);
    *table = (struct table){0};
}
