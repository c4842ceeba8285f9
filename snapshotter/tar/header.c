/* SPDX-License-Identifier: Apache-2.0 */
/* header.c – one header block: its checksum, its dialect, its fields. */
#include "tar/internal.h"

enum dialect { DIALECT_NONE, DIALECT_V7, DIALECT_USTAR, DIALECT_STAR, DIALECT_GNU };

/* Where fields are in the block, and their lengths. */
struct field {
    uint16_t off, len;
};
static const struct field f_name = {0, 100}, f_mode = {100, 8}, f_uid = {108, 8}, f_gid = {116, 8},
                          f_size = {124, 12}, f_mtime = {136, 12}, f_checksum = {148, 8},
                          f_linkname = {157, 100}, f_magic = {257, 6}, f_version = {263, 2},
                          f_uname = {265, 32}, f_gname = {297, 32}, f_devmajor = {329, 8},
                          f_devminor = {337, 8}, f_prefix = {345, 155}, f_star_prefix = {345, 131},
                          f_star_atime = {476, 12}, f_star_ctime = {488, 12},
                          f_star_trailer = {508, 4}, f_gnu_atime = {345, 12},
                          f_gnu_ctime = {357, 12};
enum { TYPE_OFF = 156 };

static struct bytes field_of(const uint8_t *block, struct field field)
{
    return bytes_of(block + field.off, field.len);
}

/* Up to the first NUL, or all of it. */
static struct bytes string_of(const uint8_t *block, struct field field)
{
    return bytes_of(block + field.off, strnlen((const char *)block + field.off, field.len));
}

static bool field_is(const uint8_t *block, struct field field, const char *text)
{
    return memcmp(block + field.off, text, field.len) == 0;
}

/* The sum of all bytes, those of the checksum itself taken as spaces. POSIX sums unsigned bytes,
 * some old writers signed ones; either will do. */
static bool checksum_matches(const uint8_t *block)
{
    int64_t stored, as_unsigned = 0, as_signed = 0;

    if (!tar_parse_octal(field_of(block, f_checksum), &stored))
        return false;
    for (size_t i = 0; i < TAR_BLOCK_BYTES; i++) {
        bool own = i >= f_checksum.off && i < (size_t)f_checksum.off + f_checksum.len;
        uint8_t byte = own ? ' ' : block[i];

        as_unsigned += byte;
        as_signed += (int8_t)byte;
    }
    return stored == as_unsigned || stored == as_signed;
}

static enum dialect dialect_of(const uint8_t *block)
{
    if (field_is(block, f_magic, "ustar\0"))
        return field_is(block, f_star_trailer, "tar\0") ? DIALECT_STAR : DIALECT_USTAR;
    if (field_is(block, f_magic, "ustar ") && field_is(block, f_version, " \0"))
        return DIALECT_GNU;
    return DIALECT_V7;
}

static bool is_ascii(struct bytes s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] >= 0x80)
            return false;
    }
    return true;
}

/* GNU headers have no prefix. But an old writer of Go's put one over the access and change times,
 * so where these are no numbers, what is there is a prefix if it is ASCII. */
static struct bytes gnu_prefix(const uint8_t *block)
{
    int64_t ignored;
    bool times =
        (block[f_gnu_atime.off] == 0 || tar_parse_number(field_of(block, f_gnu_atime), &ignored)) &&
        (block[f_gnu_ctime.off] == 0 || tar_parse_number(field_of(block, f_gnu_ctime), &ignored));
    struct bytes prefix = string_of(block, f_prefix);

    return times || !is_ascii(prefix) ? (struct bytes){0} : prefix;
}

static struct bytes prefix_of(const uint8_t *block, enum dialect dialect)
{
    switch (dialect) {
    case DIALECT_USTAR:
        return string_of(block, f_prefix);
    case DIALECT_STAR:
        return string_of(block, f_star_prefix);
    case DIALECT_GNU:
        return gnu_prefix(block);
    default:
        return (struct bytes){0};
    }
}

static void join_name(const uint8_t *block, enum dialect dialect, struct tar_header *ret)
{
    struct bytes prefix = prefix_of(block, dialect), name = string_of(block, f_name);
    size_t len = 0;

    if (prefix.len > 0) {
        memcpy(ret->name_space, prefix.data, prefix.len);
        ret->name_space[prefix.len] = '/';
        len = prefix.len + 1;
    }
    memcpy(ret->name_space + len, name.data, name.len);
    ret->entry.name = bytes_of(ret->name_space, len + name.len);
}

const char *tar_header_parse(const uint8_t block[TAR_BLOCK_BYTES], struct tar_header *ret)
{
    struct tar_entry *entry = &ret->entry;
    enum dialect dialect = dialect_of(block);
    int64_t ignored;

    *entry = (struct tar_entry){0};
    if (!checksum_matches(block))
        return "its checksum does not match";
    ret->type = (char)block[TYPE_OFF];
    if (!tar_parse_number(field_of(block, f_size), &ret->size))
        return "its size is no number, or too large";
    if (!tar_parse_number(field_of(block, f_mode), &entry->mode) ||
        !tar_parse_number(field_of(block, f_uid), &entry->uid) ||
        !tar_parse_number(field_of(block, f_gid), &entry->gid) ||
        !tar_parse_number(field_of(block, f_mtime), &entry->mtime_sec))
        return "its mode, owner or time is no number, or too large";
    entry->linkname = string_of(block, f_linkname);
    if (dialect != DIALECT_V7) {
        entry->uname = string_of(block, f_uname);
        entry->gname = string_of(block, f_gname);
        if (!tar_parse_number(field_of(block, f_devmajor), &entry->devmajor) ||
            !tar_parse_number(field_of(block, f_devminor), &entry->devminor))
            return "its device is no number, or too large";
    }
    if (dialect == DIALECT_STAR && (!tar_parse_number(field_of(block, f_star_atime), &ignored) ||
                                    !tar_parse_number(field_of(block, f_star_ctime), &ignored)))
        return "its access or change time is no number, or too large";
    join_name(block, dialect, ret);
    return NULL;
}
