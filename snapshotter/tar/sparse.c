/* SPDX-License-Identifier: Apache-2.0 */
/* sparse.c – GNU's sparse files in pax headers: is the map of stored parts one that can be? */
#include "tar/internal.h"

enum tar_sparse tar_sparse_kind(const struct tar_pax *pax)
{
    struct bytes major = tar_pax_get(pax, "GNU.sparse.major"),
                 minor = tar_pax_get(pax, "GNU.sparse.minor");
    struct bytes zero = bytes_of_str("0"), one = bytes_of_str("1");

    if (bytes_equal(major, zero) && (bytes_equal(minor, zero) || bytes_equal(minor, one)))
        return TAR_SPARSE_IN_RECORDS;
    if (bytes_equal(major, one) && bytes_equal(minor, zero))
        return TAR_SPARSE_IN_CONTENT;
    if (major.len > 0 || minor.len > 0)
        return TAR_SPARSE_NONE; /* a version from the future: an ordinary file */
    /* Formats 0.0 and 0.1 had no version at first. */
    return tar_pax_get(pax, "GNU.sparse.map").len > 0 ? TAR_SPARSE_IN_RECORDS : TAR_SPARSE_NONE;
}

const char *tar_sparse_merge(const struct tar_pax *pax, struct tar_header *header)
{
    struct bytes name = tar_pax_get(pax, "GNU.sparse.name"),
                 size = tar_pax_get(pax, "GNU.sparse.size");

    if (name.len > 0)
        header->entry.name = name;
    if (size.len == 0)
        size = tar_pax_get(pax, "GNU.sparse.realsize");
    if (size.len > 0 && !tar_parse_decimal(size, &header->size))
        return "its sparse size is no number, or too large";
    return NULL;
}

/* Numbers in a row, each ended by `end` (the last one also by the end of the text). */
struct numbers {
    struct bytes text;
    char end;
};

static bool take_number(struct numbers *numbers, int64_t *ret)
{
    const uint8_t *end =
        numbers->text.len == 0 ? NULL : memchr(numbers->text.data, numbers->end, numbers->text.len);
    size_t len = end == NULL ? numbers->text.len : (size_t)(end - numbers->text.data);
    struct bytes digits = bytes_of(numbers->text.data, len);
    size_t past = end == NULL ? len : len + 1;

    numbers->text = bytes_of(numbers->text.data == NULL ? NULL : numbers->text.data + past,
                             numbers->text.len - past);
    return tar_parse_decimal(digits, ret);
}

/* `count` pairs of offset and length: in order, not overlapping, inside the file. */
static const char *check_parts(struct numbers *numbers, int64_t count, int64_t file_size)
{
    int64_t last_end = 0;

    if (file_size < 0)
        return "its sparse size is negative";
    for (int64_t i = 0; i < count; i++) {
        int64_t off, len, end;

        if (!take_number(numbers, &off) || !take_number(numbers, &len))
            return "its sparse map holds what is no number";
        if (off < 0 || len < 0 || __builtin_add_overflow(off, len, &end) || end > file_size ||
            off < last_end)
            return "its sparse map is out of order or leads out of the file";
        last_end = end;
    }
    return NULL;
}

static size_t count_byte(struct bytes s, char c)
{
    size_t count = 0;

    for (size_t i = 0; i < s.len; i++)
        count += s.data[i] == (uint8_t)c;
    return count;
}

const char *tar_sparse_check_records(const struct tar_pax *pax, int64_t size)
{
    struct numbers numbers = {tar_pax_get(pax, "GNU.sparse.map"), ','};
    size_t found = numbers.text.len == 0 ? 0 : count_byte(numbers.text, ',') + 1;
    int64_t count;

    if (!tar_parse_decimal(tar_pax_get(pax, "GNU.sparse.numblocks"), &count) || count < 0 ||
        found % 2 != 0 || (uint64_t)count != found / 2)
        return "its sparse map has not the length that it should have";
    return check_parts(&numbers, count, size);
}

const char *tar_sparse_check_content(struct bytes map, int64_t size, bool *ret_more)
{
    struct numbers numbers = {map, '\n'};
    size_t lines = count_byte(map, '\n');
    int64_t count;

    *ret_more = lines == 0;
    if (lines == 0)
        return NULL;
    if (!take_number(&numbers, &count) || count < 0)
        return "its sparse map has no length";
    *ret_more = (uint64_t)count > (lines - 1) / 2;
    return *ret_more ? NULL : check_parts(&numbers, count, size);
}
