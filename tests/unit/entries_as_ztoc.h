/* SPDX-License-Identifier: Apache-2.0 */
/* entries_as_ztoc.h – a ztoc that is an array of entries. A program that includes this defines the
 * three functions of ztoc/ that the tree asks, so the real ones stay out of it. */
#ifndef UNIT_ENTRIES_AS_ZTOC_H
#define UNIT_ENTRIES_AS_ZTOC_H

#include "test.h"

#include "ztoc/ztoc.h"

struct entry {
    const char *name;
    enum ztoc_type type;
    const char *link;
    int64_t mode;
    uint32_t uid;
    int64_t mtime;
    const char *xattr, *value; /* one record, key with its prefix */
    uint64_t off, size;
    int64_t major, minor;
    bool no_mtime;
};

struct ztoc {
    const struct entry *entries;
    size_t count;
};

size_t ztoc_file_count(const struct ztoc *toc)
{
    return toc->count;
}

void ztoc_file_at(const struct ztoc *toc, size_t i, struct ztoc_file *ret)
{
    const struct entry *e = &toc->entries[i];

    *ret = (struct ztoc_file){
        .name = e->name,
        .linkname = e->link == NULL ? "" : e->link,
        .type = e->type,
        .uncomp_off = e->off,
        .uncomp_size = e->size,
        .mode = e->mode,
        .uid = e->uid,
        .gid = e->uid,
        .mtime_sec = e->mtime,
        .has_mtime = !e->no_mtime,
        .devmajor = e->major,
        .devminor = e->minor,
        .xattr_count = e->xattr == NULL ? 0 : 1,
    };
}

void ztoc_xattr_at(const struct ztoc *toc, size_t file, size_t i, struct ztoc_xattr *ret)
{
    const struct entry *e = &toc->entries[file];

    assert_int_equal(i, 0);
    *ret = (struct ztoc_xattr){.key = e->xattr, .value = bytes_of_str(e->value)};
}

#endif
