/* SPDX-License-Identifier: Apache-2.0 */
/* xattr.c – extended attributes: after their inode, or, when several inodes have the same, once in
 * an area that all of them point into. Some images have a label on every file. */
#include "erofs/internal.h"

#include "base/text.h"

#include <errno.h>
#include <stdlib.h>

/* Inodes count their words in 16 bits, and their shared attributes in 8. */
enum { BODY_WORDS_MAX = UINT16_MAX, SHARED_MAX = UINT8_MAX };
#define BODY_BYTES_MAX (XATTR_BODY_BYTES + 4 * ((uint64_t)BODY_WORDS_MAX - 1))

/* ---- names ----------------------------------------------------------------------------------- */

struct prefix {
    const char *text;
    uint8_t number;
    bool is_whole; /* there is nothing after it */
};

static const struct prefix prefixes[] = {
    {"user.", 1, false},
    {"system.posix_acl_access", 2, true},
    {"system.posix_acl_default", 3, true},
    {"trusted.", 4, false},
    {"security.", 6, false},
};

static const struct prefix *find_prefix(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
        const struct prefix *p = &prefixes[i];

        if (text_has_prefix(name, p->text) && (name[strlen(p->text)] == '\0') == p->is_whole)
            return p;
    }
    return NULL;
}

/* ---- values ---------------------------------------------------------------------------------- */

/* As the image has it, valid until the next call. False: the image does not have it. */
static int value_of(struct writer *w, const struct xattr_group *group, struct bytes *ret,
                    struct err *err)
{
    int rc;

    *ret = group->value;
    if (w->options->ids == NULL)
        return 1;
    w->xattrs.mapped.len = 0;
    rc = idmaps_xattr(w->options->ids, group->name, group->value, &w->xattrs.mapped);
    if (rc == -ENODATA)
        return 0;
    if (rc < 0)
        return err_sys(err, rc, "extended attribute");
    *ret = buf_bytes(&w->xattrs.mapped);
    return 1;
}

/* 0 bytes: the image does not have it. */
static int entry_bytes(struct writer *w, const struct xattr_group *group, uint64_t *ret,
                       struct err *err)
{
    const struct prefix *prefix = find_prefix(group->name);
    struct bytes value;
    int rc;

    if (prefix == NULL || strlen(group->name) - strlen(prefix->text) > UINT8_MAX)
        return err_set(err, -EOPNOTSUPP, "extended attribute %.64s", group->name);
    rc = value_of(w, group, &value, err);
    if (rc < 0)
        return rc;
    if (value.len > UINT16_MAX)
        return err_set(err, -EOPNOTSUPP, "extended attribute %.64s with %zu bytes", group->name,
                       value.len);
    *ret = rc == 0
               ? 0
               : round_up_to(
                     XATTR_ENTRY_BYTES + strlen(group->name) - strlen(prefix->text) + value.len, 4);
    return 0;
}

static int write_entry(struct writer *w, const struct xattr_group *group, struct err *err)
{
    const struct prefix *prefix = find_prefix(group->name);
    const char *name = group->name + strlen(prefix->text);
    uint8_t raw[XATTR_ENTRY_BYTES] = {(uint8_t)strlen(name), prefix->number};
    struct bytes value;
    int rc = value_of(w, group, &value, err);

    if (rc <= 0)
        return rc;
    put_u16le(raw + 2, (uint16_t)value.len);
    rc = out_add(w->out, raw, sizeof(raw), err);
    if (rc == 0)
        rc = out_add(w->out, name, strlen(name), err);
    if (rc == 0)
        rc = out_add(w->out, value.data, value.len, err);
    return rc < 0 ? rc : out_fill(w->out, round_up_to(w->out->pos, 4), err);
}

/* ---- which are equal ------------------------------------------------------------------------- */

struct one {
    const char *name;
    struct bytes value;
    uint32_t n;
};

