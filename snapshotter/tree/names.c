/* SPDX-License-Identifier: Apache-2.0 */
/* names.c – the draft's nodes, and its names in one hash table of (directory, name). */
#include "tree/internal.h"
#include "tree/siphash.h"

#include <stdlib.h>
#include <sys/random.h>

enum { DRAFT_MAX = 1 << 30 }; /* nodes and names each: tree_item.child_count has 30 bits */

/* Make room for one more element: 0 or -ENOMEM, -EFBIG. */
static int grow(void **array, size_t count, size_t *cap, size_t element_bytes)
{
    size_t new_cap = *cap == 0 ? 64 : *cap + *cap / 2;
    void *grown;

    if (count < *cap)
        return 0;
    if (count >= DRAFT_MAX)
        return -EFBIG;
    grown = reallocarray(*array, new_cap, element_bytes);
    if (grown == NULL)
        return -ENOMEM;
    *array = grown;
    *cap = new_cap;
    return 0;
}

int draft_init(struct draft *draft, const struct ztoc *toc)
{
    uint32_t id;
    int rc;

    *draft = (struct draft){.toc = toc, .last_dir = TREE_ROOT};
    /* Without entropy the hash is merely predictable. */
    if (getrandom(draft->hash_key, sizeof(draft->hash_key), GRND_NONBLOCK) < 0)
        draft->hash_key[0] = (uint64_t)(uintptr_t)draft;
    draft->slot_count = 256;
    draft->slots = calloc(draft->slot_count, sizeof(*draft->slots));
    if (draft->slots == NULL)
        return -ENOMEM;

    rc = draft_add_node(draft, (struct draft_node){.file = TREE_NO_FILE}, &id); /* TREE_NONE */
    if (rc == 0)
        rc = draft_add_node(
            draft,
            (struct draft_node){
                .file = TREE_NO_FILE, .attr = TREE_NO_FILE, .parent = TREE_ROOT, .kind = DRAFT_DIR},
            &id);
    return rc;
}

void draft_fini(struct draft *draft)
{
    free(draft->nodes);
    free(draft->names);
    free(draft->slots);
    free(draft->sources);
    free(draft->pending);
    buf_fini(&draft->text);
}

int draft_add_node(struct draft *draft, struct draft_node node, uint32_t *ret)
{
    void *nodes = draft->nodes;
    int rc = grow(&nodes, draft->node_count, &draft->node_cap, sizeof(*draft->nodes));

    if (rc < 0)
        return rc;
    draft->nodes = nodes;
    *ret = (uint32_t)draft->node_count;
    draft->nodes[draft->node_count++] = node;
    return 0;
}

int draft_add_source(struct draft *draft, uint32_t node, uint32_t file)
{
    void *sources = draft->sources;
    int rc = grow(&sources, draft->source_count, &draft->source_cap, sizeof(*draft->sources));

    if (rc < 0)
        return rc;
    draft->sources = sources;
    draft->sources[draft->source_count++] = (struct draft_source){.node = node, .file = file};
    return 0;
}

/* The slot that holds the name, or the free one where it belongs. */
static size_t find_slot(const struct draft *draft, uint32_t dir, struct bytes name, uint32_t hash)
{
    size_t mask = draft->slot_count - 1;

    for (size_t i = hash & mask;; i = (i + 1) & mask) {
        const struct draft_name *n;
        const char *text;

        if (draft->slots[i] == 0)
            return i;
        n = &draft->names[draft->slots[i] - 1];
        if (n->hash != hash || n->dir != dir)
            continue;
        text = (const char *)draft->text.data + n->text;
        if (strncmp(text, (const char *)name.data, name.len) == 0 && text[name.len] == '\0')
            return i;
    }
}

static uint32_t hash_name(const struct draft *draft, uint32_t dir, struct bytes name)
{
    return (uint32_t)tree_siphash(draft->hash_key, dir, name);
}

struct draft_name *draft_find(const struct draft *draft, uint32_t dir, struct bytes name)
{
    size_t slot = find_slot(draft, dir, name, hash_name(draft, dir, name));

    return draft->slots[slot] == 0 ? NULL : &draft->names[draft->slots[slot] - 1];
}

uint32_t draft_lookup(const struct draft *draft, uint32_t dir, struct bytes name)
{
    const struct draft_name *n = draft_find(draft, dir, name);

    return n == NULL ? TREE_NONE : n->node;
}

/* Twice the slots: at most half of them are ever taken. */
static int grow_slots(struct draft *draft)
{
    size_t count = draft->slot_count * 2;
    uint32_t *slots = calloc(count, sizeof(*slots));

    if (slots == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < draft->name_count; i++) {
        size_t slot = draft->names[i].hash & (count - 1);

        while (slots[slot] != 0)
            slot = (slot + 1) & (count - 1);
        slots[slot] = (uint32_t)(i + 1);
    }
    free(draft->slots);
    draft->slots = slots;
    draft->slot_count = count;
    return 0;
}

static int add_name(struct draft *draft, uint32_t dir, struct bytes name, uint32_t node)
{
    void *names = draft->names;
    size_t text = draft->text.len;
    int rc;

    if (text > UINT32_MAX - TREE_PATH_BYTES)
        return -EFBIG;
    rc = grow(&names, draft->name_count, &draft->name_cap, sizeof(*draft->names));
    if (rc < 0)
        return rc;
    draft->names = names;
    if ((draft->name_count + 1) * 2 > draft->slot_count && (rc = grow_slots(draft)) < 0)
        return rc;
    rc = buf_add(&draft->text, name.data, name.len);
    if (rc == 0)
        rc = buf_add_byte(&draft->text, '\0');
    if (rc < 0)
        return rc;

    uint32_t hash = hash_name(draft, dir, name);
    draft->names[draft->name_count] =
        (struct draft_name){.dir = dir, .text = (uint32_t)text, .node = node, .hash = hash};
    draft->slots[find_slot(draft, dir, name, hash)] = (uint32_t)++draft->name_count;
    return 0;
}

int draft_set(struct draft *draft, uint32_t dir, struct bytes name, uint32_t node)
{
    struct draft_name *known = draft_find(draft, dir, name);

    if (known == NULL)
        return add_name(draft, dir, name, node);
    known->node = node;
    return 0;
}
