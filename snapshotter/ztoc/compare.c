/* SPDX-License-Identifier: Apache-2.0 */
/* compare.c – is this the table of that tar? Headers are read again, and each entry becomes a
 * record as a build makes it: two records are compared, so what a build does not keep cannot
 * differ. */
#include "ztoc/internal.h"

#include "base/text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

enum { MODE_BITS = 07777 };

struct ztoc_comparison {
    const struct ztoc *toc; /* fixed at creation */
    struct tar_parser *tar;
    struct table one; /* the entry that was read last; its memory is used again */
    size_t seen;      /* entries of the tar so far */
};

/* ---- one entry ------------------------------------------------------------------------------- */

static bool is_device(enum ztoc_type type)
{
    return type == ZTOC_CHAR || type == ZTOC_BLOCK;
}

static bool has_same_time(const struct ztoc_file *a, const struct ztoc_file *b)
{
    return a->has_mtime == b->has_mtime &&
           (!a->has_mtime || (a->mtime_sec == b->mtime_sec && a->mtime_nsec == b->mtime_nsec));
}

/* What it is that differs; NULL: nothing. */
static const char *find_difference(const struct ztoc_file *a, const struct ztoc_file *b)
{
    if (strcmp(a->name, b->name) != 0)
        return "name";
    if (a->type != b->type)
        return "type";
    if (a->uncomp_off != b->uncomp_off)
        return "offset";
    if (a->uncomp_size != b->uncomp_size)
        return "size";
    if ((a->mode & MODE_BITS) != (b->mode & MODE_BITS))
        return "mode";
    if (a->uid != b->uid || a->gid != b->gid)
        return "owner";
    if (!has_same_time(a, b))
        return "time";
    if (strcmp(a->linkname, b->linkname) != 0)
        return "target";
    if (is_device(a->type) && (a->devmajor != b->devmajor || a->devminor != b->devminor))
        return "device number";
    return NULL;
}

/* The next extended attribute, from *i on; false: no more. Other records only repeat what the
 * entry says. */
static bool next_xattr(const struct table *table, size_t file, size_t count, size_t *i,
                       struct ztoc_xattr *ret)
{
    while (*i < count) {
        table_get_xattr(table, file, (*i)++, ret);
        if (text_has_prefix(ret->key, "SCHILY.xattr."))
            return true;
    }
    return false;
}

static bool has_same_xattrs(const struct ztoc_comparison *c, const struct ztoc_file *in_tar,
                            const struct ztoc_file *in_toc)
{
    struct ztoc_xattr a = {.key = NULL}, b = {.key = NULL};
    size_t i = 0, j = 0;
    bool more;

    do {
        more = next_xattr(&c->one, 0, in_tar->xattr_count, &i, &a);
        if (more != next_xattr(&c->toc->table, c->seen, in_toc->xattr_count, &j, &b))
            return false;
        if (more && (strcmp(a.key, b.key) != 0 || !bytes_equal(a.value, b.value)))
            return false;
    } while (more);
    return true;
}

static void empty(struct table *table)
{
    table->count = table->rare_count = table->xattr_count = 0;
    table->arena.len = 0;
    table->last_uname = table->last_gname = 0;
}

static int compare_entry(void *arg, const struct tar_entry *entry, struct err *err)
{
    struct ztoc_comparison *c = arg;
    struct ztoc_file in_tar, in_toc;
    const char *what;
    int rc;

    if (c->seen >= c->toc->table.count)
        return err_set(err, -EBADMSG, "the tar has more entries than the table, which has %zu",
                       c->seen);
    empty(&c->one);
    rc = table_add(&c->one, entry, err);
    if (rc < 0)
        return rc;
    table_get(&c->one, 0, &in_tar);
    table_get(&c->toc->table, c->seen, &in_toc);
    what = find_difference(&in_tar, &in_toc);
    if (what == NULL && !has_same_xattrs(c, &in_tar, &in_toc))
        what = "extended attributes";
    if (what != NULL)
        return err_set(err, -EBADMSG, "entry %zu of the tar, %s, differs in its %s", c->seen,
                       in_tar.name, what);
    c->seen++;
    return 0;
}

/* ---- the whole ------------------------------------------------------------------------------- */

int ztoc_comparison_new(const struct ztoc *toc, struct ztoc_comparison **ret, struct err *err)
{
    SCOPED(ztoc_comparison) struct ztoc_comparison *c = calloc(1, sizeof(*c));
    int rc;

    if (c == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    c->toc = toc;
    rc = tar_parser_new(&(struct tar_events){compare_entry, c}, &c->tar, err);
    if (rc == 0)
        *ret = TAKE(c);
    return rc;
}

int ztoc_comparison_feed(struct ztoc_comparison *c, struct bytes uncomp, struct err *err)
{
    return tar_parser_feed(c->tar, uncomp, err);
}

int ztoc_comparison_finish(struct ztoc_comparison *c, struct err *err)
{
    int rc = tar_parser_finish(c->tar, err);

    if (rc == 0 && c->seen < c->toc->table.count)
        return err_set(err, -EBADMSG, "the tar has %zu entries, the table %zu", c->seen,
                       c->toc->table.count);
    return rc;
}

void ztoc_comparison_free(struct ztoc_comparison *c)
{
    if (c == NULL)
        return;
    tar_parser_free(c->tar);
    table_fini(&c->one);
    free(c);
}
