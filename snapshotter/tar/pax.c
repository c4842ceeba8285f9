/* SPDX-License-Identifier: Apache-2.0 */
/* pax.c – extended headers: `LENGTH key=value\n` records, and what they override. */
#include "tar/internal.h"

#include "base/text.h"

#include <errno.h>
#include <stdlib.h>

static bool key_is(struct bytes key, const char *name)
{
    return bytes_equal(key, bytes_of_str(name));
}

static bool has_nul(struct bytes s)
{
    return s.len > 0 && memchr(s.data, '\0', s.len) != NULL;
}

/* Split the first record off *body. NULL; or what is wrong with it. */
static const char *take_record(struct bytes *body, struct tar_record *ret)
{
    static const char *const texts[] = {"path", "linkpath", "uname", "gname"};
    const uint8_t *space = memchr(body->data, ' ', body->len), *equals;
    size_t digits = space == NULL ? 0 : (size_t)(space - body->data);
    struct bytes rest;
    int64_t len;

    if (space == NULL || !tar_parse_decimal(bytes_of(body->data, digits), &len) || len < 5 ||
        (uint64_t)len > body->len || (size_t)len <= digits + 1)
        return "a record has a length that cannot be";
    rest = bytes_of(space + 1, (size_t)len - digits - 1);
    if (rest.data[rest.len - 1] != '\n')
        return "a record does not end in a newline";
    equals = memchr(rest.data, '=', rest.len - 1);
    if (equals == NULL || equals == rest.data)
        return "a record has no key";
    ret->key = bytes_of(rest.data, (size_t)(equals - rest.data));
    ret->value = bytes_of(equals + 1, (size_t)(rest.data + rest.len - 1 - (equals + 1)));
    if (has_nul(ret->key))
        return "a key has a NUL";
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        if (key_is(ret->key, texts[i]) && has_nul(ret->value))
            return "a name has a NUL";
    }
    *body = bytes_of(body->data + len, body->len - (size_t)len);
    return NULL;
}

static int compare_keys(const struct tar_record *a, const struct tar_record *b)
{
    size_t len = a->key.len < b->key.len ? a->key.len : b->key.len;
    int order = memcmp(a->key.data, b->key.data, len); /* a key has at least one byte */

    if (order == 0)
        order = (a->key.len > b->key.len) - (a->key.len < b->key.len);
    return order;
}

/* By key; of equal ones the earlier first. All keys are in one body, so addresses tell. */
static int compare_records(const void *a_, const void *b_)
{
    const struct tar_record *a = a_, *b = b_;
    int order = compare_keys(a, b);

    return order != 0 ? order : (a->key.data > b->key.data) - (a->key.data < b->key.data);
}

/* Sort, and of records with the same key keep the last. */
static void sort_records(struct tar_pax *pax)
{
    size_t kept = 0;

    if (pax->count > 1)
        qsort(pax->records, pax->count, sizeof(pax->records[0]), compare_records);
    for (size_t i = 0; i < pax->count; i++) {
        if (i + 1 < pax->count && compare_keys(&pax->records[i], &pax->records[i + 1]) == 0)
            continue;
        pax->records[kept++] = pax->records[i];
    }
    pax->count = kept;
}

static int add_record(struct tar_pax *pax, size_t *cap, struct tar_record record)
{
    if (pax->count == *cap) {
        size_t bigger = *cap == 0 ? 8 : *cap * 2;
        struct tar_record *records = realloc(pax->records, bigger * sizeof(*records));

        if (records == NULL)
            return -ENOMEM;
        pax->records = records;
        *cap = bigger;
    }
    pax->records[pax->count++] = record;
    return 0;
}

/* GNU's oldest sparse format repeats two keys, which pax does not allow: their values become one
 * record, offset and length in turn, as in the next format. */