static int compare_bytes(struct bytes a, struct bytes b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len == 0 ? 0 : memcmp(a.data, b.data, len);

    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static int compare_same(const struct one *a, const struct one *b)
{
    int order = strcmp(a->name, b->name);

    return order != 0 ? order : compare_bytes(a->value, b->value);
}

static int compare(const void *a, const void *b)
{
    const struct one *x = a, *y = b;
    int order = compare_same(x, y);

    return order != 0 ? order : (x->n > y->n) - (x->n < y->n);
}

static size_t count_all(const struct tree *tree)
{
    size_t count = 0;
    const char *name;
    struct bytes value;

    for (tree_id id = TREE_ROOT; id <= tree_count(tree); id++)
        for (size_t i = 0; tree_xattr(tree, id, i, &name, &value); i++)
            count++;
    return count;
}

static void fill(const struct tree *tree, struct xattrs *x, struct one *all)
{
    uint32_t n = 0;

    for (tree_id id = TREE_ROOT; id <= tree_count(tree); id++) {
        x->first[id] = n;
        for (size_t i = 0; tree_xattr(tree, id, i, &all[n].name, &all[n].value); i++) {
            all[n].n = n;
            n++;
        }
    }
    x->first[tree_count(tree) + 1] = n;
}

/* Equal ones become a group; those of two or more have a place in the shared area. */
static int group(struct writer *w, struct one *all, size_t count, struct err *err)
{
    struct xattrs *x = &w->xattrs;
    uint64_t bytes;
    size_t end;

    qsort(all, count, sizeof(*all), compare);
    for (size_t start = 0; start < count; start = end) {
        struct xattr_group *g = &x->groups[x->group_count];
        int rc;

        *g = (struct xattr_group){
            .name = all[start].name, .value = all[start].value, .shared_id = NO_BLOCK};
        for (end = start; end < count && compare_same(&all[start], &all[end]) == 0; end++)
            x->group_of[all[end].n] = (uint32_t)x->group_count;
        x->group_count++;
        rc = entry_bytes(w, g, &bytes, err);
        if (rc < 0)
            return rc;
        if (end - start == 1 || bytes == 0 || x->shared_bytes / 4 + bytes / 4 >= NO_BLOCK)
            continue;
        g->shared_id = (uint32_t)(x->shared_bytes / 4);
        x->shared_bytes += bytes;
    }
    return 0;
}

int xattrs_collect(struct writer *w, struct err *err)
{
    struct xattrs *x = &w->xattrs;
    SCOPED(mem) struct one *all = NULL;
    size_t count;

    if (w->options->no_xattrs || !tree_has_xattrs(w->tree))
        return 0;
    count = count_all(w->tree);
    all = calloc(count + 1, sizeof(*all)); /* one more: where the end is asked for, and never 0 */
    x->groups = calloc(count + 1, sizeof(*x->groups));
    x->group_of = calloc(count + 1, sizeof(*x->group_of));
    x->first = calloc(tree_count(w->tree) + 2, sizeof(*x->first));
    if (all == NULL || x->groups == NULL || x->group_of == NULL || x->first == NULL)
        return err_sys(err, -ENOMEM, "extended attributes");
    fill(w->tree, x, all);
    return group(w, all, count, err);
}

void xattrs_fini(struct xattrs *xattrs)
{
    free(xattrs->groups);
    free(xattrs->group_of);
    free(xattrs->first);
    buf_fini(&xattrs->mapped);
}

/* ---- those of an inode ----------------------------------------------------------------------- */

static size_t first_of(const struct writer *w, tree_id id)
{
    return w->xattrs.first == NULL ? 0 : w->xattrs.first[id];
}

static size_t count_of(const struct writer *w, tree_id id)
{
    return w->xattrs.first == NULL ? 0 : w->xattrs.first[id + 1] - w->xattrs.first[id];
}

static const struct xattr_group *group_at(const struct writer *w, size_t n)
{
    return &w->xattrs.groups[w->xattrs.group_of[n]];
}

/* How many of an inode's are shared, the first ones as far as they can be counted. */
static size_t count_shared(const struct writer *w, tree_id id)
{
    size_t shared = 0;

    for (size_t i = 0; i < count_of(w, id) && shared < SHARED_MAX; i++)
        if (group_at(w, first_of(w, id) + i)->shared_id != NO_BLOCK)
            shared++;
    return shared;
}

/* Does attribute n go inline? *shared_left counts down. */
static bool is_inline(const struct xattr_group *g, size_t *shared_left)
{
    if (g->shared_id == NO_BLOCK || *shared_left == 0)
        return true;
    (*shared_left)--;
    return false;
}

int xattrs_bytes(struct writer *w, tree_id id, uint32_t *ret, struct err *err)
{
    size_t shared = count_shared(w, id), shared_left = shared;
    uint64_t total = XATTR_BODY_BYTES + 4 * (uint64_t)shared, bytes;

    for (size_t i = 0; i < count_of(w, id); i++) {
        const struct xattr_group *g = group_at(w, first_of(w, id) + i);
        int rc;

        if (!is_inline(g, &shared_left))
            continue;
        rc = entry_bytes(w, g, &bytes, err);
        if (rc < 0)
            return rc;
        total += bytes;
    }
    if (total > BODY_BYTES_MAX)
        return err_set(err, -EOPNOTSUPP, "extended attributes of %llu bytes on one file",
                       (unsigned long long)total);
    *ret = total == XATTR_BODY_BYTES ? 0 : (uint32_t)total;
    return 0;
}

static int write_shared_ids(struct writer *w, tree_id id, size_t shared, struct err *err)
{
    uint8_t raw[4];
    int rc = 0;

    for (size_t i = 0; rc == 0 && shared > 0; i++) {
        const struct xattr_group *g = group_at(w, first_of(w, id) + i);

        if (g->shared_id == NO_BLOCK)
            continue;
        put_u32le(raw, g->shared_id);
        rc = out_add(w->out, raw, sizeof(raw), err);
        shared--;
    }
    return rc;
}

int xattrs_write(struct writer *w, tree_id id, struct err *err)
{
    size_t shared = count_shared(w, id), shared_left = shared;
    uint8_t head[XATTR_BODY_BYTES] = {[4] = (uint8_t)shared};
    uint32_t bytes;
    int rc = xattrs_bytes(w, id, &bytes, err);

    if (rc < 0 || bytes == 0)
        return rc;
    rc = out_add(w->out, head, sizeof(head), err);
    if (rc == 0)
        rc = write_shared_ids(w, id, shared, err);
    for (size_t i = 0; rc == 0 && i < count_of(w, id); i++) {
        const struct xattr_group *g = group_at(w, first_of(w, id) + i);

        if (is_inline(g, &shared_left))
            rc = write_entry(w, g, err);
    }
    return rc;
}

int xattrs_write_shared(struct writer *w, struct err *err)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < w->xattrs.group_count; i++)
        if (w->xattrs.groups[i].shared_id != NO_BLOCK)
            rc = write_entry(w, &w->xattrs.groups[i], err);
    return rc;
}
