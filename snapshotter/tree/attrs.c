/* SPDX-License-Identifier: Apache-2.0 */
/* attrs.c – the extended attributes of every node, in one array sorted by node and name.
 *
 * As containerd's unpacking sets them: `trusted.` is not an image's to set, and a name space that
 * an ordinary file system of Linux does not keep is ignored, as is `user.` on anything but files
 * and directories. Entries that meet the same node add up, the latest value counts; but setting the
 * owner, as a hard link does, takes a file's capabilities away. */
#include "base/text.h"
#include "tree/internal.h"

#include <stdlib.h>

#define RECORD_PREFIX "SCHILY.xattr."
#define CAPABILITY "security.capability"

struct collected {
    struct tree_attr attr;
    uint32_t seq; /* of the source: later ones win */
};

static bool is_kept(const char *name, enum ztoc_type type)
{
    if (strlen(name) > TREE_NAME_MAX)
        return false;
    if (text_has_prefix(name, "user."))
        return type == ZTOC_REG || type == ZTOC_DIR;
    if (strcmp(name, "system.posix_acl_access") == 0)
        return type != ZTOC_SYMLINK;
    if (strcmp(name, "system.posix_acl_default") == 0)
        return type == ZTOC_DIR;
    return text_has_prefix(name, "security.") && name[strlen("security.")] != '\0';
}

static int compare(const void *a, const void *b)
{
    const struct collected *x = a;
    const struct collected *y = b;
    int by_name;

    if (x->attr.id != y->attr.id)
        return x->attr.id < y->attr.id ? -1 : 1;
    by_name = strcmp(x->attr.name, y->attr.name);
    if (by_name != 0)
        return by_name;
    return x->seq < y->seq ? -1 : x->seq > y->seq;
}

/* The records of one source, appended. A hard link says first that capabilities end here: a value
 * of no bytes, which is no valid capability. */
static size_t add_source(const struct ztoc *toc, const struct tree *tree, tree_id id,
                         struct draft_source source, uint32_t seq, struct collected *out)
{
    struct ztoc_file made, f;
    struct ztoc_xattr x;
    size_t count = 0;

    ztoc_file_at(toc, tree->items[id].file, &made);
    ztoc_file_at(toc, source.file, &f);
    if (f.type == ZTOC_HARDLINK)
        out[count++] = (struct collected){.attr = {.id = id, .name = CAPABILITY}, .seq = 2 * seq};
    for (size_t i = 0; i < f.xattr_count; i++) {
        ztoc_xattr_at(toc, source.file, i, &x);
        if (!text_has_prefix(x.key, RECORD_PREFIX))
            continue;
        x.key += strlen(RECORD_PREFIX);
        if (is_kept(x.key, made.type))
            out[count++] = (struct collected){.attr = {.id = id, .name = x.key, .value = x.value},
                                              .seq = 2 * seq + 1};
    }
    return count;
}

static bool is_same(const struct collected *a, const struct collected *b)
{
    return a->attr.id == b->attr.id && strcmp(a->attr.name, b->attr.name) == 0;
}

/* Keep the latest of each name, and no ended capabilities. */
static int keep_latest(const struct collected *all, size_t count, struct tree *tree)
{
    tree->attrs = calloc(count + 1, sizeof(*tree->attrs));
    if (tree->attrs == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        if (i + 1 < count && is_same(&all[i], &all[i + 1]))
            continue;
        if (all[i].attr.value.len == 0 && strcmp(all[i].attr.name, CAPABILITY) == 0)
            continue;
        tree->attrs[tree->attr_count++] = all[i].attr;
    }
    return 0;
}

int tree_collect_attrs(struct draft *draft, const uint32_t *new_ids, struct tree *tree)
{
    SCOPED(mem) struct collected *all = NULL;
    size_t most = 0, count = 0;

    for (size_t i = 0; i < draft->source_count; i++) {
        struct ztoc_file f;

        ztoc_file_at(draft->toc, draft->sources[i].file, &f);
        most += f.xattr_count + 1;
    }
    all = calloc(most + 1, sizeof(*all));
    if (all == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < draft->source_count; i++) {
        struct draft_source s = draft->sources[i];

        if (new_ids[s.node] != TREE_NONE)
            count += add_source(draft->toc, tree, new_ids[s.node], s, (uint32_t)i, all + count);
    }
    qsort(all, count, sizeof(*all), compare);
    return keep_latest(all, count, tree);
}