static const char *add_sparse_number(struct tar_pax *pax, size_t *count,
                                     const struct tar_record *record, int *ret_rc)
{
    bool is_offset = key_is(record->key, "GNU.sparse.offset");

    if (is_offset != (*count % 2 == 0) ||
        (record->value.len > 0 && memchr(record->value.data, ',', record->value.len) != NULL))
        return "its sparse map is out of order";
    if ((*count > 0 && buf_add_byte(&pax->sparse_map, ',') < 0) ||
        buf_add(&pax->sparse_map, record->value.data, record->value.len) < 0) {
        *ret_rc = -ENOMEM;
        return "out of memory";
    }
    (*count)++;
    return NULL;
}

/* The joined map replaces any record of that name. */
static int put_sparse_map(struct tar_pax *pax, size_t *cap)
{
    static const char key[] = "GNU.sparse.map";
    struct tar_record record = {bytes_of_str(key), buf_bytes(&pax->sparse_map)};

    for (size_t i = 0; i < pax->count; i++) {
        if (key_is(pax->records[i].key, key)) {
            pax->records[i].value = record.value;
            return 0;
        }
    }
    return add_record(pax, cap, record);
}

const char *tar_pax_parse(struct bytes body, struct tar_pax *ret, int *ret_rc)
{
    size_t cap = 0, sparse_numbers = 0;
    struct tar_record record;
    const char *why;

    *ret_rc = -EBADMSG;
    tar_pax_fini(ret);
    while (body.len > 0) {
        why = take_record(&body, &record);
        if (why != NULL)
            return why;
        if (key_is(record.key, "GNU.sparse.offset") || key_is(record.key, "GNU.sparse.numbytes")) {
            why = add_sparse_number(ret, &sparse_numbers, &record, ret_rc);
            if (why != NULL)
                return why;
        } else if (add_record(ret, &cap, record) < 0) {
            *ret_rc = -ENOMEM;
            return "out of memory";
        }
    }
    sort_records(ret);
    if (sparse_numbers > 0) {
        if (put_sparse_map(ret, &cap) < 0) {
            *ret_rc = -ENOMEM;
            return "out of memory";
        }
        sort_records(ret);
    }
    return NULL;
}

void tar_pax_fini(struct tar_pax *pax)
{
    free(pax->records);
    buf_fini(&pax->sparse_map);
    *pax = (struct tar_pax){.records = NULL};
}

struct bytes tar_pax_get(const struct tar_pax *pax, const char *key)
{
    for (size_t i = 0; i < pax->count; i++) {
        if (key_is(pax->records[i].key, key))
            return pax->records[i].value;
    }
    return (struct bytes){0};
}

/* One record over the header. False: its value does not parse. */
static bool merge_record(const struct tar_record *record, struct tar_header *header)
{
    struct tar_entry *entry = &header->entry;
    struct bytes value = record->value;
    int64_t sec;
    uint32_t nsec;

    if (key_is(record->key, "path"))
        entry->name = value;
    else if (key_is(record->key, "linkpath"))
        entry->linkname = value;
    else if (key_is(record->key, "uname"))
        entry->uname = value;
    else if (key_is(record->key, "gname"))
        entry->gname = value;
    else if (key_is(record->key, "uid"))
        return tar_parse_decimal(value, &entry->uid);
    else if (key_is(record->key, "gid"))
        return tar_parse_decimal(value, &entry->gid);
    else if (key_is(record->key, "size"))
        return tar_parse_decimal(value, &header->size);
    else if (key_is(record->key, "mtime"))
        return tar_parse_time(value, &entry->mtime_sec, &entry->mtime_nsec);
    else if (key_is(record->key, "atime") || key_is(record->key, "ctime"))
        return tar_parse_time(value, &sec,
                              &nsec); /* kept as a record alone, but it must be a time */
    return true;
}

const char *tar_pax_merge(const struct tar_pax *pax, struct tar_header *header)
{
    for (size_t i = 0; i < pax->count; i++) {
        /* An empty value means: as in the header. */
        if (pax->records[i].value.len > 0 && !merge_record(&pax->records[i], header))
            return "a pax record has a value that is no number, or too large";
    }
    header->entry.records = pax->records;
    header->entry.record_count = pax->count;
    return NULL;
}
