/* SPDX-License-Identifier: Apache-2.0 */
/* ztoc.c – what a parsed ztoc answers about itself and its files. */
#include "ztoc/internal.h"

#include <stdlib.h>

void ztoc_free(struct ztoc *toc)
{
    if (toc == NULL)
        return;
    free(toc->version);
    free(toc->build_tool);
    free(toc->points);
    free(toc->window_offs);
    free(toc->digests);
    padding_fini(&toc->padding);
    table_fini(&toc->table);
    free(toc);
}

void ztoc_drop_files(struct ztoc *toc)
{
    table_fini(&toc->table);
    toc->table = (struct table){.entries = NULL};
}

int ztoc_read_files(struct ztoc *toc, struct bytes blob, struct err *err)
{
    SCOPED(ztoc) struct ztoc *fresh = NULL;
    int rc = ztoc_parse(blob, &fresh, err);

    if (rc < 0)
        return rc;
    table_fini(&toc->table);
    toc->table = fresh->table;
    fresh->table = (struct table){.entries = NULL};
    return 0;
}

bool ztoc_clear_padding(const struct ztoc *toc, uint8_t *data, size_t len, uint64_t uncomp_off)
{
    return padding_clear(&toc->padding, data, len, uncomp_off);
}

enum ztoc_compression ztoc_compression(const struct ztoc *toc)
{
    return toc->compression;
}

const char *ztoc_version(const struct ztoc *toc)
{
    return toc->version;
}

const char *ztoc_build_tool(const struct ztoc *toc)
{
    return toc->build_tool;
}

uint64_t ztoc_comp_size(const struct ztoc *toc)
{
    return toc->comp_size;
}

uint64_t ztoc_uncomp_size(const struct ztoc *toc)
{
    return toc->uncomp_size;
}

size_t ztoc_file_count(const struct ztoc *toc)
{
    return toc->table.count;
}

void ztoc_file_at(const struct ztoc *toc, size_t i, struct ztoc_file *ret)
{
    table_get(&toc->table, i, ret);
}

void ztoc_xattr_at(const struct ztoc *toc, size_t file, size_t i, struct ztoc_xattr *ret)
{
    table_get_xattr(&toc->table, file, i, ret);
}

size_t ztoc_find(const struct ztoc *toc, const char *name)
{
    struct ztoc_file file;

    for (size_t i = 0; i < toc->table.count; i++) {
        table_get(&toc->table, i, &file);
        if (strcmp(file.name, name) == 0)
            return i;
    }
    return SIZE_MAX;
}

const char *ztoc_type_name(enum ztoc_type type)
{
    static const char *const names[] = {
        [ZTOC_REG] = "reg",           [ZTOC_DIR] = "dir",   [ZTOC_SYMLINK] = "symlink",
        [ZTOC_HARDLINK] = "hardlink", [ZTOC_CHAR] = "char", [ZTOC_BLOCK] = "block",
        [ZTOC_FIFO] = "fifo",
    };

    return names[type];
}
