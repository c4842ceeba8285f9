/* SPDX-License-Identifier: Apache-2.0 */
/* compact.c – from the draft to the finished tree: breadth first from the root, so that ids are a
 * function of the ztoc, siblings lie together, and what no name reaches is left behind.
 *
 * Here whiteouts become what overlayfs wants:
 *   .wh..wh..opq   is hidden and makes its directory opaque
 *   .wh.NAME       is hidden and shows as NAME, character device 0/0, unless NAME is in this
 * directory too */
#include "base/text.h"
#include "tree/internal.h"

#include <stdlib.h>

struct member {
    const char *name;
    uint32_t node;
    bool is_whiteout;
};

struct compactor {
    const struct draft *draft;
    struct tree *tree;
    uint32_t *new_ids;      /* of each draft node, TREE_NONE before it was reached */
    uint32_t *old_ids;      /* the inverse, TREE_NONE for a whiteout; the queue of the walk */
    uint32_t *starts;       /* names of directory d: order[starts[d] … starts[d + 1] - 1] */
    uint32_t *order;        /* names grouped by directory */
    struct member *members; /* of the directory in hand */
};

static void compactor_fini(struct compactor *c)
{
    free(c->new_ids);
    free(c->old_ids);
    free(c->starts);
    free(c->order);
    free(c->members);
}
DEFINE_SCOPED_VALUE(compactor, struct compactor, compactor_fini)

/* Group the names that count by their directory: a counting sort. */
static size_t group_names(struct compactor *c)
{
    const struct draft *d = c->draft;
    uint32_t *starts = c->starts;
    size_t largest = 0;

    for (size_t i = 0; i < d->name_count; i++)
        if (d->names[i].node != TREE_NONE)
            starts[d->names[i].dir + 1]++;
    for (size_t i = 0; i < d->node_count; i++) {
        if (starts[i + 1] > largest)
            largest = starts[i + 1];
        starts[i + 1] += starts[i];
    }
    /* Filling moves starts[dir] to the end of its group, which is where the next one starts … */
    for (size_t i = 0; i < d->name_count; i++)
        if (d->names[i].node != TREE_NONE)
            c->order[starts[d->names[i].dir]++] = (uint32_t)i;
    /* … so shift all by one. */
    for (size_t i = d->node_count; i > 0; i--)
        starts[i] = starts[i - 1];
    starts[0] = 0;
    return largest;
}

static int compactor_init(struct compactor *c)
{
    const struct draft *d = c->draft;
    size_t most; /* nodes of the finished tree: each whiteout is a node of its own */

    c->starts = calloc(d->node_count + 2, sizeof(*c->starts));
    c->order = calloc(d->name_count + 1, sizeof(*c->order));
    if (c->starts == NULL || c->order == NULL)
        return -ENOMEM;
    c->members = calloc(group_names(c) + 1, sizeof(*c->members));

    most = d->name_count + 2;
    c->new_ids = calloc(d->node_count, sizeof(*c->new_ids));
    c->old_ids = calloc(most, sizeof(*c->old_ids));
    c->tree->items = calloc(most, sizeof(*c->tree->items));
    c->tree->children = calloc(d->name_count + 1, sizeof(*c->tree->children));
    if (c->members == NULL || c->new_ids == NULL || c->old_ids == NULL || c->tree->items == NULL ||
        c->tree->children == NULL)
        return -ENOMEM;
    return 0;
}

static bool is_known_whiteout(const char *name)
{
    const char *rest = name + strlen(WHITEOUT_PREFIX);

    return strcmp(rest, "") != 0 && strcmp(rest, ".") != 0 && strcmp(rest, "..") != 0;
}

/* Whether a whiteout's own name is taken in the same directory. */
static bool is_shadowed(const struct compactor *c, uint32_t dir, const char *hidden)
{
    return !text_has_prefix(hidden, WHITEOUT_PREFIX) &&
           draft_lookup(c->draft, dir, bytes_of_str(hidden)) != TREE_NONE;
}

/* What directory `old` of the draft shows, unsorted, into c->members. */
static size_t gather(struct compactor *c, uint32_t old, struct tree_item *item)
{
    size_t count = 0;

    for (uint32_t i = c->starts[old]; i < c->starts[old + 1]; i++) {
        const struct draft_name *n = &c->draft->names[c->order[i]];
        const char *name = (const char *)c->draft->text.data + n->text;
        struct member m = {.name = name, .node = n->node};

        if (strcmp(name, WHITEOUT_OPAQUE) == 0) {
            item->is_opaque = 1;
            c->tree->has_opaque = true;
            continue;
        }
        if (text_has_prefix(name, WHITEOUT_PREFIX)) {
            m.name = name + strlen(WHITEOUT_PREFIX);
            m.is_whiteout = true;
            if (!is_known_whiteout(name) || is_shadowed(c, old, m.name))
                continue;
        }
        c->members[count++] = m;
    }
    return count;
}

static int compare_members(const void *a, const void *b)
{
    return strcmp(((const struct member *)a)->name, ((const struct member *)b)->name);
}

static tree_id add_item(struct compactor *c, const struct member *m, tree_id parent)
{
    const struct draft_node *n = &c->draft->nodes[m->node];
    tree_id id = (tree_id)++c->tree->count;
    bool is_dir = n->kind == DRAFT_DIR && !m->is_whiteout;

    c->old_ids[id] = is_dir ? m->node : TREE_NONE;
    c->tree->items[id] = (struct tree_item){
        .file = n->file,
        .attr = n->attr,
        .nlink = is_dir ? 2 : 0,
        .parent = parent,
        .is_whiteout = m->is_whiteout,
    };
    if (is_dir)
        c->tree->items[parent].nlink++;
    if (!m->is_whiteout)
        c->new_ids[m->node] = id;
    return id;
}

static void add_children(struct compactor *c, tree_id dir)
{
    struct tree *tree = c->tree;
    size_t count = gather(c, c->old_ids[dir], &tree->items[dir]);

    qsort(c->members, count, sizeof(*c->members), compare_members);
    tree->items[dir].first = (uint32_t)tree->children_count;
    tree->items[dir].child_count = (uint32_t)count & 0x3fffffffu;
    for (size_t i = 0; i < count; i++) {
        const struct member *m = &c->members[i];
        tree_id id = m->is_whiteout ? TREE_NONE : c->new_ids[m->node];

        if (id == TREE_NONE)
            id = add_item(c, m, dir);
        if (c->old_ids[id] == TREE_NONE)
            tree->items[id].nlink++;
        tree->children[tree->children_count++] = (struct tree_dirent){
            .name = (uint32_t)(m->name - (const char *)c->draft->text.data), .id = id};
    }
}

/* Give back what was set aside for entries that nothing reaches. */
static void trim(struct tree *tree)
{
    void *items = reallocarray(tree->items, tree->count + 1, sizeof(*tree->items));
    void *children =
        reallocarray(tree->children, tree->children_count + 1, sizeof(*tree->children));

    if (items != NULL)
        tree->items = items;
    if (children != NULL)
        tree->children = children;
}

int tree_compact(struct draft *draft, struct tree *tree)
{
    SCOPED(compactor) struct compactor c = {.draft = draft, .tree = tree};
    struct member root = {.node = TREE_ROOT};
    int rc = compactor_init(&c);

    if (rc < 0)
        return rc;
    (void)add_item(&c, &root, TREE_ROOT);
    tree->items[TREE_ROOT].nlink = 2;
    for (tree_id id = TREE_ROOT; id <= tree->count; id++)
        if (c.old_ids[id] != TREE_NONE)
            add_children(&c, id);
    trim(tree);

    rc = tree_collect_attrs(draft, c.new_ids, tree);
    if (rc < 0)
        return rc;
    tree->names = (char *)draft->text.data; /* moved */
    draft->text = (struct buf)BUF_EMPTY;
    return 0;
}
